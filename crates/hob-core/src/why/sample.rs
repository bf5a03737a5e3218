//! What the tables of stories are made of: a call, a fact, a subscription, which a row changes in one place.

use super::Cause;
use crate::code::Owner;
use crate::fact::{Call, CallCause, Fact, Failure, Outside, Times, Used, What};
use crate::id::InvocationId;
use crate::name::{AppName, FunctionName, RevisionNumber, TopicName, TriggerName};
use crate::spec::FunctionSpec;
use crate::wire::{DeadLetter, ScheduleInfo, Story, SubscriptionInfo, Verdict};
use serde_json::json;

pub(super) const SECOND: u64 = 1_000_000;

pub(super) fn app(name: &str) -> AppName {
    AppName::new(name).unwrap()
}

pub(super) fn function(name: &str) -> FunctionName {
    FunctionName::new(name).unwrap()
}

pub(super) fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

pub(super) fn trigger(name: &str) -> TriggerName {
    TriggerName::new(name).unwrap()
}

/// A request to `f` of `shop` that was answered so, after a millisecond.
pub(super) fn call(status: Option<u16>) -> Call {
    Call {
        id: InvocationId(7),
        parent: None,
        app: app("shop"),
        revision: RevisionNumber(1),
        function: function("f"),
        cause: CallCause::Request,
        method: "GET".to_owned(),
        path: "/x".to_owned(),
        host: None,
        route: None,
        status,
        failure: None,
        times: Times { answer_us: 1000, total_us: 1000, ..Times::default() },
        cold: false,
        used: Used::default(),
        instance: None,
        outside: Vec::new(),
        said: None,
    }
}

/// The same with a failure that Hob tells.
pub(super) fn failed(code: &str, message: &str) -> Call {
    Call { failure: Some(failure(code, message)), ..call(None) }
}

/// The same of another function, below the first one.
pub(super) fn child(name: &str, call: Call) -> Call {
    Call { function: function(name), id: InvocationId(8), parent: Some(self::call(None).span()), ..call }
}

pub(super) fn failure(code: &str, message: &str) -> Failure {
    Failure {
        code: code.to_owned(),
        message: message.to_owned(),
        hint: None,
        detail: None,
        owner: Owner::Code,
    }
}

/// A call to the outside that took so long, or none for one without an answer.
pub(super) fn outside(status: Option<u16>, took_us: Option<u64>) -> Outside {
    Outside { to: "db.example:5432".to_owned(), after_us: 0, took_us, status, failure: None }
}

pub(super) fn fact(time_ms: u64, what: What) -> Fact {
    Fact { time_ms, trace: None, what }
}

pub(super) fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// A function with one place, two seconds and 64 MiB.
pub(super) fn spec() -> FunctionSpec {
    FunctionSpec {
        env: [("SET".to_owned(), "1".to_owned())].into(),
        timeout_ms: 2000,
        memory_bytes: 64 << 20,
        ..FunctionSpec::new("process", "stdio", ["f"])
    }
}

fn delivery() -> serde_json::Value {
    json!({
        "function": "f", "path": "/", "mode": "binary", "concurrency": 1,
        "retry": { "attempts": 5, "backoff_min_ms": 1, "backoff_max_ms": 2, "age_ms": null },
        "dead_letter": "orders.dead", "publish": null, "on_success": null, "on_failure": null,
    })
}

/// The subscription `shop/letters` to `orders`, with nothing to do.
pub(super) fn subscription(change: impl Fn(&mut SubscriptionInfo)) -> SubscriptionInfo {
    let mut info = serde_json::from_value(json!({
        "app": "shop", "name": "letters", "current": true, "paused": false, "cursor": 1, "lag": 0, "in_flight": 0,
        "waiting": 0, "blocked": 0, "delivered": 3, "skipped": 0, "failed": 0, "dead": 0, "missing": 0,
        "spec": {
            "topic": "orders", "filters": [], "delivery": delivery(), "order_by": null, "rate": null, "start": "now",
        },
    }))
    .unwrap();
    change(&mut info);
    info
}

/// The schedule `shop/nightly`, at three in UTC.
pub(super) fn schedule(change: impl Fn(&mut ScheduleInfo)) -> ScheduleInfo {
    let mut info = serde_json::from_value(json!({
        "app": "shop", "name": "nightly", "paused": false, "description": "at 03:00 every day (UTC)",
        "next_ms": [10_000], "next": ["2026-11-27 03:00:00 UTC"], "fired": 0, "skipped": 0,
        "spec": {
            "expression": "0 3 * * *", "zone": "UTC", "delivery": delivery(), "jitter_ms": 0, "missed": "once",
            "overlap": "skip", "data": null,
        },
    }))
    .unwrap();
    change(&mut info);
    info
}

/// A dead letter of `orders/7` in `shop/letters`.
pub(super) fn letter(reason: &str) -> DeadLetter {
    serde_json::from_value(json!({
        "topic": "orders.dead", "sequence": 1, "dead_ms": 2000, "subscription": "shop/letters",
        "from_topic": "orders", "from_sequence": 7, "reason": reason, "attempts": 3, "event": { "id": "e" },
    }))
    .unwrap()
}

/// What a row expects: how it went, words of the reason, words of what mends it.
pub(super) type Expected<'a> = (Verdict, &'a [&'a str], &'a [&'a str]);

/// Compares a cause with what a row expects.
pub(super) fn check(name: &str, cause: &Cause, (verdict, reason, fix): Expected<'_>) {
    told(name, (cause.verdict, &cause.reason, cause.fix.as_deref()), (verdict, reason, fix));
}

/// The same of a story.
pub(super) fn check_story(name: &str, story: &Story, expected: Expected<'_>) {
    told(name, (story.verdict, &story.reason, story.fix.as_deref()), expected);
}

fn told(
    name: &str,
    (found, said, mends): (Verdict, &str, Option<&str>),
    (verdict, reason, fix): Expected<'_>,
) {
    assert_eq!(found, verdict, "{name}: {said}");
    for word in reason {
        assert!(said.contains(word), "{name}: `{word}` is not in the reason: {said}");
    }
    let mends = mends.unwrap_or_default();
    for word in fix {
        assert!(mends.contains(word), "{name}: `{word}` is not in what mends it: {mends}");
    }
    assert!(!said.ends_with('.') && !said.contains("``"), "{name}: {said}");
}
