//! What calls a function: one entry of `Events`.

use super::Surroundings;
use crate::foreign::event_pattern;
use crate::foreign::fields::{Fields, Reason, met, warn};
use crate::foreign::lambda;
use crate::foreign::note::Notes;
use crate::foreign::tree::{Entry, Node};
use crate::manifest::{Function, Manifest, On, Written};
use crate::name::{FunctionName, TopicName};

const OPEN: &str = "Hob checks no callers, so that everybody could call what only some may";

const HTTP: &[Reason] = &[
    met("ApiId"),
    met("RestApiId"),
    met("TimeoutInMillis"),
    met("OperationName"),
    warn("RequestParameters", "parameters are not checked before the call"),
    warn("RequestModel", "bodies are not checked before the call"),
    warn("RouteSettings", "there are no limits of single routes; `scale.max` bounds a function"),
];

const SCHEDULE: &[Reason] = &[
    met("Name"),
    met("Description"),
    met("GroupName"),
    met("OmitName"),
    met("RoleArn"),
    met("PermissionsBoundary"),
    warn("KmsKeyArn", "data is kept as it is, without a key of AWS"),
    warn("StartDate", "the schedule holds from the deploy on"),
    warn("EndDate", "the schedule holds until it is removed"),
];

const QUEUE: &[Reason] = &[
    // They are read where the queue is one that Hob has.
    met("BatchSize"),
    met("MaximumBatchingWindowInSeconds"),
    met("FunctionResponseTypes"),
    met("FilterCriteria"),
    met("FilterPolicy"),
    met("FilterPolicyScope"),
    warn("KmsKeyArn", "events are kept as they are, without a key of AWS"),
    warn("Region", "the topic is on this node"),
    warn("SqsSubscription", "the topic delivers to the function itself, without a queue between them"),
];

const RULE: &[Reason] = &[
    met("RuleName"),
    met("Target"),
    warn("InputPath", "the function gets the whole event"),
    warn("Input", "the function gets the event itself"),
    warn("InputTransformer", "the function gets the event itself"),
];

pub(super) fn translate(
    around: &Surroundings,
    entry: &Entry,
    path: &str,
    function: &mut Function,
    manifest: &mut Manifest,
    notes: &mut Notes,
) {
    let mut own = Fields::of(&entry.value, path, notes);
    let kind = own.text("Type", notes).map(|kind| kind.value).unwrap_or_default();
    let refused = notes.refused();
    let none = Node::map_at(entry.line, Vec::new());
    let properties = own.take("Properties").map_or(&none, |entry| &entry.value);
    own.end(&[], notes);
    let type_path = format!("{path}.Type");
    let path = format!("{path}.Properties");
    let mut event =
        Event { around, key: &entry.key, line: entry.line, fields: Fields::of(properties, &path, notes) };
    let mut on = match kind.as_str() {
        "Api" | "HttpApi" => {
            event.http(&kind, function, notes);
            event.fields.end(&[HTTP], notes);
            return;
        }
        "Schedule" | "ScheduleV2" => event.schedule(function, notes),
        "SQS" => event.topic("Queue", function, notes),
        "SNS" => event.topic("Topic", function, notes),
        "EventBridgeRule" | "CloudWatchEvent" => event.rule(function, notes),
        other => {
            notes.warn(
                entry.line,
                &type_path,
                format!("Hob has no trigger like `{other}`, so it calls nothing"),
            );
            return;
        }
    };
    if let Some(on) = &mut on {
        event.failures(&function.name, on, notes);
    }
    let enabled = event.enabled(notes);
    let reasons = match kind.as_str() {
        "Schedule" | "ScheduleV2" => SCHEDULE,
        "SQS" | "SNS" => QUEUE,
        _ => RULE,
    };
    event.fields.end(&[reasons], notes);
    match (on, enabled) {
        // With a part of it refused it would do something else.
        _ if notes.refused() > refused => {}
        (Some(on), true) => {
            match kind.as_str() {
                "SQS" => lambda::shape(function, &on, "sqs"),
                "SNS" => lambda::shape(function, &on, "sns"),
                // Its input takes the place of the event.
                _ if on.data.is_some() => lambda::shape(function, &on, "data"),
                _ => {}
            }
            manifest.triggers.push(on);
        }
        (Some(on), false) => notes.warn(on.line, &path, "it is disabled, so it is left out"),
        (None, _) => {}
    }
}

