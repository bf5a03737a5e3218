//! Opening a topic: finding its end after whatever has happened.
//!
//! **Why.** The end of a log may be torn: a kill or power failure came while records were written that
//! nobody was told of. It may also be damaged: records are gone that were acknowledged. The first is
//! cut off without a word, the second is reported.
//!
//! **How.** The file `acknowledged` says up to where records are on disk; only what follows is read. A
//! hole in it is damage if the file, or a frame behind the hole, says that records in it were synced.
//! What follows without a hole was written, but perhaps not synced: it is written again, since a failed
//! sync may have left it in the cache of the system only, and synced, before anybody sees it.
//!
//! **Not here:** damage before the end, which shows when it is read (`read`).

use super::damage::{Lost, add};
use super::disk::{DiskFile, read_full};
use super::frame::{SEGMENT_HEAD, SEGMENT_HEAD_BYTES, Salt, segment_salt};
use super::index::{Entry, Index};
use super::note::{self, Acknowledged, Meta};
use super::topic::{Segment, State, Topic, index_path, segment_path};
use super::walk::{Step, Walk};
use super::{Shared, io_fault};
use hob_core::fault::Result;
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

const CHUNK: usize = 1 << 20;
/// Space that was never written ends the search for frames behind a hole.
const ZEROS_MAX: u64 = 1 << 20;

/// Reads what is on disk of a topic, if that has not been done.
///
/// # Errors
/// `HOB-0601` when files cannot be read or mended, `HOB-0604` when the disk is full.
pub(super) fn load(shared: &Shared, topic: &Topic) -> Result<()> {
    if topic.is_loaded() {
        return Ok(());
    }
    let _load = topic.load.lock().unwrap_or_else(PoisonError::into_inner);
    if topic.is_loaded() {
        return Ok(());
    }
    let mut loaded = Loader { shared, topic, state: State::empty(), lost: Vec::new() }
        .run()
        .map_err(|error| io_fault("read", &topic.folder, &error))?;
    let mut state = topic.state();
    loaded.exists = state.exists || loaded.next > 1 || !loaded.damage.is_empty();
    (loaded.settings, loaded.settled) = (state.settings, state.settled);
    *state = loaded;
    drop(state);
    topic.loaded.store(true, Ordering::Release);
    Ok(())
}

/// Removes a segment and its index.
pub(super) fn remove_segment(shared: &Shared, folder: &Path, base: u64) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    gone(shared.disk.remove(&index_path(folder, base)))?;
    gone(shared.disk.remove(&segment_path(folder, base)))
}

struct Loader<'a> {
    shared: &'a Shared,
    topic: &'a Topic,
    state: State,
    lost: Vec<(u64, Lost)>,
}

/// Where the records of the last segment end.
struct End {
    offset: u64,
    next: u64,
    time_ms: Option<u64>,
    lost: Vec<Lost>,
    index: Index,
}

