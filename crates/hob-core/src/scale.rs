//! When instances of a function start and stop, and which calls they get, as pure decisions.
//!
//! **Why.** Starting too late costs latency, starting too many costs the machine, and both errors
//! hide in races. As a value that reads no clock, a pool's life is a story that a test can tell in
//! virtual time.
//!
//! **How.** [`Scale`] is the state of one pool. The pool feeds it an [`Event`] and the time and
//! carries out the [`Effect`]s.
//!
//! - *Up:* instances start because calls wait, never by a polling tick: as many as the waiting calls need,
//!   except those that running instances will have served before a new one could be ready. That is judged by
//!   measured times, and no longer believed once somebody waits for as long as a start takes.
//! - *Down:* what the peak of the last minute needed is kept (Knative's stable window); nothing goes while the
//!   last seconds needed twice as much as there is (its panic window); the last one goes after `idle`.
//! - *Queue:* first come, first served. A call whose turn cannot come before its deadline is refused at once.
//! - *Instance:* the most recently used one gets the next call. How many calls it takes at a time is learned
//!   (`adapt`).
//! - *Failures:* a circuit breaker (`breaker`) stands in front of what cannot be started or crashes.
//!
//! Where each call has an instance of its own, the state is a counter and the line of waiting calls.
//!
//! **Invariants**, checked after each event in `tests`:
//! 1. Never more instances, running and starting, than `max`.
//! 2. Never more instances starting than the waiting calls (or `min`) need.
//! 3. No call waits while an instance has a free place; calls are served first come, first served.
//! 4. A call whose time is over is never handed out.
//!
//! **Not here:** how an instance starts, and the timers of waiting calls (`hob-runtime`'s pool).

mod adapt;
mod average;
mod breaker;
mod line;
pub mod provision;
mod slots;
mod window;

pub use breaker::Circuit;

use crate::limit::{QUEUE_CALLS_MAX, SCALE_PANIC_TIMES, SCALE_WINDOW};
use crate::spec::ScaleSpec;
use crate::unit::millis;
use adapt::Sample;
use average::Average;
use breaker::Breaker;
use line::Line;
use slots::{After, Slots};
use window::Window;

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
    /// A call came, which is of no use to anybody after this time.
    Arrived(CallId, u64),
    /// A waiting call gave up.
    Left(CallId),
    /// A call that ran is over.
    Finished(Finished),
    /// A start succeeded, after so many microseconds.
    Ready(InstanceId, u64),
    /// A start failed.
    StartFailed,
    /// An instance ended by itself.
    Ended(InstanceId, End),
    /// So many instances are kept from now on, besides `min`: the higher number holds.
    Provisioned(u32),
    /// The machine needs room: the least recently used idle instance has to go, unless it is one that is kept.
    Reclaim,
    /// Time has passed.
    Tick,
    /// Somebody wants the next calls to find no instance, as far as `min` allows.
    Cool,
}

/// A call that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The instance it ran on. (Per call: it does not matter.)
    pub instance: InstanceId,
    /// How long it had its place, microseconds.
    pub took_us: u64,
    /// How long after it got its place its answer began, microseconds; `None`: it has none.
    pub answered_us: Option<u64>,
    /// It failed because its instance crashed.
    pub crashed: bool,
}

/// How an instance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In peace: used up, asked to, or with success.
    Quiet,
    /// By a failure.
    Crash,
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
    /// Refuse the call: its turn would come after so many milliseconds, and its time is over before that.
    RefuseLate(CallId, u64),
    /// Refuse the call: starts fail, and the next attempt is not due yet.
    RefuseFailing(CallId),
    /// Refuse the call: the circuit is open for so many more milliseconds.
    RefuseOpen(CallId, u64),
    /// The circuit has changed.
    Circuit(Circuit),
    /// Send `Tick` at this time, and not at any told before.
    WakeAt(u64),
}

