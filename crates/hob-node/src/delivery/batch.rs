//! One call with many events: request, answer, and what follows for each of them.
//!
//! **How.** The events become a CloudEvents batch (HTTP binding 1.0.2, section 3.3), which is a call like any other.
//! Every event shares the outcome, unless the subscription lets the answer name those that failed
//! ([`hob_core::aws::batch`]): then only these have.
//!
//! **Not here:** which events go together ([`hob_core::subscription::Batches`]).

use super::attempt::{Attempt, Attempted, collect};
use super::outcome;
use crate::bus::position::Key;
use crate::bus::{Bus, Placed};
use crate::dispatcher::{self, Cause, Target};
use crate::live::LiveRevision;
use hob_core::aws::batch::item_failures;
use hob_core::event::Event;
use hob_core::event::json;
use hob_core::fact::CallCause;
use hob_core::fault::Fault;
use hob_core::limit::{DELIVERY_BATCH_BYTES_MAX, EVENT_BATCH_BYTES_MAX, EVENT_BATCH_MAX};
use hob_core::name::TopicName;
use hob_core::subscription::{Delivery, Gathering, Outcome};
use hob_core::trigger::{BatchSpec, DeliverySpec};
use hob_runtime::body;
use hob_runtime::contract::lambda::{BatchCall, BatchItem};
use http::header::{CONTENT_TYPE, HeaderValue};
use std::sync::Arc;

/// Says whether the answer may name the events that failed.
const PARTIAL: &str = "hob-batch-partial";
/// Media type of a batch.
const BATCH: HeaderValue = HeaderValue::from_static("application/cloudevents-batch+json; charset=utf-8");

/// Events for one call.
pub(super) struct Batch<'a> {
    pub(super) bus: &'a Bus,
    pub(super) key: &'a Key,
    pub(super) spec: &'a DeliverySpec,
    pub(super) batch: BatchSpec,
    pub(super) revision: Arc<LiveRevision>,
    pub(super) topic: &'a TopicName,
    /// As [`Attempt::quiet`].
    pub(super) quiet: bool,
}

/// An event with its attempt.
pub(super) type Item = (Delivery, Placed);

/// How the events of a subscription are gathered into calls of its function; `None`: each has its own.
pub(super) fn gathering(spec: &DeliverySpec, revision: &LiveRevision) -> Option<Gathering> {
    let batch = spec.batch?;
    let body = revision.spec.functions.get(&spec.function).map_or(u64::MAX, |spec| spec.body_bytes_max);
    // What is not text grows by a third when it is written into the body.
    let bytes = usize::try_from(body / 3 * 2).unwrap_or(usize::MAX).min(DELIVERY_BATCH_BYTES_MAX);
    let events = usize::try_from(batch.events).unwrap_or(usize::MAX).min(EVENT_BATCH_MAX);
    Some(Gathering { events, bytes, window_ms: batch.window_ms, calls: spec.concurrency as usize })
}

