//! WebSockets and other upgrades: once both sides have agreed, bytes are copied both ways.
//!
//! **How.** The request keeps its `Upgrade` header and carries hyper's `OnUpgrade` in its extensions.
//! The contract does the handshake with the function and answers 101 with the function's `OnUpgrade` in
//! the reply's extensions. The call goes on until both sides are done: its place in the pool, its
//! revision and its connection are held so long. Its deadline ends with the handshake; from then on silence is what
//! ends it. Frames of a WebSocket are the function's: the node passes bytes on and holds no more of them than two
//! buffers.

use super::forward;
use super::peer::{Busy, Peer};
use crate::live::LiveRevision;
use crate::task::Tasks;
use crate::wire::Verdict;
use hob_runtime::body::{self, Body};
use http::header::HeaderValue;
use http::{Request, Response, request};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

/// A request to switch protocols.
pub(super) struct Upgrade {
    protocol: HeaderValue,
    client: OnUpgrade,
}

impl Upgrade {
    /// What the request asks for; `None` when it asks for nothing that a function could grant.
    pub(super) fn asked(request: &mut Request<Incoming>, peer: &Peer) -> Option<Self> {
        let bare = !peer.http2 && request.body().is_end_stream();
        let protocol = forward::upgrade(request.headers()).filter(|_| bare);
        if protocol.is_none() {
            // What HTTP/1.1 input asked for and nobody grants: the connection goes on as HTTP.
            peer.exchange.decide(Verdict::Http);
        }
        Some(Self { protocol: protocol?, client: hyper::upgrade::on(request) })
    }

    /// Tells the function.
    pub(super) fn announce(&self, parts: &mut request::Parts) {
        forward::insert_upgrade(&mut parts.headers, self.protocol.clone());
        parts.extensions.insert(self.client.clone());
    }

    /// The function did not agree.
    pub(super) fn refuse(self, peer: &Peer) {
        peer.exchange.decide(Verdict::Http);
    }

    /// The function agreed: from the response on, its bytes and the client's are each other's.
    pub(super) fn accept(
        self,
        response: &mut Response<Body>,
        peer: &Peer,
        tasks: &Tasks,
        hold: (Busy, Option<Arc<LiveRevision>>),
    ) {
        peer.exchange.decide(Verdict::Upgraded);
        let function = hyper::upgrade::on(&mut *response);
        let idle = peer.clients.upgrade_idle;
        // The pool's place lies in the extensions.
        let place = (
            std::mem::take(response.extensions_mut()),
            std::mem::replace(response.body_mut(), body::empty()),
        );
        tasks.start("upgrade", async move {
            let _hold = (hold, place);
            if let Err(error) = join(self.client, function, idle).await {
                tracing::debug!(%error, "an upgraded connection ends");
            }
        });
    }
}

async fn join(
    client: OnUpgrade,
    function: OnUpgrade,
    idle: Duration,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (client, function) = tokio::try_join!(client, function)?;
    let moved = AtomicU64::new(0);
    let mut client = Counted { inner: TokioIo::new(client), moved: &moved };
    let mut function = Counted { inner: TokioIo::new(function), moved: &moved };
    let mut copy = pin!(tokio::io::copy_bidirectional(&mut client, &mut function));
    let mut before = 0;
    loop {
        tokio::select! {
            copied = copy.as_mut() => return Ok(copied.map(drop)?),
            () = sleep(idle) => {
                let now = moved.load(Ordering::Relaxed);
                if std::mem::replace(&mut before, now) == now {
                    return Err(io::Error::from(io::ErrorKind::TimedOut).into());
                }
            }
        }
    }
}

/// One end, of which what it gives and takes is counted.
struct Counted<'a, S> {
    inner: S,
    moved: &'a AtomicU64,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<'_, S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buffer);
        this.moved.fetch_add((buffer.filled().len() - before) as u64, Ordering::Relaxed);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<'_, S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(bytes)) = &written {
            this.moved.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
