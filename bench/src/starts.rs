//! Scenario `starts`: the first call of a function that has no instance, beside starting its program alone.
//!
//! **How.** In each run every function has had no call for a second, so that it has no instance. Its first call through
//! Hob stands beside the same program started by this process, from the start to its first answer; one run begins with the
//! one, the next with the other, since what the case before leaves behind takes time of the same processor. Both connect
//! anew. A contract that starts an instance for each call has no other kind of call.

use crate::client::once;
use crate::contestant::Hob;
use crate::contract::{APP, Case, cases, deploy};
use crate::plan::Plan;
use crate::report::contract::StartRow;
use crate::report::median;
use crate::{Error, Result};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// Time without a call after which an instance stops.
const IDLE: &str = "idle = \"1s\"";

/// One run of one case.
struct Start {
    /// `None` where there is no program to start.
    alone: Option<Duration>,
    cold: Duration,
    warm: Duration,
}

pub(crate) async fn run(plan: &Plan) -> Result<Vec<StartRow>> {
    let folder = TempDir::with_prefix("hob-bench-")?;
    let cases = cases(plan);
    let hob = Hob::start(plan)?;
    deploy(&hob, &cases, IDLE)?;
    let mut seen: Vec<Vec<Result<Start>>> = cases.iter().map(|_| Vec::new()).collect();
    for run in 0..plan.cold_runs {
        for (case, seen) in cases.iter().zip(&mut seen) {
            hob.control.until_idle(APP, case.name).await?;
            seen.push(start(plan, case, &hob, (folder.path(), run % 2 == 1)).await);
        }
    }
    Ok(cases.iter().zip(&seen).map(|(case, starts)| row(case, starts)).collect())
}

async fn start(
    plan: &Plan,
    case: &Case<'_>,
    hob: &Hob,
    (folder, alone_first): (&Path, bool),
) -> Result<Start> {
    let target = case.target(hob);
    let by_itself = async || match case.alone.is_nothing() {
        true => Ok::<_, Error>(None),
        false => Ok(Some(case.alone.first_answer(plan, folder).await?)),
    };
    let before = if alone_first { Some(by_itself().await?) } else { None };
    let (cold, warm) = (once(&target).await?, once(&target).await?);
    let alone = match before {
        Some(alone) => alone,
        None => by_itself().await?,
    };
    Ok(Start { alone, cold, warm })
}

fn row(case: &Case<'_>, starts: &[Result<Start>]) -> StartRow {
    let right: Vec<&Start> = starts.iter().filter_map(|start| start.as_ref().ok()).collect();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let of = |value: &dyn Fn(&Start) -> f64| median(right.iter().map(|start| value(start)).collect());
    let alone = |start: &Start| start.alone.map_or(0.0, ms);
    StartRow {
        contract: case.contract,
        name: case.name.to_owned(),
        program: case.program,
        alone: if case.alone.is_nothing() { "nothing to start" } else { case.alone.name() },
        alone_p50_ms: of(&alone),
        cold_p50_ms: of(&|start| ms(start.cold)),
        cold_max_ms: right.iter().map(|start| ms(start.cold)).fold(0.0, f64::max),
        warm_p50_ms: of(&|start| ms(start.warm)),
        added_p50_ms: of(&|start| ms(start.cold) - alone(start)),
        correct: right.len() as u64,
        failed: (starts.len() - right.len()) as u64,
        first_failure: starts.iter().find_map(|start| Some(start.as_ref().err()?.to_string())),
    }
}
