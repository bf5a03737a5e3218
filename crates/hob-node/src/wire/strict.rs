//! The bytes of one HTTP/1 connection on their way to hyper: only heads that are beyond doubt pass.
//!
//! **Why.** See [`super::head`]: what hyper repairs silently has to be seen before hyper sees it.
//!
//! **How.** [`Strict`] lies between socket and hyper. It reads into hyper's own buffer and looks at the
//! bytes there, so that a request which comes whole costs one pass over its head and no copy. What has
//! to wait (an incomplete head, the bytes behind an upgrade) is held back. A head that is refused is
//! replaced by [`MARK`], a request that nobody outside can send, so that the refusal is answered in its
//! turn, like any other request ([`super::check`]); after it the input is at its end.
//!
//! ```text
//! Head ── no body ──▶ Head          Head ── refused ──▶ Closed
//! Head ── body ─────▶ Body ──▶ Head Head ── upgrade ──▶ Upgrade ── 101 ──▶ Raw
//!                                                          '─── any other answer ──▶ Head
//! ```

use super::chunk::{Chunked, Step};
use super::frames::Frames;
use super::head::{self, Framing, Refusal};
use bytes::{Buf, BytesMut};
use futures_util::task::AtomicWaker;
use hob_core::limit::{HEADER_BYTES_MAX, LINGER, LINGER_BYTES_MAX};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// What replaces a refused head. `MARK` is no method that [`head::check`] lets through with such a path.
const MARK: &[u8] = b"GET * HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// Bytes of an answer that are written in one piece.
const TOGETHER_BYTES_MAX: usize = 1024;

/// What [`Strict`] and the service of the same connection tell each other.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    refusal: OnceLock<Refusal>,
    /// See [`Verdict`].
    verdict: AtomicU8,
    /// Whoever waits for the verdict with bytes that are held back: no socket will wake him.
    waiting: AtomicWaker,
    /// Whether the socket took none of the bytes last written to it.
    stalled: AtomicBool,
    /// Whether it did so at any time since somebody looked, and what it has taken since then, bytes.
    blocked: AtomicBool,
    taken: AtomicU64,
}

/// What became of a request to upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The function has not answered yet.
    Open = 0,
    /// The connection goes on as HTTP.
    Http = 1,
    /// The connection belongs to another protocol now.
    Upgraded = 2,
}

impl Exchange {
    /// Why a head was refused, if one was: asked for a request that looks like [`MARK`].
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().copied()
    }
    /// Whether a head was refused: nothing is read any more then.
    pub(crate) fn is_refused(&self) -> bool {
        self.refusal.get().is_some()
    }
    /// Says how a request was answered.
    pub(crate) fn decide(&self, verdict: Verdict) {
        self.verdict.store(verdict as u8, Ordering::Release);
        self.waiting.wake();
    }
    /// Whether the client could have had more since the last look and took less than `least` bytes, or takes none.
    pub(crate) fn slow(&self, least: u64) -> bool {
        let blocked = self.blocked.swap(false, Ordering::Relaxed) || self.stalled.load(Ordering::Relaxed);
        self.taken.swap(0, Ordering::Relaxed) < least.max(1) && blocked
    }
    /// The socket took so many of the bytes that were written to it, or none.
    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        self.stalled.store(written.is_pending(), Ordering::Relaxed);
        match written {
            Poll::Pending => self.blocked.store(true, Ordering::Relaxed),
            Poll::Ready(Ok(bytes)) => drop(self.taken.fetch_add(*bytes as u64, Ordering::Relaxed)),
            Poll::Ready(Err(_)) => {}
        }
    }
}

/// Whether a request is the one that stands for a refused head.
pub(crate) fn is_mark<B>(request: &http::Request<B>) -> bool {
    request.uri().path() == "*" && request.method() == http::Method::GET
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Head,
    Length(u64),
    Chunked(Chunked),
    /// An upgrade was asked for and is not answered.
    Upgrade,
    /// Another protocol than HTTP.
    Raw,
    /// The last head was refused and is still to be replaced.
    Refused,
    /// A chunked body is malformed, or HTTP/2 floods: reading fails from here on.
    Broken,
    /// Nothing is read any more.
    Closed,
}

