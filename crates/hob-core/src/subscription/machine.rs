//! The state of one subscription, and what each input does to it.
//!
//! **How.** [`Machine::step`] applies the input; then everything that can go on goes on (`deliver`). So an
//! input only has to change the state, and no wake-up is forgotten.

use super::crash::{Marks, after_crash};
use super::rate::Bucket;
use super::retry::{pause_ms, verdict};
use super::snapshot::{Saves, Snapshot, Waiting};
use super::window::{Entry, Stage, Window};
use super::{
    Bounds, CLOCK_SLACK_MS, Candidate, Counters, Delivery, Effect, FAILURE_PAUSE_MS, Input, Outcome, Ranges,
    Reason, Settings, Stats, Wanted, Whereabouts,
};
use crate::random::Random;
use std::collections::BTreeMap;

/// One subscription. Times are milliseconds since the Unix epoch; they may jump.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(super) settings: Settings,
    pub(super) bounds: Bounds,
    pub(super) random: Random,
    pub(super) generation: u32,
    pub(super) cursor: u64,
    pub(super) done: Ranges,
    /// The sequence that is read next.
    pub(super) next: u64,
    /// There may be records from `next` on.
    pub(super) more: bool,
    pub(super) fetching: Option<u64>,
    pub(super) fetch_not_before_ms: u64,
    pub(super) window: Window,
    /// Histories of records that were not read again since the restart.
    pub(super) restored: BTreeMap<u64, Waiting>,
    pub(super) marks: Marks,
    /// The mark of the last snapshot.
    pub(super) started: u64,
    pub(super) saves: Saves,
    pub(super) bucket: Bucket,
    /// Dead letters that are being written.
    pub(super) burying: usize,
    pub(super) paused: bool,
    pub(super) stopping: bool,
    pub(super) counters: Counters,
    pub(super) now_ms: u64,
    pub(super) wake_at_ms: Option<u64>,
    /// What is broken on purpose.
    #[cfg(test)]
    pub(super) mutation: super::simulation::Mutation,
}

impl Machine {
    /// A new subscription whose first record is `from`. `seed` spreads its retries and should differ from
    /// that of others.
    pub fn new(from: u64, settings: Settings, bounds: Bounds, seed: u64, now_ms: u64) -> Self {
        let settings = normalised(settings);
        let cursor = from.max(1);
        let mut machine = Self {
            settings,
            bounds: Bounds { window: bounds.window.max(1), page: bounds.page.max(1), ..bounds },
            random: Random(seed),
            generation: 1,
            cursor,
            done: Ranges::default(),
            next: cursor,
            more: true,
            fetching: None,
            fetch_not_before_ms: 0,
            window: Window::new(settings.ordered),
            restored: BTreeMap::new(),
            marks: Marks::default(),
            started: 0,
            saves: Saves::new(0, 1),
            bucket: Bucket::new(settings.rate, now_ms),
            burying: 0,
            paused: false,
            stopping: false,
            counters: Counters::default(),
            now_ms,
            wake_at_ms: None,
            #[cfg(test)]
            mutation: super::simulation::Mutation::None,
        };
        // Where it begins must not be forgotten: `from` may be the end of the topic at this moment.
        machine.saves.hurry(now_ms);
        machine
    }

