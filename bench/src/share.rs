//! Scenarios `noisy` and `loops`: what a quiet app notices of a neighbour that takes all it can get.
//!
//! **How.** One connection asks the quiet app every few milliseconds, first alone and then beside the neighbour, in
//! turns. `noisy`: as many connections as there are ask another app as fast as they can. `loops`: eight requests
//! at a time run into a guest that never answers, and must end as `504` at its time limit. The load generator's own
//! share of the delay shows at hyper, where nothing is between the two; and beside as many processes that loop,
//! where only the kernel is.
//!
//! **Not here:** peers that run one function in a process have no neighbours, and workerd, whose functions share
//! one thread, does not come back from a loop.

use crate::Result;
use crate::client::{Outcome, Target, join, paced, steady};
use crate::contestant::{APP, GUESTS, Hob, WORKERS, hyper, warm, wasmtime};
use crate::plan::Plan;
use crate::report::median;
use crate::report::share::ShareRow;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// The app that is quiet; the noisy one is [`APP`].
const QUIET: &str = "quiet";
/// Time between two requests to the quiet app.
const PAUSE: Duration = Duration::from_millis(2);
/// Guests that loop at a time.
const LOOPS: usize = 8;
/// Their time limit.
const LOOP_LIMIT: &str = "timeout = \"500ms\"\n";

/// A quiet app and its neighbour.
struct Pair {
    name: String,
    quiet: Target,
    neighbour: Neighbour,
    connections: usize,
}

/// What takes all that it can get.
enum Neighbour {
    /// Requests, as fast as they are answered.
    Load(Arc<Target>),
    /// Processes that loop: what the kernel alone makes of the same.
    Processes,
}

/// One pair in one round.
struct Turn {
    alone: Outcome,
    beside: Outcome,
    neighbour: Outcome,
}

pub(crate) async fn noisy(plan: &Plan) -> Result<Vec<ShareRow>> {
    let folder = TempDir::with_prefix("hob-bench-")?;
    let connections = plan.noisy_connections;
    let pair = |name: &str, quiet: &Target, neighbour: Target| Pair {
        name: name.to_owned(),
        quiet: quiet.clone(),
        neighbour: Neighbour::Load(Arc::new(neighbour)),
        connections,
    };
    let (limit, target) = hyper(plan)?;
    let mut pairs = vec![pair("hyper, no function, one process", &target, target.clone())];
    let hob = Hob::start(plan)?;
    hob.deploy_workers(QUIET, "")?;
    hob.deploy_workers(APP, "")?;
    for guest in &GUESTS[1..] {
        let of = |app| guest.target(&hob.server, hob.host(app, guest.name), "/".to_owned());
        pairs.push(pair(&format!("hob, {}", guest.what), &of(QUIET), of(APP)));
    }
    let mut servers = vec![limit];
    for guest in &GUESTS[1..] {
        let quiet = wasmtime(plan, guest, folder.path())?;
        let Some(((quiet, ask), (noisy, target))) = quiet.zip(wasmtime(plan, guest, folder.path())?) else {
            break;
        };
        pairs.push(pair(&format!("wasmtime serve, {}, two processes", guest.what), &ask, target));
        servers.extend([quiet, noisy]);
    }
    for present in plan.peers.iter().filter(|present| present.peer.many) {
        let (server, addresses) = present.start_many(folder.path(), 2)?;
        let [quiet, noisy] = [addresses[0], addresses[1]].map(|address| present.hello(address));
        pairs.push(pair(&format!("{}, one process", present.peer.name), &quiet, noisy));
        servers.push(server);
    }
    let rows = measure(plan, &pairs).await;
    drop(servers);
    rows
}