struct Event<'a, 'n> {
    around: &'a Surroundings,
    key: &'a str,
    line: usize,
    fields: Fields<'n>,
}

impl Event<'_, '_> {
    fn http(&mut self, kind: &str, function: &mut Function, notes: &mut Notes) {
        let refused = notes.refused();
        let fields = &mut self.fields;
        let auth = fields.take("Auth");
        let open = auth.is_some_and(|auth| auth.value.get("Authorizer").and_then(Node::text) == Some("NONE"));
        match auth {
            Some(auth) if !open => notes.refuse(auth.line, &fields.path("Auth"), OPEN),
            None if self.around.guarded.contains(kind) => notes.refuse(self.line, &fields.path("Auth"), OPEN),
            _ => {}
        }
        let (path, method) = (fields.text("Path", notes), fields.text("Method", notes));
        let format = fields.text("PayloadFormatVersion", notes);
        let version =
            format.as_ref().map_or(if kind == "Api" { "1.0" } else { "2.0" }, |format| &format.value);
        let at = format.as_ref().map_or(self.line, |format| format.line);
        lambda::payload(function, version, at, &fields.path("PayloadFormatVersion"), notes);
        let line = path.as_ref().map_or(self.line, |path| path.line);
        let path = path.map_or_else(|| "$default".to_owned(), |path| path.value);
        match lambda::route(method.as_ref().map_or("", |method| &method.value), &path) {
            Ok(_) if notes.refused() > refused => {}
            Ok(route) => lambda::add_route(function, route, line),
            Err(why) => notes.refuse(line, &fields.path("Path"), why),
        }
    }

    fn schedule(&mut self, function: &Function, notes: &mut Notes) -> Option<On> {
        let fields = &mut self.fields;
        let expression = match fields.take_any(&["Schedule", "ScheduleExpression"]) {
            Some(entry) => match entry.value.text() {
                Some(text) => Written { value: text.to_owned(), line: entry.line },
                None => {
                    crate::foreign::fields::wrong(&entry.value, &fields.path(&entry.key), "text", notes);
                    return None;
                }
            },
            None => {
                notes.refuse(self.line, &fields.path("Schedule"), "it is needed");
                return None;
            }
        };
        let mut on = lambda::trigger(&function.name, self.key, self.line);
        on.schedule = Some(expression);
        on.zone = fields.text("ScheduleExpressionTimezone", notes);
        if let Some(input) = fields.text("Input", notes) {
            let value = serde_json::from_str(&input.value).unwrap_or(serde_json::Value::String(input.value));
            on.data = Some(Written { value, line: input.line });
        }
        if let Some(mut window) = fields.fields("FlexibleTimeWindow", notes) {
            let mode = window.text("Mode", notes);
            let minutes = window.number("MaximumWindowInMinutes", notes);
            if mode.is_some_and(|mode| mode.value == "FLEXIBLE") {
                on.jitter = minutes.map(|minutes| Written {
                    value: std::time::Duration::from_secs(60 * u64::from(minutes.value)),
                    line: minutes.line,
                });
            }
            window.end(&[], notes);
        }
        Some(on)
    }

