//! The peak of the recent past: how many calls there were at a time, over a window that slides.
//!
//! **Why.** What is kept on the way down is what the last minute needed. To know it must cost a call nothing
//! that can be felt, and no memory that grows.
//!
//! **How.** A ring of buckets, each with the highest number in its part of the window. A number holds until the
//! next one comes, so buckets in which nothing happened have it too.

use crate::limit::SCALE_BUCKETS;

/// Buckets of the window, and the one that is not over yet.
const RING: usize = SCALE_BUCKETS + 1;

/// The peaks of one pool.
#[derive(Clone, Debug)]
pub(super) struct Window {
    bucket_ms: u64,
    /// Number of the newest bucket, counted from time 0.
    head: u64,
    /// When the newest bucket is over.
    head_ends_ms: u64,
    level: u32,
    peaks: [u32; RING],
}

impl Window {
    /// A window of this length, or a little more.
    pub(super) fn new(length_ms: u64) -> Self {
        let bucket_ms = length_ms.div_ceil(SCALE_BUCKETS as u64).max(1);
        Self { bucket_ms, head: 0, head_ends_ms: bucket_ms, level: 0, peaks: [0; RING] }
    }

    /// From now on there are that many.
    pub(super) fn record(&mut self, level: u32, now_ms: u64) {
        if now_ms >= self.head_ends_ms {
            self.advance(now_ms);
        }
        self.level = level;
        let peak = &mut self.peaks[at(self.head)];
        *peak = level.max(*peak);
    }

    /// The highest number of the whole window, the newest bucket included.
    pub(super) fn peak(&mut self, now_ms: u64) -> u32 {
        self.advance(now_ms);
        self.peaks.iter().copied().max().unwrap_or_default()
    }

    /// The highest number of the newest tenth of the window.
    pub(super) fn recent_peak(&mut self, now_ms: u64) -> u32 {
        self.advance(now_ms);
        let newest = 0..(SCALE_BUCKETS / 10) as u64;
        newest
            .filter_map(|back| self.head.checked_sub(back))
            .map(|bucket| self.peaks[at(bucket)])
            .max()
            .unwrap_or(0)
    }

    /// When the window's peak will have fallen to `level`, if nothing changes; `None` while there are more.
    pub(super) fn falls_to(&self, level: u32) -> Option<u64> {
        if self.level > level {
            return None;
        }
        let buckets = (0..RING as u64).filter_map(|back| self.head.checked_sub(back));
        let newest = buckets.into_iter().find(|bucket| self.peaks[at(*bucket)] > level);
        Some(newest.map_or(0, |bucket| (bucket + RING as u64) * self.bucket_ms))
    }

    fn advance(&mut self, now_ms: u64) {
        let bucket = now_ms / self.bucket_ms;
        let passed = bucket.saturating_sub(self.head).min(RING as u64);
        (0..passed).for_each(|back| self.peaks[at(bucket - back)] = self.level);
        self.head = self.head.max(bucket);
        self.head_ends_ms = (self.head + 1) * self.bucket_ms;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "less than the length of the ring")]
fn at(bucket: u64) -> usize {
    (bucket % RING as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::Window;

    type Row = (&'static [(u64, u32)], u64, (u32, u32, Option<u64>));

    /// What is recorded, and the peak, the recent peak and when it falls to 1, at some time afterwards.
    #[test]
    fn keeps_the_peak_for_as_long_as_the_window() {
        let table: &[Row] = &[
            (&[], 0, (0, 0, Some(0))),
            (&[(10, 3), (20, 1)], 500, (3, 3, Some(61_000))),
            (&[(10, 3), (20, 1)], 7000, (3, 1, Some(61_000))),
            (&[(10, 3), (20, 1)], 60_999, (3, 1, Some(61_000))),
            (&[(10, 3), (20, 1)], 61_000, (1, 1, Some(0))),
            // What lasts counts for as long as it lasts.
            (&[(10, 3), (30_500, 0)], 90_000, (3, 0, Some(91_000))),
            (&[(10, 3)], 500_000, (3, 3, None)),
            (&[(10, 3), (500_000, 9), (500_001, 0)], 500_002, (9, 9, Some(561_000))),
        ];
        for (records, at_ms, expected) in table {
            let mut window = Window::new(60_000);
            records.iter().for_each(|(now_ms, level)| window.record(*level, *now_ms));
            let found = (window.peak(*at_ms), window.recent_peak(*at_ms), window.falls_to(1));
            assert_eq!(found, *expected, "{records:?} at {at_ms}");
        }
    }
}
