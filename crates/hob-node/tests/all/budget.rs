//! Budgets that stop and alerts that tell, through a whole node.

use crate::support::{App, PATIENCE, TestNode, has, last_event, node, python, settings};
use hob_node::{Node, Tls};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// An app whose function `front` runs this shell script, and what else its manifest says.
fn shop(script: &str, more: &str) -> App {
    App::new("shop").function("front", "stdio", "sh", script, &["/*"]).on(more)
}

async fn read(node: &TestNode, path: &str) -> Value {
    let got = node.control("GET", path, "").await;
    assert_eq!(got.status, 200, "{path}: {got:?}");
    serde_json::from_str(&got.body).unwrap()
}

/// A value of the control API, once `good` says that it is as expected.
async fn until(node: &TestNode, path: &str, good: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let value = read(node, path).await;
        if good(&value) {
            return value;
        }
        assert!(Instant::now() < until, "{path} in time: {value}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn statuses(node: &TestNode, calls: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..calls {
        statuses.push(node.get("shop.localhost/").await.status);
    }
    statuses
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_budget_stops_calls_at_the_right_one_and_events_wait_until_it_is_raised() {
    let (settings, data) = settings();
    let node = TestNode::of(Node::start(settings.clone()).await.unwrap(), &settings, data);
    let app = |calls: u32| {
        let budget = format!("[budget]\ninvocations = {calls}\nstop = true\n");
        shop("echo hello", &format!("[[on]]\nname = \"all\"\ntopic = \"orders\"\ncall = \"front\"\n{budget}"))
    };
    node.deployed(&app(3)).await;
    assert_eq!(statuses(&node, 5).await, [200, 200, 200, 503, 503]);
    let refused = node.get("shop.localhost/").await;
    assert_eq!(refused.header("hob-error"), "HOB-0511", "{refused:?}");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1, "{refused:?}");

    let event = json!({ "specversion": "1.0", "id": "1", "source": "/test", "type": "paid" });
    let published = node
        .control_with(
            "POST",
            "/v1/topics/orders/events",
            &[("content-type", "application/cloudevents+json")],
            event.to_string(),
        )
        .await;
    assert_eq!(published.status, 202, "{published:?}");
    let all = "/v1/apps/shop/subscriptions/all";
    until(&node, all, |info| info["last_failure"].as_str().is_some_and(|text| text.contains("HOB-0511")))
        .await;
    let budgets = until(&node, "/v1/budgets?app=shop", |all| all[0]["standing"]["stopped"] == true).await;
    assert_eq!(budgets[0]["standing"]["text"], "3 of 3 calls", "{budgets}");

    let node = node.restarted(&settings).await;
    assert_eq!(statuses(&node, 2).await, [503, 503], "a restart opens nothing");
    let info = until(&node, all, |info| info["waiting"] == 1).await;
    assert_eq!((&info["delivered"], &info["dead"], &info["lag"]), (&json!(0), &json!(0), &json!(1)));

    node.deployed(&app(5)).await;
    until(&node, all, |info| info["delivered"] == 1).await;
    assert_eq!(statuses(&node, 2).await, [200, 503], "the event was the fourth call");
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_reach_a_function_that_is_subscribed_to_them() {
    let node = node(|_| ()).await;
    let ops = App::new("ops")
        .function("pager", "stdio", "sh", "echo \"$HTTP_CE_TYPE $HTTP_CE_SUBJECT $(cat)\" >&2", &[])
        .on("[[on]]\ntopic = \"alerts\"\ncall = \"pager\"");
    node.deployed(&ops).await;
    let rules = "[[alert]]\nmetric = \"error-share\"\nabove = \"50%\"\nfor = \"0s\"\nfunction = \"front\"\n";
    let budget = "[functions.front.budget]\ninvocations = 4\nalert = [50]\n";
    node.deployed(&shop("exit 1", &format!("{budget}{rules}"))).await;
    assert_eq!(statuses(&node, 3).await, [500, 500, 500]);

    let wanted = [
        "dev.hob.alert.firing error-share-front",
        "dev.hob.alert.firing hob-budget-front-50",
        r#""why":"hob why --function shop/front"#,
        r#""text":"the used share of the budget is 75% (3 of 4 calls)"#,
    ];
    let until_told = Instant::now() + PATIENCE;
    loop {
        let told = node.control("GET", "/v1/logs?app=ops&tail=50", "").await.body.replace('\\', "");
        if wanted.iter().all(|text| told.contains(text)) {
            break;
        }
        assert!(Instant::now() < until_told, "in time: {told}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let alerts = read(&node, "/v1/alerts?app=shop").await;
    let states: Vec<String> = alerts
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| format!("{} {} {}", alert["name"], alert["state"]["is"], alert["value"]))
        .collect();
    assert_eq!(states, [r#""error-share-front" "firing" "100%""#, r#""hob-budget-front-50" "firing" "75%""#]);
    let facts = node.control("GET", "/v1/facts?app=shop&kind=alert", "").await;
    assert_eq!(facts.body.lines().count(), 2, "{facts:?}");
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn use_costs_what_the_prices_say() {
    let node = node(|settings| settings.price_per_month = hob_core::cost::Price::parse("40 EUR").ok()).await;
    node.deployed(&shop("echo hello", "")).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    for _ in 0..3 {
        node.send("GET", "shop.localhost/", &[("traceparent", &parent)], "").await;
    }
    for (query, currency, requests) in [
        ("at=aws-lambda", "USD", "0.0000006"),
        ("at=cloud-run&by=function", "USD", "0.0000012"),
        ("", "EUR", "0"),
    ] {
        let report =
            until(&node, &format!("/v1/cost?{query}"), |report| report["usage"]["invocations"] == 3).await;
        assert_eq!(report["currency"], currency, "{report}");
        assert_eq!(report["total"]["requests"], requests, "{report}");
        assert_eq!(
            (&report["rows"][0]["app"], &report["rows"][0]["share"]),
            (&json!("shop"), &json!(100_000))
        );
        assert_eq!(report["idle"].is_string(), currency == "EUR", "{report}");
    }
    let report = read(&node, &format!("/v1/cost?at=aws-lambda&trace={trace}")).await;
    assert_eq!(report["rows"].as_array().unwrap().len(), 3, "{report}");
    assert_eq!(report["total"]["requests"], "0.0000006", "{report}");
    for (query, status) in
        [("trace=00000000000000000000000000000001", 404), ("trace=x", 400), ("at=azure", 400), ("by=x", 400)]
    {
        assert_eq!(node.control("GET", &format!("/v1/cost?{query}"), "").await.status, status, "{query}");
    }
    let spec = shop("echo hello", "[budget]\ninvocations = 1").spec();
    let mut spec = serde_json::to_value(spec).unwrap();
    spec["watch"]["budget"]["invocations"] = Value::Null;
    let refused = last_event(&node.control("POST", "/v1/apps/shop/revisions", spec.to_string()).await);
    assert_eq!(refused["code"], "HOB-0103", "what a client sends is checked: {refused}");
    node.node.stop().await;
}

/// Refuses events, and ends when it is told to.
const FRAGILE: &str = r#"
def handle(request):
    if request.path == "/crash":
        os._exit(1)
    return (400 if request.command == "POST" else 200), [], "x"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_can_fire() {
    if !has("python3", "every_metric_can_fire") {
        return;
    }
    let fixture = |name: &str| format!("{}/tests/all/tls/{name}", env!("CARGO_MANIFEST_DIR")).into();
    let tls = Tls { certificate: fixture("certificate.pem"), key: fixture("key.pem") };
    let node = node(|settings| settings.tls = Some(tls)).await;
    let rules = [
        ("age", "certificate-age", "above = \"1s\""),
        ("budget", "budget", "above = 1"),
        ("certificate", "certificate-left", "below = \"37000d\""),
        ("cold", "cold-start-share", "above = \"1%\""),
        ("crashes", "crash-loop", "above = 1\nfunction = \"front\""),
        ("disk", "disk-free", "below = \"101%\""),
        ("errors", "error-share", "above = 1"),
        ("lag", "lag", "above = 1\nsubscription = \"slow\""),
        ("letters", "dead-letters", "above = 1"),
        ("p99", "latency-p99", "above = \"1us\""),
        ("queue", "queue-time", "above = \"1us\""),
    ];
    let alerts: String = rules
        .iter()
        .map(|(name, metric, rest)| {
            format!("[[alert]]\nname = \"{name}\"\nmetric = \"{metric}\"\nfor = \"0s\"\n{rest}\n")
        })
        .collect();
    let on = "[[on]]\nname = \"all\"\ntopic = \"orders\"\ncall = \"front\"\n[[on]]\nname = \"slow\"\ntopic = \"orders\"\ncall = \"front\"\n";
    let app = App::new("shop")
        .function("front", "http", "python3", &python(FRAGILE), &["/*"])
        .on(&format!("[budget]\ninvocations = 10\nalert = []\n{on}{alerts}"));
    node.deployed(&app).await;
    assert_eq!(node.control("POST", "/v1/apps/shop/subscriptions/slow/pause", "").await.status, 204);
    for id in ["1", "2"] {
        let event = json!({ "specversion": "1.0", "id": id, "source": "/test", "type": "paid" });
        let media = [("content-type", "application/cloudevents+json")];
        let got = node.control_with("POST", "/v1/topics/orders/events", &media, event.to_string()).await;
        assert_eq!(got.status, 202, "{got:?}");
    }
    for _ in 0..2 {
        let got = node.control("GET", "/v1/apps/shop/functions/front/call/crash", "").await;
        assert_eq!(got.status, 502, "{got:?}");
    }
    let firing = |alerts: &Value| -> Vec<String> {
        let all = alerts.as_array().unwrap().iter();
        let firing = all.filter(|alert| alert["state"]["is"] == "firing");
        firing.map(|alert| alert["name"].as_str().unwrap().to_owned()).collect()
    };
    let alerts = until(&node, "/v1/alerts?app=shop", |alerts| firing(alerts).len() == rules.len()).await;
    assert_eq!(firing(&alerts), rules.map(|(name, ..)| name));
    let own = read(&node, "/v1/alerts").await;
    let own: Vec<&Value> = own.as_array().unwrap().iter().filter(|alert| alert["app"].is_null()).collect();
    let names: Vec<&str> = own.iter().map(|alert| alert["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["hob-certificate", "hob-crash-loop", "hob-disk"], "the node has rules of its own");
    node.node.stop().await;
}