/// What a pool is about, for people and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Instances that are wanted now, by calls, by the peak of the last minute, and by `min` and `provisioned`.
    pub wanted: u32,
    /// Calls that one instance takes at a time, on average.
    pub concurrency: u32,
    /// How long the first of the waiting calls has waited, milliseconds.
    pub waited_ms: u64,
    /// How long a call that came now would wait by what is measured, milliseconds; 0: not, or nothing is known.
    pub wait_ms: u64,
    /// Whether calls are let in.
    pub circuit: Circuit,
    /// While they are not: until one is, to try again, milliseconds.
    pub pause_ms: u64,
}

/// The state of one pool. All times are milliseconds of one clock that never goes back.
#[derive(Clone, Debug)]
pub struct Scale {
    spec: ScaleSpec,
    sharing: Sharing,
    slots: Slots,
    starting: u32,
    line: Line,
    running: u32,
    breaker: Breaker,
    /// Instances that are kept whether somebody calls or not.
    floor: u32,
    /// Calls at a time, running and waiting.
    peaks: Window,
    /// No instance is stopped before this.
    panic_until_ms: u64,
    /// How long a call has its place.
    service: Average,
    /// How long a start takes.
    start: Average,
    wake_at_ms: Option<u64>,
}

impl Scale {
    /// An empty pool. A limit of 0 instances or 0 calls at a time counts as 1.
    pub fn new(spec: &ScaleSpec, sharing: Sharing) -> Self {
        let max = spec.max.max(1);
        let provisioned = Vec::new();
        let spec = ScaleSpec {
            max,
            min: spec.min.min(max),
            concurrency: spec.concurrency.max(1),
            provisioned,
            ..*spec
        };
        Self {
            sharing,
            slots: Slots::new(&spec),
            starting: 0,
            line: Line::default(),
            running: 0,
            breaker: Breaker::default(),
            floor: spec.min,
            peaks: Window::new(kept_ms(&spec)),
            panic_until_ms: 0,
            service: Average::default(),
            start: Average::default(),
            wake_at_ms: None,
            spec,
        }
    }

    /// Instances that run: for kept ones also those without a call.
    pub fn instances(&self) -> u32 {
        match self.sharing {
            Sharing::PerCall => self.running,
            Sharing::Kept => self.slots.len(),
        }
    }

    /// Calls that run.
    pub fn running(&self) -> u32 {
        self.running
    }

    /// Calls that wait.
    pub fn waiting(&self) -> u32 {
        count(self.line.len())
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.breaker.failures()
    }

    /// Milliseconds until the next start may be made; 0: now.
    pub fn pause_ms(&self, now_ms: u64) -> u64 {
        self.breaker.pause_ms(now_ms)
    }

    /// Since when that instance has been idle which [`Event::Reclaim`] would stop.
    pub fn idle_since_ms(&self) -> Option<u64> {
        self.reclaimable().map(|(since_ms, _)| since_ms)
    }

    fn reclaimable(&self) -> Option<(u64, InstanceId)> {
        (self.slots.len() > self.floor).then(|| self.slots.longest_idle())?
    }

    /// What the pool is about, at `now_ms`. Costs more than an event.
    pub fn outlook(&mut self, now_ms: u64) -> Outlook {
        let wanted = match self.sharing {
            Sharing::PerCall => self.running + self.waiting(),
            Sharing::Kept => self.needed(now_ms).max(self.floor),
        };
        let waits = match self.sharing {
            Sharing::PerCall => self.running >= self.spec.max,
            Sharing::Kept => self.running >= self.slots.places().max(1),
        };
        Outlook {
            wanted: wanted.min(self.spec.max),
            concurrency: self.slots.places_each(),
            waited_ms: self.line.first().map_or(0, |first| now_ms.saturating_sub(first.since_ms)),
            wait_ms: if waits { self.wait_us().unwrap_or_default() / 1000 } else { 0 },
            circuit: self.breaker.circuit(),
            pause_ms: self.breaker.pause_ms(now_ms),
        }
    }

