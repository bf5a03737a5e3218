//! A line that is a JSON object: its message, its level, and the rest as fields.
//!
//! **How.** The keys are those of the loggers that people use: slog, zap, logrus, zerolog, pino, bunyan,
//! winston, structlog, Serilog, .NET, the Elastic Common Schema, Google Cloud, GELF and Rust's `tracing`,
//! which puts its message into an object `fields`. An object without a message stays text: it is what the
//! function wanted to print.

use super::{Level, Line, bounded, harmless};
use serde_json::{Map, Value};

const MESSAGES: &[&str] = &["message", "msg", "text", "event", "short_message", "body", "@m", "@mt"];
const LEVELS: &[&str] = &[
    "level",
    "severity",
    "lvl",
    "levelname",
    "log.level",
    "log_level",
    "loglevel",
    "severity_text",
    "severitytext",
    "@l",
];

/// Takes a line apart; `None` when it is no JSON object.
pub(super) fn read(text: &str) -> Option<Line> {
    let trimmed = text.trim();
    if !trimmed.starts_with('{') || !trimmed.ends_with('}') {
        return None;
    }
    let Value::Object(mut object) = serde_json::from_str(trimmed).ok()? else { return None };
    let level = take(&mut object, LEVELS, level).map(|(_, level)| level);
    if let Some((_, message)) = take(&mut object, MESSAGES, message) {
        return Some(Line { level, text: message, fields: fields(object) });
    }
    let Some(Value::Object(inner)) = object.get_mut("fields") else {
        return Some(Line { level, text: text.to_owned(), fields: [].into() });
    };
    let Some((_, message)) = take(inner, MESSAGES, message) else {
        return Some(Line { level, text: text.to_owned(), fields: [].into() });
    };
    if let Some(Value::Object(inner)) = object.shift_remove("fields") {
        object.extend(inner);
    }
    Some(Line { level, text: message, fields: fields(object) })
}

/// Removes the first of `names` whose value means something, in whatever case it is written.
fn take<T>(
    object: &mut Map<String, Value>,
    names: &[&str],
    means: impl Fn(&Value) -> Option<T>,
) -> Option<(String, T)> {
    let found = names.iter().find_map(|name| {
        object
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .find_map(|(key, value)| means(value).map(|meaning| (key.clone(), meaning)))
    })?;
    object.shift_remove(&found.0);
    Some(found)
}

fn message(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        other => Some(harmless(shown(other).as_bytes())),
    }
}

/// Words, the numbers of pino and bunyan (10 to 60), and those of syslog (RFC 5424, 6.2.1), which GELF has.
fn level(value: &Value) -> Option<Level> {
    match value {
        Value::String(word) => Level::parse(word.trim()),
        Value::Number(number) => match number.as_u64()? {
            0..=2 => Some(Level::Fatal),
            3 => Some(Level::Error),
            4 => Some(Level::Warn),
            5 | 6 => Some(Level::Info),
            7 => Some(Level::Debug),
            10..=19 => Some(Level::Trace),
            20..=29 => Some(Level::Debug),
            30..=39 => Some(Level::Info),
            40..=49 => Some(Level::Warn),
            50..=59 => Some(Level::Error),
            60..=69 => Some(Level::Fatal),
            _ => None,
        },
        _ => None,
    }
}

fn fields(object: Map<String, Value>) -> std::collections::BTreeMap<String, String> {
    bounded(object.into_iter().map(|(name, value)| (name, shown(&value))))
}

/// A text as it is, anything else as compact JSON.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
