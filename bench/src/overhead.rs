//! Scenario `overhead`: what each contract adds to calling the function's own server or runtime.
//!
//! **How.** In each round a function is asked without Hob and through it, one right after the other, in turns
//! beginning with the one or the other. What Hob adds is the median of the rounds' differences. Processor time is the node's and its
//! children's on one side, and of whatever answers on the other.

use crate::Result;
use crate::contestant::{Hob, warm};
use crate::contract::{Case, Direct, cases, deploy};
use crate::load::{Turn, turn_of};
use crate::plan::Plan;
use crate::report::contract::OverheadRow;
use crate::report::median;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Calls at a time beyond which a machine is only fuller.
const MOST: usize = 32;
/// Part of a round that a turn takes: two sides share one.
const SIDES: u32 = 2;

/// A turn without Hob, and one with it.
type Pair = (Turn, Turn);

pub(crate) async fn run(plan: &Plan) -> Result<Vec<OverheadRow>> {
    let folder = TempDir::with_prefix("hob-bench-")?;
    let cases = cases(plan);
    let hob = Hob::start(plan)?;
    deploy(&hob, &cases, "")?;
    let mut rows = Vec::new();
    for &connections in plan.connections.iter().filter(|count| **count <= MOST) {
        for case in &cases {
            let direct = case.alone.start(plan, folder.path()).await?;
            rows.push(measure(plan, case, &hob, &direct, connections).await?);
        }
    }
    Ok(rows)
}

async fn measure(
    plan: &Plan,
    case: &Case<'_>,
    hob: &Hob,
    direct: &Direct,
    connections: usize,
) -> Result<OverheadRow> {
    let time = plan.round_time / SIDES;
    let target = Arc::new(case.target(hob));
    let with = |time: Duration| turn_of(&hob.server, &target, connections, time);
    warm(&target).await?;
    with(time / 4).await?;
    direct.turn(connections, time / 4).await?;
    let mut pairs: Vec<Pair> = Vec::new();
    for round in 0..plan.rounds {
        pairs.push(if round % 2 == 0 {
            let alone = direct.turn(connections, time).await?;
            (alone, with(time).await?)
        } else {
            let hob = with(time).await?;
            (direct.turn(connections, time).await?, hob)
        });
    }
    Ok(row(case, connections, &pairs))
}

fn row(case: &Case<'_>, connections: usize, pairs: &[Pair]) -> OverheadRow {
    let of = |value: &dyn Fn(&Pair) -> f64| median(pairs.iter().map(value).collect());
    let p50 = |turn: &Turn| turn.outcome.latency.quantile(500).as_secs_f64() * 1e6;
    // The kernel counts in hundredths of a second, too coarse for one turn.
    let cpu = |side: &dyn Fn(&Pair) -> &Turn| {
        let turns = pairs.iter().map(side);
        let (cpu, calls) = turns.fold((0.0, 0.0), |(cpu, calls), turn| {
            let correct = turn.outcome.correct as f64;
            (cpu + turn.cpu_us * correct, calls + correct)
        });
        cpu / f64::max(calls, 1.0)
    };
    let (alone_cpu_us, hob_cpu_us) = (cpu(&|(alone, _)| alone), cpu(&|(_, hob)| hob));
    let both = || pairs.iter().flat_map(|(alone, hob)| [&alone.outcome, &hob.outcome]);
    OverheadRow {
        contract: case.contract,
        name: case.name.to_owned(),
        program: case.program,
        alone: case.alone.name(),
        connections,
        alone_per_second: of(&|(alone, _)| alone.requests_per_second),
        hob_per_second: of(&|(_, hob)| hob.requests_per_second),
        alone_p50_us: of(&|(alone, _)| p50(alone)),
        hob_p50_us: of(&|(_, hob)| p50(hob)),
        added_p50_us: of(&|(alone, hob)| p50(hob) - p50(alone)),
        alone_cpu_us,
        hob_cpu_us,
        added_cpu_us: hob_cpu_us - alone_cpu_us,
        correct: both().map(|outcome| outcome.correct).sum(),
        failed: both().map(|outcome| outcome.failed).sum(),
        first_failure: both().find_map(|outcome| outcome.first_failure.clone()),
    }
}
