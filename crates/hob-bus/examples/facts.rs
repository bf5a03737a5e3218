//! Keeps the facts of many events and says what they take on disk and how long it takes to find some.
//!
//! `cargo run --release -p hob-bus --example facts -- [FOLDER] [EVENTS]`: each event is accepted, left out by one
//! subscription and delivered by another; one in a hundred fails twice. The folder can be given to `hob serve`
//! afterwards, to ask `hob why` through the whole program.

#![expect(clippy::unwrap_used, reason = "a measurement ends where something fails")]
#![expect(clippy::print_stdout, reason = "its result is a table on stdout")]

use hob_bus::EngineSettings;
use hob_core::code::Owner;
use hob_core::fact::{
    About, Call, CallCause, Delivered, Ending, Fact, FactQuery, Failure, Publication, SkipReason, Skipped,
    Times, Used, What,
};
use hob_core::id::InvocationId;
use hob_core::name::{AppName, FunctionName, RevisionNumber, TopicName, TriggerName};
use hob_core::random::{Random, mix};
use hob_core::trace::TraceId;
use hob_core::unit::{show_bytes, unix_ms};
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

/// Facts that are handed over at a time, as the node does.
const BATCH: usize = 1024;
/// Questions of each kind that are timed.
const QUESTIONS: u64 = 200;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map(PathBuf::from);
    let events: u64 = arguments.next().map_or(1_000_000, |text| text.parse().unwrap());
    let own = tempfile::tempdir().unwrap();
    let folder = folder.unwrap_or_else(|| own.path().to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(measure(folder, events));
}

async fn measure(folder: PathBuf, events: u64) {
    let engine = hob_bus::open("file", &EngineSettings::new(&folder)).unwrap();
    let (mut batch, mut facts) = (Vec::with_capacity(BATCH + 8), 0u64);
    let now_ms = unix_ms(SystemTime::now());
    let began = Instant::now();
    for event in 1..=events {
        batch.extend(story(event, now_ms - (events - event)));
        if batch.len() >= BATCH || event == events {
            facts += batch.len() as u64;
            engine.facts.append(std::mem::take(&mut batch)).await.unwrap();
        }
    }
    let took = began.elapsed();
    let (_, bytes) = engine.facts.size().await.unwrap();
    println!(
        "{events} events, {facts} facts: {} on disk, {} bytes an event, written at {:.0} facts/s",
        show_bytes(bytes),
        bytes / events,
        facts as f64 / took.as_secs_f64()
    );
    let mut random = Random(1);
    let kinds: [(&str, &dyn Fn(u64) -> FactQuery); 5] = [
        ("one event", &|event| newest(About::Event(topic(), event), 1000)),
        ("one trace", &|event| newest(About::Trace(trace(event)), 1000)),
        ("one call", &|event| newest(About::Invocation(call_id(event, 1)), 1000)),
        ("an event's own id", &|event| newest(About::EventId(format!("e-{event}")), 20)),
        ("newest failures of a function", &|_| FactQuery {
            failed: true,
            ..newest(About::Function(app(), function()), 200)
        }),
    ];
    for (name, query) in kinds {
        let mut times = Vec::new();
        for _ in 0..QUESTIONS {
            let query = query(random.number() % events + 1);
            let asked = Instant::now();
            assert!(!engine.facts.find(query).await.unwrap().is_empty(), "{name}");
            times.push(asked.elapsed());
        }
        times.sort_unstable();
        let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1000.0;
        println!("{name}: p50 {:.2} ms, p99 {:.2} ms", at(50), at(99));
    }
}

fn newest(about: About, limit: usize) -> FactQuery {
    FactQuery::newest(about, limit)
}

fn app() -> AppName {
    AppName::new("desk").unwrap()
}

fn function() -> FunctionName {
    FunctionName::new("notes").unwrap()
}

fn topic() -> TopicName {
    TopicName::new("github").unwrap()
}

fn trace(event: u64) -> TraceId {
    TraceId((u128::from(mix(event)) << 64) | u128::from(mix(event + 1)))
}

fn call_id(event: u64, attempt: u32) -> InvocationId {
    InvocationId((u128::from(event) << 80) | (7 << 76) | u128::from(mix(event ^ u64::from(attempt))))
}

/// The facts of one event.
fn story(event: u64, time_ms: u64) -> Vec<Fact> {
    let attempts = if event.is_multiple_of(100) { 3 } else { 1 };
    let mut facts = vec![published(event), skipped(event)];
    for attempt in 1..=attempts {
        facts.push(call(event, attempt, attempt < attempts, time_ms));
        if attempt < attempts {
            facts.push(What::Delivered(Box::new(Delivered {
                app: app(),
                subscription: TriggerName::new("notes-github").unwrap(),
                topic: topic(),
                sequence: event,
                attempt,
                invocation: Some(call_id(event, attempt)),
                ending: Ending::Retry { at_ms: time_ms + 200 },
                failure: Some("HOB-0508 `notes` ended with exit code 2".to_owned()),
            })));
        }
    }
    facts.into_iter().map(|what| Fact { time_ms, trace: Some(trace(event)), what }).collect()
}

fn published(event: u64) -> What {
    What::Published(Box::new(Publication {
        topic: topic(),
        sequence: event,
        id: format!("e-{event}"),
        source: "https://github.com/octo/repository".to_owned(),
        kind: "com.github.release.published".to_owned(),
        duplicate: false,
        failure: None,
        by: Some(call_id(event, 0)),
    }))
}

fn skipped(event: u64) -> What {
    What::Skipped(Box::new(Skipped {
        app: app(),
        subscription: TriggerName::new("triage-github").unwrap(),
        revision: RevisionNumber(3),
        topic: topic(),
        sequence: event,
        reason: SkipReason::Filter {
            clause: "prefix.type".to_owned(),
            wanted: "com.github.issue".to_owned(),
            seen: Some("com.github.release.published".to_owned()),
        },
    }))
}

fn call(event: u64, attempt: u32, fails: bool, published_ms: u64) -> What {
    let failure = fails.then(|| Failure {
        code: "HOB-0508".to_owned(),
        message: "`notes` ended with exit code 2".to_owned(),
        hint: Some("see `hob logs` for what it printed".to_owned()),
        detail: None,
        owner: Owner::Code,
    });
    What::Call(Box::new(Call {
        id: call_id(event, attempt),
        parent: None,
        app: app(),
        revision: RevisionNumber(3),
        function: function(),
        cause: CallCause::Event {
            subscription: TriggerName::new("notes-github").unwrap(),
            topic: topic(),
            sequence: event,
            attempt,
            published_ms,
            others: Vec::new(),
        },
        method: "POST".to_owned(),
        path: "/".to_owned(),
        host: Some("notes.desk.internal".to_owned()),
        route: None,
        status: if fails { None } else { Some(200) },
        failure,
        times: Times {
            route_us: 15,
            queue_us: 12,
            start_us: 2400,
            load_us: 0,
            connect_us: 900,
            answer_us: 11_200,
            total_us: 11_400,
        },
        cold: true,
        used: Used { cpu_us: Some(8000), memory_bytes: 512 << 20, bytes_in: 9000, bytes_out: 120 },
        instance: None,
        outside: Vec::new(),
        said: None,
    }))
}
