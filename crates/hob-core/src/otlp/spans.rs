//! The spans that a fact is (OpenTelemetry semantic conventions: HTTP, messaging, FaaS, CloudEvents).
//!
//! **How.** A call is one span, with a child for each part of it that was not the function's: waiting for an
//! instance, starting one, calls to the world outside. The time that an event lies in its topic is a span
//! of its own, which all attempts to deliver it are part of; each attempt has a link to the one before. Ids
//! of spans that have none in Hob are derived from what they are about, so that they are the same for
//! whoever derives them.
//!
//! **Invariants.** What is remembered between facts has a bound; without it only a link is missing.

use super::{Attributes, Kind, Span, Value, resource};
use crate::fact::{self, Call, CallCause, Fact, Failure, Outside, Publication, Refused, What};
use crate::limit::OTLP_ATTEMPTS_MAX;
use crate::name::TopicName;
use crate::trace::{SpanId, TraceId};
use std::collections::{HashMap, VecDeque};

/// A shorter wait for an instance is how a warm one is found, and no span.
const QUEUE_TOLD_US: u64 = 1000;
const NANOS_PER_US: u64 = 1000;
const NANOS_PER_MS: u64 = 1_000_000;

/// Makes spans of facts, in the order in which they are told.
#[derive(Debug, Default)]
pub struct Spans {
    /// The last attempt of what is tried again.
    attempts: HashMap<String, (TraceId, SpanId, u32)>,
    /// The same, oldest first.
    order: VecDeque<String>,
}

impl Spans {
    /// The spans that a fact is, each with who tells it. None for facts that are events.
    pub fn of(&mut self, fact: &Fact) -> Vec<(Attributes, Span)> {
        match &fact.what {
            What::Call(call) => self.call(fact, call),
            What::Refused(refused) => vec![(resource::node(), of_refused(fact, refused))],
            What::Published(event) => {
                published(fact, event).map(|span| (resource::node(), span)).into_iter().collect()
            }
            What::Span(span) => of_guest(fact, span)
                .map(|of| (resource::any_revision(&span.app, &span.function), of))
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }

    fn call(&mut self, fact: &Fact, call: &Call) -> Vec<(Attributes, Span)> {
        let Some(trace) = fact.trace else { return Vec::new() };
        let waited = waited(fact, trace, call);
        let mut own = Span {
            parent: waited.as_ref().map(|waited| waited.span).or(call.parent),
            name: name(call),
            kind: kind(&call.cause),
            attributes: attributes(call),
            links: self.earlier(trace, call).into_iter().collect(),
            failed: failed(call),
            ..empty(trace, call.span(), fact.time_ms * NANOS_PER_MS, call.times.total_us)
        };
        if let Some(failure) = &call.failure {
            own.events.push(("exception".to_owned(), own.end_ns, exception(failure)));
        }
        let who = resource::function(&call.app, &call.function, call.revision);
        let mut all = vec![(who.clone(), own)];
        // All attempts are part of it, so one of them tells it.
        let first = attempt(&call.cause).is_some_and(|(_, number, _)| number == 1);
        all.extend(waited.filter(|_| first).map(|span| (resource::node(), span)));
        all.extend(phases(&all[0].1, call).into_iter().map(|span| (resource::node(), span)));
        let outside = call.outside.iter().zip(0..);
        let outside: Vec<_> =
            outside.map(|(call, number)| (who.clone(), of_outside(&all[0].1, call, number))).collect();
        all.extend(outside);
        all
    }

    /// The attempt before, and remembers this one if another may follow.
    fn earlier(&mut self, trace: TraceId, call: &Call) -> Option<(TraceId, SpanId, Attributes)> {
        let (what, number, _) = attempt(&call.cause)?;
        let key = format!("{}/{what}", call.app);
        let earlier = self.attempts.remove(&key);
        if earlier.is_some() {
            self.order.retain(|known| *known != key);
        }
        let done = call.failure.is_none() && call.status.is_some_and(|status| status < 300);
        if !done {
            if self.order.len() >= OTLP_ATTEMPTS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.attempts.remove(&oldest);
            }
            self.order.push_back(key.clone());
            self.attempts.insert(key, (trace, call.span(), number));
        }
        let (trace, span, before) = earlier.filter(|(_, _, before)| *before < number)?;
        Some((trace, span, vec![("hob.attempt".into(), before.into()), ("hob.link".into(), "retry".into())]))
    }
}

