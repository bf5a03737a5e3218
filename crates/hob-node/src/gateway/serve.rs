//! Connections: from the socket to hyper, with time limits, until they are told to close.
//!
//! **How.** Each connection is one task. It may speak TLS; its first bytes tell HTTP/2 from HTTP/1.1.
//! A single slow timer per connection finds those that have had no request for long, and those whose
//! client takes nothing of its answer, be it by the socket or by the window of a stream. When the node stops, HTTP/2 clients are told to go (RFC 9113,
//! 6.8), HTTP/1.1 clients learn it with their next answer; idle connections wait a moment for a request
//! that may be on its way.

use super::Gateway;
use super::body::Answer;
use super::frames::PREFACE;
use super::peer::Peer;
use super::strict::Strict;
use crate::listener::{self, Connection, Listener, Open, Place};
use crate::settings::Clients;
use crate::task::{StreamExecutor, Tasks};
use bytes::BytesMut;
use hob_core::limit::{
    BODY_IDLE_TIMEOUT, CONNECTION_IDLE_GRACE, CONNECTION_IDLE_TIMEOUT, FAULT_HOLD, H2_ERROR_RESETS_MAX,
    H2_RESETS_PENDING_MAX, H2_STREAMS_MAX, HEADER_BYTES_MAX, HEADER_TIMEOUT,
};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Bytes that hyper may hold of one HTTP/1.1 connection.
const BUFFER_BYTES_MAX: usize = 2 * HEADER_BYTES_MAX;
/// What is read of a connection at once to find out what it speaks.
const FIRST_BYTES_MAX: usize = 4096;
/// How often an HTTP/2 client is asked whether it is still there.
const PING_INTERVAL: Duration = BODY_IDLE_TIMEOUT;

/// The gateway's listener at work.
pub(crate) struct Server {
    gateway: Arc<Gateway>,
    closing: CancellationToken,
    open: Open,
}

/// Begins to serve.
pub(crate) fn serve(
    gateway: Arc<Gateway>,
    listener: Listener,
    tls: Option<TlsAcceptor>,
    tasks: &Arc<Tasks>,
) -> Server {
    let clients = gateway.clients;
    let open = Open::with(clients.connections, clients.connections_per_client);
    let closing = CancellationToken::new();
    let shared = Arc::new(Shared {
        gateway: Arc::clone(&gateway),
        tls,
        tasks: Arc::clone(tasks),
        closing: closing.clone(),
        open: open.clone(),
        clients,
    });
    let each = move |connection, place| drive(Arc::clone(&shared), connection, place);
    let accepting = listener::accept(listener, open.clone(), closing.clone(), Arc::clone(tasks), each);
    tasks.start("gateway", accepting);
    Server { gateway, closing, open }
}

impl Server {
    /// The connections that are open, to be counted.
    pub(crate) fn open(&self) -> Open {
        self.open.clone()
    }

    /// Accepts no more, and resolves when every connection has ended by itself.
    pub(crate) async fn close(&self) {
        self.gateway.close();
        self.closing.cancel();
        self.open.none().await;
    }
}

struct Shared {
    gateway: Arc<Gateway>,
    tls: Option<TlsAcceptor>,
    tasks: Arc<Tasks>,
    closing: CancellationToken,
    open: Open,
    clients: Clients,
}

async fn drive(shared: Arc<Shared>, connection: Connection, place: Place) {
    let Connection::Tcp(socket, address) = connection else { return };
    let ended = match &shared.tls {
        None => shared.speak(socket, address, false, place).await,
        Some(tls) => Box::pin(shared.handshake(tls, socket, address, place)).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%address, %error, "a connection ends");
    }
}

type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

impl Shared {
    /// What a client has to do before it may say what it wants.
    async fn in_time<F: Future>(&self, begin: F) -> Result<F::Output, Elapsed> {
        timeout(self.clients.header_timeout, begin).await.inspect_err(|_| self.open.was_late())
    }

    async fn handshake(
        &self,
        tls: &TlsAcceptor,
        socket: TcpStream,
        address: SocketAddr,
        place: Place,
    ) -> Ended {
        let socket = self.in_time(tls.accept(socket)).await??;
        self.speak(socket, address, true, place).await
    }

