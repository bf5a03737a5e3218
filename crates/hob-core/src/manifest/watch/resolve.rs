//! From written budgets and alert rules to resolved ones: defaults, names, and what a bound means.

use super::{Alert, Budget};
use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit;
use crate::manifest::{Manifest, Written};
use crate::name::{TopicName, TriggerName, suggestion_within};
use crate::unit::{millis, parse_duration};
use crate::watch::{ALERT_TOPIC, AlertSpec, Bound, BudgetSpec, Metric, Unit, Watch};
use serde_json::Value;
use std::time::Duration;

/// Percentages of a budget at which somebody is told, unless it says otherwise.
const TOLD_AT: [u32; 2] = [80, 100];

/// Resolves the budgets and alert rules of a manifest.
///
/// # Errors
/// `HOB-0103` for a rule that lacks something or a bound that the metric has not, `HOB-0815` for a name that
/// is used twice; with their line.
pub(in crate::manifest) fn resolve(manifest: &Manifest) -> Result<Watch> {
    let mut watch = Watch { budget: manifest.budget.as_ref().map(budget).transpose()?, ..Watch::default() };
    for function in &manifest.functions {
        if let Some(written) = &function.budget {
            watch.functions.insert(function.name.clone(), budget(written)?);
        }
    }
    for alert in &manifest.alerts {
        let context = Context { file: &manifest.file, alert };
        let (name, spec) = context.resolve()?;
        if watch.alerts.insert(name.clone(), spec).is_some() {
            let what = format!("two alerts are named `{name}`");
            return Err(
                context.at(Fault::new(Code::TriggerConflict, what).hint("give each a `name` of its own"))
            );
        }
    }
    Ok(watch)
}

fn budget(written: &Budget) -> Result<BudgetSpec> {
    Ok(BudgetSpec {
        per: value(&written.per).unwrap_or_default(),
        at: value(&written.at).unwrap_or_default(),
        amount: value(&written.amount),
        invocations: value(&written.invocations).map(u64::from),
        gb_seconds: value(&written.gb_seconds).map(u64::from),
        alert: value(&written.alert).unwrap_or_else(|| TOLD_AT.to_vec()),
        stop: value(&written.stop).unwrap_or_default(),
        publish: topic(&written.publish)?,
    })
}

fn topic(written: &Option<Written<TopicName>>) -> Result<TopicName> {
    value(written).map_or_else(|| TopicName::new(ALERT_TOPIC), Ok)
}

/// One rule at work.
struct Context<'a> {
    file: &'a str,
    alert: &'a Alert,
}

impl Context<'_> {
    fn resolve(&self) -> Result<(TriggerName, AlertSpec)> {
        let alert = self.alert;
        let metric =
            value(&alert.metric).ok_or_else(|| self.lacks("metric", "error-share\", above = \"5%"))?;
        let spec = AlertSpec {
            metric,
            bound: self.bound(metric)?,
            for_ms: millis(value(&alert.lasts).unwrap_or_else(|| default_for(metric))),
            function: value(&alert.function),
            topic: value(&alert.topic),
            subscription: value(&alert.subscription),
            publish: topic(&alert.publish)?,
        };
        let name = match &alert.name {
            Some(name) => name.value.clone(),
            None => {
                let of = [
                    spec.function.as_ref().map(|name| name.as_str()),
                    spec.subscription.as_ref().map(|name| name.as_str()),
                    spec.topic.as_ref().map(|name| name.as_str()),
                ];
                let parts: Vec<&str> = [Some(metric.word())].into_iter().chain(of).flatten().collect();
                TriggerName::new(&suggestion_within(&parts.join("-"), limit::TRIGGER_NAME_BYTES_MAX))?
            }
        };
        Ok((name, spec))
    }

    fn bound(&self, metric: Metric) -> Result<Bound> {
        match (&self.alert.above, &self.alert.below) {
            (Some(above), None) => Ok(Bound::Above(self.thousandths("above", metric, above)?)),
            (None, Some(below)) => Ok(Bound::Below(self.thousandths("below", metric, below)?)),
            (None, None) => Err(self.lacks("above", "5%")),
            (Some(_), Some(below)) => {
                let what = "`[[alert]]` says `above` and `below` at once".to_owned();
                Err(self.refuse(what, below.line).hint("write one of them"))
            }
        }
    }

    /// A bound in thousandths of the metric's unit.
    fn thousandths(&self, key: &str, metric: Metric, written: &Written<Value>) -> Result<u64> {
        let (found, example) = match metric.unit() {
            Unit::Percent => (percent(&written.value), "5%"),
            Unit::Count => (written.value.as_u64().and_then(|count| count.checked_mul(1000)), ""),
            Unit::Time => (time(&written.value), "250ms"),
        };
        found.ok_or_else(|| {
            let shown = written.value.as_str().map_or_else(|| written.value.to_string(), str::to_owned);
            let what = format!("`alert.{key}` cannot be `{shown}`: `{}` is measured in ", metric.word());
            let (kind, fix) = match metric.unit() {
                Unit::Percent => ("percent", format!("write for example `{key} = \"{example}\"`")),
                Unit::Count => ("whole numbers", format!("write for example `{key} = 100`")),
                Unit::Time => ("time", format!("write for example `{key} = \"{example}\"`")),
            };
            self.refuse(what + kind, written.line).hint(fix)
        })
    }

    fn lacks(&self, key: &str, example: &str) -> Fault {
        self.refuse(format!("`[[alert]]` has no `{key}`"), self.alert.line)
            .hint(format!("write for example `{key} = \"{example}\"`"))
    }

    fn refuse(&self, what: String, line: usize) -> Fault {
        Fault::new(Code::ManifestValue, what).at(format!("{}:{line}", self.file))
    }

    fn at(&self, fault: Fault) -> Fault {
        fault.at(format!("{}:{}", self.file, self.alert.line))
    }
}

/// How long a value has to be bad: numbers that do not jitter are told at once.
fn default_for(metric: Metric) -> Duration {
    match metric {
        Metric::DeadLetters
        | Metric::Budget
        | Metric::CrashLoop
        | Metric::CertificateAge
        | Metric::CertificateLeft => Duration::ZERO,
        Metric::ErrorShare
        | Metric::Lag
        | Metric::LatencyP99
        | Metric::QueueTime
        | Metric::ColdStartShare
        | Metric::DiskFree => limit::ALERT_FOR_DEFAULT,
    }
}

/// `"5%"`, `"0.5%"` or 5.
fn percent(value: &Value) -> Option<u64> {
    if let Some(whole) = value.as_u64() {
        return whole.checked_mul(1000);
    }
    let (whole, fraction) = {
        let number = value.as_str()?.trim().strip_suffix('%')?.trim();
        number.split_once('.').unwrap_or((number, "0"))
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(format!("{fraction:0<3}").parse().ok()?)
}

/// A time in microseconds, which are thousandths of the unit.
fn time(value: &Value) -> Option<u64> {
    u64::try_from(parse_duration(value.as_str()?).ok()?.as_micros()).ok()
}

fn value<T: Clone>(written: &Option<Written<T>>) -> Option<T> {
    written.as_ref().map(|written| written.value.clone())
}