/// A span of a guest, as a fact that its function `app`/`function` tells. Its kind, and where it came from in the
/// program, are attributes of it.
pub fn told(
    span: &Span,
    scope: &str,
    app: &crate::name::AppName,
    function: &crate::name::FunctionName,
) -> Fact {
    use crate::limit::{LOG_FIELD_BYTES_MAX, LOG_FIELD_NAME_BYTES_MAX};
    use crate::log_line::short;
    let mut attributes = super::fields(&span.attributes);
    attributes.insert(KIND.to_owned(), span.kind.word().to_owned());
    if !scope.is_empty() {
        attributes.insert(SCOPE.to_owned(), short(scope, LOG_FIELD_NAME_BYTES_MAX));
    }
    // What a program says of an exception is an event of its span; one is worth keeping.
    let exception =
        span.events.iter().rev().find(|(name, ..)| name == "exception").map(|(_, _, of)| super::fields(of));
    let exception = exception.unwrap_or_default();
    for (name, value) in exception.iter().filter(|(name, _)| name.starts_with("exception.")) {
        attributes.entry(name.clone()).or_insert_with(|| value.clone());
    }
    let failed = span.failed.as_ref().map(|text| match exception.get("exception.message") {
        Some(message) if text.is_empty() => message.clone(),
        _ => short(text, LOG_FIELD_BYTES_MAX),
    });
    let took_us = span.end_ns.saturating_sub(span.start_ns) / NANOS_PER_US;
    Fact {
        time_ms: span.start_ns / NANOS_PER_MS,
        trace: Some(span.trace),
        what: What::Span(Box::new(fact::Span {
            app: app.clone(),
            function: function.clone(),
            span: span.span,
            parent: span.parent,
            name: short(&span.name, LOG_FIELD_BYTES_MAX),
            start_us: span.start_ns / NANOS_PER_US,
            took_us,
            failed,
            attributes,
        })),
    }
}

const KIND: &str = "span.kind";
const SCOPE: &str = "otel.scope.name";

fn of_guest(fact: &Fact, span: &fact::Span) -> Option<Span> {
    let kind = span.attributes.get(KIND).and_then(|word| Kind::of_word(word)).unwrap_or_default();
    let kept = span.attributes.iter().filter(|(name, _)| *name != KIND);
    Some(Span {
        parent: span.parent,
        name: span.name.clone(),
        kind,
        attributes: kept.map(|(name, value)| (name.clone().into(), value.as_str().into())).collect(),
        failed: span.failed.clone(),
        ..empty(fact.trace?, span.span, span.start_us.saturating_mul(NANOS_PER_US), span.took_us)
    })
}

/// A span that says nothing but its times.
fn empty(trace: TraceId, span: SpanId, start_ns: u64, took_us: u64) -> Span {
    let end_ns = start_ns.saturating_add(took_us.saturating_mul(NANOS_PER_US));
    Span { trace, span, start_ns, end_ns, ..super::json::empty_span() }
}

fn kind(cause: &CallCause) -> Kind {
    match cause {
        CallCause::Request | CallCause::Control | CallCause::Lambda | CallCause::Function { .. } => {
            Kind::Server
        }
        CallCause::Event { .. } | CallCause::Asynchronous { .. } | CallCause::Replay { .. } => Kind::Consumer,
        CallCause::Schedule { .. } => Kind::Internal,
    }
}

