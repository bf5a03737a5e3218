//! A call's right to run, which ends when its last copy is dropped.

use super::Shared;
use super::watch::Watch;
use crate::crowd::Permit;
use crate::invocation::Context;
use crate::unit::Instance;
use futures_util::FutureExt as _;
use hob_core::fault::Fault;
use hob_core::scale::{Event, Finished, InstanceId};
use hob_core::unit::micros;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

/// A call's right to run. A reply that switches protocols carries it in its extensions; whoever keeps
/// the connection keeps it. Where each call has an instance of its own, that instance ends with it.
#[derive(Clone)]
pub struct Place {
    held: Arc<Held>,
    /// Dropped after the place is free.
    _watch: Option<Arc<Watch>>,
}

struct Held {
    shared: Arc<Shared>,
    id: InstanceId,
    kept: bool,
    instance: OnceLock<Arc<dyn Instance>>,
    /// Of an instance that is the call's own.
    room: OnceLock<Permit>,
    started_in: Option<Duration>,
    /// When the call got it, microseconds of the pool's clock.
    handed_us: u64,
    /// When its answer began, on the same clock; 0: it has not.
    answered_us: AtomicU64,
    /// The call failed because its instance crashed.
    crashed: AtomicBool,
}

impl Place {
    /// A place in `instance`; `None`: in one that the call starts itself.
    pub(super) fn new(
        shared: Arc<Shared>,
        id: InstanceId,
        instance: Option<Arc<dyn Instance>>,
        started_in: Option<Duration>,
        handed_us: u64,
    ) -> Self {
        let kept = instance.is_some();
        let instance = instance.map_or_else(OnceLock::new, OnceLock::from);
        let (answered_us, crashed) = (AtomicU64::new(0), AtomicBool::new(false));
        let room = OnceLock::new();
        let held = Held { shared, id, kept, instance, room, started_in, handed_us, answered_us, crashed };
        Self { held: Arc::new(held), _watch: None }
    }

    /// The place of a call whose connection goes on after its answer: what watches it ends with it.
    pub(super) fn watched(self, watch: Watch) -> Self {
        Self { _watch: Some(Arc::new(watch)), ..self }
    }

    /// The instance, once there is one.
    pub(super) fn instance(&self) -> Option<&Arc<dyn Instance>> {
        self.held.instance.get()
    }

    /// Puts the call's own instance in.
    pub(super) fn set(&self, instance: Arc<dyn Instance>, room: Permit) -> &Arc<dyn Instance> {
        // It is set once, as the instance is.
        let _ = self.held.room.set(room);
        self.held.instance.get_or_init(|| instance)
    }

    /// The number of a kept instance.
    pub(super) fn kept_id(&self) -> Option<InstanceId> {
        self.held.kept.then_some(self.held.id)
    }

    /// How long the instance took to start, if the call waited for that.
    pub(super) fn started_in(&self) -> Option<Duration> {
        self.held.started_in
    }

    /// The head of the call's answer is there, since `at`.
    pub(super) fn answered(&self, at: Instant) {
        let since = at.saturating_duration_since(self.held.shared.epoch);
        self.held.answered_us.store(micros(since), Ordering::Relaxed);
    }

    /// The caller has gone before there was an answer. An instance that finishes the call keeps its place until then.
    pub(super) fn leave(self, context: &Context, deadline: tokio::time::Instant) {
        let Some(rest) = self.instance().and_then(|instance| instance.finishes(context)) else { return };
        let spawn = Arc::clone(&self.held.shared.environment.spawn);
        let finish = async move {
            let _ = timeout_at(deadline, rest).await;
            drop(self);
        };
        spawn.spawn("left call", Box::pin(finish));
    }

    /// The call failed because its instance crashed.
    pub(super) fn crashed(&self) {
        self.held.crashed.store(true, Ordering::Relaxed);
    }

    /// The call failed after its reply had begun.
    pub(super) fn failed(&self) {
        self.held.shared.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// The fault of a call whose deadline has passed.
    pub(super) fn call_timeout(&self) -> Fault {
        self.held.shared.call_timeout()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let instance = self.instance.take();
        if let Some(instance) = instance.as_ref().filter(|instance| self.kept && instance.is_over()) {
            self.shared.ended(self.id, instance.ended().now_or_never().flatten());
        }
        drop((instance, self.room.take()));
        let answered_us = Some(self.answered_us.load(Ordering::Relaxed)).filter(|at_us| *at_us > 0);
        self.shared.step(|_, now_us| {
            Event::Finished(Finished {
                instance: self.id,
                took_us: now_us.saturating_sub(self.handed_us),
                answered_us: answered_us.map(|at_us| at_us.saturating_sub(self.handed_us)),
                crashed: self.crashed.load(Ordering::Relaxed),
            })
        });
    }
}
