//! Filters of subscriptions: the dialects of the CloudEvents Subscriptions API, CESQL among them.
//!
//! **Why.** Which events a function gets is decided here and nowhere else, and a filter that does not
//! match can say by which clause.
//!
//! **How.** [`Filter`] is the written form (JSON and TOML alike).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One filter (CloudEvents Subscriptions API 0.1, section 3.2.4): exactly one dialect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
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
    #[serde(alias = "cesql")]
    Sql(String),
}

/// Stub until merged.
pub struct Filters;
impl Filters {
    /// Stub.
    pub fn compile(_filters: &[Filter]) -> crate::fault::Result<Self> {
        Ok(Self)
    }
}
