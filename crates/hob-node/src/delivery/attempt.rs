//! One delivery of one event: request, answer, and what follows from it.
//!
//! **How.** The event becomes a `POST` with the event in it (CloudEvents HTTP binding 1.0.2), which is a
//! call like any other. An event in the answer is published before the delivered one is settled, so
//! that it is not lost in between; so is the record of a success.

use super::outcome;
use crate::bus::dead::Failure;
use crate::bus::position::Key;
use crate::bus::{Bus, Placed, tell};
use crate::dispatcher::{self, Cause, Target};
use crate::gateway::forward;
use crate::live::LiveRevision;
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::event::http::{self as binding, Mode};
use hob_core::event::record::{self, Stored};
use hob_core::event::{Event, json};
use hob_core::fact::CallCause;
use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use hob_core::limit::DELIVERY_ANSWER_BYTES_MAX;
use hob_core::name::TopicName;
use hob_core::port::Durability;
use hob_core::subscription::Outcome;
use hob_core::trigger::{DeliveryMode, DeliverySpec};
use hob_runtime::body::{self, Body};
use http::header::{HeaderMap, HeaderName, HeaderValue, TE};
use http::{Method, Request, Response, StatusCode};
use serde_json::json;
use std::sync::Arc;

/// The number of the attempt, from 1.
pub(super) const ATTEMPT: HeaderName = HeaderName::from_static("hob-attempt");
/// The topic that the event comes from.
const TOPIC: HeaderName = HeaderName::from_static("hob-topic");
/// Its number there.
const SEQUENCE: HeaderName = HeaderName::from_static("hob-sequence");
/// The subscription that delivers it.
const SUBSCRIPTION: HeaderName = HeaderName::from_static("hob-subscription");

/// One delivery.
pub(super) struct Attempt<'a> {
    pub(super) bus: &'a Bus,
    /// Who delivers.
    pub(super) key: &'a Key,
    /// How.
    pub(super) spec: &'a DeliverySpec,
    /// By which revision.
    pub(super) revision: Arc<LiveRevision>,
    /// From where.
    pub(super) topic: &'a TopicName,
    /// What.
    pub(super) placed: &'a Placed,
    /// Which attempt, from 1.
    pub(super) number: u32,
    /// Nothing follows from it: what the function answers with is not published.
    pub(super) quiet: bool,
}

/// What became of a delivery.
#[derive(Debug)]
pub(crate) struct Attempted {
    /// What it means for the event.
    pub(crate) outcome: Outcome,
    /// The answer, as far as it is kept.
    pub(crate) failure: Failure,
}

impl Attempted {
    pub(super) fn refused(fault: &Fault, outcome: Outcome) -> Self {
        Self { outcome, failure: Failure::of(fault) }
    }
}

