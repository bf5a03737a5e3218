//! How many deliveries may begin in a time: a token bucket in whole numbers.
//!
//! **How.** A bucket holds at most the events of one interval and fills evenly. To stay in whole numbers it
//! counts in parts: an event costs as many parts as the interval has milliseconds, and each millisecond
//! brings as many parts as the interval allows events. It begins with one event, so that restarts do not
//! bring a burst each.
//!
//! **Clock.** Time that goes back brings nothing; time that jumps forward fills the bucket at most.

use super::Rate;

#[derive(Clone, Debug)]
pub(super) struct Bucket {
    rate: Option<Rate>,
    parts: u64,
    at_ms: u64,
}

impl Bucket {
    pub(super) fn new(rate: Option<Rate>, now_ms: u64) -> Self {
        let rate = rate.map(|rate| Rate { events: rate.events.max(1), interval_ms: rate.interval_ms.max(1) });
        Self { rate, parts: rate.map_or(0, |rate| rate.interval_ms), at_ms: now_ms }
    }

    /// Another rate begins with one event; the same one goes on.
    pub(super) fn configure(&mut self, rate: Option<Rate>, now_ms: u64) {
        let new = Self::new(rate, now_ms);
        if new.rate != self.rate {
            *self = new;
        }
    }

    /// Takes one event out; false when there is none.
    pub(super) fn take(&mut self, now_ms: u64) -> bool {
        let Some(rate) = self.rate else { return true };
        let events = u64::from(rate.events);
        let gained = now_ms.saturating_sub(self.at_ms).saturating_mul(events);
        self.at_ms = now_ms;
        self.parts = self.parts.saturating_add(gained).min(rate.interval_ms.saturating_mul(events));
        if self.parts < rate.interval_ms {
            return false;
        }
        self.parts -= rate.interval_ms;
        true
    }

    /// When the next event may be taken, as seen at the last [`Bucket::take`].
    pub(super) fn next_ms(&self) -> u64 {
        let Some(rate) = self.rate else { return 0 };
        let lacks = rate.interval_ms.saturating_sub(self.parts);
        self.at_ms.saturating_add(lacks.div_ceil(u64::from(rate.events)))
    }
}

#[cfg(test)]
mod tests {
    use super::Bucket;
    use crate::subscription::Rate;

    #[test]
    fn events_flow_evenly_after_a_burst_of_one_interval() {
        // At each time: how many events were taken until there were none, and when the next may be.
        let steps: &[(u64, u32, u64)] = &[
            (0, 1, 334),     // One to begin with.
            (333, 0, 334),   // A third of a second is not quite over.
            (334, 1, 667),   // The rounding is not lost:
            (1000, 2, 1334), // three in the first second,
            (9000, 3, 9334), // and no more than three after a long pause.
            (5000, 0, 5334), // The clock goes back: nothing is gained, nothing is owed for long.
            (5334, 1, 5667),
        ];
        let mut bucket = Bucket::new(Some(Rate { events: 3, interval_ms: 1000 }), 0);
        for (now_ms, expected, next_ms) in steps {
            let mut taken = 0;
            while bucket.take(*now_ms) {
                taken += 1;
            }
            assert_eq!((taken, bucket.next_ms()), (*expected, *next_ms), "at {now_ms}");
        }
        assert!(Bucket::new(None, 0).take(0), "without a rate there is always one");
    }
}
