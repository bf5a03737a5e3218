//! One made-up life after another of one subscription.

use super::Mutation;
use super::check::{Facts, ensure, index};
use super::record::{Kind, Record};
use crate::random::Random;
use crate::subscription::{
    Bounds, CLOCK_SLACK_MS, Candidate, DEAD_LETTERS_MAX, Delivery, Effect, Input, Machine, Outcome, Rate,
    Reason, Settings, Snapshot, Wanted,
};
use std::collections::{BTreeMap, BTreeSet};

/// When worlds begin; far from 0, so that clocks can go back.
const EPOCH_MS: u64 = 1_000_000_000;
/// Events in which a world that is left alone has to come to rest.
const REST_EVENTS: usize = 5000;

/// Something that is under way.
#[derive(Clone, Copy, Debug)]
enum Event {
    Read { from: u64, records: usize },
    Call(Delivery),
    Bury(Delivery, Reason),
    Save,
}

/// A topic, a function, a disk, a clock, and a subscription.
#[derive(Debug)]
pub(in crate::subscription) struct World {
    random: Random,
    mutation: Mutation,
    settings: Settings,
    bounds: Bounds,
    records: Vec<Record>,
    machine: Machine,
    facts: Facts,
    /// Time that never jumps.
    real_ms: u64,
    /// What the clock shows more, or less.
    skew_ms: i64,
    events: BTreeMap<(u64, u64), Event>,
    event_ids: u64,
    /// In real time: a sleeping node does not see its clock jump.
    wake_ms: Option<u64>,
    saving: Option<(Snapshot, i128)>,
    durable: Option<(Snapshot, i128)>,
    /// Which of the things that people and machines do happen in this world.
    faults: u64,
    /// Nothing goes wrong any more.
    calm: bool,
    killed: bool,
    pub(super) dead: BTreeSet<(u64, Reason)>,
    pub(super) crashes: u32,
}

impl World {
    pub(super) fn new(seed: u64, settings: Settings, bounds: Bounds, mutation: Mutation) -> Self {
        let mut machine = Machine::new(1, settings, bounds, seed, EPOCH_MS);
        machine.mutate(mutation);
        Self {
            random: Random(seed ^ 0x5eed),
            mutation,
            settings,
            bounds,
            records: Vec::new(),
            machine,
            facts: Facts::new(),
            real_ms: 0,
            skew_ms: 0,
            events: BTreeMap::new(),
            event_ids: 0,
            wake_ms: None,
            saving: None,
            durable: None,
            faults: 0,
            calm: false,
            killed: false,
            dead: BTreeSet::new(),
            crashes: 0,
        }
    }

    /// A world of which the seed decides everything.
    pub(super) fn random(seed: u64, mutation: Mutation) -> Self {
        let bounds = Bounds { window: 8, page: 3, stride: 2, save_settled: 3, save_pause_ms: 20 };
        let mut world = Self::new(seed, Settings::default(), bounds, mutation);
        world.bounds.stride = world.below(6);
        world.bounds.page = 1 + index(world.below(4) + 1);
        world.faults = world.below(256);
        world.settings = world.random_settings();
        world.machine = Machine::new(1, world.settings, world.bounds, seed, world.now_ms());
        world.machine.mutate(mutation);
        world
    }

    /// Everything that can happen, and then peace until nothing is left to do.
    pub(super) fn live(mut self) -> Result<(), String> {
        self.input(Input::Tick)?;
        for _ in 0..40 + self.below(60) {
            self.happen()?;
        }
        self.finish()
    }