    /// Applies one event at `now_ms` and appends what has to be done to `effects`.
    ///
    /// A call that arrives and one that ends cost O(1) while nobody waits, O(log n) in the number of
    /// waiting calls otherwise; the end of an instance and a tick cost O(n) in that of instances.
    pub fn step(&mut self, event: Event, now_ms: u64, effects: &mut Vec<Effect>) {
        let circuit = self.breaker.circuit();
        match event {
            Event::Arrived(call, until_ms) => self.arrived(call, until_ms, now_ms, effects),
            Event::Left(call) => {
                self.line.leave(call);
                self.breaker.inconclusive(Some(call));
            }
            Event::Finished(finished) => self.finished(finished, now_ms, effects),
            Event::Ready(instance, start_us) => {
                self.starting = self.starting.saturating_sub(1);
                self.start.add(start_us);
                self.slots.insert(instance, now_ms);
                self.breaker.alive(now_ms);
                self.wake(now_ms + kept_ms(&self.spec), effects);
                self.serve(now_ms, effects);
            }
            Event::StartFailed => {
                self.starting = self.starting.saturating_sub(1);
                self.breaker.start_failed(now_ms);
                self.refuse(effects);
            }
            Event::Ended(instance, end) => self.ended(instance, end, now_ms, effects),
            Event::Provisioned(instances) => {
                self.floor = self.spec.min.max(instances).min(self.spec.max);
                self.tick(now_ms, effects);
            }
            Event::Reclaim => {
                if let Some((_, instance)) = self.reclaimable() {
                    self.slots.remove(instance);
                    effects.push(Effect::Stop(instance));
                }
            }
            Event::Tick => self.tick(now_ms, effects),
            Event::Cool => self.cool(effects),
        }
        if self.sharing == Sharing::Kept {
            self.start(now_ms, effects);
            self.peaks.record(self.running + self.waiting(), now_ms);
        }
        if circuit != self.breaker.circuit() {
            effects.push(Effect::Circuit(self.breaker.circuit()));
        }
        debug_assert!(self.slots.len() + self.starting <= self.spec.max);
    }

    fn arrived(&mut self, call: CallId, until_ms: u64, now_ms: u64, effects: &mut Vec<Effect>) {
        if !self.breaker.admits(call, now_ms) {
            return effects.push(Effect::RefuseOpen(call, self.breaker.pause_ms(now_ms)));
        }
        if self.line.is_empty() && self.hand(call, effects) {
            return self.breaker.alive(now_ms);
        }
        let nothing_runs = self.slots.is_empty() && self.starting == 0;
        if self.sharing == Sharing::Kept && nothing_runs && self.breaker.pause_ms(now_ms) > 0 {
            effects.push(Effect::RefuseFailing(call));
        } else if self.line.len() >= QUEUE_CALLS_MAX {
            effects.push(Effect::RefuseFull(call));
        } else if let Some(wait_us) = self.too_late(until_ms.saturating_sub(now_ms)) {
            effects.push(Effect::RefuseLate(call, wait_us / 1000));
        } else {
            return self.line.push(call, now_ms, until_ms);
        }
        self.breaker.inconclusive(Some(call));
    }

    /// Gives the call the first free place, if there is one.
    fn hand(&mut self, call: CallId, effects: &mut Vec<Effect>) -> bool {
        let instance = match self.sharing {
            Sharing::PerCall if self.running < self.spec.max => 0,
            Sharing::PerCall => return false,
            Sharing::Kept => {
                let Some(instance) = self.slots.take() else { return false };
                instance
            }
        };
        self.running += 1;
        effects.push(Effect::Hand(call, instance));
        true
    }

