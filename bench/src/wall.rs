//! Scenario `wall`: what a call costs when its guest runs in a worker process, beside the same guest in the node's.
//!
//! **How.** Two nodes with the same functions, one with `--wasm in-process` and one with `--wasm worker`, take turns with hyper
//! that runs no function: one call at a time, many, and bodies that cross the wall twice.

use crate::Result;
use crate::client::Target;
use crate::contestant::{GUESTS, Hob, WORKERS, hyper};
use crate::hyper_server::ECHO;
use crate::load::{Contestant, measure};
use crate::plan::Plan;
use crate::report::LoadRow;
use bytes::Bytes;

/// The app of the guests that give bodies back.
const ECHOES: &str = "echoes";
/// Where guests run, and the flag for it.
const PLACES: [(&str, [&str; 2]); 2] =
    [("in process", ["--wasm", "in-process"]), ("in a worker", ["--wasm", "worker"])];
/// Connections at which it is measured.
const CONNECTIONS: [usize; 2] = [1, 32];
/// Bodies there and back, bytes.
const BODIES: [usize; 2] = [1 << 10, 1 << 20];

pub(crate) async fn run(plan: &Plan) -> Result<Vec<LoadRow>> {
    let (limit, hello) = hyper(plan)?;
    let nodes = PLACES.iter().map(|(place, flags)| Ok((*place, Hob::start_with(plan, flags)?)));
    let nodes = nodes.collect::<Result<Vec<_>>>()?;
    for (_, hob) in &nodes {
        hob.deploy_guests(0, "60s")?;
        hob.deploy_workers(ECHOES, "")?;
    }
    let mut rows = Vec::new();
    for connections in CONNECTIONS {
        let mut contestants = vec![Contestant::new("hyper, no function", &limit, hello.clone())];
        for guest in &GUESTS {
            let each = nodes.iter().map(|(place, hob)| {
                Contestant::new(&format!("{}, {place}", guest.what), &hob.server, hob.guest(guest))
            });
            contestants.extend(each);
        }
        rows.extend(measure(plan, &contestants, connections, "hello").await?);
    }
    for bytes in BODIES {
        let body: Bytes = (0..bytes).map(|index| (index ^ (index >> 8)).to_le_bytes()[0]).collect();
        let echo = |address, host: &str| Target::echo(address, host, ECHO, &body);
        let mut contestants =
            vec![Contestant::new("hyper, no function", &limit, echo(limit.address, "localhost"))];
        for worker in &WORKERS {
            let each = nodes.iter().map(|(place, hob)| {
                let target = echo(hob.server.address, &hob.host(ECHOES, worker.name));
                Contestant::new(&format!("{}, {place}", worker.what), &hob.server, target)
            });
            contestants.extend(each);
        }
        let case = format!("echo {} KiB", bytes >> 10);
        rows.extend(measure(plan, &contestants, CONNECTIONS[0], &case).await?);
    }
    Ok(rows)
}
