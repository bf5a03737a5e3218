//! Processor time of an instance that serves several calls, told to the call that worked.
//!
//! **How.** The time between two marks goes to the call that was the only one at both ([`Calls::spent`]).
//! Marks are the begin and the end of each turn of its event loop. Answers are handed over after the
//! second: a caller runs on another thread, and may ask at once what was spent.

use super::calls::{Calls, Who};
use crate::cpu::CpuTotal;
use crate::crowd::{Guest, Spent, Stamp, Turn, also_queued, by_turns};
use crate::settled::Noting;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;
use std::time::Duration;

/// The marks of one instance.
pub(super) struct Laps {
    calls: Calls,
    total: CpuTotal,
    marked_ns: AtomicU64,
    who: Mutex<Who>,
    polls: AtomicU64,
}

impl Laps {
    pub(super) fn new(calls: Calls, total: CpuTotal) -> Self {
        Self {
            calls,
            total,
            marked_ns: AtomicU64::new(0),
            who: Mutex::new(Who::Nobody),
            polls: AtomicU64::new(0),
        }
    }

    /// Polls what drives the instance's event loop, each time when its turn has come. `work` sets the mark at the
    /// end of each poll ([`Laps::lap`]).
    pub(super) async fn run<F>(self: &Arc<Self>, turn: Turn<'_>, work: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (laps, told, mut work) = (Arc::clone(self), Arc::clone(self), Box::pin(work));
        let poll = move |context: &mut Context<'_>| {
            let began = laps.begin();
            let polled = work.as_mut().poll(context);
            let turn_ns = began.until(laps.marked_ns.load(Ordering::Relaxed));
            // What counts has been told to the calls.
            (polled, Spent { turn_ns, counted_ns: 0 })
        };
        let tell = move |_, waited: Duration| {
            if !waited.is_zero() {
                told.calls.with(|calls| calls.iter().for_each(|call| also_queued(&call.timing, waited)));
            }
            told.polls.fetch_add(1, Ordering::Relaxed);
        };
        by_turns(turn, Guest { poll, tell }, Some(Noting::default())).await
    }

    /// How often it was polled.
    pub(super) fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    /// A turn begins.
    fn begin(&self) -> Stamp {
        *self.who.lock().unwrap_or_else(PoisonError::into_inner) = self.calls.who();
        let began = Stamp::new(&self.total);
        self.marked_ns.store(began.thread_ns(), Ordering::Relaxed);
        began
    }

    /// A turn is over, on the same thread.
    pub(super) fn lap(&self) {
        let now_ns = self.total.thread_ns();
        let spent_ns = now_ns.saturating_sub(self.marked_ns.swap(now_ns, Ordering::Relaxed));
        self.total.add(spent_ns);
        let mut who = self.who.lock().unwrap_or_else(PoisonError::into_inner);
        *who = self.calls.spent(&who, spent_ns);
    }
}
