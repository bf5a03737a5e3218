//! Who answers: hosts, paths, methods, names; and what a function sees of a request.

use crate::support::{App, PATIENCE, TestNode, has, node, python};

/// A function that says a word.
fn say(word: &str) -> String {
    python(&format!("def handle(request): return 200, [], '{word}'"))
}

fn desk() -> App {
    App::new("desk")
        .function("front", "http", "python3", &say("front"), &["/*", "GET /users/{id}"])
        .function("write", "http", "python3", &say("write"), &["POST,PUT /notes/*", "desk.example.com/"])
        .function("back", "http", "python3", &say("back"), &[])
        .change("back", |back| back.private = true)
}

async fn check(node: &TestNode, table: &[(&str, &str, &str)]) {
    for (method, target, expected) in table {
        let got = node.send(method, target, &[], "").await;
        let what = if got.header("hob-error").is_empty() { got.body.trim() } else { got.header("hob-error") };
        assert_eq!(format!("{} {what}", got.status), *expected, "{method} {target}: {got:?}");
        assert_eq!(got.header("hob-invocation-id").len(), 32, "{method} {target}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_paths_and_methods_choose_the_function() {
    if !has("python3", "hosts_paths_and_methods_choose_the_function") {
        return;
    }
    let node = node(|_| ()).await;
    node.deployed(&desk()).await;
    check(
        &node,
        &[
            ("GET", "desk.localhost/", "200 front"),
            ("GET", "Desk.Localhost.:8080/x", "200 front"),
            ("GET", "127.0.0.1/", "200 front"),
            ("GET", "[::1]:80/", "200 front"),
            ("GET", "localhost/", "200 front"),
            ("POST", "desk.localhost/notes/1", "200 write"),
            ("GET", "desk.localhost/notes/1", "200 front"),
            ("GET", "desk.localhost/notes/../users", "200 front"),
            ("GET", "write--desk.localhost/anything", "200 write"),
            ("DELETE", "desk.example.com/", "200 write"),
            ("GET", "desk.example.com/other", "404 HOB-0401"),
            ("GET", "back--desk.localhost/", "404 HOB-0353"),
            ("GET", "none--desk.localhost/", "404 HOB-0353"),
            ("GET", "rev-1--desk.localhost/", "200 front"),
            ("GET", "rev-2--desk.localhost/", "404 HOB-0352"),
            ("GET", "shop.localhost/", "404 HOB-0408"),
            ("HEAD", "desk.localhost/users/1", "200 "),
        ],
    )
    .await;

    // A second app ends the time of the only one.
    let shop =
        App::new("shop").function("buy", "http", "python3", &say("buy"), &["POST /buy", "GET /basket"]);
    node.deployed(&shop).await;
    check(
        &node,
        &[
            ("GET", "localhost/", "404 HOB-0408"),
            ("POST", "shop.localhost/buy", "200 buy"),
            ("GET", "shop.localhost/buy", "405 HOB-0402"),
            ("OPTIONS", "shop.localhost/buy", "204 "),
            ("GET", "shop.localhost/baskets", "404 HOB-0401"),
        ],
    )
    .await;
    let refused = node.send("GET", "shop.localhost/buy", &[("accept", "application/json")], "").await;
    assert_eq!(refused.header("allow"), "POST, OPTIONS", "{refused:?}");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    let nearest = node.get("shop.localhost/baskets").await;
    assert!(nearest.body.contains("GET /basket"), "{}", nearest.body);
    let unknown = node.get("nothing.localhost/").await;
    assert!(unknown.body.contains("http://desk.localhost:"), "{}", unknown.body);
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_in_one_process_know_nothing_of_each_other() {
    if !has("python3", "two_nodes_in_one_process_know_nothing_of_each_other") {
        return;
    }
    let (one, two) = tokio::join!(node(|_| ()), node(|_| ()));
    one.deployed(&desk()).await;
    assert_eq!(
        (one.get("desk.localhost/").await.status, two.get("desk.localhost/").await.status),
        (200, 404)
    );
    tokio::time::timeout(PATIENCE, async { tokio::join!(one.node.stop(), two.node.stop()) }).await.unwrap();
}

const MIRROR: &str = r#"
def handle(request):
    if request.path.startswith("/call/"):
        function = request.path.split("/")[2]
        url = f"http://{function}.mirror.internal/seen"
        answer = urllib.request.urlopen(urllib.request.Request(url, headers={"hob-mine": "x"}))
        return answer.status, [], answer.read()
    seen = {name.lower(): value for name, value in request.headers.items()}
    seen["path"] = request.path
    return 200, [("hob-error", "HOB-9999"), ("connection", "close"), ("x-mine", "kept")], json.dumps(seen)
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_sees_who_asks_and_only_what_it_should() {
    if !has("python3", "a_function_sees_who_asks_and_only_what_it_should") {
        return;
    }
    let node = node(|_| ()).await;
    let mirror = App::new("mirror")
        .function("front", "http", "python3", &python(MIRROR), &["/*"])
        .function("back", "http", "python3", &python(MIRROR), &[])
        .change("back", |back| back.private = true);
    node.deployed(&mirror).await;

    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [
        ("traceparent", trace),
        ("hob-invocation-id", "forged"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
    ];
    let got = node.send("GET", "mirror.localhost/a%2Fb?q=1", &headers, "").await;
    let seen: serde_json::Value = serde_json::from_str(&got.body).unwrap();
    let text = |name: &str| seen[name].as_str().unwrap_or("-").to_owned();
    assert_eq!(text("path"), "/a%2Fb?q=1");
    assert_eq!(text("host"), "mirror.localhost");
    assert_eq!(text("forwarded"), "for=127.0.0.1;host=\"mirror.localhost\";proto=http");
    assert_eq!(text("x-forwarded-proto"), "http");
    assert!(text("x-forwarded-for").ends_with("127.0.0.1"), "{seen}");
    assert_eq!(text("x-hop"), "-");
    assert_eq!(text("hob-invocation-id"), got.header("hob-invocation-id"));
    assert!(text("traceparent").starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{seen}");
    assert_ne!(text("traceparent"), trace);
    assert_eq!((got.header("hob-error"), got.header("x-mine")), ("", "kept"));
    for phase in ["queue;dur=", "start;dur=", "run;dur="] {
        assert!(got.header("server-timing").contains(phase), "{got:?}");
    }

    // By name: through the proxy of the child, to a function that nobody outside may call.
    let got = node.send("GET", "mirror.localhost/call/back", &[("traceparent", trace)], "").await;
    let seen: serde_json::Value = serde_json::from_str(&got.body).unwrap_or_default();
    assert_eq!(seen["host"], "back.mirror.internal", "{got:?}");
    assert!(
        seen["traceparent"].as_str().unwrap().starts_with("00-0af7651916cd43dd8448eb211c80319c-"),
        "{seen}"
    );
    assert_eq!(seen.get("hob-mine"), None);
    assert_ne!(seen["hob-invocation-id"].as_str().unwrap(), got.header("hob-invocation-id"));

    // And through the control API.
    let forwarded = node.control("GET", "/v1/apps/mirror/functions/back/call/x?y=1", "").await;
    assert!(forwarded.body.contains("/x?y=1"), "{forwarded:?}");
    node.node.stop().await;
}

/// Asks its own app for what follows `/go`.
const ASKS_SELF: &str = r#"
import urllib.error, urllib.request

def handle(request):
    try:
        answer = urllib.request.urlopen("http://self.internal" + request.path[3:])
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, [], answer.read()
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_reaches_its_own_app_by_its_routes() {
    if !has("python3", "a_function_reaches_its_own_app_by_its_routes") {
        return;
    }
    let node = node(|_| ()).await;
    let app = App::new("own").function("front", "http", "python3", &python(ASKS_SELF), &["/go/*"]).function(
        "leaf",
        "stdio",
        "sh",
        "echo $X_MATCHED_ROUTE",
        &["GET /leaf/{name}"],
    );
    node.deployed(&app).await;
    for (path, status, body) in [
        ("/go/leaf/x", 200, "/leaf/{name}"),
        ("/go/leaf", 404, "HOB-0401"),
        ("/go/go/leaf/y", 200, "/leaf/{name}"),
    ] {
        let got = node.send("GET", &format!("own.localhost{path}"), &[], "").await;
        assert_eq!(got.status, status, "{path} {got:?}");
        assert!(got.body.starts_with(body), "{path} {got:?}");
    }
    node.node.stop().await;
}
