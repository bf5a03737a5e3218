//! Requests that bring events: from outside, from functions, and from the control API.
//!
//! **How.** All three read the same three forms (CloudEvents HTTP binding 1.0.2) and get the same answer:
//! `202` with the place of each event and how safe it is. What they bring is held in the space's room ([`crate::room`]).

use super::Bus;
use crate::room::{Held, too_large};
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::event::record::{Cause, Stored};
use hob_core::event::{Event, http as binding};
use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use hob_core::limit::{EVENT_BATCH_BYTES_MAX, INGRESS_BODY_TIMEOUT};
use hob_core::name::TopicName;
use hob_core::port::Durability;
use hob_core::share::door::Client;
use hob_core::trace::TraceContext;
use hob_core::unit::show_duration;
use hob_core::wire::Published;
use hob_runtime::body::{self, Body};
use hob_runtime::outbound::Caller;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

/// The trace of whoever sends events that name none themselves (W3C Trace Context).
const TRACEPARENT: &str = "traceparent";
/// The header of an acknowledgement that says how safe the events are.
pub(crate) const DURABILITY: HeaderName = HeaderName::from_static("hob-durability");

/// A request from outside.
#[derive(Clone, Copy)]
pub(crate) struct Stranger {
    /// Its id.
    pub(crate) id: InvocationId,
    /// Who sends it.
    pub(crate) client: Client,
}

impl Bus {
    /// Publishes the events of a request; `caller` is the function that sent it, if one did, and `by` the
    /// request, if it came from outside.
    ///
    /// # Errors
    /// `HOB-0805` for one of the node's own topics, `HOB-0801` and `HOB-0802` for what is no event or
    /// too large, `HOB-0713` for too many in a second, and those of [`Bus::collect`] and [`Bus::publish`].
    pub(crate) async fn take(
        &self,
        topic: &TopicName,
        request: Request<Body>,
        caller: Option<&Caller>,
        durability: Durability,
        by: Option<Stranger>,
    ) -> Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let (client, by) = (by.map(|by| by.client), by.map(|by| by.id));
        let read = self.read_events(topic, &head.headers, body, client).await;
        let (events, _room) = read.inspect_err(|fault| {
            let by = by.or_else(|| caller?.context.as_ref().map(|context| context.id));
            self.tell_unread(topic, &head.headers, by, fault);
        })?;
        // What comes by an event route was counted as a request.
        if by.is_none() {
            self.allowance.take(events.len() as u64)?;
        }
        let trace = head.headers.get(TRACEPARENT).and_then(|value| TraceContext::parse(value.to_str().ok()?));
        let stored = events.into_iter().map(|event| match caller {
            Some(caller) => caused(event, caller),
            None => Stored { trace, ..Stored::new(event) },
        });
        let published = self.publish_by(topic, stored.collect(), durability, by).await?;
        acknowledge(&published, durability)
    }

    /// The events of a request.
    async fn read_events(
        &self,
        topic: &TopicName,
        headers: &HeaderMap,
        body: Body,
        client: Option<Client>,
    ) -> Result<(Vec<Event>, Held<'_>)> {
        if topic.is_own() {
            return Err(Fault::new(Code::TopicReserved, format!("topic `{topic}` is the node's own"))
                .hint("choose a name that does not begin with `hob.`"));
        }
        let (body, room) = self.collect(body, EVENT_BATCH_BYTES_MAX, client).await?;
        Ok((binding::read(headers, body)?, room))
    }

    /// The bytes of a request's body that may have so many, and their room; `client` is the stranger who sends it, if one
    /// does.
    ///
    /// # Errors
    /// Those of [`Room::collect`](crate::room::Room::collect), and `HOB-0407` for a body that takes too long.
    pub(crate) async fn collect(
        &self,
        body: Body,
        most: usize,
        client: Option<Client>,
    ) -> Result<(Bytes, Held<'_>)> {
        timeout(INGRESS_BODY_TIMEOUT, self.room.collect(body, most, client)).await.map_err(|_| late())?
    }

    /// Answers a request to an event route: the events it brings, or a web hook's handshake.
    ///
    /// # Errors
    /// As [`Bus::take`].
    pub(crate) async fn take_from_outside(
        &self,
        topic: &TopicName,
        origins: &[String],
        request: Request<Body>,
        by: Stranger,
    ) -> Result<Response<Body>> {
        if *request.method() != Method::OPTIONS {
            return self.take(topic, request, None, Durability::Disk, Some(by)).await;
        }
        let mut response = Response::new(body::empty());
        let consent = binding::handshake(request.headers(), origins);
        *response.status_mut() = if consent.is_some() { StatusCode::OK } else { StatusCode::NO_CONTENT };
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, OPTIONS"));
        response.headers_mut().extend(consent.into_iter().flatten());
        Ok(response)
    }
}

/// An event that a function publishes: what it says of its cause is the node's to say.
pub(crate) fn caused(event: Event, caller: &Caller) -> Stored {
    let cause = Cause {
        app: caller.code.app.clone(),
        revision: caller.code.revision,
        invocation: caller.context.as_ref().map(|context| context.id),
    };
    let trace = caller.context.as_ref().map(|context| context.trace);
    Stored { event, hops: caller.hops, cause: Some(cause), only: None, trace }
}

/// The bytes of a body that may have so many.
///
/// # Errors
/// `HOB-0802` when it has more, and the body's own faults.
pub(crate) async fn whole(body: Body, most: usize) -> Result<Bytes> {
    let collected = Limited::new(body, most).collect().await;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            return too_large(most);
        }
        match error.downcast::<Fault>() {
            Ok(fault) => *fault,
            Err(other) => Fault::new(Code::RequestMalformed, "the body ended early").detail(other),
        }
    })
}

fn late() -> Fault {
    let what = format!("the request's body did not arrive within {}", show_duration(INGRESS_BODY_TIMEOUT));
    Fault::new(Code::RequestTimeout, what).hint("send less at once")
}

fn acknowledge(published: &[Published], durability: Durability) -> Result<Response<Body>> {
    let text = serde_json::to_vec(published).map_err(Fault::internal)?;
    let mut response = Response::new(body::full(text));
    *response.status_mut() = StatusCode::ACCEPTED;
    let level = match durability {
        Durability::Disk => "disk",
        Durability::Memory => "memory",
    };
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(DURABILITY, HeaderValue::from_static(level));
    Ok(response)
}
