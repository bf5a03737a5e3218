//! Meters: exact counts of what happened to calls, by function and revision.
//!
//! **Why.** Facts are kept within a budget, so nothing can be counted from them. Counts and sums here are of
//! every call.
//!
//! **How.** Each function that was called has a [`Meter`], whose holder tells it of every call that has ended
//! ([`Meter::ended`]): a dozen additions to atomic numbers, no lock, no allocation. [`Meters::snapshot`] makes
//! [`Metric`]s of all of them, from which the Prometheus text (`text`) and OTLP are written. [`Meters::gains`]
//! says what was used since it was asked last, for [`hob_core::usage`].
//!
//! **Invariants.** At most [`METERS_MAX`] functions are counted apart; others of an app are counted together, as
//! its function [`OTHER`]. A meter goes when its pools are gone and what it counted has been taken.
//!
//! **Not here:** gauges that are read when somebody asks ([`crate::scrape`]).

mod cells;
mod colds;
mod counts;
pub(crate) mod metric;
mod show;
mod text;

pub(crate) use counts::{Of, bounds_us};
pub(crate) use metric::{HistogramValue, Kind, Metric, Sample, Value, bounded};
pub(crate) use text::Form;

use crate::sync::lock;
use arc_swap::ArcSwap;
use cells::{Cells, Histogram, Sum};
use colds::Colds;
use hob_core::code::Owner;
use hob_core::fact::{CallCause, Times, Used};
use hob_core::limit::{METER_TRIGGERS_MAX, METERS_MAX};
use hob_core::name::{AppName, FunctionName, RevisionNumber, TriggerName};
use hob_core::usage::{Usage, Whose};
use hob_core::wire::ColdStarts;
use hob_runtime::code::FunctionCode;
use hob_runtime::cpu::CpuTotal;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

/// A call that has ended, as far as it is counted.
#[derive(Debug)]
pub(crate) struct Ended<'a> {
    /// Why it was made.
    pub(crate) cause: &'a CallCause,
    /// The status that was answered.
    pub(crate) status: Option<u16>,
    /// Who is to blame, if Hob says that it failed.
    pub(crate) owner: Option<Owner>,
    /// Where its time went.
    pub(crate) times: Times,
    /// Whether it waited for a start.
    pub(crate) cold: bool,
    /// What it used.
    pub(crate) used: Used,
}

/// What a meter is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    app: AppName,
    /// `None`: functions that have no meter of their own.
    function: Option<FunctionName>,
    revision: Option<RevisionNumber>,
}

/// Causes of calls, as [`CallCause::word`] has them.
const CAUSES: [&str; 8] =
    ["request", "control", "function", "event", "schedule", "asynchronous", "replay", "lambda"];

const fn cause_index(cause: &CallCause) -> usize {
    match cause {
        CallCause::Request => 0,
        CallCause::Control => 1,
        CallCause::Function { .. } => 2,
        CallCause::Event { .. } => 3,
        CallCause::Schedule { .. } => 4,
        CallCause::Asynchronous { .. } => 5,
        CallCause::Replay { .. } => 6,
        CallCause::Lambda => 7,
    }
}

/// How calls end: well, or by the fault of somebody.
const OUTCOMES: [&str; 6] = ["ok", "platform", "code", "limit", "dependency", "caller"];

/// Without a fault a function's own failure is its status, and without a status the caller has gone.
const fn outcome_index(status: Option<u16>, owner: Option<Owner>) -> usize {
    match (owner, status) {
        (None, Some(..500)) => 0,
        (Some(Owner::Platform), _) => 1,
        (Some(Owner::Code), _) | (None, Some(500..)) => 2,
        (Some(Owner::Limit), _) => 3,
        (Some(Owner::Dependency), _) => 4,
        (Some(Owner::Caller), _) | (None, None) => 5,
    }
}

/// Classes of statuses; `none`: there was no answer.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

const fn class_index(status: Option<u16>) -> usize {
    match status {
        None | Some(..100) => 0,
        Some(100..200) => 1,
        Some(200..300) => 2,
        Some(300..400) => 3,
        Some(400..500) => 4,
        Some(500..) => 5,
    }
}

/// What is counted of one function of one revision.
pub(crate) struct Meter {
    key: Key,
    calls: [[Sum; OUTCOMES.len()]; CAUSES.len()],
    classes: [Sum; CLASSES.len()],
    duration: Histogram,
    queue: Histogram,
    start: Histogram,
    /// Of calls that waited for a start.
    colds: Mutex<Colds>,
    /// What calls used that no trigger made.
    own: Arc<Cells>,
    triggers: ArcSwap<Vec<(TriggerName, Arc<Cells>)>>,
    cpu: Mutex<Cpu>,
    /// What [`Meters::gains`] has told.
    taken: Mutex<HashMap<Option<TriggerName>, Usage>>,
}

/// Processor time of a function: its sum of now, and of pools that are gone.
#[derive(Default)]
struct Cpu {
    past_us: u64,
    totals: Vec<CpuTotal>,
}

impl Meter {
    fn new(key: Key) -> Self {
        Self {
            key,
            calls: Default::default(),
            classes: Default::default(),
            duration: Histogram::default(),
            queue: Histogram::default(),
            start: Histogram::default(),
            colds: Mutex::default(),
            own: Arc::default(),
            triggers: ArcSwap::default(),
            cpu: Mutex::default(),
            taken: Mutex::default(),
        }
    }

