//! What other settings would cost at the traffic that there was.
//!
//! **Why.** Memory is set once and paid with every call: whoever deploys a change should see what it costs.
//!
//! **Not here:** prices themselves ([`crate::cost`]), which know nothing of apps.

use crate::cost::{Billed, MONTH_MS, Machine, Money, Sheet, price};
use crate::fault::Result;
use crate::limit::FORECAST_CHANGES_MAX;
use crate::name::FunctionName;
use crate::scale::provision::Provision;
use crate::spec::{AppSpec, FunctionSpec, ScaleSpec};
use crate::usage::{Usage, mib_us};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one function costs in a month, before and after a change of its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The function.
    pub function: FunctionName,
    /// Calls from which it is reckoned.
    pub calls: u64,
    /// With the settings that are current.
    pub before: Money,
    /// With the new ones.
    pub after: Money,
}

/// What the changed memory, timeout and kept instances of functions that both specs have would cost in a
/// month, if calls go on as in `usage`, which was counted over `span_ms`. Functions whose cost stays the same
/// are left out.
///
/// Calls are taken to last as long as they did; only a shorter `timeout` cuts their mean. Kept instances
/// (`scale.min` and `scale.provisioned`, this at its times in the month from `now_ms` on) are added where there are some,
/// used or not. What `concurrency` would save is not known from sums.
///
/// # Errors
/// Those of [`price`], and of [`Provision::new`].
pub fn change(
    sheet: &Sheet,
    machine: Machine,
    usage: &BTreeMap<FunctionName, Usage>,
    span_ms: u64,
    now_ms: u64,
    [before, after]: [&AppSpec; 2],
) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for (function, new) in &after.functions {
        let Some(old) = before.functions.get(function) else { continue };
        let used = usage.get(function).copied().unwrap_or_default();
        let month = |spec: &FunctionSpec| -> Result<Money> {
            let calls = month(sheet, machine, &used, span_ms, spec)?;
            Ok(calls + kept(sheet, machine, spec, kept_ms(&spec.scale, now_ms)?))
        };
        let (before, after) = (month(old)?, month(new)?);
        if before != after {
            changes.push(Change { function: function.clone(), calls: used.invocations, before, after });
        }
    }
    Ok(changes)
}

/// What a month of this traffic costs with these settings.
fn month(sheet: &Sheet, machine: Machine, used: &Usage, span_ms: u64, spec: &FunctionSpec) -> Result<Money> {
    let longest_us = used.invocations.saturating_mul(spec.timeout_ms).saturating_mul(1000);
    let wall_us = used.wall_us.min(longest_us);
    let usage = Usage { wall_us, mib_us: mib_us(spec.memory_bytes, wall_us), ..*used };
    let billed = Billed::sum(sheet, &usage).scaled(MONTH_MS, span_ms);
    Ok(price(sheet, machine, &billed, None)?.total)
}

/// How long instances are kept in the month after `now_ms`, together, milliseconds.
fn kept_ms(scale: &ScaleSpec, now_ms: u64) -> Result<u128> {
    let provision = Provision::new(&scale.provisioned)?;
    let (end_ms, mut at_ms, mut sum_ms) = (now_ms + MONTH_MS, now_ms, 0);
    for _ in 0..FORECAST_CHANGES_MAX {
        let at = provision.at(at_ms);
        // As the pool has it: whatever holds more, and never more than `max`.
        let count = scale.min.max(at.count).min(scale.max);
        let until_ms = at.until_ms.map_or(end_ms, |until_ms| until_ms.clamp(at_ms + 1, end_ms));
        sum_ms += u128::from(count) * u128::from(until_ms - at_ms);
        at_ms = until_ms;
        if at_ms >= end_ms {
            return Ok(sum_ms);
        }
    }
    // It changes so often that a part of the month shows what it is.
    Ok(sum_ms * u128::from(MONTH_MS) / u128::from(at_ms - now_ms))
}

/// What instances cost that are kept so long.
fn kept(sheet: &Sheet, machine: Machine, spec: &FunctionSpec, time_ms: u128) -> Money {
    let time_us = time_ms * 1000;
    let mib = u128::from(spec.memory_bytes.div_ceil(1 << 20).max(sheet.memory_min_mib));
    sheet.kept(machine, time_us, time_us * mib)
}

