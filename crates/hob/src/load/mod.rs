//! Load tests: many calls over kept connections, closed or open loop, one target or two in turn.
//!
//! **Why.** A closed loop (the next call when the last has been answered) tells what a function can do. An open
//! loop (calls at a rate, whatever comes back) tells what callers see: there a call's latency counts from when it
//! was due, so that one slow answer does not hide the calls that it kept from being made (coordinated omission).
//!
//! **How.** [`Load::start`] starts threads of their own, each with its connections and a [`tally::Tally`] that
//! [`Load::look`] reads while they work. What has begun in epoch 0 is warm-up and is not counted; the later epochs are slices
//! that belong to a target in the order 0, 1, 1, 0, so that a drift of the machine meets both alike.
//!
//! **Invariants.** The clock of a call begins before it is written, and ends when its body has.
//!
//! **Not here:** how results are shown (`command/bench`).

mod connection;
pub(crate) mod tally;
mod worker;

use crate::client::Endpoint;
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::histogram::Histogram;
use http::{HeaderMap, Method, Uri};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tally::Tally;
use tokio::sync::watch;

/// Where calls go.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// What to connect to.
    pub(crate) endpoint: Endpoint,
    /// The path, with its query.
    pub(crate) path: Uri,
    /// Every header, `Host` too.
    pub(crate) headers: HeaderMap,
}

/// What is asked of every target.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The method.
    pub(crate) method: Method,
    /// The body; may be empty.
    pub(crate) body: Bytes,
}

/// How it is done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// One target, or two that take turns.
    pub(crate) targets: Vec<Target>,
    /// What is asked.
    pub(crate) ask: Ask,
    /// Connections, each with one call at a time.
    pub(crate) connections: usize,
    /// Threads for them.
    pub(crate) threads: usize,
    /// Counted calls after which it ends; `None`: time ends it.
    pub(crate) requests: Option<u64>,
    /// Calls in a second, whatever comes back; `None`: closed loop.
    pub(crate) rate: Option<f64>,
    /// Longest wait for an answer.
    pub(crate) timeout: Duration,
}

/// What a thread has counted.
#[derive(Clone, Debug, Default)]
struct Frame {
    /// By target.
    whole: Vec<Tally>,
    /// Of calls that began and ended in this epoch.
    slice: Slice,
    /// Calls that have begun and not ended.
    under_way: u64,
    /// When the last call ended.
    last: Option<Instant>,
}

/// What came back within one slice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slice {
    /// Latencies of answers.
    pub(crate) latency: Histogram,
}

/// What the threads share.
struct Shared {
    plan: Plan,
    begun: Instant,
    /// The epoch in which a call begins now.
    epoch: AtomicU64,
    /// No call begins any more.
    stop: AtomicBool,
    /// Counted calls that may still begin.
    left: AtomicU64,
    /// Calls of the open loop that were given out.
    given: AtomicU64,
}

/// The epoch of the warm-up.
const WARM_UP: u64 = 0;

impl Shared {
    fn target_of(&self, epoch: u64) -> usize {
        if self.plan.targets.len() > 1 && matches!(epoch % 4, 2 | 3) { 1 } else { 0 }
    }
}

/// A thread at work.
struct Worker {
    frame: Arc<Mutex<Frame>>,
    /// Its processor time, nanoseconds.
    cpu_ns: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

/// A load test under way.
pub(crate) struct Load {
    shared: Arc<Shared>,
    workers: Vec<Worker>,
    /// Told when calls under way are given up.
    abort: watch::Sender<bool>,
}

impl Load {
    /// Begins with the warm-up.
    ///
    /// # Errors
    /// `HOB-0903` when no thread can be started.
    pub(crate) fn start(plan: Plan) -> Result<Self> {
        let threads = plan.threads.clamp(1, plan.connections.max(1));
        let shared = Arc::new(Shared {
            begun: Instant::now(),
            epoch: AtomicU64::new(WARM_UP),
            stop: AtomicBool::new(false),
            left: AtomicU64::new(plan.requests.unwrap_or(u64::MAX)),
            given: AtomicU64::new(0),
            plan,
        });
        let (abort, aborted) = watch::channel(false);
        let mut workers = Vec::new();
        for place in 0..threads {
            let connections = share(shared.plan.connections, threads, place);
            let whole = vec![Tally::default(); shared.plan.targets.len()];
            let frame = Arc::new(Mutex::new(Frame { whole, ..Frame::default() }));
            let cpu_ns = Arc::<AtomicU64>::default();
            let job = worker::Job {
                shared: Arc::clone(&shared),
                frame: Arc::clone(&frame),
                cpu_ns: Arc::clone(&cpu_ns),
                connections,
                aborted: aborted.clone(),
            };
            let thread = std::thread::Builder::new().name(format!("load {place}")).spawn(move || job.run());
            let thread = thread
                .map_err(|error| Fault::new(Code::MachineLacks, format!("cannot start a thread: {error}")))?;
            workers.push(Worker { frame, cpu_ns, thread });
        }
        Ok(Self { shared, workers, abort })
    }

