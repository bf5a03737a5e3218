//! Reads what stands behind `?` in a request to the control API.

use hob_core::code::Code;
use hob_core::fault::{Fault, Result};

/// The names and values of `name=value&…`, decoded. A name alone means `true`.
///
/// # Errors
/// `HOB-0704` for an escape that is none, or a name that is given twice.
pub(super) fn pairs(query: &str) -> Result<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
        let decoded = decode(name).zip(decode(value));
        let (name, value) =
            decoded.ok_or_else(|| refuse(&format!("`{pair}` is not percent-encoded text")))?;
        if pairs.iter().any(|(known, _)| *known == name) {
            return Err(refuse(&format!("`{name}` is given twice")));
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

/// The fault of a query.
pub(super) fn refuse(why: &str) -> Fault {
    Fault::new(Code::ControlRequest, format!("the query cannot be understood: {why}"))
        .hint("compare it with `GET /v1/openapi.json`")
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let (high, low) =
                    ((rest.next()? as char).to_digit(16)?, (rest.next()? as char).to_digit(16)?);
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::pairs;

    #[test]
    fn queries_are_decoded_or_refused() {
        for (query, expected) in [
            ("", "Ok([])"),
            ("follow&tail=3", r#"Ok([("follow", "true"), ("tail", "3")])"#),
            ("a=%41+b%26&", r#"Ok([("a", "A b&")])"#),
        ] {
            assert_eq!(format!("{:?}", pairs(query)), expected, "{query}");
        }
        for bad in ["a=1&a=2", "a=%4", "a=%zz", "a=%ff"] {
            assert_eq!(pairs(bad).unwrap_err().code().text(), "HOB-0704", "{bad}");
        }
    }
}
