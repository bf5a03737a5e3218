//! The records that were read and are not settled, and what each of them waits for.
//!
//! **Why.** A record waits for one thing at a time: its key, a time, a save, a free place, an answer. Each
//! has an index, so that a step looks only at the records that it moves.
//!
//! **How.** [`Window::place`] is the only way from one [`Stage`] to another; it keeps the indexes and the
//! lines of keys. In the line of a key, only the first record may leave [`Stage::Blocked`], and only while
//! nothing of that key is in flight.
//!
//! Deliveries that nobody waits for any more, since a seek passed their record, are [`Window::ghosts`]:
//! they still take a place and hold their key until they end.

use super::{Delivery, Reason};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a record waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// An earlier record of its key.
    Blocked,
    /// A free place.
    Ready,
    /// A save, without holding a place.
    Held,
    /// The save that names it as begun; its place is reserved.
    Named,
    /// A time.
    Waiting(u64),
    /// The answer to a delivery.
    Flying,
    /// A free place to write its dead letter.
    Doomed,
    /// Its dead letter to be durable.
    Burying,
}

/// A record that is not settled.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// When it was appended.
    pub(super) time_ms: u64,
    /// Its order key.
    pub(super) key: Option<u64>,
    /// What it waits for; changed by [`Window::place`] only.
    pub(super) stage: Stage,
    /// The highest attempt that is over, or may have been.
    pub(super) attempts: u32,
    /// Attempts that count.
    pub(super) failures: u32,
    /// Refusals for overload in a row.
    pub(super) overloads: u32,
    /// See `crash`.
    pub(super) crashes: u32,
    /// Whether snapshots name it as begun.
    pub(super) named: bool,
    /// The snapshot that has to be saved before the next attempt.
    pub(super) recorded: u64,
    /// Why it is given up.
    pub(super) reason: Option<Reason>,
}

/// The records of one key.
#[derive(Clone, Debug, Default)]
struct Line {
    /// In flight, ghosts included.
    busy: u32,
    /// Unsettled, in order.
    records: VecDeque<u64>,
}

/// The unsettled records of a subscription.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    entries: BTreeMap<u64, Entry>,
    ready: BTreeSet<u64>,
    named: BTreeSet<u64>,
    timers: BTreeSet<(u64, u64)>,
    doomed: BTreeSet<u64>,
    /// May name records that have left this stage.
    held: Vec<u64>,
    flying: usize,
    ghosts: BTreeMap<(u32, u64), Option<u64>>,
    /// Empty unless keys count.
    lines: BTreeMap<u64, Line>,
    ordered: bool,
}

