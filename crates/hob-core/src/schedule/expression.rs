//! A schedule as a person writes it: cron, a macro, a rate, or one moment.
//!
//! **How.** The form says which it is:
//!
//! | form | meaning |
//! | --- | --- |
//! | 5, 6 or 7 fields, `cron(…)` | [local times](super::dialect) |
//! | `@yearly` `@annually` `@monthly` `@weekly` `@daily` `@midnight` `@hourly` | the same as 5 fields |
//! | `@every 1h30m`, `rate(5 minutes)` | in steps of time that passes, counted from the schedule's creation |
//! | `@at 2026-11-21T01:00:00`, `at(…)` | once: local time, or with `Z` or an offset such as `+02:00` |
//!
//! Before each of them there may be `CRON_TZ=Area/City` or `TZ=Area/City`.
//!
//! **Not here:** the time zone ([`super::Schedule`]).

use super::calendar::count;
use super::kind::Kind;
use super::{cron, words};
use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit::{SCHEDULE_BYTES_MAX, SCHEDULE_STEP_MAX, SCHEDULE_STEP_MIN};
use crate::{near, unit};
use jiff::Timestamp;
use jiff::civil::DateTime;
use std::time::Duration;

const MACROS: &[(&str, &str)] = &[
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A schedule's expression: when, without the time zone. It shows itself as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    text: String,
    zone: Option<String>,
    pub(super) kind: Kind,
}

impl Expression {
    /// Reads an expression of at most [`SCHEDULE_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// `HOB-0810` with the field, its value and what it may be, and a right expression as the hint. One that
    /// can never run, such as 31 February, is refused too.
    pub fn parse(text: &str) -> Result<Expression> {
        if text.len() > SCHEDULE_BYTES_MAX {
            let message = format!("a schedule has {} bytes, but may have {SCHEDULE_BYTES_MAX}", text.len());
            return Err(Fault::new(Code::ScheduleInvalid, message).hint("write several schedules"));
        }
        let (zone, rest) = zone_prefix(text.trim());
        let kind = kind(rest)?;
        Ok(Expression { text: text.to_owned(), zone: zone.map(str::to_owned), kind })
    }

    /// The time zone that the expression itself names, with `CRON_TZ=` or `TZ=`.
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// It has one run only.
    pub fn is_once(&self) -> bool {
        matches!(self.kind, Kind::Once(_) | Kind::OnceLocal(_))
    }

    /// The same in plain words: `at 03:00 on Monday to Friday`.
    pub fn describe(&self) -> String {
        words::describe(&self.kind)
    }
}

impl std::fmt::Display for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

fn zone_prefix(text: &str) -> (Option<&str>, &str) {
    let named = text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ="));
    match named {
        Some(named) => {
            let (zone, rest) = named.split_once(char::is_whitespace).unwrap_or((named, ""));
            (Some(zone), rest.trim())
        }
        None => (None, text),
    }
}

fn kind(text: &str) -> Result<Kind> {
    if let Some(time) = named(text, "@every") {
        return every(text, time);
    }
    if let Some(moment) = named(text, "@at").or_else(|| bracketed(text, "at")) {
        return once(text, moment);
    }
    if text.starts_with('@') {
        return macros(text);
    }
    if let Some(rate) = bracketed(text, "rate") {
        return every_rate(text, rate);
    }
    if let Some(fields) = bracketed(text, "cron") {
        return cron::aws(text, fields).map(Kind::Calendar);
    }
    if text.is_empty() || text.contains(['(', ')']) {
        let what = match text {
            "" => "the schedule is empty".to_owned(),
            text => format!("the schedule `{text}` is none of `cron(…)`, `rate(…)` and `at(…)`"),
        };
        let hint = "`30 3 * * MON-FRI` and `cron(30 3 ? * MON-FRI *)` run at 03:30 from Monday to Friday";
        return Err(Fault::new(Code::ScheduleInvalid, what).hint(hint));
    }
    cron::plain(text).map(Kind::Calendar)
}

/// What follows a word and a space.
fn named<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(word)?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| rest.trim())
}

/// What stands in the brackets of `word(…)`.
fn bracketed<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.strip_prefix(word)?.strip_prefix('(')?.strip_suffix(')').map(str::trim)
}

