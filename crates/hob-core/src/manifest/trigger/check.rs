//! What every trigger has to keep, whoever describes it.

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::filter::Filters;
use crate::limit;
use crate::name::TopicName;
use crate::schedule::Schedule;
use crate::spec::AppSpec;
use crate::trigger::{DeliverySpec, RetrySpec, ScheduleSpec, SubscriptionSpec, TopicSpec};
use crate::unit::{millis, show_bytes, show_duration};
use std::time::Duration;

/// Checks an app's triggers and topics.
///
/// # Errors
/// `HOB-0109` above a limit, `HOB-0103` for a value that makes no sense, `HOB-0353` for a function that
/// the app has not, `HOB-0805` for one of the node's own topics, `HOB-0809` for a filter, `HOB-0810`
/// for a schedule, `HOB-0815` for a name that is used twice.
pub(in crate::manifest) fn check(app: &AppSpec) -> Result<()> {
    let triggers = &app.triggers;
    let count = triggers.subscriptions.len() + triggers.schedules.len() + triggers.event_routes.len();
    if count > limit::TRIGGERS_PER_APP_MAX {
        let most = limit::TRIGGERS_PER_APP_MAX;
        let message = format!("app `{}` has {count} triggers, the limit is {most}", app.app);
        return Err(Fault::new(Code::SettingOverLimit, message));
    }
    let mut names = triggers.subscriptions.keys().chain(triggers.schedules.keys());
    if let Some(name) = names.find(|name| name.as_str().starts_with("hob-")) {
        let message = format!("trigger name `{name}` begins with `hob-`, as the node's own do");
        return Err(Fault::new(Code::NameInvalid, message).hint("give it another `name`"));
    }
    for (name, spec) in &triggers.subscriptions {
        let what = format!("subscription `{name}`");
        if triggers.schedules.contains_key(name) {
            return Err(Fault::new(Code::TriggerConflict, format!("two triggers are named `{name}`")));
        }
        check_subscription(&what, spec)?;
        check_delivery(app, &what, &spec.delivery)?;
    }
    for (name, spec) in &triggers.schedules {
        let what = format!("schedule `{name}`");
        check_schedule(&what, spec)?;
        check_delivery(app, &what, &spec.delivery)?;
    }
    for route in &triggers.event_routes {
        free(&format!("event route `{}`", route.route), &route.topic)?;
    }
    for (function, spec) in &app.functions {
        let what = format!("`async` of function `{function}`");
        check_retry(&what, &spec.asynchronous.retry)?;
        let topics = [&spec.asynchronous.on_success, &spec.asynchronous.on_failure];
        topics.into_iter().flatten().try_for_each(|topic| free(&what, topic))?;
    }
    triggers.topics.iter().try_for_each(|(name, spec)| check_topic(name, spec))
}

