//! One subscription at work: feeds its machine, and carries out what that decides.
//!
//! **How.** A task that waits for whatever comes first: an event, an outcome, a save, a wish, a time.
//! Deliveries, dead letters and saves run beside it and report back, so that none holds up another; the
//! machine says how many there may be.
//!
//! **Invariants.** Everything that [`hob_core::subscription`] asks for is answered exactly once.

use super::Parts;
use super::attempt::Attempted;
use super::role::{Desk, Role, word};
use crate::bus::Placed;
use crate::bus::dead::Failure;
use crate::bus::position::{self, Key};
use crate::clock::{now_ms, sleep_until};
use crate::live::Life;
use hob_core::code::Code;
use hob_core::fact::Ending;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{
    DEAD_LETTER_ANSWER_BYTES_MAX, SUBSCRIPTION_CACHE_BYTES_MAX, SUBSCRIPTION_READ_BYTES_MAX,
};
use hob_core::port::ReadLimit;
use hob_core::subscription::{
    Batches, Bounds, Candidate, Delivery, Effect, Gathering, Input, Machine, Outcome, Reason, Snapshot,
    Stats, Wanted, Whereabouts,
};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Reports that wait for the worker; those who report wait when it is full.
const REPORTS_MAX: usize = 256;

/// Where a record is in a subscription, and how that is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// Where the record is.
    pub(crate) place: Whereabouts,
    /// Nothing is delivered.
    pub(crate) paused: bool,
    /// Records that are being delivered.
    pub(crate) in_flight: u64,
    /// The first of these.
    pub(crate) running: Option<u64>,
}

/// What somebody wants of a worker.
pub(super) enum Wish {
    /// Deliver nothing for now.
    Pause(oneshot::Sender<Result<()>>),
    /// Go on.
    Resume(oneshot::Sender<Result<()>>),
    /// Go to this sequence.
    Seek(u64, oneshot::Sender<Result<()>>),
    /// The app has other revisions.
    Changed,
    /// How it is.
    Stats(oneshot::Sender<(Stats, Option<String>)>),
    /// Where a record is.
    Look(u64, oneshot::Sender<Look>),
    /// Begin nothing any more; end when everything has ended and is saved.
    Stop,
}

/// What runs beside the worker and has ended.
enum Report {
    /// One event, or those of one call.
    Delivered(Vec<(Delivery, Attempted)>, Call),
    Buried(Delivery, bool),
    Saved(u64, Result<()>),
}

/// How events were delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Single,
    Batch,
}

/// The way to a worker.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) role: Role,
    /// Of the app that it belongs to.
    pub(super) life: Life,
    wishes: mpsc::Sender<Wish>,
}

