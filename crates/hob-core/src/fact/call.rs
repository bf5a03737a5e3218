//! A call of a function that has ended: why it was made, what it answered, where its time went.

use crate::code::Owner;
use crate::fault::Fault;
use crate::id::InvocationId;
use crate::name::{AppName, FunctionName, RevisionNumber, TopicName, TriggerName};
use crate::trace::SpanId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A call of a function that has ended, the body of its answer included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// The call.
    pub id: InvocationId,
    /// The span that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SpanId>,
    /// The app.
    pub app: AppName,
    /// The revision that handled it.
    pub revision: RevisionNumber,
    /// The function.
    pub function: FunctionName,
    /// Why it was made.
    pub cause: CallCause,
    /// The method.
    pub method: String,
    /// The path, without its query, which may hold secrets.
    pub path: String,
    /// The host that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The pattern that matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The status that was answered; absent when the caller went before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it failed, when Hob says so; a function's own failure is in `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Where the time went.
    pub times: Times,
    /// Whether an instance was started for it.
    #[serde(default)]
    pub cold: bool,
    /// What it used.
    pub used: Used,
    /// The instance that handled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<u64>,
    /// What it called outside of the node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outside: Vec<Outside>,
    /// The beginning of its answer's body, of an answer with a status of 400 and above that is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
}

impl Call {
    /// Its own span.
    pub fn span(&self) -> SpanId {
        self.id.into()
    }

    /// Whether it failed, whoever is to blame.
    pub fn failed(&self) -> bool {
        self.failure.is_some() || self.status.is_none_or(|status| status >= 500)
    }
}

/// Why a call was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum CallCause {
    /// A request from outside.
    Request,
    /// `hob call`: the control API.
    Control,
    /// `Invoke`: a client of the AWS Lambda API.
    Lambda,
    /// A function called it by name.
    Function {
        /// The caller's app.
        app: AppName,
        /// The caller.
        function: FunctionName,
        /// The call in which it called, where it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invocation: Option<InvocationId>,
    },
    /// A subscription delivered an event.
    Event {
        /// The subscription, of the same app.
        subscription: TriggerName,
        /// Where the event is.
        topic: TopicName,
        /// Its number there.
        sequence: u64,
        /// Which attempt, from 1.
        attempt: u32,
        /// When the event was published, milliseconds since the Unix epoch.
        published_ms: u64,
        /// The numbers of the other events of the call, where it has several.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        others: Vec<u64>,
    },
    /// A schedule's run.
    Schedule {
        /// The schedule, of the same app.
        schedule: TriggerName,
        /// The number of its run among the app's.
        sequence: u64,
        /// Which attempt, from 1.
        attempt: u32,
        /// When the run was published, milliseconds since the Unix epoch.
        published_ms: u64,
    },
    /// An asynchronous call.
    Asynchronous {
        /// The id that its caller got.
        call: String,
        /// Its number among the app's.
        sequence: u64,
        /// Which attempt, from 1.
        attempt: u32,
        /// When it was accepted, milliseconds since the Unix epoch.
        published_ms: u64,
    },
    /// `hob replay`: an old event once more.
    Replay {
        /// Where the event is.
        topic: TopicName,
        /// Its number there.
        sequence: u64,
    },
}

impl CallCause {
    /// The word for it in metrics and lists.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Control => "control",
            Self::Lambda => "lambda",
            Self::Function { .. } => "function",
            Self::Event { .. } => "event",
            Self::Schedule { .. } => "schedule",
            Self::Asynchronous { .. } => "asynchronous",
            Self::Replay { .. } => "replay",
        }
    }

    /// The trigger of the app, if one of those caused it.
    pub const fn trigger(&self) -> Option<&TriggerName> {
        match self {
            Self::Event { subscription, .. } => Some(subscription),
            Self::Schedule { schedule, .. } => Some(schedule),
            _ => None,
        }
    }
}

/// Why something failed, with everything that the node knows: for whoever runs it, not for callers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Stable code, such as `HOB-0501`.
    pub code: String,
    /// What happened.
    pub message: String,
    /// The next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What callers are not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Who has to act.
    pub owner: Owner,
}

impl From<&Fault> for Failure {
    fn from(fault: &Fault) -> Self {
        Self {
            code: fault.code().text().to_owned(),
            message: fault.message().to_owned(),
            hint: fault.hint_text().map(str::to_owned),
            detail: fault.detail_text().map(str::to_owned),
            owner: fault.owner(),
        }
    }
}

/// Where the time of a call went, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Times {
    /// From its arrival until its function was found and asked.
    #[serde(default)]
    pub route_us: u64,
    /// Waiting for an instance.
    pub queue_us: u64,
    /// Starting one; 0 when one was there.
    pub start_us: u64,
    /// Of the start: making the code ready to run.
    #[serde(default)]
    pub load_us: u64,
    /// Of the start, at its end: waiting until a started process took connections.
    #[serde(default)]
    pub connect_us: u64,
    /// From its arrival to the head of the answer.
    pub answer_us: u64,
    /// From its arrival to the end of the answer.
    pub total_us: u64,
}

/// The phases of a call until the head of its answer, in their order; also the names in `Server-Timing`.
pub const PHASES: [&str; 6] = ["route", "queue", "load", "start", "connect", "run"];

impl Times {
    /// How long each of [`PHASES`] took, microseconds. One begins when the one before is over, so that their sum is
    /// `answer_us`.
    pub fn phases(&self) -> [u64; PHASES.len()] {
        let mut rest = self.answer_us;
        // What was measured by different clocks may be a microsecond more than the whole.
        let mut take = |phase: u64| {
            let taken = phase.min(rest);
            rest -= taken;
            taken
        };
        let start_us = self.start_us.saturating_sub(self.load_us).saturating_sub(self.connect_us);
        let before = [self.route_us, self.queue_us, self.load_us, start_us, self.connect_us].map(&mut take);
        let [route_us, queue_us, load_us, start_us, connect_us] = before;
        [route_us, queue_us, load_us, start_us, connect_us, rest]
    }
}

/// What a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Used {
    /// Processor time, microseconds; `None`: it cannot be told from that of other calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// Memory that the function may have, bytes: what GB-seconds are reckoned with.
    pub memory_bytes: u64,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
}

/// A call to the world outside, or one by name inside of the node that nobody answered: an event that was not accepted, a
/// function that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outside {
    /// Host and port; of one inside the name, and of the bus the topic as well.
    pub to: String,
    /// When it began, microseconds after the call itself.
    pub after_us: u64,
    /// How long its answer took; `None`: there was none when the call ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
    /// The status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why there was none: refused by the egress list, not reachable, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}
