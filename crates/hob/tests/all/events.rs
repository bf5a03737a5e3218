//! Events from the command line: published in every form, seen, steered, given up, delivered again.
//!
//! **How.** One small app whose function fails when the data asks for it. Each test has a node of its own
//! and tells one story; tables hold command lines and what is said. What happens later is waited for.
//!
//! **Not here:** what the node does with events (`hob-node`).

use super::support::{Node, Outcome, Serving, command, eventually, finish, hob, write};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

const MANIFEST: &str = r#"
app = "desk"
[functions.letter]
run = "letter.sh"
contract = "stdio"
[functions.report]
run = "report.sh"
contract = "stdio"
[[on]]
name = "letter"
topic = "orders"
call = "letter"
start = "beginning"
where = { prefix = { type = "order." } }
retry = { attempts = 2, backoff = "10ms..20ms" }
[[on]]
name = "nightly"
schedule = "0 3 * * *"
zone = "Europe/London"
call = "report"
[[on]]
route = "/hooks"
publish = "orders"
"#;

const LETTER: &[u8] = b"#!/bin/sh
case \"$(cat)\" in
*refuse*) printf 'Status: 422\\r\\nContent-Type: text/plain\\r\\n\\r\\nno such order' ;;
*fail*) printf 'Status: 500\\r\\nContent-Type: text/plain\\r\\n\\r\\n\\033[31mno paper' ;;
*) printf 'Content-Type: text/plain\\r\\n\\r\\nsent' ;;
esac
";

const REPORT: &[u8] = b"#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\nreported'\n";

fn write_app(node: &Node, letter: &[u8]) {
    let files = [("app/hob.toml", MANIFEST.as_bytes()), ("app/letter.sh", letter), ("app/report.sh", REPORT)];
    write(node.home.path(), &files);
}

/// A node with the app.
fn desk() -> Node {
    let node = Node::start();
    write_app(&node, LETTER);
    node.ok(&["deploy", "app"]);
    node
}

/// Runs the program with this on its standard input.
fn with_input(node: &Node, args: &[&str], input: &[u8]) -> Outcome {
    let file = node.home.path().join("input");
    std::fs::write(&file, input).unwrap();
    let mut command = command(node.home.path());
    command.env("HOB_DATA", node.home.path().join("data")).args(args);
    finish(command.stdin(std::fs::File::open(file).unwrap()))
}

