//! Sizes and times as people write them: `128 MiB`, `250ms`, `1.5s`.
//!
//! **Why.** A bare number in a settings file hides its unit; so settings are text with a unit, and
//! one parser reads them all.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads a size such as `128 MiB`, `64KB`, `1 GiB` or `512` (bytes).
///
/// # Errors
/// A sentence that names the accepted form.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "k" | "ki" | "kib" => 1 << 10,
        "mb" => 1_000_000,
        "m" | "mi" | "mib" => 1 << 20,
        "gb" => 1_000_000_000,
        "g" | "gi" | "gib" => 1 << 30,
        _ => return Err(format!("`{text}` is not a size; write for example `128 MiB`")),
    };
    number
        .and_then(|n| scale(n, factor))
        .ok_or_else(|| format!("`{text}` is not a size; write for example `128 MiB`"))
}

/// Reads a number of processors such as `0.5`, `2` or `500m` (Kubernetes' thousandths), in thousandths.
///
/// # Errors
/// A sentence that names the accepted form.
pub fn parse_processors(text: &str) -> Result<u32, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" => Some(1000),
        "m" => Some(1),
        _ => None,
    };
    let milli = number.zip(factor).and_then(|(number, factor)| scale(number, factor));
    milli
        .and_then(|milli| u32::try_from(milli).ok())
        .ok_or_else(|| format!("`{text}` is no number of processors; write for example `0.5`"))
}

/// A number of processors for people: `0.5`.
pub fn show_processors(milli: u64) -> String {
    let (whole, rest) = (milli / 1000, milli % 1000);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:03}").trim_end_matches('0').to_owned() }
}

/// Reads a time such as `250ms`, `3s`, `1.5m`, `2h` or `1d`.
///
/// # Errors
/// A sentence that names the accepted form.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let factor_us: u64 = match unit {
        "us" | "µs" => 1,
        "ms" => 1000,
        "s" => 1_000_000,
        "m" | "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err(format!("`{text}` is not a time; write for example `30s` or `250ms`")),
    };
    number
        .and_then(|n| scale(n, factor_us))
        .map(Duration::from_micros)
        .ok_or_else(|| format!("`{text}` is not a time; write for example `30s` or `250ms`"))
}

/// A time in whole microseconds.
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Whole milliseconds of a time; the largest number for one that has more.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A time of the wall clock in milliseconds since the Unix epoch; one before that counts as that.
pub fn unix_ms(time: SystemTime) -> u64 {
    millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Reads a rate such as `100/s`, `10/m` or `5/2s`: so many, and in how many milliseconds.
///
/// # Errors
/// A sentence that names the accepted form.
pub fn parse_rate(text: &str) -> Result<(u32, u64), String> {
    let wrong = || format!("`{text}` is not a rate; write for example `100/s` or `10/m`");
    let (count, time) = text.split_once('/').ok_or_else(wrong)?;
    let time = time.trim();
    let time =
        if time.starts_with(|c: char| c.is_ascii_digit()) { time.to_owned() } else { format!("1{time}") };
    let per = parse_duration(&time).map_err(|_| wrong())?;
    let per_ms = u64::try_from(per.as_millis()).map_err(|_| wrong())?;
    Ok((count.trim().parse().map_err(|_| wrong())?, per_ms))
}

/// Reads two times such as `1s..5m`, or one that stands for both.
///
/// # Errors
/// A sentence that names the accepted form.
pub fn parse_duration_range(text: &str) -> Result<(Duration, Duration), String> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    match (parse_duration(least), parse_duration(most)) {
        (Ok(least), Ok(most)) if least <= most => Ok((least, most)),
        _ => Err(format!("`{text}` is not a range of times; write for example `1s..5m`")),
    }
}

/// A size for people: `1.5 MiB`.
pub fn show_bytes(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, size) in UNITS {
        if bytes >= size {
            let tenths = u128::from(bytes) * 10 / u128::from(size);
            let (whole, tenth) = (tenths / 10, tenths % 10);
            return if tenth == 0 { format!("{whole} {unit}") } else { format!("{whole}.{tenth} {unit}") };
        }
    }
    format!("{bytes} B")
}