/// Few different names, as the conventions ask: routes, not paths.
fn name(call: &Call) -> String {
    match &call.cause {
        CallCause::Event { topic, .. } | CallCause::Replay { topic, .. } => format!("process {topic}"),
        CallCause::Schedule { schedule, .. } => format!("run {schedule}"),
        CallCause::Asynchronous { .. } => format!("process call of {}", call.function),
        CallCause::Request | CallCause::Control | CallCause::Lambda | CallCause::Function { .. } => {
            match &call.route {
                Some(route) => format!("{} {route}", call.method),
                None => format!("{} {}", call.method, call.function),
            }
        }
    }
}

fn attributes(call: &Call) -> Attributes {
    let trigger = match &call.cause {
        CallCause::Request | CallCause::Function { .. } | CallCause::Asynchronous { .. } => "http",
        CallCause::Event { .. } | CallCause::Replay { .. } => "pubsub",
        CallCause::Schedule { .. } => "timer",
        CallCause::Control | CallCause::Lambda => "other",
    };
    let mut all: Attributes = vec![
        ("faas.trigger".into(), trigger.into()),
        ("faas.invocation_id".into(), call.id.to_string().into()),
        ("faas.coldstart".into(), call.cold.into()),
        ("http.request.method".into(), call.method.as_str().into()),
        ("url.path".into(), call.path.as_str().into()),
        ("hob.app".into(), call.app.to_string().into()),
        ("hob.function".into(), call.function.to_string().into()),
        ("hob.revision".into(), call.revision.0.into()),
        ("hob.cause".into(), call.cause.word().into()),
    ];
    let mut add =
        |name: &'static str, value: Option<Value>| all.extend(value.map(|value| (name.into(), value)));
    add("faas.instance", call.instance.map(|instance| instance.to_string().into()));
    add("server.address", call.host.as_deref().map(Value::from));
    add("http.route", call.route.as_deref().map(Value::from));
    add("http.response.status_code", call.status.map(Value::from));
    add("http.request.body.size", (call.used.bytes_in > 0).then(|| call.used.bytes_in.into()));
    add("http.response.body.size", (call.used.bytes_out > 0).then(|| call.used.bytes_out.into()));
    add("hob.cpu_us", call.used.cpu_us.map(Value::from));
    add("error.type", error_type(call));
    if let Some(failure) = &call.failure {
        add(
            "hob.owner",
            serde_json::to_value(failure.owner).ok().and_then(|owner| owner.as_str().map(Value::from)),
        );
        add("hob.hint", failure.hint.as_deref().map(Value::from));
    }
    all.extend(of_cause(&call.cause));
    all
}

/// Hob's own code, or the status, or that the caller has gone.
fn error_type(call: &Call) -> Option<Value> {
    if let Some(failure) = &call.failure {
        return Some(failure.code.as_str().into());
    }
    match call.status {
        Some(status) => (status >= 500).then(|| status.to_string().into()),
        None => Some("caller_gone".into()),
    }
}

fn failed(call: &Call) -> Option<String> {
    match (&call.failure, call.status) {
        (Some(failure), _) => Some(failure.message.clone()),
        (None, Some(status)) if status >= 500 => Some(format!("the function answered {status}")),
        (None, Some(_)) => None,
        (None, None) => Some("the caller went before there was an answer".to_owned()),
    }
}

fn exception(failure: &Failure) -> Attributes {
    let mut all: Attributes = vec![
        ("exception.type".into(), failure.code.as_str().into()),
        ("exception.message".into(), failure.message.as_str().into()),
    ];
    all.extend(failure.detail.as_deref().map(|detail| ("exception.stacktrace".into(), detail.into())));
    all
}

