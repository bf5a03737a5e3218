//! Telemetry: what the node decides and does becomes facts, behind the calls that cause them.
//!
//! **Why.** "Why did it not run?" is answered from what was kept when it was decided. And a call never waits
//! for its own telemetry.
//!
//! **How.** Whoever decides something tells [`Telemetry`] a [`Fact`]; that puts it into a bounded queue and shows
//! it to those who follow (exports, the dashboard). [`recorder`] writes what is queued in batches. [`budget`] says
//! which successes are kept; failures and slow calls always are. [`watch`] makes facts of calls and instances.
//! [`meter`] counts every call, whether it becomes a fact or not.
//!
//! **Invariants.** [`Telemetry::tell`] never waits. What is dropped is counted. Who reads sees everything that was
//! told before.
//!
//! **Not here:** what is told of facts ([`crate::why`]).

mod budget;
pub(crate) mod meter;
mod recorder;
mod watch;

pub(crate) use budget::Budget;
pub(crate) use watch::Watches;

use crate::clock::now_ms;
use crate::secrets::Redaction;
use crate::task::Tasks;
use hob_core::fact::{Fact, FactQuery, What};
use hob_core::fault::Result;
use hob_core::limit::{FACTS_FOLLOWED_MAX, FACTS_QUEUED_MAX};
use hob_core::port::{FactSink, Facts};
use hob_core::trace::TraceId;
use meter::Meters;
use recorder::Queued;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{broadcast, mpsc, oneshot};

/// Takes, keeps and finds the facts of one node.
pub(crate) struct Telemetry {
    store: Arc<dyn Facts>,
    queue: mpsc::Sender<Queued>,
    followers: broadcast::Sender<Arc<Fact>>,
    dropped: AtomicU64,
    /// False: nothing is counted and kept.
    on: bool,
    /// Takes the values of secrets out of facts, before anybody sees them.
    redaction: Arc<Redaction>,
    meters: Meters,
}

impl Telemetry {
    /// Begins to keep facts in `store`; not `on`, it keeps none.
    #[cfg(test)]
    pub(crate) fn start(
        store: Arc<dyn Facts>,
        on: bool,
        redaction: Arc<Redaction>,
        tasks: &Tasks,
    ) -> Arc<Self> {
        Self::start_within(store, on, tasks, (redaction, || hob_core::limit::FACTS_BYTES_MAX))
    }

    /// The same where only so many bytes are kept.
    pub(crate) fn start_within(
        store: Arc<dyn Facts>,
        on: bool,
        tasks: &Tasks,
        (redaction, bytes_max): (Arc<Redaction>, impl Fn() -> u64 + Send + 'static),
    ) -> Arc<Self> {
        let (queue, queued) = mpsc::channel(FACTS_QUEUED_MAX);
        tasks.start("facts", recorder::run(Arc::clone(&store), queued, bytes_max));
        let followers = broadcast::channel(FACTS_FOLLOWED_MAX).0;
        let (dropped, meters) = (AtomicU64::new(0), Meters::default());
        Arc::new(Self { store, queue, followers, dropped, on, redaction, meters })
    }

    /// Whether anything is counted and kept.
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// What takes the values of secrets out of text.
    pub(crate) fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// That something happens now.
    pub(crate) fn now(&self, trace: Option<TraceId>, what: What) {
        self.tell(Fact { time_ms: now_ms(), trace, what });
    }

    /// New facts as they come; those that were kept before are asked for with [`Telemetry::find`].
    pub(crate) fn follow(&self) -> broadcast::Receiver<Arc<Fact>> {
        self.followers.subscribe()
    }

    /// The newest facts that `query` wants, oldest first, everything that was told before included.
    ///
    /// # Errors
    /// `HOB-06xx` when they cannot be read.
    pub(crate) async fn find(&self, query: FactQuery) -> Result<Vec<Fact>> {
        self.flush().await;
        self.store.find(query).await
    }

    /// Waits until everything that was told before is kept.
    pub(crate) async fn flush(&self) {
        let (done, kept) = oneshot::channel();
        if self.queue.send(Queued::Flush(done)).await.is_ok() {
            // A node that stops keeps nothing more.
            let _ = kept.await;
        }
    }

    /// Facts that are kept, and their size in bytes.
    ///
    /// # Errors
    /// `HOB-06xx` when the store cannot be read.
    pub(crate) async fn size(&self) -> Result<(u64, u64)> {
        self.store.size().await
    }

    /// Counts of every call.
    pub(crate) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Facts for which there was no room, since the node started.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl FactSink for Telemetry {
    fn tell(&self, fact: Fact) {
        if !self.on {
            return;
        }
        // What went well makes room for what did not.
        let room = if fact.what.failed() { 0 } else { FACTS_QUEUED_MAX / 2 };
        let fact = Arc::new(self.redaction.fact(fact));
        if self.followers.receiver_count() > 0 {
            // Fails when the last one has just gone.
            let _ = self.followers.send(Arc::clone(&fact));
        }
        if self.queue.capacity() <= room || self.queue.try_send(Queued::Fact(fact)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
