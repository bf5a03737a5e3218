//! Events: CloudEvents 1.0 as values, and the forms in which they travel and are stored.
//!
//! **Why.** Everything that is published, delivered, retried and dead-lettered is one of these, so what
//! the specification says is kept in one place.
//!
//! **How.** [`Event`] is the value; [`json`] is the JSON format, [`http`] the HTTP binding (binary,
//! structured, batch), [`record`] the form in the log. What is lenient, because the official SDKs are,
//! is said where it is read.

pub mod http;
pub mod json;
pub mod record;

use bytes::Bytes;
use std::collections::BTreeMap;

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

/// Stub until merged.
pub fn timestamp_ms(_text: &str) -> Option<u64> {
    None
}
