//! What every event has to obey, whatever way it came.
//!
//! **Why.** What is stored is delivered for ever after, so it is refused on entry or not at all.
//!
//! **How.** [`check`] follows CloudEvents 1.0.2, section 3, and the limits. It is lenient where real
//! senders are: a `source` may hold characters that a URI would have to encode, except those that
//! would end it in a header or in text.

use super::{Event, OWN_NAMES, SPECVERSION, Value, media};
use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit::{
    EVENT_ATTRIBUTE_BYTES_MAX, EVENT_ATTRIBUTE_NAME_BYTES_MAX, EVENT_ATTRIBUTES_MAX, EVENT_BYTES_MAX,
};
use jiff::civil::{DateTime, date};

/// Characters of a value that a message shows.
const SHOWN_CHARS: usize = 80;

/// The fault for what is no CloudEvent.
pub(super) fn malformed(message: impl Into<String>) -> Fault {
    Fault::new(Code::EventMalformed, message)
}

/// A value as a message may show it: cut, without control characters.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether the version of the specification is the one that is spoken here.
pub(super) fn version(text: &str) -> Result<()> {
    if text == SPECVERSION {
        return Ok(());
    }
    let message = format!("attribute `specversion` is `{}`, but only `{SPECVERSION}` is known", shown(text));
    Err(malformed(message).hint("send events of CloudEvents 1.0"))
}

/// Whether a text is an attribute's name (CloudEvents 1.0.2, section 3, naming conventions).
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= EVENT_ATTRIBUTE_NAME_BYTES_MAX
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Whether an extension may have this name.
pub(super) fn is_extension(name: &str) -> bool {
    is_name(name) && !OWN_NAMES.contains(&name)
}

/// See [`Event::check`].
pub(super) fn check(event: &Event) -> Result<()> {
    for name in event.extensions.keys() {
        extension_name(name)?;
    }
    let (mut count, mut bytes) = (0, event.data.as_ref().map_or(0, bytes::Bytes::len));
    for (name, value) in event.attributes() {
        count += 1;
        bytes += name.len() + value.bytes();
        if let Value::String(text) = value {
            attribute(name, text)?;
        }
    }
    if count > EVENT_ATTRIBUTES_MAX {
        let message = format!("the event has {count} attributes, the limit is {EVENT_ATTRIBUTES_MAX}");
        return Err(malformed(message).hint("put what describes the data into the data"));
    }
    if bytes > EVENT_BYTES_MAX {
        return Err(too_large(format!("the event has {bytes} bytes, the limit is {EVENT_BYTES_MAX}")));
    }
    Ok(())
}

/// The fault for what is too large.
pub(super) fn too_large(message: String) -> Fault {
    Fault::new(Code::EventTooLarge, message)
        .hint("store the data elsewhere and send its address as `dataref`")
}

fn extension_name(name: &str) -> Result<()> {
    if is_extension(name) {
        return Ok(());
    }
    let why = if OWN_NAMES.contains(&name) {
        "cannot be an extension's".to_owned()
    } else if name.len() > EVENT_ATTRIBUTE_NAME_BYTES_MAX {
        format!("has {} characters, the limit is {EVENT_ATTRIBUTE_NAME_BYTES_MAX}", name.len())
    } else {
        "is not made of a-z and 0-9".to_owned()
    };
    let message = format!("the attribute name `{}` {why}", shown(name));
    Err(malformed(message).hint("use lower-case letters and digits only, such as `partitionkey`"))
}

/// One attribute that is a text.
fn attribute(name: &str, text: &str) -> Result<()> {
    if text.len() > EVENT_ATTRIBUTE_BYTES_MAX {
        let (has, most) = (text.len(), EVENT_ATTRIBUTE_BYTES_MAX);
        return Err(too_large(format!("attribute `{name}` has {has} bytes, the limit is {most}")));
    }
    if let Some(bad) = forbidden(text) {
        let message = format!("attribute `{name}` has the character U+{:04X}", u32::from(bad));
        return Err(malformed(message).hint("send control characters in the data only"));
    }
    let wanted = match name {
        "id" | "type" | "subject" if text.is_empty() => "text that is not empty",
        "source" | "dataschema" if !is_uri(text) => {
            "a URI-reference such as `/orders` or `https://example.com/a`"
        }
        "time" | "expirytime" if timestamp_ms(text).is_none() => {
            "a time of RFC 3339 such as `2026-07-01T09:30:00Z`"
        }
        "datacontenttype" if !media::is_valid(text) => "a media type such as `application/json`",
        _ => return Ok(()),
    };
    if text.is_empty() {
        return Err(malformed(format!("the event has no `{name}`, or an empty one"))
            .hint(format!("set `{name}` to {wanted}")));
    }
    Err(malformed(format!("attribute `{name}` is `{}`", shown(text)))
        .hint(format!("set `{name}` to {wanted}")))
}

