//! Random lives of a log with a kill, a power failure or a clean end, held against what was acknowledged.

use super::simulated::{EIO, EMFILE, ENOSPC, Fault, Operation, SimulatedDisk};
use super::{ALL, Random, block_on, name, open, together};
use crate::log::{Broken, Clock, SegmentLog};
use hob_core::port::{Appended, Durability, Log, NewRecord};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const TOPICS: [&str; 3] = ["a", "b", "c.d"];

/// Names how many seeds to try, and where to begin.
const SEEDS: &str = "HOB_TEST_SEEDS";
const SEED: &str = "HOB_TEST_SEED";

/// What one publication was, and what became of it.
#[derive(Clone, Debug)]
struct Batch {
    topic: usize,
    /// Payload number and key of each record.
    records: Vec<(u64, Option<u64>)>,
    durability: Durability,
    told: Option<Vec<Appended>>,
}

/// What is known of the past.
struct Model {
    random: Random,
    /// Of the current life, and of earlier ones what was found to be there.
    batches: Vec<Batch>,
    kept: [BTreeMap<u64, u64>; 3],
    /// Up to where was trimmed for sure, and perhaps.
    trimmed: [(u64, u64); 3],
    payloads: u64,
    /// Those of the current life.
    keys: [BTreeMap<u64, u64>; 3],
    /// The key of each payload that has one.
    key_of: BTreeMap<u64, u64>,
    clock: Arc<AtomicU64>,
    what: String,
}

