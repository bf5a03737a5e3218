//! A guest's turns on a processor: asked for before each poll, given back after it.
//!
//! **How.** Whoever has no turn waits in [`hob_core::share::turns`] and is woken when it comes. A guest that was
//! made to yield is woken by wasmtime while it is polled ([`Flag`]), and asks for its next turn as it gives this one
//! back. While
//! one app alone is there ([`Table::alone`]), guests that answer at once ask for nothing.
//!
//! **Invariants.** A guest that is dropped gives up its place or its turn. A turn that comes while nobody polls
//! the guest lapses at one of the next ticks, and goes to another.

use super::Member;
use crate::cpu::CpuTotal;
use hob_core::share::turns::{Entry, QUANTUM_NS, Standing, Ticket, Turns, Who};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};

/// A guest that has spent so much in one poll needs turns even when its app is alone: guests that loop must not
/// take every worker thread.
const LONG_NS: u64 = QUANTUM_NS / 4;

/// Who uses the processors.
pub(super) struct Table {
    state: Mutex<State>,
    /// The app that is alone; 0 when there are several.
    alone: AtomicU64,
}

struct State {
    turns: Turns,
    /// Of those who wait.
    wakers: HashMap<Ticket, Waker>,
    /// Kept between steps, so that a step allocates nothing.
    told: Vec<Ticket>,
    woken: Vec<Waker>,
}

impl Table {
    pub(super) fn new(slots: u32, spare: u32) -> Self {
        let turns = Turns::new(slots, spare);
        let state = State { turns, wakers: HashMap::new(), told: Vec::new(), woken: Vec::new() };
        Self { state: Mutex::new(state), alone: AtomicU64::new(0) }
    }

    /// Guests that have a turn, and that wait for one.
    pub(super) fn numbers(&self) -> (u32, usize) {
        let state = self.lock();
        (state.turns.taken(), state.turns.waiting())
    }

    /// Whether guests wait for a processor.
    pub(super) fn crowded(&self) -> bool {
        self.lock().turns.waiting() > 0
    }

    pub(super) fn tick(&self, now_ns: u64) {
        self.change(|turns, told| turns.tick(now_ns, told));
    }

    fn enter(&self, (who, brief): (Who, bool), now_ns: u64, context: &Context<'_>) -> Entry {
        let mut state = self.lock();
        let entry = state.turns.enter(who, brief, now_ns);
        if let Entry::Wait(ticket) = entry {
            state.wakers.insert(ticket, context.waker().clone());
        }
        let alone = state.turns.alone().map_or(0, |app| u64::from(app) + 1);
        if self.alone.load(Ordering::Relaxed) != alone {
            self.alone.store(alone, Ordering::Relaxed);
        }
        entry
    }

    fn ask(&self, ticket: Ticket, context: &Context<'_>) -> Standing {
        let mut state = self.lock();
        let standing = state.turns.ask(ticket);
        match standing {
            Standing::Wait => {
                let waker = state.wakers.entry(ticket).or_insert_with(|| context.waker().clone());
                waker.clone_from(context.waker());
            }
            Standing::Turn(_) | Standing::Lapsed(_) => drop(state.wakers.remove(&ticket)),
        }
        standing
    }

    fn leave(&self, who: Who, spent_ns: u64, now_ns: u64) {
        self.change(|turns, told| turns.leave(who, spent_ns, now_ns, told));
    }

    fn stay(&self, who: Who, spent_ns: u64, now_ns: u64, context: &Context<'_>) -> Ticket {
        let mut next = 0;
        let waker = context.waker();
        self.change_with(|turns, wakers, told| {
            next = turns.stay(who, spent_ns, now_ns, told);
            // It was woken when it was made to yield; its turn may have come already.
            if !told.contains(&next) {
                wakers.insert(next, waker.clone());
            }
        });
        next
    }

    fn drop_ticket(&self, ticket: Ticket, now_ns: u64) {
        let waker = self.lock().wakers.remove(&ticket);
        drop(waker);
        self.change(|turns, told| turns.drop_ticket(ticket, now_ns, told));
    }

    /// Changes who has a turn, and wakes those whose turn has come; outside the lock, since a waker may do
    /// anything.
    fn change(&self, change: impl FnOnce(&mut Turns, &mut Vec<Ticket>)) {
        self.change_with(|turns, _, told| change(turns, told));
    }

    fn change_with(&self, change: impl FnOnce(&mut Turns, &mut HashMap<Ticket, Waker>, &mut Vec<Ticket>)) {
        let mut woken = {
            let mut state = self.lock();
            let State { turns, wakers, told, woken } = &mut *state;
            change(turns, wakers, told);
            if told.is_empty() {
                return;
            }
            woken.extend(told.drain(..).filter_map(|ticket| wakers.remove(&ticket)));
            std::mem::take(woken)
        };
        woken.drain(..).for_each(Waker::wake);
        self.lock().woken = woken;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turns of one guest.
pub(crate) struct Turn<'a> {
    member: &'a Member,
    state: Has,
    /// Its last poll was a long one.
    long: bool,
    /// Once one was: tells whether it wants to go on.
    flag: Option<Arc<Flag>>,
    waited_ns: u64,
}

#[derive(Clone, Copy)]
enum Has {
    /// Nothing: it is not being polled and does not want to be.
    Nothing,
    Waits(Ticket),
    Turn,
    /// It is polled without a turn.
    Pass,
}

impl<'a> Turn<'a> {
    pub(super) fn new(member: &'a Member) -> Self {
        Self { member, state: Has::Nothing, long: false, flag: None, waited_ns: 0 }
    }