impl Loader<'_> {
    fn run(mut self) -> io::Result<State> {
        let folder = &self.topic.folder;
        let disk = &*self.shared.disk;
        let names = match disk.list(folder) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let read = |name: &str| note::read(disk, folder, name);
        let meta = read(note::META)?.and_then(|bytes| Meta::decode(&bytes));
        let acknowledged = read(note::ACKNOWLEDGED)?.and_then(|bytes| Acknowledged::decode(&bytes));
        let damage = read(note::DAMAGE)?.and_then(|bytes| note::decode_damage(&bytes));
        self.state.damage = damage.unwrap_or_default();
        for (name, _) in names.iter().filter(|(name, _)| name == "spare" || name.ends_with(".new")) {
            disk.remove(&folder.join(name))?;
        }
        let base = |name: &str| name.strip_suffix(".log").filter(|base| base.len() == 20)?.parse().ok();
        let mut segments: Vec<Segment> =
            names.iter().filter_map(|(name, length)| Some(Segment::new(base(name)?, *length))).collect();
        segments.sort_by_key(|segment| segment.base);
        self.state.segments = VecDeque::from(segments);
        self.state.salt = match meta {
            Some(meta) => meta.salt,
            None => self.salt_of_segments()?.unwrap_or(self.state.salt),
        };
        let acknowledged = acknowledged.unwrap_or_default();
        self.state.first = meta.map_or(1, |meta| meta.first).max(acknowledged.first).max(1);
        self.remove_trimmed()?;
        self.find_end(&acknowledged)?;
        self.check_front();
        for (base, lost) in &self.lost {
            add(self.shared, self.topic, &mut self.state.damage, *base, &[*lost]);
        }
        Ok(self.state)
    }

    /// The salt, where `meta` is lost.
    fn salt_of_segments(&self) -> io::Result<Option<Salt>> {
        for segment in &self.state.segments {
            let file = self.open(segment.base)?;
            let mut head = [0; SEGMENT_HEAD];
            read_full(&*file, &mut head, 0)?;
            if let Some(salt) = segment_salt(&head, segment.base) {
                return Ok(Some(salt));
            }
        }
        Ok(None)
    }

    fn open(&self, base: u64) -> io::Result<Arc<dyn DiskFile>> {
        self.shared.disk.open(&segment_path(&self.topic.folder, base), false)
    }

    /// Segments in front of which a kill came before they were removed.
    fn remove_trimmed(&mut self) -> io::Result<()> {
        while self.state.segments.get(1).is_some_and(|second| second.base <= self.state.first) {
            let Some(trimmed) = self.state.segments.pop_front() else { break };
            remove_segment(self.shared, &self.topic.folder, trimmed.base)?;
        }
        Ok(())
    }

    fn find_end(&mut self, acknowledged: &Acknowledged) -> io::Result<()> {
        while let Some(last) = self.state.segments.back().cloned() {
            let file = self.open(last.base)?;
            let known = acknowledged.base == last.base
                && (SEGMENT_HEAD_BYTES..=last.end).contains(&acknowledged.offset)
                && acknowledged.next >= last.base;
            let from = if known {
                (acknowledged.offset, acknowledged.next, Some(acknowledged.time_ms))
            } else {
                (SEGMENT_HEAD_BYTES, last.base, None)
            };
            let mut end = self.follow(&*file, &last, from, acknowledged.next)?;
            if end.next == last.base && end.lost.is_empty() && acknowledged.base != last.base {
                // A segment that was begun when the end came, or that could not be begun, so that its
                // records went into the one before. Nobody was told of anything in it.
                remove_segment(self.shared, &self.topic.folder, last.base)?;
                self.state.segments.pop_back();
                continue;
            }
            if end.next < acknowledged.next {
                end.lost.push((end.next, acknowledged.next - 1));
            }
            return self.finish(&*file, end, from, acknowledged);
        }
        self.state.next = self.state.first.max(acknowledged.next);
        self.state.synced = self.state.next;
        self.state.newest_ms = (acknowledged.time_ms > 0).then_some(acknowledged.time_ms);
        Ok(())
    }

    /// Goes through the last segment from a known place to its end.
    fn follow(
        &self,
        file: &dyn DiskFile,
        last: &Segment,
        (offset, next, time_ms): (u64, u64, Option<u64>),
        acknowledged: u64,
    ) -> io::Result<End> {
        let mut walk = Walk::new(file, self.state.salt, offset, last.end, CHUNK);
        let mut end = End { offset, next, time_ms, lost: Vec::new(), index: Index::default() };
        let mut expected = next;
        loop {
            let at = walk.at;
            match walk.step()? {
                Step::Record(head) if head.sequence == expected => {
                    end.index.note(Entry { sequence: expected, time_ms: head.time_ms, offset: at });
                    expected += 1;
                    // Half a batch is not acknowledged, and goes.
                    if head.rest == 0 || expected <= acknowledged {
                        (end.offset, end.next, end.time_ms) = (walk.at, expected, Some(head.time_ms));
                    }
                }
                _ => {
                    walk.at = at;
                    let synced = acknowledged > expected;
                    let later = walk.resume(ZEROS_MAX, |head| {
                        head.sequence >= expected && (synced || head.synced_before() > expected)
                    })?;
                    if !later {
                        return Ok(end);
                    }
                    walk.at = at;
                    walk.resume(ZEROS_MAX, |head| head.sequence >= expected)?;
                    let found = walk.at;
                    let Step::Record(head) = walk.step()? else { return Ok(end) };
                    walk.at = found;
                    end.lost.push((expected, head.sequence - 1));
                    expected = head.sequence;
                }
            }
        }
    }

    /// Mends the end, or leaves a damaged one alone and lets the next record begin a new segment.
    fn finish(
        &mut self,
        file: &dyn DiskFile,
        end: End,
        (from, expected, _): (u64, u64, Option<u64>),
        acknowledged: &Acknowledged,
    ) -> io::Result<()> {
        let whole = from == SEGMENT_HEAD_BYTES;
        let last = self.state.segments.back_mut().expect("there is a last segment");
        let (base, length) = (last.base, last.end);
        last.end = end.offset;
        last.index = whole.then_some(end.index);
        self.state.next = end.next.max(acknowledged.next).max(self.state.first);
        self.state.synced = self.state.next;
        self.state.newest_ms = end.time_ms;
        if end.time_ms.is_none() {
            self.state.newest_ms = self.time_before_last()?;
        }
        if !end.lost.is_empty() || self.state.next > end.next {
            self.lost.extend(end.lost.into_iter().map(|lost| (base, lost)));
            return file.sync();
        }
        self.state.capacity = length;
        if !is_empty(file, end.offset, length)? {
            file.set_length(end.offset)?;
            self.state.capacity = end.offset;
        }
        if end.next > expected {
            write_again(file, from, end.offset)?;
        }
        file.sync()?;
        self.state.writable = true;
        Ok(())
    }

    /// The time of the last record when the last segment has none.
    fn time_before_last(&self) -> io::Result<Option<u64>> {
        let Some(place) = self.state.segments.len().checked_sub(2) else { return Ok(None) };
        let segment = &self.state.segments[place];
        let file = self.open(segment.base)?;
        let mut walk = Walk::new(&*file, self.state.salt, SEGMENT_HEAD_BYTES, segment.end, CHUNK);
        let mut time = None;
        loop {
            match walk.step()? {
                Step::Record(head) => time = Some(head.time_ms),
                Step::Bad if walk.resume(u64::MAX, |_| true)? => {}
                Step::Bad | Step::End => return Ok(time),
            }
        }
    }

    /// Segments that are gone in front.
    fn check_front(&mut self) {
        let state = &mut self.state;
        let front = state.segments.front().map_or(state.next, |front| front.base);
        if front > state.first {
            self.lost.push((state.first, (state.first, front - 1)));
            state.first = front;
        }
    }
}

/// Whether there are only zeros from `at` to `end`, as far as a torn write can reach.
fn is_empty(file: &dyn DiskFile, mut at: u64, end: u64) -> io::Result<bool> {
    let mut buffer = vec![0; CHUNK];
    let far = end.min(at + ZEROS_MAX);
    while at < far {
        let length = usize::try_from(far - at).unwrap_or(CHUNK).min(CHUNK);
        let length = read_full(file, &mut buffer[..length], at)?;
        if length == 0 || buffer[..length].iter().any(|byte| *byte != 0) {
            return Ok(length == 0);
        }
        at += length as u64;
    }
    Ok(true)
}

/// Writes what is there once more, so that the system has to bring it to disk.
fn write_again(file: &dyn DiskFile, mut at: u64, end: u64) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
        read_full(file, &mut buffer[..length], at)?;
        file.write_at(&buffer[..length], at)?;
        at += length as u64;
    }
    Ok(())
}