fn of_cause(cause: &CallCause) -> Attributes {
    let text = |text: &dyn std::fmt::Display| Value::from(text.to_string());
    let message = |topic: &TopicName, sequence: u64| -> Attributes {
        vec![
            ("messaging.system".into(), "hob".into()),
            ("messaging.operation.type".into(), "process".into()),
            ("messaging.operation.name".into(), "process".into()),
            ("messaging.destination.name".into(), text(topic)),
            ("messaging.message.id".into(), text(&sequence)),
        ]
    };
    match cause {
        CallCause::Request | CallCause::Control | CallCause::Lambda => Vec::new(),
        CallCause::Function { app, function, .. } => {
            vec![("hob.caller".into(), format!("{app}/{function}").into())]
        }
        CallCause::Event { subscription, topic, sequence, attempt, .. } => {
            let mut all = message(topic, *sequence);
            all.push(("messaging.consumer.group.name".into(), text(subscription)));
            all.push(("hob.attempt".into(), (*attempt).into()));
            all
        }
        CallCause::Schedule { schedule, attempt, .. } => {
            vec![("hob.schedule".into(), text(schedule)), ("hob.attempt".into(), (*attempt).into())]
        }
        CallCause::Asynchronous { call, attempt, .. } => {
            vec![("hob.call".into(), text(call)), ("hob.attempt".into(), (*attempt).into())]
        }
        CallCause::Replay { topic, sequence } => message(topic, *sequence),
    }
}

/// What is tried, the number of the attempt, and when it was published.
fn attempt(cause: &CallCause) -> Option<(String, u32, u64)> {
    match cause {
        CallCause::Event { subscription, topic, sequence, attempt, published_ms, .. } => {
            Some((format!("event/{subscription}/{topic}/{sequence}"), *attempt, *published_ms))
        }
        CallCause::Schedule { schedule, sequence, attempt, published_ms } => {
            Some((format!("schedule/{schedule}/{sequence}"), *attempt, *published_ms))
        }
        CallCause::Asynchronous { call, sequence, attempt, published_ms } => {
            Some((format!("call/{call}/{sequence}"), *attempt, *published_ms))
        }
        _ => None,
    }
}

/// The time that what caused a call lay in its topic, until the first attempt began.
fn waited(fact: &Fact, trace: TraceId, call: &Call) -> Option<Span> {
    let (what, _, published_ms) = attempt(&call.cause)?;
    let topic = match &call.cause {
        CallCause::Event { topic, .. } => topic.clone(),
        CallCause::Schedule { .. } => TopicName::own("schedules", &call.app),
        _ => TopicName::own("calls", &call.app),
    };
    let took_us = fact.time_ms.saturating_sub(published_ms).saturating_mul(1000);
    let id = derived(&format!("{trace}/{}/{what}", call.app));
    Some(Span {
        parent: call.parent,
        name: format!("wait in {topic}"),
        kind: Kind::Internal,
        attributes: vec![
            ("messaging.system".into(), "hob".into()),
            ("messaging.destination.name".into(), topic.to_string().into()),
            ("hob.phase".into(), "topic".into()),
        ],
        ..empty(trace, id, published_ms.saturating_mul(NANOS_PER_MS), took_us)
    })
}

/// Waiting for an instance, starting one, and making its code ready.
fn phases(own: &Span, call: &Call) -> Vec<Span> {
    let times = &call.times;
    let part = |parent: SpanId, name: &str, word: &'static str, after_us: u64, took_us: u64| Span {
        parent: Some(parent),
        name: name.to_owned(),
        attributes: vec![("hob.phase".into(), word.into())],
        ..empty(
            own.trace,
            derived(&format!("{}/{word}", own.span)),
            own.start_ns.saturating_add(after_us.saturating_mul(NANOS_PER_US)),
            took_us,
        )
    };
    let mut all = Vec::new();
    if times.queue_us >= QUEUE_TOLD_US {
        all.push(part(own.span, "wait for an instance", "queue", 0, times.queue_us));
    }
    if times.start_us > 0 {
        let start = part(own.span, "start an instance", "start", times.queue_us, times.start_us);
        let load = (times.load_us > 0).then(|| {
            part(start.span, "load the code", "load", times.queue_us, times.load_us.min(times.start_us))
        });
        let connect = (times.connect_us > 0).then(|| {
            let took_us = times.connect_us.min(times.start_us);
            let after_us = times.queue_us + (times.start_us - took_us);
            part(start.span, "wait until it takes connections", "connect", after_us, took_us)
        });
        all.push(start);
        all.extend(load);
        all.extend(connect);
    }
    all
}

