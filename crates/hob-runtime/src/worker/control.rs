//! The control connection of a worker: orders with descriptors to it, short notices back.
//!
//! **How.** A stream of frames like a lane. A descriptor goes along with the first byte of the frame that it belongs
//! to; the kernel never hands out bytes of two of those at once, so both sides count them off in order.
//!
//! **Invariants.** Descriptors go from the node to the worker, never back: the node makes no room for any, so that
//! the kernel closes what a worker tries to pass.

use super::lane::Lost;
use super::wire::{Broken, Frame, Kind, Put, frame};
use bytes::{Buf as _, BytesMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Bytes that are read at a time.
const READ_BYTES: usize = 16 << 10;
/// Descriptors that come with one read; the kernel stops after one frame's.
const DESCRIPTORS_MAX: usize = 4;

/// An order, with what goes along.
pub(crate) struct Order {
    bytes: BytesMut,
    descriptor: Option<OwnedFd>,
    /// There was no room for all of it.
    held_back: bool,
}

impl Order {
    /// One frame.
    pub(crate) fn new(kind: Kind, descriptor: Option<OwnedFd>, fill: impl FnOnce(&mut Put<'_>)) -> Self {
        debug_assert_eq!(kind.brings_descriptor(), descriptor.is_some());
        let mut bytes = BytesMut::new();
        frame(&mut bytes, kind, fill);
        Self { bytes, descriptor, held_back: false }
    }

    /// Sends it.
    ///
    /// # Errors
    /// The other side has gone.
    pub(crate) async fn send(mut self, stream: &UnixStream) -> Result<(), Lost> {
        while !self.send_some(stream).await? {}
        Ok(())
    }

    /// Sends what there is room for once there is some: whether that was all. Whoever drops this has lost nothing.
    ///
    /// # Errors
    /// The other side has gone.
    pub(crate) async fn send_some(&mut self, stream: &UnixStream) -> Result<bool, Lost> {
        if self.held_back {
            stream.writable().await?;
        }
        // System calls that never wait would not let others have the thread.
        tokio::task::consume_budget().await;
        match stream.try_io(Interest::WRITABLE, || self.try_send(stream)) {
            Ok(sent) => {
                self.bytes.advance(sent);
                // It has gone with the first byte.
                self.descriptor = None;
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        self.held_back = !self.bytes.is_empty();
        Ok(!self.held_back)
    }

    fn try_send(&self, stream: &UnixStream) -> std::io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors: Vec<_> = self.descriptor.iter().map(OwnedFd::as_fd).collect();
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let flags = SendFlags::NOSIGNAL;
        Ok(sendmsg(stream, &[IoSlice::new(&self.bytes)], &mut control, flags)?)
    }
}

/// The reading half.
pub(crate) struct Reader {
    input: BytesMut,
    descriptors: VecDeque<OwnedFd>,
    /// Bytes of one frame at most.
    most: usize,
    takes_descriptors: bool,
}

impl Reader {
    /// Of frames up to `most` bytes, with or without descriptors.
    pub(crate) fn new(most: usize, takes_descriptors: bool) -> Self {
        Self { input: BytesMut::new(), descriptors: VecDeque::new(), most, takes_descriptors }
    }

    /// The next frame, and what came along.
    ///
    /// # Errors
    /// The other side has gone, or sent what is no frame.
    pub(crate) async fn next(&mut self, stream: &UnixStream) -> Result<(Frame, Option<OwnedFd>), Lost> {
        loop {
            // Neither reading nor what was read already would ever let others have the thread.
            tokio::task::consume_budget().await;
            if let Some(frame) = Frame::parse(&mut self.input, self.most)? {
                let mut descriptor = None;
                if frame.kind.brings_descriptor() {
                    let missing = Lost::Broken(Broken("a frame without its descriptor"));
                    descriptor = Some(self.descriptors.pop_front().ok_or(missing)?);
                }
                return Ok((frame, descriptor));
            }
            stream.readable().await?;
            match stream.try_io(Interest::READABLE, || self.try_read(stream)) {
                Ok(0) => return Err(Lost::Gone),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn try_read(&mut self, stream: &UnixStream) -> std::io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let room = if self.takes_descriptors { &mut space[..] } else { &mut [] };
        let mut control = RecvAncillaryBuffer::new(room);
        let before = self.input.len();
        self.input.resize(before + READ_BYTES, 0);
        let mut parts = [IoSliceMut::new(&mut self.input[before..])];
        let received = recvmsg(stream, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC);
        let bytes = received.as_ref().map_or(0, |received| received.bytes);
        self.input.truncate(before + bytes);
        received?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Reader, UnixStream};
    use std::io::Write as _;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Frames that are there already are read without waiting, and a runtime with one thread had no other task run.
    #[tokio::test]
    async fn who_reads_on_and_on_lets_others_have_the_thread() {
        const FRAMES: usize = 2000;
        let (near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let near = UnixStream::from_std(near).unwrap();
        far.write_all(&[Kind::Pong as u8, 0, 0, 0, 0].repeat(FRAMES)).unwrap();
        let mut reader = Reader::new(0, false);
        assert!(reader.next(&near).await.is_ok());
        let ran = AtomicBool::new(false);
        let read = async {
            for _ in 1..FRAMES {
                assert!(reader.next(&near).await.is_ok());
                if ran.load(Ordering::Acquire) {
                    return true;
                }
            }
            false
        };
        let other = async { ran.store(true, Ordering::Release) };
        let (first, ()) = futures_util::future::join(read, other).await;
        assert!(first, "nobody else ran while all was read");
    }
}
