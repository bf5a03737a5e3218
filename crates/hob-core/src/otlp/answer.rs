//! Answers to export requests: what a collector says to Hob, and what Hob says to guests.

use super::Encoding;
use super::proto::{Writer, fields};
use serde_json::json;

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
    /// Metrics.
    Metrics,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Logs, Self::Metrics];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    /// The path below an endpoint (OTLP/HTTP, "OTLP/HTTP Request").
    pub const fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Logs => "/v1/logs",
            Self::Metrics => "/v1/metrics",
        }
    }

    /// The signal of such a path.
    pub fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.path() == path)
    }

    const fn rejected(self) -> &'static str {
        match self {
            Self::Traces => "rejectedSpans",
            Self::Logs => "rejectedLogRecords",
            Self::Metrics => "rejectedDataPoints",
        }
    }
}

/// How much of a request was not taken (`partial_success`); nothing with a message is a warning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    /// So many items were rejected.
    pub rejected: u64,
    /// Why.
    pub message: String,
}

impl Partial {
    /// Reads the answer of a collector to an accepted request. One that cannot be read accepts everything:
    /// the status has said so.
    pub fn read(encoding: Encoding, body: &[u8]) -> Self {
        match encoding {
            Encoding::Protobuf => Self::read_protobuf(body).unwrap_or_default(),
            Encoding::Json => Self::read_json(body).unwrap_or_default(),
        }
    }

    fn read_protobuf(body: &[u8]) -> Result<Self, String> {
        let mut partial = Self::default();
        for field in fields(body) {
            let (1, message) = field? else { continue };
            for field in fields(message.bytes()?) {
                match field? {
                    (1, count) => partial.rejected = count.number()?,
                    (2, text) => partial.message = text.text()?,
                    _ => {}
                }
            }
        }
        Ok(partial)
    }

    fn read_json(body: &[u8]) -> Option<Self> {
        let json: serde_json::Value = serde_json::from_slice(body).ok()?;
        let partial = json.get("partialSuccess")?.as_object()?;
        let count = Signal::ALL.iter().find_map(|signal| partial.get(signal.rejected()));
        let count = count.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()));
        let message = partial.get("errorMessage").and_then(|text| text.as_str()).unwrap_or_default();
        Some(Self { rejected: count.unwrap_or(0), message: message.to_owned() })
    }

    /// The answer that says so.
    pub fn write(&self, signal: Signal, encoding: Encoding) -> Vec<u8> {
        let nothing = *self == Self::default();
        match encoding {
            Encoding::Json if nothing => b"{}".to_vec(),
            Encoding::Json => json!({
                "partialSuccess": { signal.rejected(): self.rejected.to_string(), "errorMessage": self.message }
            })
            .to_string()
            .into_bytes(),
            Encoding::Protobuf => {
                let mut writer = Writer::default();
                if !nothing {
                    writer.message(1, |partial| {
                        partial.number(1, self.rejected);
                        partial.text(2, &self.message);
                    });
                }
                writer.done()
            }
        }
    }

    /// The answer to a request that was refused as a whole (`google.rpc.Status`: invalid argument).
    pub fn refusal(message: &str, encoding: Encoding) -> Vec<u8> {
        const INVALID_ARGUMENT: u64 = 3;
        match encoding {
            Encoding::Json => {
                json!({ "code": INVALID_ARGUMENT, "message": message }).to_string().into_bytes()
            }
            Encoding::Protobuf => {
                let mut writer = Writer::default();
                writer.number(1, INVALID_ARGUMENT);
                writer.text(2, message);
                writer.done()
            }
        }
    }
}