fn of_outside(own: &Span, outside: &Outside, number: u32) -> Span {
    let (host, port) = outside.to.rsplit_once(':').unwrap_or((&outside.to, ""));
    let mut attributes: Attributes = vec![("server.address".into(), host.into())];
    attributes.extend(port.parse::<u16>().ok().map(|port| ("server.port".into(), port.into())));
    attributes.extend(outside.status.map(|status| ("http.response.status_code".into(), status.into())));
    let failure = outside.failure.as_ref();
    attributes.extend(failure.map(|failure| ("error.type".into(), failure.code.as_str().into())));
    let start_ns = own.start_ns.saturating_add(outside.after_us.saturating_mul(NANOS_PER_US));
    let until_end_us = own.end_ns.saturating_sub(start_ns) / NANOS_PER_US;
    Span {
        parent: Some(own.span),
        name: format!("call {}", outside.to),
        kind: Kind::Client,
        attributes,
        failed: failure.map(|failure| failure.message.clone()),
        ..empty(
            own.trace,
            derived(&format!("{}/outside/{number}", own.span)),
            start_ns,
            outside.took_us.unwrap_or(until_end_us),
        )
    }
}

fn of_refused(fact: &Fact, refused: &Refused) -> Span {
    let trace = fact.trace.unwrap_or_else(|| TraceId(refused.id.0.max(1)));
    let failure = &refused.failure;
    let mut attributes: Attributes = vec![
        ("http.request.method".into(), refused.method.as_str().into()),
        ("url.path".into(), refused.path.as_str().into()),
        ("server.address".into(), refused.host.as_str().into()),
        ("faas.invocation_id".into(), refused.id.to_string().into()),
        ("error.type".into(), failure.code.as_str().into()),
    ];
    attributes.extend(refused.app.iter().map(|app| ("hob.app".into(), app.to_string().into())));
    Span {
        name: refused.method.clone(),
        kind: Kind::Server,
        attributes,
        failed: Some(failure.message.clone()),
        ..empty(trace, refused.id.into(), fact.time_ms.saturating_mul(NANOS_PER_MS), 0)
    }
}

fn published(fact: &Fact, event: &Publication) -> Option<Span> {
    let trace = fact.trace?;
    let mut attributes: Attributes = vec![
        ("messaging.system".into(), "hob".into()),
        ("messaging.operation.type".into(), "send".into()),
        ("messaging.operation.name".into(), "publish".into()),
        ("messaging.destination.name".into(), event.topic.to_string().into()),
        ("cloudevents.event_id".into(), event.id.as_str().into()),
        ("cloudevents.event_source".into(), event.source.as_str().into()),
        ("cloudevents.event_type".into(), event.kind.as_str().into()),
    ];
    if event.sequence > 0 {
        attributes.push(("messaging.message.id".into(), event.sequence.to_string().into()));
    }
    if event.duplicate {
        attributes.push(("hob.duplicate".into(), true.into()));
    }
    let failure = event.failure.as_ref();
    attributes.extend(failure.map(|failure| ("error.type".into(), failure.code.as_str().into())));
    let id = derived(&format!("{trace}/{}/{}/{}/{}", event.topic, event.sequence, event.source, event.id));
    Some(Span {
        parent: event.by.map(SpanId::from),
        name: format!("publish {}", event.topic),
        kind: Kind::Producer,
        attributes,
        failed: failure.map(|failure| failure.message.clone()),
        ..empty(trace, id, fact.time_ms.saturating_mul(NANOS_PER_MS), 0)
    })
}

/// The id of a span that is about this (FNV-1a, 64 bits, mixed once more; never 0).
fn derived(about: &str) -> SpanId {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in about.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    SpanId((hash ^ (hash >> 29)).max(1))
}

#[cfg(test)]
mod tests;
