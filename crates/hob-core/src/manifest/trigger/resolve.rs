//! From written triggers to resolved ones: which kind each is, its defaults, its name.

use super::{On, Retry, Topic};
use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit;
use crate::manifest::{Manifest, Written};
use crate::name::{AppName, FunctionName, TopicName, TriggerName, suggestion_within};
use crate::schedule::Overlap;
use crate::trigger::{
    BatchSpec, DeliverySpec, EventRouteSpec, RetrySpec, ScheduleSpec, SubscriptionSpec, TopicSpec, Triggers,
};
use crate::unit::millis;

/// Keys of a trigger that calls a function.
const DELIVERY: &[&str] =
    &["name", "call", "path", "mode", "retry", "concurrency", "publish", "on-success", "on-failure"];
/// Keys of a subscription besides.
const SUBSCRIPTION: &[&str] =
    &["topic", "where", "order-by", "rate", "start", "batch", "batch-window", "batch-partial"];
/// Keys of a schedule besides.
const SCHEDULE: &[&str] = &["schedule", "zone", "missed", "overlap", "jitter", "data"];
/// Keys of an event route.
const EVENT_ROUTE: &[&str] = &["route", "publish", "origins"];

/// Resolves every trigger and topic of a manifest for this app.
///
/// # Errors
/// `HOB-0103` for a trigger that is of no kind or of two, or lacks something, `HOB-0102` for a key
/// that does not fit its kind, `HOB-0815` for a name that is used twice; with their line.
pub(in crate::manifest) fn resolve(manifest: &Manifest, app: &AppName) -> Result<Triggers> {
    let mut triggers = Triggers::default();
    for on in &manifest.triggers {
        let context = Context { file: &manifest.file, on, app };
        context.add(&mut triggers)?;
    }
    for topic in &manifest.topics {
        triggers.topics.insert(topic.name.clone(), topic_spec(topic));
    }
    Ok(triggers)
}

fn topic_spec(topic: &Topic) -> TopicSpec {
    let default = TopicSpec::default();
    TopicSpec {
        age_ms: topic.age.as_ref().map_or(default.age_ms, |age| millis(age.value)),
        bytes: topic.size.as_ref().map_or(default.bytes, |size| size.value),
        events: topic.count.as_ref().map(|count| u64::from(count.value)),
        dedup_ms: topic.dedup.as_ref().map_or(default.dedup_ms, |dedup| millis(dedup.value)),
    }
}

/// Fills in what a retry leaves open.
pub(in crate::manifest) fn retry_spec(retry: &Retry, attempts: u32) -> RetrySpec {
    let default = RetrySpec::of(attempts);
    let backoff = retry.backoff.as_ref().map(|backoff| backoff.value);
    RetrySpec {
        attempts: retry.attempts.as_ref().map_or(default.attempts, |attempts| attempts.value),
        backoff_min_ms: backoff.map_or(default.backoff_min_ms, |(least, _)| millis(least)),
        backoff_max_ms: backoff.map_or(default.backoff_max_ms, |(_, most)| millis(most)),
        age_ms: retry.age.as_ref().map(|age| millis(age.value)),
    }
}

/// One trigger at work.
struct Context<'a> {
    file: &'a str,
    on: &'a On,
    app: &'a AppName,
}

