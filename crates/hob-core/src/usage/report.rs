//! Answers to "who used how much?": sums of periods, split as it is asked for.

use super::{Period, Rows, Usage, Whose};
use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::name::AppName;
use crate::near::nearest;
use std::collections::BTreeMap;

/// By what sums are split, besides by app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct By {
    /// By function.
    pub function: bool,
    /// By revision.
    pub revision: bool,
    /// By subscription and schedule.
    pub trigger: bool,
    /// By hour, where hours are kept; older sums are those of days.
    pub hour: bool,
    /// By day.
    pub day: bool,
}

/// The words for it.
const WORDS: [&str; 5] = ["function", "revision", "trigger", "hour", "day"];

impl By {
    /// Reads words with commas between them: `function,day`; nothing: by app alone.
    ///
    /// # Errors
    /// `HOB-0704` for a word that is none of them.
    pub fn parse(text: &str) -> Result<Self> {
        let mut by = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "function" => by.function = true,
                "revision" => by.revision = true,
                "trigger" => by.trigger = true,
                "hour" => by.hour = true,
                "day" => by.day = true,
                _ => {
                    let near = nearest(word, WORDS).unwrap_or("function");
                    let what = format!("usage cannot be split by `{word}`");
                    let words = WORDS.join("`, `");
                    return Err(Fault::new(Code::ControlRequest, what)
                        .hint(format!("did you mean `{near}`? There are `{words}`")));
                }
            }
        }
        Ok(by)
    }

    fn part(self, app: Option<&AppName>, period: Period, whose: &Whose) -> Part {
        let start_ms = match (self.hour, self.day) {
            (true, _) => Some(period.start_ms()),
            (false, true) => Some(period.day().start_ms()),
            (false, false) => None,
        };
        Part {
            app: app.cloned(),
            start_ms,
            whose: Whose {
                function: whose.function.clone().filter(|_| self.function),
                revision: whose.revision.filter(|_| self.revision),
                trigger: whose.trigger.clone().filter(|_| self.trigger),
            },
        }
    }
}

/// What one sum is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// The app; `None`: the node, such as topics that no app has.
    pub app: Option<AppName>,
    /// When the hour or day began, if it was asked for.
    pub start_ms: Option<u64>,
    /// Function, revision and trigger, where they were asked for.
    pub whose: Whose,
}

/// Sums of the periods that overlap `since_ms..until_ms`, in order. A period counts as a whole.
pub fn select<'a>(
    entries: impl IntoIterator<Item = (Period, Option<&'a AppName>, &'a Rows)>,
    by: By,
    since_ms: u64,
    until_ms: u64,
) -> BTreeMap<Part, Usage> {
    let mut sums: BTreeMap<Part, Usage> = BTreeMap::new();
    for (period, app, rows) in entries {
        if period.end_ms() <= since_ms || period.start_ms() >= until_ms {
            continue;
        }
        for (whose, usage) in rows.iter() {
            *sums.entry(by.part(app, period, whose)).or_default() += usage;
        }
    }
    sums
}
