//! What the control API tells of use: sums by app and whatever else they are split by.

use crate::name::{AppName, FunctionName, RevisionNumber, TriggerName};
use crate::usage::Usage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which use `GET /v1/usage` adds up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// Only of this app; absent: of every app, and of the node itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// From the hour (older than two weeks: the day) of this time on, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// Before this time, milliseconds since the Unix epoch; absent: until now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// By what sums are split besides by app: `function`, `revision`, `trigger`, `hour` or `day`; several
    /// with commas between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(
        pattern = r"^(function|revision|trigger|hour|day)(,(function|revision|trigger|hour|day))*$"
    ))]
    pub by: Option<String>,
}

/// Who used how much.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageReport {
    /// The first time that is counted: the begin of the first hour or day, milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Until when is counted, milliseconds since the Unix epoch.
    pub until_ms: u64,
    /// All of it.
    pub total: Usage,
    /// Its parts, by app, then time, then function, revision and trigger.
    pub rows: Vec<UsageRow>,
}

/// One part of what was used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageRow {
    /// The app; absent: the node, such as topics that no app has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// The function, if sums are split by it; absent: the app as a whole, such as what it stores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionName>,
    /// The revision, if sums are split by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionNumber>,
    /// The subscription or schedule, if sums are split by it; absent: requests and calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerName>,
    /// When the hour or day began, if sums are split by it: milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
    /// What was used.
    #[serde(flatten)]
    pub usage: Usage,
}
