//! Threads aside, which step back for all others: guests that compute are polled there.
//!
//! **Why.** On the threads of the runtime such a guest stands beside what answers. The kernel gives both the same, and
//! lets an answer wait until a turn is over, some milliseconds for what takes a tenth of one. These threads have a lower priority
//! (`nice`), so that whoever answers has the processor as soon as it is woken.
//!
//! **How.** A guest that computes is an errand: a thread takes it, polls it in its turns as long as it only yields, then
//! brings it back and wakes its task. There are as many threads as there are turns.
//!
//! Where others use all of the machine nothing would be left for these threads. A poll that takes far longer than it
//! spends shows that: then guests compute where all others are polled, for some seconds.
//!
//! **Invariants.** A guest is here, or with one thread, and its turn is where it is: whoever reads nothing of its answer
//! leaves it lying with the errand, but not the turn. Whoever is given up while a thread has it ends there, when that
//! poll is over.

use super::turn::{Flag, Lent, Spent};
use hob_core::limit::{ASIDE_NICENESS, ASIDE_POLLS_MAX, ASIDE_REST, ASIDE_SHARE_PERCENT_MIN, ASIDE_WINDOW};
use rustix::process::setpriority_process;
use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The threads of one node; they end with this.
pub(super) struct Threads {
    shared: Arc<Shared>,
    /// Whether there are any.
    any: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    come: Condvar,
    share: Mutex<Share>,
}

/// What they get of the machine.
#[derive(Default)]
struct Share {
    /// Until when they rest, since that was next to nothing.
    rest: Option<Instant>,
    /// How long polls have taken since it was last judged, and what they have spent of it.
    taken: Duration,
    spent: Duration,
}

#[derive(Default)]
struct Queue {
    errands: VecDeque<Arc<dyn Work>>,
    closed: bool,
}

impl Threads {
    /// Starts so many, or as many as the system allows. They have stepped back then: a worker may do neither later.
    pub(super) fn start(most: u32) -> Self {
        let shared = Arc::<Shared>::default();
        let (stepped, steps) = mpsc::channel();
        for _ in 0..most {
            let (shared, stepped) = (Arc::clone(&shared), stepped.clone());
            // Whoever cannot be started does not count.
            let _ = std::thread::Builder::new().name("hob-guest".to_owned()).spawn(move || {
                step_back();
                // Whoever asked waits for it.
                let _ = stepped.send(());
                shared.live();
            });
        }
        drop(stepped);
        Self { any: steps.iter().take(most as usize).count() > 0, shared }
    }

    /// Whether there are any which get something of the machine. Else guests are polled by their tasks.
    pub(super) fn serve(&self) -> bool {
        if !self.any {
            return false;
        }
        let rest = &mut lock(&self.shared.share).rest;
        if rest.is_some_and(|until| until <= Instant::now()) {
            *rest = None;
        }
        rest.is_none()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        lock(&self.shared.queue).closed = true;
        self.shared.come.notify_all();
    }
}

impl Shared {
    /// A poll has taken so long; whether the threads are starved.
    fn took(&self, elapsed: Duration, spent: Spent) -> bool {
        let share = &mut *lock(&self.share);
        share.taken += elapsed;
        share.spent += Duration::from_nanos(spent.turn_ns);
        if share.taken < ASIDE_WINDOW {
            return false;
        }
        let starved = share.spent * 100 < share.taken * ASIDE_SHARE_PERCENT_MIN;
        (share.taken, share.spent) = Default::default();
        if starved {
            share.rest = Some(Instant::now() + ASIDE_REST);
        }
        starved
    }

    fn send(&self, errand: Arc<dyn Work>) {
        lock(&self.queue).errands.push_back(errand);
        self.come.notify_one();
    }

