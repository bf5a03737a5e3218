//! Where in a segment a record is, roughly.
//!
//! **How.** One entry about every [`INDEX_STEP_BYTES`]. An index is only a hint: what is found there is
//! checked like anything else, and a lost or damaged index file is made again from the segment.

use super::note::{numbers, read_numbers};

/// Bytes between two entries.
pub(super) const INDEX_STEP_BYTES: u64 = 64 << 10;
const INDEX_SEED: u32 = 0x696e_6478;

/// One known frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) time_ms: u64,
    pub(super) offset: u64,
}

/// The known frames of a segment, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    entries: Vec<Entry>,
}

impl Index {
    /// Adds a frame if it is far enough from the last one that is known.
    pub(super) fn note(&mut self, entry: Entry) {
        if self.entries.last().is_none_or(|last| last.offset + INDEX_STEP_BYTES <= entry.offset) {
            self.entries.push(entry);
        }
    }

    /// The last entry for which `before` holds.
    pub(super) fn floor(&self, before: impl Fn(&Entry) -> bool) -> Option<Entry> {
        self.entries[..self.entries.partition_point(before)].last().copied()
    }

    /// The file of the segment that begins with `base`; `end` is up to where the index is complete.
    pub(super) fn encode(&self, base: u64, end: u64) -> Vec<u8> {
        let entries = self.entries.iter().flat_map(|entry| [entry.sequence, entry.time_ms, entry.offset]);
        numbers(&[base, end].into_iter().chain(entries).collect::<Vec<_>>(), INDEX_SEED)
    }

    /// The other way; `None` when it is damaged or belongs to another segment. Entries from `end` on are
    /// left out, and an index that stops before `end` is none.
    pub(super) fn decode(bytes: &[u8], base: u64, end: u64) -> Option<Self> {
        let list = read_numbers(bytes, INDEX_SEED)?;
        let ([of, complete], rest) = list.split_first_chunk()?;
        if *of != base || *complete < end {
            return None;
        }
        let entries = rest.chunks_exact(3);
        let entries = entries.map(|e| Entry { sequence: e[0], time_ms: e[1], offset: e[2] });
        Some(Self { entries: entries.filter(|entry| entry.offset < end).collect() })
    }
}
