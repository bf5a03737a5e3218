//! Budgets at work: use is compared with what is allowed, and doors are set.
//!
//! **How.** A door numbers calls, and is told which number is the first that may not pass; so not one call too
//! many does. Money and memory over time are known when calls have ended, so that calls which run when the
//! budget is spent still end, and those of the next seconds may begin.
//!
//! What was used when a budget stopped is stored: a kill may lose the last minute of what was counted, and the
//! door has to stay shut.

use super::Alerts;
use super::gate::{Door, Doors, Of};
use super::ledger::Sums;
use crate::bus::position;
use crate::live::{LiveApp, LiveTable};
use crate::sync::lock;
use hob_core::budget::{Standing, assess, period};
use hob_core::fault::Result;
use hob_core::name::{AppName, FunctionName};
use hob_core::port::State;
use hob_core::usage::Usage;
use hob_core::watch::BudgetSpec;
use hob_core::wire::BudgetInfo;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// Where stopped budgets are stored.
const KEY: &str = "budgets";

/// Everything that is known of budgets.
pub(super) struct Budgets {
    doors: Arc<Doors>,
    known: BTreeMap<Of, Known>,
    stopped: Stopped,
    /// Of the entry in the store.
    version: Option<u64>,
}

/// One budget.
struct Known {
    spec: BudgetSpec,
    standing: Standing,
    /// The number that its door gave, or would have given, to the first call of the period.
    first: i64,
    /// Held, so that it is there when the function is called for the first time.
    _door: Arc<Door>,
}

/// What is stored: what had been used in which period when a budget stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Stopped(BTreeMap<String, (u64, Usage)>);

impl Budgets {
    pub(super) async fn load(doors: Arc<Doors>, state: &dyn State) -> Result<Self> {
        let stored = position::load::<Stopped>(state, KEY).await?;
        let (stopped, version) =
            stored.map_or_else(Default::default, |(stopped, version)| (stopped, Some(version)));
        Ok(Self { doors, known: BTreeMap::new(), stopped, version })
    }

    pub(super) fn list(&self, app: Option<&AppName>) -> Vec<BudgetInfo> {
        let wanted = self.known.iter().filter(|((of, _), _)| app.is_none_or(|app| app == of));
        wanted
            .map(|((app, function), known)| BudgetInfo {
                app: app.clone(),
                function: function.clone(),
                spec: known.spec.clone(),
                standing: known.standing.clone(),
            })
            .collect()
    }

    /// How a budget stands.
    pub(super) fn standing(&self, app: &AppName, function: Option<&FunctionName>) -> Option<&Standing> {
        self.known.get(&(app.clone(), function.cloned())).map(|known| &known.standing)
    }

    /// Takes what was used, and sets the door. `begun` are calls of this period that have begun, as far as is
    /// known.
    fn take(&mut self, of: Of, spec: &BudgetSpec, standing: Standing, begun: u64) {
        let door = self.doors.of(&of);
        let passed = door.passed();
        let first = match self.known.get(&of) {
            Some(known) if known.standing.since_ms == standing.since_ms => known.first,
            Some(_) => passed,
            None => {
                let first = passed.saturating_sub(i64::try_from(begun).unwrap_or(i64::MAX));
                // All that has passed a door of this period is of this period, counted already or not.
                if door.made_ms >= standing.since_ms { first.min(0) } else { first }
            }
        };
        let most = spec.invocations.filter(|_| spec.stop).map(|most| i64::try_from(most).unwrap_or(i64::MAX));
        door.allow(most.map(|most| first.saturating_add(most)), standing.until_ms);
        door.shut(standing.stopped);
        self.known.insert(of, Known { spec: spec.clone(), standing, first, _door: door });
    }

    /// Opens the doors of budgets that are not there any more.
    fn keep(&mut self, wanted: &[Of]) {
        self.known.retain(|of, _| {
            let stays = wanted.contains(of);
            if !stays {
                let door = self.doors.of(of);
                door.shut(false);
                door.allow(None, 0);
            }
            stays
        });
        self.doors.forget();
    }

