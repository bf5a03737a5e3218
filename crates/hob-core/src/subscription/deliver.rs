//! What goes on after each input: deliveries, dead letters, reads, saves, wake-ups.
//!
//! **How.** Each part looks at the state alone and does all it can, in an order in which a later part sees
//! what an earlier one has changed. The lowest sequence goes first, so the cursor moves.

use super::crash::{CRASHES_ALONE, CRASHES_NAMED};
use super::machine::Machine;
use super::retry::verdict;
use super::snapshot::{Snapshot, Waiting};
use super::window::{Entry, Stage};
use super::{DEAD_LETTERS_MAX, Delivery, Effect, Reason};

impl Machine {
    /// Does everything that can be done now.
    pub(super) fn go_on(&mut self, effects: &mut Vec<Effect>) {
        self.window.due(self.now_ms);
        if !self.paused && !self.stopping {
            let starved = self.deliver_named(effects) || self.deliver_ready(effects);
            self.bury(effects);
            self.fetch(effects);
            self.save(effects);
            self.wake(starved, effects);
        } else {
            self.save(effects);
            self.wake(false, effects);
        }
        debug_assert!(self.window.len() <= self.bounds.window, "the window is full");
    }

    /// Begins what was named and is saved now; true when only the rate holds it up.
    fn deliver_named(&mut self, effects: &mut Vec<Effect>) -> bool {
        let named: Vec<u64> = self.window.named().iter().copied().collect();
        for sequence in named {
            if !self.has_place(0) {
                return false;
            }
            if !self.is_recorded(sequence) {
                continue;
            }
            if let Some(reason) = self.verdict(sequence) {
                self.give_up(sequence, reason);
            } else if !self.begin(sequence, effects) {
                return true;
            }
        }
        false
    }

    /// Begins what is ready, the lowest first; true when only the rate holds it up.
    fn deliver_ready(&mut self, effects: &mut Vec<Effect>) -> bool {
        while let Some(sequence) = self.window.first_ready() {
            if !self.has_place(self.window.named().len()) {
                return false;
            }
            if !self.is_marked(sequence) {
                // All others that are ready are above it.
                return false;
            }
            if let Some(reason) = self.verdict(sequence) {
                self.give_up(sequence, reason);
            } else if !self.is_recorded(sequence) {
                self.window.place(sequence, Stage::Held);
            } else if self.crashes(sequence) >= CRASHES_NAMED {
                self.name(sequence);
            } else if !self.begin(sequence, effects) {
                return true;
            }
        }
        false
    }

    /// Lets the next snapshot say that the record begins, and reserves its place.
    fn name(&mut self, sequence: u64) {
        let alone = |entry: &Entry| entry.named && entry.crashes >= CRASHES_ALONE;
        if self.crashes(sequence) >= CRASHES_ALONE && self.window.iter().any(|(_, entry)| alone(entry)) {
            // The end of the other one is saved; then this one is looked at again.
            self.window.place(sequence, Stage::Held);
            return;
        }
        let version = self.saves.next_version();
        if let Some(entry) = self.window.get_mut(sequence) {
            (entry.named, entry.recorded) = (true, version);
            self.window.place(sequence, Stage::Named);
            self.saves.hurry(self.now_ms);
        }
    }

    /// Begins one delivery, unless the rate forbids it.
    fn begin(&mut self, sequence: u64, effects: &mut Vec<Effect>) -> bool {
        if !self.bucket.take(self.now_ms) {
            return false;
        }
        if let Some(entry) = self.window.get(sequence) {
            let attempt = entry.attempts.saturating_add(1);
            effects.push(Effect::Deliver(Delivery { sequence, generation: self.generation, attempt }));
            self.window.place(sequence, Stage::Flying);
        }
        true
    }

    /// Whether one more delivery may begin besides those that have a place `reserved`.
    fn has_place(&self, reserved: usize) -> bool {
        let in_flight = self.window.in_flight();
        #[cfg(test)]
        let in_flight = match self.mutation {
            super::simulation::Mutation::Ghosts => self.window.flying(),
            _ => in_flight,
        };
        in_flight + reserved < self.settings.concurrency as usize
    }

    fn crashes(&self, sequence: u64) -> u32 {
        self.window.get(sequence).map_or(0, |entry| entry.crashes)
    }

    fn verdict(&self, sequence: u64) -> Option<Reason> {
        self.window.get(sequence).and_then(|entry| verdict(&self.settings, entry, self.now_ms))
    }

