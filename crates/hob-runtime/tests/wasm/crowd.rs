//! Guests of several apps beside each other: whoever loops has a share, and no more.

use crate::support::{Bench, Function, Settings, get, guest02, handle};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const LOOP: &str = "(loop $l (br $l))";
const ANSWER: &str = "(call $answer (local.get $out) (call $fields) (i32.const 200))";
/// Guests that loop.
const LOOPS: usize = 8;

async fn function(bench: &Bench, app: &'static str, code: &str) -> Arc<Function> {
    let settings = Settings { app, timeout: Duration::from_secs(60), ..Settings::default() };
    Arc::new(bench.ready(&guest02(&handle(code)), &settings).await.unwrap())
}

/// Calls in the background, until what is returned is dropped; with them so many guests want a processor.
async fn begin(bench: &Bench, function: &Arc<Function>, calls: usize, all: usize) -> JoinSet<()> {
    let mut begun = JoinSet::new();
    for _ in 0..calls {
        let function = Arc::clone(function);
        begun.spawn(async move { drop(function.call(get()).await) });
    }
    bench.eventually(|| there(bench) >= all).await;
    begun
}

/// Guests that want a processor.
fn there(bench: &Bench) -> usize {
    let stats = bench.environment.crowd.stats();
    stats.turns as usize + stats.turns_waiting
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_quiet_app_is_answered_while_others_loop() {
    let bench = Bench::open();
    let (loud, quiet) = (function(&bench, "loud", LOOP).await, function(&bench, "quiet", ANSWER).await);
    let _loops = begin(&bench, &loud, LOOPS, LOOPS).await;
    let waited = || {
        let stats = bench.environment.crowd.stats();
        stats
            .waits
            .iter()
            .any(|(_, app, waits, time)| app.as_str() == "quiet" && *waits > 0 && !time.is_zero())
    };
    // Each is answered; sooner or later one has to wait for its turn, and knows it.
    let mut calls = 0;
    while calls < 50 || !waited() {
        assert_eq!(quiet.call(get()).await, Ok((200, "hello from wat\n".to_owned())));
        calls += 1;
        assert!(calls < 100_000, "nobody waits");
    }
    // They loop still; one may be on its way to ask again.
    bench.eventually(|| there(&bench) == LOOPS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_guest_beside_many_gets_its_apps_share() {
    let bench = Bench::open();
    let (loud, single) = (function(&bench, "loud", LOOP).await, function(&bench, "single", LOOP).await);
    let _loops = begin(&bench, &loud, LOOPS, LOOPS).await;
    let _loop = begin(&bench, &single, 1, LOOPS + 1).await;
    let before_us = (loud.code.cpu.us(), single.code.cpu.us());
    let spent_us = || (loud.code.cpu.us() - before_us.0, single.code.cpu.us() - before_us.1);
    bench.eventually(|| spent_us().1 >= 200_000).await;
    // One processor: half of it. Two or more: one whole, beside one and no more for each of the others. By guests it were
    // a tenth or less; the kernel's own shares among other tests may be half of what they should be.
    let (loud_us, single_us) = spent_us();
    let others = hob_runtime::machine::cpus().saturating_sub(1).clamp(1, 2);
    assert!(loud_us < single_us * others * 3, "{loud_us} µs beside {single_us} µs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_guest_that_ends_in_any_way_gives_its_turn_back() {
    let bench = Bench::open();
    let loud = function(&bench, "loud", LOOP).await;
    let mut calls = begin(&bench, &loud, LOOPS, LOOPS).await;
    // Their callers go away.
    calls.abort_all();
    bench.eventually(|| there(&bench) == 0).await;
    let traps = function(&bench, "traps", "unreachable").await;
    assert_eq!(traps.call(get()).await, Err("HOB-0502".to_owned()));
    bench.eventually(|| there(&bench) == 0).await;
}