/// The first character that no attribute may have (CloudEvents 1.0.2, section 3.1, String).
fn forbidden(text: &str) -> Option<char> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return None;
    }
    text.chars().find(|c| {
        let code = u32::from(*c);
        c.is_control() || (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
    })
}

/// Whether a text may pass as a URI-reference.
fn is_uri(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || matches!(c, '"' | '<' | '>'))
}

/// Milliseconds since the Unix epoch as a time of RFC 3339, section 5.6, in UTC.
pub fn timestamp(time_ms: u64) -> String {
    let at = i64::try_from(time_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// A time of RFC 3339, section 5.6, in milliseconds since the Unix epoch; 0 for what was before it.
/// `None` when it is no such time. A leap second is the second after the one before it.
pub fn timestamp_ms(text: &str) -> Option<u64> {
    let (moment, rest) = text.as_bytes().split_at_checked(19)?;
    let shape = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if !shape.iter().all(|(at, byte)| moment[*at] == *byte) || !matches!(moment[10], b'T' | b't') {
        return None;
    }
    let pair = |at: usize| digits(&moment[at..at + 2]).and_then(|number| i8::try_from(number).ok());
    let year = i16::try_from(digits(&moment[..4])?).ok()?;
    let second = pair(17)?;
    let leap = second == 60;
    let second = if leap { 59 } else { second };
    let moment = DateTime::new(year, pair(5)?, pair(8)?, pair(11)?, pair(14)?, second, 0).ok()?;
    let (fraction_ms, zone) = fraction_ms(rest)?;
    let passed_s = moment.duration_since(date(1970, 1, 1).at(0, 0, 0, 0)).as_secs() + i64::from(leap);
    let passed_ms = (passed_s - offset_s(zone)?) * 1000 + fraction_ms;
    u64::try_from(passed_ms.max(0)).ok()
}

/// Milliseconds of `.123…`, if that comes, and what follows.
fn fraction_ms(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = rest.strip_prefix(b".") else { return Some((0, rest)) };
    let end = rest.iter().position(|byte| !byte.is_ascii_digit()).filter(|end| *end > 0)?;
    let (fraction, zone) = rest.split_at(end);
    let digit = |at: usize| i64::from(fraction.get(at).map_or(0, |byte| byte - b'0'));
    Some((digit(0) * 100 + digit(1) * 10 + digit(2), zone))
}

/// Seconds by which the zone is ahead of UTC.
fn offset_s(zone: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match zone {
        b"Z" | b"z" => return Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => (sign, digits(&[*h1, *h2])?, digits(&[*m1, *m2])?),
        _ => return None,
    };
    let seconds = i64::from(hours * 3600 + minutes * 60);
    (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -seconds } else { seconds })
}

/// A number of digits only.
fn digits(text: &[u8]) -> Option<u32> {
    text.iter()
        .try_fold(0u32, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::timestamp_ms;

    #[test]
    fn times_are_those_of_rfc_3339() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1985-04-12T23:20:50.52Z", 482_196_050_520),
            ("1996-12-19T16:39:57-08:00", 851_042_397_000),
            ("1990-12-31T23:59:60Z", 662_688_000_000),
            ("1990-12-31T15:59:60-08:00", 662_688_000_000),
            ("1937-01-01T12:00:27.87+00:20", 0),
            ("2018-04-05t17:31:00z", 1_522_949_460_000),
            ("2018-04-05T17:31:00.123456789012Z", 1_522_949_460_123),
            ("2018-04-05T17:31:00-00:00", 1_522_949_460_000),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
            ("0000-01-01T00:00:00+23:59", 0),
        ] {
            assert_eq!(timestamp_ms(text), Some(expected), "{text}");
        }
        for bad in [
            "",
            "2018",
            "2018-04-05",
            "2018-04-05T17:31:00",
            "2018-04-05 17:31:00Z",
            "2018-04-05T17:31Z",
            "2018-04-05T17:31:00.Z",
            "2018-02-29T00:00:00Z",
            "2018-13-01T00:00:00Z",
            "2018-04-05T24:00:00Z",
            "2018-04-05T17:31:61Z",
            "2018-04-05T17:31:00+24:00",
            "2018-04-05T17:31:00+0100",
            "2018-04-05T17:31:00Z[UTC]",
            "+018-04-05T17:31:00Z",
            "2018-04-05T17:31:00Zx",
            " 2018-04-05T17:31:00Z",
            "20180405T173100Z00000",
            "2018-04-05T17:31:00é",
        ] {
            assert_eq!(timestamp_ms(bad), None, "{bad}");
        }
    }
}
