//! What a change of settings would cost at last week's traffic, as `hob deploy` tells it.
//!
//! **Why.** Memory is set once and paid with every call. Whoever changes it should see what that means, where
//! they change it.
//!
//! **How.** The node knows what was used and at which prices; what the change means is decided in
//! [`hob_core::forecast`]. A deploy never fails for lack of an answer.

use super::moment::now_ms;
use crate::client::Client;
use crate::output::Output;
use hob_core::cost::{Money, Place, Sheet};
use hob_core::fault::Result;
use hob_core::forecast::change;
use hob_core::name::FunctionName;
use hob_core::spec::AppSpec;
use hob_core::usage::Usage;
use hob_core::wire::UsageQuery;
use std::collections::BTreeMap;

/// The traffic that is looked at: a week, in milliseconds.
const WEEK_MS: u64 = 7 * 24 * 3_600_000;

/// Tells what the change from `before` to `after` would cost; nothing where it costs the same.
pub(super) async fn tell(client: &Client, before: Option<&AppSpec>, after: &AppSpec, output: &Output) {
    let Some(before) = before.filter(|before| costs_differ(before, after)) else { return };
    match lines(client, before, after).await {
        Ok(lines) => lines.iter().for_each(|line| output.note(line)),
        Err(fault) => output.detail(&format!("what the change costs is not known: {fault}")),
    }
}

/// Whether a setting changes that is paid for.
fn costs_differ(before: &AppSpec, after: &AppSpec) -> bool {
    after.functions.iter().any(|(name, new)| {
        before.functions.get(name).is_some_and(|old| {
            (old.memory_bytes, old.timeout_ms) != (new.memory_bytes, new.timeout_ms)
                || (old.scale.min, old.scale.max) != (new.scale.min, new.scale.max)
                || old.scale.provisioned != new.scale.provisioned
        })
    })
}

async fn lines(client: &Client, before: &AppSpec, after: &AppSpec) -> Result<Vec<String>> {
    let since_ms = now_ms().saturating_sub(WEEK_MS);
    let asked = UsageQuery {
        app: Some(after.app.clone()),
        since_ms: Some(since_ms),
        by: Some("function".to_owned()),
        ..UsageQuery::default()
    };
    let used = client.usage(&asked).await?;
    let usage: BTreeMap<FunctionName, Usage> =
        used.rows.iter().filter_map(|row| Some((row.function.clone()?, row.usage))).collect();
    let prices = client.prices().await?;
    // The machine's own price where it is known; else what everybody can compare with.
    let known = |sheet: &&Sheet| sheet.name != Place::Own || sheet.per_month.is_some();
    let Some(sheet) = prices.sheets.iter().find(known) else { return Ok(Vec::new()) };
    let Some(currency) = sheet.currency() else { return Ok(Vec::new()) };
    let changes = change(sheet, prices.machine, &usage, WEEK_MS, now_ms(), [before, after])?;
    let calls: u64 = usage.values().map(|usage| usage.invocations).sum();
    if changes.is_empty() && calls == 0 {
        return Ok(vec!["cost: no calls in the last 7 days to reckon the change with".to_owned()]);
    }
    let line = |change: &hob_core::forecast::Change| {
        let (before, after) = (change.before.show(), change.after.show());
        let sign = if change.after > change.before { "+" } else { "" };
        let difference: Money = change.after - change.before;
        format!(
            "cost: {} {before} -> {after} {currency} a month ({sign}{}) at {}, by {} calls of the last 7 days",
            change.function,
            difference.show(),
            sheet.name,
            change.calls
        )
    };
    Ok(changes.iter().map(line).collect())
}
