//! Whose guest uses a processor next.
//!
//! **Why.** Guests give the processor back after a few milliseconds, and a queue that is first come, first
//! served would give it to whoever has most of them. Here spaces are served by what they have spent, and in a space
//! its apps are: an app with one guest waits for about one turn of each other app, however many guests those have, and a
//! space with a hundred apps has no more than one with a single app.
//!
//! **How.** As in deficit round robin (Shreedhar and Varghese, 1995) whoever has spent less than its share is served, and
//! what a turn costs is charged afterwards, since nobody knows before. The round is kept as
//! virtual time (start-time fair queueing, Goyal, Vin and Cheng, 1996): each space has a clock that its turns move
//! forward, and the one whose clock is furthest behind comes next; in it the same is done with its apps, each level as one
//! `Line`. Who comes after a pause may be behind the
//! others by one turn and no more: who was quiet goes first, but saves nothing up. Inside an app functions are
//! served round robin, and the guests of a function in the order in which they came.
//!
//! A turn that was given and is not taken up lapses: its guest may hang on a client that reads slowly.
//!
//! **Beside them.** Who calls little would still wait until somebody's turn is over, a few milliseconds for what takes a tenth of one. So there are spare
//! slots, for a guest that is not known to need long turns, of an app that has none and would come next: it runs beside the others at
//! once, and the kernel shares the processors for that moment. Whoever loops has no claim to them after its first turn, nor
//! has an app that spends its share.
//!
//! While one app alone is there it has nobody to be fair to; [`Turns::alone`] tells, so that its guests need not ask.
//!
//! **Invariants**, checked in `tests`: no more turns than there are slots, spare ones included; nobody waits while one that is not
//! spare is free.

mod line;

use crate::limit::{TURN_ALONE_AFTER, TURN_LAPSE, WASM_EPOCH_TICK};
use line::Line;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// A guest that waits for its turn; numbers grow.
pub type Ticket = u64;

/// What a turn is taken to cost until it is over, and what an app that comes back may be behind, nanoseconds.
#[expect(clippy::cast_possible_truncation, reason = "a few milliseconds")]
pub const QUANTUM_NS: u64 = WASM_EPOCH_TICK.as_nanos() as u64;

/// Whose a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// Number of the space.
    pub space: u32,
    /// Number of the app, unique among those of all spaces.
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
    brief: bool,
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

/// The guests of one app that wait.
#[derive(Debug, Default)]
struct Queue {
    /// Functions of which a guest waits, the next first.
    functions: VecDeque<u32>,
    guests: BTreeMap<u32, BTreeSet<Ticket>>,
}

/// The apps of one space.
#[derive(Debug, Default)]
struct Space {
    line: Line,
    queues: HashMap<u32, Queue>,
}

