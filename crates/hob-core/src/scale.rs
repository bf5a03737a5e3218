//! When instances of a function start and stop, as pure decisions.
//!
//! **Why.** Starting too late costs latency, starting too many costs the machine, and both errors
//! hide in races. As a value that reads no clock, a pool's life is a story that a test can tell in
//! virtual time.
//!
//! **How.** [`Scale`] is the state of one pool. The pool feeds it an [`Event`] and the time and
//! carries out the [`Effect`]s. Instances start because calls wait, never by a polling tick. The most
//! recently used instance gets the next call, so that idle ones age and stop. Where each call has an
//! instance of its own, the state is two counters and the line of waiting calls.
//!
//! **Invariants**, checked after each event in `tests`:
//! 1. Never more instances, running and starting, than `max`.
//! 2. Never more instances starting than the waiting calls (or `min`) need.
//! 3. No call waits while an instance has a free place; calls are served first come, first served.
//!
//! **Not here:** how an instance starts, and the deadlines of waiting calls (`hob-runtime`'s pool).

use crate::limit::{QUEUE_CALLS_MAX, START_BACKOFF_MAX, START_BACKOFF_MIN};
use crate::spec::ScaleSpec;
use crate::unit::millis;
use std::collections::{BTreeMap, BTreeSet};

/// A call that waits or runs; numbers grow in the order of arrival.
pub type CallId = u64;
/// An instance of the pool.
pub type InstanceId = u64;

/// Whether instances are shared by calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Each call gets an instance of its own, which ends with it.
    PerCall,
    /// Instances are kept and shared.
    Kept,
}

/// What happens in a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A call came.
    Arrived(CallId),
    /// A waiting call gave up.
    Left(CallId),
    /// A call that ran on this instance is over. (Per call: the instance does not matter.)
    Finished(InstanceId),
    /// A start succeeded.
    Ready(InstanceId),
    /// A start failed.
    StartFailed,
    /// An instance ended by itself.
    Ended(InstanceId),
    /// The machine needs room: the least recently used idle instance has to go, unless it is one of `min`.
    Reclaim,
    /// Time has passed.
    Tick,
}

/// What the pool has to do, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Run this call on that instance. (Per call: the instance is 0.)
    Hand(CallId, InstanceId),
    /// Start one instance; report `Ready` or `StartFailed` once.
    Start,
    /// Stop this instance, which has no call; it is no longer counted.
    Stop(InstanceId),
    /// Refuse the call: as many wait as may.
    RefuseFull(CallId),
    /// Refuse the call: starts fail, and the next attempt is not due yet.
    RefuseFailing(CallId),
    /// Send `Tick` at this time.
    WakeAt(u64),
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    running: u32,
    served: u32,
    idle_since_ms: u64,
    /// It has served as many calls as it may: no more are given to it.
    used_up: bool,
}

/// The state of one pool. All times are milliseconds of one clock that never goes back.
#[derive(Clone, Debug)]
pub struct Scale {
    spec: ScaleSpec,
    sharing: Sharing,
    slots: BTreeMap<InstanceId, Slot>,
    /// Instances with a free place, the most recently used last.
    free: Vec<InstanceId>,
    starting: u32,
    waiting: BTreeSet<CallId>,
    running: u32,
    /// Starts that failed, or instances that ended without having served a call, in a row.
    failures: u32,
    blocked_until_ms: u64,
    wake_at_ms: Option<u64>,
}

impl Scale {
    /// An empty pool. A limit of 0 instances or 0 calls at a time counts as 1.
    pub fn new(spec: ScaleSpec, sharing: Sharing) -> Self {
        let max = spec.max.max(1);
        let spec = ScaleSpec { max, min: spec.min.min(max), concurrency: spec.concurrency.max(1), ..spec };
        Self {
            spec,
            sharing,
            slots: BTreeMap::new(),
            free: Vec::new(),
            starting: 0,
            waiting: BTreeSet::new(),
            running: 0,
            failures: 0,
            blocked_until_ms: 0,
            wake_at_ms: None,
        }
    }