    /// Hands waiting calls to free places. Whoever's time is over is passed by: its own timer tells it.
    fn serve(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        while let Some(first) = self.line.first().copied() {
            if first.until_ms > now_ms && !self.hand(first.call, effects) {
                return;
            }
            self.line.pop();
        }
    }

    fn finished(&mut self, finished: Finished, now_ms: u64, effects: &mut Vec<Effect>) {
        let Finished { instance, took_us, answered_us, crashed } = finished;
        self.running = self.running.saturating_sub(1);
        self.service.add(took_us);
        if self.sharing == Sharing::Kept {
            match crashed {
                true => self.breaker.inconclusive(None),
                false if self.slots.knows(instance) => self.breaker.succeeded(),
                false => {}
            }
            match self.slots.give(instance, Sample { took_us, answered_us }, now_ms) {
                After::Busy => {}
                After::Idle => self.wake(now_ms + kept_ms(&self.spec), effects),
                After::UsedUp => effects.push(Effect::Stop(instance)),
            }
        }
        self.serve(now_ms, effects);
    }

    fn ended(&mut self, instance: InstanceId, end: End, now_ms: u64, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.remove(instance) else { return };
        if slot.served == 0 {
            // What ends before its first call would be started again for ever.
            self.breaker.start_failed(now_ms);
        } else if end == End::Crash {
            self.breaker.crashed(now_ms);
        }
        if self.breaker.circuit() == Circuit::Open {
            self.refuse(effects);
        }
    }

    /// Refuses all who wait, if nothing is left that could serve them.
    fn refuse(&mut self, effects: &mut Vec<Effect>) {
        if !self.slots.is_empty() || self.starting > 0 {
            return;
        }
        while let Some(call) = self.line.pop() {
            effects.push(Effect::RefuseFailing(call));
        }
    }

    fn tick(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        if self.wake_at_ms.is_some_and(|at| at <= now_ms) {
            self.wake_at_ms = None;
        }
        if let Some(at_ms) = self.shrink(now_ms, effects) {
            self.wake(at_ms, effects);
        }
    }

    /// Stops what has no call, the longest idle first, down to what is always kept.
    fn cool(&mut self, effects: &mut Vec<Effect>) {
        for (_, instance) in self.slots.idle() {
            if self.slots.len() <= self.floor {
                break;
            }
            self.slots.remove(instance);
            effects.push(Effect::Stop(instance));
        }
    }

    /// Stops what the peak of the window does not need, and says when the next may go.
    fn shrink(&mut self, now_ms: u64, effects: &mut Vec<Effect>) -> Option<u64> {
        if self.slots.len() <= self.floor {
            return None;
        }
        let each = self.slots.places_each();
        if self.peaks.recent_peak(now_ms) >= each.saturating_mul(SCALE_PANIC_TIMES * self.slots.len()) {
            self.panic_until_ms = now_ms + kept_ms(&self.spec);
        }
        if now_ms < self.panic_until_ms {
            return Some(self.panic_until_ms);
        }
        let keep = self.needed(now_ms).max(self.floor);
        for (since_ms, instance) in self.slots.idle() {
            let left = self.slots.len();
            if left <= self.floor {
                return None;
            }
            let least = left - 1;
            let later_ms = now_ms + kept_ms(&self.spec);
            let over_ms = if left > keep { 0 } else { self.peaks.falls_to(least * each).unwrap_or(later_ms) };
            // The last one goes when it has had no call for long enough.
            let due_ms = if least == 0 { over_ms.max(since_ms + self.spec.idle_ms) } else { over_ms };
            if due_ms > now_ms {
                return Some(due_ms);
            }
            self.slots.remove(instance);
            effects.push(Effect::Stop(instance));
        }
        None
    }

    /// Instances that the peak of the window needs.
    fn needed(&mut self, now_ms: u64) -> u32 {
        if kept_ms(&self.spec) == 0 {
            return (self.running + self.waiting()).div_ceil(self.slots.places_each());
        }
        self.peaks.peak(now_ms).div_ceil(self.slots.places_each())
    }

