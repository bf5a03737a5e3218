//! Kept instances and their free places.
//!
//! **How.** Instances with a free place stand in a list; the one at its end gets the next call, so that one is
//! filled before another and those that are not needed age. How many calls one takes at a time is its own
//! affair ([`Adapt`]).

use super::InstanceId;
use super::adapt::{Adapt, Sample};
use crate::spec::ScaleSpec;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) running: u32,
    pub(super) served: u32,
    pub(super) idle_since_ms: u64,
    /// It has served as many calls as it may: no more are given to it.
    used_up: bool,
    /// It stands in the list of free ones.
    listed: bool,
    adapt: Adapt,
}

/// What the end of a call means for its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It goes on with others, or it was not known any more.
    Busy,
    /// It has no call now.
    Idle,
    /// It has served what it may, and is no longer counted.
    UsedUp,
}

#[derive(Clone, Debug)]
pub(super) struct Slots {
    concurrency: u32,
    calls_max: u32,
    all: BTreeMap<InstanceId, Slot>,
    /// Instances with a free place, the most recently used last.
    free: Vec<InstanceId>,
    /// Calls that all of them take at a time.
    places: u32,
}

impl Slots {
    pub(super) fn new(spec: &ScaleSpec) -> Self {
        Self {
            concurrency: spec.concurrency,
            calls_max: spec.calls_per_instance.unwrap_or(u32::MAX),
            all: BTreeMap::new(),
            free: Vec::new(),
            places: 0,
        }
    }

    pub(super) fn len(&self) -> u32 {
        super::count(self.all.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Calls that all of them take at a time.
    pub(super) fn places(&self) -> u32 {
        self.places
    }

    /// Calls that one takes at a time, on average; what a new one takes while there is none.
    pub(super) fn places_each(&self) -> u32 {
        match self.len() {
            0 => self.concurrency,
            all => (self.places / all).max(1),
        }
    }

    pub(super) fn knows(&self, instance: InstanceId) -> bool {
        self.all.contains_key(&instance)
    }

    #[cfg(test)]
    pub(super) fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    pub(super) fn insert(&mut self, instance: InstanceId, now_ms: u64) {
        let adapt = Adapt::new(self.concurrency);
        let slot = Slot { running: 0, served: 0, idle_since_ms: now_ms, used_up: false, listed: true, adapt };
        self.places += slot.adapt.limit();
        self.all.insert(instance, slot);
        self.free.push(instance);
    }

    /// Takes the first free place.
    pub(super) fn take(&mut self) -> Option<InstanceId> {
        let instance = self.free.last().copied()?;
        let slot = self.all.get_mut(&instance).expect("a free place is one of a running instance");
        slot.running += 1;
        slot.served = slot.served.saturating_add(1);
        slot.used_up = slot.served >= self.calls_max;
        let full = slot.running >= slot.adapt.limit();
        if full {
            slot.adapt.is_full();
        }
        if full || slot.used_up {
            slot.listed = false;
            self.free.pop();
        }
        Some(instance)
    }

    /// Gives a place back; `sample`: what the call tells of the instance.
    pub(super) fn give(&mut self, instance: InstanceId, sample: Sample, now_ms: u64) -> After {
        let Some(slot) = self.all.get_mut(&instance) else { return After::Busy };
        slot.running = slot.running.saturating_sub(1);
        if self.concurrency > 1 {
            let before = slot.adapt.limit();
            slot.adapt.add(sample, now_ms);
            self.places = self.places - before + slot.adapt.limit();
        }
        if slot.used_up {
            if slot.running > 0 {
                return After::Busy;
            }
            self.remove(instance);
            return After::UsedUp;
        }
        let has_place = slot.running < slot.adapt.limit();
        let (idle, listed) = (slot.running == 0, std::mem::replace(&mut slot.listed, has_place));
        if idle {
            slot.idle_since_ms = now_ms;
        }
        match (listed, has_place) {
            (false, true) => self.free.push(instance),
            (true, false) => self.free.retain(|free| *free != instance),
            _ => {}
        }
        if idle { After::Idle } else { After::Busy }
    }

    pub(super) fn remove(&mut self, instance: InstanceId) -> Option<Slot> {
        let slot = self.all.remove(&instance)?;
        self.places -= slot.adapt.limit();
        if slot.listed {
            self.free.retain(|free| *free != instance);
        }
        Some(slot)
    }

    /// The instance that has been without a call for longest, and since when.
    pub(super) fn longest_idle(&self) -> Option<(u64, InstanceId)> {
        let idle = self.all.iter().filter(|(_, slot)| slot.running == 0);
        idle.map(|(instance, slot)| (slot.idle_since_ms, *instance)).min()
    }

    /// Instances without a call, the one that has had none for longest first, with the time of its last.
    pub(super) fn idle(&self) -> Vec<(u64, InstanceId)> {
        let idle = self.all.iter().filter(|(_, slot)| slot.running == 0);
        let mut idle: Vec<_> = idle.map(|(instance, slot)| (slot.idle_since_ms, *instance)).collect();
        idle.sort_unstable();
        idle
    }
}
