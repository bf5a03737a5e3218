//! What a child prints, read as it comes, with the call in which it was printed where that can be known.
//!
//! **Why.** A server prints into one pipe for all calls. While one call runs in it, what comes is that
//! call's; with several at a time only what the line itself says can tell them apart.
//!
//! **How.** A task for each stream reads it. When a call begins, the pipes are emptied first, so that
//! what was printed before is never taken for the new call's; that costs a read of an empty pipe. What
//! comes right after a call is still its own (servers write their access log after the answer), unless
//! another has begun.

use crate::invocation::Context;
use crate::log::Lines;
use crate::outbound::Running;
use hob_core::limit::{CONCURRENCY_CEILING, LOG_AFTER_CALL};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::process::{ChildStderr, ChildStdout};

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 8 << 10;
/// Pieces that are read of a stream before a call begins; a child that prints faster is a stream without end.
const PIECES_MAX: usize = 16;

/// A stream of a child.
pub(super) enum Pipe {
    Stdout(ChildStdout),
    Stderr(ChildStderr),
}

impl Pipe {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdout(pipe) => pipe.as_fd(),
            Self::Stderr(pipe) => pipe.as_fd(),
        }
    }

    fn poll_read(&mut self, cx: &mut std::task::Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Stdout(pipe) => Pin::new(pipe).poll_read(cx, into),
            Self::Stderr(pipe) => Pin::new(pipe).poll_read(cx, into),
        }
    }
}

/// Everything that one child prints into its log.
pub(super) struct Printed(Mutex<Inner>);

struct Inner {
    streams: Vec<Stream>,
    running: Vec<Arc<Context>>,
    /// Calls that have just ended, oldest first.
    ended: VecDeque<(Arc<Context>, Instant)>,
}

struct Stream {
    /// `None` at its end.
    pipe: Option<Pipe>,
    lines: Lines,
}

impl Printed {
    /// Of these streams; `call` is the only one that the child serves, if there is just one.
    pub(super) fn new(
        streams: impl IntoIterator<Item = (Pipe, Lines)>,
        call: Option<&Arc<Context>>,
    ) -> Arc<Self> {
        let streams = streams.into_iter().map(|(pipe, lines)| Stream { pipe: Some(pipe), lines });
        Arc::new(Self(Mutex::new(Inner {
            streams: streams.collect(),
            running: call.into_iter().cloned().collect(),
            ended: VecDeque::new(),
        })))
    }

    /// How many streams there are; each needs its [`Printed::pump`].
    pub(super) fn streams(&self) -> usize {
        self.lock().streams.len()
    }

    /// Reads a stream to its end.
    pub(super) async fn pump(self: Arc<Self>, stream: usize) {
        while poll_fn(|cx| self.lock().poll(stream, cx)).await {}
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running for Printed {
    fn begin(&self, context: &Arc<Context>) {
        let mut inner = self.lock();
        inner.empty_pipes();
        if inner.running.is_empty() {
            inner.ended.clear();
        }
        inner.running.push(Arc::clone(context));
    }

    fn end(&self, context: &Arc<Context>) {
        let mut inner = self.lock();
        let Some(at) = inner.running.iter().position(|running| Arc::ptr_eq(running, context)) else { return };
        let call = inner.running.swap_remove(at);
        if inner.ended.len() >= CONCURRENCY_CEILING as usize {
            inner.ended.pop_front();
        }
        inner.ended.push_back((call, Instant::now()));
    }
}

impl Inner {
    /// Reads one piece; false at the end of the stream.
    fn poll(&mut self, stream: usize, cx: &mut std::task::Context<'_>) -> Poll<bool> {
        let mut space = [0; PIECE_BYTES];
        let mut piece = ReadBuf::new(&mut space);
        let Some(pipe) = &mut self.streams[stream].pipe else { return Poll::Ready(false) };
        let read = ready!(pipe.poll_read(cx, &mut piece));
        let more = read.is_ok() && !piece.filled().is_empty();
        self.take(stream, piece.filled());
        if !more {
            self.end(stream);
        }
        Poll::Ready(more)
    }

    /// Takes what lies in the pipes now. The streams are in non-blocking mode; whoever waits at one only
    /// finds it empty.
    fn empty_pipes(&mut self) {
        let mut space = [0; PIECE_BYTES];
        for stream in 0..self.streams.len() {
            for _ in 0..PIECES_MAX {
                let Some(pipe) = &self.streams[stream].pipe else { break };
                match rustix::io::read(pipe.fd(), &mut space) {
                    Ok(read) if read > 0 => self.take(stream, &space[..read]),
                    // The end is the task's to find.
                    _ => break,
                }
            }
        }
    }

    fn take(&mut self, stream: usize, bytes: &[u8]) {
        self.forget();
        let lines = &mut self.streams[stream].lines;
        if self.ended.is_empty() {
            return lines.write(bytes, &self.running);
        }
        lines.write(bytes, &candidates(&self.running, &self.ended));
    }

    fn end(&mut self, stream: usize) {
        self.forget();
        let stream = &mut self.streams[stream];
        stream.lines.flush(&candidates(&self.running, &self.ended));
        stream.pipe = None;
    }

    /// Forgets calls that ended too long ago to print anything still.
    fn forget(&mut self) {
        while self.ended.front().is_some_and(|(_, ended)| ended.elapsed() > LOG_AFTER_CALL) {
            self.ended.pop_front();
        }
    }
}

fn candidates(running: &[Arc<Context>], ended: &VecDeque<(Arc<Context>, Instant)>) -> Vec<Arc<Context>> {
    running.iter().chain(ended.iter().map(|(call, _)| call)).cloned().collect()
}