impl Window {
    pub(super) fn new(ordered: bool) -> Self {
        Self { ordered, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, sequence: u64) -> Option<&Entry> {
        self.entries.get(&sequence)
    }

    /// For everything but `stage`.
    pub(super) fn get_mut(&mut self, sequence: u64) -> Option<&mut Entry> {
        self.entries.get_mut(&sequence)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.entries.iter().map(|(sequence, entry)| (*sequence, entry))
    }

    /// Deliveries that run, ghosts included.
    pub(super) fn in_flight(&self) -> usize {
        self.flying + self.ghosts.len()
    }

    /// Deliveries that run and whose answer matters.
    pub(super) fn flying(&self) -> usize {
        self.flying
    }

    pub(super) fn waiting(&self) -> usize {
        self.timers.len()
    }

    pub(super) fn blocked(&self) -> usize {
        self.entries.values().filter(|entry| entry.stage == Stage::Blocked).count()
    }

    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn first_ready(&self) -> Option<u64> {
        self.ready.first().copied()
    }

    /// Records that have been named and not begun.
    pub(super) fn named(&self) -> &BTreeSet<u64> {
        &self.named
    }

    pub(super) fn first_doomed(&self) -> Option<u64> {
        self.doomed.first().copied()
    }

    pub(super) fn first_timer_ms(&self) -> Option<u64> {
        self.timers.first().map(|(due_ms, _)| *due_ms)
    }

    /// Adds a record that is higher than those before, with `stage` Waiting or Doomed, or Ready, which
    /// becomes Blocked if it has to. What is Doomed at once is never delivered, so it joins no line.
    pub(super) fn insert(&mut self, sequence: u64, mut entry: Entry) {
        let stage = entry.stage;
        if let Some(line) = Self::line(self.ordered, &mut self.lines, entry.key)
            && stage != Stage::Doomed
        {
            line.records.push_back(sequence);
        }
        entry.stage = Stage::Blocked;
        self.entries.insert(sequence, entry);
        match stage {
            Stage::Ready => self.admit(sequence),
            _ => self.place(sequence, stage),
        }
    }

    /// Makes a record ready, or blocked if it is not its key's turn.
    pub(super) fn admit(&mut self, sequence: u64) {
        let Some(entry) = self.entries.get(&sequence) else { return };
        let turn = match Self::line(self.ordered, &mut self.lines, entry.key) {
            Some(line) => line.busy == 0 && line.records.front() == Some(&sequence),
            None => true,
        };
        self.place(sequence, if turn { Stage::Ready } else { Stage::Blocked });
    }

    /// Moves a record to another stage.
    pub(super) fn place(&mut self, sequence: u64, stage: Stage) {
        let Some(entry) = self.entries.get_mut(&sequence) else { return };
        let (before, key) = (std::mem::replace(&mut entry.stage, stage), entry.key);
        self.leave(sequence, before, key);
        match stage {
            Stage::Blocked | Stage::Burying => {}
            Stage::Ready => _ = self.ready.insert(sequence),
            Stage::Held => self.held.push(sequence),
            Stage::Named => _ = self.named.insert(sequence),
            Stage::Waiting(due_ms) => _ = self.timers.insert((due_ms, sequence)),
            Stage::Doomed => _ = self.doomed.insert(sequence),
            Stage::Flying => {
                self.flying += 1;
                if let Some(line) = Self::line(self.ordered, &mut self.lines, key) {
                    line.busy += 1;
                }
            }
        }
        if before == Stage::Flying {
            self.next_of(key);
        }
    }

    /// Takes a settled record out; the next of its key may go.
    pub(super) fn remove(&mut self, sequence: u64) -> Option<Entry> {
        let entry = self.entries.remove(&sequence)?;
        self.leave(sequence, entry.stage, entry.key);
        if let Some(line) = Self::line(self.ordered, &mut self.lines, entry.key) {
            // Almost always the first; searching a long line each time would cost its square.
            if line.records.front() == Some(&sequence) {
                line.records.pop_front();
            } else {
                line.records.retain(|record| *record != sequence);
            }
        }
        self.next_of(entry.key);
        Some(entry)
    }

    /// Moves what is due on, and what waited for a time to be given up.
    pub(super) fn due(&mut self, now_ms: u64) {
        while let Some((due_ms, sequence)) = self.timers.first().copied() {
            if due_ms > now_ms {
                return;
            }
            let given_up = self.entries.get(&sequence).is_some_and(|entry| entry.reason.is_some());
            if given_up { self.place(sequence, Stage::Doomed) } else { self.admit(sequence) }
        }
    }

    /// The clock went back: so do all times.
    pub(super) fn shift(&mut self, back_ms: u64) {
        for (due_ms, sequence) in std::mem::take(&mut self.timers) {
            self.place(sequence, Stage::Waiting(due_ms.saturating_sub(back_ms)));
        }
    }

    /// A save has ended: looks again at everything that waited for one.
    pub(super) fn release_held(&mut self) {
        for sequence in std::mem::take(&mut self.held) {
            if self.entries.get(&sequence).is_some_and(|entry| entry.stage == Stage::Held) {
                self.place(sequence, Stage::Ready);
            }
        }
    }

    /// Forgets the records before `sequence`; those in flight become ghosts.
    pub(super) fn abandon_before(&mut self, sequence: u64, generation: u32) {
        while let Some((first, entry)) = self.entries.first_key_value() {
            let (first, key) = (*first, entry.key);
            if first >= sequence {
                return;
            }
            if entry.stage == Stage::Flying {
                self.ghosts.insert((generation, first), key);
                if let Some(line) = Self::line(self.ordered, &mut self.lines, key) {
                    line.busy += 1;
                }
            }
            self.remove(first);
        }
    }

    /// A delivery has ended whose record was abandoned.
    pub(super) fn release_ghost(&mut self, delivery: Delivery) {
        let Some(key) = self.ghosts.remove(&(delivery.generation, delivery.sequence)) else { return };
        if let Some(line) = Self::line(self.ordered, &mut self.lines, key) {
            line.busy = line.busy.saturating_sub(1);
        }
        self.next_of(key);
    }

    /// Keys begin to count, or do no longer.
    pub(super) fn set_ordered(&mut self, ordered: bool) {
        if self.ordered == ordered {
            return;
        }
        self.ordered = ordered;
        self.lines.clear();
        for key in self.ghosts.values() {
            if let Some(line) = Self::line(ordered, &mut self.lines, *key) {
                line.busy += 1;
            }
        }
        for (sequence, entry) in &self.entries {
            if let Some(line) = Self::line(ordered, &mut self.lines, entry.key) {
                line.busy += u32::from(entry.stage == Stage::Flying);
                line.records.push_back(*sequence);
            }
        }
        let free = |stage| matches!(stage, Stage::Ready | Stage::Held | Stage::Named | Stage::Blocked);
        let sequences: Vec<u64> =
            self.iter().filter(|(_, entry)| free(entry.stage)).map(|(sequence, _)| sequence).collect();
        for sequence in sequences {
            if let Some(entry) = self.entries.get_mut(&sequence) {
                entry.named = false;
            }
            self.admit(sequence);
        }
    }

    /// The line of a key, made when it does not exist; none when keys do not count.
    fn line(ordered: bool, lines: &mut BTreeMap<u64, Line>, key: Option<u64>) -> Option<&mut Line> {
        key.filter(|_| ordered).map(|key| lines.entry(key).or_default())
    }

    fn leave(&mut self, sequence: u64, stage: Stage, key: Option<u64>) {
        match stage {
            // `held` is cleaned when it is read.
            Stage::Blocked | Stage::Burying | Stage::Held => {}
            Stage::Ready => _ = self.ready.remove(&sequence),
            Stage::Named => _ = self.named.remove(&sequence),
            Stage::Waiting(due_ms) => _ = self.timers.remove(&(due_ms, sequence)),
            Stage::Doomed => _ = self.doomed.remove(&sequence),
            Stage::Flying => {
                self.flying -= 1;
                if let Some(line) = Self::line(self.ordered, &mut self.lines, key) {
                    line.busy = line.busy.saturating_sub(1);
                }
            }
        }
    }

    /// The first of the line may go, if nothing of the key is in flight; an empty line goes.
    fn next_of(&mut self, key: Option<u64>) {
        let Some(key) = key else { return };
        let Some(line) = self.lines.get(&key) else { return };
        if line.busy > 0 {
            return;
        }
        match line.records.front().copied() {
            None => _ = self.lines.remove(&key),
            Some(first) => {
                if self.entries.get(&first).is_some_and(|entry| entry.stage == Stage::Blocked) {
                    self.place(first, Stage::Ready);
                }
            }
        }
    }
}
