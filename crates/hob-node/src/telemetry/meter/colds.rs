//! The last cold starts of a function, by phase.

use hob_core::limit::COLD_STARTS_KEPT;
use hob_core::wire::{ColdPhases, ColdStarts};
use std::collections::VecDeque;

/// The last cold starts, oldest first.
#[derive(Debug, Default)]
pub(super) struct Colds(VecDeque<ColdPhases>);

impl Colds {
    /// Adds the newest.
    pub(super) fn add(&mut self, phases: ColdPhases) {
        if self.0.len() >= COLD_STARTS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(phases);
    }

    /// The last, and the median of each phase; `None` when there was none.
    pub(super) fn show(&self) -> Option<ColdStarts> {
        let median = |phase: fn(&ColdPhases) -> u64| {
            let mut all: Vec<u64> = self.0.iter().map(phase).collect();
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
        self.0.back().map(|last| ColdStarts { kept: self.0.len() as u64, last: *last, typical })
    }
}

#[cfg(test)]
mod tests {
    use super::Colds;
    use hob_core::limit::COLD_STARTS_KEPT;
    use hob_core::wire::ColdPhases;

    #[test]
    fn the_last_and_the_median_of_the_newest_are_shown() {
        let mut colds = Colds::default();
        assert!(colds.show().is_none());
        for (start_us, expected) in [(5, (5, 5)), (1, (1, 5)), (900, (900, 5)), (2, (2, 5)), (1, (1, 2))] {
            colds.add(ColdPhases { start_us, ..ColdPhases::default() });
            let shown = colds.show().unwrap();
            assert_eq!((shown.last.start_us, shown.typical.start_us), expected);
        }
        (0..100).for_each(|_| colds.add(ColdPhases::default()));
        let shown = colds.show().unwrap();
        assert_eq!((shown.kept, shown.typical.start_us), (COLD_STARTS_KEPT as u64, 0));
    }
}