impl Handle {
    /// Asks for something.
    ///
    /// # Errors
    /// `HOB-0807` when the worker has ended.
    pub(super) async fn ask<T>(&self, wish: impl FnOnce(oneshot::Sender<T>) -> Wish) -> Result<T> {
        let gone = || Fault::new(Code::SubscriptionNotFound, "the subscription has just gone");
        let (answer, answered) = oneshot::channel();
        self.wishes.send(wish(answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }

    /// Tells it something; one that has ended need not know.
    pub(super) async fn tell(&self, wish: Wish) {
        let _ = self.wishes.send(wish).await;
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.wishes.is_closed()
    }

    /// Resolves when it has ended.
    pub(super) async fn ended(&self) {
        self.wishes.closed().await;
    }
}

/// Starts the worker of one subscription; `None` when its app has been removed meanwhile.
///
/// # Errors
/// `HOB-06xx` when its position cannot be read.
pub(super) async fn start(parts: &Arc<Parts>, key: Key, role: Role, life: Life) -> Result<Option<Handle>> {
    let stored = position::load::<Snapshot>(parts.bus.state(), &key.position(&role.topic(&key.app))).await?;
    let desk = Desk::new(Arc::clone(parts), key, role.clone(), life.clone());
    if desk.is_over() {
        return Ok(None);
    }
    let (now, settings, seed) = (now_ms(), desk.settings(), hob_core::schedule::seed(&desk.key.to_string()));
    let (machine, version) = match stored {
        Some((snapshot, version)) => {
            (Machine::restore(snapshot, settings, Bounds::default(), seed ^ now, now), Some(version))
        }
        // A deploy stores where its subscriptions begin; the node's own begin with the first record.
        None => (Machine::new(1, settings, Bounds::default(), seed ^ now, now), None),
    };
    let (wishes, wished) = mpsc::channel(REPORTS_MAX);
    let (report, reports) = mpsc::channel(REPORTS_MAX);
    let arrivals = parts.bus.arrivals(&desk.topic);
    let worker = Worker {
        desk,
        machine,
        version,
        wished,
        report,
        reports,
        arrivals,
        wake: None,
        effects: Vec::new(),
        cache: Cache::default(),
        failures: HashMap::new(),
        last_failure: None,
        saving: BTreeMap::new(),
        stopping: false,
        gathering: None,
        batches: Batches::default(),
        hurry: false,
    };
    parts.bus.settle(&worker.desk.topic, &worker.desk.key, Some(worker.machine.settled_before())).await;
    parts.tasks.start("subscription", worker.run());
    Ok(Some(Handle { role, life, wishes }))
}

struct Worker {
    desk: Desk,
    machine: Machine,
    /// Of the entry in the store.
    version: Option<u64>,
    wished: mpsc::Receiver<Wish>,
    report: mpsc::Sender<Report>,
    reports: mpsc::Receiver<Report>,
    arrivals: watch::Receiver<u64>,
    /// When the machine wants to be asked, milliseconds since the Unix epoch.
    wake: Option<u64>,
    effects: Vec<Effect>,
    cache: Cache,
    /// How the last attempt of a record failed.
    failures: HashMap<u64, Failure>,
    /// The newest failure, unless a later delivery succeeded.
    last_failure: Option<String>,
    /// Who waits for a snapshot of at least this version.
    saving: BTreeMap<u64, Vec<oneshot::Sender<Result<()>>>>,
    stopping: bool,
    /// How events are gathered into calls.
    gathering: Option<Gathering>,
    /// Events that are gathered.
    batches: Batches<(Delivery, Placed)>,
    /// What is gathered waits for no others.
    hurry: bool,
}

/// What becomes of gathered events when they are to be gathered no more.
const ALONE: Gathering = Gathering { events: 1, bytes: usize::MAX, window_ms: 0, calls: usize::MAX };

impl Worker {
    async fn run(mut self) {
        self.gathering = self.desk.gathering();
        self.step(Input::Tick).await;
        self.step_back().await;
        self.send_batches();
        while !(self.stopping && self.machine.is_idle()) {
            if self.desk.is_over() {
                return self.give_up("its app was removed");
            }
            let (wake, due) = (self.wake, self.batches.due_ms(self.gathering.unwrap_or(ALONE)));
            // In no fixed order: while a backlog is worked off there is always a report, and wishes would wait.
            tokio::select! {
                Some(report) = self.reports.recv() => {
                    if let Err(fault) = self.take(report).await {
                        return self.give_up(fault);
                    }
                }
                wish = self.wished.recv() => match wish {
                    Some(wish) => self.grant(wish).await,
                    None => self.stop().await,
                },
                changed = self.arrivals.changed(), if !self.stopping => {
                    if changed.is_ok() {
                        self.step(Input::Appended).await;
                    }
                }
                () = sleep_until(wake) => {
                    self.wake = None;
                    self.step(Input::Tick).await;
                }
                () = sleep_until(due) => {}
            }
            self.send_batches();
        }
    }

    /// Makes the calls whose events have been gathered.
    fn send_batches(&mut self) {
        let by = self.gathering.unwrap_or(ALONE);
        while let Some(items) = self.batches.take(by, now_ms(), self.hurry || self.stopping) {
            let (report, attempts) = (self.report.clone(), self.desk.attempt_all(items));
            self.desk.parts.tasks.start("delivery", async move {
                let _ = report.send(Report::Delivered(attempts.await, Call::Batch)).await;
            });
        }
        self.hurry &= !self.batches.is_empty();
    }

    /// A power failure may have taken records that were acknowledged from memory, and their numbers are
    /// given again: nobody may be beyond the end of the topic.
    async fn step_back(&mut self) {
        let state = self.desk.parts.bus.log().topic(&self.desk.topic).await;
        let next = state.ok().flatten().map_or(1, |state| state.next);
        if self.machine.stats().cursor > next {
            tracing::warn!(subscription = %self.desk.key, topic = %self.desk.topic, next, "the topic ends before its position");
            self.step(Input::Seek { sequence: next }).await;
        }
    }

    async fn take(&mut self, report: Report) -> Result<()> {
        match report {
            Report::Delivered(attempts, call) => {
                if call == Call::Batch {
                    self.batches.ended();
                }
                for (delivery, attempted) in attempts {
                    self.take_attempt(delivery, attempted).await;
                }
            }
            Report::Buried(delivery, durable) => {
                if durable {
                    self.failures.remove(&delivery.sequence);
                }
                self.step(Input::DeadLettered { delivery, durable }).await;
            }
            Report::Saved(version, Ok(())) => {
                self.version = Some(self.version.unwrap_or(0) + 1);
                self.step(Input::Saved { version }).await;
                let settled = self.machine.settled_before();
                self.desk.parts.bus.settle(&self.desk.topic, &self.desk.key, Some(settled)).await;
                self.answer_saved();
            }
            // The app was removed, or its subscription was: nobody needs the position any more.
            Report::Saved(_, Err(fault)) if fault.code() == Code::StoreConflict => return Err(fault),
            Report::Saved(version, Err(fault)) => {
                tracing::error!(%fault, subscription = %self.desk.key, "a position could not be saved");
                self.step(Input::SaveFailed { version }).await;
            }
        }
        Ok(())
    }

    async fn take_attempt(&mut self, delivery: Delivery, attempted: Attempted) {
        let Attempted { outcome, mut failure } = attempted;
        let redaction = self.desk.parts.bus.telemetry().redaction();
        failure.answer = failure.answer.map(|answer| redaction.text(&answer).into_owned());
        if outcome == Outcome::Done {
            self.failures.remove(&delivery.sequence);
            self.last_failure = None;
        } else {
            self.last_failure = Some(failure.text());
            shorten(&mut failure.answer);
            self.failures.insert(delivery.sequence, failure);
        }
        self.step(Input::Delivered { delivery, outcome }).await;
        self.tell_retry(delivery, outcome);
    }

    /// Tells of an attempt after which another one follows.
    fn tell_retry(&self, delivery: Delivery, outcome: Outcome) {
        let Some(at_ms) = self.machine.due_ms(delivery.sequence) else { return };
        let ending = match outcome {
            Outcome::Overloaded { .. } | Outcome::Later { .. } => Ending::Overloaded { at_ms },
            Outcome::Retry { .. } | Outcome::Within { .. } => Ending::Retry { at_ms },
            _ => return,
        };
        let failure = self.failures.get(&delivery.sequence);
        self.desk.tell(delivery, ending, failure);
    }

    async fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::Pause(answer) => {
                self.hurry = true;
                self.step(Input::Pause).await;
                self.answer_when_saved(answer);
            }
            Wish::Resume(answer) => {
                self.step(Input::Resume).await;
                self.answer_when_saved(answer);
            }
            Wish::Seek(sequence, answer) => {
                self.desk.tell_sought(self.machine.stats().cursor, sequence);
                self.cache.clear();
                self.failures.clear();
                self.hurry = true;
                self.step(Input::Seek { sequence }).await;
                self.answer_when_saved(answer);
            }
            Wish::Changed => {
                self.desk.forget_filters();
                self.gathering = self.desk.gathering();
                let settings = self.desk.settings();
                self.step(Input::Configure(settings)).await;
            }
            Wish::Stats(answer) => {
                // Who asks knows of all events that were published before.
                if self.arrivals.has_changed().unwrap_or(false) {
                    self.step(Input::Appended).await;
                }
                drop(answer.send((self.machine.stats(), self.last_failure.clone())));
            }
            Wish::Look(sequence, answer) => {
                let Stats { paused, in_flight, .. } = self.machine.stats();
                let (place, running) = (self.machine.whereabouts(sequence), self.machine.first_in_flight());
                let _ = answer.send(Look { place, paused, in_flight: in_flight as u64, running });
            }
            Wish::Stop => self.stop().await,
        }
    }

