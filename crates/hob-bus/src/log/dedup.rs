//! Which keys were appended within a topic's window.
//!
//! **How.** Keys are known by 16 bytes of their SHA-256, in a map and in the order of appending. What
//! falls out of the window, or is older than the newest [`DEDUP_EVENTS_MAX`] records, is forgotten when
//! the next record comes.

use hob_core::limit::DEDUP_EVENTS_MAX;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};

/// The remembered keys of one topic.
#[derive(Default)]
pub(super) struct Dedup {
    /// Sequence and time of the record with that key.
    known: HashMap<u128, (u64, u64), Spread>,
    order: VecDeque<Place>,
    window_ms: u64,
}

/// A remembered record.
#[derive(Clone, Copy)]
struct Place {
    sequence: u64,
    time_ms: u64,
    key: u128,
}

/// Hashes keys, which are parts of SHA-256 already: all that is left to do is that nobody can choose ids
/// whose keys fall into one place, so they are multiplied with a secret.
#[derive(Clone)]
struct Spread {
    secret: [u64; 2],
}

impl Default for Spread {
    fn default() -> Self {
        let random = RandomState::new();
        Self { secret: [random.hash_one(0), random.hash_one(1)] }
    }
}

impl BuildHasher for Spread {
    type Hasher = Folded;
    fn build_hasher(&self) -> Folded {
        Folded { secret: self.secret, hash: 0 }
    }
}

/// See [`Spread`].
struct Folded {
    secret: [u64; 2],
    hash: u64,
}

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        bytes.chunks(16).for_each(|chunk| {
            let mut word = [0; 16];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u128(u128::from_le_bytes(word));
        });
    }

    fn write_u128(&mut self, number: u128) {
        let halves = number.to_le_bytes();
        let (low, high) = halves.split_at(8);
        let half = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        let product =
            u128::from(half(low) ^ self.secret[0] ^ self.hash) * u128::from(half(high) ^ self.secret[1]);
        let product = product.to_le_bytes();
        let (low, high) = product.split_at(8);
        self.hash = half(low) ^ half(high);
    }

    fn finish(&self) -> u64 {
        self.hash
    }
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
        self.order.push_back(Place { sequence, time_ms, key });
        let gone = |place: &mut Place| {
            place.sequence + DEDUP_EVENTS_MAX as u64 <= sequence
                || time_ms.saturating_sub(place.time_ms) >= self.window_ms
        };
        while let Some(oldest) = self.order.pop_front_if(gone) {
            // The key may have come again since; then it belongs to that record.
            if self.known.get(&oldest.key).is_some_and(|(known, _)| *known == oldest.sequence) {
                self.known.remove(&oldest.key);
            }
        }
    }

    /// Forgets the records from `sequence` on: they were not written.
    pub(super) fn cut(&mut self, sequence: u64) {
        while let Some(last) = self.order.pop_back_if(|place| place.sequence >= sequence) {
            if self.known.get(&last.key).is_some_and(|(known, _)| *known >= sequence) {
                self.known.remove(&last.key);
            }
        }
    }
}
