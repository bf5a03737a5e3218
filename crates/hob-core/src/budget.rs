//! How much of a budget is used, and what follows from that.
//!
//! **How.** A budget has up to three limits (money, calls, memory over time); the one that is used most
//! counts. [`assess`] compares them with the use of the period, which begins anew at midnight UTC or on the
//! first of the month ([`period`]).
//!
//! **Not here:** who is told ([`crate::alert`]), and refusing calls (the node).

use crate::cost::{Billed, Machine, Money, Sheet, price};
use crate::usage::Usage;
use crate::watch::{BudgetSpec, Per};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// MiB-microseconds in a GiB-second.
const GIB_SECOND: u128 = 1024 * 1_000_000;
/// All of a budget, in thousandths of a percent.
const ALL: u64 = 100_000;

/// The period that holds a time: its begin and its end, milliseconds since the Unix epoch.
pub fn period(per: Per, now_ms: u64) -> (u64, u64) {
    let now =
        Timestamp::from_millisecond(i64::try_from(now_ms).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
    let today = TimeZone::UTC.to_datetime(now).date();
    let (first, next) = match per {
        Per::Day => (today, today.tomorrow().unwrap_or(today)),
        Per::Month => {
            let first = today.first_of_month();
            (first, today.last_of_month().tomorrow().unwrap_or(first))
        }
    };
    let ms = |date: jiff::civil::Date| {
        let midnight = TimeZone::UTC.to_timestamp(DateTime::from(date));
        midnight.ok().and_then(|at| u64::try_from(at.as_millisecond()).ok()).unwrap_or(now_ms)
    };
    (ms(first), ms(next))
}

/// Which limit of a budget is used most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Money.
    Amount,
    /// Calls.
    Invocations,
    /// Memory over time.
    GbSeconds,
}

/// How a budget stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    /// How much is used, in thousandths of a percent; may be above a hundred percent.
    pub used: u64,
    /// Which limit that is.
    pub limit: Limit,
    /// Used and allowed, in words: `3 of 10 calls`.
    pub text: String,
    /// Calls that are left, where they are limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_left: Option<u64>,
    /// When the period began, milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// When the next one begins.
    pub until_ms: u64,
    /// Whether calls are refused until then.
    pub stopped: bool,
    /// Percentages that are reached, of those at which somebody is told.
    pub reached: Vec<u32>,
    /// Why the amount of money is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// Compares a budget with what was used since the begin of its period.
///
/// An amount in another currency than the sheet's, or of a machine without a price, cannot be reckoned: it
/// stops nothing, and `unknown` says so.
pub fn assess(budget: &BudgetSpec, used: &Usage, sheet: &Sheet, machine: Machine, now_ms: u64) -> Standing {
    let (since_ms, until_ms) = period(budget.per, now_ms);
    let mut limits = Vec::new();
    let mut unknown = None;
    if let Some(most) = budget.invocations {
        let text = format!("{} of {most} calls", used.invocations);
        limits.push((part(used.invocations.into(), most.into()), Limit::Invocations, text));
    }
    if let Some(most) = budget.gb_seconds {
        let gib_seconds = u128::from(used.mib_us) / GIB_SECOND;
        let text = format!("{gib_seconds} of {most} GB-seconds");
        limits.push((part(used.mib_us.into(), u128::from(most) * GIB_SECOND), Limit::GbSeconds, text));
    }
    if let Some(most) = &budget.amount {
        match spent(budget, used, sheet, machine) {
            Ok(spent) => {
                let text = format!("{} of {most} at {}", spent.show(), budget.at);
                let pico = |money: Money| money.as_pico().unsigned_abs();
                limits.push((part(pico(spent), pico(most.amount)), Limit::Amount, text));
            }
            Err(why) => unknown = Some(why),
        }
    }
    let most = limits.into_iter().max_by_key(|(used, _, _)| *used);
    let (part, limit, text) = most.unwrap_or_else(|| (0, Limit::Amount, unknown.clone().unwrap_or_default()));
    Standing {
        used: part,
        limit,
        text,
        calls_left: budget.invocations.map(|most| most.saturating_sub(used.invocations)),
        since_ms,
        until_ms,
        stopped: budget.stop && part >= ALL,
        reached: budget.alert.iter().copied().filter(|percent| part >= u64::from(*percent) * 1000).collect(),
        unknown,
    }
}

fn spent(budget: &BudgetSpec, used: &Usage, sheet: &Sheet, machine: Machine) -> Result<Money, String> {
    let cost =
        price(sheet, machine, &Billed::sum(sheet, used), None).map_err(|fault| fault.message().to_owned())?;
    match (sheet.currency(), &budget.amount) {
        (Some(currency), Some(amount)) if *currency != amount.currency => Err(format!(
            "the budget is in {}, the prices at {} are in {currency}",
            amount.currency, budget.at
        )),
        _ => Ok(cost.total),
    }
}

