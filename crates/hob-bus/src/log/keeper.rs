//! The threads that keep house: one prepares space and finishes sealed segments, one removes what need not
//! be kept and asks for the sync of what was acknowledged without.
//!
//! **Why.** All of that waits for the disk, and publishers must not.
//!
//! **How.** The writer sends [`Job`]s to the first. The second looks once a second for segments to remove,
//! and does not wait for the first, since a sync must come in time. What retention and `trim` remove they first leave out of `meta`, so that a kill in between does
//! not look like damage.

use super::Shared;
use super::io_fault;
use super::load::{load, remove_segment};
use super::message::{Job, Request};
use super::note::{self, Meta};
use super::prepare::{finish_spare, make_spare};
use super::read::first_time;
use super::topic::{Spare, Topic, index_path, segment_path};
use hob_core::fault::{Fault, Result};
use hob_core::limit::{LOG_RETENTION_INTERVAL, LOG_SYNC_INTERVAL};
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long no space is prepared after that has failed.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// The two threads. Dropping it ends them.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    clock: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn start(
        shared: &Arc<Shared>,
        jobs: Receiver<Job>,
        requests: mpsc::Sender<Request>,
    ) -> Result<Self> {
        let (clock, ticks) = channel();
        let mut keeper = Self { shared: Arc::clone(shared), clock: Some(clock), threads: Vec::new() };
        let (for_space, for_time) = (Arc::clone(shared), Arc::clone(shared));
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let space = thread("hob-log-space").spawn(move || keep_space(&for_space, &jobs));
        keeper.threads.push(space.map_err(Fault::internal)?);
        let time = Timekeeper { shared: for_time, requests };
        let time = thread("hob-log-keeper").spawn(move || time.run(&ticks));
        keeper.threads.push(time.map_err(Fault::internal)?);
        Ok(keeper)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.shared.keeper.send(Job::Stop);
        self.clock = None;
        for thread in self.threads.drain(..) {
            // A panic of a thread has been reported by the panic hook; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

fn keep_space(shared: &Shared, jobs: &Receiver<Job>) {
    let mut pause: Option<Instant> = None;
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Spare(topic, _) if pause.is_some_and(|until| until > Instant::now()) => {
                topic.state().spare = Spare::None;
            }
            Job::Spare(topic, capacity) => {
                let full = finish_spare(shared, &topic, capacity).is_err();
                pause = full.then(|| Instant::now() + FULL_PAUSE);
            }
            Job::Sealed(topic, base) => finish_segment(shared, &topic, base),
            Job::Stop => return,
        }
    }
}

struct Timekeeper {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
}

impl Timekeeper {
    fn run(&self, ticks: &Receiver<()>) {
        let mut retained = Instant::now();
        while ticks.recv_timeout(LOG_SYNC_INTERVAL / 2) == Err(RecvTimeoutError::Timeout) {
            if self.shared.unsynced.swap(false, Ordering::AcqRel) {
                let _ = self.requests.blocking_send(Request::Flush);
            }
            if retained.elapsed() >= LOG_RETENTION_INTERVAL {
                for topic in self.shared.all() {
                    // What cannot be removed now is tried again in a second.
                    let _ = self.retain(&topic);
                }
                retained = Instant::now();
            }
        }
    }

    /// Removes the segments of a topic that need not be kept.
    fn retain(&self, topic: &Arc<Topic>) -> Result<()> {
        if topic.state().settled == 0 {
            return Ok(());
        }
        load(&self.shared, topic)?;
        let front = topic.front.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.shared.clock)();
        let first = self.first_to_keep(topic, now)?;
        if first > topic.state().first {
            set_first(&self.shared, topic, first)?;
        }
        drop(front);
        remove_front(&self.shared, topic)?;
        if wants_roll(topic, now) {
            let spare = make_spare(&self.shared, topic);
            spare.map_err(|error| io_fault("write", &topic.folder, &error))?;
            let _ = self.requests.blocking_send(Request::Roll(Arc::clone(topic), None));
        }
        Ok(())
    }

    /// Where the topic begins when settled segments that are too many or too old are left out.
    fn first_to_keep(&self, topic: &Topic, now: u64) -> Result<u64> {
        let (settings, settled, mut bytes, next, mut first, ends) = {
            let state = topic.state();
            let segments = state.segments.len() - usize::from(state.active().is_some());
            let part = |place: usize| {
                let segment = &state.segments[place];
                (state.bound(place), segment.end, segment.last_ms)
            };
            let ends: Vec<_> = (0..segments).map(part).collect();
            (state.settings, state.settled, state.bytes(), state.next, state.first, ends)
        };
        for (bound, size, last_ms) in ends {
            if bound > settled {
                break;
            }
            let many = bytes > settings.bytes || next - first > settings.records;
            if !many {
                // The next record is not older than the last one of this segment.
                let last = match last_ms {
                    Some(last) => Some(last),
                    None => first_time(&self.shared, topic, bound)?.map(|(_, time)| time),
                };
                let last = last.or(topic.state().newest_ms).unwrap_or(now);
                if last.saturating_add(settings.age_ms) >= now {
                    break;
                }
            }
            bytes -= size;
            first = first.max(bound);
        }
        Ok(first)
    }
}

