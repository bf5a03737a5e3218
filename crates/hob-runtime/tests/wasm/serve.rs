//! Guests that behave.

use crate::support::{Bench, Settings, get, guest_path, guest02, handle};
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::Fault;
use hob_runtime::body::full;
use hob_runtime::unit::{Exit, Launch};
use http_body_util::BodyExt as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn read(name: &str) -> Vec<u8> {
    std::fs::read(guest_path(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_of_every_kind_answer() {
    for pooling in [Some(false), None] {
        let bench = Bench::with(pooling, Vec::new());
        for file in [
            "built/hello-c-p2.wasm",
            "built/hello-rust-p2-unknown.wasm",
            "built/hello-rust-p3-unknown.wasm",
            "built/hello-rust-spin-sdk7.wasm",
            "hello03.wat",
        ] {
            let function = bench.ready(&read(file), &Settings::default()).await.unwrap();
            let (status, body) = function.call(get()).await.unwrap_or_else(|code| panic!("{file}: {code}"));
            assert_eq!(status, 200, "{file}");
            assert!(body.to_lowercase().contains("hello"), "{file}: {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_streams_and_work_after_it_is_finished() {
    for bench in Bench::both() {
        // Answers, ends its body, and only then writes to its log.
        let code = "(local $e i32)
        (call $answer (local.get $out) (call $fields) (i32.const 201))
        (local.set $e (call $get-stderr))
        (call $put (local.get $e) (i32.const 1024) (i32.const 15) (i32.const 32))
        (call $drop-stream (local.get $e))";
        let function = bench.ready(&guest02(&handle(code)), &Settings::default()).await.unwrap();
        assert_eq!(function.call(get()).await, Ok((201, "hello from wat\n".to_owned())));
        bench.eventually(|| bench.logs.text() == "Stderr hello from wat\n").await;
        let record = bench.logs.all().remove(0);
        assert!(record.invocation.is_some() && record.instance > 0, "{record:?}");
    }
}

/// What a guest prints is its call's, whether the instance is made for one call (0.2, `stdio`) or kept (0.3).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_prints_names_its_call() {
    let answer = "(local $e i32)
        (local.set $e (call $get-stderr))
        (call $put (local.get $e) (i32.const 1024) (i32.const 15) (i32.const 32))
        (call $drop-stream (local.get $e))
        (call $answer (local.get $out) (call $fields) (i32.const 200))";
    let tells = CAT.replace(
        "(i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)",
        "(i32.const 2) (i32.const 0) (i32.const 1) (i32.const 12)",
    );
    for (contract, wasm, printed) in [
        ("wasi-http", guest02(&handle(answer)), "hello from wat"),
        ("wasi-http", read("hello03.wat"), "hello from wat p3"),
        ("stdio", tells.into_bytes(), "the body"),
    ] {
        for bench in Bench::both() {
            let function = bench.ready(&wasm, &Settings { contract, ..Settings::default() }).await.unwrap();
            let instance = function.instance().await.unwrap();
            for number in 1..=3 {
                let mut invocation = function.invocation(get());
                *invocation.request.body_mut() = full("the body\n");
                let context = std::sync::Arc::clone(&invocation.context);
                let reply = instance.call(invocation).await.unwrap();
                reply.into_body().collect().await.unwrap();
                bench.eventually(|| bench.logs.all().len() >= number).await;
                let record = bench.logs.all().remove(number - 1);
                assert_eq!(
                    (
                        record.text.as_str(),
                        record.invocation,
                        record.trace.map(|id| id.0),
                        record.span.map(|id| id.0)
                    ),
                    (printed, Some(context.id), Some(context.trace.trace_id), Some(context.trace.span_id)),
                    "{contract} {printed}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_calls_other_functions_through_the_node() {
    for bench in Bench::both() {
        // Calls `other.app.internal` and answers with its status, or with 500 and the error's number.
        let code = "(local $r i32) (local $f i32)
        (local.set $r (call $request (call $fields)))
        (drop (call $authority (local.get $r) (i32.const 1) (i32.const 2048) (i32.const 18)))
        (drop (call $path (local.get $r) (i32.const 1) (i32.const 2066) (i32.const 1)))
        (call $send (local.get $r) (i32.const 0) (i32.const 0) (i32.const 256))
        (local.set $f (i32.load (i32.const 264)))
        (call $block (call $subscribe (local.get $f)))
        (call $get (local.get $f) (i32.const 512))
        (call $answer (local.get $out) (call $fields)
          (if (result i32) (i32.load8_u (i32.const 528))
            (then (i32.add (i32.const 500) (i32.load8_u (i32.const 536))))
            (else (call $reply-status (i32.load (i32.const 536))))))";
        let function = bench.ready(&guest02(&handle(code)), &Settings::default()).await.unwrap();
        let refused = |code| Err(Fault::new(code, "no"));
        for (answer, expected) in [
            (Ok(204), 204),
            (Ok(418), 418),
            (refused(Code::EgressDenied), 515),
            (refused(Code::LoopTooDeep), 536),
            (refused(Code::FunctionNotFound), 502),
            (refused(Code::DependencyFailed), 503),
            (refused(Code::CallTimeout), 533),
            (refused(Code::QueueFull), 511),
            (refused(Code::Crashed), 538),
        ] {
            *bench.world.answer.lock().unwrap() = Some(answer.clone());
            let status = function.call(get()).await.map(|(status, _)| status);
            assert_eq!(status, Ok(expected), "{answer:?}\n{}", bench.logs.text());
        }
        let seen = bench.world.seen.lock().unwrap();
        assert!(
            seen.iter().all(|(uri, id)| uri == "https://other.app.internal/" && id.is_some()),
            "{seen:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_of_wasi_0_3_serves_many_calls_at_once() {
    for bench in Bench::both() {
        for file in ["built/hello-rust-p3-unknown.wasm", "built/hello-rust-spin-sdk7.wasm"] {
            let function =
                bench.ready(&read(file), &Settings { max: 1, ..Settings::default() }).await.unwrap();
            assert_eq!(function.unit.memory_bytes(), Some(0), "{file}");
            let instance = function.instance().await.unwrap();
            let held = function.unit.memory_bytes().unwrap();
            assert!((64 << 10..32 << 20).contains(&held), "what it has, not what it may have: {held}");
            let calls = (0..40).map(|_| function.call_in(&*instance, get()));
            let ends = futures_util::future::join_all(calls).await;
            assert!(
                ends.iter().all(|end| end.as_ref().is_ok_and(|(status, _)| *status == 200)),
                "{file}: {ends:?}"
            );
            instance.stop(Duration::from_secs(5)).await;
            assert_eq!(instance.ended().await, None, "{file}: stopped, not failed");
            assert_eq!(function.call_in(&*instance, get()).await, Err("HOB-0503".to_owned()));
            drop(instance);
            bench.eventually(|| function.unit.memory_bytes() == Some(0)).await;
            // The only place that the function has is free again.
            let next = function.instance().await.unwrap();
            assert!(function.call_in(&*next, get()).await.is_ok(), "{file}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_passed_to_the_guest_and_back() {
    for bench in Bench::both() {
        let function =
            bench.ready(&read("built/hello-rust-p2-unknown.wasm"), &Settings::default()).await.unwrap();
        let post = || {
            http::Request::post("/echo").header("host", "localhost").body(full(vec![b'x'; 100_000])).unwrap()
        };
        assert_eq!(function.call(post()).await.map(|(status, _)| status), Ok(200));
        let no_host = http::Request::builder().uri("/").body(full("")).unwrap();
        assert_eq!(function.call(no_host).await, Err("HOB-0406".to_owned()));
    }
}

/// A preview 1 module, what it is given, and how it ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_have_streams_arguments_and_an_exit_code() {
    for bench in Bench::both() {
        let exit = |code: u32| {
            format!(
                "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32))) (memory (export \"memory\") 1) (func (export \"_start\") (call $exit (i32.const {code}))))"
            )
        };
        let cases: Vec<(Vec<u8>, Exit)> = vec![
        (exit(0).into_bytes(), Exit::Code(0)),
        (exit(7).into_bytes(), Exit::Code(7)),
        (b"(module (func (export \"_start\")))".to_vec(), Exit::Code(0)),
        (b"(module (func (export \"_start\") unreachable))".to_vec(), Exit::Trap("wasm trap: wasm `unreachable` instruction executed".to_owned())),
        (b"(module (func (export \"_start\") (loop $l (br $l))))".to_vec(), Exit::Deadline),
        // What a module's own declaration forbids is not counted against it.
        (b"(module (memory 1 2) (func (export \"_start\") (local $n i32) (loop $l (local.set $n (i32.add (local.get $n) (i32.const 1))) (if (i32.ne (memory.grow (i32.const 60)) (i32.const -1)) (then unreachable)) (br_if $l (i32.lt_u (local.get $n) (i32.const 100)))) (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))))".to_vec(), Exit::Code(0)),
        (b"(module (memory 1) (func (export \"_start\") (if (i32.eq (memory.grow (i32.const 4096)) (i32.const -1)) (then unreachable))))".to_vec(), Exit::MemoryLimit),
    ];
        let settings =
            Settings { contract: "stdio", timeout: Duration::from_millis(300), ..Settings::default() };
        for (wasm, expected) in cases {
            let function = bench.ready(&wasm, &settings).await.unwrap();
            let context = Some(function.invocation(get()).context);
            let launch = Launch {
                instance: 1,
                args: vec![],
                env: vec![],
                stdin: false,
                stdout: false,
                lines: None,
                context,
                behind: Default::default(),
            };
            let program = function.unit.command().unwrap().start(launch).await.unwrap();
            assert_eq!(program.exit().await, expected, "{}", String::from_utf8_lossy(&wasm));
        }

        let cgi = read("built/cgi-c-p1.wasm");
        let text = run(&bench, &cgi, b"").await;
        assert!(text.to_lowercase().starts_with("content-type"), "{text}");
        // More than both pipes hold: neither side may wait for the other for ever.
        let long = "0123456789abcdef".repeat(64 << 10);
        assert_eq!(run(&bench, CAT.as_bytes(), long.as_bytes()).await, long);
    }
}

/// Copies its input to its output.
const CAT: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $next
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 4096))
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (if (i32.load (i32.const 8)) (then
        (i32.store (i32.const 4) (i32.load (i32.const 8)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
        (br $next))))))"#;

/// Writes its environment to its output, a zero byte after each variable.
const ENVIRONMENT: &str = r#"(module
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $get (i32.const 1024) (i32.const 65536)))
    (i32.store (i32.const 8) (i32.const 65536))
    (i32.store (i32.const 12) (i32.load (i32.const 4)))
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_is_told_where_its_telemetry_goes() {
    let printed = run(&Bench::open(), ENVIRONMENT.as_bytes(), b"").await;
    let variables: Vec<&str> = printed.split('\0').filter(|variable| variable.starts_with("OTEL_")).collect();
    assert_eq!(
        variables,
        [
            "OTEL_SERVICE_NAME=test/guest",
            "OTEL_RESOURCE_ATTRIBUTES=service.version=1,faas.name=test%2Fguest,faas.version=1",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://telemetry.internal",
            "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            "OTEL_EXPORTER_OTLP_COMPRESSION=none",
        ]
    );
}

/// What a program writes when it is given this input.
async fn run(bench: &Bench, wasm: &[u8], input: &[u8]) -> String {
    let settings = Settings { contract: "stdio", ..Settings::default() };
    let function = bench.ready(wasm, &settings).await.unwrap();
    let env = vec![("REQUEST_METHOD".to_owned(), "POST".to_owned())];
    let launch = Launch {
        instance: 1,
        args: vec!["x".into()],
        env,
        stdin: true,
        stdout: true,
        lines: None,
        context: None,
        behind: Default::default(),
    };
    let mut program = function.unit.command().unwrap().start(launch).await.unwrap();
    let (mut stdin, mut stdout) = (program.take_stdin().unwrap(), program.take_stdout().unwrap());
    let mut text = String::new();
    let write = async {
        // A program need not read what it is given.
        let _ = stdin.write_all(input).await;
        drop(stdin);
    };
    let (_, read) = tokio::join!(write, stdout.read_to_string(&mut text));
    read.unwrap();
    assert_eq!(program.exit().await, Exit::Code(0), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compiled_code_is_kept_and_made_again_when_it_is_damaged() {
    let bench = Bench::open();
    let wasm = read("built/hello-c-p2.wasm");
    let function = bench.ready(&wasm, &Settings::default()).await.unwrap();
    let file =
        std::fs::read_dir(bench.folder.path().join("cache/wasm")).unwrap().next().unwrap().unwrap().path();
    let made = std::fs::metadata(&file).unwrap().modified().unwrap();
    bench.host.prepare(&bench.code(&wasm, &Settings::default()), &|_| {}).await.unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), made, "compiled twice");
    drop(function);
    for damage in [b"".as_slice(), b"not code"] {
        std::fs::write(&file, damage).unwrap();
        let code = bench.code(&wasm, &Settings::default());
        assert!(bench.host.load(code).await.is_ok(), "{damage:?}");
    }
    std::fs::remove_file(&file).unwrap();
    assert!(bench.host.load(bench.code(&wasm, &Settings::default())).await.is_ok());
    assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "temporary files are left");
}

#[test]
fn built_guests_are_those_of_the_manifest() {
    let manifest = String::from_utf8(read("built/MANIFEST")).unwrap();
    let mut found: Vec<String> = std::fs::read_dir(guest_path("built"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "MANIFEST")
        .map(|name| format!("{}  {name}", Digest::of(&read(&format!("built/{name}"))).hex()))
        .collect();
    found.sort_by_key(|line| line[66..].to_owned());
    assert_eq!(manifest.lines().collect::<Vec<_>>(), found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_charged_with_the_time_of_its_guest() {
    for bench in Bench::both() {
        let busy = "(local $n i32)
        (loop $l
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $l (i32.lt_u (local.get $n) (i32.const 100000000))))
        (call $answer (local.get $out) (call $fields) (i32.const 200))";
        let mut spent = Vec::new();
        for guest in [read("built/hello-rust-p2-unknown.wasm"), guest02(&handle(busy)), read("hello03.wat")] {
            let function = bench.ready(&guest, &Settings::default()).await.unwrap();
            let instance = function.instance().await.unwrap();
            let invocation = function.invocation(get());
            let context = std::sync::Arc::clone(&invocation.context);
            let reply = instance.call(invocation).await.unwrap();
            http_body_util::BodyExt::collect(reply.into_body()).await.unwrap();
            let cpu_us = context.timing.cpu_us().expect("no other call ran");
            assert!(cpu_us > 0);
            // A kept instance may have spent time before the call.
            bench.eventually(|| function.code.cpu.us() + 1 >= cpu_us).await;
            spent.push(cpu_us);
        }
        assert!(spent[1] > spent[0], "{spent:?}");
    }
}
