//! A guest's turns on a processor: asked for before each poll, given back after it.
//!
//! **How.** Whoever has no turn waits in [`hob_core::share::turns`] and is woken when it comes. A guest that was
//! made to yield is woken by wasmtime while it is polled ([`Flag`]), and asks for its next turn as it gives this one
//! back. While
//! one app alone is there ([`Table::alone`]), guests that answer at once ask for nothing. Who has computed is polled aside
//! from then on, and so are the next guests of its function at first ([`super::guest`]).
//!
//! **Invariants.** A guest that is dropped gives up its place or its turn. A turn that comes while nobody polls
//! the guest lapses at one of the next ticks, and goes to another.

use super::{Crowd, Member, Waits};
use crate::cpu::CpuTotal;
use hob_core::limit::ASIDE_POLLS;
use hob_core::share::turns::{Entry, QUANTUM_NS, Standing, Ticket, Turns, Who};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// A guest that has spent so much without waiting for anything but its turn computes: it needs turns even when its app is
/// alone, since guests that loop must not take every worker thread, and it is polled aside.
const COMPUTES_NS: u64 = QUANTUM_NS / 4;

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

    fn enter(&self, (who, brief): (Who, bool), now_ns: u64, waker: &Waker) -> Entry {
        let mut state = self.lock();
        let entry = state.turns.enter(who, brief, now_ns);
        if let Entry::Wait(ticket) = entry {
            state.wakers.insert(ticket, waker.clone());
        }
        let alone = state.turns.alone().map_or(0, |app| u64::from(app) + 1);
        if self.alone.load(Ordering::Relaxed) != alone {
            self.alone.store(alone, Ordering::Relaxed);
        }
        entry
    }

    fn ask(&self, ticket: Ticket, asks: &Waker) -> Standing {
        let mut state = self.lock();
        let standing = state.turns.ask(ticket);
        match standing {
            Standing::Wait => {
                let waker = state.wakers.entry(ticket).or_insert_with(|| asks.clone());
                waker.clone_from(asks);
            }
            Standing::Turn(_) | Standing::Lapsed(_) => drop(state.wakers.remove(&ticket)),
        }
        standing
    }

    fn leave(&self, who: Who, spent_ns: u64, now_ns: u64) {
        self.change(|turns, told| turns.leave(who, spent_ns, now_ns, told));
    }

    fn stay(&self, who: Who, spent_ns: u64, now_ns: u64, waker: &Waker) -> Ticket {
        let mut next = 0;
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
    /// How many more polls are expected to compute; those are made aside.
    computes: u32,
    /// Whether one did.
    computed: bool,
    /// It is being polled aside, so nobody knows yet.
    away: bool,
    /// What it has spent since it waited last.
    spent_ns: u64,
    /// Once one is to be: tells whether it wants to go on.
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
        let computes = if member.function.computes.load(Ordering::Relaxed) { ASIDE_POLLS } else { 0 };
        Self {
            member,
            state: Has::Nothing,
            computes,
            computed: false,
            away: false,
            spent_ns: 0,
            flag: None,
            waited_ns: 0,
        }
    }

    /// Waits for a turn; when it is there the guest is polled once, and the turn ended.
    pub(crate) fn poll_begin(&mut self, context: &Context<'_>) -> Poll<()> {
        let Member { crowd, who, .. } = self.member;
        if matches!(self.state, Has::Nothing) && self.is_brief() {
            let alone = crowd.turns.alone.load(Ordering::Relaxed);
            if alone == u64::from(who.app) + 1 {
                self.state = Has::Pass;
            }
        }
        self.state.poll_begin((crowd, *who, self.is_brief()), &mut self.waited_ns, context.waker())
    }

    /// The crowd, where the guest is to be polled aside.
    pub(super) fn aside(&self) -> Option<&'a Crowd> {
        (self.computes > 0).then_some(&*self.member.crowd)
    }

    /// Whether its last poll has computed.
    pub(super) fn was_long(&self) -> bool {
        self.computes == ASIDE_POLLS
    }

    /// Whether it is not known to need long turns.
    fn is_brief(&self) -> bool {
        self.computes == 0
    }

    /// What the guest is polled with from the first long poll on, instead of the task's own waker.
    pub(super) fn flag(&mut self, context: &Context<'_>) -> Option<&Arc<Flag>> {
        if !self.is_brief() && self.flag.is_none() {
            let waker = Mutex::new(context.waker().clone());
            let (woken, away) = (AtomicBool::new(false), AtomicBool::new(false));
            self.flag = Some(Arc::new(Flag { woken, away, waker }));
        }
        self.flag.as_ref().inspect(|flag| flag.waker().clone_from(context.waker()))
    }

    /// The guest was polled and spent so much; it is done, or waits, or was made to yield. Returns how long it had
    /// waited for that.
    pub(crate) fn end(&mut self, spent_ns: u64, done: bool, context: &Context<'_>) -> Duration {
        let yields = self.flag.as_ref().is_some_and(|flag| flag.take_woken()) && !done;
        let Member { crowd, who, .. } = self.member;
        self.state = self.state.give_back((crowd, *who), spent_ns, yields.then(|| context.waker()));
        self.noted(spent_ns, yields);
        self.member.waits.had(std::mem::take(&mut self.waited_ns))
    }

    /// The guest has spent so much, and waits then, or only yields: a tick may cut its work anywhere. Where it is polled
    /// next depends on that.
    pub(super) fn noted(&mut self, spent_ns: u64, yields: bool) {
        self.away = false;
        self.spent_ns += spent_ns;
        if self.spent_ns >= COMPUTES_NS {
            (self.computes, self.computed) = (ASIDE_POLLS, true);
        } else {
            self.computes = self.computes.saturating_sub(1);
        }
        if !yields {
            self.spent_ns = 0;
        }
    }

    /// The turn, for whoever polls the guest aside.
    pub(super) fn lend(&mut self) -> Lent {
        self.away = true;
        let Member { crowd, who, waits, .. } = self.member;
        let has = std::mem::replace(&mut self.state, Has::Nothing);
        let (crowd, waits) = (Arc::clone(crowd), Arc::clone(waits));
        Lent { crowd, waits, who: *who, has, waited_ns: std::mem::take(&mut self.waited_ns) }
    }
}

