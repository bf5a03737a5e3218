//! Which days of a month an expression names: by number, by weekday, or counted from an end.
//!
//! **How.** Both day fields become a set of days of one month at a time, since `L`, `W` and `#` depend on
//! how long a month is and on which weekday it begins.
//!
//! Where both fields are restricted, a day of either matches (POSIX, crontab). A field counts as
//! unrestricted when it is `*` or `?`, as in robfig's parser; `1-31` is a restriction that every day meets.
//! `15W` is the weekday (Monday to Friday) nearest to the 15th within the month; a month that has no such
//! day has no such weekday. `L-3` is the third day before the last one.

use super::dialect::Dialect;
use super::field::{Context, Field, MONTH_DAY, WEEKDAY, WEEKDAY_FROM_ONE, number};
use crate::fault::Result;
use jiff::civil::Date;

/// The two day fields; `None` is one that does not restrict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Days {
    pub(super) of_month: Option<MonthDays>,
    pub(super) of_week: Option<WeekDays>,
}

/// Days of the month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MonthDays {
    /// Bit 1 is the first.
    pub(super) plain: u64,
    pub(super) special: Vec<MonthDay>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MonthDay {
    /// So many days before the last one.
    BeforeLast(u16),
    /// The weekday nearest to this day.
    Nearest(u16),
    LastWeekday,
}

/// Weekdays; bit 0 is Sunday.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WeekDays {
    pub(super) plain: u64,
    pub(super) special: Vec<WeekDay>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WeekDay {
    /// Weekday, and which of the month's, from 1.
    Nth(u16, u16),
    /// The last such weekday of the month.
    Last(u16),
}

impl Days {
    pub(super) fn parse(of_month: &str, of_week: &str, context: Context<'_>) -> Result<Days> {
        let open = |text: &str| matches!(text, "*" | "?" | "*/1");
        if context.dialect.one_open_day() && (of_month == "?") == (of_week == "?") {
            let count = if of_month == "?" { "2" } else { "0" };
            return Err(context.wrong("number of `?` in the day fields", count, "1"));
        }
        let of_month = if open(of_month) { None } else { Some(MonthDays::parse(of_month, context)?) };
        let of_week = if open(of_week) { None } else { Some(WeekDays::parse(of_week, context)?) };
        Ok(Days { of_month, of_week })
    }

    /// The matching days of a month; bit 1 is the first. 0 for a month that no calendar has.
    pub(super) fn of(&self, year: i16, month: i8) -> u64 {
        let Ok(first) = Date::new(year, month, 1) else { return 0 };
        let month = Month {
            length: u16::from(first.days_in_month().unsigned_abs()),
            begins: u16::from(first.weekday().to_sunday_zero_offset().unsigned_abs()),
        };
        let all = (1u64 << (month.length + 1)) - 2;
        let days = match (&self.of_month, &self.of_week) {
            (None, None) => all,
            (Some(days), None) => days.of(month),
            (None, Some(days)) => days.of(month),
            (Some(left), Some(right)) => left.of(month) | right.of(month),
        };
        days & all
    }
}

#[derive(Clone, Copy)]
struct Month {
    length: u16,
    /// The weekday of the first.
    begins: u16,
}

impl Month {
    /// The weekday of a day, 0 is Sunday.
    fn weekday(self, day: u16) -> u16 {
        (self.begins + day - 1) % 7
    }

    /// The weekday from Monday to Friday that is nearest to a day of the month, within the month.
    fn nearest(self, day: u16) -> u16 {
        match self.weekday(day) {
            6 if day > 1 => day - 1,
            6 => day + 2,
            0 if day < self.length => day + 1,
            0 => day - 2,
            _ => day,
        }
    }

    /// The first such weekday.
    fn first(self, weekday: u16) -> u16 {
        1 + (7 + weekday - self.begins) % 7
    }
}

impl MonthDays {
    fn parse(text: &str, context: Context<'_>) -> Result<MonthDays> {
        let mut days = MonthDays::default();
        for item in text.split(',') {
            match special_month_day(item, context)? {
                Some(day) => days.special.push(day),
                None => days.plain |= set(&MONTH_DAY.values(item, context)?),
            }
        }
        Ok(days)
    }

