//! What is watched for an app, resolved: budgets and alert rules.
//!
//! **Why.** As with [`crate::spec`]: what is stored is what was resolved, with every setting present.
//!
//! **How.** [`crate::manifest`] makes these from `[budget]`, `budget` of a function and `[[alert]]`. What
//! they mean is decided in [`crate::budget`] and [`crate::alert`].

use crate::cost::{Place, Price};
use crate::name::{FunctionName, TopicName, TriggerName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The topic of alerts, unless a rule names another.
pub const ALERT_TOPIC: &str = "alerts";

/// Budgets and alert rules of an app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// Of the whole app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetSpec>,
    /// Of single functions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub functions: BTreeMap<FunctionName, BudgetSpec>,
    /// Rules by their name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub alerts: BTreeMap<TriggerName, AlertSpec>,
}

impl Watch {
    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Every budget with the function that it is of.
    pub fn budgets(&self) -> impl Iterator<Item = (Option<&FunctionName>, &BudgetSpec)> {
        let app = self.budget.iter().map(|budget| (None, budget));
        app.chain(self.functions.iter().map(|(function, budget)| (Some(function), budget)))
    }
}

/// How long a budget lasts, in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to that of the next.
    #[default]
    Month,
}

impl Per {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// What may be used in a period. Whatever is reached first counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetSpec {
    /// The period.
    pub per: Per,
    /// Whose prices the amount is reckoned with.
    pub at: Place,
    /// Money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Price>,
    /// Calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocations: Option<u64>,
    /// Memory over time, GiB-seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gb_seconds: Option<u64>,
    /// At which percentages somebody is told.
    pub alert: Vec<u32>,
    /// Whether calls are refused when it is spent.
    pub stop: bool,
    /// The topic of its alerts.
    pub publish: TopicName,
}

/// What is measured for an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Share of calls that fail.
    ErrorShare,
    /// Events that wait in a subscription.
    Lag,
    /// Dead letters that nobody has dealt with.
    DeadLetters,
    /// Share of a budget that is used.
    Budget,
    /// Instances that could not start, or ended by themselves, in the last minutes.
    CrashLoop,
    /// Time within which 99 of 100 calls are answered.
    LatencyP99,
    /// Time within which 99 of 100 calls get an instance.
    QueueTime,
    /// Share of calls that wait for an instance to start.
    ColdStartShare,
    /// Time since the gateway's certificate was issued.
    CertificateAge,
    /// Time until it is valid no more.
    CertificateLeft,
    /// Share of the data folder's disk that is free.
    DiskFree,
}

/// What a metric is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Percent.
    Percent,
    /// A number of things.
    Count,
    /// Milliseconds.
    Time,
}

impl Metric {
    /// Every metric with its word.
    pub const WORDS: [(&'static str, Self); 11] = [
        ("error-share", Self::ErrorShare),
        ("lag", Self::Lag),
        ("dead-letters", Self::DeadLetters),
        ("budget", Self::Budget),
        ("crash-loop", Self::CrashLoop),
        ("latency-p99", Self::LatencyP99),
        ("queue-time", Self::QueueTime),
        ("cold-start-share", Self::ColdStartShare),
        ("certificate-age", Self::CertificateAge),
        ("certificate-left", Self::CertificateLeft),
        ("disk-free", Self::DiskFree),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, metric)| *metric == self).map_or("", |(word, _)| word)
    }

    /// What it is measured in.
    pub const fn unit(self) -> Unit {
        match self {
            Self::ErrorShare | Self::Budget | Self::ColdStartShare | Self::DiskFree => Unit::Percent,
            Self::Lag | Self::DeadLetters | Self::CrashLoop => Unit::Count,
            Self::LatencyP99 | Self::QueueTime | Self::CertificateAge | Self::CertificateLeft => Unit::Time,
        }
    }

    /// Its name in a sentence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ErrorShare => "the share of calls that fail",
            Self::Lag => "the number of events that wait",
            Self::DeadLetters => "the number of dead letters",
            Self::Budget => "the used share of the budget",
            Self::CrashLoop => "the number of crashes and failed starts",
            Self::LatencyP99 => "the time of the slowest in 100 calls",
            Self::QueueTime => "the wait of the slowest in 100 calls",
            Self::ColdStartShare => "the share of cold starts",
            Self::CertificateAge => "the age of the certificate",
            Self::CertificateLeft => "the time until the certificate ends",
            Self::DiskFree => "the free share of the disk",
        }
    }

    /// Whether it is about the node, not about one app.
    pub const fn of_node(self) -> bool {
        matches!(self, Self::CertificateAge | Self::CertificateLeft | Self::DiskFree)
    }
}

/// From where on a value is bad. Values are in thousandths of the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// Above this.
    Above(u64),
    /// At this or above.
    AtLeast(u64),
    /// Below this.
    Below(u64),
}

impl Bound {
    /// Whether a value is bad.
    pub const fn is_bad(self, value: u64) -> bool {
        match self {
            Self::Above(most) => value > most,
            Self::AtLeast(most) => value >= most,
            Self::Below(least) => value < least,
        }
    }

    /// The number.
    pub const fn value(self) -> u64 {
        match self {
            Self::Above(value) | Self::AtLeast(value) | Self::Below(value) => value,
        }
    }

    /// Its word in a sentence.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Above(_) => "above",
            Self::AtLeast(_) => "at",
            Self::Below(_) => "below",
        }
    }
}

/// A rule: when somebody is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertSpec {
    /// What is measured.
    pub metric: Metric,
    /// From where on it is bad.
    pub bound: Bound,
    /// For how long it has to be bad, milliseconds.
    pub for_ms: u64,
    /// Only this function's calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionName>,
    /// Only events of this topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicName>,
    /// Only this subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<TriggerName>,
    /// Where it is told.
    pub publish: TopicName,
}
