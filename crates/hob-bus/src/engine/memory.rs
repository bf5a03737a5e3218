//! Engine `memory`: state that is gone when the node ends.
//!
//! **Why.** `hob run` and tests need a node without a past.
//!
//! **How.** State is a map. Topics are the log of `file` on a disk in memory, with less of it. Artifacts are
//! files all the same, since hosts need paths; they are removed at the next start, so that no artifact is
//! left from a time of which the state knows nothing.

use super::{Engine, EngineRow, EngineSettings, check_expectation};
use crate::artifact::ArtifactFolder;
use crate::facts::FactStore;
use crate::lock::FolderLock;
use crate::log::SegmentLog;
use hob_core::fault::Result;
use hob_core::port::{BoxFuture, Entry, State, Write};
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) const ROW: EngineRow = EngineRow {
    name: "memory",
    summary: "keeps state and topics in memory: a restarted node begins with no apps",
    example: "hob serve --engine memory",
    durable: false,
    open,
};

fn open(settings: &EngineSettings) -> Result<Engine> {
    let lock = Arc::new(FolderLock::take(&settings.data)?);
    ArtifactFolder::clear(&settings.data)?;
    let blobs = ArtifactFolder::open(&settings.data, settings.artifact_bytes_max, lock)?;
    let log = SegmentLog::in_memory(settings.broken())?;
    let facts = FactStore::in_memory()?;
    let state = Arc::new(Memory::default());
    Ok(Engine { state, blobs: Arc::new(blobs), log: Arc::new(log), facts: Arc::new(facts) })
}

#[derive(Default)]
struct Memory {
    entries: Mutex<BTreeMap<String, Entry>>,
}

impl Memory {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // No code that holds the lock can leave the map half-changed.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State for Memory {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>>> {
        Box::pin(ready(Ok(self.entries().get(key).cloned())))
    }

    fn scan<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Entry)>>> {
        let entries = self.entries();
        let found = entries.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        Box::pin(ready(Ok(found.map(|(key, entry)| (key.clone(), entry.clone())).collect())))
    }

    fn commit(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<()>> {
        let mut entries = self.entries();
        let version = |entries: &BTreeMap<String, Entry>, key: &str| entries.get(key).map(|e| e.version);
        for write in &writes {
            if let Err(fault) = check_expectation(write, version(&entries, &write.key)) {
                return Box::pin(ready(Err(fault)));
            }
        }
        for write in writes {
            let next = version(&entries, &write.key).unwrap_or(0) + 1;
            match write.value {
                Some(value) => entries.insert(write.key, Entry { version: next, value }),
                None => entries.remove(&write.key),
            };
        }
        Box::pin(ready(Ok(())))
    }
}
