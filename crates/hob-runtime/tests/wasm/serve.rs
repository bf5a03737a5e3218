//! Guests that behave.

use crate::support::{Bench, Settings, get, guest_path, guest02};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_of_every_kind_answer() {
    let bench = Bench::open();
    let cases: &[(&str, &str)] = &[
        ("built/hello-c-p2.wasm", "hello"),
        ("built/hello-rust-p2-unknown.wasm", "hello"),
        ("built/hello-rust-p3-unknown.wasm", "hello"),
        ("built/hello-rust-spin-sdk7.wasm", "hello"),
        ("hello03.wat", "hello"),
    ];
    for (file, expected) in cases {
        let wasm = std::fs::read(guest_path(file)).unwrap();
        let function =
            bench.ready(&wasm, &Settings::default()).await.unwrap_or_else(|fault| panic!("{file}: {fault}"));
        let (status, body) =
            function.call(get()).await.unwrap_or_else(|code| panic!("{file}: {code}\n{}", bench.logs.text()));
        assert_eq!(status, 200, "{file}");
        assert!(body.to_lowercase().contains(expected), "{file}: {body}");
    }
    let function = bench
        .ready(&guest02("(func (export \"handle\") (param $req i32) (param $out i32) (call $answer (local.get $out) (call $fields) (i32.const 201)))"), &Settings::default())
        .await
        .unwrap();
    assert_eq!(function.call(get()).await, Ok((201, "hello from wat\n".to_owned())));
}
