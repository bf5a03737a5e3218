//! Names of apps, functions, triggers and topics, and the numbers of revisions.
//!
//! **Why.** A name becomes a DNS label, a folder and a log field. Checking it once, on entry, means
//! that nothing further in has to.
//!
//! **How.** [`AppName`] and [`FunctionName`] hold a checked label; `rev-<n>` and `--` are kept for
//! addresses (`rev-12--quotes.example.com`, `rate--quotes.example.com`).

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit::{NAME_BYTES_MAX, SECRET_NAME_BYTES_MAX, TOPIC_NAME_BYTES_MAX, TRIGGER_NAME_BYTES_MAX};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

fn check(kind: &str, text: &str, most: usize) -> Result<()> {
    let Some(why) = problem(text, most) else { return Ok(()) };
    Err(Fault::new(Code::NameInvalid, format!("{kind} name `{text}` {why}")).hint(format!(
        "use 1 to {most} lower-case letters, digits and single hyphens, such as `{}`",
        suggestion(text)
    )))
}

/// What is wrong with a name, if anything.
fn problem(text: &str, most: usize) -> Option<String> {
    if text.is_empty() {
        return Some("is empty".to_owned());
    }
    if text.len() > most {
        return Some(format!("has {} characters, the limit is {most}", text.len()));
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

/// The nearest valid name of an app or function to any text; never empty.
pub fn suggestion(text: &str) -> String {
    suggestion_within(text, NAME_BYTES_MAX)
}

/// The nearest valid name of at most `most` characters to any text; never empty.
pub fn suggestion_within(text: &str, most: usize) -> String {
    let mut out = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.truncate(most);
    let out = out.trim_matches('-').to_owned();
    if problem(&out, most).is_none() { out } else { "app".to_owned() }
}

/// Labels as a pattern (ECMA-262) for whoever generates names; all but the exceptions of [`problem`].
const LABEL: &str = "^[a-z0-9]+(-[a-z0-9]+)*$";
const LABELS: &str = r"^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$";
const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $check:expr, ($pattern:expr, $most:expr)) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        crate::schema::text!($type, "pattern": $pattern, "maxLength": $most);

        impl $type {
            /// A checked name.
            ///
            /// # Errors
            /// `HOB-0104` when the text is no such name.
            pub fn new(text: &str) -> Result<Self> {
                let check: fn(&str) -> Result<()> = $check;
                check(text)?;
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
    AppName, |text| check("app", text, NAME_BYTES_MAX), (LABEL, NAME_BYTES_MAX)
);
name!(
    /// The name of a space: a tenant of a node, to whom apps, topics, keys and everything they write belong. An app
    /// that names none is in the space `default`.
    SpaceName, |text| check("space", text, NAME_BYTES_MAX), (LABEL, NAME_BYTES_MAX)
);
name!(
    /// The name of a function: unique in its app.
    FunctionName, |text| check("function", text, NAME_BYTES_MAX), (LABEL, NAME_BYTES_MAX)
);
name!(
    /// The name of a subscription or schedule: unique in its app.
    TriggerName, |text| check("trigger", text, TRIGGER_NAME_BYTES_MAX), (LABEL, TRIGGER_NAME_BYTES_MAX)
);
name!(
    /// The name of a topic, such as `policy.bought`: labels with dots between them, unique in a node.
    /// Those that begin with `hob.` are the node's own.
    TopicName, check_topic, (LABELS, TOPIC_NAME_BYTES_MAX)
);

name!(
    /// The name of a secret: unique in its app, and the name of the environment variable that holds its value.
    SecretName, check_secret, (VARIABLE, SECRET_NAME_BYTES_MAX)
);

fn check_secret(text: &str) -> Result<()> {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if begins && fits && text.len() <= SECRET_NAME_BYTES_MAX {
        return Ok(());
    }
    let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    Err(Fault::new(Code::SecretInvalid, format!("`{shown}` is no name of a secret")).hint(format!(
        "use 1 to {SECRET_NAME_BYTES_MAX} letters, digits and underscores, such as `API_KEY`; a digit is not first"
    )))
}

/// What the names of the node's own topics begin with.
const OWN_TOPICS: &str = "hob.";

impl TopicName {
    /// Whether it is one of the node's own, into which nobody else publishes.
    pub fn is_own(&self) -> bool {
        self.as_str().starts_with(OWN_TOPICS)
    }

    /// A topic of the node's own, for one app.
    pub fn own(kind: &str, app: &AppName) -> Self {
        Self(format!("{OWN_TOPICS}{kind}.{app}").into())
    }

    /// The topic for what is given up in this one, unless a trigger names another.
    pub fn dead(&self) -> Self {
        Self(format!("{self}{DEAD}").into())
    }
}

/// What a topic's name is followed by to name its dead-letter topic.
const DEAD: &str = ".dead";

fn check_topic(text: &str) -> Result<()> {
    let hint = "use labels of lower-case letters, digits and hyphens with dots between them, such as `policy.bought`";
    let refuse =
        |why: String| Err(Fault::new(Code::NameInvalid, format!("topic name `{text}` {why}")).hint(hint));
    if text.len() > TOPIC_NAME_BYTES_MAX {
        return refuse(format!("has {} characters, the limit is {TOPIC_NAME_BYTES_MAX}", text.len()));
    }
    match text.split('.').find_map(|label| problem(label, TOPIC_NAME_BYTES_MAX)) {
        None => Ok(()),
        Some(_) if text.is_empty() => refuse("is empty".to_owned()),
        Some(why) => refuse(format!("has a label that {why}")),
    }
}

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
    use super::{AppName, FunctionName, TopicName, suggestion};

    #[test]
    fn topics_are_labels_with_dots() {
        for good in ["orders", "policy.bought", "a.b-c.d2", "hob.calls.desk", "orders.dead"] {
            assert!(TopicName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "A", "a_b", "a/b", "..", &"x".repeat(121), "a.-b"] {
            let fault = TopicName::new(bad).unwrap_err();
            assert_eq!(fault.code().text(), "HOB-0104", "{bad}");
        }
        let own = TopicName::own("calls", &AppName::new("desk").unwrap());
        assert_eq!(
            (own.as_str(), own.is_own(), own.dead().as_str()),
            ("hob.calls.desk", true, "hob.calls.desk.dead")
        );
    }

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
