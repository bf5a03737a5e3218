//! The resolved description of an app: every setting present, nothing left to guess.
//!
//! **Why.** What is deployed is what was resolved and shown (`hob show --resolved`), not what some
//! later version of Hob would guess from the same manifest. So the node stores this form.
//!
//! **How.** [`crate::manifest`] makes an [`AppSpec`] from a person's text. Its canonical JSON gives
//! the revision's content digest: equal specs are one revision.

use crate::digest::Digest;
use crate::limit::{
    BODY_BYTES_DEFAULT, CALL_ATTEMPTS_DEFAULT, CALL_TIMEOUT_DEFAULT, IDLE_TIMEOUT_DEFAULT,
    MEMORY_BYTES_DEFAULT,
};
use crate::name::{AppName, FunctionName, SecretName, TopicName};
use crate::trigger::{RetrySpec, Triggers};
use crate::unit::millis;
use crate::watch::Watch;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// One app, ready to be deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppSpec {
    /// The app's name.
    pub app: AppName,
    /// Its functions.
    pub functions: BTreeMap<FunctionName, FunctionSpec>,
    /// Which function answers which requests, in the order of the manifest.
    pub routes: Vec<RouteSpec>,
    /// What else causes calls.
    #[serde(default, skip_serializing_if = "Triggers::is_empty")]
    pub triggers: Triggers,
    /// Budgets and alerts.
    #[serde(default, skip_serializing_if = "Watch::is_empty")]
    pub watch: Watch,
}

impl AppSpec {
    /// The digest of the canonical JSON: the same for the same content, whatever the order it was written in.
    pub fn digest(&self) -> Digest {
        let json = serde_json::to_value(self).expect("an app spec has text keys only");
        Digest::of(sorted(json).to_string().as_bytes())
    }

    /// The secrets that functions name, each with its function.
    pub fn secrets(&self) -> impl Iterator<Item = (&FunctionName, &SecretName)> {
        let functions = self.functions.iter();
        functions.flat_map(|(function, spec)| spec.secrets.iter().map(move |name| (function, name)))
    }

