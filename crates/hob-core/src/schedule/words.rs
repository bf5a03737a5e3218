//! A schedule in plain words.
//!
//! **Why.** Weekday 1 is Monday in one dialect and Sunday in another: whoever reads the words sees what Hob
//! understood.

use super::calendar::{Calendar, lowest, show};
use super::day::{Days, MonthDay, MonthDays, WeekDay, WeekDays};
use super::kind::Kind;
use crate::unit;
use jiff::Timestamp;
use std::time::Duration;

/// Times of day that are listed one by one; more are told by their fields.
const TIMES_LISTED_MAX: u32 = 6;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const NTH: [&str; 6] = ["", "first", "second", "third", "fourth", "fifth"];

pub(super) fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Every(step_ms) => format!("every {}", unit::show_duration(Duration::from_millis(*step_ms))),
        Kind::Once(second) => Timestamp::from_second(*second)
            .map_or_else(|_| "once".to_owned(), |time| format!("once at {time}")),
        Kind::OnceLocal(local) => {
            show(*local).map_or_else(|| "once".to_owned(), |time| format!("once at {time}"))
        }
        Kind::Calendar(calendar) => {
            let (clock, listed) = clock(calendar);
            let mut text = clock;
            match days(&calendar.days) {
                Some(days) => text.extend([" ", &days]),
                None if listed => text.push_str(" every day"),
                None => (),
            }
            if calendar.months.count_ones() < 12 {
                let month = |month: u8| MONTHS[usize::from(month) - 1].to_owned();
                text.extend([" in ", &ranges(calendar.months, month)]);
            }
            if let Some(years) = &calendar.years {
                let years: Vec<String> = years.iter().map(u16::to_string).collect();
                text.extend([" in ", &shorten(years)]);
            }
            text
        }
    }
}

/// The time of day, and whether it is a list of times.
fn clock(calendar: &Calendar) -> (String, bool) {
    let Calendar { seconds, minutes, hours, .. } = calendar;
    let count = |set: &u64| set.count_ones();
    if count(seconds) * count(minutes) * count(hours) <= TIMES_LISTED_MAX {
        let mut times = Vec::new();
        for (hour, minute) in bits(*hours).flat_map(|hour| bits(*minutes).map(move |minute| (hour, minute))) {
            times.extend(bits(*seconds).map(|second| match *seconds {
                1 => format!("{hour:02}:{minute:02}"),
                _ => format!("{hour:02}:{minute:02}:{second:02}"),
            }));
        }
        return (format!("at {}", join(&times, "and")), true);
    }
    // From the smallest unit upwards. A 0 is told by the larger unit (`every hour`), and so is a larger unit
    // by a smaller one (`every 5 minutes`), where that says it all.
    let mut parts: Vec<String> = Vec::new();
    for (set, size, unit) in [(*seconds, 60, "second"), (*minutes, 60, "minute"), (*hours, 24, "hour")] {
        let phrase = part(set, size, unit);
        let last = parts.last();
        match unit {
            _ if last.is_some_and(|last| last.starts_with("every")) && is_full(set, size) => (),
            "second" | "minute" if last.is_none() && set == 1 => (),
            "hour" if last.is_none() && !phrase.starts_with("every") => {
                parts.extend(["minute 0".to_owned(), phrase]);
            }
            _ => parts.push(phrase),
        }
    }
    let text = parts.join(" of ");
    (if text.starts_with("every") { text } else { format!("at {text}") }, false)
}

fn is_full(set: u64, size: u8) -> bool {
    set.count_ones() == u32::from(size)
}

/// `every minute`, `every 5 minutes`, `minutes 5 and 35`.
fn part(set: u64, size: u8, unit: &str) -> String {
    let values: Vec<u8> = bits(set).collect();
    if is_full(set, size) {
        return format!("every {unit}");
    }
    if let [0, step, ..] = values[..]
        && size.is_multiple_of(step)
        && values.iter().copied().eq((0..size).step_by(usize::from(step)))
    {
        return format!("every {step} {unit}s");
    }
    let plural = if values.len() == 1 { "" } else { "s" };
    format!("{unit}{plural} {}", ranges(set, |value| value.to_string()))
}

fn days(days: &Days) -> Option<String> {
    let of_month = days.of_month.as_ref().map(month_days);
    let of_week = days.of_week.as_ref().map(weekdays);
    match (of_month, of_week) {
        (Some(left), Some(right)) => Some(format!("{left} or {right}")),
        (left, right) => left.or(right),
    }
}

fn month_days(days: &MonthDays) -> String {
    let mut parts: Vec<String> = Vec::new();
    if days.plain != 0 {
        let plural = if days.plain.count_ones() == 1 { "" } else { "s" };
        parts.push(format!("day{plural} {} of the month", ranges(days.plain, |day| day.to_string())));
    }
    parts.extend(days.special.iter().map(|day| match day {
        MonthDay::BeforeLast(0) => "the last day of the month".to_owned(),
        MonthDay::BeforeLast(1) => "the day before the last day of the month".to_owned(),
        MonthDay::BeforeLast(back) => format!("the day {back} days before the last day of the month"),
        MonthDay::Nearest(day) => format!("the weekday nearest to day {day} of the month"),
        MonthDay::LastWeekday => "the last weekday of the month".to_owned(),
    }));
    format!("on {}", join(&parts, "and"))
}

fn weekdays(days: &WeekDays) -> String {
    let name = |day: u16| WEEKDAYS[usize::from(day)];
    let mut parts: Vec<String> = Vec::new();
    if days.plain != 0 {
        // People count from Monday, so that a weekend is one range.
        let from_monday = days.plain >> 1 | (days.plain & 1) << 6;
        parts.push(ranges(from_monday, |day| name((u16::from(day) + 1) % 7).to_owned()));
    }
    parts.extend(days.special.iter().map(|day| match day {
        WeekDay::Nth(day, nth) => format!("the {} {} of the month", NTH[usize::from(*nth)], name(*day)),
        WeekDay::Last(day) => format!("the last {} of the month", name(*day)),
    }));
    format!("on {}", join(&parts, "and"))
}

/// Neighbours joined: `1-5 and 9`.
fn ranges(set: u64, name: impl Fn(u8) -> String) -> String {
    let mut parts = Vec::new();
    let mut rest = set;
    while let Some(first) = lowest(rest) {
        let length = (rest >> first).trailing_ones();
        let last = first + u8::try_from(length - 1).expect("a set has 64 bits");
        match last - first {
            0 => parts.push(name(first)),
            1 => parts.extend([name(first), name(last)]),
            _ => parts.push(format!("{} to {}", name(first), name(last))),
        }
        rest &= !((!0u64 >> (64 - length)) << first);
    }
    join(&shortened(parts), "and")
}

fn shorten(parts: Vec<String>) -> String {
    join(&shortened(parts), "and")
}

/// Long lists are told by their beginning and end.
fn shortened(mut parts: Vec<String>) -> Vec<String> {
    const LISTED_MAX: usize = 12;
    if parts.len() > LISTED_MAX {
        let last = parts.pop().expect("the list is not empty");
        parts.truncate(LISTED_MAX - 2);
        parts.extend(["…".to_owned(), last]);
    }
    parts
}

fn join(parts: &[String], word: &str) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [start @ .., last] => format!("{} {word} {last}", start.join(", ")),
    }
}

fn bits(set: u64) -> impl Iterator<Item = u8> {
    (0..64).filter(move |bit| set & (1 << bit) != 0)
}