    /// The subscription as it was saved. Unless the snapshot is the last one of a life that was stopped,
    /// every record that may have been delivered since gets a higher attempt number.
    pub fn restore(snapshot: Snapshot, settings: Settings, bounds: Bounds, seed: u64, now_ms: u64) -> Self {
        let mut machine = Self::new(snapshot.cursor, settings, bounds, seed, now_ms);
        let crashed = !snapshot.sealed;
        let back_ms = snapshot.time_ms.saturating_sub(now_ms);
        let back_ms = if back_ms > CLOCK_SLACK_MS { back_ms } else { 0 };
        machine.saves = Saves::new(snapshot.version, machine.cursor);
        machine.generation = snapshot.generation.max(1);
        machine.done = snapshot.done;
        machine.marks = snapshot.marks;
        if crashed {
            machine.started = snapshot.started;
            machine.marks.add(snapshot.started);
        }
        machine.settle_cursor();
        machine.next = machine.cursor;
        let mut restored = BTreeMap::new();
        let unsettled = |waiting: &Waiting| {
            waiting.sequence >= machine.cursor && !machine.done.contains(waiting.sequence)
        };
        for waiting in snapshot.waiting.into_iter().filter(unsettled) {
            let waiting = Waiting {
                attempts: waiting.attempts.saturating_add(u32::from(crashed)),
                crashes: if crashed { after_crash(waiting.crashes, waiting.named) } else { waiting.crashes },
                due_ms: waiting.due_ms.saturating_sub(back_ms),
                named: false,
                ..waiting
            };
            restored.insert(waiting.sequence, waiting);
        }
        machine.restored = restored;
        machine.paused = snapshot.paused;
        machine.counters = snapshot.counters;
        // What this life concludes from the crash is saved when the first delivery needs it.
        machine
    }

    /// Applies one input at `now_ms` and appends what has to be done to `effects`.
    ///
    /// Costs O(log n) in the number of unsettled records for each record that moves; a snapshot costs O(n),
    /// and so does a clock that goes back.
    pub fn step(&mut self, input: Input<'_>, now_ms: u64, effects: &mut Vec<Effect>) {
        self.clock(now_ms);
        match input {
            Input::Tick => self.wake_at_ms = None,
            Input::Appended => self.more = true,
            Input::Fetched { from, records, next } => self.fetched(from, records, next),
            Input::FetchFailed { from } => {
                if self.fetching == Some(from) {
                    self.fetching = None;
                    self.more = true;
                    self.fetch_not_before_ms = self.now_ms.saturating_add(FAILURE_PAUSE_MS);
                }
            }
            Input::Delivered { delivery, outcome } => self.delivered(delivery, outcome),
            Input::DeadLettered { delivery, durable } => self.dead_lettered(delivery, durable),
            Input::Saved { version } => {
                let ended = self.saves.saved(version);
                #[cfg(test)]
                let ended = ended && self.mutation != super::simulation::Mutation::Saved;
                if ended {
                    self.window.release_held();
                }
            }
            Input::SaveFailed { version } => {
                let not_before_ms = self.now_ms.saturating_add(FAILURE_PAUSE_MS);
                self.saves.failed(version, self.now_ms, not_before_ms);
            }
            Input::Pause | Input::Resume => {
                let paused = input == Input::Pause;
                if self.paused != paused {
                    self.paused = paused;
                    self.saves.hurry(self.now_ms);
                }
            }
            Input::Seek { sequence } => self.seek(sequence.max(1)),
            Input::Configure(settings) => {
                self.settings = normalised(settings);
                self.order();
                self.bucket.configure(self.settings.rate, self.now_ms);
            }
            Input::Stop => {
                self.stopping = true;
                self.saves.touch(self.now_ms);
            }
        }
        self.go_on(effects);
    }

    /// When a record that waits is tried again, milliseconds since the Unix epoch; `None`: it does not wait.
    pub fn due_ms(&self, sequence: u64) -> Option<u64> {
        match self.window.get(sequence)?.stage {
            Stage::Waiting(due_ms) => Some(due_ms),
            _ => None,
        }
    }

