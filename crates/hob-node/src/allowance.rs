//! What one space may have, and what it has: asked wherever something is taken.
//!
//! **Why.** A quota that is looked at somewhere else than where things are taken is a report, not a wall.
//!
//! **How.** [`Allowance::take`] lets requests and events through at the space's rate, [`Allowance::begin`] a call as long
//! as there are not too many, whoever makes it: a client, a function, the control API. Deliveries of events, runs and
//! asynchronous calls count as well, but nobody waits for them, so they wait for their place ([`Allowance::begin_in_time`]).
//! [`Allowance::keep`] lets bytes be stored. What is stored is measured now and then ([`stored`]) and
//! reckoned in between. Where there is no quota nothing is counted. Memory is held against its quota where
//! instances start ([`hob_runtime::crowd`]).
//!
//! **Invariants.** A request costs no lock. One space's allowance knows nothing of another's.
//!
//! **Not here:** the numbers and the words of what is refused ([`hob_core::space`]).

mod stored;

pub(crate) use stored::Stored;

use arc_swap::ArcSwap;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{
    FACTS_BYTES_MAX, INGRESS_BYTES_MAX, LOG_BYTES_KEPT, SPACE_FACTS_SHARE, SPACE_INGRESS_BYTES_MAX,
    SPACE_LOG_BYTES_KEPT, SPACE_STORAGE_LOOK_INTERVAL, SPACE_TURN_WAIT,
};
use hob_core::name::SpaceName;
use hob_core::space::{Quotas, Resource, pace, refused};
use hob_core::unit::millis;
use hob_runtime::crowd::Crowd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The folder in a space's data folder where archives of layers lie.
pub(crate) const LAYERS: &str = "aws-layers";
/// No limit, where it is looked at for each request.
const NONE: u64 = u64::MAX;

/// What a space may have.
pub(crate) struct Allowance {
    space: SpaceName,
    created_ms: Option<u64>,
    quotas: ArcSwap<Quotas>,
    began: Instant,
    /// Requests in a second.
    rate: AtomicU64,
    /// Until when the rate is used up, nanoseconds since `began`.
    until_ns: AtomicU64,
    /// Calls at a time.
    calls_max: AtomicU64,
    calls: AtomicU64,
    /// A call has ended.
    ended: Notify,
    stored: Stored,
    /// Bytes that are stored, as far as is known.
    stored_bytes: AtomicU64,
    /// When they were measured, milliseconds since `began`, plus one; 0: never.
    looked_ms: AtomicU64,
    crowd: Arc<Crowd>,
}

/// Why a call cannot begin now.
#[derive(Clone, Copy)]
enum Full {
    /// The rate is used up, for so many nanoseconds.
    Rate(u64),
    /// So many run.
    Calls(u64),
}

/// A call that is counted as long as this is there.
pub(crate) struct Running(Arc<Allowance>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::AcqRel);
        self.0.ended.notify_waiters();
    }
}

impl Allowance {
    /// Of a space that was made then; `None`: it is always there.
    pub(crate) fn new(
        space: SpaceName,
        created_ms: Option<u64>,
        quotas: Quotas,
        stored: Stored,
        crowd: Arc<Crowd>,
    ) -> Arc<Self> {
        let this = Self {
            space,
            created_ms,
            quotas: ArcSwap::from_pointee(Quotas::unlimited()),
            began: Instant::now(),
            rate: AtomicU64::new(NONE),
            until_ns: AtomicU64::new(0),
            calls_max: AtomicU64::new(NONE),
            calls: AtomicU64::new(0),
            ended: Notify::new(),
            stored,
            stored_bytes: AtomicU64::new(0),
            looked_ms: AtomicU64::new(0),
            crowd,
        };
        this.set(quotas);
        Arc::new(this)
    }

    /// Without any limit, for tests of what asks it.
    #[cfg(test)]
    pub(crate) fn unlimited(
        log: &Arc<dyn hob_core::port::Log>,
        facts: &Arc<dyn hob_core::port::Facts>,
        tasks: &Arc<crate::task::Tasks>,
    ) -> Arc<Self> {
        use hob_runtime::crowd::Shares;
        let crowd = Crowd::new(Shares::here(None), Arc::clone(tasks) as _);
        let stored = Stored::new(log, facts, std::path::Path::new("/nowhere"), "/nowhere".into());
        Self::new(SpaceName::default_space(), None, Quotas::unlimited(), stored, crowd)
    }

