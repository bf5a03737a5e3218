//! Scenario `idle`: memory and processor time of what nobody calls, over a minute.
//!
//! **How.** Everything is started and asked once, so that nothing is left to be made ready, and then left alone for the
//! same minute. A node with many functions stands beside one without any.

use crate::Result;
use crate::client::once;
use crate::contestant::{Hob, hyper};
use crate::plan::Plan;
use crate::report::node::IdleRow;
use crate::server::Server;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

/// A component for all functions of the full node.
const GUEST: &crate::contestant::Guest = &crate::contestant::GUESTS[1];
/// Time in which a start comes to its rest.
const REST: Duration = Duration::from_secs(2);

pub(crate) async fn run(plan: &Plan) -> Result<Vec<IdleRow>> {
    let folder = TempDir::with_prefix("hob-bench-")?;
    let (limit, target) = hyper(plan)?;
    once(&target).await?;
    let empty = Hob::start(plan)?;
    let full = full(plan)?.restart()?;
    once(&GUEST.target(&full.server, full.host("idle0", "f0"), "/".to_owned())).await?;
    let others = plan.peers.iter().map(|peer| peer.start(folder.path())).collect::<Result<Vec<_>>>()?;
    for (_, target) in &others {
        once(target).await?;
    }
    let functions = plan.apps * plan.functions_per_app;
    let mut all: Vec<(String, &Server)> = vec![
        ("hyper, no function".to_owned(), &limit),
        ("hob, no app".to_owned(), &empty.server),
        (format!("hob, {functions} functions, one of them called once"), &full.server),
    ];
    for (present, (server, _)) in plan.peers.iter().zip(&others) {
        all.push((present.peer.name.to_owned(), server));
    }
    tokio::time::sleep(REST.min(plan.idle_time)).await;
    let before = all.iter().map(|(_, server)| seen(server)).collect::<Result<Vec<_>>>()?;
    tokio::time::sleep(plan.idle_time).await;
    let rows = all.iter().zip(before).map(|((name, server), before)| {
        let after = seen(server)?;
        Ok(IdleRow {
            server: name.clone(),
            seconds: plan.idle_time.as_secs_f64(),
            cpu_ms: after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e3,
            wakeups_per_second: after.switches.saturating_sub(before.switches) as f64
                / plan.idle_time.as_secs_f64(),
            before_mib: before.mib,
            after_mib: after.mib,
        })
    });
    rows.collect()
}

/// What a process has used and holds.
struct Seen {
    cpu: Duration,
    mib: f64,
    switches: u64,
}

fn seen(server: &Server) -> Result<Seen> {
    let mib = server.resident_bytes()? as f64 / f64::from(1 << 20);
    Ok(Seen { cpu: server.cpu(), mib, switches: server.switches() })
}

fn full(plan: &Plan) -> Result<Hob> {
    let hob = Hob::start(plan)?;
    for app in 0..plan.apps {
        let name = format!("idle{app}");
        let folder = hob.app_folder(&name)?;
        fs::write(folder.join("f.wasm"), GUEST.bytes)?;
        let mut manifest = format!("app = \"{name}\"\n");
        for function in 0..plan.functions_per_app {
            let _ = write!(manifest, "\n[functions.f{function}]\nrun = \"f.wasm\"\n");
        }
        fs::write(folder.join("hob.toml"), manifest)?;
        hob.deploy(&folder)?;
    }
    Ok(hob)
}