/// A connection whose input is checked.
pub(crate) struct Strict<S> {
    socket: S,
    phase: Phase,
    /// Bytes that were read and not yet handed over.
    held: BytesMut,
    /// So many of them, from the start, may be handed over.
    passed: usize,
    /// When none may: so many of them belong to an incomplete head and were looked at.
    seen: usize,
    /// Runs while a head is incomplete, and while a refused client is listened to for a last time.
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes of a refused client that were read and not kept.
    lingered: usize,
    /// Time in which a head has to be complete.
    late: Duration,
    exchange: Arc<Exchange>,
    /// Those of HTTP/2.
    frames: Option<Frames>,
}

impl<S> Strict<S> {
    /// Checks what comes from `socket`, of which `first` has been read already; HTTP/2 passes as it is, unless it floods.
    /// A head has to be complete within `late`.
    pub(crate) fn new(
        socket: S,
        first: BytesMut,
        http2: bool,
        late: Duration,
        exchange: Arc<Exchange>,
    ) -> Self {
        let phase = if http2 { Phase::Raw } else { Phase::Head };
        let frames = http2.then(Frames::new);
        Self {
            socket,
            phase,
            held: first,
            passed: 0,
            seen: 0,
            timer: None,
            lingered: 0,
            late,
            exchange,
            frames,
        }
    }

    /// Looks at the next bytes and says how many of them may be handed over now.
    fn look(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            at += match self.phase {
                Phase::Head => match self.look_at_head(rest) {
                    Some(length) => length,
                    None => return at,
                },
                Phase::Length(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let left = left - taken as u64;
                    self.phase = if left == 0 { Phase::Head } else { Phase::Length(left) };
                    taken
                }
                Phase::Chunked(chunked) => match self.look_at_chunks(chunked, rest) {
                    Some(length) => length,
                    None => return at,
                },
                Phase::Raw => {
                    if self.frames.as_mut().is_some_and(|frames| frames.flood(rest)) {
                        self.phase = Phase::Broken;
                    }
                    rest.len()
                }
                Phase::Upgrade | Phase::Refused | Phase::Broken | Phase::Closed => return at,
            };
        }
        at
    }

    /// The length of the head with which `bytes` begin, if it is complete and good.
    fn look_at_head(&mut self, bytes: &[u8]) -> Option<usize> {
        // One empty line before a request is ignored (RFC 9112, 2.2).
        let blank = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
        let found = head::end(&bytes[blank..], self.seen.saturating_sub(blank));
        let judged = found.and_then(|found| {
            let judge = |length| head::check(&bytes[blank..blank + length]).map(|head| (length, head));
            found.map(judge).transpose()
        });
        self.seen = 0;
        match judged {
            Ok(None) => {
                self.seen = bytes.len();
                None
            }
            Ok(Some((length, head))) => {
                self.timer = None;
                self.phase = match head.framing {
                    _ if head.upgrade => Phase::Upgrade,
                    Framing::Length(0) => Phase::Head,
                    Framing::Length(length) => Phase::Length(length),
                    Framing::Chunked => Phase::Chunked(Chunked::START),
                };
                if head.upgrade {
                    self.exchange.decide(Verdict::Open);
                }
                Some(blank + length)
            }
            Err(refusal) => {
                self.refuse(refusal);
                None
            }
        }
    }

    /// How many of `bytes` belong to the chunked body; `None` when none do.
    fn look_at_chunks(&mut self, mut chunked: Chunked, bytes: &[u8]) -> Option<usize> {
        let step = chunked.step(bytes);
        let (phase, length) = match step {
            Step::More => (Phase::Chunked(chunked), bytes.len()),
            Step::End(length) => (Phase::Head, length),
            Step::Broken(length) => (Phase::Broken, length),
        };
        self.phase = phase;
        (length > 0).then_some(length)
    }

    fn refuse(&mut self, refusal: Refusal) {
        // Nothing is read after the first, so there is no second.
        let _ = self.exchange.refusal.set(refusal);
        self.phase = Phase::Refused;
        self.timer = None;
    }

    /// Puts [`MARK`] behind the bytes that were still good.
    fn replace_refused(&mut self) {
        if self.phase == Phase::Refused {
            self.held.truncate(self.passed);
            self.held.extend_from_slice(MARK);
            self.passed = self.held.len();
            self.phase = Phase::Closed;
        }
    }

    /// Looks at what is held and not passed.
    fn look_at_held(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.passed = self.look(&held);
        self.held = held;
        self.replace_refused();
    }

    /// Looks at what was just read into hyper's buffer, and takes back what may not pass yet.
    fn look_at_new(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        let good = before + self.look(&buffer.filled()[before..]);
        if self.phase != Phase::Refused {
            self.held.extend_from_slice(&buffer.filled()[good..]);
        }
        buffer.set_filled(good);
        self.replace_refused();
    }

    /// The socket took so many of the bytes that were written to it, or none.
    fn wrote(&mut self, written: &Poll<io::Result<usize>>) {
        self.exchange.wrote(written);
        if let (Some(frames), Poll::Ready(Ok(bytes))) = (&mut self.frames, written) {
            frames.wrote(*bytes);
        }
    }

    /// The phase, after asking how a request to upgrade was answered.
    fn phase(&mut self) -> Phase {
        if self.phase == Phase::Upgrade {
            let verdict = self.exchange.verdict.load(Ordering::Acquire);
            if verdict == Verdict::Upgraded as u8 {
                self.phase = Phase::Raw;
            } else if verdict == Verdict::Http as u8 {
                self.phase = Phase::Head;
            }
        }
        self.phase
    }
}

