//! Scenario `call`: a function that asks another one and answers what that answers.
//!
//! **How.** As `load`. Beside each caller stands the function that it calls, asked directly: the difference is
//! what a call from function to function costs. A peer that runs one function in a process has no such call.

use crate::Result;
use crate::client::Target;
use crate::contestant::{APP, Hob, WORKERS, hyper};
use crate::load::{Contestant, measure};
use crate::plan::Plan;
use crate::report::LoadRow;
use tempfile::TempDir;

/// The most connections at which it is measured.
const CONNECTIONS_MAX: usize = 32;

pub(crate) async fn run(plan: &Plan) -> Result<Vec<LoadRow>> {
    let folder = TempDir::with_prefix("hob-bench-")?;
    let (limit, target) = hyper(plan)?;
    let hob = Hob::start(plan)?;
    hob.deploy_workers(APP, "")?;
    let calling = plan.peers.iter().filter(|present| present.peer.many);
    let others = calling.map(|present| Ok((present, present.start_many(folder.path(), 2)?)));
    let others = others.collect::<Result<Vec<_>>>()?;

    let mut contestants = vec![Contestant::new("hyper, no function", &limit, target)];
    for worker in &WORKERS {
        let callee = worker.callee;
        let direct = callee.target(&hob.server, hob.host(APP, callee.name), "/called".to_owned());
        let called = Target {
            host: hob.host(APP, worker.name),
            path: "/call".to_owned(),
            ..callee.target(&hob.server, String::new(), "/called".to_owned())
        };
        contestants.push(Contestant::new(&format!("hob, {}, directly", worker.what), &hob.server, direct));
        contestants.push(Contestant::new(&format!("hob, {}, by another", worker.what), &hob.server, called));
    }
    for (present, (server, addresses)) in &others {
        let name = present.peer.name;
        contestants.push(Contestant::new(&format!("{name}, directly"), server, present.hello(addresses[1])));
        contestants.push(Contestant::new(&format!("{name}, by another"), server, present.call(addresses[0])));
    }
    let mut rows = Vec::new();
    for &connections in plan.connections.iter().filter(|connections| **connections <= CONNECTIONS_MAX) {
        rows.extend(measure(plan, &contestants, connections, "call").await?);
    }
    Ok(rows)
}
