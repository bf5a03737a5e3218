//! Connections to one child: kept between calls, shared by none at the same time (HTTP/1.1), or one
//! for all calls (HTTP/2).
//!
//! **Why.** A call to a child is a hop that users feel; so a connection is opened only when all others
//! are in use. Servers close connections that idle (Node after 5 s, some after 2 s), and a request
//! that meets the close is lost in a way that may not be repeated. So none is used again after
//! [`CHILD_CONNECTION_IDLE_MAX`].
//!
//! **How.** Over HTTP/1.1 a connection is driven by the call that uses it: a task of its own would cost
//! each call two wake-ups. Only a connection that outlives its call gets one: one that switched protocols,
//! or whose request is still being sent when the answer is complete.
//!
//! The connection and what waits for it are polled by the same task, one right after the other. What one of them
//! does would wake the other, which is this task itself: the runtime would poll the whole call once more, and wake
//! another thread for it, twice in each call. So such wake-ups are only noted ([`Driver::poll_with`]).

use crate::body::Body;
use crate::executor::Executor;
use crate::wall::Dial;
use bytes::Bytes;
use hob_core::fault::Fault;
use hob_core::limit::{CHILD_CONNECTION_IDLE_MAX, CHILD_CONNECTIONS_KEPT_MAX, HEADER_BYTES_MAX};
use hob_core::port::{BoxFuture, Spawn};
use http::{Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
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
    dial: Arc<dyn Dial>,
    port: u16,
    h2c: bool,
    spawn: Arc<dyn Spawn>,
    idle: Mutex<Vec<Idle>>,
    multiplexed: Mutex<Option<http2::SendRequest<Body>>>,
}

struct Idle {
    link: Link,
    since: Instant,
}

/// An HTTP/1.1 connection: it moves only while somebody drives it.
struct Link {
    sender: http1::SendRequest<Body>,
    driver: Driver,
}

/// What moves a connection.
struct Driver {
    /// `None`: it has ended, and has let go of the requests that it had not sent.
    connection: Option<BoxFuture<'static, hyper::Result<()>>>,
    noted: Arc<Noted>,
}

/// A wake-up of a task by itself, while it runs: it is noted, and nobody is woken.
#[derive(Default)]
struct Noted(AtomicBool);

impl Wake for Noted {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a connection can do next.
enum State {
    /// Take a request.
    Ready,
    /// It is not done with the last one.
    Busy,
    /// Nothing.
    Closed,
}

impl Driver {
    /// Lets the connection do what it can now.
    fn drive(&mut self, cx: &mut Context<'_>) {
        // How it ended is told by whoever waits for its answer: to whom it tells that when it is dropped.
        if self.connection.as_mut().is_some_and(|connection| connection.as_mut().poll(cx).is_ready()) {
            self.connection = None;
        }
    }

    /// Lets the connection do what it can, and asks `next` what has become of that. `next` waits for nothing but the
    /// connection, so it is asked again whenever the connection has moved.
    fn poll_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut next: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let waker = Waker::from(Arc::clone(&self.noted));
        let mut quiet = Context::from_waker(&waker);
        self.drive(&mut quiet);
        if let Poll::Ready(done) = next(&mut quiet) {
            return Poll::Ready(done);
        }
        // Now it waits for the child: whatever wakes the connection from here on wakes this task.
        self.drive(cx);
        self.noted.0.store(false, Ordering::Relaxed);
        let polled = next(&mut quiet);
        // Not by the connection, then: the runtime wants another task to have its turn.
        if polled.is_pending() && self.noted.0.load(Ordering::Relaxed) {
            cx.waker().wake_by_ref();
        }
        polled
    }
}

impl Link {
    /// Waits until it can take a request; false if it never will.
    async fn ready(&mut self) -> bool {
        poll_fn(|cx| self.driver.poll_with(cx, |cx| self.sender.poll_ready(cx))).await.is_ok()
    }

    async fn send(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Body>>> {
        let mut response = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| self.driver.poll_with(cx, |cx| response.as_mut().poll(cx))).await
    }

    fn state(&mut self) -> State {
        // Whoever takes it next asks again, with a waker of its own.
        self.driver.drive(&mut Context::from_waker(Waker::noop()));
        match (self.driver.connection.is_none() || self.sender.is_closed(), self.sender.is_ready()) {
            (true, _) => State::Closed,
            (false, true) => State::Ready,
            (false, false) => State::Busy,
        }
    }
}

