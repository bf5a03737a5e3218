//! Calls whose answer is streamed, as frames of an event stream (Lambda API reference, "InvokeWithResponseStream").
//!
//! **How.** Each piece of the function's answer is a frame as soon as it comes; the last frame says how the call ended.

use super::answer::{Answered, REQUEST_ID};
use super::find::Found;
use super::invoke::{self, EXECUTED_VERSION, Outcome};
use super::{Ask, Handled, Lambda, Operation, operation, tail};
use crate::control::Control;
use crate::dispatcher::{self, Cause};
use bytes::Bytes;
use futures_util::stream;
use hob_core::aws::frame::{MEDIA_TYPE, event};
use hob_core::fault::Fault;
use hob_core::id::InvocationId;
use hob_runtime::body::Body;
use hob_runtime::contract::lambda::request_id;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

pub(super) static OPERATIONS: &[Operation] = &[operation(
    "InvokeWithResponseStream",
    "POST",
    "/2021-11-15/functions/{}/response-streaming-invocations",
    invoke_with_stream,
)];

/// A streamed answer on its way.
struct Streaming {
    body: Body,
    control: Arc<Control>,
    found: Found,
    call: InvocationId,
    began: Instant,
    /// Whether the caller wants the end of the log.
    tails: bool,
    /// The error that is known already.
    failed: Option<Bytes>,
}

fn invoke_with_stream(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let found = lambda.find(ask.part(0), ask.query("Qualifier").as_deref()).await?;
        let (tails, began) = (invoke::wants_tail(&ask)?, Instant::now());
        let cause = Cause { place: lambda.control.bus.allowance().begin_taken()?, ..invoke::cause() };
        let reply = dispatcher::call(found.target()?, cause, invoke::request(&ask, &found)?).await;
        let (body, call, failed) = if invoke::has_failed(&reply) {
            let Outcome { call, payload, .. } = invoke::outcome(reply, &found).await?;
            (hob_runtime::body::empty(), call, Some(payload))
        } else {
            let call = invoke::call_of(reply.headers())?;
            (reply.into_body(), call, None)
        };
        let version = found.version();
        let control = Arc::clone(&lambda.control);
        let mut response =
            Response::new(frames(Streaming { body, control, found, call, began, tails, failed }));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(REQUEST_ID, invoke::text(request_id(call)));
        headers.insert(EXECUTED_VERSION, invoke::text(version));
        Answered::Ok(response)
    })
}

/// The answer's pieces as frames, then the end as one.
fn frames(streaming: Streaming) -> Body {
    let frames = stream::unfold(Some(streaming), |streaming| async move {
        let mut streaming = streaming?;
        loop {
            return match streaming.body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Some((chunk(&data), Some(streaming))),
                    // Trailers say nothing that the end does not.
                    Err(_) => continue,
                },
                Some(Err(fault)) => {
                    let payload = invoke::failed_answer(&fault, &streaming.found, streaming.call);
                    streaming.failed = Some(payload);
                    Some((end(streaming).await, None))
                }
                None => Some((end(streaming).await, None)),
            };
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

fn chunk(data: &[u8]) -> Result<Frame<Bytes>, Fault> {
    Ok(Frame::data(event("PayloadChunk", "application/octet-stream", data)))
}

async fn end(streaming: Streaming) -> Result<Frame<Bytes>, Fault> {
    let Streaming { control, found, call, began, tails, failed, .. } = streaming;
    let mut said = json!({});
    if let Some(payload) = failed {
        said["ErrorCode"] = "Unhandled".into();
        said["ErrorDetails"] = Value::from(String::from_utf8_lossy(&payload));
    }
    if tails {
        said["LogResult"] = tail::tail(&control.logs, &found, call, began.elapsed()).await.into();
    }
    Ok(Frame::data(event("InvokeComplete", "application/json", said.to_string().as_bytes())))
}