    /// What had been used when a budget stopped in this period, if it did.
    fn used_at_stop(&self, of: &Of, since_ms: u64) -> Usage {
        let stored = self.stopped.0.get(&name(of)).filter(|(stored_ms, _)| *stored_ms == since_ms);
        stored.map(|(_, usage)| *usage).unwrap_or_default()
    }
}

/// An app, or `app/function`.
fn name((app, function): &Of) -> String {
    function.as_ref().map_or_else(|| app.to_string(), |function| format!("{app}/{function}"))
}

/// Of two sums of one period, which only grow, the later one.
fn later(left: &Usage, right: &Usage) -> Usage {
    Usage {
        invocations: left.invocations.max(right.invocations),
        failures: left.failures.max(right.failures),
        wall_us: left.wall_us.max(right.wall_us),
        cpu_us: left.cpu_us.max(right.cpu_us),
        mib_us: left.mib_us.max(right.mib_us),
        bytes_in: left.bytes_in.max(right.bytes_in),
        bytes_out: left.bytes_out.max(right.bytes_out),
        cold_starts: left.cold_starts.max(right.cold_starts),
        stored_kib_s: left.stored_kib_s.max(right.stored_kib_s),
    }
}

/// Calls of an app or one of its functions that have begun and not ended.
fn running(app: &LiveApp, function: Option<&FunctionName>) -> u64 {
    let pools = app.kept.values().flat_map(|revision| revision.functions.made());
    let wanted = pools.filter(|pool| function.is_none_or(|function| *function == pool.code().name));
    wanted
        .map(|pool| {
            let stats = pool.stats();
            u64::from(stats.running) + u64::from(stats.waiting)
        })
        .sum()
}

impl Alerts {
    /// Compares every budget with what was used, and sets the doors.
    pub(super) async fn look_at_budgets(&self, table: &LiveTable, now_ms: u64) -> Result<()> {
        let mut wanted = Vec::new();
        // There are at most two periods, and many budgets.
        let mut periods: BTreeMap<u64, Sums> = BTreeMap::new();
        let mut stopped = Stopped::default();
        for app in table.acting().values() {
            for (function, spec) in app.current.spec.watch.budgets() {
                let of = (app.name.clone(), function.cloned());
                let (since_ms, _) = period(spec.per, now_ms);
                // Before use is read: a call that ends in between counts twice rather than not at all.
                let running = running(app, function);
                if let Entry::Vacant(period) = periods.entry(since_ms) {
                    period.insert(self.ledger.used(since_ms, now_ms).await?);
                }
                let of_this = |(owner, name): &&(AppName, FunctionName)| {
                    *owner == app.name && function.is_none_or(|function| function == name)
                };
                let mut sum = Usage::default();
                periods[&since_ms].iter().filter(|(key, _)| of_this(key)).for_each(|(_, usage)| sum += usage);
                let sum = later(&sum, &lock(&self.budgets).used_at_stop(&of, since_ms));
                let (sheet, machine) = self.sheet(spec.at);
                let standing = assess(spec, &sum, &sheet, machine, now_ms);
                if standing.stopped {
                    stopped.0.insert(name(&of), (since_ms, sum));
                }
                lock(&self.budgets).take(of.clone(), spec, standing, sum.invocations + running);
                wanted.push(of);
            }
        }
        lock(&self.budgets).keep(&wanted);
        self.store_stopped(stopped).await
    }

    /// Stores what had been used by budgets that are stopped now.
    async fn store_stopped(&self, stopped: Stopped) -> Result<()> {
        let write = {
            let budgets = lock(&self.budgets);
            // Only that one is stopped and when: what calls that were still running add matters to nobody.
            let which = |stopped: &Stopped| -> Vec<(String, u64)> {
                stopped.0.iter().map(|(name, (since_ms, _))| (name.clone(), *since_ms)).collect()
            };
            if which(&budgets.stopped) == which(&stopped) {
                return Ok(());
            }
            position::write(KEY.to_owned(), &stopped, budgets.version)?
        };
        self.bus.state().commit(vec![write]).await?;
        let mut budgets = lock(&self.budgets);
        budgets.version = Some(budgets.version.unwrap_or(0) + 1);
        budgets.stopped = stopped;
        Ok(())
    }
}
