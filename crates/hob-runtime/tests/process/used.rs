//! What calls of processes used: processor time where it can be told, and bytes always.

use crate::support::{Bench, eventually, invocation, python};
use hob_runtime::body::{Body, empty, full};
use hob_runtime::invocation::Context;
use hob_runtime::pool::Pool;
use http_body_util::BodyExt as _;
use std::sync::Arc;

/// One call, read to its end; what is known of it then.
async fn used(pool: &Pool, request: http::Request<Body>) -> Arc<Context> {
    let invocation = invocation(pool, request);
    let context = Arc::clone(&invocation.context);
    let reply = pool.call(invocation).await.unwrap();
    // As a server does: the end is known from the last frame, and the body is dropped later.
    let mut body = reply.into_body();
    while let Some(frame) = body.frame().await {
        frame.unwrap();
    }
    context
}

fn get(path: &str) -> http::Request<Body> {
    http::Request::get(path).header("host", "localhost").body(empty()).unwrap()
}

const LOOP: &str = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_charged_with_itself_and_its_children() {
    let bench = Bench::open();
    let mut spent = Vec::new();
    for script in ["wc -c".to_owned(), format!("{LOOP}; wc -c"), format!("sh -c '{LOOP}'; wc -c")] {
        let pool = bench.script(&script, |_| ()).await;
        let request = http::Request::post("/").body(full(vec![b'x'; 1000])).unwrap();
        let context = used(&pool, request).await;
        let timing = &context.timing;
        assert_eq!((timing.bytes_in(), timing.bytes_out()), (1000, 5), "`1000` and a line end");
        assert!(timing.cold() && timing.start_us() >= timing.load_us());
        let cpu_us = timing.cpu_us().expect("a run serves one call");
        assert!(pool.stats().cpu_us.abs_diff(cpu_us) <= 1, "{:?} {cpu_us}", pool.stats());
        spent.push(cpu_us);
    }
    assert!(spent[0] > 0 && spent[1] > spent[0] && spent[2] > spent[0], "{spent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_server_tells_what_a_call_spent_only_if_it_was_alone() {
    if !python() {
        return;
    }
    let bench = Bench::open();
    let pool = bench.server(include_str!("guest/server.py"), |spec| spec.scale.max = 1).await;
    let alone = used(&pool, get("/large")).await;
    assert_eq!(alone.timing.bytes_out(), 128 << 16);
    let spent_us = alone.timing.cpu_us().expect("no other call ran");
    assert!(spent_us > 0 && pool.stats().cpu_us >= spent_us, "{spent_us} {:?}", pool.stats());

    let (paused, hello) = tokio::join!(used(&pool, get("/pause")), used(&pool, get("/hello")));
    assert_eq!((paused.timing.cpu_us(), hello.timing.cpu_us()), (None, None));
    let again = used(&pool, get("/hello")).await;
    assert!(again.timing.cpu_us().is_some(), "alone again");

    let before_us = pool.stats().cpu_us;
    pool.stop(std::time::Duration::ZERO).await;
    eventually("the end is counted", || pool.stats().cpu_us >= before_us).await;
}
