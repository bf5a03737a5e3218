//! Scenario `events`: durable publications per second and how long each waits for its acknowledgement.
//!
//! **How.** Events of 256 bytes, every publisher with one publication under way, all logs on one disk. The
//! servers run all the time; in each round they take turns. The limit is [`crate::publish::bare`], and for what comes
//! over HTTP also bare hyper that keeps nothing; a row's ratios are medians of ratios within a round. After each turn the log is asked how many events it
//! holds: as many more as were acknowledged, or the difference counts as wrong.

use crate::Result;
use crate::client::Outcome;
use crate::contestant::{GUESTS, Hob, hyper};
use crate::plan::Plan;
use crate::publish::bare::Bare;
use crate::publish::hob::Route;
use crate::publish::{Log, nats, steady};
use crate::report::bus::EventsRow;
use crate::report::median;
use crate::server::Server;
use std::path::Path;

/// The topic, and the last part of its event route.
const TOPIC: &str = "bench";
/// Events of one request, where there are several.
const BATCH: usize = 100;

/// What takes part.
struct Contestant<'a> {
    name: String,
    /// `None`: the bare file, which begins anew in each turn.
    log: Option<Log>,
    server: Option<&'a Server>,
    batch: usize,
    synced: bool,
}

/// One contestant in one round.
struct Turn {
    events_per_second: f64,
    cpu_us: f64,
    outcome: Outcome,
    /// Events that the log holds more or fewer than were acknowledged.
    off: u64,
}

pub(crate) async fn run(plan: &Plan) -> Result<Vec<EventsRow>> {
    let folder = plan.folder_on_disk()?;
    let hob = Hob::start(plan)?;
    let route = format!("[[on]]\nroute = \"/events/{TOPIC}\"\npublish = \"{TOPIC}\"\n");
    hob.deploy_with_triggers(&[&GUESTS[0]], &route)?;
    let (server, target) = hyper(plan)?;
    let nobody = Route { address: target.address, mark: "content-length", ..hob.route(TOPIC, 1) };
    let peers = peers(plan, folder.path()).await?;

    let bare = |name: &str, batch| Contestant {
        name: name.to_owned(),
        log: None,
        server: None,
        batch,
        synced: true,
    };
    let ours = |name: &str, batch| Contestant {
        name: name.to_owned(),
        log: Some(Log::Hob(hob.route(TOPIC, batch))),
        server: Some(&hob.server),
        batch,
        synced: true,
    };
    let mut contestants = vec![bare("bare file, append + fdatasync", 1), ours("hob, HTTP/1.1", 1)];
    contestants.push(Contestant {
        name: "hyper, HTTP/1.1, keeps nothing".to_owned(),
        log: Some(Log::Hyper(nobody)),
        server: Some(&server),
        batch: 1,
        synced: false,
    });
    for peer in &peers {
        contestants.push(Contestant {
            name: peer.name.clone(),
            log: Some(Log::Nats(peer.stream.clone())),
            server: Some(&peer.server),
            batch: 1,
            synced: peer.synced,
        });
    }
    contestants.push(bare(&format!("bare file, batches of {BATCH}"), BATCH));
    contestants.push(ours(&format!("hob, HTTP/1.1, batches of {BATCH}"), BATCH));

    for contestant in &contestants {
        turn(plan, contestant, plan.publishers[0], folder.path()).await?;
    }
    let mut rows = Vec::new();
    for &publishers in &plan.publishers {
        let rounds = rounds(plan, &contestants, publishers, folder.path()).await?;
        for index in 0..contestants.len() {
            rows.push(summary(&contestants, publishers, &rounds, index));
        }
    }
    Ok(rows)
}

struct Peer {
    name: String,
    server: Server,
    stream: nats::Stream,
    synced: bool,
}

