//! What a world knows by itself, and compares with what the machine does.

use super::record::{Kind, Record};
use crate::subscription::{Delivery, Outcome, Reason, Settings, Snapshot, Stats};
use std::collections::{BTreeMap, BTreeSet};

/// Fails with what is wrong.
pub(super) fn ensure(holds: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem()) }
}

/// Where the record of a sequence is.
pub(super) fn index(sequence: u64) -> usize {
    usize::try_from(sequence - 1).expect("simulated topics are short")
}

/// The facts, gathered outside the machine.
#[derive(Debug)]
pub(super) struct Facts {
    /// In this life.
    in_flight: Vec<Delivery>,
    /// The last attempt of each record, by generation, in all lives.
    attempts: BTreeMap<(u32, u64), u32>,
    failures: BTreeMap<(u32, u64), u32>,
    /// The last record of each key that was delivered for the first time.
    firsts: BTreeMap<(u32, u64), u64>,
    /// Delivered, dead or passed over.
    ended: BTreeSet<(u32, u64)>,
    /// Dead.
    dead: BTreeSet<(u32, u64)>,
    /// Delivered, dead or passed over in this life.
    ended_now: BTreeSet<(u32, u64)>,
    /// Where each generation has begun.
    begins: BTreeMap<u32, u64>,
    /// What the counters count more than the position says, since seeks went back.
    pub(super) surplus: i128,
    pub(super) burying: usize,
    pub(super) crashes: u32,
    /// Settings were changed.
    pub(super) configured: bool,
    /// When the last delivery would begin if all came evenly (as in ATM's generic cell rate algorithm).
    even_ms: f64,
}

impl Facts {
    pub(super) fn new() -> Self {
        Self {
            in_flight: Vec::new(),
            attempts: BTreeMap::new(),
            failures: BTreeMap::new(),
            firsts: BTreeMap::new(),
            ended: BTreeSet::new(),
            dead: BTreeSet::new(),
            ended_now: BTreeSet::new(),
            begins: BTreeMap::from([(1, 1)]),
            surplus: 0,
            burying: 0,
            crashes: 0,
            configured: false,
            even_ms: 0.0,
        }
    }

    /// A life begins.
    pub(super) fn restarted(&mut self, settings: &Settings) {
        self.in_flight.clear();
        self.ended_now.clear();
        self.burying = 0;
        self.even_ms -= settings.rate.map_or(0.0, |rate| rate.interval_ms as f64 / f64::from(rate.events));
    }

    /// The clock jumps forward: the machine cannot know that it is not time.
    pub(super) fn jumped(&mut self, ms: u64) {
        self.even_ms -= ms as f64;
    }

    /// Other settings: what was learnt under the old ones does not count.
    pub(super) fn reconfigured(&mut self) {
        self.configured = true;
        self.firsts.clear();
        self.even_ms = 0.0;
    }

    pub(super) fn sought(&mut self, stats: &Stats, target: u64) {
        if target > stats.cursor {
            self.ended.extend((stats.cursor..target).map(|sequence| (stats.generation, sequence)));
        } else if target < stats.cursor {
            self.begins.insert(stats.generation + 1, target);
            let position = i128::from(stats.cursor) + i128::from(stats.settled_above);
            self.surplus += position - i128::from(target);
        }
    }

    /// The rules for one delivery.
    pub(super) fn deliver(
        &mut self,
        delivery: Delivery,
        records: &[Record],
        settings: &Settings,
        durable: Option<&Snapshot>,
    ) -> Result<(), String> {
        let Delivery { sequence, generation, attempt } = delivery;
        let id = (generation, sequence);
        let Some(record) = records.get(index(sequence)) else {
            return Err(format!("{delivery:?}: there is no such record"));
        };
        ensure(record.kind.is_wanted(), || format!("{delivery:?} is a {:?}", record.kind))?;
        ensure(!self.ended_now.contains(&id), || format!("{delivery:?} has ended already"))?;

        let before = self.attempts.insert(id, attempt).unwrap_or(0);
        ensure(attempt > before, || format!("{delivery:?} repeats attempt {before}"))?;
        ensure(self.crashes > 0 || attempt == before + 1, || {
            format!("{delivery:?} leaves attempts out after {before} without a crash")
        })?;
        let remembers = durable.is_some_and(|durable| remembers(durable, delivery));
        ensure(remembers, || format!("{delivery:?}: the attempt is not remembered by {durable:?}"))?;

        if let Some(key) = record.key.filter(|_| settings.ordered) {
            let same = |other: &&Delivery| records[index(other.sequence)].key == Some(key);
            let other = self.in_flight.iter().find(same);
            ensure(other.is_none(), || format!("{delivery:?} and {other:?} of one key are in flight"))?;
            // A dead letter may be forgotten in a crash like a delivery, and be decided otherwise then.
            if before == 0 && !self.dead.contains(&id) {
                let last = self.firsts.insert((generation, key), sequence).unwrap_or(0);
                ensure(sequence > last, || format!("{delivery:?} comes after {last} of the same key"))?;
            }
        }
        self.in_flight.push(delivery);
        ensure(self.in_flight.len() <= settings.concurrency.max(1) as usize, || {
            format!("{} deliveries are in flight", self.in_flight.len())
        })
    }

