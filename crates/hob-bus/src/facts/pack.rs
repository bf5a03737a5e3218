//! Facts in a few bytes: JSON values whose keys and usual words are one byte each.
//!
//! **Why.** A fact as JSON is mostly names of its fields and hexadecimal digits. Packed it takes a third, so three times as
//! many facts are kept in the same space.
//!
//! **How.** One byte says what follows: a number (LEB128), a text, an id of 16 or 32 hexadecimal digits as bytes, a list, or
//! fields. Names and words of [`WORDS`] are their place in it. Words are only ever added at the end of the table, so that what
//! an earlier version wrote is understood.

use serde_json::{Map, Number, Value};

/// Names of fields and usual texts, each one byte. Only ever added to, at the end.
const WORDS: &[&str] = &[
    "time_ms",
    "trace",
    "fact",
    "call",
    "refused",
    "published",
    "skipped",
    "delivered",
    "run",
    "changed",
    "instance",
    "span",
    "alert",
    "id",
    "parent",
    "app",
    "revision",
    "function",
    "cause",
    "by",
    "request",
    "control",
    "event",
    "schedule",
    "asynchronous",
    "replay",
    "invocation",
    "subscription",
    "topic",
    "sequence",
    "attempt",
    "published_ms",
    "method",
    "path",
    "host",
    "route",
    "status",
    "failure",
    "code",
    "message",
    "hint",
    "detail",
    "owner",
    "platform",
    "limit",
    "dependency",
    "caller",
    "times",
    "queue_us",
    "start_us",
    "load_us",
    "answer_us",
    "total_us",
    "cold",
    "used",
    "cpu_us",
    "memory_bytes",
    "bytes_in",
    "bytes_out",
    "outside",
    "to",
    "after_us",
    "took_us",
    "source",
    "type",
    "duplicate",
    "reason",
    "because",
    "filter",
    "clause",
    "wanted",
    "seen",
    "no-trigger",
    "seek",
    "ending",
    "then",
    "retry",
    "overloaded",
    "dead",
    "at_ms",
    "decision",
    "decided",
    "fired",
    "left-out",
    "failed",
    "due_ms",
    "made_up",
    "runs",
    "last_ms",
    "change",
    "deploy",
    "rollback",
    "remove",
    "from",
    "took_ms",
    "step",
    "started",
    "start-failed",
    "ended",
    "stopped",
    "instances",
    "name",
    "attributes",
    "on",
    "text",
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "HEAD",
    "PATCH",
    "OPTIONS",
    "/",
    "said",
    "route_us",
    "connect_us",
];

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const NUMBER: u8 = 3;
const NEGATIVE: u8 = 4;
const FLOAT: u8 = 5;
const TEXT: u8 = 6;
const WORD: u8 = 7;
const HEX_8: u8 = 8;
const HEX_16: u8 = 9;
const LIST: u8 = 10;
const FIELDS: u8 = 11;
/// Depth of lists and fields in one fact; what is deeper is refused when it is read.
const DEPTH_MAX: usize = 32;

/// A value in a few bytes.
pub(super) fn pack(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(192);
    put(value, &mut out);
    out
}

fn put(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(false) => out.push(FALSE),
        Value::Bool(true) => out.push(TRUE),
        Value::Number(number) => put_number(number, out),
        Value::String(text) => put_text(text, out),
        Value::Array(items) => {
            out.push(LIST);
            put_length(items.len(), out);
            items.iter().for_each(|item| put(item, out));
        }
        Value::Object(fields) => {
            out.push(FIELDS);
            put_length(fields.len(), out);
            for (name, value) in fields {
                put_text(name, out);
                put(value, out);
            }
        }
    }
}

