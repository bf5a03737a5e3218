//! A log record in OTLP's words (Logs Data Model), and back.

use super::{Attributes, Log, Value, fields, resource};
use crate::id::InvocationId;
use crate::log_line::{Level, harmless, short};
use crate::port::{LogRecord, Stream};
use std::collections::BTreeMap;

const INVOCATION: &str = "faas.invocation_id";
const NANOS_PER_MS: u64 = 1_000_000;

/// What a record is, and who tells it.
pub fn log(record: &LogRecord) -> (Attributes, Log) {
    let mut attributes: Attributes = vec![("faas.instance".into(), record.instance.to_string().into())];
    if let Some(id) = record.invocation {
        attributes.push((INVOCATION.into(), id.to_string().into()));
    }
    let stream = match record.stream {
        Stream::Stdout => Some("stdout"),
        Stream::Stderr => Some("stderr"),
        Stream::Platform => None,
        Stream::Otlp => Some("otlp"),
    };
    match stream {
        Some("otlp") => {}
        Some(stream) => attributes.push(("log.iostream".into(), stream.into())),
        None => attributes.push(("hob.platform".into(), true.into())),
    }
    for (name, value) in &record.fields {
        attributes.push((name.clone().into(), value.as_str().into()));
    }
    let time_ns = record.time_ms.saturating_mul(NANOS_PER_MS);
    let log = Log {
        time_ns,
        observed_ns: time_ns,
        severity: record.level.map_or(0, Level::severity),
        severity_text: record.level.map(|level| level.word().to_ascii_uppercase()).unwrap_or_default(),
        body: record.text.as_str().into(),
        attributes,
        trace: record.trace,
        span: record.span,
        event: String::new(),
    };
    (resource::function(&record.app, &record.function, record.revision), log)
}

/// What a function has told by itself, as a record like `origin`: harmless and bounded. An invocation that it
/// names counts only if `known` says that it is the function's own.
pub fn record_of(
    log: &Log,
    scope: &str,
    origin: LogRecord,
    known: impl Fn(InvocationId) -> bool,
) -> LogRecord {
    let mut more: BTreeMap<String, String> = fields(&log.attributes);
    let named = more.get(INVOCATION).and_then(|id| InvocationId::parse(id)).filter(|id| known(*id));
    if !scope.is_empty() {
        more.entry("otel.scope.name".to_owned()).or_insert_with(|| harmless(scope.as_bytes()));
    }
    if !log.event.is_empty() {
        more.entry("event.name".to_owned()).or_insert_with(|| harmless(log.event.as_bytes()));
    }
    let text = match &log.body {
        Value::None => log.event.clone(),
        body => body.shown(),
    };
    let time_ns = if log.time_ns > 0 { log.time_ns } else { log.observed_ns };
    let level = Level::of_severity(log.severity.into()).or_else(|| Level::parse(&log.severity_text));
    LogRecord {
        // What claims to be from the future, or much too old, is dated now.
        time_ms: plausible(time_ns / NANOS_PER_MS, origin.time_ms),
        invocation: named.or(origin.invocation),
        trace: log.trace.or(origin.trace),
        span: log.span.or(if log.trace.is_none() { origin.span } else { None }),
        stream: Stream::Otlp,
        level,
        text: short(&text, crate::limit::LOG_LINE_BYTES_MAX),
        fields: more,
        ..origin
    }
}

/// A time that somebody claims, unless it is in the future or more than an hour ago.
fn plausible(claimed_ms: u64, now_ms: u64) -> u64 {
    const AGE_MS_MAX: u64 = 3_600_000;
    if claimed_ms <= now_ms && now_ms - claimed_ms <= AGE_MS_MAX { claimed_ms } else { now_ms }
}