/// JetStream once for each way to sync.
async fn peers(plan: &Plan, folder: &Path) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    let Some(found) = &plan.nats else { return Ok(peers) };
    for (index, interval) in nats::INTERVALS.into_iter().enumerate() {
        let folder = folder.join(format!("nats{index}"));
        let (server, stream) = nats::start(plan, &found.program, &folder, interval).await?;
        let name =
            format!("NATS JetStream {}, `sync_interval: {}`", found.version, interval.trim_matches('"'));
        peers.push(Peer { name, server, stream, synced: interval == nats::ALWAYS });
    }
    Ok(peers)
}

/// For every round, every contestant's turn, in the contestants' order.
async fn rounds(
    plan: &Plan,
    contestants: &[Contestant<'_>],
    publishers: usize,
    folder: &Path,
) -> Result<Vec<Vec<Turn>>> {
    let mut rounds = Vec::new();
    for round in 0..plan.rounds {
        let mut turns: Vec<Option<Turn>> = contestants.iter().map(|_| None).collect();
        for step in 0..contestants.len() {
            let index = (round + step) % contestants.len();
            turns[index] = Some(turn(plan, &contestants[index], publishers, folder).await?);
        }
        rounds.push(turns.into_iter().flatten().collect());
    }
    Ok(rounds)
}

async fn turn(plan: &Plan, contestant: &Contestant<'_>, publishers: usize, folder: &Path) -> Result<Turn> {
    let log = match &contestant.log {
        Some(log) => log.clone(),
        None => Log::Bare(Bare::create(folder, contestant.batch)?),
    };
    let cpu = || contestant.server.map(Server::cpu).unwrap_or_default();
    let (cpu_before, stored) = (cpu(), log.stored().await?);
    let outcome = steady(&log, publishers, plan.round_time).await?;
    let cpu = cpu().saturating_sub(cpu_before);
    let events = outcome.correct * contestant.batch as u64;
    Ok(Turn {
        events_per_second: events as f64 / outcome.elapsed.as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / events.max(1) as f64,
        off: match (stored, log.stored().await?) {
            (Some(before), Some(after)) => (after - before).abs_diff(events),
            _ => 0,
        },
        outcome,
    })
}

fn summary(
    contestants: &[Contestant<'_>],
    publishers: usize,
    rounds: &[Vec<Turn>],
    index: usize,
) -> EventsRow {
    let contestant = &contestants[index];
    let of = |value: &dyn Fn(&Vec<Turn>) -> f64| median(rounds.iter().map(value).collect());
    let over = |other: usize| of(&|turns| turns[index].events_per_second / turns[other].events_per_second);
    let limit = contestants.iter().position(|other| other.log.is_none() && other.batch == contestant.batch);
    let synced_peer =
        contestants.iter().position(|other| matches!(other.log, Some(Log::Nats(_))) && other.synced);
    let http = contestants.iter().position(|other| matches!(other.log, Some(Log::Hyper(_))));
    let http = http.filter(|_| contestant.batch == 1 && matches!(contestant.log, Some(Log::Hob(_))));
    let mut all = Outcome::default();
    for turns in rounds {
        all.merge(turns[index].outcome.clone());
    }
    let off: u64 = rounds.iter().map(|turns| turns[index].off).sum();
    if off > 0 {
        all.first_failure
            .get_or_insert_with(|| format!("{off} events more or fewer are stored than acknowledged"));
    }
    EventsRow {
        log: contestant.name.clone(),
        publishers,
        events_per_second: of(&|turns| turns[index].events_per_second),
        share_of_bare: limit.map(over),
        share_of_hyper: http.map(over),
        over_jetstream: synced_peer.map(over),
        p50_us: of(&|turns| turns[index].outcome.latency.quantile(500).as_secs_f64() * 1e6),
        p99_us: of(&|turns| turns[index].outcome.latency.quantile(990).as_secs_f64() * 1e6),
        cpu_us: contestant.server.is_some().then(|| of(&|turns| turns[index].cpu_us)),
        synced: contestant.synced,
        acknowledged: all.correct * contestant.batch as u64,
        failed: all.failed + off,
        first_failure: all.first_failure,
    }
}
