//! `[[on]]` and `[topics]`: what causes calls besides requests, as it was written.
//!
//! **How.** One table of keys for all kinds of trigger; which of them fit a kind is said in `resolve`.

mod check;
mod resolve;
#[cfg(test)]
mod tests;

pub(super) use check::check;
pub(super) use resolve::{resolve, retry_spec};

use super::Written;
use super::key::{self, Key};
use super::value::Item;
use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::filter::Filter;
use crate::name::{FunctionName, TopicName, TriggerName};
use crate::schedule::{Missed, Overlap};
use crate::trigger::{DeliveryMode, RateSpec, StartAt};
use crate::unit;
use std::time::Duration;

/// One `[[on]]`. What each field means stands in [`super::key::ON`].
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the table of keys documents them, for people too")]
pub struct On {
    /// The line on which it begins.
    pub line: usize,
    /// Every key that was written, with its line.
    pub keys: Vec<(String, usize)>,
    pub name: Option<Written<TriggerName>>,
    pub topic: Option<Written<TopicName>>,
    pub schedule: Option<Written<String>>,
    pub route: Option<Written<Vec<String>>>,
    pub call: Option<Written<FunctionName>>,
    pub path: Option<Written<String>>,
    pub mode: Option<Written<DeliveryMode>>,
    pub filters: Option<Written<Vec<Filter>>>,
    pub order_by: Option<Written<String>>,
    pub concurrency: Option<Written<u32>>,
    pub rate: Option<Written<RateSpec>>,
    pub start: Option<Written<StartAt>>,
    pub batch: Option<Written<u32>>,
    pub batch_window: Option<Written<Duration>>,
    pub batch_partial: Option<Written<bool>>,
    pub publish: Option<Written<TopicName>>,
    pub on_success: Option<Written<TopicName>>,
    pub on_failure: Option<Written<TopicName>>,
    pub retry: Retry,
    pub zone: Option<Written<String>>,
    pub missed: Option<Written<Missed>>,
    pub overlap: Option<Written<Overlap>>,
    pub jitter: Option<Written<Duration>>,
    pub data: Option<Written<serde_json::Value>>,
    pub origins: Option<Written<Vec<String>>>,
}

/// `retry` of a trigger or of asynchronous calls. What each field means stands in [`super::key::RETRY`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table of keys documents them, for people too")]
pub struct Retry {
    pub attempts: Option<Written<u32>>,
    pub backoff: Option<Written<(Duration, Duration)>>,
    pub age: Option<Written<Duration>>,
    pub dead_letter: Option<Written<TopicName>>,
}

/// `async` of a function. What each field means stands in [`super::key::ASYNC`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table of keys documents them, for people too")]
pub struct Asynchronous {
    pub retry: Retry,
    pub on_success: Option<Written<TopicName>>,
    pub on_failure: Option<Written<TopicName>>,
}

/// One `[topics."<name>"]`. What each field means stands in [`super::key::TOPIC`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table of keys documents them, for people too")]
pub struct Topic {
    /// Its name.
    pub name: TopicName,
    /// The line of its name.
    pub line: usize,
    pub age: Option<Written<Duration>>,
    pub size: Option<Written<u64>>,
    pub count: Option<Written<u32>>,
    pub dedup: Option<Written<Duration>>,
}

/// Reads every `[[on]]`.
pub(super) fn read_all(into: &mut Vec<On>, item: &Item<'_>) -> Result<()> {
    for (line, entries) in item.tables()? {
        let mut on = On { line, ..On::default() };
        for entry in entries {
            key::read(key::ON, &mut on, &entry)?;
            on.keys.push((entry.key.to_owned(), entry.line));
        }
        into.push(on);
    }
    Ok(())
}

/// Reads `[topics]`.
pub(super) fn read_topics(into: &mut Vec<Topic>, item: &Item<'_>) -> Result<()> {
    for entry in item.entries()? {
        let name = TopicName::new(entry.key).map_err(|fault| fault.at(entry.place()))?;
        let mut topic = Topic { name, line: entry.line, age: None, size: None, count: None, dedup: None };
        let keys: &'static [Key<Topic>] = key::TOPIC;
        entry.entries()?.iter().try_for_each(|entry| key::read(keys, &mut topic, entry))?;
        into.push(topic);
    }
    Ok(())
}