    /// Where a record is. Costs O(n) in the unsettled records for one that waits for its key.
    pub fn whereabouts(&self, sequence: u64) -> Whereabouts {
        if sequence < self.cursor || self.done.contains(sequence) {
            return Whereabouts::Settled;
        }
        let Some(entry) = self.window.get(sequence) else {
            let before = sequence.saturating_sub(self.cursor).saturating_sub(self.done.count());
            return if sequence < self.next { Whereabouts::Settled } else { Whereabouts::Unread { before } };
        };
        match entry.stage {
            Stage::Ready | Stage::Held | Stage::Named => Whereabouts::Ready,
            Stage::Blocked => {
                let earlier = self.window.iter().take_while(|(other, _)| *other < sequence);
                let behind =
                    earlier.filter(|(_, other)| other.key == entry.key).map(|(other, _)| other).next();
                Whereabouts::Blocked { behind }
            }
            Stage::Waiting(due_ms) => Whereabouts::Waiting { due_ms, failures: entry.failures },
            Stage::Flying => Whereabouts::Flying { attempt: entry.attempts.saturating_add(1) },
            Stage::Doomed | Stage::Burying => Whereabouts::Burying,
        }
    }

    /// The first record that is being delivered.
    pub fn first_in_flight(&self) -> Option<u64> {
        self.window
            .iter()
            .find(|(_, entry)| matches!(entry.stage, Stage::Flying))
            .map(|(sequence, _)| sequence)
    }

    /// What the topic may remove: records before it are settled, and that is saved.
    pub fn settled_before(&self) -> u64 {
        self.saves.saved_cursor().min(self.cursor)
    }

    /// The snapshot that holds everything until now is this one or, if there is nothing new, an earlier one.
    pub fn version(&self) -> u64 {
        self.saves.covering_version()
    }

    /// The last snapshot that is on disk.
    pub fn saved_version(&self) -> u64 {
        self.saves.saved_version()
    }

    /// Nothing is in flight, and everything is saved: after `Stop`, this life may end.
    pub fn is_idle(&self) -> bool {
        self.window.in_flight() == 0 && self.burying == 0 && self.saves.is_clean()
    }

    /// The state for people; counts the blocked records, in O(n).
    pub fn stats(&self) -> Stats {
        Stats {
            cursor: self.cursor,
            settled_above: self.done.count(),
            next: self.next,
            generation: self.generation,
            pending: self.window.len(),
            in_flight: self.window.in_flight(),
            waiting: self.window.waiting(),
            blocked: self.window.blocked(),
            paused: self.paused,
            counters: self.counters,
        }
    }

    /// Lets keys count, or not.
    fn order(&mut self) {
        let ordered = self.settings.ordered;
        #[cfg(test)]
        let ordered = ordered && self.mutation != super::simulation::Mutation::Keys;
        self.window.set_ordered(ordered);
    }

    /// Breaks the machine on purpose.
    #[cfg(test)]
    pub(super) fn mutate(&mut self, mutation: super::simulation::Mutation) {
        self.mutation = mutation;
        self.order();
        if mutation == super::simulation::Mutation::Crash {
            self.marks = Marks::default();
        }
    }

    /// Takes a small step back for no time, and moves all times with a large one.
    fn clock(&mut self, now_ms: u64) {
        let back_ms = self.now_ms.saturating_sub(now_ms);
        if back_ms > CLOCK_SLACK_MS {
            self.window.shift(back_ms);
            self.saves.shift(back_ms);
            self.fetch_not_before_ms = self.fetch_not_before_ms.saturating_sub(back_ms);
            for waiting in self.restored.values_mut() {
                waiting.due_ms = waiting.due_ms.saturating_sub(back_ms);
            }
            self.wake_at_ms = None;
            self.now_ms = now_ms;
        }
        self.now_ms = self.now_ms.max(now_ms);
    }

    fn fetched(&mut self, from: u64, records: &[Candidate], next: u64) {
        if self.fetching != Some(from) {
            return;
        }
        self.fetching = None;
        for candidate in records {
            let sequence = candidate.sequence;
            if sequence < self.next {
                continue;
            }
            self.missing_before(sequence);
            if !self.done.contains(sequence) {
                if self.window.len() >= self.bounds.window {
                    self.more = true;
                    return;
                }
                self.read(candidate);
            }
            self.next = self.next.max(sequence.saturating_add(1));
        }
        self.missing_before(next);
        self.more |= self.next > from;
    }

