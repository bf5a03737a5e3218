//! Reads the fields of a cron expression, in the [`Dialect`] that its form tells.

use super::calendar::Calendar;
use super::day::{Days, set};
use super::dialect::Dialect;
use super::field::{Context, Field, HOUR, MINUTE, MONTH, SECOND, YEAR};
use crate::fault::Result;

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
