//! After the faults: waits until everything is delivered, and reads what is left.

use crate::child::Place;
use crate::history::{Call, History, Letter, Stored, Subscription};
use crate::load::{Load, control, send};
use crate::sink::{ALL, SOME, SOME_PREFIX, TOPIC, checksum, lines};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often is looked.
pub(crate) const LOOK: Duration = Duration::from_millis(20);
/// How long nothing may move before it counts as stuck.
const STUCK: Duration = Duration::from_secs(60);
/// Events that are read at a time.
const PAGE: u64 = 2000;

/// A JSON value of the control API.
pub(crate) async fn read(place: &Place, path: &str) -> Value {
    let got = control(place, "GET", path, &[], "").await.expect("a node").unwrap();
    assert_eq!(got.status, 200, "{path}: {got:?}");
    serde_json::from_str(&got.body).unwrap()
}

/// Everything, once no subscription has anything left and no call is pending.
pub(crate) async fn history(place: &Place, load: &Load, sink: &Path, disturbances: u32) -> History {
    let mut history = History { disturbances, ..History::default() };
    for client in &load.clients {
        history.sent.extend(client.sent.iter().cloned());
        history.calls_unknown += client.calls_unknown;
    }
    let all = settled(place, ALL).await;
    let some = settled(place, SOME).await;
    history.subscriptions =
        vec![subscription(ALL, "", true, &all), subscription(SOME, SOME_PREFIX, false, &some)];
    for call in load.clients.iter().flat_map(|client| &client.calls) {
        history.calls.push(ended(place, call).await);
    }
    // A call that nobody knows of may still run; it is made before it is counted.
    history.next = read(place, &format!("/v1/topics/{TOPIC}")).await["next"].as_u64().unwrap();
    history.topic = topic(place, TOPIC).await;
    history.letters = letters(place).await;
    history.lines = lines(sink);
    history
}

/// What is said of a subscription when it has nothing left. Its waiting ends when nothing moves any more.
async fn settled(place: &Place, name: &str) -> Value {
    let path = format!("/v1/apps/{}", name.replace('/', "/subscriptions/"));
    let (mut last, mut moved) = (Value::Null, Instant::now());
    loop {
        let info = read(place, &path).await;
        if info["lag"] == 0 {
            return info;
        }
        if info["lag"] != last {
            (last, moved) = (info["lag"].clone(), Instant::now());
        }
        assert!(moved.elapsed() < STUCK, "{name} is stuck: {info}");
        tokio::time::sleep(LOOK).await;
    }
}

fn subscription(name: &str, prefix: &'static str, ordered: bool, info: &Value) -> Subscription {
    let count = |field: &str| info[field].as_u64().unwrap();
    Subscription {
        name: name.into(),
        prefix,
        ordered,
        lag: count("lag"),
        delivered: count("delivered"),
        dead: count("dead"),
        skipped: count("skipped"),
        missing: count("missing"),
    }
}

/// A call with its result, looked at twice.
async fn ended(place: &Place, call: &Call) -> Call {
    let path = format!("/.well-known/hob/calls/{}", call.id);
    let until = Instant::now() + STUCK;
    let mut results = Vec::new();
    while results.len() < 2 {
        let got = send(place, "GET", &path, &[], "").await.expect("a node").unwrap();
        if got.status != 200 {
            assert!(got.status == 202 && Instant::now() < until, "{call:?} has no result: {got:?}");
            tokio::time::sleep(LOOK).await;
            continue;
        }
        let info: Value = serde_json::from_str(&got.body).unwrap();
        let result = send(place, "GET", &format!("{path}/result"), &[], "").await.expect("a node").unwrap();
        results.push((info["state"].as_str().unwrap().to_owned(), result.body));
    }
    Call { results, ..call.clone() }
}

/// All events of a topic that can be read.
pub(crate) async fn topic(place: &Place, topic: &str) -> Vec<Stored> {
    let (mut found, mut from) = (Vec::new(), 1);
    loop {
        let path = format!("/v1/topics/{topic}/events?from={from}&limit={PAGE}");
        let got = control(place, "GET", &path, &[], "").await.expect("a node").unwrap();
        assert_eq!(got.status, 200, "{got:?}");
        let before = found.len();
        for line in got.body.lines() {
            let stored: Value = serde_json::from_str(line).unwrap();
            let sequence = stored["sequence"].as_u64().unwrap();
            let event = &stored["event"];
            let data = event["data"].as_str().unwrap_or_default();
            let id = event["id"].as_str().unwrap().to_owned();
            found.push(Stored { sequence, id, checksum: checksum(data.as_bytes()) });
            from = sequence + 1;
        }
        if found.len() == before {
            return found;
        }
    }
}

async fn letters(place: &Place) -> Vec<Letter> {
    let (mut found, mut from) = (Vec::new(), 0);
    loop {
        let page = read(place, &format!("/v1/dead-letters/{TOPIC}.dead?from={from}&limit=1000")).await;
        let page = page.as_array().unwrap();
        for letter in page {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            found.push(Letter {
                subscription: text(&letter["subscription"]),
                id: text(&letter["event"]["id"]),
                reason: text(&letter["reason"]),
                attempts: u32::try_from(letter["attempts"].as_u64().unwrap()).unwrap(),
            });
            from = letter["sequence"].as_u64().unwrap() + 1;
        }
        if page.is_empty() {
            return found;
        }
    }
}
