//! Processor time of an instance that serves several calls, told to the call that worked.
//!
//! **How.** The time between two marks goes to the call that was the only one at both ([`Calls::spent`]).
//! Marks are the begin and the end of each turn of its event loop. Answers are handed over after the
//! second: a caller runs on another thread, and may ask at once what was spent.

use super::calls::{Calls, Who};
use crate::cpu::CpuTotal;
use crate::crowd::{Stamp, Turn, also_queued};
use crate::settled::{Noting, later};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, ready};

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
    ///
    /// A guest that wakes itself after little work (it tidies up after its answer) goes on when its worker has nothing
    /// else to do: the answer comes first, and no other thread is woken for the rest.
    pub(super) async fn run<F: Future>(&self, mut turn: Turn<'_>, work: F) -> F::Output {
        let (mut work, noting) = (pin!(work), Noting::default());
        poll_fn(|context| {
            ready!(turn.poll_begin(context));
            let began = self.begin();
            let waker = turn.waker(context);
            let (polled, itself) = match &waker {
                Some(waker) => (work.as_mut().poll(&mut Context::from_waker(waker)), false),
                None => noting.poll(context, |context| work.as_mut().poll(context)),
            };
            let spent_ns = began.until(self.marked_ns.load(Ordering::Relaxed));
            let waited = turn.end(spent_ns, polled.is_ready(), context);
            if !waited.is_zero() {
                self.calls.with(|calls| calls.iter().for_each(|call| also_queued(&call.timing, waited)));
            }
            self.polls.fetch_add(1, Ordering::Relaxed);
            match (itself, turn.was_long()) {
                (false, _) => {}
                (true, false) => later(context),
                (true, true) => context.waker().wake_by_ref(),
            }
            polled
        })
        .await
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
