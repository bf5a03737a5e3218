//! Code of idle functions makes room for others.

use super::{Codes, OVERHEAD_BYTES};
use crate::body::Body;
use crate::code::FunctionCode;
use crate::crowd::{Crowd, Shares};
use crate::environment::{Environment, Workers};
use crate::gate::Open;
use crate::host::Host as _;
use crate::host::wasm::{Wasm, WasmUnit};
use crate::invocation::Reply;
use crate::outbound::{Caller, Outbound, ProxyEntry};
use crate::witness::Nobody;
use hob_core::digest::Digest;
use hob_core::fault::Result;
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::port::{BoxFuture, LogRecord, LogSink, Spawn};
use hob_core::spec::{FunctionSpec, PackageFile, ScaleSpec};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a host needs and this test does not.
struct Nothing;

impl LogSink for Nothing {
    fn record(&self, _: LogRecord) {}
}

impl Spawn for Nothing {
    fn spawn(&self, _: &'static str, _: BoxFuture<'static, ()>) {}
}

impl Outbound for Nothing {
    fn call(&self, _: Caller, _: http::Request<Body>) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(std::future::pending())
    }

    fn enter(&self, _: &Arc<FunctionCode>, _: u64) -> Option<ProxyEntry> {
        None
    }
}

fn environment(folder: &Path) -> Arc<Environment> {
    Arc::new(Environment {
        cache_dir: folder.join("cache"),
        packs_dir: folder.join("cache/functions"),
        cache_shared: false,
        work_dir: folder.join("work"),
        compiler: Vec::new(),
        workers: Workers::none(),
        pooling: Some(false),
        walls: crate::wall::Choice::Off.into(),
        spawn: Arc::new(Nothing),
        logs: Arc::new(Nothing),
        witnesses: Arc::new(Nobody),
        gates: Arc::new(Open),
        outbound: Arc::new(Nothing),
        instances: Arc::new(AtomicU64::new(1)),
        space: hob_core::name::SpaceName::default_space(),
        crowd: Crowd::new(Shares::here(None), Arc::new(Nothing)),
    })
}

/// A function whose file differs from the others' by one text.
fn code(folder: &Path, text: &str) -> Arc<FunctionCode> {
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/http02.wat");
    let body =
        format!("(func (export \"handle\") (param i32) (param i32)) (data (i32.const 60000) \"{text}\")\n");
    let wasm = std::fs::read_to_string(guest).unwrap().replace(";;GUEST\n", &body);
    let dir = folder.join(text);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("guest.wat"), &wasm).unwrap();
    let file =
        PackageFile { digest: Digest::of(wasm.as_bytes()), size: wasm.len() as u64, executable: false };
    Arc::new(FunctionCode {
        app: AppName::new("test").unwrap(),
        revision: RevisionNumber(1),
        name: FunctionName::new(text).unwrap(),
        numbered: None,
        spec: FunctionSpec {
            package: BTreeMap::from([("guest.wat".to_owned(), file)]),
            memory_bytes: 32 << 20,
            scale: ScaleSpec::up_to(4, 1),
            ..FunctionSpec::new("wasm", "wasi-http", ["guest.wat"])
        },
        dir,
        cpu: Default::default(),
        given: crate::code::Given::default(),
    })
}

/// Loads a function and gives its unit.
async fn load(host: &Wasm, code: &Arc<FunctionCode>) -> Arc<WasmUnit> {
    let unit = host.load(Arc::clone(code)).await.unwrap();
    let units = host.shared.codes.units();
    let mut all = units.iter().filter_map(std::sync::Weak::upgrade);
    let found = all.find(|found| found.code.name == code.name).unwrap();
    // As a pool does it, for ever.
    std::mem::forget(unit);
    found
}

fn full(units: &[Arc<WasmUnit>]) -> Vec<bool> {
    units.iter().map(|unit| unit.slot.is_full()).collect()
}

#[tokio::test]
async fn above_the_budget_idle_code_goes_that_was_used_least_recently() {
    let folder = tempfile::tempdir().unwrap();
    let room = 2 * OVERHEAD_BYTES + (128 << 10);
    let host = Wasm::open(&environment(folder.path()), Codes::within(room)).unwrap();
    let codes: Vec<_> = ["a", "b", "c"].iter().map(|text| code(folder.path(), text)).collect();
    let mut units = Vec::new();
    for code in &codes {
        host.prepare(code, &|_| {}).await.unwrap();
        units.push(load(&host, code).await);
    }
    let sum = || host.shared.codes.sum.load(Ordering::Relaxed);
    assert_eq!(full(&units), [false, true, true], "the oldest went");
    assert!(sum() <= room, "{} of {room}", sum());

    // Mapped again by whoever needs it; then the other is the oldest.
    drop(units[0].current().await.unwrap());
    assert_eq!(full(&units), [true, false, true]);

    // Not while an instance of it is alive.
    let alive = [units[2].place().await.unwrap(), units[0].place().await.unwrap()];
    drop(units[1].current().await.unwrap());
    assert_eq!(full(&units), [true, false, true], "but what was just mapped and is not used may go");
    drop(alive);
    drop(units[1].current().await.unwrap());
    assert_eq!(full(&units).iter().filter(|full| **full).count(), 2);
    assert!(sum() <= room);
}
