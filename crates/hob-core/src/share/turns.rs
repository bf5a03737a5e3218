//! Whose guest uses a processor next.
//!
//! **Why.** Guests give the processor back after a few milliseconds, and a queue that is first come, first
//! served would give it to whoever has most of them. Here apps are served by what they have spent, so that an
//! app with one guest waits for about one turn of each other app, however many guests those have.
//!
//! **How.** As in deficit round robin (Shreedhar and Varghese, 1995) an app is served while it has spent less
//! than its share, and what a turn costs is charged afterwards, since nobody knows before. The round is kept as
//! virtual time (start-time fair queueing, Goyal, Vin and Cheng, 1996): each app has a clock that its turns move
//! forward, and the app whose clock is furthest behind comes next. Who comes after a pause may be behind the
//! others by one turn and no more: a quiet app goes first, but saves nothing up. Inside an app functions are
//! served round robin, and the guests of a function in the order in which they came.
//!
//! A turn that was given and is not taken up lapses: its guest may hang on a client that reads slowly.
//!
//! While one app alone is there it has nobody to be fair to; [`Turns::alone`] tells, so that its guests need not ask.
//!
//! **Invariants**, checked in `tests`: no more turns than there are slots; nobody waits while a slot is free.

use crate::limit::{TURN_ALONE_AFTER, TURN_LAPSE, WASM_EPOCH_TICK};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// A guest that waits for its turn; numbers grow.
pub type Ticket = u64;

/// What a turn is taken to cost until it is over, and what an app that comes back may be behind, nanoseconds.
#[expect(clippy::cast_possible_truncation, reason = "a few milliseconds")]
pub const QUANTUM_NS: u64 = WASM_EPOCH_TICK.as_nanos() as u64;

/// Whose a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// Number of the app.
    pub app: u32,
    /// Number of the function, unique in its app.
    pub function: u32,
}

/// The answer to a guest that asks for a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It has one.
    Turn,
    /// It waits, with this ticket.
    Wait(Ticket),
}

/// How a ticket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its turn has come, after so many nanoseconds; the ticket is used up.
    Turn(u64),
    /// It waits.
    Wait,
    /// Its turn has come and lapsed: it has to ask anew. It has waited so many nanoseconds.
    Lapsed(u64),
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    who: Who,
    since_ns: u64,
    /// When its turn came, and when it lapsed.
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waits,
    Given(u64),
    Lapsed(u64),
}

#[derive(Debug, Default)]
struct App {
    /// Its clock.
    spent_ns: u64,
    /// Its place in the line, while a guest of it waits.
    place: Option<(u64, u64)>,
    /// Functions of which a guest waits, the next first.
    functions: VecDeque<u32>,
    guests: BTreeMap<u32, BTreeSet<Ticket>>,
    /// Turns that it has.
    turns: u32,
}

/// Who uses the processors, and who waits for them. All times are nanoseconds of one clock that never goes back.
#[derive(Debug)]
pub struct Turns {
    slots: u32,
    taken: u32,
    /// The clock of the app that was served last, at that moment, or of one before that was further.
    now_ns: u64,
    apps: HashMap<u32, App>,
    /// Apps that wait, by their clock, then by who joined first.
    line: BTreeSet<(u64, u64, u32)>,
    joined: u64,
    tickets: HashMap<Ticket, Waiting>,
    /// Turns that were given and not yet taken up, the oldest first.
    given: VecDeque<(u64, Ticket)>,
    next: Ticket,
    waiting: usize,
    /// The app that asked last, and since when no other has.
    last: Option<(u32, u64)>,
    alone: Option<u32>,
}

impl Turns {
    /// Nobody is there; `slots` guests may run at a time, at least 1.
    pub fn new(slots: u32) -> Self {
        Self {
            slots: slots.max(1),
            taken: 0,
            now_ns: 0,
            apps: HashMap::new(),
            line: BTreeSet::new(),
            joined: 0,
            tickets: HashMap::new(),
            given: VecDeque::new(),
            next: 1,
            waiting: 0,
            last: None,
            alone: None,
        }
    }

