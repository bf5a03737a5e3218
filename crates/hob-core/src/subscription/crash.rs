//! What a restart without warning means for the records that may have been in flight.
//!
//! **Why.** After a crash two things must hold. No attempt number is used twice, though nobody knows which
//! attempts had begun. And an event that kills the node is given up some day, while those that merely were
//! near it are not.
//!
//! **How.** Each crash leaves a mark: the sequence before which records may have been delivered. A record
//! below `n` marks may have had `n` attempts; so one number per crash stands for thousands of records
//! ([`Marks`]). Suspicion then grows in steps, so that the guilty one is found without slowing the others
//! down for long:
//! 1. below [`CRASHES_NAMED`] crashes, records are delivered as usual;
//! 2. from then on, a snapshot that names the record is saved before each of its attempts, and only a crash
//!    with the record named counts;
//! 3. from [`CRASHES_ALONE`] on, records are besides delivered one at a time, so that the next crash has
//!    one suspect;
//! 4. at [`CRASHES_MAX`] the record is a dead letter. An attempt that ends clears it of all suspicion.
//!
//! A fixed number was chosen, not a multiple of the subscription's attempts: a crash harms every app of the
//! node, so how many of them an event may cause is not the app's choice.

use serde::{Deserialize, Serialize};

/// Crashes after which an attempt is announced in a snapshot of its own.
pub const CRASHES_NAMED: u32 = 2;
/// Crashes after which an attempt is besides the only one of its kind.
pub const CRASHES_ALONE: u32 = 4;
/// Crashes after which the record is given up. A node that somebody else kills again and again in the middle of
/// deliveries blames events that did nothing, so it takes many.
pub const CRASHES_MAX: u32 = 10;
/// Different marks that are kept; above it the two lowest become one.
const MARKS_MAX: usize = 64;

/// The marks of crashes, lowest first, each with the number of crashes that left it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marks(Vec<(u64, u32)>);

impl Marks {
    /// A crash: records before `mark` may have been delivered once more.
    pub(super) fn add(&mut self, mark: u64) {
        let place = self.0.partition_point(|(other, _)| *other < mark);
        match self.0.get_mut(place) {
            Some((other, crashes)) if *other == mark => *crashes = crashes.saturating_add(1),
            _ => self.0.insert(place, (mark, 1)),
        }
        while self.0.len() > MARKS_MAX {
            // Too many attempts for some records: their numbers may have gaps, never repetitions.
            let (_, crashes) = self.0.remove(0);
            self.0[0].1 = self.0[0].1.saturating_add(crashes);
        }
    }

    /// Forgets the marks that are below every unsettled record.
    pub(super) fn cut_to(&mut self, cursor: u64) {
        self.0.retain(|(mark, _)| *mark > cursor);
    }

    /// How many attempts of `sequence` there may have been, one per crash.
    pub(super) fn attempts(&self, sequence: u64) -> u32 {
        let above = self.0.partition_point(|(mark, _)| *mark <= sequence);
        self.0[above..].iter().fold(0, |sum, (_, crashes)| sum.saturating_add(*crashes))
    }

    /// The crashes of a record of which only the marks tell.
    pub(super) fn crashes(&self, sequence: u64) -> u32 {
        self.attempts(sequence).min(CRASHES_NAMED)
    }
}

/// The crashes of a record after one more, in which it was `named` as begun or not.
pub(super) fn after_crash(crashes: u32, named: bool) -> u32 {
    if named || crashes < CRASHES_NAMED { crashes.saturating_add(1) } else { crashes }
}

#[cfg(test)]
mod tests {
    use super::{MARKS_MAX, Marks, after_crash};

    #[test]
    fn marks_count_the_attempts_that_may_have_been() {
        let mut marks = Marks::default();
        for mark in [10, 30, 20, 10] {
            marks.add(mark);
        }
        for (sequence, attempts, crashes) in [(1, 4, 2), (9, 4, 2), (10, 2, 2), (20, 1, 1), (30, 0, 0)] {
            assert_eq!(
                (marks.attempts(sequence), marks.crashes(sequence)),
                (attempts, crashes),
                "{sequence}"
            );
        }
        marks.cut_to(10);
        assert_eq!(marks.attempts(1), 2);
    }

    #[test]
    fn marks_stay_few_and_never_count_too_little() {
        let mut marks = Marks::default();
        for mark in 1..=200 {
            marks.add(mark);
        }
        assert_eq!(marks.0.len(), MARKS_MAX);
        assert_eq!(marks.attempts(199), 1);
        assert!(marks.attempts(150) == 50 && marks.attempts(100) >= 100);
    }

    #[test]
    fn only_named_records_are_blamed_for_further_crashes() {
        let table = [(0, false, 1), (1, false, 2), (2, false, 2), (2, true, 3), (5, false, 5), (5, true, 6)];
        for (crashes, named, after) in table {
            assert_eq!(after_crash(crashes, named), after, "{crashes} {named}");
        }
    }
}