/// Whether the segment that is written must end, so that its records can be removed one day.
fn wants_roll(topic: &Topic, now: u64) -> bool {
    let state = topic.state();
    let Some(active) = state.active().filter(|active| active.base < state.next) else { return false };
    if state.settled <= active.base {
        return false;
    }
    let settings = &state.settings;
    let old = active
        .first_ms
        .or(state.newest_ms)
        .is_some_and(|time| time.saturating_add(settings.age_ms / 8) < now);
    let large = state.bytes() > settings.bytes && active.end > settings.bytes / 8;
    let count = state.next - active.base;
    old || large || state.next - state.first > settings.records && count > settings.records / 8
}

/// Cuts a complete segment's file off where its records end, and writes its index.
fn finish_segment(shared: &Shared, topic: &Topic, base: u64) {
    let segment = topic.state().segments.iter().find(|segment| segment.base == base).cloned();
    let Some(segment) = segment else { return };
    let cut = || -> io::Result<()> {
        let file = shared.disk.open(&segment_path(&topic.folder, base), false)?;
        file.set_length(segment.end)?;
        if let Some(index) = &segment.index {
            let file = shared.disk.open(&index_path(&topic.folder, base), true)?;
            let bytes = index.encode(base, segment.end);
            file.set_length(bytes.len() as u64)?;
            file.write_at(&bytes, 0)?;
        }
        Ok(())
    };
    // Both only save space and time.
    let _ = cut();
    let mut state = topic.state();
    let count = state.segments.len();
    // The newest ones are read most; the index of others is read from its file.
    if let Some(segment) = state.segments.iter_mut().take(count.saturating_sub(4)).find(|s| s.base == base) {
        segment.index = None;
    }
}

/// Leaves out what is before `sequence`: first on disk, then in memory.
fn set_first(shared: &Shared, topic: &Topic, sequence: u64) -> Result<()> {
    let (meta, made) = {
        let state = topic.state();
        (Meta { salt: state.salt, first: sequence }, state.made || !state.segments.is_empty())
    };
    if made {
        note::replace(&*shared.disk, &topic.folder, note::META, &meta.encode())
            .map_err(|error| io_fault("write", &topic.folder.join(note::META), &error))?;
    }
    topic.state().first = sequence;
    Ok(())
}

/// Removes the segments that lie wholly before the first record.
pub(super) fn remove_front(shared: &Shared, topic: &Topic) -> Result<()> {
    let _front = topic.front.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let gone = {
            let mut state = topic.state();
            let bound = state.bound(0);
            let sealed = state.segments.len() > usize::from(state.active().is_some());
            if !sealed || bound > state.first {
                return Ok(());
            }
            state.segments.pop_front()
        };
        if let Some(segment) = gone {
            remove_segment(shared, &topic.folder, segment.base)
                .map_err(|error| io_fault("remove", &segment_path(&topic.folder, segment.base), &error))?;
        }
    }
}

/// Removes what is before `sequence`; returns how many records, and whether the segment that is written
/// has to end before its space comes back.
pub(super) fn trim(shared: &Shared, topic: &Topic, sequence: u64) -> Result<(u64, bool)> {
    load(shared, topic)?;
    let front = topic.front.lock().unwrap_or_else(PoisonError::into_inner);
    let (first, next) = {
        let state = topic.state();
        (state.first, state.next)
    };
    let sequence = sequence.min(next);
    if sequence > first {
        set_first(shared, topic, sequence)?;
    }
    drop(front);
    remove_front(shared, topic)?;
    let state = topic.state();
    let roll = state.active().is_some_and(|active| active.base < state.first && state.first >= state.next);
    Ok((sequence.saturating_sub(first), roll))
}
