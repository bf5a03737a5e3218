//! One field of a cron expression: its names, its range, and the values that it stands for.
//!
//! **How.** A field is a list of items `value`, `from-to` or `*`, each with `/step`. `5/15` counts from 5 to
//! the end of the field, as robfig's and Quartz' parsers do. A range may go round the end where people
//! speak so: hours (`22-6`), months (`NOV-FEB`) and weekdays (`FRI-MON`). In other fields a range that goes
//! down is more likely a slip, and is refused. A step that is longer than the field is refused too: `*/90`
//! in the minutes would run each hour, which nobody means.
//!
//! **Not here:** `L`, `W` and `#` ([`super::day`]).

use super::dialect::Dialect;
use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::near;

/// What a field is called and what it may hold.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    min: u16,
    max: u16,
    /// The largest value of `*`: weekdays have two numbers for Sunday.
    last: u16,
    names: &'static [&'static str],
    /// How many values there are until the field begins again, where a range may go round.
    round: Option<u16>,
}

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

pub(super) const SECOND: Field = Field { name: "second", min: 0, max: 59, last: 59, names: &[], round: None };
pub(super) const MINUTE: Field = Field { name: "minute", ..SECOND };
pub(super) const HOUR: Field = Field { name: "hour", min: 0, max: 23, last: 23, names: &[], round: Some(24) };
pub(super) const MONTH_DAY: Field =
    Field { name: "day of the month", min: 1, max: 31, last: 31, names: &[], round: None };
pub(super) const MONTH: Field =
    Field { name: "month", min: 1, max: 12, last: 12, names: MONTHS, round: Some(12) };
/// 0 and 7 are Sunday.
pub(super) const WEEKDAY: Field =
    Field { name: "weekday", min: 0, max: 7, last: 6, names: WEEKDAYS, round: Some(7) };
/// 1 is Sunday.
pub(super) const WEEKDAY_FROM_ONE: Field =
    Field { name: "weekday", min: 1, max: 7, last: 7, names: WEEKDAYS, round: Some(7) };
/// The range of AWS; Quartz ends at 2099.
pub(super) const YEAR: Field =
    Field { name: "year", min: 1970, max: 2199, last: 2199, names: &[], round: None };

/// The expression that is being read, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) text: &'a str,
    pub(super) dialect: Dialect,
}

impl Context<'_> {
    /// An error with the dialect's example as its hint.
    pub(super) fn refuse(&self, message: String) -> Fault {
        Fault::new(Code::ScheduleInvalid, message).hint(self.dialect.example())
    }

    /// The error for a value of a field.
    pub(super) fn wrong(&self, what: &str, value: &str, wanted: &str) -> Fault {
        let value = if value.is_empty() { "empty".to_owned() } else { format!("`{value}`") };
        self.refuse(format!("the {what} of the schedule `{}` is {value}, but has to be {wanted}", self.text))
    }
}

impl Field {
    /// The values that one item of the list stands for, normalised: weekdays to 0 (Sunday) to 6.
    pub(super) fn values(&self, item: &str, context: Context<'_>) -> Result<Vec<u16>> {
        let (base, step) = match item.split_once('/') {
            Some((base, step)) => (base, Some(self.step(step, context)?)),
            None => (item, None),
        };
        let (from, mut to) = match base.split_once('-') {
            _ if base == "*" => (self.min, self.last),
            Some((from, to)) if from.is_empty() || to.is_empty() => {
                return Err(context.wrong(self.name, base, &self.range()));
            }
            Some((from, to)) => (self.value(from, context)?, self.value(to, context)?),
            None => {
                let value = self.value(base, context)?;
                (value, if step.is_some() { self.last.max(value) } else { value })
            }
        };
        if from > to {
            let Some(round) = self.round else {
                let wanted = format!("a range that goes up, within {}", self.range());
                let fix = format!("write `{from}-{},{}-{to}`", self.last, self.min);
                return Err(context.wrong(self.name, base, &wanted).hint(fix));
            };
            to += round;
        }
        Ok((from..=to).step_by(usize::from(step.unwrap_or(1))).map(|value| self.normal(value)).collect())
    }

    /// One number or name.
    pub(super) fn value(&self, text: &str, context: Context<'_>) -> Result<u16> {
        if let Some(place) = self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Ok(self.min + u16::try_from(place).expect("a field has at most twelve names"));
        }
        match number(text).filter(|value| (self.min..=self.max).contains(value)) {
            Some(value) => Ok(value),
            None => {
                let fault = context.wrong(self.name, text, &self.range());
                Err(match self.meant(text) {
                    Some(name) => fault.hint(format!("did you mean `{name}`?")),
                    None => fault,
                })
            }
        }
    }

    /// The name that somebody wrote in full (`JANUARY`) or mistyped.
    fn meant(&self, text: &str) -> Option<&'static str> {
        let upper = text.to_ascii_uppercase();
        if !upper.starts_with(|c: char| c.is_ascii_uppercase()) {
            return None;
        }
        let mut names = self.names.iter().copied();
        names.clone().find(|name| upper.starts_with(name)).or_else(|| near::nearest(&upper, &mut names))
    }

    /// The value as everything after this file counts it.
    pub(super) fn normal(&self, value: u16) -> u16 {
        match self.round {
            Some(7) => (value - self.min) % 7,
            Some(round) => (value - self.min) % round + self.min,
            None => value,
        }
    }

    fn step(&self, text: &str, context: Context<'_>) -> Result<u16> {
        let most = self.last - self.min + 1;
        number(text)
            .filter(|step| (1..=most).contains(step))
            .ok_or_else(|| context.wrong(&format!("step of the {}", self.name), text, &format!("1-{most}")))
    }

    fn range(&self) -> String {
        match (self.names.first(), self.names.last()) {
            (Some(first), Some(last)) => format!("{}-{} or {first}-{last}", self.min, self.max),
            _ => format!("{}-{}", self.min, self.max),
        }
    }
}

/// Digits alone: `u16::from_str` would take a sign too.
pub(super) fn number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
