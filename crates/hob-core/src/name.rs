//! Names of apps and functions, and the numbers of revisions.
//!
//! **Why.** A name becomes a DNS label, a folder and a log field. Checking it once, on entry, means
//! that nothing further in has to.
//!
//! **How.** [`AppName`] and [`FunctionName`] hold a checked label; `rev-<n>` and `--` are kept for
//! addresses (`rev-12--quotes.example.com`, `rate--quotes.example.com`).

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit::NAME_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

fn check(kind: &str, text: &str) -> Result<()> {
    let Some(why) = problem(text) else { return Ok(()) };
    Err(Fault::new(Code::NameInvalid, format!("{kind} name `{text}` {why}")).hint(format!(
        "use 1 to {NAME_BYTES_MAX} lower-case letters, digits and single hyphens, such as `{}`",
        suggestion(text)
    )))
}

/// What is wrong with a name, if anything.
fn problem(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("is empty".to_owned());
    }
    if text.len() > NAME_BYTES_MAX {
        return Some(format!("has {} characters, the limit is {NAME_BYTES_MAX}", text.len()));
    }
    if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Some("has characters other than a-z, 0-9 and `-`".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') || text.contains("--") {
        return Some("begins or ends with a hyphen, or has two in a row".to_owned());
    }
    if text.strip_prefix("rev-").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit())) {
        return Some("reads like a revision's address".to_owned());
    }
    None
}

/// The nearest valid name to any text; never empty.
pub fn suggestion(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.truncate(NAME_BYTES_MAX);
    let out = out.trim_matches('-').to_owned();
    if problem(&out).is_none() { out } else { "app".to_owned() }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// A checked name.
            ///
            /// # Errors
            /// `HOB-0104` when the text is not a short DNS label.
            pub fn new(text: &str) -> Result<Self> {
                check($kind, text)?;
                Ok(Self(text.into()))
            }
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $type {
            type Error = Fault;
            fn try_from(text: String) -> Result<Self> {
                Self::new(&text)
            }
        }
        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().to_owned()
            }
        }
        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// The name of an app: unique in a node.
    AppName, "app"
);
name!(
    /// The name of a function: unique in its app.
    FunctionName, "function"
);

/// The number of an app's revision: 1, 2, 3 …, never used twice.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct RevisionNumber(pub u32);

impl fmt::Display for RevisionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{FunctionName, suggestion};

    #[test]
    fn names_are_short_dns_labels() {
        for good in ["a", "front-desk", "r2", "rev-x", "revision"] {
            assert!(FunctionName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a_b", "-a", "a-", "a--b", "rev-12", &"x".repeat(31), "é"] {
            let fault = FunctionName::new(bad).unwrap_err();
            assert_eq!(fault.code().text(), "HOB-0104", "{bad}");
        }
        assert_eq!(suggestion("My_Great App.py"), "my-great-app-py");
        assert_eq!(suggestion("!!"), "app");
    }
}
