//! Requests that guests send: they go to the node, which knows other functions and the egress list.
//!
//! **How.** Wasmtime calls [`Hooks::send_request`] for `wasi:http` of both versions. The node's answer
//! streams back; a refusal becomes the nearest `error-code` of `wasi:http`.
//!
//! **Invariant.** A call runs in a task of its own ([`apart`]): the one who answers may be another
//! guest, and Wasmtime does not let one store run inside another's.

use super::calls::Calls;
use super::spin;
use crate::body::Body;
use crate::code::FunctionCode;
use crate::invocation::Reply;
use crate::outbound::{Caller, Outbound};
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result as Outcome};
use hob_core::port::Spawn;
use http::HeaderName;
use http_body::Frame;
use http_body_util::BodyExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep, timeout};
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

/// Bytes that wait between a guest's body and whoever reads it, per write.
const BODY_CHUNK_BYTES: usize = 64 << 10;
/// Frames of an answer that wait for the guest that asked.
const ANSWER_FRAMES_MAX: usize = 4;

/// Sends a guest's requests to the node.
pub(super) struct Hooks {
    pub(super) outbound: Arc<dyn Outbound>,
    pub(super) code: Arc<FunctionCode>,
    pub(super) calls: Calls,
    pub(super) instance: u64,
    pub(super) spawn: Arc<dyn Spawn>,
}

impl Hooks {
    /// Who makes a request with this `traceparent`.
    pub(super) fn caller(&self, traceparent: Option<&str>) -> Caller {
        Caller { instance: self.instance, ..self.calls.caller(&self.code, traceparent) }
    }
}

type Finished = Box<dyn Future<Output = Result<(), Error>> + Send>;
pub(super) type Answer = Result<(http::Response<WasiBody>, Finished), Error>;

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_forbidden(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_forbidden)
    }

    fn send_request(
        &mut self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _guest_done: Finished,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        let (outbound, spawn) = (Arc::clone(&self.outbound), Arc::clone(&self.spawn));
        let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
        let caller = self.caller(traceparent);
        spin::readdress(&self.code, &mut request);
        Box::new(async move {
            let options = options.unwrap_or_default();
            let patience =
                options.first_byte_timeout.map(|first| first + options.connect_timeout.unwrap_or_default());
            let sent = apart(&spawn, outbound, caller, request.map(to_body));
            let reply = match patience {
                Some(patience) => timeout(patience, sent).await.map_err(|_| Error::ConnectionReadTimeout)?,
                None => sent.await,
            };
            let reply = reply.map_err(|fault| to_error(&fault))?;
            let between = options.between_bytes_timeout;
            let reply = reply.map(|body| from_body(body, between));
            Ok((reply, Box::new(async { Ok(()) }) as Finished))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK_BYTES
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK_BYTES
    }
}

/// Whether a guest neither sees nor sets a header: those of [`wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS`].
/// Every header of every call is asked for, and that list makes an allocation for each.
pub(super) fn is_forbidden(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "host"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Sends a request in a task of its own, which ends when nobody waits for the answer or its body.
pub(super) async fn apart(
    spawn: &Arc<dyn Spawn>,
    outbound: Arc<dyn Outbound>,
    caller: Caller,
    request: http::Request<Body>,
) -> Outcome<Reply> {
    let (mut answer, answered) = oneshot::channel();
    let call = async move {
        let reply = tokio::select! {
            reply = outbound.call(caller, request) => reply,
            () = answer.closed() => return,
        };
        match reply {
            Err(fault) => drop(answer.send(Err(fault))),
            Ok(reply) => {
                let (frames, arriving) = mpsc::channel(ANSWER_FRAMES_MAX);
                let (parts, body) = reply.into_parts();
                let arriving = Arriving { frames: arriving };
                drop(answer.send(Ok(http::Response::from_parts(parts, Body::new(arriving)))));
                tokio::select! {
                    () = pass_on(body, &frames) => {}
                    () = frames.closed() => {}
                }
            }
        }
    };
    spawn.spawn("wasm-call", Box::pin(call));
    answered.await.unwrap_or_else(|_| Err(Fault::new(Code::Stopping, "the node stops")))
}

/// Passes a body on, frame by frame, until its end or its first fault.
async fn pass_on(mut body: Body, frames: &mpsc::Sender<Outcome<Frame<Bytes>>>) {
    while let Some(frame) = body.frame().await {
        let broke_off = frame.is_err();
        if frames.send(frame).await.is_err() || broke_off {
            return;
        }
    }
}

/// A body that another task passes on.
struct Arriving {
    frames: mpsc::Receiver<Outcome<Frame<Bytes>>>,
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Outcome<Frame<Bytes>>>> {
        self.frames.poll_recv(context)
    }
}

/// A guest's body for the node.
pub(super) fn to_body(body: WasiBody) -> Body {
    body.map_err(|error| Fault::new(Code::BadResponse, format!("the function's body broke off: {error}")))
        .boxed_unsync()
}

/// A body of the node for a guest, which may give up when no bytes come for `between`.
pub(super) fn from_body(body: Body, between: Option<Duration>) -> WasiBody {
    match between {
        None => body.map_err(|fault| to_error(&fault)).boxed_unsync(),
        Some(between) => Impatient { body, between, silence: Box::pin(sleep(between)) }.boxed_unsync(),
    }
}

/// The `error-code` of `wasi:http` that is nearest to a fault.
fn to_error(fault: &Fault) -> Error {
    match fault.code() {
        Code::EgressDenied => Error::HttpRequestDenied,
        Code::LoopTooDeep => Error::LoopDetected,
        Code::CallTimeout => Error::HttpResponseTimeout,
        Code::QueueFull | Code::QueueTimeout => Error::ConnectionLimitReached,
        Code::BodyTooLarge => Error::HttpRequestBodySize(None),
        Code::HeadersTooLarge => Error::HttpRequestHeaderSectionSize(None),
        Code::UriTooLong => Error::HttpRequestUriTooLong,
        Code::RequestMalformed => Error::HttpProtocolError,
        Code::AppNotFound | Code::FunctionNotFound | Code::HostUnknown | Code::RouteNotFound => {
            Error::DestinationNotFound
        }
        Code::DependencyFailed | Code::CircuitOpen | Code::Stopping => Error::DestinationUnavailable,
        _ => Error::InternalError(Some(fault.message().to_owned())),
    }
}

/// A body whose reader does not wait longer than `between` for the next bytes.
struct Impatient {
    body: Body,
    between: Duration,
    silence: Pin<Box<Sleep>>,
}

impl http_body::Body for Impatient {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                let next = Instant::now() + self.between;
                self.silence.as_mut().reset(next);
                Poll::Ready(frame.map(|frame| frame.map_err(|fault| to_error(&fault))))
            }
            Poll::Pending => {
                self.silence.as_mut().poll(context).map(|()| Some(Err(Error::ConnectionReadTimeout)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_forbidden;
    use http::HeaderName;
    use wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS;

    #[test]
    fn what_wasmtime_forbids_is_forbidden_and_nothing_else() {
        assert!(DEFAULT_FORBIDDEN_HEADERS.iter().all(is_forbidden));
        assert_eq!(DEFAULT_FORBIDDEN_HEADERS.len(), 9, "the list has changed");
        for name in ["te", "trailer", "cookie", "content-length", "hob-invocation-id"] {
            assert!(!is_forbidden(&HeaderName::from_static(name)), "{name}");
        }
    }
}
