//! Events: CloudEvents 1.0 as values, and the forms in which they travel and are stored.
//!
//! **Why.** Everything that is published, delivered, retried and dead-lettered is one of these, so what
//! the specification says is kept in one place.
//!
//! **How.** [`Event`] is the value; [`json`] is the JSON format, [`http`] the HTTP binding (binary,
//! structured, batch), [`record`] the form in the log. Every reader ends with [`Event::check`], so
//! whatever came in obeys the specification and the limits. What is lenient, because the official SDKs
//! are, is said where it is read.
//!
//! **Not here:** which events somebody wants ([`crate::filter`]).

pub mod base64;
mod check;
pub mod http;
pub mod json;
mod media;
pub mod record;
mod scan;
#[cfg(test)]
mod tests;

pub use check::{timestamp, timestamp_ms};

use crate::fault::Result;
use bytes::{BufMut, Bytes, BytesMut};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The version of the specification that events carry (CloudEvents 1.0.2, section 3.2.3).
pub const SPECVERSION: &str = "1.0";

/// Attributes that are no extensions, and `data`, which is no attribute: no extension has their names.
const OWN_NAMES: [&str; 9] =
    ["specversion", "id", "source", "type", "datacontenttype", "dataschema", "subject", "time", "data"];

/// One event (CloudEvents 1.0.2, section 3). Made by the readers of this module, which check it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// With `source`, unique for each event.
    pub id: String,
    /// Who it is from: a URI-reference.
    pub source: String,
    /// What it is about; written `type`.
    pub kind: String,
    /// Media type of the data.
    pub datacontenttype: Option<String>,
    /// A URI of the data's schema.
    pub dataschema: Option<String>,
    /// What within the source it is about.
    pub subject: Option<String>,
    /// When it happened (RFC 3339), as it was written.
    pub time: Option<String>,
    /// Extension attributes, by name.
    pub extensions: BTreeMap<String, Attribute>,
    /// The data's bytes in their media type: for JSON its text. `None`: there is none.
    pub data: Option<Bytes>,
}

/// The value of an extension attribute. Binary, URI and Timestamp values are carried in their string
/// form (CloudEvents 1.0.2, section 3.1), which is their only one on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// `true` or `false`.
    Boolean(bool),
    /// A 32-bit integer.
    Integer(i32),
    /// Text.
    String(String),
}

/// The value of any attribute, required ones too, as filters and expressions see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `true` or `false`.
    Boolean(bool),
    /// A 32-bit integer.
    Integer(i32),
    /// Text.
    String(&'a str),
}

