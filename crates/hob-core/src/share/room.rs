//! Which instance may start next: where memory or the number of starts is short, apps take turns.
//!
//! **Why.** Started without asking, instances take memory until the kernel kills something, and a storm of starts
//! takes the processors from calls that run. So each start asks for what it will need and waits until there is
//! room; it waits in the line of its app, so that the storm of one app does not hold up the start of another. Spaces take
//! turns first, and in a space its apps do: a hundred apps of one space start no more than the only one of another.
//!
//! **How.** [`Room`] holds who waits. What is taken is told by whoever asks ([`Taken`]), since calls that fit are
//! counted without a lock. An instance that does not fit asks for another's end ([`Verdict::Reclaim`]): idle ones
//! are stopped, the least recently used first. Nobody is overtaken for lack of memory, so that a large instance
//! is not starved by small ones. Where nothing runs, anything may start: a node always gets on. A space has a quota of
//! its own besides ([`Quota`]): whoever does not fit into that waits for instances of the own space to end, and holds
//! up nobody else. Where there are several spaces, none has all of the starts that may go on at a time: one whose
//! instances never become ready would keep those of all others from starting.
//!
//! **Invariants**, checked in `tests`: what is admitted fits, or is alone; starts at a time are bounded, and those of one
//! space by one less; each space, and each app of it, is served in its turn.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

/// A start that waits; numbers grow.
pub type Ticket = u64;

/// What a start asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Number of the app.
    pub app: u32,
    /// Number of its space.
    pub space: u32,
    /// Memory that the instance is taken to need.
    pub bytes: u64,
    /// Whether it is one of the starts of which only some may go on at a time.
    pub slow: bool,
}

/// What is taken at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Memory of everything that was admitted and is not over, bytes.
    pub bytes: u64,
    /// Of these, what is being given back: instances that were asked to end.
    pub leaving_bytes: u64,
    /// The machine has little memory left, whatever was reckoned.
    pub tight: bool,
    /// Guests wait for a processor: fewer starts at a time.
    pub crowded: bool,
    /// There are several spaces, whether they wait or not.
    pub shared: bool,
}

/// How one more instance fits into its space's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// It does.
    Fits,
    /// An instance of the space has to end first.
    Full,
    /// Those that are asked to end already are enough.
    Soon,
}

/// What to do about those that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This one may start; its memory counts as taken from here on.
    Admit(Ticket, Ask),
    /// An idle instance has to end first.
    Reclaim,
    /// An idle instance of this space has to end first.
    ReclaimOf(u32),
    /// Something has to end or to have started first.
    Wait,
}

/// Who waits to start.
#[derive(Debug)]
pub struct Room {
    budget_bytes: u64,
    starts_max: u32,
    /// Slow starts that go on, of each space that has any.
    starting: BTreeMap<u32, u32>,
    /// Spaces that wait, the next first, and the apps of each that do.
    line: VecDeque<(u32, VecDeque<u32>)>,
    asks: BTreeMap<u32, BTreeMap<Ticket, Ask>>,
    /// Space and app of each ticket.
    whose: BTreeMap<Ticket, (u32, u32)>,
    next: Ticket,
}

impl Room {
    /// So much memory, and so many slow starts at a time (at least 1).
    pub fn new(budget_bytes: u64, starts_max: u32) -> Self {
        Self {
            budget_bytes,
            starts_max: starts_max.max(1),
            starting: BTreeMap::new(),
            line: VecDeque::new(),
            asks: BTreeMap::new(),
            whose: BTreeMap::new(),
            next: 1,
        }
    }

    /// Memory that instances may have together, bytes.
    pub fn budget_bytes(&self) -> u64 {
        self.budget_bytes
    }

    /// Starts that wait.
    pub fn waiting(&self) -> usize {
        self.whose.len()
    }

    /// Slow starts that go on.
    pub fn starting(&self) -> u32 {
        self.starting.values().sum()
    }

