//! Topics as append-only files: what is acknowledged is on disk, what is read is what was written.
//!
//! **Why.** An event that was accepted must come, after whatever happened to the machine; and accepting
//! it may cost little more than the disk asks. An own log is a few hundred lines more than an embedded
//! database and about twice as fast (`docs/decisions/0007-segment-log-for-topics.md`).
//!
//! **How.** A folder for each topic with segments that are named by their first sequence, and small files
//! beside them (`note`). Publications go through a bounded queue to one thread (`writer`), which takes
//! all that wait, writes each topic's in one piece, syncs, and then acknowledges. Reading (`read`)
//! happens on the asking side, with each frame checked (`frame`). Two more threads (`keeper`) prepare
//! space and remove what need not be kept. A topic is opened (`load`) when it is first touched.
//!
//! **Invariants.** Nothing is visible or acknowledged with durability `disk` before it is synced. After
//! a sync that failed nothing more is written to that topic. Sequences are never used twice.
//!
//! **Not here:** what is in a payload.

mod damage;
mod dedup;
mod disk;
pub(crate) mod frame;
mod index;
mod keeper;
mod load;
mod message;
mod note;
mod prepare;
mod read;
mod sync;
mod table;
mod topic;
mod walk;
mod writer;

use crate::lock::FolderLock;
use crate::storage;
use disk::{Disk, MemoryDisk, SystemDisk};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{
    EVENT_BYTES_MAX, LOG_GROUP_BYTES_MAX, LOG_REQUESTS_QUEUED_MAX, MEMORY_TOPIC_BYTES_MAX,
    TOPIC_BYTES_CEILING,
};
use hob_core::name::TopicName;
use hob_core::port::{
    Appended, BoxFuture, Durability, Log, NewRecord, Page, ReadLimit, TopicSettings, TopicState,
};
use hob_core::unit::unix_ms;
use keeper::Keeper;
use message::{Append, Item, Job, Request};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::SystemTime;
use tokio::sync::{mpsc, oneshot};
use topic::Topic;

/// Milliseconds since the Unix epoch.
type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How a log is run.
#[derive(Clone, Copy, Debug)]
struct Options {
    /// Whether space is filled with zeros before it is written.
    prepare: bool,
    /// Settled records of one topic that are kept at most, in bytes; unsettled ones eight times as much.
    bytes_most: u64,
    broken: Broken,
}

/// Promises to break, so that a checker can be shown to find it. Only tests set any.
#[cfg_attr(
    not(feature = "broken"),
    expect(unreachable_pub, reason = "public with the feature `broken`, which tests of the whole node use")
)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Broken {
    /// Acknowledges records that are not yet written, so that a kill loses them.
    pub acknowledge_first: bool,
    /// Takes each record, whether its key is known or not.
    pub keep_duplicates: bool,
    /// Stores the records of a batch in reverse.
    pub reorder: bool,
}

/// What all parts of a log share.
struct Shared {
    disk: Arc<dyn Disk>,
    topics_folder: PathBuf,
    quarantine: PathBuf,
    clock: Clock,
    options: Options,
    topics: RwLock<BTreeMap<TopicName, Arc<Topic>>>,
    /// Whether there are records that wait for the next regular sync.
    unsynced: AtomicBool,
    keeper: std::sync::mpsc::Sender<Job>,
}

/// The handle of the log's threads. Dropping it lets them finish what is queued, and close.
pub(crate) struct SegmentLog {
    shared: Arc<Shared>,
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
    keeper: Option<Keeper>,
    /// Let go of after the threads have ended.
    _lock: Option<Arc<FolderLock>>,
}

/// An error of a file, as a fault: a full disk, too many open files, or another one.
fn io_fault(action: &str, path: &Path, error: &io::Error) -> Fault {
    storage::fault(action, path, error)
}

fn system_clock() -> Clock {
    Arc::new(|| unix_ms(SystemTime::now()))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Fault::internal)?
}