/// A share in thousandths of a percent. Nothing allowed is used up.
fn part(used: u128, most: u128) -> u64 {
    // A limit that is just not reached must not look like one that is: the division rounds down.
    let whole = used.checked_mul(ALL.into()).map(|used| used / most.max(1)).unwrap_or(u128::MAX);
    if most == 0 { ALL } else { u64::try_from(whole).unwrap_or(u64::MAX) }
}

#[cfg(test)]
mod tests {
    use super::{Limit, assess, period};
    use crate::cost::{Machine, Place, Price, Sheet};
    use crate::name::TopicName;
    use crate::usage::Usage;
    use crate::watch::{BudgetSpec, Per};

    const MACHINE: Machine = Machine { cpus: 1, memory_bytes: 1 << 30 };
    /// 2026-11-26T02:10:59Z.
    const NOW: u64 = 1_795_659_059_000;

    fn budget(amount: &str, invocations: Option<u64>, gb_seconds: Option<u64>) -> BudgetSpec {
        BudgetSpec {
            per: Per::Month,
            at: Place::AwsLambda,
            amount: Price::parse(amount).ok(),
            invocations,
            gb_seconds,
            alert: vec![50, 80, 100],
            stop: true,
            publish: TopicName::new("alerts").unwrap(),
        }
    }

    #[test]
    fn periods_are_those_of_the_calendar() {
        for (per, now, begin, end) in [
            (Per::Day, NOW, 1_795_651_200_000, 1_795_737_600_000),
            (Per::Day, 1_795_651_200_000, 1_795_651_200_000, 1_795_737_600_000),
            (Per::Day, 1_795_651_199_999, 1_795_564_800_000, 1_795_651_200_000),
            // 2026-11-01 and 2026-12-01.
            (Per::Month, NOW, 1_793_491_200_000, 1_796_083_200_000),
            // 2027-02-01 and 2027-03-01.
            (Per::Month, 1_803_000_000_000, 1_801_440_000_000, 1_803_859_200_000),
        ] {
            assert_eq!(period(per, now), (begin, end), "{per:?} {now}");
        }
    }

    #[test]
    fn what_is_used_most_counts() {
        let used = |invocations, wall_us: u64, mib| Usage {
            invocations,
            wall_us,
            mib_us: wall_us * mib,
            ..Usage::default()
        };
        let (five, all) = (used(5, 0, 0), vec![50, 80, 100]);
        for (budget, used, share, limit, text, reached) in [
            (budget("", Some(10), None), five, 50_000, Limit::Invocations, "5 of 10 calls", vec![50]),
            (budget("", Some(6), None), five, 83_333, Limit::Invocations, "5 of 6 calls", vec![50, 80]),
            (budget("", Some(5), None), five, 100_000, Limit::Invocations, "5 of 5 calls", all.clone()),
            (
                budget("", Some(0), None),
                used(0, 0, 0),
                100_000,
                Limit::Invocations,
                "0 of 0 calls",
                all.clone(),
            ),
            // 3.999 of 4 GB-seconds are not spent.
            (
                budget("", Some(100), Some(4)),
                used(5, 3_999_999, 1024),
                99_999,
                Limit::GbSeconds,
                "3 of 4 GB-seconds",
                vec![50, 80],
            ),
            // 1 000 000 calls cost 0.20, and 1.5 ms of 128 MiB each 0.0031 together.
            (
                budget("0.2 USD", None, None),
                used(1_000_000, 1_000_000_000, 128),
                101_562,
                Limit::Amount,
                "0.20 of 0.20 USD at aws-lambda",
                all,
            ),
        ] {
            let found = assess(&budget, &used, &Sheet::shipped(budget.at), MACHINE, NOW);
            assert_eq!((found.used, found.limit, found.text.as_str()), (share, limit, text));
            assert_eq!((found.reached, found.stopped), (reached, share >= 100_000), "{text}");
        }
    }

    #[test]
    fn money_that_cannot_be_reckoned_stops_nothing() {
        for (sheet, why) in [
            (Sheet::own(None), "nobody has said what this machine costs"),
            (Sheet::own(Price::parse("40 EUR").ok()), "the budget is in USD, the prices at own are in EUR"),
        ] {
            let budget = BudgetSpec { at: Place::Own, ..budget("1 USD", None, None) };
            let used = Usage { cpu_us: u64::MAX, ..Usage::default() };
            let found = assess(&budget, &used, &sheet, MACHINE, NOW);
            assert_eq!((found.unknown.as_deref(), found.stopped), (Some(why), false));
        }
    }
}
