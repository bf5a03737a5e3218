//! Latencies in buckets that grow with the value: what is read back is within 0.4 % of what was recorded.
//!
//! **Why.** A mean hides the slow calls, and a list of all calls grows without a bound. Buckets of one relative
//! width keep every percentile, whatever the size, in some tens of kilobytes.
//!
//! **How.** Each power of two is cut into 128 equal parts, as HdrHistogram does. Recording is one array
//! increment, and two histograms are merged by adding.

use std::time::Duration;

/// Bits of a value that its bucket keeps.
const PART_BITS: u32 = 7;
/// Parts of each power of two.
const PARTS: u64 = 1 << PART_BITS;

/// Counts of latencies.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum: Duration,
    max: Duration,
}

impl Histogram {
    /// Counts one latency.
    pub fn record(&mut self, latency: Duration) {
        let index = bucket(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        self.total += 1;
        self.sum += latency;
        self.max = self.max.max(latency);
    }

    /// Adds all that another has counted.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    /// The latency that `per_mille` of the calls did not exceed; zero when nothing was recorded.
    pub fn quantile(&self, per_mille: u64) -> Duration {
        let rank = u128::from(self.total) * u128::from(per_mille);
        let mut seen = 0u128;
        for (index, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            seen += u128::from(*count);
            if seen * 1000 >= rank {
                return Duration::from_nanos(middle(index as u64)).min(self.max);
            }
        }
        self.max
    }

    /// How many were recorded.
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// Their mean, exactly; zero when nothing was recorded.
    pub fn mean(&self) -> Duration {
        let mean = self.sum.as_nanos().checked_div(u128::from(self.total)).unwrap_or_default();
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// The longest, exactly.
    pub const fn max(&self) -> Duration {
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
    usize::try_from(index).expect("64 powers of two of 128 parts each")
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
    fn a_bucket_holds_what_lies_within_4_per_mille_of_its_middle() {
        for value in [0, 1, 127, 128, 129, 1000, 65_535, 65_536, 1_000_000_007, u64::MAX >> 1] {
            let middle = middle(bucket(value) as u64);
            assert!(middle.abs_diff(value) <= value / 256, "{value} is shown as {middle}");
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
        for (per_mille, ms) in [(500, 500), (900, 900), (990, 990), (999, 999), (1000, 1000)] {
            let found = low.quantile(per_mille).as_millis();
            assert!(found.abs_diff(ms) <= ms / 200, "{per_mille}: {found}");
        }
        assert_eq!((low.max(), low.count()), (Duration::from_secs(1), 1000));
        assert_eq!(low.mean(), Duration::from_micros(500_500));
        let none = Histogram::default();
        assert_eq!((none.quantile(500), none.mean()), (Duration::ZERO, Duration::ZERO));
    }
}
