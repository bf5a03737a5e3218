//! An asynchronous call is made, and its result is kept and sent.
//!
//! **How.** What the function answers is the result, whatever its status below 500: the caller asked for it.
//! Statuses that promise success later, and failures of the function or the node, are tried again; when
//! that has an end, the last answer is the result, and the call has failed.

use super::Parts;
use super::attempt::{ATTEMPT, Attempted, collect};
use super::{destination, outcome};
use crate::bus::Placed;
use crate::bus::dead::{Failure, Letter};
use crate::bus::position::Key;
use crate::calls::{CALL_ID, Ended, Message, calls_topic};
use crate::clock::now_ms;
use crate::dispatcher::{self, Cause, Target};
use crate::gateway::forward;
use crate::live::LiveRevision;
use bytes::Bytes;
use hob_core::aws::asynchronous::pause_ms;
use hob_core::code::Code;
use hob_core::fact::CallCause;
use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use hob_core::name::FunctionName;
use hob_core::subscription::Outcome;
use hob_core::trigger::RetrySpec;
use hob_core::unit::show_duration;
use hob_runtime::body::Body;
use hob_runtime::contract::lambda::{RawCall, RawReply, error_payload};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// Makes the call within its limits; when it has ended, its result is kept.
pub(super) async fn make(
    parts: &Parts,
    revision: &Arc<LiveRevision>,
    function: &FunctionName,
    placed: &Placed,
    number: u32,
) -> Attempted {
    let Some(message) = Message::of(placed) else {
        return Attempted::refused(&Fault::internal("a stored call cannot be read"), Outcome::Rejected);
    };
    let of_function = revision.spec.functions.get(function).map(|spec| &spec.asynchronous);
    let Some(RetrySpec { attempts, age_ms, .. }) = message.terms().or(of_function).map(|spec| spec.retry)
    else {
        return try_it(parts, revision, function, (placed, &message), number).await;
    };
    let old_ms = now_ms().saturating_sub(placed.published_ms);
    if let Some(age_ms) = age_ms.filter(|age_ms| old_ms > *age_ms) {
        let what = format!("the call is {} old, and may be {}", show_ms(old_ms), show_ms(age_ms));
        return Attempted::refused(&Fault::new(Code::CallExpired, what), Outcome::TooOld);
    }
    let attempted = try_it(parts, revision, function, (placed, &message), number).await;
    match attempted.outcome {
        Outcome::Retry { after_ms } => {
            Attempted { outcome: Outcome::Within { after_ms, attempts, age_ms }, ..attempted }
        }
        _ => attempted,
    }
}

fn show_ms(ms: u64) -> String {
    show_duration(Duration::from_millis(ms))
}

async fn try_it(
    parts: &Parts,
    revision: &Arc<LiveRevision>,
    function: &FunctionName,
    (placed, message): (&Placed, &Message),
    number: u32,
) -> Attempted {
    let raw = message.raw();
    let pool = match revision.numbered(function, raw.as_ref().and_then(|raw| raw.version)) {
        Ok(pool) => pool,
        Err(fault) => return Attempted::refused(&fault, Outcome::Rejected),
    };
    let mut request = message.to_request();
    if let Some(raw) = request.extensions_mut().get_mut::<RawCall>() {
        raw.id = placed.stored.cause.as_ref().and_then(|cause| cause.invocation);
    }
    let trace = placed.stored.trace.and_then(|trace| HeaderValue::try_from(trace.to_string()).ok());
    request.headers_mut().extend(trace.map(|trace| (forward::TRACEPARENT, trace)));
    let mut headers = HeaderMap::from_iter([(ATTEMPT, HeaderValue::from(number))]);
    headers.extend(HeaderValue::try_from(id_of(revision, placed)).ok().map(|id| (CALL_ID, id)));
    let target = Target { revision: Arc::clone(revision), pool: Arc::clone(pool), route: None };
    let why = CallCause::Asynchronous {
        call: id_of(revision, placed),
        sequence: placed.sequence,
        attempt: number,
        published_ms: placed.published_ms,
    };
    let place = match parts.bus.allowance().begin_in_time().await {
        Ok(place) => place,
        Err(fault) => return Attempted::refused(&fault, outcome::no_place(&fault)),
    };
    let cause = Cause { hops: placed.stored.hops, headers, place, ..Cause::of(why) };
    let destination = format!("http://{function}.{}.internal{}", revision.app, request.uri());
    let timeout = pool.code().spec.timeout();
    let reply = dispatcher::call(target, cause, request).await;
    let raw = raw.map(|_| Lambda::of(&reply, timeout));
    let (head, answer) = match collect(reply).await {
        Ok(parts) => parts,
        Err(fault) => return Attempted::refused(&fault, Outcome::Retry { after_ms: None }),
    };
    let code = outcome::code_of(&head.headers);
    let judged = match outcome::judge(head.status, code, outcome::retry_after_ms(&head.headers)) {
        judged if raw.is_some() => raw.as_ref().map_or(judged, |raw| raw.judge(judged, code, number)),
        Outcome::Rejected if code.is_none() => Outcome::Done,
        Outcome::Retry { .. } if code.is_none() && is_an_answer(head.status) => Outcome::Done,
        judged => judged,
    };
    let mut failure = outcome::failure(head.status, &head.headers, &answer, destination);
    if let Some(said) = raw.and_then(|raw| raw.said) {
        failure.answer = Some(said);
    }
    if judged != Outcome::Done {
        return Attempted { outcome: judged, failure };
    }
    let ended = Ended { failed: false, attempts: number, code: None, cut: false };
    let kept = async {
        let result = Message::answer(head.status, &head.headers, answer.clone(), ended);
        keep(parts, revision, function, placed, result, message.callback()).await?;
        let (condition, answer, failure) = ("Success", Some(&*answer), &failure);
        destination::Ended { revision, function, placed, attempts: number, condition, answer, failure }
            .tell(parts)
            .await
    };
    match kept.await {
        Ok(()) => Attempted { outcome: Outcome::Done, failure },
        Err(fault) => Attempted::refused(&fault, outcome::not_kept(&fault)),
    }
}

