//! What the plugs implement and the node uses: storage, artifacts, log records, spawning.
//!
//! **Why.** With the traits down here, `hob-bus` and `hob-runtime` need no arrow to each other, and
//! tests replace a port by a small value.
//!
//! **How.** Futures are boxed, since rows of a table are trait objects. Nothing here depends on an
//! async runtime.

use crate::digest::Digest;
use crate::fact::{Fact, FactQuery};
use crate::fault::Result;
use crate::id::InvocationId;
use crate::log_line::{self, Level};
use crate::name::{AppName, FunctionName, RevisionNumber, TopicName};
use crate::trace::{SpanId, TraceId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

/// A boxed future, as trait objects return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Small, durable, versioned values under text keys: the control state of a node.
///
/// Keys are paths such as `apps/desk/revisions/0000000012`; a prefix scan is in byte order.
pub trait State: Send + Sync {
    /// The value under `key`, or `None`.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>>>;

    /// All entries whose key begins with `prefix`, in key order.
    fn scan<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Entry)>>>;

    /// Applies all writes or none, and returns once they are on disk (engine `file`).
    ///
    /// # Errors
    /// `HOB-0603` when an expectation does not hold; nothing is written then.
    fn commit(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<()>>;
}

/// A stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Grows with each write of the key, from 1.
    pub version: u64,
    /// The bytes.
    pub value: Vec<u8>,
}

/// One change of a [`State::commit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: String,
    /// What must hold for the whole commit to happen.
    pub expect: Expect,
    /// The new value; `None` removes the key.
    pub value: Option<Vec<u8>>,
}

/// What must be true of a key before a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Anything.
    Any,
    /// The key does not exist.
    Absent,
    /// The key exists in this version.
    Version(u64),
}

/// Artifacts by their digest. Whatever is stored has been checked against its digest.
pub trait Blobs: Send + Sync {
    /// Those of `digests` that are not stored, in the same order.
    fn missing<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Digest>>>;

    /// Begins an upload; nothing is visible before [`Upload::finish`] succeeds.
    fn upload(&self) -> BoxFuture<'_, Result<Box<dyn Upload>>>;

    /// The path of a stored artifact, read-only.
    ///
    /// # Errors
    /// `HOB-0204` when it is not stored.
    fn path<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<PathBuf>>;

    /// Removes every artifact that is not in `keep`; returns how many went.
    fn retain<'a>(&'a self, keep: &'a [Digest]) -> BoxFuture<'a, Result<u64>>;
}

/// An upload under way. Dropping it throws the bytes away.
pub trait Upload: Send {
    /// Adds the next bytes.
    ///
    /// # Errors
    /// `HOB-0201` above the size limit, `HOB-0604` when the disk is full.
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>>;

    /// Checks the digest, syncs and publishes the artifact; returns its size.
    ///
    /// # Errors
    /// `HOB-0202` when the bytes have another digest.
    fn finish(self: Box<Self>, expected: Digest) -> BoxFuture<'static, Result<u64>>;
}

