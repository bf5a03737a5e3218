//! The cold starts of a function by phase: all of them as counts, and the last ones.
//!
//! **How.** Behind the lock of the whole, so that a call that has an instance of its own, which is every call of most WASM
//! functions, adds plain numbers.

use super::cells::BOUNDS_US;
use hob_core::fact::{PHASES, Times};
use hob_core::limit::COLD_STARTS_KEPT;
use hob_core::wire::{ColdPhases, ColdStarts};
use std::collections::VecDeque;

/// Cold starts.
#[derive(Debug, Default)]
pub(super) struct Colds {
    /// The last ones, oldest first.
    last: VecDeque<ColdPhases>,
    /// Of each phase, all of them.
    phases: [PhaseTimes; PHASES.len()],
}

/// Times of one phase by their size.
#[derive(Clone, Copy, Debug, Default)]
struct PhaseTimes {
    /// The last one is for what is above all bounds.
    buckets: [u64; BOUNDS_US.len() + 1],
    sum_us: u64,
}

impl Colds {
    /// Adds the newest. Its phases end at the head of the answer: what comes after is not the start's.
    pub(super) fn add(&mut self, times: &Times) {
        let phases = times.phases();
        for (all, us) in self.phases.iter_mut().zip(phases) {
            all.buckets[BOUNDS_US.partition_point(|bound_us| *bound_us < us)] += 1;
            all.sum_us += us;
        }
        if self.last.len() >= COLD_STARTS_KEPT {
            self.last.pop_front();
        }
        let [route_us, queue_us, load_us, start_us, connect_us, run_us] = phases;
        let total_us = times.answer_us;
        self.last.push_back(ColdPhases {
            route_us,
            queue_us,
            load_us,
            start_us,
            connect_us,
            run_us,
            total_us,
        });
    }

    /// Of each phase how many times fell into each bucket, and their sum, microseconds; nothing when there was no cold start.
    pub(super) fn phases(&self) -> impl Iterator<Item = (&'static str, (Vec<u64>, u64))> {
        let all = PHASES.iter().zip(&self.phases).filter(|_| !self.last.is_empty());
        all.map(|(phase, times)| (*phase, (times.buckets.to_vec(), times.sum_us)))
    }

    /// The last, and the median of each phase; `None` when there was none.
    pub(super) fn show(&self) -> Option<ColdStarts> {
        let median = |phase: fn(&ColdPhases) -> u64| {
            let mut all: Vec<u64> = self.last.iter().map(phase).collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied().unwrap_or_default()
        };
        let typical = ColdPhases {
            route_us: median(|phases| phases.route_us),
            queue_us: median(|phases| phases.queue_us),
            load_us: median(|phases| phases.load_us),
            start_us: median(|phases| phases.start_us),
            connect_us: median(|phases| phases.connect_us),
            run_us: median(|phases| phases.run_us),
            total_us: median(|phases| phases.total_us),
        };
        self.last.back().map(|last| ColdStarts { kept: self.last.len() as u64, last: *last, typical })
    }
}

#[cfg(test)]
mod tests {
    use super::Colds;
    use hob_core::fact::Times;
    use hob_core::limit::COLD_STARTS_KEPT;

    #[test]
    fn the_last_and_the_median_of_the_newest_are_shown() {
        let mut colds = Colds::default();
        assert!(colds.show().is_none());
        for (start_us, expected) in [(5, (5, 5)), (1, (1, 5)), (900, (900, 5)), (2, (2, 5)), (1, (1, 2))] {
            colds.add(&Times { start_us, answer_us: 900, ..Times::default() });
            let shown = colds.show().unwrap();
            assert_eq!((shown.last.start_us, shown.typical.start_us), expected);
        }
        (0..100).for_each(|_| colds.add(&Times::default()));
        let shown = colds.show().unwrap();
        assert_eq!((shown.kept, shown.typical.start_us), (COLD_STARTS_KEPT as u64, 0));
    }
}