/// A status that says what the function thinks of the request, not that it should come again.
fn is_an_answer(status: StatusCode) -> bool {
    matches!(status.as_u16(), 404 | 409)
}

/// The id by which its caller knows a call.
fn id_of(revision: &LiveRevision, placed: &Placed) -> String {
    format!("{}.{}.{}", revision.app, placed.sequence, placed.stored.event.id)
}

/// Ends a call that is given up: its result says why, and the call is a dead letter.
pub(super) async fn give_up(
    parts: &Parts,
    revision: Option<&LiveRevision>,
    function: &FunctionName,
    placed: &Placed,
    letter: &Letter,
) -> Result<()> {
    let Some(Key { app, .. }) = &letter.subscription else { return Ok(()) };
    parts.bus.bury(&calls_topic(app).dead(), &placed.stored, letter).await?;
    let Some(revision) = revision else { return Ok(()) };
    let failure = &letter.failure;
    let ended = Ended { failed: true, attempts: letter.attempts, code: failure.code.clone(), cut: false };
    let status = failure.status.and_then(|status| StatusCode::from_u16(status).ok());
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, text)]);
    let answer = Bytes::from(failure.answer.clone().unwrap_or_default());
    let result = Message::answer(status.unwrap_or(StatusCode::GATEWAY_TIMEOUT), &headers, answer, ended);
    let message = Message::of(placed);
    keep(parts, revision, function, placed, result, message.as_ref().and_then(Message::callback)).await?;
    let condition = match letter.reason {
        "age" | "expired" => "EventAgeExceeded",
        _ => "RetriesExhausted",
    };
    let attempts = letter.attempts;
    destination::Ended { revision, function, placed, attempts, condition, answer: None, failure }
        .tell(parts)
        .await
}

async fn keep(
    parts: &Parts,
    revision: &LiveRevision,
    function: &FunctionName,
    placed: &Placed,
    result: Message,
    callback: Option<&str>,
) -> Result<()> {
    // Whoever brings the result has to name the call by the id that its caller knows.
    let result =
        result.with_callback(callback.map(str::to_owned)).with_call(id_of(revision, placed), function);
    parts.calls.end(&revision.app, placed, &result).await
}

/// How a call ended that came by the Lambda API: what its function says of a failure counts, not a status.
struct Lambda {
    failed: bool,
    /// What Lambda would say in the function's place.
    said: Option<String>,
}

impl Lambda {
    fn of(reply: &Response<Body>, timeout: Duration) -> Self {
        let status = reply.status().as_u16();
        let failed = reply.extensions().get::<RawReply>().map_or(status >= 400, |raw| raw.failed);
        let id =
            reply.headers().get(forward::INVOCATION_ID).and_then(|id| InvocationId::parse(id.to_str().ok()?));
        let fault = reply.extensions().get::<Fault>().zip(id);
        Self { failed, said: fault.map(|(fault, id)| error_payload(fault, id, timeout).to_string()) }
    }

    fn judge(&self, judged: Outcome, code: Option<Code>, attempt: u32) -> Outcome {
        match judged {
            Outcome::Overloaded { .. } => judged,
            Outcome::Rejected if code.is_some() => judged,
            _ if self.failed => Outcome::Retry { after_ms: Some(pause_ms(attempt)) },
            _ => Outcome::Done,
        }
    }
}

/// Sends a result to the address that the caller named, as far as the function may reach it.
pub(super) async fn call_back(parts: &Parts, revision: &Arc<LiveRevision>, placed: &Placed) -> Attempted {
    let message = Message::of(placed);
    let Some((message, url)) = message.and_then(|message| {
        let url = message.callback()?.to_owned();
        Some((message, url))
    }) else {
        return Attempted::refused(&Fault::internal("a stored result cannot be read"), Outcome::Gone);
    };
    // The caller chose the address, so the called function's own limits hold for it.
    let function = message.function().and_then(|function| revision.functions.get(function));
    let any = || revision.functions.keys().next().and_then(|name| revision.functions.get(name));
    let Some(pool) = function.or_else(any) else {
        let fault = Fault::new(Code::FunctionNotFound, format!("app `{}` has no function", revision.app));
        return Attempted::refused(&fault, Outcome::Rejected);
    };
    let request = match message.to_callback(&url) {
        Ok(request) => request,
        Err(fault) => return Attempted::refused(&fault, Outcome::Rejected),
    };
    let sent = tokio::time::timeout(
        pool.code().spec.timeout(),
        parts.dispatcher.external().call(pool.code(), request),
    );
    let reply = match sent.await {
        Ok(Ok(reply)) => reply,
        Ok(Err(fault)) => {
            let denied = fault.code() == Code::EgressDenied;
            let outcome = if denied { Outcome::Rejected } else { Outcome::Retry { after_ms: None } };
            return Attempted { outcome, failure: Failure::in_full(&fault) };
        }
        Err(_) => {
            let fault = Fault::new(Code::DependencyFailed, format!("`{url}` did not answer in time"));
            return Attempted::refused(&fault, Outcome::Retry { after_ms: None });
        }
    };
    let judged = outcome::judge(reply.status(), None, outcome::retry_after_ms(reply.headers()));
    let failure = outcome::failure(reply.status(), reply.headers(), &[], url);
    Attempted { outcome: judged, failure }
}
