//! From counts that only grow to the values that alert rules look at: shares and percentiles of late.
//!
//! **Why.** A share since the start of the node hides what happens now; one of the last seconds jumps about.
//!
//! **How.** A [`Window`] keeps counts as they were some steps ago, and says what has come since. [`value`] makes
//! a metric's value of that. A percentile is read from the counts of a histogram: it is the upper bound of the
//! bucket that holds it, and so never too small.
//!
//! **Not here:** counting (the node's meters), rules ([`crate::alert`]).

use crate::watch::Metric;
use std::collections::{BTreeMap, VecDeque};

/// Counts of one function that only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that have ended.
    pub calls: u64,
    /// Of these, failed ones.
    pub failures: u64,
    /// Of these, those that waited for an instance to start.
    pub cold: u64,
    /// Calls by their time, one number for each bucket.
    pub times: Vec<u64>,
    /// Calls by their wait for an instance, one number for each bucket.
    pub waits: Vec<u64>,
}

/// What grows and can be compared with itself.
pub trait Growing: Clone + Default {
    /// What has come since `before`; nothing where it is less now.
    #[must_use]
    fn since(&self, before: &Self) -> Self;
    /// Adds another.
    fn add(&mut self, other: &Self);
}

impl Growing for u64 {
    fn since(&self, before: &Self) -> Self {
        self.saturating_sub(*before)
    }

    fn add(&mut self, other: &Self) {
        *self = self.saturating_add(*other);
    }
}

impl Growing for Counts {
    fn since(&self, before: &Self) -> Self {
        Self {
            calls: self.calls.since(&before.calls),
            failures: self.failures.since(&before.failures),
            cold: self.cold.since(&before.cold),
            times: each(&self.times, &before.times, u64::saturating_sub),
            waits: each(&self.waits, &before.waits, u64::saturating_sub),
        }
    }

    fn add(&mut self, other: &Self) {
        self.calls.add(&other.calls);
        self.failures.add(&other.failures);
        self.cold.add(&other.cold);
        self.times = each(&self.times, &other.times, u64::saturating_add);
        self.waits = each(&self.waits, &other.waits, u64::saturating_add);
    }
}

fn each(left: &[u64], right: &[u64], with: fn(u64, u64) -> u64) -> Vec<u64> {
    let at = |list: &[u64], place: usize| list.get(place).copied().unwrap_or_default();
    (0..left.len().max(right.len())).map(|place| with(at(left, place), at(right, place))).collect()
}

/// Counts of the last while, by what they are of.
#[derive(Clone, Debug)]
pub struct Window<K, T> {
    span_ms: u64,
    step_ms: u64,
    /// Counts as they were, each with its time, the oldest first.
    kept: VecDeque<(u64, BTreeMap<K, T>)>,
}

impl<K: Ord + Clone, T: Growing> Window<K, T> {
    /// An empty one of this length, milliseconds, which moves on in so many `steps`, at least one.
    pub fn new(span_ms: u64, steps: u64) -> Self {
        Self { span_ms, step_ms: span_ms / steps.max(1), kept: VecDeque::new() }
    }

    /// Takes the counts of now, and says what has come within the window. The first counts of all are where it
    /// begins: what was before them is not known to be of late.
    pub fn gained(&mut self, now_ms: u64, counts: &BTreeMap<K, T>) -> BTreeMap<K, T> {
        if self.kept.back().is_some_and(|(time_ms, _)| *time_ms > now_ms) {
            // The clock was set back: begin again.
            self.kept.clear();
        }
        // One from before the window is needed to compare with.
        while self.kept.get(1).is_some_and(|(time_ms, _)| now_ms - time_ms >= self.span_ms) {
            self.kept.pop_front();
        }
        if self.kept.back().is_none_or(|(time_ms, _)| now_ms - time_ms >= self.step_ms) {
            self.kept.push_back((now_ms, counts.clone()));
        }
        let nothing = T::default();
        let before = self.kept.front().map(|(_, before)| before);
        let since = |(key, count): (&K, &T)| {
            (key.clone(), count.since(before.and_then(|before| before.get(key)).unwrap_or(&nothing)))
        };
        counts.iter().map(since).collect()
    }

    /// How long ago that is, what counts are compared with: milliseconds.
    pub fn covers_ms(&self, now_ms: u64) -> u64 {
        self.kept.front().map_or(0, |(time_ms, _)| now_ms.saturating_sub(*time_ms))
    }
}

