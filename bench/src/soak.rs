//! Scenario `soak`: load of all kinds for a long time, and the slope of the node's memory under it.
//!
//! **How.** Hello, echo of 1 KiB and of 1 MiB, calls from function to function and an `http` child, in WASI 0.2 and 0.3, all at
//! the same time. Memory is read four times a second; after a warm-up of a fifth of the time, a line is fitted
//! through it by least squares. A leak shows as a slope that does not go away in a longer run (`--soak 10m`).

use crate::Result;
use crate::client::{Outcome, Target, steady};
use crate::contestant::{APP, CHILD, GUESTS, Hob, WORKERS};
use crate::hyper_server::{ECHO, REPLY};
use crate::plan::Plan;
use crate::report::node::SoakRow;
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Connections of each kind of request.
const CONNECTIONS: usize = 4;
/// Time between two looks at the memory.
const LOOK: Duration = Duration::from_millis(250);
/// Part of the time that is warm-up: one in so many.
const WARM_UP: u32 = 5;

pub(crate) async fn run(plan: &Plan) -> Result<Vec<SoakRow>> {
    let hob = Hob::start(plan)?;
    hob.deploy_workers(APP, "")?;
    let mut load = JoinSet::new();
    for target in targets(&hob) {
        let time = plan.soak_time;
        load.spawn(async move {
            steady(&Arc::new(target), CONNECTIONS, time).await.unwrap_or_else(|error| Outcome {
                failed: 1,
                first_failure: Some(error.to_string()),
                ..Outcome::default()
            })
        });
    }
    let (begun, mut seen) = (Instant::now(), Vec::new());
    while begun.elapsed() < plan.soak_time {
        let mib = hob.server.resident_bytes()? as f64 / f64::from(1 << 20);
        seen.push((begun.elapsed().as_secs_f64() / 60.0, mib));
        tokio::time::sleep(LOOK).await;
    }
    let all = crate::client::join(load).await?;
    let warm = (plan.soak_time / WARM_UP).as_secs_f64() / 60.0;
    let rest: Vec<(f64, f64)> = seen.iter().copied().filter(|(minute, _)| *minute >= warm).collect();
    let mib = |place: Option<&(f64, f64)>| place.map_or(0.0, |(_, mib)| *mib);
    Ok(vec![SoakRow {
        minutes: plan.soak_time.as_secs_f64() / 60.0,
        requests_per_second: all.correct as f64 / all.elapsed.as_secs_f64().max(1e-9),
        p50_ms: all.latency.quantile(500).as_secs_f64() * 1e3,
        p99_ms: all.latency.quantile(990).as_secs_f64() * 1e3,
        warm_mib: mib(rest.first()),
        end_mib: mib(rest.last()),
        largest_mib: seen.iter().map(|(_, mib)| *mib).fold(0.0, f64::max),
        slope_kib_per_minute: slope(&rest) * 1024.0,
        correct: all.correct,
        failed: all.failed,
        first_failure: all.first_failure,
    }])
}

/// Every kind of request.
fn targets(hob: &Hob) -> Vec<Target> {
    let address = hob.server.address;
    let (small, large) = (Bytes::from(vec![b's'; 1 << 10]), Bytes::from(vec![b'l'; 1 << 20]));
    let child = hob.host(APP, CHILD);
    let mut all = vec![
        Target::get(address, &child, "/hello", REPLY.to_owned()),
        Target::echo(address, &child, ECHO, &small),
    ];
    for guest in &GUESTS[1..] {
        all.push(guest.target(&hob.server, hob.host(APP, guest.name), "/soak".to_owned()));
    }
    for worker in &WORKERS {
        let host = hob.host(APP, worker.name);
        all.push(Target::echo(address, &host, ECHO, &small));
        all.push(Target::echo(address, &host, ECHO, &large));
        let called = worker.callee.target(&hob.server, host, "/called".to_owned());
        all.push(Target { path: "/call".to_owned(), ..called });
    }
    all
}

/// The slope of the line that fits these points best, by least squares; 0 when there is none.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (over, under) = points.iter().fold((0.0, 0.0), |(over, under), (x, y)| {
        (over + (x - mean_x) * (y - mean_y), under + (x - mean_x).powi(2))
    });
    if under > 0.0 { over / under } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn a_line_is_fitted_through_what_was_seen() {
        for (points, expected) in [
            (vec![], 0.0),
            (vec![(1.0, 5.0)], 0.0),
            (vec![(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)], 2.0),
            (vec![(0.0, 4.0), (1.0, 2.0), (2.0, 4.0), (3.0, 2.0)], -0.4),
        ] {
            assert!((slope(&points) - expected).abs() < 1e-9, "{points:?}");
        }
    }
}