impl Attempt<'_> {
    /// Delivers the event.
    pub(super) async fn make(&self) -> Attempted {
        let function = &self.spec.function;
        let destination = format!("http://{function}.{}.internal{}", self.key.app, self.spec.path);
        let pool = match self.revision.pool(function) {
            Ok(pool) => pool,
            Err(fault) => return Attempted::refused(&fault, Outcome::Rejected),
        };
        let target = Target { revision: Arc::clone(&self.revision), pool: Arc::clone(pool), route: None };
        let place = match self.bus.allowance().begin_in_time().await {
            Ok(place) => place,
            Err(fault) => return Attempted::refused(&fault, outcome::no_place(&fault)),
        };
        let reply = dispatcher::call(target, Cause { place, ..self.cause() }, self.request()).await;
        let (head, answer) = match collect(reply).await {
            Ok(parts) => parts,
            Err(fault) => return Attempted::refused(&fault, Outcome::Retry { after_ms: None }),
        };
        let judged = outcome::judge(
            head.status,
            outcome::code_of(&head.headers),
            outcome::retry_after_ms(&head.headers),
        );
        let failure = outcome::failure(head.status, &head.headers, &answer, destination);
        if judged != Outcome::Done || self.quiet {
            return Attempted { outcome: judged, failure };
        }
        let followed = async {
            self.publish_reply(&head, answer.clone()).await?;
            self.record_success(&head, &answer).await
        };
        match followed.await {
            Ok(()) => Attempted { outcome: judged, failure },
            Err(fault) => self.not_followed(&fault),
        }
    }

    pub(super) fn cause(&self) -> Cause {
        let mut headers = HeaderMap::new();
        let texts = [
            (ATTEMPT, self.number.to_string()),
            (TOPIC, self.topic.to_string()),
            (SEQUENCE, self.placed.sequence.to_string()),
            (SUBSCRIPTION, self.key.to_string()),
        ];
        for (name, text) in texts {
            headers.extend(HeaderValue::try_from(text).ok().map(|value| (name, value)));
        }
        Cause { hops: self.placed.stored.hops + 1, headers, ..Cause::of(self.why()) }
    }

    fn why(&self) -> CallCause {
        let (sequence, attempt, published_ms) = (self.placed.sequence, self.number, self.placed.published_ms);
        let name = self.key.name.clone();
        if self.quiet {
            return CallCause::Replay { topic: self.topic.clone(), sequence };
        }
        if self.topic.is_own() {
            return CallCause::Schedule { schedule: name, sequence, attempt, published_ms };
        }
        let (topic, others) = (self.topic.clone(), Vec::new());
        CallCause::Event { subscription: name, topic, sequence, attempt, published_ms, others }
    }

    pub(super) fn request(&self) -> Request<Body> {
        let stored = &self.placed.stored;
        let mode = match self.spec.mode {
            DeliveryMode::Binary => Mode::Binary,
            DeliveryMode::Structured => Mode::Structured,
        };
        let mut request = Request::new(body::empty());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.spec.path.parse().unwrap_or_default();
        let payload = binding::write(&stored.event, mode, request.headers_mut());
        // The call belongs to the trace in which the event was made.
        let trace = tell::trace(self.topic, self.placed.sequence, stored);
        let headers = request.headers_mut();
        let trace = HeaderValue::try_from(trace.to_string()).ok();
        headers.extend(trace.map(|value| (forward::TRACEPARENT, value)));
        headers.insert(HeaderName::from_static("prefer"), HeaderValue::from_static("reply"));
        headers.remove(TE);
        let host = format!("{}.{}.internal", self.spec.function, self.key.app);
        headers.extend(HeaderValue::try_from(host).ok().map(|host| (http::header::HOST, host)));
        *request.body_mut() = body::full(payload);
        request
    }

    /// Publishes the event that the function answered with (Knative eventing, Broker): into the topic
    /// that the delivered one came from, or the one that the trigger names.
    pub(super) async fn publish_reply(&self, head: &http::response::Parts, answer: Bytes) -> Result<()> {
        let with_event = matches!(head.status, StatusCode::OK | StatusCode::CREATED);
        if self.quiet || !with_event || binding::mode(&head.headers).is_none() {
            return Ok(());
        }
        let events = binding::read(&head.headers, answer)?;
        let topic = self.spec.publish.as_ref().unwrap_or(self.topic);
        if topic.is_own() {
            let what = format!("the answer's event has no topic to go to: `{topic}` is the node's own");
            return Err(Fault::new(Code::TopicReserved, what).hint("name one with `publish`"));
        }
        let stored = events.into_iter().map(|event| self.follows(event, head)).collect();
        self.bus.publish(topic, stored, Durability::Disk).await.map(drop)
    }

    pub(super) async fn record_success(&self, head: &http::response::Parts, answer: &[u8]) -> Result<()> {
        let Some(topic) = self.spec.on_success.as_ref().filter(|_| !self.quiet) else { return Ok(()) };
        let failure = outcome::failure(head.status, &head.headers, answer, String::new());
        let event = record_of(self.key, &self.spec.function, self.placed, self.number, "Success", &failure);
        let stored = self.follows(event, head);
        self.bus.publish(topic, vec![stored], Durability::Disk).await.map(drop)
    }

    /// An event that follows from the delivered one.
    fn follows(&self, event: Event, head: &http::response::Parts) -> Stored {
        let id = head.headers.get(forward::INVOCATION_ID).and_then(|id| id.to_str().ok());
        let cause = record::Cause {
            app: self.key.app.clone(),
            revision: self.revision.number,
            invocation: id.and_then(InvocationId::parse),
        };
        Stored {
            event,
            hops: self.placed.stored.hops + 1,
            cause: Some(cause),
            only: None,
            // A chain of events is one trace, also where the first one named none.
            trace: Some(tell::trace(self.topic, self.placed.sequence, &self.placed.stored)),
        }
    }

    /// The function has done its work, but what follows from it could not be published.
    pub(super) fn not_followed(&self, fault: &Fault) -> Attempted {
        let outcome = match fault.code() {
            // It is dead-lettered itself, and the delivered event is done.
            Code::EventLoop => Outcome::Done,
            Code::EventMalformed | Code::EventTooLarge | Code::TopicReserved => Outcome::Rejected,
            _ => outcome::not_kept(fault),
        };
        tracing::warn!(%fault, subscription = %self.key, "what a function answered with is not published");
        Attempted::refused(fault, outcome)
    }
}

/// Reads an answer, at most as much of it as may be an event.
pub(super) async fn collect(reply: Response<Body>) -> Result<(http::response::Parts, Bytes)> {
    let (head, body) = reply.into_parts();
    let answer = crate::bus::ingress::whole(body, DELIVERY_ANSWER_BYTES_MAX).await;
    match answer {
        Ok(answer) => Ok((head, answer)),
        // Nobody reads a long answer to an event that is none itself.
        Err(fault) if fault.code() == Code::EventTooLarge && binding::mode(&head.headers).is_none() => {
            Ok((head, Bytes::new()))
        }
        Err(fault) => Err(fault),
    }
}

/// The record of a delivery's end, as AWS Lambda's destinations have it (Lambda developer guide,
/// "Asynchronous invocation: destinations"), as an event.
pub(super) fn record_of(
    key: &Key,
    function: &hob_core::name::FunctionName,
    placed: &Placed,
    attempts: u32,
    condition: &str,
    failure: &Failure,
) -> Event {
    let kind = if condition == "Success" { "dev.hob.delivery.succeeded" } else { "dev.hob.delivery.failed" };
    let now = hob_core::event::timestamp(crate::clock::now_ms());
    let answer = failure.answer.as_deref().unwrap_or_default();
    let payload = serde_json::from_str(answer).unwrap_or_else(|_| serde_json::Value::from(answer));
    let request = &placed.stored.event;
    let data = json!({
        "version": "1.0",
        "timestamp": now,
        "requestContext": {
            "requestId": failure.invocation,
            "functionArn": format!("{}/{function}", key.app),
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": json::to_value(request),
        "responseContext": { "statusCode": failure.status, "functionError": failure.code },
        "responsePayload": payload,
    });
    let id = format!("{}-{}-{attempts}", placed.sequence, request.id);
    let mut event = Event::new(id, format!("/apps/{}/subscriptions/{}", key.app, key.name), kind);
    event.time = Some(now);
    event.subject = Some(function.to_string());
    event.datacontenttype = Some("application/json".to_owned());
    event.data = Some(data.to_string().into());
    event
}