/// The value of a metric in thousandths of its unit; `None` without calls, or for a metric that is not made of
/// counts. `bounds_us` are the upper bounds of the buckets, microseconds, one fewer than buckets.
pub fn value(metric: Metric, counts: &Counts, bounds_us: &[u64]) -> Option<u64> {
    let share = |part: u64| {
        let share = u128::from(part) * 100_000 / u128::from(counts.calls.max(1));
        (counts.calls > 0).then(|| u64::try_from(share).unwrap_or(u64::MAX))
    };
    match metric {
        Metric::ErrorShare => share(counts.failures),
        Metric::ColdStartShare => share(counts.cold),
        Metric::LatencyP99 => percentile(&counts.times, bounds_us, 99),
        Metric::QueueTime => percentile(&counts.waits, bounds_us, 99),
        Metric::Lag
        | Metric::DeadLetters
        | Metric::Budget
        | Metric::CrashLoop
        | Metric::CertificateAge
        | Metric::CertificateLeft
        | Metric::DiskFree => None,
    }
}

/// The bound below which so many of a hundred are. Above all bounds it is twice the last one.
fn percentile(buckets: &[u64], bounds_us: &[u64], percent: u64) -> Option<u64> {
    let all: u64 = buckets.iter().sum();
    let wanted = u128::from(all) * u128::from(percent);
    let mut below = 0u128;
    for (place, count) in buckets.iter().enumerate().filter(|(_, count)| **count > 0) {
        below += u128::from(*count);
        if below * 100 >= wanted {
            let last = bounds_us.last().copied().unwrap_or_default();
            return Some(bounds_us.get(place).copied().unwrap_or_else(|| last.saturating_mul(2)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Counts, Window, value};
    use crate::watch::Metric;
    use std::collections::BTreeMap;

    #[test]
    fn values_are_made_of_counts() {
        let counts = |calls, failures, cold, times: &[u64]| Counts {
            calls,
            failures,
            cold,
            times: times.to_vec(),
            waits: vec![calls, 0, 0],
        };
        let some = counts(200, 25, 3, &[100, 98, 2]);
        let few = counts(1, 1, 0, &[0, 0, 1]);
        for (what, metric, counts, expected) in [
            ("share", Metric::ErrorShare, &some, Some(12_500)),
            ("cold", Metric::ColdStartShare, &some, Some(1500)),
            ("99 of 100", Metric::LatencyP99, &some, Some(5000)),
            ("waits", Metric::QueueTime, &some, Some(1000)),
            ("all", Metric::ErrorShare, &few, Some(100_000)),
            ("above all bounds", Metric::LatencyP99, &few, Some(10_000)),
            ("none", Metric::LatencyP99, &Counts::default(), None),
            ("no share", Metric::ErrorShare, &Counts::default(), None),
            ("no count", Metric::Lag, &some, None),
        ] {
            assert_eq!(value(metric, counts, &[1000, 5000]), expected, "{what}");
        }
    }

    #[test]
    fn a_window_forgets_what_is_old() {
        let mut window = Window::new(60_000, 6);
        let found: Vec<Vec<(&str, u64)>> = [
            // What was there before the first look is not of late.
            (0, vec![("a", 100)]),
            (5000, vec![("a", 101)]),
            (10_000, vec![("a", 105), ("b", 7)]),
            (60_000, vec![("a", 106), ("b", 7)]),
            (69_999, vec![("a", 106), ("b", 7)]),
            // The counts of 10 s are the oldest now.
            (70_000, vec![("a", 106), ("b", 7)]),
            (130_000, vec![("a", 106), ("b", 8)]),
            // A meter has gone and come again.
            (131_000, vec![("a", 1)]),
            // The clock was set back.
            (1000, vec![("a", 2)]),
            (2000, vec![("a", 3)]),
        ]
        .into_iter()
        .map(|(now_ms, counts)| {
            let counts: BTreeMap<&str, u64> = counts.into_iter().collect();
            window.gained(now_ms, &counts).into_iter().collect()
        })
        .collect();
        assert_eq!(
            found,
            [
                vec![("a", 0)],
                vec![("a", 1)],
                vec![("a", 5), ("b", 7)],
                vec![("a", 6), ("b", 7)],
                vec![("a", 6), ("b", 7)],
                vec![("a", 1), ("b", 0)],
                vec![("a", 0), ("b", 1)],
                vec![("a", 0)],
                vec![("a", 0)],
                vec![("a", 1)],
            ]
        );
    }
}
