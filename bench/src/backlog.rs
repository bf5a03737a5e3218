//! Scenario `backlog`: what a node holds, and how soon it goes on, with events that wait for delivery.
//!
//! **How.** Events are published while their subscription is paused. Then it is resumed, and as soon as that
//! is on disk the node is killed with SIGKILL and started again, several times. The first delivery is
//! seen through the control API, asked without a pause: the time at which it says more delivered than
//! it said at first, so at least one by the new process.

use crate::Result;
use crate::contestant::{APP, GUESTS, Hob};
use crate::deliver::publish;
use crate::plan::Plan;
use crate::report::bus::BacklogRow;
use crate::report::median;
use crate::server::Server;
use std::time::{Duration, Instant};

/// The topic and the subscription.
const NAME: &str = "backlog";
/// Events of one request.
const BATCH: usize = 1000;
/// Longest wait for the first delivery.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a node delivers before its memory is looked at.
const WHILE: Duration = Duration::from_millis(500);

pub(crate) async fn run(plan: &Plan) -> Result<Vec<BacklogRow>> {
    let mut rows = Vec::new();
    for &events in &plan.backlogs {
        rows.push(measure(plan, events).await?);
    }
    Ok(rows)
}

async fn measure(plan: &Plan, events: usize) -> Result<BacklogRow> {
    let mut hob = Hob::start(plan)?;
    let triggers = format!(
        "[[on]]\nroute = \"/events/{NAME}\"\npublish = \"{NAME}\"\n\n\
         [[on]]\nname = \"{NAME}\"\ntopic = \"{NAME}\"\ncall = \"{}\"\nconcurrency = 1\n\n",
        GUESTS[1].name
    );
    hob.deploy_with_triggers(&[&GUESTS[1]], &triggers)?;
    hob.control.steer(APP, NAME, "pause").await?;
    let empty_mib = mib(&hob.server)?;
    let begun = Instant::now();
    let published = publish(&hob.route(NAME, BATCH.min(events)), events).await?;
    let publishing = begun.elapsed();
    let published_mib = mib(&hob.server)?;
    hob.control.steer(APP, NAME, "resume").await?;

    let (mut ready, mut first, mut started_mib, mut delivering_mib) = (vec![], vec![], vec![], vec![]);
    let mut failed = 0;
    for _ in 0..plan.kills {
        hob = hob.kill_and_start()?;
        let started = Instant::now();
        let start = hob.server.start;
        started_mib.push(mib(&hob.server)?);
        ready.push(start.as_secs_f64() * 1e3);
        let after_ready = first_delivery(&hob, published, started).await?;
        first.push((start + after_ready).as_secs_f64() * 1e3);
        tokio::time::sleep(WHILE.min(plan.round_time)).await;
        delivering_mib.push(mib(&hob.server)?);
        failed += hob.control.taken(NAME).await?.abs_diff(published);
    }
    let largest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    Ok(BacklogRow {
        pending: published,
        published_per_second: published as f64 / publishing.as_secs_f64(),
        empty_mib,
        published_mib,
        ready_max_ms: largest(&ready),
        ready_p50_ms: median(ready),
        first_max_ms: largest(&first),
        first_p50_ms: median(first),
        started_mib: median(started_mib),
        delivering_mib: median(delivering_mib),
        kills: plan.kills,
        failed,
    })
}

/// From the word that the node serves until a delivery by it is seen.
async fn first_delivery(hob: &Hob, pending: u64, ready: Instant) -> Result<Duration> {
    let mut watched = hob.control.open().await?;
    let (at_first, _) = watched.delivered(APP, NAME).await?;
    // A fast node may have delivered all before it could be asked.
    while at_first < pending && watched.delivered(APP, NAME).await?.0 == at_first {
        if ready.elapsed() > PATIENCE {
            return Err("nothing was delivered after the start".into());
        }
    }
    Ok(ready.elapsed())
}

fn mib(server: &Server) -> Result<f64> {
    Ok(server.resident_bytes()? as f64 / f64::from(1 << 20))
}