impl Item<'_> {
    pub(super) fn topic(&self) -> Result<Written<TopicName>> {
        self.named(TopicName::new)
    }

    /// A checked name.
    pub(super) fn named<T>(&self, new: fn(&str) -> Result<T>) -> Result<Written<T>> {
        let text = self.text()?;
        let value = new(&text.value).map_err(|fault| fault.at(self.place()))?;
        Ok(Written { value, line: text.line })
    }

    /// One word of a few.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<Written<T>> {
        let text = self.text()?;
        match words.iter().find(|(word, _)| *word == text.value) {
            Some((_, value)) => Ok(Written { value: *value, line: text.line }),
            None => {
                let known: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
                let message = format!("`{}` cannot be `{}`", self.path, text.value);
                let fault = Fault::new(Code::ManifestValue, message).at(self.place());
                Err(fault.hint(format!("use {}", known.join(" or "))))
            }
        }
    }

    /// `100/s`, `10/m`: so many in that time.
    pub(super) fn rate(&self) -> Result<Written<RateSpec>> {
        self.parsed(|text| {
            let (events, per_ms) = unit::parse_rate(text)?;
            Ok(RateSpec { events, per_ms })
        })
    }

    /// `1s..5m`, or one time for both.
    pub(super) fn times(&self) -> Result<Written<(Duration, Duration)>> {
        self.parsed(unit::parse_duration_range)
    }

    /// `now`, `beginning`, a number, or a time.
    pub(super) fn start(&self) -> Result<Written<StartAt>> {
        if self.is_number() {
            let number = self.number()?;
            return Ok(Written { value: StartAt::Sequence(number.value.into()), line: number.line });
        }
        self.parsed(|text| match text {
            "now" => Ok(StartAt::Now),
            "beginning" => Ok(StartAt::Beginning),
            other => crate::event::timestamp_ms(other).map(StartAt::Time).ok_or_else(|| {
                format!("`{other}` is no place to start; write `now`, `beginning`, a sequence such as `12`, or a time such as `2026-11-21T08:00:00Z`")
            }),
        })
    }

    /// Filters: a table of dialects, a CESQL expression as text, or a list of both.
    pub(super) fn filters(&self) -> Result<Written<Vec<Filter>>> {
        let line = self.line;
        let filters = match self.json() {
            serde_json::Value::Array(items) => {
                items.into_iter().map(|item| self.filter(item)).collect::<Result<Vec<_>>>()?.concat()
            }
            one => self.filter(one)?,
        };
        Ok(Written { value: filters, line })
    }

    fn filter(&self, value: serde_json::Value) -> Result<Vec<Filter>> {
        let refuse = |why: String| {
            Fault::new(Code::FilterInvalid, format!("`{}` is no filter: {why}", self.path))
                .at(self.place())
                .hint("write for example `where = { exact = { type = \"order.paid\" } }`, or a CESQL expression as text")
        };
        match value {
            serde_json::Value::String(expression) => Ok(vec![Filter::Sql(expression)]),
            serde_json::Value::Object(map) => map
                .into_iter()
                .map(|(dialect, value)| {
                    let one = serde_json::json!({ dialect: value });
                    serde_json::from_value(one).map_err(|error| refuse(error.to_string()))
                })
                .collect(),
            _ => Err(refuse("it is neither a table nor text".to_owned())),
        }
    }
}

pub(super) fn read_retry(retry: &mut Retry, item: &Item<'_>) -> Result<()> {
    item.entries()?.iter().try_for_each(|entry| key::read(key::RETRY, retry, entry))
}

pub(super) fn read_async(asynchronous: &mut Asynchronous, item: &Item<'_>) -> Result<()> {
    item.entries()?.iter().try_for_each(|entry| key::read(key::ASYNC, asynchronous, entry))
}
