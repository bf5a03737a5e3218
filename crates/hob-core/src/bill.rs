//! Bills: use and a price sheet become costs with parts, shares and a month.
//!
//! **Why.** The command line, the dashboard and budgets must not reckon in three ways.
//!
//! **How.** [`of_usage`] prices sums, [`of_calls`] single calls of a trace, which are rounded up exactly. A
//! month is what the same use would cost if it went on as in the time that was counted.
//!
//! **Not here:** prices ([`crate::cost`]) and where use comes from.

use crate::cost::{Billed, Cost, MONTH_MS, Machine, Money, Place, Sheet, no_price, of_time, price};
use crate::fact::{Call, Fact, What};
use crate::fault::Result;
use crate::usage::{Usage, mib_us};
use crate::wire::{CostReport, CostRow, UsageReport};

/// The least time from which a month is reckoned: an hour, since use is counted by the hour.
const PROJECTED_FROM_MS: u64 = 3_600_000;

/// The bill for sums of use. `counted_ms` is for how long there was use to count, at most the report's time.
/// With `free`, the place's free tier is taken off the totals, not off the rows: it is the account's.
///
/// # Errors
/// `HOB-0103` when the place is a machine whose price nobody has said.
pub fn of_usage(
    sheet: &Sheet,
    machine: Machine,
    report: &UsageReport,
    counted_ms: u64,
    free: bool,
) -> Result<CostReport> {
    let by_month = counted_ms >= PROJECTED_FROM_MS;
    let month = |billed: &Billed, free_ms| -> Result<Option<Money>> {
        let projected = by_month.then(|| billed.scaled(MONTH_MS, counted_ms));
        projected.map(|billed| price(sheet, machine, &billed, free_ms).map(|cost| cost.total)).transpose()
    };
    let mut rows = Vec::new();
    let mut all = Billed::default();
    for row in &report.rows {
        if row.usage.invocations == 0 {
            // What is stored costs nothing at any of the places.
            continue;
        }
        let billed = Billed::sum(sheet, &row.usage);
        all += billed;
        rows.push(CostRow {
            app: row.app.clone(),
            function: row.function.clone(),
            revision: row.revision,
            trigger: row.trigger.clone(),
            start_ms: row.start_ms,
            call: None,
            cost: price(sheet, machine, &billed, None)?,
            month: month(&billed, None)?,
            share: 0,
            usage: row.usage,
        });
    }
    let free_ms = free.then_some(counted_ms);
    let total = price(sheet, machine, &all, free_ms)?;
    let month = month(&all, free.then_some(MONTH_MS))?;
    let span = (report.since_ms, report.until_ms);
    let idle = idle(sheet, total.total, counted_ms);
    Ok(CostReport { month, idle, ..report_of(sheet, span, total, report.total, rows)? })
}

/// The bill for the calls among these facts, one row each.
///
/// # Errors
/// `HOB-0103` when the place is a machine whose price nobody has said.
pub fn of_calls(sheet: &Sheet, machine: Machine, facts: &[Fact]) -> Result<CostReport> {
    let mut rows = Vec::new();
    let (mut all, mut used) = (Billed::default(), Usage::default());
    let mut span = (u64::MAX, 0);
    for fact in facts {
        let What::Call(call) = &fact.what else { continue };
        let usage = usage_of(call);
        let Usage { wall_us, cpu_us, bytes_out, .. } = usage;
        let billed = Billed::call(sheet, wall_us, call.used.memory_bytes, cpu_us, bytes_out);
        all += billed;
        used += &usage;
        span = (span.0.min(fact.time_ms), span.1.max(fact.time_ms + call.times.total_us / 1000));
        rows.push(CostRow {
            app: Some(call.app.clone()),
            function: Some(call.function.clone()),
            revision: Some(call.revision),
            trigger: call.cause.trigger().cloned(),
            start_ms: Some(fact.time_ms),
            call: Some(call.id),
            cost: price(sheet, machine, &billed, None)?,
            usage,
            ..CostRow::default()
        });
    }
    let total = price(sheet, machine, &all, None)?;
    report_of(sheet, (span.0.min(span.1), span.1), total, used, rows)
}

/// What a call used, as sums count it: waiting is not billed.
fn usage_of(call: &Call) -> Usage {
    let wall_us = call.times.total_us.saturating_sub(call.times.queue_us);
    Usage {
        invocations: 1,
        failures: u64::from(call.failed()),
        wall_us,
        cpu_us: call.used.cpu_us.unwrap_or_default(),
        mib_us: mib_us(call.used.memory_bytes, wall_us),
        bytes_in: call.used.bytes_in,
        bytes_out: call.used.bytes_out,
        cold_starts: u64::from(call.cold),
        stored_kib_s: 0,
    }
}

fn report_of(
    sheet: &Sheet,
    (since_ms, until_ms): (u64, u64),
    total: Cost,
    usage: Usage,
    mut rows: Vec<CostRow>,
) -> Result<CostReport> {
    let whole: Money = rows.iter().map(|row| row.cost.total).sum();
    rows.iter_mut().for_each(|row| row.share = row.cost.total.share_of(whole));
    // Those of one time stay in order; otherwise the most expensive goes first.
    if rows.iter().all(|row| row.start_ms.is_none()) {
        rows.sort_by_key(|row| std::cmp::Reverse(row.cost.total));
    }
    Ok(CostReport {
        at: sheet.name,
        about: sheet.about(),
        source: sheet.source.clone(),
        currency: sheet.currency().cloned().ok_or_else(no_price)?,
        since_ms,
        until_ms,
        total,
        usage,
        month: None,
        idle: None,
        rows,
    })
}

