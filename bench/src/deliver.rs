//! Scenario `deliver`: from a publication to a function that has dealt with it.
//!
//! **How.** One topic and one subscription for each guest and each `concurrency`. The rate is of events
//! published in batches, until the subscription says that all are delivered; beside it stands what the
//! same guest answers to as many connections in the same round, with no event anywhere. The latency is of one
//! event at a time, from before it is sent until a question to the control API finds it delivered: the
//! answers come one after the other without a pause, so it is too long by up to one of them.

use crate::Result;
use crate::client::steady;
use crate::contestant::{APP, GUESTS, Guest, Hob};
use crate::plan::Plan;
use crate::publish::hob::Route;
use crate::report::bus::DeliverRow;
use crate::report::median;
use hob_core::histogram::Histogram;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The guests that are subscribed: a fresh instance for each event, and one for several.
const SUBSCRIBED: [&Guest; 2] = [&GUESTS[1], &GUESTS[2]];
/// Events of one request.
const BATCH: usize = 1000;
/// Longest wait for all events to be delivered.
const PATIENCE: Duration = Duration::from_secs(300);
/// Time between two looks while many are delivered.
const PAUSE: Duration = Duration::from_millis(2);

/// A guest with one bound on its deliveries.
struct Contestant {
    guest: &'static Guest,
    concurrency: usize,
    /// Of the topic and the subscription.
    name: String,
}

/// One contestant in one round.
struct Turn {
    events_per_second: f64,
    direct_per_second: f64,
    cpu_us: f64,
    latency: Histogram,
    delivered: u64,
    failed: u64,
}

pub(crate) async fn run(plan: &Plan) -> Result<Vec<DeliverRow>> {
    let hob = Hob::start(plan)?;
    let mut contestants = Vec::new();
    let mut triggers = String::new();
    for guest in SUBSCRIBED {
        for &concurrency in &plan.concurrencies {
            let name = format!("{}-{concurrency}", guest.name);
            let _ = write!(
                triggers,
                "[[on]]\nroute = \"/events/{name}\"\npublish = \"{name}\"\n\n[[on]]\nname = \"{name}\"\n\
                 topic = \"{name}\"\ncall = \"{}\"\nconcurrency = {concurrency}\n\n",
                guest.name
            );
            contestants.push(Contestant { guest, concurrency, name });
        }
    }
    hob.deploy_with_triggers(&SUBSCRIBED, &triggers)?;
    let mut rounds = Vec::new();
    for round in 0..plan.rounds {
        let mut turns: Vec<Option<Turn>> = contestants.iter().map(|_| None).collect();
        for step in 0..contestants.len() {
            let index = (round + step) % contestants.len();
            turns[index] = Some(turn(plan, &hob, &contestants[index]).await?);
        }
        rounds.push(turns.into_iter().flatten().collect::<Vec<Turn>>());
    }
    Ok(contestants.iter().enumerate().map(|(index, contestant)| row(contestant, index, &rounds)).collect())
}

async fn turn(plan: &Plan, hob: &Hob, contestant: &Contestant) -> Result<Turn> {
    let direct = Arc::new(hob.guest(contestant.guest));
    let direct = steady(&direct, contestant.concurrency, plan.round_time).await?;
    if direct.failed > 0 {
        return Err(format!("the direct calls failed: {:?}", direct.first_failure).into());
    }
    let mut watched = hob.control.open().await?;
    let (before, failed_before) = watched.delivered(APP, &contestant.name).await?;
    let mut expected = before;

    let (cpu, begun) = (hob.server.cpu(), Instant::now());
    expected += publish(&hob.route(&contestant.name, BATCH.min(plan.deliveries)), plan.deliveries).await?;
    until_delivered(hob, &contestant.name, expected, PAUSE).await?;
    let (elapsed, cpu) = (begun.elapsed(), hob.server.cpu().saturating_sub(cpu));
    let events = (expected - before) as f64;

    let mut latency = Histogram::default();
    let mut publisher = hob.route(&contestant.name, 1).open().await?;
    for _ in 0..plan.single_deliveries {
        let started = Instant::now();
        publisher.publish().await?;
        expected += 1;
        while watched.delivered(APP, &contestant.name).await?.0 < expected {
            if started.elapsed() > PATIENCE {
                return Err(format!("an event of `{}` was never delivered", contestant.name).into());
            }
        }
        latency.record(started.elapsed());
    }
    let (delivered, failed) = watched.delivered(APP, &contestant.name).await?;
    Ok(Turn {
        events_per_second: events / elapsed.as_secs_f64(),
        direct_per_second: direct.correct as f64 / direct.elapsed.as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / events,
        latency,
        delivered: delivered - before,
        // Each event once, and no attempt in vain.
        failed: failed - failed_before + delivered.abs_diff(expected),
    })
}

/// Publishes at least `events` events in the route's batches, and returns how many.
pub(crate) async fn publish(route: &Route, events: usize) -> Result<u64> {
    let mut publisher = route.open().await?;
    let batches = events.div_ceil(route.batch);
    for _ in 0..batches {
        publisher.publish().await?;
    }
    Ok((batches * route.batch) as u64)
}

async fn until_delivered(hob: &Hob, subscription: &str, events: u64, pause: Duration) -> Result<()> {
    let mut watched = hob.control.open().await?;
    let asked = Instant::now();
    while watched.delivered(APP, subscription).await?.0 < events {
        if asked.elapsed() > PATIENCE {
            return Err(format!("the events of `{subscription}` were never all delivered").into());
        }
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

fn row(contestant: &Contestant, index: usize, rounds: &[Vec<Turn>]) -> DeliverRow {
    let of = |value: &dyn Fn(&Turn) -> f64| median(rounds.iter().map(|turns| value(&turns[index])).collect());
    let mut latency = Histogram::default();
    rounds.iter().for_each(|turns| latency.merge(&turns[index].latency));
    let sum = |value: &dyn Fn(&Turn) -> u64| rounds.iter().map(|turns| value(&turns[index])).sum();
    DeliverRow {
        function: contestant.guest.what.to_owned(),
        concurrency: contestant.concurrency,
        events_per_second: of(&|turn| turn.events_per_second),
        direct_per_second: of(&|turn| turn.direct_per_second),
        share_of_direct: of(&|turn| turn.events_per_second / turn.direct_per_second),
        p50_us: latency.quantile(500).as_secs_f64() * 1e6,
        p99_us: latency.quantile(990).as_secs_f64() * 1e6,
        cpu_us: of(&|turn| turn.cpu_us),
        delivered: sum(&|turn| turn.delivered),
        failed: sum(&|turn| turn.failed),
    }
}
