//! Filters of subscriptions: the dialects of the CloudEvents Subscriptions API, CESQL among them.
//!
//! **Why.** Which events a function gets is decided here and nowhere else, and a filter that does not
//! match can say by which clause.
//!
//! **How.** [`Filter`] is the written form (JSON and TOML alike); [`Filters`] is what was checked once
//! and is asked for every event. [`cesql`] is the expression language, `pattern` the dialect of an event's data, which is
//! Hob's own. Events are seen through [`Attributes`] alone.
//!
//! **Not here:** which subscription a filter is of.

mod attribute;
pub mod cesql;
mod clause;
pub(crate) mod pattern;

pub use attribute::{Attributes, Value};
pub use clause::{Filters, Mismatch};

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// The dialects, in the words of messages.
const DIALECTS: &str = "`exact`, `prefix`, `suffix`, `all`, `any`, `not`, `sql`, `data`";

/// One filter (CloudEvents Subscriptions API 0.1, section 3.2.4): exactly one dialect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// Every named attribute has exactly this value.
    Exact(BTreeMap<String, String>),
    /// Every named attribute begins so.
    Prefix(BTreeMap<String, String>),
    /// Every named attribute ends so.
    Suffix(BTreeMap<String, String>),
    /// All of these match.
    All(Vec<Filter>),
    /// At least one of these matches.
    Any(Vec<Filter>),
    /// This does not match.
    Not(Box<Filter>),
    /// A CESQL expression that is true and has no error.
    Sql(String),
    /// The data is JSON that matches this pattern, in the syntax of EventBridge; a dialect of Hob's own.
    Data(serde_json::Value),
}

/// Read by hand: a derived reader takes neither a second dialect nor none for a mistake of the writer's
/// and speaks of "variants".
impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OneDialect)
    }
}

struct OneDialect;

impl<'de> Visitor<'de> for OneDialect {
    type Value = Filter;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a filter with exactly one dialect of {DIALECTS}")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Filter, M::Error> {
        let Some(dialect) = map.next_key::<String>()? else {
            return Err(M::Error::custom(format_args!("a filter needs one dialect of {DIALECTS}")));
        };
        let filter = match dialect.as_str() {
            "exact" => Filter::Exact(map.next_value()?),
            "prefix" => Filter::Prefix(map.next_value()?),
            "suffix" => Filter::Suffix(map.next_value()?),
            "all" => Filter::All(map.next_value()?),
            "any" => Filter::Any(map.next_value()?),
            "not" => Filter::Not(map.next_value()?),
            "sql" | "cesql" => Filter::Sql(map.next_value()?),
            "data" => Filter::Data(map.next_value()?),
            unknown => {
                return Err(M::Error::custom(format_args!(
                    "`{unknown}` is not a filter dialect; the dialects are {DIALECTS}"
                )));
            }
        };
        if let Some(second) = map.next_key::<String>()? {
            map.next_value::<IgnoredAny>()?;
            return Err(M::Error::custom(format_args!(
                "a filter has exactly one dialect, but this one has `{dialect}` and `{second}`; \
                 write two filters, or join them with `all` or `any`"
            )));
        }
        Ok(filter)
    }
}

#[cfg(test)]
mod tests;
