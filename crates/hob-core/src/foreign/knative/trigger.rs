//! Triggers and PingSources: what calls a Service besides requests.

use super::Around;
use super::resource::{self, Resource};
use crate::filter::Filter;
use crate::foreign::fields::{Fields, Reason, met, refuse, warn};
use crate::foreign::naming;
use crate::foreign::note::Notes;
use crate::foreign::tree::{Entry, Node};
use crate::limit::{DELIVERY_BACKOFF_CEILING, TRIGGER_NAME_BYTES_MAX};
use crate::manifest::{Manifest, On, Retry, Written};
use crate::name::{FunctionName, TopicName, TriggerName, suggestion_within};
use std::collections::BTreeMap;
use std::time::Duration;

const DELIVERY: &[Reason] = &[
    warn("timeout", "an attempt has as long as the function's `timeout`"),
    met("format"),
    met("retryAfterMax"),
];

const PING: &[Reason] = &[
    met("contentType"),
    refuse("dataBase64", "data of a schedule is JSON or text; write `data`"),
    warn("ceOverrides", "attributes of a schedule's event are Hob's"),
];

fn named(name: &str) -> Option<TriggerName> {
    TriggerName::new(&suggestion_within(&naming::hyphenated(name), TRIGGER_NAME_BYTES_MAX)).ok()
}

/// A `Trigger`: a subscription to the broker's topic.
pub(super) fn translate(one: &Resource<'_>, around: &Around, manifest: &mut Manifest, notes: &mut Notes) {
    let refused = notes.refused();
    let empty = Node::map_at(one.line, Vec::new());
    let mut fields = Fields::of(one.node.get("spec").unwrap_or(&empty), "spec", notes);
    let broker = fields.text("broker", notes);
    let broker = broker.or_else(|| {
        let mut reference = fields.fields("brokerRef", notes)?;
        let name = reference.text("name", notes);
        reference.end(&[&[met("kind"), met("apiVersion"), met("namespace")]], notes);
        name
    });
    let broker = broker.unwrap_or_else(|| Written { value: "default".to_owned(), line: one.line });
    let topic = naming::topic(&broker.value);
    let mut on = On { line: one.line, ..On::default() };
    on.name = named(&one.name).map(|value| Written { value, line: one.line });
    on.topic = Some(Written { value: topic.clone(), line: broker.line });
    (on.call, on.path) = subscriber(&mut fields, "subscriber", around, notes);
    notes.about(on.call.as_ref().map(|call| &call.value));
    on.filters = filters(&mut fields, notes);
    // Any delivery of a trigger takes the place of all of the broker's.
    let own = fields.take("delivery").map(|entry| (&entry.value, fields.path("delivery")));
    let shared = around.brokers.get(&broker.value).map(|(node, path)| (node, path.clone()));
    if let Some((node, path)) = own.or(shared) {
        let dead = deliver(node, &path, (&topic, around), &mut on.retry, notes);
        if let (Some(call), Some(topic)) = (dead, on.retry.dead_letter.clone()) {
            let name = named(&format!("{}-dead", one.name)).map(|value| Written { value, line: call.line });
            manifest.triggers.push(On {
                line: call.line,
                name,
                topic: Some(topic),
                call: Some(call),
                ..On::default()
            });
        }
    }
    fields.end(&[], notes);
    if notes.refused() == refused {
        manifest.triggers.push(on);
    }
}

/// A `PingSource`: a schedule.
pub(super) fn ping(one: &Resource<'_>, around: &Around, manifest: &mut Manifest, notes: &mut Notes) {
    let refused = notes.refused();
    let empty = Node::map_at(one.line, Vec::new());
    let mut fields = Fields::of(one.node.get("spec").unwrap_or(&empty), "spec", notes);
    let mut on = On { line: one.line, ..On::default() };
    on.name = named(&one.name).map(|value| Written { value, line: one.line });
    on.schedule = fields.text("schedule", notes);
    on.zone = fields.text("timezone", notes);
    let json = one.node.at(&["spec", "contentType"]).and_then(Node::text) == Some("application/json");
    on.data = fields.text("data", notes).map(|data| {
        let parsed = if json { serde_json::from_str(&data.value).ok() } else { None };
        Written { value: parsed.unwrap_or(serde_json::Value::String(data.value)), line: data.line }
    });
    (on.call, on.path) = subscriber(&mut fields, "sink", around, notes);
    notes.about(on.call.as_ref().map(|call| &call.value));
    fields.end(&[PING], notes);
    if on.schedule.is_none() {
        notes.refuse(one.line, "spec.schedule", "it is needed");
    }
    if notes.refused() == refused {
        notes.warn(
            one.line,
            "kind",
            "the event's type and source are those of Hob's schedules, not of a PingSource",
        );
        manifest.triggers.push(on);
    }
}

type Called = (Option<Written<FunctionName>>, Option<Written<String>>);

