//! A node that has no file descriptor left: who is served goes on, others wait or are told why, and all is well afterwards.

use super::support::{Node, PATIENCE, Serving, answer, command, eventually, write};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

const MANIFEST: &str = r#"app = "files"

[functions.page]
run = "page.wasm"
route = "/page"

[functions.wait]
run = "wait.sh"
contract = "stdio"
route = "/wait"
env = { FOLDER = "<folder>" }
scale = { max = 200 }
"#;

const WAIT: &[u8] = br#"#!/bin/sh
: > "$FOLDER/runs.$$"
while [ ! -e "$FOLDER/go" ]; do sleep 0.05; done
echo done
"#;

/// Descriptors that the node may have. It needs some fifty for itself, and six for a program and its call.
const FILES: u32 = 200;
/// Calls whose programs need more than that.
const CALLS: usize = 60;
/// Connections without a request: more than there is room for.
const IDLE: usize = 200;

fn connect(node: &Node) -> TcpStream {
    let stream = TcpStream::connect(node.serving.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Asks for the page on a connection that stays open; the head of the answer, whose body is read too.
fn page(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET /page HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let (mut text, mut part) = (String::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut part).unwrap();
        assert!(read > 0, "closed after `{text}`");
        text.push_str(&String::from_utf8_lossy(&part[..read]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.to_ascii_lowercase().split("content-length: ").nth(1).map(|rest| {
                rest.lines().next().and_then(|digits| digits.trim().parse::<usize>().ok()).unwrap()
            });
        if length.map_or_else(|| body.ends_with("0\r\n\r\n"), |length| body.len() >= length) {
            return head.to_owned();
        }
    }
}

#[test]
fn a_node_without_descriptors_serves_on_and_says_what_is_wrong() {
    let home = tempfile::tempdir().unwrap();
    let hob = command(home.path()).get_program().to_owned();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("ulimit -n {FILES}; exec \"$0\" \"$@\"")])
        .arg(hob)
        .args(["serve", "--data", "data", "--walls", "off"]);
    shell.current_dir(home.path()).env("HOME", home.path()).env("XDG_CACHE_HOME", home.path().join("cache"));
    let node = Node { serving: Serving::by(&mut shell, home.path()), home };
    let folder = node.home.path().to_owned();
    let manifest = MANIFEST.replace("<folder>", folder.to_str().unwrap());
    let component = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/hello/rust/hello.wasm");
    let page_of = std::fs::read(component).unwrap();
    let files: &[(&str, &[u8])] =
        &[("files/hob.toml", manifest.as_bytes()), ("files/page.wasm", &page_of), ("files/wait.sh", WAIT)];
    write(&folder, files);
    node.ok(&["deploy", "files"]);

    let mut kept = connect(&node);
    assert!(page(&mut kept).starts_with("HTTP/1.1 200"));
    let mut calls: Vec<TcpStream> = (0..CALLS).map(|_| connect(&node)).collect();
    for call in &mut calls {
        call.write_all(b"GET /wait HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    }
    let runs = || {
        let entries = std::fs::read_dir(&folder).unwrap().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("runs.")).count()
    };
    let is_answered = |call: &TcpStream| {
        call.set_nonblocking(true).unwrap();
        let answered = call.peek(&mut [0]).is_ok();
        call.set_nonblocking(false).unwrap();
        answered
    };
    eventually("every call runs or was refused", || {
        let answered = calls.iter().filter(|call| is_answered(call)).count();
        (answered > 0 && runs() > 0 && runs() + answered >= CALLS).then_some(())
    });
    let idle: Vec<TcpStream> = (0..IDLE).map(|_| connect(&node)).collect();
    let log = || std::fs::read_to_string(folder.join("stderr.log")).unwrap();
    eventually("it says that it takes no connections", || {
        log().contains("cannot accept connections").then_some(())
    });
    assert!(page(&mut kept).starts_with("HTTP/1.1 200"), "a guest needs no descriptor");

    write(&folder, &[("go", b"")]);
    let answers: Vec<(u16, String)> = calls.iter_mut().map(answer).collect();
    let well = answers.iter().filter(|(status, body)| *status == 200 && body.trim() == "done").count();
    let refused = answers.iter().filter(|(status, body)| *status == 503 && body.contains("HOB-0903")).count();
    assert!(well > 0 && refused > 0 && well + refused == CALLS, "{answers:?}");
    drop(idle);
    assert_eq!(node.serving.get("/wait"), (200, "done\n".to_owned()), "{}", log());
}
