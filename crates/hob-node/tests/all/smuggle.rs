//! Requests that two programs could read in two ways: what the function sees is what the gateway answered.
//!
//! **How.** `smuggle/payloads.txt` holds bytes, in the manner of http-garden. Each goes to a real gateway with a request
//! behind it on the same connection; the function is a strict parser of its own (`smuggle/echo.py`) that keeps what
//! it saw. A desync shows as a request that nobody sent (`/smuggled`), as a follow-up with something in front of it,
//! or as bytes that are no request.

use crate::support::{App, Got, TestNode, exchange, has, node, raw};
use bytes::Bytes;
use hob_node::Clients;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PAYLOADS: &str = include_str!("smuggle/payloads.txt");
const ECHO: &str = include_str!("smuggle/echo.py");
/// What has to be tried at least.
const PAYLOADS_MIN: usize = 150;

async fn echo() -> TestNode {
    let node = node(|settings| {
        // A body that never comes is waited for in vain.
        settings.clients = Clients { body_idle: Duration::from_millis(300), ..Clients::default() };
    })
    .await;
    node.deployed(&App::new("echo").function("echo", "http", "python3", ECHO, &["/*"])).await;
    node
}

/// What the function has seen since it was asked last.
async fn seen(node: &TestNode) -> Vec<Value> {
    let stream = TcpStream::connect(node.address).await.unwrap();
    let got: Got =
        exchange(stream, "GET", "/log", &[("host", "echo.localhost")], Bytes::new()).await.unwrap();
    serde_json::from_str(&got.body).unwrap_or_else(|_| panic!("{got:?}"))
}

/// The bytes of a payload: escapes as in Rust, and `{text*3}`.
fn bytes_of(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        if first == '{' {
            let (repeated, tail) = after.split_once('}').unwrap();
            let (part, times) = repeated.rsplit_once('*').unwrap();
            out.extend(bytes_of(part).repeat(times.parse().unwrap()));
            rest = tail;
        } else if let Some(escaped) = after.chars().next().filter(|_| first == '\\') {
            let (byte, length) = match escaped {
                'r' => (b'\r', 1),
                'n' => (b'\n', 1),
                't' => (b'\t', 1),
                'x' => (u8::from_str_radix(&after[1..3], 16).unwrap(), 3),
                other => (u8::try_from(other).unwrap(), 1),
            };
            out.push(byte);
            rest = &after[length..];
        } else {
            out.extend(first.to_string().bytes());
            rest = after;
        }
    }
    out
}

/// Status and body of each answer on a connection.
fn answers(got: &str, head_only: bool) -> Vec<(u16, String)> {
    let (mut all, mut rest) = (Vec::new(), got);
    while let Some((head, body)) = rest.split_once("\r\n\r\n") {
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let interim = (100..200).contains(&status);
        let length = if interim || (head_only && all.is_empty()) { 0 } else { length.unwrap_or(0) };
        let Some((body, after)) = body.split_at_checked(length) else { break };
        if !interim {
            all.push((status, body.to_owned()));
        }
        rest = after;
    }
    all
}

