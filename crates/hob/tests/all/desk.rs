//! The flagship with its real input: every recorded webhook becomes one event, every event is counted
//! once or given up, what is forged is refused, and what was given up comes right.

use super::examples::{examples, on_path};
use super::skip::skip;
use super::support::{Node, Serving, eventually, finish};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Recorded payloads, their kinds, and posts that must be refused: two for each payload, and five
/// with something missing.
const PAYLOADS: u64 = 329;
const KINDS: usize = 58;
const BAD: u64 = 2 * PAYLOADS + 5;
/// Those among them that tell of a deleted release, which `notes` fails on.
const DELETED: u64 = 2;

#[test]
fn the_desk_answers_every_recorded_webhook() {
    if let Some(missing) = ["python3", "npm"].into_iter().find(|program| !on_path(program)) {
        skip("the desk", format_args!("this machine has no `{missing}`"));
        return;
    }
    let node = Node::start();
    let desk = examples().join("desk");
    node.ok(&["deploy", desk.to_str().unwrap()]);
    post_webhooks(&desk, &node.serving);
    everything_is_settled(&node);
    what_was_published_is_counted_or_dead(&node);
    the_digest_comes(&node);
    the_page_shows_it(&node.serving);
    what_was_given_up_comes_right(&node, &desk);
    nobody_else_gets_in(&node.serving);
}

fn post_webhooks(desk: &Path, serving: &Serving) {
    // The payloads stay in the target folder, for the next run.
    let target = Path::new(env!("CARGO_BIN_EXE_hob")).ancestors().nth(2).unwrap();
    let mut script = Command::new("python3");
    script.arg(desk.join("post-webhooks")).args(["--url", &serving.url]).env("CARGO_TARGET_DIR", target);
    let outcome = finish(&mut script);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (0, format!("{PAYLOADS} of {PAYLOADS} answered\nrefused {BAD} of {BAD}\n").as_str()),
        "{}",
        outcome.stderr
    );
}

fn json(node: &Node, args: &[&str]) -> Value {
    serde_json::from_str(&node.ok(&[args, &["-o", "json"]].concat())).unwrap()
}

