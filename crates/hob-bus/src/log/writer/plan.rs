//! What one group of publications does to one topic, before and after it is written.

use super::take_keys;
use crate::log::dedup::Dedup;
use crate::log::disk::DiskFile;
use crate::log::frame::{Head, Salt, encode, frame_bytes};
use crate::log::index::{Entry, INDEX_STEP_BYTES};
use crate::log::message::{Answer, Append};
use crate::log::topic::{Keys, State, Topic};
use crate::log::{Broken, Shared};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::LOG_TAIL_BYTES;
use hob_core::port::{Appended, Durability, Record};
use std::collections::VecDeque;
use std::sync::Arc;

/// A topic and what is to be appended to it.
pub(super) struct Touched {
    pub(super) topic: Arc<Topic>,
    /// Frames, to be written in one piece.
    pub(super) buffer: Vec<u8>,
    /// Where they were written.
    pub(super) file: Option<Arc<dyn DiskFile>>,
    pub(super) offset: u64,
    salt: Salt,
    /// The first new sequence, and the one after the last.
    begin: u64,
    next: u64,
    synced: u64,
    time_ms: u64,
    keys: Option<Dedup>,
    /// Bytes that the topic may still take.
    room: u64,
    bytes_max: u64,
    /// Frames that an index may name, their offsets counted from the buffer's beginning.
    entries: Vec<Entry>,
    tail: VecDeque<Record>,
    tail_bytes: usize,
    answers: Vec<(Answer, Vec<Appended>)>,
    wants_sync: bool,
}

impl Touched {
    /// Begins with what is known of the topic.
    pub(super) fn begin(shared: &Shared, topic: &Arc<Topic>, buffer: Vec<u8>) -> Result<Self> {
        if let Some(fault) = topic.state().read_only.clone() {
            return Err(fault);
        }
        let keys = take_keys(shared, topic, shared.options.broken)?;
        let state = topic.state();
        let bytes_max = state.settings.bytes_max;
        Ok(Self {
            topic: Arc::clone(topic),
            buffer,
            file: None,
            offset: 0,
            salt: state.salt,
            begin: state.next,
            next: state.next,
            synced: state.synced,
            time_ms: state.newest_ms.unwrap_or(0),
            keys,
            room: bytes_max.saturating_sub(state.bytes()),
            bytes_max,
            entries: Vec::new(),
            tail: VecDeque::new(),
            tail_bytes: 0,
            answers: Vec::new(),
            wants_sync: false,
        })
    }

    /// Whether anybody waits for the disk.
    pub(super) fn wants_sync(&self) -> bool {
        self.wants_sync
    }

    /// Whether there is nothing that a sync could bring to disk.
    pub(super) fn is_synced(&self) -> bool {
        self.buffer.is_empty() && self.synced == self.begin
    }

    /// Numbers the records of a batch and adds them, or answers that they do not fit.
    pub(super) fn add(&mut self, append: Append, now_ms: u64, broken: Broken) {
        let time_ms = self.time_ms.max(now_ms);
        let (begin, mut next) = (self.next, self.next);
        let mut appended = Vec::with_capacity(append.items.len());
        let mut bytes = 0;
        for item in &append.items {
            let known = match (&self.keys, item.key) {
                (Some(keys), Some(key)) => keys.find(key, time_ms, next),
                _ => None,
            };
            if let Some(sequence) = known {
                appended.push(Appended { sequence, duplicate: true });
                continue;
            }
            if let (Some(keys), Some(key)) = (&mut self.keys, item.key) {
                keys.insert(key, time_ms, next);
            }
            bytes += frame_bytes(item.payload.len(), item.key.is_some()) as u64;
            appended.push(Appended { sequence: next, duplicate: false });
            next += 1;
        }
        if next > begin && self.buffer.len() as u64 + bytes > self.room {
            if let Some(keys) = &mut self.keys {
                keys.cut(begin);
            }
            return drop(append.answer.send(Err(self.full())));
        }
        let mut new: Vec<usize> = (0..appended.len()).filter(|place| !appended[*place].duplicate).collect();
        if broken.reorder {
            new.reverse();
        }
        for place in new {
            let item = &append.items[place];
            let rest = u16::try_from(next - self.next - 1).expect("batches are checked against the limit");
            let head = Head {
                sequence: self.next,
                time_ms,
                rest,
                unsynced: Some(self.next - self.synced),
                key: item.key,
            };
            self.push(&head, item.payload.clone());
        }
        self.time_ms = if next > begin { time_ms } else { self.time_ms };
        self.wants_sync |= append.durability == Durability::Disk;
        self.answers.push((append.answer, appended));
    }

    fn push(&mut self, head: &Head, payload: bytes::Bytes) {
        let offset = self.buffer.len() as u64;
        if self.entries.last().is_none_or(|last| last.offset + INDEX_STEP_BYTES <= offset) {
            self.entries.push(Entry { sequence: head.sequence, time_ms: head.time_ms, offset });
        }
        encode(&mut self.buffer, self.salt, head, &payload);
        self.next = head.sequence + 1;
        self.tail_bytes += payload.len() + size_of::<Record>();
        self.tail.push_back(Record { sequence: head.sequence, time_ms: head.time_ms, payload });
        while self.tail_bytes > LOG_TAIL_BYTES {
            let Some(oldest) = self.tail.pop_front() else { break };
            self.tail_bytes -= oldest.payload.len() + size_of::<Record>();
        }
    }

    fn full(&self) -> Fault {
        let message = format!(
            "topic `{}` holds as much as it may, the limit is {} bytes",
            self.topic.name, self.bytes_max
        );
        Fault::new(Code::TopicFull, message)
            .hint(format!(
                "`hob sub ls --topic {0}` says which subscription does not settle its events; `hob topic purge {0}` removes some",
                self.topic.name
            ))
    }

    /// Shows the records to readers.
    pub(super) fn show(&mut self, state: &mut State) {
        self.give_back_keys(state);
        if self.next == self.begin {
            return;
        }
        for entry in &self.entries {
            state.index(Entry { offset: self.offset + entry.offset, ..*entry });
        }
        if let Some(active) = state.segments.back_mut() {
            active.end = self.offset + self.buffer.len() as u64;
        }
        state.exists = true;
        state.next = self.next;
        state.newest_ms = Some(self.time_ms);
        if state.first == self.begin {
            let first = self.entries.first().map(|entry| (entry.sequence, entry.time_ms));
            state.oldest = first;
        }
        state.keep_tail(self.begin, std::mem::take(&mut self.tail));
    }

    fn give_back_keys(&mut self, state: &mut State) {
        if let Some(keys) = self.keys.take() {
            state.keys = Keys::Read(keys);
        }
    }

    /// Answers that all is well.
    pub(super) fn acknowledge(&mut self) {
        for (answer, appended) in self.answers.drain(..) {
            drop(answer.send(Ok(appended)));
        }
    }

    /// Answers that nothing was appended.
    pub(super) fn fail(mut self, fault: &Fault) {
        if let Some(keys) = &mut self.keys {
            keys.cut(self.begin);
        }
        let topic = Arc::clone(&self.topic);
        self.give_back_keys(&mut topic.state());
        for (answer, _) in self.answers.drain(..) {
            drop(answer.send(Err(fault.clone())));
        }
    }
}
