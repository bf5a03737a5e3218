//! Listeners beside the gateway, for the node's own entrances: the dashboard and the Lambda API.
//!
//! **How.** HTTP/1.1 and HTTP/2, with TLS where there is a certificate; each request gets one answer. What clients send is looked at as it is
//! at the gateway ([`crate::wire`]). Bodies, hosts and who may ask are the entrance's own matter.
//!
//! **Not here:** requests for functions ([`crate::gateway`]), the control API's unix socket ([`crate::control`]).

use crate::listener::{self, Connection, Listener, Open, Place};
use crate::task::Tasks;
use crate::wire::{self, Begun, Ended, Exchange, Pace};
use hob_core::fault::Result;
use hob_core::limit::{BODY_IDLE_TIMEOUT, CLIENT_BYTES_PER_SECOND_MIN, HEADER_TIMEOUT};
use hob_runtime::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// What an entrance of the node is as a server.
pub(crate) struct Aside {
    /// Its name, for tasks and the log.
    pub(crate) name: &'static str,
    /// The certificate; `None`: plain HTTP.
    pub(crate) tls: Option<TlsAcceptor>,
    /// Requests at a time on one connection of HTTP/2.
    pub(crate) streams: u32,
    /// Runs its connections and their streams.
    pub(crate) tasks: Arc<Tasks>,
    /// When it shall accept no more.
    pub(crate) closing: CancellationToken,
}

/// The address of whoever sent a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl Peer {
    /// That of a request of an [`Aside`].
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        request.extensions().get().copied().unwrap_or_else(|| Self(Ipv4Addr::UNSPECIFIED.into()))
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.to_canonical().fmt(f)
    }
}

impl Aside {
    /// Begins to serve one listener. `answer` gets each request, and what is wrong with it.
    pub(crate) fn serve<A, F>(self, listener: Listener, answer: A)
    where
        A: Fn(Request<Incoming>, Result<()>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let (name, tasks, closing) = (self.name, Arc::clone(&self.tasks), self.closing.clone());
        let aside = Arc::new(self);
        let each = move |connection, place| {
            let (aside, answer) = (Arc::clone(&aside), answer.clone());
            async move {
                aside.drive(connection, &place, answer).await;
            }
        };
        tasks.start(name, listener::accept(listener, Open::new(), closing, Arc::clone(&tasks), each));
    }

    async fn drive<A, F>(&self, connection: Connection, place: &Place, answer: A)
    where
        A: Fn(Request<Incoming>, Result<()>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let Connection::Tcp(socket, peer) = connection else { return };
        let from = (Peer(peer.ip()), place);
        let ended = match &self.tls {
            None => self.speak(socket, from, answer).await,
            Some(tls) => match wire::in_time(place, HEADER_TIMEOUT, tls.accept(socket)).await {
                Ok(Ok(socket)) => self.speak(socket, from, answer).await,
                Ok(Err(error)) | Err(error) => Err(error.into()),
            },
        };
        if let Err(error) = ended {
            tracing::debug!(error, to = self.name, %peer, "a connection ends");
        }
    }

    /// Finds out which protocol the client speaks, and speaks it.
    async fn speak<S, A, F>(&self, socket: S, (peer, place): (Peer, &Place), answer: A) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        A: Fn(Request<Incoming>, Result<()>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let begun = wire::begin(socket, place, HEADER_TIMEOUT, &self.closing).await?;
        let Some(Begun { socket, http2, exchange }) = begun else { return Ok(()) };
        let told = Arc::clone(&exchange);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let good = wire::check_without_upgrades(http2, &told, &mut request);
            request.extensions_mut().insert(peer);
            let answered = answer(request, good);
            async move { Ok::<_, Infallible>(answered.await) }
        });
        let socket = TokioIo::new(socket);
        if http2 {
            let connection = wire::http2(&self.tasks, self.streams).serve_connection(socket, service);
            self.watch(connection, (&exchange, place, true)).await
        } else {
            let connection = wire::http1_with_idle_timeout().serve_connection(socket, service);
            self.watch(connection, (&exchange, place, false)).await
        }
    }

    /// Polls a connection until it ends, or its client takes nothing any more.
    async fn watch(
        &self,
        connection: impl Future<Output = hyper::Result<()>>,
        (exchange, place, http2): (&Exchange, &Place, bool),
    ) -> Ended {
        let mut connection = pin!(connection);
        let mut pace = Pace::new(BODY_IDLE_TIMEOUT, CLIENT_BYTES_PER_SECOND_MIN);
        loop {
            match timeout(BODY_IDLE_TIMEOUT, connection.as_mut()).await {
                Ok(ended) => return wire::hold(ended, http2, place, &self.closing).await,
                Err(_) if pace.is_slow(exchange) => {
                    place.was_slow();
                    return Err(io::Error::from(io::ErrorKind::TimedOut).into());
                }
                Err(_) => {}
            }
        }
    }
}