fn put_number(number: &Number, out: &mut Vec<u8>) {
    if let Some(number) = number.as_u64() {
        out.push(NUMBER);
        put_leb(number, out);
    } else if let Some(number) = number.as_i64() {
        out.push(NEGATIVE);
        put_leb(number.unsigned_abs(), out);
    } else {
        out.push(FLOAT);
        out.extend(number.as_f64().unwrap_or_default().to_le_bytes());
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    if let Some(word) = WORDS.iter().position(|word| *word == text).and_then(|at| u8::try_from(at).ok()) {
        return out.extend([WORD, word]);
    }
    let is_hex = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    match (is_hex, text.len()) {
        (true, 16) => {
            out.push(HEX_8);
            out.extend(u64::from_str_radix(text, 16).unwrap_or_default().to_be_bytes());
        }
        (true, 32) => {
            out.push(HEX_16);
            out.extend(u128::from_str_radix(text, 16).unwrap_or_default().to_be_bytes());
        }
        _ => {
            out.push(TEXT);
            put_length(text.len(), out);
            out.extend(text.as_bytes());
        }
    }
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    put_leb(length as u64, out);
}

fn put_leb(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// The value of packed bytes; `None` for what is none.
pub(super) fn unpack(mut bytes: &[u8]) -> Option<Value> {
    let value = take(&mut bytes, 0)?;
    bytes.is_empty().then_some(value)
}

fn take(bytes: &mut &[u8], depth: usize) -> Option<Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    let kind = take_byte(bytes)?;
    Some(match kind {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        NUMBER => take_leb(bytes)?.into(),
        NEGATIVE => 0i64.checked_sub_unsigned(take_leb(bytes)?)?.into(),
        FLOAT => Number::from_f64(f64::from_le_bytes(take_array(bytes)?))?.into(),
        LIST => {
            let length = take_length(bytes)?;
            (0..length).map(|_| take(bytes, depth + 1)).collect::<Option<Vec<_>>>()?.into()
        }
        FIELDS => {
            let length = take_length(bytes)?;
            let fields = (0..length).map(|_| {
                let kind = take_byte(bytes)?;
                Some((take_text(kind, bytes)?, take(bytes, depth + 1)?))
            });
            fields.collect::<Option<Map<_, _>>>()?.into()
        }
        text => take_text(text, bytes)?.into(),
    })
}

fn take_text(kind: u8, bytes: &mut &[u8]) -> Option<String> {
    match kind {
        WORD => WORDS.get(usize::from(take_byte(bytes)?)).map(|word| (*word).to_owned()),
        HEX_8 => Some(format!("{:016x}", u64::from_be_bytes(take_array(bytes)?))),
        HEX_16 => Some(format!("{:032x}", u128::from_be_bytes(take_array(bytes)?))),
        TEXT => {
            let length = take_length(bytes)?;
            let (text, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Some(std::str::from_utf8(text).ok()?.to_owned())
        }
        _ => None,
    }
}

fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (array, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*array)
}

/// A length that what is left can hold.
fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let length = usize::try_from(take_leb(bytes)?).ok()?;
    (length <= bytes.len()).then_some(length)
}

fn take_leb(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take_byte(bytes)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// What is on a disk may be anything: what is read of it is written and read as the same.
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Some(value) = unpack(bytes) {
        assert_eq!(unpack(&pack(&value)).as_ref(), Some(&value));
    }
}

#[cfg(test)]
mod tests {
    use super::{WORDS, pack, unpack};
    use hob_core::random::Random;
    use serde_json::{Value, json};

    fn value(random: &mut Random, depth: u32) -> Value {
        match random.number() % if depth > 4 { 7 } else { 9 } {
            0 => Value::Null,
            1 => json!(random.number().is_multiple_of(2)),
            2 => json!(random.number() >> (random.number() % 64)),
            3 => json!(-i64::try_from(random.number() >> 1).unwrap_or(1)),
            4 => json!(random.number() as f64 / 7.0),
            5 => json!(format!("{:032x}", u128::from(random.number()))),
            6 => json!(
                ["", "call", "é 日本", "0198c0ffee00beef", "0198C0FFEE00BEEF"]
                    [(random.number() % 5) as usize]
            ),
            7 => (0..random.number() % 4).map(|_| value(random, depth + 1)).collect::<Vec<_>>().into(),
            _ => {
                let fields = (0..random.number() % 5).map(|at| (format!("k{at}"), value(random, depth + 1)));
                Value::Object(fields.collect())
            }
        }
    }

    #[test]
    fn what_was_packed_comes_out_and_nothing_else_does() {
        let mut random = Random(7);
        for _ in 0..2000 {
            let value = value(&mut random, 0);
            let packed = pack(&value);
            assert_eq!(unpack(&packed).as_ref(), Some(&value));
            for cut in 0..packed.len() {
                assert_ne!(unpack(&packed[..cut]).as_ref(), Some(&value), "cut at {cut}");
            }
            let mut bent = packed.clone();
            let at = usize::try_from(random.number()).unwrap_or(0) % bent.len();
            bent[at] ^= 1 << (random.number() % 8);
            // Whatever it is taken for, it is taken without a panic.
            let _ = unpack(&bent);
        }
    }

    #[test]
    fn words_are_once_each_and_few() {
        let mut words = WORDS.to_vec();
        words.sort_unstable();
        words.dedup();
        assert!(words.len() == WORDS.len() && WORDS.len() <= 256);
    }
}
