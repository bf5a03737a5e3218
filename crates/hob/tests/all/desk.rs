//! The flagship with its real input: every recorded webhook is answered, what is forged is refused,
//! and the page shows what came in.

use super::examples::{examples, on_path};
use super::support::{Serving, finish};
use std::path::Path;
use std::process::Command;

/// Recorded payloads, their kinds, and posts that must be refused: two for each payload, and five
/// with something missing.
const PAYLOADS: usize = 329;
const KINDS: usize = 58;
const BAD: usize = 2 * PAYLOADS + 5;

#[test]
fn the_desk_answers_every_recorded_webhook() {
    if let Some(missing) = ["python3", "npm"].into_iter().find(|program| !on_path(program)) {
        println!("skipped the desk: this machine has no `{missing}`");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let desk = examples().join("desk");
    let serving = Serving::start(home.path(), &["run", desk.to_str().unwrap()]);

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

    let (status, page) = serving.get("/");
    assert_eq!(status, 200, "{page}");
    let shown = [
        format!("<dd id=\"total\">{PAYLOADS}</dd>"),
        format!("<dd id=\"kinds\">{KINDS}</dd>"),
        "issues</th><td class=\"count\">29</td>".to_owned(),
        "deployment_review</th><td class=\"count\">1</td>".to_owned(),
    ];
    for text in shown {
        assert!(page.contains(&text), "the page lacks {text}\n{page}");
    }
    let (status, notes) = serving.get("/notes");
    assert!(status == 200 && notes.contains("## Codertocat/Hello-World 0.0.1"), "{status} {notes}");
    nobody_else_gets_in(&serving);
}

/// What the functions say to each other cannot be said from outside.
fn nobody_else_gets_in(serving: &Serving) {
    for (host, path) in [
        ("triage--desk.localhost", "/"),
        ("triage.desk.internal", "/"),
        ("stats--desk.localhost", "/events"),
        ("stats.desk.internal", "/events"),
    ] {
        let (status, body) = serving.send(&format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}"
        ));
        assert!((400..500).contains(&status), "{host}{path}: {status} {body}");
    }
    let (_, page) = serving.get("/");
    assert!(page.contains(&format!("<dd id=\"total\">{PAYLOADS}</dd>")), "{page}");
}
