//! Bodies on their way through the gateway: streamed, never collected.

use super::peer::{Busy, Wait};
use crate::live::LiveRevision;
use crate::settings::Clients;
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::limit::{DRAINED_BYTES_MAX, LINGER};
use hob_core::unit::show_duration;
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

/// The body of a request from somebody who is known. It fails when its bytes stay away for too long.
pub(crate) fn incoming(incoming: Incoming) -> Body {
    incoming_from(incoming, &Clients { bytes_per_second: 0, ..Clients::default() })
}

/// The body of a request from a stranger. It fails also when its bytes come too slowly.
pub(super) fn incoming_from(incoming: Incoming, clients: &Clients) -> Body {
    if incoming.is_end_stream() {
        return body::empty();
    }
    let (clients, waited) = (*clients, Duration::ZERO);
    Inbound { incoming, clients, timer: None, since: None, waited, bytes: 0 }.boxed_unsync()
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
    clients: Clients,
    timer: Option<Pin<Box<Sleep>>>,
    /// Since when the next piece is awaited; the timer runs for it.
    since: Option<Instant>,
    /// How long earlier ones were awaited, and how much they were.
    waited: Duration,
    bytes: u64,
}

impl Inbound {
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let silence = self.clients.body_idle;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(silence)));
        if self.since.is_none() {
            let now = Instant::now();
            timer.as_mut().reset(now + silence);
            self.since = Some(now);
        }
        timer.as_mut().poll(cx)
    }

    /// A piece of so many bytes has come. Says whether the client is too slow: only the time counts in which
    /// nobody but the client was waited for, once that is long enough to tell.
    fn came(&mut self, bytes: u64) -> bool {
        let Some(since) = self.since.take() else {
            self.bytes += bytes;
            return false;
        };
        self.waited += since.elapsed();
        self.bytes += bytes;
        let Clients { body_idle, bytes_per_second, .. } = self.clients;
        let least = self.waited.as_millis().saturating_mul(u128::from(bytes_per_second)) / 1000;
        self.waited >= body_idle && u128::from(self.bytes) < least
    }
}

impl http_body::Body for Inbound {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                let (bytes, more) = (data.map_or(0, Bytes::len), data.is_some());
                if this.came(bytes as u64) && more && !this.incoming.is_end_stream() {
                    return Poll::Ready(Some(Err(slow(this.clients))));
                }
                Poll::Ready(frame.map(|frame| frame.map_err(|error| broken(&error))))
            }
            Poll::Pending => this.poll_silence(cx).map(|()| Some(Err(silent(this.clients)))),
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

fn silent(clients: Clients) -> Fault {
    let time = show_duration(clients.body_idle);
    Fault::new(Code::RequestTimeout, format!("no byte of the request's body came for {time}"))
}

fn slow(clients: Clients) -> Fault {
    let rate = clients.bytes_per_second;
    let what = format!("the request's body came more slowly than {rate} bytes per second");
    Fault::new(Code::RequestTimeout, what).hint("send larger pieces, or nothing until there is more to send")
}

/// The body of an answer, and what has to stay until it has ended.
pub(super) struct Answer {
    body: Body,
    wait: Option<Arc<Wait>>,
    _busy: Option<Busy>,
    _revision: Option<Arc<LiveRevision>>,
}

impl Answer {
    pub(super) fn new(body: Body, busy: Busy, revision: Option<Arc<LiveRevision>>) -> Self {
        Self { body, wait: busy.0.wait(), _busy: Some(busy), _revision: revision }
    }

    /// A body for which nothing has to stay.
    pub(super) fn alone(body: Body) -> Self {
        Self { body, wait: None, _busy: None, _revision: None }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        match (&this.wait, frame.is_pending()) {
            (Some(wait), true) => wait.for_function(),
            (Some(wait), false) => wait.for_client(),
            (None, _) => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
