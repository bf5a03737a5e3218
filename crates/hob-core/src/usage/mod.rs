//! What calls and stored bytes used: counted per hour, added up per day, kept for a year.
//!
//! **Why.** A cost is a price times a use, and the use has to be known for longer than facts are kept.
//! Facts may be sampled; usage is exact, so budgets and bills can stand on it.
//!
//! **How.** [`Usage`] is a sum of whole numbers that can be added in any order. [`Rows`] are the sums of
//! one app in one [`Period`], by function, revision and trigger, bounded in number. After some days
//! hours become days, and days go after a year ([`keep`]). [`select`] answers a question.
//!
//! **Not here:** prices (they belong to who asks), counting (the node's meters), where rows are stored.

mod report;
mod roll;

pub use report::{By, Part, select};
pub use roll::{Keep, keep};

use crate::limit::USAGE_ROWS_MAX;
use crate::name::{FunctionName, RevisionNumber, TriggerName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// What was used, in whole numbers. Sums stop at the largest number instead of overflowing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Usage {
    /// Calls that have ended.
    pub invocations: u64,
    /// Of these: failed by a fault or answered with a status of 500 or above.
    pub failures: u64,
    /// Time of calls from the end of their waiting to the end of their answer, starts included: microseconds.
    pub wall_us: u64,
    /// Processor time of functions, microseconds.
    pub cpu_us: u64,
    /// Memory that a function may have, times `wall_us`: mebibyte-microseconds ([`Usage::gib_seconds`]).
    pub mib_us: u64,
    /// Bytes of requests' bodies.
    pub bytes_in: u64,
    /// Bytes of answers' bodies.
    pub bytes_out: u64,
    /// Instances that were started for a call which had to wait for it.
    pub cold_starts: u64,
    /// Bytes on disk (artifacts of kept revisions, topics), times how long they were there: kibibyte-seconds
    /// ([`Usage::stored_gib_hours`]).
    pub stored_kib_s: u64,
}

impl Usage {
    /// Whether nothing was used.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Memory times time in GiB-seconds, as price lists count it (their GB is 1024 MiB).
    #[expect(clippy::cast_precision_loss, reason = "a price needs no more digits")]
    pub fn gib_seconds(&self) -> f64 {
        self.mib_us as f64 / 1024.0 / 1e6
    }

    /// Stored bytes times time in GiB-hours.
    #[expect(clippy::cast_precision_loss, reason = "a price needs no more digits")]
    pub fn stored_gib_hours(&self) -> f64 {
        self.stored_kib_s as f64 / f64::from(1 << 20) / 3600.0
    }

    /// What has come since `before`, of sums that only grow.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        self.zip(before, u64::saturating_sub)
    }

    fn zip(&self, other: &Self, with: fn(u64, u64) -> u64) -> Self {
        Self {
            invocations: with(self.invocations, other.invocations),
            failures: with(self.failures, other.failures),
            wall_us: with(self.wall_us, other.wall_us),
            cpu_us: with(self.cpu_us, other.cpu_us),
            mib_us: with(self.mib_us, other.mib_us),
            bytes_in: with(self.bytes_in, other.bytes_in),
            bytes_out: with(self.bytes_out, other.bytes_out),
            cold_starts: with(self.cold_starts, other.cold_starts),
            stored_kib_s: with(self.stored_kib_s, other.stored_kib_s),
        }
    }
}

impl AddAssign<&Self> for Usage {
    fn add_assign(&mut self, other: &Self) {
        *self = self.zip(other, u64::saturating_add);
    }
}

/// Memory times time in mebibyte-microseconds, rounded up: the unit of [`Usage::mib_us`].
pub fn mib_us(memory_bytes: u64, time_us: u64) -> u64 {
    let product = u128::from(memory_bytes) * u128::from(time_us);
    u64::try_from(product.div_ceil(1 << 20)).unwrap_or(u64::MAX)
}

/// Whose use it was, within an app.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Whose {
    /// The function; `None`: the app as a whole (what it stores), or functions that had no row of their own.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionName>,
    /// The revision.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionNumber>,
    /// The subscription or schedule; `None`: a request or call.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerName>,
}

/// What an app used in one period: at most [`USAGE_ROWS_MAX`] rows. What comes when there are as many is
/// added to the row of its function and revision or, without one, to one more row, of the app; no count is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(Whose, Usage)>", into = "Vec<(Whose, Usage)>")]
pub struct Rows(BTreeMap<Whose, Usage>);

impl Rows {
    /// Adds to one row.
    pub fn add(&mut self, whose: &Whose, usage: &Usage) {
        if usage.is_empty() {
            return;
        }
        let full = self.0.len() >= USAGE_ROWS_MAX;
        if !full || self.0.contains_key(whose) {
            *self.0.entry(whose.clone()).or_default() += usage;
            return;
        }
        let function = Whose { trigger: None, ..whose.clone() };
        let whose = if self.0.contains_key(&function) { function } else { Whose::default() };
        *self.0.entry(whose).or_default() += usage;
    }

    /// Adds every row of another.
    pub fn merge(&mut self, other: &Self) {
        other.iter().for_each(|(whose, usage)| self.add(whose, usage));
    }

    /// Every row, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Whose, &Usage)> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<(Whose, Usage)>> for Rows {
    fn from(rows: Vec<(Whose, Usage)>) -> Self {
        // They were bounded when they were added.
        Self(rows.into_iter().collect())
    }
}

impl From<Rows> for Vec<(Whose, Usage)> {
    fn from(rows: Rows) -> Self {
        rows.0.into_iter().collect()
    }
}

/// A stretch of time over which use is added up, of the clock UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// Hours since the Unix epoch.
    Hour(u64),
    /// Days since the Unix epoch.
    Day(u64),
}

/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;
/// Hours of a day.
const DAY_HOURS: u64 = 24;

impl Period {
    /// The hour of a time, milliseconds since the Unix epoch.
    pub const fn hour_of(time_ms: u64) -> Self {
        Self::Hour(time_ms / HOUR_MS)
    }

    /// The day that it is, or is part of.
    #[must_use]
    pub const fn day(self) -> Self {
        match self {
            Self::Hour(hour) => Self::Day(hour / DAY_HOURS),
            Self::Day(_) => self,
        }
    }

    /// When it began, milliseconds since the Unix epoch.
    pub const fn start_ms(self) -> u64 {
        match self {
            Self::Hour(hour) => hour.saturating_mul(HOUR_MS),
            Self::Day(day) => day.saturating_mul(DAY_HOURS * HOUR_MS),
        }
    }

    /// When it is over, milliseconds since the Unix epoch.
    pub const fn end_ms(self) -> u64 {
        match self {
            Self::Hour(hour) => Self::Hour(hour.saturating_add(1)).start_ms(),
            Self::Day(day) => Self::Day(day.saturating_add(1)).start_ms(),
        }
    }
}

#[cfg(test)]
mod tests;