impl Waits {
    /// A guest has waited so long for its turn.
    fn had(&self, waited_ns: u64) -> Duration {
        if waited_ns > 0 {
            self.waited_ns.fetch_add(waited_ns, Ordering::Relaxed);
            self.waits.fetch_add(1, Ordering::Relaxed);
        }
        Duration::from_nanos(waited_ns)
    }
}

impl Has {
    /// Waits for a turn, and adds up how long.
    fn poll_begin(
        &mut self,
        (crowd, who, brief): (&Crowd, Who, bool),
        waited_ns: &mut u64,
        waker: &Waker,
    ) -> Poll<()> {
        loop {
            match *self {
                Self::Turn | Self::Pass => return Poll::Ready(()),
                Self::Nothing => match crowd.turns.enter((who, brief), crowd.now_ns(), waker) {
                    Entry::Turn => *self = Self::Turn,
                    Entry::Wait(ticket) => {
                        *self = Self::Waits(ticket);
                        return Poll::Pending;
                    }
                },
                Self::Waits(ticket) => match crowd.turns.ask(ticket, waker) {
                    Standing::Wait => return Poll::Pending,
                    Standing::Turn(ns) => {
                        *self = Self::Turn;
                        *waited_ns += ns;
                    }
                    Standing::Lapsed(ns) => {
                        *self = Self::Nothing;
                        *waited_ns += ns;
                    }
                },
            }
        }
    }