fn payload(number: u64) -> Vec<u8> {
    let length = usize::try_from(Random(number).below(3) * Random(number).below(1500)).unwrap();
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((0..length).map(|place| u8::try_from((place as u64 * 31 + number) % 251).unwrap()));
    bytes
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            batches: Vec::new(),
            kept: Default::default(),
            trimmed: [(1, 1); 3],
            payloads: 0,
            keys: Default::default(),
            key_of: BTreeMap::new(),
            clock: Arc::new(AtomicU64::new(1_700_000_000_000)),
            what: format!("seed {seed}"),
        }
    }

    fn clock(&self) -> Clock {
        let clock = Arc::clone(&self.clock);
        Arc::new(move || clock.load(Ordering::Relaxed))
    }

    /// Something that goes wrong at the first opportunity.
    fn fault(&mut self) -> Fault {
        let mut pick = |bound: usize| usize::try_from(self.random.below(bound as u64)).unwrap();
        let operations = [Operation::Write, Operation::Sync, Operation::Open, Operation::Length];
        let endings = [".log", "spare", "acknowledged", "meta.new", ""];
        let errors = [EIO, ENOSPC, EMFILE];
        Fault {
            operation: operations[pick(4)],
            ending: endings[pick(5)],
            error: errors[pick(3)],
            times: if pick(2) == 0 { 1 } else { 2 },
        }
    }

    fn new_batch(&mut self) -> Batch {
        let topic = usize::try_from(self.random.below(3)).unwrap();
        let durability = if self.random.once_in(5) { Durability::Memory } else { Durability::Disk };
        let count = if self.random.once_in(10) { 40 } else { 1 + self.random.below(4) };
        let record = |_| {
            self.payloads += 1;
            let key = self.random.once_in(2).then(|| self.random.below(40));
            self.key_of.extend(key.map(|key| (self.payloads, key)));
            (self.payloads, key)
        };
        let records = (0..count).map(record).collect();
        Batch { topic, records, durability, told: None }
    }

    /// One life up to its end, which may come at any operation of the disk.
    fn live(&mut self, log: &SegmentLog) {
        let jump = self.random.below(7_200_000);
        let now = self.clock.load(Ordering::Relaxed);
        self.clock.store(now + jump - 3_600_000, Ordering::Relaxed);
        for _ in 0..self.random.below(25) {
            self.clock.fetch_add(self.random.below(3), Ordering::Relaxed);
            if self.random.once_in(12) {
                self.trim(log);
                continue;
            }
            let mut batches: Vec<Batch> = (0..=self.random.below(4)).map(|_| self.new_batch()).collect();
            let told = block_on(together(batches.iter().map(async |batch| {
                let record = |(number, key): &(u64, Option<u64>)| NewRecord {
                    payload: payload(*number).into(),
                    key: key.map(|key| key.to_le_bytes().to_vec().into()),
                };
                let records = batch.records.iter().map(record).collect();
                log.append(&name(TOPICS[batch.topic]), records, batch.durability).await.ok()
            })));
            batches.iter_mut().zip(told).for_each(|(batch, told)| batch.told = told);
            self.check_duplicates(&batches);
            self.batches.extend(batches);
        }
    }

    /// A duplicate is told the sequence of the first one. The other order of a race is as good.
    fn check_duplicates(&mut self, batches: &[Batch]) {
        for batch in batches {
            for ((_, key), told) in batch.records.iter().zip(batch.told.iter().flatten()) {
                let Some(key) = key else { continue };
                if !told.duplicate {
                    let before = self.keys[batch.topic].insert(*key, told.sequence);
                    assert_eq!(before, None, "{}: key {key} was taken twice", self.what);
                }
            }
        }
        for batch in batches {
            for ((_, key), told) in batch.records.iter().zip(batch.told.iter().flatten()) {
                let Some(known) = key.as_ref().and_then(|key| self.keys[batch.topic].get(key)) else {
                    continue;
                };
                assert_eq!(*known, told.sequence, "{}: {batch:?}", self.what);
            }
        }
    }

    fn trim(&mut self, log: &SegmentLog) {
        let topic = usize::try_from(self.random.below(3)).unwrap();
        let state = block_on(log.topic(&name(TOPICS[topic])));
        let Ok(Some(state)) = state else { return };
        let sequence = state.first + self.random.below(state.next - state.first + 1);
        self.trimmed[topic].1 = self.trimmed[topic].1.max(sequence);
        if block_on(log.trim(&name(TOPICS[topic]), sequence)).is_ok() {
            self.trimmed[topic].0 = self.trimmed[topic].0.max(sequence);
        }
    }

    /// Holds what is there against what was acknowledged; what is there is what the next life begins with.
    fn check(&mut self, log: &SegmentLog, memory_kept: bool) {
        for (topic, text) in TOPICS.iter().enumerate() {
            let what = format!("{} topic {text}", self.what);
            let page = block_on(log.read(&name(text), 1, ALL)).unwrap();
            let state = block_on(log.topic(&name(text))).unwrap().unwrap_or_default();
            assert_eq!(state.damage, [], "{what}: a torn end is no damage");
            let first = page.missing.first().map_or(1, |(_, last)| last + 1);
            assert!(
                page.missing.len() <= 1 && page.missing.iter().all(|m| m.0 == 1),
                "{what}: {:?}",
                page.missing
            );
            let (sure, perhaps) = self.trimmed[topic];
            assert!((sure..=perhaps).contains(&first), "{what}: begins with {first}: {sure} to {perhaps}");
            self.trimmed[topic] = (first, first);
            let mut found = BTreeMap::new();
            let mut time = 0;
            for (place, record) in page.records.iter().enumerate() {
                assert_eq!(record.sequence, first + place as u64, "{what}: a gap");
                assert!(record.time_ms >= time, "{what}: time goes back");
                time = record.time_ms;
                let number = u64::from_le_bytes(*record.payload.first_chunk().unwrap());
                assert_eq!(record.payload, payload(number), "{what}: a wrong payload");
                found.insert(record.sequence, number);
            }
            for (sequence, number) in self.kept[topic].range(first..) {
                assert_eq!(found.get(sequence), Some(number), "{what}: {sequence} of an earlier life");
            }
            self.check_batches(topic, &found, first, memory_kept);
            let recent = page.records.iter().rev().take_while(|record| record.time_ms + 590_000 > time);
            let recent = recent.map(|record| (record.sequence, found[&record.sequence]));
            self.check_keys(log, topic, recent.collect());
            self.kept[topic] = found;
        }
        self.batches.clear();
        self.keys = Default::default();
    }

    /// The keys of records that are there are remembered over a restart.
    fn check_keys(&self, log: &SegmentLog, topic: usize, recent: Vec<(u64, u64)>) {
        let newest_ms = block_on(log.topic(&name(TOPICS[topic]))).unwrap().and_then(|state| state.newest_ms);
        if newest_ms.is_some_and(|newest| newest + 5_000 < self.clock.load(Ordering::Relaxed)) {
            return;
        }
        let mut known = BTreeMap::new();
        for (sequence, number) in recent {
            if let Some(key) = self.key_of.get(&number) {
                known.entry(*key).or_insert(sequence);
            }
        }
        for (key, sequence) in known {
            let key = Some(key.to_le_bytes().to_vec().into());
            let record = vec![NewRecord { payload: payload(0).into(), key }];
            let told = block_on(log.append(&name(TOPICS[topic]), record, Durability::Disk)).unwrap();
            assert_eq!(told, [Appended { sequence, duplicate: true }], "{}: a forgotten key", self.what);
        }
    }

    fn check_batches(&self, topic: usize, found: &BTreeMap<u64, u64>, first: u64, memory_kept: bool) {
        let places: BTreeMap<u64, u64> =
            found.iter().map(|(sequence, number)| (*number, *sequence)).collect();
        assert_eq!(places.len(), found.len(), "{}: a record came twice", self.what);
        for batch in self.batches.iter().filter(|batch| batch.topic == topic) {
            let there: Vec<Option<u64>> =
                batch.records.iter().map(|(number, _)| places.get(number).copied()).collect();
            if let Some(told) = &batch.told {
                let safe = batch.durability == Durability::Disk || memory_kept;
                for ((there, told), record) in there.iter().zip(told).zip(&batch.records) {
                    if !told.duplicate && told.sequence >= first && (safe || there.is_some()) {
                        assert_eq!(*there, Some(told.sequence), "{}: {record:?} of {batch:?}", self.what);
                    }
                }
            }
            let some: Vec<u64> = there.iter().flatten().copied().collect();
            let in_order = some.windows(2).all(|pair| pair[0] + 1 == pair[1]);
            assert!(in_order, "{}: torn or mixed: {there:?} of {batch:?}", self.what);
            // Without a duplicate in it a batch is there whole, unless it was trimmed.
            let plain = batch.told.as_ref().is_some_and(|told| told.iter().all(|told| !told.duplicate))
                || batch.records.iter().all(|(_, key)| key.is_none());
            if plain && some.first().is_some_and(|sequence| *sequence > first) {
                assert_eq!(some.len(), there.len(), "{}: half of {batch:?}", self.what);
            }
        }
    }
}

