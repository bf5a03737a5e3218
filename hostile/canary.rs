//! Threats to secrets: one that its function writes wherever it can, and a search of everything that the node writes.

use crate::arena::{Outcome, judge};
use crate::canary_bird::{CANARY, MANIFEST, SECOND, SING, collector, files, sings};
use crate::stage::{Stage, eventually};
use std::process::Command;
use std::time::{Duration, Instant};

/// What a node says of itself, by the command line.
const COMMANDS: &[&[&str]] = &[
    &["logs", "--tail", "1000", "-o", "json"],
    &["show", "bird", "-o", "json"],
    &["secret", "ls", "bird", "-o", "json"],
    &["dlq", "ls", "tree.dead", "-o", "json"],
    &["sub", "ls", "-o", "json"],
    &["topic", "tail", "tree.dead", "-o", "json"],
    &["audit", "-o", "json"],
    &["why", "bird/sing"],
    &["top", "-o", "json", "--once"],
    &["cost", "-o", "json"],
    &["doctor", "-o", "json"],
];
/// The same by the control API.
const PATHS: &[&str] = &[
    "/v1/facts?limit=10000",
    "/v1/logs?tail=1000",
    "/v1/topics/tree.dead/events",
    "/v1/metrics",
    "/v1/apps/bird/revisions/1",
    "/v1/node",
    "/v1/audit",
];
/// Longest wait for the node's end.
const END: Duration = Duration::from_secs(30);

/// T22: a secret is found in nothing that the node writes, says or exports.
pub(crate) fn searched(_: &crate::arena::Arena) -> Outcome {
    let (port, exported) = collector();
    let otlp = format!("http://127.0.0.1:{port}");
    let mut stage = Stage::start_with(&["--otlp", &otlp, "--dashboard", "none"]);
    let manifest = MANIFEST.trim_start().strip_prefix("app = \"bird\"").unwrap();
    stage.write("bird", manifest, &[("sing.py", SING)]);
    for (file, text) in
        [("song", CANARY.to_owned()), ("second", SECOND.to_owned()), ("broken", format!("broken-{CANARY}"))]
    {
        std::fs::write(stage.path(file), text).unwrap();
    }
    stage.ok(&["secret", "set", "bird", "SONG", "--from-file", "song"]);
    stage.ok(&["deploy", "bird"]);
    let mut told = Vec::new();
    let has = stage.request("GET /which", "bird.localhost", &[], "").body.contains("canary");
    stage.request(&format!("GET /sing?song={CANARY}"), "bird.localhost", &[], "");
    stage.ok(&["send", "tree", "{}", "--type", "wind"]);
    eventually("the event is given up", || {
        let (code, letters, _) = stage.hob(&["dlq", "ls", "tree.dead", "-o", "json"]);
        (code == 0 && letters.contains("wind")).then(|| told.push(letters))
    });
    // A value with which it does not start, and one with which it does.
    let (_, out, err) = stage.hob(&["secret", "rotate", "bird", "SONG", "--from-file", "broken"]);
    told.extend([out, err]);
    stage.ok(&["secret", "rotate", "bird", "SONG", "--from-file", "second"]);
    let turned = stage.request("GET /which", "bird.localhost", &[], "").body.contains("second");
    stage.request("GET /sing", "bird.localhost", &[], "");
    for command in COMMANDS {
        let (_, out, err) = stage.hob(command);
        told.extend([out, err]);
    }
    told.extend(PATHS.iter().map(|path| control(&stage, path)));
    // It was said, and taken out.
    let redacted = told.iter().filter(|text| text.contains("[secret SONG]")).count();
    let mut found: Vec<String> = told
        .iter()
        .filter_map(|text| sings(text.as_bytes()))
        .map(|form| format!("{form} was said"))
        .collect();
    stop(&mut stage);
    let (mut bytes, mut searched) = (told.iter().map(String::len).sum::<usize>(), 0);
    let mut written = files(&stage.path("data"));
    written.push(stage.path("stderr.log"));
    for file in written {
        let content = std::fs::read(&file).unwrap_or_default();
        found.extend(sings(&content).map(|form| format!("{form} in {}", file.display())));
        (bytes, searched) = (bytes + content.len(), searched + 1);
    }
    let exported = exported.lock().unwrap();
    found.extend(sings(&exported).map(|form| format!("{form} was exported")));
    bytes += exported.len();
    let figures = format!(
        "{} found in {} answers, {searched} files and {} KiB of export ({} KiB together), {redacted} redacted places{}",
        found.len(),
        told.len(),
        exported.len() >> 10,
        bytes >> 10,
        found.iter().take(3).map(|what| format!(" [{what}]")).collect::<String>()
    );
    let right = has && turned && found.is_empty() && redacted >= 3 && searched > 10 && exported.len() > 1000;
    judge(right, figures)
}

/// The answer to a `GET` of the control API.
fn control(stage: &Stage, path: &str) -> String {
    let socket = stage.path("data/control.sock");
    let url = format!("http://localhost{path}");
    let asked = Command::new("curl").args(["-s", "--unix-socket"]).arg(socket).arg(url).output();
    String::from_utf8_lossy(&asked.unwrap().stdout).into_owned()
}

/// Ends the node gracefully, so that it has written all.
fn stop(stage: &mut Stage) {
    let Some(mut node) = stage.node.take() else { return };
    let asked = Command::new("kill").args(["-TERM", &node.id().to_string()]).status();
    assert!(asked.unwrap().success());
    let end = Instant::now() + END;
    while node.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "the node does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}
