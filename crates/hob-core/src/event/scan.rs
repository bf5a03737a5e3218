//! The members of a JSON object and the items of a list, each as the text that it is.
//!
//! **Why.** Data has to go through as it came, so it is never built as a value. `serde_json`'s feature
//! `raw_value` would do this too, but it changes what every `Value` of the program is read as: a member
//! named like its marker is then parsed again, as deep as a sender likes.
//!
//! **How.** Brackets and commas are read here, everything between them by `serde_json`, which skips a
//! value of any depth without recursion.

use serde::de::{DeserializeOwned, IgnoredAny};

/// The members of an object; `None` when the text is none, or has more members than `most`.
pub(super) fn members(text: &str, most: usize) -> Option<Vec<(String, &str)>> {
    Scanner { text, at: 0 }.list((b'{', b'}'), most, |scanner| {
        let (name, _) = scanner.value::<String>()?;
        scanner.take(b':').then_some(())?;
        Some((name, scanner.value::<IgnoredAny>()?.1))
    })
}

/// The items of a list; `None` when the text is none, or has more items than `most`.
pub(super) fn items(text: &str, most: usize) -> Option<Vec<&str>> {
    Scanner { text, at: 0 }
        .list((b'[', b']'), most, |scanner| scanner.value::<IgnoredAny>().map(|(_, text)| text))
}

/// The text of one value, without what is around it; `None` when the bytes are none.
pub(super) fn value(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut scanner = Scanner { text, at: 0 };
    let (_, value) = scanner.value::<IgnoredAny>()?;
    scanner.is_end().then_some(value)
}

/// A place in a text.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn list<T>(
        &mut self,
        (open, close): (u8, u8),
        most: usize,
        one: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut found = Vec::new();
        self.take(open).then_some(())?;
        while !self.take(close) {
            if found.len() == most || (!found.is_empty() && !self.take(b',')) {
                return None;
            }
            found.push(one(self)?);
        }
        self.is_end().then_some(found)
    }

    fn skip_space(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
    }

    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let is = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(is);
        is
    }

    fn is_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.text.len()
    }

    /// The next value, and its text.
    fn value<T: DeserializeOwned>(&mut self) -> Option<(T, &'a str)> {
        self.skip_space();
        let rest = &self.text[self.at..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<T>();
        let value = values.next()?.ok()?;
        let end = values.byte_offset();
        self.at += end;
        Some((value, &rest[..end]))
    }
}

#[cfg(test)]
mod tests {
    use super::{items, members, value};
    use serde_json::value::Value;

    /// What is taken apart here is what `serde_json` takes apart.
    #[test]
    fn finds_what_is_there_and_takes_only_what_is_json() {
        for (text, expected) in [
            (
                r#" { "a" : 1 , "b\u0063":[{"d" : "}"} ] }  "#,
                Some(vec![("a", "1"), ("bc", r#"[{"d" : "}"} ]"#)]),
            ),
            (r#"{"a":-1.50e3,"a":null}"#, Some(vec![("a", "-1.50e3"), ("a", "null")])),
            ("{}", Some(vec![])),
            (r#"{"a":1,}"#, None),
            (r#"{,"a":1}"#, None),
            (r#"{"a":1"b":2}"#, None),
            (r#"{"a" 1}"#, None),
            (r#"{a:1}"#, None),
            (r#"{"a":01}"#, None),
            (r#"{"a":1x}"#, None),
            (r#"{"a":}"#, None),
            (r#"{"a":1"#, None),
            (r#"{"a":1}}"#, None),
            ("[]", None),
            ("", None),
        ] {
            let found = members(text, 2);
            let found: Option<Vec<(&str, &str)>> =
                found.as_ref().map(|found| found.iter().map(|(name, text)| (name.as_str(), *text)).collect());
            assert_eq!(found, expected, "{text}");
            let is_object = serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object());
            assert_eq!(is_object, expected.is_some(), "{text}");
        }
        assert_eq!(members(r#"{"a":1,"b":2,"c":3}"#, 2), None);
        assert_eq!(items(" [ 1 , [2, 3],\"]\"] ", 3), Some(vec!["1", "[2, 3]", "\"]\""]));
        for bad in ["", "[", "[1", "[1,]", "[,1]", "[1 2]", "[1]]", "{}", "[1,2,3,4]"] {
            assert_eq!(items(bad, 3), None, "{bad}");
        }
        assert_eq!(value(b" \n[1, 2]\t"), Some("[1, 2]"));
        for bad in [&b""[..], b" ", b"1 2", b"\"\xff\"", b"[1", b"nul", b"\xef\xbb\xbf1"] {
            assert_eq!(value(bad), None, "{bad:?}");
        }
    }
}
