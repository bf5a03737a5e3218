//! What use costs: price sheets, exact money, and the price of calls and of sums of use.
//!
//! **Why.** People choose between their own machine and somebody's service, and they want a bill that they
//! can check by hand. So prices are dated files, sums are whole numbers, and nothing is guessed silently.
//!
//! **How.** [`Sheet`] says what a place charges, [`Billed`] is use as that place counts it (rounded up, with
//! its least memory), and [`price`] multiplies the two. A machine has one price for everything: half of it
//! buys processor time, half memory over time, so that costs of apps add up and the rest is idle
//! ([`Machine`]).
//!
//! **Not here:** counting use ([`crate::usage`]), what other settings would cost ([`crate::forecast`]), and
//! what is done when it costs too much ([`crate::budget`]).

mod money;
mod sheet;

pub use money::{Currency, Money, Price};
pub use sheet::{Kept, Place, Sheet, Tariff, Tier};

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::usage::Usage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A month as price lists reckon it: 730 hours, in milliseconds.
pub const MONTH_MS: u64 = 730 * 3_600_000;
/// MiB-microseconds in a GiB-second.
const GIB_SECOND: u128 = 1024 * 1_000_000;
/// Microseconds in a second.
const SECOND: u128 = 1_000_000;
/// Bytes in a GiB.
const GIB: u128 = 1 << 30;

/// What a machine has, to share out its price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// Processors.
    pub cpus: u64,
    /// Memory, bytes.
    pub memory_bytes: u64,
}

/// Use as a place counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Billed {
    /// Calls.
    pub calls: u64,
    /// Time of calls, rounded up as the place does: microseconds.
    pub time_us: u128,
    /// Memory times that time: MiB-microseconds.
    pub memory_mib_us: u128,
    /// Processor time that was really used, microseconds: what a machine is shared out by.
    pub cpu_us: u128,
    /// Local disk that functions asked for, times time: MiB-microseconds.
    pub storage_mib_us: u128,
    /// Bytes of answers.
    pub bytes_out: u128,
}

impl Billed {
    /// One call, exactly.
    pub fn call(sheet: &Sheet, wall_us: u64, memory_bytes: u64, cpu_us: u64, bytes_out: u64) -> Self {
        let step = u128::from(sheet.round_ms) * 1000;
        let wall = u128::from(wall_us);
        let time_us = if step == 0 { wall } else { wall.div_ceil(step).max(1) * step };
        let mib = u128::from(memory_bytes.div_ceil(1 << 20).max(sheet.memory_min_mib));
        Self {
            calls: 1,
            time_us,
            memory_mib_us: time_us * mib,
            cpu_us: cpu_us.into(),
            storage_mib_us: 0,
            bytes_out: bytes_out.into(),
        }
    }

    /// A sum of calls. What rounding up adds to each is not known any more: half a step is taken, which it
    /// is on average, and a whole step for calls that are shorter than that.
    pub fn sum(sheet: &Sheet, usage: &Usage) -> Self {
        let (calls, wall) = (u128::from(usage.invocations), u128::from(usage.wall_us));
        let step = u128::from(sheet.round_ms) * 1000;
        let time_us = (wall + calls * step / 2).max(calls * step);
        // The mean memory of the calls, by their time.
        let memory = (time_us * u128::from(usage.mib_us)).checked_div(wall).unwrap_or_default();
        Self {
            calls: usage.invocations,
            time_us,
            memory_mib_us: memory.max(time_us * u128::from(sheet.memory_min_mib)),
            cpu_us: usage.cpu_us.into(),
            storage_mib_us: 0,
            bytes_out: usage.bytes_out.into(),
        }
    }

    /// The same use going on for another time: `numerator / denominator` of it.
    #[must_use]
    pub fn scaled(&self, numerator: u64, denominator: u64) -> Self {
        let scale = |value: u128| value.saturating_mul(numerator.into()) / u128::from(denominator.max(1));
        Self {
            calls: u64::try_from(scale(self.calls.into())).unwrap_or(u64::MAX),
            time_us: scale(self.time_us),
            memory_mib_us: scale(self.memory_mib_us),
            cpu_us: scale(self.cpu_us),
            storage_mib_us: scale(self.storage_mib_us),
            bytes_out: scale(self.bytes_out),
        }
    }
}

impl std::ops::AddAssign for Billed {
    fn add_assign(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.time_us += other.time_us;
        self.memory_mib_us += other.memory_mib_us;
        self.cpu_us += other.cpu_us;
        self.storage_mib_us += other.storage_mib_us;
        self.bytes_out += other.bytes_out;
    }
}