    /// Instances that run: for kept ones also those without a call.
    pub fn instances(&self) -> u32 {
        match self.sharing {
            Sharing::PerCall => self.running,
            Sharing::Kept => count(self.slots.len()),
        }
    }

    /// Calls that run.
    pub fn running(&self) -> u32 {
        self.running
    }

    /// Calls that wait.
    pub fn waiting(&self) -> u32 {
        count(self.waiting.len())
    }

    /// Since when that instance has been idle which [`Event::Reclaim`] would stop.
    pub fn idle_since_ms(&self) -> Option<u64> {
        self.reclaimable().map(|(since_ms, _)| since_ms)
    }

    fn reclaimable(&self) -> Option<(u64, InstanceId)> {
        let idle = self.slots.iter().filter(|(_, slot)| slot.running == 0);
        let first = idle.map(|(instance, slot)| (slot.idle_since_ms, *instance)).min();
        first.filter(|_| count(self.slots.len()) > self.spec.min)
    }

    /// Applies one event at `now_ms` and appends what has to be done to `effects`.
    ///
    /// A call that arrives and one that ends cost O(1) while nobody waits, O(log n) in the number of
    /// waiting calls otherwise; the end of an instance and a tick cost O(n) in that of instances.
    pub fn step(&mut self, event: Event, now_ms: u64, effects: &mut Vec<Effect>) {
        match event {
            Event::Arrived(call) => self.arrived(call, now_ms, effects),
            Event::Left(call) => {
                self.waiting.remove(&call);
            }
            Event::Finished(instance) => self.finished(instance, now_ms, effects),
            Event::Ready(instance) => {
                self.starting = self.starting.saturating_sub(1);
                let slot = Slot { running: 0, served: 0, idle_since_ms: now_ms, used_up: false };
                self.slots.insert(instance, slot);
                self.free.push(instance);
                self.wake(now_ms + self.spec.idle_ms, effects);
                self.serve(effects);
            }
            Event::StartFailed => {
                self.starting = self.starting.saturating_sub(1);
                self.failed(now_ms, effects);
                if self.slots.is_empty() && self.starting == 0 {
                    while let Some(call) = self.waiting.pop_first() {
                        effects.push(Effect::RefuseFailing(call));
                    }
                }
            }
            Event::Ended(instance) => self.ended(instance, now_ms, effects),
            Event::Reclaim => {
                if let Some((_, instance)) = self.reclaimable() {
                    self.slots.remove(&instance);
                    self.free.retain(|free| *free != instance);
                    effects.push(Effect::Stop(instance));
                }
            }
            Event::Tick => self.tick(now_ms, effects),
        }
        self.start(now_ms, effects);
        debug_assert!(self.slots.len() + self.starting as usize <= self.spec.max as usize);
    }

    fn arrived(&mut self, call: CallId, now_ms: u64, effects: &mut Vec<Effect>) {
        if self.waiting.is_empty() && self.hand(call, effects) {
            return;
        }
        let nothing_runs = self.slots.is_empty() && self.starting == 0;
        if self.sharing == Sharing::Kept && nothing_runs && now_ms < self.blocked_until_ms {
            effects.push(Effect::RefuseFailing(call));
        } else if self.waiting.len() >= QUEUE_CALLS_MAX {
            effects.push(Effect::RefuseFull(call));
        } else {
            self.waiting.insert(call);
        }
    }

    /// Gives the call the first free place, if there is one.
    fn hand(&mut self, call: CallId, effects: &mut Vec<Effect>) -> bool {
        let instance = match self.sharing {
            Sharing::PerCall if self.running < self.spec.max => 0,
            Sharing::PerCall => return false,
            Sharing::Kept => {
                let Some(instance) = self.free.last().copied() else { return false };
                let slot = self.slots.get_mut(&instance).expect("a free place is one of a running instance");
                slot.running += 1;
                slot.served = slot.served.saturating_add(1);
                slot.used_up = self.spec.calls_per_instance.is_some_and(|most| slot.served >= most);
                if slot.used_up || slot.running == self.spec.concurrency {
                    self.free.pop();
                }
                instance
            }
        };
        self.running += 1;
        effects.push(Effect::Hand(call, instance));
        true
    }

