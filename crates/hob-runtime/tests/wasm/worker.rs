//! WASM in worker processes: this test program is started again as the worker.

use crate::ports::Spawner;
use crate::support::{Bench, Settings, get, guest_path};
use hob_core::port::{BoxFuture, Spawn};
use hob_runtime::body::full;
use hob_runtime::invocation::{Invocation, Reply};
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
        "/captured/exit" => std::process::abort(),
        "/captured/answer" => Some(http::Response::new(full("captured"))),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_answers_from_a_worker() {
    let bench = Bench::walled();
    for file in ["built/hello-rust-p2-unknown.wasm", "built/hello-rust-p3-unknown.wasm", "hello03.wat"] {
        let wasm = std::fs::read(guest_path(file)).unwrap();
        let function = bench.ready(&wasm, &Settings::default()).await.unwrap();
        let (status, body) = function.call(get()).await.unwrap_or_else(|code| panic!("{file}: {code}"));
        assert_eq!(status, 200, "{file}");
        assert!(body.to_lowercase().contains("hello"), "{file}: {body}");
    }
}
