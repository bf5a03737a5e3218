//! What a line of a log says of itself: how severe it is, its message, and fields if it is JSON.
//!
//! **Why.** Functions log with whatever they have: JSON, logfmt, a level in brackets, nothing. A filter
//! by level and an export to a collector need one answer for all of them, and no library of ours.
//!
//! **How.** [`read`] takes one harmless line. A JSON object with a message is taken apart (`json`);
//! of any other line the text stays as it is, and only its level is looked for (`plain`). A
//! line that says nothing of the kind has no level: a guess would be worse. [`harmless`] is what makes
//! a stranger's bytes fit to be shown.
//!
//! **Not here:** cutting a stream into lines, its rate, and where a line came from (`hob-runtime`).

mod harmless;
mod json;
mod plain;

pub use harmless::{harmless, short};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How severe a line is, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every step.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// What is as it should be.
    Info,
    /// Something may be wrong.
    Warn,
    /// Something went wrong.
    Error,
    /// It cannot go on.
    Fatal,
}

impl Level {
    /// Every level, least first.
    pub const ALL: [Self; 6] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal];

    /// The word for it, as on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// The severity number of OpenTelemetry (Logs Data Model, "Field: `SeverityNumber`"): the first of its range.
    pub const fn severity(self) -> u8 {
        self as u8 * 4 + 1
    }

    /// The level of such a number; `None` for 0, which means unknown, and for what is out of range.
    pub fn of_severity(number: i64) -> Option<Self> {
        let range = usize::try_from(number.checked_sub(1)?).ok()? / 4;
        Self::ALL.get(range).copied()
    }

    /// The level that a word of some logging library means, in whatever case; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        WORDS
            .iter()
            .find(|(_, words)| words.iter().any(|known| known.eq_ignore_ascii_case(word)))
            .map(|(level, _)| *level)
    }
}

/// The words of logging libraries: Java's, Python's, .NET's, syslog's, the short ones of zerolog and Serilog.
const WORDS: &[(Level, &[&str])] = &[
    (Level::Trace, &["trace", "trce", "trc", "verbose", "silly", "finest", "finer"]),
    (Level::Debug, &["debug", "dbug", "dbg", "fine", "config"]),
    (Level::Info, &["info", "inf", "information", "informational", "notice"]),
    (Level::Warn, &["warn", "warning", "wrn"]),
    (Level::Error, &["error", "err", "eror", "fail", "severe"]),
    (Level::Fatal, &["fatal", "ftl", "critical", "crit", "alert", "emerg", "emergency", "panic", "dpanic"]),
];

/// A line, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// How severe it says that it is.
    pub level: Option<Level>,
    /// The message of a JSON line; any other line as it is.
    pub text: String,
    /// What else a JSON line says, values as text, what is nested as compact JSON; within the limits of
    /// [`crate::limit`], and with a field `…` that says how many are missing.
    pub fields: BTreeMap<String, String>,
}

/// Reads a line that is harmless already.
pub fn read(text: String) -> Line {
    match json::read(&text) {
        Some(line) => line,
        None => Line { level: plain::level(&text), text, fields: BTreeMap::new() },
    }
}

/// The level that a line of plain text says.
pub fn level(text: &str) -> Option<Level> {
    plain::level(text)
}

/// Fields from strangers within the limits: names and values harmless and cut, and a field `…` that says
/// how many more there were.
pub fn bounded(fields: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    use crate::limit::{LOG_FIELD_BYTES_MAX, LOG_FIELD_NAME_BYTES_MAX, LOG_FIELDS_MAX};
    let (mut kept, mut missing) = (BTreeMap::new(), 0_usize);
    for (name, value) in fields {
        if kept.len() < LOG_FIELDS_MAX {
            kept.insert(short(&name, LOG_FIELD_NAME_BYTES_MAX), short(&value, LOG_FIELD_BYTES_MAX));
        } else {
            missing += 1;
        }
    }
    if missing > 0 {
        kept.insert("…".to_owned(), format!("{missing} more"));
    }
    kept
}

#[cfg(test)]
mod tests;
