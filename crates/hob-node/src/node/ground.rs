//! What everything else of a space stands on: tasks, logs, facts, the bus, and the ways of functions out.

use super::space::{Common, cache_of, packs_of};
use crate::alerts::Doors;
use crate::allowance::Allowance;
use crate::bus::Bus;
use crate::calls::{Calls, Told};
use crate::dispatcher::Dispatcher;
use crate::entrance::Entrances;
use crate::export::Export;
use crate::intake::Intake;
use crate::live::Live;
use crate::logs::Logs;
use crate::secrets::{Redacting, Redaction};
use crate::settings::{Place, Settings};
use crate::task::Tasks;
use crate::telemetry::meter::{Kind, Metric};
use crate::telemetry::{Telemetry, Watches};
use crate::usage::UsageBook;
use hob_core::fault::Result;
use hob_core::name::{AppName, SpaceName};
use hob_core::port::{Facts, Log, State};
use hob_runtime::environment::{Environment, Workers};
use hob_runtime::log::Limited;
use hob_runtime::outbound::external::External;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What waits for nothing and fails rarely, in the order in which it stands on each other.
pub(super) struct Ground {
    pub(super) tasks: Arc<Tasks>,
    pub(super) logs: Arc<Logs>,
    /// What functions print, on its way to `logs`.
    pub(super) printed: Arc<Limited>,
    pub(super) live: Arc<Live>,
    pub(super) telemetry: Arc<Telemetry>,
    /// Takes the values of secrets out of what is kept.
    pub(super) redaction: Arc<Redaction>,
    pub(super) export: Option<Export>,
    pub(super) bus: Arc<Bus>,
    pub(super) usage: Arc<UsageBook>,
    pub(super) calls: Arc<Calls>,
    pub(super) entrances: Arc<Entrances>,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) doors: Arc<Doors>,
}

impl Ground {
    /// Lays it; also what is told of functions with asynchronous calls.
    ///
    /// # Errors
    /// When a collector cannot be named, or the system has no certificates to call outside with.
    pub(super) fn lay(
        (state, log, facts): (Arc<dyn State>, Arc<dyn Log>, Arc<dyn Facts>),
        settings: &Settings,
        (common, tasks, allowance, port): (&Common, Arc<Tasks>, Arc<Allowance>, u16),
    ) -> Result<(Self, Told)> {
        let strangers = allowance.is_of_strangers();
        let (logs, live) = (Logs::within(allowance.log_bytes()), Arc::new(Live::default()));
        let of = Arc::clone(&allowance);
        let redaction = Arc::new(Redaction::default());
        let kept = (Arc::clone(&redaction), move || of.facts_bytes());
        let telemetry = Telemetry::start_within(facts, settings.facts, &tasks, kept);
        let export = settings.otlp.as_ref();
        let export = export.map(|otlp| Export::start(otlp, &telemetry, &logs, &tasks)).transpose()?;
        let bus = Bus::new(log, Arc::clone(&state), Arc::clone(&telemetry), allowance);
        let usage = UsageBook::start(state, Arc::clone(&telemetry), &live, &bus, &tasks);
        let readable = Redacting { redaction: Arc::clone(&redaction), next: Arc::clone(&logs) as _ };
        let printed = Limited::new(Arc::new(readable), Arc::clone(&tasks) as _);
        let (calls, told) = Calls::new(Arc::clone(&bus));
        let entrances = Entrances::new(port);
        let names = Arc::clone(&common.names);
        let external = External::with(Arc::clone(&tasks) as _, names)?.of_strangers(strangers);
        external.close_as(Arc::clone(&common.doors));
        let dispatcher = Dispatcher::new(
            Arc::clone(&live),
            Arc::clone(&bus),
            Arc::clone(&entrances),
            Intake::new(Arc::clone(&telemetry), Arc::clone(&printed) as _),
            external,
        );
        let doors = Arc::new(Doors::default());
        let ground = Self {
            tasks,
            logs,
            printed,
            live,
            telemetry,
            redaction,
            export,
            bus,
            usage,
            calls,
            entrances,
            dispatcher,
            doors,
        };
        Ok((ground, told))
    }

    /// What hosts and contracts are given.
    pub(super) fn environment(
        &self,
        settings: &Settings,
        (common, space): (&Common, &SpaceName),
    ) -> Environment {
        let cache_dir = cache_of(settings);
        Environment {
            space: space.clone(),
            packs_dir: packs_of(&cache_dir, space),
            // Whether others than this node's spaces may need what is there.
            cache_shared: common.settings.cache.is_some(),
            cache_dir,
            work_dir: settings.data.join("work"),
            compiler: settings.compiler.clone(),
            workers: workers(settings, common, space),
            pooling: settings.pooling,
            walls: settings.walls.clone(),
            spawn: Arc::clone(&self.tasks) as _,
            logs: Arc::clone(&self.printed) as _,
            witnesses: Arc::new(Watches(Arc::clone(&self.telemetry))),
            gates: Arc::clone(&self.doors) as _,
            crowd: Arc::clone(&common.crowd),
            outbound: Arc::clone(&self.dispatcher) as _,
            instances: Arc::clone(&common.instances),
        }
    }

    /// What was dropped of the lines of each function, as metrics.
    pub(super) fn dropped_lines(&self) -> impl Fn() -> Vec<Metric> + Send + Sync + 'static {
        let printed = Arc::clone(&self.printed);
        move || {
            let help = "Log lines above the rate of their function, which were dropped";
            let mut lines = Metric::new("hob_log_lines_dropped", Kind::Counter, "", help);
            for (app, function, dropped) in printed.dropped() {
                #[expect(clippy::cast_precision_loss, reason = "nobody drops 2^53 lines")]
                let number = dropped.lines as f64;
                lines.push([("app", app.as_str()), ("function", function.as_str())], number);
            }
            vec![lines]
        }
    }
}

/// Which WASM functions of a space run in its worker process.
fn workers(settings: &Settings, common: &Common, space: &SpaceName) -> Workers {
    let (place, space, named) = (settings.wasm, space.clone(), Arc::clone(&common.named));
    let space_of =
        move |_: &AppName| is_walled(place, &space, named.load(Ordering::Relaxed)).then(|| space.clone());
    Workers { space_of: Arc::new(space_of), command: settings.worker.clone(), ..Workers::none() }
}

/// Whether functions of a space run in its worker, where so many spaces are there beside `default`. Those of another space
/// always do: while it is removed, it is none of these any more and still runs.
fn is_walled(place: Place, space: &SpaceName, named: usize) -> bool {
    match place {
        Place::Auto => !space.is_default() || named > 0,
        Place::InProcess => false,
        Place::Worker => true,
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, SpaceName, is_walled};

    #[test]
    fn a_stranger_is_walled_as_long_as_it_is_there_and_default_beside_any() {
        let (default, other) = (SpaceName::default_space(), SpaceName::new("other").unwrap());
        for (place, of_default, beside, of_other) in [
            (Place::Auto, false, true, true),
            (Place::InProcess, false, false, false),
            (Place::Worker, true, true, true),
        ] {
            assert_eq!(is_walled(place, &default, 0), of_default, "{place:?}");
            assert_eq!(is_walled(place, &default, 1), beside, "{place:?}");
            // On its way out it is not counted.
            assert_eq!([0, 1].map(|named| is_walled(place, &other, named)), [of_other; 2], "{place:?}");
        }
    }
}
