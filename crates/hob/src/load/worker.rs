//! One thread of a load test and its connections.
//!
//! **How.** All connections of a thread are one future on a runtime of its own: no task, no lock but that of the
//! thread's own counts, which is free except while somebody looks.

use super::connection::{Connection, closes};
use super::{Frame, Shared, WARM_UP, lock};
use futures_util::future::join_all;
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until};

/// What one thread does.
pub(super) struct Job {
    pub(super) shared: Arc<Shared>,
    pub(super) frame: Arc<Mutex<Frame>>,
    pub(super) cpu_ns: Arc<AtomicU64>,
    pub(super) connections: usize,
    pub(super) aborted: watch::Receiver<bool>,
}

/// How often a thread says how much processor time it has used.
const CPU_EVERY: Duration = Duration::from_millis(100);
/// The clock that wakes connections ticks in milliseconds. Who wakes this late has waited for the clock, not for
/// the function.
const CLOCK: Duration = Duration::from_millis(2);
/// Pause after a connection could not be opened, so that a node that has gone is not hammered.
const PAUSE: Duration = Duration::from_millis(50);

impl Job {
    /// Works until no call may begin any more and all have ended, or it is told to give up.
    pub(super) fn run(mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        let mut aborted = self.aborted.clone();
        let lanes = join_all((0..self.connections).map(|_| self.lane()));
        let work = async {
            tokio::select! {
                _ = lanes => {}
                _ = self.watch_cpu() => {}
                _ = aborted.wait_for(|aborted| *aborted) => {}
            }
        };
        // Connections share one task; the runtime's fairness between tasks would only interrupt it.
        runtime.block_on(tokio::task::unconstrained(work));
        self.tell_cpu();
        self.connections = 0;
    }

    async fn watch_cpu(&self) {
        loop {
            self.tell_cpu();
            sleep(CPU_EVERY).await;
        }
    }

    fn tell_cpu(&self) {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
        let ns = seconds.unwrap_or_default() * 1_000_000_000 + nanos.unwrap_or_default();
        self.cpu_ns.store(ns, Ordering::Relaxed);
    }

    /// One connection to each target, one call after the other.
    async fn lane(&self) {
        let plan = &self.shared.plan;
        let mut open: Vec<Option<Connection>> = plan.targets.iter().map(|_| None).collect();
        for made in 0.. {
            if self.stopped() {
                return;
            }
            // Connecting is not part of a call, unless the turn changes while it waits to be due.
            let (epoch, at) = self.turn(made);
            if open[at].is_none() && !self.open(epoch, at, &mut open[at]).await {
                continue;
            }
            let due = self.due().await;
            let (epoch, at) = self.turn(made);
            if self.stopped() || (epoch != WARM_UP && !self.take()) {
                return;
            }
            let begun = due.unwrap_or_else(Instant::now);
            if epoch != WARM_UP {
                lock(&self.frame).under_way += 1;
            }
            if open[at].is_none() {
                open[at] = Connection::open(&plan.targets[at], plan.timeout).await.ok();
            }
            let reply = match &mut open[at] {
                Some(connection) => connection.ask(&plan.ask, &plan.targets[at], plan.timeout).await,
                None => Err("cannot connect".to_owned()),
            };
            let latency = begun.elapsed();
            if closes(&reply) {
                open[at] = None;
            }
            let mut frame = lock(&self.frame);
            if epoch != WARM_UP {
                frame.under_way -= 1;
                frame.last = Some(begun + latency);
                frame.whole[at].record(latency, &reply);
            }
            if reply.is_ok() && self.shared.epoch.load(Ordering::Acquire) == epoch {
                frame.slice.latency.record(latency);
            }
        }
    }

    /// Opens a connection; false: that failed, counts as a call, and takes a while.
    async fn open(&self, epoch: u64, at: usize, open: &mut Option<Connection>) -> bool {
        let plan = &self.shared.plan;
        match Connection::open(&plan.targets[at], plan.timeout).await {
            Ok(connection) => *open = Some(connection),
            Err(why) => {
                if epoch != WARM_UP && self.take() {
                    lock(&self.frame).whole[at].record(Duration::ZERO, &Err(why));
                } else if epoch != WARM_UP {
                    self.shared.stop.store(true, Ordering::Release);
                }
                sleep(PAUSE).await;
            }
        }
        open.is_some()
    }

    /// The epoch of now, and whose turn it is. All targets are warmed up, call by call.
    fn turn(&self, made: usize) -> (u64, usize) {
        let epoch = self.shared.epoch.load(Ordering::Acquire);
        let warming = made % self.shared.plan.targets.len();
        (epoch, if epoch == WARM_UP { warming } else { self.shared.target_of(epoch) })
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire)
    }

    /// Takes one of the calls that may still begin.
    fn take(&self) -> bool {
        let left = &self.shared.left;
        left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
    }

    /// Waits for the next call of the open loop: when it was due, if that was before now. In a closed loop it is
    /// due now.
    async fn due(&self) -> Option<Instant> {
        let rate = self.shared.plan.rate?;
        let number = self.shared.given.fetch_add(1, Ordering::Relaxed);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a test has fewer calls than a float has exact numbers"
        )]
        let due = self.shared.begun + Duration::from_secs_f64(number as f64 / rate);
        if due <= Instant::now() {
            // Every connection was busy when it was due: what it waited is part of its latency.
            return Some(due);
        }
        sleep_until(due.into()).await;
        let late = due.elapsed() > CLOCK;
        late.then_some(due)
    }
}
