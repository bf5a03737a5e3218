//! Load tests against a server that can be told to stall.

use super::{Ask, Load, Plan, Target, share};
use crate::client::Endpoint;
use http::{HeaderMap, Method};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

/// How long the server stalls with the first request of all.
const STALL: Duration = Duration::from_millis(300);

/// A server that answers `GET`s without a body, and stalls once.
fn server() -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let fresh = Arc::new(AtomicBool::new(true));
    spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, fresh) = (stream.unwrap(), Arc::clone(&fresh));
            spawn(move || {
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                for line in lines.map_while(Result::ok) {
                    if line.is_empty() {
                        if fresh.swap(false, Ordering::SeqCst) {
                            sleep(STALL);
                        }
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
                    }
                }
            });
        }
    });
    let headers = HeaderMap::from_iter([(http::header::HOST, "a".parse().unwrap())]);
    Target { endpoint: Endpoint::Tcp(address), path: "/".parse().unwrap(), headers }
}

fn run(
    targets: Vec<Target>,
    connections: usize,
    requests: u64,
    rate: Option<f64>,
) -> Vec<super::tally::Tally> {
    let ask = Ask { method: Method::GET, body: bytes::Bytes::new() };
    let (threads, timeout) = (2, Duration::from_secs(60));
    let plan = Plan { targets, ask, connections, threads, requests: Some(requests), rate, timeout };
    let load = Load::start(plan).unwrap();
    while !load.is_over() {
        // The turns of two targets; the first one ends the warm-up.
        load.next_epoch();
        sleep(Duration::from_millis(20));
    }
    load.finish(true)
}

#[test]
fn calls_are_exactly_as_many_as_were_asked_for() {
    let all = &run(vec![server()], 8, 100, None)[0];
    assert_eq!((all.all.count(), all.failed(), all.bytes), (100, 0, 200), "{:?}", all.errors);
    let both = run(vec![server(), server()], 2, 2000, None);
    let counts = [both[0].all.count(), both[1].all.count()];
    assert_eq!(counts.iter().sum::<u64>(), 2000);
    assert!(counts.iter().all(|count| *count > 0), "both have their turns: {counts:?}");
    assert_eq!([0, 1, 2].map(|place| share(8, 3, place)), [3, 3, 2]);
}

#[test]
fn calls_that_a_slow_answer_kept_from_being_made_count_from_when_they_were_due() {
    // 100 calls in a second on one connection: about 30 are due while the server stalls with the first.
    let open = &run(vec![server()], 1, 40, Some(100.0))[0];
    assert!(open.all.quantile(500) > Duration::from_millis(80), "{:?}", open.all.quantile(500));
    assert!(open.all.mean() > Duration::from_millis(50), "{:?}", open.all.mean());
}

#[test]
fn a_server_that_is_not_there_is_an_error_of_each_call() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let target = Target { endpoint: Endpoint::Tcp(gone), ..server() };
    let all = &run(vec![target], 1, 3, None)[0];
    assert_eq!((all.all.count(), all.failed()), (0, 3), "{:?}", all.errors);
    assert!(all.errors.keys().all(|what| what.starts_with("cannot connect: ")), "{:?}", all.errors);
}
