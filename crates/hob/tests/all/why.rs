//! `hob why` and `hob trace` for programs: the same answer as fields, and ids in the forms in which people have them.
//!
//! **Not here:** whether answers name the cause ([`exam`](../../../../exam/main.rs)).

use super::support::{Node, write};
use serde_json::Value;

const MANIFEST: &[u8] = b"
app = \"shop\"
[functions.price]
run = \"price.sh\"
contract = \"stdio\"
route = \"/price\"
";
const PRICE: &[u8] = b"#!/bin/sh\necho 'ValueError: no weight' >&2\nexit 1\n";

/// A node with a function that fails, and the id of a request that has failed so, in a trace of the caller.
fn failed() -> (Node, String, &'static str) {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let node = Node::start();
    write(node.home.path(), &[("shop/hob.toml", MANIFEST), ("shop/price.sh", PRICE)]);
    node.ok(&["deploy", "shop"]);
    let head = format!("host: localhost\r\ntraceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\nconnection: close");
    let (status, body) = node.serving.send(&format!("GET /price HTTP/1.1\r\n{head}\r\n\r\n"));
    assert_eq!(status, 500, "{body}");
    let id = body.lines().find_map(|line| line.strip_prefix("invocation: ")).unwrap();
    (node, id.to_owned(), TRACE)
}

#[test]
fn an_answer_has_the_same_fields_for_programs() {
    let (node, id, trace) = failed();
    let story: Value = serde_json::from_str(&node.ok(&["why", &id, "-o", "json"])).unwrap();
    let text = |name: &str| story[name].as_str().unwrap_or_default().to_owned();
    assert_eq!([text("verdict"), text("owner"), text("code")], ["bad", "code", "HOB-0508"], "{story}");
    assert_eq!((text("subject"), text("trace")), (format!("call {id}"), trace.to_owned()));
    let (reason, fix) = (text("reason"), text("fix"));
    assert!(reason.contains("`price`") && reason.contains("ValueError: no weight"), "{reason}");
    assert!(fix.contains("hob logs shop/price"), "{fix}");
    let step = &story["path"][0];
    assert_eq!((step["id"].as_str(), step["verdict"].as_str()), (Some(id.as_str()), Some("bad")), "{step}");
    assert!(step["time_ms"].is_u64() && step["took_us"].is_u64(), "{step}");
    let next: Vec<&str> = story["next"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(next.iter().all(|command| command.starts_with("hob ")) && !next.is_empty(), "{next:?}");
    assert_eq!(node.ok(&["why", &id, "-o", "name"]).trim(), reason);
}

#[test]
fn every_form_of_an_id_leads_to_the_same_answer() {
    let (node, id, trace) = failed();
    let first = |args: &[&str]| node.ok(args).lines().next().unwrap_or_default().to_owned();
    let reason = first(&["why", &id]);
    assert!(reason.starts_with("failed: `price` ended with exit code 1"), "{reason}");
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    for other in [&id.to_uppercase(), trace, &traceparent] {
        assert_eq!(first(&["why", other]), reason, "{other}");
    }
    // The waterfall too, also by the request, whose trace is its caller's.
    let bars =
        |trace: &str| node.ok(&["trace", trace]).lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert!(bars(trace)[0].contains("GET /price"), "{:?}", bars(trace));
    assert_eq!(bars(&id), bars(trace));
    let outcome = node.hob(&["why", &id, "--topic", "x"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
}
