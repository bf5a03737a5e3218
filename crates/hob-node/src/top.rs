//! What the functions of a node do right now, for who looks.
//!
//! **Why.** A node with ten thousand functions must not keep rates for an observer who is not there. So nothing
//! is kept here between reports but by an observer, and it goes with him.
//!
//! **How.** [`Top::look`] reads the pools of all functions and the meters of those that were called, and compares
//! the counts with its own earlier looks. A look costs one walk over the table (10,000 idle functions: 75 ms of
//! processor time without optimisation, answer included), and a few files of `/proc` for each running program.
//!
//! **Not here:** what rates and costs are ([`hob_core::top`]).

use crate::live::{Live, LiveApp};
use crate::telemetry::Telemetry;
use crate::telemetry::meter::{Of, bounds_us};
use hob_core::cost::{Machine, Sheet};
use hob_core::limit::{TOP_INTERVAL, TOP_ROWS_DEFAULT, TOP_ROWS_MAX};
use hob_core::measure::Window;
use hob_core::top::{Seen, add, load, quantile_ms, sort};
use hob_core::unit::millis;
use hob_core::wire::{TopLoad, TopQuery, TopReport, TopRow};
use hob_runtime::pool::{Pool, Stats};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Window of reports that follow each other, unless another is asked for.
const FOLLOWED: Duration = Duration::from_secs(5);
/// Looks come this much too early or late, milliseconds; a window that is a hair too short still counts.
const LATE_MS: u64 = 100;
/// Earlier looks that an observer keeps.
const LOOKS: u64 = 5;

/// One observer.
pub(crate) struct Top {
    live: Arc<Live>,
    telemetry: Arc<Telemetry>,
    sheet: Sheet,
    machine: Machine,
    asked: TopQuery,
    window_ms: u64,
    earlier: Window<Of, Seen>,
}

impl Top {
    /// An observer who has seen nothing yet. `sheet` is the machine's own.
    pub(crate) fn new(
        live: &Arc<Live>,
        telemetry: &Arc<Telemetry>,
        (sheet, machine): (Sheet, Machine),
        asked: TopQuery,
    ) -> Self {
        let usual = if asked.follow { FOLLOWED } else { TOP_INTERVAL };
        let window_ms = asked.window_ms.unwrap_or_else(|| millis(usual));
        let earlier = Window::new(window_ms.saturating_sub(LATE_MS), LOOKS);
        let (live, telemetry) = (Arc::clone(live), Arc::clone(telemetry));
        Self { live, telemetry, sheet, machine, asked, window_ms, earlier }
    }

    /// Over how long is measured.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_millis(self.window_ms)
    }

    /// What functions do at this moment, and did since the oldest look that is kept.
    pub(crate) fn look(&mut self, now_ms: u64) -> TopReport {
        let table = Arc::clone(&self.live.load());
        let wanted = |app: &&Arc<LiveApp>| self.asked.app.as_ref().is_none_or(|name| *name == app.name);
        let mut met = self.telemetry.meters().used();
        let (mut found, mut seen, mut functions) = (BTreeMap::new(), BTreeMap::new(), 0);
        for app in table.apps().values().filter(wanted) {
            functions += app.current.spec.functions.len() as u64;
            for revision in app.kept.values() {
                let current = revision.number == app.current.number;
                for (function, spec) in &revision.spec.functions {
                    let stats = revision.functions.stats(function.as_str());
                    if !current && stats == Stats::default() {
                        continue;
                    }
                    let of: Of = (app.name.clone(), function.clone(), revision.number);
                    let (counts, usage) = met.remove(&of).unwrap_or_default();
                    if stats != Stats::default() {
                        let (came, cpu_us) = (stats.calls, stats.cpu_us);
                        seen.insert(of.clone(), Seen { came, cpu_us, counts, usage });
                    }
                    let memory_each = spec.memory_bytes;
                    let pools = revision.functions.all_of(function.as_str()).cloned().collect();
                    found.insert(of, Found { pools, memory_each, stats, current });
                }
            }
        }
        let gained = self.earlier.gained(now_ms, &seen);
        self.report(now_ms, functions, &found, &gained)
    }

    fn report(
        &self,
        now_ms: u64,
        functions: u64,
        found: &BTreeMap<Of, Found>,
        gained: &BTreeMap<Of, Seen>,
    ) -> TopReport {
        let span_ms = self.earlier.covers_ms(now_ms);
        let nothing = Seen::default();
        let mut rows: Vec<TopRow> = Vec::new();
        let mut total = TopLoad::default();
        for (of, found) in found {
            let gained = gained.get(of).unwrap_or(&nothing);
            let row = self.row(of, found, gained, span_ms);
            add(&mut total, &row.load);
            if found.current || row.load.instances > 0 || gained.came > 0 || gained.counts.calls > 0 {
                rows.push(row);
            }
        }
        sort(&mut rows, self.asked.sort);
        rows.truncate(self.asked.limit.unwrap_or(TOP_ROWS_DEFAULT).min(TOP_ROWS_MAX) as usize);
        TopReport {
            time_ms: now_ms,
            span_ms,
            cpus: self.machine.cpus,
            currency: self.sheet.currency().cloned(),
            functions,
            total,
            rows,
        }
    }

    fn row(&self, of: &Of, found: &Found, gained: &Seen, span_ms: u64) -> TopRow {
        let quantile = |per_mille| quantile_ms(&gained.counts.times, bounds_us(), per_mille);
        let load = TopLoad {
            instances: found.stats.instances,
            running: found.stats.running,
            waiting: found.stats.waiting,
            memory_bytes: found.memory_bytes(),
            ..load(gained, span_ms, &self.sheet, self.machine)
        };
        TopRow {
            app: of.0.clone(),
            function: of.1.clone(),
            revision: of.2,
            current: found.current,
            p50_ms: quantile(500).filter(|_| span_ms > 0),
            p99_ms: quantile(990).filter(|_| span_ms > 0),
            memory_bytes_max: found.memory_each.saturating_mul(found.stats.instances.into()),
            load,
        }
    }
}

/// A function that may have a row.
struct Found {
    /// `None` while it was never called.
    pools: Vec<Arc<Pool>>,
    /// What one instance may have, bytes.
    memory_each: u64,
    stats: Stats,
    current: bool,
}

impl Found {
    fn memory_bytes(&self) -> Option<u64> {
        let pools = self.pools.iter().filter(|_| self.stats.instances > 0);
        pools.filter_map(|pool| pool.memory_bytes()).reduce(|sum, bytes| sum + bytes)
    }
}
