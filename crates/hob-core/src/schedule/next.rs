//! When a local time happens in a time zone, with the hours that are skipped and repeated.
//!
//! **Why.** Twice a year a clock shows some times never and some twice. A job for 02:30 must run on that
//! day too, and once; a job for every five minutes must run every five minutes.
//!
//! **How.** Two rules, chosen by whether the expression restricts the hour (Vixie's cron has the same two):
//!
//! - *Fixed hours* (`30 2 * * *`, `*/5 1-3 * * *`, `0 */2 * * *`): a local time runs when the clock first
//!   reaches it or passes it. So a skipped time runs at the jump, all skipped ones of a jump together once;
//!   a repeated one runs the first time only.
//! - *Every hour* (`*/5 * * * *`, `0 * * * *`): it runs at each moment at which the clock shows a matching
//!   time. So skipped times do not run and repeated ones run twice, which is even in time that passes.
//!
//! Only the set of hours counts and not how it is written: `0-23` is every hour.
//!
//! The first rule is one search: times that the clock has not yet reached at a moment are those above the
//! highest it has shown. The second looks at stretches between two changes of the clock, and leaves out
//! those in which no time matches, so that the work is bounded by the search in the calendar.

use super::calendar::{Calendar, show};
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// No clock has ever been changed by more than a day; the margin is for two changes in a row.
const CHANGE_MAX_S: i64 = 2 * 24 * 3600;

/// The first run at or after a second.
pub(super) fn at_or_after(calendar: &Calendar, zone: &TimeZone, second: i64) -> Option<i64> {
    if calendar.every_hour() {
        return shown_at_or_after(calendar, zone, second);
    }
    let reached = highest_shown(zone, second - 1)?;
    first_reached(zone, calendar.at_or_after(reached + 1)?)
}

/// The last run at or before a second.
pub(super) fn at_or_before(calendar: &Calendar, zone: &TimeZone, second: i64) -> Option<i64> {
    if calendar.every_hour() {
        return shown_at_or_before(calendar, zone, second);
    }
    first_reached(zone, calendar.at_or_before(highest_shown(zone, second)?)?)
}

/// The moment at which the clock first shows this local time or a later one.
pub(super) fn first_reached(zone: &TimeZone, local: i64) -> Option<i64> {
    match zone.to_ambiguous_timestamp(show(local)?).offset() {
        AmbiguousOffset::Unambiguous { offset } => Some(local - i64::from(offset.seconds())),
        AmbiguousOffset::Fold { before, .. } => Some(local - i64::from(before.seconds())),
        AmbiguousOffset::Gap { after, .. } => {
            let before_jump = Timestamp::from_second(local - i64::from(after.seconds())).ok()?;
            let jump = zone.following(before_jump).find(|change| change.offset() == after)?;
            Some(jump.timestamp().as_second())
        }
    }
}

/// The highest local time that the clock has shown until this second, itself included.
fn highest_shown(zone: &TimeZone, second: i64) -> Option<i64> {
    let mut highest = second + offset(zone, second)?;
    let mut until = second;
    while let Some(change) = change_at_or_before(zone, until).filter(|change| *change > second - CHANGE_MAX_S)
    {
        until = change - 1;
        highest = highest.max(until + offset(zone, until)?);
    }
    Some(highest)
}

fn shown_at_or_after(calendar: &Calendar, zone: &TimeZone, second: i64) -> Option<i64> {
    let mut from = second;
    loop {
        let offset = offset(zone, from)?;
        let found = calendar.at_or_after(from + offset).map(|local| local - offset);
        let change = zone.following(Timestamp::from_second(from).ok()?).next();
        let change = match change.map(|change| change.timestamp().as_second()) {
            Some(change) if found.is_none_or(|found| found >= change) => change,
            _ => return found,
        };
        // After a change the clock may show once more what it showed before, but not long after.
        from = match found {
            _ if change - from <= CHANGE_MAX_S => change,
            Some(found) => change.max(found - CHANGE_MAX_S),
            None => return None,
        };
    }
}

fn shown_at_or_before(calendar: &Calendar, zone: &TimeZone, second: i64) -> Option<i64> {
    let mut from = second;
    loop {
        let offset = offset(zone, from)?;
        let found = calendar.at_or_before(from + offset).map(|local| local - offset);
        let change = match change_at_or_before(zone, from) {
            Some(change) if found.is_none_or(|found| found < change) => change,
            _ => return found,
        };
        from = match found {
            _ if from - change <= CHANGE_MAX_S => change - 1,
            Some(found) => (change - 1).min(found + CHANGE_MAX_S),
            None => return None,
        };
    }
}

/// The last change of the clock at or before a second.
fn change_at_or_before(zone: &TimeZone, second: i64) -> Option<i64> {
    let change = zone.preceding(Timestamp::from_second(second + 1).ok()?).next()?;
    Some(change.timestamp().as_second())
}

fn offset(zone: &TimeZone, second: i64) -> Option<i64> {
    Some(i64::from(zone.to_offset(Timestamp::from_second(second).ok()?).seconds()))
}

#[cfg(test)]
mod tests;
