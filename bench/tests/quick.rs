//! Runs the whole bench in its smallest form, so that it cannot rot between two measurements.

use std::path::Path;
use std::process::Command;

#[test]
fn every_scenario_runs_and_every_reply_is_right() {
    let bench = Path::new(env!("CARGO_BIN_EXE_hob-bench"));
    let hob = bench.with_file_name("hob");
    assert!(hob.is_file(), "run `cargo build -p hob` first, or test the whole workspace");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let json = folder.join("quick.json");
    let output = Command::new(bench)
        .args(["--quick", "--no-peers", "--wasmtime", "/nonexistent", "--nats", "/nonexistent", "--hob"])
        .arg(&hob)
        .arg("--disk")
        .arg(folder)
        .arg("--json")
        .arg(&json)
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    for skipped in [
        "skipped: wasmtime serve",
        "skipped: NATS JetStream",
        "skipped: workerd",
        "skipped: Deno",
        "skipped: Node's `http`",
        "skipped: Node functions-framework",
        "skipped: Python functions-framework",
    ] {
        assert!(stdout.contains(skipped), "{stdout}");
    }
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    for (scenario, least) in [
        ("load", 3),
        ("echo", 8),
        ("call", 10),
        ("noisy", 3),
        ("loops", 3),
        ("density", 3),
        ("idle", 3),
        ("soak", 1),
        ("cold", 3),
        ("burst", 3),
        ("memory", 3),
        ("events", 8),
        ("deliver", 4),
        ("backlog", 2),
        ("growth", 3),
        ("facts", 4),
        // 3 components, `http`, CGI and WAGI, `lambda`, `javascript`, `spin`, `static`; without Node and the frameworks.
        ("overhead", 20),
        ("starts", 10),
        ("script", 2),
    ] {
        assert!(report[scenario].as_array().is_some_and(|rows| rows.len() >= least), "{scenario}: {report}");
    }
}
