//! What the control API tells of functions as they run right now.

use crate::cost::{Currency, Money};
use crate::name::{AppName, FunctionName, RevisionNumber};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which functions `GET /v1/top` tells of, and of how long a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopQuery {
    /// Only of this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// Over how long rates and latencies are measured, milliseconds, 500 to 60000; absent: 1000, or 5000 where
    /// reports follow each other. A single report comes when that time is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 500, max = 60_000))]
    pub window_ms: Option<u64>,
    /// By what rows are ordered.
    #[serde(default)]
    pub sort: TopSort,
    /// How many rows, at most 1000; absent: 100. What is left out is in the totals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// Go on with a report each second. The first comes at once, before anything was measured (`span_ms` is 0).
    #[serde(default)]
    pub follow: bool,
}

/// By what functions are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TopSort {
    /// The most calls first.
    #[default]
    Rate,
    /// The most failures first.
    Errors,
    /// The highest 99th percentile of latency first.
    Latency,
    /// The most instances first.
    Instances,
    /// The most waiting calls first.
    Queue,
    /// The most processor time first.
    Cpu,
    /// The most memory first.
    Memory,
    /// The most expensive first.
    Cost,
    /// By app, function and revision.
    Name,
}

impl TopSort {
    /// Every order with its word.
    pub const WORDS: [(&'static str, Self); 9] = [
        ("rate", Self::Rate),
        ("errors", Self::Errors),
        ("latency", Self::Latency),
        ("instances", Self::Instances),
        ("queue", Self::Queue),
        ("cpu", Self::Cpu),
        ("memory", Self::Memory),
        ("cost", Self::Cost),
        ("name", Self::Name),
    ];
}

/// What functions do at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TopReport {
    /// When this was looked at, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Over how long rates and latencies were measured, milliseconds; 0: not yet.
    pub span_ms: u64,
    /// Processors of the machine.
    pub cpus: u64,
    /// The currency of costs; absent: nobody has said what the machine costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// How many functions there are, those without a row too.
    pub functions: u64,
    /// All of them together, without latencies.
    pub total: TopLoad,
    /// Functions, in the order that was asked for.
    pub rows: Vec<TopRow>,
}

/// What one function of one revision does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TopRow {
    /// The app.
    pub app: AppName,
    /// The function.
    pub function: FunctionName,
    /// The revision.
    pub revision: RevisionNumber,
    /// Whether the revision takes new requests.
    pub current: bool,
    /// What it does.
    #[serde(flatten)]
    pub load: TopLoad,
    /// Half of the calls took no longer than this, milliseconds: an estimate within a bucket of 1, 2 or 5 of its
    /// decade. Absent: no call has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// The same for 99 of 100 calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    /// Memory that all its instances may have, bytes.
    pub memory_bytes_max: u64,
}

/// Rates of the time that was measured, and what there is at this moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TopLoad {
    /// Calls that came, in a second.
    pub calls_per_second: f64,
    /// Calls that ended in failure, in a second.
    pub failures_per_second: f64,
    /// Calls that waited for an instance to start, in a second.
    pub cold_per_second: f64,
    /// Running instances.
    pub instances: u32,
    /// Calls that run.
    pub running: u32,
    /// Calls that wait for an instance.
    pub waiting: u32,
    /// Processors that it keeps busy: 0.5 is half of one.
    pub cpu: f64,
    /// Memory of its instances, bytes: what is resident of programs, the linear memory of guests of WebAssembly; absent
    /// for programs that live for one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// What an hour of this costs at the machine's own price; absent: that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_per_hour: Option<Money>,
}

/// What became of a function's idle instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cooled {
    /// Instances that were stopped.
    pub stopped: u32,
    /// Instances that are still there: they have calls, or `scale.min` keeps them.
    pub instances: u32,
}
