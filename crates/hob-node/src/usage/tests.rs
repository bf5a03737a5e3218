//! What is used is stored once, survives a store that refuses and a new start, and becomes less when it is old.

use super::UsageBook;
use crate::allowance::Allowance;
use crate::bus::Bus;
use crate::live::Live;
use crate::task::Tasks;
use crate::telemetry::Telemetry;
use crate::telemetry::meter::Ended;
use hob_bus::{Engine, EngineSettings};
use hob_core::code::Code;
use hob_core::fact::{CallCause, Times, Used};
use hob_core::fault::{Fault, Result};
use hob_core::limit::{USAGE_DAYS_KEPT, USAGE_HOURS_KEPT};
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::port::{BoxFuture, Entry, Expect, State, Write};
use hob_core::spec::FunctionSpec;
use hob_core::unit::millis;
use hob_core::usage::{Period, Usage};
use hob_core::wire::UsageQuery;
use hob_runtime::code::FunctionCode;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A store whose commits can be refused.
struct Moody {
    state: Arc<dyn State>,
    refuses: AtomicBool,
}

impl State for Moody {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>>> {
        self.state.get(key)
    }
    fn scan<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Entry)>>> {
        self.state.scan(prefix)
    }
    fn commit(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<()>> {
        if self.refuses.load(Ordering::SeqCst) {
            return Box::pin(async { Err(Fault::new(Code::StoreFull, "full")) });
        }
        self.state.commit(writes)
    }
}

/// A node's telemetry and usage, as much as is needed of them.
struct Bench {
    book: Arc<UsageBook>,
    state: Arc<Moody>,
    telemetry: Arc<Telemetry>,
    tasks: Arc<Tasks>,
    code: FunctionCode,
}

impl Bench {
    fn open(folder: &Path) -> Self {
        let Engine { state, log, facts, .. } = hob_bus::open("file", &EngineSettings::new(folder)).unwrap();
        let state = Arc::new(Moody { state, refuses: AtomicBool::new(false) });
        let tasks = Tasks::new();
        let allowance = Allowance::unlimited(&log, &facts, &tasks);
        let telemetry = Telemetry::start(facts, true, Arc::default(), &tasks);
        let bus = Bus::new(log, Arc::clone(&state) as _, Arc::clone(&telemetry), allowance);
        let book = UsageBook::start(
            Arc::clone(&state) as _,
            Arc::clone(&telemetry),
            &Arc::new(Live::default()),
            &bus,
            &tasks,
        );
        Self { book, state, telemetry, tasks, code: code() }
    }

    fn calls(&self, count: u32) {
        let meter = self.telemetry.meters().of(&self.code);
        let used = Used { cpu_us: None, memory_bytes: 1 << 20, bytes_in: 0, bytes_out: 0 };
        let times = Times { total_us: 10, ..Times::default() };
        let cause = CallCause::Request;
        for _ in 0..count {
            meter.ended(&Ended { cause: &cause, status: Some(200), owner: None, times, cold: false, used });
        }
    }

    /// Invocations of all time, each part with its time in hours, or the whole.
    async fn sums(&self, by: &str) -> Vec<(Option<u64>, u64)> {
        let asked = UsageQuery { by: Some(by.to_owned()), ..UsageQuery::default() };
        let report = self.book.report(&asked).await.unwrap();
        assert_eq!(
            report.total.invocations,
            report.rows.iter().map(|row| row.usage.invocations).sum::<u64>()
        );
        assert_eq!(report.total.mib_us, 10 * report.total.invocations);
        report.rows.iter().map(|row| (row.start_ms.map(|ms| ms / 3_600_000), row.usage.invocations)).collect()
    }
}

fn code() -> FunctionCode {
    FunctionCode {
        app: AppName::new("a").unwrap(),
        revision: RevisionNumber(1),
        name: FunctionName::new("f").unwrap(),
        numbered: None,
        spec: FunctionSpec { memory_bytes: 1 << 20, ..FunctionSpec::new("wasm", "wasi-http", ["f.wasm"]) },
        dir: PathBuf::new(),
        cpu: Default::default(),
        given: hob_runtime::code::Given::default(),
    }
}