    fn of(&self, month: Month) -> u64 {
        self.special.iter().fold(self.plain, |days, special| {
            days | match *special {
                MonthDay::BeforeLast(back) if back < month.length => 1 << (month.length - back),
                MonthDay::Nearest(day) if day <= month.length => 1 << month.nearest(day),
                MonthDay::LastWeekday => 1 << month.nearest(month.length),
                MonthDay::BeforeLast(_) | MonthDay::Nearest(_) => 0,
            }
        })
    }
}

impl WeekDays {
    fn parse(text: &str, context: Context<'_>) -> Result<WeekDays> {
        let field = if context.dialect.sunday_is_one() { &WEEKDAY_FROM_ONE } else { &WEEKDAY };
        let mut days = WeekDays::default();
        for item in text.split(',') {
            match special_weekday(field, item, context)? {
                Some(day) => days.special.push(day),
                // Alone, it is the last day of the week.
                None if item.eq_ignore_ascii_case("L") => days.plain |= 1 << 6,
                None => days.plain |= set(&field.values(item, context)?),
            }
        }
        Ok(days)
    }

    fn of(&self, month: Month) -> u64 {
        let plain = (1..=month.length)
            .filter(|day| self.plain & (1 << month.weekday(*day)) != 0)
            .fold(0, |days, day| days | (1 << day));
        self.special.iter().fold(plain, |days, special| {
            days | match *special {
                WeekDay::Nth(weekday, nth) => 1 << (month.first(weekday) + 7 * (nth - 1)),
                WeekDay::Last(weekday) => {
                    let first = month.first(weekday);
                    1 << (first + (month.length - first) / 7 * 7)
                }
            }
        })
    }
}

fn special_month_day(item: &str, context: Context<'_>) -> Result<Option<MonthDay>> {
    let upper = item.to_ascii_uppercase();
    if !upper.contains(['L', 'W']) {
        return Ok(None);
    }
    known_here(&MONTH_DAY, item, context)?;
    let back = upper.strip_prefix("L-").and_then(number).filter(|back| (1..=30).contains(back));
    let day = match (upper.as_str(), upper.strip_suffix('W')) {
        ("L", _) => MonthDay::BeforeLast(0),
        ("LW" | "WL", _) => MonthDay::LastWeekday,
        (_, Some(day)) => MonthDay::Nearest(MONTH_DAY.value(day, context)?),
        _ => match back {
            Some(back) => MonthDay::BeforeLast(back),
            None => return Err(context.wrong(MONTH_DAY.name, item, "`L`, `L-1` to `L-30`, `LW` or `15W`")),
        },
    };
    Ok(Some(day))
}

fn special_weekday(field: &Field, item: &str, context: Context<'_>) -> Result<Option<WeekDay>> {
    let last = item.strip_suffix(['L', 'l']);
    if last.is_none() && !item.contains('#') {
        return Ok(None);
    }
    known_here(field, item, context)?;
    if let Some((day, nth)) = item.split_once('#') {
        let day = field.normal(field.value(day, context)?);
        let nth = number(nth).filter(|nth| (1..=5).contains(nth));
        let nth = nth.ok_or_else(|| context.wrong("number after `#` in the weekday", item, "1-5"))?;
        return Ok(Some(WeekDay::Nth(day, nth)));
    }
    match last {
        Some(day) if !day.is_empty() => Ok(Some(WeekDay::Last(field.normal(field.value(day, context)?)))),
        _ => Ok(None),
    }
}

fn known_here(field: &Field, item: &str, context: Context<'_>) -> Result<()> {
    if context.dialect.special_days() {
        return Ok(());
    }
    let what = format!(
        "the {} of the schedule `{}` is `{item}`, but `L`, `W` and `#` are for Quartz and AWS expressions",
        field.name, context.text
    );
    Err(context.refuse(what).hint(Dialect::Aws.example_of_special()))
}

/// A set with these bits.
pub(super) fn set(values: &[u16]) -> u64 {
    values.iter().fold(0, |set, value| set | (1 << value))
}