/// What `stats` has counted.
fn counts(node: &Node) -> Value {
    let (status, body) = node.serving.get("/counts");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// The subscription of a function to a topic.
fn subscription(node: &Node, name: &str) -> Value {
    let all = json(node, &["sub", "ls"]);
    all.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
}

/// Waits until no subscription has anything left; those to `desk` follow from those to `github`.
fn everything_is_settled(node: &Node) {
    for name in ["triage-github", "summary-github", "notes-github", "stats-github", "stats-desk"] {
        eventually(&format!("the end of `{name}`"), || (subscription(node, name)["lag"] == 0).then_some(()));
    }
}

/// The law of conservation: each subscription accounts for each event of its topic, and `stats` for all.
fn what_was_published_is_counted_or_dead(node: &Node) {
    let events = |topic: &str| {
        let all = json(node, &["topic", "ls"]);
        let topic = all.as_array().unwrap().iter().find(|one| one["topic"] == topic).unwrap().clone();
        topic["events"].as_u64().unwrap()
    };
    assert_eq!(events("github"), PAYLOADS, "each was posted twice, and is one event");
    let counts = counts(node);
    let answers = &counts["answers"];
    for (name, dead, answer) in [
        ("triage-github", 0, "desk.triaged"),
        ("summary-github", 0, "desk.summarised"),
        ("notes-github", DELETED, "desk.noted"),
    ] {
        let one = subscription(node, name);
        let number = |field: &str| one[field].as_u64().unwrap();
        assert!(number("delivered") > 0, "{one}");
        assert_eq!(number("delivered") + number("skipped") + number("dead"), PAYLOADS, "{one}");
        assert_eq!(number("dead"), dead, "{one}");
        assert_eq!(answers[answer], one["delivered"], "{answer}");
    }
    assert_eq!(counts["webhooks"], PAYLOADS);
    let answered: u64 = answers.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(answered, events("desk"));

    let letters = json(node, &["dlq", "ls", "github.dead"]);
    let letters = letters.as_array().unwrap();
    assert_eq!(letters.len() as u64, DELETED, "{letters:?}");
    for letter in letters {
        assert_eq!(letter["event"]["type"], "com.github.release.deleted", "{letter}");
        assert_eq!(letter["subscription"], "desk/notes-github", "{letter}");
        assert_eq!(
            (letter["attempts"].as_u64(), &letter["reason"]),
            (Some(3), &"attempts".into()),
            "{letter}"
        );
    }
}

/// The nightly run, by hand.
fn the_digest_comes(node: &Node) {
    node.ok(&["cron", "fire", "desk/nightly"]);
    let digest = eventually("the digest", || Some(counts(node)["digest"].take()).filter(Value::is_object));
    let text = digest["text"].as_str().unwrap();
    assert!(text.starts_with(&format!("{PAYLOADS} webhooks came in since the last digest: 29 ")), "{text}");
}

fn the_page_shows_it(serving: &Serving) {
    let (status, page) = serving.get("/");
    assert_eq!(status, 200, "{page}");
    let shown = [
        format!("<dd id=\"total\">{PAYLOADS}</dd>"),
        format!("<dd id=\"kinds\">{KINDS}</dd>"),
        "issues</th><td class=\"count\">29</td>".to_owned(),
        "deployment_review</th><td class=\"count\">1</td>".to_owned(),
        format!("<p>{PAYLOADS} webhooks came in since the last digest"),
    ];
    for text in shown {
        assert!(page.contains(&text), "the page lacks {text}\n{page}");
    }
    let (status, notes) = serving.get("/notes");
    assert!(status == 200 && notes.contains("## Codertocat/Hello-World 0.0.1\n"), "{status} {notes}");
}

/// The README's exercise: a new revision knows what to do, the letters are redriven to it, and its
/// counts come back by a replay, which counts nothing twice.
fn what_was_given_up_comes_right(node: &Node, desk: &Path) {
    let copy = node.home.path().join("desk");
    let copied = finish(Command::new("cp").arg("-R").args([desk, &copy]));
    assert_eq!(copied.code, 0, "{}", copied.stderr);
    let manifest = std::fs::read_to_string(copy.join("hob.toml")).unwrap();
    let decided = manifest.replace("# env = { DELETED", "env = { DELETED");
    assert_ne!(manifest, decided);
    std::fs::write(copy.join("hob.toml"), decided).unwrap();
    node.ok(&["deploy", copy.to_str().unwrap()]);

    node.ok(&["dlq", "redrive", "github.dead", "--all"]);
    eventually("the notes of a deleted release", || {
        (counts(node)["answers"]["desk.noted"] == DELETED).then_some(())
    });
    assert_eq!(json(node, &["dlq", "ls", "github.dead"]), Value::Array(Vec::new()));
    let (_, notes) = node.serving.get("/notes");
    assert!(notes.contains("## Codertocat/Hello-World 0.0.1 (deleted)\n"), "{notes}");

    for again in [DELETED, PAYLOADS + 2 * DELETED] {
        node.ok(&["replay", "github", "--since", "1h", "--to", "desk/stats"]);
        let counts = counts(node);
        assert_eq!((&counts["webhooks"], &counts["again"]), (&PAYLOADS.into(), &again.into()));
    }
}

/// What functions and the platform say to each other cannot be said from outside.
fn nobody_else_gets_in(serving: &Serving) {
    for (host, path) in [
        ("triage--desk.localhost", "/"),
        ("triage.desk.internal", "/"),
        ("stats--desk.localhost", "/"),
        ("stats.desk.internal", "/"),
        ("bus.internal", "/desk"),
    ] {
        let (status, body) = serving.send(&format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nce-specversion: 1.0\r\nce-id: forged\r\n\
             ce-source: https://github.com/a/b\r\nce-type: com.github.push\r\ncontent-length: 2\r\n\r\n{{}}"
        ));
        assert!((400..500).contains(&status), "{host}{path}: {status} {body}");
    }
    let (_, page) = serving.get("/");
    assert!(page.contains(&format!("<dd id=\"total\">{PAYLOADS}</dd>")), "{page}");
}
