//! Spaces of one node: what is in one is nowhere in another, whatever is asked.

use crate::support::{App, Got, PATIENCE, TestNode, has, node, python, settings};
use hob_core::aws::signature::{Claim, Content};
use hob_core::digest::Digest;
use hob_core::event::timestamp;
use hob_core::port::{Expect, Write};
use hob_node::{Node, Settings};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A space of a node.
pub(crate) struct In<'a>(pub(crate) &'a TestNode, pub(crate) &'a str);

impl In<'_> {
    pub(crate) async fn control(&self, method: &str, path: &str, body: impl Into<bytes::Bytes>) -> Got {
        self.0.control_with(method, path, &[("hob-space", self.1)], body).await
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let got = self.control("GET", path, "").await;
        assert_eq!(got.status, 200, "{path}: {got:?}");
        serde_json::from_str(&got.body).unwrap()
    }

    /// A value once it is as expected.
    pub(crate) async fn until(&self, path: &str, good: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let value = self.json(path).await;
            if good(&value) {
                return value;
            }
            assert!(Instant::now() < until, "{path} in time: {value}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn create(&self, quotas: Value) -> Got {
        let body = json!({ "space": self.1, "quotas": quotas }).to_string();
        self.0.control("POST", "/v1/spaces", body).await
    }

    /// Deploys an app; the last event.
    async fn deploy(&self, app: &App) -> Value {
        for text in app.texts() {
            let put = self
                .control("PUT", &format!("/v1/artifacts/{}", Digest::of(text.as_bytes())), text.clone())
                .await;
            if put.status != 204 {
                return serde_json::from_str(&put.body).unwrap();
            }
        }
        let (spec, name) = (app.spec(), app.spec().app);
        let body = serde_json::to_vec(&spec).unwrap();
        crate::support::last_event(&self.control("POST", &format!("/v1/apps/{name}/revisions"), body).await)
    }

    pub(crate) async fn deployed(&self, app: &App) {
        let event = self.deploy(app).await;
        assert_eq!(event["event"], "done", "{event}");
    }

    pub(crate) async fn publish(&self, topic: &str, id: &str) -> Got {
        let path = format!("/v1/topics/{topic}/events");
        self.ask("events.publish", "POST", &path, self.event(id).to_string()).await
    }

    fn event(&self, id: &str) -> Value {
        json!({ "specversion": "1.0", "id": id, "source": "/test", "type": "paid", "data": self.marker() })
    }

    /// An operation, with the media type that it wants.
    async fn ask(&self, operation: &str, method: &str, path: &str, body: impl Into<bytes::Bytes>) -> Got {
        let media_type = match operation {
            "events.publish" => "application/cloudevents+json",
            _ => "application/json",
        };
        let headers = [("hob-space", self.1), ("content-type", media_type)];
        self.0.control_with(method, path, &headers, body).await
    }

    /// A text that nothing of another space may hold.
    fn marker(&self) -> String {
        format!("marker-of-{}", self.1)
    }

    /// `desk`, and an app that only this space has, both with a subscription, a schedule and whatever else has a name.
    fn apps(&self) -> [App; 2] {
        let (marker, space) = (self.marker(), self.1);
        let hello = format!("echo {marker}; echo {marker} on stderr >&2");
        let broken = format!("cat > /dev/null; echo {marker}; exit 3");
        let on = format!(
            "[[on]]\nname = \"seen\"\ntopic = \"orders\"\ncall = \"hello\"\n\
             [[on]]\nname = \"lost\"\ntopic = \"{space}-topic\"\ncall = \"broken\"\nretry = {{ attempts = 1 }}\n\
             [[on]]\nname = \"yearly\"\nschedule = \"0 0 1 1 *\"\ncall = \"hello\"\n\
             [[on]]\nroute = \"POST /orders\"\npublish = \"orders\"\n\
             [budget]\ninvocations = 100000\nalert = [50]\n"
        );
        ["desk", &format!("{space}-app")].map(|name| {
            App::new(name)
                .function("hello", "stdio", "sh", &hello, &["/*"])
                .function("broken", "stdio", "sh", &broken, &[])
                .on(&on)
                .env("SAYS", &marker)
        })
    }
}

