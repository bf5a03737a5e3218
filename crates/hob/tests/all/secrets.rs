//! Secrets of a real node: given to the functions that name them, exchanged without losing a request, found nowhere.
//!
//! **How.** The canary is a value that its function writes wherever a function can ([`super::canary`]): lines, messages,
//! headers, answers with errors, paths of calls. Then everything that the node has written or says is searched for it.

use super::canary::{CANARY, MANIFEST, SECOND, SING, collector, files, sings};
use super::support::{Node, Serving, answer, eventually, hob, write};
use std::io::Write;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

fn get(node: &Serving, path: &str) -> (u16, String) {
    node.send(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
}

/// What calls got while the secret had a new value.
fn rotated_under_calls(node: &Node) -> Vec<(u16, String)> {
    std::thread::scope(|scope| {
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let serving = &node.serving;
        let calls = scope.spawn(move || {
            let mut seen = Vec::new();
            while !stopping.load(std::sync::atomic::Ordering::Relaxed) {
                seen.push(get(serving, "/which"));
            }
            seen
        });
        node.ok(&["secret", "rotate", "bird", "SONG", "--from-file", "second"]);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        calls.join().unwrap()
    })
}

/// Looks through everything that the node says.
fn nothing_told(node: &Node, mut told: Vec<String>) {
    for command in [
        &["logs", "--tail", "1000", "-o", "json"][..],
        &["show", "bird", "-o", "json"],
        &["secret", "ls", "bird", "-o", "json"],
        &["dlq", "ls", "tree.dead", "-o", "json"],
        &["sub", "ls", "-o", "json"],
        &["audit", "-o", "json"],
        &["why", "bird/sing"],
        &["top", "-o", "json", "--once"],
        &["cost", "-o", "json"],
    ] {
        let outcome = node.hob(command);
        told.extend([outcome.stdout, outcome.stderr]);
    }
    for (path, reached) in [
        ("/v1/facts?limit=10000", true),
        ("/v1/logs?tail=1000", true),
        ("/v1/topics/tree.dead/events", true),
        ("/v1/metrics", false),
        ("/v1/apps/bird/revisions/1", false),
    ] {
        let text = control(node, path);
        assert_eq!(text.contains("[secret SONG]"), reached, "{path}: {text}");
        told.push(text);
    }
    for text in &told {
        assert_eq!(sings(text.as_bytes()), None, "{text}");
    }
}

/// Stops the node, and looks through everything that it has written, in its last moment too.
fn nothing_written(node: Node, exported: &Mutex<Vec<u8>>) -> TempDir {
    let Node { serving, home } = node;
    serving.signal("TERM");
    assert_eq!(serving.wait().0, 0);
    let mut searched = 0;
    for file in files(&home.path().join("data")) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        assert_eq!(sings(&bytes), None, "{}", file.display());
        searched += bytes.len();
    }
    assert!(searched > 10_000, "{searched}");
    let exported = exported.lock().unwrap();
    assert!(exported.len() > 1000 && sings(&exported).is_none(), "{} bytes are exported", exported.len());
    let tail = std::fs::read(home.path().join("stderr.log")).unwrap();
    assert_eq!(sings(&tail), None, "{}", String::from_utf8_lossy(&tail));
    home
}

#[test]
fn a_canary_is_found_in_nothing_that_the_node_writes() {
    let (port, exported) = collector();
    let otlp = format!("http://127.0.0.1:{port}");
    let node = Node::start_with(&["--otlp", &otlp, "--dashboard", "none"]);
    let home = node.home.path();
    write(
        home,
        &[
            ("bird/hob.toml", MANIFEST.as_bytes()),
            ("bird/sing.py", SING.as_bytes()),
            ("song", format!("{CANARY}\n").as_bytes()),
            ("second", SECOND.as_bytes()),
            ("broken", format!("broken-{CANARY}").as_bytes()),
        ],
    );
    // A deploy names what is missing, and does nothing.
    let refused = node.hob(&["deploy", "bird"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("HOB-0730") && refused.stderr.contains("hob secret set bird SONG"));
    node.ok(&["secret", "set", "bird", "SONG", "--from-file", "song"]);
    node.ok(&["deploy", "bird"]);

    assert_eq!(get(&node.serving, "/which"), (200, "canary".into()), "it has its secret");
    assert_eq!(get(&node.serving, "/deaf").1.trim(), "deaf nothing", "others do not");
    let (status, said) = get(&node.serving, &format!("/sing/{}?song={CANARY}", CANARY.replace('/', "%2F")));
    assert_eq!(status, 500);
    assert!(said.contains(CANARY), "its callers are its own matter: {said}");
    node.ok(&["send", "tree", "{}", "--type", "wind"]);
    let letters = eventually("the event is given up", || {
        let outcome = node.hob(&["dlq", "ls", "tree.dead", "-o", "json"]);
        (outcome.code == 0 && outcome.stdout.contains("wind")).then_some(outcome.stdout)
    });

    // A value with which it does not start changes nothing, and what it said is told without the value.
    let broken = node.hob(&["secret", "rotate", "bird", "SONG", "--from-file", "broken"]);
    assert_ne!(broken.code, 0);
    assert!(broken.stderr.contains("HOB-0308") || broken.stderr.contains("HOB-0307"), "{}", broken.stderr);
    assert_eq!(get(&node.serving, "/which").1, "canary", "what ran goes on");

    // Another value reaches it without a deploy and without a lost request.
    let calling = rotated_under_calls(&node);
    assert!(calling.iter().all(|(status, _)| *status == 200), "{calling:?}");
    assert_eq!(get(&node.serving, "/which").1, "second", "calls after it have the new one");
    let revision = node.ok(&["show", "bird"]);
    assert!(revision.contains('1') && !revision.contains("revision 2"), "no deploy: {revision}");
    get(&node.serving, "/sing");

    nothing_told(&node, vec![letters, broken.stderr, broken.stdout, node.log()]);
    let home = nothing_written(node, &exported);
    // The next life opens them with the key of the data folder, and none without it.
    std::fs::rename(home.path().join("data/secret-keys"), home.path().join("keys")).unwrap();
    let without =
        hob(home.path(), &["serve", "--data", "data", "--http", "127.0.0.1:0", "--dashboard", "none"]);
    assert_eq!(without.code, 7, "{}", without.stderr);
    assert!(without.stderr.contains("HOB-0733"), "{}", without.stderr);
    let given = ["serve", "--data", "data", "--dashboard", "none", "--secret-key-file", "keys"];
    let node = Node { serving: Serving::start(home.path(), &given), home };
    assert_eq!(get(&node.serving, "/which").1, "second");
    node.ok(&["secret", "rotate", "bird", "SONG", "--to", "1"]);
    assert_eq!(get(&node.serving, "/which").1, "canary", "an older version is there");
    let in_use = node.hob(&["secret", "rm", "bird", "SONG"]);
    assert_eq!(in_use.code, 5, "{}", in_use.stderr);
}

/// The answer to a `GET` of the control API.
fn control(node: &Node, path: &str) -> String {
    let socket = node.home.path().join("data/control.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(super::support::PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let (status, body) = answer(&mut stream);
    assert_eq!(status, 200, "{path}: {body}");
    body
}