    /// The app that alone has asked for long enough.
    pub fn alone(&self) -> Option<u32> {
        self.alone
    }

    /// Guests that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Guests that have a turn, those included that have not taken it up.
    pub fn taken(&self) -> u32 {
        self.taken
    }

    /// A guest asks for a turn.
    pub fn enter(&mut self, who: Who, now_ns: u64) -> Entry {
        self.notice(who.app, now_ns);
        let served_ns = self.now_ns;
        let app = self.apps.entry(who.app).or_default();
        if app.place.is_none() {
            app.spent_ns = app.spent_ns.max(served_ns.saturating_sub(QUANTUM_NS));
        }
        if self.taken < self.slots && self.line.is_empty() {
            Self::serve(app, &mut self.now_ns);
            self.taken += 1;
            return Entry::Turn;
        }
        Entry::Wait(self.queue(who, now_ns))
    }

    /// Puts a guest behind the others of its function.
    fn queue(&mut self, who: Who, now_ns: u64) -> Ticket {
        let app = self.apps.entry(who.app).or_default();
        let ticket = self.next;
        self.next += 1;
        self.tickets.insert(ticket, Waiting { who, since_ns: now_ns, state: State::Waits });
        self.waiting += 1;
        let guests = app.guests.entry(who.function).or_default();
        if guests.is_empty() {
            app.functions.push_back(who.function);
        }
        guests.insert(ticket);
        self.join(who.app);
        ticket
    }

    /// A guest with a ticket asks whether it may run now.
    pub fn ask(&mut self, ticket: Ticket) -> Standing {
        let Some(waiting) = self.tickets.get(&ticket).copied() else { return Standing::Lapsed(0) };
        match waiting.state {
            State::Waits => Standing::Wait,
            State::Given(at_ns) => {
                self.tickets.remove(&ticket);
                self.given.retain(|(_, given)| *given != ticket);
                Standing::Turn(at_ns.saturating_sub(waiting.since_ns))
            }
            State::Lapsed(at_ns) => {
                self.tickets.remove(&ticket);
                Standing::Lapsed(at_ns.saturating_sub(waiting.since_ns))
            }
        }
    }

    /// A guest of this app gives its turn back, having spent so much processor time. Those whose turn has come
    /// are appended to `told`.
    pub fn leave(&mut self, app: u32, spent_ns: u64, now_ns: u64, told: &mut Vec<Ticket>) {
        self.give_back(app, spent_ns);
        self.hand_out(now_ns, told);
    }

    /// As [`Turns::leave`], but the guest asks for its next turn in the same moment: were it to come back a moment
    /// later, another app would have what is still its own.
    pub fn stay(&mut self, who: Who, spent_ns: u64, now_ns: u64, told: &mut Vec<Ticket>) -> Ticket {
        self.give_back(who.app, spent_ns);
        let least_ns = self.now_ns.saturating_sub(QUANTUM_NS);
        let app = self.apps.entry(who.app).or_default();
        if app.place.is_none() {
            app.spent_ns = app.spent_ns.max(least_ns);
        }
        let ticket = self.queue(who, now_ns);
        self.hand_out(now_ns, told);
        ticket
    }

    /// Whoever holds the ticket is gone.
    pub fn drop_ticket(&mut self, ticket: Ticket, now_ns: u64, told: &mut Vec<Ticket>) {
        let Some(waiting) = self.tickets.remove(&ticket) else { return };
        match waiting.state {
            State::Waits => self.forget(ticket, waiting.who),
            State::Given(_) => {
                self.given.retain(|(_, given)| *given != ticket);
                self.give_back(waiting.who.app, 0);
                self.hand_out(now_ns, told);
            }
            State::Lapsed(_) => {}
        }
    }

    /// Time has passed: turns that were not taken up go to others.
    pub fn tick(&mut self, now_ns: u64, told: &mut Vec<Ticket>) {
        while let Some((at_ns, ticket)) = self.given.front().copied() {
            if u128::from(now_ns.saturating_sub(at_ns)) < TURN_LAPSE.as_nanos() {
                break;
            }
            self.given.pop_front();
            if let Some(waiting) = self.tickets.get_mut(&ticket) {
                waiting.state = State::Lapsed(now_ns);
                let app = waiting.who.app;
                self.give_back(app, 0);
            }
        }
        self.hand_out(now_ns, told);
    }

