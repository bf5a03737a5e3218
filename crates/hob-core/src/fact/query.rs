//! How facts are asked for.

use super::{CallCause, Fact, Failure, What};
use crate::id::InvocationId;
use crate::name::{AppName, FunctionName, TopicName, TriggerName};
use crate::trace::TraceId;

/// What the facts that are asked for are about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum About {
    /// Anything.
    #[default]
    Everything,
    /// One trace.
    Trace(TraceId),
    /// One request or call, and what names it: publications in it, the delivery that it was an attempt of.
    Invocation(InvocationId),
    /// One event, by its place: its publication, who left it out, its deliveries and the calls for them.
    Event(TopicName, u64),
    /// Publications in one topic.
    Topic(TopicName),
    /// Events, by their own id.
    EventId(String),
    /// One app.
    App(AppName),
    /// One function of it.
    Function(AppName, FunctionName),
    /// One subscription or schedule of it.
    Trigger(AppName, TriggerName),
    /// Failures with this code.
    Code(String),
}

/// Which facts are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct FactQuery {
    /// About what.
    pub about: About,
    /// Only these kinds ([`super::What::word`]); empty: all.
    pub kinds: Vec<&'static str>,
    /// Only failures: calls that failed, what was refused, deliveries that did not settle their event.
    pub failed: bool,
    /// Not before this time, milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Before this time; 0: no end.
    pub until_ms: u64,
    /// At most so many, the newest; 0: none.
    pub limit: usize,
}

impl About {
    /// Everything under which a fact is found.
    pub fn of(fact: &Fact) -> Vec<Self> {
        let mut found = vec![Self::Everything];
        found.extend(fact.trace.map(Self::Trace));
        match &fact.what {
            What::Call(call) => {
                found.extend(of_function(&call.app, Some(&call.function)));
                found.extend(call.cause.trigger().map(|name| Self::Trigger(call.app.clone(), name.clone())));
                found.push(Self::Invocation(call.id));
                found.extend(of_cause(&call.cause, &call.app));
                found.extend(of_failure(call.failure.as_ref()));
            }
            What::Refused(refused) => {
                found.extend(refused.app.iter().flat_map(|app| of_function(app, None)));
                found.push(Self::Invocation(refused.id));
                found.extend(of_failure(Some(&refused.failure)));
            }
            What::Published(event) => {
                if event.sequence > 0 {
                    found.push(Self::Event(event.topic.clone(), event.sequence));
                }
                found.push(Self::Topic(event.topic.clone()));
                found.push(Self::EventId(event.id.clone()));
                found.extend(event.by.map(Self::Invocation));
                found.extend(of_failure(event.failure.as_ref()));
            }
            What::Skipped(skipped) => {
                found.push(Self::Trigger(skipped.app.clone(), skipped.subscription.clone()));
                found.push(Self::Event(skipped.topic.clone(), skipped.sequence));
            }
            What::Delivered(delivered) => {
                found.extend(of_function(&delivered.app, None));
                found.push(Self::Trigger(delivered.app.clone(), delivered.subscription.clone()));
                found.push(Self::Event(delivered.topic.clone(), delivered.sequence));
                found.extend(delivered.invocation.map(Self::Invocation));
            }
            What::Run(run) => {
                found.extend(of_function(&run.app, None));
                found.push(Self::Trigger(run.app.clone(), run.schedule.clone()));
            }
            What::Changed(changed) => {
                found.extend(of_function(&changed.app, changed.function.as_ref()));
                found.extend(changed.id.map(Self::Invocation));
                found.extend(of_failure(changed.failure.as_ref()));
            }
            What::Instance(instance) => {
                found.extend(of_function(&instance.app, Some(&instance.function)));
                found.extend(of_failure(instance.failure.as_ref()));
            }
            What::Span(span) => found.extend(of_function(&span.app, Some(&span.function))),
            What::Alert(alert) => {
                found.extend(alert.app.iter().flat_map(|app| of_function(app, alert.function.as_ref())));
            }
        }
        found
    }

    /// Whether few facts are about it, so that all kinds of them are asked for together.
    pub const fn is_narrow(&self) -> bool {
        matches!(self, Self::Trace(_) | Self::Invocation(_) | Self::Event(..) | Self::EventId(_))
    }
}

fn of_function(app: &AppName, function: Option<&FunctionName>) -> Vec<About> {
    let of_one = function.map(|function| About::Function(app.clone(), function.clone()));
    std::iter::once(About::App(app.clone())).chain(of_one).collect()
}

fn of_cause(cause: &CallCause, app: &AppName) -> Vec<About> {
    let event = |topic: &TopicName, sequence: u64| About::Event(topic.clone(), sequence);
    match cause {
        CallCause::Function { invocation, .. } => invocation.map(About::Invocation).into_iter().collect(),
        CallCause::Event { topic, sequence, others, .. } => {
            std::iter::once(sequence).chain(others).map(|sequence| event(topic, *sequence)).collect()
        }
        CallCause::Replay { topic, sequence } => vec![event(topic, *sequence)],
        CallCause::Schedule { sequence, .. } => vec![event(&TopicName::own("schedules", app), *sequence)],
        CallCause::Asynchronous { sequence, .. } => vec![event(&TopicName::own("calls", app), *sequence)],
        CallCause::Request | CallCause::Control | CallCause::Lambda => Vec::new(),
    }
}

fn of_failure(failure: Option<&Failure>) -> Option<About> {
    failure.map(|failure| About::Code(failure.code.clone()))
}

impl FactQuery {
    /// The newest `limit` facts about something.
    pub fn newest(about: About, limit: usize) -> Self {
        Self { about, limit, ..Self::default() }
    }

    /// Whether it asks for this fact, its limit aside.
    pub fn wants(&self, fact: &Fact) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&fact.what.word()))
            && (!self.failed || fact.what.failed())
            && fact.time_ms >= self.since_ms
            && (self.until_ms == 0 || fact.time_ms < self.until_ms)
            && (self.about == About::Everything || About::of(fact).contains(&self.about))
    }
}
