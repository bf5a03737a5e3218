//! What is made and read before the writer's thread is asked, so that it never waits for that.

use super::dedup::Dedup;
use super::load::load;
use super::note::{self, Meta};
use super::read::{scan, seek};
use super::topic::{Keys, Spare, Topic, spare_path};
use super::{Shared, io_fault};
use hob_core::fault::Result;
use hob_core::limit::DEDUP_EVENTS_MAX;
use std::io;
use std::sync::PoisonError;

const CHUNK: usize = 1 << 20;

/// Makes a topic ready for records: its folder and small files, space for the first segment, and the
/// keys that it remembers.
///
/// # Errors
/// As of `load`.
pub(super) fn prepare(shared: &Shared, topic: &Topic) -> Result<()> {
    load(shared, topic)?;
    let _load = topic.load.lock().unwrap_or_else(PoisonError::into_inner);
    if !topic.state().made {
        make(shared, topic).map_err(|error| io_fault("make", &topic.folder, &error))?;
        topic.state().made = true;
    }
    if !topic.state().is_ready() {
        let keys = read_keys(shared, topic)?;
        let mut state = topic.state();
        // If the writer has them, or has had them, it knows more.
        let stale = match &state.keys {
            Keys::Unread => true,
            Keys::Taken => false,
            Keys::Read(known) => known.window_ms() < keys.window_ms(),
        };
        if stale {
            state.keys = Keys::Read(keys);
        }
    }
    Ok(())
}

fn make(shared: &Shared, topic: &Topic) -> io::Result<()> {
    let disk = &*shared.disk;
    disk.make_folder(&topic.folder)?;
    let (meta, acknowledged, active) = {
        let state = topic.state();
        let meta = Meta { salt: state.salt, first: state.first };
        (meta, state.acknowledged(), state.active().is_some())
    };
    disk.open(&topic.folder.join(note::ACKNOWLEDGED), true)?.write_at(&acknowledged.encode(), 0)?;
    if !active {
        make_spare(shared, topic)?;
    }
    note::replace(disk, &topic.folder, note::META, &meta.encode())?;
    disk.sync_folder(&shared.topics_folder)
}

/// Prepares the file for the next segment, unless somebody is at it.
pub(super) fn make_spare(shared: &Shared, topic: &Topic) -> io::Result<()> {
    let capacity = {
        let mut state = topic.state();
        if state.spare != Spare::None {
            return Ok(());
        }
        state.spare = Spare::Wanted;
        state.next_capacity()
    };
    finish_spare(shared, topic, capacity)
}

/// Prepares the file that was asked for.
pub(super) fn finish_spare(shared: &Shared, topic: &Topic, capacity: u64) -> io::Result<()> {
    let result = fill_spare(shared, topic, capacity);
    let mut state = topic.state();
    state.spare = if result.is_ok() { Spare::Ready(capacity) } else { Spare::None };
    drop(state);
    if result.is_err() {
        let _ = shared.disk.remove(&spare_path(&topic.folder));
    }
    result
}

/// Zeros that are on disk: writing over them needs no change of the file's length or extents, which
/// would have to go through the file system's journal at each sync.
fn fill_spare(shared: &Shared, topic: &Topic, capacity: u64) -> io::Result<()> {
    let file = shared.disk.open(&spare_path(&topic.folder), true)?;
    file.set_length(0)?;
    if !shared.options.prepare {
        return Ok(());
    }
    let zeros = vec![0; CHUNK];
    let mut at = 0;
    while at < capacity {
        let length = usize::try_from(capacity - at).unwrap_or(CHUNK).min(CHUNK);
        file.write_at(&zeros[..length], at)?;
        at += length as u64;
    }
    file.sync()
}

/// The keys of the topic's window, from the records on disk.
///
/// # Errors
/// `HOB-0601` when they cannot be read.
pub(super) fn read_keys(shared: &Shared, topic: &Topic) -> Result<Dedup> {
    let (window_ms, next, newest) = {
        let state = topic.state();
        (state.settings.dedup_ms, state.next, state.newest_ms.unwrap_or(0))
    };
    let mut keys = Dedup::new(window_ms);
    let now = (shared.clock)().max(newest);
    if window_ms == 0 || next == 1 || newest.saturating_add(window_ms) <= now {
        return Ok(keys);
    }
    let from = seek(shared, topic, now.saturating_sub(window_ms))?;
    let from = from.max(next.saturating_sub(DEDUP_EVENTS_MAX as u64));
    scan(shared, topic, from, CHUNK, &mut |head, _| {
        if let Some(key) = head.key {
            keys.insert(key, head.time_ms, head.sequence);
        }
        head.sequence + 1 < next
    })?;
    Ok(keys)
}
