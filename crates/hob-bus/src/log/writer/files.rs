//! Which files the writer has open, and where the next records go.

use super::{Writer, failure, read_only};
use crate::log::disk::DiskFile;
use crate::log::frame::{SEGMENT_HEAD_BYTES, segment_head};
use crate::log::index::Index;
use crate::log::message::Job;
use crate::log::note::ACKNOWLEDGED;
use crate::log::topic::{Files, Segment, Spare, Topic, segment_path, spare_path};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::LOG_SEGMENT_BYTES;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

/// The topics whose files are open, with the round in which they were used last.
#[derive(Default)]
pub(super) struct OpenFiles {
    topics: HashMap<usize, (Arc<Topic>, u64)>,
    round: u64,
}

impl OpenFiles {
    /// A new group begins.
    pub(super) fn next_round(&mut self) {
        self.round += 1;
    }

    fn touch(&mut self, topic: &Arc<Topic>) {
        self.topics.insert(Arc::as_ptr(topic).addr(), (Arc::clone(topic), self.round));
    }

    /// Closes topics until `most` are open, but none that is `kept` or was used in this round.
    pub(super) fn close_least_used(&mut self, most: usize, kept: impl Fn(&Arc<Topic>) -> bool) {
        if self.topics.len() <= most {
            return;
        }
        let old = self.topics.iter().filter(|(_, (topic, used))| *used < self.round && !kept(topic));
        let mut old: Vec<(u64, usize)> = old.map(|(place, (_, used))| (*used, *place)).collect();
        old.sort_unstable();
        old.truncate(self.topics.len() - most);
        for (_, place) in old {
            if let Some((topic, _)) = self.topics.remove(&place) {
                topic.state().close();
            }
        }
    }
}

/// Whether the process or the system has as many open files as it may.
fn too_many_files(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

impl Writer {
    /// The open files of a topic.
    pub(super) fn files(&mut self, topic: &Arc<Topic>) -> Result<Files> {
        self.open.touch(topic);
        if let Some(files) = topic.state().files.clone() {
            return Ok(files);
        }
        let opened = match self.open_files(topic) {
            Err(error) if too_many_files(&error) => {
                let unsynced = &self.unsynced;
                self.open.close_least_used(1, |topic| unsynced.iter().any(|other| Arc::ptr_eq(other, topic)));
                self.open_files(topic)
            }
            other => other,
        };
        let files = opened.map_err(|error| failure("open", topic, &error))?;
        topic.state().files = Some(files.clone());
        Ok(files)
    }

    fn open_files(&self, topic: &Topic) -> io::Result<Files> {
        let disk = &*self.shared.disk;
        let acknowledged = disk.open(&topic.folder.join(ACKNOWLEDGED), true)?;
        let base = topic.state().active().map(|active| active.base);
        let active = base.map(|base| disk.open(&segment_path(&topic.folder, base), false)).transpose()?;
        Ok(Files { acknowledged, active })
    }

    /// The file and the place in it for that many bytes.
    pub(super) fn place(&mut self, topic: &Arc<Topic>, bytes: u64) -> Result<(Arc<dyn DiskFile>, u64)> {
        let files = self.files(topic)?;
        let (active, spare) = {
            let state = topic.state();
            let active = state.active().map(|active| {
                let empty = active.base == state.next;
                let count = state.next - active.base;
                let fits = active.end + bytes <= state.capacity && count < state.segment_records();
                let most = LOG_SEGMENT_BYTES.min(2 * state.segment_bytes());
                let grows = active.end + bytes <= most && count < 2 * state.segment_records();
                (active.end, empty || fits, grows)
            });
            (active, state.spare)
        };
        if let (Some(file), Some((end, fits, grows))) = (files.active, active) {
            // Until the next file is ready this one grows: slower, but nobody waits.
            if fits || grows && !matches!(spare, Spare::Ready(_)) {
                return Ok((file, end));
            }
        }
        self.roll(topic)
    }

    /// Ends the segment that is written, unless it is empty.
    pub(super) fn roll_if_used(&mut self, topic: &Arc<Topic>) -> Result<()> {
        let used = {
            let state = topic.state();
            state.read_only.is_none() && state.active().is_some_and(|active| active.base < state.next)
        };
        if used {
            self.files(topic)?;
            let (file, _) = self.roll(topic)?;
            file.sync().map_err(|error| self.sync_failed(topic, &*file, &error))?;
        }
        Ok(())
    }

    /// Begins a segment; returns its file and where its first record goes.
    fn roll(&mut self, topic: &Arc<Topic>) -> Result<(Arc<dyn DiskFile>, u64)> {
        if topic.state().has_unsynced() {
            self.sync_one(topic)?;
        }
        let (base, spare) = {
            let mut state = topic.state();
            let spare = state.spare;
            if matches!(spare, Spare::Ready(_)) {
                state.spare = Spare::None;
            }
            (state.next, spare)
        };
        let file =
            self.begin_segment(topic, base, spare).map_err(|error| self.roll_failed(topic, base, &error))?;
        let sealed = {
            let mut state = topic.state();
            let newest = state.newest_ms;
            let sealed = state.active().map(|active| active.base);
            if let Some(last) = state.segments.back_mut() {
                last.last_ms = newest;
            }
            state.capacity = match spare {
                Spare::Ready(capacity) => capacity,
                _ => state.next_capacity(),
            };
            let index = Some(Index::default());
            state.segments.push_back(Segment { index, ..Segment::new(base, SEGMENT_HEAD_BYTES) });
            state.writable = true;
            if let Some(files) = &mut state.files {
                files.active = Some(Arc::clone(&file));
            }
            sealed
        };
        if let Some(sealed) = sealed {
            let _ = self.shared.keeper.send(Job::Sealed(Arc::clone(topic), sealed));
        }
        Ok((file, SEGMENT_HEAD_BYTES))
    }

    /// The file of a new segment. Its content is synced with the first records.
    fn begin_segment(&self, topic: &Topic, base: u64, spare: Spare) -> io::Result<Arc<dyn DiskFile>> {
        let disk = &*self.shared.disk;
        let path = segment_path(&topic.folder, base);
        let prepared = matches!(spare, Spare::Ready(_));
        if prepared {
            disk.rename(&spare_path(&topic.folder), &path)?;
        }
        let file = disk.open(&path, true)?;
        if !prepared {
            file.set_length(0)?;
        }
        file.write_at(&segment_head(topic.state().salt, base), 0)?;
        disk.sync_folder(&topic.folder)?;
        Ok(file)
    }

    /// What was begun of a segment must go, since its records may go into the one before instead.
    fn roll_failed(&self, topic: &Topic, base: u64, error: &io::Error) -> Fault {
        let removed = self.shared.disk.remove(&segment_path(&topic.folder, base));
        let left = removed.is_err_and(|error| error.kind() != io::ErrorKind::NotFound);
        let fault = failure("write", topic, error);
        if !left && (fault.code() == Code::StoreFull || too_many_files(error)) {
            return fault;
        }
        topic.state().read_only.get_or_insert_with(|| read_only(topic, error)).clone()
    }
}
