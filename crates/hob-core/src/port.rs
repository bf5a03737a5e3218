//! What the plugs implement and the node uses: storage, artifacts, log records, spawning.
//!
//! **Why.** With the traits down here, `hob-bus` and `hob-runtime` need no arrow to each other, and
//! tests replace a port by a small value.
//!
//! **How.** Futures are boxed, since rows of a table are trait objects. Nothing here depends on an
//! async runtime.

use crate::digest::Digest;
use crate::fault::Result;
use crate::id::InvocationId;
use crate::name::{AppName, FunctionName, RevisionNumber};
use serde::{Deserialize, Serialize};
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
    /// The instance, unique in a node's life.
    pub instance: u64,
    /// The invocation, where it can be known (one call at a time in the instance).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation: Option<InvocationId>,
    /// Where it came from.
    pub stream: Stream,
    /// The text, without the line end, valid UTF-8, control characters made harmless.
    pub text: String,
}
