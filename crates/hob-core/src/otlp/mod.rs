//! The OpenTelemetry protocol, version 1: spans, log records and metrics as they travel (OTLP 1.x over HTTP).
//!
//! **Why.** Any collector takes it, and any function that is instrumented speaks it. Of the protocol Hob needs
//! a few dozen fields, so they are written and read here: generated code would bring a second way to encode
//! everything, and a hostile message is easier to bound in a reader that was made for that.
//!
//! **How.** [`Span`], [`Log`] and [`Metric`] are plain values. `write` makes protobuf of them, `read` and `json`
//! read what guests send (both encodings that OTLP/HTTP has), within [`Limits`]. `spans` and `events` say
//! what a [`crate::fact::Fact`] is in these words, `logs` what a log record is. Field numbers are those of
//! opentelemetry-proto 1.x (`trace.proto`, `logs.proto`, `metrics.proto`, `common.proto`, `resource.proto`).
//!
//! **Not here:** sending, receiving, and whom to believe (`hob-node`).

mod answer;
mod events;
mod json;
mod logs;
mod proto;
mod read;
mod resource;
mod spans;
mod write;

pub use answer::{Partial, Signal};
pub use events::event;
pub use logs::{log, record_of};
pub use resource::function as function_resource;
pub use spans::{Spans, told as told_span};
pub use write::{logs as write_logs, metrics as write_metrics, spans as write_spans};

use crate::limit;
use crate::trace::{SpanId, TraceId};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The value of an attribute (`AnyValue`).
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing is set.
    #[default]
    None,
    /// A text.
    Text(String),
    /// A truth.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any number.
    Double(f64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Values.
    List(Vec<Value>),
    /// Values with names.
    Map(Vec<(String, Value)>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Int(number.into())
    }
}

impl Value {
    /// As text: what is nested as compact JSON, bytes as base64.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            other => match other.json() {
                serde_json::Value::Null => String::new(),
                serde_json::Value::String(text) => text,
                value => value.to_string(),
            },
        }
    }

    fn bytes(&self) -> usize {
        8 + match self {
            Self::None | Self::Bool(_) | Self::Int(_) | Self::Double(_) => 8,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(values) => values.iter().map(Self::bytes).sum(),
            Self::Map(values) => values.iter().map(|(name, value)| name.len() + value.bytes()).sum(),
        }
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Self::None => serde_json::Value::Null,
            Self::Text(text) => text.as_str().into(),
            Self::Bool(value) => (*value).into(),
            Self::Int(number) => (*number).into(),
            Self::Double(number) => (*number).into(),
            Self::Bytes(bytes) => crate::event::base64::encode(bytes).into(),
            Self::List(values) => values.iter().map(Self::json).collect(),
            Self::Map(values) => values.iter().map(|(name, value)| (name.clone(), value.json())).collect(),
        }
    }
}

/// Names and values.
pub type Attributes = Vec<(Cow<'static, str>, Value)>;

/// Who tells something (`Resource`), with what is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told<T> {
    /// Who; not read of what guests send.
    pub resource: Attributes,
    /// By which part of the program (`InstrumentationScope.name`).
    pub scope: String,
    /// What.
    pub items: Vec<T>,
}

/// What part a span has in a call (`SpanKind`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Inside of a program; also what is not said.
    #[default]
    Internal = 1,
    /// Answers a request.
    Server = 2,
    /// Sends a request.
    Client = 3,
    /// Sends a message.
    Producer = 4,
    /// Handles a message.
    Consumer = 5,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Internal, Self::Server, Self::Client, Self::Producer, Self::Consumer];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }

    /// The kind with this number; an unknown one counts as internal, as the standard advises.
    pub fn of_number(number: i64) -> Self {
        Self::ALL.into_iter().find(|kind| *kind as i64 == number).unwrap_or_default()
    }

    /// The kind with this word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// One span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its trace.
    pub trace: TraceId,
    /// Itself.
    pub span: SpanId,
    /// What it is part of.
    pub parent: Option<SpanId>,
    /// Its name.
    pub name: String,
    /// What part it has.
    pub kind: Kind,
    /// When it began, nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// What it says of itself.
    pub attributes: Attributes,
    /// What happened in it: a name, a time in nanoseconds, attributes.
    pub events: Vec<(String, u64, Attributes)>,
    /// Other spans that have to do with it, and how.
    pub links: Vec<(TraceId, SpanId, Attributes)>,
    /// Why it failed, if it did.
    pub failed: Option<String>,
}

