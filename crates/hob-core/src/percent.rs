//! Percent-encoding (RFC 3986, 2.1), read strictly.

/// The text behind `%` escapes; `None` where it is not UTF-8 or an escape is cut or has other characters than
/// hexadecimal digits.
pub fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn broken_escapes_are_no_text() {
        assert_eq!((decoded("%4"), decoded("%zz"), decoded("%ff")), (None, None, None));
        assert_eq!(decoded("a%20b+%C3%A4").as_deref(), Some("a b+ä"));
    }
}