#[cfg(test)]
mod tests {
    use super::{change, kept_ms};
    use crate::cost::{MONTH_MS, Machine, Place, Sheet};
    use crate::name::FunctionName;
    use crate::spec::{AppSpec, FunctionSpec, ScaleSpec};
    use crate::usage::Usage;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn app(memory_mib: u64, timeout_ms: u64, min: u32) -> AppSpec {
        let function = FunctionSpec {
            memory_bytes: memory_mib << 20,
            timeout_ms,
            scale: ScaleSpec { min, ..ScaleSpec::up_to(9, 1) },
            ..FunctionSpec::new("wasm", "wasi-http", ["f.wasm"])
        };
        let mut app: AppSpec =
            serde_json::from_value(json!({ "app": "a", "routes": [], "functions": {} })).unwrap();
        app.functions.insert(FunctionName::new("f").unwrap(), function);
        app
    }

    #[test]
    fn a_change_of_settings_is_priced_at_known_traffic() {
        let week = MONTH_MS / 4;
        let function = FunctionName::new("f").unwrap();
        // 1 000 000 calls of 999.5 ms, so that half a millisecond more makes a second: 4 000 000 s in a month.
        let traffic = Usage { invocations: 1_000_000, wall_us: 999_500_000_000, ..Usage::default() };
        let quiet = Usage::default();
        for (what, used, before, after, expected) in [
            // 4 000 000 s x 0.125 GB = 500 000 GB-s x 0.0000166667 = 8.33335, and 0.80 for 4 000 000 calls.
            ("the same", traffic, app(128, 30_000, 0), app(128, 30_000, 0), None),
            ("memory", traffic, app(128, 30_000, 0), app(256, 30_000, 0), Some(("9.13335", "17.4667"))),
            // Calls are cut at 499.5 ms.
            (
                "timeout",
                Usage { wall_us: 999_500_000_000, ..traffic },
                app(128, 30_000, 0),
                app(128, 500, 0),
                // 500.5 ms each: 2 002 000 s x 0.125 = 250 250 GB-s = 4.170841675
                Some(("9.13335", "4.970841675")),
            ),
            // 1 GB for 2 628 000 s x 0.0000041667, with and without calls.
            ("kept", quiet, app(1024, 1000, 0), app(1024, 1000, 1), Some(("0", "10.9500876"))),
            ("nothing used", quiet, app(128, 1000, 0), app(256, 1000, 0), None),
        ] {
            let usage = BTreeMap::from([(function.clone(), used)]);
            let sheet = Sheet::shipped(Place::AwsLambda);
            let machine = Machine { cpus: 2, memory_bytes: 4 << 30 };
            let found = change(&sheet, machine, &usage, week, 0, [&before, &after]).unwrap();
            let found = found.first().map(|change| (change.before.to_string(), change.after.to_string()));
            let expected = expected.map(|(before, after)| (before.to_owned(), after.to_owned()));
            assert_eq!(found, expected, "{what}");
        }
    }
    #[test]
    fn provisioned_instances_are_kept_at_their_times() {
        let scale = |min: u32, max: u32, provisioned: serde_json::Value| {
            let provisioned = serde_json::from_value(provisioned).unwrap();
            ScaleSpec { min, provisioned, ..ScaleSpec::up_to(max, 1) }
        };
        let during = |from: &str, to: &str| json!({ "from": from, "to": to, "zone": "UTC" });
        let (hour, month) = (3_600_000, u128::from(MONTH_MS));
        let days = month / (24 * hour);
        let rest = month - days * 24 * hour;
        let night = json!([{ "count": 4, "during": during("0 2 * * *", "0 5 * * *") }]);
        for (what, scale, expected) in [
            ("nothing", scale(0, 9, json!([])), 0),
            ("min", scale(2, 9, json!([])), 2 * month),
            ("always", scale(1, 9, json!([{ "count": 3 }])), 3 * month),
            ("no more than max", scale(1, 2, json!([{ "count": 3 }])), 2 * month),
            (
                "at its times",
                scale(0, 9, night.clone()),
                4 * (3 * days * hour + rest.saturating_sub(2 * hour).min(3 * hour)),
            ),
            (
                "besides min",
                scale(1, 9, night),
                month + 3 * (3 * days * hour + rest.saturating_sub(2 * hour).min(3 * hour)),
            ),
            // A part of the month is walked, half of whose time it holds.
            (
                "often",
                scale(0, 9, json!([{ "count": 2, "during": during("*/2 * * * *", "1-59/2 * * * *") }])),
                month,
            ),
        ] {
            let found = kept_ms(&scale, 0).unwrap();
            assert_eq!(found / hour, expected / hour, "{what}: {found}");
        }
    }
}