    /// Whether one app asks alone.
    fn notice(&mut self, app: u32, now_ns: u64) {
        match self.last {
            None => (self.last, self.alone) = (Some((app, now_ns)), Some(app)),
            Some((last, since_ns)) if last == app => {
                if u128::from(now_ns.saturating_sub(since_ns)) >= TURN_ALONE_AFTER.as_nanos() {
                    self.alone = Some(app);
                }
            }
            Some(_) => (self.last, self.alone) = (Some((app, now_ns)), None),
        }
    }

    /// Charges a turn before its cost is known.
    fn serve(app: &mut App, served_ns: &mut u64) {
        *served_ns = (*served_ns).max(app.spent_ns);
        app.spent_ns += QUANTUM_NS;
        app.turns += 1;
    }

    fn give_back(&mut self, number: u32, spent_ns: u64) {
        self.taken = self.taken.saturating_sub(1);
        let Some(app) = self.apps.get_mut(&number) else { return };
        app.turns = app.turns.saturating_sub(1);
        app.spent_ns = app.spent_ns.saturating_sub(QUANTUM_NS).saturating_add(spent_ns);
        let waits = app.place.is_some();
        if waits {
            // Its clock has moved, and with it its place.
            self.join(number);
        } else if app.turns == 0 && app.spent_ns.saturating_add(QUANTUM_NS) <= self.now_ns {
            // So far behind it would begin again anyway; sooner, forgetting it would give it a turn for nothing.
            self.apps.remove(&number);
        }
    }

    fn hand_out(&mut self, now_ns: u64, told: &mut Vec<Ticket>) {
        while self.taken < self.slots {
            let Some((_, _, number)) = self.line.first().copied() else { return };
            let Some(ticket) = self.pop(number) else { return };
            self.taken += 1;
            if let Some(app) = self.apps.get_mut(&number) {
                Self::serve(app, &mut self.now_ns);
            }
            self.join(number);
            if let Some(waiting) = self.tickets.get_mut(&ticket) {
                waiting.state = State::Given(now_ns);
            }
            self.given.push_back((now_ns, ticket));
            told.push(ticket);
        }
    }

    /// Takes the next guest of an app out of its queue.
    fn pop(&mut self, number: u32) -> Option<Ticket> {
        let app = self.apps.get_mut(&number)?;
        let function = app.functions.pop_front()?;
        let guests = app.guests.get_mut(&function)?;
        let ticket = guests.pop_first()?;
        if guests.is_empty() {
            app.guests.remove(&function);
        } else {
            app.functions.push_back(function);
        }
        self.waiting -= 1;
        Some(ticket)
    }

    /// Takes a guest that waits out of its queue.
    fn forget(&mut self, ticket: Ticket, who: Who) {
        self.waiting -= 1;
        let Some(app) = self.apps.get_mut(&who.app) else { return };
        if let Some(guests) = app.guests.get_mut(&who.function) {
            guests.remove(&ticket);
            if guests.is_empty() {
                app.guests.remove(&who.function);
                app.functions.retain(|function| *function != who.function);
            }
        }
        self.join(who.app);
    }

    /// Puts an app at its place in the line, or takes it out when none of its guests waits.
    fn join(&mut self, number: u32) {
        let Some(app) = self.apps.get_mut(&number) else { return };
        let joined = app.place.map(|(spent_ns, joined)| {
            self.line.remove(&(spent_ns, joined, number));
            joined
        });
        app.place = None;
        if app.functions.is_empty() {
            return;
        }
        let joined = joined.filter(|_| app.turns == 0).unwrap_or_else(|| {
            self.joined += 1;
            self.joined
        });
        app.place = Some((app.spent_ns, joined));
        self.line.insert((app.spent_ns, joined, number));
    }
}

#[cfg(test)]
mod tests;