    /// Whether one more slow start of a space may go on.
    ///
    /// While guests wait for a processor there are half as many, but a space without any has its one all the same: what
    /// crowds the processors may be the starts of another.
    fn may_start(&self, space: u32, taken: Taken) -> bool {
        let starts_max = if taken.crowded { self.starts_max.div_ceil(2) } else { self.starts_max };
        let (all, own) = (self.starting(), self.starting.get(&space).copied().unwrap_or_default());
        if !taken.shared {
            return all < starts_max;
        }
        let first = own == 0 && all < self.starts_max;
        first || (all < starts_max && own < starts_max.saturating_sub(1).max(1))
    }

    /// Whether an instance of this size fits beside what is taken.
    pub fn fits(&self, bytes: u64, taken: Taken) -> bool {
        taken.bytes == 0 || (!taken.tight && taken.bytes.saturating_add(bytes) <= self.budget_bytes)
    }

    /// A start joins the line of its app.
    pub fn enter(&mut self, ask: Ask) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        self.whose.insert(ticket, (ask.space, ask.app));
        let asks = self.asks.entry(ask.app).or_default();
        if asks.is_empty() {
            match self.line.iter_mut().find(|(space, _)| *space == ask.space) {
                Some((_, apps)) => apps.push_back(ask.app),
                None => self.line.push_back((ask.space, VecDeque::from([ask.app]))),
            }
        }
        asks.insert(ticket, ask);
        ticket
    }

    /// A start that waits gives up.
    pub fn leave(&mut self, ticket: Ticket) {
        let Some((space, app)) = self.whose.remove(&ticket) else { return };
        let Some(asks) = self.asks.get_mut(&app) else { return };
        asks.remove(&ticket);
        if !asks.is_empty() {
            return;
        }
        self.asks.remove(&app);
        if let Some(place) = self.line.iter().position(|(waiting, _)| *waiting == space) {
            self.line[place].1.retain(|waiting| *waiting != app);
            if self.line[place].1.is_empty() {
                self.line.remove(place);
            }
        }
    }

    /// Whoever was served goes behind the others.
    fn served(&mut self, space: u32, app: u32) {
        let Some(place) = self.line.iter().position(|(waiting, _)| *waiting == space) else { return };
        let Some((_, mut apps)) = self.line.remove(place) else { return };
        if let Some(place) = apps.iter().position(|waiting| *waiting == app) {
            apps.remove(place);
            apps.push_back(app);
        }
        self.line.push_back((space, apps));
    }

    /// A slow start of a space is over.
    pub fn started(&mut self, space: u32) {
        if let Entry::Occupied(mut own) = self.starting.entry(space) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }

    /// Looks whether somebody may start now; `quota` tells how one fits into its space's. Asked again until it admits
    /// nobody.
    pub fn next(&mut self, taken: Taken, quota: impl Fn(&Ask) -> Quota) -> Verdict {
        let (mut otherwise, mut full) = (Verdict::Wait, Vec::new());
        for app in self.line.iter().flat_map(|(_, apps)| apps) {
            let first = self.asks.get(app).and_then(BTreeMap::first_key_value);
            let Some((ticket, ask)) = first.map(|(ticket, ask)| (*ticket, *ask)) else { continue };
            if ask.slow && !self.may_start(ask.space, taken) {
                continue;
            }
            // In a space too nobody is overtaken for lack of memory.
            let fit = if full.contains(&ask.space) { Quota::Soon } else { quota(&ask) };
            if fit != Quota::Fits {
                if fit == Quota::Full && otherwise == Verdict::Wait {
                    otherwise = Verdict::ReclaimOf(ask.space);
                }
                full.push(ask.space);
                continue;
            }
            if !self.fits(ask.bytes, taken) {
                let soon_bytes = taken.bytes.saturating_sub(taken.leaving_bytes);
                let enough = soon_bytes.saturating_add(ask.bytes) <= self.budget_bytes || soon_bytes == 0;
                return if taken.leaving_bytes > 0 && enough { Verdict::Wait } else { Verdict::Reclaim };
            }
            self.leave(ticket);
            self.served(ask.space, ask.app);
            if ask.slow {
                *self.starting.entry(ask.space).or_default() += 1;
            }
            return Verdict::Admit(ticket, ask);
        }
        otherwise
    }
}

#[cfg(test)]
mod tests;
