//! Tokens, scopes and the audit log of a whole node, over TCP.
//!
//! **How.** The operations come from the OpenAPI document, which is made from the same table as the routing: an
//! operation that is added is asked by every principal here, too.

use crate::support::{App, Got, TOKEN, TestNode, exchange, node, settings};
use bytes::Bytes;
use hob_core::access::Scope;
use hob_node::{Address, Node};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const BEARER: &str = "authorization";

fn tcp(node: &TestNode) -> SocketAddr {
    match node.node.control().last() {
        Some(Address::Tcp(address, _)) => *address,
        _ => panic!("no TCP address"),
    }
}

async fn ask(at: SocketAddr, token: Option<&str>, method: &str, path: &str, body: &str) -> Got {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("host", "127.0.0.1"), ("content-type", "application/json")];
    headers.extend(bearer.as_deref().map(|bearer| (BEARER, bearer)));
    let stream = TcpStream::connect(at).await.unwrap();
    exchange(stream, method, path, &headers, Bytes::copy_from_slice(body.as_bytes())).await.unwrap()
}

async fn make(at: SocketAddr, name: &str, scopes: &[&str], more: Value) -> (String, String) {
    let mut asked = json!({ "name": name, "scopes": scopes });
    asked.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let made = ask(at, Some(TOKEN), "POST", "/v1/tokens", &asked.to_string()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made: Value = serde_json::from_str(&made.body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["token"]), text(&made["info"]["id"]))
}

fn shown(got: &Got) -> String {
    let code = got.header("hob-error");
    format!("{} {}", got.status, if code.is_empty() { "-" } else { code })
}

