//! What is known of one topic while the engine is open.
//!
//! **How.** [`State`] is behind a lock that is held for moments only, never during I/O. The writer's
//! thread alone appends to it; the keeper and `trim` take away in front, one at a time (`front`).

use super::dedup::Dedup;
use super::disk::DiskFile;
use super::frame::{SEGMENT_HEAD_BYTES, Salt};
use super::index::{Entry, Index};
use super::note::{Acknowledged, Found};
use hob_core::fault::Fault;
use hob_core::limit::{LOG_PREPARED_BYTES_MIN, LOG_SEGMENT_BYTES, LOG_TAIL_BYTES};
use hob_core::name::TopicName;
use hob_core::port::{Record, TopicSettings};
use hob_core::trigger::TopicSpec;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places of readers that are remembered.
const HINTS: usize = 16;
/// Records for which a segment is worth its file.
const SEGMENT_RECORDS_MIN: u64 = 64;
/// Sealed segments whose index is kept in memory.
const INDEXES: usize = 8;

/// One topic.
pub(super) struct Topic {
    pub(super) name: TopicName,
    pub(super) folder: PathBuf,
    /// Whether [`State`] holds what is on disk, so that the lock `load` need not be taken.
    pub(super) loaded: AtomicBool,
    /// Held while the topic is loaded or made ready for records.
    pub(super) load: Mutex<()>,
    /// Held by the publisher that has the topic made ready, for which the others wait without a thread each.
    pub(super) preparing: tokio::sync::Mutex<()>,
    /// Held by whoever removes records in front.
    pub(super) front: Mutex<()>,
    state: Mutex<State>,
}

/// A segment, which ends where the next one begins.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Sequence of its first record.
    pub(super) base: u64,
    /// Where its records end in the file.
    pub(super) end: u64,
    /// Times of the first and last record, where known.
    pub(super) first_ms: Option<u64>,
    pub(super) last_ms: Option<u64>,
    pub(super) index: Option<Index>,
}

/// The file prepared for the next segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spare {
    None,
    Wanted,
    /// With this much space.
    Ready(u64),
}

/// The keys that a topic remembers.
pub(super) enum Keys {
    /// They have to be read from disk.
    Unread,
    /// The writer has them while it works.
    Taken,
    Read(Dedup),
}

/// Files that are kept open.
#[derive(Clone)]
pub(super) struct Files {
    pub(super) acknowledged: Arc<dyn DiskFile>,
    /// The last segment, if it may be written.
    pub(super) active: Option<Arc<dyn DiskFile>>,
}

/// What changes.
pub(super) struct State {
    /// Whether there is anything on disk, or anything was configured.
    pub(super) exists: bool,
    /// Whether the folder and its small files are made.
    pub(super) made: bool,
    pub(super) salt: Salt,
    pub(super) first: u64,
    /// Everything before it can be read.
    pub(super) next: u64,
    /// Everything before it is on disk.
    pub(super) synced: u64,
    pub(super) segments: VecDeque<Segment>,
    /// Whether the last segment may be written, and how far its space goes.
    pub(super) writable: bool,
    pub(super) capacity: u64,
    pub(super) newest_ms: Option<u64>,
    /// Sequence and time of the first record, as far as it was looked up.
    pub(super) oldest: Option<(u64, u64)>,
    pub(super) damage: Vec<Found>,
    pub(super) settings: TopicSettings,
    pub(super) settled: u64,
    pub(super) read_only: Option<Fault>,
    pub(super) keys: Keys,
    pub(super) files: Option<Files>,
    pub(super) spare: Spare,
    tail: VecDeque<Record>,
    tail_bytes: usize,
    hints: VecDeque<(u64, u64, u64)>,
}

/// Where to begin to read a segment.
pub(super) struct Start {
    pub(super) base: u64,
    /// The first sequence behind the segment.
    pub(super) bound: u64,
    pub(super) end: u64,
    /// A frame at or before the wanted one.
    pub(super) sequence: u64,
    pub(super) offset: u64,
    pub(super) file: Option<Arc<dyn DiskFile>>,
    pub(super) salt: Salt,
    /// The wanted record may be far from there, and no index says where.
    pub(super) blind: bool,
}

