//! What other settings would cost at the traffic that there was.

use super::{Billed, GIB_SECOND, MONTH_MS, Machine, Money, SECOND, Sheet, of_machine, price};
use crate::fault::Result;
use crate::name::FunctionName;
use crate::spec::{AppSpec, FunctionSpec};
use crate::usage::Usage;
use crate::usage::mib_us;
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
    match (&sheet.per_month, &sheet.kept) {
        (Some(price), _) => {
            of_machine(price.amount, machine, &Billed { memory_mib_us: time_us * mib, ..Billed::default() })
        }
        (None, Some(kept)) => {
            kept.memory.times(time_us * mib, GIB_SECOND)
                + kept.cpu.times(time_us * u128::from(sheet.vcpus), SECOND)
        }
        (None, None) => Money::ZERO,
    }
}