    /// The rate, measured at the even flow.
    pub(super) fn flows(&mut self, settings: &Settings, now_ms: u64) -> Result<(), String> {
        let Some(rate) = settings.rate else { return Ok(()) };
        let interval_ms = rate.interval_ms as f64;
        self.even_ms = self.even_ms.max(now_ms as f64) + interval_ms / f64::from(rate.events);
        let ahead_ms = self.even_ms - now_ms as f64;
        ensure(ahead_ms <= interval_ms + 0.001, || format!("the rate is exceeded by {ahead_ms} ms"))
    }

    pub(super) fn delivered(&mut self, delivery: Delivery, outcome: Outcome) {
        let id = (delivery.generation, delivery.sequence);
        self.in_flight.retain(|other| *other != delivery);
        match outcome {
            Outcome::Done | Outcome::Gone => self.end(id),
            Outcome::Retry { .. } | Outcome::Within { .. } => *self.failures.entry(id).or_default() += 1,
            Outcome::Overloaded { .. } | Outcome::Later { .. } | Outcome::Rejected | Outcome::TooOld => {}
        }
    }

    fn end(&mut self, id: (u32, u64)) {
        self.ended.insert(id);
        self.ended_now.insert(id);
    }

    pub(super) fn buried(&mut self, id: (u32, u64)) {
        self.dead.insert(id);
        self.end(id);
    }

    /// The rules for one dead letter.
    pub(super) fn dead_letter(
        &self,
        delivery: Delivery,
        reason: Reason,
        failures: u32,
        kind: Kind,
        settings: &Settings,
    ) -> Result<(), String> {
        let id = (delivery.generation, delivery.sequence);
        let seen = self.failures.get(&id).copied().unwrap_or(0);
        let exact = if self.crashes == 0 { seen == failures } else { seen >= failures };
        ensure(exact, || format!("{delivery:?}: {failures} failures, {seen} were seen"))?;
        let attempts = self.attempts.get(&id).copied().unwrap_or(0);
        ensure(attempts <= delivery.attempt, || format!("{delivery:?}: {attempts} attempts were seen"))?;
        let fits = match reason {
            Reason::Attempts => self.configured || failures == settings.attempts,
            Reason::Age => self.configured || settings.age_ms.is_some(),
            Reason::Rejected => kind == Kind::Rejected,
            Reason::Expired => kind == Kind::Expired,
            Reason::Crashes => self.crashes >= super::CRASHES_MAX,
        };
        ensure(fits, || format!("{delivery:?}, {kind:?}: dead for {reason:?} after {failures} failures"))
    }

    /// Every record has ended: in the last generation, if that includes it.
    pub(super) fn all_ended(&self, generation: u32, records: &[Record]) -> Result<(), String> {
        let begins = self.begins.get(&generation).copied().unwrap_or(1);
        for (record, sequence) in records.iter().zip(1_u64..) {
            let missing = matches!(record.kind, Kind::Missing | Kind::Skipped);
            let any = |generation: u32| self.ended.contains(&(generation, sequence));
            let ended = if sequence >= begins { any(generation) } else { (1..=generation).any(any) };
            ensure(missing || ended, || format!("{sequence}, {:?}, was lost", record.kind))?;
        }
        Ok(())
    }
}

/// Whether a life that begins with this snapshot would give the record a higher attempt number.
fn remembers(durable: &Snapshot, delivery: Delivery) -> bool {
    let sequence = delivery.sequence;
    let listed = durable.waiting.iter().find(|waiting| waiting.sequence == sequence);
    let attempts = listed.map_or_else(|| durable.marks.attempts(sequence), |waiting| waiting.attempts);
    durable.generation == delivery.generation
        && !durable.sealed
        && durable.started > sequence
        && attempts + 1 >= delivery.attempt
}