impl Batch<'_> {
    /// Makes the call, or two when the events do not fit into the body of one; one outcome for each event, in order.
    pub(super) async fn make(&self, items: &[Item]) -> Vec<Attempted> {
        let function = self.revision.spec.functions.get(&self.spec.function);
        let most = function.map_or(0, |spec| usize::try_from(spec.body_bytes_max).unwrap_or(usize::MAX));
        let (mut parts, mut attempted) = (vec![items], Vec::with_capacity(items.len()));
        while let Some(part) = parts.pop() {
            let events: Vec<Event> = part.iter().map(|(_, placed)| placed.stored.event.clone()).collect();
            let body = json::write_batch(&events);
            if part.len() > 1 && body.len() > most.min(EVENT_BATCH_BYTES_MAX) {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
                continue;
            }
            attempted.extend(self.call(part, body).await);
        }
        attempted
    }

    async fn call(&self, items: &[Item], body: Vec<u8>) -> Vec<Attempted> {
        let all = |fault: &Fault, outcome: Outcome| -> Vec<Attempted> {
            items.iter().map(|_| Attempted::refused(fault, outcome)).collect()
        };
        let function = &self.spec.function;
        let pool = match self.revision.pool(function) {
            Ok(pool) => pool,
            Err(fault) => return all(&fault, Outcome::Rejected),
        };
        // What follows from the call follows from all of its events, so the longest chain counts.
        let Some(lead) = items.iter().max_by_key(|(_, placed)| placed.stored.hops) else { return Vec::new() };
        let lead = self.attempt(lead);
        let Some(first) = items.first().map(|first| self.attempt(first)) else { return Vec::new() };
        let mut request = first.request();
        // Those of an event of its own are in the body now.
        let own: Vec<_> =
            request.headers().keys().filter(|name| name.as_str().starts_with("ce-")).cloned().collect();
        own.into_iter().for_each(|name| drop(request.headers_mut().remove(name)));
        request.headers_mut().insert(CONTENT_TYPE, BATCH);
        request
            .headers_mut()
            .insert(PARTIAL, HeaderValue::from_static(if self.batch.partial { "true" } else { "false" }));
        request.extensions_mut().insert(BatchCall { items: items.iter().map(item).collect() });
        *request.body_mut() = body::full(body);
        let target = Target { revision: Arc::clone(&self.revision), pool: Arc::clone(pool), route: None };
        let place = match self.bus.allowance().begin_in_time().await {
            Ok(place) => place,
            Err(fault) => return all(&fault, outcome::no_place(&fault)),
        };
        let mut cause = Cause { hops: lead.placed.stored.hops + 1, place, ..first.cause() };
        if let CallCause::Event { others, .. } = &mut cause.why {
            others.extend(items.iter().skip(1).map(|(delivery, _)| delivery.sequence));
        }
        let reply = dispatcher::call(target, cause, request).await;
        let (head, answer) = match collect(reply).await {
            Ok(parts) => parts,
            Err(fault) => return all(&fault, Outcome::Retry { after_ms: None }),
        };
        let code = outcome::code_of(&head.headers);
        let judged = outcome::judge(head.status, code, outcome::retry_after_ms(&head.headers));
        let destination = format!("http://{function}.{}.internal{}", self.key.app, self.spec.path);
        let failure = outcome::failure(head.status, &head.headers, &answer, destination);
        if judged != Outcome::Done {
            return items.iter().map(|_| Attempted { outcome: judged, failure: failure.clone() }).collect();
        }
        if let Err(fault) = lead.publish_reply(&head, answer.clone()).await {
            let not_followed = lead.not_followed(&fault);
            let outcome = not_followed.outcome;
            return items
                .iter()
                .map(|_| Attempted { outcome, failure: not_followed.failure.clone() })
                .collect();
        }
        let failed = if self.batch.partial { failed_of(items, &answer) } else { vec![None; items.len()] };
        let mut attempted = Vec::with_capacity(items.len());
        for (item, failed) in items.iter().zip(failed) {
            attempted.push(match failed {
                None => match self.attempt(item).record_success(&head, &answer).await {
                    Ok(()) => Attempted { outcome: Outcome::Done, failure: failure.clone() },
                    Err(fault) => lead.not_followed(&fault),
                },
                Some(why) => {
                    let failure = crate::bus::dead::Failure { answer: Some(why), ..failure.clone() };
                    Attempted { outcome: Outcome::Retry { after_ms: None }, failure }
                }
            });
        }
        attempted
    }

    fn attempt<'a>(&'a self, (delivery, placed): &'a Item) -> Attempt<'a> {
        let Self { bus, key, spec, topic, .. } = self;
        let revision = Arc::clone(&self.revision);
        Attempt { bus, key, spec, revision, topic, placed, number: delivery.attempt, quiet: self.quiet }
    }
}

fn item((delivery, placed): &Item) -> BatchItem {
    BatchItem { sequence: delivery.sequence, attempt: delivery.attempt, published_ms: placed.published_ms }
}

/// Why each event has failed, by an answer that may name some; `None`: it is done.
fn failed_of(items: &[Item], answer: &[u8]) -> Vec<Option<String>> {
    let all = |why: &str| vec![Some(why.to_owned()); items.len()];
    let named = match item_failures(answer) {
        Ok(named) => named,
        Err(why) => return all(why),
    };
    let is = |(delivery, placed): &Item, name: &str| {
        placed.stored.event.id == name || name.parse() == Ok(delivery.sequence)
    };
    if let Some(unknown) = named.iter().find(|name| !items.iter().any(|item| is(item, name))) {
        return all(&format!("`batchItemFailures` names `{unknown}`, which the batch has not"));
    }
    let failed = items.iter().map(|item| {
        named.iter().any(|name| is(item, name)).then(|| "`batchItemFailures` names it".to_owned())
    });
    failed.collect()
}