    async fn stop(&mut self) {
        if !std::mem::replace(&mut self.stopping, true) {
            self.step(Input::Stop).await;
        }
    }

    /// A wish is granted when it is on disk.
    fn answer_when_saved(&mut self, answer: oneshot::Sender<Result<()>>) {
        self.saving.entry(self.machine.version()).or_default().push(answer);
        self.answer_saved();
    }

    fn answer_saved(&mut self) {
        let saved = self.machine.saved_version();
        while let Some(first) = self.saving.first_entry().filter(|first| *first.key() <= saved) {
            first.remove().into_iter().for_each(|answer| drop(answer.send(Ok(()))));
        }
    }

    fn give_up(self, why: impl fmt::Display) {
        tracing::debug!(%why, subscription = %self.desk.key, "the subscription has gone");
        let parts = Arc::clone(&self.desk.parts);
        drop(self);
        parts.lost.notify_one();
    }

    /// Feeds the machine and carries out what it decides, with what follows from that.
    async fn step(&mut self, input: Input<'_>) {
        let mut effects = std::mem::take(&mut self.effects);
        self.machine.step(input, now_ms(), &mut effects);
        let mut at = 0;
        while at < effects.len() {
            let effect = effects[at].clone();
            at += 1;
            self.carry_out(effect, &mut effects).await;
        }
        effects.clear();
        self.effects = effects;
    }