fn macros(text: &str) -> Result<Kind> {
    let lower = text.to_ascii_lowercase();
    if let Some((_, fields)) = MACROS.iter().find(|(name, _)| *name == lower) {
        return cron::plain(fields).map(Kind::Calendar);
    }
    let known = MACROS.iter().map(|(name, _)| *name);
    let fault = Fault::new(Code::ScheduleInvalid, format!("`{text}` is not the name of a schedule"));
    Err(match near::nearest(&lower, known.clone()) {
        Some(name) => fault.hint(format!("did you mean `{name}`?")),
        None => {
            let names: Vec<String> = known.map(|name| format!("`{name}`")).collect();
            fault.hint(format!(
                "these are known: {}, `@every 5m`, `@at 2026-11-21T01:00:00`",
                names.join(", ")
            ))
        }
    })
}

fn every(text: &str, time: &str) -> Result<Kind> {
    let refuse = |what: &str| {
        let message = format!("the time of the schedule `{text}` {what}");
        Fault::new(Code::ScheduleInvalid, message).hint("`@every 1h30m` runs every hour and a half")
    };
    let mut sum_ms: u64 = 0;
    let mut rest = time;
    while !rest.is_empty() {
        let unit = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let end = rest[unit..].find(|c: char| !c.is_ascii_alphabetic()).map_or(rest.len(), |end| unit + end);
        let part = unit::parse_duration(&rest[..end])
            .map_err(|_| refuse(&format!("is `{time}`, but has to be numbers with `s`, `m`, `h` or `d`")))?;
        sum_ms = sum_ms.saturating_add(unit::millis(part));
        rest = rest[end..].trim_start();
    }
    if time.is_empty() {
        return Err(refuse("is missing"));
    }
    if !may_step(sum_ms) {
        return Err(refuse(&format!("is `{time}`, but has to be from 1s to 36500d")));
    }
    Ok(Kind::Every(sum_ms))
}

fn may_step(step_ms: u64) -> bool {
    (SCHEDULE_STEP_MIN..=SCHEDULE_STEP_MAX).contains(&Duration::from_millis(step_ms))
}

fn every_rate(text: &str, rate: &str) -> Result<Kind> {
    let (number, unit) = rate.split_once(char::is_whitespace).unwrap_or((rate, ""));
    // AWS wants the singular after 1 and the plural otherwise; what is meant is clear without that.
    let unit_ms: Option<u64> = match unit.trim() {
        "minute" | "minutes" => Some(60_000),
        "hour" | "hours" => Some(3_600_000),
        "day" | "days" => Some(86_400_000),
        _ => None,
    };
    let number = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse::<u64>().ok());
    let step_ms = number.flatten().zip(unit_ms).and_then(|(number, unit_ms)| number.checked_mul(unit_ms));
    match step_ms.filter(|step_ms| may_step(*step_ms)) {
        Some(step_ms) => Ok(Kind::Every(step_ms)),
        None => {
            let wanted = "has to be a number from 1 and `minutes`, `hours` or `days` (36500 days at most)";
            let message = format!("the rate of the schedule `{text}` is `{rate}`, but {wanted}");
            Err(Fault::new(Code::ScheduleInvalid, message).hint("`rate(5 minutes)` runs every five minutes"))
        }
    }
}

fn once(text: &str, moment: &str) -> Result<Kind> {
    let refuse = || {
        let wanted = "a date and a time in whole seconds, from 1970 to 9998";
        let message = format!("the moment of the schedule `{text}` has to be {wanted}");
        let hint =
            "`@at 2026-11-21T01:00:00` is local time; add `Z` or an offset such as `+02:00` for another";
        Fault::new(Code::ScheduleInvalid, message).hint(hint)
    };
    // jiff reads more forms, with spaces or a time zone in brackets; those are not in any dialect.
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | ':' | '.' | 'T' | 'Z');
    if !moment.chars().all(plain) || !moment.contains('T') {
        return Err(refuse());
    }
    let kind = match (moment.parse::<Timestamp>(), moment.parse::<DateTime>()) {
        (Ok(time), _) if time.subsec_nanosecond() == 0 => Kind::Once(time.as_second()),
        (_, Ok(time)) if time.subsec_nanosecond() == 0 => Kind::OnceLocal(count(time).ok_or_else(refuse)?),
        _ => return Err(refuse()),
    };
    const END: i64 = 253_370_764_800;
    match kind {
        Kind::Once(second) | Kind::OnceLocal(second) if (0..END).contains(&second) => Ok(kind),
        _ => Err(refuse()),
    }
}
