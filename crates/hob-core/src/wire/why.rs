//! What the control API tells of the past: stories and their steps.

use crate::code::Owner;
use crate::name::{AppName, FunctionName, TopicName, TriggerName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A question to `GET /v1/why`: an id, or what somebody expected to happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhyQuery {
    /// A request, call, event (`topic/17` or its own id), asynchronous call, trace, dead letter, schedule,
    /// subscription (`app/name`) or error code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A request that somebody would make, such as `POST /x` or `GET shop.localhost/x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// A topic on which somebody would publish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// With `topic`: the event's type.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A schedule, as `name` or `app/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// A function, as `name` or `app/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The app, where the question leaves it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// Not before this time, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
}

/// Whether what was asked about went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It did.
    Good,
    /// It is under way or waits.
    Waiting,
    /// It was left out, on purpose of somebody.
    Skipped,
    /// It did not.
    Bad,
    /// Nobody knows: it is not kept, or never came.
    Unknown,
}

/// The answer to a question: the reason first, then the path, then what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Story {
    /// What was asked about, such as `request 0198…` or `event orders/17`.
    pub subject: String,
    /// Whether it went well.
    pub verdict: Verdict,
    /// The cause, in one sentence.
    pub reason: String,
    /// What mends it, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Who has to act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The stable code of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What happened, and what caused what.
    pub path: Vec<Step>,
    /// Commands to run next.
    pub next: Vec<String>,
    /// The trace, if there is one to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{32}$"))]
    pub trace: Option<String>,
}

/// One step of a path, with those that it caused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// When it began, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
    /// How long it took, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
    /// What it was, in one line.
    pub text: String,
    /// How it went.
    pub verdict: Verdict,
    /// What `hob why` can be asked about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it caused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

/// Which facts `GET /v1/facts` lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FactsQuery {
    /// Of this trace: 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Of this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// Of this function; needs `app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionName>,
    /// Of this subscription or schedule; needs `app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerName>,
    /// Of this topic's event; needs `sequence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicName>,
    /// The event's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// Of this kind: `call`, `refused`, `published`, `skipped`, `delivered`, `run`, `changed`,
    /// `instance`, `span` or `alert`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(
        pattern = "^(call|refused|published|skipped|delivered|run|changed|instance|span|alert)$"
    ))]
    pub kind: Option<String>,
    /// Only failures.
    #[serde(default)]
    pub failed: bool,
    /// Not before this time, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// At most so many, the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Go on with new ones as they come.
    #[serde(default)]
    pub follow: bool,
}
