//! A node that stops loses no request that it has taken.

use crate::support::{App, PATIENCE, has, node, python};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SLOW: &str = r#"
def handle(request):
    time.sleep(0.05)
    return 200, [], "done\n"
"#;

/// What clients have seen.
#[derive(Default)]
struct Tally {
    answered: AtomicU32,
    lost: AtomicU32,
    stop: AtomicBool,
}

/// Asks again and again on connections that it keeps, until nobody accepts any more.
async fn client(address: SocketAddr, tally: Arc<Tally>) {
    'connect: while let Ok(mut stream) = TcpStream::connect(address).await {
        loop {
            if tally.stop.load(Ordering::Relaxed) {
                return;
            }
            match ask(&mut stream).await {
                Some(answer) if answer.starts_with("HTTP/1.1 200 ") => {
                    tally.answered.fetch_add(1, Ordering::Relaxed);
                    if answer.contains("connection: close") {
                        continue 'connect;
                    }
                }
                _ => {
                    tally.lost.fetch_add(1, Ordering::Relaxed);
                    continue 'connect;
                }
            }
        }
    }
}

/// One request and its answer; the answer's body is one line.
async fn ask(stream: &mut TcpStream) -> Option<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: slow.localhost\r\n\r\n").await.ok()?;
    let mut got = Vec::new();
    while !got.ends_with(b"done\n") {
        if stream.read_buf(&mut got).await.ok()? == 0 {
            return None;
        }
    }
    String::from_utf8(got).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_under_load_loses_nothing() {
    if !has("python3", "stopping_under_load_loses_nothing") {
        return;
    }
    let node = node(|_| ()).await;
    let slow = python(SLOW);
    node.deployed(&App::new("slow").function("slow", "http", "python3", &slow, &["/*"])).await;
    let tally = Arc::new(Tally::default());
    let clients: Vec<_> = (0..8).map(|_| client(node.address, Arc::clone(&tally))).collect();
    let clients = futures_util::future::join_all(clients);
    let stop = async {
        while tally.answered.load(Ordering::Relaxed) < 50 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        node.node.stop().await;
        tally.stop.store(true, Ordering::Relaxed);
    };
    tokio::time::timeout(PATIENCE, async { tokio::join!(clients, stop) }).await.unwrap();
    assert_eq!(
        tally.lost.load(Ordering::Relaxed),
        0,
        "of {} requests",
        tally.answered.load(Ordering::Relaxed)
    );
}
