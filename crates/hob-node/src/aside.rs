//! Listeners beside the gateway, for the node's own entrances: the dashboard and the Lambda API.
//!
//! **How.** HTTP/1.1 and HTTP/2, with TLS where there is a certificate; each request gets one answer. Bodies, hosts and
//! who may ask are the entrance's own matter.
//!
//! **Not here:** requests for functions ([`crate::gateway`]), the control API's unix socket ([`crate::control`]).

use crate::listener::{self, Connection, Listener, Open};
use crate::task::{StreamExecutor, Tasks};
use hob_core::limit::{CONNECTION_IDLE_TIMEOUT, HEADER_BYTES_MAX, HEADER_TIMEOUT};
use hob_runtime::body::Body;
use http::header::{HOST, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
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
    /// Begins to serve one listener until `closing`.
    pub(crate) fn serve<A, F>(self, listener: Listener, closing: CancellationToken, answer: A)
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let (name, tasks, aside) = (self.name, Arc::clone(&self.tasks), Arc::new(self));
        let each = move |connection, place| {
            let (aside, answer) = (Arc::clone(&aside), answer.clone());
            async move {
                aside.drive(connection, answer).await;
                drop(place);
            }
        };
        tasks.start(name, listener::accept(listener, Open::new(), closing, Arc::clone(&tasks), each));
    }

    async fn drive<A, F>(&self, connection: Connection, answer: A)
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let Connection::Tcp(socket, peer) = connection else { return };
        let peer = Peer(peer.ip());
        match &self.tls {
            None => self.speak(socket, peer, answer).await,
            Some(tls) => match timeout(HEADER_TIMEOUT, tls.accept(socket)).await {
                Ok(Ok(socket)) => self.speak(socket, peer, answer).await,
                _ => tracing::debug!(to = self.name, "a connection ends before it has begun"),
            },
        }
    }

    async fn speak<S, A, F>(&self, socket: S, peer: Peer, answer: A)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let mut builder = auto::Builder::new(StreamExecutor(Arc::clone(&self.tasks)));
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(CONNECTION_IDLE_TIMEOUT)
            .max_buf_size(2 * HEADER_BYTES_MAX);
        builder.http2().timer(TokioTimer::new()).max_concurrent_streams(self.streams);
        let service = service_fn(move |mut request: Request<Incoming>| {
            // HTTP/2 names the host in the address (RFC 9113, 8.3.1).
            let host = request.uri().authority().and_then(|host| HeaderValue::try_from(host.as_str()).ok());
            if let Some(host) = host {
                request.headers_mut().insert(HOST, host);
            }
            request.extensions_mut().insert(peer);
            let answered = answer(request);
            async move { Ok::<_, Infallible>(answered.await) }
        });
        if let Err(error) = builder.serve_connection(TokioIo::new(socket), service).await {
            tracing::debug!(error, to = self.name, "a connection ends");
        }
    }
}
