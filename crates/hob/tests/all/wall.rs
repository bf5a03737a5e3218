//! WASM in worker processes, in whole nodes: one for each space, and none while there is one space.

use super::support::{Node, eventually, write};
use std::fs;
use std::process::Command;

const MANIFEST: &str = "[functions.main]
run = \"main.js\"
route = \"/\"

[functions.other]
run = \"other.wasm\"
private = true
";
/// Says hello, gives bodies back as they come, and calls another function by its name.
const MAIN: &str = "export default {
    async fetch(request) {
        const { pathname, host } = new URL(request.url);
        if (pathname === '/echo') return new Response(request.body);
        if (pathname === '/call') return fetch('http://other.walled.internal/');
        return new Response('hello');
    }
}";

/// The workers of a node, by their processes. A spare one belongs to nobody.
fn workers(node: &Node) -> Vec<u32> {
    let parent = node.serving.pid().to_string();
    let of = |entry: fs::DirEntry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let mut words = stat.rsplit_once(')')?.1.split_whitespace();
        let (state, its_parent) = (words.next()?, words.next()?);
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let is_worker = command.split(|byte| *byte == 0).nth(1).is_some_and(|word| word == b"__worker");
        (state != "Z" && its_parent == parent && is_worker).then_some(pid)
    };
    fs::read_dir("/proc").unwrap().flatten().filter_map(of).collect()
}

fn ask(node: &Node, host: &str, path: &str, body: &str) -> (u16, String) {
    let length = body.len();
    node.serving.send(&format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))
}

fn deploy(node: &Node, more: &[&str]) {
    let other = include_bytes!("../../../hob-runtime/tests/guests/built/hello-rust-p2-unknown.wasm");
    write(
        node.home.path(),
        &[
            ("walled/hob.toml", MANIFEST.replace("route = \"/\"", "route = \"/*\"").as_bytes()),
            ("walled/main.js", MAIN.as_bytes()),
            ("walled/other.wasm", other),
        ],
    );
    node.ok(&[&["deploy", "walled"], more].concat());
}

/// Everything that a function does for its callers crosses the wall, and a worker's death does not.
fn works(node: &Node, host: &str) {
    let body = "0123456789abcdef".repeat(64 << 10);
    assert_eq!(ask(node, host, "/", ""), (200, "hello".to_owned()), "{}", node.log());
    let (status, echoed) = ask(node, host, "/echo", &body);
    assert!(status == 200 && echoed == body, "{status}, {} bytes of {}", echoed.len(), body.len());
    let (status, said) = ask(node, host, "/call", "");
    assert!(status == 200 && said.to_lowercase().contains("hello"), "{status} {said}\n{}", node.log());
}

#[test]
fn functions_of_a_space_run_in_its_worker() {
    let node = Node::start_with(&["--wasm", "worker"]);
    deploy(&node, &[]);
    works(&node, "walled.localhost");
    for worker in workers(&node) {
        let killed = Command::new("kill").args(["-KILL", &worker.to_string()]).status();
        assert!(killed.unwrap().success());
        eventually("the worker is gone", || (!workers(&node).contains(&worker)).then_some(()));
    }
    // The node learns of it as the kernel does.
    eventually("another worker serves", || (ask(&node, "walled.localhost", "/", "").0 == 200).then_some(()));
    works(&node, "walled.localhost");
    let workers = workers(&node);
    assert!(!workers.is_empty());
    let Node { serving, home: _home } = node;
    serving.signal("KILL");
    serving.wait();
    // Nobody is left behind.
    for worker in workers {
        let gone = || {
            let stat = fs::read_to_string(format!("/proc/{worker}/stat")).unwrap_or_default();
            let state = stat.rsplit_once(')').map_or("Z", |(_, rest)| rest.trim_start());
            state.starts_with('Z').then_some(())
        };
        eventually("a worker ends with its node", gone);
    }
}

#[test]
fn one_space_needs_no_worker_and_several_have_one_each() {
    let node = Node::start();
    deploy(&node, &[]);
    works(&node, "walled.localhost");
    assert_eq!(workers(&node), Vec::<u32>::new());
    node.ok(&["space", "create", "team"]);
    deploy(&node, &["--space", "team"]);
    works(&node, "walled.team.localhost");
    // The first space's next instances are in a worker, too.
    works(&node, "walled.localhost");
    eventually("each space has a worker", || (workers(&node).len() >= 2).then_some(()));
}