impl Event {
    /// An event without optional attributes and without data; unchecked.
    pub fn new(id: impl Into<String>, source: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            source: source.into(),
            kind: kind.into(),
            datacontenttype: None,
            dataschema: None,
            subject: None,
            time: None,
            extensions: BTreeMap::new(),
            data: None,
        }
    }

    /// An attribute by its name in the specification (`type`, `specversion`, an extension's own);
    /// `None` when the event does not have it. `data` is no attribute.
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        let text = match name {
            "specversion" => Some(SPECVERSION),
            "id" => Some(self.id.as_str()),
            "source" => Some(self.source.as_str()),
            "type" => Some(self.kind.as_str()),
            "datacontenttype" => self.datacontenttype.as_deref(),
            "dataschema" => self.dataschema.as_deref(),
            "subject" => self.subject.as_deref(),
            "time" => self.time.as_deref(),
            _ => return self.extensions.get(name).map(Attribute::value),
        };
        text.map(Value::String)
    }

    /// An attribute's canonical string form (CloudEvents 1.0.2, section 3.1).
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(Value::text)
    }

    /// Every attribute that the event has: the specification's own, then extensions by name.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        let own = OWN_NAMES.iter().filter(|name| **name != "data");
        let own = own.filter_map(|name| Some((*name, self.get(name)?)));
        own.chain(self.extensions.iter().map(|(name, value)| (name.as_str(), value.value())))
    }

    /// Sets an extension attribute. The name is not looked at before [`Event::check`].
    pub fn set_extension(&mut self, name: impl Into<String>, value: impl Into<Attribute>) {
        self.extensions.insert(name.into(), value.into());
    }

    /// Whether it obeys the specification and the limits: required attributes, names, characters,
    /// media type, URI-references, times and sizes.
    ///
    /// # Errors
    /// `HOB-0801` for what no CloudEvent may be, `HOB-0802` for what is too large.
    pub fn check(&self) -> Result<()> {
        check::check(self)
    }

    /// Bytes of all names and values of its attributes and of its data: what the size limit counts.
    pub fn bytes(&self) -> usize {
        let attributes: usize = self.attributes().map(|(name, value)| name.len() + value.bytes()).sum();
        attributes + self.data.as_ref().map_or(0, Bytes::len)
    }

    /// What two events have in common when they are one (CloudEvents 1.0.2, section 3.1.1: `source`
    /// and `id`). The source's length goes first, so that no two different pairs look the same.
    pub fn key(&self) -> Bytes {
        let mut key = BytesMut::with_capacity(8 + self.source.len() + self.id.len());
        key.put_u64(self.source.len() as u64);
        key.put_slice(self.source.as_bytes());
        key.put_slice(self.id.as_bytes());
        key.freeze()
    }

    /// The extension `partitionkey`: events with the same one are kept in order.
    pub fn partition_key(&self) -> Option<Cow<'_, str>> {
        self.text("partitionkey")
    }

    /// The extension `expirytime` in milliseconds since the Unix epoch: nobody wants the event after it.
    pub fn expires_ms(&self) -> Option<u64> {
        self.text("expirytime").and_then(|text| timestamp_ms(&text))
    }

    /// Whether the data is JSON by its media type: `*/json`, `*/*+json`, or none (JSON format 1.0.2,
    /// section 3.1.1).
    pub fn is_json(&self) -> bool {
        self.datacontenttype.as_deref().is_none_or(media::is_json)
    }

    /// Sets any attribute, as a reader has found it.
    fn assign(&mut self, name: &str, value: Attribute) -> Result<()> {
        if !OWN_NAMES.contains(&name) || name == "data" {
            self.set_extension(name, value);
            return Ok(());
        }
        let Attribute::String(text) = value else {
            return Err(check::malformed(format!(
                "attribute `{name}` is `{}`, but has to be a string",
                value.value().text()
            ))
            .hint(format!("write `\"{name}\": \"{}\"`", value.value().text())));
        };
        match name {
            "id" => self.id = text,
            "source" => self.source = text,
            "type" => self.kind = text,
            "datacontenttype" => self.datacontenttype = Some(text),
            "dataschema" => self.dataschema = Some(text),
            "subject" => self.subject = Some(text),
            "time" => self.time = Some(text),
            _ => check::version(&text)?,
        }
        Ok(())
    }
}

impl Attribute {
    /// The same, borrowed.
    pub fn value(&self) -> Value<'_> {
        match self {
            Self::Boolean(value) => Value::Boolean(*value),
            Self::Integer(value) => Value::Integer(*value),
            Self::String(value) => Value::String(value),
        }
    }
}

impl<'a> Value<'a> {
    /// Its canonical string form (CloudEvents 1.0.2, section 3.1): `true`, `-7`, or the text itself.
    pub fn text(self) -> Cow<'a, str> {
        match self {
            Self::Boolean(true) => Cow::Borrowed("true"),
            Self::Boolean(false) => Cow::Borrowed("false"),
            Self::Integer(value) => Cow::Owned(value.to_string()),
            Self::String(value) => Cow::Borrowed(value),
        }
    }

    /// Bytes that it counts for: a text's own, and eleven for what is shorter than that.
    fn bytes(self) -> usize {
        match self {
            Self::Boolean(_) | Self::Integer(_) => "-2147483648".len(),
            Self::String(value) => value.len(),
        }
    }
}

impl From<bool> for Attribute {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i32> for Attribute {
    fn from(value: i32) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Attribute {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Attribute {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}
