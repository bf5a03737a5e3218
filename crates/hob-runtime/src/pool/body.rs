//! Bodies on their way through a pool: requests are measured, replies hold their call's place.

use super::Place;
use super::watch::Watch;
use crate::body::Body;
use crate::invocation::{Context as Call, Reply};
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::unit::show_bytes;
use http::{Request, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep, sleep_until};

/// Why a request's body failed: a better reason than that of the call which failed by it.
pub(super) type BodyFault = Arc<OnceLock<Fault>>;

/// Bounds a request's body: by what it says of itself at once, by what comes later. What comes is counted.
///
/// # Errors
/// `HOB-0405` when its `Content-Length` is above the limit.
pub(super) fn limit(
    request: Request<Body>,
    bytes_max: u64,
    call: &Arc<Call>,
) -> Result<(Request<Body>, BodyFault)> {
    let fault = BodyFault::default();
    if request.body().is_end_stream() {
        return Ok((request, fault));
    }
    let declared = request.headers().get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let least = declared.unwrap_or_default().max(request.body().size_hint().lower());
    if least > bytes_max {
        return Err(too_large(&show_bytes(least), bytes_max));
    }
    let limited = |inner| Limited {
        inner,
        left: bytes_max,
        bytes_max,
        fault: Arc::clone(&fault),
        call: Arc::clone(call),
    };
    let request = request.map(|body| limited(body).boxed_unsync());
    Ok((request, fault))
}

fn too_large(size: &str, bytes_max: u64) -> Fault {
    let most = show_bytes(bytes_max);
    Fault::new(Code::BodyTooLarge, format!("the request's body has {size}, the limit is {most}"))
        .hint("send less, or raise `body` of the function")
}

struct Limited {
    inner: Body,
    left: u64,
    bytes_max: u64,
    fault: BodyFault,
    call: Arc<Call>,
}

impl http_body::Body for Limited {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let frame = match std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(frame) => frame,
        };
        let frame = frame.and_then(|frame| {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            match self.left.checked_sub(bytes) {
                Some(left) => {
                    self.left = left;
                    self.call.timing.received(bytes);
                }
                None => return Err(too_large("more bytes than allowed", self.bytes_max)),
            }
            Ok(frame)
        });
        if let Err(fault) = &frame {
            let _ = self.fault.set(fault.clone());
            self.inner = crate::body::empty();
        }
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Ties the call's place to the reply: to its body, or to its connection if it switches protocols. What
/// the body brings is counted.
pub(super) fn guard(mut reply: Reply, place: Place, watch: Watch, deadline: Instant) -> Reply {
    if reply.status() == StatusCode::SWITCHING_PROTOCOLS {
        reply.extensions_mut().insert(place.watched(watch));
        return reply;
    }
    if reply.body().is_end_stream() {
        return reply;
    }
    reply.map(|inner| {
        Guarded { inner, place: Some(place), watch: Some(watch), deadline, alarm: None }.boxed_unsync()
    })
}

struct Guarded {
    inner: Body,
    place: Option<Place>,
    /// Tells of the call when its place is free again.
    watch: Option<Watch>,
    deadline: Instant,
    /// Made when the body is waited for: most bodies are ready at once.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Guarded {
    /// The end: whoever is told of it can rely on everything about the call being known.
    fn end(&mut self) {
        self.inner = crate::body::empty();
        self.place = None;
        self.watch = None;
    }

    fn fail(&mut self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>>>> {
        self.inner = crate::body::empty();
        match self.place.take() {
            Some(place) => place.failed(),
            None => return Poll::Ready(None),
        }
        if let Some(mut watch) = self.watch.take() {
            watch.failed(&fault);
        }
        Poll::Ready(Some(Err(fault)))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // The instance learns that nobody reads on before it is asked what it still does.
        self.inner = crate::body::empty();
        if let Some((place, watch)) = self.place.take().zip(self.watch.take()) {
            place.leave(watch.context(), self.deadline);
        }
    }
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Err(fault))) => self.fail(fault),
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(watch), Some(data)) = (&self.watch, frame.data_ref()) {
                    watch.sent(data);
                }
                if self.inner.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let deadline = self.deadline;
                let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
                std::task::ready!(alarm.as_mut().poll(cx));
                let fault = self.place.as_ref().map_or_else(|| Fault::internal("late"), Place::call_timeout);
                self.fail(fault)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
