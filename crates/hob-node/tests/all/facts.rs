//! Facts through a whole node: one trace from the request to the last attempt, and everything that was decided on the way.

use crate::support::{App, PATIENCE, TestNode, has, node, python, settings};
use hob_core::fact::{Call, CallCause, Ending, Fact, InstanceStep, SkipReason, What};
use hob_node::Node;
use serde_json::Value;
use std::time::{Duration, Instant};

/// `POST /order` publishes an event and calls `price`; `POST /work` fails the first time.
const SHOP: &str = r#"
import urllib.request

def handle(request):
    if request.path == "/order":
        trace = request.headers["traceparent"]
        event = urllib.request.Request("http://bus.internal/orders", data=b"{}", headers={"ce-specversion": "1.0",
            "ce-id": "o-1", "ce-source": "/shop", "ce-type": "order.created", "content-type": "application/json",
            "traceparent": trace})
        urllib.request.urlopen(event)
        with urllib.request.urlopen(urllib.request.Request("http://price.shop.internal/p", headers={"traceparent": trace})) as price:
            return 200, [], price.read().decode()
    attempt = int(request.headers.get("hob-attempt", "0"))
    return (503 if attempt == 1 else 200), [], "worked"
"#;

fn shop() -> App {
    App::new("shop")
        .function("shop", "http", "python3", &python(SHOP), &["/order"])
        .function("price", "stdio", "sh", "echo 7", &[])
        .on("[[on]]\nname = \"work\"\ntopic = \"orders\"\ncall = \"shop\"\npath = \"/work\"\nretry = { backoff = \"10ms\" }\n\
             [[on]]\nname = \"other\"\ntopic = \"orders\"\ncall = \"price\"\nwhere = { exact = { type = \"order.paid\" } }\n")
}

