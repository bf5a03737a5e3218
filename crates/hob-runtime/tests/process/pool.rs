//! Pools of real processes: waiting, scaling to zero, limits, and sharing an instance.

use crate::support::{Bench, eventually, get, post, python, runs, send, shown};
use bytes::Bytes;
use hob_core::fault::Fault;
use http_body_util::BodyExt as _;

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
    let bench = Bench::open();
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
