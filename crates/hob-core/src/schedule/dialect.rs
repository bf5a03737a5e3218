//! The dialects of cron expressions, told apart by their form.
//!
//! | form | dialect | Sunday | `L` `W` `#` |
//! | --- | --- | --- | --- |
//! | 5 fields | POSIX: minute, hour, day, month, weekday; a day field may be `?` for `*` | 0, 7 | no |
//! | 6 fields | the same with seconds first | 0, 7 | no |
//! | 6 with `?`, or 7 | Quartz: seconds first, year last where there are 7; exactly one `?` | 1 | yes |
//! | `cron(…)` | AWS: minute to weekday, then the year; exactly one `?` | 1 | yes |
//!
//! **Why.** The same digits mean different weekdays in different products, so that the form has to decide.
//! Quartz requires a `?`, which no other product with seconds first needs. Names (`MON`) mean the same
//! everywhere.

use super::calendar::Calendar;
use super::day::{Days, set};
use super::field::{Context, Field, HOUR, MINUTE, MONTH, SECOND, YEAR};
use crate::fault::Result;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Posix,
    Seconds,
    Quartz,
    Aws,
}

impl Dialect {
    /// Weekdays count from 1.
    pub(super) fn sunday_is_one(self) -> bool {
        matches!(self, Dialect::Quartz | Dialect::Aws)
    }

    /// `L`, `W` and `#` are known.
    pub(super) fn special_days(self) -> bool {
        self.sunday_is_one()
    }

    /// One of the day fields, and only one, is `?`.
    pub(super) fn one_open_day(self) -> bool {
        self.sunday_is_one()
    }

    /// A right expression, as a hint.
    pub(super) fn example(self) -> &'static str {
        match self {
            Dialect::Posix => "`30 3 * * MON-FRI` runs at 03:30 from Monday to Friday",
            Dialect::Seconds => "`0 30 3 * * MON-FRI` runs at 03:30:00 from Monday to Friday",
            Dialect::Quartz => "`0 30 3 ? * MON-FRI *` runs at 03:30:00 from Monday to Friday",
            Dialect::Aws => "`cron(30 3 ? * MON-FRI *)` runs at 03:30 from Monday to Friday",
        }
    }

    /// A right expression with a special day, as a hint.
    pub(super) fn example_of_special(self) -> &'static str {
        match self {
            Dialect::Aws => "`cron(30 3 L * ? *)` runs at 03:30 on the last day of each month",
            other => other.example(),
        }
    }
}

/// Reads the fields of an expression that is not in brackets.
pub(super) fn plain(text: &str) -> Result<Calendar> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    match fields[..] {
        [minute, hour, day, month, weekday] => {
            let context = Context { text, dialect: Dialect::Posix };
            calendar(["0", minute, hour, day, month, weekday, "*"], context)
        }
        [second, minute, hour, day, month, weekday] => {
            let quartz = fields.contains(&"?");
            let dialect = if quartz { Dialect::Quartz } else { Dialect::Seconds };
            calendar([second, minute, hour, day, month, weekday, "*"], Context { text, dialect })
        }
        [second, minute, hour, day, month, weekday, year] => {
            let context = Context { text, dialect: Dialect::Quartz };
            calendar([second, minute, hour, day, month, weekday, year], context)
        }
        _ => {
            let context = Context { text, dialect: Dialect::Posix };
            Err(context.wrong("number of fields", &fields.len().to_string(), "5, 6 or 7"))
        }
    }
}

/// Reads the fields of `cron(…)`; `text` is the whole expression.
pub(super) fn aws(text: &str, inside: &str) -> Result<Calendar> {
    let context = Context { text, dialect: Dialect::Aws };
    let fields: Vec<&str> = inside.split_whitespace().collect();
    match fields[..] {
        [minute, hour, day, month, weekday, year] => {
            calendar(["0", minute, hour, day, month, weekday, year], context)
        }
        _ => Err(context.wrong("number of fields", &fields.len().to_string(), "6")),
    }
}

fn calendar(fields: [&str; 7], context: Context<'_>) -> Result<Calendar> {
    let [second, minute, hour, day, month, weekday, year] = fields;
    let values = |field: &Field, text: &str| -> Result<Vec<u16>> {
        let lists: Result<Vec<Vec<u16>>> = text.split(',').map(|item| field.values(item, context)).collect();
        Ok(lists?.concat())
    };
    let years = match year {
        "*" => None,
        year => {
            let mut years = values(&YEAR, year)?;
            years.sort_unstable();
            years.dedup();
            Some(years)
        }
    };
    let calendar = Calendar {
        seconds: set(&values(&SECOND, second)?),
        minutes: set(&values(&MINUTE, minute)?),
        hours: set(&values(&HOUR, hour)?),
        days: Days::parse(day, weekday, context)?,
        months: set(&values(&MONTH, month)?),
        years,
    };
    if calendar.at_or_after(0).is_none() {
        let message =
            format!("the schedule `{}` never runs: no month and year it names has that day", context.text);
        return Err(context.refuse(message));
    }
    Ok(calendar)
}
