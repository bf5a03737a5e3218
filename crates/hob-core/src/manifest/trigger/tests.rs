//! Goal: every trigger means what it says, and every mistake in one is explained with its line.
//! Method: manifests as text, resolved triggers as JSON, refusals as one line.

use crate::fault::{Fault, Result};
use crate::manifest::{Manifest, assemble, parse, resolve};
use crate::name::AppName;
use crate::spec::AppSpec;
use std::collections::BTreeMap;

const FILE: &str = "hob.toml";

fn app(triggers: &str) -> Result<AppSpec> {
    let text =
        format!("[functions.letter]\nrun = \"letter\"\n[functions.front]\nrun = \"front\"\n{triggers}");
    let manifest: Manifest = parse(&text, FILE)?;
    let functions = manifest.functions.iter().map(|function| resolve(FILE, function, None, BTreeMap::new()));
    assemble(&manifest, AppName::new("quotes")?, functions.collect::<Result<_>>()?)
}

#[test]
fn everything_that_can_be_written_arrives() {
    let spec = app(r#"
[[on]]
topic = "policy.bought"
where = { exact = { country = "UK" }, any = [{ prefix = { type = "a" } }, { sql = "x > 1" }] }
call = "letter"
path = "/events"
mode = "structured"
retry = { attempts = 3, backoff = "2s..1m", age = "1h", dead-letter = "policy.lost" }
order-by = "partitionkey"
concurrency = 4
rate = "100/s"
start = "beginning"
publish = "policy.sent"
on-success = "log.good"
on-failure = "log.bad"

[[on]]
name = "nightly"
schedule = "0 3 * * *"
zone = "Europe/London"
call = "front"
missed = "all"
overlap = "queue"
jitter = "30s"
data = { kind = "full" }

[[on]]
route = ["/events", "api.example.com/events"]
publish = "policy.bought"
origins = ["*.example.com"]

[topics."policy.bought"]
age = "30d"
size = "2 GiB"
count = 1000
dedup = "1h"
"#)
    .unwrap();
    let json = serde_json::to_value(&spec.triggers).unwrap();
    let subscription = json.pointer("/subscriptions/letter-policy-bought").unwrap().to_string();
    assert_eq!(
        subscription,
        r#"{"topic":"policy.bought","filters":[{"any":[{"prefix":{"type":"a"}},{"sql":"x > 1"}]},{"exact":{"country":"UK"}}],"delivery":{"function":"letter","path":"/events","mode":"structured","concurrency":4,"retry":{"attempts":3,"backoff_min_ms":2000,"backoff_max_ms":60000,"age_ms":3600000},"dead_letter":"policy.lost","publish":"policy.sent","on_success":"log.good","on_failure":"log.bad"},"order_by":"partitionkey","rate":{"events":100,"per_ms":1000},"start":"beginning"}"#
    );
    for (pointer, expected) in [
        ("/schedules/nightly/expression", "\"0 3 * * *\""),
        ("/schedules/nightly/zone", "\"Europe/London\""),
        ("/schedules/nightly/jitter_ms", "30000"),
        ("/schedules/nightly/missed", "\"all\""),
        ("/schedules/nightly/overlap", "\"queue\""),
        ("/schedules/nightly/data", "{\"kind\":\"full\"}"),
        ("/schedules/nightly/delivery/concurrency", "1"),
        ("/schedules/nightly/delivery/dead_letter", "\"hob.schedules.quotes.dead\""),
        ("/event_routes/1/route", "\"api.example.com/events\""),
        ("/event_routes/0/origins", "[\"*.example.com\"]"),
        (
            "/topics/policy.bought",
            r#"{"age_ms":2592000000,"bytes":2147483648,"events":1000,"dedup_ms":3600000}"#,
        ),
    ] {
        assert_eq!(json.pointer(pointer).unwrap().to_string(), expected, "{pointer}");
    }
    let again: AppSpec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
    assert_eq!(again, spec, "what is stored comes back");
}

#[test]
fn defaults_are_those_of_the_reference() {
    let spec = app("[[on]]\ntopic = \"orders\"\ncall = \"letter\"\nwhere = \"type = 'x'\"").unwrap();
    let subscription = spec.triggers.subscriptions.values().next().unwrap();
    assert_eq!(
        serde_json::to_string(subscription).unwrap(),
        r#"{"topic":"orders","filters":[{"sql":"type = 'x'"}],"delivery":{"function":"letter","path":"/","mode":"binary","concurrency":16,"retry":{"attempts":5,"backoff_min_ms":1000,"backoff_max_ms":300000,"age_ms":null},"dead_letter":"orders.dead","publish":null,"on_success":null,"on_failure":null},"order_by":null,"rate":null,"start":"now"}"#
    );
    let plain = app("").unwrap();
    let json = serde_json::to_string(&plain).unwrap();
    assert!(
        !json.contains("triggers") && !json.contains("asynchronous"),
        "apps without them stay as they were: {json}"
    );
    let spec = app("[functions.front.async]\nattempts = 7\non-failure = \"lost\"").unwrap();
    let front = &spec.functions["front"].asynchronous;
    assert_eq!((front.retry.attempts, front.on_failure.as_ref().unwrap().as_str()), (7, "lost"));
}

/// `code message | hint (place)`.
fn show(fault: &Fault) -> String {
    let hint = fault.hint_text().map(|hint| format!(" | {hint}")).unwrap_or_default();
    let place = fault.place().map(|place| format!(" ({place})")).unwrap_or_default();
    format!("{} {}{hint}{place}", fault.code(), fault.message())
}

/// Triggers and how they are refused.
const MISTAKES: &[(&str, &str)] = &[
    ("on = 3", "HOB-0102 `functions.front.on` is not a key"),
    (
        "[[on]]\ncall = \"letter\"",
        "HOB-0103 `[[on]]` says neither `topic`, `schedule` nor `route` | write one",
    ),
    ("[[on]]\ntopic = \"a\"\nschedule = \"@daily\"", "HOB-0103 `[[on]]` says `topic` and `schedule` at once"),
    (
        "[[on]]\ntopic = \"a\"",
        "HOB-0103 `[[on]]` has no `call` | write for example `call = \"letter\"` (hob.toml:5)",
    ),
    (
        "[[on]]\ntopic = \"A\"\ncall = \"letter\"",
        "HOB-0104 topic name `A` has a label that has characters other than",
    ),
    (
        "[[on]]\ntopic = \"hob.x\"\ncall = \"letter\"",
        "HOB-0805 subscription `letter-hob-x` names topic `hob.x`, which is the node's own",
    ),
    (
        "[[on]]\ntopic = \"a\"\ncall = \"leter\"",
        "HOB-0353 subscription `leter-a` calls function `leter`, which the app has not | did you mean `letter`?",
    ),
    (
        "[[on]]\ntopic = \"a\"\ncall = \"letter\"\n[[on]]\ntopic = \"a\"\ncall = \"letter\"",
        "HOB-0815 two triggers are named `letter-a` | give each a `name` of its own: the position in the topic is kept under it (hob.toml:8)",
    ),
    (
        "[[on]]\ntopic = \"a\"\ncall = \"letter\"\nzone = \"UTC\"",
        "HOB-0102 `on.zone` means nothing for a subscription",
    ),
    (
        "[[on]]\ntopic = \"a\"\ncal = \"letter\"",
        "HOB-0102 `on.cal` is not a key that Hob knows | did you mean `call`? (hob.toml:7)",
    ),
    (
        "[[on]]\ntopic = \"a\"\ncall = \"letter\"\nrate = \"fast\"",
        "HOB-0103 `on.rate`: `fast` is not a rate | write for example `100/s` or `10/m` (hob.toml:8)",
    ),
    (
        "[[on]]\ntopic = \"a\"\ncall = \"letter\"\nwhere = 3",
        "HOB-0809 `on.where` is no filter: it is neither a table nor text",
    ),
    ("[[on]]\ntopic = \"a\"\ncall = \"letter\"\nwhere = { exakt = { type = \"x\" } }", "HOB-0809"),
    ("[[on]]\ntopic = \"a\"\ncall = \"letter\"\nwhere = \"type = = 1\"", "HOB-0809"),
    (
        "[[on]]\ntopic = \"a\"\ncall = \"letter\"\nmode = \"batch\"",
        "HOB-0103 `on.mode` cannot be `batch` | use `binary` or `structured` (hob.toml:8)",
    ),
    (
        "[[on]]\ntopic = \"a\"\ncall = \"letter\"\nretry = { attempts = 101 }",
        "HOB-0109 `retry.attempts` of subscription `letter-a` is 101, the limit is 100 | change the value",
    ),
    (
        "[[on]]\ntopic = \"a\"\ncall = \"letter\"\nretry = { backoff = \"5m..1s\" }",
        "HOB-0103 `on.retry.backoff`: `5m..1s` is not a range of times | write for example `1s..5m` (hob.toml:8)",
    ),
    (
        "[[on]]\ntopic = \"a\"\ncall = \"letter\"\nstart = \"later\"",
        "HOB-0103 `on.start`: `later` is no place to start",
    ),
    ("[[on]]\nschedule = \"61 * * * *\"\ncall = \"letter\"", "HOB-0810"),
    ("[[on]]\nschedule = \"@daily\"\nzone = \"Europe/Londn\"\ncall = \"letter\"", "HOB-0810"),
    ("[[on]]\nroute = \"/e\"", "HOB-0103 `[[on]]` has no `publish`"),
    (
        "[[on]]\nroute = \"/e\"\npublish = \"a\"\n[[on]]\nroute = \"/e\"\npublish = \"b\"",
        "HOB-0106 topic `a` and topic `b` both claim `/e`",
    ),
    ("[topics.\"a b\"]\nage = \"1d\"", "HOB-0104 topic name `a b`"),
    ("[topics.a]\nsize = \"1 KiB\"", "HOB-0103 `size` of topic `a` is 1 KiB, the least is 1 MiB"),
    ("[topics.a]\ndedup = \"2d\"", "HOB-0109 `dedup` of topic `a` is 48h, the limit is 24h"),
];

#[test]
fn mistakes_are_explained_with_their_line() {
    for (text, expected) in MISTAKES {
        let found = show(&app(text).expect_err(text));
        assert!(found.starts_with(expected), "{text}\n found {found}\nwanted {expected}");
    }
}
