//! Bad input, through the real program: a clear message with the fix, a stable code, the right exit
//! code, and what was running goes on.

use super::support::{Node, answer, write};
use std::io::Write;
use std::os::unix::net::UnixStream;

/// The 64 bytes of an ELF header for a machine that this one surely is not (IBM S/370).
fn foreign_elf() -> Vec<u8> {
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(64, 0);
    header[16] = 2;
    header[18] = 9;
    header[20] = 1;
    header
}

/// A node with an app that answers `steady`.
fn steady() -> Node {
    let node = Node::start();
    let script: &[u8] = b"#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\nsteady'\n";
    write(
        node.home.path(),
        &[
            ("steady/hob.toml", b"[functions.steady]\nrun = \"steady.sh\"\ncontract = \"stdio\"\n"),
            ("steady/steady.sh", script),
        ],
    );
    node.ok(&["deploy", "steady"]);
    still_answers(&node, "before");
    node
}

fn still_answers(node: &Node, after: &str) {
    assert_eq!(node.ok(&["call", "steady/steady"]), "steady", "after {after}");
    let json: serde_json::Value = serde_json::from_str(&node.ok(&["show", "steady", "-o", "json"])).unwrap();
    assert_eq!(json["current"], 1, "after {after}");
}

struct Bad {
    /// Files besides the manifest.
    files: &'static [(&'static str, &'static [u8])],
    /// The manifest, below `app = "steady"`.
    manifest: &'static str,
    exit: i32,
    code: &'static str,
    /// What the message or its hint has to say.
    says: &'static str,
}

const BAD: &[Bad] = &[
    Bad { files: &[], manifest: "[functions.a\n", exit: 2, code: "HOB-0101", says: "hob.toml:2" },
    Bad { files: &[], manifest: "[functions.a]\nrun = \"x\"\ntimeuot = \"3s\"\n", exit: 2, code: "HOB-0102", says: "timeout" },
    Bad { files: &[], manifest: "[functions.a]\nrun = \"x\"\ntimeout = 3\n", exit: 2, code: "HOB-0103", says: "timeout = \"3s\"" },
    Bad { files: &[], manifest: "[functions.A_b]\nrun = \"x\"\n", exit: 2, code: "HOB-0104", says: "a-b" },
    Bad { files: &[("a.sh", b"#!/bin/sh\n")], manifest: "[functions.a]\nrun = \"a.sh\"\nroute = \"GET\"\n", exit: 2, code: "HOB-0105", says: "hob.toml:4" },
    Bad {
        files: &[("a.sh", b"#!/bin/sh\n")],
        manifest: "[functions.a]\nrun = \"a.sh\"\nroute = \"/x\"\n[functions.b]\nrun = \"a.sh\"\nroute = \"/x\"\n",
        exit: 5, code: "HOB-0106", says: "/x",
    },
    Bad { files: &[("a.txt", b"text")], manifest: "[functions.a]\nrun = \"a.txt\"\n", exit: 2, code: "HOB-0107", says: "a.txt" },
    Bad { files: &[], manifest: "[functions.a]\nrun = \"missing.wasm\"\n", exit: 3, code: "HOB-0108", says: "missing.wasm" },
    Bad { files: &[("a.sh", b"#!/bin/sh\n")], manifest: "[functions.a]\nrun = \"a.sh\"\ntimeout = \"48h\"\n", exit: 2, code: "HOB-0109", says: "24h" },
    Bad { files: &[], manifest: "[functions.a]\nrun = \"a.sh\"\nbuild = \"exit 3\"\n", exit: 1, code: "HOB-0206", says: "exit 3" },
    Bad { files: &[("a.wat", b"(component)")], manifest: "[functions.a]\nrun = \"a.wat\"\nhost = \"wasm\"\ncontract = \"wasi-http\"\n", exit: 1, code: "HOB-0301", says: "" },
    Bad {
        files: &[("a.wat", b"(module (import \"env\" \"nope\" (func)) (memory (export \"memory\") 1) (func (export \"_start\")))")],
        manifest: "[functions.a]\nrun = \"a.wat\"\n",
        exit: 1, code: "HOB-0302", says: "nope",
    },
    Bad { files: &[("a.wasm", b"\0asm\x01\0\0\0 this is no module")], manifest: "[functions.a]\nrun = \"a.wasm\"\nhost = \"wasm\"\ncontract = \"stdio\"\n", exit: 1, code: "HOB-0303", says: "" },
    Bad { files: &[], manifest: "[functions.a]\nrun = [\"no-such-program-here\"]\ncontract = \"stdio\"\n", exit: 3, code: "HOB-0306", says: "no-such-program-here" },
    Bad {
        files: &[],
        manifest: "[functions.a]\nrun = [\"sleep\", \"600\"]\ncontract = \"http\"\n[functions.a.http]\nstart-timeout = \"300ms\"\n",
        exit: 1, code: "HOB-0307", says: "PORT",
    },
    Bad { files: &[], manifest: "[functions.a]\nrun = [\"sh\", \"-c\", \"exit 3\"]\ncontract = \"http\"\n", exit: 1, code: "HOB-0308", says: "3" },
];