    /// Begins the next epoch, and takes what came back in the one before.
    pub(crate) fn next_epoch(&self) -> Slice {
        // Calls that are under way find another epoch when they end, and are in no slice.
        self.shared.epoch.fetch_add(1, Ordering::AcqRel);
        let mut all = Slice::default();
        for worker in &self.workers {
            let slice = std::mem::take(&mut lock(&worker.frame).slice);
            all.latency.merge(&slice.latency);
        }
        all
    }

    /// What each target has answered so far.
    pub(crate) fn look(&self) -> Vec<Tally> {
        let mut all = vec![Tally::default(); self.shared.plan.targets.len()];
        for worker in &self.workers {
            let frame = lock(&worker.frame).clone();
            all.iter_mut().zip(&frame.whole).for_each(|(all, one)| all.merge(one));
        }
        all
    }

    /// Answers and errors so far, without looking at anything else.
    pub(crate) fn count(&self) -> u64 {
        let of = |worker: &Worker| {
            let frame = lock(&worker.frame);
            frame.whole.iter().map(|tally| tally.all.count()).sum::<u64>()
        };
        self.workers.iter().map(of).sum()
    }

    /// Calls that have begun and not ended.
    pub(crate) fn under_way(&self) -> u64 {
        self.workers.iter().map(|worker| lock(&worker.frame).under_way).sum()
    }

    /// When the last call ended.
    pub(crate) fn last(&self) -> Option<Instant> {
        self.workers.iter().filter_map(|worker| lock(&worker.frame).last).max()
    }

    /// Processor time of each thread so far.
    pub(crate) fn cpu(&self) -> Vec<Duration> {
        let cpu = self.workers.iter().map(|worker| worker.cpu_ns.load(Ordering::Relaxed));
        cpu.map(Duration::from_nanos).collect()
    }

    /// Whether every thread has ended, because all calls were made.
    pub(crate) fn is_over(&self) -> bool {
        self.workers.iter().all(|worker| worker.thread.is_finished())
    }

    /// Lets no call begin any more.
    pub(crate) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
    }

    /// Gives up what is under way, waits for the threads, and counts the last. Calls that are given up are errors
    /// if they had the time to be answered.
    pub(crate) fn finish(self, had_time: bool) -> Vec<Tally> {
        self.stop();
        let _ = self.abort.send(true);
        let mut all = vec![Tally::default(); self.shared.plan.targets.len()];
        let target = self.shared.target_of(self.shared.epoch.load(Ordering::Acquire));
        for worker in self.workers {
            // A thread that has panicked has told so on stderr.
            let _ = worker.thread.join();
            let frame = lock(&worker.frame);
            all.iter_mut().zip(&frame.whole).for_each(|(all, one)| all.merge(one));
            all[target].unanswered(if had_time { frame.under_way } else { 0 });
        }
        all
    }
}

/// The part of one thread among all.
fn share(all: usize, threads: usize, place: usize) -> usize {
    all / threads + usize::from(place < all % threads)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection for calls one after the other, in the thread of whoever makes them.
pub(crate) struct Single {
    target: Target,
    ask: Ask,
    timeout: Duration,
    open: Option<connection::Connection>,
}

impl Single {
    /// To that target.
    pub(crate) const fn new(target: Target, ask: Ask, timeout: Duration) -> Self {
        Self { target, ask, timeout, open: None }
    }

    /// Makes a call and counts it. Connecting does not count.
    pub(crate) async fn call(&mut self, tally: &mut Tally) {
        if self.open.is_none() {
            match connection::Connection::open(&self.target, self.timeout).await {
                Ok(connection) => self.open = Some(connection),
                Err(why) => return tally.record(Duration::ZERO, &Err(why)),
            }
        }
        let Some(connection) = &mut self.open else { return };
        let begun = Instant::now();
        let reply = connection.ask(&self.ask, &self.target, self.timeout).await;
        tally.record(begun.elapsed(), &reply);
        if connection::closes(&reply) {
            self.open = None;
        }
    }
}

#[cfg(test)]
mod tests;
