//! What a deploy would change, setting by setting.

use hob_core::spec::AppSpec;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// What it is, such as `functions.rate.timeout_ms`.
    pub(crate) what: String,
    /// What is current, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<String>,
    /// What would be, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "~ {}: {before} -> {after}", self.what),
            (None, Some(after)) => write!(f, "+ {}: {after}", self.what),
            (Some(before), None) => write!(f, "- {}: {before}", self.what),
            (None, None) => f.write_str(&self.what),
        }
    }
}

/// The changes from what is current, if anything is, to `after`; none when they are equal.
pub(crate) fn diff(before: Option<&AppSpec>, after: &AppSpec) -> Vec<Change> {
    let before = before.map(flat).unwrap_or_default();
    let after = flat(after);
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |what: &&String| Change {
        what: (*what).clone(),
        before: before.get(*what).cloned(),
        after: after.get(*what).cloned(),
    };
    keys.iter().map(change).filter(|change| change.before != change.after).collect()
}

fn flat(spec: &AppSpec) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let value = serde_json::to_value(spec).expect("an app spec has text keys only");
    collect(&value["functions"], "functions", &mut out);
    for kind in ["subscriptions", "schedules", "topics"] {
        collect(&value["triggers"][kind], kind, &mut out);
    }
    collect(&value["watch"], "watch", &mut out);
    for route in &spec.triggers.event_routes {
        out.insert(format!("routes.{}", route.route), format!("events for {}", route.topic));
    }
    for route in &spec.routes {
        out.insert(format!("routes.{}", route.route), route.function.to_string());
    }
    out
}

fn collect(value: &Value, path: &str, out: &mut BTreeMap<String, String>) {
    match value {
        // A file is one thing: its digest says whether it changed.
        Value::Object(map) if map.contains_key("digest") => {
            let digest = map["digest"].as_str().unwrap_or_default();
            out.insert(path.to_owned(), digest.chars().take("sha256:".len() + 12).collect());
        }
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| collect(value, &format!("{path}.{key}"), out))
        }
        // Values of the environment may be secret.
        Value::String(_) if path.contains(".env.") => {
            out.insert(
                path.to_owned(),
                format!("({} bytes, {})", value.as_str().map_or(0, str::len), mark(value)),
            );
        }
        Value::Null => {}
        _ => {
            out.insert(path.to_owned(), value.to_string());
        }
    }
}

/// Tells values apart without showing them.
fn mark(value: &Value) -> String {
    hob_core::digest::Digest::of(value.to_string().as_bytes()).short()
}

#[cfg(test)]
mod tests {
    use super::diff;
    use serde_json::json;

    fn spec(timeout_ms: u64, route: &str) -> hob_core::spec::AppSpec {
        serde_json::from_value(json!({
            "app": "a", "routes": [{ "route": route, "function": "f" }],
            "functions": { "f": {
                "host": "wasm", "contract": "wasi-http", "run": ["f.wasm"], "package": {}, "env": { "KEY": "secret" },
                "timeout_ms": timeout_ms, "memory_bytes": 1, "body_bytes_max": 1, "egress": null, "private": false,
                "settings": {}, "scale": { "min": 0, "max": 1, "concurrency": 1, "idle_ms": 1, "calls_per_instance": null },
            } },
        }))
        .unwrap()
    }

    #[test]
    fn changes_name_the_setting_and_never_a_secret() {
        let shown = |before: Option<_>, after: &_| -> Vec<String> {
            diff(before, after).iter().map(ToString::to_string).collect()
        };
        let (old, new) = (spec(1, "/a"), spec(2, "/b"));
        assert_eq!(shown(Some(&old), &old), [] as [&str; 0]);
        assert_eq!(
            shown(Some(&old), &new),
            ["~ functions.f.timeout_ms: 1 -> 2", "- routes./a: \"f\"", "+ routes./b: \"f\""]
                .map(|s| s.replace('"', ""))
        );
        assert!(!shown(None, &new).join(" ").contains("secret"));
    }
}