/// Every method and path of the API, with the scope that it names; parts of paths are filled in with a name.
async fn operations(at: SocketAddr) -> Vec<(String, String, Option<Scope>)> {
    let document = ask(at, Some(TOKEN), "GET", "/v1/openapi.json", "").await;
    let document: Value = serde_json::from_str(&document.body).unwrap();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let named = operation["security"][0]["token"].as_array().unwrap();
            let scope = named.first().map(|word| Scope::parse(word.as_str().unwrap()).unwrap());
            let segments = path.split('/').map(|part| if part.starts_with('{') { "nothing" } else { part });
            all.push((method.to_uppercase(), segments.collect::<Vec<_>>().join("/"), scope));
        }
    }
    assert!(all.len() > 50, "{}", all.len());
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_does_what_his_token_does_not_say() {
    let node = node(|settings| {
        settings.control.push(Address::Tcp("127.0.0.1:0".parse().unwrap(), TOKEN.into()));
    })
    .await;
    let at = tcp(&node);
    let mut principals = Vec::new();
    for scope in Scope::ALL {
        principals.push((scope, make(at, scope.word(), &[scope.word()], Value::Null).await.0));
    }
    let forged = format!("hob_{}_{}", "0".repeat(12), "0".repeat(64));
    let mut asked = 0;
    for (method, path, needs) in operations(at).await {
        for wrong in [None, Some(forged.as_str()), Some("a"), Some("")] {
            let got = ask(at, wrong, &method, &path, "").await;
            // Nobody is let in, and after many guesses the answer is the same for a while.
            assert!([401, 429].contains(&got.status), "{method} {path} {wrong:?}: {got:?}");
        }
        for (scope, token) in &principals {
            // It would take the other tokens away.
            if *scope == Scope::Admin && path == "/v1/tokens/nothing" {
                continue;
            }
            let got = ask(at, Some(token), &method, &path, "").await;
            let allowed = needs.is_none_or(|needs| scope.includes(needs));
            let refused = got.header("hob-error") == "HOB-0722";
            assert_eq!(refused, !allowed, "{method} {path} with {scope}: {got:?}");
            assert!(got.status != 401 && got.status < 500, "{method} {path} with {scope}: {got:?}");
            asked += 1;
        }
    }
    println!("{asked} requests judged as the table says");
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_ends_as_it_was_told() {
    let (mut settings, data) = settings();
    settings.control.push(Address::Tcp("127.0.0.1:0".parse().unwrap(), TOKEN.into()));
    let node = TestNode::of(Node::start(settings.clone()).await.unwrap(), &settings, data);
    let at = tcp(&node);
    let (good, good_id) = make(at, "good", &["read"], Value::Null).await;
    let (short, _) = make(at, "short", &["read"], json!({ "lifetime_ms": 1 })).await;
    let blue = ask(at, Some(TOKEN), "POST", "/v1/spaces", r#"{"space":"blue"}"#).await;
    assert_eq!(blue.status, 201, "{blue:?}");
    let (foreign, _) = make(at, "foreign", &["read"], json!({ "space": "blue" })).await;
    let (watch, _) = make(at, "watch", &["observe"], Value::Null).await;
    let (blue_watch, _) = make(at, "blue-watch", &["observe"], json!({ "space": "blue" })).await;
    let (revoked, revoked_id) = make(at, "revoked", &["read"], Value::Null).await;
    let gone = ask(at, Some(TOKEN), "DELETE", &format!("/v1/tokens/{revoked_id}"), "").await;
    assert_eq!(gone.status, 204, "{gone:?}");
    let again = ask(at, Some(TOKEN), "DELETE", &format!("/v1/tokens/{revoked_id}"), "").await;
    assert_eq!(shown(&again), "404 HOB-0724");
    // One character of the secret, one of the id: both are just not good.
    let wrong = |at: usize| {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8(bytes).unwrap()
    };
    let (bad_secret, bad_id) = (wrong(good.len() - 1), wrong(6));
    let cases = [
        (good.as_str(), "/v1/apps", "200 -"),
        (&good, "/v1/tokens", "403 HOB-0722"),
        (&short, "/v1/apps", "401 HOB-0720"),
        (&foreign, "/v1/metrics", "403 HOB-0722"),
        (&foreign, "/v1/openapi.json", "200 -"),
        (&blue_watch, "/v1/metrics", "200 -"),
        (&blue_watch, "/v1/metrics/all", "403 HOB-0723"),
        (&watch, "/v1/metrics/all", "200 -"),
        (&good, "/v1/metrics/all", "403 HOB-0722"),
        (&revoked, "/v1/apps", "401 HOB-0721"),
        (&bad_secret, "/v1/apps", "401 HOB-0701"),
        (&bad_id, "/v1/apps", "401 HOB-0701"),
    ];
    for (token, path, expected) in cases {
        assert_eq!(shown(&ask(at, Some(token), "GET", path, "").await), expected, "{path} {token}");
    }
    let told = |got: Got| {
        let mut body: Value = serde_json::from_str(&got.body).unwrap();
        body.as_object_mut().unwrap().remove("id");
        body.to_string()
    };
    let unknown = told(ask(at, Some(&bad_id), "GET", "/v1/apps", "").await);
    assert_eq!(told(ask(at, Some(&bad_secret), "GET", "/v1/apps", "").await), unknown, "they look the same");

    // In another space, by its own word or by the request's.
    let stream = TcpStream::connect(at).await.unwrap();
    let bearer = format!("Bearer {foreign}");
    let headers = [("host", "127.0.0.1"), (BEARER, bearer.as_str()), ("hob-space", "default")];
    let got = exchange(stream, "GET", "/v1/apps", &headers, Bytes::new()).await.unwrap();
    assert_eq!(shown(&got), "403 HOB-0723");

    // What is kept opens nothing, and the next life knows the same tokens.
    let node = node.restarted(&settings).await;
    let at = tcp(&node);
    for (token, path, expected) in cases {
        assert_eq!(shown(&ask(at, Some(token), "GET", path, "").await), expected, "{path} {token}");
    }
    let listed = ask(at, Some(TOKEN), "GET", "/v1/tokens", "").await.body;
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let mine = listed.iter().find(|info| info["id"] == good_id.as_str()).unwrap();
    assert!(mine["used_ms"].as_u64().is_some() && listed.len() == 5, "{listed:?}");
    let secret = &good[good.len() - 64..];
    for file in files(&settings.data) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        assert!(!bytes.windows(64).any(|part| part == secret.as_bytes()), "{} has it", file.display());
    }
    node.node.stop().await;
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_guesses_waits_and_made_tokens_do_not() {
    let node = node(|settings| {
        settings.control.push(Address::Tcp("127.0.0.1:0".parse().unwrap(), TOKEN.into()));
    })
    .await;
    let at = tcp(&node);
    let (made, _) = make(at, "ci", &["read"], Value::Null).await;
    let mut answers = Vec::new();
    for guess in 0..40 {
        let got = ask(at, Some(&format!("guess-{guess}")), "GET", "/v1/apps", "").await;
        answers.push(got.status);
    }
    assert_eq!((answers[0], answers.last()), (401, Some(&429)));
    let waiting = ask(at, Some(TOKEN), "GET", "/v1/apps", "").await;
    assert_eq!(shown(&waiting), "429 HOB-0725", "the operator's own token could be guessed");
    assert!(!waiting.header("retry-after").is_empty());
    assert_eq!(ask(at, Some(&made), "GET", "/v1/apps", "").await.status, 200, "nobody is locked out");
    assert_eq!(node.control("GET", "/v1/apps", "").await.status, 200, "nor the socket's owner");
    node.node.stop().await;
}

/// A deploy token makes so many kinds of requests that they are not told apart any more, removes an app and hangs up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_up_is_named_all_the_same() {
    let node = node(|settings| {
        settings.control.push(Address::Tcp("127.0.0.1:0".parse().unwrap(), TOKEN.into()));
    })
    .await;
    let at = tcp(&node);
    node.deployed(&App::new("prize").function("a", "stdio", "sh", "echo hi", &[])).await;
    let (token, _) = make(at, "ci", &["deploy"], Value::Null).await;
    for number in 0..1100 {
        assert_eq!(ask(at, Some(&token), "GET", &format!("/v1/apps/n{number}"), "").await.status, 404);
    }
    let request =
        format!("DELETE /v1/apps/prize HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n");
    let until = Instant::now() + Duration::from_secs(60);
    // Who hangs up before the node knows what he wants has asked for nothing, and asks again.
    let mut again = Instant::now();
    while ask(at, Some(TOKEN), "GET", "/v1/apps/prize", "").await.status == 200 {
        assert!(Instant::now() < until, "it is not removed");
        if Instant::now() >= again {
            TcpStream::connect(at).await.unwrap().write_all(request.as_bytes()).await.unwrap();
            again = Instant::now() + Duration::from_secs(5);
        }
    }
    loop {
        let lines = ask(at, Some(TOKEN), "GET", "/v1/audit?operation=apps.remove", "").await.body;
        let entries: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if let [entry] = &entries[..] {
            let told = (&entry["on"], &entry["outcome"], &entry["book"]);
            assert_eq!(told, (&json!("prize"), &json!("ok"), &json!("tokens")), "{entry}");
            assert!(entry["who"].as_str().unwrap().starts_with("token ci ("), "{entry}");
            break;
        }
        assert!(Instant::now() < until && entries.is_empty(), "{lines}");
    }
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_done_or_refused_is_in_the_audit_log() {
    let node = node(|settings| {
        settings.control.push(Address::Tcp("127.0.0.1:0".parse().unwrap(), TOKEN.into()));
    })
    .await;
    let at = tcp(&node);
    let (reader, _) = make(at, "reader", &["read"], Value::Null).await;
    ask(at, Some(&reader), "DELETE", "/v1/apps/desk", "").await;
    ask(at, Some(TOKEN), "DELETE", "/v1/apps/desk", "").await;
    ask(at, Some("wrong"), "DELETE", "/v1/apps/desk", "").await;
    for _ in 0..50 {
        ask(at, Some(&reader), "GET", "/v1/apps", "").await;
    }
    let lines = ask(at, Some(TOKEN), "GET", "/v1/audit", "").await.body;
    let entries: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found = |who: &str, operation: &str, outcome: &str, from: &str| {
        let same = |entry: &&Value| {
            entry["who"].as_str().unwrap().starts_with(who)
                && (&entry["operation"], &entry["outcome"], &entry["from"])
                    == (&json!(operation), &json!(outcome), &json!(from))
        };
        entries.iter().filter(same).count()
    };
    for (who, operation, outcome) in [
        ("operator", "tokens.create", "ok"),
        ("token reader (", "apps.remove", "HOB-0722"),
        ("operator", "apps.remove", "HOB-0351"),
        ("nobody", "apps.remove", "HOB-0701"),
        ("token reader (", "apps.list", "ok"),
    ] {
        assert_eq!(found(who, operation, outcome, "127.0.0.1"), 1, "{who} {operation} {outcome}:\n{lines}");
    }
    assert!(!lines.contains(&reader) && !lines.contains(TOKEN), "no secret is in it");
    let verified = ask(at, Some(TOKEN), "GET", "/v1/audit/verify", "").await.body;
    let report: Value = serde_json::from_str(&verified).unwrap();
    assert_eq!(report["whole"], true, "{verified}");

    // Somebody with the node's disk takes a line out of the middle.
    let folder = node.data().join("audit");
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&file).unwrap();
    let without: Vec<&str> =
        text.lines().enumerate().filter(|(at, _)| *at != 1).map(|(_, line)| line).collect();
    std::fs::write(&file, format!("{}\n", without.join("\n"))).unwrap();
    let verified = ask(at, Some(TOKEN), "GET", "/v1/audit/verify", "").await.body;
    let report: Value = serde_json::from_str(&verified).unwrap();
    assert_eq!(report["whole"], false, "{verified}");
    node.node.stop().await;
}