/// A size and the limit that it is above, for people: in bytes where rounding would make them equal.
pub fn show_bytes_over(bytes: u64, limit: u64) -> (String, String) {
    let (size, most) = (show_bytes(bytes), show_bytes(limit));
    if size == most { (format!("{bytes} B"), format!("{limit} B")) } else { (size, most) }
}

/// A time for people: `250ms`, `3s`, `1m 30s`.
pub fn show_duration(time: Duration) -> String {
    let ms = time.as_millis();
    match ms {
        0 if time.as_micros() > 0 => format!("{}us", time.as_micros()),
        0..1000 => format!("{ms}ms"),
        1000..60_000 if ms.is_multiple_of(1000) => format!("{}s", ms / 1000),
        1000..60_000 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        60_000..3_600_000 if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        60_000..3_600_000 => format!("{}m {}s", ms / 60_000, ms % 60_000 / 1000),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ => format!("{}h {}m", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

fn split(text: &str) -> (Option<(u64, u64)>, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (decimal(&text[..end]), text[end..].trim())
}

/// A decimal number as an exact fraction (numerator, denominator), with at most six decimals.
fn decimal(text: &str) -> Option<(u64, u64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || fraction.len() > 6 {
        return None;
    }
    let denominator = 10u64.pow(u32::try_from(fraction.len()).ok()?);
    let whole: u64 = whole.parse().ok()?;
    let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    Some((whole.checked_mul(denominator)?.checked_add(fraction)?, denominator))
}

fn scale((numerator, denominator): (u64, u64), factor: u64) -> Option<u64> {
    u64::try_from(u128::from(numerator) * u128::from(factor) / u128::from(denominator)).ok()
}

#[cfg(test)]
mod tests {
    use super::{
        parse_bytes, parse_duration, parse_duration_range, parse_processors, parse_rate, show_bytes,
        show_bytes_over, show_duration, show_processors,
    };
    use std::time::Duration;

    #[test]
    fn processors() {
        for (text, milli, shown) in [
            ("0.5", 500, "0.5"),
            ("2", 2000, "2"),
            ("250m", 250, "0.25"),
            (" 1.125 ", 1125, "1.125"),
            ("0", 0, "0"),
        ] {
            assert_eq!(parse_processors(text), Ok(milli), "{text}");
            assert_eq!(show_processors(milli.into()), shown);
        }
        for text in ["", "half", "-1", "1e3", "0.5 cores", "9999999999"] {
            let why = format!("`{text}` is no number of processors; write for example `0.5`");
            assert_eq!(parse_processors(text), Err(why));
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("512", 512), ("128 MiB", 128 << 20), ("1.5GiB", 3 << 29), ("10 kB", 10_000)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for bad in ["", "MiB", "1 TiB!", "-1", "1.2.3 MiB", "99999999999999999999"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
        assert_eq!((show_bytes(512), show_bytes(3 << 19)), ("512 B".into(), "1.5 MiB".into()));
        assert_eq!(show_bytes_over(2048, 1024), ("2 KiB".into(), "1 KiB".into()));
        assert_eq!(show_bytes_over(1025, 1024), ("1025 B".into(), "1024 B".into()));
    }

    #[test]
    fn rates_and_ranges() {
        for (text, rate) in [("100/s", (100, 1000)), ("10 / m", (10, 60_000)), ("5/2s", (5, 2000))] {
            assert_eq!(parse_rate(text), Ok(rate), "{text}");
        }
        for bad in ["", "100", "/s", "x/s", "1/", "-1/s", "1/x"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
        let ms = |text| parse_duration_range(text).map(|(a, b)| (a.as_millis(), b.as_millis()));
        assert_eq!((ms("1s..5m"), ms("250ms")), (Ok((1000, 300_000)), Ok((250, 250))));
        for bad in ["", "..", "5m..1s", "1s..", "1s..2x"] {
            assert!(ms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times() {
        for (text, ms) in
            [("250ms", 250), ("3s", 3000), ("1.5m", 90_000), ("2h", 7_200_000), ("1d", 86_400_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "3", "s", "3 weeks", "1e3s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        let shown: Vec<String> = [1u64, 1500, 3000, 90_000, 120_000, 7_260_000]
            .map(|ms| show_duration(Duration::from_millis(ms)))
            .into();
        assert_eq!(shown, ["1ms", "1.5s", "3s", "1m 30s", "2m", "2h 1m"]);
    }
}
