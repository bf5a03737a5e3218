//! Numbers, times and places in the words of stories.

use crate::event::timestamp;
use crate::near::distance;

/// A time in three digits or so: `46 µs`, `6.7 ms`, `1.23 s`, `2 min 5 s`, `3 h 2 min`, `4 d 1 h`.
pub fn took(us: u64) -> String {
    let parts = |high: u64, high_unit: &str, low: u64, low_unit: &str| match low {
        0 => format!("{high} {high_unit}"),
        _ => format!("{high} {high_unit} {low} {low_unit}"),
    };
    let seconds = us / 1_000_000;
    match us {
        0..1000 => format!("{us} µs"),
        1000..10_000 => format!("{}.{} ms", us / 1000, us % 1000 / 100),
        10_000..1_000_000 => format!("{} ms", us / 1000),
        1_000_000..10_000_000 => format!("{}.{:02} s", seconds, us % 1_000_000 / 10_000),
        10_000_000..60_000_000 => format!("{}.{} s", seconds, us % 1_000_000 / 100_000),
        _ if seconds < 3600 => parts(seconds / 60, "min", seconds % 60, "s"),
        _ if seconds < 86_400 => parts(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => parts(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// The same for milliseconds.
pub fn took_ms(ms: u64) -> String {
    took(ms.saturating_mul(1000))
}

/// A time to the second, in UTC.
pub fn time(time_ms: u64) -> String {
    timestamp(time_ms / 1000 * 1000)
}

/// `3 calls`, `1 call`.
pub fn count(number: u64, one: &str) -> String {
    let plural = match one {
        "delivery" => "deliveries",
        _ => "",
    };
    match (number, plural) {
        (1, _) => format!("1 {one}"),
        (_, "") => format!("{number} {one}s"),
        (_, plural) => format!("{number} {plural}"),
    }
}

/// `1 event waits`, `3 events wait`.
pub fn wait(events: u64) -> String {
    format!("{} {}", count(events, "event"), if events == 1 { "waits" } else { "wait" })
}

/// Names in backticks, the first few of them: `a`, `b` and 3 more.
pub fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 4;
    let all: Vec<&str> = names.into_iter().collect();
    let quoted: Vec<String> = all.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = all.len().saturating_sub(SHOWN);
    match (more, quoted.as_slice()) {
        (0, [rest @ .., last]) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        (0, _) => quoted.join(", "),
        (more, _) => format!("{} and {more} more", quoted.join(", ")),
    }
}

/// How two texts differ that are nearly the same, for people who do not see it: `one letter apart`.
pub fn nearly(wanted: &str, seen: &str) -> Option<&'static str> {
    if wanted == seen {
        return None;
    }
    if wanted.eq_ignore_ascii_case(seen) {
        return Some("they differ in upper and lower case only");
    }
    if wanted.trim() == seen.trim() {
        return Some("they differ in blanks only");
    }
    // Of short words nearly all are near each other.
    let bound = (wanted.chars().count() / 4).min(2);
    match distance(wanted, seen, bound)? {
        1 => Some("they are one character apart"),
        _ => Some("they are two characters apart"),
    }
}

/// The same for what a filter's clause wants: of a prefix or suffix only that part is compared.
pub fn nearly_by(clause: &str, wanted: &str, seen: &str) -> Option<&'static str> {
    let part = |characters: usize| -> Option<&str> {
        let count = seen.chars().count();
        if clause.contains("prefix") {
            let end = seen.char_indices().nth(characters).map_or(seen.len(), |(at, _)| at);
            return Some(&seen[..end]);
        }
        if clause.contains("suffix") {
            let start = seen.char_indices().nth(count.saturating_sub(characters)).map_or(0, |(at, _)| at);
            return Some(&seen[start..]);
        }
        (characters == wanted.chars().count()).then_some(seen)
    };
    let length = wanted.chars().count();
    let parts = [length, length.saturating_sub(1), length + 1].into_iter().filter_map(part);
    parts.filter_map(|part| nearly(wanted, part)).min_by_key(|how| how.contains("two"))
}

/// One line of at most so many characters.
pub fn line(text: &str, characters: usize) -> String {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    if first.chars().count() <= characters {
        return first.to_owned();
    }
    let mut kept: String = first.chars().take(characters.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::{count, line, names, nearly, nearly_by, took};

    #[test]
    fn times_have_three_digits_or_so() {
        for (us, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (6_784, "6.7 ms"),
            (67_840, "67 ms"),
            (1_234_567, "1.23 s"),
            (12_345_678, "12.3 s"),
            (125_000_000, "2 min 5 s"),
            (120_000_000, "2 min"),
            (10_920_000_000, "3 h 2 min"),
            (349_200_000_000, "4 d 1 h"),
        ] {
            assert_eq!(took(us), text);
        }
    }

    #[test]
    fn lists_and_lines_are_short() {
        assert_eq!(names(["a"]), "`a`");
        assert_eq!(names(["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(names(["a", "b", "c", "d", "e", "f"]), "`a`, `b`, `c`, `d` and 2 more");
        assert_eq!((count(1, "call"), count(2, "delivery")), ("1 call".into(), "2 deliveries".into()));
        assert_eq!((line("\n  abc\nd", 9), line("abcdef", 4)), ("abc".into(), "abc…".into()));
    }

    #[test]
    fn nearly_equal_texts_are_told() {
        for (wanted, seen, told) in [
            ("order.created", "order.created", None),
            ("order.created", "order.creatd", Some("they are one character apart")),
            ("Order", "order", Some("they differ in upper and lower case only")),
            ("a", "a ", Some("they differ in blanks only")),
            ("order.created", "invoice", None),
            ("UK", "GB", None),
        ] {
            assert_eq!(nearly(wanted, seen), told, "{wanted} {seen}");
        }
        let one = Some("they are one character apart");
        for (clause, wanted, seen, told) in [
            ("prefix.type", "com.github.release.", "com.github.relase.published", one),
            ("prefix.type", "com.github.", "org.gitlab.x", None),
            ("suffix.type", ".created", "order.creatd", one),
            ("exact.type", "order.created", "order.creatd", one),
        ] {
            assert_eq!(nearly_by(clause, wanted, seen), told, "{clause} {wanted} {seen}");
        }
    }
}
