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
