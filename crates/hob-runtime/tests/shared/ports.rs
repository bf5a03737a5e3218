//! The node's ports as tests of every host need them.

use hob_core::port::{BoxFuture, LogRecord, LogSink, Spawn};
use std::sync::Mutex;

/// Starts tasks on the test's own runtime.
pub(crate) struct Spawner(pub(crate) tokio::runtime::Handle);

impl Spawn for Spawner {
    fn spawn(&self, _kind: &'static str, future: BoxFuture<'static, ()>) {
        self.0.spawn(future);
    }
}

/// Keeps log records.
#[derive(Default)]
pub(crate) struct Logs(pub(crate) Mutex<Vec<LogRecord>>);

impl LogSink for Logs {
    fn record(&self, record: LogRecord) {
        self.0.lock().unwrap().push(record);
    }
}

impl Logs {
    /// All records so far.
    pub(crate) fn all(&self) -> Vec<LogRecord> {
        self.0.lock().unwrap().clone()
    }
}