impl Context<'_> {
    fn add(&self, triggers: &mut Triggers) -> Result<()> {
        let on = self.on;
        match (&on.topic, &on.schedule, &on.route) {
            (Some(topic), None, None) => {
                self.only("subscription", &[DELIVERY, SUBSCRIPTION])?;
                let spec = self.subscription(&topic.value)?;
                let name = self.name(&format!("{}-{}", spec.delivery.function, spec.topic))?;
                self.unused(triggers, &name)?;
                triggers.subscriptions.insert(name, spec);
            }
            (None, Some(schedule), None) => {
                self.only("schedule", &[DELIVERY, SCHEDULE])?;
                let spec = self.schedule(&schedule.value)?;
                let name = self.name(spec.delivery.function.as_str())?;
                self.unused(triggers, &name)?;
                triggers.schedules.insert(name, spec);
            }
            (None, None, Some(routes)) => {
                self.only("event route", &[EVENT_ROUTE])?;
                let topic = required(&on.publish).ok_or_else(|| self.lacks("publish", "orders"))?;
                let origins =
                    on.origins.as_ref().map_or_else(|| vec!["*".to_owned()], |origins| origins.value.clone());
                for route in &routes.value {
                    let (route, topic, origins) = (route.clone(), topic.clone(), origins.clone());
                    triggers.event_routes.push(EventRouteSpec { route, topic, origins });
                }
            }
            _ => return Err(self.kind()),
        }
        Ok(())
    }

    fn subscription(&self, topic: &TopicName) -> Result<SubscriptionSpec> {
        let on = self.on;
        Ok(SubscriptionSpec {
            topic: topic.clone(),
            filters: on.filters.as_ref().map(|filters| filters.value.clone()).unwrap_or_default(),
            delivery: self.delivery(limit::SUBSCRIPTION_CONCURRENCY_DEFAULT, topic.dead())?,
            order_by: required(&on.order_by),
            rate: required(&on.rate),
            start: on.start.as_ref().map(|start| start.value).unwrap_or_default(),
        })
    }

    fn schedule(&self, expression: &str) -> Result<ScheduleSpec> {
        let on = self.on;
        let overlap = on.overlap.as_ref().map(|overlap| overlap.value).unwrap_or_default();
        let concurrency = if overlap == Overlap::Allow { limit::SUBSCRIPTION_CONCURRENCY_DEFAULT } else { 1 };
        Ok(ScheduleSpec {
            expression: expression.to_owned(),
            zone: required(&on.zone).unwrap_or_else(|| "UTC".to_owned()),
            delivery: self.delivery(concurrency, TopicName::own("schedules", self.app).dead())?,
            jitter_ms: on.jitter.as_ref().map_or(0, |jitter| millis(jitter.value)),
            missed: on.missed.as_ref().map(|missed| missed.value).unwrap_or_default(),
            overlap,
            data: required(&on.data),
        })
    }

    fn delivery(&self, concurrency: u32, dead_letter: TopicName) -> Result<DeliverySpec> {
        let on = self.on;
        let function: FunctionName = required(&on.call).ok_or_else(|| self.lacks("call", "letter"))?;
        Ok(DeliverySpec {
            function,
            path: required(&on.path).unwrap_or_else(|| "/".to_owned()),
            mode: on.mode.as_ref().map(|mode| mode.value).unwrap_or_default(),
            concurrency: on.concurrency.as_ref().map_or(concurrency, |concurrency| concurrency.value),
            retry: retry_spec(&on.retry, limit::DELIVERY_ATTEMPTS_DEFAULT),
            dead_letter: required(&on.retry.dead_letter).unwrap_or(dead_letter),
            publish: required(&on.publish),
            on_success: required(&on.on_success),
            on_failure: required(&on.on_failure),
            batch: self.batch()?,
        })
    }

    fn batch(&self) -> Result<Option<BatchSpec>> {
        let on = self.on;
        let Some(events) = required(&on.batch) else {
            let beside = on.keys.iter().find(|(key, _)| key.starts_with("batch-"));
            return match beside {
                None => Ok(None),
                Some((key, line)) => {
                    let message = format!("`on.{key}` means nothing without `batch`");
                    Err(Fault::new(Code::ManifestValue, message)
                        .at(format!("{}:{line}", self.file))
                        .hint("write `batch = 10` for up to 10 events in a call"))
                }
            };
        };
        Ok(Some(BatchSpec {
            events,
            window_ms: on.batch_window.as_ref().map_or(0, |window| millis(window.value)),
            partial: required(&on.batch_partial).unwrap_or_default(),
        }))
    }

    fn name(&self, default: &str) -> Result<TriggerName> {
        match &self.on.name {
            Some(name) => Ok(name.value.clone()),
            None => TriggerName::new(&suggestion_within(default, limit::TRIGGER_NAME_BYTES_MAX)),
        }
    }

    fn unused(&self, triggers: &Triggers, name: &TriggerName) -> Result<()> {
        if !triggers.subscriptions.contains_key(name) && !triggers.schedules.contains_key(name) {
            return Ok(());
        }
        let hint = "give each a `name` of its own: the position in the topic is kept under it";
        Err(self.at(Fault::new(Code::TriggerConflict, format!("two triggers are named `{name}`")).hint(hint)))
    }

    /// Refuses keys that do not fit the kind.
    fn only(&self, kind: &str, known: &[&[&str]]) -> Result<()> {
        let fits = |key: &str| known.iter().any(|keys| keys.contains(&key));
        let Some((key, line)) = self.on.keys.iter().find(|(key, _)| !fits(key)) else { return Ok(()) };
        let keys: Vec<String> = known.iter().copied().flatten().map(|key| format!("`{key}`")).collect();
        let message = format!("`on.{key}` means nothing for a {kind}");
        Err(Fault::new(Code::ManifestUnknownKey, message)
            .at(format!("{}:{line}", self.file))
            .hint(format!("its keys are {}", keys.join(", "))))
    }

    fn kind(&self) -> Fault {
        let kinds: Vec<&str> = ["topic", "schedule", "route"]
            .into_iter()
            .filter(|kind| self.on.keys.iter().any(|(key, _)| key == kind))
            .collect();
        let what = match kinds.as_slice() {
            [] => "says neither `topic`, `schedule` nor `route`".to_owned(),
            several => format!("says `{}` at once", several.join("` and `")),
        };
        self.at(Fault::new(Code::ManifestValue, format!("`[[on]]` {what}")).hint(
            "write one `[[on]]` for each trigger, such as `topic = \"orders\"` with `call = \"letter\"`",
        ))
    }

    fn lacks(&self, key: &str, example: &str) -> Fault {
        self.at(Fault::new(Code::ManifestValue, format!("`[[on]]` has no `{key}`"))
            .hint(format!("write for example `{key} = \"{example}\"`")))
    }

    fn at(&self, fault: Fault) -> Fault {
        fault.at(format!("{}:{}", self.file, self.on.line))
    }
}

fn required<T: Clone>(written: &Option<Written<T>>) -> Option<T> {
    written.as_ref().map(|written| written.value.clone())
}