fn check_subscription(what: &str, spec: &SubscriptionSpec) -> Result<()> {
    free(what, &spec.topic)?;
    Filters::compile(&spec.filters).map_err(|fault| {
        let at = fault.place().map_or_else(|| what.to_owned(), |place| format!("{what}, {place}"));
        fault.at(at)
    })?;
    if let Some(attribute) = &spec.order_by
        && (attribute.is_empty() || !attribute.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
    {
        let message = format!("`order-by` of {what} is `{attribute}`, which is no attribute's name");
        return Err(Fault::new(Code::ManifestValue, message)
            .hint("write the name of an attribute, such as `partitionkey` or `subject`"));
    }
    if let Some(rate) = spec.rate {
        within(what, "rate", rate.events.into(), (1, limit::SUBSCRIPTION_RATE_CEILING.into()), count)?;
        within(what, "rate", rate.per_ms, (1, millis(limit::DELIVERY_BACKOFF_CEILING)), time)?;
    }
    Ok(())
}

fn check_schedule(what: &str, spec: &ScheduleSpec) -> Result<()> {
    Schedule::new(&spec.expression, &spec.zone).map_err(|fault| fault.at(what))?;
    within(what, "jitter", spec.jitter_ms, (0, millis(limit::SCHEDULE_JITTER_CEILING)), time)?;
    let size = spec.data.as_ref().map_or(0, |data| data.to_string().len());
    within(what, "data", size as u64, (0, limit::EVENT_BYTES_MAX as u64 / 2), show_bytes)
}

fn check_delivery(app: &AppSpec, what: &str, spec: &DeliverySpec) -> Result<()> {
    if !app.functions.contains_key(&spec.function) {
        let message = format!("{what} calls function `{}`, which the app has not", spec.function);
        let known: Vec<&str> = app.functions.keys().map(|name| name.as_str()).collect();
        let near = crate::near::nearest(spec.function.as_str(), known.iter().copied());
        return Err(Fault::new(Code::FunctionNotFound, message).with_status(400).hint(near.map_or_else(
            || format!("it has {}", known.join(", ")),
            |near| format!("did you mean `{near}`?"),
        )));
    }
    if !spec.path.starts_with('/') || spec.path.parse::<http::uri::PathAndQuery>().is_err() {
        return Err(Fault::new(Code::ManifestValue, format!("`path` of {what} is `{}`", spec.path))
            .hint("write a path such as `/events`"));
    }
    within(
        what,
        "concurrency",
        spec.concurrency.into(),
        (1, limit::SUBSCRIPTION_CONCURRENCY_CEILING.into()),
        count,
    )?;
    check_retry(what, &spec.retry)?;
    if let Some(batch) = spec.batch {
        within(what, "batch", batch.events.into(), (1, limit::DELIVERY_BATCH_CEILING.into()), count)?;
        let longest = millis(limit::DELIVERY_BATCH_WINDOW_CEILING);
        within(what, "batch-window", batch.window_ms, (0, longest), time)?;
    }
    let topics = [&spec.publish, &spec.on_success, &spec.on_failure];
    topics.into_iter().flatten().try_for_each(|topic| free(what, topic))?;
    if spec.dead_letter == TopicName::own("schedules", &app.app).dead() {
        return Ok(());
    }
    free(what, &spec.dead_letter)
}

fn check_retry(what: &str, retry: &RetrySpec) -> Result<()> {
    let longest = millis(limit::DELIVERY_BACKOFF_CEILING);
    within(
        what,
        "retry.attempts",
        retry.attempts.into(),
        (1, limit::DELIVERY_ATTEMPTS_CEILING.into()),
        count,
    )?;
    within(what, "retry.backoff", retry.backoff_max_ms, (1, longest), time)?;
    within(what, "retry.backoff", retry.backoff_min_ms, (1, retry.backoff_max_ms), time)?;
    within(what, "retry.age", retry.age_ms.unwrap_or(1), (1, millis(limit::TOPIC_AGE_CEILING)), time)
}

fn check_topic(name: &TopicName, spec: &TopicSpec) -> Result<()> {
    let what = format!("topic `{name}`");
    free(&what, name)?;
    within(&what, "age", spec.age_ms, (1000, millis(limit::TOPIC_AGE_CEILING)), time)?;
    within(&what, "size", spec.bytes, (1 << 20, limit::TOPIC_BYTES_CEILING), show_bytes)?;
    within(&what, "count", spec.events.unwrap_or(1), (1, u64::MAX), count)?;
    within(&what, "dedup", spec.dedup_ms, (0, millis(limit::DEDUP_WINDOW_CEILING)), time)
}

/// Refuses the node's own topics.
fn free(what: &str, topic: &TopicName) -> Result<()> {
    if !topic.is_own() {
        return Ok(());
    }
    let message = format!("{what} names topic `{topic}`, which is the node's own");
    Err(Fault::new(Code::TopicReserved, message).hint("choose a name that does not begin with `hob.`"))
}

fn within(
    what: &str,
    setting: &str,
    value: u64,
    (least, most): (u64, u64),
    show: fn(u64) -> String,
) -> Result<()> {
    let (code, word, bound) = match value {
        _ if value > most => (Code::SettingOverLimit, "limit", most),
        _ if value < least => (Code::ManifestValue, "least", least),
        _ => return Ok(()),
    };
    let message = format!("`{setting}` of {what} is {}, the {word} is {}", show(value), show(bound));
    Err(Fault::new(code, message).hint("change the value"))
}

fn count(number: u64) -> String {
    number.to_string()
}

fn time(ms: u64) -> String {
    show_duration(Duration::from_millis(ms))
}
