//! What the control API tells of costs, budgets and alerts.

use crate::alert::{Sample, State};
use crate::budget::Standing;
use crate::cost::{Cost, Currency, Machine, Money, Place, Sheet};
use crate::id::InvocationId;
use crate::name::{AppName, FunctionName, RevisionNumber, TriggerName};
use crate::usage::Usage;
use crate::watch::{AlertSpec, BudgetSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which costs `GET /v1/cost` adds up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CostQuery {
    /// Only of this app; absent: of every app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// With whose prices: `own`, `aws-lambda` or `cloud-run`.
    #[serde(default)]
    pub at: Place,
    /// From this time on, milliseconds since the Unix epoch; absent: the last seven days.
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
    /// Instead of sums: the calls of this trace, 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{32}$"))]
    pub trace: Option<String>,
    /// Take the place's free tier off the total.
    #[serde(default)]
    pub free_tier: bool,
}

/// What something costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostReport {
    /// With whose prices.
    pub at: Place,
    /// Where the prices are from and when they were true, in one line.
    pub about: String,
    /// Where the current prices are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The currency of every amount.
    pub currency: Currency,
    /// From when on use is counted, milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Until when.
    pub until_ms: u64,
    /// All of it.
    pub total: Cost,
    /// What was used for it.
    pub usage: Usage,
    /// What a month would cost if this went on; absent where too little time was counted to say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month: Option<Money>,
    /// Of a machine: what it cost in this time though nobody used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Money>,
    /// Its parts, the most expensive first; by time where they are split by that.
    pub rows: Vec<CostRow>,
}

/// One part of a cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostRow {
    /// The app; absent: the node itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// The function, if costs are split by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionName>,
    /// The revision, if costs are split by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionNumber>,
    /// The subscription or schedule, if costs are split by it; absent: requests and calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerName>,
    /// When the hour or day began, if costs are split by it: milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
    /// The call, if it is one call's cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<InvocationId>,
    /// What it costs.
    pub cost: Cost,
    /// What a month of this would cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month: Option<Money>,
    /// Its share of the total, in thousandths of a percent.
    pub share: u32,
    /// What was used.
    pub usage: Usage,
}

/// Every price sheet of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prices {
    /// What the machine has, to share out its price.
    pub machine: Machine,
    /// The sheets, the machine's own first.
    pub sheets: Vec<Sheet>,
}

/// Which budgets or alerts are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchQuery {
    /// Only of this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
}

/// A budget and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetInfo {
    /// The app.
    pub app: AppName,
    /// The function; absent: the whole app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionName>,
    /// What it allows.
    pub spec: BudgetSpec,
    /// How it stands.
    pub standing: Standing,
}

/// An alert rule and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertInfo {
    /// The app; absent for the node's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// The rule's name.
    pub name: String,
    /// What the rule says, in words.
    pub rule: String,
    /// The rule.
    pub spec: AlertSpec,
    /// How it stands.
    pub state: State,
    /// The last value; absent: there was nothing to measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Sample>,
    /// The last value with its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The command that says more.
    pub next: String,
}
