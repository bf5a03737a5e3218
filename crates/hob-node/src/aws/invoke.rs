//! Calls: now, later, or only looked at (Lambda API reference, "Invoke").
//!
//! **How.** A function of any contract gets the payload as a `POST` of JSON to `/`, and the body of its answer is the
//! result. A status from 400 on is the function's error, as is what Hob answers in a function's place when the function
//! failed; what Hob answers for lack of room is an error of the API, since trying again helps.

use super::answer::{Answered, REQUEST_ID, Refusal, nothing, with_body};
use super::find::Found;
use super::{Ask, Handled, Lambda, Operation, admit, operation, tail};
use crate::bus::ingress::whole;
use crate::calls::{Acceptance, Terms};
use crate::dispatcher::{self, Cause};
use crate::gateway::forward::{self, INVOCATION_ID};
use crate::identity;
use bytes::Bytes;
use hob_core::aws::error::{Exception, is_of_the_function};
use hob_core::aws::name::arn;
use hob_core::code::Code;
use hob_core::event::base64;
use hob_core::fact::CallCause;
use hob_core::fault::Fault;
use hob_core::id::InvocationId;
use hob_core::limit::{AWS_ASYNC_BYTES_MAX, AWS_CLIENT_CONTEXT_BYTES_MAX, AWS_RESPONSE_BYTES_MAX};
use hob_core::unit::show_bytes;
use hob_runtime::body::{self, Body};
use hob_runtime::contract::lambda::{RawCall, RawReply, error_payload, request_id};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde::de::IgnoredAny;
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

pub(super) static OPERATIONS: &[Operation] = &[
    operation("Invoke", "POST", "/2015-03-31/functions/{}/invocations", invoke),
    operation("InvokeAsync", "POST", "/2014-11-13/functions/{}/invoke-async", invoke_async),
];

pub(super) const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");

/// What a call comes to.
pub(super) struct Outcome {
    /// The call.
    pub(super) call: InvocationId,
    /// The result, or what the error says.
    pub(super) payload: Bytes,
    /// Whether it is an error of the function.
    pub(super) failed: bool,
}

fn invoke(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let found = lambda.find(ask.part(0), ask.query("Qualifier").as_deref()).await?;
        match ask.header("x-amz-invocation-type") {
            None | Some("RequestResponse") => lambda.call(&ask, found).await,
            Some("Event") => lambda.call_later(&ask, &found, StatusCode::ACCEPTED).await,
            Some("DryRun") => Ok(nothing(StatusCode::NO_CONTENT)),
            Some(other) => Err(Refusal::value(format!(
                "`{other}` is no invocation type: use `RequestResponse`, `Event` or `DryRun`"
            ))),
        }
    })
}

fn invoke_async(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let found = lambda.find(ask.part(0), None).await?;
        lambda.call_later(&ask, &found, StatusCode::ACCEPTED).await
    })
}

impl Lambda {
    /// Calls a function and waits for its answer.
    async fn call(&self, ask: &Ask, found: Found) -> Answered {
        let (tails, began) = (wants_tail(ask)?, Instant::now());
        let cause = Cause { place: self.control.bus.allowance().begin_taken()?, ..cause() };
        let reply = dispatcher::call(found.target()?, cause, request(ask, &found)?).await;
        let Outcome { call, payload, failed } = outcome(reply, &found).await?;
        let mut response = with_body(StatusCode::OK, payload);
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, text(request_id(call)));
        headers.insert(EXECUTED_VERSION, text(found.version()));
        if failed {
            headers.insert(FUNCTION_ERROR, HeaderValue::from_static("Unhandled"));
        }
        if tails {
            let tail = tail::tail(&self.control.logs, &found, call, began.elapsed()).await;
            headers.insert(LOG_RESULT, text(tail));
        }
        Ok(response)
    }

    /// Accepts a call that is made later; it is on disk when this returns.
    async fn call_later(&self, ask: &Ask, found: &Found, status: StatusCode) -> Answered {
        if ask.body.len() > AWS_ASYNC_BYTES_MAX {
            let most = show_bytes(AWS_ASYNC_BYTES_MAX as u64);
            let what = format!(
                "{} bytes are too many for an asynchronous call, the limit is {most}",
                ask.body.len()
            );
            return Err(Fault::new(Code::BodyTooLarge, what).into());
        }
        let (mut request, target) = (request(ask, found)?, found.target()?);
        if let Some(terms) = &found.terms {
            request.extensions_mut().insert(Terms(terms.clone()));
        }
        let trace = identity::trace(ask.id, forward::caller_trace(&ask.head.headers));
        let by = Acceptance { code: target.pool.code(), id: ask.id, trace, client: None, callback: None };
        self.control.calls.accept(by, request).await?;
        Ok(nothing(status))
    }
}

/// Why a call of this API is made.
pub(super) fn cause() -> Cause {
    Cause::of(CallCause::Lambda)
}