/// Makes a space with everything in it that has a name; then its own ids.
async fn furnish(space: &In<'_>) -> BTreeMap<&'static str, String> {
    assert_eq!(space.create(json!({ "storage": null })).await.status, 201);
    let (node, name) = (space.0, space.1);
    let apps = space.apps();
    for app in &apps {
        space.deployed(app).await;
    }
    for topic in ["orders".to_owned(), format!("{name}-topic")] {
        assert_eq!(space.publish(&topic, &format!("{name}-1")).await.status, 202);
    }
    let answered = node.send("GET", &format!("desk.{name}.localhost/"), &[], "").await;
    assert_eq!((answered.status, answered.body.trim()), (200, &*space.marker()), "{answered:?}");
    let later =
        node.send("PUT", &format!("desk.{name}.localhost/"), &[("prefer", "respond-async")], "x").await;
    assert_eq!(later.status, 202, "{later:?}");
    let call = later.header("location").rsplit('/').next().unwrap().to_owned();
    space.until(&format!("/v1/calls/{call}"), |call| call["state"] == "done").await;
    let dead = format!("/v1/dead-letters/{name}-topic.dead");
    space.until(&dead, |letters| letters.as_array().is_some_and(|all| all.len() == 2)).await;
    let key = space.json("/v1/keys").await[0]["id"].as_str().unwrap().to_owned();
    let secret = json!({ "value": format!("secret of {name}") }).to_string();
    assert_eq!(space.control("PUT", &format!("/v1/apps/{name}-app/secrets/seen"), secret).await.status, 200);
    let invocation = answered.header("hob-invocation-id").to_owned();
    space.until(&format!("/v1/why?id={invocation}"), |story| story.to_string().contains("hello")).await;
    let facts = space.control("GET", "/v1/facts?kind=call&limit=1", "").await.body;
    let fact: Value = serde_json::from_str(facts.lines().next().unwrap()).unwrap();
    let trace = fact["trace"].as_str().unwrap().to_owned();
    BTreeMap::from([
        ("app", format!("{name}-app")),
        ("topic", format!("{name}-topic")),
        ("id", call),
        ("key", key),
        ("invocation", invocation),
        ("trace", trace),
        ("digest", Digest::of(apps[0].texts()[0].as_bytes()).to_string()),
    ])
}

/// What is stored in a space, without what changes by itself.
async fn stored(space: &In<'_>) -> Value {
    let fields = |value: Value, names: &[&str]| -> Vec<Value> {
        let pick = |one: &Value| Value::from_iter(names.iter().map(|name| one[*name].clone()));
        value.as_array().unwrap().iter().map(pick).collect()
    };
    let events = space.control("GET", "/v1/topics/orders/events", "").await.body;
    json!({
        "apps": fields(space.json("/v1/apps").await, &["app", "current"]),
        "desk": space.json("/v1/apps/desk/revisions/1").await,
        "topics": fields(space.json("/v1/topics").await, &["topic", "first", "next"]),
        "events": events,
        "subscriptions": fields(space.json("/v1/subscriptions").await, &["app", "name", "paused", "dead"]),
        "schedules": fields(space.json("/v1/schedules").await, &["app", "name", "paused"]),
        "letters": space.json("/v1/dead-letters").await,
        "keys": space.json("/v1/keys").await,
        "own": fields(json!([space.json("/v1/space").await]), &["space", "created_ms", "domain"]),
    })
}

/// Every operation of the control API: method, path with `{…}`, id, names of the query.
fn operations() -> Vec<(String, String, String, Vec<String>)> {
    let document = hob_node::openapi();
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, about)| {
            let parameters = about["parameters"].as_array().cloned().unwrap_or_default();
            let query = parameters.iter().filter(|one| one["in"] == "query");
            let query = query.map(|one| one["name"].as_str().unwrap().to_owned()).collect();
            let id = about["operationId"].as_str().unwrap().to_owned();
            (method.to_uppercase(), path.clone(), id, query)
        })
    });
    let mut all: Vec<_> = all.collect();
    // What removes things comes last, and what changes them after what looks, so that the others have something to act on.
    let order = |method: &str, path: &str| match method {
        _ if path.contains("/call/") => 0,
        "GET" => 0,
        "DELETE" => 2,
        _ => 1,
    };
    all.sort_by_key(|(method, path, ..)| (order(method, path), path.clone()));
    all
}

