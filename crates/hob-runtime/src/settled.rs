//! A future that wakes itself while it is polled is polled again at once, or when its worker has nothing else to do.
//!
//! **Why.** Parts of one task wake each other: a connection wakes whoever reads its body, and the other way round. For the
//! runtime that is a task that gives up its turn: it puts it at the end of its queue and wakes another thread to look
//! after it. That costs more than polling it again.
//!
//! **How.** A wake-up while the future is polled is noted ([`Noting`]), any other reaches the task. [`settled`] polls again
//! at once. A guest that tidies up after its answer goes on [`later`], so that the answer comes first.
//!
//! **Invariants.** A wake-up is never lost: it comes before the future has been polled, and is noted, or after, and wakes the
//! task. Who wakes itself [`AGAIN_MAX`] times does give up its turn.
//!
//! **Not here:** guests that compute. They wake themselves to let others run, on whatever thread.

use futures_util::task::AtomicWaker;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// How often a future is polled again before the runtime may run others.
const AGAIN_MAX: usize = 4;

/// `future`, polled until it waits for something else than itself.
pub(crate) fn settled<F: Future>(future: F) -> Settled<F> {
    Settled { noting: Noting::default(), future: Box::pin(future) }
}

/// See [`settled`].
pub(crate) struct Settled<F> {
    noting: Noting,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Settled<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        for _ in 0..=AGAIN_MAX {
            let (polled, itself) = this.noting.poll(cx, |cx| this.future.as_mut().poll(cx));
            if polled.is_ready() || !itself {
                return polled;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Has the task polled again when its worker thread has looked after its other tasks and its sockets. No other thread is
/// woken for it, as for a task that wakes itself.
pub(crate) fn later(cx: &mut Context<'_>) {
    // The first poll of it hands over the waker, and nothing is left to be waited for.
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

/// Notes whether a future wakes itself while it is polled. Always of the same future.
pub(crate) struct Noting {
    note: Arc<Note>,
    /// Of the note.
    waker: Waker,
}

impl Default for Noting {
    fn default() -> Self {
        let note = Arc::<Note>::default();
        Self { waker: Waker::from(Arc::clone(&note)), note }
    }
}

impl Noting {
    /// Polls the future; and whether it has woken itself. Then the task was not woken: if the future waits, it is to be
    /// polled again.
    pub(crate) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> T,
    ) -> (T, bool) {
        self.note.task.register(cx.waker());
        self.note.woken.store(false, Ordering::SeqCst);
        self.note.polled.store(true, Ordering::SeqCst);
        let polled = poll(&mut Context::from_waker(&self.waker));
        self.note.polled.store(false, Ordering::SeqCst);
        (polled, self.note.woken.load(Ordering::SeqCst))
    }
}

#[derive(Default)]
struct Note {
    polled: AtomicBool,
    woken: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if !self.polled.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AGAIN_MAX, settled};
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll, Wake, Waker};

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn wakes_by_itself_are_polls_and_others_wake_the_task() {
        // How often the future wakes itself, how often it is polled then, and how often the task is woken.
        for (itself, polls, wakes) in
            [(0, 1, 0), (1, 2, 0), (AGAIN_MAX, AGAIN_MAX + 1, 0), (usize::MAX, AGAIN_MAX + 1, 1)]
        {
            let (task, polled, given) = (Arc::new(Task::default()), AtomicUsize::new(0), Mutex::new(None));
            let mut future = pin!(settled(poll_fn(|cx| {
                if polled.fetch_add(1, Ordering::SeqCst) < itself {
                    cx.waker().wake_by_ref();
                }
                *given.lock().unwrap() = Some(cx.waker().clone());
                Poll::<()>::Pending
            })));
            let waker = Waker::from(Arc::clone(&task));
            assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            let seen = (polled.load(Ordering::SeqCst), task.0.load(Ordering::SeqCst));
            assert_eq!(seen, (polls, wakes), "{itself}");
            given.lock().unwrap().take().unwrap().wake();
            assert_eq!(task.0.load(Ordering::SeqCst), wakes + 1, "{itself}");
        }
    }
}
