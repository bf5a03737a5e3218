//! Compiling in a child process: this test program is started again as the compiler.

use crate::support::{Bench, Settings, get, guest_path};
use std::process::ExitCode;
use std::sync::Mutex;

/// What the harness is told to make of this program a compiler.
const AS_COMPILER: [&str; 2] = ["compile::compiler", "--exact"];

/// The compiler, when it is started with what a compiler is given; else a test that passes.
#[test]
fn compiler() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1..3) {
        Some(words) if words == AS_COMPILER && arguments.len() == 6 => hob_runtime::compile_child(),
        _ => ExitCode::SUCCESS,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_compiles_and_tells_how_far_it_is() {
    let program = std::env::current_exe().unwrap().into_os_string();
    let command = std::iter::once(program).chain(AS_COMPILER.map(Into::into)).collect();
    let bench = Bench::with(Some(false), command);
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