/// The function that is called, and at which path.
fn subscriber(fields: &mut Fields<'_>, key: &str, around: &Around, notes: &mut Notes) -> Called {
    let Some(mut own) = fields.fields(key, notes) else {
        notes.refuse(fields.line, &fields.path(key), "it is needed");
        return (None, None);
    };
    let path = own.text("uri", notes);
    let call = own.take("ref").and_then(|reference| function(reference, &own.path("ref"), around, notes));
    if call.is_none() && path.is_some() {
        notes.refuse(
            own.line,
            &own.path("uri"),
            "events are delivered to functions of the app; name a Service with `ref`",
        );
    }
    own.end(&[], notes);
    (call, path.filter(|path| path.value.starts_with('/')))
}

/// The function that a reference names.
fn function(
    reference: &Entry,
    path: &str,
    around: &Around,
    notes: &mut Notes,
) -> Option<Written<FunctionName>> {
    let mut fields = Fields::of(&reference.value, path, notes);
    let kind = fields.text("kind", notes).map_or_else(String::new, |kind| kind.value);
    let name = fields.text("name", notes)?;
    fields.end(&[&[met("apiVersion"), met("namespace")]], notes);
    match around.functions.get(&name.value) {
        Some(function) if kind == "Service" => Some(Written { value: function.clone(), line: name.line }),
        _ => {
            notes.refuse(name.line, path, format!("{kind} `{}` is no Service in what is read", name.value));
            None
        }
    }
}

/// Filters of a trigger; `filters` takes the place of `filter`.
fn filters(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<Written<Vec<Filter>>> {
    let (old, new) = (fields.take("filter"), fields.take("filters"));
    if let Some(entry) = new.filter(|entry| entry.value.list().is_some_and(|items| !items.is_empty())) {
        return match serde_json::from_value(entry.value.json()) {
            Ok(value) => Some(Written { value, line: entry.line }),
            Err(error) => {
                notes.refuse(
                    entry.line,
                    &fields.path("filters"),
                    format!("it is no list of filters: {error}"),
                );
                None
            }
        };
    }
    let entry = old?;
    let mut own = Fields::of(&entry.value, &fields.path("filter"), notes);
    let attributes = own.take("attributes");
    own.end(&[], notes);
    let mut value = Vec::new();
    let mut exact = BTreeMap::new();
    for one in attributes.and_then(|entry| entry.value.entries()).unwrap_or_default() {
        match one.value.text() {
            // The empty text is any value.
            None | Some("") => value.push(Filter::Sql(format!("EXISTS {}", one.key))),
            Some(text) => drop(exact.insert(one.key.clone(), text.to_owned())),
        }
    }
    if !exact.is_empty() {
        value.insert(0, Filter::Exact(exact));
    }
    (!value.is_empty()).then_some(Written { value, line: entry.line })
}

/// What happens after failures; the function that gets dead letters, if one does.
fn deliver(
    node: &Node,
    path: &str,
    (topic, around): (&TopicName, &Around),
    retry: &mut Retry,
    notes: &mut Notes,
) -> Option<Written<FunctionName>> {
    let mut fields = Fields::of(node, path, notes);
    let retries = fields.number("retry", notes);
    retry.attempts = retries.as_ref().map(crate::foreign::lambda::attempts);
    let policy = fields.text("backoffPolicy", notes);
    if let Some(policy) = policy.filter(|policy| policy.value == "linear") {
        notes.warn(policy.line, &fields.path("backoffPolicy"), "the pause doubles with each failure");
    }
    if let Some(delay) = fields.text("backoffDelay", notes) {
        match resource::time(&delay.value).filter(|time| *time >= Duration::from_millis(1)) {
            Some(least) => {
                let doubled = retries.map_or(1, |retries| 1u32 << retries.value.min(20));
                let most = least.saturating_mul(doubled).min(DELIVERY_BACKOFF_CEILING);
                retry.backoff = Some(Written { value: (least.min(most), most), line: delay.line });
            }
            None => notes.refuse(
                delay.line,
                &fields.path("backoffDelay"),
                format!("`{}` is no time", delay.value),
            ),
        }
    }
    let sink = fields.take("deadLetterSink");
    let sink_path = fields.path("deadLetterSink");
    fields.end(&[DELIVERY], notes);
    let sink = sink?;
    let mut own = Fields::of(&sink.value, &sink_path, notes);
    let reference = own.take("ref");
    own.end(
        &[&[warn("uri", "dead letters go to a topic; a function of the app can subscribe to it")]],
        notes,
    );
    retry.dead_letter = Some(Written { value: topic.dead(), line: sink.line });
    let reference = reference?;
    let kind = reference.value.get("kind").and_then(Node::text);
    if kind == Some("Broker") {
        let broker = reference.value.get("name").and_then(Node::text).unwrap_or("default");
        retry.dead_letter = Some(Written { value: naming::topic(broker), line: sink.line });
        return None;
    }
    function(reference, &sink_path, around, notes)
}
