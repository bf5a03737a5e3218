//! WASM in worker processes: this test program is started again as the worker.

mod escape;

use crate::ports::Spawner;
use crate::support::{Bench, Function, Settings, get, guest_path, guest02, handle};
use hob_core::port::{BoxFuture, Spawn};
use hob_runtime::body::{Body, empty, full};
use hob_runtime::environment::Supervision;
use hob_runtime::invocation::{Invocation, Reply};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// What a captured worker takes: more than workers of these tests may have.
const HOG_BYTES: usize = (1 << 30) + (64 << 20);

/// What the harness is told to make of this program a worker.
const AS_WORKER: [&str; 3] = ["worker::process", "--exact", "--nocapture"];

/// The worker, when it is started as one; else a test that passes.
#[test]
fn process() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1..4) {
        Some(words) if words == AS_WORKER && arguments.len() == 5 => {
            hob_runtime::worker_child(Arc::new(Here), Some(Arc::new(captured)))
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Starts tasks on whatever runtime it is called in.
struct Here;

impl Spawn for Here {
    fn spawn(&self, kind: &'static str, future: BoxFuture<'static, ()>) {
        Spawner(tokio::runtime::Handle::current()).spawn(kind, future);
    }
}

/// This program as a worker, with a last word by which the processes of a test can be told from others.
pub(crate) fn child() -> Vec<OsString> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let program = std::env::current_exe().unwrap().into_os_string();
    let own = format!("bench-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    std::iter::once(program).chain(AS_WORKER.map(Into::into)).chain([own.into()]).collect()
}

/// What a worker that somebody has captured does instead of what it is asked.
fn captured(invocation: &Invocation) -> Option<Reply> {
    match invocation.request.uri().path() {
        "/captured/panic" => panic!("a captured worker"),
        "/captured/hog" => {
            // More than a worker may have, and all of it used; given back by nobody.
            let held = vec![1_u8; HOG_BYTES];
            std::hint::black_box(&held);
            loop {
                std::thread::park();
            }
        }
        "/captured/pid" => Some(http::Response::new(full(std::process::id().to_string()))),
        "/captured/escape" => Some(http::Response::new(full(escape::attempt().join("\n")))),
        "/captured/garbage" => {
            let garbage = [0xff_u8; 64];
            for number in 0..256 {
                // SAFETY: a number that is no descriptor is refused; this process is the test's own to spoil.
                unsafe { libc::send(number, garbage.as_ptr().cast(), garbage.len(), libc::MSG_NOSIGNAL) };
            }
            // It goes on as if nothing were.
            std::thread::sleep(Duration::from_millis(1));
            None
        }
        _ => None,
    }
}

fn path(path: &'static str) -> http::Request<Body> {
    http::Request::builder().uri(path).header("host", "localhost").body(empty()).unwrap()
}

/// A function of an app, which is as if it had a space of its own.
async fn function(bench: &Bench, app: &'static str, wasm: &[u8]) -> Arc<Function> {
    Arc::new(bench.ready(wasm, &Settings { app, ..Settings::default() }).await.unwrap())
}

fn hello() -> Vec<u8> {
    guest02(&handle("(call $answer (local.get $out) (call $fields) (i32.const 200))"))
}

fn endless() -> Vec<u8> {
    guest02(&handle("(loop $l (br $l))"))
}

const HELLO: (u16, &str) = (200, "hello from wat\n");

async fn answers(function: &Function) {
    let answer = function.call(get()).await;
    assert_eq!(answer.as_ref().map(|(status, body)| (*status, body.as_str())), Ok(HELLO));
}

async fn pid(function: &Function) -> i32 {
    function.call(path("/captured/pid")).await.unwrap().1.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_of_every_kind_answer_from_a_worker_with_a_pool_and_without() {
    for pooling in [Some(false), None] {
        let bench = Bench::walled_with(pooling);
        for file in [
            "built/hello-c-p2.wasm",
            "built/hello-rust-p2-unknown.wasm",
            "built/hello-rust-p3-unknown.wasm",
            "built/hello-rust-spin-sdk7.wasm",
            "hello03.wat",
        ] {
            let wasm = std::fs::read(guest_path(file)).unwrap();
            let function = bench.ready(&wasm, &Settings::default()).await.unwrap();
            let (status, body) = function.call(get()).await.unwrap_or_else(|code| panic!("{file}: {code}"));
            assert_eq!(status, 200, "{file}");
            assert!(body.to_lowercase().contains("hello"), "{file}: {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_panics_are_a_hundred_failed_calls_and_nobody_elses() {
    let bench = Bench::walled();
    let (captured, neighbour) =
        (function(&bench, "captured", &hello()).await, function(&bench, "neighbour", &hello()).await);
    let before = pid(&neighbour).await;
    for _ in 0..100 {
        assert_eq!(captured.call(path("/captured/panic")).await, Err("HOB-0512".to_owned()));
        answers(&neighbour).await;
        answers(&captured).await;
    }
    assert_eq!(pid(&neighbour).await, before, "the neighbour's worker is another one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_killed_fails_its_calls_and_the_next_finds_another() {
    let bench = Bench::walled();
    let endless = function(&bench, "killed", &endless()).await;
    let beside = function(&bench, "killed", &std::fs::read(guest_path("hello03.wat")).unwrap()).await;
    let neighbour = function(&bench, "neighbour", &hello()).await;
    let kept = beside.instance().await.unwrap();
    let worker = pid(&endless).await;
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let function = Arc::clone(&endless);
        calls.spawn(async move { function.call(get()).await });
    }
    bench.eventually(|| endless.code.cpu.us() > 0).await;
    // SAFETY: the process is a child of this one, and has not been waited for.
    assert_eq!(unsafe { libc::kill(worker, libc::SIGKILL) }, 0);
    while let Some(call) = calls.join_next().await {
        assert_eq!(call.unwrap(), Err("HOB-0512".to_owned()));
    }
    assert_eq!(kept.ended().await.map(|fault| fault.code().text()), Some("HOB-0512"));
    answers(&neighbour).await;
    assert_ne!(pid(&endless).await, worker);
    let next = beside.instance().await.unwrap();
    assert!(beside.call_in(&*next, get()).await.is_ok());
}

/// Neither what runs in it nor what it keeps in memory outlives a space: the next one of its name has another worker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_of_a_removed_space_is_ended_and_serves_no_other() {
    let mut bench = Bench::walled();
    let next = bench.host.beside(&bench.environment).unwrap();
    let endless = function(&bench, "shop", &endless()).await;
    let kept = function(&bench, "shop", &std::fs::read(guest_path("hello03.wat")).unwrap()).await;
    let instance = kept.instance().await.unwrap();
    let worker = pid(&endless).await;
    let mut calls = JoinSet::new();
    let caller = Arc::clone(&endless);
    calls.spawn(async move { caller.call(get()).await });
    bench.eventually(|| endless.code.cpu.us() > 0).await;
    bench.host.leave();
    assert_eq!(calls.join_next().await.unwrap().unwrap(), Err("HOB-0512".to_owned()));
    assert_eq!(instance.ended().await.map(|fault| fault.code().text()), Some("HOB-0512"));
    // What is left of it gets no process any more, whether it was loaded before or not.
    assert!(kept.call(get()).await.is_err());
    assert!(bench.ready(&hello(), &Settings { app: "shop", ..Settings::default() }).await.is_err());
    bench.host = next;
    let of_next = function(&bench, "shop", &hello()).await;
    answers(&of_next).await;
    assert_ne!(pid(&of_next).await, worker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_breaks_the_rules_is_ended() {
    let bench = Bench::walled();
    let (captured, neighbour) =
        (function(&bench, "captured", &hello()).await, function(&bench, "neighbour", &hello()).await);
    let worker = pid(&captured).await;
    let found = captured.call(path("/captured/garbage")).await;
    assert!(matches!(found.as_ref().map_err(String::as_str), Err("HOB-0512" | "HOB-0514")), "{found:?}");
    bench.eventually(|| !Path::new(&format!("/proc/{worker}")).exists()).await;
    answers(&captured).await;
    answers(&neighbour).await;
    assert_ne!(pid(&captured).await, worker);
}

/// Whether all threads of a process are stopped (`proc_pid_stat(5)`).
fn stands_still(process: i32) -> bool {
    let stopped = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    };
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    tasks.flatten().all(stopped)
}

/// A worker that says nothing is ended, whoever waits for it is told so, and the next one is there already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_worker_is_ended_and_another_one_answers() {
    let (ping_interval, silence_max) = (Duration::from_millis(20), Duration::from_secs(3));
    let supervision = Supervision { ping_interval, silence_max, ..Supervision::default() };
    let bench = Bench::supervised(supervision, 1 << 30);
    let silent = function(&bench, "silent", &hello()).await;
    let neighbour = function(&bench, "neighbour", &hello()).await;
    let (worker, before) = (pid(&silent).await, pid(&neighbour).await);
    // SAFETY: the process is a child of this one, and has not been waited for.
    assert_eq!(unsafe { libc::kill(worker, libc::SIGSTOP) }, 0);
    // A thread that runs meanwhile may still answer.
    bench.eventually(|| stands_still(worker)).await;
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let function = Arc::clone(&silent);
        calls.spawn(async move { function.call(get()).await });
    }
    while let Some(call) = calls.join_next().await {
        assert_eq!(call.unwrap(), Err("HOB-0512".to_owned()));
    }
    bench.eventually(|| !Path::new(&format!("/proc/{worker}")).exists()).await;
    answers(&silent).await;
    assert_ne!(pid(&silent).await, worker);
    assert_eq!(pid(&neighbour).await, before);
}

/// A worker that has more memory than all instances may have together is ended, and nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_with_too_much_memory_is_ended_and_another_one_answers() {
    let supervision = Supervision { ping_interval: Duration::from_millis(20), ..Supervision::default() };
    let bench = Bench::supervised(supervision, 512 << 20);
    let hog = function(&bench, "hog", &hello()).await;
    let neighbour = function(&bench, "neighbour", &hello()).await;
    let (worker, before) = (pid(&hog).await, pid(&neighbour).await);
    assert_eq!(hog.call(path("/captured/hog")).await, Err("HOB-0512".to_owned()));
    answers(&hog).await;
    assert_ne!(pid(&hog).await, worker);
    answers(&neighbour).await;
    assert_eq!(pid(&neighbour).await, before);
}

/// A worker lets go of no code, so one that was given much is exchanged when nothing runs in it; here after each
/// function, in the middle of calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worn_worker_is_exchanged_without_a_lost_call() {
    let bench = Bench::supervised(Supervision { code_bytes_max: 1, ..Supervision::default() }, 1 << 30);
    let (one, two) = (function(&bench, "worn", &hello()).await, function(&bench, "worn", &hello()).await);
    let first = pid(&one).await;
    let mut calls = JoinSet::new();
    for function in [&one, &two, &one, &two] {
        let function = Arc::clone(function);
        calls.spawn(async move {
            for _ in 0..15 {
                answers(&function).await;
            }
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
    assert_ne!(pid(&one).await, first);
    // What is not wanted any more goes away.
    bench.eventually(|| !Path::new(&format!("/proc/{first}")).exists()).await;
}

/// One app fills its memory with a word of 16 bytes, the other looks for it in memory that it has just got: in a
/// worker of its own, and in slots that are used again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_space_sees_what_another_left_in_memory() {
    let bench = Bench::walled_with(None);
    let grow = "(drop (memory.grow (i32.const 64)))";
    let end = "(i32.mul (memory.size) (i32.const 65536))";
    let canary = ["0x0ddba11c0ffee123", "0x5ca1ab1e0ddfee75"];
    let each = |body: &str| {
        format!(
            "(local $at i32) {grow} (local.set $at (i32.const 65536))
             (loop $l {body}
               (local.set $at (i32.add (local.get $at) (i32.const 16)))
               (br_if $l (i32.lt_u (local.get $at) {end})))
             (call $answer (local.get $out) (call $fields) (i32.const 200))"
        )
    };
    let [low, high] = canary;
    let writer = each(&format!(
        "(i64.store (local.get $at) (i64.const {low})) (i64.store offset=8 (local.get $at) (i64.const {high}))"
    ));
    let reader = each(&format!(
        "(if (i32.or (i64.eq (i64.load (local.get $at)) (i64.const {low}))
                     (i64.eq (i64.load offset=8 (local.get $at)) (i64.const {high}))) (then unreachable))"
    ));
    let writer = function(&bench, "writer", &guest02(&handle(&writer))).await;
    let reader = function(&bench, "reader", &guest02(&handle(&reader))).await;
    for _ in 0..50 {
        answers(&writer).await;
        answers(&reader).await;
    }
    assert_ne!(pid(&writer).await, pid(&reader).await);
}

/// What the kernel refuses to a worker that somebody has captured. The walls that need namespaces are there as far as
/// the machine grants them; what is tried here is refused without them, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_captured_worker_is_denied_everything() {
    let bench = Bench::walled();
    let function = function(&bench, "captured", &hello()).await;
    let (status, said) = function.call(path("/captured/escape")).await.unwrap();
    let (denied, others): (Vec<&str>, Vec<&str>) =
        said.lines().partition(|line| line.starts_with("denied: "));
    println!("{} of {} denied", denied.len(), denied.len() + others.len());
    assert_eq!((status, others.as_slice()), (200, &[][..]));
    assert!(denied.len() >= 60);
    answers(&function).await;
}