/// Who uses the processors, and who waits for them. All times are nanoseconds of one clock that never goes back.
#[derive(Debug)]
pub struct Turns {
    slots: u32,
    /// Slots beside these.
    spare: u32,
    taken: u32,
    line: Line,
    /// Those that the line knows.
    spaces: HashMap<u32, Space>,
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
    /// Nobody is there; `slots` guests may run at a time, at least 1, and `spare` more that need little.
    pub fn new(slots: u32, spare: u32) -> Self {
        Self {
            slots: slots.max(1),
            spare,
            taken: 0,
            line: Line::default(),
            spaces: HashMap::new(),
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

    /// A guest asks for a turn. It is `brief` if it is new, or gave its last one back after a part of it.
    pub fn enter(&mut self, who: Who, brief: bool, now_ns: u64) -> Entry {
        self.notice(who.app, now_ns);
        self.arrive(who);
        let free = self.taken < self.slots && self.line.first().is_none();
        let beside = !free && brief && self.has_spare() && self.comes_next(who);
        if !free && !beside {
            return Entry::Wait(self.queue(who, brief, now_ns));
        }
        self.serve(who.space, who.app);
        if beside {
            // Other apps of its space may wait, whose place has moved.
            self.join(who.space, who.app);
        }
        self.taken += 1;
        Entry::Turn
    }

    fn has_spare(&self) -> bool {
        self.taken < self.slots.saturating_add(self.spare)
    }

    /// Whether its app has no turn, and nobody who waits would be served before it, of its own app neither.
    fn comes_next(&self, who: Who) -> bool {
        let space = self.spaces.get(&who.space);
        space.is_some_and(|space| {
            !space.queues.contains_key(&who.app)
                && !space.line.has_turn(who.app)
                && space.line.comes_next(who.app)
        }) && self.line.comes_next(who.space)
    }

    /// Whoever was away has saved nothing up.
    fn arrive(&mut self, who: Who) {
        if self.line.arrive(who.space) {
            self.spaces.retain(|number, _| self.line.knows(*number));
        }
        self.spaces.entry(who.space).or_default().line.arrive(who.app);
    }

    /// Puts a guest behind the others of its function.
    fn queue(&mut self, who: Who, brief: bool, now_ns: u64) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        self.tickets.insert(ticket, Waiting { who, brief, since_ns: now_ns, state: State::Waits });
        self.waiting += 1;
        let queue = self.spaces.entry(who.space).or_default().queues.entry(who.app).or_default();
        let guests = queue.guests.entry(who.function).or_default();
        if guests.is_empty() {
            queue.functions.push_back(who.function);
        }
        guests.insert(ticket);
        self.join(who.space, who.app);
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

    /// A guest gives its turn back, having spent so much processor time. Those whose turn has come are appended to
    /// `told`.
    pub fn leave(&mut self, who: Who, spent_ns: u64, now_ns: u64, told: &mut Vec<Ticket>) {
        self.give_back(who, spent_ns);
        self.hand_out(now_ns, told);
    }

    /// As [`Turns::leave`], but the guest asks for its next turn in the same moment: were it to come back a moment
    /// later, another app would have what is still its own.
    pub fn stay(&mut self, who: Who, spent_ns: u64, now_ns: u64, told: &mut Vec<Ticket>) -> Ticket {
        self.give_back(who, spent_ns);
        self.arrive(who);
        let ticket = self.queue(who, false, now_ns);
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
                self.give_back(waiting.who, 0);
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
                let who = waiting.who;
                self.give_back(who, 0);
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
    fn serve(&mut self, space: u32, app: u32) {
        self.line.serve(space);
        if let Some(space) = self.spaces.get_mut(&space) {
            space.line.serve(app);
        }
    }

    fn give_back(&mut self, who: Who, spent_ns: u64) {
        self.taken = self.taken.saturating_sub(1);
        if let Some(space) = self.spaces.get_mut(&who.space) {
            space.line.charge(who.app, spent_ns);
        }
        // Of a space that has nothing left to pay for nobody waits.
        if self.line.charge(who.space, spent_ns) {
            self.spaces.remove(&who.space);
        }
    }

    fn hand_out(&mut self, now_ns: u64, told: &mut Vec<Ticket>) {
        while let Some(space) = self.line.first() {
            if self.taken >= self.slots && !(self.has_spare() && self.is_brief(space)) {
                return;
            }
            let Some((app, ticket)) = self.pop(space) else { return };
            self.taken += 1;
            self.serve(space, app);
            self.join(space, app);
            if let Some(waiting) = self.tickets.get_mut(&ticket) {
                waiting.state = State::Given(now_ns);
            }
            self.given.push_back((now_ns, ticket));
            told.push(ticket);
        }
    }

    /// Whether the next guest of a space may have a spare slot.
    fn is_brief(&self, space: u32) -> bool {
        let next = || {
            let Space { line, queues } = self.spaces.get(&space)?;
            let app = line.first()?;
            let queue = queues.get(&app).filter(|_| !line.has_turn(app))?;
            let ticket = queue.guests.get(queue.functions.front()?)?.first()?;
            Some(self.tickets.get(ticket)?.brief)
        };
        next().unwrap_or(false)
    }

    /// Takes the next guest of a space out of its queue.
    fn pop(&mut self, space: u32) -> Option<(u32, Ticket)> {
        let Space { line, queues } = self.spaces.get_mut(&space)?;
        let app = line.first()?;
        let queue = queues.get_mut(&app)?;
        let function = queue.functions.pop_front()?;
        let guests = queue.guests.get_mut(&function)?;
        let ticket = guests.pop_first()?;
        if guests.is_empty() {
            queue.guests.remove(&function);
        } else {
            queue.functions.push_back(function);
        }
        self.waiting -= 1;
        Some((app, ticket))
    }

    /// Takes a guest that waits out of its queue.
    fn forget(&mut self, ticket: Ticket, who: Who) {
        self.waiting -= 1;
        let space = self.spaces.get_mut(&who.space);
        let Some(queue) = space.and_then(|space| space.queues.get_mut(&who.app)) else { return };
        if let Some(guests) = queue.guests.get_mut(&who.function) {
            guests.remove(&ticket);
            if guests.is_empty() {
                queue.guests.remove(&who.function);
                queue.functions.retain(|function| *function != who.function);
            }
        }
        self.join(who.space, who.app);
    }

    /// Puts an app and its space at their places in their lines, or takes them out when none of their guests waits.
    fn join(&mut self, number: u32, app: u32) {
        let Some(space) = self.spaces.get_mut(&number) else { return };
        let waits = space.queues.get(&app).is_some_and(|queue| !queue.functions.is_empty());
        space.line.join(app, waits);
        if !waits {
            space.queues.remove(&app);
        }
        self.line.join(number, space.line.first().is_some());
    }
}

#[cfg(test)]
mod tests;