impl Connections {
    /// To the program's port, none open yet.
    pub(super) fn new(dial: Arc<dyn Dial>, port: u16, h2c: bool, spawn: Arc<dyn Spawn>) -> Self {
        let shared = Shared { dial, port, h2c, spawn, idle: Mutex::default(), multiplexed: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Opens a connection.
    pub(super) async fn open(&self) -> std::io::Result<TcpStream> {
        self.shared.dial.connect(self.shared.port).await
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
        if let Ok(mut link) = self.shared.handshake_h1(stream).await
            && link.ready().await
        {
            self.shared.put(link);
        }
    }
}

impl Shared {
    async fn send_h1(self: &Arc<Self>, mut request: Request<Body>) -> Result<Response<Body>, Error> {
        while let Some(mut link) = self.take() {
            if !link.ready().await {
                continue;
            }
            match link.send(request).await {
                Ok(response) => return Ok(self.answer(response, link)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Error::Exchange(error.into_error())),
                },
            }
        }
        let mut link = self.connect_h1().await?;
        let response = link.send(request).await.map_err(|error| Error::Exchange(error.into_error()))?;
        Ok(self.answer(response, link))
    }

    /// The newest idle connection that may still be used; older ones are closed.
    fn take(&self) -> Option<Link> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = idle.pop()?;
        if newest.since.elapsed() < CHILD_CONNECTION_IDLE_MAX {
            return Some(newest.link);
        }
        idle.clear();
        None
    }

    /// Takes a connection back whose answer is complete.
    fn put(&self, mut link: Link) {
        match link.state() {
            State::Ready => {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                if idle.len() < CHILD_CONNECTIONS_KEPT_MAX {
                    idle.push(Idle { link, since: Instant::now() });
                }
            }
            State::Busy => self.let_run(link),
            State::Closed => {}
        }
    }

    fn answer(self: &Arc<Self>, response: Response<Incoming>, link: Link) -> Response<Body> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.let_run(link);
            return response.map(boxed);
        }
        if http_body::Body::is_end_stream(response.body()) {
            self.put(link);
            return response.map(boxed);
        }
        let home = Some((Arc::clone(self), link));
        response.map(|inner| Lent { inner, home }.boxed_unsync())
    }

    /// Drives a connection to its end.
    fn let_run(&self, link: Link) {
        let Some(connection) = link.driver.connection else { return };
        self.spawn.spawn(
            "child connection",
            Box::pin(async move {
                // Nobody sends any more: the connection ends when its exchange has.
                drop(link.sender);
                drop(connection.await);
            }),
        );
    }

    async fn connect_h1(&self) -> Result<Link, Error> {
        self.handshake_h1(self.dial.connect(self.port).await.map_err(Error::Connect)?).await
    }

    async fn handshake_h1(&self, stream: TcpStream) -> Result<Link, Error> {
        let handshake = http1::Builder::new()
            .max_buf_size(HEADER_BYTES_MAX.max(MIN_BUFFER_BYTES))
            .handshake(TokioIo::new(stream))
            .await;
        let (sender, connection) = handshake.map_err(Error::Exchange)?;
        let connection = Box::pin(connection.with_upgrades());
        Ok(Link { sender, driver: Driver { connection: Some(connection), noted: Arc::default() } })
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
        let stream = self.dial.connect(self.port).await.map_err(Error::Connect)?;
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

fn broke_off(error: hyper::Error) -> Fault {
    use hob_core::code::Code;
    Fault::new(Code::BadResponse, "the function's answer broke off").detail(error)
}

fn boxed(body: Incoming) -> Body {
    body.map_err(broke_off).boxed_unsync()
}

/// A body that drives its connection, which goes back when it has ended.
struct Lent {
    inner: Incoming,
    home: Option<(Arc<Shared>, Link)>,
}

impl Lent {
    fn give_back(&mut self) {
        if let Some((home, link)) = self.home.take() {
            home.put(link);
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
        let this = &mut *self;
        let inner = &mut this.inner;
        let frame = match &mut this.home {
            // The connection reads on once it knows that somebody wants to read.
            Some((_, link)) => {
                match Pin::new(&mut *inner).poll_frame(&mut Context::from_waker(Waker::noop())) {
                    Poll::Pending => link.driver.poll_with(cx, |cx| Pin::new(&mut *inner).poll_frame(cx)),
                    ready => ready,
                }
            }
            None => Pin::new(inner).poll_frame(cx),
        };
        let frame = std::task::ready!(frame);
        if frame.is_none() || this.inner.is_end_stream() {
            this.give_back();
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
