//! The thread that appends: one group of publications after the other, each with one sync.
//!
//! **Why.** A sync costs the same for one record as for a thousand. While it lasts, others queue up, and
//! share the next one.
//!
//! **How.** Take what waits; give each record its number and add it to its topic's buffer (`plan`);
//! write each buffer in one piece; acknowledge what asks for durability `memory` only; sync all touched
//! files; make the records visible, and acknowledge. What fails, fails for its topic alone: it is cut off
//! again when the disk is full, and the topic becomes read-only otherwise.
//!
//! **Not here:** anything that waits for other than the writes themselves (`prepare`, `keeper`).

mod files;
mod plan;

use super::disk::DiskFile;
use super::message::{Append, Job, Request};
use super::sync::Syncer;
use super::topic::{Files, Keys, Segment, Spare, Topic, index_path};
use super::{Broken, Shared};
use files::OpenFiles;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{LOG_GROUP_BYTES_MAX, LOG_TOPICS_OPEN_MAX};
use plan::Touched;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;

/// Starts the thread; it ends when nobody can ask any more.
pub(super) fn start(shared: Arc<Shared>, queue: mpsc::Receiver<Request>) -> Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name("hob-log".to_owned());
    let run = move || {
        let open = OpenFiles::default();
        Writer { shared, open, syncer: Syncer::default(), unsynced: Vec::new(), buffers: Vec::new() }
            .run(queue);
    };
    thread.spawn(run).map_err(Fault::internal)
}

struct Writer {
    shared: Arc<Shared>,
    open: OpenFiles,
    syncer: Syncer,
    /// Topics with records that are acknowledged and not synced.
    unsynced: Vec<Arc<Topic>>,
    /// Empty buffers, to be used again.
    buffers: Vec<Vec<u8>>,
}

