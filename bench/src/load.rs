//! Scenario `load`: requests per second, latency and CPU time at several numbers of connections.
//!
//! **How.** Every server runs all the time; in each round they take turns, beginning with another one
//! each round. A row's ratios are medians of ratios to bare hyper within the same round.

use crate::Result;
use crate::client::{Outcome, Target, steady};
use crate::contestant::{GUESTS, Hob, hyper, warm, wasmtime};
use crate::plan::Plan;
use crate::report::{LoadRow, fingerprint, median};
use crate::server::Server;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// The server that the others are measured against: the first one.
const LIMIT: usize = 0;

pub(crate) struct Contestant<'a> {
    pub(crate) name: String,
    pub(crate) server: &'a Server,
    pub(crate) target: Arc<Target>,
}

impl<'a> Contestant<'a> {
    pub(crate) fn new(name: &str, server: &'a Server, target: Target) -> Self {
        Self { name: name.to_owned(), server, target: Arc::new(target) }
    }
}

/// One contestant in one round.
pub(crate) struct Turn {
    pub(crate) requests_per_second: f64,
    pub(crate) cpu_us: f64,
    pub(crate) outcome: Outcome,
}

impl Turn {
    /// What loops saw, with the processor time that they took.
    pub(crate) fn of(outcome: Outcome, cpu: Duration) -> Self {
        let replies = outcome.correct as f64;
        Self {
            requests_per_second: replies / outcome.elapsed.as_secs_f64(),
            cpu_us: cpu.as_secs_f64() * 1e6 / replies.max(1.0),
            outcome,
        }
    }
}

pub(crate) async fn run(plan: &Plan) -> Result<Vec<LoadRow>> {
    let folder = TempDir::with_prefix("hob-bench-")?;
    let limit = hyper(plan)?;
    let hob = Hob::start(plan)?;
    hob.deploy_guests(0, "60s")?;
    let peers =
        GUESTS.iter().map(|guest| wasmtime(plan, guest, folder.path())).collect::<Result<Vec<_>>>()?;

    let others = plan.peers.iter().map(|peer| peer.start(folder.path())).collect::<Result<Vec<_>>>()?;

    let row = Contestant::new;
    let mut contestants = vec![row("hyper, no function", &limit.0, limit.1.clone())];
    for (guest, peer) in GUESTS.iter().zip(&peers) {
        contestants.push(row(&format!("hob, {}", guest.what), &hob.server, hob.guest(guest)));
        if let Some((server, target)) = peer {
            contestants.push(row(&format!("wasmtime serve, {}", guest.what), server, target.clone()));
        }
    }
    contestants.push(row("hob, hyper as `http` child", &hob.server, hob.child()));
    for (present, (server, target)) in plan.peers.iter().zip(&others) {
        contestants.push(row(present.peer.name, server, target.clone()));
    }
    let mut rows = Vec::new();
    for &connections in &plan.connections {
        rows.extend(measure(plan, &contestants, connections, "hello").await?);
    }
    Ok(rows)
}

/// All rounds of one case at one number of connections; the first contestant is the limit.
pub(crate) async fn measure(
    plan: &Plan,
    contestants: &[Contestant<'_>],
    connections: usize,
    case: &str,
) -> Result<Vec<LoadRow>> {
    for contestant in contestants {
        warm(&contestant.target).await?;
        steady(&contestant.target, plan.connections[0], plan.round_time / 4).await?;
    }
    let rounds = rounds(plan, contestants, connections).await?;
    let rows = contestants.iter().enumerate();
    rows.map(|(index, contestant)| summary(contestant, (connections, case), &rounds, index)).collect()
}

/// For every round, every contestant's turn, in the contestants' order.
pub(crate) async fn rounds(
    plan: &Plan,
    contestants: &[Contestant<'_>],
    connections: usize,
) -> Result<Vec<Vec<Turn>>> {
    let mut rounds = Vec::new();
    for round in 0..plan.rounds {
        let mut turns: Vec<Option<Turn>> = contestants.iter().map(|_| None).collect();
        for step in 0..contestants.len() {
            let index = (round + step) % contestants.len();
            turns[index] = Some(turn(&contestants[index], connections, plan.round_time).await?);
        }
        rounds.push(turns.into_iter().flatten().collect());
    }
    Ok(rounds)
}

async fn turn(contestant: &Contestant<'_>, connections: usize, time: Duration) -> Result<Turn> {
    turn_of(contestant.server, &contestant.target, connections, time).await
}

/// Closed loops that ask a server, with its processor time.
pub(crate) async fn turn_of(
    server: &Server,
    target: &Arc<Target>,
    connections: usize,
    time: Duration,
) -> Result<Turn> {
    let before = server.cpu();
    let outcome = steady(target, connections, time).await?;
    Ok(Turn::of(outcome, server.cpu().saturating_sub(before)))
}

fn summary(
    contestant: &Contestant<'_>,
    (connections, case): (usize, &str),
    rounds: &[Vec<Turn>],
    index: usize,
) -> Result<LoadRow> {
    let of = |value: &dyn Fn(&Vec<Turn>) -> f64| median(rounds.iter().map(value).collect());
    let mut all = Outcome::default();
    for turns in rounds {
        all.merge(turns[index].outcome.clone());
    }
    Ok(LoadRow {
        server: contestant.name.clone(),
        case: case.to_owned(),
        connections,
        requests_per_second: of(&|turns| turns[index].requests_per_second),
        share_of_hyper: of(&|turns| turns[index].requests_per_second / turns[LIMIT].requests_per_second),
        p50_us: of(&|turns| micros(turns[index].outcome.latency.quantile(500))),
        p99_us: of(&|turns| micros(turns[index].outcome.latency.quantile(990))),
        cpu_us: of(&|turns| turns[index].cpu_us),
        cpu_of_hyper: of(&|turns| turns[index].cpu_us / turns[LIMIT].cpu_us),
        resident_mib: contestant.server.resident_bytes()? as f64 / f64::from(1 << 20),
        correct: all.correct,
        failed: all.failed,
        first_failure: all.first_failure,
        reply: fingerprint(contestant.target.reply()),
    })
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
