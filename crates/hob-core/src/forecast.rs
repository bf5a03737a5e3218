//! What other settings would cost at the traffic that there was.
//!
//! **Why.** Memory is set once and paid with every call: whoever deploys a change should see what it costs.
//!
//! **Not here:** prices themselves ([`crate::cost`]), which know nothing of apps.

use crate::cost::{Billed, MONTH_MS, Machine, Money, Sheet, price};
use crate::fault::Result;
use crate::name::FunctionName;
use crate::spec::{AppSpec, FunctionSpec};
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
/// (`scale.min`) are added where there are some, used or not. What `concurrency` would save is not known from
/// sums.
///
/// # Errors
/// Those of [`price`].
pub fn change(
    sheet: &Sheet,
    machine: Machine,
    usage: &BTreeMap<FunctionName, Usage>,
    span_ms: u64,
    before: &AppSpec,
    after: &AppSpec,
) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for (function, new) in &after.functions {
        let Some(old) = before.functions.get(function) else { continue };
        let used = usage.get(function).copied().unwrap_or_default();
        let (before, after) =
            (month(sheet, machine, &used, span_ms, old)?, month(sheet, machine, &used, span_ms, new)?);
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
    Ok(price(sheet, machine, &billed, None)?.total + kept(sheet, machine, spec))
}

/// What the instances cost that are kept for a month.
fn kept(sheet: &Sheet, machine: Machine, spec: &FunctionSpec) -> Money {
    let time_us = u128::from(spec.scale.min) * u128::from(MONTH_MS) * 1000;
    let mib = u128::from(spec.memory_bytes.div_ceil(1 << 20).max(sheet.memory_min_mib));
    sheet.kept(machine, time_us, time_us * mib)
}

#[cfg(test)]
mod tests {
    use super::change;
    use crate::cost::{MONTH_MS, Machine, Place, Sheet};
    use crate::name::FunctionName;
    use crate::spec::AppSpec;
    use crate::usage::Usage;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn app(memory_mib: u64, timeout_ms: u64, min: u32) -> AppSpec {
        serde_json::from_value(json!({ "app": "a", "routes": [], "functions": { "f": {
            "host": "wasm", "contract": "wasi-http", "run": ["f.wasm"], "package": {}, "env": {},
            "timeout_ms": timeout_ms, "memory_bytes": memory_mib << 20, "body_bytes_max": 1, "egress": null,
            "private": false, "settings": {},
            "scale": { "min": min, "max": 9, "concurrency": 1, "idle_ms": 1, "calls_per_instance": null },
        } } }))
        .unwrap()
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
            let found =
                change(&sheet, Machine { cpus: 2, memory_bytes: 4 << 30 }, &usage, week, &before, &after)
                    .unwrap();
            let found = found.first().map(|change| (change.before.to_string(), change.after.to_string()));
            let expected = expected.map(|(before, after)| (before.to_owned(), after.to_owned()));
            assert_eq!(found, expected, "{what}");
        }
    }
}