/// What is wrong with the way in which a payload ended.
fn judge(
    expected: &str,
    number: usize,
    answers: &[(u16, String)],
    seen: &[Value],
) -> Result<(), &'static str> {
    let line = |entry: &Value| entry["line"].as_str().unwrap().to_owned();
    let after = format!("GET /after-{number} HTTP/1.1");
    let is_after = |entry: &&Value| line(entry) == after;
    if seen.iter().any(|entry| line(entry).contains("smuggled") || line(entry).starts_with("MALFORMED")) {
        return Err("the function saw what nobody sent");
    }
    let followed = seen.iter().filter(is_after).count();
    if seen.len() > followed + 1
        || followed > 1
        || seen.last().is_some_and(|last| followed == 1 && line(last) != after)
    {
        return Err("the function saw too many requests");
    }
    if seen.iter().filter(is_after).any(|entry| entry["body"] != 0) {
        return Err("the follow-up has a body");
    }
    let passed = answers.iter().filter(|(status, _)| *status == 200).count();
    let refused = answers.iter().filter(|(status, _)| *status >= 400).count();
    let whole = seen.iter().filter(|entry| !entry["body"].is_null()).count();
    if passed > whole || answers.len() > 2 {
        return Err("there are more answers than requests");
    }
    match expected {
        "R" if !seen.is_empty() || passed > 0 || refused > 1 => Err("it was not refused"),
        "B" if followed > 0 || passed > 1 || answers.len() > 1 => Err("the connection went on"),
        "P" if followed != 1 || passed != 2 => Err("it did not pass"),
        "R" | "B" | "P" | "A" => Ok(()),
        _ => Err("it has no known end"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_payload_makes_gateway_and_function_disagree() {
    if !has("python3", "no_payload_makes_gateway_and_function_disagree") {
        return;
    }
    let node = echo().await;
    let lines = PAYLOADS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut count, mut wrong) = (0, Vec::new());
    for (number, line) in lines.enumerate() {
        let [what, expected, payload] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let mut bytes = bytes_of(payload);
        let follow =
            format!("GET /after-{number} HTTP/1.1\r\nHost: echo.localhost\r\nConnection: close\r\n\r\n");
        bytes.extend(follow.bytes());
        let (got, closed) = raw(node.address, &bytes, None).await;
        assert!(closed);
        let answers = answers(&got, payload.starts_with("HEAD"));
        let seen = seen(&node).await;
        if let Err(why) = judge(expected, number, &answers, &seen) {
            let told: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
            wrong.push(format!("{what} ({expected}): {why}: {told:?}, {seen:?}"));
        }
        count += 1;
    }
    eprintln!("{count} payloads, {} desyncs", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= PAYLOADS_MIN);
    node.node.stop().await;
}

/// One HTTP/2 frame (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Literal fields that are not indexed (RFC 7541, 6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// Sends one stream and reads until it or the connection ends.
async fn stream_of(node: &TestNode, fields: &[(&str, &str)], body: Option<&str>) {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    let end = if body.is_none() { END_STREAM } else { 0 };
    bytes.extend(frame(HEADERS, END_HEADERS | end, 1, &block(fields)));
    if let Some(body) = body {
        bytes.extend(frame(DATA, END_STREAM, 1, body.as_bytes()));
    }
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let reading = async {
        let mut head = [0; 9];
        while stream.read_exact(&mut head).await.is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            if stream.read_exact(&mut payload).await.is_err() {
                return;
            }
            let (kind, ends) = (head[3], head[4] & END_STREAM != 0);
            if kind == RST_STREAM || kind == GOAWAY || (matches!(kind, DATA | HEADERS) && ends) {
                return;
            }
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, reading).await.expect("an end of the stream");
}

/// What must never be seen, and what could bring it about.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: echo.localhost\r\n\r\n";
const INJECT: &str = "x\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: echo.localhost\r\n\r\n";
const PATH: &str =
    "/first HTTP/1.1\r\nHost: echo.localhost\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: echo.localhost\r\n\r\n";
const METHOD: &str = "GET /smuggled HTTP/1.1\r\nHost: echo.localhost\r\n\r\nGET";

/// Fields of a stream, and its body.
type Stream = (Vec<(&'static str, &'static str)>, Option<&'static str>);

fn streams() -> Vec<Stream> {
    let base =
        [(":method", "POST"), (":scheme", "http"), (":authority", "echo.localhost"), (":path", "/first")];
    let changed = |name: &str, value| {
        base.map(|(known, old)| (known, if known == name { value } else { old })).to_vec()
    };
    let more = |fields: &[(&'static str, &'static str)]| [&base[..], fields].concat();
    let with = |name, value| [&base[..], &[(name, value)]].concat();
    vec![
        (
            more(&[("transfer-encoding", "chunked")]),
            Some("0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
        ),
        (more(&[("transfer-encoding", "chunked"), ("content-length", "5")]), Some("0\r\n\r\n")),
        (more(&[("content-length", "0")]), Some(SMUGGLED)),
        (more(&[("content-length", "5")]), Some(SMUGGLED)),
        (more(&[("content-length", "9999")]), Some(SMUGGLED)),
        (more(&[("content-length", "9999")]), None),
        (more(&[("content-length", "5"), ("content-length", "48")]), Some(SMUGGLED)),
        (more(&[("content-length", "5, 5")]), Some("hello")),
        (more(&[("content-length", "+5")]), Some("hello")),
        (more(&[("connection", "upgrade"), ("upgrade", "h2c")]), None),
        (more(&[("connection", "content-length"), ("content-length", "48")]), Some(SMUGGLED)),
        (more(&[("te", "chunked")]), Some(SMUGGLED)),
        (more(&[("host", "evil")]), None),
        (more(&[("host", "echo.localhost"), ("host", "evil")]), None),
        (more(&[("Host", "evil")]), None),
        (more(&[("x: y\r\ntransfer-encoding", "chunked")]), Some("0\r\n\r\n")),
        (more(&[("x y", "z")]), None),
        (more(&[("x:", "z")]), None),
        (more(&[("", "z")]), None),
        (more(&[(":path", "/smuggled")]), None),
        (more(&[(":unknown", "x")]), None),
        (more(&[("x", "\0")]), None),
        (with("x", INJECT), None),
        (with("cookie", INJECT), None),
        (with("user-agent", "x\ny: z"), None),
        (with("user-agent", "x\ry: z"), None),
        (changed(":path", PATH), None),
        (changed(":path", "/first evil"), None),
        (changed(":path", "first"), None),
        (changed(":path", ""), None),
        (changed(":method", METHOD), None),
        (changed(":method", "GET /smuggled"), None),
        (changed(":authority", "evil\r\nx: y"), None),
        (changed(":authority", "echo.localhost/smuggled?"), None),
        (changed(":authority", "evil@echo.localhost"), None),
        (changed(":scheme", "http://echo.localhost/smuggled?x="), None),
        (base[1..].to_vec(), None),
        (base[..3].to_vec(), None),
    ]
}

/// What HTTP/2 can carry and HTTP/1.1 cannot is refused, or arrives as one request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_of_http2_becomes_two_requests() {
    if !has("python3", "no_stream_of_http2_becomes_two_requests") {
        return;
    }
    let node = echo().await;
    for (number, (fields, body)) in streams().iter().enumerate() {
        stream_of(&node, fields, *body).await;
        assert_eq!(node.get(&format!("echo.localhost/after-{number}")).await.status, 200);
        let seen = seen(&node).await;
        let lines: Vec<&str> = seen.iter().map(|entry| entry["line"].as_str().unwrap()).collect();
        // A stream that was reset may still be on its way while the next request is answered.
        let after = format!("GET /after-{number} HTTP/1.1");
        let good = |line: &&str| line.contains(" /first") && !line.contains("smuggled");
        let clean = lines.iter().filter(|line| **line != after).all(good);
        assert!(clean && lines.iter().filter(|line| **line == after).count() == 1, "{fields:?}: {seen:?}");
        for entry in &seen {
            let names = entry["names"].to_string();
            assert!(!names.contains("\"upgrade\"") && !names.contains("evil"), "{fields:?}: {names}");
        }
    }
    node.node.stop().await;
}
