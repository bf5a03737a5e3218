//! Scenario `facts`: what counting, facts and limits cost on the way of a call.
//!
//! **How.** Two nodes with the same functions, one of them with `--no-facts`, take turns. A row's ratios are medians of ratios
//! within the same round.

use crate::Result;
use crate::client::{Outcome, steady};
use crate::contestant::{GUESTS, Hob, warm};
use crate::load::{Contestant, Turn, rounds};
use crate::plan::Plan;
use crate::report::{FactsRow, median};
use std::sync::Arc;

/// Connections at which it is measured.
const CONNECTIONS: usize = 32;

pub(crate) async fn run(plan: &Plan) -> Result<Vec<FactsRow>> {
    let (on, off) = (Hob::start(plan)?, Hob::start_with(plan, &["--no-facts"])?);
    on.deploy_guests(0, "60s")?;
    off.deploy_guests(0, "60s")?;
    let mut contestants = Vec::new();
    for hob in [&on, &off] {
        for guest in &GUESTS {
            let (name, server, target) = (guest.what.to_owned(), &hob.server, Arc::new(hob.guest(guest)));
            contestants.push(Contestant { name, server, target });
        }
        let (name, target) = ("hyper as `http` child".to_owned(), Arc::new(hob.child()));
        contestants.push(Contestant { name, server: &hob.server, target });
    }
    for contestant in &contestants {
        warm(&contestant.target).await?;
        steady(&contestant.target, plan.connections[0], plan.round_time / 4).await?;
    }
    let rounds = rounds(plan, &contestants, CONNECTIONS).await?;
    let half = contestants.len() / 2;
    Ok((0..half).map(|index| summary(&contestants[index].name, &rounds, index, index + half)).collect())
}

fn summary(name: &str, rounds: &[Vec<Turn>], on: usize, off: usize) -> FactsRow {
    let of = |value: &dyn Fn(&Vec<Turn>) -> f64| median(rounds.iter().map(value).collect());
    let mut all = Outcome::default();
    for turns in rounds {
        all.merge(turns[on].outcome.clone());
        all.merge(turns[off].outcome.clone());
    }
    FactsRow {
        function: name.to_owned(),
        connections: CONNECTIONS,
        on_per_second: of(&|turns| turns[on].requests_per_second),
        off_per_second: of(&|turns| turns[off].requests_per_second),
        share_of_off: of(&|turns| turns[on].requests_per_second / turns[off].requests_per_second),
        on_cpu_us: of(&|turns| turns[on].cpu_us),
        off_cpu_us: of(&|turns| turns[off].cpu_us),
        cpu_of_off: of(&|turns| turns[on].cpu_us / turns[off].cpu_us),
        correct: all.correct,
        failed: all.failed,
        first_failure: all.first_failure,
    }
}