/// Topics: named streams of records, numbered from 1 without gaps as they are appended, never changed.
///
/// A topic exists from its first record or [`Log::configure`] on. Records are opaque here; what is
/// returned has been checked against its checksum.
pub trait Log: Send + Sync {
    /// Appends records, all or none, in this order and without others between them.
    ///
    /// Returns once they are as safe as `durability` asks. A record whose `key` was appended within
    /// the topic's window is accepted and dropped: it gets the first one's sequence.
    ///
    /// # Errors
    /// `HOB-0802` for a record above the limit, `HOB-0804` when the topic or the table of topics is full,
    /// `HOB-0604` when the disk is full, `HOB-0813` after a write that failed otherwise. Nothing was
    /// appended then, or at least nothing acknowledged.
    fn append<'a>(
        &'a self,
        topic: &'a TopicName,
        records: Vec<NewRecord>,
        durability: Durability,
    ) -> BoxFuture<'a, Result<Vec<Appended>>>;

    /// Records from sequence `from` on, at least one if there is any, at most what `limit` allows.
    /// A topic that does not exist is empty.
    ///
    /// # Errors
    /// `HOB-0601` when the file cannot be read. Damage is no error: see [`Page::missing`].
    fn read<'a>(&'a self, topic: &'a TopicName, from: u64, limit: ReadLimit) -> BoxFuture<'a, Result<Page>>;

    /// The first sequence whose record was appended at or after `time_ms`; [`TopicState::next`] if none was.
    fn seek<'a>(&'a self, topic: &'a TopicName, time_ms: u64) -> BoxFuture<'a, Result<u64>>;

    /// One topic; `None` when it does not exist.
    fn topic<'a>(&'a self, topic: &'a TopicName) -> BoxFuture<'a, Result<Option<TopicState>>>;

    /// Every topic, by name.
    fn topics(&self) -> BoxFuture<'_, Result<Vec<(TopicName, TopicState)>>>;

    /// Sets what a topic keeps; forgotten when the engine is closed.
    fn configure<'a>(&'a self, topic: &'a TopicName, settings: TopicSettings) -> BoxFuture<'a, Result<()>>;

    /// Nobody waits for records before `sequence` any more, which may be less than before: retention may
    /// remove them. It never removes others. Forgotten when the engine is closed; until it is told, nothing is removed.
    fn settle<'a>(&'a self, topic: &'a TopicName, sequence: u64) -> BoxFuture<'a, Result<()>>;

    /// Removes the records before `sequence` now, settled or not; returns how many went. Sequences are
    /// never used again.
    fn trim<'a>(&'a self, topic: &'a TopicName, sequence: u64) -> BoxFuture<'a, Result<u64>>;
}

/// A record to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// What it says.
    pub payload: Bytes,
    /// Of two records with one key within the topic's window the second is dropped; `None`: never.
    pub key: Option<Bytes>,
}

/// What became of a [`NewRecord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its number.
    pub sequence: u64,
    /// True when it was dropped for one that has this number.
    pub duplicate: bool,
}

/// How safe a record is when it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// On disk: it survives a power failure.
    #[default]
    Disk,
    /// Handed to the system: it survives a kill of the node, and is on disk within a second.
    Memory,
}

/// How much is read at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    /// Records at most; at least 1.
    pub records: usize,
    /// Bytes of payload after which no further record is added.
    pub bytes: usize,
}

/// A stored record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub sequence: u64,
    /// When it was appended, milliseconds since the Unix epoch; never less than the one before.
    pub time_ms: u64,
    /// What it says.
    pub payload: Bytes,
}

/// What a read has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In order.
    pub records: Vec<Record>,
    /// Where the next read goes on: after the last record, or after what is missing.
    pub next: u64,
    /// Sequences in the range read that are gone, each first and last: removed by retention or
    /// trimmed (then only in front), or lost to damage.
    pub missing: Vec<(u64, u64)>,
}

/// What is known of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicState {
    /// The first kept sequence; equal to `next` when it is empty.
    pub first: u64,
    /// The sequence that the next record gets.
    pub next: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// When the first kept record was appended.
    pub oldest_ms: Option<u64>,
    /// When the last one was.
    pub newest_ms: Option<u64>,
    /// Damage that was found: which sequences are lost, and where the damaged file is kept.
    pub damage: Vec<Damage>,
}

/// Records that cannot be read any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Damage {
    /// The first lost sequence.
    pub first: u64,
    /// The last lost sequence; less than `first` when only bytes between records were damaged.
    pub last: u64,
    /// Where the damaged file was put.
    pub file: PathBuf,
}

/// What a topic keeps. Only settled records are ever removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// Records older than this are removed, in milliseconds.
    pub age_ms: u64,
    /// The oldest are removed above this size on disk.
    pub bytes: u64,
    /// The oldest are removed above this number.
    pub records: u64,
    /// How long keys are remembered, in milliseconds; 0: not at all.
    pub dedup_ms: u64,
    /// Nothing is appended above this size on disk, settled or not.
    pub bytes_max: u64,
}

