//! Processor time of an instance that serves several calls, told to the call that worked.
//!
//! **How.** The time between two marks goes to the call that was the only one at both ([`Calls::spent`]).
//! Marks are the begin and the end of each turn of its event loop. Answers are handed over after the
//! second: a caller runs on another thread, and may ask at once what was spent.

use super::calls::{Calls, Who};
use crate::cpu::CpuTotal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The marks of one instance.
pub(super) struct Laps {
    calls: Calls,
    total: CpuTotal,
    marked_ns: AtomicU64,
    who: Mutex<Who>,
}

impl Laps {
    pub(super) fn new(calls: Calls, total: CpuTotal) -> Self {
        Self { calls, total, marked_ns: AtomicU64::new(0), who: Mutex::new(Who::Nobody) }
    }

    /// A turn begins.
    pub(super) fn begin(&self) {
        *self.who.lock().unwrap_or_else(PoisonError::into_inner) = self.calls.who();
        self.marked_ns.store(self.total.thread_ns(), Ordering::Relaxed);
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
