//! Scenario `echo`: bodies of 1 KiB and 1 MiB that come back as they were sent.
//!
//! **How.** As `load`, and the limit is hyper that gives the body back while it reads it. The guest of WASI 0.2
//! reads and writes 4 KiB at a time; the guest of WASI 0.3 gives the stream on, as its interface allows.

use crate::Result;
use crate::client::Target;
use crate::contestant::{APP, CHILD, Hob, WORKERS, hyper, wasmtime_worker};
use crate::hyper_server::ECHO;
use crate::load::{Contestant, measure};
use crate::plan::Plan;
use crate::report::LoadRow;
use bytes::Bytes;
use tempfile::TempDir;

pub(crate) async fn run(plan: &Plan) -> Result<Vec<LoadRow>> {
    let folder = TempDir::with_prefix("hob-bench-")?;
    let (limit, _) = hyper(plan)?;
    let hob = Hob::start(plan)?;
    hob.deploy_workers(APP, "")?;
    let same = WORKERS.iter().map(|worker| wasmtime_worker(plan, worker, folder.path()));
    let same = same.collect::<Result<Vec<_>>>()?;
    let others = plan.peers.iter().map(|peer| peer.start(folder.path())).collect::<Result<Vec<_>>>()?;

    let mut rows = Vec::new();
    for &(bytes, connections) in &plan.echoes {
        let body = body(bytes);
        let row = Contestant::new;
        let mut contestants =
            vec![row("hyper, no function", &limit, Target::echo(limit.address, "localhost", ECHO, &body))];
        for (worker, same) in WORKERS.iter().zip(&same) {
            let target = Target::echo(hob.server.address, &hob.host(APP, worker.name), ECHO, &body);
            contestants.push(row(&format!("hob, {}", worker.what), &hob.server, target));
            if let Some(server) = same {
                let target = Target::echo(server.address, "localhost", ECHO, &body);
                contestants.push(row(&format!("wasmtime serve, {}", worker.what), server, target));
            }
        }
        let child = Target::echo(hob.server.address, &hob.host(APP, CHILD), ECHO, &body);
        contestants.push(row("hob, hyper as `http` child", &hob.server, child));
        for (present, (server, hello)) in plan.peers.iter().zip(&others) {
            contestants.push(row(present.peer.name, server, present.echo(hello.address, &body)));
        }
        rows.extend(measure(plan, &contestants, connections, &format!("{} KiB", bytes >> 10)).await?);
    }
    Ok(rows)
}

/// Bytes of which no piece equals its neighbour, so that a lost or repeated one shows.
fn body(length: usize) -> Bytes {
    (0..length).map(|index| (index ^ (index >> 8).wrapping_mul(31)).to_le_bytes()[0]).collect()
}