/// Buffers that are kept, and how large they may be.
const BUFFERS: usize = 16;
const BUFFER_BYTES_MAX: usize = 1 << 20;

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let mut group = Vec::new();
        while let Some(first) = queue.blocking_recv() {
            let mut bytes = size(&first);
            group.push(first);
            while bytes < LOG_GROUP_BYTES_MAX && group.len() < LOG_TOPICS_OPEN_MAX * 4 {
                let Ok(next) = queue.try_recv() else { break };
                bytes += size(&next);
                group.push(next);
            }
            self.group(&mut group);
        }
        self.flush();
        self.save_indexes();
    }

    fn group(&mut self, group: &mut Vec<Request>) {
        self.open.next_round();
        let mut touched: Vec<Touched> = Vec::new();
        let mut places: HashMap<usize, usize> = HashMap::new();
        let (mut rolls, mut flush) = (Vec::new(), false);
        for request in group.drain(..) {
            match request {
                Request::Append(append) => self.plan(&mut touched, &mut places, append),
                Request::Roll(topic, done) => rolls.push((topic, done)),
                Request::Flush => flush = true,
            }
        }
        if self.shared.options.broken.acknowledge_first {
            touched.iter_mut().for_each(Touched::acknowledge);
            std::thread::sleep(Duration::from_millis(20));
        }
        let written: Vec<Touched> = touched.into_iter().filter_map(|topic| self.write(topic)).collect();
        let (synced, memory): (Vec<_>, Vec<_>) = written.into_iter().partition(Touched::wants_sync);
        for topic in memory {
            self.publish(topic, false);
        }
        self.sync(synced);
        if flush {
            self.flush();
        }
        for (topic, done) in rolls {
            // A failure has made the topic read-only, or will come again with the next record.
            let _ = self.roll_if_used(&topic);
            let _ = done.map(|done| done.send(()));
        }
        self.open.close_least_used(LOG_TOPICS_OPEN_MAX, |topic| {
            self.unsynced.iter().any(|t| Arc::ptr_eq(t, topic))
        });
    }

    /// Adds a batch to its topic's buffer, or refuses it.
    fn plan(&mut self, touched: &mut Vec<Touched>, places: &mut HashMap<usize, usize>, append: Append) {
        let place = match places.get(&Arc::as_ptr(&append.topic).addr()) {
            Some(place) => *place,
            None => match Touched::begin(&self.shared, &append.topic, self.buffers.pop().unwrap_or_default())
            {
                Ok(new) => {
                    places.insert(Arc::as_ptr(&append.topic).addr(), touched.len());
                    touched.push(new);
                    touched.len() - 1
                }
                Err(fault) => return drop(append.answer.send(Err(fault))),
            },
        };
        touched[place].add(append, (self.shared.clock)(), self.shared.options.broken);
    }

    /// Writes a topic's buffer to its file. What fails is answered here.
    fn write(&mut self, mut touched: Touched) -> Option<Touched> {
        if touched.buffer.is_empty() {
            return Some(touched);
        }
        let topic = Arc::clone(&touched.topic);
        let placed = self.place(&topic, touched.buffer.len() as u64);
        let result = placed.and_then(|(file, offset)| {
            file.write_at(&touched.buffer, offset)
                .map_err(|error| self.write_failed(&topic, &*file, offset, &error))?;
            Ok((file, offset))
        });
        match result {
            Ok((file, offset)) => {
                touched.file = Some(file);
                touched.offset = offset;
                Some(touched)
            }
            Err(fault) => {
                touched.fail(&fault);
                None
            }
        }
    }

    /// Syncs topics and answers for them.
    fn sync(&mut self, list: Vec<Touched>) {
        let mut files: Vec<Arc<dyn DiskFile>> = Vec::with_capacity(list.len());
        let mut ready = Vec::with_capacity(list.len());
        for mut touched in list {
            // Duplicates of records that are not yet synced wait for a sync of the file all the same.
            let file = match touched.file.take() {
                Some(file) => Ok(Some(file)),
                None if touched.is_synced() => Ok(None),
                None => self.files(&touched.topic).map(|files| files.active),
            };
            match file {
                Ok(file) => {
                    ready.push((touched, file.as_ref().map(|_| files.len())));
                    files.extend(file);
                }
                Err(fault) => touched.fail(&fault),
            }
        }
        let results = self.syncer.sync(&files);
        for (touched, place) in ready {
            match place.map(|place| (&results[place], &files[place])) {
                Some((Err(error), file)) => {
                    let fault = self.sync_failed(&touched.topic, &**file, error);
                    touched.fail(&fault);
                }
                _ => self.publish(touched, true),
            }
        }
    }

    /// Makes a topic's records visible, and acknowledges them.
    fn publish(&mut self, mut touched: Touched, synced: bool) {
        let topic = Arc::clone(&touched.topic);
        let (acknowledged, unsynced, spare) = {
            let mut state = topic.state();
            touched.show(&mut state);
            if synced {
                state.synced = state.next;
            }
            let half = |active: &Segment| {
                let count = state.next - active.base;
                active.end > state.capacity / 2 || count > state.segment_records() / 2
            };
            let wanted = state.active().is_some_and(half);
            let wanted = wanted && state.spare == Spare::None;
            if wanted {
                state.spare = Spare::Wanted;
            }
            let spare = wanted.then(|| state.next_capacity());
            let files = state.files.as_ref().map(|files| Arc::clone(&files.acknowledged));
            (files.map(|file| (file, state.acknowledged())), state.synced < state.next, spare)
        };
        touched.acknowledge();
        // Nobody waits for it: a file that is behind proves less and accuses nobody.
        if let Some((file, acknowledged)) = acknowledged.filter(|_| synced) {
            let _ = file.write_at(&acknowledged.encode(), 0);
        }
        let mut buffer = std::mem::take(&mut touched.buffer);
        if self.buffers.len() < BUFFERS && buffer.capacity() <= BUFFER_BYTES_MAX {
            buffer.clear();
            self.buffers.push(buffer);
        }
        if let Some(capacity) = spare {
            let _ = self.shared.keeper.send(Job::Spare(Arc::clone(&topic), capacity));
        }
        if unsynced {
            self.shared.unsynced.store(true, Ordering::Release);
            if !self.unsynced.iter().any(|known| Arc::ptr_eq(known, &topic)) {
                self.unsynced.push(topic);
            }
        }
    }

    /// Syncs what was acknowledged without.
    fn flush(&mut self) {
        for topic in std::mem::take(&mut self.unsynced) {
            if topic.state().has_unsynced() {
                // A failure has made the topic read-only, and the next publisher is told.
                let _ = self.sync_one(&topic);
            }
        }
    }

    fn sync_one(&mut self, topic: &Arc<Topic>) -> Result<()> {
        // After a sync that failed the next one may succeed without having written anything.
        if let Some(fault) = topic.state().read_only.clone() {
            return Err(fault);
        }
        let Files { acknowledged, active } = self.files(topic)?;
        if let Some(active) = active {
            active.sync().map_err(|error| self.sync_failed(topic, &*active, &error))?;
        }
        let content = {
            let mut state = topic.state();
            state.synced = state.next;
            state.acknowledged()
        };
        let _ = acknowledged.write_at(&content.encode(), 0);
        Ok(())
    }

    /// After a write that failed: cuts off what may have been written of it.
    fn write_failed(&self, topic: &Topic, file: &dyn DiskFile, offset: u64, error: &io::Error) -> Fault {
        let cut = file.set_length(offset).is_ok();
        let mut state = topic.state();
        state.capacity = offset;
        let fault = failure("write", topic, error);
        if cut && fault.code() == Code::StoreFull {
            return fault;
        }
        state.read_only.get_or_insert_with(|| read_only(topic, error)).clone()
    }

    /// After a sync that failed: what the system did with the pages is unknown. What nobody has been told
    /// of is cut off, so that it cannot be taken for safe later.
    fn sync_failed(&self, topic: &Topic, file: &dyn DiskFile, error: &io::Error) -> Fault {
        let mut state = topic.state();
        let end = state.active().map_or(0, |active| active.end);
        let cut = file.set_length(end).is_ok();
        state.capacity = end;
        let fault = failure("sync", topic, error);
        if cut && fault.code() == Code::StoreFull && state.synced == state.next {
            return fault;
        }
        state.read_only.get_or_insert_with(|| read_only(topic, error)).clone()
    }

    /// Saves how to find records in segments that are not complete; they are only read once more after a
    /// clean end.
    fn save_indexes(&self) {
        for topic in self.shared.all() {
            let index = {
                let state = topic.state();
                let active = state.active().filter(|active| active.end > super::index::INDEX_STEP_BYTES);
                active.and_then(|active| {
                    Some((active.base, active.index.as_ref()?.encode(active.base, active.end)))
                })
            };
            if let Some((base, bytes)) = index {
                let write = self.shared.disk.open(&index_path(&topic.folder, base), true).and_then(|file| {
                    file.set_length(bytes.len() as u64)?;
                    file.write_at(&bytes, 0)
                });
                // It is made again from the segment where it is missing.
                drop(write);
            }
        }
    }
}

