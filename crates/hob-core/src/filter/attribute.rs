//! What filters see of an event: its attributes by name, each with one of three types.
//!
//! **Why.** Filters need no event, only its attributes; so they are tested without one, and can be
//! asked about what is stored as well as about what is in memory.
//!
//! **Data** is asked for by one dialect only, so that nobody else pays for it.

use crate::event::{Attribute, Event};
use std::borrow::Cow;

/// The value of an attribute, and of a CESQL expression (CESQL 1.0, section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `true` or `false`.
    Boolean(bool),
    /// A 32-bit integer.
    Integer(i32),
    /// Text; URIs and timestamps are text too.
    String(Cow<'a, str>),
}

impl<'a> Value<'a> {
    /// The value's only string form (CloudEvents 1.0.2, section 3.1).
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Value::Boolean(value) => Cow::Borrowed(boolean_text(*value)),
            Value::Integer(value) => Cow::Owned(value.to_string()),
            Value::String(value) => Cow::Borrowed(value),
        }
    }

    /// The same as [`Value::text`], for whoever needs the value no more.
    pub fn into_text(self) -> Cow<'a, str> {
        match self {
            Value::Boolean(value) => Cow::Borrowed(boolean_text(value)),
            Value::Integer(value) => Cow::Owned(value.to_string()),
            Value::String(value) => value,
        }
    }
}

fn boolean_text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

impl std::fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

/// Something that has attributes by name.
pub trait Attributes {
    /// The attribute with that name (lower case), or `None` when the event does not have it.
    fn attribute(&self, name: &str) -> Option<Value<'_>>;

    /// The data as it is; `None` when there is none.
    fn data(&self) -> Option<&[u8]> {
        None
    }
}

impl Attributes for Event {
    fn attribute(&self, name: &str) -> Option<Value<'_>> {
        let text = match name {
            "id" => Some(self.id.as_str()),
            "source" => Some(self.source.as_str()),
            "specversion" => Some("1.0"),
            "type" => Some(self.kind.as_str()),
            "datacontenttype" => self.datacontenttype.as_deref(),
            "dataschema" => self.dataschema.as_deref(),
            "subject" => self.subject.as_deref(),
            "time" => self.time.as_deref(),
            _ => {
                return self.extensions.get(name).map(|value| match value {
                    Attribute::Boolean(value) => Value::Boolean(*value),
                    Attribute::Integer(value) => Value::Integer(*value),
                    Attribute::String(value) => Value::String(Cow::Borrowed(value)),
                });
            }
        };
        text.map(|text| Value::String(Cow::Borrowed(text)))
    }

    fn data(&self) -> Option<&[u8]> {
        self.data.as_deref()
    }
}