/// The lives of one seed; panics when a promise is broken.
fn try_seed(seed: u64, broken: Broken) {
    let mut model = Model::new(seed);
    let mut disk = Arc::new(SimulatedDisk::default());
    for life in 0..3 {
        model.what = format!("seed {seed} life {life}");
        let log = open(&disk, broken, model.clock());
        let end = model.random.below(4);
        for _ in 0..if model.random.once_in(3) { 1 + model.random.below(3) } else { 0 } {
            disk.add_fault(model.fault());
        }
        if end > 1 {
            disk.fail_in(1 + model.random.below(150));
        }
        model.live(&log);
        let mut random = Random(seed ^ life);
        disk = match end {
            0 => {
                drop(log);
                Arc::clone(&disk)
            }
            1 => {
                let left = disk.after_kill();
                drop(log);
                left
            }
            _ => {
                let left = disk.after_power_failure(&mut random);
                drop(log);
                left
            }
        };
        disk.fail_in(0);
        disk.clear_faults();
        let log = open(&disk, Broken::default(), model.clock());
        model.check(&log, end < 2);
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn what_was_acknowledged_survives_kills_and_power_failures() {
    let first = number(SEED, 1);
    for seed in first..first + number(SEEDS, 120) {
        try_seed(seed, Broken::default());
    }
}

#[test]
fn the_check_finds_a_log_that_is_broken() {
    let variants = [
        ("early", Broken { acknowledge_first: true, ..Broken::default() }),
        ("twice", Broken { keep_duplicates: true, ..Broken::default() }),
        ("order", Broken { reorder: true, ..Broken::default() }),
    ];
    for (what, broken) in variants {
        let found = (1..40).any(|seed| std::panic::catch_unwind(|| try_seed(seed, broken)).is_err());
        assert!(found, "{what}: not found");
    }
}