impl SegmentLog {
    /// The log below a data folder.
    pub(crate) fn on_disk(data: &Path, broken: Broken, lock: Arc<FolderLock>) -> Result<Self> {
        let options = Options { prepare: true, bytes_most: TOPIC_BYTES_CEILING, broken };
        let mut log = Self::open(Arc::new(SystemDisk), data, options, system_clock())?;
        log._lock = Some(lock);
        Ok(log)
    }

    /// A log that is gone when it is dropped.
    pub(crate) fn in_memory(broken: Broken) -> Result<Self> {
        let options = Options { prepare: false, bytes_most: MEMORY_TOPIC_BYTES_MAX, broken };
        Self::open(Arc::new(MemoryDisk::default()), Path::new("memory"), options, system_clock())
    }

    fn open(disk: Arc<dyn Disk>, data: &Path, options: Options, clock: Clock) -> Result<Self> {
        let topics_folder = data.join("topics");
        disk.make_folder(&topics_folder)
            .and_then(|()| disk.sync_folder(data))
            .map_err(|error| io_fault("make", &topics_folder, &error))?;
        let (keeper, jobs) = std::sync::mpsc::channel();
        let topics = table::list(&*disk, &topics_folder)?;
        let quarantine = data.join("quarantine");
        let (topics, unsynced) = (RwLock::new(topics), AtomicBool::new(false));
        let shared = Shared { disk, topics_folder, quarantine, clock, options, topics, unsynced, keeper };
        let shared = Arc::new(shared);
        let (requests, queue) = mpsc::channel(LOG_REQUESTS_QUEUED_MAX);
        let keeper = Keeper::start(&shared, jobs, requests.clone())?;
        let mut log =
            Self { shared, requests: Some(requests), writer: None, keeper: Some(keeper), _lock: None };
        log.writer = Some(writer::start(Arc::clone(&log.shared), queue)?);
        Ok(log)
    }

    async fn send(&self, request: Request) -> Result<()> {
        let gone = || Fault::internal("the thread that writes the log has ended");
        self.requests.as_ref().ok_or_else(gone)?.send(request).await.map_err(|_| gone())
    }

    async fn append_to(
        &self,
        name: &TopicName,
        records: Vec<NewRecord>,
        durability: Durability,
    ) -> Result<Vec<Appended>> {
        let bytes = check_size(&records)?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let topic = self.shared.topic_or_new(name)?;
        let is_ready = || topic.is_loaded() && topic.state().is_ready();
        if !is_ready() {
            let _alone = topic.preparing.lock().await;
            if !is_ready() {
                let (shared, topic) = (Arc::clone(&self.shared), Arc::clone(&topic));
                blocking(move || prepare::prepare(&shared, &topic)).await?;
            }
        }
        let item = |record: NewRecord| Item {
            key: record.key.map(|key| frame::key_hash(&key)),
            payload: record.payload,
        };
        let items = records.into_iter().map(item).collect();
        let (answer, answered) = oneshot::channel();
        self.send(Request::Append(Append { topic, items, bytes, durability, answer })).await?;
        answered.await.map_err(|_| Fault::internal("the thread that writes the log has ended"))?
    }

    async fn trim_to(&self, name: &TopicName, sequence: u64) -> Result<u64> {
        let Some(topic) = self.shared.topic(name) else { return Ok(0) };
        let (shared, trimmed) = (Arc::clone(&self.shared), Arc::clone(&topic));
        let (count, roll) = blocking(move || keeper::trim(&shared, &trimmed, sequence)).await?;
        if roll {
            let (done, rolled) = oneshot::channel();
            self.send(Request::Roll(Arc::clone(&topic), Some(done))).await?;
            // If that fails the records take space until the next segment is begun, no more.
            let _ = rolled.await;
            let shared = Arc::clone(&self.shared);
            blocking(move || keeper::remove_front(&shared, &topic)).await?;
        }
        Ok(count)
    }
}

