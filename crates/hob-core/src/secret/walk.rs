//! Walks through the texts of a value without writing it: every string in it, as it is, and no form of it.
//!
//! **Why.** Whether a fact holds a secret has to be known for each of them, and nearly none does. Its serialized form is
//! the wrong place to look: there a quote has a backslash before it, so that a line of a secret with quotes is not found.
//!
//! **How.** A serializer that keeps nothing. Strings and keys of maps are shown to who asks; numbers and the node's own words
//! (names of fields and variants) are not, but for fields beside a flattened one, which serde tells as keys of a map. It ends
//! at the first text that is said to be enough.

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use std::fmt::{Error, Write as _};

/// Whether `is` holds for one of the texts in a value.
pub(super) fn any(value: &impl Serialize, is: impl Fn(&str) -> bool) -> bool {
    let mut walk = Walk { is, found: false };
    // The error is how a walk ends early; one that a value makes itself ends it as well, and nothing was found then.
    let _ = value.serialize(&mut walk);
    walk.found
}

struct Walk<F> {
    is: F,
    found: bool,
}

type Walked = Result<(), Error>;

macro_rules! pass_over {
    ($($method:ident: $kind:ty),*) => { $(
        fn $method(self, _: $kind) -> Walked {
            Ok(())
        }
    )* };
}

impl<F: Fn(&str) -> bool> Serializer for &mut Walk<F> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    pass_over!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_f32: f32, serialize_f64: f64, serialize_char: char,
        serialize_bytes: &[u8], serialize_unit_struct: &'static str
    );

    fn serialize_str(self, text: &str) -> Walked {
        self.found = (self.is)(text);
        if self.found { Err(Error) } else { Ok(()) }
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Walked {
        let mut text = String::new();
        write!(text, "{value}")?;
        self.serialize_str(&text)
    }

    fn serialize_none(self) -> Walked {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Walked {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Walked {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Walked {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Walked {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Walked {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Error> {
        Ok(self)
    }
}

macro_rules! walk_items {
    ($($kind:ident: $method:ident),*) => { $(
        impl<F: Fn(&str) -> bool> $kind for &mut Walk<F> {
            type Ok = ();
            type Error = Error;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked {
                value.serialize(&mut **self)
            }
            fn end(self) -> Walked {
                Ok(())
            }
        }
    )* };
}

walk_items!(
    SerializeSeq: serialize_element, SerializeTuple: serialize_element, SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);

macro_rules! walk_fields {
    ($($kind:ident),*) => { $(
        impl<F: Fn(&str) -> bool> $kind for &mut Walk<F> {
            type Ok = ();
            type Error = Error;
            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Walked {
                value.serialize(&mut **self)
            }
            fn end(self) -> Walked {
                Ok(())
            }
        }
    )* };
}

walk_fields!(SerializeStruct, SerializeStructVariant);

impl<F: Fn(&str) -> bool> SerializeMap for &mut Walk<F> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Walked {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked {
        value.serialize(&mut **self)
    }

    fn end(self) -> Walked {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::any;
    use serde::Serialize;
    use std::collections::BTreeMap;

    #[derive(Serialize)]
    enum Kind {
        Word,
        One(String),
        Two(u8, &'static str),
        Named { text: Option<Box<str>> },
    }

    #[derive(Serialize)]
    #[serde(tag = "tag", rename_all = "lowercase")]
    enum Tagged {
        Inside { text: String },
    }

    #[derive(Serialize)]
    struct Flat {
        #[serde(flatten)]
        inner: Tagged,
    }

    #[derive(Serialize)]
    struct All {
        field: Vec<Kind>,
        map: BTreeMap<String, (u64, char, [&'static str; 1])>,
        tagged: Tagged,
        flat: Flat,
        json: serde_json::Value,
    }

    #[test]
    fn every_text_is_shown_as_it_is_and_no_word_of_the_nodes_own() {
        let all = All {
            field: vec![
                Kind::Word,
                Kind::One("say \"one\"".into()),
                Kind::Two(2, "two"),
                Kind::Named { text: Some("named\n".into()) },
                Kind::Named { text: None },
            ],
            map: BTreeMap::from([("key".to_owned(), (7, 'c', ["tuple"]))]),
            tagged: Tagged::Inside { text: "inside".into() },
            flat: Flat { inner: Tagged::Inside { text: "flat inside".into() } },
            json: serde_json::json!({ "j": ["deep", 5, null, true] }),
        };
        for text in ["say \"one\"", "two", "named\n", "key", "tuple", "inside", "flat inside", "j", "deep"] {
            assert!(any(&all, |shown| shown == text), "{text}");
        }
        for text in ["Word", "One", "field", "7", "c", "5"] {
            assert!(!any(&all, |shown| shown == text), "{text}");
        }
    }
}