    /// Every artifact that the app needs, once each, in order.
    pub fn artifacts(&self) -> Vec<Digest> {
        let mut all: Vec<Digest> =
            self.functions.values().flat_map(|f| f.package.values().map(|file| file.digest)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The same value with the keys of every object in order: contracts' settings come as they were written.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().collect();
            entries.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(entries.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// One function, with every setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionSpec {
    /// Name of the row of `HOSTS` that runs it: `wasm`, `process` or `files`.
    pub host: String,
    /// Name of the row of `CONTRACTS` that calls it, one of [`CONTRACT_NAMES`].
    pub contract: String,
    /// What to run: for `wasm` one path inside the package, then arguments; for `process` a command
    /// line whose first word is a path inside the package or a program on the node's `PATH`; for `files` one
    /// folder or file inside the package.
    pub run: Vec<String>,
    /// The files, by their path inside the package.
    pub package: BTreeMap<String, PackageFile>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Names of the app's secrets that it is given, as environment variables of these names.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<SecretName>,
    /// Time for one call, in milliseconds.
    pub timeout_ms: u64,
    /// Memory of one instance, in bytes.
    pub memory_bytes: u64,
    /// Processors that one instance may use, in thousandths; `None`: all that others leave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_milli: Option<u32>,
    /// Largest request body, in bytes.
    pub body_bytes_max: u64,
    /// How many instances run, and when.
    pub scale: ScaleSpec,
    /// `host:port` pairs that may be reached; `None` allows every public address.
    pub egress: Option<Vec<String>>,
    /// Reachable only by name from other functions.
    pub private: bool,
    /// What becomes of its asynchronous calls.
    #[serde(default, skip_serializing_if = "AsyncSpec::is_default")]
    pub asynchronous: AsyncSpec,
    /// Settings of the contract, checked by its row. An empty object when there are none.
    pub settings: serde_json::Map<String, serde_json::Value>,
}

impl FunctionSpec {
    /// A function of which only this is said: no files, the usual limits, one call at a time in one instance.
    pub fn new<Word: Into<String>>(host: &str, contract: &str, run: impl IntoIterator<Item = Word>) -> Self {
        Self {
            host: host.to_owned(),
            contract: contract.to_owned(),
            run: run.into_iter().map(Into::into).collect(),
            package: BTreeMap::new(),
            env: BTreeMap::new(),
            secrets: BTreeSet::new(),
            timeout_ms: millis(CALL_TIMEOUT_DEFAULT),
            memory_bytes: MEMORY_BYTES_DEFAULT,
            cpu_milli: None,
            body_bytes_max: BODY_BYTES_DEFAULT,
            scale: ScaleSpec::up_to(1, 1),
            egress: None,
            private: false,
            asynchronous: AsyncSpec::default(),
            settings: serde_json::Map::new(),
        }
    }

    /// Time for one call.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// The names of all contracts, as a manifest writes them; how each works is in the runtime's table.
pub const CONTRACT_NAMES: [&str; 8] =
    ["wasi-http", "http", "functions-framework", "stdio", "lambda", "javascript", "spin", "static"];

/// The folder or file that a function of host `files` serves, as a path inside its package; empty: all of it.
pub fn files_root(run: &str) -> &str {
    let root = run.trim_end_matches('/');
    let root = root.strip_prefix("./").unwrap_or(root);
    if root == "." { "" } else { root }
}

/// What becomes of a function's asynchronous calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AsyncSpec {
    /// What happens after a failure.
    pub retry: RetrySpec,
    /// Where a record of each success goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_success: Option<TopicName>,
    /// Where a record of each call that is given up goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<TopicName>,
    /// The function that is called with a record of each success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_on_success: Option<FunctionAddress>,
    /// The function that is called with a record of each call that is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_on_failure: Option<FunctionAddress>,
    /// Where each call that is given up goes, as AWS Lambda's dead-letter queues get it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<TopicName>,
}

/// A function of some app, in whatever revision is current.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionAddress {
    /// The app.
    pub app: AppName,
    /// The function.
    pub function: FunctionName,
}

impl Default for AsyncSpec {
    fn default() -> Self {
        Self {
            retry: RetrySpec::of(CALL_ATTEMPTS_DEFAULT),
            on_success: None,
            on_failure: None,
            call_on_success: None,
            call_on_failure: None,
            dead_letter: None,
        }
    }
}

impl AsyncSpec {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One file of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackageFile {
    /// Its artifact.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it may be executed.
    pub executable: bool,
}

/// How many instances of a function run, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleSpec {
    /// Instances that are kept running.
    pub min: u32,
    /// Instances at most.
    pub max: u32,
    /// Calls at a time in one instance.
    pub concurrency: u32,
    /// Time without a call after which an instance above `min` stops, in milliseconds.
    pub idle_ms: u64,
    /// Calls that one instance serves before it is replaced; `None`: any number.
    pub calls_per_instance: Option<u32>,
    /// Instances that are kept running besides, some of them at certain times only; the highest number holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provisioned: Vec<Provisioned>,
}

impl ScaleSpec {
    /// So many instances with so many calls at a time each, none of them when nobody calls.
    pub fn up_to(max: u32, concurrency: u32) -> Self {
        Self {
            min: 0,
            max,
            concurrency,
            idle_ms: millis(IDLE_TIMEOUT_DEFAULT),
            calls_per_instance: None,
            provisioned: Vec::new(),
        }
    }

    /// Whether instances run before a call needs them, at least at times.
    pub fn keeps_some(&self) -> bool {
        self.min > 0 || !self.provisioned.is_empty()
    }
}

/// Instances that are started ahead of calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provisioned {
    /// How many.
    pub count: u32,
    /// When; `None`: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<During>,
}

/// A time that comes again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct During {
    /// The cron expression of its beginnings.
    pub from: String,
    /// The cron expression of its ends.
    pub to: String,
    /// The IANA name of the time zone of both.
    pub zone: String,
}

/// Which requests a function answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    /// `[METHOD[,METHOD]] [host]/path`, as in the manifest.
    pub route: String,
    /// The function.
    pub function: FunctionName,
}

#[cfg(test)]
mod tests {
    use super::sorted;

    #[test]
    fn the_order_of_settings_is_no_content() {
        let read = |text: &str| sorted(serde_json::from_str(text).unwrap()).to_string();
        assert_eq!(read(r#"{"b":[{"d":1,"c":2}],"a":null}"#), r#"{"a":null,"b":[{"c":2,"d":1}]}"#);
        assert_ne!(read("[1,2]"), read("[2,1]"), "the order of a list is content");
    }
}