/// The path with something for each `{…}`.
fn filled(path: &str, of: &BTreeMap<&'static str, String>, id: &str) -> String {
    let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        None => part.to_owned(),
        Some("function") => "hello".to_owned(),
        Some("path") => "x".to_owned(),
        Some("revision" | "sequence") => "1".to_owned(),
        Some("name") => if path.contains("schedules") { "yearly" } else { "seen" }.to_owned(),
        Some("topic") if path.contains("dead-letters") => format!("{}.dead", of["topic"]),
        Some("id") if id.starts_with("keys.") => of["key"].clone(),
        Some(name) => {
            of.get(name).unwrap_or_else(|| panic!("say what `{{{name}}}` of `{path}` stands for")).clone()
        }
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// What an operation is sent.
fn body_of(id: &str, app: &str, of: &In<'_>, digest: &str) -> String {
    match id {
        "apps.deploy" => {
            // Another revision than the one that is there.
            let [desk, own] = of.apps().map(|app| app.env("CHANGED", "yes").spec());
            let mut spec = serde_json::to_value(if own.app.as_str() == app { own } else { desk }).unwrap();
            spec["app"] = app.into();
            spec.to_string()
        }
        "artifacts.missing" => json!({ "digests": [digest] }).to_string(),
        "artifacts.put" => of.apps()[0].texts()[0].clone(),
        "subscriptions.seek" => json!({ "to": "beginning" }).to_string(),
        "events.replay" => json!({ "app": app, "function": "hello" }).to_string(),
        "letters.drop" => json!({ "sequences": [2] }).to_string(),
        "tokens.create" => json!({ "name": "made", "scopes": ["read"] }).to_string(),
        "secrets.set" => json!({ "value": "a value of somebody" }).to_string(),
        "secrets.use" => json!({ "version": 1 }).to_string(),
        "events.publish" => of.event("asked").to_string(),
        _ => "{}".to_owned(),
    }
}

/// What an operation does not do with a space's own names, and why not.
const NOT_DONE: &[(&str, &str)] = &[
    // Tokens belong to the node, and the id is none of one.
    ("tokens.revoke", "404 HOB-0724"),
];

/// That every operation does something with what a space has: where nothing could happen, a refusal shows nothing.
async fn every_operation_works_at_home(space: &In<'_>, of: &BTreeMap<&'static str, String>) {
    let mut idle = Vec::new();
    for (method, path, id, _) in
        operations().into_iter().filter(|(_, path, ..)| !path.starts_with("/v1/spaces"))
    {
        let query = match id.as_str() {
            "why.ask" => format!("?id={}", of["invocation"]),
            // Nobody has said what this machine costs.
            "cost.get" => "?at=aws-lambda".to_owned(),
            _ => String::new(),
        };
        let target = format!("{}{query}", filled(&path, of, &id));
        let got = space.ask(&id, &method, &target, body_of(&id, &of["app"], space, &of["digest"])).await;
        let failed = got.body.contains("\"event\":\"failed\"");
        let good = match NOT_DONE.iter().find(|(of, _)| *of == id) {
            Some((_, expected)) => code_of(&got) == *expected,
            None => (200..300).contains(&got.status) && !failed,
        };
        if !good {
            idle.push(format!("{id}: {method} {target}: {got:?}"));
        }
    }
    let hint = "say in `body_of` and `filled` what they take, or in `NOT_DONE` why they do nothing";
    assert!(idle.is_empty(), "{hint}:\n{}", idle.join("\n"));
}

/// Names and ids of the same kinds as these, that nobody has.
fn nobodys(of: &BTreeMap<&'static str, String>) -> BTreeMap<&'static str, String> {
    let other = |(kind, value): (&&'static str, &String)| match *kind {
        "app" | "topic" => (*kind, format!("nobody-{kind}")),
        "digest" => (*kind, Digest::of(b"nobody's").to_string()),
        _ => (*kind, value.chars().map(|one| if one == '1' { '2' } else { '1' }).collect()),
    };
    of.iter().map(other).collect()
}

pub(crate) fn code_of(got: &Got) -> String {
    format!("{} {}", got.status, got.header("hob-error"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_operation_crosses_from_one_space_into_another() {
    let node = node(|settings| {
        settings.lambda = Some("127.0.0.1:0".parse().unwrap());
        settings.dashboard = hob_node::Dashboard::At("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let mut asked = 0;
    // Each asks about the other, in a pair of its own, since what is asked for removes things in the end.
    for [own, other] in [["left", "right"], ["right-2", "left-2"]] {
        let (own, other) = (&In(&node, own), &In(&node, other));
        let (of_own, of_other) = (furnish(own).await, furnish(other).await);
        let (nobody, of_other) = (nobodys(&of_own), &of_other);
        let before = stored(other).await;
        for (method, path, id, query) in
            operations().into_iter().filter(|(_, path, ..)| !path.starts_with("/v1/spaces"))
        {
            // By the names that both have; by those that only the other has; and by those that nobody has.
            let shared = BTreeMap::from([("app", "desk".to_owned()), ("topic", "orders".to_owned())]);
            let shared: BTreeMap<_, _> = of_other.clone().into_iter().chain(shared).collect();
            let mut answers = Vec::new();
            for names in [&shared, of_other, &nobody] {
                let body = body_of(&id, &names["app"], own, &names["digest"]);
                let path = filled(&path, names, &id);
                let queries = query.iter().filter_map(|name| {
                    let value = match name.as_str() {
                        "route" => format!("desk.{}.localhost/", other.1),
                        "grep" => other.marker(),
                        "function" => "hello".to_owned(),
                        name => names.get(name)?.clone(),
                    };
                    Some(format!("{path}?{name}={value}"))
                });
                for target in std::iter::once(path.clone()).chain(queries) {
                    let got = own.ask(&id, &method, &target, body.clone()).await;
                    let told = format!("{:?} {}", got.headers, got.body).replace(&target, "");
                    let asks_for_it = target.contains("grep=") || target.contains(other.1);
                    assert!(
                        !told.contains(&other.marker())
                            || (asks_for_it && !got.status.to_string().starts_with('2')),
                        "{} sees `{}` by {method} {target}: {told}",
                        own.1,
                        other.marker()
                    );
                    assert!(got.status < 500, "{method} {target}: {got:?}");
                    asked += 1;
                    answers.push((target, code_of(&got)));
                }
            }
            // What only the other has is to this one as if nobody had it.
            let each = answers.len() / 3;
            for ((theirs, told), (_, of_nobody)) in answers[each..2 * each].iter().zip(&answers[2 * each..]) {
                assert_eq!(told, of_nobody, "{method} {theirs} tells that it is there");
            }
        }
        assert_eq!(stored(other).await, before, "what {} did has changed {}", own.1, other.1);
        every_operation_works_at_home(other, of_other).await;
    }
    eprintln!("{asked} calls of {} operations: 0 crossings", operations().len());
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_names_and_results_lead_into_one_space_alone() {
    if !has("python3", "hosts_names_and_results_lead_into_one_space_alone") {
        return;
    }
    let node = node(|_| ()).await;
    let (left, right, default) = (In(&node, "left"), In(&node, "right"), In(&node, "default"));
    let by_name = r#"
def handle(request):
    with urllib.request.urlopen("http://hello.desk.internal/") as answer:
        return 200, [], "by name: " + answer.read().decode()
"#;
    for space in [&left, &right] {
        assert_eq!(space.create(json!({})).await.status, 201);
        let asks = App::new("asks").function("asks", "http", "python3", &python(by_name), &["/*"]);
        let asks = asks.change("asks", |asks| asks.memory_bytes = 128 << 20);
        let shop = App::new("shop").function(
            "front",
            "stdio",
            "sh",
            &format!("echo shop of {}", space.1),
            &[&format!("{}.example.org/*", space.1)],
        );
        for app in [&space.apps()[0], &asks, &shop] {
            space.deployed(app).await;
        }
    }
    let call = node.send("PUT", "desk.left.localhost/", &[("prefer", "respond-async")], "x").await;
    let call = call.header("location").to_owned();
    left.until(&format!("/v1/calls/{}", call.rsplit('/').next().unwrap()), |call| call["state"] == "done")
        .await;
    for (target, expected) in [
        ("desk.left.localhost/", "200 marker-of-left"),
        ("hello--desk.left.localhost/", "200 marker-of-left"),
        ("rev-1--desk.right.localhost/", "200 marker-of-right"),
        ("DESK.Right.localhost:80/", "200 marker-of-right"),
        ("asks.left.localhost/", "200 by name: marker-of-left"),
        ("asks.right.localhost/", "200 by name: marker-of-right"),
        ("left.example.org/", "200 shop of left"),
        ("right.example.org/", "200 shop of right"),
        (&format!("left.example.org{call}"), "200 {\"id\":\"desk."),
        (&format!("right.example.org{call}"), "404 HOB-0812"),
        (&format!("desk.localhost{call}"), "404 HOB-0812"),
        ("desk.localhost/", "404 HOB-0408"),
        ("left.localhost/", "404 HOB-0408"),
        ("desk.nobody.localhost/", "404 HOB-0408"),
        ("left-app.right.localhost/", "404 HOB-0408"),
    ] {
        let got = node.get(target).await;
        let said = if got.header("hob-error").is_empty() { got.body.trim() } else { got.header("hob-error") };
        assert!(format!("{} {said}", got.status).starts_with(expected), "{target}: {got:?}");
        assert!(!(got.status == 404 && got.body.contains("marker")), "{got:?}");
    }
    custom_hosts_are_whose_claims_them_first(&left, &right, &default).await;
    node.node.stop().await;
}

/// Who claims what somebody else has is told that, and not whose it is; what is let go of is free.
async fn custom_hosts_are_whose_claims_them_first(left: &In<'_>, right: &In<'_>, default: &In<'_>) {
    let claim =
        |host: &str| App::new("claims").function("f", "stdio", "sh", "echo claimed", &[&format!("{host}/*")]);
    for (space, host, expected) in [
        (right, "left.example.org", "HOB-0716"),
        (default, "left.example.org", "HOB-0716"),
        (right, "*.example.org", "HOB-0716"),
        (right, "desk.localhost", "HOB-0716"),
        (right, "www.left.localhost", "HOB-0716"),
        (default, "www.left.localhost", "HOB-0716"),
        (right, "www.right.localhost", "done"),
        (default, "other.example.com", "done"),
    ] {
        let event = space.deploy(&claim(host)).await;
        let told = event["code"].as_str().or_else(|| event["event"].as_str()).unwrap();
        assert_eq!(told, expected, "{host}: {event}");
        let words = event["message"].to_string();
        assert!(!words.contains("space") && !words.contains("left`"), "{words}");
    }
    assert_eq!(left.control("DELETE", "/v1/apps/shop", "").await.status, 204);
    right.deployed(&claim("left.example.org")).await;
    assert_eq!(right.0.get("left.example.org/").await.body.trim(), "claimed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotas_hold_where_things_are_taken_and_can_be_changed() {
    let node = node(|_| ()).await;
    let team = In(&node, "team");
    let quotas = json!({ "apps": 1, "functions": 2, "topics": 1, "storage": 100_000, "memory": 600 << 20 });
    assert_eq!(team.create(quotas).await.status, 201);
    let app = |name: &str, functions: &[&str]| {
        functions.iter().fold(App::new(name), |app, name| app.function(name, "stdio", "sh", "echo hi", &[]))
    };
    let big = app("desk", &["a"]).change("a", |a| a.memory_bytes = 700 << 20);
    let long = App::new("desk").function("a", "stdio", "sh", &format!("#{}", "x".repeat(200_000)), &[]);
    for (app, expected) in [
        (app("desk", &["a", "b", "c"]), "HOB-0712 functions 2"),
        (big, "HOB-0712 memory 600 MiB"),
        (long, "HOB-0712 storage"),
        (app("desk", &["a", "b"]), "done"),
        (app("other", &["a"]), "HOB-0712 apps 1"),
    ] {
        let event = team.deploy(&app).await;
        let told = event["code"].as_str().or_else(|| event["event"].as_str()).unwrap().to_owned();
        let words = format!("{told} {} {}", event["message"], event["hint"]);
        assert!(
            expected
                .split_once(' ')
                .is_none_or(|(_, words_of)| words_of.split(' ').all(|word| words.contains(word))),
            "{event}"
        );
        assert_eq!(told, expected.split(' ').next().unwrap(), "{event}");
        assert!(told == "done" || event["hint"].to_string().contains("hob space set team --"), "{event}");
    }
    assert_eq!(team.publish("orders", "1").await.status, 202);
    let second = team.publish("bills", "1").await;
    assert_eq!(code_of(&second), "403 HOB-0712", "{second:?}");
    let set =
        |quotas: Value| node.control("PATCH", "/v1/spaces/team", json!({ "quotas": quotas }).to_string());
    assert_eq!(set(json!({ "topics": 2, "requests": 1 })).await.status, 200);
    assert_eq!(team.publish("bills", "1").await.status, 202);
    let late = team.publish("bills", "2").await;
    assert_eq!((code_of(&late), late.header("retry-after")), ("429 HOB-0713".into(), "1"), "{late:?}");
    let request = node.get("desk.team.localhost/").await;
    assert_eq!(
        (code_of(&request), request.header("retry-after")),
        ("429 HOB-0713".into(), "1"),
        "{request:?}"
    );
    assert_eq!(set(json!({ "requests": null, "calls": 0 })).await.status, 200);
    let busy = node.get("desk.team.localhost/").await;
    assert_eq!((code_of(&busy), busy.header("retry-after")), ("429 HOB-0714".into(), "1"), "{busy:?}");
    let shown = team.json("/v1/space").await;
    let use_of = &shown["use_of"];
    assert_eq!(
        (&use_of["apps"], &use_of["functions"], &use_of["topics"], &use_of["calls"]),
        (
            &json!({ "used": 1, "limit": 1 }),
            &json!({ "used": 2, "limit": 2 }),
            &json!({ "used": 2, "limit": 2 }),
            &json!({ "used": 0, "limit": 0 })
        ),
        "{shown}"
    );
    assert!(
        use_of["requests"]["limit"].is_null() && use_of["storage"]["used"].as_u64().unwrap() > 0,
        "{shown}"
    );
    // `default` has no quota unless it is given one.
    let default = In(&node, "default");
    assert!(default.json("/v1/space").await["use_of"]["apps"]["limit"].is_null());
    let given = json!({ "quotas": { "apps": 0 } }).to_string();
    assert_eq!(node.control("PATCH", "/v1/spaces/default", given).await.status, 200);
    assert_eq!(default.deploy(&app("desk", &["a"])).await["code"], "HOB-0712");
    node.node.stop().await;
}

async fn start(settings: &Settings, data: tempfile::TempDir) -> TestNode {
    TestNode::of(Node::start(settings.clone()).await.unwrap(), settings, data)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spaces_come_back_and_go_whole() {
    let (settings, data) = settings();
    let node = start(&settings, data).await;
    assert!(!settings.data.join("spaces").exists(), "a node without spaces keeps nothing of them");
    for name in ["left", "right"] {
        let space = In(&node, name);
        assert_eq!(space.create(json!({ "apps": 7 })).await.status, 201);
        space.deployed(&space.apps()[0]).await;
    }
    for (method, path, body, expected) in [
        ("POST", "/v1/spaces", r#"{"space":"left"}"#, "409 HOB-0709"),
        ("POST", "/v1/spaces", r#"{"space":"default"}"#, "409 HOB-0709"),
        ("POST", "/v1/spaces", r#"{"space":"Left"}"#, "400 HOB-0704"),
        ("POST", "/v1/spaces", r#"{"space":"x","quotas":{"cats":1}}"#, "400 HOB-0704"),
        ("GET", "/v1/spaces/nobody", "", "404 HOB-0708"),
        ("PATCH", "/v1/spaces/nobody", r#"{"quotas":{}}"#, "404 HOB-0708"),
        ("DELETE", "/v1/spaces/nobody", "", "404 HOB-0708"),
        ("DELETE", "/v1/spaces/default", "", "403 HOB-0711"),
        ("DELETE", "/v1/spaces/left", "", "409 HOB-0710"),
    ] {
        let got = node.control(method, path, body).await;
        assert_eq!(code_of(&got), expected, "{method} {path} {body}: {got:?}");
    }
    let nobody = In(&node, "nobody").control("GET", "/v1/apps", "").await;
    assert_eq!(code_of(&nobody), "404 HOB-0708", "{nobody:?}");
    // A folder that no space has stays as it is, and nobody gets it.
    let stray = settings.data.join("spaces/stray");
    std::fs::create_dir_all(stray.join("state")).unwrap();
    assert_eq!(code_of(&In(&node, "stray").create(json!({})).await), "409 HOB-0709");

    let node = node.restarted(&settings).await;
    let all: Value = serde_json::from_str(&node.control("GET", "/v1/spaces", "").await.body).unwrap();
    let names: Vec<&Value> = all.as_array().unwrap().iter().map(|info| &info["space"]).collect();
    assert_eq!(names, ["default", "left", "right"]);
    assert_eq!(all[1]["use_of"]["apps"], json!({ "used": 1, "limit": 7 }));
    assert_eq!(node.get("desk.left.localhost/").await.body.trim(), "marker-of-left");

    let folder = settings.data.join("spaces/left");
    // What a component of one space has compiled is not taken for that of another.
    let compiled = ["left", "right"].map(|space| settings.data.join("cache/functions-of").join(space));
    assert!(compiled.iter().all(|folder| folder.is_dir()));
    assert_eq!(node.control("DELETE", "/v1/spaces/left?with_content=true", "").await.status, 204);
    assert!(!folder.exists() && stray.exists());
    assert_eq!(compiled.map(|folder| folder.exists()), [false, true]);
    assert_eq!(code_of(&node.get("desk.left.localhost/").await), "404 HOB-0408");
    assert_eq!(node.get("desk.right.localhost/").await.body.trim(), "marker-of-right");
    // Of one that comes again with the same name nothing is left.
    let left = In(&node, "left");
    assert_eq!(left.create(json!({})).await.status, 201);
    assert_eq!((left.json("/v1/apps").await, left.json("/v1/topics").await), (json!([]), json!([])));

    let node = node.restarted(&settings).await;
    assert_eq!(In(&node, "left").json("/v1/apps").await, json!([]));
    assert_eq!(node.get("desk.right.localhost/").await.body.trim(), "marker-of-right");
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_kill_has_left_is_finished_at_the_next_start() {
    let (settings, data) = settings();
    let Ok(node) = Node::start(settings.clone()).await else { panic!("it starts") };
    node.stop().await;
    // As a node leaves it that was killed right after it had written that a space is there, or is to go.
    {
        let engine = hob_bus::open("file", &hob_bus::EngineSettings::new(&settings.data)).unwrap();
        for (space, record) in [
            ("begun", r#"{"created_ms":1,"quotas":{"apps":3}}"#),
            ("going", r#"{"created_ms":2,"quotas":{},"removing":true}"#),
            ("gone", r#"{"created_ms":3,"quotas":{},"removing":true}"#),
            ("broken", r#"{"created_ms":4,"quotas":{}}"#),
        ] {
            let key = format!("spaces/{space}");
            let write = Write { key, expect: Expect::Absent, value: Some(record.into()) };
            engine.state.commit(vec![write]).await.unwrap();
        }
        std::fs::create_dir_all(settings.data.join("spaces/going/topics")).unwrap();
        // A file where the folder of a space should be.
        std::fs::write(settings.data.join("spaces/broken"), "").unwrap();
    }
    let node = start(&settings, data).await;
    let all: Value = serde_json::from_str(&node.control("GET", "/v1/spaces", "").await.body).unwrap();
    let states: Vec<String> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|info| format!("{} {}", info["space"].as_str().unwrap(), info["state"].as_str().unwrap()))
        .collect();
    assert_eq!(states, ["default ready", "begun ready", "broken failed"]);
    assert!(!settings.data.join("spaces/going").exists());
    assert_eq!(In(&node, "begun").json("/v1/space").await["use_of"]["apps"]["limit"], 3);
    let broken = In(&node, "broken").control("GET", "/v1/apps", "").await;
    assert_eq!(code_of(&broken), "503 HOB-0715", "{broken:?}");
    assert_eq!(In(&node, "going").create(json!({})).await.status, 201);
    node.node.stop().await;
}

/// The names of the functions that the Lambda API lists for a key.
async fn listed_by(address: &str, id: &str, secret: &str) -> Got {
    ask_lambda(address, (id, secret), ("GET", "/2015-03-31/functions"), "").await
}

/// What the Lambda API answers to a request that is signed with a key.
pub(crate) async fn ask_lambda(
    address: &str,
    (id, secret): (&str, &str),
    (method, path): (&str, &str),
    body: impl Into<bytes::Bytes>,
) -> Got {
    let body = body.into();
    let now_ms = u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let time: String = timestamp(now_ms).chars().filter(|one| !"-:".contains(*one)).take(15).collect();
    let scope = format!("AWS4-HMAC-SHA256 Credential={id}/{}/us-east-1/lambda/aws4_request", &time[..8]);
    let signed = |signature: &str| format!("{scope}, SignedHeaders=host;x-amz-date, Signature={signature}");
    let time = format!("{time}Z");
    let head = |authorization: &str| {
        http::HeaderMap::from_iter([
            (http::header::HOST, address.parse().unwrap()),
            (http::HeaderName::from_static("x-amz-date"), time.parse().unwrap()),
            (http::header::AUTHORIZATION, authorization.parse().unwrap()),
        ])
    };
    let headers = head(&signed("00"));
    let content = Content { method, path, query: "" };
    let signature = Claim::read(&headers).unwrap().signature(secret, &headers, content, &body).unwrap();
    let (signature, stream) = (signed(&signature), tokio::net::TcpStream::connect(address).await.unwrap());
    let all = [("host", address), ("x-amz-date", &*time), ("authorization", &*signature)];
    crate::support::exchange(stream, method, path, &all, body).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_and_the_lambda_api_show_the_space_of_the_link_or_the_key() {
    let free = || Some("127.0.0.1:0".parse().unwrap());
    let node = node(|settings| {
        settings.lambda = free();
        settings.dashboard = hob_node::Dashboard::At(free().unwrap());
    })
    .await;
    let (left, right, default) = (In(&node, "left"), In(&node, "right"), In(&node, "default"));
    for space in [&left, &right] {
        assert_eq!(space.create(json!({})).await.status, 201);
        space.deployed(&space.apps()[1]).await;
    }
    let board: std::net::SocketAddr =
        node.node.dashboard().unwrap().rsplit('/').next().unwrap().parse().unwrap();
    let host = board.to_string();
    let lambda = node.node.lambda().unwrap().rsplit('/').next().unwrap().to_owned();
    let visit = |path: String, cookie: String| {
        let host = host.clone();
        async move {
            let stream = tokio::net::TcpStream::connect(board).await.unwrap();
            let headers = [("host", &*host), ("accept", "text/html"), ("cookie", &*cookie)];
            crate::support::exchange(stream, "GET", &path, &headers, bytes::Bytes::new()).await.unwrap()
        }
    };
    for (space, shows, hides) in
        [(&left, "left-app", "right-app"), (&right, "right-app", "left-app"), (&default, "Apps", "-app")]
    {
        let link: Value =
            serde_json::from_str(&space.control("POST", "/v1/dashboard/links", "").await.body).unwrap();
        let path = link["url"].as_str().unwrap().split_once(&host).unwrap().1.to_owned();
        let entered = visit(path.clone(), String::new()).await;
        let cookie = entered.header("set-cookie").split(';').next().unwrap().to_owned();
        assert!(cookie.contains('='), "{entered:?}");
        let apps = visit("/apps".into(), cookie.clone()).await;
        assert!(apps.body.contains(shows) && !apps.body.contains(hides), "{}: {}", space.1, apps.body);
        assert_eq!(apps.body.contains(&format!("space {}", space.1)), space.1 != "default");
        assert_eq!(visit(path, String::new()).await.status, 401, "a link works once");

        let key = space.json("/v1/keys").await[0]["id"].as_str().unwrap().to_owned();
        let secret =
            space.json(&format!("/v1/keys/{key}")).await["key"]["secret"].as_str().unwrap().to_owned();
        let functions = listed_by(&lambda, &key, &secret).await;
        assert_eq!(functions.status, 200, "{functions:?}");
        assert!(functions.body.contains(shows) || space.1 == "default", "{functions:?}");
        assert!(!functions.body.contains(hides), "{functions:?}");
        assert_eq!(listed_by(&lambda, &key, "another").await.status, 403);
        if space.1 != "default" {
            let path = format!("/v1/spaces/{}?with_content=true", space.1);
            assert_eq!(node.control("DELETE", &path, "").await.status, 204);
            assert_eq!(listed_by(&lambda, &key, &secret).await.status, 403);
            assert_eq!(visit("/apps".into(), cookie).await.status, 401);
        }
    }
    node.node.stop().await;
}
