//! Facts on disk: segments that are written once, found by what somebody knows, and thrown away whole.
//!
//! **Why.** Facts are many and soon forgotten. Removing them one by one would cost as much as writing
//! them; removing a file costs nothing, and gives its space back at once.
//!
//! **How.** One thread owns the segments, each an SQLite database `facts/<number>.db`. A fact is a row; the
//! table `found` names it under a 64-bit hash of everything that it is about ([`About::of`]). What
//! a hash finds is held against the query, so two texts with one hash cost time and no wrong answer. A new
//! segment begins when the newest is full or a day old.
//!
//! **Invariants.** The newest facts may be lost with the power; nothing else may be. A segment that is damaged
//! is set aside, and the node starts without it.
//!
//! **Not here:** what is told at all (the node's telemetry).

pub(crate) mod pack;
mod segment;

use crate::lock::FolderLock;
use crate::storage;
use hob_core::fact::{Fact, FactQuery};
use hob_core::fault::{Fault, Result};
use hob_core::limit::{
    FACTS_MEMORY_BYTES_MAX, FACTS_PER_SEGMENT, FACTS_SEGMENT_AGE, STATE_REQUESTS_QUEUED_MAX,
};
use hob_core::port::{BoxFuture, Facts};
use hob_core::unit::millis;
use segment::Segment;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// One request to the thread, with the place for its answer.
enum Request {
    Append(Vec<Fact>, oneshot::Sender<Result<()>>),
    Find(FactQuery, oneshot::Sender<Result<Vec<Fact>>>),
    Trim(u64, u64, oneshot::Sender<Result<u64>>),
    Size(oneshot::Sender<Result<(u64, u64)>>),
}

/// The handle of the thread. Dropping it lets the thread answer what is queued, and close.
pub(crate) struct FactStore {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    /// Let go of after the thread has ended.
    _lock: Option<Arc<FolderLock>>,
}

impl FactStore {
    /// Facts below a data folder.
    ///
    /// # Errors
    /// `HOB-0601` and `HOB-0604` when the folder cannot be used.
    pub(crate) fn on_disk(data: &Path, lock: Arc<FolderLock>) -> Result<Self> {
        Self::start(Segments::open(Some(data.join("facts")))?, Some(lock))
    }

    /// Facts in memory.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn in_memory() -> Result<Self> {
        Self::start(Segments::open(None)?, None)
    }

    fn start(segments: Segments, lock: Option<Arc<FolderLock>>) -> Result<Self> {
        let (requests, queue) = mpsc::channel(STATE_REQUESTS_QUEUED_MAX);
        let thread = std::thread::Builder::new()
            .name("hob-facts".to_owned())
            .spawn(move || serve(segments, queue))
            .map_err(Fault::internal)?;
        Ok(Self { requests: Some(requests), thread: Some(thread), _lock: lock })
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request) -> Result<T> {
        let gone = || Fault::internal("the thread that keeps the facts has ended");
        let (answer, answered) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        requests.send(request(answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Facts for FactStore {
    fn append(&self, facts: Vec<Fact>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.ask(|answer| Request::Append(facts, answer)))
    }

    fn find(&self, query: FactQuery) -> BoxFuture<'_, Result<Vec<Fact>>> {
        Box::pin(self.ask(|answer| Request::Find(query, answer)))
    }

    fn trim(&self, before_ms: u64, bytes: u64) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.ask(move |answer| Request::Trim(before_ms, bytes, answer)))
    }

    fn size(&self) -> BoxFuture<'_, Result<(u64, u64)>> {
        Box::pin(self.ask(Request::Size))
    }
}

impl Drop for FactStore {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

/// Answers requests in order until nobody can send any more.
fn serve(mut segments: Segments, mut queue: mpsc::Receiver<Request>) {
    while let Some(request) = queue.blocking_recv() {
        // A receiver that has gone has lost interest, not its facts.
        match request {
            Request::Append(facts, answer) => drop(answer.send(segments.append(&facts))),
            Request::Find(query, answer) => drop(answer.send(segments.find(&query))),
            Request::Trim(before_ms, bytes, answer) => drop(answer.send(segments.trim(before_ms, bytes))),
            Request::Size(answer) => drop(answer.send(segments.size())),
        }
    }
}

/// All segments, oldest first; the last one is written.
struct Segments {
    folder: Option<PathBuf>,
    all: VecDeque<Segment>,
    next: u64,
}

impl Segments {
    fn open(folder: Option<PathBuf>) -> Result<Self> {
        let mut segments = Self { folder, all: VecDeque::new(), next: 1 };
        let Some(folder) = &segments.folder else { return Ok(segments) };
        storage::make_folder(folder)?;
        let unreadable = |error: std::io::Error| storage::fault("read the folder", folder, &error);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            found.extend(
                number.filter(|_| path.extension().is_some_and(|end| end == "db")).map(|n| (n, path)),
            );
        }
        found.sort_unstable();
        for (number, path) in found {
            segments.next = number + 1;
            segments.all.extend(Segment::open(&path)?);
        }
        Ok(segments)
    }

    fn append(&mut self, facts: &[Fact]) -> Result<()> {
        let Some(first) = facts.first() else { return Ok(()) };
        let full = self.all.back().is_none_or(|newest| {
            newest.facts() >= self.facts_per_segment()
                || newest.first_ms().is_some_and(|began| began + millis(FACTS_SEGMENT_AGE) < first.time_ms)
        });
        if full {
            let name = format!("{:08}.db", self.next);
            let path = self.folder.as_ref().map(|folder| folder.join(name));
            self.all.push_back(Segment::create(path)?);
            if let [.., full, _] = self.all.make_contiguous() {
                full.rest();
            }
            self.next += 1;
        }
        self.all.back_mut().map_or(Ok(()), |newest| newest.append(facts))
    }

    /// In memory there is less of everything.
    fn facts_per_segment(&self) -> u64 {
        if self.folder.is_some() { FACTS_PER_SEGMENT } else { FACTS_PER_SEGMENT / 10 }
    }

    fn find(&self, query: &FactQuery) -> Result<Vec<Fact>> {
        let mut found = Vec::new();
        for segment in self.all.iter().rev() {
            if found.len() >= query.limit || segment.last_ms() < query.since_ms {
                break;
            }
            segment.find(query, query.limit - found.len(), &mut found)?;
        }
        found.reverse();
        Ok(found)
    }

    fn trim(&mut self, before_ms: u64, bytes: u64) -> Result<u64> {
        let bytes = if self.folder.is_some() { bytes } else { bytes.min(FACTS_MEMORY_BYTES_MAX) };
        let mut gone = 0;
        while let Some(oldest) = self.all.front() {
            let (_, total) = self.size()?;
            let old = oldest.last_ms() < before_ms;
            // The one that is written stays, unless all of it is old.
            if !old && (total <= bytes || self.all.len() == 1) {
                break;
            }
            gone += oldest.facts();
            if let Some(oldest) = self.all.pop_front() {
                oldest.remove()?;
            }
        }
        Ok(gone)
    }

    fn size(&self) -> Result<(u64, u64)> {
        let mut sum = (0, 0);
        for segment in &self.all {
            sum = (sum.0 + segment.facts(), sum.1 + segment.bytes()?);
        }
        Ok(sum)
    }
}
