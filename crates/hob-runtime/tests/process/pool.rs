//! Pools of real processes: waiting, scaling to zero, limits, and sharing an instance.

use crate::support::{Bench, eventually, get, invocation, post, python, runs, send, shown};
use bytes::Bytes;
use hob_core::fault::Fault;
use hob_core::limit::CALL_START_MAX;
use hob_runtime::body::empty;
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SERVER: &str = include_str!("guest/server.py");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_on_a_cold_function_waits_and_is_answered() {
    if !python() {
        return;
    }
    let bench = Bench::open();
    let pool = bench
        .server(SERVER, |spec| {
            (spec.scale.max, spec.scale.concurrency) = (2, 1);
        })
        .await;
    let outcomes = futures_util::future::join_all((0..200).map(|_| get(&pool, "/hello"))).await;
    for outcome in outcomes {
        assert_eq!(shown(&outcome), "200 GET /hello");
    }
    let stats = pool.stats();
    assert_eq!((stats.calls, stats.failures, stats.running, stats.waiting), (200, 0, 0, 0));
    assert!((1..=2).contains(&stats.starts), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_instance_stops_and_a_shared_one_survives_a_time_out() {
    if !python() {
        return;
    }
    let bench = Bench::bare();
    let pool = bench
        .server(SERVER, |spec| {
            (spec.timeout_ms, spec.scale.idle_ms) = (2000, 700);
        })
        .await;
    pool.first_instance().await.unwrap();
    let (_, first) = get(&pool, "/pid").await.unwrap();
    let (late, same) = tokio::join!(get(&pool, "/slow"), get(&pool, "/pid"));
    assert_eq!((shown(&late).as_str(), same.unwrap().1), ("HOB-0501", first.clone()));
    assert!(runs(&first), "a time-out of one call does not end the instance of the others");
    eventually("back to zero", || pool.stats().instances == 0).await;
    eventually("the process is gone", || !runs(&first)).await;
    assert_eq!(shown(&get(&pool, "/hello").await), "200 GET /hello", "and back from zero");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_above_the_limit_is_refused_whether_declared_or_not() {
    let bench = Bench::open();
    let pool = bench.script("wc -c", |spec| spec.body_bytes_max = 1000).await;
    assert_eq!(shown(&post(&pool, "/", vec![b'x'; 1000]).await), "200 1000");
    assert_eq!(shown(&post(&pool, "/", vec![b'x'; 1001]).await), "HOB-0405");
    let (mut sender, body) = http_body_util::channel::Channel::<Bytes, Fault>::new(1);
    let request = http::Request::post("/").body(body.boxed_unsync()).unwrap();
    let write = async {
        // The receiver is gone once the limit is passed.
        while sender.send_data(Bytes::from_static(&[b'x'; 300])).await.is_ok() {}
    };
    let (outcome, ()) = tokio::join!(send(&pool, request), write);
    assert_eq!(shown(&outcome), "HOB-0405");
    assert_eq!(pool.stats().failures, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_loop_fails_fast_with_its_reason() {
    if !python() {
        return;
    }
    let bench = Bench::open();
    let pool = bench.server("import sys\nsys.exit(1)\n", |_| {}).await;
    let outcomes = futures_util::future::join_all((0..50).map(|_| get(&pool, "/"))).await;
    assert!(outcomes.iter().all(|outcome| shown(outcome) == "HOB-0308"), "{outcomes:?}");
    let stats = pool.stats();
    assert_eq!((stats.failures, stats.starts, stats.instances, stats.waiting), (50, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_programs_starts_one_after_another_and_the_wait_is_the_queues() {
    const CALLS: usize = 10;
    let bench = Bench::starting(1);
    // Longer than it counts as starting.
    let pool = bench.script("sleep 0.06; echo ok", |spec| spec.scale.max = 100).await;
    pool.first_instance().await.unwrap();
    let calls = (0..CALLS).map(|_| {
        let request = http::Request::get("/").header("host", "localhost").body(empty()).unwrap();
        let invocation = invocation(&pool, request);
        let context = Arc::clone(&invocation.context);
        let call = pool.call(invocation);
        async move {
            assert_eq!(call.await.map(|reply| reply.status().as_u16()), Ok(200));
            (context.timing.queue_us(), context.timing.start_us())
        }
    });
    let over = AtomicBool::new(false);
    let calls = async {
        let times = futures_util::future::join_all(calls).await;
        over.store(true, Ordering::SeqCst);
        times
    };
    let watch = async {
        let (mut starting, mut waiting) = (0, 0);
        while !over.load(Ordering::SeqCst) {
            let stats = bench.crowd.stats();
            (starting, waiting) = (stats.starting.max(starting), stats.starts_waiting.max(waiting));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (starting, waiting)
    };
    let (times, (starting, waiting)) = tokio::join!(calls, watch);
    assert!(starting == 1 && waiting > 0, "{starting} {waiting}");
    // The last one waited for all others, each of which counts for its whole time.
    let longest = times.iter().map(|(queue_us, _)| *queue_us).max().unwrap();
    let each = u64::try_from(CALL_START_MAX.as_micros()).unwrap();
    assert!(longest >= each * (CALLS as u64 - 2), "{times:?}");
    assert!(
        times.iter().all(|(_, start_us)| *start_us < longest),
        "a wait is no part of the start: {times:?}"
    );
    assert_eq!((bench.crowd.stats().starting, bench.crowd.stats().memory_reserved_bytes), (0, 0));
}

/// Answers one request on each connection and closes it, without having said so.
const CURT: &str = r#"
import os, socket, threading
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
def serve(stream):
    with stream:
        head = b""
        while b"\r\n\r\n" not in head:
            more = stream.recv(4096)
            if not more:
                return
            head += more
        stream.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ncurt")
    print("closed", flush=True)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],)).start()
"#;

/// A request that meets the close of a kept connection is sent again where it was not sent, or fails at once; it does not wait
/// for an answer that nobody can give.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_closes_without_a_word_keeps_nobody_waiting() {
    if !python() {
        return;
    }
    let bench = Bench::open();
    let pool = bench.server(CURT, |_| {}).await;
    let mut answered = 0;
    for call in 1..=50 {
        let outcome = shown(&get(&pool, "/").await);
        answered += usize::from(outcome == "200 curt");
        assert!(["200 curt", "HOB-0506"].contains(&outcome.as_str()), "call {call}: {outcome}");
        // Half of them come before the close, half of them after it.
        if call % 2 == 0 {
            eventually("it is closed", || {
                bench.logs.all().iter().filter(|line| line.text == "closed").count() >= answered
            })
            .await;
        }
    }
}
