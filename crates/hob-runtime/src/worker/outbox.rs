//! What a worker says beside answers: lines of logs, wishes for ways out. From any thread, to one lane.
//!
//! **Invariants.** Nobody waits for it. What there is no room for is dropped and counted, but never a wish.

use super::lane::Lane;
use super::wire::{Kind, Put, frame};
use bytes::BytesMut;
use futures_util::task::AtomicWaker;
use hob_core::limit::WALL_SAID_BYTES_MAX;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Context;

/// What is to be sent on one lane.
#[derive(Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    waker: AtomicWaker,
    /// Nobody pours any more.
    closed: AtomicBool,
}

#[derive(Default)]
struct State {
    frames: BytesMut,
    dropped_lines: u64,
    dropped_bytes: u64,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its lane has ended: what is added from now on is said to nobody.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Whether its lane has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Adds a frame.
    pub(crate) fn put(&self, kind: Kind, fill: impl FnOnce(&mut Put<'_>)) {
        frame(&mut self.lock().frames, kind, fill);
        self.waker.wake();
    }

    /// Adds a line of so many bytes, if there is room for it.
    pub(crate) fn line(&self, bytes: usize, fill: impl FnOnce(&mut Put<'_>)) {
        let mut state = self.lock();
        if state.frames.len() + bytes > WALL_SAID_BYTES_MAX {
            state.dropped_lines += 1;
            state.dropped_bytes += bytes as u64;
            return;
        }
        frame(&mut state.frames, Kind::Log, fill);
        drop(state);
        self.waker.wake();
    }

    /// Adds what there is to what the lane sends. Wakes the context when there is more.
    pub(crate) fn pour(&self, lane: &mut Lane, context: &Context<'_>) {
        self.waker.register(context.waker());
        let mut state = self.lock();
        if !state.frames.is_empty() {
            lane.put_frames(&state.frames);
            state.frames.clear();
        }
        if state.dropped_lines > 0 {
            let (lines, bytes) = (state.dropped_lines, state.dropped_bytes);
            (state.dropped_lines, state.dropped_bytes) = (0, 0);
            lane.put(Kind::Dropped, |put| {
                put.u64(lines);
                put.u64(bytes);
            });
        }
    }
}