/// What a machine cost though nobody used it.
fn idle(sheet: &Sheet, used: Money, counted_ms: u64) -> Option<Money> {
    let month = sheet.per_month.as_ref().filter(|_| sheet.name == Place::Own)?;
    Some((of_time(month.amount, counted_ms) - used).max(Money::ZERO))
}

#[cfg(test)]
mod tests {
    use super::{of_calls, of_usage};
    use crate::cost::{MONTH_MS, Machine, Place, Price, Sheet};
    use crate::fact::Fact;
    use crate::name::AppName;
    use crate::usage::Usage;
    use crate::wire::{UsageReport, UsageRow};
    use serde_json::json;

    const MACHINE: Machine = Machine { cpus: 2, memory_bytes: 4 << 30 };

    fn report(rows: &[(&str, u64, u64)]) -> UsageReport {
        let rows: Vec<UsageRow> = rows
            .iter()
            .map(|(app, invocations, cpu_us)| UsageRow {
                app: AppName::new(app).ok(),
                usage: Usage { invocations: *invocations, cpu_us: *cpu_us, ..Usage::default() },
                ..UsageRow::default()
            })
            .collect();
        let mut total = Usage::default();
        rows.iter().for_each(|row| total += &row.usage);
        UsageReport { since_ms: 0, until_ms: MONTH_MS, total, rows }
    }

    #[test]
    fn a_machine_is_shared_out_and_the_rest_is_idle() {
        let sheet = Sheet::own(Price::parse("40 EUR").ok());
        // Half a processor of two for a tenth of the month, and a tenth of that; "shelf" only stores.
        let tenth = MONTH_MS / 10;
        let used_us = tenth * 1000 / 2;
        let found = of_usage(
            &sheet,
            MACHINE,
            &report(&[("small", 1, used_us / 10), ("large", 1, used_us), ("shelf", 0, 0)]),
            tenth,
            false,
        )
        .unwrap();
        let rows: Vec<(String, String, String, u32)> = found
            .rows
            .iter()
            .map(|row| {
                let month = row.month.unwrap().to_string();
                (row.app.as_ref().unwrap().to_string(), row.cost.total.to_string(), month, row.share)
            })
            .collect();
        // Half of 40 for 2 processors: a quarter of them for a tenth of a month is 0.5.
        assert_eq!(
            rows,
            [
                ("large".into(), "0.5".into(), "5".into(), 90_909),
                ("small".into(), "0.05".into(), "0.5".into(), 9_090)
            ]
        );
        let (idle, month) = (found.idle.unwrap().to_string(), found.month.unwrap().to_string());
        assert_eq!(
            (found.total.total.to_string(), idle, month),
            ("0.55".into(), "3.45".into(), "5.5".into())
        );
        let short = of_usage(&sheet, MACHINE, &report(&[("small", 1, 1)]), 60_000, false).unwrap();
        assert_eq!(short.month, None, "a minute says nothing about a month");
    }

    #[test]
    fn the_free_tier_is_taken_off_the_total() {
        let sheet = Sheet::shipped(Place::AwsLambda);
        let sums = report(&[("shop", 3_000_000, 0)]);
        let cost =
            |free| of_usage(&sheet, MACHINE, &sums, MONTH_MS, free).unwrap().total.requests.to_string();
        assert_eq!((cost(false), cost(true)), ("0.6".to_owned(), "0.4".to_owned()));
    }

    #[test]
    fn the_calls_of_a_trace_cost_what_each_costs() {
        let call = |id: &str, queue_us: u64, total_us: u64| -> Fact {
            serde_json::from_value(json!({
                "time_ms": 5, "fact": "call", "id": id, "app": "shop", "revision": 1, "function": "front",
                "cause": { "by": "request" }, "method": "GET", "path": "/", "status": 200,
                "times": { "queue_us": queue_us, "start_us": 0, "answer_us": 1, "total_us": total_us },
                "used": { "memory_bytes": 1 << 30, "bytes_in": 0, "bytes_out": 0 },
            }))
            .unwrap()
        };
        let other: Fact = serde_json::from_value(json!({
            "time_ms": 1, "fact": "run", "app": "shop", "schedule": "x",
            "decision": { "decided": "fired", "sequence": 1 },
        }))
        .unwrap();
        let first = "01980000000070008000000000000001";
        let second = "01980000000070008000000000000002";
        let facts = [other, call(first, 5000, 6500), call(second, 0, 1)];
        let found = of_calls(&Sheet::shipped(Place::AwsLambda), MACHINE, &facts).unwrap();
        // 2 ms and 1 ms of 1 GB: 0.003 GB-s, to the trillionth; and two requests.
        assert_eq!(
            (found.total.compute.to_string(), found.total.requests.to_string()),
            ("0.00000005".into(), "0.0000004".into())
        );
        assert_eq!((found.rows.len(), found.usage.wall_us, found.until_ms), (2, 1501, 11));
    }
}
