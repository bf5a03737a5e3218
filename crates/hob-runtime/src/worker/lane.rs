//! A lane: one socket pair that carries one call, instance or program at a time.
//!
//! **How.** Whoever uses a lane owns it and polls both directions in one task, so nothing is locked. What is written is
//! gathered until [`Lane::poll_flush`], so that a small answer is one system call; parts of bodies are not copied on
//! their way there.
//!
//! **Invariants.** The node makes every pair and keeps no copy of the worker's end. So the worker cannot change how
//! the node's own end behaves, as it could with a descriptor that both share.

use super::wire::Broken;
use super::wire::{FRAME_BYTES_MAX, Frame, HEAD_BYTES, Kind, Put, frame, head};
use bytes::{Buf as _, Bytes, BytesMut};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::UnixStream;

/// Bytes that are read at a time.
const READ_BYTES: usize = 64 << 10;
/// Parts from this size on are sent from where they are.
const APART_BYTES_MIN: usize = 4 << 10;
/// Parts that one system call sends.
const SLICES_MAX: usize = 16;
/// Bytes that wait to be sent before no more are taken from a body.
pub(crate) const PENDING_BYTES_MAX: usize = 128 << 10;

/// Why a lane is of no use any more.
#[derive(Clone, Debug)]
pub(crate) enum Lost {
    /// The other side has gone.
    Gone,
    /// The other side broke the rules.
    Broken(Broken),
}

impl From<io::Error> for Lost {
    /// A connection inside of one machine breaks when the other side is gone.
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<Broken> for Lost {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// One end of a lane.
pub(crate) struct Lane {
    stream: UnixStream,
    input: BytesMut,
    /// What is to be sent, and after it what was written last.
    queue: VecDeque<Bytes>,
    tail: BytesMut,
    pending: usize,
}

impl Lane {
    /// The end of a pair, which does not block. Inside a runtime.
    ///
    /// # Errors
    /// When the runtime cannot watch it.
    pub(crate) fn new(end: OwnedFd) -> io::Result<Self> {
        let stream = std::os::unix::net::UnixStream::from(end);
        let stream = UnixStream::from_std(stream)?;
        let (input, tail) = (BytesMut::new(), BytesMut::new());
        Ok(Self { stream, input, queue: VecDeque::new(), tail, pending: 0 })
    }

    /// Adds a frame to what is to be sent.
    pub(crate) fn put(&mut self, kind: Kind, fill: impl FnOnce(&mut Put<'_>)) {
        let before = self.tail.len();
        frame(&mut self.tail, kind, fill);
        self.pending += self.tail.len() - before;
    }

    /// Adds a part of a body.
    pub(crate) fn put_data(&mut self, data: Bytes) {
        head(&mut self.tail, Kind::Data, data.len());
        self.pending += HEAD_BYTES + data.len();
        if data.len() < APART_BYTES_MIN {
            self.tail.extend_from_slice(&data);
        } else {
            let tail = self.tail.split().freeze();
            self.queue.extend([tail, data]);
        }
    }

    /// Adds frames that were written elsewhere.
    pub(crate) fn put_frames(&mut self, frames: &[u8]) {
        self.tail.extend_from_slice(frames);
        self.pending += frames.len();
    }

    /// Bytes that wait to be sent.
    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// The other side has gone.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        while self.pending > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut count = 0;
            let parts = self.queue.iter().map(|part| &part[..]).chain([&self.tail[..]]);
            for (slice, part) in slices.iter_mut().zip(parts) {
                *slice = IoSlice::new(part);
                count += 1;
            }
            let sent = Pin::new(&mut self.stream).poll_write_vectored(context, &slices[..count]);
            let mut sent = ready!(sent)?;
            if sent == 0 {
                return Poll::Ready(Err(Lost::Gone));
            }
            self.pending -= sent;
            while let Some(first) = self.queue.front_mut() {
                let part = sent.min(first.len());
                first.advance(part);
                sent -= part;
                if !first.is_empty() {
                    break;
                }
                self.queue.pop_front();
            }
            self.tail.advance(sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends all that waits.
    ///
    /// # Errors
    /// The other side has gone.
    pub(crate) async fn flush(&mut self) -> Result<(), Lost> {
        std::future::poll_fn(|context| self.poll_flush(context)).await
    }

    /// The next frame that has come already.
    ///
    /// # Errors
    /// What is no frame.
    pub(crate) fn next_here(&mut self) -> Result<Option<Frame>, Lost> {
        Ok(Frame::parse(&mut self.input, FRAME_BYTES_MAX)?)
    }

    /// The next frame.
    ///
    /// # Errors
    /// The other side has gone, or sends what is no frame.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Frame, Lost>> {
        loop {
            if let Some(frame) = self.next_here()? {
                return Poll::Ready(Ok(frame));
            }
            // What was handed out shares its room with what comes next; new room is taken when it has to be.
            self.input.reserve(READ_BYTES.saturating_sub(self.input.len()).max(HEAD_BYTES));
            let room = self.input.spare_capacity_mut();
            let mut buffer = ReadBuf::uninit(room);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            let read = buffer.filled().len();
            if read == 0 {
                return Poll::Ready(Err(Lost::Gone));
            }
            // SAFETY: `ReadBuf` says that so many bytes of the spare room were written.
            unsafe { self.input.set_len(self.input.len() + read) };
        }
    }

    /// The next frame; see [`Lane::poll_next`].
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn next(&mut self) -> Result<Frame, Lost> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// Whether it can be used again: nothing of its last use is left in it.
    pub(crate) fn is_clean(&self) -> bool {
        self.pending == 0 && self.input.is_empty()
    }
}
