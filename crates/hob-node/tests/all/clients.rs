//! Clients that take too much or are too slow: each meets a named limit, is counted, and harms nobody else.

use crate::support::{App, PATIENCE, TestNode, node, raw};
use hob_node::Clients;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const GET: &[u8] = b"GET /nobody HTTP/1.1\r\nHost: nobody\r\n\r\n";

/// A client that has been answered, and keeps its connection.
async fn client(node: &TestNode) -> TcpStream {
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    stream.write_all(GET).await.unwrap();
    assert_eq!(answer(&mut stream).await, "HTTP/1.1 404");
    stream
}

/// The first words of an answer; empty when the connection ends.
async fn answer(stream: &mut TcpStream) -> String {
    let mut got = vec![0; 64 << 10];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut got)).await.expect("an answer or an end");
    let text = String::from_utf8_lossy(&got[..read.unwrap_or(0)]).into_owned();
    text.split_inclusive(' ').take(2).collect::<String>().trim().to_owned()
}

/// The value of a series of the node's metrics.
async fn metric(node: &TestNode, series: &str) -> f64 {
    let text = node.control("GET", "/v1/metrics", "").await.body;
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no `{series}` in {text}"))
}

async fn until(node: &TestNode, series: &str, least: f64) {
    let until = Instant::now() + PATIENCE;
    while metric(node, series).await < least {
        assert!(Instant::now() < until, "`{series}` does not come to {least}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn limited(clients: Clients) -> TestNode {
    let app = App::new("desk").function("echo", "stdio", "sh", "cat", &["/echo"]).function(
        "much",
        "stdio",
        "sh",
        "head -c 200000000 /dev/zero",
        &["/much"],
    );
    let node = node(|settings| settings.clients = clients).await;
    node.deployed(&app).await;
    node
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_gets_its_share_of_the_connections_and_no_more() {
    let node = node(|settings| settings.clients.connections_per_client = 2).await;
    let kept = [client(&node).await, client(&node).await];
    let mut third = TcpStream::connect(node.address).await.unwrap();
    // It may be closed before or after it has written.
    let _ = third.write_all(GET).await;
    assert_eq!(answer(&mut third).await, "");
    assert_eq!(metric(&node, "hob_connections_refused_total{limit=\"connections-per-client\"}").await, 1.0);
    assert_eq!(metric(&node, "hob_connections").await, 2.0);
    drop(kept);
    let until = Instant::now() + PATIENCE;
    loop {
        let mut again = TcpStream::connect(node.address).await.unwrap();
        let _ = again.write_all(GET).await;
        if answer(&mut again).await == "HTTP/1.1 404" {
            break;
        }
        assert!(Instant::now() < until, "a place does not become free");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_above_the_limit_waits_and_is_counted() {
    let node = node(|settings| settings.clients.connections = 2).await;
    let kept = [client(&node).await, client(&node).await];
    let mut third = TcpStream::connect(node.address).await.unwrap();
    third.write_all(GET).await.unwrap();
    until(&node, "hob_connections_full_total", 1.0).await;
    drop(kept);
    assert_eq!(answer(&mut third).await, "HTTP/1.1 404");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_told_so_and_let_go() {
    let short = Clients {
        header_timeout: Duration::from_millis(100),
        body_idle: Duration::from_millis(200),
        ..Clients::default()
    };
    let node = limited(short).await;
    // Says nothing, stops in its head, stops in its body.
    assert_eq!(raw(node.address, b"", None).await, (String::new(), true));
    assert!(metric(&node, "hob_connections_refused_total{limit=\"header-timeout\"}").await >= 1.0);
    for (bytes, status) in [
        ("GET /echo HTTP/1.1\r\nHos", "HTTP/1.1 408"),
        ("POST /echo HTTP/1.1\r\nHost: desk.localhost\r\nContent-Length: 9\r\n\r\nhalf", "HTTP/1.1 408"),
    ] {
        let (got, closed) = raw(node.address, bytes.as_bytes(), Some("HOB-")).await;
        assert!(got.starts_with(status), "{bytes}: {got}, {closed}");
    }
    // Is never silent for long, but slower than may be.
    let rate = Clients { bytes_per_second: 1 << 20, ..short };
    let node = limited(rate).await;
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    stream
        .write_all(b"POST /echo HTTP/1.1\r\nHost: desk.localhost\r\nContent-Length: 99999\r\n\r\n")
        .await
        .unwrap();
    let (mut reader, mut writer) = stream.split();
    let drip = async {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut got = [0; 12];
    tokio::select! {
        read = tokio::time::timeout(PATIENCE, reader.read_exact(&mut got)) => drop(read.unwrap().unwrap()),
        () = drip => {}
    }
    assert_eq!(&got, b"HTTP/1.1 408");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_of_an_answer_loses_the_connection() {
    let node = limited(Clients { body_idle: Duration::from_millis(100), ..Clients::default() }).await;
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    stream.write_all(b"GET /much HTTP/1.1\r\nHost: desk.localhost\r\n\r\n").await.unwrap();
    until(&node, "hob_connections_refused_total{limit=\"client-bytes-per-second\"}", 1.0).await;
    until(&node, "hob_accept_failures_total", 0.0).await;
    assert_eq!(node.send("POST", "desk.localhost/echo", &[], "still there").await.body, "still there");
}

/// One HTTP/2 frame (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// CVE-2023-44487: streams that are opened and reset at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_reset_streams_ends_its_connection_only() {
    const SETTINGS: u8 = 4;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const GOAWAY: u8 = 7;
    const END_STREAM_AND_HEADERS: u8 = 5;
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    let node = limited(Clients::default()).await;
    // HPACK: GET, http, `/`, and `:authority: x` (RFC 7541, 6.1 and 6.2.1).
    let head = [0x82, 0x86, 0x84, 0x41, 1, b'x'];
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    for stream in (1..4000).step_by(2) {
        bytes.extend(frame(HEADERS, END_STREAM_AND_HEADERS, stream, &head));
        bytes.extend(frame(RST_STREAM, 0, stream, &CANCEL));
    }
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    // The node may end it before everything is written.
    let _ = stream.write_all(&bytes).await;
    let mut got = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut got)).await.expect("an end");
    let mut rest = got.as_slice();
    let mut kinds = Vec::new();
    while let [a, b, c, kind, more @ ..] = rest {
        kinds.push(*kind);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        rest = more.get(5 + length..).unwrap_or_default();
    }
    assert!(kinds.contains(&GOAWAY) || got.is_empty(), "{kinds:?}");
    assert_eq!(node.send("POST", "desk.localhost/echo", &[], "still there").await.body, "still there");
}
