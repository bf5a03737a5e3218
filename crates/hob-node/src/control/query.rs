//! Reads what stands behind `?` in a request to the control API.

use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::percent;
use serde::de::value::{Error, MapDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};

/// The names and values of `name=value&…`, decoded. A name alone means `true`.
///
/// # Errors
/// `HOB-0704` for an escape that is none, or a name that is given twice.
pub(crate) fn pairs(query: &str) -> Result<Vec<(String, String)>> {
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

/// Reads what stands behind `?` as a `T`, whose fields are texts, numbers, flags and words.
///
/// # Errors
/// `HOB-0704` for an unknown name or a value that does not fit.
pub(super) fn read<T: DeserializeOwned>(uri: &http::Uri) -> Result<T> {
    let pairs = pairs(uri.query().unwrap_or_default())?;
    let entries = pairs.into_iter().map(|(name, value)| (name, Word(value)));
    T::deserialize(MapDeserializer::new(entries)).map_err(|error: Error| refuse(&error.to_string()))
}

/// A value of a query: text that is read as what its field wants.
struct Word(String);

impl<'de> IntoDeserializer<'de, Error> for Word {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Word {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.0)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let number = self.0.parse().map_err(|_| Error::custom(format!("`{}` is no number", self.0)))?;
        visitor.visit_u64(number)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let flag = self.0.parse().map_err(|_| Error::custom(format!("`{}` is not true or false", self.0)))?;
        visitor.visit_bool(flag)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(StrDeserializer::<Error>::new(&self.0))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// The fault of a query.
pub(super) fn refuse(why: &str) -> Fault {
    Fault::new(Code::ControlRequest, format!("the query cannot be understood: {why}"))
        .hint("compare it with `GET /v1/openapi.json`")
}

/// Percent-encoded text (URL Standard, 5.1), with `+` for a blank; `None` when it is none.
pub(crate) fn decode(text: &str) -> Option<String> {
    percent::decoded(&text.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::{pairs, read};
    use hob_core::wire::{LogQuery, TriggersQuery};

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

    #[test]
    fn values_are_what_their_fields_want() {
        let log: LogQuery = read(&"/?app=42&stream=stderr&tail=3&follow".parse().unwrap()).unwrap();
        let shown = serde_json::to_string(&log).unwrap();
        assert_eq!(shown, r#"{"app":"42","stream":"stderr","tail":3,"follow":true}"#);
        let log: LogQuery = read(
            &"/?revision=3&level=warn&since_ms=5&grep=a%26+b&trace=00000000000000000000000000000007"
                .parse()
                .unwrap(),
        )
        .unwrap();
        let shown = serde_json::to_string(&log).unwrap();
        let trace = r#""trace":"00000000000000000000000000000007""#;
        assert_eq!(
            shown,
            format!(r#"{{"revision":3,"level":"warn","since_ms":5,"grep":"a& b",{trace},"follow":false}}"#)
        );
        for (bad, why) in [
            ("/?level=loud", "unknown variant `loud`"),
            ("/?tail=x", "`x` is no number"),
            ("/?follow=x", "`x` is not true or false"),
            ("/?stream=x", "unknown variant `x`"),
            ("/?tial=3", "unknown field `tial`"),
            ("/?app=A", "app name `A`"),
        ] {
            let fault = read::<LogQuery>(&bad.parse().unwrap()).unwrap_err();
            assert!(fault.message().contains(why), "{bad}: {fault}");
        }
        assert!(read::<TriggersQuery>(&"/".parse().unwrap()).unwrap().app.is_none());
    }
}
