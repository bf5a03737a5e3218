//! What calls a function: one entry of `events`.

use super::function::Shared;
use crate::foreign::event_pattern;
use crate::foreign::fields::{Fields, Reason, met, refuse, warn, wrong};
use crate::foreign::lambda;
use crate::foreign::naming;
use crate::foreign::note::Notes;
use crate::foreign::tree::{Entry, Node};
use crate::manifest::{Function, Manifest, On, Written};

const OPEN: &str = "Hob checks no callers, so that everybody could call what only some may";

const HTTP: &[Reason] = &[
    met("operationId"),
    met("timeout"),
    warn("cors", "CORS is the function's to answer; Hob adds no headers"),
    warn("request", "parameters and bodies are not checked before the call"),
    warn("async", "the call is made at once; `Prefer: respond-async` makes it asynchronous"),
    refuse("authorizer", OPEN),
    refuse("connectionType", "the route leads elsewhere than to the function"),
    refuse("integration", "the route leads elsewhere than to the function"),
];

const SCHEDULE: &[Reason] = &[
    met("name"),
    met("description"),
    met("method"),
    warn("inputPath", "the function gets the whole event"),
    warn("inputTransformer", "the function gets the event itself"),
];

const TOPIC: &[Reason] = &[
    met("displayName"),
    met("fifo"),
    warn("kmsMasterKeyId", "events are kept as they are, without a key of AWS"),
];

const RULE: &[Reason] = &[
    met("name"),
    met("description"),
    warn("input", "the function gets the event itself"),
    warn("inputPath", "the function gets the whole event"),
    warn("inputTransformer", "the function gets the event itself"),
];

/// Translates the entry at a place of the list.
pub(super) fn translate(
    shared: &Shared,
    item: &Node,
    (path, at): (&str, usize),
    function: &mut Function,
    manifest: &mut Manifest,
    notes: &mut Notes,
) {
    let path = format!("{path}[{at}]");
    let text = item.text().map(|kind| Entry {
        key: kind.to_owned(),
        line: item.line,
        value: Node::map_at(item.line, Vec::new()),
    });
    let entry = match (&text, item.entries()) {
        (Some(entry), _) => entry,
        (None, Some([entry])) => entry,
        _ => return wrong(item, &path, "a map with one key", notes),
    };
    let path = format!("{path}.{}", entry.key);
    let refused = notes.refused();
    let event = Event { shared, entry, path: &path, name: format!("{}-{}", entry.key, at + 1) };
    let found = match entry.key.as_str() {
        "http" | "httpApi" => return event.http(function, notes),
        "schedule" => event.schedule(function, notes),
        "sqs" => event.topic("arn", TOPIC, function, notes),
        "sns" => event.topic("topicName", TOPIC, function, notes),
        "eventBridge" => event.rule(function, notes),
        other => {
            return notes.warn(
                entry.line,
                &path,
                format!("Hob has no trigger like `{other}`, so it calls nothing"),
            );
        }
    };
    for (on, enabled) in found {
        match enabled {
            // With a part of it refused it would do something else.
            _ if notes.refused() > refused => {}
            true => {
                match entry.key.as_str() {
                    kind @ ("sqs" | "sns") => lambda::shape(function, &on, kind),
                    // Its input takes the place of the event.
                    _ if on.data.is_some() => lambda::shape(function, &on, "data"),
                    _ => {}
                }
                manifest.triggers.push(on);
            }
            false => notes.warn(entry.line, &path, "it is disabled, so it is left out"),
        }
    }
}

struct Event<'a> {
    shared: &'a Shared,
    entry: &'a Entry,
    path: &'a str,
    /// A name for the trigger: its kind and its place.
    name: String,
}

