//! How facts are asked for.

use crate::id::InvocationId;
use crate::name::{AppName, FunctionName, TopicName, TriggerName};
use crate::trace::TraceId;

/// What the facts that are asked for are about.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
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