    fn wake(&mut self, at_ms: u64, effects: &mut Vec<Effect>) {
        if self.wake_at_ms.is_none_or(|armed| at_ms < armed) {
            self.wake_at_ms = Some(at_ms);
            effects.push(Effect::WakeAt(at_ms));
        }
    }

    /// Starts what waiting calls and the floor need and `max` allows.
    fn start(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        let present = self.slots.len() + self.starting;
        let for_floor = self.floor.saturating_sub(present);
        if (self.line.is_empty() && for_floor == 0) || present >= self.spec.max {
            return;
        }
        if let Some(due_ms) = self.breaker.due(now_ms) {
            return self.wake(due_ms, effects);
        }
        let for_calls = self.wanted_by_calls(now_ms, effects);
        let wanted = for_calls.max(for_floor).min(self.spec.max.saturating_sub(present));
        // After a failure one attempt shows whether the next are worth it.
        let careful = self.breaker.failures() > 0;
        let wanted = if careful { wanted.min(1_u32.saturating_sub(self.starting)) } else { wanted };
        if wanted > 0 {
            self.breaker.start_probes();
        }
        self.starting += wanted;
        effects.extend((0..wanted).map(|_| Effect::Start));
    }

    /// Instances that waiting calls need besides those that start already.
    fn wanted_by_calls(&mut self, now_ms: u64, effects: &mut Vec<Effect>) -> u32 {
        let each = self.spec.concurrency;
        let all = self.waiting().div_ceil(each).saturating_sub(self.starting);
        let (Some(first), Some(busy_since_ms)) = (self.line.first(), self.line.busy_since_ms()) else {
            return all;
        };
        let (Some(service_us), Some(start_us)) = (self.service.known(), self.start.get()) else { return all };
        if self.running == 0 || all == 0 {
            return all;
        }
        // Places that would serve those who wait within the time of one start.
        let waiting = u64::from(self.waiting());
        let places = waiting.saturating_mul(service_us).div_ceil(start_us);
        let places = u32::try_from(places).unwrap_or(u32::MAX);
        let more = places.saturating_sub(self.running).div_ceil(each);
        let due_ms = busy_since_ms + start_us.div_ceil(1000);
        if now_ms >= due_ms {
            // A whole start's time, and still somebody waits: nobody was served, or more come than are.
            let nobody = first.since_ms <= busy_since_ms;
            return if nobody { all } else { more.max(1).saturating_sub(self.starting).min(all) };
        }
        let more = more.saturating_sub(self.starting).min(all);
        if more < all {
            self.wake(due_ms, effects);
        }
        more
    }

    /// How long a call that comes now waits, microseconds, if it has to wait: for all before it and for itself,
    /// each for as long as a call has its place. Instances that may still start count as if they ran.
    fn wait_us(&self) -> Option<u64> {
        let present = self.slots.len() + self.starting;
        let each = self.spec.concurrency;
        let places = match self.sharing {
            Sharing::PerCall => self.spec.max,
            Sharing::Kept if present < self.spec.max => self.spec.max.saturating_mul(each),
            Sharing::Kept => self.slots.places().saturating_add(self.starting.saturating_mul(each)),
        };
        let before = u64::from(self.waiting()) + 1;
        Some(self.service.known()?.saturating_mul(before) / u64::from(places.max(1)))
    }

    /// The wait of a call whose answer would come when its time is over: `Some` refuses it. Nothing is known
    /// until something was measured.
    fn too_late(&self, left_ms: u64) -> Option<u64> {
        let wait_us = self.wait_us()?;
        (wait_us.saturating_add(self.service.known()?) > left_ms.saturating_mul(1000)).then_some(wait_us)
    }
}

/// How long what the peak needed is kept.
fn kept_ms(spec: &ScaleSpec) -> u64 {
    spec.idle_ms.min(millis(SCALE_WINDOW))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
