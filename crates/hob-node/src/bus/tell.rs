//! Publications as facts: what was refused or came twice, and of the rest what the budget allows.

use super::Bus;
use crate::clock::now_ms;
use crate::telemetry::{Budget, Telemetry};
use hob_core::event::Event;
use hob_core::event::record::Stored;
use hob_core::fact::{Failure, Publication, What};
use hob_core::fault::Fault;
use hob_core::id::InvocationId;
use hob_core::name::TopicName;
use hob_core::random::mix;
use hob_core::trace::{TraceContext, TraceId};
use hob_core::wire::Published;
use http::HeaderMap;

/// What is told of events that are being published. It is made before, since publishing takes them.
pub(super) struct Teller<'a> {
    telemetry: &'a Telemetry,
    drafts: Vec<(Option<TraceContext>, Publication)>,
    /// The events were too many for the budget: only what is wrong with them is told.
    events: usize,
}

impl<'a> Teller<'a> {
    pub(super) fn new(
        telemetry: &'a Telemetry,
        budget: &Budget,
        topic: &TopicName,
        events: &[Stored],
        by: Option<InvocationId>,
    ) -> Self {
        let now_ms = now_ms();
        // Runs of schedules and results of calls have facts of their own.
        let own = topic.is_own() && !topic.as_str().starts_with("hob.calls.");
        let tells = !own && telemetry.is_on();
        let told = events.iter().take_while(|_| tells && budget.spend(now_ms));
        let drafts = told.map(|stored| (own_trace(stored), draft(topic, stored, by))).collect();
        Self { telemetry, drafts, events: events.len() }
    }

    /// Tells what became of them.
    pub(super) fn tell(self, topic: &TopicName, published: &Result<Vec<Published>, Fault>) {
        match published {
            Ok(places) => {
                for ((trace, draft), place) in self.drafts.into_iter().zip(places) {
                    let told = Publication { sequence: place.sequence, duplicate: place.duplicate, ..draft };
                    let trace =
                        trace.unwrap_or_else(|| made_up(topic, told.sequence, &told.source, &told.id));
                    self.telemetry.now(Some(TraceId(trace.trace_id)), What::Published(Box::new(told)));
                }
            }
            Err(fault) => {
                tracing::debug!(%fault, %topic, events = self.events, "events are not published");
                // All or none were accepted, for the same reason: the first ones stand for all.
                for (trace, draft) in self.drafts.into_iter().take(REFUSED_TOLD_MAX) {
                    let told = Publication { failure: Some(Failure::from(fault)), ..draft };
                    let trace = trace.map(|trace| TraceId(trace.trace_id));
                    self.telemetry.now(trace, What::Published(Box::new(told)));
                }
            }
        }
    }
}

impl Bus {
    /// Tells of a request that was to bring events and whose events could not be read; what its headers say of them
    /// is all that is known.
    pub(super) fn tell_unread(
        &self,
        topic: &TopicName,
        headers: &HeaderMap,
        by: Option<InvocationId>,
        fault: &Fault,
    ) {
        if !self.told.spend(now_ms()) {
            return;
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let attribute = |name: &str| text(name).unwrap_or_default().to_owned();
        let trace = text("traceparent").and_then(TraceContext::parse);
        let told = Publication {
            topic: topic.clone(),
            sequence: 0,
            id: attribute("ce-id"),
            source: attribute("ce-source"),
            kind: attribute("ce-type"),
            duplicate: false,
            failure: Some(Failure::from(fault)),
            by,
        };
        self.telemetry.now(trace.map(|trace| TraceId(trace.trace_id)), What::Published(Box::new(told)));
    }

    /// Tells that a dead letter is published once more.
    pub(super) fn tell_redriven(&self, topic: &TopicName, sequence: u64, stored: &Stored) {
        let told = Publication { sequence, ..draft(topic, stored, None) };
        let trace = trace(topic, sequence, stored);
        self.telemetry.now(Some(TraceId(trace.trace_id)), What::Published(Box::new(told)));
    }
}

/// Events of one refused batch that are told.
const REFUSED_TOLD_MAX: usize = 10;

fn draft(topic: &TopicName, stored: &Stored, by: Option<InvocationId>) -> Publication {
    Publication {
        topic: topic.clone(),
        sequence: 0,
        id: stored.event.id.clone(),
        source: stored.event.source.clone(),
        kind: stored.event.kind.clone(),
        duplicate: false,
        failure: None,
        by: by.or_else(|| stored.cause.as_ref().and_then(|cause| cause.invocation)),
    }
}

/// The trace of an event: its own, else that in which it was published, else one that its place makes up, so that
/// all attempts to deliver it are in one.
pub(crate) fn trace(topic: &TopicName, sequence: u64, stored: &Stored) -> TraceContext {
    let Event { source, id, .. } = &stored.event;
    own_trace(stored).unwrap_or_else(|| made_up(topic, sequence, source, id))
}

fn own_trace(stored: &Stored) -> Option<TraceContext> {
    let own = stored.event.text("traceparent").and_then(|text| TraceContext::parse(&text));
    own.or(stored.trace)
}

fn made_up(topic: &TopicName, sequence: u64, source: &str, id: &str) -> TraceContext {
    let hash = |seed: u64| {
        let bytes = [topic.as_str(), source, id].into_iter().flat_map(str::bytes);
        bytes.fold(mix(seed ^ sequence), |sum, byte| mix(sum ^ u64::from(byte)))
    };
    let (high, low) = (hash(1), hash(2).max(1));
    TraceContext { trace_id: (u128::from(high) << 64) | u128::from(low), span_id: low, flags: 1 }
}
