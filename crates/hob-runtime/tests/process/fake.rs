//! Pools of code that does nothing: bursts, queues and circuits without a program's time.

use crate::support::{Bench, eventually, get, invocation, shown};
use futures_util::future::join_all;
use hob_core::fault::{Fault, Result};
use hob_core::port::BoxFuture;
use hob_core::scale::Circuit;
use hob_core::spec::{FunctionSpec, Provisioned, ScaleSpec};
use hob_runtime::body::{empty, full};
use hob_runtime::code::FunctionCode;
use hob_runtime::contract::{Contract, Lifetime};
use hob_runtime::host::{Host, Prepared, Progress};
use hob_runtime::invocation::{Invocation, Reply};
use hob_runtime::pool::Pool;
use hob_runtime::unit::{Instance, Start, Unit};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// What the calls of a test do, and what they see.
#[derive(Default)]
struct World {
    per_call: bool,
    /// Instances die with their first call.
    crashes: AtomicBool,
    /// Calls to `/held` wait until they are let go.
    released: Notify,
    running: AtomicU32,
    peak: AtomicU32,
}

struct Nothing(Arc<World>);

impl Unit for Nothing {}

impl Host for Nothing {
    fn prepare<'a>(
        &'a self,
        _: &'a FunctionCode,
        _: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> BoxFuture<'a, Result<Prepared>> {
        Box::pin(async { Ok(Prepared::default()) })
    }

    fn is_prepared(&self, _: &FunctionCode) -> bool {
        true
    }

    fn beside(&self, _: &Arc<hob_runtime::environment::Environment>) -> Result<Arc<dyn Host>> {
        Ok(Arc::new(Self(Arc::clone(&self.0))))
    }

    fn load(&self, _: Arc<FunctionCode>) -> BoxFuture<'_, Result<Arc<dyn Unit>>> {
        Box::pin(async { Ok(Arc::new(Nothing(Arc::clone(&self.0))) as Arc<dyn Unit>) })
    }
}

impl Contract for Nothing {
    fn name(&self) -> &'static str {
        "nothing"
    }

    fn summary(&self) -> &'static str {
        "Does nothing"
    }

    fn example(&self) -> &'static str {
        ""
    }

    fn check(&self, _: &FunctionSpec) -> Result<()> {
        Ok(())
    }

    fn lifetime(&self, _: &dyn Unit) -> Result<Lifetime> {
        Ok(if self.0.per_call { Lifetime::PerCall } else { Lifetime::Kept })
    }

    fn start(&self, _: Start) -> BoxFuture<'_, Result<Box<dyn Instance>>> {
        let one = One { world: Arc::clone(&self.0), dead: AtomicBool::new(false), died: Notify::new() };
        Box::pin(async { Ok(Box::new(one) as Box<dyn Instance>) })
    }
}

struct One {
    world: Arc<World>,
    dead: AtomicBool,
    died: Notify,
}

impl One {
    fn crash() -> Fault {
        Fault::new(hob_core::code::Code::Crashed, "it crashed")
    }
}

impl Instance for One {
    fn call(&self, invocation: Invocation) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(async move {
            let world = &self.world;
            if world.crashes.load(Ordering::SeqCst) {
                self.dead.store(true, Ordering::SeqCst);
                self.died.notify_waiters();
                return Err(Self::crash());
            }
            let running = 1 + world.running.fetch_add(1, Ordering::SeqCst);
            world.peak.fetch_max(running, Ordering::SeqCst);
            match invocation.request.uri().path() {
                "/held" => world.released.notified().await,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
            world.running.fetch_sub(1, Ordering::SeqCst);
            Ok(http::Response::new(full("done")))
        })
    }

