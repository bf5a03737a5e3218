//! Scenario `memory`: what a node holds while nothing happens, with no app and with 1,000 functions.
//!
//! **How.** Every function has a component of its own: the same guest with another custom section, so
//! that nothing is shared by being equal. Memory is the node's resident set, in four states.

use crate::Result;
use crate::client::once;
use crate::contestant::{GUESTS, Guest, Hob, hyper, wasmtime};
use crate::plan::Plan;
use crate::report::MemoryRow;
use crate::server::Server;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

/// The guest whose copies are deployed.
const GUEST: &Guest = &GUESTS[1];

pub(crate) async fn run(plan: &Plan) -> Result<Vec<MemoryRow>> {
    let mut rows = peers(plan).await?;
    let hob = Hob::start(plan)?;
    rows.push(row("hob, no app".to_owned(), 0, &hob.server)?);
    let empty = hob.server.resident_bytes()?;
    let mut deploying = Duration::ZERO;
    for app in 0..plan.apps {
        deploying += deploy(plan, &hob, app)?;
    }
    let functions = plan.functions();
    let name = format!("hob, just deployed (deploying took {:.1} s)", deploying.as_secs_f64());
    rows.push(row(name, functions, &hob.server)?);
    let hob = hob.restart()?;
    rows.push(row("hob, restarted, nothing called yet".to_owned(), functions, &hob.server)?);
    let (correct, failed) = call_all(plan, &hob).await;
    rows.push(row("hob, every function called once".to_owned(), functions, &hob.server)?);

    let counted = rows.len() - 3;
    for row in &mut rows[counted..] {
        row.kib_per_function = Some((row.resident_mib * 1024.0 - empty as f64 / 1024.0) / functions as f64);
    }
    if let Some(last) = rows.last_mut() {
        (last.correct, last.failed) = (correct, failed);
    }
    Ok(rows)
}

async fn peers(plan: &Plan) -> Result<Vec<MemoryRow>> {
    let folder = TempDir::with_prefix("hob-bench-")?;
    let mut rows = Vec::new();
    let (server, target) = hyper(plan)?;
    once(&target).await?;
    rows.push(row("hyper, no function".to_owned(), 0, &server)?);
    if let Some((server, target)) = wasmtime(plan, GUEST, folder.path())? {
        once(&target).await?;
        rows.push(row("wasmtime serve, one function called once".to_owned(), 1, &server)?);
    }
    for present in &plan.peers {
        let (server, target) = present.start(folder.path())?;
        once(&target).await?;
        rows.push(row(format!("{}, one function called once", present.peer.name), 1, &server)?);
    }
    Ok(rows)
}

fn deploy(plan: &Plan, hob: &Hob, app: usize) -> Result<Duration> {
    let name = app_name(app);
    let folder = hob.app_folder(&name)?;
    let mut manifest = format!("app = \"{name}\"\n");
    for function in 0..plan.functions_per_app {
        let file = format!("f{function}.wasm");
        fs::write(folder.join(&file), marked(GUEST.bytes, &format!("{name}/{function}")))?;
        let _ = write!(manifest, "\n[functions.f{function}]\nrun = \"{file}\"\n");
    }
    fs::write(folder.join("hob.toml"), manifest)?;
    hob.deploy(&folder)
}

fn app_name(app: usize) -> String {
    format!("memory{app}")
}

/// The same component with a custom section at its end (WebAssembly specification, 5.5.3).
fn marked(component: &[u8], mark: &str) -> Vec<u8> {
    const NAME: &[u8] = b"\x04mark";
    let length = u8::try_from(NAME.len() + mark.len()).expect("a mark is a few letters");
    assert!(length < 128, "a length of one LEB128 byte");
    [component, &[0, length], NAME, mark.as_bytes()].concat()
}

async fn call_all(plan: &Plan, hob: &Hob) -> (u64, u64) {
    let (mut correct, mut failed) = (0, 0);
    for app in 0..plan.apps {
        for function in 0..plan.functions_per_app {
            let host = format!("f{function}--{}.localhost", app_name(app));
            match once(&GUEST.target(&hob.server, host, "/".to_owned())).await {
                Ok(_) => correct += 1,
                Err(_) => failed += 1,
            }
        }
    }
    (correct, failed)
}

fn row(state: String, functions: usize, server: &Server) -> Result<MemoryRow> {
    Ok(MemoryRow {
        state,
        functions,
        resident_mib: server.resident_bytes()? as f64 / f64::from(1 << 20),
        kib_per_function: None,
        start_ms: server.start.as_secs_f64() * 1e3,
        correct: 0,
        failed: 0,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_mark_is_one_custom_section() {
        assert_eq!(super::marked(b"x", "a/1"), b"x\x00\x08\x04marka/1");
    }
}
