//! Events through a whole node: published, filtered, delivered, repeated, given up, and begun again.

use crate::support::{App, Got, PATIENCE, TestNode, has, node, python, settings};
use hob_node::Node;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Keeps what it is sent and shows it: `GET /seen`. `POST /fail` sets which types fail, and how.
const SINK: &str = r#"
seen, failing = [], {}

def handle(request):
    if request.command == "GET":
        return 200, [("content-type", "application/json")], json.dumps(seen)
    if request.path == "/fail":
        failing.clear()
        failing.update(json.loads(request.content))
        return 200, [], "ok"
    headers = {name.lower(): value for name, value in request.headers.items()}
    kind = headers.get("ce-type", "")
    status = failing.get(kind, 200)
    seen.append({"id": headers.get("ce-id"), "type": kind, "attempt": int(headers.get("hob-attempt", "0")),
        "subscription": headers.get("hob-subscription"), "data": request.content.decode(), "says": os.environ.get("SAYS"),
        "path": request.path, "status": status, "key": headers.get("ce-partitionkey")})
    if kind == "echo":
        return 200, [("ce-specversion", "1.0"), ("ce-id", headers["ce-id"] + "-again"), ("ce-source", "/sink"),
            ("ce-type", "echoed"), ("content-type", "text/plain")], "back"
    return status, [], "it is " + str(status)
"#;

fn sink(name: &str, on: &str) -> App {
    App::new(name)
        .function("sink", "http", "python3", &python(SINK), &["/*"])
        .change("sink", |sink| sink.scale.max = 1)
        .on(on)
}

async fn publish(node: &TestNode, topic: &str, events: &Value) -> Value {
    let got = node
        .control_with(
            "POST",
            &format!("/v1/topics/{topic}/events"),
            &[("content-type", "application/cloudevents-batch+json")],
            events.to_string(),
        )
        .await;
    assert_eq!(got.status, 202, "{got:?}");
    assert_eq!(got.header("hob-durability"), "disk");
    serde_json::from_str(&got.body).unwrap()
}

fn event(id: &str, kind: &str) -> Value {
    json!({ "specversion": "1.0", "id": id, "source": "/test", "type": kind, "data": { "id": id } })
}

