//! What was decided about requests that nobody was called for, events, deliveries and schedules.

use super::Failure;
use crate::id::InvocationId;
use crate::name::{AppName, RevisionNumber, TopicName, TriggerName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A request that the gateway answered itself, or that the control API refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    /// The request.
    pub id: InvocationId,
    /// Whether it was one to the control API: a command.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub control: bool,
    /// The app, if it came that far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// The method.
    pub method: String,
    /// The path, without its query.
    pub path: String,
    /// The host that was asked for.
    pub host: String,
    /// Why, and the nearest that there is.
    pub failure: Failure,
}

/// An event was accepted, or was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Publication {
    /// Where it was sent.
    pub topic: TopicName,
    /// Its number there; of a duplicate, that of the first one. 0: it was not accepted.
    pub sequence: u64,
    /// The event's own id.
    pub id: String,
    /// The event's source.
    pub source: String,
    /// The event's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// It had come before, and was dropped.
    #[serde(default)]
    pub duplicate: bool,
    /// Why it was not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The request or call that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<InvocationId>,
}

/// A subscription left an event out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    /// The app of the subscription.
    pub app: AppName,
    /// The subscription.
    pub subscription: TriggerName,
    /// The revision whose words it went by.
    pub revision: RevisionNumber,
    /// Where the event is.
    pub topic: TopicName,
    /// Its number there.
    pub sequence: u64,
    /// Why.
    pub reason: SkipReason,
}

/// Why a subscription left an event out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum SkipReason {
    /// A clause of its filter does not match.
    Filter {
        /// Which, such as `exact.type`.
        clause: String,
        /// What it asks for.
        wanted: String,
        /// What the event has; absent when it has no such attribute.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<String>,
    },
    /// The revision that the event belongs to has no such subscription.
    NoTrigger,
    /// The subscription was moved beyond it (`hob sub seek`): of all events from `from` on, up to this one.
    Seek {
        /// The first one that it had not settled.
        from: u64,
    },
}

/// An attempt of a delivery did not settle its event, or the event was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delivered {
    /// The app.
    pub app: AppName,
    /// The subscription or schedule.
    pub subscription: TriggerName,
    /// Where the event is.
    pub topic: TopicName,
    /// Its number there.
    pub sequence: u64,
    /// Which attempt, from 1; 0: none was made.
    pub attempt: u32,
    /// The call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation: Option<InvocationId>,
    /// What became of it.
    pub ending: Ending,
    /// How the attempt failed, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "then", rename_all = "kebab-case")]
pub enum Ending {
    /// It is tried again.
    Retry {
        /// When, milliseconds since the Unix epoch.
        at_ms: u64,
    },
    /// There was no place for it, which counts as no attempt; it is tried again.
    Overloaded {
        /// When, milliseconds since the Unix epoch.
        at_ms: u64,
    },
    /// The event was given up.
    Dead {
        /// Why, in one word: `attempts`, `age`, `rejected`, `expired`, `crashes`.
        reason: String,
        /// Where it is kept now.
        topic: TopicName,
    },
}

/// A schedule fired a run or left runs out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// The app.
    pub app: AppName,
    /// The schedule.
    pub schedule: TriggerName,
    /// What was decided.
    pub decision: RunDecision,
}

/// What was decided about runs of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "decided", rename_all = "kebab-case")]
pub enum RunDecision {
    /// A run began.
    Fired {
        /// When it was due, milliseconds since the Unix epoch; absent for one that was asked for by hand.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_ms: Option<u64>,
        /// The number of its event in the app's schedule topic.
        sequence: u64,
        /// It makes up for a missed one.
        #[serde(default)]
        made_up: bool,
    },
    /// Runs were left out.
    LeftOut {
        /// Why, in one word, as the schedule's `last_skipped` says.
        reason: String,
        /// How many.
        runs: u64,
        /// When the last of them was due, milliseconds since the Unix epoch.
        last_ms: u64,
    },
    /// A run was due and could not be published; it is tried again.
    Failed {
        /// Why.
        failure: Failure,
    },
}
