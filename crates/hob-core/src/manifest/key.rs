//! Every key of the manifest: its name, kind, default and meaning, and how it is read.
//!
//! **Why.** One table, so that what is read, what a hint proposes and what the reference says cannot
//! differ. The order is that of the documentation.
//!
//! To add a key: one line here, a field in [`Function`], and its place in the resolved form.

use super::trigger::{self, Asynchronous, On, Retry, Topic};
use super::value::Item;
use super::watch::{self, Alert, Budget};
use super::{Function, Manifest, Scale, Written, provisioned, read_functions, read_scale};
use crate::code::Code;
use crate::cost::{Place, Price};
use crate::fault::{Fault, Result};
use crate::name::{AppName, FunctionName, TriggerName};
use crate::near::nearest;
use crate::schedule::{Missed, Overlap};
use crate::trigger::DeliveryMode;
use crate::watch::{Metric, Per};

/// What people are told about a key.
#[derive(Clone, Copy, Debug)]
pub struct Doc {
    /// As it is written.
    pub name: &'static str,
    /// What its value is, by an example or in words.
    pub kind: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it means.
    pub summary: &'static str,
}

/// A key of a table `T` of the manifest.
pub struct Key<T> {
    /// For people.
    pub doc: Doc,
    pub(super) read: fn(&mut T, &Item<'_>) -> Result<()>,
}

macro_rules! keys {
    ($($name:literal, $kind:literal, $default:literal, $summary:literal, $read:expr;)*) => {
        &[$(Key { doc: Doc { name: $name, kind: $kind, default: $default, summary: $summary }, read: $read },)*]
    };
}

/// Keys at the top.
pub static APP: &[Key<Manifest>] = keys! {
    "app", "text", "the folder's name",
        "The app's name: 1 to 30 lower-case letters, digits and single hyphens.",
        |m, item| {
            let text = item.text()?;
            let value = AppName::new(&text.value).map_err(|fault| fault.at(item.place()))?;
            m.app = Some(Written { value, line: text.line });
            Ok(())
        };
    "functions", "tables", "one function, when the folder is one",
        "The functions, each `[functions.<name>]`; names follow the same rule as the app's.",
        read_functions;
    "on", "tables", "none",
        "What else causes calls: one `[[on]]` for each topic, schedule or event route.",
        |m, item| trigger::read_all(&mut m.triggers, item);
    "topics", "tables", "see below",
        "What topics keep: `[topics.\"<name>\"]`.",
        |m, item| trigger::read_topics(&mut m.topics, item);
    "budget", "table", "none",
        "What the app may use, when somebody is told, and whether calls are refused then.",
        watch::read_budget;
    "alert", "tables", "none",
        "When somebody is told by an event: one `[[alert]]` for each rule.",
        watch::read_alerts;
};

/// Keys of `[functions.<name>]`.
pub static FUNCTION: &[Key<Function>] = keys! {
    "run", "`\"rate.wasm\"` or `[\"python3\", \"x.py\"]`", "what the build made, or what the folder holds",
        "What to run: a file, or a command line. Text is split at spaces as a shell does; no shell runs it.",
        |f, item| { f.run = Some(item.command()?); Ok(()) };
    "host", "`\"wasm\"` or `\"process\"`", "detected from the file",
        "What runs it.",
        |f, item| { f.host = Some(item.text()?); Ok(()) };
    "contract", "`\"wasi-http\"`, `\"http\"`, `\"functions-framework\"`, `\"stdio\"`, `\"lambda\"`, `\"javascript\"`, `\"spin\"` or `\"static\"`", "detected from the file; `http` for a command line",
        "How a call reaches it.",
        |f, item| { f.contract = Some(item.text()?); Ok(()) };
    "build", "`\"cargo build --release\"`", "recognised for Cargo, npm, Go and Python folders",
        "A shell command that builds it, run in `dir` before each deploy.",
        |f, item| { f.build = Some(item.text()?); Ok(()) };
    "dir", "`\"letter\"`", "the manifest's folder",
        "The function's folder or zip archive; `run` and `files` are relative to it.",
        |f, item| { f.dir = Some(item.path()?); Ok(()) };
    "files", "`[\"*.py\", \"data/**\"]`", "all of `dir` when it is given or the app has one function; else what `run` names",
        "Which files of `dir` are deployed; `\"!tests/**\"` takes out what a pattern before it chose.",
        |f, item| { f.files = Some(item.paths()?); Ok(()) };
    "route", "`\"POST /rate\"` or a list", "`/*` in an app with one function, else none",
        "Requests that it answers: `[METHOD[,METHOD]] [host]/path`, with `{name}` for a segment and `*` for the rest.",
        |f, item| { f.route = Some(item.list()?); Ok(()) };
    "private", "true or false", "false",
        "Reachable only by name from other functions, without an address of its own.",
        |f, item| { f.private = Some(item.boolean()?); Ok(()) };
    "timeout", "`\"3s\"`", "30s, at most 24h",
        "Time for one call.",
        |f, item| { f.timeout = Some(item.duration()?); Ok(()) };
    "memory", "`\"128 MiB\"`", "128 MiB for `wasm`, 512 MiB for `process`",
        "Memory of one instance.",
        |f, item| { f.memory = Some(item.bytes()?); Ok(()) };
    "cpu", "`0.5` or `\"500m\"`", "no limit",
        "Processors that one instance may use at most; for `process`.",
        |f, item| { f.cpu = Some(item.processors()?); Ok(()) };
    "body", "`\"6 MiB\"`", "6 MiB, at most 8 GiB",
        "Largest request body.",
        |f, item| { f.body = Some(item.bytes()?); Ok(()) };
    "env", "`{ LANG = \"en\" }`", "empty",
        "Environment variables; nothing else of the node's environment is seen.",
        |f, item| { f.env = Some(item.texts()?); Ok(()) };
    "secrets", "`[\"API_KEY\"]`", "none",
        "Secrets of the app that it is given, each as the environment variable of that name: `hob secret set`.",
        |f, item| { f.secrets = Some(item.secrets()?); Ok(()) };
    "egress", "`[\"api.example.com:443\"]`", "every public address",
        "The only `host:port` pairs that it may reach; `[]` for none.",
        |f, item| { f.egress = Some(item.list()?); Ok(()) };
    "scale", "table", "see below",
        "How many instances run, and when.",
        read_scale;
    "async", "table", "see below",
        "What becomes of its asynchronous calls (`Prefer: respond-async`).",
        |f, item| trigger::read_async(&mut f.asynchronous, item);
    "budget", "table", "none",
        "What it may use, with the keys of `[budget]`.",
        watch::read_function_budget;
};

/// Keys of `scale`.
pub static SCALE: &[Key<Scale>] = keys! {
    "min", "number", "0",
        "Instances that are kept running.",
        |s, item| { s.min = Some(item.number()?); Ok(()) };
    "max", "number", "4096 for `wasm`, 8 for `process`",
        "Instances at most.",
        |s, item| { s.max = Some(item.number()?); Ok(()) };
    "concurrency", "number", "80 for `http`, 16 for `wasi-http` and `spin` (WASI 0.3) and `javascript`, 1 for `stdio` and `lambda`, 1000 for `static`",
        "Calls at a time in one instance.",
        |s, item| { s.concurrency = Some(item.number()?); Ok(()) };
    "idle", "`\"60s\"`", "60s",
        "Time without a call after which an instance above `min` stops.",
        |s, item| { s.idle = Some(item.duration()?); Ok(()) };
    "calls", "number", "128 for `wasi-http` and `spin` (WASI 0.3), else any number",
        "Calls that one instance serves before it is replaced.",
        |s, item| { s.calls = Some(item.number()?); Ok(()) };
    "provisioned", "number, or a list of tables", "none",
        "Instances that are started ahead of calls, always or at certain times; the highest of these and `min` counts.",
        |s, item| { s.provisioned = Some(provisioned::read(item)?); Ok(()) };
};

/// Keys of an entry of `scale.provisioned`.
pub static PROVISIONED: &[Key<provisioned::Entry>] = keys! {
    "count", "number", "needed",
        "Instances that are kept running.",
        |p, item| { p.count = Some(item.number()?); Ok(()) };
    "from", "`\"0 8 * * 1-5\"`", "always, without `to`",
        "When that begins, as in `schedule`.",
        |p, item| { p.from = Some(item.text()?); Ok(()) };
    "to", "`\"0 18 * * 1-5\"`", "for ever, without `from`",
        "When that ends.",
        |p, item| { p.to = Some(item.text()?); Ok(()) };
    "zone", "`\"Europe/Zurich\"`", "UTC",
        "Time zone in which both are read.",
        |p, item| { p.zone = Some(item.text()?); Ok(()) };
};

/// Keys of `[[on]]`.
pub static ON: &[Key<On>] = keys! {
    "name", "text", "made of `call` and `topic`",
        "The trigger's name: the position in the topic, or the last run, is kept under it.",
        |on, item| { on.name = Some(item.named(TriggerName::new)?); Ok(()) };
    "topic", "`\"policy.bought\"`", "one of `topic`, `schedule`, `route` is needed",
        "A subscription: the function gets this topic's events.",
        |on, item| { on.topic = Some(item.topic()?); Ok(()) };
    "schedule", "`\"0 3 * * *\"`, `\"@every 5m\"`, `\"at(2026-12-01T08:00:00)\"`", "none",
        "A schedule: the function is called at these times. Five fields, or six with seconds first.",
        |on, item| { on.schedule = Some(item.text()?); Ok(()) };
    "route", "`\"/events\"` or a list", "none",
        "An event route: requests here bring CloudEvents, which are published to `publish`.",
        |on, item| { on.route = Some(item.list()?); Ok(()) };
    "call", "a function's name", "needed by `topic` and `schedule`",
        "The function that is called.",
        |on, item| { on.call = Some(item.named(FunctionName::new)?); Ok(()) };
    "path", "`\"/events\"`", "`/`",
        "Path of the request with which it is called.",
        |on, item| { on.path = Some(item.text()?); Ok(()) };
    "mode", "`\"binary\"` or `\"structured\"`", "binary",
        "Form of the event in that request.",
        |on, item| {
            let words = [("binary", DeliveryMode::Binary), ("structured", DeliveryMode::Structured)];
            on.mode = Some(item.word(&words)?);
            Ok(())
        };
    "where", "`{ exact = { type = \"x\" } }`, a CESQL text, or a list", "every event",
        "Which events: `exact`, `prefix`, `suffix`, `all`, `any`, `not`, `sql`, `data`; all that are written have to match.",
        |on, item| { on.filters = Some(item.filters()?); Ok(()) };
    "order-by", "an attribute's name, such as `\"partitionkey\"`", "no order",
        "Events with one value of it are delivered one after the other, in order; others go on meanwhile.",
        |on, item| { on.order_by = Some(item.text()?); Ok(()) };
    "concurrency", "number", "16; 1 for a schedule",
        "Deliveries at a time.",
        |on, item| { on.concurrency = Some(item.number()?); Ok(()) };
    "rate", "`\"100/s\"`, `\"10/m\"`", "no bound",
        "Deliveries in that time at most.",
        |on, item| { on.rate = Some(item.rate()?); Ok(()) };
    "start", "`\"now\"`, `\"beginning\"`, a sequence or a time", "now",
        "The first event of a new subscription.",
        |on, item| { on.start = Some(item.start()?); Ok(()) };
    "batch", "number", "one event in each call, in `mode`",
        "Events of one call at most, which then is a CloudEvents batch; `concurrency` counts calls.",
        |on, item| { on.batch = Some(item.number()?); Ok(()) };
    "batch-window", "`\"5s\"`", "0s, at most 300s",
        "How long the first event of a call waits for others.",
        |on, item| { on.batch_window = Some(item.duration()?); Ok(()) };
    "batch-partial", "true or false", "false",
        "The answer names the events that failed, as AWS Lambda's `batchItemFailures`; only those are tried again.",
        |on, item| { on.batch_partial = Some(item.boolean()?); Ok(()) };
    "publish", "a topic", "the topic that the event came from",
        "Where an event goes that the function answers with; for a route, where its events go.",
        |on, item| { on.publish = Some(item.topic()?); Ok(()) };
    "on-success", "a topic", "none",
        "Where a record of each success goes.",
        |on, item| { on.on_success = Some(item.topic()?); Ok(()) };
    "on-failure", "a topic", "none",
        "Where a record of each event that is given up goes, besides the dead letter.",
        |on, item| { on.on_failure = Some(item.topic()?); Ok(()) };
    "retry", "table", "see below",
        "What happens after a failure.",
        |on, item| trigger::read_retry(&mut on.retry, item);
    "zone", "`\"Europe/London\"`", "UTC",
        "Time zone in which the schedule is read.",
        |on, item| { on.zone = Some(item.text()?); Ok(()) };
    "missed", "`\"skip\"`, `\"once\"` or `\"all\"`", "once",
        "What becomes of runs that were due while the node was down.",
        |on, item| {
            on.missed = Some(item.word(&[("skip", Missed::Skip), ("once", Missed::Once), ("all", Missed::All)])?);
            Ok(())
        };
    "overlap", "`\"skip\"`, `\"queue\"` or `\"allow\"`", "skip",
        "What becomes of a run while the one before is not over.",
        |on, item| {
            let words = [("skip", Overlap::Skip), ("queue", Overlap::Queue), ("allow", Overlap::Allow)];
            on.overlap = Some(item.word(&words)?);
            Ok(())
        };
    "jitter", "`\"30s\"`", "0s, at most 1h",
        "Random delay of each run at most, so that many schedules do not run at once.",
        |on, item| { on.jitter = Some(item.duration()?); Ok(()) };
    "data", "any value", "none",
        "Data of the schedule's event.",
        |on, item| { on.data = Some(item.any()); Ok(()) };
    "origins", "`[\"*.example.com\"]`", "`*`",
        "Senders that may deliver to an event route by web hook.",
        |on, item| { on.origins = Some(item.list()?); Ok(()) };
};

/// Keys of `retry`.
pub static RETRY: &[Key<Retry>] = keys! {
    "attempts", "number", "5; 3 for `async`",
        "Attempts at most, the first one included.",
        |r, item| { r.attempts = Some(item.number()?); Ok(()) };
    "backoff", "`\"1s..5m\"`", "1s..5m",
        "Pause after the first failure, which doubles with each further one, and the longest; with jitter.",
        |r, item| { r.backoff = Some(item.times()?); Ok(()) };
    "age", "`\"6h\"`", "any age",
        "An event older than this is given up when an attempt fails.",
        |r, item| { r.age = Some(item.duration()?); Ok(()) };
    "dead-letter", "a topic", "the topic's name with `.dead`",
        "Where events go that are given up.",
        |r, item| { r.dead_letter = Some(item.topic()?); Ok(()) };
};

/// Keys of `async`.
pub static ASYNC: &[Key<Asynchronous>] = keys! {
    "attempts", "number", "3",
        "Attempts at most, the first one included.",
        |a, item| { a.retry.attempts = Some(item.number()?); Ok(()) };
    "backoff", "`\"1s..5m\"`", "1s..5m",
        "Pause after the first failure, which doubles with each further one, and the longest; with jitter.",
        |a, item| { a.retry.backoff = Some(item.times()?); Ok(()) };
    "age", "`\"6h\"`", "any age",
        "A call older than this is given up when an attempt fails.",
        |a, item| { a.retry.age = Some(item.duration()?); Ok(()) };
    "on-success", "a topic", "none",
        "Where a record of each success goes.",
        |a, item| { a.on_success = Some(item.topic()?); Ok(()) };
    "on-failure", "a topic", "none",
        "Where a record of each call that is given up goes.",
        |a, item| { a.on_failure = Some(item.topic()?); Ok(()) };
};

/// Keys of `[topics."<name>"]`.
pub static TOPIC: &[Key<Topic>] = keys! {
    "age", "`\"7d\"`", "7d",
        "How long events are kept that every subscription has settled.",
        |t, item| { t.age = Some(item.duration()?); Ok(()) };
    "size", "`\"1 GiB\"`", "1 GiB, at most 64 GiB",
        "Settled events that are kept, on disk.",
        |t, item| { t.size = Some(item.bytes()?); Ok(()) };
    "count", "number", "any number",
        "Settled events that are kept.",
        |t, item| { t.count = Some(item.number()?); Ok(()) };
    "dedup", "`\"10m\"`", "10m, at most 24h",
        "How long an event's `(source, id)` is remembered, to drop a second one.",
        |t, item| { t.dedup = Some(item.duration()?); Ok(()) };
};

/// Keys of `[budget]` and of `budget` of a function.
pub static BUDGET: &[Key<Budget>] = keys! {
    "per", "`\"day\"` or `\"month\"`", "month",
        "The time after which it begins anew, in UTC.",
        |b, item| { b.per = Some(item.word(&[("day", Per::Day), ("month", Per::Month)])?); Ok(()) };
    "amount", "`\"5 USD\"`", "one of `amount`, `invocations`, `gb-seconds` is needed",
        "Money, reckoned with the prices of `at`.",
        |b, item| { b.amount = Some(item.parsed(Price::parse)?); Ok(()) };
    "at", "`\"own\"`, `\"aws-lambda\"` or `\"cloud-run\"`", "own",
        "Whose prices count; for `own` the node has to know what the machine costs.",
        |b, item| { b.at = Some(item.word(&Place::WORDS)?); Ok(()) };
    "invocations", "number", "any number",
        "Calls.",
        |b, item| { b.invocations = Some(item.number()?); Ok(()) };
    "gb-seconds", "number", "any number",
        "Memory over time: `memory` in GiB times the seconds of calls.",
        |b, item| { b.gb_seconds = Some(item.number()?); Ok(()) };
    "alert", "`[50, 80, 100]`", "`[80, 100]`",
        "Percentages at which an alert is published.",
        |b, item| { b.alert = Some(item.numbers()?); Ok(()) };
    "stop", "true or false", "false",
        "Whether calls are refused (`HOB-0511`) and events wait when it is spent, until it begins anew or is raised.",
        |b, item| { b.stop = Some(item.boolean()?); Ok(()) };
    "publish", "a topic", "alerts",
        "Where its alerts are published.",
        |b, item| { b.publish = Some(item.topic()?); Ok(()) };
};

/// Keys of `[[alert]]`.
pub static ALERT: &[Key<Alert>] = keys! {
    "name", "text", "made of `metric` and what it is of",
        "The rule's name.",
        |a, item| { a.name = Some(item.named(TriggerName::new)?); Ok(()) };
    "metric", "`\"error-share\"`, `\"lag\"`, `\"dead-letters\"`, `\"budget\"`, `\"crash-loop\"`, `\"latency-p99\"`, `\"queue-time\"`, `\"cold-start-share\"`, `\"certificate-age\"`, `\"certificate-left\"` or `\"disk-free\"`", "needed",
        "What is measured.",
        |a, item| { a.metric = Some(item.word(&Metric::WORDS)?); Ok(()) };
    "above", "`\"5%\"`, `100` or `\"250ms\"`, as the metric is measured", "this or `below` is needed",
        "A value above this is bad.",
        |a, item| { a.above = Some(item.any()); Ok(()) };
    "below", "as `above`", "none",
        "A value below this is bad.",
        |a, item| { a.below = Some(item.any()); Ok(()) };
    "for", "`\"5m\"`", "1m; 0s for `dead-letters`, `budget`, `crash-loop` and certificates; at most 24h",
        "How long it has to be bad before somebody is told.",
        |a, item| { a.lasts = Some(item.duration()?); Ok(()) };
    "function", "a function's name", "all of the app",
        "Only its calls, instances or budget.",
        |a, item| { a.function = Some(item.named(FunctionName::new)?); Ok(()) };
    "subscription", "a trigger's name", "all of the app",
        "Only its events; for `lag` and `dead-letters`.",
        |a, item| { a.subscription = Some(item.named(TriggerName::new)?); Ok(()) };
    "topic", "a topic", "every topic of the app",
        "Only its events; for `lag` and `dead-letters`.",
        |a, item| { a.topic = Some(item.topic()?); Ok(()) };
    "publish", "a topic", "alerts",
        "Where the alert is published.",
        |a, item| { a.publish = Some(item.topic()?); Ok(()) };
};

/// Every table of the manifest with its keys, for the reference.
pub fn tables() -> Vec<(&'static str, Vec<Doc>)> {
    vec![
        ("Top", APP.iter().map(|key| key.doc).collect()),
        ("`[functions.<name>]`", FUNCTION.iter().map(|key| key.doc).collect()),
        ("`scale`", SCALE.iter().map(|key| key.doc).collect()),
        ("`scale.provisioned`", PROVISIONED.iter().map(|key| key.doc).collect()),
        ("`[[on]]`", ON.iter().map(|key| key.doc).collect()),
        ("`retry`", RETRY.iter().map(|key| key.doc).collect()),
        ("`async`", ASYNC.iter().map(|key| key.doc).collect()),
        ("`[topics.\"<name>\"]`", TOPIC.iter().map(|key| key.doc).collect()),
        ("`[budget]`", BUDGET.iter().map(|key| key.doc).collect()),
        ("`[[alert]]`", ALERT.iter().map(|key| key.doc).collect()),
    ]
}

/// Reads one entry by its row, or refuses a key that has none.
pub(super) fn read<T>(keys: &'static [Key<T>], into: &mut T, item: &Item<'_>) -> Result<()> {
    match keys.iter().find(|key| key.doc.name == item.key) {
        Some(key) => (key.read)(into, item),
        None => Err(unknown(&item.path, item.key, keys.iter().map(|key| key.doc.name)).at(item.place())),
    }
}

/// The error for a key that is not among `known`.
pub(super) fn unknown(path: &str, key: &str, known: impl Iterator<Item = &'static str> + Clone) -> Fault {
    let hint = match nearest(key, known.clone()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            format!("known keys are {}", known.map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "))
        }
    };
    Fault::new(Code::ManifestUnknownKey, format!("`{path}` is not a key that Hob knows")).hint(hint)
}
