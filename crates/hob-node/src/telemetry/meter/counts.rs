//! Meters as counts that alert rules are measured with.

use super::cells::BOUNDS_US;
use super::{Key, Meter, Meters, cause_index, class_index, outcome_index};
use crate::sync::lock;
use hob_core::fact::CallCause;
use hob_core::fault::Fault;
use hob_core::limit::METERS_MAX;
use hob_core::measure::Counts;
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::usage::Usage;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A function of a revision.
pub(crate) type Of = (AppName, FunctionName, RevisionNumber);

/// Instances that could not start or ended by themselves, by function.
#[derive(Default)]
pub(super) struct Crashes(Mutex<BTreeMap<(AppName, FunctionName), u64>>);

/// Upper bounds of the buckets of [`Counts`], microseconds.
pub(crate) const fn bounds_us() -> &'static [u64] {
    &BOUNDS_US
}

impl Meter {
    /// Counts a call that was refused before it began: no use, and nothing to measure.
    pub(crate) fn refused(&self, cause: &CallCause, fault: &Fault) {
        self.calls[cause_index(cause)][outcome_index(None, Some(fault.owner()))].add(1);
        self.classes[class_index(Some(fault.status()))].add(1);
    }
}

impl Meters {
    /// Counts of each function since the node started; of those that have no meter of their own there are none.
    pub(crate) fn counts(&self) -> BTreeMap<Of, Counts> {
        self.used().into_iter().map(|(of, (counts, _))| (of, counts)).collect()
    }

    /// The same, with what each used.
    pub(crate) fn used(&self) -> BTreeMap<Of, (Counts, Usage)> {
        let mut all = BTreeMap::new();
        for (key, meter) in lock(&self.known).iter() {
            let Key { app, function: Some(function), revision: Some(revision) } = key else { continue };
            let mut used = Usage::default();
            meter.usage().iter().for_each(|(_, usage)| used += usage);
            let counts = Counts {
                calls: used.invocations,
                failures: used.failures,
                cold: used.cold_starts,
                times: meter.duration.get().0,
                waits: meter.queue.get().0,
            };
            all.insert((app.clone(), function.clone(), *revision), (counts, used));
        }
        all
    }

    /// Counts an instance that could not start or ended by itself.
    pub(crate) fn crashed(&self, app: &AppName, function: &FunctionName) {
        let mut crashes = lock(&self.crashes.0);
        let key = (app.clone(), function.clone());
        if crashes.len() < METERS_MAX || crashes.contains_key(&key) {
            *crashes.entry(key).or_default() += 1;
        }
    }

    /// How often that happened to each function since the node started.
    pub(crate) fn crashes(&self) -> BTreeMap<(AppName, FunctionName), u64> {
        lock(&self.crashes.0).clone()
    }
}
