//! How long use is kept, and in which detail.

use super::Period;
use crate::limit::{USAGE_DAYS_KEPT, USAGE_HOURS_KEPT};
use crate::unit::millis;
use std::time::Duration;

/// What becomes of the use of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It stays as it is.
    AsIs,
    /// It is added to that of its day, and then goes. Only whole days are taken, so that a day is either
    /// all hours or one sum.
    InDay(Period),
    /// It goes.
    Not,
}

/// What becomes of a period's use, at `now_ms` (milliseconds since the Unix epoch).
pub fn keep(period: Period, now_ms: u64) -> Keep {
    let older = |period: Period, kept: Duration| period.end_ms().saturating_add(millis(kept)) <= now_ms;
    if older(period, USAGE_DAYS_KEPT) {
        return Keep::Not;
    }
    match period {
        Period::Hour(_) if older(period.day(), USAGE_HOURS_KEPT) => Keep::InDay(period.day()),
        Period::Hour(_) | Period::Day(_) => Keep::AsIs,
    }
}