    fn live(&self) {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(errand) = queue.errands.pop_front() {
                drop(queue);
                errand.work();
                queue = lock(&self.queue);
            } else if queue.closed {
                return;
            } else {
                queue = self.come.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// Gives the calling thread the lowest priority. Where the system refuses that, it keeps its own.
fn step_back() {
    // For the system 0 is the calling thread.
    let _ = setpriority_process(None, ASIDE_NICENESS);
}

trait Work: Send + Sync {
    fn work(self: Arc<Self>);
}

/// What polls a guest once and says what that has spent; and who is told of it, and of how long the guest had waited.
pub(crate) struct Guest<P, F> {
    pub(crate) poll: P,
    pub(crate) tell: F,
}

/// A guest that comes back: it is done, or waits for something else than its turn.
pub(super) struct Back<T, P, F> {
    pub(super) guest: Guest<P, F>,
    pub(super) polled: Poll<T>,
    /// In all of its polls there, nanoseconds as they count for turns.
    pub(super) spent_ns: u64,
    pub(super) turn: Lent,
}

struct Errand<T, P, F> {
    stage: Mutex<Stage<T, P, F>>,
    /// Its turn has come while a thread had it.
    due: AtomicBool,
    /// How often it was polled.
    polls: AtomicU32,
    /// What those have spent.
    spent_ns: AtomicU64,
    flag: Arc<Flag>,
    threads: Arc<Shared>,
    runtime: Handle,
}

enum Stage<T, P, F> {
    /// It has its turn, or waits for it.
    Sent(Guest<P, F>, Lent),
    /// A thread has it.
    Polled,
    Back(Back<T, P, F>),
    Panicked(Box<dyn Any + Send>),
    /// Nobody waits for it any more, or it has been taken.
    Over,
}

impl<T, P, F> Errand<T, P, F> {
    /// Takes the guest, where it waits for a thread.
    fn take(&self) -> Option<(Guest<P, F>, Lent)> {
        let mut stage = lock(&self.stage);
        match std::mem::replace(&mut *stage, Stage::Polled) {
            Stage::Sent(guest, turn) => Some((guest, turn)),
            before => {
                *stage = before;
                None
            }
        }
    }

    /// Puts down what a thread had. Of whoever is given up, nothing is left then.
    fn put(&self, next: Stage<T, P, F>) {
        let mut stage = lock(&self.stage);
        let given_up = match &*stage {
            Stage::Over => Some(next),
            _ => {
                *stage = next;
                None
            }
        };
        drop(stage);
        drop(given_up);
    }
}

impl<T, P, F> Work for Errand<T, P, F>
where
    T: Send + 'static,
    P: FnMut(&mut Context<'_>) -> (Poll<T>, Spent) + Send + 'static,
    F: Fn(Spent, Duration) + Send + 'static,
{
    /// Polls the guest as long as it has turns. While it only yields, its task hears nothing; but comes to look after it
    /// now and then, since it may be over its time.
    fn work(self: Arc<Self>) {
        let _runtime = self.runtime.enter();
        let (turns, flag) = (Waker::from(Arc::clone(&self)), Waker::from(Arc::clone(&self.flag)));
        while let Some((mut guest, mut turn)) = self.take() {
            self.due.store(false, Ordering::SeqCst);
            if turn.poll_begin(&turns).is_pending() {
                self.put(Stage::Sent(guest, turn));
                // Whoever wakes it from here on sends it; who did before has found it taken.
                if !self.due.load(Ordering::SeqCst) {
                    return;
                }
                continue;
            }
            let began = Instant::now();
            let polled = catch_unwind(AssertUnwindSafe(|| (guest.poll)(&mut Context::from_waker(&flag))));
            let (polled, spent) = match polled {
                Ok(polled) => polled,
                Err(panic) => {
                    drop((guest, turn));
                    self.put(Stage::Panicked(panic));
                    return self.flag.returned();
                }
            };
            let waited = turn.end(spent.turn_ns, polled.is_ready(), (&self.flag, &turns));
            (guest.tell)(spent, waited);
            let spent_ns = self.spent_ns.fetch_add(spent.turn_ns, Ordering::Relaxed) + spent.turn_ns;
            let enough = self.polls.fetch_add(1, Ordering::Relaxed) >= ASIDE_POLLS_MAX;
            let starved = self.threads.took(began.elapsed(), spent);
            if turn.goes_on() && !enough && !starved {
                self.put(Stage::Sent(guest, turn));
                continue;
            }
            if turn.goes_on() {
                self.flag.wants_on();
            }
            self.put(Stage::Back(Back { guest, polled, spent_ns, turn }));
            return self.flag.returned();
        }
    }
}

impl<T, P, F> Wake for Errand<T, P, F>
where
    T: Send + 'static,
    P: FnMut(&mut Context<'_>) -> (Poll<T>, Spent) + Send + 'static,
    F: Fn(Spent, Duration) + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        self.due.store(true, Ordering::SeqCst);
        let threads = Arc::clone(&self.threads);
        threads.send(self);
    }
}

/// A guest that is with a thread; dropped, it is given up.
pub(super) struct Away<T, P, F>(Arc<Errand<T, P, F>>);

impl<T, P, F> Away<T, P, F>
where
    T: Send + 'static,
    P: FnMut(&mut Context<'_>) -> (Poll<T>, Spent) + Send + 'static,
    F: Fn(Spent, Duration) + Send + 'static,
{
    /// Has a guest that has its turn polled by a thread. Inside a runtime.
    pub(super) fn send(threads: &Threads, (guest, turn): (Guest<P, F>, Lent), flag: Arc<Flag>) -> Self {
        flag.leaves();
        let errand = Arc::new(Errand {
            stage: Mutex::new(Stage::Sent(guest, turn)),
            due: AtomicBool::new(false),
            polls: AtomicU32::new(0),
            spent_ns: AtomicU64::new(0),
            flag,
            threads: Arc::clone(&threads.shared),
            runtime: Handle::current(),
        });
        threads.shared.send(Arc::clone(&errand) as Arc<dyn Work>);
        Self(errand)
    }

    /// The guest, and what came of it; the task that was told to the flag is woken then.
    pub(super) fn poll(&self) -> Poll<Back<T, P, F>> {
        let mut stage = lock(&self.0.stage);
        match std::mem::replace(&mut *stage, Stage::Over) {
            Stage::Back(back) => Poll::Ready(back),
            Stage::Panicked(panic) => {
                drop(stage);
                resume_unwind(panic)
            }
            before => {
                *stage = before;
                Poll::Pending
            }
        }
    }
}

impl<T, P, F> Drop for Away<T, P, F> {
    fn drop(&mut self) {
        let before = std::mem::replace(&mut *lock(&self.0.stage), Stage::Over);
        drop(before);
    }
}
