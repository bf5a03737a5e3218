//! Connections: from the socket to hyper, with time limits, until they are told to close.
//!
//! **How.** Each connection is one task. It may speak TLS; its first bytes tell HTTP/2 from HTTP/1.1 ([`wire::begin`]).
//! A single slow timer per connection finds those that have had no request for long, and those whose
//! client takes nothing of its answer, be it by the socket or by the window of a stream. When the node stops, HTTP/2 clients are told to go (RFC 9113,
//! 6.8), HTTP/1.1 clients learn it with their next answer; idle connections wait a moment for a request
//! that may be on its way.

use super::Gateway;
use super::body::Answer;
use super::peer::Peer;
use crate::listener::{self, Connection, Listener, Open, Place};
use crate::settings::Clients;
use crate::task::Tasks;
use crate::wire::{self, Begun, Ended, Pace, Strict};
use hob_core::limit::{CONNECTION_IDLE_GRACE, CONNECTION_IDLE_TIMEOUT, H2_STREAMS_MAX};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

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

impl Shared {
    async fn handshake(
        &self,
        tls: &TlsAcceptor,
        socket: TcpStream,
        address: SocketAddr,
        place: Place,
    ) -> Ended {
        let socket = wire::in_time(&place, self.clients.header_timeout, tls.accept(socket)).await??;
        self.speak(socket, address, true, place).await
    }

    /// Finds out which protocol the client speaks, and speaks it. Who says nothing takes no memory for what comes then.
    async fn speak<S>(&self, socket: S, address: SocketAddr, secure: bool, place: Place) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let late = self.clients.header_timeout;
        let Some(begun) = wire::begin(socket, &place, late, &self.closing).await? else { return Ok(()) };
        let Begun { socket, http2, exchange } = begun;
        let unsent = self.gateway.unsent.clone();
        let peer = Peer::new(address, secure, http2, (self.clients, place), exchange, unsent);
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
        let connection =
            wire::http1().serve_connection(TokioIo::new(socket), self.service(peer)).with_upgrades();
        self.watch(connection, http1::UpgradeableConnection::graceful_shutdown, peer).await
    }

    async fn speak_http2<S>(&self, socket: Strict<S>, peer: &Arc<Peer>) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let builder = wire::http2(&self.tasks, H2_STREAMS_MAX);
        let connection = builder.serve_connection(TokioIo::new(socket), self.service(peer));
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

    /// Polls a connection until it ends; `finish` asks it to.
    async fn watch<C>(&self, connection: C, finish: fn(Pin<&mut C>), peer: &Peer) -> Ended
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut connection = pin!(connection);
        let Clients { body_idle, bytes_per_second, .. } = self.clients;
        let mut pace = Pace::new(body_idle, bytes_per_second);
        let mut tick = pin!(sleep(body_idle));
        // Whether it was told to go since nothing is under way.
        let (mut closing, mut told) = (false, false);
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    return wire::hold(ended, peer.http2, &peer.place, &self.closing).await;
                }
                () = self.closing.cancelled(), if !closing => {
                    closing = true;
                    if peer.http2 {
                        finish(connection.as_mut());
                    }
                    tick.as_mut().reset(Instant::now() + CONNECTION_IDLE_GRACE);
                }
                () = tick.as_mut() => {
                    let idle = peer.idle() >= CONNECTION_IDLE_TIMEOUT;
                    if idle && told {
                        return Ok(());
                    }
                    if closing || idle {
                        finish(connection.as_mut());
                    }
                    told = idle;
                    if pace.is_slow(&peer.exchange) || peer.unsent.stalls(2 * body_idle) {
                        peer.place.was_slow();
                        return Err(io::Error::from(io::ErrorKind::TimedOut).into());
                    }
                    tick.as_mut().reset(Instant::now() + body_idle);
                }
            }
        }
    }
}