    async fn carry_out(&mut self, effect: Effect, effects: &mut Vec<Effect>) {
        match effect {
            Effect::Fetch { from, records } => self.fetch(from, records, effects).await,
            Effect::Deliver(delivery) => self.deliver(delivery).await,
            Effect::DeadLetter { delivery, reason, failures } => {
                self.bury(delivery, reason, failures).await;
            }
            Effect::Save(snapshot) => self.save(&snapshot),
            Effect::WakeAt(at_ms) => self.wake = Some(at_ms),
        }
    }

    async fn fetch(&mut self, from: u64, records: usize, effects: &mut Vec<Effect>) {
        if self.desk.is_over() {
            // What is there now of that name may want none of these: nothing is to be settled.
            return;
        }
        let limit = ReadLimit { records, bytes: SUBSCRIPTION_READ_BYTES_MAX };
        // What comes from here on is news.
        self.arrivals.mark_unchanged();
        match self.desk.parts.bus.read(&self.desk.topic, from, limit).await {
            Ok(page) => {
                let candidates: Vec<Candidate> = page
                    .events
                    .into_iter()
                    .map(|placed| {
                        let (wanted, key) = self.desk.wanted(&placed);
                        let (sequence, time_ms) = (placed.sequence, placed.published_ms);
                        match wanted {
                            Wanted::Deliver => self.cache.put(placed),
                            Wanted::Skip => self.desk.tell_skipped(&placed),
                            Wanted::Expired => {}
                        }
                        Candidate { sequence, time_ms, key, wanted }
                    })
                    .collect();
                let fetched = Input::Fetched { from, records: &candidates, next: page.next };
                self.machine.step(fetched, now_ms(), effects);
            }
            Err(fault) => {
                tracing::error!(%fault, topic = %self.desk.topic, "events cannot be read for now");
                self.machine.step(Input::FetchFailed { from }, now_ms(), effects);
            }
        }
    }

    /// The event of a record that was read before, from memory or from the log again.
    async fn event(&mut self, sequence: u64) -> Option<Placed> {
        if let Some(placed) = self.cache.take(sequence) {
            return Some(placed);
        }
        match self.desk.parts.bus.event(&self.desk.topic, sequence).await {
            Ok(placed) => placed,
            Err(fault) => {
                tracing::error!(%fault, topic = %self.desk.topic, sequence, "an event cannot be read");
                None
            }
        }
    }