fn ok_json(node: &Node, args: &[&str]) -> Value {
    let text = node.ok(&[args, &["-o", "json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}\n{text}"))
}

/// Each command line fails as it says: exit code, error code, words.
fn refused(node: &Node, table: &[(&[&str], i32, &str, &str)]) {
    for (args, code, error, says) in table {
        let Outcome { code: found, stdout, stderr } = node.hob(args);
        assert_eq!((found, stdout.as_str()), (*code, ""), "{args:?}\n{stderr}");
        assert!(stderr.contains(&format!("error[{error}]: ")), "{args:?}: {error} expected\n{stderr}");
        assert!(stderr.contains(says), "{args:?} should say `{says}`\n{stderr}");
        assert!(stderr.contains("hint: "), "{args:?} should say what to do\n{stderr}");
    }
}

/// Sends an event and returns its sequence.
fn send(node: &Node, kind: &str, data: &str) -> u64 {
    ok_json(node, &["send", "orders", "--type", kind, data])["sequence"].as_u64().unwrap()
}

/// The events of a topic.
fn events(node: &Node, topic: &str) -> Vec<Value> {
    let text = node.ok(&["topic", "tail", topic, "--from", "1", "-o", "json"]);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until a subscription has nothing to do.
fn settled(node: &Node) -> Value {
    eventually("every event is settled", || {
        let info = ok_json(node, &["sub", "show", "letter"]);
        (info["lag"] == 0).then_some(info)
    })
}

#[test]
fn events_are_sent_in_every_form() {
    let node = Node::start();
    let whole =
        br#"{"specversion":"1.0","id":"w1","source":"/w","type":"t","data":{"big":12345678901234567890}}"#;
    let list = br#" [{"specversion":"1.0","id":"w1","source":"/w","type":"t"},{"specversion":"1.0","id":"w2","source":"/w","type":"t"}]"#;
    write(
        node.home.path(),
        &[
            ("data.json", b"{\"id\": 9}\n"),
            ("whole.json", whole),
            ("list.json", list),
            ("plain.txt", b"hello"),
        ],
    );
    for (args, input, says) in [
        (&["-t", "a", "{\"id\": 7}", "--id", "x"][..], &b""[..], "orders 1: published, on disk"),
        (&["-t", "a", "again", "--id", "x"], b"", "orders 1: a duplicate"),
        (&["-t", "a", "-", "--durability", "memory"], b"from a pipe\n", "orders 2: published, in memory"),
        (&["-t", "a", "--data-file", "data.json"], b"", "orders 3: published"),
        (&["-t", "a"], b"", "orders 4: published"),
        (&["-t", "a", "-"], b"\xff\x00", "orders 5: published"),
        (&["--event", "whole.json"], b"", "orders 6: published"),
        (
            &["--event", "-"],
            list,
            "orders 6: a duplicate; the topic has this event already\norders 7: published",
        ),
        (
            &[
                "-t",
                "a",
                "b",
                "--source",
                "/desk",
                "--subject",
                "s",
                "--key",
                "k",
                "--set",
                "colour=red",
                "--set",
                "time=2026-07-01T09:30:00Z",
                "--content-type",
                "text/x",
            ],
            b"",
            "orders 8: published",
        ),
    ] {
        let sent = with_input(&node, &[&["send", "orders"], args].concat(), input);
        assert_eq!((sent.code, sent.stderr.as_str()), (0, ""), "{args:?}");
        assert!(sent.stdout.contains(says), "{args:?} should say `{says}`\n{}", sent.stdout);
    }
    let all = events(&node, "orders");
    for (number, pointer, expected) in [
        (0, "/event/data", json!({"id": 7})),
        (0, "/event/datacontenttype", json!("application/json")),
        (1, "/event/data", json!("from a pipe\n")),
        (2, "/event/data/id", json!(9)),
        (4, "/event/data_base64", json!("/wA=")),
        (5, "/event/data/big", json!(12_345_678_901_234_567_890_u64)),
        (7, "/event/partitionkey", json!("k")),
        (7, "/event/colour", json!("red")),
        (7, "/event/subject", json!("s")),
        (7, "/event/time", json!("2026-07-01T09:30:00Z")),
        (7, "/event/datacontenttype", json!("text/x")),
    ] {
        assert_eq!(all[number].pointer(pointer), Some(&expected), "{pointer} of {}", all[number]);
    }
    assert!(all[3]["event"].get("data").is_none(), "no data is no data: {}", all[3]);
}

#[test]
fn what_is_no_event_is_refused_before_anything_is_sent() {
    let node = Node::start();
    write(node.home.path(), &[("plain.txt", b"hello"), ("whole.json", b"{}")]);
    refused(
        &node,
        &[
            (&["send", "orders", "x"], 2, "HOB-0111", "--type"),
            (&["send", "orders", "-t", "a", "x", "--set", "Bad=1"], 2, "HOB-0801", "`Bad`"),
            (&["send", "orders", "-t", "a", "x", "--set", "bad"], 2, "HOB-0111", "NAME=VALUE"),
            (&["send", "orders", "-t", "a", "x", "--set", "data=1"], 2, "HOB-0111", "`data`"),
            (&["send", "orders", "-t", "a", "x", "--durability", "paper"], 2, "HOB-0111", "disk, memory"),
            (&["send", "orders", "-t", "a", "--data-file", "none"], 3, "HOB-0108", "`none`"),
            (&["send", "orders", "--event", "plain.txt"], 2, "HOB-0801", "--> plain.txt"),
            (&["send", "orders", "--event", "whole.json", "-t", "a"], 2, "HOB-0111", "whole event"),
            (&["send", "hob.calls", "-t", "a", "x"], 4, "HOB-0805", "`hob.`"),
            (&["send", "Orders", "-t", "a", "x"], 2, "HOB-0104", "`Orders`"),
        ],
    );
    assert_eq!(ok_json(&node, &["topic", "ls"]), json!([]), "what is refused is not there");
}

#[test]
fn many_events_are_sent_line_by_line_and_a_bad_line_ends_it() {
    let node = Node::start();
    let event =
        |id: u32| format!("{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"/l\",\"type\":\"t\"}}\n");
    let mut lines: String = (1..=2500).map(event).collect();
    lines += "\n{\"specversion\":\"1.0\",\"id\":\"bad\",\"type\":\"t\"}\n";
    lines += &event(3000);
    write(node.home.path(), &[("many.ndjson", lines.as_bytes())]);
    let told = node.hob(&["send", "orders", "--lines", "many.ndjson"]);
    assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{}", told.stderr);
    for says in ["error[HOB-0801]", "--> many.ndjson:2502", "`source`", "--skip 2501"] {
        assert!(told.stderr.contains(says), "it should say `{says}`\n{}", told.stderr);
    }
    assert_eq!(
        ok_json(&node, &["topic", "show", "orders"])["next"],
        2501,
        "all before it and nothing after it"
    );
    let again = node.hob(&["send", "orders", "--lines", "many.ndjson", "--skip", "2501"]);
    assert!(again.stderr.contains("nothing was sent"), "{}", again.stderr);
    let rest = ok_json(&node, &["send", "orders", "--lines", "many.ndjson", "--skip", "2502"]);
    assert_eq!((&rest["lines"], &rest["events"], &rest["first"]), (&json!(2503), &json!(1), &json!(2501)));

    let twice = ["send", "plain", "--lines", "-", "-t", "line", "--id", "run"];
    let sent = with_input(&node, &twice, b"one\r\n{\"two\": 2}\n\nthree");
    assert_eq!((sent.code, sent.stderr.as_str()), (0, ""));
    assert!(sent.stdout.starts_with("plain: 3 event(s) published (1 to 3, on disk) in "), "{}", sent.stdout);
    let sent = with_input(&node, &twice, b"one\n{\"two\": 2}\n\nthree\nfour\n");
    assert!(
        sent.stdout.contains("1 event(s) published (4 to 4, on disk), 3 duplicate(s) dropped"),
        "{}",
        sent.stdout
    );
    let all = events(&node, "plain");
    let data: Vec<&Value> = all.iter().map(|stored| &stored["event"]["data"]).collect();
    assert_eq!(data, [&json!("one"), &json!({"two": 2}), &json!("three"), &json!("four")]);
    assert_eq!(all[2]["event"]["id"], "run-4", "the line's number");
    refused(
        &node,
        &[
            (&["send", "orders", "--lines", "none"], 3, "HOB-0108", "`none`"),
            (&["send", "orders", "--lines", "many.ndjson", "--key", "k"], 2, "HOB-0111", "--type"),
            (&["send", "orders", "--lines", "many.ndjson", "data"], 2, "HOB-0111", "--lines"),
            (&["send", "hob.x", "--lines", "many.ndjson"], 4, "HOB-0805", "nothing was sent"),
        ],
    );
}

#[test]
fn what_comes_slowly_is_sent_and_seen_at_once() {
    let node = Node::start();
    let start = |args: &[&str]| {
        let mut command = command(node.home.path());
        command.env("HOB_DATA", node.home.path().join("data")).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    };
    let mut follower = start(&["topic", "tail", "slow", "-f"]);
    let mut seen = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut sender = start(&["send", "slow", "--lines", "-", "-t", "step"]);
    let mut input = sender.stdin.take().unwrap();
    for step in ["first", "\u{1b}[2Jsecond", "third"] {
        writeln!(input, "{step}").unwrap();
        let line = seen.next().unwrap().unwrap();
        assert!(line.ends_with(&step.replace('\u{1b}', "\\u{1b}")), "{line}");
        assert!(!line.contains('\u{1b}'), "no event steers a terminal: {line:?}");
    }
    drop(input);
    assert!(sender.wait().unwrap().success());
    follower.kill().unwrap();
    follower.wait().unwrap();
}

#[test]
fn topics_are_listed_shown_and_purged() {
    let node = Node::start();
    let empty = node.hob(&["topic", "ls"]);
    assert_eq!((empty.code, empty.stdout.as_str()), (0, ""));
    assert!(empty.stderr.contains("hob send"), "{}", empty.stderr);
    for number in 1..=5 {
        send(&node, "a", &number.to_string());
    }
    for (args, says) in [
        (&["topic", "ls"][..], "orders  5 "),
        (&["topic", "ls", "-o", "name"], "orders\n"),
        (&["topic", "show", "orders"], "5, 1 to 5"),
        (&["topic", "tail", "orders", "-n", "2"], "4  2"),
        (&["topic", "tail", "orders", "--since", "-1h", "-n", "1", "-o", "yaml"], "sequence: 1\n"),
        (&["topic", "tail", "orders", "--since", "2099-01-01T00:00:00Z"], ""),
        (&["topic", "purge", "orders", "--before", "3", "-y"], "orders: 2 event(s) removed"),
        (&["topic", "show", "orders"], "3, 3 to 5"),
        (&["topic", "purge", "orders", "--yes", "-o", "json"], "\"removed\": 3"),
        (&["topic", "show", "orders"], "none; the next one is 6"),
    ] {
        let said = node.ok(args);
        assert!(said.contains(says), "{args:?} should say `{says}`\n{said}");
    }
    refused(
        &node,
        &[
            (&["topic", "show", "none"], 3, "HOB-0803", "`none`"),
            (&["topic", "tail", "none"], 3, "HOB-0803", "`none`"),
            (&["topic", "purge", "none", "-y"], 3, "HOB-0803", "`none`"),
            (&["topic", "purge", "orders"], 2, "HOB-0111", "hob topic purge orders --yes"),
            (&["topic", "tail", "orders", "--since", "soon"], 2, "HOB-0111", "2026-07-01T09:30:00Z"),
            (&["topic"], 2, "HOB-0111", "`hob topic tail`"),
            (&["topic", "-q"], 2, "HOB-0111", "`hob topic tail`"),
        ],
    );
}

#[test]
fn subscriptions_are_paused_moved_and_resumed() {
    let node = desk();
    assert!(node.ok(&["sub", "pause", "letter"]).starts_with("desk/letter is paused at 1 of orders"));
    for kind in ["order.a", "other", "order.b"] {
        send(&node, kind, "x");
    }
    eventually("the events wait", || (ok_json(&node, &["sub", "show", "letter"])["lag"] == 3).then_some(()));
    let state = |args: &[&str]| ok_json(&node, args)[0]["paused"].clone();
    assert_eq!(state(&["sub", "ls", "--app", "desk", "--topic", "orders"]), true);
    assert_eq!(ok_json(&node, &["sub", "ls", "--topic", "none"]), json!([]));
    assert!(node.ok(&["sub", "resume", "desk/letter"]).starts_with("desk/letter goes on at "));
    let info = settled(&node);
    assert_eq!((&info["delivered"], &info["skipped"], &info["cursor"]), (&json!(2), &json!(1), &json!(4)));
    assert!(node.ok(&["sub", "seek", "letter", "beginning"]).starts_with("desk/letter goes on at "));
    eventually("back delivers again", || (settled(&node)["delivered"] == 4).then_some(()));
    for (to, at) in [("-1h", 1), ("2", 2), ("now", 4)] {
        node.ok(&["sub", "pause", "letter"]);
        let info = ok_json(&node, &["sub", "seek", "letter", to]);
        assert_eq!(info["cursor"], at, "{to}");
    }
    let shown = node.ok(&["sub", "show", "letter"]);
    for says in [
        "paused; `hob sub resume desk/letter`",
        "letter at /",
        "order.",
        "2, 10ms to 20ms apart",
        "orders.dead",
    ] {
        assert!(shown.contains(says), "it should say `{says}`\n{shown}");
    }
    assert_eq!(node.ok(&["sub", "ls", "-o", "name"]), "desk/letter\n");
    refused(
        &node,
        &[
            (&["sub", "show", "leter"], 3, "HOB-0807", "did you mean `letter`?"),
            (&["sub", "pause", "desk/none"], 3, "HOB-0807", "desk/none"),
            (&["sub", "seek", "letter", "soon"], 2, "HOB-0111", "beginning"),
            (&["sub", "ls", "--app", "Desk"], 2, "HOB-0104", "`Desk`"),
        ],
    );
}

#[test]
fn what_is_given_up_is_explained_redriven_and_dropped() {
    let node = desk();
    assert!(node.hob(&["dlq", "ls"]).stderr.contains("no event was given up"));
    for data in ["{\"a\":\"fail\"}", "refuse", "fine"] {
        send(&node, "order.a", data);
    }
    let letters = |count: usize| {
        eventually("letters come", || {
            let all = ok_json(&node, &["dlq", "ls", "orders"]);
            (all.as_array().unwrap().len() == count).then_some(all)
        })
    };
    let all = letters(2);
    let sequence = |all: &Value, reason: &str| {
        let found = all.as_array().unwrap().iter().find(|letter| letter["reason"] == reason);
        found.unwrap_or_else(|| panic!("no {reason} in {all}"))["sequence"].to_string()
    };
    let number = |text: &str| json!(text.parse::<u64>().unwrap());
    let (failed, rejected) = (sequence(&all, "attempts"), sequence(&all, "rejected"));
    for (args, says) in [
        (&["dlq", "ls"][..], "orders.dead  2 "),
        (&["dlq", "ls", "-o", "name"], "orders.dead\n"),
        (&["dlq", "ls", "orders.dead"], "desk/letter  rejected  1         422 no such order"),
        (&["dlq", "ls", "orders"], "desk/letter  attempts  2         500 [31mno paper"),
        (&["dlq", "ls", "orders", "-n", "1", "-o", "name"], "1\n"),
        (&["dlq", "show", "orders", &failed], "desk/letter gave it up after 2 failed attempt(s)"),
        (&["dlq", "show", "orders", &failed], "\"a\": \"fail\""),
        (&["dlq", "show", "orders", &rejected], "desk/letter rejected it"),
    ] {
        let said = node.ok(args);
        assert!(said.contains(says), "{args:?} should say `{says}`\n{said}");
        assert!(!said.contains('\u{1b}'), "{args:?}: no answer steers a terminal\n{said:?}");
    }
    assert!(node.hob(&["dlq", "ls", "orders"]).stderr.contains("are in `orders.dead`"));
    assert!(node.hob(&["dlq", "ls", "orders", "-n", "1"]).stderr.contains("--from 2"));
    refused(
        &node,
        &[
            (&["dlq", "show", "orders", "99"], 3, "HOB-0811", "99"),
            (&["dlq", "redrive", "orders"], 2, "HOB-0111", "--all"),
            (&["dlq", "redrive", "orders", "99"], 3, "HOB-0811", "99"),
            (&["dlq", "drop", "orders", "1"], 2, "HOB-0111", "hob dlq drop orders.dead 1 --yes"),
            (&["dlq", "drop", "orders", "1", "--all", "-y"], 2, "HOB-0111", "--all"),
        ],
    );
    // Redriven while it still fails, it comes back as another letter.
    assert!(node.ok(&["dlq", "redrive", "orders", &failed]).contains("1 letter(s)"));
    assert!(letters(2).as_array().unwrap().iter().all(|letter| letter["sequence"] != number(&failed)));
    assert!(node.ok(&["dlq", "drop", "orders", &rejected, "-y"]).contains("1 letter(s) dropped"));
    write_app(&node, b"#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\nmended'\n");
    node.ok(&["deploy", "app"]);
    assert!(node.ok(&["dlq", "redrive", "orders", "--all"]).contains("1 letter(s)"));
    assert_eq!(settled(&node)["delivered"], 2, "the fine one and the mended one");
    assert_eq!(ok_json(&node, &["dlq", "ls"]), json!([]));
}

#[test]
fn schedules_are_shown_fired_and_paused() {
    let node = desk();
    for (args, says) in [
        (&["cron", "ls"][..], "at 03:00 every day"),
        (&["cron", "ls", "--app", "desk", "-o", "wide"], "Europe/London"),
        (&["cron", "ls", "-o", "name"], "desk/nightly\n"),
        (&["cron", "show", "nightly"], "03:00:00"),
        (&["cron", "fire", "nightly"], "desk/nightly runs now (event 1 of "),
        (&["cron", "pause", "nightly"], "is paused"),
        (&["cron", "ls"], "paused"),
        (&["cron", "show", "desk/nightly"], "hob cron resume desk/nightly"),
        (&["cron", "resume", "desk/nightly"], "goes on; next run "),
    ] {
        let said = node.ok(args);
        assert!(said.contains(says), "{args:?} should say `{says}`\n{said}");
    }
    eventually("the run reaches its function", || {
        let app = ok_json(&node, &["show", "desk"]);
        let functions = app["functions"].as_array().unwrap();
        functions.iter().any(|one| one["function"] == "report" && one["calls"] == 1).then_some(())
    });
    let info = ok_json(&node, &["cron", "show", "nightly"]);
    assert_eq!((&info["fired"], &info["paused"]), (&json!(1), &json!(false)), "{info}");
    refused(
        &node,
        &[
            (&["cron", "fire", "nightli"], 3, "HOB-0808", "did you mean `nightly`?"),
            (&["cron", "show", "none/nightly"], 3, "HOB-0808", "none/nightly"),
        ],
    );
}

#[test]
fn old_events_are_replayed_to_a_function_or_a_revision() {
    let node = desk();
    for data in ["fine", "fail", "fine"] {
        send(&node, "order.a", data);
    }
    send(&node, "other", "fail");
    settled(&node);
    write_app(&node, b"#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\nmended'\n");
    node.ok(&["deploy", "app"]);
    for (args, code, lines) in [
        (
            &["--since", "1h", "--to", "desk"][..],
            0,
            &["1  letter  200  ok", "4 event(s) read, 3 delivered, 0 failed"][..],
        ),
        (
            &["--from", "1", "--to", "desk@1"],
            1,
            &["2  letter  500  failed", "4 event(s) read, 3 delivered, 1 failed"],
        ),
        (
            &["--from", "2", "--limit", "1", "--to", "desk/letter@1"],
            1,
            &["1 event(s) read, 1 delivered, 1 failed"],
        ),
        (
            &["--from", "1", "--to", "desk/report"],
            0,
            &["4  report  200  ok", "4 event(s) read, 4 delivered, 0 failed"],
        ),
        (&["--from", "1", "--until", "1h", "--to", "desk"], 0, &["0 event(s) read"]),
        (
            &["--from", "2", "--to", "desk@1", "-o", "json"],
            1,
            &["{\"kind\":\"done\",\"events\":3,\"delivered\":2,\"failed\":1}"],
        ),
    ] {
        let told = node.hob(&[&["replay", "orders"], args].concat());
        assert_eq!(told.code, code, "{args:?}\n{}{}", told.stdout, told.stderr);
        for line in lines {
            assert!(told.stdout.contains(line), "{args:?} should say `{line}`\n{}", told.stdout);
        }
    }
    refused(
        &node,
        &[
            (&["replay", "orders", "--to", "desk"], 2, "HOB-0111", "--since 1h"),
            (&["replay", "orders", "--from", "1"], 2, "HOB-0111", "--to"),
            (&["replay", "orders", "--from", "1", "--to", "desk@x"], 2, "HOB-0111", "desk@3"),
            (&["replay", "none", "--from", "1", "--to", "desk"], 3, "HOB-0803", "`none`"),
            (&["replay", "orders", "--from", "1", "--to", "none"], 3, "HOB-0351", "`none`"),
            (&["replay", "orders", "--from", "1", "--to", "desk@9"], 3, "HOB-0352", "9"),
            (&["replay", "orders", "--from", "1", "--to", "desk/none"], 3, "HOB-0353", "`none`"),
        ],
    );
}

#[test]
fn triggers_are_told_wherever_an_app_is() {
    let node = desk();
    let app = ok_json(&node, &["show", "desk"]);
    assert_eq!(
        (&app["subscriptions"][0]["name"], &app["schedules"][0]["name"]),
        (&json!("letter"), &json!("nightly"))
    );
    for (args, says) in [
        (&["show"][..], "desk/nightly"),
        (&["check", "app"], "1 subscription(s), 1 schedule(s), 1 event route(s)"),
        (&["show", "app", "--resolved"], "nightly  schedule  0 3 * * * (Europe/London)  report"),
    ] {
        let said = node.ok(args);
        assert!(said.contains(says), "{args:?} should say `{says}`\n{said}");
    }
    let home = tempfile::tempdir().unwrap();
    write(
        home.path(),
        &[("app/hob.toml", MANIFEST.as_bytes()), ("app/letter.sh", LETTER), ("app/report.sh", REPORT)],
    );
    let _serving = Serving::start(home.path(), &["run", "app"]);
    eventually("`hob run` tells what it listens to", || {
        let told = std::fs::read_to_string(home.path().join("stderr.log")).unwrap();
        told.contains("/hooks                     into topic orders").then_some(())
    });
}

#[test]
fn nested_commands_are_documented_like_the_others() {
    let home = tempfile::tempdir().unwrap();
    assert!(hob(home.path(), &["completion", "bash"]).stdout.contains("hob__subcmd__topic__subcmd__tail"));
    let help = hob(home.path(), &["topic", "tail", "--help"]).stdout;
    assert!(help.contains("Usage: hob topic tail") && help.contains("--output"), "{help}");
    hob(home.path(), &["man", "man1"]);
    let page = std::fs::read_to_string(home.path().join("man1/hob-topic-tail.1")).unwrap();
    assert!(page.contains("hob topic tail") && page.contains("follow"), "{page}");
    let reference = hob(home.path(), &["__reference", "cli"]).stdout;
    for heading in
        ["## `hob send`\n", "## `hob topic`\n", "### `hob topic tail`\n", "### `hob dlq redrive`\n"]
    {
        assert!(reference.contains(heading), "{heading}");
    }
}
