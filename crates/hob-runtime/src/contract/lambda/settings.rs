//! The contract's own settings: `[functions.<name>.lambda]`.

use super::super::setting;
use super::event::Shape;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{LAMBDA_INIT_TIMEOUT, START_TIMEOUT_CEILING};
use hob_core::spec::FunctionSpec;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const KEYS: [&str; 10] = [
    "payload",
    "event",
    "events",
    "handler",
    "runtime",
    "layers",
    "log-format",
    "reports",
    "init-timeout",
    "freeze",
];

/// What an HTTP request becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Payload {
    /// Payload format 2.0: HTTP APIs and function URLs.
    #[default]
    V2,
    /// Payload format 1.0: REST APIs.
    V1,
    /// Its body is the event, and the result is the answer.
    Raw,
}

/// What a function may say about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// What an HTTP request becomes.
    pub(super) payload: Payload,
    /// What an event becomes that a trigger brings.
    pub(super) event: Shape,
    /// The same, of one trigger.
    pub(super) events: BTreeMap<String, Shape>,
    /// The value of `_HANDLER`.
    pub(super) handler: String,
    /// The end of `AWS_EXECUTION_ENV`.
    pub(super) runtime: String,
    /// Whether runtimes are asked to print JSON.
    pub(super) log_json: bool,
    /// Whether the log has the lines `START`, `END` and `REPORT` of each call.
    pub(super) reports: bool,
    /// How long it may take until the runtime asks for an event.
    pub(super) init_timeout: Duration,
    /// Whether an instance stands still while nobody calls it.
    pub(super) freeze: bool,
}

impl Settings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// `HOB-0102` for an unknown key, `HOB-0103` for a wrong value, `HOB-0109` above a limit.
    pub(super) fn read(spec: &FunctionSpec) -> Result<Self> {
        let mut settings = Self {
            payload: Payload::V2,
            event: Shape::EventBridge,
            events: BTreeMap::new(),
            handler: "bootstrap".to_owned(),
            runtime: "provided.al2023".to_owned(),
            log_json: false,
            reports: true,
            init_timeout: LAMBDA_INIT_TIMEOUT + spec.timeout(),
            freeze: true,
        };
        for (key, value) in &spec.settings {
            match key.as_str() {
                "payload" => settings.payload = payload(value)?,
                "event" => settings.event = shape(key, value)?,
                "events" => {
                    let table = value
                        .as_object()
                        .ok_or_else(|| wrong(key, value, "write a table of triggers and shapes"))?;
                    for (trigger, value) in table {
                        settings.events.insert(trigger.clone(), shape(key, value)?);
                    }
                }
                "handler" => settings.handler = text(key, value)?,
                "runtime" => settings.runtime = text(key, value)?,
                "log-format" => {
                    settings.log_json = match value.as_str() {
                        Some("text") => false,
                        Some("json") => true,
                        _ => return Err(wrong(key, value, "use `text` (the default) or `json`")),
                    }
                }
                "reports" => settings.reports = truth(key, value)?,
                "freeze" => settings.freeze = truth(key, value)?,
                // They are in the package already.
                "layers" if value.as_array().is_some_and(|all| all.iter().all(Value::is_string)) => {}
                "layers" => return Err(wrong(key, value, "write a list of folders and zip archives")),
                "init-timeout" => {
                    settings.init_timeout = setting::time("lambda", key, value, START_TIMEOUT_CEILING)?
                }
                _ => return Err(setting::unknown("lambda", key, &KEYS)),
            }
        }
        Ok(settings)
    }
}

fn payload(value: &Value) -> Result<Payload> {
    match value.as_str() {
        Some("2.0") => Ok(Payload::V2),
        Some("1.0") => Ok(Payload::V1),
        Some("raw") => Ok(Payload::Raw),
        _ => Err(wrong("payload", value, "use `2.0` (the default), `1.0` or `raw`")),
    }
}

fn shape(key: &str, value: &Value) -> Result<Shape> {
    let found = value.as_str().and_then(Shape::parse);
    found.ok_or_else(|| wrong(key, value, &format!("use one of: {}", Shape::words().join(", "))))
}

fn truth(key: &str, value: &Value) -> Result<bool> {
    value.as_bool().ok_or_else(|| wrong(key, value, "write true (the default) or false"))
}

fn text(key: &str, value: &Value) -> Result<String> {
    let text = value.as_str().filter(|text| !text.is_empty() && !text.contains('\0'));
    text.map(str::to_owned).ok_or_else(|| wrong(key, value, "write a text"))
}

fn wrong(key: &str, value: &Value, hint: &str) -> Fault {
    setting::wrong("lambda", key, value, hint)
}

#[cfg(test)]
mod tests {
    use super::{Payload, Settings};
    use crate::contract::Contract as _;
    use crate::contract::lambda::Lambda;
    use crate::contract::lambda::event::Shape;
    use crate::contract::lambda::tests::code;
    use serde_json::{Value, json};

    #[test]
    fn settings_are_read_and_mistakes_named() {
        let all = json!({
            "payload": "1.0", "event": "sqs", "events": { "nightly": "data" }, "handler": "a.b", "runtime": "python3.12",
            "layers": ["a.zip"], "log-format": "json", "reports": false, "init-timeout": "3s", "freeze": false,
        });
        let read = |value: &Value| code(|spec| spec.settings = value.as_object().unwrap().clone());
        let settings = Settings::read(&read(&all).spec).unwrap();
        assert_eq!((settings.payload, settings.event), (Payload::V1, Shape::Sqs));
        assert_eq!((settings.events["nightly"], settings.init_timeout.as_secs()), (Shape::Data, 3));
        for (value, code) in [
            (json!({ "payload": 2 }), "HOB-0103"),
            (json!({ "event": "kinesis" }), "HOB-0103"),
            (json!({ "events": { "x": "y" } }), "HOB-0103"),
            (json!({ "layers": "a.zip" }), "HOB-0103"),
            (json!({ "handler": "" }), "HOB-0103"),
            (json!({ "reports": "no" }), "HOB-0103"),
            (json!({ "freeze": "1s" }), "HOB-0103"),
            (json!({ "init-timeout": "1d" }), "HOB-0109"),
            (json!({ "evnet": "sqs" }), "HOB-0102"),
        ] {
            assert_eq!(Lambda.check(&read(&value).spec).unwrap_err().code().text(), code, "{value}");
        }
        let large = code(|spec| spec.body_bytes_max = 33 << 20);
        assert_eq!(Lambda.check(&large.spec).unwrap_err().code().text(), "HOB-0109");
    }
}
