//! Every setting of a function with its value and where it came from, for `hob show --resolved`.

use hob_core::foreign::Lines;
use hob_core::manifest::{Origin, Resolved};
use hob_core::spec::{During, FunctionSpec, Provisioned};
use hob_core::unit::{show_bytes, show_duration, show_processors};
use serde::Serialize;
use std::time::Duration;

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    /// The function.
    pub(crate) function: String,
    /// Its key in a manifest.
    pub(crate) setting: &'static str,
    /// The value, as a manifest would say it.
    pub(crate) value: String,
    /// Where it came from.
    pub(crate) from: String,
}

/// The settings of one function; `file` names the manifest, and `lines` its files where there are several.
pub(crate) fn settings(file: &str, lines: &Lines, function: &Resolved) -> Vec<Setting> {
    let setting = |(&key, origin): (&&'static str, &Origin)| Setting {
        function: function.name.to_string(),
        setting: key,
        value: value(&function.spec, key),
        from: match origin {
            Origin::Manifest { line: 0 } => "the path".to_owned(),
            Origin::Manifest { line } => match lines.place(*line) {
                ("", line) => format!("{file}:{line}"),
                (file, line) => format!("{file}:{line}"),
            },
            Origin::Detected => "detected".to_owned(),
            Origin::Default => "default".to_owned(),
        },
    };
    function.origins.iter().map(setting).collect()
}

fn value(spec: &FunctionSpec, key: &str) -> String {
    let time = |ms: u64| show_duration(Duration::from_millis(ms));
    match key {
        "host" => spec.host.clone(),
        "contract" => spec.contract.clone(),
        "run" => spec.run.join(" "),
        "timeout" => time(spec.timeout_ms),
        "memory" => show_bytes(spec.memory_bytes),
        "cpu" => spec.cpu_milli.map_or_else(|| "no limit".to_owned(), processors),
        "body" => show_bytes(spec.body_bytes_max),
        "private" => spec.private.to_string(),
        // Values of the environment may be secret; names are enough to see what is set.
        "env" => spec.env.keys().cloned().collect::<Vec<_>>().join(", "),
        "egress" => {
            spec.egress.as_ref().map_or_else(|| "every public address".to_owned(), |list| list.join(", "))
        }
        "scale.min" => spec.scale.min.to_string(),
        "scale.max" => spec.scale.max.to_string(),
        "scale.concurrency" => spec.scale.concurrency.to_string(),
        "scale.idle" => time(spec.scale.idle_ms),
        "scale.calls" => {
            spec.scale.calls_per_instance.map_or_else(|| "any number".to_owned(), |calls| calls.to_string())
        }
        "scale.provisioned" => {
            let entries: Vec<String> = spec.scale.provisioned.iter().map(provisioned).collect();
            if entries.is_empty() { "none".to_owned() } else { entries.join("; ") }
        }
        _ => String::new(),
    }
}

fn processors(milli: u32) -> String {
    show_processors(milli.into())
}

fn provisioned(one: &Provisioned) -> String {
    match &one.during {
        None => one.count.to_string(),
        Some(During { from, to, zone }) => format!("{} from `{from}` to `{to}` ({zone})", one.count),
    }
}