    /// Finds out which protocol the client speaks, and speaks it. Who says nothing takes no memory for what comes then.
    async fn speak<S>(&self, mut socket: S, address: SocketAddr, secure: bool, place: Place) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let first = self.in_time(first_bytes(&mut socket)).await??;
        if first.is_empty() {
            return Ok(());
        }
        let http2 = first.starts_with(PREFACE);
        if http2 {
            self.may_begin(&place).await?;
        }
        let peer = Peer::new(address, secure, http2, self.clients, place);
        let late = self.clients.header_timeout;
        let socket = Strict::new(socket, first, http2, late, Arc::clone(&peer.exchange));
        if http2 {
            Box::pin(self.speak_http2(socket, &peer)).await
        } else {
            Box::pin(self.speak_http1(socket, &peer)).await
        }
    }

    async fn speak_http1<S>(&self, socket: Strict<S>, peer: &Arc<Peer>) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = http1().serve_connection(TokioIo::new(socket), self.service(peer)).with_upgrades();
        self.watch(connection, http1::UpgradeableConnection::graceful_shutdown, peer).await
    }

    async fn speak_http2<S>(&self, socket: Strict<S>, peer: &Arc<Peer>) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = self.http2().serve_connection(TokioIo::new(socket), self.service(peer));
        self.watch(connection, http2::Connection::graceful_shutdown, peer).await
    }

    /// What answers the requests of a connection.
    fn service(
        &self,
        peer: &Arc<Peer>,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response<Answer>,
        Error = Infallible,
        Future: Send + 'static,
    > + Send
    + 'static {
        let (gateway, peer) = (Arc::clone(&self.gateway), Arc::clone(peer));
        service_fn(move |request| {
            let (gateway, peer) = (Arc::clone(&gateway), Arc::clone(&peer));
            async move { Ok(gateway.answer(&peer, request).await) }
        })
    }

    /// Waits until a client that has broken the protocol often may speak it again.
    ///
    /// # Errors
    /// When that is not soon, or the node stops.
    async fn may_begin(&self, place: &Place) -> io::Result<()> {
        let soon = async {
            let wait = place.begin()?;
            if !wait.is_zero() {
                sleep(wait).await;
            }
            Some(())
        };
        let begun = tokio::select! {
            biased;
            begun = soon => begun,
            () = self.closing.cancelled() => None,
        };
        begun.ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
    }

    /// A connection has ended because its client broke the protocol. It stays open for a while: nothing is read, and whoever
    /// waits for its end to come again waits.
    async fn hold(&self, place: &Place) {
        place.fault();
        tokio::select! {
            () = sleep(FAULT_HOLD) => {}
            () = self.closing.cancelled() => {}
        }
    }

    fn http2(&self) -> http2::Builder<StreamExecutor> {
        let mut builder = http2::Builder::new(StreamExecutor(Arc::clone(&self.tasks)));
        let header_bytes = u32::try_from(HEADER_BYTES_MAX).unwrap_or(u32::MAX);
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(H2_STREAMS_MAX)
            .max_header_list_size(header_bytes)
            .max_local_error_reset_streams(Some(H2_ERROR_RESETS_MAX))
            .max_pending_accept_reset_streams(Some(H2_RESETS_PENDING_MAX))
            .keep_alive_interval(Some(PING_INTERVAL))
            .keep_alive_timeout(HEADER_TIMEOUT);
        builder
    }

    /// Polls a connection until it ends; `finish` asks it to.
    async fn watch<C>(&self, connection: C, finish: fn(Pin<&mut C>), peer: &Peer) -> Ended
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut connection = pin!(connection);
        let Clients { body_idle, bytes_per_second, .. } = self.clients;
        let least =
            u64::try_from(body_idle.as_millis()).unwrap_or(u64::MAX).saturating_mul(bytes_per_second) / 1000;
        let mut tick = pin!(sleep(body_idle));
        let (mut closing, mut slow) = (false, false);
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = &ended && peer.http2 && is_fault(error) {
                        self.hold(&peer.place).await;
                    }
                    return ended.map_err(Into::into);
                }
                () = self.closing.cancelled(), if !closing => {
                    closing = true;
                    if peer.http2 {
                        finish(connection.as_mut());
                    }
                    tick.as_mut().reset(Instant::now() + CONNECTION_IDLE_GRACE);
                }
                () = tick.as_mut() => {
                    if closing || peer.idle() >= CONNECTION_IDLE_TIMEOUT {
                        finish(connection.as_mut());
                    }
                    // Twice in a row, or so long: the client takes nothing any more, or next to nothing.
                    let before = std::mem::replace(&mut slow, peer.exchange.slow(least));
                    if (before && slow) || peer.stalls(2 * body_idle) {
                        self.open.was_slow();
                        return Err(io::Error::from(io::ErrorKind::TimedOut).into());
                    }
                    tick.as_mut().reset(Instant::now() + body_idle);
                }
            }
        }
    }
}

/// Whether a connection has ended because its client broke HTTP/2: by what h2 says, or by [`super::frames`].
fn is_fault(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        let protocol =
            error.downcast_ref::<h2::Error>().is_some_and(|error| error.is_library() && error.is_go_away());
        let flood =
            error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::InvalidData);
        protocol || flood
    })
}

fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // `Strict` limits heads and their time.
    builder.max_buf_size(BUFFER_BYTES_MAX).header_read_timeout(None);
    builder
}

/// Reads until it is clear whether the client begins with [`PREFACE`].
async fn first_bytes<S: AsyncRead + Unpin>(socket: &mut S) -> io::Result<BytesMut> {
    let mut first = BytesMut::new();
    loop {
        let read = poll_fn(|context| {
            let mut space = [0u8; FIRST_BYTES_MAX];
            let mut buffer = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut *socket).poll_read(context, &mut buffer))?;
            first.extend_from_slice(buffer.filled());
            Poll::Ready(io::Result::Ok(buffer.filled().len()))
        })
        .await?;
        let length = first.len().min(PREFACE.len());
        if read == 0 || first[..length] != PREFACE[..length] || length == PREFACE.len() {
            return Ok(first);
        }
    }
}
