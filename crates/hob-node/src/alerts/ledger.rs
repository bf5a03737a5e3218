//! What was used in the period of a budget.
//!
//! **How.** The sums of hours that are over do not change, so they are kept; only those of this hour are asked
//! for each time.

use crate::sync::lock;
use crate::usage::UsageBook;
use hob_core::fault::Result;
use hob_core::name::{AppName, FunctionName};
use hob_core::usage::{Period, Usage};
use hob_core::wire::UsageQuery;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

/// Use by function.
pub(super) type Sums = BTreeMap<(AppName, FunctionName), Usage>;

/// Answers from the book.
pub(super) struct Ledger {
    book: Arc<UsageBook>,
    /// Sums from a time up to an hour, by that time.
    past: Mutex<HashMap<u64, (u64, Sums)>>,
}

impl Ledger {
    pub(super) fn new(book: Arc<UsageBook>) -> Self {
        Self { book, past: Mutex::default() }
    }

    /// What every function used since the begin of an hour or day, milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// `HOB-06xx` when it cannot be read.
    pub(super) async fn used(&self, since_ms: u64, now_ms: u64) -> Result<Sums> {
        let hour_ms = Period::hour_of(now_ms).start_ms();
        let known = lock(&self.past).get(&since_ms).filter(|(until_ms, _)| *until_ms == hour_ms).cloned();
        let mut sums = match known {
            Some((_, sums)) => sums,
            None => {
                let sums = self.sums(since_ms, Some(hour_ms)).await?;
                let mut past = lock(&self.past);
                // Days and months that are over are not asked for again.
                past.retain(|_, (until_ms, _)| *until_ms == hour_ms);
                past.insert(since_ms, (hour_ms, sums.clone()));
                sums
            }
        };
        for (key, usage) in self.sums(since_ms.max(hour_ms), None).await? {
            *sums.entry(key).or_default() += &usage;
        }
        Ok(sums)
    }

    async fn sums(&self, since_ms: u64, until_ms: Option<u64>) -> Result<Sums> {
        if until_ms.is_some_and(|until_ms| until_ms <= since_ms) {
            return Ok(Sums::new());
        }
        let by = Some("function".to_owned());
        let asked = UsageQuery { since_ms: Some(since_ms), until_ms, by, ..UsageQuery::default() };
        let rows = self.book.report(&asked).await?.rows.into_iter();
        Ok(rows.filter_map(|row| Some(((row.app?, row.function?), row.usage))).collect())
    }
}
