//! Guests that do not behave: each is one failed call with the right code, and the host goes on.

use crate::attack::{HOSTILE, LONG, code, deep_types, missing_kinds};
use crate::support::{Bench, Function, Settings, get, guest_path, guest02, handle};
use futures_util::FutureExt;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

fn hostile(handler: &str) -> Vec<u8> {
    guest02(&code(handler))
}

async fn outcome(function: &Function) -> String {
    match function.call(get()).await {
        Ok((status, _)) => status.to_string(),
        Err(code) => code,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_hostile_guest_is_one_failed_call() {
    assert_eq!(missing_kinds(), [""; 0]);
    for bench in Bench::both() {
        let good = guest02(&handle("(call $answer (local.get $out) (call $fields) (i32.const 200))"));
        let good = bench.ready(&good, &Settings::default()).await.unwrap();
        let settings = Settings {
            timeout: Duration::from_millis(300),
            memory_bytes: 8 * MIB,
            env: &[("LONG", LONG)],
            ..Settings::default()
        };
        let mut wrong = Vec::new();
        for (_, what, handler, expected) in HOSTILE {
            let function = bench
                .ready(&hostile(handler), &settings)
                .await
                .unwrap_or_else(|fault| panic!("{what}: {fault}"));
            let found = outcome(&function).await;
            if found != *expected {
                wrong.push(format!("{what}: {found}, expected {expected}"));
            }
            assert_eq!(outcome(&good).await, "200", "after the guest that {what}");
        }
        assert!(wrong.is_empty(), "{wrong:#?}\n{}", bench.logs.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loops_end_at_their_deadline_and_hold_nobody_up() {
    for bench in Bench::both() {
        let timeout = Duration::from_millis(500);
        let settings = Settings { timeout, ..Settings::default() };
        let looping = bench.ready(&hostile("(loop $l (br $l))"), &settings).await.unwrap();
        let good = guest02(&handle("(call $answer (local.get $out) (call $fields) (i32.const 200))"));
        let good = bench.ready(&good, &Settings::default()).await.unwrap();
        let begun = Instant::now();
        let neighbours = async {
            let mut calls = 0;
            while begun.elapsed() < timeout / 2 {
                assert_eq!(outcome(&good).await, "200");
                calls += 1;
            }
            calls
        };
        let loops = futures_util::future::join_all((0..8).map(|_| looping.call(get())));
        let (ends, neighbours) = tokio::join!(loops, neighbours);
        // Ten times the deadline tells "ended by it" from "never ends" on any machine.
        assert!(begun.elapsed() < timeout * 10, "8 loops took {:?}", begun.elapsed());
        assert!(ends.iter().all(|end| *end == Err("HOB-0501".to_owned())), "{ends:?}");
        assert!(neighbours > 1, "neighbours were held up: {neighbours} calls");
    }
}

/// A guest of WASI 0.3 that does this before it answers.
fn hostile03(instructions: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(guest_path("hello03.wat")).unwrap();
    let begin = "(local i64 i64 i32 i32)\n";
    assert_eq!(text.matches(begin).count(), 1);
    text.replace(begin, &format!("{begin} {instructions} ")).into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_instance_dies_with_its_guest_and_takes_its_calls_along() {
    for bench in Bench::both() {
        let settings = Settings { timeout: Duration::from_millis(300), max: 1, ..Settings::default() };
        for (instructions, expected) in [
            ("unreachable", "HOB-0502"),
            ("loop br 0 end", "HOB-0501"),
            ("loop i32.const 64 memory.grow i32.const -1 i32.ne br_if 0 end unreachable", "HOB-0505"),
            ("loop call 0 drop br 0 end", "HOB-0502"),
        ] {
            let function = bench.ready(&hostile03(instructions), &settings).await.unwrap();
            // Twice, in the only place that the function has: the first instance has to be gone.
            for _ in 0..2 {
                let instance = function.instance().await.unwrap();
                let calls = (0..3).map(|_| function.call_in(&*instance, get()));
                let ends = futures_util::future::join_all(calls).await;
                assert!(ends.iter().all(|end| *end == Err(expected.to_owned())), "{instructions}: {ends:?}");
                let _ = instance.ended().await;
                bench.eventually(|| instance.ended().now_or_never().flatten().is_some()).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_run_is_refused_at_deploy() {
    let bench = Bench::open();
    let read = |name: &str| std::fs::read(guest_path(name)).unwrap();
    let with_import = |import: &str| {
        format!("(component (import \"{import}\" (instance (export \"f\" (func)))) (instance $i) (export \"wasi:cli/run@0.2.0\" (instance $i)))").into_bytes()
    };
    let deep = deep_types(&String::from_utf8(hostile("")).unwrap()).into_bytes();
    let cases: Vec<(&str, Vec<u8>, &str, &[&str])> = vec![
        ("wasi-http", b"hello".to_vec(), "HOB-0303", &[]),
        ("wasi-http", b"\0asm\x0d\0\x01\0\x07".to_vec(), "HOB-0303", &[]),
        ("wasi-http", b"(component (core module (func (result i32) i64.const 1)))".to_vec(), "HOB-0301", &["exports nothing"]),
        ("wasi-http", b"(component (core module (func (result i32) i64.const 1)) (instance $i) (export \"wasi:http/handler@0.3.0\" (instance $i)))".to_vec(), "HOB-0303", &[]),
        ("wasi-http", b"(component (instance $i) (export \"acme:shop/cart@1.0.0\" (instance $i)))".to_vec(), "HOB-0301", &["acme:shop/cart@1.0.0", "wasi:http/incoming-handler@0.2"]),
        ("wasi-http", b"(component (instance $i) (export \"wasi:http/incoming-handler@0.2.0\" (instance $i)))".to_vec(), "HOB-0301", &["another type"]),
        ("wasi-http", read("built/cgi-c-p1.wasm"), "HOB-0301", &["_start", "contract = \"stdio\""]),
        ("stdio", read("built/hello-c-p2.wasm"), "HOB-0301", &["contract = \"wasi-http\""]),
        ("stdio", with_import("wasi:blobstore/blobstore@0.2.0-draft"), "HOB-0302", &["wasi:blobstore/blobstore@0.2.0-draft", "wasi:http"]),
        ("stdio", with_import("wasi:http/types@0.2.0-rc-2024-01-16"), "HOB-0302", &["`wasi:http/types@0.2.12`"]),
        ("stdio", with_import("wasi:clocks/monotonic-clock@0.4.0"), "HOB-0302", &["0.4.0"]),
        ("stdio", b"(module (import \"env\" \"magic\" (func)) (func (export \"_start\")))".to_vec(), "HOB-0302", &["env::magic", "wasi_snapshot_preview1"]),
        ("wasi-http", deep, "HOB-0303", &["nesting"]),
        ("stdio", b"(module (memory 1024) (func (export \"_start\")))".to_vec(), "HOB-0309", &["64 MiB", "32 MiB"]),
        ("stdio", b"(module (table 1000000 funcref) (func (export \"_start\")))".to_vec(), "HOB-0309", &["1000000"]),
    ];
    for (contract, wasm, expected, words) in cases {
        let text = String::from_utf8_lossy(&wasm[..wasm.len().min(120)]).into_owned();
        let fault = match bench.ready(&wasm, &Settings { contract, ..Settings::default() }).await {
            Err(fault) => fault,
            Ok(_) => panic!("{text}: was taken"),
        };
        assert_eq!(fault.code().text(), expected, "{text}: {fault}");
        let said = format!("{fault} {}", fault.hint_text().unwrap_or_default());
        for word in words {
            assert!(said.contains(word), "{text}: `{word}` is not in: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_calls_leave_nothing_behind() {
    for bench in Bench::both() {
        let busy = "(local $n i32)
        (loop $l (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if $l (i32.lt_u (local.get $n) (i32.const 9000000))))
        (call $answer (local.get $out) (call $fields) (i32.const 200))";
        let slow =
            "(local $s i32) (local.set $s (call $begin (local.get $out) (call $fields) (i32.const 200)))
        (loop $l (call $put (local.get $s) (i32.const 1024) (i32.const 15) (i32.const 32)) (br $l))";
        let settings = Settings { max: 2, ..Settings::default() };
        for wasm in [hostile(busy), hostile(slow), std::fs::read(guest_path("hello03.wat")).unwrap()] {
            let function = bench.ready(&wasm, &settings).await.unwrap();
            for round in 0..300_u32 {
                let instance = function.instance().await.unwrap();
                let call = instance.call(function.invocation(get()));
                // Dropped before its end, or with an answer whose body nobody reads.
                let _ = tokio::time::timeout(Duration::from_micros(u64::from(round % 7) * 200), call).await;
            }
            // Both places that the function has are free again.
            let (one, two) = tokio::join!(function.instance(), function.instance());
            let (one, two) = (one.unwrap(), two.unwrap());
            let (a, b) = (one.call(function.invocation(get())), two.call(function.invocation(get())));
            let (a, b) = tokio::join!(a, b);
            assert!(a.is_ok() && b.is_ok(), "a cancelled call kept its place: {:?} {:?}", a.err(), b.err());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_guest_sees_what_another_left_in_its_memory() {
    // With a pool, if the machine has one: that is where slots are used again.
    let bench = Bench::with(None, Vec::new());
    let grow = "(drop (memory.grow (i32.const 64)))";
    let size = "(i32.mul (memory.size) (i32.const 65536))";
    let writer = format!(
        "{grow} (memory.fill (i32.const 65536) (i32.const 0xab) (i32.sub {size} (i32.const 65536)))
         (call $answer (local.get $out) (call $fields) (i32.const 200))"
    );
    let reader = format!(
        "(local $at i32) {grow} (local.set $at (i32.const 65536))
         (loop $l
           (if (i32.eq (i32.load (local.get $at)) (i32.const 0xabababab)) (then unreachable))
           (local.set $at (i32.add (local.get $at) (i32.const 4)))
           (br_if $l (i32.lt_u (local.get $at) {size})))
         (call $answer (local.get $out) (call $fields) (i32.const 200))"
    );
    let writer = bench.ready(&hostile(&writer), &Settings::default()).await.unwrap();
    let reader = bench.ready(&hostile(&reader), &Settings::default()).await.unwrap();
    for _ in 0..200 {
        assert_eq!(outcome(&writer).await, "200");
        assert_eq!(outcome(&reader).await, "200", "a canary of another guest was found");
    }
}