    /// Lets everything end, and checks that it has.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        self.calm = true;
        self.input(Input::Resume)?;
        self.input(Input::Appended)?;
        let mut events = 0;
        while self.next_event()? {
            events += 1;
            ensure(events < REST_EVENTS, || format!("does not come to rest: {:?}", self.machine.stats()))?;
        }
        let stats = self.machine.stats();
        let end = self.records.len() as u64 + 1;
        ensure(stats.pending == 0 && stats.cursor >= end && self.machine.is_idle(), || {
            format!("{} left of {end}, nothing under way: {stats:?}", stats.pending)
        })?;
        let saved = self.durable.as_ref().map(|(durable, _)| (durable.cursor, durable.counters));
        ensure(saved == Some((stats.cursor, stats.counters)), || format!("saved {saved:?}, not {stats:?}"))?;
        ensure(self.machine.settled_before() == stats.cursor, || "the topic keeps what is settled".into())?;
        self.facts.all_ended(stats.generation, &self.records)
    }

    pub(super) fn append(&mut self, kind: Kind) {
        let key = Some(self.below(4)).filter(|key| *key > 0);
        let last_ms = self.records.last().map_or(0, |record| record.time_ms);
        self.records.push(Record { kind, key, time_ms: self.now_ms().max(last_ms) });
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random.below(end)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn now_ms(&self) -> u64 {
        (EPOCH_MS + self.real_ms).saturating_add_signed(self.skew_ms)
    }

    fn random_settings(&mut self) -> Settings {
        let rate = self.chance(20).then(|| Rate {
            events: 1 + u32::try_from(self.below(3)).unwrap(),
            interval_ms: 1 + self.below(200),
        });
        Settings {
            attempts: 1 + u32::try_from(self.below(4)).unwrap(),
            backoff_min_ms: self.below(50),
            backoff_max_ms: 50 + self.below(500),
            age_ms: self.chance(10).then(|| self.below(2000)),
            ordered: self.chance(60),
            concurrency: 1 + u32::try_from(self.below(4)).unwrap(),
            rate,
        }
    }

    /// Something happens from outside, or what is under way goes on.
    fn happen(&mut self) -> Result<(), String> {
        let fault = |bit: u64| self.faults & (1 << bit) != 0;
        let (seeks, crashes, jumps, pauses) = (fault(0), fault(1), fault(2), fault(3));
        let (stops, configures, crashes_often) = (fault(4), fault(5) && fault(6), fault(7));
        match self.below(100) {
            0..15 => {
                for _ in 0..=self.below(4) {
                    let kind = self.random_kind();
                    self.append(kind);
                }
                self.input(Input::Appended)
            }
            15..17 if pauses => self.input(Input::Pause),
            17..21 if pauses => self.input(Input::Resume),
            21..23 if seeks => {
                let sequence = self.below(self.records.len() as u64 + 2);
                self.facts.sought(&self.machine.stats(), sequence.max(1));
                self.input(Input::Seek { sequence })
            }
            23..25 if crashes => self.crash(),
            25..31 if crashes && crashes_often => self.crash(),
            31..33 if stops => self.stop(),
            33..36 if jumps => self.jump(),
            36..38 if configures => {
                self.settings = self.random_settings();
                self.facts.reconfigured();
                self.input(Input::Configure(self.settings))
            }
            38..40 => self.input(Input::Tick),
            _ => self.next_event().map(|_| ()),
        }
    }

    fn random_kind(&mut self) -> Kind {
        match self.below(20) {
            0..8 => Kind::Good,
            8..13 => Kind::Moody,
            13 | 14 => Kind::Poison,
            15 => Kind::Rejected,
            16 => Kind::Skipped,
            17 => Kind::Expired,
            18 => Kind::Missing,
            _ => Kind::Vanished,
        }
    }

    /// The next thing that is under way, or the wake-up; false when there is neither.
    fn next_event(&mut self) -> Result<bool, String> {
        let next = self.events.first_key_value().map(|(id, _)| *id);
        if let Some(wake_ms) = self.wake_ms.filter(|wake_ms| next.is_none_or(|(at_ms, _)| *wake_ms <= at_ms))
        {
            self.real_ms = self.real_ms.max(wake_ms);
            self.wake_ms = None;
            return self.input(Input::Tick).map(|()| true);
        }
        let Some(((at_ms, _), event)) = self.events.pop_first() else { return Ok(false) };
        self.real_ms = self.real_ms.max(at_ms);
        match event {
            Event::Read { from, records } => self.read(from, records)?,
            Event::Call(delivery) => {
                let outcome = self.outcome(delivery);
                self.facts.delivered(delivery, outcome);
                self.input(Input::Delivered { delivery, outcome })?;
            }
            Event::Bury(delivery, reason) => {
                self.facts.burying -= 1;
                let durable = self.calm || !self.chance(15);
                if durable {
                    self.facts.buried((delivery.generation, delivery.sequence));
                    self.dead.insert((delivery.sequence, reason));
                }
                self.input(Input::DeadLettered { delivery, durable })?;
            }
            Event::Save => self.saved()?,
        }
        Ok(true)
    }

    fn read(&mut self, from: u64, records: usize) -> Result<(), String> {
        if !self.calm && self.chance(5) {
            return self.input(Input::FetchFailed { from });
        }
        let records = 1 + index(self.below(records as u64) + 1);
        let mut page = Vec::new();
        let mut next = from;
        for (record, sequence) in self.records.iter().zip(1..).skip(index(from)) {
            if page.len() == records {
                break;
            }
            next = sequence + 1;
            let wanted = match record.kind {
                Kind::Missing => continue,
                Kind::Skipped => Wanted::Skip,
                Kind::Expired => Wanted::Expired,
                _ => Wanted::Deliver,
            };
            page.push(Candidate { sequence, time_ms: record.time_ms, key: record.key, wanted });
        }
        self.input(Input::Fetched { from, records: &page, next })
    }

    fn outcome(&mut self, delivery: Delivery) -> Outcome {
        let kind = self.records[index(delivery.sequence)].kind;
        let after_ms = Some(self.below(300)).filter(|after_ms| *after_ms > 200);
        if !self.calm && self.chance(10) {
            let after_ms = after_ms.unwrap_or(0);
            return if after_ms.is_multiple_of(2) {
                Outcome::Overloaded { after_ms: Some(after_ms) }
            } else {
                Outcome::Later { after_ms }
            };
        }
        match kind {
            Kind::Moody if !self.calm && self.chance(60) => Outcome::Retry { after_ms },
            Kind::Poison => Outcome::Retry { after_ms },
            Kind::Rejected => Outcome::Rejected,
            Kind::Vanished => Outcome::Gone,
            _ => Outcome::Done,
        }
    }

    fn saved(&mut self) -> Result<(), String> {
        let Some((snapshot, surplus)) = self.saving.take() else { return Ok(()) };
        let version = snapshot.version;
        let failed = !self.calm && self.chance(8);
        if !failed || self.chance(50) {
            self.durable = Some((snapshot, surplus));
        }
        self.input(if failed { Input::SaveFailed { version } } else { Input::Saved { version } })
    }

    /// Everything is lost but the disk, and what was on its way there may have arrived.
    fn crash(&mut self) -> Result<(), String> {
        self.crashes += 1;
        self.facts.crashes += 1;
        if let Some(saving) = self.saving.take().filter(|_| self.chance(50)) {
            self.durable = Some(saving);
        }
        self.restart()
    }

    /// A stop in order: attempts go on without a gap.
    fn stop(&mut self) -> Result<(), String> {
        self.input(Input::Stop)?;
        let mut events = 0;
        while !self.machine.is_idle() {
            events += 1;
            ensure(self.next_event()? && events < REST_EVENTS, || "does not stop".into())?;
        }
        let durable = self.durable.as_ref().is_some_and(|(durable, _)| durable.sealed);
        ensure(durable, || "stops without a last snapshot".into())?;
        self.restart()
    }

    fn restart(&mut self) -> Result<(), String> {
        (self.events, self.wake_ms, self.killed) = (BTreeMap::new(), None, false);
        self.facts.restarted(&self.settings);
        let (seed, now_ms) = (self.below(u64::MAX), self.now_ms());
        self.machine = match &self.durable {
            Some((snapshot, surplus)) => {
                self.facts.surplus = *surplus;
                let mut snapshot = snapshot.clone();
                if seed.is_multiple_of(16) {
                    let text = serde_json::to_string(&snapshot).unwrap();
                    snapshot = serde_json::from_str(&text).unwrap();
                }
                Machine::restore(snapshot, self.settings, self.bounds, seed, now_ms)
            }
            None => {
                self.facts.surplus = 0;
                Machine::new(1, self.settings, self.bounds, seed, now_ms)
            }
        };
        self.machine.mutate(self.mutation);
        self.input(Input::Tick)
    }

    fn jump(&mut self) -> Result<(), String> {
        let hour_ms = 3_600_000;
        let ms = if self.chance(50) { self.below(hour_ms) } else { self.below(2 * CLOCK_SLACK_MS) };
        if self.chance(50) {
            self.facts.jumped(ms);
            self.skew_ms += ms as i64;
        } else {
            self.skew_ms -= ms as i64;
        }
        Ok(())
    }

    /// One step of the machine, with all checks.
    fn input(&mut self, input: Input<'_>) -> Result<(), String> {
        let mut effects = Vec::new();
        self.machine.step(input, self.now_ms(), &mut effects);
        for effect in effects {
            self.carry_out(effect)?;
            if self.killed {
                return self.crash();
            }
        }
        let stats = self.machine.stats();
        let window = self.bounds.window;
        ensure(stats.pending <= window, || format!("{} records are held", stats.pending))?;
        let counters = stats.counters;
        let ended = counters.delivered + counters.dead + counters.skipped + counters.missing;
        let position = stats.cursor - 1 + stats.settled_above;
        ensure(i128::from(ended) - i128::from(position) == self.facts.surplus, || {
            format!("{counters:?} and the position {position} differ by other than {}", self.facts.surplus)
        })?;
        let saved = self.durable.as_ref().map_or(1, |(durable, _)| durable.cursor);
        ensure(self.machine.settled_before() <= saved.min(stats.cursor), || "settled before saved".into())
    }

    fn carry_out(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Fetch { from, records } => {
                ensure(records > 0 && records <= self.bounds.page, || format!("reads {records} records"))?;
                let after_ms = self.below(10);
                self.later(after_ms, Event::Read { from, records });
            }
            Effect::Deliver(delivery) => {
                ensure(!self.machine.stats().paused, || format!("{delivery:?} during a pause"))?;
                let durable = self.durable.as_ref().map(|(durable, _)| durable);
                self.facts.deliver(delivery, &self.records, &self.settings, durable)?;
                self.facts.flows(&self.settings, self.real_ms)?;
                self.killed = self.records[index(delivery.sequence)].kind == Kind::Killer;
                let after_ms = self.below(100);
                self.later(after_ms, Event::Call(delivery));
            }
            Effect::DeadLetter { delivery, reason, failures } => {
                let kind = self.records[index(delivery.sequence)].kind;
                self.facts.dead_letter(delivery, reason, failures, kind, &self.settings)?;
                self.facts.burying += 1;
                ensure(self.facts.burying <= DEAD_LETTERS_MAX, || "too many dead letters".into())?;
                let after_ms = self.below(30);
                self.later(after_ms, Event::Bury(delivery, reason));
            }
            Effect::Save(snapshot) => {
                ensure(self.saving.is_none(), || "a second save before the first has ended".into())?;
                let listed = snapshot.waiting.len().max(snapshot.done.len().saturating_sub(1) / 2);
                ensure(listed <= self.bounds.window, || format!("the snapshot is large: {snapshot:?}"))?;
                self.saving = Some((*snapshot, self.facts.surplus));
                let after_ms = if self.chance(10) { 300 } else { self.below(15) };
                self.later(after_ms, Event::Save);
            }
            Effect::WakeAt(at_ms) => {
                self.wake_ms = Some(self.real_ms + at_ms.saturating_sub(self.now_ms()));
            }
        }
        Ok(())
    }

    fn later(&mut self, after_ms: u64, event: Event) {
        self.event_ids += 1;
        self.events.insert((self.real_ms + after_ms, self.event_ids), event);
    }
}