/// What the sink has seen, once `enough` says so.
async fn seen(node: &TestNode, app: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let got = node.get(&format!("{app}.localhost/seen")).await;
        let seen: Vec<Value> = serde_json::from_str(&got.body).unwrap_or_default();
        if enough(&seen) {
            return seen;
        }
        assert!(
            Instant::now() < until,
            "in time; seen: {seen:?}, subscriptions: {}",
            node.control("GET", "/v1/subscriptions", "").await.body
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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

fn pick(seen: &[Value], fields: &[&str]) -> Vec<String> {
    seen.iter()
        .map(|one| fields.iter().map(|field| one[*field].to_string()).collect::<Vec<_>>().join(" "))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_reach_the_functions_whose_filters_match_and_duplicates_are_dropped() {
    if !has("python3", "events_reach_the_functions_whose_filters_match_and_duplicates_are_dropped") {
        return;
    }
    let node = node(|_| ()).await;
    let app = sink(
        "desk",
        "[[on]]\nname = \"paid\"\ntopic = \"orders\"\ncall = \"sink\"\npath = \"/paid\"\nwhere = { exact = { type = \"paid\" } }\n[[on]]\nname = \"prefix\"\ntopic = \"orders\"\ncall = \"sink\"\nwhere = \"id LIKE 'a%'\"",
    );
    node.deployed(&app).await;
    let published =
        publish(&node, "orders", &json!([event("a1", "paid"), event("b2", "paid"), event("a3", "sent")]))
            .await;
    assert_eq!(
        published[2],
        json!({ "topic": "orders", "sequence": 3, "duplicate": false, "durability": "disk" })
    );
    let again = publish(&node, "orders", &json!([event("b2", "paid")])).await;
    assert_eq!((&again[0]["sequence"], &again[0]["duplicate"]), (&json!(2), &json!(true)));

    let mut found = pick(
        &seen(&node, "desk", |seen| seen.len() >= 4).await,
        &["id", "subscription", "path", "attempt", "data"],
    );
    found.sort_unstable();
    assert_eq!(
        found,
        [
            r#""a1" "desk/paid" "/paid" 1 "{\"id\":\"a1\"}""#,
            r#""a1" "desk/prefix" "/" 1 "{\"id\":\"a1\"}""#,
            r#""a3" "desk/prefix" "/" 1 "{\"id\":\"a3\"}""#,
            r#""b2" "desk/paid" "/paid" 1 "{\"id\":\"b2\"}""#,
        ]
    );
    let paid = until(&node, "/v1/apps/desk/subscriptions/paid", |info| info["lag"] == 0).await;
    let counts: Vec<&Value> =
        ["delivered", "skipped", "dead", "cursor"].iter().map(|field| &paid[*field]).collect();
    assert_eq!(counts, [2, 1, 0, 4], "{paid}");
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_repeated_then_dead_lettered_and_redriven_while_others_go_on() {
    if !has("python3", "what_fails_is_repeated_then_dead_lettered_and_redriven_while_others_go_on") {
        return;
    }
    let node = node(|_| ()).await;
    let app = sink(
        "desk",
        "[[on]]\nname = \"all\"\ntopic = \"orders\"\ncall = \"sink\"\nretry = { attempts = 3, backoff = \"10ms..20ms\" }\non-failure = \"lost\"",
    );
    node.deployed(&app).await;
    node.send("POST", "desk.localhost/fail", &[], r#"{"poison": 500, "never": 400}"#).await;
    publish(&node, "orders", &json!([event("p", "poison"), event("n", "never"), event("g", "good")])).await;
    let letters =
        until(&node, "/v1/dead-letters/orders.dead", |letters| letters.as_array().unwrap().len() == 2).await;
    let mut found: Vec<String> = letters
        .as_array()
        .unwrap()
        .iter()
        .map(|letter| {
            format!(
                "{} {} {} {} {} {}",
                letter["event"]["id"],
                letter["reason"],
                letter["attempts"],
                letter["status"],
                letter["answer"],
                letter["subscription"]
            )
        })
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [r#""n" "rejected" 1 400 "it is 400" "desk/all""#, r#""p" "attempts" 3 500 "it is 500" "desk/all""#,]
    );
    let all = seen(&node, "desk", |seen| seen.len() >= 5).await;
    let mut attempts = pick(&all, &["id", "attempt"]);
    attempts.sort_unstable();
    assert_eq!(attempts, [r#""g" 1"#, r#""n" 1"#, r#""p" 1"#, r#""p" 2"#, r#""p" 3"#]);
    let lost = until(&node, "/v1/topics/lost", |topic| topic["events"] == 2).await;
    assert_eq!(lost["topic"], "lost");

    node.send("POST", "desk.localhost/fail", &[], "{}").await;
    let poison =
        letters.as_array().unwrap().iter().find(|letter| letter["reason"] == "attempts").unwrap()["sequence"]
            .clone();
    let got = node
        .control("POST", "/v1/dead-letters/orders.dead/redrive", json!({ "sequences": [poison] }).to_string())
        .await;
    assert_eq!((got.status, got.body.as_str()), (200, r#"{"letters":1}"#));
    seen(&node, "desk", |seen| seen.iter().any(|one| one["id"] == "p" && one["status"] == 200)).await;
    let left = read(&node, "/v1/dead-letters").await;
    assert_eq!((&left[0]["topic"], &left[0]["letters"]), (&json!("orders.dead"), &json!(1)), "{left}");
    let got = node.control("POST", "/v1/dead-letters/orders.dead/drop", "{}").await;
    assert_eq!(got.body, r#"{"letters":1}"#);
    assert_eq!(read(&node, "/v1/dead-letters/orders.dead").await, json!([]));
    let got = node.control("POST", "/v1/dead-letters/orders.dead/drop", r#"{"sequences":[1]}"#).await;
    assert_eq!(got.status, 404, "{got:?}");
    node.node.stop().await;
}

/// Publishes to its own topic each time it is called.
const LOOP: &str = r#"
calls = []

def handle(request):
    if request.command == "GET":
        return 200, [], json.dumps(calls)
    calls.append(request.headers.get("ce-id"))
    event = urllib.request.Request("http://bus.internal/round", b"again", {"ce-specversion": "1.0", "ce-type": "again", "ce-source": "/loop",
        "ce-id": str(len(calls)), "hob-hops": "0", "content-type": "text/plain"})
    try:
        urllib.request.urlopen(event).read()
    except urllib.error.HTTPError as error:
        calls.append(error.headers["hob-error"])
    return 200, [], ""
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_of_events_ends_after_sixteen_and_is_explained() {
    if !has("python3", "a_loop_of_events_ends_after_sixteen_and_is_explained") {
        return;
    }
    let node = node(|_| ()).await;
    let app = App::new("round")
        .function("again", "http", "python3", &python(LOOP), &["/*"])
        .change("again", |again| again.scale.max = 1)
        .on("[[on]]\ntopic = \"round\"\ncall = \"again\"");
    node.deployed(&app).await;
    publish(&node, "round", &json!([event("start", "again")])).await;
    let letters =
        until(&node, "/v1/dead-letters/round.dead", |letters| letters.as_array().unwrap().len() == 1).await;
    let letter = &letters[0];
    assert_eq!((&letter["reason"], &letter["code"]), (&json!("loop"), &json!("HOB-0806")), "{letter}");
    assert!(letter["answer"].as_str().unwrap().contains("number 17 in a chain"), "{letter}");
    // The first call, sixteen caused ones, and what the last was told, which may take a moment longer than the letter.
    let calls = seen(&node, "round", |calls| calls.len() >= 18).await;
    assert_eq!((calls.len(), &calls[17]), (18, &json!("HOB-0806")), "{calls:?}");
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_delivered_by_the_revision_that_published_it_and_answers_are_published() {
    if !has("python3", "an_event_is_delivered_by_the_revision_that_published_it_and_answers_are_published") {
        return;
    }
    const FRONT: &str = r#"
def handle(request):
    event = {"specversion": "1.0", "id": os.environ["SAYS"], "source": "/front", "type": "echo", "data": 1}
    ask = urllib.request.Request("http://bus.internal/orders", json.dumps(event).encode(), {"content-type": "application/cloudevents+json"})
    return 200, [], urllib.request.urlopen(ask).read()
"#;
    let revision = |says: &str| {
        App::new("desk")
            .function("front", "http", "python3", &python(FRONT), &["POST /front"])
            .function("sink", "http", "python3", &python(SINK), &["/*"])
            .change("sink", |sink| sink.scale.max = 1)
            .env("SAYS", says)
            .on("[[on]]\nname = \"all\"\ntopic = \"orders\"\ncall = \"sink\"")
    };
    let node = node(|_| ()).await;
    node.deployed(&revision("one")).await;
    assert_eq!(node.control("POST", "/v1/apps/desk/subscriptions/all/pause", "").await.status, 204);
    let got = node.send("POST", "desk.localhost/front", &[], "").await;
    assert_eq!(got.status, 200, "{got:?}");
    node.deployed(&revision("two")).await;
    publish(&node, "orders", &json!([event("outside", "plain")])).await;
    assert_eq!(node.control("POST", "/v1/apps/desk/subscriptions/all/resume", "").await.status, 204);
    // The answer to `echo` is published too, and pinned like its cause.
    until(&node, "/v1/apps/desk/subscriptions/all", |info| info["delivered"] == 3).await;
    let of = |host: &'static str| {
        let node = &node;
        async move { pick(&seen(node, host, |_| true).await, &["id", "type", "says"]) }
    };
    let mut old = of("rev-1--desk").await;
    old.sort_unstable();
    assert_eq!(old, [r#""one" "echo" "one""#, r#""one-again" "echoed" "one""#]);
    assert_eq!(of("desk").await, [r#""outside" "plain" "two""#]);
    let stored = node.control("GET", "/v1/topics/orders/events?tail=1", "").await;
    let stored: Value = serde_json::from_str(&stored.body).unwrap();
    assert_eq!(
        (&stored["event"]["type"], &stored["hops"], &stored["cause"]["revision"]),
        (&json!("echoed"), &json!(1), &json!(1)),
        "{stored}"
    );
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_holds_per_key_while_one_key_waits_for_its_retry() {
    if !has("python3", "order_holds_per_key_while_one_key_waits_for_its_retry") {
        return;
    }
    let node = node(|_| ()).await;
    let app = sink(
        "desk",
        "[[on]]\nname = \"all\"\ntopic = \"orders\"\ncall = \"sink\"\norder-by = \"partitionkey\"\nretry = { attempts = 50, backoff = \"10ms..10ms\" }",
    );
    node.deployed(&app).await;
    node.send("POST", "desk.localhost/fail", &[], r#"{"stuck": 503}"#).await;
    let keyed = |id: &str, kind: &str, key: &str| {
        let mut one = event(id, kind);
        one["partitionkey"] = json!(key);
        one
    };
    publish(
        &node,
        "orders",
        &json!([
            keyed("a1", "stuck", "a"),
            keyed("a2", "x", "a"),
            keyed("b1", "x", "b"),
            keyed("b2", "x", "b"),
            keyed("a3", "x", "a")
        ]),
    )
    .await;
    let early = seen(&node, "desk", |seen| seen.iter().any(|one| one["id"] == "b2")).await;
    assert!(early.iter().all(|one| one["id"] != "a2"), "{early:?}");
    node.send("POST", "desk.localhost/fail", &[], "{}").await;
    let all = seen(&node, "desk", |seen| seen.iter().any(|one| one["id"] == "a3")).await;
    let good: Vec<&str> =
        all.iter().filter(|one| one["status"] == 200).map(|one| one["id"].as_str().unwrap()).collect();
    let of = |key: &str| good.iter().filter(|id| id.starts_with(key)).copied().collect::<Vec<_>>();
    assert_eq!((of("a"), of("b")), (vec!["a1", "a2", "a3"], vec!["b1", "b2"]));
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_asynchronous_call_is_made_later_and_its_result_can_be_read_even_after_a_restart() {
    if !has("python3", "an_asynchronous_call_is_made_later_and_its_result_can_be_read_even_after_a_restart") {
        return;
    }
    const SLOW: &str = r#"
tries = {}

def handle(request):
    tries[request.path] = tries.get(request.path, 0) + 1
    if request.path == "/broken" or (request.path == "/second" and tries[request.path] == 1):
        return 500, [], "no " + request.headers["hob-attempt"]
    return 201, [("x-own", "yes"), ("content-type", "text/plain")], request.command + " " + request.content.decode() + " " + request.headers["hob-attempt"]
"#;
    let (mut given, data) = settings();
    given.http = "127.0.0.1:0".parse().unwrap();
    let node = TestNode::of(Node::start(given.clone()).await.unwrap(), &given, data);
    let app =
        App::new("work").function("slow", "http", "python3", &python(SLOW), &["/*"]).change("slow", |slow| {
            slow.scale.max = 1;
            slow.asynchronous.retry.backoff_min_ms = 10;
            slow.asynchronous.retry.attempts = 2;
        });
    node.deployed(&app).await;
    let call = |path: &'static str| {
        let node = &node;
        async move {
            let got = node
                .send("PUT", &format!("work.localhost{path}"), &[("prefer", "respond-async")], "hello")
                .await;
            assert_eq!(
                (got.status, got.header("preference-applied"), got.header("hob-durability")),
                (202, "respond-async", "disk"),
                "{got:?}"
            );
            got.header("location").to_owned()
        }
    };
    let result = |node: &TestNode, location: &str| {
        let (target, address) = (format!("work.localhost{location}"), node.address);
        async move {
            let until = Instant::now() + PATIENCE;
            loop {
                let got = Got::at(address, &target).await;
                if got.status != 202 {
                    return got;
                }
                assert!(Instant::now() < until, "{got:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    let (good, second, broken) = (call("/good").await, call("/second").await, call("/broken").await);
    for (location, state, attempts, status, body, own) in [
        (&good, "done", 1, 201, "PUT hello 1", "yes"),
        (&second, "done", 2, 201, "PUT hello 2", "yes"),
        (&broken, "failed", 2, 500, "no 2", ""),
    ] {
        let info: Value = serde_json::from_str(&result(&node, location).await.body).unwrap();
        assert_eq!(
            (&info["state"], &info["attempts"], &info["status"]),
            (&json!(state), &json!(attempts), &json!(status)),
            "{info}"
        );
        let got = result(&node, &format!("{location}/result")).await;
        assert_eq!((got.status, got.body.as_str(), got.header("x-own")), (status, body, own), "{got:?}");
    }
    let letters = read(&node, "/v1/dead-letters").await;
    assert_eq!(letters[0]["topic"], "hob.calls.work.dead", "{letters}");
    for (location, expected) in [
        ("/.well-known/hob/calls/work.1.00000000000000000000000000000000", 404),
        ("/.well-known/hob/calls/x", 404),
    ] {
        assert_eq!(node.get(&format!("work.localhost{location}")).await.status, expected);
    }
    let node = node.restarted(&given).await;
    let got = result(&node, &format!("{second}/result")).await;
    assert_eq!((got.status, got.body.as_str()), (201, "PUT hello 2"), "{got:?}");
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedules_fire_when_due_and_by_hand() {
    if !has("python3", "schedules_fire_when_due_and_by_hand") {
        return;
    }
    let node = node(|_| ()).await;
    let app = sink(
        "desk",
        r#"
[[on]]
name = "often"
schedule = "@every 1s"
call = "sink"
data = { run = "often" }

[[on]]
name = "nightly"
schedule = "0 3 * * *"
zone = "Europe/London"
call = "sink"
path = "/nightly"
"#,
    );
    node.deployed(&app).await;
    let often = seen(&node, "desk", |seen| {
        seen.iter().filter(|one| one["subscription"] == "desk/often").count() >= 2
    })
    .await;
    let first = often.iter().find(|one| one["subscription"] == "desk/often").unwrap();
    assert_eq!(
        (&first["type"], &first["data"]),
        (&json!("dev.hob.schedule.fired"), &json!("{\"run\":\"often\"}"))
    );
    assert_eq!(node.control("POST", "/v1/apps/desk/schedules/often/pause", "").await.status, 204);
    let nightly = read(&node, "/v1/apps/desk/schedules/nightly").await;
    assert!(nightly["next"][0].as_str().unwrap().contains("03:00:00"), "{nightly}");
    assert_eq!(node.control("POST", "/v1/apps/desk/schedules/nightly/fire", "").await.status, 202);
    seen(&node, "desk", |seen| seen.iter().any(|one| one["path"] == "/nightly")).await;

    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_routes_take_web_hooks_and_refuse_what_is_no_event() {
    if !has("python3", "event_routes_take_web_hooks_and_refuse_what_is_no_event") {
        return;
    }
    let node = node(|_| ()).await;
    let app = sink(
        "desk",
        r#"
[[on]]
route = "/hook"
publish = "hooks"
origins = ["*.example.com"]

[[on]]
name = "hooks"
topic = "hooks"
call = "sink"
"#,
    );
    node.deployed(&app).await;
    let hook = node
        .send(
            "OPTIONS",
            "desk.localhost/hook",
            &[("webhook-request-origin", "events.example.com"), ("webhook-request-rate", "100")],
            "",
        )
        .await;
    assert_eq!(
        (hook.status, hook.header("webhook-allowed-origin"), hook.header("webhook-allowed-rate")),
        (200, "events.example.com", "100"),
        "{hook:?}"
    );
    let other = node
        .send("OPTIONS", "desk.localhost/hook", &[("webhook-request-origin", "evil.example.org")], "")
        .await;
    assert_eq!(other.header("webhook-allowed-origin"), "");
    let binary = [
        ("ce-specversion", "1.0"),
        ("ce-id", "h1"),
        ("ce-source", "/s"),
        ("ce-type", "hooked"),
        ("content-type", "text/plain"),
    ];
    assert_eq!(node.send("POST", "desk.localhost/hook", &binary, "hi").await.status, 202);
    let plain = node.send("POST", "desk.localhost/hook", &[], "hi").await;
    assert_eq!((plain.status, plain.header("hob-error")), (400, "HOB-0801"), "{plain:?}");
    let all = seen(&node, "desk", |seen| seen.iter().any(|one| one["type"] == "hooked")).await;
    let hooked = all.iter().find(|one| one["type"] == "hooked").unwrap();
    assert_eq!((&hooked["data"], &hooked["subscription"]), (&json!("hi"), &json!("desk/hooks")));
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_events_are_replayed_to_a_chosen_revision_and_a_seek_delivers_them_again() {
    if !has("python3", "old_events_are_replayed_to_a_chosen_revision_and_a_seek_delivers_them_again") {
        return;
    }
    let node = node(|_| ()).await;
    let on =
        "[[on]]\nname = \"all\"\ntopic = \"orders\"\ncall = \"sink\"\nwhere = { exact = { type = \"x\" } }";
    node.deployed(&sink("desk", on).env("SAYS", "one")).await;
    publish(&node, "orders", &json!([event("1", "x"), event("2", "y"), event("3", "x")])).await;
    seen(&node, "desk", |seen| seen.len() == 2).await;
    node.deployed(&sink("desk", on).env("SAYS", "two")).await;
    let replay = |body: Value| {
        let node = &node;
        async move {
            let got = node.control("POST", "/v1/topics/orders/replay", body.to_string()).await;
            assert_eq!(got.status, 200, "{got:?}");
            serde_json::from_str::<Value>(got.body.lines().last().unwrap()).unwrap()
        }
    };
    assert_eq!(
        replay(json!({ "app": "desk" })).await,
        json!({ "kind": "done", "events": 3, "delivered": 2, "failed": 0 })
    );
    assert_eq!(
        replay(json!({ "app": "desk", "function": "sink", "revision": 1, "from": 2 })).await["delivered"],
        2
    );
    let new = pick(&seen(&node, "desk", |_| true).await, &["id", "says"]);
    assert_eq!(new, [r#""1" "two""#, r#""3" "two""#]);
    let old = pick(&seen(&node, "rev-1--desk", |_| true).await, &["id"]);
    assert_eq!(old[2..], [r#""2""#, r#""3""#]);
    let got = node.control("POST", "/v1/topics/nothing/replay", json!({ "app": "desk" }).to_string()).await;
    assert_eq!(got.status, 404, "{got:?}");

    let got = node
        .control("POST", "/v1/apps/desk/subscriptions/all/seek", json!({ "to": "beginning" }).to_string())
        .await;
    assert_eq!(got.status, 200, "{got:?}");
    seen(&node, "desk", |seen| seen.len() == 4).await;
    node.node.stop().await;
}

/// As clients do that use a tunnel for plain HTTP, Node's among them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_to_a_name_inside_ends_in_the_node() {
    if !has("python3", "a_tunnel_to_a_name_inside_ends_in_the_node") {
        return;
    }
    const FRONT: &str = r#"
import base64, http.client, urllib.parse

def tunnel(host, port):
    proxy = urllib.parse.urlsplit(os.environ["http_proxy"])
    headers = {}
    # Behind walls the way is the instance's own, and asks for no secret.
    if proxy.username:
        who = base64.b64encode((proxy.username + ":" + proxy.password).encode()).decode()
        headers = {"Proxy-Authorization": "Basic " + who}
    connection = http.client.HTTPConnection(proxy.hostname, proxy.port)
    connection.set_tunnel(host, port, headers)
    return connection

def handle(request):
    connection = tunnel("bus.internal", 80)
    event = {"ce-specversion": "1.0", "ce-id": "t", "ce-source": "/t", "ce-type": "x"}
    connection.request("POST", "/orders", b"", event)
    first = connection.getresponse().read().decode()
    connection.request("POST", "/orders", b"", {**event, "ce-id": "u"})
    second = connection.getresponse().status
    try:
        tunnel("bus.internal", 443).request("GET", "/")
        refused = "no"
    except OSError as error:
        refused = str(error)
    return 200, [], json.dumps([json.loads(first), second, refused])
"#;
    let node = node(|settings| settings.walls = hob_node::WallChoice::Auto.into()).await;
    node.deployed(&App::new("desk").function("front", "http", "python3", &python(FRONT), &["/*"])).await;
    let got: Value = serde_json::from_str(&node.get("desk.localhost/").await.body).unwrap();
    assert_eq!((&got[0][0]["sequence"], &got[1]), (&json!(1), &json!(202)), "{got}");
    assert!(got[2].as_str().unwrap().contains("403"), "{got}");
    let stored: Value =
        serde_json::from_str(&node.control("GET", "/v1/topics/orders/events?tail=1", "").await.body).unwrap();
    assert_eq!(stored["cause"]["app"], "desk", "{stored}");
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_is_sent_where_its_caller_wants_it_if_the_function_may_reach_that() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    if !has("python3", "a_result_is_sent_where_its_caller_wants_it_if_the_function_may_reach_that") {
        return;
    }
    const HELLO: &str =
        "def handle(request):\n    return 201, [(\"content-type\", \"text/plain\")], \"hello\"\n";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    let node = node(|_| ()).await;
    let app = App::new("work")
        .function("open", "http", "python3", &python(HELLO), &["/open"])
        .function("shut", "http", "python3", &python(HELLO), &["/shut"])
        .change("open", |open| open.egress = Some(vec![place.to_string()]));
    node.deployed(&app).await;
    let url = format!("http://{place}/done");
    for path in ["/shut", "/open"] {
        let headers = [("prefer", "respond-async"), ("hob-callback-url", url.as_str())];
        let got = node.send("POST", &format!("work.localhost{path}"), &headers, "").await;
        assert_eq!(got.status, 202, "{got:?}");
    }
    let (mut stream, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut told = Vec::new();
    while !told.ends_with(b"hello") {
        assert!(stream.read_buf(&mut told).await.unwrap() > 0, "{}", String::from_utf8_lossy(&told));
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    let told = String::from_utf8_lossy(&told).to_ascii_lowercase();
    for part in
        ["post /done http/1.1", "hob-call-id: work.2.", "hob-call-status: 201", "content-type: text/plain"]
    {
        assert!(told.contains(part), "{part} in {told}");
    }
    let letters = until(&node, "/v1/dead-letters", |letters| letters.as_array().unwrap().len() == 1).await;
    assert_eq!(letters[0]["topic"], "hob.results.work.dead", "the other may not reach it: {letters}");
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_subscription_begins_where_it_says_and_a_removed_app_leaves_nothing() {
    if !has("python3", "a_new_subscription_begins_where_it_says_and_a_removed_app_leaves_nothing") {
        return;
    }
    let node = node(|_| ()).await;
    let mut expired = event("old", "x");
    expired["expirytime"] = json!("2001-01-01T00:00:00Z");
    publish(&node, "orders", &json!([event("1", "x"), expired, event("3", "x")])).await;
    let on = |name: &str, start: &str| {
        let each = "topic = \"orders\"\ncall = \"sink\"\non-success = \"good\"";
        format!("[[on]]\nname = \"{name}\"\nstart = {start}\n{each}\n")
    };
    let all = [on("all", "\"beginning\""), on("third", "3"), on("new", "\"now\"")].concat();
    node.deployed(&sink("desk", &all)).await;
    publish(&node, "orders", &json!([event("4", "x")])).await;
    let mut found = pick(&seen(&node, "desk", |seen| seen.len() >= 6).await, &["subscription", "id"]);
    found.sort_unstable();
    let expected = [("all", "1"), ("all", "3"), ("all", "4"), ("new", "4"), ("third", "3"), ("third", "4")];
    assert_eq!(found, expected.map(|(name, id)| format!("\"desk/{name}\" \"{id}\"")));
    let letters =
        until(&node, "/v1/dead-letters/orders.dead", |found| found.as_array().unwrap().len() == 1).await;
    let letter = &letters[0];
    assert_eq!((&letter["reason"], &letter["code"]), (&json!("expired"), &json!("HOB-0816")), "{letter}");
    until(&node, "/v1/topics/good", |topic| topic["events"] == 6).await;
    let record = node.control("GET", "/v1/topics/good/events?tail=1", "").await;
    let record: Value = serde_json::from_str(&record.body).unwrap();
    assert_eq!(record["event"]["data"]["requestContext"]["condition"], "Success", "{record}");

    // Its name begins anew, as if it had never been there, however soon.
    for (without, with) in [("5", "6"), ("7", "8"), ("9", "10")] {
        assert_eq!(node.control("DELETE", "/v1/apps/desk", "").await.status, 204);
        assert_eq!(read(&node, "/v1/subscriptions").await, json!([]));
        publish(&node, "orders", &json!([event(without, "x")])).await;
        node.deployed(&sink("desk", &on("all", "\"now\""))).await;
        publish(&node, "orders", &json!([event(with, "x")])).await;
        let anew = pick(&seen(&node, "desk", |seen| !seen.is_empty()).await, &["id", "attempt"]);
        assert_eq!(anew, [format!("\"{with}\" 1")]);
    }
    node.node.stop().await;
}
