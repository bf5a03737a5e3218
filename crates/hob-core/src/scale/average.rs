//! A moving average of times: the mean of the first few, then one that follows slowly.
//!
//! **How.** Each time moves the average by a fixed share of the difference, so that it takes three numbers and
//! no memory of the times themselves.

use crate::limit::{AVERAGE_TIMES, AVERAGE_TIMES_MIN};

/// A moving average of times in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Average {
    /// Nanoseconds, so that small steps are not lost in rounding.
    mean_ns: u64,
    count: u32,
}

impl Average {
    /// Adds one time.
    pub(super) fn add(&mut self, time_us: u64) {
        self.count = (self.count + 1).min(AVERAGE_TIMES);
        let time_ns = time_us.saturating_mul(1000);
        let step = time_ns.abs_diff(self.mean_ns) / u64::from(self.count);
        self.mean_ns = if time_ns >= self.mean_ns { self.mean_ns + step } else { self.mean_ns - step };
    }

    /// The average in microseconds, at least 1; `None` before anything was measured.
    pub(super) fn get(&self) -> Option<u64> {
        (self.count > 0).then(|| (self.mean_ns / 1000).max(1))
    }

    /// The average once it says something: of a few times at least.
    pub(super) fn known(&self) -> Option<u64> {
        self.get().filter(|_| self.count >= AVERAGE_TIMES_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::Average;

    #[test]
    fn follows_what_it_is_told() {
        let mut average = Average::default();
        assert_eq!(average.get(), None);
        for (times, each_us, expected) in [(1, 1000, 1000..1001), (7, 3000, 2700..2800), (200, 100, 100..150)]
        {
            (0..times).for_each(|_| average.add(each_us));
            let mean = average.get().unwrap();
            assert!(expected.contains(&mean), "{mean} after {times} of {each_us}");
        }
        assert_eq!(average.known(), average.get());
    }
}
