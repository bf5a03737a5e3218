//! From when to when a certificate is valid, read from its bytes.
//!
//! **Why.** The gateway's certificate ends on a day that nobody remembers. TLS libraries check it and do not
//! tell, and a parser of whole certificates would be a large dependency for two dates.
//!
//! **How.** A walk to one place of the DER encoding (X.690; RFC 5280, 4.1): `Certificate` ▸
//! `tbsCertificate` ▸ `validity`. Whatever is not as expected is `None`.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The validity of a certificate in DER: not before and not after, milliseconds since the Unix epoch.
pub fn validity_ms(der: &[u8]) -> Option<(u64, u64)> {
    let (certificate, _) = take(der, SEQUENCE)?;
    let (mut rest, _) = take(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = take(rest, VERSION)?.1;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        rest = take(rest, *rest.first()?)?.1;
    }
    let (validity, _) = take(rest, SEQUENCE)?;
    let (not_before, rest) = time_ms(validity)?;
    let (not_after, _) = time_ms(rest)?;
    Some((not_before, not_after))
}

/// The content of the element at the begin, which has this tag, and what follows it.
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [first, length, rest @ ..] = bytes else { return None };
    if *first != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        // The number of bytes that hold the length (X.690, 8.1.3.5).
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// A time (RFC 5280, 4.1.2.5): `YYMMDDHHMMSSZ` up to 2049, `YYYYMMDDHHMMSSZ` later.
fn time_ms(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let tag = *bytes.first()?;
    let (text, rest) = take(bytes, tag)?;
    let digits = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, digits) = match tag {
        UTC_TIME if digits.len() == 12 => {
            let year: i16 = digits.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, digits.get(2..)?)
        }
        GENERALIZED_TIME if digits.len() == 14 => (digits.get(..4)?.parse().ok()?, digits.get(4..)?),
        _ => return None,
    };
    let part = |at: usize| digits.get(at..at + 2)?.parse::<i8>().ok();
    let time = DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()?;
    let ms = TimeZone::UTC.to_timestamp(time).ok()?.as_millisecond();
    Some((u64::try_from(ms).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::validity_ms;

    /// An element with its length, of less than 65 536 bytes.
    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
        let head = if high == 0 && low < 0x80 { vec![tag, low] } else { vec![tag, 0x82, high, low] };
        [&head, content].concat()
    }

    fn certificate(version: bool, from: (u8, &str), to: (u8, &str)) -> Vec<u8> {
        let times = [element(from.0, from.1.as_bytes()), element(to.0, to.1.as_bytes())].concat();
        let parts = [
            if version { element(0xa0, &[2, 1, 2]) } else { Vec::new() },
            element(0x02, &[1]),
            element(0x30, &[6, 1, 42]),
            element(0x30, &[0; 300]),
            element(0x30, &times),
            element(0x30, b"subject"),
        ];
        element(0x30, &[element(0x30, &parts.concat()), element(0x30, &[])].concat())
    }

    #[test]
    fn dates_are_read_and_anything_else_is_none() {
        for (from, to, expected) in [
            ((0x17, "261126000000Z"), (0x17, "270224000000Z"), Some((1_795_651_200_000, 1_803_427_200_000))),
            ((0x17, "700101000000Z"), (0x18, "20991231235959Z"), Some((0, 4_102_444_799_000))),
            ((0x17, "20261126000000Z"), (0x17, "270224000000Z"), None),
            ((0x17, "261326000000Z"), (0x17, "270224000000Z"), None),
            ((0x17, "261126000000"), (0x17, "270224000000Z"), None),
            ((0x04, "261126000000Z"), (0x17, "270224000000Z"), None),
        ] {
            for version in [true, false] {
                assert_eq!(validity_ms(&certificate(version, from, to)), expected, "{from:?} {to:?}");
            }
        }
        let whole = certificate(true, (0x17, "261126000000Z"), (0x17, "270224000000Z"));
        for end in 0..whole.len() - 20 {
            assert_eq!(validity_ms(&whole[..end]), None, "{end} bytes");
        }
        assert_eq!(validity_ms(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0]), None);
    }
}