/// The request of a call, once its payload is known to be JSON.
pub(super) fn request(ask: &Ask, found: &Found) -> Answered<Request<Body>> {
    let payload = match admit::is_blank(&ask.body) {
        true => Bytes::from_static(b"{}"),
        false => ask.body.clone(),
    };
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(&payload) {
        let fault = Fault::new(Code::AwsRequest, format!("Could not parse request body into json: {error}"));
        return Err(Refusal::new(Exception::InvalidRequestContent, fault));
    }
    let raw = RawCall {
        arn: Some(arn(&ask.region, &found.reference.name, found.reference.qualifier.as_deref())),
        client_context: client_context(ask)?,
        tenant: ask.header("x-amz-tenant-id").map(str::to_owned),
        ..RawCall::default()
    };
    let mut request = Request::new(body::full(payload));
    request.extensions_mut().insert(raw);
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(trace) = ask.head.headers.get(forward::TRACEPARENT) {
        request.headers_mut().insert(forward::TRACEPARENT, trace.clone());
    }
    Ok(request)
}

/// What the client says of itself: JSON in base64.
fn client_context(ask: &Ask) -> Answered<Option<String>> {
    let Some(coded) = ask.header("x-amz-client-context").filter(|coded| !coded.is_empty()) else {
        return Ok(None);
    };
    if coded.len() > AWS_CLIENT_CONTEXT_BYTES_MAX {
        let what = format!(
            "the client context has {} bytes, the limit is {AWS_CLIENT_CONTEXT_BYTES_MAX}",
            coded.len()
        );
        return Err(Refusal::value(what));
    }
    let text = base64::decode(coded).and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.filter(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    match text {
        Some(text) => Ok(Some(text)),
        None => {
            let fault =
                Fault::new(Code::AwsRequest, "Client context must be a valid Base64-encoded JSON object.");
            Err(Refusal::new(Exception::InvalidRequestContent, fault))
        }
    }
}

pub(super) fn wants_tail(ask: &Ask) -> Answered<bool> {
    match ask.header("x-amz-log-type") {
        None | Some("None") => Ok(false),
        Some("Tail") => Ok(true),
        Some(other) => Err(Refusal::value(format!("`{other}` is no log type: use `None` or `Tail`"))),
    }
}

/// The call of an answer.
pub(super) fn call_of(headers: &HeaderMap) -> Answered<InvocationId> {
    let id = headers.get(INVOCATION_ID).and_then(|id| id.to_str().ok()).and_then(InvocationId::parse);
    id.ok_or_else(|| Fault::internal("an answer has no invocation").into())
}

/// Whether an answer says that the function failed, or that there is none of it.
pub(super) fn has_failed(reply: &Response<Body>) -> bool {
    reply.extensions().get::<RawReply>().map_or_else(|| reply.status().as_u16() >= 400, |raw| raw.failed)
}

/// Reads an answer as a result.
pub(super) async fn outcome(mut reply: Response<Body>, found: &Found) -> Answered<Outcome> {
    let (call, failed) = (call_of(reply.headers())?, has_failed(&reply));
    if let Some(fault) = reply.extensions_mut().remove::<Fault>() {
        if !is_of_the_function(fault.code()) {
            return Err(fault.known_as(call.to_string()).into());
        }
        return Ok(Outcome { call, payload: failed_answer(&fault, found, call), failed: true });
    }
    let is_raw = reply.extensions().get::<RawReply>().is_some();
    let status = reply.status();
    let payload = match whole(reply.into_body(), AWS_RESPONSE_BYTES_MAX).await {
        Ok(payload) => payload,
        Err(fault) => return Ok(Outcome { call, payload: failed_answer(&fault, found, call), failed: true }),
    };
    let payload = if failed && !is_raw { as_error(payload, status) } else { payload };
    Ok(Outcome { call, payload, failed })
}

/// What Lambda says in a function's place.
pub(super) fn failed_answer(fault: &Fault, found: &Found, call: InvocationId) -> Bytes {
    let timeout = found.revision.spec.functions.get(&found.function).map(|spec| spec.timeout());
    let said = match fault.code() {
        Code::EventTooLarge => json!({
            "errorType": "Function.ResponseSizeTooLarge",
            "errorMessage": format!(
                "Response payload size exceeded maximum allowed payload size ({AWS_RESPONSE_BYTES_MAX} bytes)."
            ),
        }),
        _ => error_payload(fault, call, timeout.unwrap_or_default()),
    };
    said.to_string().into()
}

/// An answer with a status that says failure, as Lambda shows errors: what has the form already stays as it is.
fn as_error(payload: Bytes, status: StatusCode) -> Bytes {
    let value: Option<serde_json::Value> = serde_json::from_slice(&payload).ok();
    if value.is_some_and(|value| value.get("errorMessage").is_some()) {
        return payload;
    }
    let text = String::from_utf8_lossy(&payload);
    let message = if text.trim().is_empty() { status.to_string() } else { text.into_owned() };
    json!({ "errorType": "Function.HttpError", "errorMessage": message, "httpStatus": status.as_u16() })
        .to_string()
        .into()
}

pub(super) fn text(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