/// The file of a segment.
pub(super) fn segment_path(folder: &Path, base: u64) -> PathBuf {
    folder.join(format!("{base:020}.log"))
}

/// The file of its index.
pub(super) fn index_path(folder: &Path, base: u64) -> PathBuf {
    folder.join(format!("{base:020}.index"))
}

/// The file prepared for the next segment.
pub(super) fn spare_path(folder: &Path) -> PathBuf {
    folder.join("spare")
}

impl Topic {
    /// A topic that has a folder is still to be loaded.
    pub(super) fn new(name: TopicName, folder: PathBuf, has_folder: bool) -> Self {
        Self {
            name,
            folder,
            loaded: AtomicBool::new(!has_folder),
            load: Mutex::default(),
            preparing: tokio::sync::Mutex::default(),
            front: Mutex::default(),
            state: Mutex::new(State::empty()),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }
}

impl Segment {
    pub(super) fn new(base: u64, end: u64) -> Self {
        Self { base, end, first_ms: None, last_ms: None, index: None }
    }
}

impl State {
    /// A topic of which there is nothing.
    pub(super) fn empty() -> Self {
        Self {
            exists: false,
            made: false,
            salt: Salt::random(),
            first: 1,
            next: 1,
            synced: 1,
            segments: VecDeque::new(),
            writable: false,
            capacity: 0,
            newest_ms: None,
            oldest: None,
            damage: Vec::new(),
            settings: TopicSpec::default().into(),
            settled: 0,
            read_only: None,
            keys: Keys::Unread,
            files: None,
            spare: Spare::None,
            tail: VecDeque::new(),
            tail_bytes: 0,
            hints: VecDeque::new(),
        }
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.end).sum()
    }

    /// Whether there are records that can be read and are not on disk.
    pub(super) fn has_unsynced(&self) -> bool {
        self.synced < self.next
    }

    /// The segment that is being written.
    pub(super) fn active(&self) -> Option<&Segment> {
        self.segments.back().filter(|_| self.writable)
    }

    /// How large segments become: retention removes whole ones, so several must fit into what is kept.
    pub(super) fn segment_bytes(&self) -> u64 {
        let kept = self.settings.bytes.min(self.settings.bytes_max) / 8;
        kept.clamp(LOG_PREPARED_BYTES_MIN, LOG_SEGMENT_BYTES)
    }

    /// How many records a segment gets, for the same reason.
    pub(super) fn segment_records(&self) -> u64 {
        (self.settings.records / 8).max(SEGMENT_RECORDS_MIN)
    }

    /// Space of the next segment: twice that of the last one.
    pub(super) fn next_capacity(&self) -> u64 {
        let last = self.segments.back().map_or(0, |last| last.end.max(self.capacity).next_power_of_two());
        (last * 2).clamp(LOG_PREPARED_BYTES_MIN, self.segment_bytes())
    }

    /// What the file `acknowledged` has to say.
    pub(super) fn acknowledged(&self) -> Acknowledged {
        let active = self.active();
        Acknowledged {
            first: self.first,
            next: self.synced,
            base: active.map_or(0, |active| active.base),
            offset: active.map_or(0, |active| active.end),
            time_ms: self.newest_ms.unwrap_or(0),
        }
    }

    /// The first sequence behind the segment at that place.
    pub(super) fn bound(&self, place: usize) -> u64 {
        self.segments.get(place + 1).map_or(self.next, |following| following.base)
    }

    /// Where the segment is in which `sequence` is or would be.
    pub(super) fn place(&self, sequence: u64) -> Option<usize> {
        self.segments.partition_point(|segment| segment.base <= sequence).checked_sub(1)
    }

