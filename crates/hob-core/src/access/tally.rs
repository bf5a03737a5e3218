//! What the audit log counts instead of telling each time: actions that change nothing, and refused ones above a number.
//!
//! **Why.** Whoever may only look, or is refused, must not be able to push other lines out of the log, nor to hide among
//! many of his own what he did before.
//!
//! **How.** The first of a kind is told at once, the others together later ([`Tally`]). Of too many kinds the further ones
//! of the same principal are told together, so that his name stays as long as there is room for it. [`Lines`] says
//! whether somebody may have a line of his own.
//!
//! **Not here:** changes, each of which has a line of its own.

use super::audit::Act;
use crate::limit::{AUDIT_LINES_PER_MINUTE, AUDIT_TALLIES_MAX, AUDIT_TALLIES_PER_PRINCIPAL_MAX};
use std::collections::HashMap;

/// What stands where there were too many to name each.
const MANY: &str = "many";

/// Counts actions that happen often: the first time is told at once, the others together later.
#[derive(Debug, Default)]
pub struct Tally {
    counted: HashMap<Act, u64>,
    /// How many kinds each principal has.
    kinds: HashMap<String, usize>,
}

impl Tally {
    /// Counts one; true when it is the first of its kind since [`Tally::take`], and is to be told now.
    ///
    /// Of more kinds of one principal than [`AUDIT_TALLIES_PER_PRINCIPAL_MAX`] the further ones are told as one for each
    /// operation and outcome; of more than [`AUDIT_TALLIES_MAX`] of all, whoever did it.
    pub fn count(&mut self, act: &mut Act) -> bool {
        let full = |this: &Self, act: &Act| {
            this.kinds.get(&act.who).is_some_and(|kinds| *kinds >= AUDIT_TALLIES_PER_PRINCIPAL_MAX)
        };
        if !self.counted.contains_key(act) && full(self, act) {
            (act.from, act.on) = (MANY.to_owned(), None);
        }
        if !self.counted.contains_key(act) && self.counted.len() >= AUDIT_TALLIES_MAX {
            (act.who, act.from, act.on) = (MANY.to_owned(), MANY.to_owned(), None);
        }
        let times = self.counted.entry(act.clone()).or_insert(0);
        *times += 1;
        if *times > 1 {
            return false;
        }
        *self.kinds.entry(act.who.clone()).or_insert(0) += 1;
        true
    }

    /// What happened again since it was first told, and how often; begins anew.
    pub fn take(&mut self) -> Vec<(Act, u64)> {
        self.kinds.clear();
        let again = std::mem::take(&mut self.counted).into_iter().filter(|(_, times)| *times > 1);
        let mut again: Vec<(Act, u64)> = again.map(|(act, times)| (act, times - 1)).collect();
        again.sort_unstable_by(|(left, _), (right, _)| {
            (&left.who, &left.operation, &left.on).cmp(&(&right.who, &right.operation, &right.on))
        });
        again
    }
}

/// How many lines each principal has had in this minute about what changed nothing.
#[derive(Debug, Default)]
pub struct Lines {
    minute: u64,
    had: HashMap<String, u32>,
}

impl Lines {
    /// Whether somebody may have one more now; else it is to be counted.
    pub fn another(&mut self, who: &str, now_ms: u64) -> bool {
        let minute = now_ms / 60_000;
        if minute != self.minute {
            (self.minute, self.had) = (minute, HashMap::new());
        }
        if !self.had.contains_key(who) {
            self.had.insert(who.to_owned(), 0);
        }
        let had = self.had.get_mut(who).expect("it was put in");
        *had += 1;
        *had <= AUDIT_LINES_PER_MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, Tally};
    use crate::access::audit::{Act, Book, DONE};
    use crate::limit::{AUDIT_LINES_PER_MINUTE, AUDIT_TALLIES_MAX, AUDIT_TALLIES_PER_PRINCIPAL_MAX};
    use crate::name::SpaceName;

    fn act(who: &str, operation: &str, on: &str) -> Act {
        Act {
            who: who.into(),
            from: "uid 1000".into(),
            via: "control".into(),
            operation: operation.into(),
            on: Some(on.into()),
            space: SpaceName::default_space(),
            outcome: DONE.into(),
            book: Book::Tokens,
        }
    }

    #[test]
    fn what_happens_often_is_counted() {
        let mut tally = Tally::default();
        let (mut list, mut get) = (act("ci", "apps.list", "x"), act("ci", "apps.get", "x"));
        assert!(tally.count(&mut list) && tally.count(&mut get));
        assert!(!tally.count(&mut list) && !tally.count(&mut list));
        assert_eq!(tally.take(), [(act("ci", "apps.list", "x"), 2)]);
        assert!(tally.take().is_empty() && tally.count(&mut list));
    }

    #[test]
    fn who_asks_for_many_things_keeps_his_name_and_takes_nobody_elses() {
        let mut tally = Tally::default();
        let mut told = 0;
        for at in 0..2 * AUDIT_TALLIES_MAX {
            let mut one = act("ci", "apps.get", &format!("app{at}"));
            told += u32::from(tally.count(&mut one));
            assert_eq!(one.who, "ci");
            assert_eq!(one.on.is_none(), at >= AUDIT_TALLIES_PER_PRINCIPAL_MAX, "{at}");
        }
        assert_eq!(told as usize, AUDIT_TALLIES_PER_PRINCIPAL_MAX + 1);
        let mut other = act("owner", "apps.get", "desk");
        assert!(tally.count(&mut other) && other.who == "owner" && other.on.is_some());
        let again = tally.take();
        let folded = 2 * AUDIT_TALLIES_MAX - AUDIT_TALLIES_PER_PRINCIPAL_MAX - 1;
        assert_eq!((again.len(), again[0].0.who.as_str(), again[0].1), (1, "ci", folded as u64));
    }

    #[test]
    fn of_too_many_principals_the_last_ones_are_told_together() {
        let mut tally = Tally::default();
        for at in 0..AUDIT_TALLIES_MAX + 2 {
            let mut one = act(&format!("token {at}"), "apps.get", "desk");
            tally.count(&mut one);
            assert_eq!(one.who == "many", at >= AUDIT_TALLIES_MAX, "{at}");
        }
    }

    #[test]
    fn everybody_has_so_many_lines_in_a_minute() {
        let mut lines = Lines::default();
        for (who, now_ms, expected) in
            [("ci", 60_000, true), ("owner", 60_000, true), ("ci", 119_999, false), ("ci", 120_000, true)]
        {
            let had = (0..AUDIT_LINES_PER_MINUTE).filter(|_| lines.another(who, now_ms)).count();
            assert_eq!(had, if expected { AUDIT_LINES_PER_MINUTE as usize } else { 0 }, "{who} {now_ms}");
        }
    }
}