fn size(request: &Request) -> usize {
    match request {
        Request::Append(append) => append.bytes,
        Request::Roll(..) | Request::Flush => 0,
    }
}

/// The fault for an operation on the files of a topic that failed.
fn failure(action: &str, topic: &Topic, error: &io::Error) -> Fault {
    super::io_fault(action, &topic.folder, error)
}

/// What is answered from then on.
fn read_only(topic: &Topic, error: &io::Error) -> Fault {
    let message = format!("topic `{}` is read-only since a write to its files failed", topic.name);
    Fault::new(Code::LogReadOnly, message)
        .hint("see what is wrong with the disk of the data folder, then restart the node")
        .detail(error)
}

/// Takes the keys of a topic for the time of a group.
fn take_keys(shared: &Shared, topic: &Topic, broken: Broken) -> Result<Option<super::dedup::Dedup>> {
    let (keys, window_ms) = {
        let mut state = topic.state();
        (std::mem::replace(&mut state.keys, Keys::Taken), state.settings.dedup_ms)
    };
    if window_ms == 0 || broken.keep_duplicates {
        // With no window nothing is remembered, nor after it is set again: then it is read from disk.
        topic.state().keys = Keys::Unread;
        return Ok(None);
    }
    match keys {
        Keys::Read(mut keys) if keys.window_ms() >= window_ms => {
            keys.shorten(window_ms);
            Ok(Some(keys))
        }
        _ => match super::prepare::read_keys(shared, topic) {
            Ok(keys) => Ok(Some(keys)),
            Err(fault) => {
                topic.state().keys = Keys::Unread;
                Err(fault)
            }
        },
    }
}
