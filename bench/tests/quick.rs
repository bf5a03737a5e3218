//! Runs the whole bench in its smallest form, so that it cannot rot between two measurements.

use std::path::Path;
use std::process::Command;

#[test]
fn every_scenario_runs_and_every_reply_is_right() {
    let bench = Path::new(env!("CARGO_BIN_EXE_hob-bench"));
    let hob = bench.with_file_name("hob");
    assert!(hob.is_file(), "run `cargo build -p hob` first, or test the whole workspace");
    let json = Path::new(env!("CARGO_TARGET_TMPDIR")).join("quick.json");
    let output = Command::new(bench)
        .args(["--quick", "--wasmtime", "/nonexistent", "--hob"])
        .arg(&hob)
        .arg("--json")
        .arg(&json)
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("skipped: wasmtime serve"), "{stdout}");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    for scenario in ["load", "cold", "burst", "memory"] {
        assert!(report[scenario].as_array().is_some_and(|rows| rows.len() >= 3), "{scenario}: {report}");
    }
}
