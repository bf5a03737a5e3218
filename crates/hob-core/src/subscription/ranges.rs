//! A set of sequences, kept as ranges that neither overlap nor touch.
//!
//! **Why.** Above the cursor almost everything is settled, with a hole for each event that waits; as
//! ranges that is as large as the number of holes, however many events there are.
//!
//! **How.** A map from the first to the last sequence of each range. Stored, it is one list of numbers in
//! turn: how far after the end of the range before, and how many.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A set of sequences, compressed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
pub struct Ranges {
    ranges: BTreeMap<u64, u64>,
    count: u64,
}

impl Ranges {
    /// Adds the sequences from `first` to `last`, both included; returns how many are new.
    pub fn insert(&mut self, first: u64, last: u64) -> u64 {
        if last < first {
            return 0;
        }
        let (mut from, mut to, mut new) = (first, last, (last - first).saturating_add(1));
        while let Some((start, end)) = self.ranges.range(..=last.saturating_add(1)).next_back() {
            let (start, end) = (*start, *end);
            if end.saturating_add(1) < first {
                break;
            }
            if start.max(first) <= end.min(last) {
                new -= end.min(last) - start.max(first) + 1;
            }
            from = from.min(start);
            to = to.max(end);
            self.ranges.remove(&start);
        }
        self.ranges.insert(from, to);
        self.count = self.count.saturating_add(new);
        new
    }

    /// Removes what is less than `sequence`; returns how many went.
    pub fn cut_before(&mut self, sequence: u64) -> u64 {
        let before = self.count;
        while let Some(range) = self.ranges.first_entry() {
            let (start, end) = (*range.key(), *range.get());
            if start >= sequence {
                break;
            }
            range.remove();
            self.count -= end.min(sequence - 1) - start + 1;
            if end >= sequence {
                self.ranges.insert(sequence, end);
                break;
            }
        }
        before - self.count
    }

    /// Whether `sequence` is one of them.
    pub fn contains(&self, sequence: u64) -> bool {
        self.after(sequence) != sequence
    }

    /// The first sequence from `sequence` on that is not one of them.
    pub fn after(&self, sequence: u64) -> u64 {
        match self.ranges.range(..=sequence).next_back() {
            Some((_, end)) if *end >= sequence => end.saturating_add(1),
            _ => sequence,
        }
    }

    /// How many sequences there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many ranges they form.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

impl From<Ranges> for Vec<u64> {
    fn from(ranges: Ranges) -> Self {
        let mut numbers = Vec::with_capacity(2 * ranges.ranges.len());
        let mut after = 0;
        for (first, last) in ranges.ranges {
            numbers.push(first - after);
            numbers.push(last - first + 1);
            after = last.saturating_add(1);
        }
        numbers
    }
}

impl From<Vec<u64>> for Ranges {
    fn from(numbers: Vec<u64>) -> Self {
        let mut ranges = Self::default();
        let mut after = 0_u64;
        for pair in numbers.chunks_exact(2) {
            let first = after.saturating_add(pair[0]);
            after = first.saturating_add(pair[1]);
            if pair[1] > 0 {
                ranges.insert(first, after - 1);
            }
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::Ranges;
    use std::collections::BTreeSet;

    /// Everything is compared with a plain set, for every pair of ranges in a small space.
    #[test]
    fn ranges_are_a_set() {
        for code in 0..4096_u64 {
            let numbers = [code % 8, code / 8 % 8, code / 64 % 8, code / 512];
            let mut ranges = Ranges::default();
            let mut set: BTreeSet<u64> = BTreeSet::new();
            for (first, last) in [(2, 3), (numbers[0], numbers[1]), (numbers[2], numbers[2] + 1)] {
                let before = set.len();
                set.extend(first..=last);
                assert_eq!(ranges.insert(first, last), (set.len() - before) as u64, "{code}");
            }
            let holes = set.iter().filter(|number| !set.contains(&(*number + 1))).count();
            let text = serde_json::to_string(&ranges).unwrap();
            assert_eq!(serde_json::from_str::<Ranges>(&text).unwrap(), ranges, "{text}");
            for number in 0..11 {
                assert_eq!(ranges.contains(number), set.contains(&number), "{code} {number}");
                let after = (number..).find(|after| !set.contains(after)).unwrap();
                assert_eq!(ranges.after(number), after, "{code} {number}");
            }
            assert_eq!((ranges.len(), ranges.count()), (holes, set.len() as u64), "{code}");
            let low = set.iter().filter(|number| **number < numbers[3]).count();
            assert_eq!(ranges.cut_before(numbers[3]), low as u64, "{code}");
            set.retain(|number| *number >= numbers[3]);
            assert_eq!((ranges.count(), ranges.is_empty()), (set.len() as u64, set.is_empty()), "{code}");
        }
    }

    #[test]
    fn ranges_are_stored_as_distances_and_bad_ones_are_harmless() {
        let mut ranges = Ranges::default();
        ranges.insert(1_000_005, 1_000_006);
        ranges.insert(1_000_010, 1_000_010);
        assert_eq!(serde_json::to_string(&ranges).unwrap(), "[1000005,2,3,1]");
        for (text, count) in [("[]", 0), ("[1]", 0), ("[5,0,1,1]", 1), ("[18446744073709551615,9]", 0)] {
            assert_eq!(serde_json::from_str::<Ranges>(text).unwrap().count(), count, "{text}");
        }
    }
}