    fn ended(&self) -> BoxFuture<'_, Option<Fault>> {
        Box::pin(async {
            loop {
                let died = self.died.notified();
                if self.dead.load(Ordering::SeqCst) {
                    return Some(Self::crash());
                }
                died.await;
            }
        })
    }

    fn stop(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

fn pool(bench: &Bench, world: World, change: impl FnOnce(&mut ScaleSpec)) -> (Arc<Pool>, Arc<World>) {
    let world = Arc::new(world);
    let code = bench.code("http", &["nothing"], &[], |spec| change(&mut spec.scale));
    let contract: &'static dyn Contract = Box::leak(Box::new(Nothing(Arc::clone(&world))));
    let host = Arc::new(Nothing(Arc::clone(&world)));
    (Pool::new(code, host, contract, Arc::clone(bench.runtime.environment())), world)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_3000_on_a_cold_function_is_answered_within_its_limits() {
    const BURST: usize = 3000;
    // Whether each call has its own instance, how many there may be, calls of one at a time; calls of all.
    for (per_call, max, concurrency, most) in
        [(true, 4096, 1, 3000), (true, 200, 1, 200), (false, 8, 80, 640), (false, 2, 40, 80)]
    {
        let bench = Bench::open();
        let world = World { per_call, ..World::default() };
        let (pool, world) = pool(&bench, world, |scale| (scale.max, scale.concurrency) = (max, concurrency));
        let outcomes = join_all((0..BURST).map(|_| get(&pool, "/"))).await;
        let answered = outcomes.iter().filter(|outcome| shown(outcome) == "200 done").count();
        let stats = pool.stats();
        assert_eq!((answered, stats.failures), (BURST, 0), "max {max}: {stats:?}");
        let peak = world.peak.load(Ordering::SeqCst);
        assert!(peak <= most, "{peak} at a time with {max} instances of {concurrency}");
        assert!(per_call || stats.starts <= u64::from(max), "{stats:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_turn_comes_too_late_is_refused_at_once() {
    let bench = Bench::open();
    let (pool, world) = pool(&bench, World::default(), |scale| (scale.max, scale.concurrency) = (1, 1));
    for _ in 0..10 {
        assert_eq!(shown(&get(&pool, "/").await), "200 done");
    }
    let held = tokio::runtime::Handle::current().spawn({
        let pool = Arc::clone(&pool);
        async move { get(&pool, "/held").await }
    });
    eventually("the place is taken", || pool.stats().running == 1).await;
    // Each call takes 20 ms at least: this one has 30 for its turn and for itself.
    let soon = |left_ms| {
        let mut call = invocation(&pool, http::Request::get("/").body(empty()).unwrap());
        let context = Arc::get_mut(&mut call.context).unwrap();
        context.deadline = Instant::now() + Duration::from_millis(left_ms);
        pool.call(call)
    };
    let fault = soon(30).await.err().unwrap();
    let told =
        (fault.code().text(), fault.retry_after_s(), fault.message().contains("too late for its deadline"));
    assert_eq!(told, ("HOB-0503", Some(1), true), "{fault}");
    assert_eq!(pool.stats().waiting, 0);
    let (waits, ()) = tokio::join!(soon(20_000), async {
        eventually("the other waits", || pool.stats().waiting == 1).await;
        assert!(pool.stats().outlook.wait_ms >= 20, "{:?}", pool.stats());
        world.released.notify_one();
    });
    assert_eq!(waits.unwrap().status(), 200);
    assert_eq!(shown(&held.await.unwrap()), "200 done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_open_the_circuit_and_a_probe_closes_it() {
    let bench = Bench::open();
    let world = World { crashes: AtomicBool::new(true), ..World::default() };
    let (pool, world) = pool(&bench, world, |_| {});
    for _ in 0..5 {
        assert_eq!(shown(&get(&pool, "/").await), "HOB-0502");
    }
    let call = invocation(&pool, http::Request::get("/").body(empty()).unwrap());
    let fault = pool.call(call).await.err().unwrap();
    assert_eq!(fault.code().text(), "HOB-0515", "{fault}");
    assert!(
        fault.message().contains("5 times in a row") && fault.message().contains("it crashed"),
        "{fault}"
    );
    assert!(fault.retry_after_s().is_some());
    assert_eq!(pool.stats().outlook.circuit, Circuit::Open);
    let starts = pool.stats().starts;
    assert_eq!(starts, 5, "nothing is started for nothing");
    world.crashes.store(false, Ordering::SeqCst);
    let deadline = Instant::now() + Duration::from_secs(20);
    while shown(&get(&pool, "/").await) != "200 done" {
        assert!(Instant::now() < deadline, "the circuit stays open: {:?}", pool.stats());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((pool.stats().outlook.circuit, pool.stats().starts), (Circuit::Closed, 6));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_provisioned_is_started_with_the_first_instance() {
    let bench = Bench::open();
    let (pool, _) = pool(&bench, World::default(), |scale| {
        scale.provisioned = vec![Provisioned { count: 3, during: None }];
    });
    assert_eq!(pool.stats().instances, 0);
    pool.first_instance().await.unwrap();
    eventually("three run", || pool.stats().instances == 3).await;
    assert_eq!(pool.stats().outlook.wanted, 3);
}
