//! Several events in one call, through a whole node: gathered, filtered by their data, failed one by one, explained.

use crate::support::{App, PATIENCE, TestNode, has, node, python};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Keeps the batches that it gets; `flaky` events fail in their first call, by name.
const SINK: &str = r#"
calls, failed = [], set()

def handle(request):
    if request.command == "GET":
        return 200, [("content-type", "application/json")], json.dumps(calls)
    events = json.loads(request.content)
    calls.append({"type": request.headers["content-type"], "ids": [event["id"] for event in events]})
    flaky = [event["id"] for event in events if event["data"].get("flaky") and event["id"] not in failed]
    failed.update(flaky)
    named = [{"itemIdentifier": id} for id in flaky]
    return 200, [("content-type", "application/json")], json.dumps({"batchItemFailures": named})
"#;

async fn calls(node: &TestNode, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let got = node.get("many.localhost/calls").await;
        let calls: Vec<Value> = serde_json::from_str(&got.body).unwrap_or_default();
        if enough(&calls) {
            return calls;
        }
        assert!(Instant::now() < until, "in time: {calls:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How often each event came, by its id.
fn times(calls: &[Value], id: &str) -> usize {
    calls.iter().flat_map(|call| call["ids"].as_array().unwrap()).filter(|found| *found == id).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_has_many_events_and_only_those_that_failed_come_again() {
    if !has("python3", "batches") {
        return;
    }
    let node = node(|_| ()).await;
    let app = App::new("many")
        .function("sink", "http", "python3", &python(SINK), &["/*"])
        .change("sink", |sink| sink.scale.max = 1)
        .on(r#"
[[on]]
topic = "orders"
name = "gathered"
call = "sink"
where = { data = { total = [{ numeric = [">", 0] }] } }
batch = 10
batch-window = "300s"
batch-partial = true
concurrency = 2
retry = { attempts = 3, backoff = "10ms" }
"#);
    node.deploy(&app).await;
    let event = |at: usize| {
        json!({
            "specversion": "1.0", "id": format!("e{at}"), "source": "/test", "type": "order",
            "data": { "total": at, "flaky": at == 3 || at == 14 },
        })
    };
    // The first one is left out; of the others two batches are full, which need not wait for the window.
    let events: Vec<Value> = (0..=20).map(event).collect();
    let got = node
        .control_with(
            "POST",
            "/v1/topics/orders/events",
            &[("content-type", "application/cloudevents-batch+json")],
            json!(events).to_string(),
        )
        .await;
    assert_eq!(got.status, 202, "{got:?}");
    let first = calls(&node, |calls| calls.len() >= 2).await;
    for call in &first[..2] {
        assert_eq!(call["ids"].as_array().unwrap().len(), 10, "{first:?}");
        assert!(call["type"].as_str().unwrap().starts_with("application/cloudevents-batch+json"), "{call}");
    }
    // The two that failed wait for others to fill a batch; a pause hurries them.
    let until = Instant::now() + PATIENCE;
    while times(&calls(&node, |_| true).await, "e3") < 2 || times(&calls(&node, |_| true).await, "e14") < 2 {
        assert!(Instant::now() < until, "in time: {:?}", calls(&node, |_| true).await);
        for wish in ["pause", "resume"] {
            let got = node.control("POST", &format!("/v1/apps/many/subscriptions/gathered/{wish}"), "").await;
            assert_eq!(got.status, 204, "{got:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let all = calls(&node, |_| true).await;
    for at in 0..=20 {
        let expected = match at {
            0 => 0,
            3 | 14 => 2,
            _ => 1,
        };
        assert_eq!(times(&all, &format!("e{at}")), expected, "e{at} in {all:?}");
    }
    // Every event of a batch knows its call, and the one that was left out knows why.
    let why = |question: &'static str| {
        let node = &node;
        async move { node.control("GET", &format!("/v1/why?id={question}"), "").await.body }
    };
    assert!(why("orders/9").await.contains("gathered"), "{}", why("orders/9").await);
    let left = why("orders/1").await;
    assert!(left.contains("data.total"), "{left}");

    // What is replayed comes in batches too: two full ones.
    let before = calls(&node, |_| true).await.len();
    let got = node.control("POST", "/v1/topics/orders/replay", json!({ "app": "many" }).to_string()).await;
    let done: Value = serde_json::from_str(got.body.lines().last().unwrap()).unwrap();
    assert_eq!(done, json!({ "kind": "done", "events": 21, "delivered": 20, "failed": 0 }), "{got:?}");
    let replayed = calls(&node, |_| true).await;
    let sizes: Vec<usize> =
        replayed[before..].iter().map(|call| call["ids"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [10, 10]);
    let first: Vec<String> = (1..=10).map(|at| format!("e{at}")).collect();
    assert_eq!(replayed[before]["ids"], json!(first));
    let asked = json!({ "app": "many", "from": 2, "limit": 13 }).to_string();
    node.control("POST", "/v1/topics/orders/replay", asked).await;
    let replayed = calls(&node, |_| true).await;
    let sizes: Vec<usize> =
        replayed[before + 2..].iter().map(|call| call["ids"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [10, 3], "what is left over goes at the end");
}