    /// Whether the space belongs to somebody else than the node.
    pub(crate) fn is_of_strangers(&self) -> bool {
        !self.space.is_default()
    }

    /// From now on it may have this.
    pub(crate) fn set(&self, quotas: Quotas) {
        self.rate.store(quotas.limit(Resource::Requests).unwrap_or(NONE), Ordering::Relaxed);
        self.calls_max.store(quotas.limit(Resource::Calls).unwrap_or(NONE), Ordering::Relaxed);
        self.crowd.limit(&self.space, quotas.limit(Resource::Memory));
        self.quotas.store(Arc::new(quotas));
    }

    /// The space.
    pub(crate) fn space(&self) -> &SpaceName {
        &self.space
    }

    /// When it was made.
    pub(crate) fn created_ms(&self) -> Option<u64> {
        self.created_ms
    }

    /// Bodies with events that it may have in memory, bytes.
    pub(crate) fn ingress_bytes(&self) -> usize {
        if self.space.is_default() { INGRESS_BYTES_MAX } else { SPACE_INGRESS_BYTES_MAX }
    }

    /// Log records that are kept of it, bytes.
    pub(crate) fn log_bytes(&self) -> u64 {
        if self.space.is_default() { LOG_BYTES_KEPT } else { SPACE_LOG_BYTES_KEPT }
    }

    /// Facts that are kept of it, bytes: it is not to be stopped by its own.
    pub(crate) fn facts_bytes(&self) -> u64 {
        let storage = self.quotas.load().limit(Resource::Storage);
        storage.map_or(FACTS_BYTES_MAX, |bytes| FACTS_BYTES_MAX.min(bytes / SPACE_FACTS_SHARE))
    }

    /// What it may have.
    pub(crate) fn quotas(&self) -> Arc<Quotas> {
        self.quotas.load_full()
    }

    /// Whether there may be only so much of a resource.
    pub(crate) fn limits(&self, resource: Resource) -> bool {
        self.quotas.load().limit(resource).is_some()
    }

    /// Checks that there may be so much more of a resource.
    ///
    /// # Errors
    /// `HOB-0712`.
    pub(crate) fn admit(&self, resource: Resource, have: u64, more: u64) -> Result<()> {
        self.quotas.load().admit(&self.space, resource, have, more)
    }

    /// Lets so many requests or events through.
    ///
    /// # Errors
    /// `HOB-0713`, with the time after which it goes on.
    pub(crate) fn take(&self, count: u64) -> Result<()> {
        self.pace(count).map_err(|wait_ns| self.full(Full::Rate(wait_ns), count))
    }

    /// The same; how long to wait otherwise, nanoseconds.
    fn pace(&self, count: u64) -> Result<(), u64> {
        let rate = self.rate.load(Ordering::Relaxed);
        if rate == NONE {
            return Ok(());
        }
        let now_ns = self.now_ns();
        let mut until_ns = self.until_ns.load(Ordering::Relaxed);
        loop {
            let next_ns = pace(rate, until_ns, now_ns, count)?;
            let swapped =
                self.until_ns.compare_exchange_weak(until_ns, next_ns, Ordering::Relaxed, Ordering::Relaxed);
            match swapped {
                Ok(_) => return Ok(()),
                Err(other_ns) => until_ns = other_ns,
            }
        }
    }

    /// A call begins, which is counted until what is returned is dropped.
    ///
    /// # Errors
    /// `HOB-0713` and `HOB-0714`.
    pub(crate) fn begin(self: &Arc<Self>) -> Result<Option<Running>> {
        self.try_begin().map_err(|full| self.full(full, 1))
    }

    /// The same for a call that somebody was let in for already, at the space's rate.
    ///
    /// # Errors
    /// `HOB-0714`.
    pub(crate) fn begin_taken(self: &Arc<Self>) -> Result<Option<Running>> {
        self.place().map_err(|full| self.full(full, 1))
    }

