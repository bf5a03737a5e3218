//! A log record in OTLP's words (Logs Data Model), and back.

use super::{Attributes, Log, Value, fields, resource};
use crate::log_line::{Level, harmless, short};
use crate::port::{LogRecord, Stream};
use std::collections::BTreeMap;

const NANOS_PER_MS: u64 = 1_000_000;

/// What a record is, and who tells it.
pub fn log(record: &LogRecord) -> (Attributes, Log) {
    let mut attributes: Attributes = vec![("faas.instance".into(), record.instance.to_string().into())];
    if let Some(id) = record.invocation {
        attributes.push(("faas.invocation_id".into(), id.to_string().into()));
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

/// What a function has told by itself, as a record like `origin`: harmless and bounded. The invocation that it may
/// name is no more than a field, since it may be any.
pub fn record_of(log: &Log, scope: &str, origin: LogRecord) -> LogRecord {
    let mut more: BTreeMap<String, String> = fields(&log.attributes);
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
        trace: log.trace,
        span: log.span.filter(|_| log.trace.is_some()),
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

#[cfg(test)]
mod tests {
    use super::{log, record_of};
    use crate::log_line::Level;
    use crate::otlp::{Log, Value};
    use crate::port::LogRecord;
    use crate::trace::{SpanId, TraceId};
    use serde_json::json;

    fn origin() -> LogRecord {
        serde_json::from_value(json!({
            "time_ms": 1_700_000_000_000_u64, "app": "shop", "revision": 3, "function": "cart", "instance": 7,
            "stream": "otlp", "text": "",
        }))
        .unwrap()
    }

    #[test]
    fn records_of_guests_are_dated_levelled_and_harmless() {
        for (log, expected) in [
            (
                Log {
                    time_ns: 1_699_999_999_000_000_000,
                    severity: 18,
                    body: "no\u{7}".into(),
                    ..Log::default()
                },
                (1_699_999_999_000, Some(Level::Error), "no\\x07"),
            ),
            // From the future, from long ago, without any time; a level in words.
            (Log { time_ns: u64::MAX, ..Log::default() }, (1_700_000_000_000, None, "")),
            (
                Log {
                    observed_ns: 1,
                    severity_text: "WARNING".to_owned(),
                    event: "e".to_owned(),
                    ..Log::default()
                },
                (1_700_000_000_000, Some(Level::Warn), "e"),
            ),
            (
                Log { body: Value::Map(vec![("a".to_owned(), Value::Int(1))]), ..Log::default() },
                (1_700_000_000_000, None, "{\"a\":1}"),
            ),
        ] {
            let record = record_of(&log, "lib", origin());
            assert_eq!((record.time_ms, record.level, record.text.as_str()), expected, "{log:?}");
            assert_eq!((record.instance, record.fields["otel.scope.name"].as_str()), (7, "lib"));
        }
        let placed = Log { trace: Some(TraceId(1)), span: Some(SpanId(2)), ..Log::default() };
        let record = record_of(&placed, "", origin());
        assert_eq!((record.trace, record.span), (Some(TraceId(1)), Some(SpanId(2))));
        assert_eq!(record_of(&Log { trace: None, ..placed }, "", origin()).span, None);
    }

    #[test]
    fn records_are_exported_with_what_is_known() {
        let mut record = origin();
        record.stream = crate::port::Stream::Stderr;
        record.invocation = crate::id::InvocationId::parse("0000000000000000000000000000002a");
        (record.level, record.text) = (Some(Level::Warn), "slow".to_owned());
        record.fields.insert("ms".to_owned(), "7".to_owned());
        let (who, log) = log(&record);
        let shown = |all: &crate::otlp::Attributes| {
            all.iter().map(|(name, value)| format!("{name}={}", value.shown())).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            shown(&who),
            "service.name=shop/cart service.version=3 faas.name=shop/cart faas.version=3"
        );
        assert_eq!(
            shown(&log.attributes),
            "faas.instance=7 faas.invocation_id=0000000000000000000000000000002a log.iostream=stderr ms=7"
        );
        assert_eq!(
            (log.severity, log.severity_text.as_str(), log.body.shown().as_str()),
            (13, "WARN", "slow")
        );
    }
}
