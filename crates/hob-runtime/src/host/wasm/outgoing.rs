//! Requests that guests send: they go to the node, which knows other functions and the egress list.
//!
//! **How.** Wasmtime calls [`Hooks::send_request`] for `wasi:http` of both versions. The node's answer
//! streams back; a refusal becomes the nearest `error-code` of `wasi:http`.

use super::calls::Calls;
use crate::body::Body;
use crate::host::FunctionCode;
use crate::outbound::{Caller, Outbound};
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::fault::Fault;
use http_body::Frame;
use http_body_util::BodyExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep, timeout};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Bytes that wait between a guest's body and whoever reads it, per write.
const BODY_CHUNK_BYTES: usize = 64 << 10;

/// Sends a guest's requests to the node.
pub(super) struct Hooks {
    pub(super) outbound: Arc<dyn Outbound>,
    pub(super) code: Arc<FunctionCode>,
    pub(super) calls: Calls,
}

type Finished = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answer = Result<(http::Response<WasiBody>, Finished), Error>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _guest_done: Finished,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        let outbound = Arc::clone(&self.outbound);
        let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
        let caller = Caller { code: Arc::clone(&self.code), context: self.calls.caused(traceparent) };
        Box::new(async move {
            let options = options.unwrap_or_default();
            let patience =
                options.first_byte_timeout.map(|first| first + options.connect_timeout.unwrap_or_default());
            let sent = outbound.call(caller, request.map(to_body));
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
        Code::DependencyFailed | Code::Stopping => Error::DestinationUnavailable,
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