    /// Gives a turn back that has cost so much; with a waker, asks for the next one.
    fn give_back(self, (crowd, who): (&Crowd, Who), spent_ns: u64, again: Option<&Waker>) -> Self {
        match (self, again) {
            (Self::Turn, Some(waker)) => Self::Waits(crowd.turns.stay(who, spent_ns, crowd.now_ns(), waker)),
            (Self::Turn, None) => {
                crowd.turns.leave(who, spent_ns, crowd.now_ns());
                Self::Nothing
            }
            (Self::Nothing | Self::Waits(_) | Self::Pass, _) => Self::Nothing,
        }
    }

    /// Its guest is gone.
    fn give_up(self, (crowd, who): (&Crowd, Who)) {
        match self {
            Self::Nothing | Self::Pass => {}
            Self::Waits(ticket) => crowd.turns.drop_ticket(ticket, crowd.now_ns()),
            // The guest's poll has panicked.
            Self::Turn => crowd.turns.leave(who, 0, crowd.now_ns()),
        }
    }
}

/// A turn that goes along with its guest.
pub(super) struct Lent {
    crowd: Arc<Crowd>,
    waits: Arc<Waits>,
    who: Who,
    has: Has,
    waited_ns: u64,
}

impl Lent {
    /// Waits for the next turn; the waker is woken when it comes.
    pub(super) fn poll_begin(&mut self, waker: &Waker) -> Poll<()> {
        self.has.poll_begin((&self.crowd, self.who, false), &mut self.waited_ns, waker)
    }

    /// The guest was polled aside, and spent so much; one that was made to yield asks for its next turn at once. Returns
    /// how long it had waited.
    pub(super) fn end(&mut self, spent_ns: u64, done: bool, (flag, again): (&Flag, &Waker)) -> Duration {
        let yields = flag.take_woken() && !done;
        self.has = self.has.give_back((&self.crowd, self.who), spent_ns, yields.then_some(again));
        self.waits.had(std::mem::take(&mut self.waited_ns))
    }

    /// Whether it has asked for its next turn.
    pub(super) fn goes_on(&self) -> bool {
        !matches!(self.has, Has::Nothing)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.has.give_up((&self.crowd, self.who));
    }
}

/// What a poll has spent, nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spent {
    /// For turns: where processor time is not counted, the time that has passed.
    pub(crate) turn_ns: u64,
    /// As far as it is counted.
    pub(crate) counted_ns: u64,
}

/// Says whether a guest was woken while it was polled: that is how it yields, and it wants to go on.
pub(super) struct Flag {
    woken: AtomicBool,
    /// A thread polls it, which wakes the task when it brings it back.
    away: AtomicBool,
    /// Of its task.
    waker: Mutex<Waker>,
}

impl Flag {
    fn waker(&self) -> MutexGuard<'_, Waker> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the guest was woken since it was polled last.
    pub(super) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    /// The same, and it counts no more.
    fn take_woken(&self) -> bool {
        self.woken.swap(false, Ordering::SeqCst)
    }

    fn wake_task(&self) {
        let waker = self.waker().clone();
        waker.wake();
    }

    /// The guest yields, but comes back.
    pub(super) fn wants_on(&self) {
        self.woken.store(true, Ordering::SeqCst);
    }

    /// The guest goes to a thread.
    pub(super) fn leaves(&self) {
        self.away.store(true, Ordering::SeqCst);
    }

    /// A thread has brought the guest back.
    pub(super) fn returned(&self) {
        self.away.store(false, Ordering::SeqCst);
        self.wake_task();
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if !self.away.load(Ordering::SeqCst) {
            self.wake_task();
        }
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

    /// What was spent since.
    pub(super) fn spent(&self, total: &CpuTotal) -> Spent {
        let counted_ns = total.thread_ns().saturating_sub(self.thread_ns);
        Spent { turn_ns: self.until(self.thread_ns + counted_ns), counted_ns }
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
        let Member { crowd, who, function, .. } = self.member;
        // Looked at first: it hardly ever changes, and a look keeps the line shared between processors.
        if !self.away && function.computes.load(Ordering::Relaxed) != self.computed {
            function.computes.store(self.computed, Ordering::Relaxed);
        }
        self.state.give_up((crowd, *who));
    }
}
