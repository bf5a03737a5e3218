//! Facts that are no spans, as events (log records with a name): deliveries that failed, schedules, deploys,
//! instances, alerts.

use super::{Attributes, Log, Value, resource};
use crate::fact::{Changed, Ending, Fact, RunDecision, What};
use crate::log_line::Level;

/// The event that a fact is, and who tells it; `None` for what is a span, or too common to be an event.
pub fn event(fact: &Fact) -> Option<(Attributes, Log)> {
    let (who, text, level) = told(&fact.what)?;
    let mut attributes = Attributes::new();
    if let Ok(serde_json::Value::Object(all)) = serde_json::to_value(&fact.what) {
        for (name, value) in all {
            let value = match value {
                serde_json::Value::String(text) => Value::Text(text),
                serde_json::Value::Bool(truth) => Value::Bool(truth),
                serde_json::Value::Number(number) if number.is_i64() => {
                    Value::Int(number.as_i64().unwrap_or_default())
                }
                other => Value::Text(other.to_string()),
            };
            attributes.push((format!("hob.{name}").into(), value));
        }
    }
    let time_ns = fact.time_ms.saturating_mul(1_000_000);
    let log = Log {
        time_ns,
        observed_ns: time_ns,
        severity: level.severity(),
        severity_text: level.word().to_ascii_uppercase(),
        body: text.into(),
        attributes,
        trace: fact.trace,
        span: None,
        event: format!("hob.{}", fact.what.word()),
    };
    Some((who, log))
}

fn told(what: &What) -> Option<(Attributes, String, Level)> {
    let of_failure = |failed: bool| if failed { Level::Error } else { Level::Info };
    Some(match what {
        What::Call(_) | What::Refused(_) | What::Published(_) | What::Skipped(_) | What::Span(_) => {
            return None;
        }
        What::Delivered(event) => {
            let (then, level) = match &event.ending {
                Ending::Retry { .. } => ("is tried again".to_owned(), Level::Warn),
                Ending::Overloaded { .. } => ("waits for a place".to_owned(), Level::Warn),
                Ending::Dead { reason, topic } => {
                    (format!("was given up ({reason}): see `{topic}`"), Level::Error)
                }
            };
            let text =
                format!("event {} of `{}` for `{}` {then}", event.sequence, event.topic, event.subscription);
            (resource::node(), text, level)
        }
        What::Run(run) => {
            let (then, level) = match &run.decision {
                RunDecision::Fired { .. } => ("fired".to_owned(), Level::Info),
                RunDecision::LeftOut { reason, runs, .. } => {
                    (format!("left out {runs} runs ({reason})"), Level::Warn)
                }
                RunDecision::Failed { failure } => {
                    (format!("could not fire: {}", failure.message), Level::Error)
                }
            };
            (resource::node(), format!("schedule `{}/{}` {then}", run.app, run.schedule), level)
        }
        What::Changed(changed) => (resource::node(), change(changed), of_failure(changed.failure.is_some())),
        What::Instance(instance) => {
            let step = serde_json::to_value(instance.step).ok();
            let step = step.as_ref().and_then(|step| step.as_str()).unwrap_or_default().to_owned();
            let why = instance.failure.as_ref().map(|failure| format!(": {}", failure.message));
            let text = format!("instance {} {step}{}", instance.instance, why.unwrap_or_default());
            let who = resource::function(&instance.app, &instance.function, instance.revision);
            (who, text, of_failure(instance.failure.is_some()))
        }
        What::Alert(alert) => {
            let state = if alert.on { "is on" } else { "is over" };
            let level = if alert.on { Level::Error } else { Level::Info };
            (resource::node(), format!("alert `{}` {state}: {}", alert.alert, alert.text), level)
        }
    })
}

fn change(changed: &Changed) -> String {
    let done = serde_json::to_value(changed.change).ok();
    let done = done.as_ref().and_then(|done| done.as_str()).unwrap_or_default();
    let to = changed.to.map(|to| format!(" to revision {to}")).unwrap_or_default();
    let why = changed.failure.as_ref().map(|failure| format!(" failed: {}", failure.message));
    format!("{done} of app `{}`{to}{}", changed.app, why.unwrap_or_default())
}