    /// Counts a call.
    pub(crate) fn ended(&self, ended: &Ended<'_>) {
        let Ended { cause, status, owner, times, cold, .. } = ended;
        self.calls[cause_index(cause)][outcome_index(*status, *owner)].add(1);
        self.classes[class_index(*status)].add(1);
        self.duration.observe(times.total_us);
        self.queue.observe(times.queue_us);
        if *cold {
            self.start.observe(times.start_us);
            lock(&self.colds).add(times);
        }
        match cause.trigger() {
            None => self.own.add(ended),
            Some(trigger) => self.of_trigger(trigger).add(ended),
        }
    }

    fn of_trigger(&self, trigger: &TriggerName) -> Arc<Cells> {
        let known = |triggers: &Vec<(TriggerName, Arc<Cells>)>| {
            let found = triggers.iter().find(|(name, _)| name == trigger);
            found.map(|(_, cells)| Arc::clone(cells))
        };
        if let Some(cells) = known(&self.triggers.load()) {
            return cells;
        }
        // Seldom: a trigger's first call. Another thread may add one at the same time.
        let added = Arc::<Cells>::default();
        self.triggers.rcu(|triggers| {
            let mut triggers = Vec::clone(triggers);
            if triggers.len() < METER_TRIGGERS_MAX && known(&triggers).is_none() {
                triggers.push((trigger.clone(), Arc::clone(&added)));
            }
            triggers
        });
        known(&self.triggers.load()).unwrap_or_else(|| Arc::clone(&self.own))
    }

    fn charge(&self, total: &CpuTotal) {
        lock(&self.cpu).totals.push(total.clone());
    }

    fn cpu_us(&self) -> u64 {
        let mut cpu = lock(&self.cpu);
        let (gone, alive): (Vec<_>, Vec<_>) =
            std::mem::take(&mut cpu.totals).into_iter().partition(CpuTotal::is_final);
        cpu.past_us += gone.iter().map(CpuTotal::us).sum::<u64>();
        cpu.totals = alive;
        cpu.past_us + cpu.totals.iter().map(CpuTotal::us).sum::<u64>()
    }

    /// What was used so far, by trigger. Processor time that cannot be told apart is nobody's trigger's.
    fn usage(&self) -> Vec<(Option<TriggerName>, Usage)> {
        let total_us = self.cpu_us();
        let triggers = self.triggers.load();
        let mut usage: Vec<_> =
            triggers.iter().map(|(name, cells)| (Some(name.clone()), cells.usage())).collect();
        let apart_us = usage.iter().map(|(_, usage)| usage.cpu_us).sum();
        usage.push((None, Usage { cpu_us: total_us.saturating_sub(apart_us), ..self.own.usage() }));
        usage
    }

    /// What was used since the last time.
    fn gains(&self) -> Vec<(Option<TriggerName>, Usage)> {
        let mut taken = lock(&self.taken);
        let mut gains = self.usage();
        for (trigger, usage) in &mut gains {
            let before = taken.entry(trigger.clone()).or_default();
            *usage = usage.since(before);
            // Not what it is now: what was taken for nobody's time may turn out to be a trigger's, and is
            // then made good by what comes.
            *before += usage;
        }
        gains.retain(|(_, usage)| !usage.is_empty());
        gains
    }

    /// Whether no pool can add anything any more; `holders` are those who have it by right.
    fn is_over(self: &Arc<Self>, holders: usize) -> bool {
        Arc::strong_count(self) <= holders && lock(&self.cpu).totals.iter().all(CpuTotal::is_final)
    }
}

/// The meters of one node.
#[derive(Default)]
pub(crate) struct Meters {
    known: Mutex<BTreeMap<Key, Arc<Meter>>>,
    crashes: counts::Crashes,
}

impl Meters {
    /// The meter of a function. To be asked for once by each pool, when it is called first.
    pub(crate) fn of(&self, code: &FunctionCode) -> Arc<Meter> {
        let (app, function) = (code.app.clone(), Some(code.name.clone()));
        let mut key = Key { app, function, revision: Some(code.revision) };
        let mut known = lock(&self.known);
        if known.len() >= METERS_MAX && !known.contains_key(&key) {
            (key.function, key.revision) = (None, None);
        }
        let meter = known.entry(key.clone()).or_insert_with(|| Arc::new(Meter::new(key)));
        meter.charge(&code.cpu);
        Arc::clone(meter)
    }

    /// The last cold starts of a function, if there were any.
    pub(crate) fn colds(
        &self,
        app: &AppName,
        function: &FunctionName,
        revision: RevisionNumber,
    ) -> Option<ColdStarts> {
        let key = Key { app: app.clone(), function: Some(function.clone()), revision: Some(revision) };
        let meter = lock(&self.known).get(&key).cloned()?;
        lock(&meter.colds).show()
    }

    /// What was used since it was asked last, by app; meters that are over go with it.
    pub(crate) fn gains(&self) -> Vec<(AppName, Whose, Usage)> {
        let mut gains = Vec::new();
        lock(&self.known).retain(|key, meter| {
            // Before it is read: what is over cannot gain anything afterwards.
            let over = meter.is_over(1);
            for (trigger, usage) in meter.gains() {
                let whose = Whose { function: key.function.clone(), revision: key.revision, trigger };
                gains.push((key.app.clone(), whose, usage));
            }
            !over
        });
        gains
    }

    /// Everything that is counted, as metrics.
    pub(crate) fn snapshot(&self) -> Vec<Metric> {
        let meters: Vec<Arc<Meter>> = lock(&self.known).values().cloned().collect();
        show::metrics(&meters)
    }
}

#[cfg(test)]
mod tests;
