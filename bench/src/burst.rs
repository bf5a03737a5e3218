//! Scenario `burst`: thousands of connections opened at once on a function that nobody has called.
//!
//! **How.** In each run every server is started anew, so that its function is cold; bare hyper in the
//! same run shows what the machine itself needs for that many connections.

use crate::Result;
use crate::client::{Outcome, Target, burst};
use crate::contestant::{CHILD, GUESTS, Hob, hyper, wasmtime};
use crate::plan::Plan;
use crate::report::{BurstRow, median};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const LIMIT: &str = "hyper, no function";

type Outcomes = BTreeMap<String, Vec<Outcome>>;

pub(crate) async fn run(plan: &Plan) -> Result<Vec<BurstRow>> {
    let folder = TempDir::with_prefix("hob-bench-")?;
    let mut outcomes = Outcomes::new();
    let mut hob = Hob::start(plan)?;
    hob.deploy_guests(0, "60s")?;
    for _ in 0..plan.burst_runs {
        let (server, target) = hyper(plan)?;
        measure(plan, LIMIT.to_owned(), target, &mut outcomes).await?;
        drop(server);
        for guest in GUESTS.iter() {
            hob = hob.restart()?;
            measure(plan, format!("hob, {}", guest.what), hob.guest(guest), &mut outcomes).await?;
            if let Some((server, target)) = wasmtime(plan, guest, folder.path())? {
                measure(plan, format!("wasmtime serve, {}", guest.what), target, &mut outcomes).await?;
                drop(server);
            }
        }
        for present in &plan.peers {
            let (server, target) = present.start(folder.path())?;
            measure(plan, present.peer.name.to_owned(), target, &mut outcomes).await?;
            drop(server);
        }
        hob = hob.restart()?;
        measure(plan, format!("hob, `http` {CHILD}"), hob.child(), &mut outcomes).await?;
    }
    let limit: Vec<f64> = outcomes[LIMIT].iter().map(|outcome| ms(outcome.latency.quantile(990))).collect();
    Ok(outcomes.into_iter().map(|(server, runs)| row(plan, server, &runs, &limit)).collect())
}

async fn measure(plan: &Plan, name: String, target: Target, outcomes: &mut Outcomes) -> Result<()> {
    let outcome = burst(&Arc::new(target), plan.burst_connections).await?;
    outcomes.entry(name).or_default().push(outcome);
    Ok(())
}

fn row(plan: &Plan, server: String, runs: &[Outcome], limit: &[f64]) -> BurstRow {
    let of =
        |per_mille: u64| runs.iter().map(|run| ms(run.latency.quantile(per_mille))).collect::<Vec<f64>>();
    let p99 = of(990);
    BurstRow {
        server,
        connections: plan.burst_connections,
        runs: runs.len(),
        p50_ms: median(of(500)),
        p99_ms: median(p99.clone()),
        max_ms: runs.iter().map(|run| ms(run.latency.max())).fold(0.0, f64::max),
        p99_of_hyper: median(p99.iter().zip(limit).map(|(mine, limit)| mine / limit).collect()),
        correct: runs.iter().map(|run| run.correct).sum(),
        failed: runs.iter().map(|run| run.failed).sum(),
        first_failure: runs.iter().find_map(|run| run.first_failure.clone()),
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
