//! Scenario `density`: 1, 1,000 and 10,000 deployed functions that nobody calls.
//!
//! **How.** Functions of one small component, 250 in an app; after the last deploy the node is started anew, and asked
//! for one function: the time from the start of the process to its reply is the first figure. Memory, threads,
//! files and tasks are those of the restarted node before that call. Then one more app is deployed, which shows
//! whether a deploy costs more where much is deployed. (`memory` has a component of its own for each function.)
//!
//! **Not here:** `wasmtime serve` and the functions-frameworks run one function in a process: their memory for one
//! is in `memory`, and for 1,000 it is a thousand of these.

use crate::Result;
use crate::client::once;
use crate::contestant::{GUESTS, Guest, Hob};
use crate::plan::Plan;
use crate::report::median;
use crate::report::node::DensityRow;
use crate::server::{Held, Server};
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

/// What every function is.
const GUEST: &Guest = &GUESTS[1];
/// Functions at which the peers that run several in one process are measured; more would not fit into memory.
const OF_PEERS_MAX: usize = 1000;
/// Starts of the node, of which the medians are shown.
const STARTS: usize = 3;

pub(crate) async fn run(plan: &Plan) -> Result<Vec<DensityRow>> {
    let mut rows = vec![of_hob(plan, 0, 0).await?];
    for &(apps, functions) in &plan.densities {
        rows.push(of_hob(plan, apps, functions).await?);
    }
    for present in plan.peers.iter().filter(|present| present.peer.many) {
        let sizes = plan.densities.iter().map(|(apps, functions)| apps * functions);
        for functions in sizes.filter(|functions| *functions <= OF_PEERS_MAX) {
            let folder = TempDir::with_prefix("hob-bench-")?;
            let (server, addresses) = present.start_many(folder.path(), functions)?;
            let asked = once(&present.hello(addresses[functions - 1])).await;
            let start_ms = server.since.elapsed().as_secs_f64() * 1e3;
            let mut row = row(present.peer.name, functions, &server)?;
            row.first_reply_ms = start_ms;
            (row.correct, row.failed) = (u64::from(asked.is_ok()), u64::from(asked.is_err()));
            rows.push(row);
        }
    }
    per_function(&mut rows);
    Ok(rows)
}

async fn of_hob(plan: &Plan, apps: usize, functions: usize) -> Result<DensityRow> {
    let mut hob = Hob::start(plan)?;
    let mut deploying = Duration::ZERO;
    for app in 0..apps {
        deploying += deploy(&hob, &app_name(app), functions)?;
    }
    let (mut first, mut rows, mut failed) = (Vec::new(), Vec::new(), 0);
    for _ in 0..STARTS {
        hob = hob.restart()?;
        let mut row = row("hob", apps * functions, &hob.server)?;
        row.tasks = Some(hob.control.tasks().await?);
        row.start_ms = Some(hob.server.start.as_secs_f64() * 1e3);
        rows.push(row);
        // The first call of a fresh process, and what it takes to get there; reading `/proc` is not counted.
        hob = hob.restart()?;
        if apps > 0 {
            let host = hob.host(&app_name(apps - 1), &format!("f{}", functions - 1));
            let asked = once(&GUEST.target(&hob.server, host, "/".to_owned())).await;
            failed += u64::from(asked.is_err());
        }
        first.push(hob.server.since.elapsed().as_secs_f64() * 1e3);
    }
    let one_more = deploy(&hob, "more", 1)?;
    let mut last = rows.pop().expect("there was a start");
    let of = |value: &dyn Fn(&DensityRow) -> f64| median(rows.iter().map(value).collect());
    last.resident_mib = of(&|row| row.resident_mib);
    last.start_ms = Some(of(&|row| row.start_ms.unwrap_or_default()));
    last.first_reply_ms = median(first);
    last.deploy_s = Some(deploying.as_secs_f64());
    last.one_more_ms = Some(one_more.as_secs_f64() * 1e3);
    last.correct = if apps > 0 { STARTS as u64 - failed } else { 0 };
    last.failed = failed;
    Ok(last)
}

fn deploy(hob: &Hob, app: &str, functions: usize) -> Result<Duration> {
    let folder = hob.app_folder(app)?;
    fs::write(folder.join("f.wasm"), GUEST.bytes)?;
    let mut manifest = format!("app = \"{app}\"\n");
    for function in 0..functions {
        let _ = write!(manifest, "\n[functions.f{function}]\nrun = \"f.wasm\"\n");
    }
    fs::write(folder.join("hob.toml"), manifest)?;
    hob.deploy(&folder)
}

fn app_name(app: usize) -> String {
    format!("density{app}")
}

fn row(server: &str, functions: usize, process: &Server) -> Result<DensityRow> {
    let Held { threads, files } = process.held()?;
    Ok(DensityRow {
        server: server.to_owned(),
        functions,
        resident_mib: process.resident_bytes()? as f64 / f64::from(1 << 20),
        kib_per_function: None,
        start_ms: None,
        first_reply_ms: 0.0,
        deploy_s: None,
        one_more_ms: None,
        threads,
        files,
        tasks: None,
        correct: 0,
        failed: 0,
    })
}

/// What a function adds, compared with the row of the same server that has the fewest.
fn per_function(rows: &mut [DensityRow]) {
    for index in 1..rows.len() {
        let first = rows.iter().position(|row| row.server == rows[index].server).unwrap_or(index);
        let (least, own) = (&rows[first], &rows[index]);
        if own.functions > least.functions + 1 {
            let more = (own.functions - least.functions) as f64;
            rows[index].kib_per_function = Some((own.resident_mib - least.resident_mib) * 1024.0 / more);
        }
    }
}
