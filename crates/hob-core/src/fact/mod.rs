//! Facts: what a node decided and did, one record for each decision, with its cause.
//!
//! **Why.** "Why did it not run?" can be answered only if the decision was kept when it was made. Facts
//! are what `hob why`, traces, the dashboard and the exports read; nothing else about the past exists.
//!
//! **How.** A [`Fact`] is a time, a trace where there is one, and [`What`] happened. They are plain data:
//! the node makes them behind the call, the store keeps them within bounds of age and size
//! ([`crate::port::Facts`]), and a query asks by what somebody knows ([`About`]).
//!
//! **Not here:** counts, which are exact and never sampled (the node's meters), and what is told of
//! facts.

mod call;
mod event;
mod query;

pub use call::{Call, CallCause, Failure, Outside, PHASES, Times, Used};
pub use event::{Delivered, Ending, Publication, Refused, Run, RunDecision, SkipReason, Skipped};
pub use query::{About, FactQuery};

use crate::id::InvocationId;
use crate::name::{AppName, FunctionName, RevisionNumber};
use crate::trace::{SpanId, TraceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One recorded decision or step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fact {
    /// When it happened; of what lasts, when it began. Milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The trace that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceId>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum What {
    /// A function was called, and the call has ended.
    Call(Box<Call>),
    /// A request was answered by the gateway itself: nobody was called.
    Refused(Box<Refused>),
    /// An event was accepted, or was not.
    Published(Box<Publication>),
    /// A subscription left an event out.
    Skipped(Box<Skipped>),
    /// An attempt of a delivery did not settle its event, or the event was given up.
    Delivered(Box<Delivered>),
    /// A schedule fired a run or left runs out.
    Run(Box<Run>),
    /// An app was deployed, rolled back or removed, or was not.
    Changed(Box<Changed>),
    /// An instance started, failed to, or ended.
    Instance(Box<InstanceChanged>),
    /// A span that a function itself has told (OTLP).
    Span(Box<Span>),
    /// An alert began or ended, or a budget stopped something.
    Alert(Box<AlertChanged>),
}

impl What {
    /// Every word, in the order of the variants.
    pub const WORDS: [&'static str; 10] = [
        "call",
        "refused",
        "published",
        "skipped",
        "delivered",
        "run",
        "changed",
        "instance",
        "span",
        "alert",
    ];

    /// Whether it tells of something that went wrong.
    pub fn failed(&self) -> bool {
        match self {
            Self::Call(call) => call.failed(),
            Self::Refused(_) | Self::Delivered(_) => true,
            Self::Published(event) => event.failure.is_some(),
            Self::Run(run) => matches!(run.decision, RunDecision::Failed { .. }),
            Self::Changed(changed) => changed.failure.is_some(),
            Self::Instance(instance) => instance.failure.is_some(),
            Self::Span(span) => span.failed.is_some(),
            Self::Alert(alert) => alert.on,
            Self::Skipped(_) => false,
        }
    }

    /// The word for it, as on the wire.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Call(_) => "call",
            Self::Refused(_) => "refused",
            Self::Published(_) => "published",
            Self::Skipped(_) => "skipped",
            Self::Delivered(_) => "delivered",
            Self::Run(_) => "run",
            Self::Changed(_) => "changed",
            Self::Instance(_) => "instance",
            Self::Span(_) => "span",
            Self::Alert(_) => "alert",
        }
    }
}

/// What was done to an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// A new revision.
    Deploy,
    /// An earlier revision.
    Rollback,
    /// Gone.
    Remove,
    /// A function's quick machine code was exchanged for optimised code, behind what runs; the revision is the same.
    Optimise,
}

impl Change {
    /// Whether another revision may answer because of it.
    pub const fn switches(self) -> bool {
        !matches!(self, Self::Optimise)
    }
}

/// An app was deployed, rolled back or removed, or was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// Under which a failure can be looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<InvocationId>,
    /// The app.
    pub app: AppName,
    /// The function, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionName>,
    /// What was done.
    pub change: Change,
    /// The revision that took requests before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<RevisionNumber>,
    /// The one that takes them now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<RevisionNumber>,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// How long it took, milliseconds.
    pub took_ms: u64,
}

/// What happened to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceStep {
    /// It runs.
    Started,
    /// It could not be started.
    StartFailed,
    /// It ended by itself: crashed, was killed, exited.
    Ended,
    /// It was stopped: idle, or its revision is drained.
    Stopped,
    /// It was idle and stopped to make room for another one.
    Reclaimed,
    /// Not of one instance: so many failed in a row that calls are refused for a while.
    CircuitOpened,
    /// The pause is over: one call or start shows whether it works again.
    CircuitProbed,
    /// It works again.
    CircuitClosed,
}

/// An instance started, failed to, or ended. Those of one call each are part of its [`Call`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InstanceChanged {
    /// The app.
    pub app: AppName,
    /// The revision.
    pub revision: RevisionNumber,
    /// The function.
    pub function: FunctionName,
    /// Its number, unique in a node's life.
    pub instance: u64,
    /// What happened to it.
    pub step: InstanceStep,
    /// Why, when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// How long its start took, microseconds.
    #[serde(default)]
    pub start_us: u64,
    /// Instances of the function afterwards.
    pub instances: u32,
}

/// A span that a function has told (OpenTelemetry protocol, trace v1 `Span`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// The app that told it.
    pub app: AppName,
    /// The function that told it.
    pub function: FunctionName,
    /// The span.
    pub span: SpanId,
    /// The span that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SpanId>,
    /// Its name.
    pub name: String,
    /// When it began, microseconds since the Unix epoch.
    pub start_us: u64,
    /// How long it took, microseconds.
    pub took_us: u64,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// What it says of itself, values as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// An alert began or ended, or a budget stopped something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertChanged {
    /// The app; absent for an alert about the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// The function, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionName>,
    /// The rule's name.
    pub alert: String,
    /// Whether it is on from now on.
    pub on: bool,
    /// What was measured and what the rule allows, in words.
    pub text: String,
}
