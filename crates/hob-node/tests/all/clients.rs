//! Clients that take too much or are too slow: each meets a named limit, is counted, and harms nobody else.

use crate::support::{App, PATIENCE, TestNode, node, raw, with_entrances};
use futures_util::future::join_all;
use hob_core::limit::{FAULT_PAUSE, FAULT_WAIT_MAX, FAULTS_FREE};
use hob_node::Clients;
use std::net::SocketAddr;
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

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const END_STREAM_AND_HEADERS: u8 = 5;
const CANCEL: [u8; 4] = [0, 0, 0, 8];
/// Settings with an initial window of no bytes (RFC 9113, 6.5.2).
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];
/// And with one of a single byte.
const BYTE_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 1];

/// HPACK: a method of the static table, http, a path and `:authority: desk.localhost` (RFC 7541, 6.1 and 6.2.1).
fn head(method: u8, path: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![method, 0x86, 0x04], text(path), vec![0x01], text("desk.localhost")].concat()
}

const GET_METHOD: u8 = 0x82;
const POST_METHOD: u8 = 0x83;

/// A client of HTTP/2 that says `settings`, then `flood`, and reads to the end; the kinds of the frames it got.
async fn flood(at: SocketAddr, settings: &[u8], flood: &[u8]) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, settings));
    bytes.extend(flood);
    let mut stream = TcpStream::connect(at).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut got = Vec::new();
    let writes = async {
        // The node may end it before everything is written.
        let _ = writer.write_all(&bytes).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        read = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut got)) => drop(read.expect("an end")),
        () = writes => {}
    }
    let (mut rest, mut kinds) = (got.as_slice(), Vec::new());
    while let [a, b, c, kind, more @ ..] = rest {
        kinds.push(*kind);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        rest = more.get(5 + length..).unwrap_or_default();
    }
    kinds
}

/// Each flood ends its own connection, and whoever else is there is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_http2_ends_its_connection_only() {
    let get = head(GET_METHOD, "/nobody");
    let post = head(POST_METHOD, "/echo");
    let streams = |count: u32| (0..count).map(|number| 2 * number + 1);
    // CVE-2023-44487: streams that are opened and reset at once.
    let resets: Vec<u8> = streams(2000)
        .flat_map(|stream| {
            [frame(HEADERS, END_STREAM_AND_HEADERS, stream, &get), frame(RST_STREAM, 0, stream, &CANCEL)]
                .concat()
        })
        .collect();
    // CVE-2025-8671: streams that the node has to reset, since their window is made too large.
    let made: Vec<u8> = streams(2000)
        .flat_map(|stream| {
            let open = frame(HEADERS, END_HEADERS, stream, &post);
            [open, frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat()
        })
        .collect();
    // CVE-2024-27316: a head that never ends.
    let mut continued = frame(HEADERS, END_STREAM, 1, &get);
    let field = [&[0, 1, b'x', 127, 0x81, 0x7d][..], &[b'y'; 16_000]].concat();
    (0..2000).for_each(|_| continued.extend(frame(CONTINUATION, 0, 1, &field)));
    let mut nothing = frame(HEADERS, END_STREAM, 1, &get);
    (0..100_000).for_each(|_| nothing.extend(frame(CONTINUATION, 0, 1, &[])));
    // A field of 4 KiB in the table, and then named by one byte as often as a frame has room (RFC 7541, 7.3).
    let mut bomb = [&get[..], &[0x40, 1, b'x', 127, 0x81, 0x1e][..], &[b'y'; 4000]].concat();
    bomb.extend([0xbe; 12_000]);
    let bomb: Vec<u8> =
        streams(50).flat_map(|stream| frame(HEADERS, END_STREAM_AND_HEADERS, stream, &bomb)).collect();
    let mut empty = frame(HEADERS, END_HEADERS, 1, &post);
    (0..100_000).for_each(|_| empty.extend(frame(DATA, 0, 1, &[])));
    let pings = frame(PING, 0, 0, &[7; 8]).repeat(100_000);
    let settings = frame(SETTINGS, 0, 0, &NO_WINDOW).repeat(100_000);
    let short = Clients {
        header_timeout: Duration::from_millis(200),
        body_idle: Duration::from_millis(200),
        ..Clients::default()
    };
    let node = limited(short).await;
    let bad = frame(PING, 0, 1, &[0; 8]);
    for (what, bytes, ends) in [
        ("rapid reset", resets, true),
        ("made resets", made, true),
        ("a head without end", continued, true),
        ("a head without end and bytes", nothing, true),
        ("a head that unpacks", bomb, false),
        ("empty data", empty, true),
        ("pings", pings, true),
        ("settings", settings, true),
    ] {
        // What ends by no limit is ended by a frame that is wrong, so that all of it has been read by then.
        let bytes = if ends { bytes } else { [bytes, bad.clone()].concat() };
        let kinds = flood(node.address, &[], &bytes).await;
        let weighed = matches!(what, "empty data" | "pings" | "settings");
        assert!(kinds.is_empty() || weighed || kinds.contains(&GOAWAY), "{what}: {kinds:?}");
        let answer = node.send("POST", "desk.localhost/echo", &[], "still there").await;
        assert_eq!(answer.body, "still there", "{what}");
    }
}

/// So it is at the node's own entrances that speak HTTP/2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_ends_at_the_nodes_own_entrances_too() {
    let (_node, [_, entrances @ ..]) = with_entrances().await;
    for (entrance, address) in entrances {
        for frames in [frame(PING, 0, 0, &[7; 8]), frame(SETTINGS, 0, 0, &NO_WINDOW)] {
            flood(address, &[], &frames.repeat(100_000)).await;
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 "), "{entrance}");
    }
}

/// Whose connections break the protocol again and again waits with the next ones; what he says in HTTP/1.1 is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_floods_again_and_again_waits_with_the_next_connection() {
    let node = limited(Clients::default()).await;
    let bad = frame(PING, 0, 1, &[0; 8]);
    // It takes many seconds until so many are forgotten.
    let faults = 5 * FAULTS_FREE;
    join_all((0..faults).map(|_| flood(node.address, &[], &bad))).await;
    until(&node, "hob_http2_faults_total", f64::from(faults)).await;
    // More than may wait.
    let mut waiting = Vec::new();
    for _ in 0..2 * FAULT_WAIT_MAX.as_millis() / FAULT_PAUSE.as_millis() {
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        waiting.push(stream);
    }
    until(&node, "hob_connections_refused_total{limit=\"http2-faults\"}", 1.0).await;
    assert_eq!(node.send("POST", "desk.localhost/echo", &[], "still there").await.body, "still there");
}

/// A stream without a window is an answer that nobody takes, which no socket tells of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_opens_no_window_loses_the_connection() {
    let node = limited(Clients { body_idle: Duration::from_millis(100), ..Clients::default() }).await;
    // Of an answer that ends, with a window of one byte, hyper has given all away at once.
    for (window, path) in
        [(NO_WINDOW, "/much"), (NO_WINDOW, "/nobody"), (BYTE_WINDOW, "/much"), (BYTE_WINDOW, "/nobody")]
    {
        let kinds =
            flood(node.address, &window, &frame(HEADERS, END_STREAM_AND_HEADERS, 1, &head(GET_METHOD, path)))
                .await;
        assert_eq!(kinds.contains(&DATA), window == BYTE_WINDOW, "{path}: {kinds:?}");
    }
    until(&node, "hob_connections_refused_total{limit=\"client-bytes-per-second\"}", 4.0).await;
    assert_eq!(node.send("POST", "desk.localhost/echo", &[], "still there").await.body, "still there");
}
