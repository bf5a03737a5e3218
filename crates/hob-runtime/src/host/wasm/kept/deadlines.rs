//! When the calls of one kept instance have to be over, and when somebody has to look.
//!
//! **Why.** Nearly every call is over long before its deadline. So its begin and its end are a line in a
//! list each; no timer is set for it, and nobody is woken by it.
//!
//! **How.** One watcher sleeps until the earliest deadline that it has seen, whether that call still runs
//! or not. It is woken before only by a call that has to be over earlier than it would look.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The deadlines of the calls that run.
#[derive(Default)]
pub(super) struct Deadlines {
    inner: Mutex<Inner>,
    /// A call came that has to be over before the next look.
    earlier: Notify,
}

#[derive(Default)]
struct Inner {
    running: Vec<(u64, Instant)>,
    /// Calls so far.
    begun: u64,
    /// When the watcher looks next; `None`: at once.
    looks_at: Option<Instant>,
}

/// What a look has shown.
pub(super) struct Seen {
    /// A call is over its deadline.
    pub(super) late: bool,
    /// The earliest deadline that is still to come.
    pub(super) next: Option<Instant>,
    looks_at: Instant,
    begun: u64,
}

impl Deadlines {
    /// A call begins; its number.
    pub(super) fn begin(&self, deadline: Instant) -> u64 {
        let mut inner = self.lock();
        inner.begun += 1;
        let number = inner.begun;
        inner.running.push((number, deadline));
        let earlier = inner.looks_at.is_some_and(|looks_at| deadline < looks_at);
        drop(inner);
        if earlier {
            self.earlier.notify_one();
        }
        number
    }

    /// A call has ended.
    pub(super) fn end(&self, number: u64) {
        let mut inner = self.lock();
        if let Some(index) = inner.running.iter().position(|(running, _)| *running == number) {
            inner.running.swap_remove(index);
        }
    }

    /// Looks. The next look is due at the earliest deadline, or after `patience` if no call runs.
    pub(super) fn look(&self, now: Instant, patience: Duration) -> Seen {
        let mut inner = self.lock();
        let (mut late, mut next) = (false, None::<Instant>);
        for (_, deadline) in &inner.running {
            if *deadline <= now {
                late = true;
            } else {
                next = Some(next.map_or(*deadline, |next| next.min(*deadline)));
            }
        }
        let looks_at = next.unwrap_or(now + patience);
        inner.looks_at = Some(looks_at);
        Seen { late, next, looks_at, begun: inner.begun }
    }

    /// Waits until the next look is due.
    pub(super) async fn wait(&self, seen: &Seen) {
        tokio::select! {
            () = tokio::time::sleep_until(seen.looks_at.into()) => {}
            () = self.earlier.notified() => {}
        }
    }

    /// Whether no call has begun since.
    pub(super) fn idle_since(&self, seen: &Seen) -> bool {
        self.lock().begun == seen.begun
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Deadlines;
    use std::time::{Duration, Instant};

    /// Each step is a call that begins with a deadline so many seconds after the start (`+`), the end of the
    /// call with that number (`-`), or a look so many seconds after the start (`?`).
    #[test]
    fn the_watcher_is_woken_only_by_a_call_that_is_due_before_its_next_look() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        for (story, late, next, woken) in [
            ("?0", false, None, false),
            ("?0 +31", false, None, false),
            ("?0 +29", false, None, true),
            ("+10 ?0", false, Some(10), false),
            ("+10 ?0 -1 +20", false, Some(10), false),
            ("+10 +5 ?0 +7", false, Some(5), false),
            ("+10 ?0 +9", false, Some(10), true),
            ("+10 +20 ?15", true, Some(20), false),
            ("+10 ?15", true, None, false),
            ("+10 -1 ?15", false, None, false),
        ] {
            let deadlines = Deadlines::default();
            let mut seen = None;
            for step in story.split(' ') {
                let (what, number) = step.split_at(1);
                let number: u64 = number.parse().unwrap();
                match what {
                    "+" => drop(deadlines.begin(at(number))),
                    "-" => deadlines.end(number),
                    _ => seen = Some(deadlines.look(at(number), Duration::from_secs(30))),
                }
            }
            let seen = seen.unwrap();
            let notified = futures_util::FutureExt::now_or_never(deadlines.earlier.notified()).is_some();
            assert_eq!((seen.late, seen.next, notified), (late, next.map(at), woken), "{story}");
        }
    }
}