    /// What was not read before `sequence` is gone.
    fn missing_before(&mut self, sequence: u64) {
        if sequence <= self.next {
            return;
        }
        let count = self.done.insert(self.next, sequence - 1);
        self.counters.missing = self.counters.missing.saturating_add(count);
        let gone: Vec<u64> = self.restored.range(self.next..sequence).map(|(gone, _)| *gone).collect();
        for gone in gone {
            self.restored.remove(&gone);
        }
        self.next = sequence;
        self.saves.settled(count, self.now_ms);
        self.settle_cursor();
    }

    /// A record comes into the window, unless nobody wants it.
    fn read(&mut self, candidate: &Candidate) {
        let Candidate { sequence, time_ms, key, wanted } = *candidate;
        let known = self.restored.remove(&sequence);
        if wanted == Wanted::Skip {
            self.counters.skipped = self.counters.skipped.saturating_add(1);
            self.done.insert(sequence, sequence);
            self.saves.settled(1, self.now_ms);
            self.settle_cursor();
            return;
        }
        let known = known.unwrap_or_else(|| self.unlisted(sequence));
        let stage = match wanted {
            Wanted::Expired => Stage::Doomed,
            _ if known.due_ms > self.now_ms => Stage::Waiting(known.due_ms),
            _ => Stage::Ready,
        };
        let entry = Entry {
            time_ms,
            key,
            stage,
            attempts: known.attempts,
            failures: known.failures,
            overloads: 0,
            crashes: known.crashes,
            named: false,
            recorded: 0,
            reason: (wanted == Wanted::Expired).then_some(Reason::Expired),
        };
        self.window.insert(sequence, entry);
    }

    /// The history of a record that no snapshot lists.
    pub(super) fn unlisted(&self, sequence: u64) -> Waiting {
        let (attempts, crashes) = (self.marks.attempts(sequence), self.marks.crashes(sequence));
        Waiting { sequence, attempts, failures: 0, crashes, due_ms: 0, named: false }
    }

    fn delivered(&mut self, delivery: Delivery, outcome: Outcome) {
        let sequence = delivery.sequence;
        let current = delivery.generation == self.generation;
        let mut settings = self.settings;
        let recorded = self.saves.next_version();
        let entry = self.window.get_mut(sequence).filter(|entry| {
            current && entry.stage == Stage::Flying && entry.attempts.saturating_add(1) == delivery.attempt
        });
        let Some(entry) = entry else { return self.window.release_ghost(delivery) };
        (entry.attempts, entry.named, entry.recorded) = (delivery.attempt, false, recorded);
        let (nth, after_ms) = match outcome {
            Outcome::Later { after_ms } => {
                if let Some(reason) = verdict(&settings, entry, self.now_ms) {
                    return self.give_up(sequence, reason);
                }
                self.saves.touch(self.now_ms);
                // Spread out a little, so that those that wait do not all ask at once.
                let pause_ms = after_ms.saturating_add(self.random.below(after_ms / 4 + 1));
                return self.window.place(sequence, Stage::Waiting(self.now_ms.saturating_add(pause_ms)));
            }
            Outcome::Done => {
                self.counters.delivered = self.counters.delivered.saturating_add(1);
                return self.settle(sequence);
            }
            Outcome::Gone => {
                self.counters.missing = self.counters.missing.saturating_add(1);
                return self.settle(sequence);
            }
            Outcome::Rejected => return self.give_up(sequence, Reason::Rejected),
            Outcome::TooOld => return self.give_up(sequence, Reason::Age),
            Outcome::Retry { after_ms } | Outcome::Within { after_ms, .. } => {
                if let Outcome::Within { attempts, age_ms, .. } = outcome {
                    (settings.attempts, settings.age_ms) = (attempts, age_ms);
                }
                entry.failures = entry.failures.saturating_add(1);
                (entry.overloads, entry.crashes) = (0, 0);
                (entry.failures, after_ms)
            }
            Outcome::Overloaded { after_ms } => {
                entry.overloads = entry.overloads.saturating_add(1);
                #[cfg(test)]
                if self.mutation == super::simulation::Mutation::Overload {
                    entry.failures += 1;
                }
                (entry.overloads, after_ms)
            }
        };
        if let Some(reason) = verdict(&settings, entry, self.now_ms) {
            return self.give_up(sequence, reason);
        }
        self.saves.touch(self.now_ms);
        self.counters.retried = self.counters.retried.saturating_add(1);
        #[cfg(test)]
        if self.mutation == super::simulation::Mutation::Retry {
            return self.window.place(sequence, Stage::Blocked);
        }
        let pause_ms = pause_ms(&settings, nth, after_ms, self.random.number());
        self.window.place(sequence, Stage::Waiting(self.now_ms.saturating_add(pause_ms)));
    }