pub(crate) async fn loops(plan: &Plan) -> Result<Vec<ShareRow>> {
    let hob = Hob::start(plan)?;
    hob.deploy_workers(QUIET, "")?;
    hob.deploy_workers(APP, LOOP_LIMIT)?;
    let mut pairs = Vec::new();
    for worker in &WORKERS {
        let callee = worker.callee;
        let quiet = callee.target(&hob.server, hob.host(QUIET, callee.name), "/".to_owned());
        let (host, path) = (hob.host(APP, worker.name), "/loop".to_owned());
        let neighbour = Neighbour::Load(Arc::new(Target { host, path, ..quiet.clone() }.fails()));
        let name = format!("hob, {}", worker.what);
        pairs.push(Pair { name, quiet, neighbour, connections: LOOPS });
    }
    let (_limit, quiet) = hyper(plan)?;
    let name = "hyper, no function, processes that loop".to_owned();
    pairs.push(Pair { name, quiet, neighbour: Neighbour::Processes, connections: LOOPS });
    measure(plan, &pairs).await
}

async fn measure(plan: &Plan, pairs: &[Pair]) -> Result<Vec<ShareRow>> {
    let mut rows = Vec::new();
    for pair in pairs {
        warm(&pair.quiet).await?;
        let mut turns = Vec::new();
        for _ in 0..plan.rounds {
            turns.push(turn(plan, pair).await?);
        }
        rows.push(row(pair, &turns));
    }
    Ok(rows)
}

async fn turn(plan: &Plan, pair: &Pair) -> Result<Turn> {
    let time = plan.noisy_time;
    let alone = paced(&pair.quiet, PAUSE, time).await;
    match &pair.neighbour {
        Neighbour::Load(target) => {
            let mut neighbours = JoinSet::new();
            let (target, connections) = (Arc::clone(target), pair.connections);
            neighbours.spawn(async move {
                steady(&target, connections, time).await.unwrap_or_else(|error| Outcome {
                    failed: 1,
                    first_failure: Some(error.to_string()),
                    ..Outcome::default()
                })
            });
            let beside = paced(&pair.quiet, PAUSE, time).await;
            Ok(Turn { alone, beside, neighbour: join(neighbours).await? })
        }
        Neighbour::Processes => {
            let looping = (0..pair.connections).map(|_| Looping::start(plan)).collect::<Result<Vec<_>>>()?;
            let beside = paced(&pair.quiet, PAUSE, time).await;
            drop(looping);
            Ok(Turn { alone, beside, neighbour: Outcome::default() })
        }
    }
}

/// A process that loops until this is dropped.
struct Looping(Child);

impl Looping {
    fn start(plan: &Plan) -> Result<Self> {
        let mut command = plan.server_command(Path::new("sh"));
        Ok(Self(command.args(["-c", "while :; do :; done"]).spawn()?))
    }
}

impl Drop for Looping {
    fn drop(&mut self) {
        // It cannot have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn row(pair: &Pair, turns: &[Turn]) -> ShareRow {
    let of = |value: &dyn Fn(&Turn) -> f64| median(turns.iter().map(value).collect());
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let mut quiet = Outcome::default();
    let mut neighbour = Outcome::default();
    for turn in turns {
        quiet.merge(turn.alone.clone());
        quiet.merge(turn.beside.clone());
        neighbour.merge(turn.neighbour.clone());
    }
    ShareRow {
        server: pair.name.clone(),
        neighbours: pair.connections,
        alone_p50_ms: of(&|turn| ms(turn.alone.latency.quantile(500))),
        alone_p99_ms: of(&|turn| ms(turn.alone.latency.quantile(990))),
        beside_p50_ms: of(&|turn| ms(turn.beside.latency.quantile(500))),
        beside_p99_ms: of(&|turn| ms(turn.beside.latency.quantile(990))),
        beside_max_ms: turns.iter().map(|turn| ms(turn.beside.latency.max())).fold(0.0, f64::max),
        neighbour_per_second: of(&|turn| {
            turn.neighbour.correct as f64 / turn.neighbour.elapsed.as_secs_f64().max(1e-9)
        }),
        correct: quiet.correct,
        failed: quiet.failed,
        neighbour_correct: neighbour.correct,
        neighbour_failed: neighbour.failed,
        first_failure: quiet.first_failure.or(neighbour.first_failure),
    }
}