impl<S: AsyncRead + Unpin> Strict<S> {
    /// Reads behind what is held; 0 at the end of the input.
    fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [0u8; 4096];
        let mut buffer = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
        self.held.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Reads on in an incomplete head, for a limited time; false at the end of the input.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if let Poll::Ready(read) = self.poll_hold(cx)? {
            return Poll::Ready(Ok(read > 0));
        }
        ready!(self.poll_timer(cx, self.late));
        self.refuse(head::LATE);
        self.replace_refused();
        Poll::Ready(Ok(true))
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, time: Duration) -> Poll<()> {
        self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(time))).as_mut().poll(cx)
    }

    /// Reads without keeping anything until the client is done, or the time is over. Of who sends without end only so
    /// much is read; the rest of the time he waits, since his socket takes no more.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [0u8; 4096];
        while self.poll_timer(cx, LINGER).is_pending() {
            if self.lingered >= LINGER_BYTES_MAX {
                return Poll::Pending;
            }
            let mut buffer = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => self.lingered += buffer.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        while buffer.filled().len() == before {
            if this.passed > 0 {
                let length = this.passed.min(buffer.remaining());
                buffer.put_slice(&this.held[..length]);
                this.held.advance(length);
                this.passed -= length;
                break;
            }
            if this.phase == Phase::Upgrade {
                this.exchange.waiting.register(cx.waker());
            }
            match this.phase() {
                Phase::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                // The end of the input would cut the answer short, so hyper is not told of it.
                Phase::Closed => return Poll::Pending,
                // hyper asks again after it has answered; until then a little is enough.
                Phase::Upgrade if this.held.len() >= HEADER_BYTES_MAX => return Poll::Pending,
                Phase::Upgrade => {
                    if ready!(this.poll_hold(cx))? == 0 {
                        break;
                    }
                }
                _ if this.held.len() > this.seen => this.look_at_held(),
                _ if this.held.is_empty() => {
                    ready!(Pin::new(&mut this.socket).poll_read(cx, buffer))?;
                    if buffer.filled().len() == before {
                        break;
                    }
                    this.look_at_new(buffer, before);
                }
                _ => {
                    if !ready!(this.poll_head(cx))? {
                        break;
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write(cx, bytes);
        this.wrote(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut space = [0; TOGETHER_BYTES_MAX];
        let written = match together(slices, &mut space) {
            Some(bytes) => Pin::new(&mut this.socket).poll_write(cx, bytes),
            None => Pin::new(&mut this.socket).poll_write_vectored(cx, slices),
        };
        this.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    /// Says goodbye. To a client that is still sending (a refused head, a body that nobody wants) the
    /// socket listens a little longer: closing it with unread bytes would destroy the answer on its way.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
        if this.frames.is_none() && !matches!(this.phase, Phase::Head | Phase::Raw) {
            ready!(this.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

/// The bytes of a small answer in one piece: the kernel takes one piece faster than several, and that is
/// worth copying so few.
fn together<'a>(slices: &[io::IoSlice<'_>], space: &'a mut [u8; TOGETHER_BYTES_MAX]) -> Option<&'a [u8]> {
    let mut length = 0;
    for slice in slices {
        space.get_mut(length..length + slice.len())?.copy_from_slice(slice);
        length += slice.len();
    }
    Some(&space[..length])
}

#[cfg(test)]
mod tests;