    /// As [`Allowance::begin`], but waits for a place, for [`SPACE_TURN_WAIT`] at most: for calls that can be made later.
    ///
    /// # Errors
    /// `HOB-0713` and `HOB-0714`.
    pub(crate) async fn begin_in_time(self: &Arc<Self>) -> Result<Option<Running>> {
        let until = Instant::now() + SPACE_TURN_WAIT;
        loop {
            let mut ended = pin!(self.ended.notified());
            // Before it is looked whether there is a place, so that an end in between is not missed.
            ended.as_mut().enable();
            let full = match self.try_begin() {
                Ok(running) => return Ok(running),
                Err(full) => full,
            };
            let left = until.saturating_duration_since(Instant::now());
            let pause = match full {
                Full::Rate(wait_ns) => Duration::from_nanos(wait_ns),
                Full::Calls(_) => left,
            };
            if left.is_zero() || pause > left {
                return Err(self.full(full, 1));
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = ended, if matches!(full, Full::Calls(_)) => {}
            }
        }
    }

    fn try_begin(self: &Arc<Self>) -> Result<Option<Running>, Full> {
        let place = self.place()?;
        self.pace(1).map_err(Full::Rate)?;
        Ok(place)
    }

    /// A place among the calls at a time; nothing is counted where there may be any number.
    fn place(self: &Arc<Self>) -> Result<Option<Running>, Full> {
        let most = self.calls_max.load(Ordering::Relaxed);
        if most == NONE {
            return Ok(None);
        }
        let more = |running| (running < most).then_some(running + 1);
        let began = self.calls.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        began.map(|_| Some(Running(Arc::clone(self)))).map_err(Full::Calls)
    }

    fn full(&self, full: Full, more: u64) -> Fault {
        match full {
            Full::Rate(wait_ns) => {
                let rate = self.rate.load(Ordering::Relaxed);
                let wait_s = u32::try_from(wait_ns.div_ceil(1_000_000_000)).unwrap_or(u32::MAX);
                refused(&self.space, Resource::Requests, (rate, more), rate).retry_after(wait_s.max(1))
            }
            Full::Calls(running) => {
                let most = self.calls_max.load(Ordering::Relaxed);
                refused(&self.space, Resource::Calls, (running, 1), most)
            }
        }
    }

    /// Bytes are about to be stored.
    ///
    /// # Errors
    /// `HOB-0712`, and `HOB-06xx` when what is stored cannot be measured.
    pub(crate) async fn keep(&self, bytes: u64) -> Result<()> {
        let Some(limit) = self.quotas.load().limit(Resource::Storage) else { return Ok(()) };
        self.look().await?;
        let have = self.stored_bytes.fetch_add(bytes, Ordering::AcqRel);
        if have.saturating_add(bytes) <= limit {
            return Ok(());
        }
        self.stored_bytes.fetch_sub(bytes, Ordering::AcqRel);
        Err(refused(&self.space, Resource::Storage, (have, bytes), limit))
    }

    /// Measures what is stored, unless somebody has just done so.
    async fn look(&self) -> Result<()> {
        let now_ms = millis(self.began.elapsed()) + 1;
        let looked_ms = self.looked_ms.load(Ordering::Acquire);
        if looked_ms > 0 && now_ms.saturating_sub(looked_ms) < millis(SPACE_STORAGE_LOOK_INTERVAL) {
            return Ok(());
        }
        let bytes = self.stored.measure().await?;
        self.stored_bytes.store(bytes, Ordering::Release);
        self.looked_ms.store(now_ms, Ordering::Release);
        Ok(())
    }

    /// What it has of a resource that is counted here; `None`: that is known elsewhere.
    ///
    /// # Errors
    /// `HOB-06xx` when what is stored cannot be measured.
    pub(crate) async fn used(&self, resource: Resource) -> Result<Option<u64>> {
        Ok(match resource {
            Resource::Memory => Some(self.crowd.memory_of(&self.space)),
            Resource::Storage => Some(self.stored.measure().await?),
            Resource::Requests => {
                let ahead_ns = self.until_ns.load(Ordering::Relaxed).saturating_sub(self.now_ns());
                let rate = self.rate.load(Ordering::Relaxed);
                let of_rate = if rate == NONE { 0 } else { u128::from(ahead_ns) * u128::from(rate) };
                Some(u64::try_from(of_rate / 1_000_000_000).unwrap_or(u64::MAX))
            }
            Resource::Calls => Some(self.calls.load(Ordering::Relaxed)),
            Resource::Apps | Resource::Functions | Resource::Topics => None,
        })
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