/// Facts, kept within bounds of age and size. Losing the newest in a crash is allowed: they are told
/// behind the call, and what must not be lost is in the log.
pub trait Facts: Send + Sync {
    /// Keeps facts, in the order in which they came.
    ///
    /// # Errors
    /// `HOB-06xx` when they cannot be written; none are kept then.
    fn append(&self, facts: Vec<Fact>) -> BoxFuture<'_, Result<()>>;

    /// The newest facts that `query` wants, oldest first.
    ///
    /// # Errors
    /// `HOB-06xx` when they cannot be read.
    fn find(&self, query: FactQuery) -> BoxFuture<'_, Result<Vec<Fact>>>;

    /// Removes what is older than `before_ms`, and the oldest until all take at most `bytes` on disk;
    /// returns how many facts went.
    ///
    /// # Errors
    /// `HOB-06xx` when the store cannot be written.
    fn trim(&self, before_ms: u64, bytes: u64) -> BoxFuture<'_, Result<u64>>;

    /// How many facts are kept, and in how many bytes.
    ///
    /// # Errors
    /// `HOB-06xx` when the store cannot be read.
    fn size(&self) -> BoxFuture<'_, Result<(u64, u64)>>;
}

/// Takes facts, never waits; what there is no room for is counted and dropped.
pub trait FactSink: Send + Sync {
    /// Hands over one fact.
    fn tell(&self, fact: Fact);
}

/// Starts background tasks. The node gives it out, so that it alone decides how tasks end.
pub trait Spawn: Send + Sync {
    /// Runs `future` in the background; `kind` is for people and metrics.
    fn spawn(&self, kind: &'static str, future: BoxFuture<'static, ()>);
}

/// Takes log records, never waits, may drop (and then counts).
pub trait LogSink: Send + Sync {
    /// Hands over one record.
    fn record(&self, record: LogRecord);
}

/// Where a log line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// The function's standard output.
    Stdout,
    /// The function's standard error.
    Stderr,
    /// Hob, about the function (started, crashed, dropped lines).
    Platform,
    /// Records that the function sends by itself (OpenTelemetry protocol).
    Otlp,
}

/// One log line with everything that is known about its origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogRecord {
    /// Milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The app.
    pub app: AppName,
    /// The revision.
    pub revision: RevisionNumber,
    /// The function.
    pub function: FunctionName,
    /// The instance, unique in a node's life; 0: not known.
    pub instance: u64,
    /// The invocation, where it can be known: the only one that runs in the instance, or the one that the
    /// line names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation: Option<InvocationId>,
    /// The trace: that of the invocation, or the one that the line names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceId>,
    /// The span of that trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<SpanId>,
    /// Where it came from.
    pub stream: Stream,
    /// How severe it is, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// The text, without the line end, valid UTF-8, control characters made harmless; of a JSON line its
    /// message.
    pub text: String,
    /// What else a JSON line says, values as text; harmless and bounded as well.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

impl LogRecord {
    /// The same record with what its text says of itself: level, message, fields, and the span in the
    /// invocation's trace, or in any where no invocation is known.
    #[must_use]
    pub fn understood(mut self) -> Self {
        let line = log_line::read(std::mem::take(&mut self.text));
        let named = |names: &[&str]| names.iter().find_map(|name| line.fields.get(*name));
        let trace = named(&["trace_id", "traceId", "trace.id"]).and_then(|id| TraceId::parse(id));
        if trace.is_some() && (self.trace.is_none() || self.trace == trace) {
            let span = named(&["span_id", "spanId", "span.id"]).and_then(|id| SpanId::parse(id));
            (self.trace, self.span) = (trace, span.or(self.span));
        }
        self.level = line.level.or(self.level);
        self.text = line.text;
        self.fields = line.fields;
        self
    }

    /// How much it counts against the rate of its function, in bytes.
    pub fn bytes(&self) -> u64 {
        let fields = self.fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        (self.text.len() + fields) as u64
    }
}
