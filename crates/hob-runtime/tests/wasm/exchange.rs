//! Quick code first, optimised code behind it, and compiled functions that are kept for others.

use crate::compile::child;
use crate::support::{Bench, Settings, get, guest02, handle};
use hob_runtime::host::Stage;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A guest of WASI 0.2 that is too large to be optimised at once, with code that is the same for each `data`.
fn large(data: &str) -> Vec<u8> {
    let answer = "(call $answer (local.get $out) (call $fields) (i32.const 200))";
    let body = "i32.const 2000000000 drop ".repeat(500);
    let ballast: String = (0..300).map(|_| format!("(func {body})\n")).collect();
    let text = guest02(&format!("{}\n(data (i32.const 60000) \"{data}\")\n{ballast}", handle(answer)));
    wat::parse_bytes(&text).unwrap().into_owned()
}

/// A language runtime in a component of WASI 0.3, whose instance is kept.
fn javascript() -> Vec<u8> {
    let example = "../../examples/hello/javascript-wasm/hello.wasm";
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(example)).unwrap()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    all.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn is_optimised(stage: Option<Stage>) -> bool {
    matches!(stage, Some(Stage::Optimised(_)))
}

/// A wait that ends with the condition.
async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn optimised_code_takes_over_behind_a_running_function() {
    for wasm in [large("a"), javascript()] {
        let bench = Bench::open();
        let settings = Settings { memory_bytes: 128 << 20, ..Settings::default() };
        let function = bench.ready(&wasm, &settings).await.unwrap();
        assert!(!is_optimised(bench.host.stage(&function.code)), "it serves before it is optimised");
        let old = function.instance().await.unwrap();
        let (calls, over) = (AtomicU64::new(0), AtomicBool::new(false));
        let load = async {
            while !over.load(Ordering::SeqCst) {
                let outcome = function.call(get()).await;
                assert_eq!(outcome.map(|(status, _)| status), Ok(200));
                calls.fetch_add(1, Ordering::SeqCst);
            }
        };
        let exchange = async {
            until(|| is_optimised(bench.host.stage(&function.code))).await;
            // Some more with the code that is there now.
            let enough = calls.load(Ordering::SeqCst) + 20;
            until(|| calls.load(Ordering::SeqCst) >= enough).await;
            over.store(true, Ordering::SeqCst);
        };
        tokio::join!(load, exchange);
        assert_eq!(
            function.call_in(&*old, get()).await.map(|(status, _)| status),
            Ok(200),
            "it keeps its code"
        );
        let cache = bench.folder.path().join("cache/wasm");
        until(|| files(&cache, "cwasm").len() == 1).await;
        until(|| bench.told.exchanges() == 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_finds_quick_code_goes_on_optimising() {
    let mut bench = Bench::open();
    let function = bench.ready(&large("a"), &Settings::default()).await.unwrap();
    let cache = bench.folder.path().join("cache/wasm");
    let quick =
        files(&cache, "cwasm").into_iter().find(|path| path.to_string_lossy().contains("-quick-")).unwrap();
    let kept = bench.folder.path().join("kept");
    std::fs::copy(&quick, &kept).unwrap();
    until(|| is_optimised(bench.host.stage(&function.code)) && files(&cache, "cwasm").len() == 1).await;
    // As a node leaves it that is killed between the two.
    std::fs::rename(&kept, &quick).unwrap();
    for path in files(&cache, "cwasm").into_iter().filter(|path| *path != quick) {
        std::fs::remove_file(path).unwrap();
    }
    files(&bench.folder.path().join("cache/functions"), "pack")
        .iter()
        .for_each(|pack| std::fs::remove_file(pack).unwrap());
    bench.restart();
    assert_eq!(bench.host.stage(&function.code), Some(Stage::Quick));
    let function = bench.ready(&large("a"), &Settings::default()).await.unwrap();
    assert_eq!(function.call(get()).await.map(|(status, _)| status), Ok(200));
    until(|| is_optimised(bench.host.stage(&function.code))).await;
    assert_eq!(function.call(get()).await.map(|(status, _)| status), Ok(200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_compiled_once_is_found_by_others_and_broken_packs_do_no_harm() {
    let bench = Bench::with(Some(false), child());
    let first = bench.ready(&large("a"), &Settings::default()).await.unwrap();
    let packs = bench.folder.path().join("cache/functions");
    until(|| is_optimised(bench.host.stage(&first.code)) && !files(&packs, "pack").is_empty()).await;
    let pack = files(&packs, "pack").remove(0);
    let whole = std::fs::read(&pack).unwrap();
    let half = whole.len() / 2;
    let mut flipped = whole.clone();
    flipped.iter_mut().skip(half).step_by(97).for_each(|byte| *byte ^= 0x40);
    let cases = [
        ("whole", whole.clone()),
        ("cut", whole[..half].to_vec()),
        ("flipped", flipped),
        ("empty", Vec::new()),
    ];
    for (data, bytes) in cases {
        std::fs::write(&pack, bytes).unwrap();
        let function = bench.ready(&large(data), &Settings::default()).await.unwrap();
        if data == "whole" {
            assert_eq!(
                bench.host.stage(&function.code),
                Some(Stage::Optimised(None)),
                "no quick code was needed"
            );
            assert_eq!(bench.told.exchanges(), 1, "that of the first one");
        }
        assert_eq!(function.call(get()).await.map(|(status, _)| status), Ok(200), "{data}");
        until(|| is_optimised(bench.host.stage(&function.code))).await;
        assert_eq!(function.call(get()).await.map(|(status, _)| status), Ok(200), "{data}");
    }
}