    /// Whether a durable snapshot says that the record may be delivered.
    fn is_marked(&mut self, sequence: u64) -> bool {
        #[cfg(test)]
        if self.mutation == super::simulation::Mutation::Mark {
            return true;
        }
        self.saves.may_start(sequence, self.now_ms)
    }

    /// Whether what the record's next attempt needs is durable.
    fn is_recorded(&mut self, sequence: u64) -> bool {
        let recorded = self.window.get(sequence).map_or(0, |entry| entry.recorded);
        let saved = self.saves.has(recorded, self.now_ms);
        #[cfg(test)]
        let saved = saved || self.mutation == super::simulation::Mutation::Record;
        self.is_marked(sequence) && saved
    }

    fn bury(&mut self, effects: &mut Vec<Effect>) {
        while self.burying < DEAD_LETTERS_MAX {
            let Some(sequence) = self.window.first_doomed() else { return };
            if let Some(Entry { attempts, failures, reason: Some(reason), .. }) = self.window.get(sequence) {
                let delivery = Delivery { sequence, generation: self.generation, attempt: *attempts };
                effects.push(Effect::DeadLetter { delivery, reason: *reason, failures: *failures });
                self.burying += 1;
            }
            self.window.place(sequence, Stage::Burying);
        }
    }

    /// Reads on, while there is room and not enough is ready.
    fn fetch(&mut self, effects: &mut Vec<Effect>) {
        let records = self.bounds.page.min(self.bounds.window - self.window.len());
        if !self.wants_to_read() || self.now_ms < self.fetch_not_before_ms {
            return;
        }
        self.next = self.done.after(self.next);
        self.more = false;
        self.fetching = Some(self.next);
        effects.push(Effect::Fetch { from: self.next, records });
    }

    fn wants_to_read(&self) -> bool {
        self.more
            && self.fetching.is_none()
            && self.window.len() < self.bounds.window
            && self.window.ready() < self.bounds.page
    }

    fn save(&mut self, effects: &mut Vec<Effect>) {
        if self.stopping && self.window.flying() == 0 {
            self.saves.hurry_changes();
        }
        if self.saves.is_due(&self.bounds, self.now_ms) {
            let snapshot = self.snapshot();
            self.begin_save(&snapshot);
            effects.push(Effect::Save(Box::new(snapshot)));
        }
    }

    fn begin_save(&mut self, snapshot: &Snapshot) {
        #[cfg(test)]
        if self.mutation == super::simulation::Mutation::Seal {
            return self.saves.begin(&Snapshot { sealed: false, ..snapshot.clone() });
        }
        self.saves.begin(snapshot);
    }

    fn snapshot(&mut self) -> Snapshot {
        let sealed = (self.paused || self.stopping) && self.window.flying() == 0;
        self.started = self.started.max(self.next.saturating_add(self.bounds.stride));
        let mut waiting: Vec<Waiting> = self.restored.values().copied().collect();
        for (sequence, entry) in self.window.iter() {
            let due_ms = if let Stage::Waiting(due_ms) = entry.stage { due_ms } else { 0 };
            let Entry { attempts, failures, crashes, named, .. } = *entry;
            let known = Waiting { sequence, attempts, failures, crashes, due_ms, named };
            // What the marks say anyway need not be listed.
            if known != self.unlisted(sequence) {
                waiting.push(known);
            }
        }
        waiting.sort_unstable_by_key(|waiting| waiting.sequence);
        Snapshot {
            version: self.saves.next_version(),
            time_ms: self.now_ms,
            generation: self.generation,
            cursor: self.cursor,
            done: self.done.clone(),
            started: self.started,
            sealed,
            marks: self.marks.clone(),
            paused: self.paused,
            waiting,
            counters: self.counters,
        }
    }

    /// Asks for a tick at the next time at which something goes on by itself.
    fn wake(&mut self, starved: bool, effects: &mut Vec<Effect>) {
        let reads = !self.paused && !self.stopping && self.wants_to_read();
        let times = [
            self.window.first_timer_ms(),
            self.saves.due_ms(&self.bounds),
            starved.then(|| self.bucket.next_ms()),
            reads.then_some(self.fetch_not_before_ms),
        ];
        let Some(next_ms) = times.into_iter().flatten().min() else { return };
        // A time that is over was armed and its tick is on its way or lost; either way, ask again.
        let armed = self.wake_at_ms.is_some_and(|at_ms| at_ms > self.now_ms && at_ms <= next_ms);
        if !armed {
            self.wake_at_ms = Some(next_ms);
            effects.push(Effect::WakeAt(next_ms));
        }
    }
}
