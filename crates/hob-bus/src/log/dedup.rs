//! Which keys were appended within a topic's window.
//!
//! **How.** Keys are known by 16 bytes of their SHA-256, in a map and in the order of appending. What
//! falls out of the window, or is older than the newest [`DEDUP_EVENTS_MAX`] records, is forgotten when
//! the next record comes.

use hob_core::limit::DEDUP_EVENTS_MAX;
use std::collections::{HashMap, VecDeque};

/// The remembered keys of one topic.
#[derive(Default)]
pub(super) struct Dedup {
    /// Sequence and time of the record with that key.
    known: HashMap<u128, (u64, u64)>,
    order: VecDeque<(u64, u128)>,
    window_ms: u64,
}

impl Dedup {
    pub(super) fn new(window_ms: u64) -> Self {
        Self { window_ms, ..Self::default() }
    }

    /// How far back it knows.
    pub(super) fn window_ms(&self) -> u64 {
        self.window_ms
    }

    /// Forgets sooner from now on.
    pub(super) fn shorten(&mut self, window_ms: u64) {
        self.window_ms = self.window_ms.min(window_ms);
    }

    /// The record with that key, if a record appended at `time_ms` with sequence `next` is its duplicate.
    pub(super) fn find(&self, key: u128, time_ms: u64, next: u64) -> Option<u64> {
        let (sequence, then) = self.known.get(&key)?;
        let recent =
            sequence + DEDUP_EVENTS_MAX as u64 > next && time_ms.saturating_sub(*then) < self.window_ms;
        recent.then_some(*sequence)
    }

    /// Remembers a record, and forgets old ones.
    pub(super) fn insert(&mut self, key: u128, time_ms: u64, sequence: u64) {
        self.known.insert(key, (sequence, time_ms));
        self.order.push_back((sequence, key));
        while let Some((oldest, key)) = self.order.front().copied() {
            // The key may have come again since; then it belongs to that record.
            let own = self.known.get(&key).filter(|(known, _)| *known == oldest);
            let kept = own.is_some_and(|(known, then)| {
                known + DEDUP_EVENTS_MAX as u64 > sequence && time_ms.saturating_sub(*then) < self.window_ms
            });
            if kept {
                break;
            }
            if own.is_some() {
                self.known.remove(&key);
            }
            self.order.pop_front();
        }
    }

    /// Forgets the records from `sequence` on: they were not written.
    pub(super) fn cut(&mut self, sequence: u64) {
        while let Some((_, key)) = self.order.pop_back_if(|(last, _)| *last >= sequence) {
            if self.known.get(&key).is_some_and(|(known, _)| *known >= sequence) {
                self.known.remove(&key);
            }
        }
    }
}