/// The bytes that a batch takes, about.
fn check_size(records: &[NewRecord]) -> Result<usize> {
    let too_large = |message: String| {
        Fault::new(Code::EventTooLarge, message)
            .hint("send less at a time, or put the data somewhere else and send its address")
    };
    let mut bytes = 0;
    for record in records {
        let size = record.payload.len();
        if size > EVENT_BYTES_MAX {
            return Err(too_large(format!("an event has {size} bytes, the limit is {EVENT_BYTES_MAX}")));
        }
        bytes += frame::frame_bytes(size, record.key.is_some());
    }
    if bytes > LOG_GROUP_BYTES_MAX || records.len() > frame::BATCH_RECORDS_MAX {
        let (count, most) = (records.len(), frame::BATCH_RECORDS_MAX);
        return Err(too_large(format!(
            "{count} events of together {bytes} bytes are to be appended at once, the limits are {most} and {LOG_GROUP_BYTES_MAX}"
        )));
    }
    Ok(bytes)
}

impl Log for SegmentLog {
    fn append<'a>(
        &'a self,
        topic: &'a TopicName,
        records: Vec<NewRecord>,
        durability: Durability,
    ) -> BoxFuture<'a, Result<Vec<Appended>>> {
        Box::pin(self.append_to(topic, records, durability))
    }

    fn read<'a>(&'a self, topic: &'a TopicName, from: u64, limit: ReadLimit) -> BoxFuture<'a, Result<Page>> {
        Box::pin(async move {
            let from = from.max(1);
            let Some(topic) = self.shared.topic(topic) else {
                return Ok(Page { next: from, ..Page::default() });
            };
            if topic.is_loaded()
                && let Some(page) = read::from_memory(&topic, from, limit)
            {
                return Ok(page);
            }
            let shared = Arc::clone(&self.shared);
            blocking(move || {
                load::load(&shared, &topic)?;
                read::page(&shared, &topic, from, limit)
            })
            .await
        })
    }

    fn seek<'a>(&'a self, topic: &'a TopicName, time_ms: u64) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let Some(topic) = self.shared.topic(topic) else { return Ok(1) };
            let shared = Arc::clone(&self.shared);
            blocking(move || {
                load::load(&shared, &topic)?;
                read::seek(&shared, &topic, time_ms)
            })
            .await
        })
    }

    fn topic<'a>(&'a self, topic: &'a TopicName) -> BoxFuture<'a, Result<Option<TopicState>>> {
        Box::pin(async move {
            let Some(topic) = self.shared.topic(topic) else { return Ok(None) };
            let shared = Arc::clone(&self.shared);
            blocking(move || table::describe(&shared, &topic)).await
        })
    }

    fn topics(&self) -> BoxFuture<'_, Result<Vec<(TopicName, TopicState)>>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(blocking(move || {
            let mut list = Vec::new();
            for topic in shared.all() {
                if let Some(state) = table::describe(&shared, &topic)? {
                    list.push((topic.name.clone(), state));
                }
            }
            Ok(list)
        }))
    }

    fn configure<'a>(&'a self, topic: &'a TopicName, settings: TopicSettings) -> BoxFuture<'a, Result<()>> {
        let configured = self.shared.topic_or_new(topic).map(|topic| {
            let mut state = topic.state();
            state.exists = true;
            let most = self.shared.options.bytes_most;
            let (bytes, bytes_max) = (settings.bytes.min(most), settings.bytes_max.min(8 * most));
            state.settings = TopicSettings { bytes, bytes_max, ..settings };
        });
        Box::pin(std::future::ready(configured))
    }

    fn settle<'a>(&'a self, topic: &'a TopicName, sequence: u64) -> BoxFuture<'a, Result<()>> {
        if let Some(topic) = self.shared.topic(topic) {
            let mut state = topic.state();
            // Less than before when somebody begins anew, or goes back.
            state.settled = sequence;
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn trim<'a>(&'a self, topic: &'a TopicName, sequence: u64) -> BoxFuture<'a, Result<u64>> {
        Box::pin(self.trim_to(topic, sequence))
    }
}

impl Drop for SegmentLog {
    fn drop(&mut self) {
        // The keeper goes first, since it can ask the writer for something.
        self.keeper = None;
        self.requests = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the thread has been reported by the panic hook; there is nobody left to tell.
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests;
