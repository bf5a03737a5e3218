//! Engine `file`: state in an embedded database and topics in files, durable before it is acknowledged.
//!
//! **Why.** One machine needs nothing but the program, and still loses nothing by a kill or a power
//! cut.
//!
//! **How.** One thread owns the [`Database`] and takes requests from a bounded queue. Commits that
//! wait together share one write to the disk, and each is answered after it. Reads wait their turn:
//! calls never read the state, only deploys and the start of a node do.
//!
//! **Not here:** how records are kept and checked (`database`), topics (`crate::log`).

use super::database::Database;
use super::{Engine, EngineRow, EngineSettings};
use crate::artifact::ArtifactFolder;
use crate::facts::FactStore;
use crate::lock::FolderLock;
use crate::log::SegmentLog;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{STATE_COMMITS_GROUPED_MAX, STATE_REQUESTS_QUEUED_MAX};
use hob_core::port::{BoxFuture, Entry, State, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

pub(super) const ROW: EngineRow = EngineRow {
    name: "file",
    summary: "keeps state in an embedded database and topics in files below the data folder, on disk before they are acknowledged",
    example: "hob serve --engine file",
    durable: true,
    open,
};

fn open(settings: &EngineSettings) -> Result<Engine> {
    let lock = Arc::new(FolderLock::take(&settings.data)?);
    let database = Database::open(&settings.data.join("state"))?;
    let blobs = ArtifactFolder::open(&settings.data, settings.artifact_bytes_max, Arc::clone(&lock))?;
    let log = SegmentLog::on_disk(&settings.data, settings.broken(), Arc::clone(&lock))?;
    let facts = FactStore::on_disk(&settings.data, Arc::clone(&lock))?;
    let state = FileState::start(database, lock)?;
    Ok(Engine { state: Arc::new(state), blobs: Arc::new(blobs), log: Arc::new(log), facts: Arc::new(facts) })
}

/// One request to the thread, with the place for its answer.
enum Request {
    Get(String, oneshot::Sender<Result<Option<Entry>>>),
    Scan(String, oneshot::Sender<Result<Vec<(String, Entry)>>>),
    Commit(Vec<Write>, oneshot::Sender<Result<()>>),
}

/// The handle of the thread. Dropping it lets the thread answer what is queued, and close.
struct FileState {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    /// Let go of after the thread has ended.
    _lock: Arc<FolderLock>,
}

impl FileState {
    fn start(database: Database, lock: Arc<FolderLock>) -> Result<Self> {
        let (requests, queue) = mpsc::channel(STATE_REQUESTS_QUEUED_MAX);
        let thread = std::thread::Builder::new()
            .name("hob-state".to_owned())
            .spawn(move || serve(database, queue))
            .map_err(Fault::internal)?;
        Ok(Self { requests: Some(requests), thread: Some(thread), _lock: lock })
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request) -> Result<T> {
        let gone = || Fault::internal("the thread that keeps the state has ended");
        let (answer, answered) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        requests.send(request(answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl State for FileState {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>>> {
        Box::pin(self.ask(|answer| Request::Get(key.to_owned(), answer)))
    }

    fn scan<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Entry)>>> {
        Box::pin(self.ask(|answer| Request::Scan(prefix.to_owned(), answer)))
    }

    fn commit(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.ask(|answer| Request::Commit(writes, answer)))
    }
}

impl Drop for FileState {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

/// Answers requests in order until nobody can send any more.
fn serve(mut database: Database, mut queue: mpsc::Receiver<Request>) {
    let mut next = queue.blocking_recv();
    while let Some(request) = next.take() {
        // A receiver that has gone has lost interest, not its commit.
        match request {
            Request::Get(key, answer) => drop(answer.send(database.get(&key))),
            Request::Scan(prefix, answer) => drop(answer.send(database.scan(&prefix))),
            Request::Commit(writes, answer) => {
                let (mut group, mut answers) = (vec![writes], vec![answer]);
                while group.len() < STATE_COMMITS_GROUPED_MAX {
                    match queue.try_recv() {
                        Ok(Request::Commit(writes, answer)) => {
                            group.push(writes);
                            answers.push(answer);
                        }
                        Ok(other) => {
                            next = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                let results = database.commit(&group);
                answers.into_iter().zip(results).for_each(|(answer, result)| drop(answer.send(result)));
            }
        }
        if next.is_none() {
            next = queue.blocking_recv();
        }
    }
}