    /// Waits for a turn; when it is there the guest is polled once, and the turn ended.
    pub(crate) fn poll_begin(&mut self, context: &Context<'_>) -> Poll<()> {
        let Member { crowd, who, .. } = self.member;
        loop {
            match self.state {
                Has::Turn | Has::Pass => return Poll::Ready(()),
                Has::Nothing => {
                    let alone = crowd.turns.alone.load(Ordering::Relaxed);
                    if !self.long && alone == u64::from(who.app) + 1 {
                        self.state = Has::Pass;
                        return Poll::Ready(());
                    }
                    match crowd.turns.enter((*who, !self.long), crowd.now_ns(), context) {
                        Entry::Turn => self.state = Has::Turn,
                        Entry::Wait(ticket) => {
                            self.state = Has::Waits(ticket);
                            return Poll::Pending;
                        }
                    }
                }
                Has::Waits(ticket) => match crowd.turns.ask(ticket, context) {
                    Standing::Wait => return Poll::Pending,
                    Standing::Turn(waited_ns) => {
                        self.state = Has::Turn;
                        self.waited_ns += waited_ns;
                    }
                    Standing::Lapsed(waited_ns) => {
                        self.state = Has::Nothing;
                        self.waited_ns += waited_ns;
                    }
                },
            }
        }
    }

    /// The waker for the next poll, where it is another than the task's own.
    pub(crate) fn waker(&mut self, context: &Context<'_>) -> Option<Waker> {
        if self.long && self.flag.is_none() {
            let waker = Mutex::new(context.waker().clone());
            self.flag = Some(Arc::new(Flag { woken: AtomicBool::new(false), waker }));
        }
        self.flag.as_ref().map(|flag| {
            flag.waker().clone_from(context.waker());
            Waker::from(Arc::clone(flag))
        })
    }

    /// Whether the last poll was a long one: others are to have the thread.
    pub(crate) fn was_long(&self) -> bool {
        self.long
    }

    /// The guest was polled and spent so much; it is done, or waits, or was made to yield. Returns how long it had
    /// waited for that.
    pub(crate) fn end(&mut self, spent_ns: u64, done: bool, context: &Context<'_>) -> Duration {
        self.long = spent_ns >= LONG_NS;
        let yields = self.flag.as_ref().is_some_and(|flag| flag.woken.swap(false, Ordering::AcqRel)) && !done;
        let Member { crowd, who, waits, .. } = self.member;
        self.state = match self.state {
            Has::Turn if yields => Has::Waits(crowd.turns.stay(*who, spent_ns, crowd.now_ns(), context)),
            Has::Turn => {
                crowd.turns.leave(*who, spent_ns, crowd.now_ns());
                Has::Nothing
            }
            Has::Nothing | Has::Waits(_) | Has::Pass => Has::Nothing,
        };
        let waited_ns = std::mem::take(&mut self.waited_ns);
        if waited_ns > 0 {
            waits.waited_ns.fetch_add(waited_ns, Ordering::Relaxed);
            waits.waits.fetch_add(1, Ordering::Relaxed);
        }
        Duration::from_nanos(waited_ns)
    }
}

/// Polls `work` to its end, each time when its turn has come, and tells what each poll has spent, nanoseconds as far
/// as they are counted, and how long it has waited for its turn.
pub(crate) async fn metered<F: Future>(
    mut turn: Turn<'_>,
    total: &CpuTotal,
    work: F,
    tell: impl Fn(u64, Duration),
) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|context| {
        ready!(turn.poll_begin(context));
        let before = Stamp::new(total);
        let waker = turn.waker(context);
        let polled = match &waker {
            Some(waker) => work.as_mut().poll(&mut Context::from_waker(waker)),
            None => work.as_mut().poll(context),
        };
        let (spent_ns, counted_ns) = before.spent_ns(total);
        tell(counted_ns, turn.end(spent_ns, polled.is_ready(), context));
        polled
    })
    .await
}

/// Says whether a guest was woken while it was polled: that is how it yields, and it wants to go on.
struct Flag {
    woken: AtomicBool,
    /// Of its task.
    waker: Mutex<Waker>,
}

impl Flag {
    fn waker(&self) -> MutexGuard<'_, Waker> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        let waker = self.waker().clone();
        waker.wake();
    }
}

/// The begin of a poll. Where processor time is not counted, the time that has passed has to do for fair turns.
pub(crate) struct Stamp {
    thread_ns: u64,
    at: Option<Instant>,
}

impl Stamp {
    pub(crate) fn new(total: &CpuTotal) -> Self {
        Self { thread_ns: total.thread_ns(), at: (!total.counts()).then(Instant::now) }
    }

    /// The processor time of the thread at that moment, if it is counted.
    pub(crate) fn thread_ns(&self) -> u64 {
        self.thread_ns
    }

    /// What was spent since, for turns, and what of it counts.
    fn spent_ns(&self, total: &CpuTotal) -> (u64, u64) {
        let counted_ns = total.thread_ns().saturating_sub(self.thread_ns);
        (self.until(self.thread_ns + counted_ns), counted_ns)
    }

    /// What was spent for turns until the thread's time was this.
    pub(crate) fn until(&self, thread_ns: u64) -> u64 {
        match self.at {
            Some(at) => u64::try_from(at.elapsed().as_nanos()).unwrap_or(u64::MAX),
            None => thread_ns.saturating_sub(self.thread_ns),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Member { crowd, who, .. } = self.member;
        match self.state {
            Has::Nothing | Has::Pass => {}
            Has::Waits(ticket) => crowd.turns.drop_ticket(ticket, crowd.now_ns()),
            // The guest's poll has panicked.
            Has::Turn => crowd.turns.leave(*who, 0, crowd.now_ns()),
        }
    }
}
