//! Scenario `growth`: whether a publication costs more when its topic has grown to millions of events.
//!
//! **How.** Batches over HTTP from one publisher, on one topic that keeps everything. Each step is a row beside
//! the first; it ends early when the time is over.

use crate::Result;
use crate::contestant::{GUESTS, Hob};
use crate::deliver::publish;
use crate::plan::Plan;
use crate::report::bus::GrowthRow;
use std::time::{Duration, Instant};

/// The topic.
const TOPIC: &str = "growth";
/// Events of one request.
const BATCH: usize = 1000;
/// No step is begun after this time.
const BUDGET: Duration = Duration::from_secs(120);

pub(crate) async fn run(plan: &Plan) -> Result<Vec<GrowthRow>> {
    let hob = Hob::start(plan)?;
    let triggers = format!(
        "[[on]]\nroute = \"/events/{TOPIC}\"\npublish = \"{TOPIC}\"\n\n\
         [topics.\"{TOPIC}\"]\nsize = \"64 GiB\"\n"
    );
    hob.deploy_with_triggers(&[&GUESTS[0]], &triggers)?;
    let route = hob.route(TOPIC, BATCH);
    let mut rows: Vec<GrowthRow> = Vec::new();
    let (mut published, whole) = (0, Instant::now());
    for _ in 0..plan.growth_steps {
        if whole.elapsed() > BUDGET {
            break;
        }
        let (cpu, begun) = (hob.server.cpu(), Instant::now());
        let step = publish(&route, plan.growth_step).await?;
        let (elapsed, cpu) = (begun.elapsed(), hob.server.cpu().saturating_sub(cpu));
        published += step;
        let us = |time: Duration| time.as_secs_f64() * 1e6 / step as f64;
        let us_per_event = us(elapsed);
        rows.push(GrowthRow {
            events: published,
            us_per_event,
            over_first: rows.first().map_or(1.0, |first| us_per_event / first.us_per_event),
            cpu_us: us(cpu),
            resident_mib: hob.server.resident_bytes()? as f64 / f64::from(1 << 20),
            failed: hob.control.taken(TOPIC).await?.abs_diff(published),
        });
    }
    Ok(rows)
}