async fn facts(node: &TestNode, query: &str) -> Vec<Fact> {
    let got = node.control("GET", &format!("/v1/facts?limit=1000{query}"), "").await;
    assert_eq!(got.status, 200, "{got:?}");
    got.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The facts that a query finds, once `enough` says so.
async fn until(node: &TestNode, query: &str, enough: impl Fn(&[Fact]) -> bool) -> Vec<Fact> {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = facts(node, query).await;
        if enough(&found) {
            return found;
        }
        assert!(Instant::now() < until, "{query} in time: {found:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn calls(facts: &[Fact]) -> Vec<&Call> {
    facts
        .iter()
        .filter_map(|fact| match &fact.what {
            What::Call(call) => Some(&**call),
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_the_request_through_the_bus_to_the_last_attempt() {
    if !has("python3", "one_trace_leads_from_the_request_through_the_bus_to_the_last_attempt") {
        return;
    }
    let node = node(|_| ()).await;
    node.deployed(&shop()).await;
    let outside = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let got = node.send("POST", "shop.localhost/order", &[("traceparent", outside)], "{}").await;
    assert_eq!((got.status, got.body.as_str()), (200, "7\n"));

    let query = "&trace=0af7651916cd43dd8448eb211c80319c";
    let found = until(&node, query, |facts| calls(facts).len() == 4).await;
    let all = calls(&found);
    let by =
        |word: &str| -> Vec<&Call> { all.iter().copied().filter(|call| call.cause.word() == word).collect() };
    let (order, price, work) = (by("request")[0], by("function")[0], by("event"));
    assert_eq!(order.parent.map(|span| span.to_string()).as_deref(), Some("b7ad6b7169203331"));
    assert_eq!(order.id.to_string(), got.header("hob-invocation-id"));
    assert_eq!((price.parent, price.function.as_str()), (Some(order.span()), "price"));
    assert!(matches!(&price.cause, CallCause::Function { invocation, .. } if *invocation == Some(order.id)));
    let attempts: Vec<_> = work.iter().map(|call| (call.parent, call.status)).collect();
    assert_eq!(attempts, [(Some(order.span()), Some(503)), (Some(order.span()), Some(200))], "{work:?}");
    let published = found.iter().find_map(|fact| match &fact.what {
        What::Published(event) => Some((event.id.as_str(), event.sequence, event.by)),
        _ => None,
    });
    assert_eq!(published, Some(("o-1", 1, Some(order.id))));
    let skipped = found.iter().find_map(|fact| match &fact.what {
        What::Skipped(skipped) => Some((skipped.subscription.as_str(), skipped.reason.clone())),
        _ => None,
    });
    let reason = SkipReason::Filter {
        clause: "exact.type".to_owned(),
        wanted: "order.paid".to_owned(),
        seen: Some("order.created".to_owned()),
    };
    assert_eq!(skipped, Some(("other", reason)));

    let retried = until(&node, "&topic=orders&sequence=1&kind=delivered", |facts| !facts.is_empty()).await;
    let What::Delivered(retried) = &retried[0].what else { panic!("{retried:?}") };
    assert_eq!((retried.attempt, retried.invocation), (1, Some(work[0].id)));
    assert!(matches!(retried.ending, Ending::Retry { at_ms } if at_ms > 0), "{retried:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_did_not_happen_is_told_and_outlives_the_node() {
    let (settings, data) = settings();
    let node = TestNode::of(Node::start(settings.clone()).await.unwrap(), &settings, data);
    let app = App::new("desk")
        .function("hello", "stdio", "sh", "echo hello", &["GET /hello"])
        .on("[[on]]\nname = \"all\"\ntopic = \"orders\"\ncall = \"hello\"\n");
    node.deployed(&app).await;
    let missing = node.get("desk.localhost/helo").await;
    let method = node.send("POST", "desk.localhost/hello", &[], "").await;
    let broken =
        node.deploy(&App::new("desk").function("hello", "http", "sh", "exit 7", &["GET /hello"])).await;
    let event = [("ce-specversion", "1.0"), ("ce-id", "a"), ("ce-source", "/t"), ("ce-type", "x")];
    for _ in 0..2 {
        assert_eq!(node.control_with("POST", "/v1/topics/orders/events", &event, "").await.status, 202);
    }
    let command = node.control("POST", "/v1/apps/desk/subscriptions/nope/pause", "").await;
    let command: Value = serde_json::from_str(&command.body).unwrap();
    until(&node, "&app=desk&function=hello&kind=call", |facts| !facts.is_empty()).await;

    let node = node.restarted(&settings).await;
    let refused: Vec<(String, String)> = facts(&node, "&kind=refused")
        .await
        .into_iter()
        .map(|fact| match fact.what {
            What::Refused(refused) => (refused.id.to_string(), refused.failure.code),
            other => panic!("{other:?}"),
        })
        .collect();
    let id = |got: &crate::support::Got| got.header("hob-invocation-id").to_owned();
    let of = |value: &Value| value["id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        refused,
        [
            (id(&missing), "HOB-0401".to_owned()),
            (id(&method), "HOB-0402".to_owned()),
            (of(&command), "HOB-0807".to_owned())
        ]
    );
    let changed: Vec<_> = facts(&node, "&app=desk&kind=changed")
        .await
        .into_iter()
        .map(|fact| match fact.what {
            What::Changed(changed) => {
                (changed.to.map(|to| to.0), changed.id, changed.failure.map(|failure| failure.code))
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((changed[0].0, &changed[0].2), (Some(1), &None));
    assert_eq!((changed[1].0, changed[1].2.as_deref()), (Some(1), Some("HOB-0308")));
    let failed = broken["failed"]["id"].as_str().or_else(|| broken["id"].as_str()).unwrap_or_default();
    assert_eq!(changed[1].1.map(|id| id.to_string()).as_deref(), Some(failed), "{broken}");
    let duplicates: Vec<_> = facts(&node, "&topic=orders")
        .await
        .into_iter()
        .map(|fact| match fact.what {
            What::Published(event) => (event.sequence, event.duplicate),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(duplicates, [(1, false), (1, true)]);
    let starts = facts(&node, "&app=desk&kind=instance&failed=true").await;
    assert!(
        matches!(&starts[0].what, What::Instance(one) if one.step == InstanceStep::StartFailed),
        "{starts:?}"
    );
    for (id, reason) in
        [(of(&command), "there is no subscription"), (failed.to_owned(), "a deploy of desk failed")]
    {
        let got = node.control("GET", &format!("/v1/why?id={id}"), "").await;
        assert!(got.body.contains(reason), "{got:?}");
    }
}