    /// A dead letter is to be written for the record.
    pub(super) fn give_up(&mut self, sequence: u64, reason: Reason) {
        if let Some(entry) = self.window.get_mut(sequence) {
            (entry.reason, entry.named) = (Some(reason), false);
            self.saves.touch(self.now_ms);
            self.window.place(sequence, Stage::Doomed);
        }
    }

    fn dead_lettered(&mut self, delivery: Delivery, durable: bool) {
        self.burying = self.burying.saturating_sub(1);
        let sequence = delivery.sequence;
        let current = delivery.generation == self.generation;
        if !current || self.window.get(sequence).is_none_or(|entry| entry.stage != Stage::Burying) {
            return;
        }
        if durable {
            self.counters.dead = self.counters.dead.saturating_add(1);
            self.settle(sequence);
        } else {
            let due_ms = self.now_ms.saturating_add(FAILURE_PAUSE_MS);
            self.window.place(sequence, Stage::Waiting(due_ms));
        }
    }

    fn settle(&mut self, sequence: u64) {
        if self.window.remove(sequence).is_some() {
            self.done.insert(sequence, sequence);
            self.saves.settled(1, self.now_ms);
            self.settle_cursor();
        }
    }

    /// Moves the cursor over what is settled.
    fn settle_cursor(&mut self) {
        let cursor = self.done.after(self.cursor);
        if cursor > self.cursor {
            self.cursor = cursor;
            self.done.cut_before(cursor);
            self.next = self.next.max(cursor);
        }
        self.marks.cut_to(self.cursor);
    }

    fn seek(&mut self, sequence: u64) {
        if sequence == self.cursor {
            return;
        }
        if sequence > self.cursor {
            let settled = self.done.cut_before(sequence);
            let skipped = (sequence - self.cursor).saturating_sub(settled);
            self.counters.skipped = self.counters.skipped.saturating_add(skipped);
            self.window.abandon_before(sequence, self.generation);
            self.restored = self.restored.split_off(&sequence);
            self.cursor = sequence;
            self.settle_cursor();
        } else {
            self.window.abandon_before(u64::MAX, self.generation);
            self.generation = self.generation.saturating_add(1);
            #[cfg(test)]
            if self.mutation == super::simulation::Mutation::Generation {
                self.generation -= 1;
            }
            (self.done, self.marks) = (Ranges::default(), Marks::default());
            self.restored.clear();
            (self.cursor, self.next, self.started) = (sequence, sequence, 0);
            self.fetching = None;
        }
        if self.next < self.cursor {
            self.next = self.cursor;
            self.fetching = None;
        }
        self.more = true;
        self.saves.sought(sequence, self.now_ms);
    }
}

/// Settings with which the machine can work.
fn normalised(settings: Settings) -> Settings {
    Settings {
        attempts: settings.attempts.max(1),
        backoff_max_ms: settings.backoff_max_ms.max(settings.backoff_min_ms),
        concurrency: settings.concurrency.max(1),
        ..settings
    }
}