#[tokio::test]
async fn what_is_used_is_counted_once_whatever_becomes_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path());
    let now_ms = crate::clock::now_ms();
    let hour = now_ms / 3_600_000;
    assert_eq!(bench.sums("").await, []);
    bench.calls(3);
    assert_eq!(bench.sums("").await, [(None, 3)], "what is not written yet is told as well");
    bench.state.refuses.store(true, Ordering::SeqCst);
    bench.book.keep(now_ms).await;
    bench.calls(2);
    bench.book.keep(now_ms).await;
    assert!(bench.state.scan("usage/").await.unwrap().is_empty());
    assert_eq!(bench.sums("").await, [(None, 5)]);
    bench.state.refuses.store(false, Ordering::SeqCst);
    bench.book.keep(now_ms).await;
    bench.book.keep(now_ms).await;
    bench.calls(1);
    bench.book.keep(now_ms + 3_600_000).await;
    assert_eq!(bench.sums("").await, [(None, 6)]);
    bench.tasks.stop().await;
    drop(bench);

    let bench = Bench::open(folder.path());
    assert_eq!(bench.sums("").await, [(None, 6)], "after a new start");
    bench.calls(10);
    bench.book.keep(now_ms).await;
    let by_hour: u64 = bench.sums("hour").await.iter().map(|(_, calls)| calls).sum();
    assert_eq!(by_hour, 16);
    assert!(bench.sums("hour").await.iter().any(|(at, _)| *at == Some(hour) || *at == Some(hour + 1)));
    let asked = UsageQuery { since_ms: Some(now_ms + 1000 * 3_600_000), ..UsageQuery::default() };
    assert_eq!(bench.book.report(&asked).await.unwrap().total, Usage::default());
    bench.tasks.stop().await;
}

#[tokio::test]
async fn old_hours_become_days_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path());
    let day = 24 * 3_600_000;
    let first_ms = 20_000 * day;
    for (at_ms, calls) in
        [(first_ms, 1), (first_ms + 3_600_000, 2), (first_ms + day - 1, 4), (first_ms + day, 8)]
    {
        bench.calls(calls);
        bench.book.keep(at_ms).await;
    }
    let keys = async || {
        let scanned = bench.state.scan("usage/").await.unwrap();
        scanned.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    let hour = |hours: u64| format!("usage/hour/{:05}/{:08}/a", (480_000 + hours) / 24, 480_000 + hours);
    assert_eq!(keys().await, [hour(0), hour(1), hour(23), hour(24)]);
    let whole = Period::Day(20_000);
    bench.book.keep(whole.end_ms() + millis(USAGE_HOURS_KEPT)).await;
    assert_eq!(keys().await, ["usage/day/20000/a".to_owned(), hour(24)]);
    assert_eq!(bench.sums("day").await, [(Some(480_000), 7), (Some(480_024), 8)]);
    // What comes late, such as from a clock that was set back, is added to its day as well.
    bench.calls(16);
    bench.book.keep(first_ms).await;
    bench.book.keep(whole.end_ms() + millis(USAGE_HOURS_KEPT) + day).await;
    assert_eq!(bench.sums("day").await, [(Some(480_000), 23), (Some(480_024), 8)]);
    bench.book.keep(whole.end_ms() + millis(USAGE_DAYS_KEPT)).await;
    assert_eq!(keys().await, ["usage/day/20001/a"]);
    // Nothing but what the book wrote is touched.
    let strange = Write { key: "usage/other/1".to_owned(), expect: Expect::Absent, value: Some(vec![1]) };
    bench.state.commit(vec![strange]).await.unwrap();
    bench.book.keep(whole.end_ms() + 3 * millis(USAGE_DAYS_KEPT)).await;
    assert_eq!(keys().await, ["usage/other/1"]);
    bench.tasks.stop().await;
}
