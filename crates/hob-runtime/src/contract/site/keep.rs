//! Small files and compressed ones, kept in memory within a share of the function's `memory`.
//!
//! **How.** First in, first out: what was thrown away is read again, which costs a look at the page cache.
//! Files are read and compressed on threads that may block, one compression at a time for each function;
//! whoever comes meanwhile gets the file as it is.

use bytes::Bytes;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::limit::STATIC_KEPT_PERCENT;
use hob_core::spec::FunctionSpec;
use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// What is kept: a file by its content, as it is or compressed.
type Key = (Digest, bool);

/// The kept bytes of one function.
pub(super) struct Keep {
    bytes_max: u64,
    kept: Mutex<Kept>,
    compressing: Semaphore,
}

#[derive(Default)]
struct Kept {
    bytes: u64,
    files: HashMap<Key, Bytes>,
    order: VecDeque<Key>,
}

impl Keep {
    pub(super) fn new(spec: &FunctionSpec) -> Self {
        let bytes_max = spec.memory_bytes / 100 * STATIC_KEPT_PERCENT;
        Self { bytes_max, kept: Mutex::default(), compressing: Semaphore::new(1) }
    }

    /// What is kept, bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// A file as it is.
    pub(super) async fn whole(&self, digest: Digest, path: &Path) -> Result<Bytes> {
        if let Some(bytes) = self.get((digest, false)) {
            return Ok(bytes);
        }
        let owned = path.to_owned();
        let bytes = blocking(move || std::fs::read(owned)).await.map_err(|error| unreadable(path, &error))?;
        Ok(self.put((digest, false), bytes.into()))
    }

    /// A file compressed with gzip; `None` while another is being compressed.
    pub(super) async fn gzip(&self, digest: Digest, path: &Path) -> Result<Option<Bytes>> {
        if let Some(bytes) = self.get((digest, true)) {
            return Ok(Some(bytes));
        }
        let Ok(_alone) = self.compressing.try_acquire() else { return Ok(None) };
        let owned = path.to_owned();
        let compress = move || {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&std::fs::read(owned)?)?;
            encoder.finish()
        };
        let bytes = blocking(compress).await.map_err(|error| unreadable(path, &error))?;
        Ok(Some(self.put((digest, true), bytes.into())))
    }

    fn get(&self, key: Key) -> Option<Bytes> {
        self.lock().files.get(&key).cloned()
    }

    fn put(&self, key: Key, bytes: Bytes) -> Bytes {
        let size = bytes.len() as u64;
        let mut kept = self.lock();
        if size <= self.bytes_max && !kept.files.contains_key(&key) {
            while kept.bytes + size > self.bytes_max {
                let Some(oldest) = kept.order.pop_front() else { break };
                let gone = kept.files.remove(&oldest).map_or(0, |bytes| bytes.len() as u64);
                kept.bytes -= gone;
            }
            kept.bytes += size;
            kept.order.push_back(key);
            kept.files.insert(key, bytes.clone());
        }
        bytes
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// The package is Hob's own, so this is nobody's fault but the machine's.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Fault {
    Fault::internal(format!("cannot read `{}`: {error}", path.display()))
}
