//! Processor time of an instance that serves several calls, told to the call that worked.
//!
//! **How.** The time between two marks goes to the call that was the only one at both ([`Calls::spent`]).
//! Marks are the begin and the end of each poll, and the moment before an answer is handed over: its
//! caller runs on another thread and may ask what was spent before the poll is over.

use super::calls::{Calls, Who};
use crate::cpu::CpuTotal;
use std::future::poll_fn;
use std::pin::pin;
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

    /// Polls the instance's event loop to its end.
    pub(super) async fn run<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|context| {
            *self.who.lock().unwrap_or_else(PoisonError::into_inner) = self.calls.who();
            self.marked_ns.store(self.total.thread_ns(), Ordering::Relaxed);
            let polled = work.as_mut().poll(context);
            self.lap();
            polled
        })
        .await
    }

    /// Sets a mark; only within a poll.
    pub(super) fn lap(&self) {
        let now_ns = self.total.thread_ns();
        let spent_ns = now_ns.saturating_sub(self.marked_ns.swap(now_ns, Ordering::Relaxed));
        self.total.add(spent_ns);
        let mut who = self.who.lock().unwrap_or_else(PoisonError::into_inner);
        *who = self.calls.spent(&who, spent_ns);
    }
}
