//! Standard streams of a guest: a bounded pipe to and from the host, and lines to the log.
//!
//! **Why.** The stock adapters copy through a spawned task, which loses what is left in it when the
//! guest exits, and costs a task per stream. A pipe in memory needs none.
//!
//! **How.** One [`Pipe`] is a buffer with two wakers. A guest's end implements wasmtime's traits, the
//! host's end tokio's. A full pipe makes the writer wait, an empty one the reader; a closed end is
//! end of file for the reader and a broken pipe for the writer.

use super::calls::Calls;
use crate::log::Lines;
use bytes::{Bytes, BytesMut};
use hob_core::limit::WASM_PIPE_BYTES_MAX;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

#[derive(Default)]
struct Buffer {
    bytes: BytesMut,
    writer_gone: bool,
    reader_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

type Shared = Arc<Mutex<Buffer>>;

fn lock(shared: &Shared) -> MutexGuard<'_, Buffer> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Buffer {
    fn room(&self) -> usize {
        WASM_PIPE_BYTES_MAX.saturating_sub(self.bytes.len())
    }

    fn write(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn read(&mut self, max: usize) -> Bytes {
        let count = max.min(self.bytes.len());
        let bytes = self.bytes.split_to(count).freeze();
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
        bytes
    }

    fn wake_all(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.bytes.is_empty() || self.writer_gone {
            return Poll::Ready(());
        }
        self.reader = Some(context.waker().clone());
        Poll::Pending
    }

    fn poll_writable(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.room() > 0 || self.reader_gone {
            return Poll::Ready(());
        }
        self.writer = Some(context.waker().clone());
        Poll::Pending
    }
}

/// A pipe: the writing and the reading end.
pub(super) fn pipe() -> (PipeWriter, PipeReader) {
    let shared = Shared::default();
    (PipeWriter(Arc::new(WriteEnd(Arc::clone(&shared)))), PipeReader(Arc::new(ReadEnd(shared))))
}

struct WriteEnd(Shared);
struct ReadEnd(Shared);

impl Drop for WriteEnd {
    fn drop(&mut self) {
        let mut buffer = lock(&self.0);
        buffer.writer_gone = true;
        buffer.wake_all();
    }
}

impl Drop for ReadEnd {
    fn drop(&mut self) {
        let mut buffer = lock(&self.0);
        buffer.reader_gone = true;
        buffer.wake_all();
    }
}

/// The writing end; closed when its last copy is dropped.
#[derive(Clone)]
pub(super) struct PipeWriter(Arc<WriteEnd>);

/// The reading end; closed when its last copy is dropped.
#[derive(Clone)]
pub(super) struct PipeReader(Arc<ReadEnd>);

impl AsyncWrite for PipeWriter {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut buffer = lock(&self.0.0);
        std::task::ready!(buffer.poll_writable(context));
        if buffer.reader_gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(buffer.room());
        buffer.write(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffer = lock(&self.0.0);
        buffer.writer_gone = true;
        buffer.wake_all();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for PipeReader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut buffer = lock(&self.0.0);
        std::task::ready!(buffer.poll_readable(context));
        into.put_slice(&buffer.read(into.remaining()));
        Poll::Ready(Ok(()))
    }
}

#[async_trait]
impl Pollable for PipeWriter {
    async fn ready(&mut self) {
        std::future::poll_fn(|context| lock(&self.0.0).poll_writable(context)).await;
    }
}

impl OutputStream for PipeWriter {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut buffer = lock(&self.0.0);
        if buffer.reader_gone {
            return Err(StreamError::Closed);
        }
        if bytes.len() > buffer.room() {
            return Err(StreamError::trap("wrote more than was permitted"));
        }
        buffer.write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let buffer = lock(&self.0.0);
        if buffer.reader_gone { Err(StreamError::Closed) } else { Ok(buffer.room()) }
    }
}

#[async_trait]
impl Pollable for PipeReader {
    async fn ready(&mut self) {
        std::future::poll_fn(|context| lock(&self.0.0).poll_readable(context)).await;
    }
}

impl InputStream for PipeReader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut buffer = lock(&self.0.0);
        if buffer.bytes.is_empty() && buffer.writer_gone {
            return Err(StreamError::Closed);
        }
        Ok(buffer.read(size))
    }
}

impl IsTerminal for PipeReader {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for PipeReader {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

impl IsTerminal for PipeWriter {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for PipeWriter {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

/// A guest's output that becomes lines of its function's log. Never makes the guest wait.
#[derive(Clone)]
pub(super) struct LogStream(Arc<Mutex<Logged>>);

struct Logged {
    lines: Lines,
    calls: Calls,
}

impl Drop for Logged {
    fn drop(&mut self) {
        let Self { lines, calls } = self;
        calls.with(|calls| lines.flush(calls));
    }
}

impl LogStream {
    /// For one standard stream of one instance.
    pub(super) fn new(lines: Lines, calls: Calls) -> Self {
        Self(Arc::new(Mutex::new(Logged { lines, calls })))
    }

    fn log(&self, bytes: &[u8]) {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Logged { lines, calls } = &mut *logged;
        calls.with(|calls| lines.write(bytes, calls));
    }
}

#[async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WASM_PIPE_BYTES_MAX)
    }
}

impl AsyncWrite for LogStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.log(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}