    /// Hands waiting calls to free places.
    fn serve(&mut self, effects: &mut Vec<Effect>) {
        while let Some(call) = self.waiting.first().copied() {
            if !self.hand(call, effects) {
                return;
            }
            self.waiting.pop_first();
        }
    }

    fn finished(&mut self, instance: InstanceId, now_ms: u64, effects: &mut Vec<Effect>) {
        self.running = self.running.saturating_sub(1);
        if let Some(slot) = self.slots.get_mut(&instance) {
            let was_full = slot.running == self.spec.concurrency;
            slot.running = slot.running.saturating_sub(1);
            self.failures = 0;
            if slot.used_up {
                if slot.running == 0 {
                    self.slots.remove(&instance);
                    effects.push(Effect::Stop(instance));
                }
            } else {
                if was_full {
                    self.free.push(instance);
                }
                if slot.running == 0 {
                    slot.idle_since_ms = now_ms;
                    self.wake(now_ms + self.spec.idle_ms, effects);
                }
            }
        }
        self.serve(effects);
    }

    fn ended(&mut self, instance: InstanceId, now_ms: u64, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.remove(&instance) else { return };
        self.free.retain(|free| *free != instance);
        // What ends before its first call would be started again for ever.
        if slot.served == 0 {
            self.failed(now_ms, effects);
        }
    }

    /// Puts the next start off, twice as long each time.
    fn failed(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        let first = millis(START_BACKOFF_MIN);
        let longest = millis(START_BACKOFF_MAX);
        let pause_ms = first.saturating_mul(1 << self.failures.min(20)).min(longest);
        self.failures = self.failures.saturating_add(1);
        self.blocked_until_ms = now_ms + pause_ms;
        if self.spec.min > 0 || !self.waiting.is_empty() {
            self.wake(self.blocked_until_ms, effects);
        }
    }

    fn tick(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        if self.wake_at_ms.is_some_and(|at| at <= now_ms) {
            self.wake_at_ms = None;
        }
        let mut spare = count(self.slots.len()).saturating_sub(self.spec.min);
        let mut next: Option<u64> = None;
        let mut idle: Vec<(u64, InstanceId)> = Vec::new();
        for (instance, slot) in self.slots.iter().filter(|(_, slot)| slot.running == 0) {
            idle.push((slot.idle_since_ms + self.spec.idle_ms, *instance));
        }
        idle.sort_unstable();
        for (due_ms, instance) in idle {
            if spare == 0 {
                break;
            }
            if due_ms > now_ms {
                next = Some(due_ms);
                break;
            }
            spare -= 1;
            self.slots.remove(&instance);
            self.free.retain(|free| *free != instance);
            effects.push(Effect::Stop(instance));
        }
        if now_ms < self.blocked_until_ms && (self.spec.min > 0 || !self.waiting.is_empty()) {
            next = Some(next.map_or(self.blocked_until_ms, |due| due.min(self.blocked_until_ms)));
        }
        if let Some(at_ms) = next {
            self.wake(at_ms, effects);
        }
    }

    fn wake(&mut self, at_ms: u64, effects: &mut Vec<Effect>) {
        if self.wake_at_ms.is_none_or(|armed| at_ms < armed) {
            self.wake_at_ms = Some(at_ms);
            effects.push(Effect::WakeAt(at_ms));
        }
    }

    /// Starts what waiting calls and `min` need and `max` allows.
    fn start(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        if self.sharing == Sharing::PerCall || now_ms < self.blocked_until_ms {
            return;
        }
        let present = count(self.slots.len()) + self.starting;
        let for_calls = self.waiting().div_ceil(self.spec.concurrency).saturating_sub(self.starting);
        let for_min = self.spec.min.saturating_sub(present);
        let wanted = for_calls.max(for_min).min(self.spec.max.saturating_sub(present));
        // After a failure one attempt shows whether the next are worth it.
        let wanted = if self.failures > 0 { wanted.min(1_u32.saturating_sub(self.starting)) } else { wanted };
        self.starting += wanted;
        effects.extend((0..wanted).map(|_| Effect::Start));
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