    /// Where to begin to look for `sequence`; `None` when no segment can hold it.
    pub(super) fn start(&self, sequence: u64) -> Option<Start> {
        let place = self.place(sequence)?;
        let segment = &self.segments[place];
        let bound = self.bound(place);
        if sequence >= bound {
            return None;
        }
        let known = |found: u64, offset: u64| (found, offset);
        let mut best = known(segment.base, SEGMENT_HEAD_BYTES);
        let index = segment.index.as_ref();
        if let Some(entry) = index.and_then(|index| index.floor(|entry| entry.sequence <= sequence)) {
            best = best.max(known(entry.sequence, entry.offset));
        }
        let hints = self.hints.iter().filter(|(next, base, _)| *base == segment.base && *next <= sequence);
        if let Some((next, _, offset)) = hints.max() {
            best = best.max(known(*next, *offset));
        }
        let active = self.writable && place + 1 == self.segments.len();
        let files = self.files.as_ref().filter(|_| active);
        Some(Start {
            base: segment.base,
            bound,
            end: segment.end,
            sequence: best.0,
            offset: best.1,
            file: files.and_then(|files| files.active.clone()),
            salt: self.salt,
            blind: index.is_none() && best.0 + 256 < sequence,
        })
    }

    /// Remembers where a reader stopped: it will go on there.
    pub(super) fn hint(&mut self, next: u64, base: u64, offset: u64) {
        self.hints.retain(|(known, ..)| *known != next);
        if self.hints.len() == HINTS {
            self.hints.pop_front();
        }
        self.hints.push_back((next, base, offset));
    }

    /// Hints cannot be trusted any more.
    pub(super) fn forget_hints(&mut self) {
        self.hints.clear();
    }

    /// Sets the index of a segment, and lets go of others.
    pub(super) fn set_index(&mut self, base: u64, index: Index) {
        let sealed = self.segments.len() - usize::from(self.writable);
        let known = self.segments.iter().take(sealed).filter(|segment| segment.index.is_some()).count();
        if known >= INDEXES {
            self.segments.iter_mut().take(sealed).for_each(|segment| segment.index = None);
        }
        if let Some(segment) = self.segments.iter_mut().find(|segment| segment.base == base) {
            segment.index = Some(index);
        }
    }

    /// Notes a frame that was written.
    pub(super) fn index(&mut self, entry: Entry) {
        if let Some(active) = self.segments.back_mut() {
            if active.first_ms.is_none() && entry.sequence == active.base {
                active.first_ms = Some(entry.time_ms);
            }
            if let Some(index) = &mut active.index {
                index.note(entry);
            }
        }
    }

    /// Keeps the newest of the records that were just written, from sequence `begin` on, for those who read
    /// at the end.
    pub(super) fn keep_tail(&mut self, begin: u64, records: VecDeque<Record>) {
        // Where the new ones are more than fit, the old ones would not be followed by them.
        if records.front().is_none_or(|first| first.sequence != begin) {
            (self.tail, self.tail_bytes) = (VecDeque::new(), 0);
        }
        for record in records {
            self.tail_bytes += record.payload.len() + size_of::<Record>();
            self.tail.push_back(record);
        }
        while self.tail_bytes > LOG_TAIL_BYTES {
            let Some(oldest) = self.tail.pop_front() else { break };
            self.tail_bytes -= oldest.payload.len() + size_of::<Record>();
        }
    }

    /// The kept records from `sequence` on, if none before them is missing.
    pub(super) fn tail_from(&self, sequence: u64) -> Option<impl Iterator<Item = &Record>> {
        let front = self.tail.front()?;
        let skip = usize::try_from(sequence.checked_sub(front.sequence)?).ok()?;
        Some(self.tail.iter().skip(skip))
    }

    /// Whether a record may be appended without reading or making anything before.
    pub(super) fn is_ready(&self) -> bool {
        let window_ms = self.settings.dedup_ms;
        let keys = match &self.keys {
            Keys::Unread => window_ms == 0,
            Keys::Taken => true,
            Keys::Read(keys) => keys.window_ms() >= window_ms,
        };
        self.made && keys
    }

    /// Lets go of what is only kept for speed.
    pub(super) fn close(&mut self) {
        self.files = None;
        self.tail = VecDeque::new();
        self.tail_bytes = 0;
    }
}