#[test]
fn a_bad_deploy_says_why_and_changes_nothing() {
    let node = steady();
    for (number, bad) in BAD.iter().enumerate() {
        let dir = format!("bad-{number}");
        let manifest = format!("app = \"steady\"\n{}", bad.manifest);
        write(&node.home.path().join(&dir), bad.files);
        write(&node.home.path().join(&dir), &[("hob.toml", manifest.as_bytes())]);
        check(&node, &dir, bad.exit, bad.code, bad.says);
    }
}

#[test]
fn a_binary_of_another_machine_is_refused() {
    let node = steady();
    write(
        &node.home.path().join("foreign"),
        &[("hob.toml", b"app = \"steady\"\n[functions.a]\nrun = \"a\"\n"), ("a", &foreign_elf())],
    );
    check(&node, "foreign", 1, "HOB-0305", "");
}

fn check(node: &Node, dir: &str, exit: i32, code: &str, says: &str) {
    let outcome = node.hob(&["deploy", dir]);
    let stderr = &outcome.stderr;
    assert!(
        stderr.contains(&format!("error[{code}]: ")),
        "{dir}: {code} expected\n{stderr}{}",
        outcome.stdout
    );
    assert!(stderr.contains(says), "{dir}: {code} should say `{says}`\n{stderr}");
    assert!(stderr.contains("  hint: "), "{dir}: {code} should say what to do\n{stderr}");
    assert_eq!(outcome.code, exit, "{dir}\n{stderr}");
    still_answers(node, code);
}

#[test]
fn the_same_content_twice_is_one_revision() {
    let node = steady();
    let again = node.ok(&["deploy", "steady"]);
    assert!(again.contains("steady is at revision 1 already: nothing has changed"), "{again}");
    still_answers(&node, "the same deploy");
}

#[test]
fn a_bad_upload_leaves_nothing_behind() {
    let node = steady();
    let digest = format!("sha256:{}", "0".repeat(64));
    let send = |request: String, whole: bool| {
        let mut stream = UnixStream::connect(node.home.path().join("data/control.sock")).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        if !whole {
            stream.shutdown(std::net::Shutdown::Write).unwrap();
        }
        answer(&mut stream)
    };
    let put = |length: usize| {
        format!(
            "PUT /v1/artifacts/{digest} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\nhello"
        )
    };
    let (status, body) = send(put(5), true);
    assert_eq!((status, body.contains("HOB-0202")), (400, true), "wrong digest: {body}");
    let (status, body) = send(put(500), false);
    assert!(status == 400 || body.is_empty(), "truncated: {status} {body}");
    let ask = format!("{{\"digests\":[\"{digest}\"]}}");
    let (status, body) = send(
        format!(
            "POST /v1/artifacts/missing HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ask}",
            ask.len()
        ),
        true,
    );
    assert_eq!((status, body.contains(&digest)), (200, true), "nothing was stored: {body}");
    still_answers(&node, "bad uploads");
}

#[test]
fn hostile_requests_are_refused_and_the_next_one_is_served() {
    let node = steady();
    let long = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "a".repeat(65 << 10));
    let huge =
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10737418240\r\nconnection: close\r\n\r\n";
    let both = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    for (what, request, status) in
        [("64 KiB of headers", long.as_str(), 431), ("10 GiB", huge, 413), ("two lengths", both, 400)]
    {
        assert_eq!(node.serving.send(request).0, status, "{what}");
        still_answers(&node, what);
    }
}
