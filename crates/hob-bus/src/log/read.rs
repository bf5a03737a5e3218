//! Reading records, on the thread of whoever asks.
//!
//! **How.** [`scan`] is the one way through a topic: from segment to segment, each frame checked. What
//! cannot be read is reported as damage and passed over, so that the rest goes on. Where a reader stops
//! is remembered, since it will go on there.

use super::damage::{Lost, report};
use super::disk::DiskFile;
use super::frame::{Head, SEGMENT_HEAD_BYTES};
use super::index::{Entry, Index};
use super::topic::{Start, Topic, index_path, segment_path};
use super::walk::{Step, Walk};
use super::{Shared, io_fault};
use bytes::Bytes;
use hob_core::fault::Result;
use hob_core::port::{Page, ReadLimit, Record};
use std::io;
use std::sync::Arc;

/// Bytes of a file that are read ahead.
const CHUNK_MAX: usize = 256 << 10;
const CHUNK_MIN: usize = 16 << 10;

/// Where a scan stopped, and what it did not find on the way.
#[derive(Default)]
pub(super) struct Scanned {
    pub(super) next: u64,
    pub(super) missing: Vec<(u64, u64)>,
}

/// A page from memory, when it is there: what was appended a moment ago, or nothing.
pub(super) fn from_memory(topic: &Topic, from: u64, limit: ReadLimit) -> Option<Page> {
    let state = topic.state();
    if from >= state.next {
        return Some(Page { next: from, ..Page::default() });
    }
    if from < state.first {
        return None;
    }
    let mut page = Page { next: from, ..Page::default() };
    let mut bytes = 0;
    for record in state.tail_from(from)? {
        if fill(&mut page, &mut bytes, limit, record.clone()) {
            break;
        }
    }
    (!page.records.is_empty()).then_some(page)
}

/// Adds a record; returns whether the page is full now.
fn fill(page: &mut Page, bytes: &mut usize, limit: ReadLimit, record: Record) -> bool {
    *bytes += record.payload.len();
    page.next = record.sequence + 1;
    page.records.push(record);
    page.records.len() >= limit.records || *bytes >= limit.bytes
}

/// A page from the files.
pub(super) fn page(shared: &Shared, topic: &Topic, from: u64, limit: ReadLimit) -> Result<Page> {
    let (mut page, mut bytes) = (Page::default(), 0);
    let chunk = limit.bytes.clamp(CHUNK_MIN, CHUNK_MAX);
    let scanned = scan(shared, topic, from, chunk, &mut |head, payload| {
        let payload = Bytes::copy_from_slice(payload);
        let record = Record { sequence: head.sequence, time_ms: head.time_ms, payload };
        !fill(&mut page, &mut bytes, limit, record)
    })?;
    page.next = scanned.next;
    page.missing = scanned.missing;
    Ok(page)
}

/// Shows records from sequence `from` on, until `visit` returns false or there are no more.
pub(super) fn scan(
    shared: &Shared,
    topic: &Topic,
    from: u64,
    chunk: usize,
    visit: &mut dyn FnMut(&Head, &[u8]) -> bool,
) -> Result<Scanned> {
    let mut scan = Scan { shared, topic, chunk, at: from, missing: Vec::new(), visit };
    while let Some(start) = scan.start()? {
        if !scan.segment(&start)? {
            break;
        }
    }
    Ok(Scanned { next: scan.at, missing: scan.missing })
}

struct Scan<'a> {
    shared: &'a Shared,
    topic: &'a Topic,
    chunk: usize,
    at: u64,
    missing: Vec<(u64, u64)>,
    visit: &'a mut dyn FnMut(&Head, &[u8]) -> bool,
}

impl Scan<'_> {
    /// The next segment to read, after those that are known to be gone.
    fn start(&mut self) -> Result<Option<Start>> {
        let mut indexed = false;
        loop {
            let state = self.topic.state();
            if self.at < state.first {
                self.missing.push((self.at, state.first - 1));
                self.at = state.first;
            }
            if self.at >= state.next {
                return Ok(None);
            }
            match state.start(self.at) {
                Some(start) if start.blind && !indexed => {
                    drop(state);
                    find_index(self.shared, self.topic, &start)?;
                    indexed = true;
                }
                Some(start) => return Ok(Some(start)),
                None => {
                    let following = state.place(self.at).map_or(0, |place| place + 1);
                    let bound = state.segments.get(following).map_or(state.next, |segment| segment.base);
                    self.missing.push((self.at, bound - 1));
                    self.at = bound;
                }
            }
        }
    }

    /// Reads one segment; returns whether to go on with the next.
    fn segment(&mut self, start: &Start) -> Result<bool> {
        let path = segment_path(&self.topic.folder, start.base);
        let fault = |error: &io::Error| io_fault("read", &path, error);
        let file = match open(self.shared, self.topic, start) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.topic.state().first <= self.at {
                    self.lose(start.base, &[(self.at, start.bound - 1)]);
                    self.at = start.bound;
                }
                return Ok(true);
            }
            Err(error) => return Err(fault(&error)),
        };
        let mut lost = Vec::new();
        let mut walk = Walk::new(&*file, start.salt, start.offset, start.end, self.chunk);
        let more = self.frames(&mut walk, start, &mut lost).map_err(|error| fault(&error))?;
        let mut state = self.topic.state();
        if lost.is_empty() {
            state.hint(self.at, start.base, walk.at);
        } else {
            state.forget_hints();
        }
        drop(state);
        if !lost.is_empty() {
            report(self.shared, self.topic, start.base, &lost);
        }
        Ok(more)
    }

    fn frames(&mut self, walk: &mut Walk, start: &Start, lost: &mut Vec<Lost>) -> io::Result<bool> {
        let mut expected = start.sequence;
        // A place that an index or an earlier read has named may be wrong; the beginning is not.
        let mut trusted = start.offset == SEGMENT_HEAD_BYTES;
        let fits = |head: &Head, expected: u64| head.sequence >= expected && head.sequence < start.bound;
        while expected < start.bound {
            let before = walk.at;
            match walk.step()? {
                Step::Record(head) if head.sequence == expected => {
                    trusted = true;
                    expected += 1;
                    if head.sequence < self.at {
                        continue;
                    }
                    self.at = expected;
                    if !(self.visit)(&head, walk.payload()) {
                        return Ok(false);
                    }
                }
                _ if !trusted => {
                    (walk.at, expected, trusted) = (SEGMENT_HEAD_BYTES, start.base, true);
                }
                _ => {
                    walk.at = before;
                    let mut last = start.bound - 1;
                    if walk.resume(u64::MAX, |head| fits(head, expected))? {
                        let found = walk.at;
                        if let Step::Record(head) = walk.step()? {
                            last = head.sequence - 1;
                        }
                        walk.at = found;
                    }
                    lost.push((expected, last));
                    if last >= self.at {
                        self.missing.push((self.at.max(expected), last));
                        self.at = last + 1;
                    }
                    expected = last + 1;
                }
            }
        }
        Ok(true)
    }

    fn lose(&mut self, base: u64, lost: &[Lost]) {
        self.missing.extend_from_slice(lost);
        report(self.shared, self.topic, base, lost);
    }
}

