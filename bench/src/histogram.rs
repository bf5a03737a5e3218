//! Latencies in buckets that grow with the value: 3 % wide, whatever the size.
//!
//! **How.** Each power of two is cut into 32 equal parts, as HdrHistogram does. Recording is one
//! array increment, and two histograms are merged by adding.

use std::time::Duration;

const PART_BITS: u32 = 5;
const PARTS: u64 = 1 << PART_BITS;

/// Counts of latencies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: Duration,
}

impl Histogram {
    pub(crate) fn record(&mut self, latency: Duration) {
        let index = bucket(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        self.total += 1;
        self.max = self.max.max(latency);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// The latency that `per_mille` of the calls did not exceed; zero when nothing was recorded.
    pub(crate) fn quantile(&self, per_mille: u64) -> Duration {
        let rank = (self.total * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(middle(index as u64)).min(self.max);
            }
        }
        self.max
    }

    pub(crate) fn max(&self) -> Duration {
        self.max
    }
}

fn bucket(value: u64) -> usize {
    let index = if value < PARTS {
        value
    } else {
        let exponent = u64::from(63 - value.leading_zeros());
        let shift = exponent - u64::from(PART_BITS);
        (shift + 1) * PARTS + ((value >> shift) - PARTS)
    };
    usize::try_from(index).expect("64 powers of two of 32 parts each")
}

fn middle(index: u64) -> u64 {
    if index < PARTS {
        return index;
    }
    let shift = index / PARTS - 1;
    ((PARTS + index % PARTS) << shift) + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::{Histogram, bucket, middle};
    use std::time::Duration;

    #[test]
    fn a_bucket_holds_what_lies_within_3_per_cent_of_its_middle() {
        for value in [0, 1, 31, 32, 33, 1000, 65_535, 65_536, 1_000_000_007, u64::MAX >> 1] {
            let middle = middle(bucket(value) as u64);
            assert!(middle.abs_diff(value) <= value / 32, "{value} is shown as {middle}");
        }
    }

    #[test]
    fn quantiles_of_merged_halves() {
        let (mut low, mut high) = (Histogram::default(), Histogram::default());
        for ms in 1..=500 {
            low.record(Duration::from_millis(ms));
            high.record(Duration::from_millis(ms + 500));
        }
        low.merge(&high);
        for (per_mille, ms) in [(500, 500), (990, 990), (1000, 1000)] {
            let found = low.quantile(per_mille).as_millis();
            assert!(found.abs_diff(ms) <= ms / 25, "{per_mille}: {found}");
        }
        assert_eq!(low.max(), Duration::from_secs(1));
        assert_eq!(Histogram::default().quantile(500), Duration::ZERO);
    }
}