    fn topic(&mut self, key: &str, function: &Function, notes: &mut Notes) -> Option<On> {
        let Some(entry) = self.fields.take(key) else {
            notes.refuse(self.line, &self.fields.path(key), "it is needed");
            return None;
        };
        let topic = self.named(entry, key, notes)?;
        let mut on = lambda::trigger(&function.name, self.key, self.line);
        on.topic = Some(topic);
        self.around.topics.deliver(&entry.value, entry.line, &mut on);
        if let Some(mut scaling) = self.fields.fields("ScalingConfig", notes) {
            on.concurrency = scaling.number("MaximumConcurrency", notes);
            scaling.end(&[], notes);
        }
        if key == "Queue" {
            let batch = lambda::Batch {
                size: self.fields.number("BatchSize", notes),
                window: self.fields.number("MaximumBatchingWindowInSeconds", notes),
                partial: self.fields.list("FunctionResponseTypes", notes).is_some(),
            };
            batch.set(&mut on);
        }
        let criteria = self.fields.take("FilterCriteria");
        let patterns = criteria.and_then(|entry| entry.value.get("Filters").map(|list| (entry, list)));
        if let Some((entry, list)) = patterns {
            let each = list.list().unwrap_or_default().iter().filter_map(|one| one.get("Pattern"));
            let filters = lambda::criteria(each).map(|filters| on.filters = filters);
            filters.unwrap_or_else(|why| notes.refuse(entry.line, &self.fields.path("FilterCriteria"), why));
        }
        let scope = self.fields.text("FilterPolicyScope", notes);
        if let Some(entry) = self.fields.take("FilterPolicy") {
            let body = scope.is_some_and(|scope| scope.value == "MessageBody");
            let filters = lambda::policy(&entry.value, body).map(|filters| on.filters = filters);
            filters.unwrap_or_else(|why| notes.refuse(entry.line, &self.fields.path("FilterPolicy"), why));
        }
        Some(on)
    }

    fn rule(&mut self, function: &Function, notes: &mut Notes) -> Option<On> {
        let topic = match self.fields.take("EventBusName") {
            Some(entry) => self.named(entry, "EventBusName", notes)?,
            None => Written { value: crate::foreign::naming::topic("default"), line: self.line },
        };
        let mut on = lambda::trigger(&function.name, self.key, self.line);
        on.topic = Some(topic);
        if let Some(pattern) = self.fields.take("Pattern") {
            match event_pattern::filters(&pattern.value) {
                Ok(filters) => on.filters = Some(Written { value: filters, line: pattern.line }),
                Err((line, why)) => notes.refuse(line, &self.fields.path("Pattern"), why),
            }
        }
        Some(on)
    }

    /// What happens after failed attempts of a schedule, a rule or a subscription.
    fn failures(&mut self, call: &FunctionName, on: &mut On, notes: &mut Notes) {
        if let Some(mut retry) = self.fields.fields("RetryPolicy", notes) {
            on.retry.attempts = retry.number("MaximumRetryAttempts", notes).as_ref().map(lambda::attempts);
            on.retry.age = retry.number("MaximumEventAgeInSeconds", notes).as_ref().map(lambda::seconds);
            retry.end(&[], notes);
        }
        if let Some(mut dead) = self.fields.fields("DeadLetterConfig", notes) {
            let topic = dead.take("Arn").and_then(|entry| self.named(entry, "DeadLetterConfig.Arn", notes));
            // SAM makes a queue where none is named.
            let made = dead.text("Type", notes).map(|kind| kind.line);
            dead.end(&[&[met("QueueLogicalId")]], notes);
            on.retry.dead_letter = topic.or_else(|| {
                let value = crate::foreign::naming::topic(&format!("{call}.{}.dead", self.key));
                made.map(|line| Written { value, line })
            });
        }
        if let Some(mut redrive) = self.fields.fields("RedrivePolicy", notes) {
            on.retry.dead_letter = redrive
                .take("deadLetterTargetArn")
                .and_then(|entry| self.named(entry, "RedrivePolicy.deadLetterTargetArn", notes));
            redrive.end(&[], notes);
        }
    }

    fn named(&self, entry: &Entry, key: &str, notes: &mut Notes) -> Option<Written<TopicName>> {
        match self.around.topics.named(&entry.value) {
            Ok(value) => Some(Written { value, line: entry.line }),
            Err(why) => {
                notes.refuse(entry.line, &self.fields.path(key), why);
                None
            }
        }
    }

    fn enabled(&mut self, notes: &mut Notes) -> bool {
        let off = self.fields.boolean("Enabled", notes).is_some_and(|on| !on.value);
        let state = self.fields.text("State", notes);
        !off && state.is_none_or(|state| state.value.starts_with("ENABLED"))
    }
}
