//! Where the record of an asynchronous call's end goes: to a topic, or to a function that is called with it.
//!
//! **How.** The record is written before the call is settled, so that it is not lost in between. A call that came by the
//! Lambda API has the record that Lambda makes, others the one that every delivery has.

use super::Parts;
use super::attempt::record_of;
use crate::bus::Placed;
use crate::bus::dead::Failure;
use crate::calls::{Acceptance, Message};
use crate::clock::now_ms;
use crate::identity;
use crate::live::LiveRevision;
use hob_core::aws::asynchronous::{self, End};
use hob_core::aws::letter::Letter;
use hob_core::aws::name::{self, LATEST};
use hob_core::code::Code;
use hob_core::event::Event;
use hob_core::event::record::Stored;
use hob_core::fault::Result;
use hob_core::name::{FunctionName, TopicName};
use hob_core::port::Durability;
use hob_core::spec::FunctionAddress;
use hob_runtime::body;
use hob_runtime::contract::lambda::{RawCall, request_id};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request};

/// A call that has ended.
pub(super) struct Ended<'a> {
    pub(super) revision: &'a LiveRevision,
    pub(super) function: &'a FunctionName,
    pub(super) placed: &'a Placed,
    pub(super) attempts: u32,
    /// `Success`, `RetriesExhausted` or `EventAgeExceeded`.
    pub(super) condition: &'a str,
    /// What it answered last, whole where that is known.
    pub(super) answer: Option<&'a [u8]>,
    pub(super) failure: &'a Failure,
}

impl Ended<'_> {
    /// Writes the record where the function's settings say.
    pub(super) async fn tell(&self, parts: &Parts) -> Result<()> {
        let Some(spec) = self.revision.spec.functions.get(self.function) else { return Ok(()) };
        let message = Message::of(self.placed);
        let terms = message.as_ref().and_then(Message::terms);
        let (spec, good) = (terms.unwrap_or(&spec.asynchronous), self.condition == "Success");
        if let (Some(topic), Some(message), false) = (&spec.dead_letter, &message, good) {
            self.publish(parts, topic, self.letter(message)).await?;
        }
        let (topic, call) = match good {
            true => (&spec.on_success, &spec.call_on_success),
            false => (&spec.on_failure, &spec.call_on_failure),
        };
        if topic.is_none() && call.is_none() {
            return Ok(());
        }
        let event = self.record()?;
        if let Some(address) = call {
            self.call(parts, address, &event).await?;
        }
        let Some(topic) = topic else { return Ok(()) };
        self.publish(parts, topic, event).await
    }

    async fn publish(&self, parts: &Parts, topic: &TopicName, event: Event) -> Result<()> {
        let stored = Stored { hops: self.placed.stored.hops + 1, ..Stored::new(event) };
        parts.bus.publish(topic, vec![stored], Durability::Disk).await.map(drop)
    }

    /// The id that its caller got.
    fn request_id(&self) -> String {
        let id = self.placed.stored.cause.as_ref().and_then(|cause| cause.invocation);
        id.map(request_id).unwrap_or_default()
    }

    /// The call as Lambda's dead-letter queues get it.
    fn letter(&self, message: &Message) -> Event {
        let letter = Letter {
            source: format!("/apps/{}/functions/{}", self.revision.app, self.function),
            request_id: self.request_id(),
            code: self.failure.code.as_deref().and_then(Code::parse),
            said: self.failure.answer.as_deref().unwrap_or_default(),
            payload: message.body().clone(),
        };
        letter.event()
    }

    fn record(&self) -> Result<Event> {
        let (key, _) = super::Role::calls(&self.revision.app, self.function)?;
        let mut event =
            record_of(&key, self.function, self.placed, self.attempts, self.condition, self.failure);
        let Some(message) = Message::of(self.placed) else { return Ok(event) };
        let Some(raw) = message.raw() else { return Ok(event) };
        let version = message.version().map_or_else(|| LATEST.to_owned(), |number| number.to_string());
        let arn = raw.arn.map(name::qualified).unwrap_or_default();
        let said = self.failure.answer.as_deref().map(str::as_bytes);
        let end = End {
            now_ms: now_ms(),
            request_id: &self.request_id(),
            version: &version,
            arn: &arn,
            condition: self.condition,
            attempts: self.attempts,
            request: message.body(),
            response: self.answer.or(said),
        };
        event.data = Some(asynchronous::record(&end).to_string().into());
        Ok(event)
    }

    /// Calls a function with the record. A function that is gone gets none: making the call again would not help.
    async fn call(&self, parts: &Parts, address: &FunctionAddress, event: &Event) -> Result<()> {
        let target = match parts.dispatcher.current(&address.app, &address.function) {
            Ok(target) => target,
            Err(fault) => {
                tracing::warn!(%fault, function = %self.function, "a destination is gone");
                return Ok(());
            }
        };
        let mut request = Request::new(body::full(event.data.clone().unwrap_or_default()));
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.extensions_mut().insert(RawCall::default());
        let id = identity::invocation();
        let trace = identity::trace(id, self.placed.stored.trace);
        let by = Acceptance { code: target.pool.code(), id, trace, client: None, callback: None };
        let hops = self.placed.stored.hops + 1;
        parts.calls.accept_after(by, hops, request).await.map(drop)
    }
}
