//! Bodies on their way through the gateway: streamed, never collected.

use super::peer::Busy;
use crate::live::LiveRevision;
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::limit::{BODY_IDLE_TIMEOUT, DRAINED_BYTES_MAX, LINGER};
use hob_runtime::body::{self, Body};
use http::Request;
use http::header::EXPECT;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, timeout};

/// The body of a request from a socket. It fails when its bytes stay away for longer than
/// [`BODY_IDLE_TIMEOUT`].
pub(crate) fn incoming(incoming: Incoming) -> Body {
    if incoming.is_end_stream() {
        return body::empty();
    }
    Inbound { incoming, silence: BODY_IDLE_TIMEOUT, timer: None, waiting: false }.boxed_unsync()
}

/// Reads the rest of a refused request, if it is little and comes soon: what is not read would cost the
/// client its connection. A client that waits to be asked for the body (RFC 9110, 10.1.1) is not.
pub(super) async fn drain(request: &mut Request<Incoming>) {
    if request.headers().contains_key(EXPECT) {
        return;
    }
    let mut left = DRAINED_BYTES_MAX;
    let body = request.body_mut();
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(bytes) else { return };
            left = rest;
        }
    };
    // What does not come in time is cut off, as it would be anyway.
    let _ = timeout(LINGER, reading).await;
}

struct Inbound {
    incoming: Incoming,
    silence: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the timer runs for the piece that is awaited now.
    waiting: bool,
}

impl Inbound {
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.silence)));
        if !self.waiting {
            timer.as_mut().reset(Instant::now() + self.silence);
            self.waiting = true;
        }
        timer.as_mut().poll(cx)
    }
}

impl http_body::Body for Inbound {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.waiting = false;
                Poll::Ready(frame.map(|frame| frame.map_err(|error| broken(&error))))
            }
            Poll::Pending => this.poll_silence(cx).map(|()| Some(Err(silent()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

fn broken(error: &hyper::Error) -> Fault {
    Fault::new(Code::RequestMalformed, "the request's body ended early or is malformed").detail(error)
}

fn silent() -> Fault {
    let seconds = BODY_IDLE_TIMEOUT.as_secs();
    Fault::new(Code::RequestTimeout, format!("no byte of the request's body came for {seconds} s"))
}

/// The body of an answer, and what has to stay until it has ended.
pub(super) struct Answer {
    body: Body,
    _busy: Option<Busy>,
    _revision: Option<Arc<LiveRevision>>,
}

impl Answer {
    pub(super) fn new(body: Body, busy: Busy, revision: Option<Arc<LiveRevision>>) -> Self {
        Self { body, _busy: Some(busy), _revision: revision }
    }

    /// A body for which nothing has to stay.
    pub(super) fn alone(body: Body) -> Self {
        Self { body, _busy: None, _revision: None }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