impl Event<'_> {
    fn http(&self, function: &mut Function, notes: &mut Notes) {
        let refused = notes.refused();
        let old = self.shared.payload.as_ref().is_some_and(|payload| payload.value == "1.0");
        let version = if old || self.entry.key == "http" { "1.0" } else { "2.0" };
        lambda::payload(function, version, self.entry.line, self.path, notes);
        let (mut method, mut path, mut line) = (String::new(), "*".to_owned(), self.entry.line);
        match self.entry.value.text() {
            Some(text) => match text.trim().split_once(char::is_whitespace) {
                Some((verb, place)) => (method, path) = (verb.to_owned(), place.trim().to_owned()),
                None => path = text.trim().to_owned(),
            },
            None => {
                let mut fields = Fields::of(&self.entry.value, self.path, notes);
                if let Some(written) = fields.text("path", notes) {
                    (path, line) = (written.value, written.line);
                }
                method = fields.text("method", notes).map_or_else(String::new, |method| method.value);
                if let Some(key) = fields.boolean("private", notes).filter(|key| key.value) {
                    notes.refuse(key.line, &fields.path("private"), OPEN);
                }
                fields.end(&[HTTP], notes);
            }
        }
        match lambda::route(&method, &path) {
            Ok(_) if notes.refused() > refused => {}
            Ok(route) => lambda::add_route(function, route, line),
            Err(why) => notes.refuse(line, self.path, why),
        }
    }

    /// One for each of its rates.
    fn schedule(&self, function: &Function, notes: &mut Notes) -> Vec<(On, bool)> {
        let line = self.entry.line;
        let one = |rate: &str, line: usize, at: usize| {
            let name = if at == 0 { self.name.clone() } else { format!("{}-{}", self.name, at + 1) };
            let mut on = lambda::trigger(&function.name, &name, self.entry.line);
            on.schedule = Some(Written { value: rate.to_owned(), line });
            on
        };
        if let Some(rate) = self.entry.value.text() {
            return vec![(one(rate, line, 0), true)];
        }
        let mut fields = Fields::of(&self.entry.value, self.path, notes);
        let Some(rates) = fields.list("rate", notes) else {
            notes.refuse(line, &fields.path("rate"), "it is needed");
            return Vec::new();
        };
        let enabled = fields.boolean("enabled", notes).is_none_or(|on| on.value);
        let zone = fields.text("timezone", notes);
        let data = fields.take("input").map(|entry| {
            let value = match entry.value.text().map(serde_json::from_str) {
                Some(Ok(value)) => value,
                _ => entry.value.json(),
            };
            Written { value, line: entry.line }
        });
        fields.end(&[SCHEDULE], notes);
        let on = |(at, rate): (usize, &String)| {
            (On { zone: zone.clone(), data: data.clone(), ..one(rate, rates.line, at) }, enabled)
        };
        rates.value.iter().enumerate().map(on).collect()
    }

    fn topic(
        &self,
        key: &str,
        reasons: &[Reason],
        function: &Function,
        notes: &mut Notes,
    ) -> Vec<(On, bool)> {
        let mut on = lambda::trigger(&function.name, &self.name, self.entry.line);
        let mut enabled = true;
        let map = self
            .entry
            .value
            .entries()
            .filter(|entries| entries.iter().any(|entry| entry.key == "arn" || entry.key == key));
        let node = match map {
            None => &self.entry.value,
            Some(_) => {
                let mut fields = Fields::of(&self.entry.value, self.path, notes);
                enabled = fields.boolean("enabled", notes).is_none_or(|on| on.value);
                on.concurrency = fields.number("maximumConcurrency", notes);
                let arn = fields.take("arn");
                let node = arn.or_else(|| fields.take(key)).map(|entry| &entry.value);
                fields.take(key);
                if self.entry.key == "sqs" {
                    let batch = lambda::Batch {
                        size: fields.number("batchSize", notes),
                        window: fields.number("maximumBatchingWindow", notes),
                        partial: fields.text("functionResponseType", notes).is_some(),
                    };
                    batch.set(&mut on);
                }
                if let Some(entry) = fields.take("filterPatterns") {
                    let patterns = entry.value.list().unwrap_or_default().iter();
                    let filters = lambda::criteria(patterns).map(|filters| on.filters = filters);
                    filters
                        .unwrap_or_else(|why| notes.refuse(entry.line, &fields.path("filterPatterns"), why));
                }
                let scope = fields.text("filterPolicyScope", notes);
                if let Some(entry) = fields.take("filterPolicy") {
                    let body = scope.is_some_and(|scope| scope.value == "MessageBody");
                    let filters = lambda::policy(&entry.value, body).map(|filters| on.filters = filters);
                    filters.unwrap_or_else(|why| notes.refuse(entry.line, &fields.path("filterPolicy"), why));
                }
                if let Some(mut redrive) = fields.fields("redrivePolicy", notes) {
                    self.dead(&mut redrive, "deadLetterTargetArn", &mut on, notes);
                    redrive.end(&[], notes);
                }
                fields.end(&[reasons], notes);
                node.unwrap_or(&self.entry.value)
            }
        };
        match self.shared.topics.named(node) {
            Ok(value) => on.topic = Some(Written { value, line: node.line }),
            Err(why) => notes.refuse(node.line, self.path, why),
        }
        self.shared.topics.deliver(node, node.line, &mut on);
        vec![(on, enabled)]
    }

    /// Where events go that are given up.
    fn dead(&self, fields: &mut Fields<'_>, key: &str, on: &mut On, notes: &mut Notes) {
        let Some(entry) = fields.take(key) else { return };
        match self.shared.topics.named(&entry.value) {
            Ok(value) => on.retry.dead_letter = Some(Written { value, line: entry.line }),
            Err(why) => notes.refuse(entry.line, &fields.path(key), why),
        }
    }

    fn rule(&self, function: &Function, notes: &mut Notes) -> Vec<(On, bool)> {
        let mut fields = Fields::of(&self.entry.value, self.path, notes);
        let mut on = lambda::trigger(&function.name, &self.name, self.entry.line);
        let enabled = fields.boolean("enabled", notes).is_none_or(|on| on.value);
        match fields.take("eventBus").map(|entry| (entry, self.shared.topics.named(&entry.value))) {
            Some((entry, Ok(value))) => on.topic = Some(Written { value, line: entry.line }),
            Some((entry, Err(why))) => notes.refuse(entry.line, &fields.path("eventBus"), why),
            None => on.topic = Some(Written { value: naming::topic("default"), line: self.entry.line }),
        }
        if let Some(pattern) = fields.take("pattern") {
            match event_pattern::filters(&pattern.value) {
                Ok(filters) => on.filters = Some(Written { value: filters, line: pattern.line }),
                Err((line, why)) => notes.refuse(line, &fields.path("pattern"), why),
            }
        }
        if let Some(mut retry) = fields.fields("retryPolicy", notes) {
            on.retry.attempts = retry.number("maximumRetryAttempts", notes).as_ref().map(lambda::attempts);
            on.retry.age = retry.number("maximumEventAge", notes).as_ref().map(lambda::seconds);
            retry.end(&[], notes);
        }
        self.dead(&mut fields, "deadLetterQueueArn", &mut on, notes);
        if let Some(schedule) = fields.text("schedule", notes) {
            (on.topic, on.filters) = (None, None);
            on.schedule = Some(schedule);
        }
        fields.end(&[RULE], notes);
        vec![(on, enabled)]
    }
}
