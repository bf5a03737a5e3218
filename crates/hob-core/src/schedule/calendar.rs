//! The local times that an expression names, found by jumping from field to field.
//!
//! **Why.** Trying each second or minute until one matches takes millions of steps for 29 February. Here a
//! search looks at most at each month of 400 years, after which the calendar repeats, and at bits.
//!
//! **How.** A local time is a number: the seconds since 1970 that a clock in UTC would have shown. A
//! [`Calendar`] knows no time zone.
//!
//! **Not here:** when a local time happens, or whether it does ([`super::next`]).

use super::day::Days;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The Gregorian calendar repeats after this.
const YEARS_SEARCHED: i16 = 400;
const HOURS_ALL: u64 = (1 << 24) - 1;

/// The sets of an expression's fields, as bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Calendar {
    pub(super) seconds: u64,
    pub(super) minutes: u64,
    pub(super) hours: u64,
    pub(super) days: Days,
    /// Bit 1 is January.
    pub(super) months: u64,
    /// In order; `None` is every year.
    pub(super) years: Option<Vec<u16>>,
}

/// Hour, minute, second.
type Clock = (u8, u8, u8);

impl Calendar {
    /// The hour does not matter.
    pub(super) fn every_hour(&self) -> bool {
        self.hours == HOURS_ALL
    }

    /// The first matching local second that is not before `local`.
    pub(super) fn at_or_after(&self, local: i64) -> Option<i64> {
        let start = show(local)?;
        let mut begun = Some((start.day(), clock(start)));
        for year in start.year()..=start.year().saturating_add(YEARS_SEARCHED) {
            let first = if year == start.year() { start.month() } else { 1 };
            if !self.has_year(year) {
                begun = None;
                continue;
            }
            for month in first..=12 {
                let mut days = self.days_of(year, month);
                if let Some((day, time)) = begun.take() {
                    if days & (1 << day) != 0
                        && let Some(time) = self.clock_at_or_after(time)
                    {
                        return read(year, month, day, time);
                    }
                    days &= !0 << (day + 1);
                }
                if let Some(day) = lowest(days) {
                    let time = self.clock_at_or_after((0, 0, 0))?;
                    return read(year, month, i8::try_from(day).ok()?, time);
                }
            }
        }
        None
    }

    /// The last matching local second that is not after `local`.
    pub(super) fn at_or_before(&self, local: i64) -> Option<i64> {
        let start = show(local)?;
        let mut begun = Some((start.day(), clock(start)));
        for year in (start.year().saturating_sub(YEARS_SEARCHED)..=start.year()).rev() {
            let last = if year == start.year() { start.month() } else { 12 };
            if !self.has_year(year) {
                begun = None;
                continue;
            }
            for month in (1..=last).rev() {
                let mut days = self.days_of(year, month);
                if let Some((day, time)) = begun.take() {
                    if days & (1 << day) != 0
                        && let Some(time) = self.clock_at_or_before(time)
                    {
                        return read(year, month, day, time);
                    }
                    days &= (1 << day) - 1;
                }
                if let Some(day) = highest(days) {
                    let time = self.clock_at_or_before((23, 59, 59))?;
                    return read(year, month, i8::try_from(day).ok()?, time);
                }
            }
        }
        None
    }

    fn has_year(&self, year: i16) -> bool {
        let listed =
            |years: &Vec<u16>| u16::try_from(year).is_ok_and(|year| years.binary_search(&year).is_ok());
        self.years.as_ref().is_none_or(listed)
    }

    fn days_of(&self, year: i16, month: i8) -> u64 {
        if self.months & (1 << month) == 0 { 0 } else { self.days.of(year, month) }
    }

    fn clock_at_or_after(&self, (hour, minute, second): Clock) -> Option<Clock> {
        let first_minute = lowest(self.minutes)?;
        let first_second = lowest(self.seconds)?;
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = lowest(self.seconds & (!0 << second))
            {
                return Some((hour, minute, second));
            }
            if let Some(minute) = lowest(self.minutes & (!0 << (minute + 1))) {
                return Some((hour, minute, first_second));
            }
        }
        lowest(self.hours & (!0 << (hour + 1))).map(|hour| (hour, first_minute, first_second))
    }

    fn clock_at_or_before(&self, (hour, minute, second): Clock) -> Option<Clock> {
        let last_minute = highest(self.minutes)?;
        let last_second = highest(self.seconds)?;
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = highest(self.seconds & ((2 << second) - 1))
            {
                return Some((hour, minute, second));
            }
            if let Some(minute) = highest(self.minutes & ((1 << minute) - 1)) {
                return Some((hour, minute, last_second));
            }
        }
        highest(self.hours & ((1 << hour) - 1)).map(|hour| (hour, last_minute, last_second))
    }
}

pub(super) fn has(set: u64, value: u8) -> bool {
    set & (1 << value) != 0
}

/// The lowest bit of a set.
pub(super) fn lowest(set: u64) -> Option<u8> {
    u8::try_from(set.trailing_zeros()).ok().filter(|bit| *bit < 64)
}

/// The highest bit of a set.
fn highest(set: u64) -> Option<u8> {
    63u8.checked_sub(u8::try_from(set.leading_zeros()).ok()?)
}

fn clock(time: DateTime) -> Clock {
    (time.hour().unsigned_abs(), time.minute().unsigned_abs(), time.second().unsigned_abs())
}

/// A local second as date and time.
pub(super) fn show(local: i64) -> Option<DateTime> {
    Timestamp::from_second(local).ok().map(|time| TimeZone::UTC.to_datetime(time))
}

/// Date and time as a local second.
pub(super) fn count(time: DateTime) -> Option<i64> {
    TimeZone::UTC.to_timestamp(time).ok().map(Timestamp::as_second)
}

fn read(year: i16, month: i8, day: i8, (hour, minute, second): Clock) -> Option<i64> {
    let part = |value: u8| i8::try_from(value).ok();
    count(DateTime::new(year, month, day, part(hour)?, part(minute)?, part(second)?, 0).ok()?)
}
