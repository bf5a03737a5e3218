//! Connections to one child: kept between calls, shared by none at the same time (HTTP/1.1), or one
//! for all calls (HTTP/2).
//!
//! **Why.** A call to a child is a hop that users feel; so a connection is opened only when all others
//! are in use. Servers close connections that idle (Node after 5 s, some after 2 s), and a request
//! that meets the close is lost in a way that may not be repeated. So none is used again after
//! [`CHILD_CONNECTION_IDLE_MAX`].

use crate::body::Body;
use crate::executor::Executor;
use bytes::Bytes;
use hob_core::fault::Fault;
use hob_core::limit::{CHILD_CONNECTION_IDLE_MAX, CHILD_CONNECTIONS_KEPT_MAX, HEADER_BYTES_MAX};
use hob_core::port::Spawn;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::net::TcpStream;

/// Why a request got no answer.
#[derive(Debug)]
pub(super) enum Error {
    /// Nobody listens.
    Connect(std::io::Error),
    /// The connection failed; the request may have been read.
    Exchange(hyper::Error),
}

/// The connections to one child.
pub(super) struct Connections {
    shared: Arc<Shared>,
}

struct Shared {
    port: u16,
    h2c: bool,
    spawn: Arc<dyn Spawn>,
    idle: Mutex<Vec<Idle>>,
    multiplexed: Mutex<Option<http2::SendRequest<Body>>>,
}

struct Idle {
    sender: http1::SendRequest<Body>,
    since: Instant,
}

impl Connections {
    /// To the loopback port, none open yet.
    pub(super) fn new(port: u16, h2c: bool, spawn: Arc<dyn Spawn>) -> Self {
        let shared = Shared { port, h2c, spawn, idle: Mutex::default(), multiplexed: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Sends one request. A request that was not sent, because a kept connection had been closed, is
    /// sent again on a new one.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        if self.shared.h2c { self.shared.send_h2(request).await } else { self.shared.send_h1(request).await }
    }
}

impl Connections {
    /// Keeps a connection on which nothing was sent yet for the first call. A server that takes one connection
    /// after another would first have to find out that this one has nothing to say.
    pub(super) async fn keep(&self, stream: TcpStream) {
        if self.shared.h2c {
            return;
        }
        // What cannot be kept is opened anew.
        if let Ok(mut sender) = self.shared.handshake_h1(stream).await
            && sender.ready().await.is_ok()
        {
            self.shared.put(sender);
        }
    }
}

impl Shared {
    async fn send_h1(self: &Arc<Self>, mut request: Request<Body>) -> Result<Response<Body>, Error> {
        while let Some(mut sender) = self.take() {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.answer(response, sender)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Error::Exchange(error.into_error())),
                },
            }
        }
        let mut sender = self.connect_h1().await?;
        let response = sender.send_request(request).await.map_err(Error::Exchange)?;
        Ok(self.answer(response, sender))
    }

    /// The newest idle connection that may still be used; older ones are closed.
    fn take(&self) -> Option<http1::SendRequest<Body>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = idle.pop()?;
        if newest.since.elapsed() < CHILD_CONNECTION_IDLE_MAX {
            return Some(newest.sender);
        }
        idle.clear();
        None
    }

    fn put(&self, sender: http1::SendRequest<Body>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < CHILD_CONNECTIONS_KEPT_MAX && !sender.is_closed() {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }

    fn answer(
        self: &Arc<Self>,
        response: Response<Incoming>,
        sender: http1::SendRequest<Body>,
    ) -> Response<Body> {
        if http_body::Body::is_end_stream(response.body()) {
            self.put(sender);
            return response.map(boxed);
        }
        let home = Some((Arc::clone(self), sender));
        response.map(|inner| Lent { inner, home }.boxed_unsync())
    }

    async fn connect_h1(&self) -> Result<http1::SendRequest<Body>, Error> {
        self.handshake_h1(connect(self.port).await.map_err(Error::Connect)?).await
    }

    async fn handshake_h1(&self, stream: TcpStream) -> Result<http1::SendRequest<Body>, Error> {
        let handshake = http1::Builder::new()
            .max_buf_size(HEADER_BYTES_MAX.max(MIN_BUFFER_BYTES))
            .handshake(TokioIo::new(stream))
            .await;
        let (sender, connection) = handshake.map_err(Error::Exchange)?;
        self.spawn.spawn("child connection", Box::pin(async move { drop(connection.with_upgrades().await) }));
        Ok(sender)
    }

    async fn send_h2(&self, mut request: Request<Body>) -> Result<Response<Body>, Error> {
        let kept = self.multiplexed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(mut sender) = kept.filter(|sender| !sender.is_closed()) {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(response.map(boxed)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Error::Exchange(error.into_error())),
                },
            }
        }
        let stream = connect(self.port).await.map_err(Error::Connect)?;
        let executor = Executor::new(&self.spawn, "child stream");
        let handshake = http2::Builder::new(executor)
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(HEADER_BYTES_MAX).unwrap_or(u32::MAX))
            .handshake(TokioIo::new(stream))
            .await;
        let (mut sender, connection) = handshake.map_err(Error::Exchange)?;
        self.spawn.spawn("child connection", Box::pin(async move { drop(connection.await) }));
        *self.multiplexed.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender.clone());
        sender.send_request(request).await.map(|response| response.map(boxed)).map_err(Error::Exchange)
    }
}

/// Hyper refuses smaller buffers.
const MIN_BUFFER_BYTES: usize = 8192;

/// Opens a connection to a loopback port.
pub(super) async fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn broke_off(error: hyper::Error) -> Fault {
    use hob_core::code::Code;
    Fault::new(Code::BadResponse, "the function's answer broke off").detail(error)
}

fn boxed(body: Incoming) -> Body {
    body.map_err(broke_off).boxed_unsync()
}

/// A body whose connection goes back when it has ended.
struct Lent {
    inner: Incoming,
    home: Option<(Arc<Shared>, http1::SendRequest<Body>)>,
}

impl Lent {
    fn give_back(&mut self) {
        if let Some((home, sender)) = self.home.take() {
            home.put(sender);
        }
    }
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if frame.is_none() || self.inner.is_end_stream() {
            self.give_back();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(broke_off)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
