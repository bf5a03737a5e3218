//! Which log records somebody wants to see.

use crate::id::InvocationId;
use crate::log_line::Level;
use crate::name::{AppName, FunctionName, RevisionNumber};
use crate::port::{LogRecord, Stream};
use crate::trace::TraceId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which log records are wanted: those for which everything holds that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// Only of this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// Only of this function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionName>,
    /// Only of this revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionNumber>,
    /// Only from this stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
    /// Only what is at least so severe; a record that does not say how severe it is is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Only from this time on, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// Only before this time, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// Only what has this text in its message, or in the name or value of a field; ASCII letters in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grep: Option<String>,
    /// Only of this invocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation: Option<InvocationId>,
    /// Only of this trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceId>,
    /// At most this many of the newest kept records first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u32>,
    /// Go on with new records.
    #[serde(default)]
    pub follow: bool,
}

impl LogQuery {
    /// Whether a record is wanted.
    pub fn wants(&self, record: &LogRecord) -> bool {
        fn same<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        same(self.app.as_ref(), &record.app)
            && same(self.function.as_ref(), &record.function)
            && same(self.revision.as_ref(), &record.revision)
            && same(self.stream.as_ref(), &record.stream)
            && self.level.is_none_or(|least| record.level.is_some_and(|level| level >= least))
            && self.since_ms.is_none_or(|since| record.time_ms >= since)
            && self.until_ms.is_none_or(|until| record.time_ms < until)
            && (self.invocation.is_none() || self.invocation == record.invocation)
            && (self.trace.is_none() || self.trace == record.trace)
            && self.grep.as_deref().is_none_or(|text| says(record, text))
    }
}

fn says(record: &LogRecord, text: &str) -> bool {
    let fields = record.fields.iter().flat_map(|(name, value)| [name, value]);
    std::iter::once(&record.text).chain(fields).any(|said| contains(said, text))
}

fn contains(said: &str, text: &str) -> bool {
    // A window of no bytes does not exist.
    text.is_empty()
        || said.as_bytes().windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::LogQuery;
    use crate::log_line::Level;
    use crate::port::LogRecord;
    use serde_json::json;

    #[test]
    fn every_filter_holds() {
        let record: LogRecord = serde_json::from_value(json!({
            "time_ms": 5000, "app": "desk", "revision": 3, "function": "notes", "instance": 1,
            "invocation": "0000000000000000000000000000002a", "trace": "00000000000000000000000000000007",
            "stream": "stderr", "level": "warn", "text": "Disk is nearly full", "fields": { "disk": "sda" },
        }))
        .unwrap();
        for (query, wanted) in [
            (json!({}), true),
            (json!({ "app": "desk", "function": "notes", "revision": 3, "stream": "stderr" }), true),
            (json!({ "app": "shop" }), false),
            (json!({ "function": "stats" }), false),
            (json!({ "revision": 2 }), false),
            (json!({ "stream": "stdout" }), false),
            (json!({ "level": "debug" }), true),
            (json!({ "level": "warn" }), true),
            (json!({ "level": "error" }), false),
            (json!({ "since_ms": 5000, "until_ms": 5001 }), true),
            (json!({ "since_ms": 5001 }), false),
            (json!({ "until_ms": 5000 }), false),
            (json!({ "grep": "disk IS" }), true),
            (json!({ "grep": "SDA" }), true),
            (json!({ "grep": "" }), true),
            (json!({ "grep": "sdb" }), false),
            (json!({ "invocation": "0000000000000000000000000000002a" }), true),
            (json!({ "invocation": "0000000000000000000000000000002b" }), false),
            (json!({ "trace": "00000000000000000000000000000007" }), true),
            (json!({ "trace": "00000000000000000000000000000008" }), false),
        ] {
            let query: LogQuery = serde_json::from_value(query).unwrap();
            assert_eq!(query.wants(&record), wanted, "{query:?}");
        }
        let silent = LogRecord { level: None, ..record };
        assert!(!LogQuery { level: Some(Level::Trace), ..LogQuery::default() }.wants(&silent));
    }
}
