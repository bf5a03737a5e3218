//! When a schedule is due, and which of its runs to begin, as pure decisions.
//!
//! **Why.** Schedules fail on two days of the year, after a reboot, and when a clock is set: all of them
//! hard to meet in a test that waits. As values that read no clock, years of them pass in a second.
//!
//! **How.** [`Expression`] is what a person wrote; a [`Schedule`] adds the time zone and says when it is due
//! after some moment. [`decide()`] compares that with the time that it is told and with what was decided
//! before, and says which runs to begin, which are left out and why, and when to ask again.
//!
//! Times are milliseconds since 1970 in UTC, without leap seconds. Where a clock skips or repeats an hour,
//! what is due at fixed hours is due once: at the jump, or the first time. What is due in every hour follows
//! the time that passes.
//!
//! **Not here:** waiting, storing the [`State`], beginning a run (`hob-node`).

mod calendar;
mod cron;
mod day;
mod decide;
mod dialect;
mod expression;
mod field;
mod kind;
mod next;
mod words;

pub use decide::{Decision, Fire, Missed, Overlap, Reason, Rules, Skipped, State, decide, seed};
pub use expression::Expression;

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::near;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use kind::Kind;

/// The time zone of a schedule that names none.
pub const ZONE_DEFAULT: &str = "UTC";

/// An expression and the time zone in which its times are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    expression: Expression,
    zone: TimeZone,
}

impl Schedule {
    /// Reads an expression and the IANA name of a time zone, in any case. A zone in the expression
    /// (`CRON_TZ=`) wins over [`ZONE_DEFAULT`].
    ///
    /// # Errors
    /// `HOB-0810` for what [`Expression::parse`] refuses, for a zone that is not known (the hint has the
    /// nearest one), and for two different zones.
    pub fn new(expression: &str, zone_name: &str) -> Result<Schedule> {
        let expression = Expression::parse(expression)?;
        let named = zone(zone_name)?;
        let zone = match expression.zone() {
            None => named,
            Some(inside) => {
                let inside = zone(inside)?;
                if inside != named && !zone_name.eq_ignore_ascii_case(ZONE_DEFAULT) {
                    let message = format!("the schedule `{expression}` has a second time zone `{zone_name}`");
                    let hint = "name the time zone in one of the two places";
                    return Err(Fault::new(Code::ScheduleInvalid, message).hint(hint));
                }
                inside
            }
        };
        Ok(Schedule { expression, zone })
    }

    /// What was written.
    pub fn expression(&self) -> &Expression {
        &self.expression
    }

    /// The IANA name of the time zone, as the database spells it.
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or(ZONE_DEFAULT)
    }

    /// The time zone, to show times in it.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The schedule in plain words, with the time zone where it matters: `at 03:00 every day (UTC)`.
    pub fn describe(&self) -> String {
        match self.expression.kind {
            Kind::Every(_) | Kind::Once(_) => self.expression.describe(),
            Kind::Calendar(_) | Kind::OnceLocal(_) => {
                format!("{} ({})", self.expression.describe(), self.zone_name())
            }
        }
    }

    /// The first time after `after_ms`, not at it, at which the schedule is due; `None` when there is none
    /// any more. `anchor_ms` is when the schedule was created: steps of `@every` and `rate(…)` are counted
    /// from it, so that a late run does not move those after it.
    ///
    /// The work is bounded: at most each month of 400 years is looked at, for a day such as 29 February.
    pub fn next_after(&self, after_ms: u64, anchor_ms: u64) -> Option<u64> {
        match &self.expression.kind {
            Kind::Every(step_ms) => {
                let steps = after_ms.checked_sub(anchor_ms).map_or(0, |passed_ms| passed_ms / step_ms);
                anchor_ms.checked_add(steps.checked_add(1)?.checked_mul(*step_ms)?)
            }
            Kind::Calendar(calendar) => {
                to_ms(next::at_or_after(calendar, &self.zone, to_second(after_ms)?.checked_add(1)?)?)
            }
            Kind::Once(_) | Kind::OnceLocal(_) => self.moment_ms().filter(|moment_ms| *moment_ms > after_ms),
        }
    }

    /// The last time at or before `at_ms` at which the schedule was due; `None` when there was none. It may
    /// be before the schedule was created, except for `@every` and `rate(…)`.
    pub fn last_until(&self, at_ms: u64, anchor_ms: u64) -> Option<u64> {
        match &self.expression.kind {
            Kind::Every(step_ms) => {
                let steps = at_ms.checked_sub(anchor_ms)? / step_ms;
                (steps > 0).then(|| anchor_ms + steps * step_ms)
            }
            Kind::Calendar(calendar) => to_ms(next::at_or_before(calendar, &self.zone, to_second(at_ms)?)?),
            Kind::Once(_) | Kind::OnceLocal(_) => self.moment_ms().filter(|moment_ms| *moment_ms <= at_ms),
        }
    }

    /// A moment as a time of the schedule's zone, for people: `2026-03-29 03:00:00 BST`.
    pub fn show(&self, time_ms: u64) -> String {
        let at = i64::try_from(time_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let local = at.unwrap_or(jiff::Timestamp::MAX).to_zoned_datetime(self.zone.clone());
        local.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
    }

    fn moment_ms(&self) -> Option<u64> {
        match self.expression.kind {
            Kind::Once(second) => to_ms(second),
            Kind::OnceLocal(local) => to_ms(next::first_reached(&self.zone, local)?),
            Kind::Calendar(_) | Kind::Every(_) => None,
        }
    }
}

fn to_second(ms: u64) -> Option<i64> {
    i64::try_from(ms / 1000).ok()
}

/// `None` before 1970.
fn to_ms(second: i64) -> Option<u64> {
    u64::try_from(second).ok()?.checked_mul(1000)
}

fn zone(name: &str) -> Result<TimeZone> {
    // The bundled database alone, so that a schedule does not depend on the machine.
    let database = TimeZoneDatabase::bundled();
    if let Some(zone) = database.get(name).ok().filter(|zone| !zone.is_unknown()) {
        return Ok(zone);
    }
    let fault = Fault::new(Code::ScheduleInvalid, format!("there is no time zone `{name}`"));
    let names: Vec<String> = database.available().map(|known| known.as_str().to_owned()).collect();
    let known = || names.iter().map(String::as_str);
    let city = |known: &&str| {
        known.rsplit_once('/').is_some_and(|(_, city)| city.eq_ignore_ascii_case(&name.replace(' ', "_")))
    };
    let meant = known().find(city).or_else(|| near::nearest(name, known()));
    Err(match meant {
        Some(meant) => fault.hint(format!("did you mean `{meant}`?")),
        None => fault.hint("write an IANA name such as `Europe/London`, or `UTC`"),
    })
}

#[cfg(test)]
mod tests;
