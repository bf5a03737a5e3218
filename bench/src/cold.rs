//! Scenario `cold`: the first call after a deploy, after a restart, and after scale-to-zero.
//!
//! **How.** Each cold call is followed by a warm one to the same function; both connect anew, so
//! their difference is what being cold costs. For hyper and the peers the cold call includes
//! the start of the process, which is the only way in which they start from nothing.

use crate::Result;
use crate::client::{Target, once};
use crate::contestant::{CHILD, GUESTS, Hob, hyper, wasmtime};
use crate::plan::Plan;
use crate::report::{ColdRow, median};
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;

/// Time without a call after which the child stops, where scale-to-zero is measured.
const IDLE: &str = "1s";
/// The same where it must not interfere.
const LONG: &str = "60s";

/// Pairs of a cold and a warm call, by server and by what made it cold.
type Calls = BTreeMap<(String, &'static str), Vec<Pair>>;

struct Pair {
    cold: std::result::Result<Duration, String>,
    warm: std::result::Result<Duration, String>,
}

pub(crate) async fn run(plan: &Plan) -> Result<Vec<ColdRow>> {
    let mut calls = Calls::new();
    after_deploy_and_restart(plan, &mut calls).await?;
    after_idle(plan, &mut calls).await?;
    from_nothing(plan, &mut calls).await?;
    Ok(calls.into_iter().map(|((server, after), pairs)| row(server, after, &pairs)).collect())
}

async fn after_deploy_and_restart(plan: &Plan, calls: &mut Calls) -> Result<()> {
    let mut hob = Hob::start(plan)?;
    for mark in 0..plan.cold_runs {
        hob.deploy_guests(mark, LONG)?;
        ask_all(&hob, "deploy", calls).await;
        hob = hob.restart()?;
        ask_all(&hob, "restart of the node", calls).await;
    }
    Ok(())
}

async fn ask_all(hob: &Hob, after: &'static str, calls: &mut Calls) {
    for guest in &GUESTS {
        let name = format!("hob, {}", guest.what);
        calls.entry((name, after)).or_default().push(pair(&hob.guest(guest), Duration::ZERO).await);
    }
    let name = format!("hob, `http` {CHILD}");
    calls.entry((name, after)).or_default().push(pair(&hob.child(), Duration::ZERO).await);
}

async fn after_idle(plan: &Plan, calls: &mut Calls) -> Result<()> {
    let hob = Hob::start(plan)?;
    hob.deploy_guests(0, IDLE)?;
    for _ in 0..plan.cold_runs {
        hob.child_gone().await?;
        let name = format!("hob, `http` {CHILD}");
        let pair = pair(&hob.child(), Duration::ZERO).await;
        calls.entry((name, "scale to zero")).or_default().push(pair);
    }
    Ok(())
}

async fn from_nothing(plan: &Plan, calls: &mut Calls) -> Result<()> {
    let folder = TempDir::with_prefix("hob-bench-")?;
    for _ in 0..plan.cold_runs {
        let (server, target) = hyper(plan)?;
        let pair_of_hyper = pair(&target, server.start).await;
        calls
            .entry(("hyper, no function".to_owned(), "start of the process"))
            .or_default()
            .push(pair_of_hyper);
        for present in &plan.peers {
            let (server, target) = present.start(folder.path())?;
            let pair = pair(&target, server.start).await;
            calls.entry((present.peer.name.to_owned(), "start of the process")).or_default().push(pair);
        }
        for guest in &GUESTS {
            if let Some((server, target)) = wasmtime(plan, guest, folder.path())? {
                let name = format!("wasmtime serve, {}", guest.what);
                let pair = pair(&target, server.start).await;
                calls.entry((name, "start of the process")).or_default().push(pair);
            }
        }
    }
    Ok(())
}

/// A cold call, to which `before` is added, and a warm one.
async fn pair(target: &Target, before: Duration) -> Pair {
    let text = |error: Box<dyn std::error::Error + Send + Sync>| error.to_string();
    let cold = once(target).await.map(|time| time + before).map_err(text);
    let warm = once(target).await.map_err(text);
    Pair { cold, warm }
}

fn row(server: String, after: &'static str, pairs: &[Pair]) -> ColdRow {
    let ms = |time: &Duration| time.as_secs_f64() * 1e3;
    let cold: Vec<f64> = pairs.iter().filter_map(|pair| pair.cold.as_ref().ok()).map(ms).collect();
    let warm: Vec<f64> = pairs.iter().filter_map(|pair| pair.warm.as_ref().ok()).map(ms).collect();
    let (cold_p50_ms, warm_p50_ms) = (median(cold.clone()), median(warm.clone()));
    ColdRow {
        server,
        after,
        cold_p50_ms,
        cold_max_ms: cold.iter().copied().fold(0.0, f64::max),
        warm_p50_ms,
        added_p50_ms: cold_p50_ms - warm_p50_ms,
        correct: cold.len() + warm.len(),
        failed: 2 * pairs.len() - cold.len() - warm.len(),
        first_failure: pairs
            .iter()
            .find_map(|pair| pair.cold.as_ref().err().or_else(|| pair.warm.as_ref().err()).cloned()),
    }
}
