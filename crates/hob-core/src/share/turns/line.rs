//! Clocks of those who share something, and who of those that wait comes next.
//!
//! **How.** A clock says what somebody has spent; the line is ordered by it, then by who joined first. What a turn costs is
//! taken to be [`QUANTUM_NS`] until it is over.
//!
//! **Not here:** who the members are, and what of theirs waits.

use super::QUANTUM_NS;
use crate::limit::TURN_CLOCKS_SWEPT_ABOVE;
use std::collections::{BTreeSet, HashMap};

/// One member.
#[derive(Debug, Default)]
struct Clock {
    spent_ns: u64,
    /// Its place in the line, while it waits.
    place: Option<(u64, u64)>,
    /// Turns that it has.
    turns: u32,
}

impl Clock {
    /// Whether it would begin again at the same place: sooner, forgetting it would give it a turn for nothing.
    fn is_past(&self, served_ns: u64) -> bool {
        self.turns == 0 && self.place.is_none() && self.spent_ns.saturating_add(QUANTUM_NS) <= served_ns
    }
}

/// Members by their clocks.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// The clock of the member that was served last, at that moment, or of one before that was further.
    served_ns: u64,
    clocks: HashMap<u32, Clock>,
    /// Members that wait.
    waiting: BTreeSet<(u64, u64, u32)>,
    joined: u64,
    /// With so many clocks those of the past are looked for.
    swept_at: usize,
}

impl Line {
    /// Who comes next of those that wait.
    pub(super) fn first(&self) -> Option<u32> {
        self.waiting.first().map(|(_, _, number)| *number)
    }

    /// Whether none of those that wait would be served before a member that asks now.
    pub(super) fn comes_next(&self, number: u32) -> bool {
        let (Some(first), Some(clock)) = (self.waiting.first(), self.clocks.get(&number)) else {
            return true;
        };
        match clock.place {
            Some(_) => first.2 == number,
            None => clock.spent_ns < first.0,
        }
    }

    /// Whether a member has a turn now.
    pub(super) fn has_turn(&self, number: u32) -> bool {
        self.clocks.get(&number).is_some_and(|clock| clock.turns > 0)
    }

    /// Whether a member has a clock.
    pub(super) fn knows(&self, number: u32) -> bool {
        self.clocks.contains_key(&number)
    }

    /// Members that have one.
    #[cfg(test)]
    pub(super) fn clocks(&self) -> usize {
        self.clocks.len()
    }

    /// A member wants something. If nothing of it waits, it is behind the others by one turn at most. Returns whether
    /// others were forgotten, of whom nothing is to be known.
    pub(super) fn arrive(&mut self, number: u32) -> bool {
        let sweeps = self.clocks.len() >= self.swept_at.max(TURN_CLOCKS_SWEPT_ABOVE);
        if sweeps {
            self.clocks.retain(|_, clock| !clock.is_past(self.served_ns));
            self.swept_at = 2 * self.clocks.len();
        }
        let clock = self.clocks.entry(number).or_default();
        if clock.place.is_none() {
            clock.spent_ns = clock.spent_ns.max(self.served_ns.saturating_sub(QUANTUM_NS));
        }
        sweeps
    }

    /// A member gets a turn.
    pub(super) fn serve(&mut self, number: u32) {
        if let Some(clock) = self.clocks.get_mut(&number) {
            self.served_ns = self.served_ns.max(clock.spent_ns);
            clock.spent_ns += QUANTUM_NS;
            clock.turns += 1;
        }
    }

    /// A turn of a member is over, and has cost so much. Returns whether it was the last that is known of the member.
    pub(super) fn charge(&mut self, number: u32, spent_ns: u64) -> bool {
        let Some(clock) = self.clocks.get_mut(&number) else { return false };
        clock.turns = clock.turns.saturating_sub(1);
        clock.spent_ns = clock.spent_ns.saturating_sub(QUANTUM_NS).saturating_add(spent_ns);
        if clock.place.is_some() {
            // Its clock has moved, and with it its place.
            self.join(number, true);
            return false;
        }
        let past = clock.is_past(self.served_ns);
        if past {
            self.clocks.remove(&number);
        }
        past
    }

    /// Puts a member at its place, or takes it out when nothing of it waits.
    pub(super) fn join(&mut self, number: u32, waits: bool) {
        let Some(clock) = self.clocks.get_mut(&number) else { return };
        let joined = clock.place.take().map(|(spent_ns, joined)| {
            self.waiting.remove(&(spent_ns, joined, number));
            joined
        });
        if !waits {
            return;
        }
        let joined = joined.filter(|_| clock.turns == 0).unwrap_or_else(|| {
            self.joined += 1;
            self.joined
        });
        clock.place = Some((clock.spent_ns, joined));
        self.waiting.insert((clock.spent_ns, joined, number));
    }
}
