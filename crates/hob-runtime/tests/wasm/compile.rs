//! Compiling in a child process: this test program is started again as the compiler.

use crate::support::{Bench, Settings, get, guest_path};
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Mutex;

/// What the harness is told to make of this program a compiler.
const AS_COMPILER: [&str; 2] = ["compile::compiler", "--exact"];

/// The compiler, when it is started with what a compiler is given; else a test that passes.
#[test]
fn compiler() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1..3) {
        Some(words) if words == AS_COMPILER && arguments.len() == 9 => hob_runtime::compile_child(),
        _ => ExitCode::SUCCESS,
    }
}

/// This program as a compiler.
pub(crate) fn child() -> Vec<OsString> {
    let program = std::env::current_exe().unwrap().into_os_string();
    std::iter::once(program).chain(AS_COMPILER.map(Into::into)).collect()
}

/// Whoever asks for a file that is being compiled waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_components_are_compiled_once() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let counting = format!("echo 1 >> {}; exec \"$0\" \"$@\"", count.display());
    let mut command: Vec<OsString> = ["sh", "-c", &counting].map(Into::into).into();
    command.extend(child());
    let bench = Bench::with(Some(false), command);
    let wasm = std::fs::read(guest_path("built/hello-c-p2.wasm")).unwrap();
    let codes: Vec<_> = (0..8).map(|_| bench.code(&wasm, &Settings::default())).collect();
    let prepared = codes.iter().map(|code| bench.host.prepare(code, &|_| {}));
    for done in futures_util::future::join_all(prepared).await {
        done.unwrap();
    }
    assert_eq!(std::fs::read_to_string(count).unwrap(), "1\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_compiles_and_tells_how_far_it_is() {
    let bench = Bench::with(Some(false), child());
    let wasm = std::fs::read(guest_path("built/hello-rust-p2-unknown.wasm")).unwrap();
    let code = bench.code(&wasm, &Settings::default());
    let told = Mutex::new(Vec::new());
    bench.host.prepare(&code, &|progress| told.lock().unwrap().push(progress.step)).await.unwrap();
    let told = told.into_inner().unwrap();
    assert!(told[0].starts_with("compiling guest.wasm (45 KiB)"), "{told:?}");
    let function = bench.ready(&wasm, &Settings::default()).await.unwrap();
    assert_eq!(function.call(get()).await.map(|(status, _)| status), Ok(200));
}

#[tokio::test]
async fn a_compiler_that_cannot_be_started_or_fails_is_a_clear_fault() {
    let wasm = std::fs::read(guest_path("built/hello-c-p2.wasm")).unwrap();
    for (program, expected) in [("/no/such/program", "HOB-0903"), ("false", "HOB-0601")] {
        let bench = Bench::with(Some(false), vec![program.into()]);
        let fault = bench.host.prepare(&bench.code(&wasm, &Settings::default()), &|_| {}).await.unwrap_err();
        assert_eq!(fault.code().text(), expected, "{program}: {fault}");
    }
}
