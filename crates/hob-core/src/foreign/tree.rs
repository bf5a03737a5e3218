//! A foreign manifest as a tree of values that know their line, whatever it was written in.
//!
//! **Why.** What cannot be honoured is named by its line, so a value never loses it. One tree for YAML,
//! TOML and JSON means that the dialects know nothing of syntax.
//!
//! **How.** A scalar keeps its text: `python3.10` must not become the number 3.1, and `"30"` and `30` mean
//! the same to CloudFormation. [`Bounds`] counts what is made, so that anchors and variables that stand for
//! each other end in an error and not in all of the memory.
//!
//! **Not here:** which keys mean something ([`super::fields`]).

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit::{FOREIGN_DEPTH_MAX, FOREIGN_TEXT_BYTES_MAX, FOREIGN_VALUES_MAX};
use serde_json::Value as Json;

/// One value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// The line, from 1.
    pub(super) line: usize,
    /// A YAML tag without its `!`, such as `Ref`.
    pub(super) tag: Option<Box<str>>,
    /// What it is.
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Text; `plain` when it was written without quotes, so that `true`, `3` and nothing mean themselves.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// What only the other platform could know.
    Unknown(Unknown),
}

/// One `key: value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// The line of the key.
    pub(super) line: usize,
    pub(super) value: Node,
}

/// A value that is known on the other platform only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    /// Why, as the end of a sentence.
    pub(super) why: String,
    /// The resource of the manifest that it is about.
    pub(super) resource: Option<String>,
    /// Whether nobody is meant to see it.
    pub(super) secret: bool,
}

impl Node {
    pub(super) fn text_at(line: usize, text: impl Into<String>) -> Self {
        Self { line, tag: None, value: Value::Scalar { text: text.into(), plain: false } }
    }

    pub(super) fn map_at(line: usize, entries: Vec<Entry>) -> Self {
        Self { line, tag: None, value: Value::Map(entries) }
    }

    pub(super) fn unknown_at(line: usize, why: impl Into<String>, resource: Option<&str>) -> Self {
        let unknown = Unknown { why: why.into(), resource: resource.map(str::to_owned), secret: false };
        Self { line, tag: None, value: Value::Unknown(unknown) }
    }

    /// A value that is kept secret elsewhere; `why` ends a sentence that begins with "its value".
    pub(super) fn secret_at(line: usize, why: impl Into<String>) -> Self {
        let unknown = Unknown { why: why.into(), resource: None, secret: true };
        Self { line, tag: None, value: Value::Unknown(unknown) }
    }

    /// Nothing, as YAML writes it.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.text()?.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ if self.is_null() => Some(&[]),
            _ => None,
        }
    }

    pub(super) fn unknown(&self) -> Option<&Unknown> {
        match &self.value {
            Value::Unknown(unknown) => Some(unknown),
            _ => None,
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The value behind several keys.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "empty",
            Value::Scalar { .. } => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Unknown(_) => "unknown",
        }
    }

    /// The first value in it that is unknown.
    pub(super) fn first_unknown(&self) -> Option<(&Node, &Unknown)> {
        match &self.value {
            Value::Unknown(unknown) => Some((self, unknown)),
            Value::List(items) => items.iter().find_map(Node::first_unknown),
            Value::Map(entries) => entries.iter().find_map(|entry| entry.value.first_unknown()),
            Value::Scalar { .. } => None,
        }
    }

    /// The value as JSON: plain scalars as YAML 1.2 reads them (core schema, section 10.3.2).
    pub(super) fn json(&self) -> Json {
        match &self.value {
            _ if self.is_null() => Json::Null,
            Value::Scalar { text, plain: true } => plain_json(text),
            Value::Scalar { text, .. } => Json::String(text.clone()),
            Value::List(items) => items.iter().map(Node::json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.value.json())).collect()
            }
            Value::Unknown(_) => Json::Null,
        }
    }
}

fn plain_json(text: &str) -> Json {
    match text {
        "true" | "True" | "TRUE" => Json::Bool(true),
        "false" | "False" | "FALSE" => Json::Bool(false),
        _ => {
            let float = || text.parse::<f64>().ok().filter(|number| number.is_finite());
            let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+' || c == '.');
            match text.parse::<i64>() {
                Ok(whole) => Json::from(whole),
                Err(_) if number => float().map_or_else(|| Json::String(text.to_owned()), Json::from),
                Err(_) => Json::String(text.to_owned()),
            }
        }
    }
}

/// What may still be made of one manifest.
#[derive(Debug)]
pub(super) struct Bounds {
    values: usize,
    bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { values: FOREIGN_VALUES_MAX, bytes: FOREIGN_TEXT_BYTES_MAX }
    }
}

impl Bounds {
    /// One more value, this deep.
    pub(super) fn value(&mut self, depth: usize) -> Result<(), String> {
        if depth > FOREIGN_DEPTH_MAX {
            return Err(format!("lists and maps are nested more than {FOREIGN_DEPTH_MAX} deep"));
        }
        self.values = self.values.checked_sub(1).ok_or_else(|| {
            format!("it has more than {FOREIGN_VALUES_MAX} values, those of anchors counted at each use")
        })?;
        Ok(())
    }

    /// As many bytes of text that stand for something shorter.
    pub(super) fn text(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes = self
            .bytes
            .checked_sub(bytes)
            .ok_or_else(|| format!("its variables stand for more than {FOREIGN_TEXT_BYTES_MAX} bytes"))?;
        Ok(())
    }

    /// A value with all that is in it, this deep.
    pub(super) fn copy(&mut self, node: &Node, depth: usize) -> Result<(), String> {
        self.value(depth)?;
        match &node.value {
            Value::Scalar { text, .. } => self.text(text.len()),
            Value::Unknown(_) => Ok(()),
            Value::List(items) => items.iter().try_for_each(|item| self.copy(item, depth + 1)),
            Value::Map(entries) => entries.iter().try_for_each(|entry| {
                self.text(entry.key.len())?;
                self.copy(&entry.value, depth + 1)
            }),
        }
    }
}

/// The error for a file that cannot be read.
pub(super) fn unreadable(file: &str, line: usize, what: &str, why: &str) -> Fault {
    Fault::new(Code::ForeignSyntax, format!("{what} cannot be read: {why}")).at(format!("{file}:{line}"))
}