/// A cost and its parts, in the currency of the sheet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// All of it.
    pub total: Money,
    /// For the number of calls.
    pub requests: Money,
    /// For time: memory and processors.
    pub compute: Money,
    /// For bytes of answers.
    pub egress: Money,
    /// For local disk.
    pub storage: Money,
}

impl Cost {
    fn of(requests: Money, compute: Money, egress: Money, storage: Money) -> Self {
        Self { total: requests + compute + egress + storage, requests, compute, egress, storage }
    }
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = Self::of(
            self.requests + other.requests,
            self.compute + other.compute,
            self.egress + other.egress,
            self.storage + other.storage,
        );
    }
}

/// What use costs at a place. With `free_ms`, the part of the month's free tier that belongs to so many
/// milliseconds is taken off first.
///
/// # Errors
/// `HOB-0103` when the place is a machine whose price nobody has said.
pub fn price(sheet: &Sheet, machine: Machine, billed: &Billed, free_ms: Option<u64>) -> Result<Cost> {
    if let Some(month) = &sheet.per_month {
        return Ok(Cost::of(
            Money::ZERO,
            of_machine(month.amount, machine, billed),
            Money::ZERO,
            Money::ZERO,
        ));
    }
    if sheet.name == Place::Own {
        return Err(no_price());
    }
    let charge = |tariff: &Option<Tariff>, quantity: u128, unit: u128| {
        tariff.as_ref().map_or(Money::ZERO, |tariff| tariff.charge(quantity, unit, free_ms))
    };
    let compute = charge(&sheet.memory, billed.memory_mib_us, GIB_SECOND)
        + charge(&sheet.cpu, billed.time_us * u128::from(sheet.vcpus), SECOND);
    Ok(Cost::of(
        charge(&sheet.requests, billed.calls.into(), 1),
        compute,
        charge(&sheet.egress, billed.bytes_out, GIB),
        charge(&sheet.storage, billed.storage_mib_us, GIB_SECOND),
    ))
}

/// What is said where the price of the machine is needed and unknown.
pub fn no_price() -> Fault {
    Fault::new(Code::ManifestValue, "nobody has said what this machine costs")
        .hint("start the node with `--price-per-month 40EUR` (or `HOB_PRICE_PER_MONTH`), or ask with `--at aws-lambda`")
}

/// Half of a machine's price buys its processors' time, half its memory's.
fn of_machine(month: Money, machine: Machine, billed: &Billed) -> Money {
    let month_us = u128::from(MONTH_MS) * 1000;
    let cpu = u128::from(machine.cpus.max(1)) * month_us;
    let memory = u128::from((machine.memory_bytes >> 20).max(1)) * month_us;
    month.times(billed.cpu_us, 2 * cpu) + month.times(billed.memory_mib_us, 2 * memory)
}

/// What a machine costs in so many milliseconds, used or not.
pub fn of_time(month: Money, span_ms: u64) -> Money {
    month.times(span_ms.into(), MONTH_MS.into())
}

impl Sheet {
    /// What instances cost that wait for calls, for their time and their memory's time (MiB-microseconds).
    pub fn kept(&self, machine: Machine, time_us: u128, memory_mib_us: u128) -> Money {
        match (&self.per_month, &self.kept) {
            (Some(price), _) => {
                of_machine(price.amount, machine, &Billed { memory_mib_us, ..Billed::default() })
            }
            (None, Some(kept)) => {
                kept.memory.times(memory_mib_us, GIB_SECOND)
                    + kept.cpu.times(time_us * u128::from(self.vcpus), SECOND)
            }
            (None, None) => Money::ZERO,
        }
    }
}

impl Tariff {
    /// What a quantity costs, given in parts of which `unit` make one of the tariff's.
    fn charge(&self, quantity: u128, unit: u128, free_ms: Option<u64>) -> Money {
        let free =
            free_ms.map_or(0, |ms| u128::from(self.free) * unit * u128::from(ms) / u128::from(MONTH_MS));
        let quantity = quantity.saturating_sub(free);
        let (mut from, mut total) = (0, Money::ZERO);
        for tier in &self.tiers {
            let to = tier.to.map_or(u128::MAX, |to| u128::from(to) * unit);
            total += tier.price.times(quantity.min(to).saturating_sub(from), unit * u128::from(self.per));
            from = to;
        }
        total
    }
}

#[cfg(test)]
mod tests;