fn open(shared: &Shared, topic: &Topic, start: &Start) -> io::Result<Arc<dyn DiskFile>> {
    match &start.file {
        Some(file) => Ok(file.clone()),
        None => shared.disk.open(&segment_path(&topic.folder, start.base), false),
    }
}

/// Gives a segment its index: from its file, or else from the segment itself.
fn find_index(shared: &Shared, topic: &Topic, start: &Start) -> Result<()> {
    let path = index_path(&topic.folder, start.base);
    let read = shared.disk.read(&path).ok();
    let index = match read.and_then(|bytes| Index::decode(&bytes, start.base, start.end)) {
        Some(index) => index,
        None => match open(shared, topic, start) {
            Ok(file) => make_index(&*file, start).map_err(|error| io_fault("read", &path, &error))?,
            // A segment that is gone shows when it is read.
            Err(_) => Index::default(),
        },
    };
    topic.state().set_index(start.base, index);
    Ok(())
}

fn make_index(file: &dyn DiskFile, start: &Start) -> io::Result<Index> {
    let mut index = Index::default();
    let mut walk = Walk::new(file, start.salt, SEGMENT_HEAD_BYTES, start.end, CHUNK_MAX);
    loop {
        let offset = walk.at;
        match walk.step()? {
            Step::Record(head) => {
                index.note(Entry { sequence: head.sequence, time_ms: head.time_ms, offset });
            }
            Step::Bad if walk.resume(u64::MAX, |_| true)? => {}
            Step::Bad | Step::End => return Ok(index),
        }
    }
}

/// The time of the first record at or behind `sequence`, with its sequence.
pub(super) fn first_time(shared: &Shared, topic: &Topic, sequence: u64) -> Result<Option<(u64, u64)>> {
    let mut found = None;
    scan(shared, topic, sequence, CHUNK_MIN, &mut |head, _| {
        found = Some((head.sequence, head.time_ms));
        false
    })?;
    Ok(found)
}

/// The first sequence whose record was appended at or after `time_ms`.
pub(super) fn seek(shared: &Shared, topic: &Topic, time_ms: u64) -> Result<u64> {
    let (bases, first, next, newest) = {
        let state = topic.state();
        let bases: Vec<u64> = state.segments.iter().map(|segment| segment.base).collect();
        (bases, state.first, state.next, state.newest_ms)
    };
    if newest.is_none_or(|newest| newest < time_ms) {
        return Ok(next);
    }
    // The last segment whose first record is too early: what is looked for is in it, or comes right after.
    let (mut low, mut high) = (0, bases.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        let time = segment_time(shared, topic, bases[middle])?;
        if time.is_some_and(|time| time < time_ms) { low = middle + 1 } else { high = middle }
    }
    let Some(base) = low.checked_sub(1).map(|place| bases[place]) else { return Ok(first) };
    let start = topic.state().start(base.max(first));
    if let Some(start) = start.filter(|start| start.end > CHUNK_MAX as u64) {
        let known = topic.state().segments.iter().any(|s| s.base == start.base && s.index.is_some());
        if !known {
            find_index(shared, topic, &start)?;
        }
    }
    let near = {
        let state = topic.state();
        let index = state.segments.iter().find(|segment| segment.base == base).and_then(|s| s.index.as_ref());
        index.and_then(|index| index.floor(|entry| entry.time_ms < time_ms)).map_or(base, |e| e.sequence)
    };
    let mut found = None;
    scan(shared, topic, near.max(first), CHUNK_MAX, &mut |head, _| {
        found = (head.time_ms >= time_ms).then_some(head.sequence);
        found.is_none()
    })?;
    Ok(found.unwrap_or(next))
}

/// The time of a segment's first record.
fn segment_time(shared: &Shared, topic: &Topic, base: u64) -> Result<Option<u64>> {
    let known = |state: &super::topic::State| {
        state.segments.iter().find(|segment| segment.base == base).and_then(|segment| segment.first_ms)
    };
    if let Some(time) = known(&topic.state()) {
        return Ok(Some(time));
    }
    let time = first_time(shared, topic, base)?.map(|(_, time)| time);
    let mut state = topic.state();
    if let Some(segment) = state.segments.iter_mut().find(|segment| segment.base == base) {
        segment.first_ms = time;
    }
    Ok(time)
}
