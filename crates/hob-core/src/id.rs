//! Ids of invocations and instances: 128 bits, ordered by time, written as 32 hex digits.
//!
//! The node makes them (UUID version 7, RFC 9562, 5.7); this crate only carries and reads them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The id of one invocation. Every response carries it (`hob-invocation-id`); the same id is in
/// logs, traces and error messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct InvocationId(pub u128);

impl InvocationId {
    /// Reads 32 hexadecimal digits; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| u128::from_str_radix(text, 16).ok().map(Self))
            .flatten()
    }
}

impl fmt::Display for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for InvocationId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not an invocation id"))
    }
}

impl From<InvocationId> for String {
    fn from(id: InvocationId) -> String {
        id.to_string()
    }
}
