//! `[budget]` and `[[alert]]`: what is watched, as it was written.
//!
//! **How.** What `above` and `below` hold depends on the metric, which may be written after them, so they are
//! read as they are and understood in `resolve`.

mod check;
mod resolve;
#[cfg(test)]
mod tests;

pub(super) use check::check;
pub(super) use resolve::resolve;

use super::key;
use super::value::Item;
use super::{Function, Manifest, Written};
use crate::cost::{Place, Price};
use crate::fault::Result;
use crate::name::{FunctionName, TopicName, TriggerName};
use crate::watch::{Metric, Per};
use std::time::Duration;

/// `[budget]` or `budget` of a function. What each field means stands in [`super::key::BUDGET`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table of keys documents them, for people too")]
pub struct Budget {
    /// The line on which it begins.
    pub line: usize,
    pub per: Option<Written<Per>>,
    pub at: Option<Written<Place>>,
    pub amount: Option<Written<Price>>,
    pub invocations: Option<Written<u32>>,
    pub gb_seconds: Option<Written<u32>>,
    pub alert: Option<Written<Vec<u32>>>,
    pub stop: Option<Written<bool>>,
    pub publish: Option<Written<TopicName>>,
}

/// One `[[alert]]`. What each field means stands in [`super::key::ALERT`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table of keys documents them, for people too")]
pub struct Alert {
    /// The line on which it begins.
    pub line: usize,
    pub name: Option<Written<TriggerName>>,
    pub metric: Option<Written<Metric>>,
    pub above: Option<Written<serde_json::Value>>,
    pub below: Option<Written<serde_json::Value>>,
    pub lasts: Option<Written<Duration>>,
    pub function: Option<Written<FunctionName>>,
    pub topic: Option<Written<TopicName>>,
    pub subscription: Option<Written<TriggerName>>,
    pub publish: Option<Written<TopicName>>,
}

/// Reads `[budget]`.
pub(super) fn read_budget(manifest: &mut Manifest, item: &Item<'_>) -> Result<()> {
    manifest.budget = Some(budget(item)?);
    Ok(())
}

/// Reads `budget` of a function.
pub(super) fn read_function_budget(function: &mut Function, item: &Item<'_>) -> Result<()> {
    function.budget = Some(budget(item)?);
    Ok(())
}

fn budget(item: &Item<'_>) -> Result<Budget> {
    let mut budget = Budget { line: item.line, ..Budget::default() };
    item.entries()?.iter().try_for_each(|entry| key::read(key::BUDGET, &mut budget, entry))?;
    Ok(budget)
}

/// Reads every `[[alert]]`.
pub(super) fn read_alerts(manifest: &mut Manifest, item: &Item<'_>) -> Result<()> {
    for (line, entries) in item.tables()? {
        let mut alert = Alert { line, ..Alert::default() };
        entries.iter().try_for_each(|entry| key::read(key::ALERT, &mut alert, entry))?;
        manifest.alerts.push(alert);
    }
    Ok(())
}