/// One log record (`LogRecord`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// When, nanoseconds since the Unix epoch; 0: not known.
    pub time_ns: u64,
    /// When it was seen.
    pub observed_ns: u64,
    /// The severity number, 1 to 24; 0: not known.
    pub severity: u8,
    /// The word for it that its author used.
    pub severity_text: String,
    /// What it says.
    pub body: Value,
    /// And what else.
    pub attributes: Attributes,
    /// Its trace.
    pub trace: Option<TraceId>,
    /// Its span.
    pub span: Option<SpanId>,
    /// The name, if it is an event.
    pub event: String,
}

impl Span {
    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let events = self.events.iter().map(|(name, _, of)| name.len() + bytes(of));
        let links = self.links.iter().map(|(_, _, of)| bytes(of));
        let more = events.chain(links).map(|bytes| bytes + 32).sum::<usize>();
        self.name.len() + bytes(&self.attributes) + self.failed.as_ref().map_or(0, String::len) + more + 128
    }
}

impl Log {
    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.body.bytes() + bytes(&self.attributes) + self.severity_text.len() + self.event.len() + 64
    }
}

fn bytes(attributes: &Attributes) -> usize {
    attributes.iter().map(|(name, value)| name.len() + value.bytes()).sum()
}

/// One metric, cumulative since its start.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Its unit (UCUM).
    pub unit: String,
    /// What was measured.
    pub points: Points,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Points {
    /// A number that goes up and down.
    Gauge(Vec<Point>),
    /// A sum that only grows.
    Counter(Vec<Point>),
    /// How values are spread.
    Histogram(Vec<Spread>),
}

/// One number.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Of what.
    pub attributes: Attributes,
    /// Since when, nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// When it was read.
    pub time_ns: u64,
    /// The number.
    pub value: f64,
}

/// How many values lie between which bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// Of what.
    pub attributes: Attributes,
    /// Since when, nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// When it was read.
    pub time_ns: u64,
    /// The sum of all values.
    pub sum: f64,
    /// How many values are in each bucket; one more than there are bounds.
    pub counts: Vec<u64>,
    /// The upper bounds, ascending.
    pub bounds: Vec<f64>,
}

/// How much of a message is read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Spans or log records; more are counted.
    pub items: usize,
    /// Attributes of one of them; more are left out, and counted in a further one.
    pub attributes: usize,
    /// How deep values may be nested; deeper ones make the message invalid.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { items: limit::OTLP_ITEMS_MAX, attributes: limit::LOG_FIELDS_MAX, depth: limit::OTLP_DEPTH_MAX }
    }
}

/// In which form a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

impl Encoding {
    /// The encoding of a media type, if OTLP has it.
    pub fn of(content_type: &str) -> Option<Self> {
        let media = content_type.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/x-protobuf") {
            return Some(Self::Protobuf);
        }
        media.eq_ignore_ascii_case("application/json").then_some(Self::Json)
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// What was read of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Received<T> {
    /// Who told what.
    pub told: Vec<Told<T>>,
    /// Items above the limit, or without a valid id.
    pub rejected: u64,
}

/// Reads an `ExportTraceServiceRequest`.
///
/// # Errors
/// Why it is none, in words.
pub fn read_spans(encoding: Encoding, body: &[u8], limits: Limits) -> Result<Received<Span>, String> {
    match encoding {
        Encoding::Protobuf => read::spans(body, limits),
        Encoding::Json => json::spans(body, limits),
    }
}

/// Reads an `ExportLogsServiceRequest`.
///
/// # Errors
/// Why it is none, in words.
pub fn read_logs(encoding: Encoding, body: &[u8], limits: Limits) -> Result<Received<Log>, String> {
    match encoding {
        Encoding::Protobuf => read::logs(body, limits),
        Encoding::Json => json::logs(body, limits),
    }
}

/// Attributes as fields of a log record or span of Hob's: values as text, harmless and bounded.
pub fn fields(attributes: &Attributes) -> BTreeMap<String, String> {
    crate::log_line::bounded(attributes.iter().map(|(name, value)| (name.to_string(), value.shown())))
}

/// Puts items under who tells them.
pub fn gather<T>(items: impl IntoIterator<Item = (Attributes, T)>) -> Vec<Told<T>> {
    let mut all: Vec<Told<T>> = Vec::new();
    for (resource, item) in items {
        match all.iter_mut().find(|told| told.resource == resource) {
            Some(told) => told.items.push(item),
            None => all.push(Told { resource, scope: "hob".to_owned(), items: vec![item] }),
        }
    }
    all
}

#[cfg(test)]
mod tests;
