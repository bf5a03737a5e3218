//! What differs between two revisions, setting by setting.
//!
//! **Why.** "What did the last deploy change?" is the first question after it went wrong.
//!
//! **How.** Both are flattened to paths such as `functions.rate.timeout_ms`. Values of the environment
//! are often secrets, so it is only said that one has changed.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One setting that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct Change {
    /// Which, such as `functions.rate.timeout_ms`.
    pub(in crate::dashboard) path: String,
    /// The first value; `None`: it was not there.
    pub(in crate::dashboard) before: Option<String>,
    /// The second value; `None`: it is not there any more.
    pub(in crate::dashboard) after: Option<String>,
}

/// What stands for a value of the environment.
const HIDDEN: &str = "••••";

/// The settings that differ, by path.
pub(in crate::dashboard) fn diff(before: &Value, after: &Value) -> Vec<Change> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    flatten("", before, &mut old);
    flatten("", after, &mut new);
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = paths.into_iter().filter(|path| old.get(*path) != new.get(*path));
    let shown = |path: &str, value: Option<&String>| {
        value.map(|value| if path.contains(".env.") { HIDDEN.to_owned() } else { value.clone() })
    };
    changed
        .map(|path| Change {
            path: path.clone(),
            before: shown(path, old.get(path)),
            after: shown(path, new.get(path)),
        })
        .collect()
}

fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        // An empty table is the same as none.
        Value::Object(members) => {
            for (name, value) in members {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&below, value, into);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (at, item) in items.iter().enumerate() {
                flatten(&format!("{path}[{at}]"), item, into);
            }
        }
        Value::String(text) => drop(into.insert(path.to_owned(), text.clone())),
        other => drop(into.insert(path.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::diff;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_listed_and_no_secret_is() {
        let before = json!({ "functions": { "a": { "timeout_ms": 1, "env": { "KEY": "old", "GONE": "x" }, "run": ["x"] } },
            "routes": [{ "route": "GET /", "function": "a" }] });
        let after = json!({ "functions": { "a": { "timeout_ms": 2, "env": { "KEY": "new" }, "run": ["x"] }, "b": { "host": "wasm", "env": {} } },
            "routes": [{ "route": "GET /", "function": "a" }] });
        let lines: Vec<String> = diff(&before, &after)
            .iter()
            .map(|change| {
                let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "-".into());
                format!("{}: {} → {}", change.path, side(&change.before), side(&change.after))
            })
            .collect();
        assert_eq!(
            lines,
            [
                "functions.a.env.GONE: •••• → -",
                "functions.a.env.KEY: •••• → ••••",
                "functions.a.timeout_ms: 1 → 2",
                "functions.b.host: - → wasm",
            ]
        );
        assert!(diff(&before, &before).is_empty());
    }
}