    async fn deliver(&mut self, delivery: Delivery) {
        let report = self.report.clone();
        let Some(placed) = self.event(delivery.sequence).await else {
            let gone = Attempted { outcome: Outcome::Gone, failure: Failure::default() };
            let told = async move {
                drop(report.send(Report::Delivered(vec![(delivery, gone)], Call::Single)).await)
            };
            return self.desk.parts.tasks.start("delivery", told);
        };
        if self.gathering.is_some() {
            let bytes = placed.stored.event.bytes();
            return self.batches.put((delivery, placed), bytes, now_ms());
        }
        let attempt = self.desk.attempt(placed, delivery);
        self.desk.parts.tasks.start("delivery", async move {
            let attempted = vec![(delivery, attempt.await)];
            let _ = report.send(Report::Delivered(attempted, Call::Single)).await;
        });
    }

    async fn bury(&mut self, delivery: Delivery, reason: Reason, failures: u32) {
        let report = self.report.clone();
        let Some(placed) = self.event(delivery.sequence).await else {
            let told = async move { drop(report.send(Report::Buried(delivery, true)).await) };
            return self.desk.parts.tasks.start("dead letter", told);
        };
        let failure = match (self.failures.get(&delivery.sequence), reason) {
            (Some(failure), _) => failure.clone(),
            (None, Reason::Expired) => expired(&placed),
            (None, _) => Failure::default(),
        };
        let attempts = failures.max(u32::from(reason == Reason::Rejected));
        tracing::warn!(
            subscription = %self.desk.key, topic = %self.desk.topic, sequence = delivery.sequence,
            attempts, ?reason, failure = failure.text(), "an event is given up"
        );
        let dead = Ending::Dead { reason: word(reason).to_owned(), topic: self.desk.dead_topic(&placed) };
        self.desk.tell(delivery, dead, Some(&failure));
        let burial = self.desk.bury(placed, (delivery, reason), attempts, failure);
        self.desk.parts.tasks.start("dead letter", async move {
            let buried = burial.await;
            if let Err(fault) = &buried {
                tracing::error!(%fault, sequence = delivery.sequence, "a dead letter could not be written");
            }
            let _ = report.send(Report::Buried(delivery, buried.is_ok())).await;
        });
    }

    fn save(&self, snapshot: &Snapshot) {
        if self.desk.is_over() {
            return;
        }
        let (report, parts, version) = (self.report.clone(), Arc::clone(&self.desk.parts), snapshot.version);
        let write = position::write(self.desk.key.position(&self.desk.topic), snapshot, self.version);
        self.desk.parts.tasks.start("position", async move {
            let saved = match write {
                Ok(write) => parts.bus.state().commit(vec![write]).await,
                Err(fault) => Err(fault),
            };
            let _ = report.send(Report::Saved(version, saved)).await;
        });
    }
}

/// What is said of an event whose own time is over.
fn expired(placed: &Placed) -> Failure {
    let expiry = placed.stored.event.text("expirytime").unwrap_or_default();
    let what = format!("the event expired at {expiry}, before it could be delivered");
    Attempted::refused(&Fault::new(Code::EventExpired, what), Outcome::Rejected).failure
}

/// Cuts what is kept of an answer.
fn shorten(answer: &mut Option<String>) {
    if let Some(text) = answer {
        text.truncate(text.floor_char_boundary(DEAD_LETTER_ANSWER_BYTES_MAX));
    }
}

/// Events that were read and are soon to be delivered, as far as they fit.
#[derive(Default)]
struct Cache {
    events: HashMap<u64, Placed>,
    bytes: usize,
}

impl Cache {
    fn put(&mut self, placed: Placed) {
        let bytes = placed.stored.event.bytes();
        if self.bytes + bytes <= SUBSCRIPTION_CACHE_BYTES_MAX {
            self.bytes += bytes;
            self.events.insert(placed.sequence, placed);
        }
    }

    fn take(&mut self, sequence: u64) -> Option<Placed> {
        let placed = self.events.remove(&sequence)?;
        self.bytes -= placed.stored.event.bytes();
        Some(placed)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}
