//! Schedules: when a run is due, its event goes to the bus.
//!
//! **Why.** A run is an event in `hob.schedules.<app>`, so it is as durable and retried as any other, and
//! a node that is killed between deciding and remembering publishes it once: its id is its time.
//!
//! **How.** One task for all schedules. [`hob_core::schedule`] decides; this module stores what was
//! decided, after it was done.
//!
//! **Not here:** how the run reaches its function ([`crate::delivery`]).

use crate::bus::Bus;
use crate::bus::position::{self, Key, Runs};
use crate::clock::{now_ms, sleep_until};
use crate::delivery::Delivery;
use crate::live::Live;
use crate::task::Tasks;
use hob_core::code::Code;
use hob_core::event::record::{Only, Stored};
use hob_core::event::{Event, timestamp};
use hob_core::fact::{Failure, Run, RunDecision, What};
use hob_core::fault::{Fault, Result};
use hob_core::name::TopicName;
use hob_core::port::Durability;
use hob_core::schedule::{Decision, Reason, Rules, Schedule, decide, seed};
use hob_core::trigger::ScheduleSpec;
use hob_core::wire::{Published, ScheduleInfo};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};

/// Next runs that are shown.
const NEXT_SHOWN: usize = 5;
/// The type of a run's event.
const FIRED: &str = "dev.hob.schedule.fired";

/// The schedules of one node.
pub(crate) struct Schedules {
    bus: Arc<Bus>,
    live: Arc<Live>,
    delivery: Arc<Delivery>,
    known: Mutex<BTreeMap<Key, Known>>,
    /// Told when a schedule was paused or resumed.
    changed: watch::Sender<()>,
}

/// One schedule of a current revision.
struct Known {
    spec: ScheduleSpec,
    schedule: Schedule,
    rules: Rules,
    runs: Runs,
    version: Option<u64>,
    /// When to decide again.
    wake_ms: Option<u64>,
}

impl Schedules {
    /// Finds the schedules of what is live, and begins to fire them.
    ///
    /// # Errors
    /// `HOB-06xx` when what is stored of them cannot be read.
    pub(crate) async fn start(
        bus: Arc<Bus>,
        live: Arc<Live>,
        delivery: Arc<Delivery>,
        tasks: &Tasks,
    ) -> Result<Arc<Self>> {
        let (known, changed) = (Mutex::default(), watch::Sender::new(()));
        let this = Arc::new(Self { bus, live, delivery, known, changed });
        let changes = this.live.changes();
        this.find().await?;
        let run = Arc::clone(&this);
        tasks.start("schedules", async move { run.run(changes).await });
        Ok(this)
    }

    async fn run(&self, mut changes: watch::Receiver<u64>) {
        let mut asked = self.changed.subscribe();
        loop {
            let wake_ms = self.fire_due().await;
            tokio::select! {
                () = sleep_until(wake_ms) => {}
                _ = asked.changed() => {}
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if let Err(fault) = self.find().await {
                        tracing::error!(%fault, "schedules could not be read");
                    }
                }
            }
        }
    }

    /// Makes the known schedules those of the current revisions.
    async fn find(&self) -> Result<()> {
        let mut known = self.known.lock().await;
        let table = Arc::clone(&self.live.load());
        let mut found = BTreeMap::new();
        for app in table.acting().values() {
            for (name, spec) in &app.current.spec.triggers.schedules {
                let key = Key::new(&app.name, name);
                let one = match known.remove(&key) {
                    Some(known) if known.spec == *spec => known,
                    _ => self.read(&key, spec).await?,
                };
                found.insert(key, one);
            }
        }
        *known = found;
        Ok(())
    }

    async fn read(&self, key: &Key, spec: &ScheduleSpec) -> Result<Known> {
        let stored = position::load::<Runs>(self.bus.state(), &key.schedule()).await?;
        let (runs, version) = match stored {
            Some((runs, version)) => (runs, Some(version)),
            None => (Runs::new(now_ms()), None),
        };
        let rules = Rules {
            missed: spec.missed,
            overlap: spec.overlap,
            jitter: Duration::from_millis(spec.jitter_ms),
            seed: seed(&key.to_string()),
        };
        Ok(Known {
            spec: spec.clone(),
            schedule: Schedule::new(&spec.expression, &spec.zone)?,
            rules,
            runs,
            version,
            wake_ms: Some(0),
        })
    }

    /// Fires what is due; returns when to look again.
    async fn fire_due(&self) -> Option<u64> {
        let mut known = self.known.lock().await;
        let mut next: Option<u64> = None;
        for (key, one) in known.iter_mut() {
            if one.wake_ms.is_some_and(|wake| wake <= now_ms())
                && let Err(fault) = self.decide(key, one).await
            {
                tracing::error!(%fault, schedule = %key, "a run could not be published, and is tried again");
                one.wake_ms = Some(now_ms() + 1000);
            }
            next = [next, one.wake_ms].into_iter().flatten().min();
        }
        next
    }

    async fn decide(&self, key: &Key, one: &mut Known) -> Result<()> {
        let running = self.delivery.is_busy(key).await;
        let Decision { fire, skipped, state, wake_ms } =
            decide(&one.schedule, &one.rules, &one.runs.state, now_ms(), running);
        let mut runs = one.runs.clone();
        for run in &fire {
            let published = self.publish(key, &one.spec, &timestamp(run.due_ms), Some(run.due_ms)).await;
            let published = published.inspect_err(|fault| {
                self.tell(key, RunDecision::Failed { failure: Failure::from(fault) });
            })?;
            let (due_ms, sequence, made_up) = (Some(run.due_ms), published.sequence, run.made_up);
            self.tell(key, RunDecision::Fired { due_ms, sequence, made_up });
            tracing::debug!(schedule = %key, due_ms = run.due_ms, made_up = run.made_up, "a run is due");
            (runs.fired, runs.fired_ms) = (runs.fired + 1, Some(now_ms()));
        }
        for skip in skipped {
            tracing::info!(schedule = %key, reason = ?skip.reason, runs = skip.count, "runs are left out");
            let reason = word(skip.reason);
            self.tell(key, RunDecision::LeftOut { reason, runs: skip.count, last_ms: skip.last_ms });
            runs.skipped += skip.count;
            runs.last_skipped = Some((skip.reason, skip.last_ms));
        }
        runs.state = state;
        if runs != one.runs || one.version.is_none() {
            self.save(key, one, runs).await?;
        }
        one.wake_ms = wake_ms;
        Ok(())
    }

    async fn save(&self, key: &Key, one: &mut Known, runs: Runs) -> Result<()> {
        let write = position::write(key.schedule(), &runs, one.version)?;
        self.bus.state().commit(vec![write]).await?;
        one.version = Some(one.version.unwrap_or(0) + 1);
        one.runs = runs;
        Ok(())
    }

    /// Publishes a run for its schedule alone; `id` tells it from others.
    async fn publish(
        &self,
        key: &Key,
        spec: &ScheduleSpec,
        id: &str,
        due_ms: Option<u64>,
    ) -> Result<Published> {
        let source = format!("/apps/{}/schedules/{}", key.app, key.name);
        let mut event = Event::new(id, source, FIRED);
        event.subject = Some(key.name.to_string());
        event.time = Some(timestamp(due_ms.unwrap_or_else(now_ms)));
        event.set_extension("schedule", spec.expression.clone());
        if let Some(data) = &spec.data {
            event.datacontenttype = Some("application/json".to_owned());
            event.data = Some(data.to_string().into());
        }
        let only = Some(Only { app: key.app.clone(), trigger: key.name.clone() });
        let stored = Stored { only, ..Stored::new(event) };
        let topic = TopicName::own("schedules", &key.app);
        let published = self.bus.publish(&topic, vec![stored], Durability::Disk).await?;
        published.into_iter().next().ok_or_else(|| Fault::internal("a published event has no place"))
    }

    /// Every schedule, by app and name.
    ///
    /// # Errors
    /// `HOB-06xx` when what is stored cannot be read.
    pub(crate) async fn list(&self) -> Result<Vec<ScheduleInfo>> {
        // One that has just been deployed is one of them.
        self.find().await?;
        Ok(self.known.lock().await.iter().map(|(key, one)| info(key, one)).collect())
    }

    /// One schedule.
    ///
    /// # Errors
    /// `HOB-0808` when there is none.
    pub(crate) async fn get(&self, key: &Key) -> Result<ScheduleInfo> {
        self.find().await?;
        self.known.lock().await.get(key).map(|one| info(key, one)).ok_or_else(|| not_found(key))
    }

    /// Publishes a run now, whatever the schedule says.
    ///
    /// # Errors
    /// `HOB-0808` when there is none, and those of [`Bus::publish`].
    pub(crate) async fn fire(&self, key: &Key) -> Result<Published> {
        self.find().await?;
        let mut known = self.known.lock().await;
        let one = known.get_mut(key).ok_or_else(|| not_found(key))?;
        let spec = one.spec.clone();
        let published =
            self.publish(key, &spec, &format!("by-hand-{}", crate::identity::invocation()), None).await?;
        self.tell(key, RunDecision::Fired { due_ms: None, sequence: published.sequence, made_up: false });
        let (fired, fired_ms) = (one.runs.fired + 1, Some(now_ms()));
        let runs = Runs { fired, fired_ms, ..one.runs.clone() };
        self.save(key, one, runs).await?;
        Ok(published)
    }

    fn tell(&self, key: &Key, decision: RunDecision) {
        let run = Run { app: key.app.clone(), schedule: key.name.clone(), decision };
        self.bus.telemetry().now(None, What::Run(Box::new(run)));
    }

    /// Leaves runs out until the schedule is resumed, or ends that.
    ///
    /// # Errors
    /// `HOB-0808` when there is none, and those of the store.
    pub(crate) async fn pause(&self, key: &Key, pause: bool) -> Result<()> {
        self.find().await?;
        let mut known = self.known.lock().await;
        let one = known.get_mut(key).ok_or_else(|| not_found(key))?;
        self.decide(key, one).await?;
        let state = if pause { one.runs.state.pause() } else { one.runs.state.resume(now_ms()) };
        let runs = Runs { state, ..one.runs.clone() };
        self.save(key, one, runs).await?;
        one.wake_ms = Some(0);
        // The task is gone only when the node stops.
        let _ = self.changed.send(());
        Ok(())
    }
}

fn info(key: &Key, one: &Known) -> ScheduleInfo {
    let from = one.runs.state.last_ms.unwrap_or(0).max(now_ms());
    let after = |at: &u64| one.schedule.next_after(*at, one.runs.state.anchor_ms);
    let next_ms: Vec<u64> = std::iter::successors(after(&from), after).take(NEXT_SHOWN).collect();
    ScheduleInfo {
        app: key.app.clone(),
        name: key.name.clone(),
        spec: one.spec.clone(),
        paused: one.runs.state.paused,
        last_ms: one.runs.fired_ms,
        next: next_ms.iter().map(|at| one.schedule.show(*at)).collect(),
        next_ms,
        description: one.schedule.describe(),
        fired: one.runs.fired,
        skipped: one.runs.skipped,
        last_skipped: one
            .runs
            .last_skipped
            .map(|(reason, due_ms)| format!("{} at {}", word(reason), one.schedule.show(due_ms))),
    }
}

/// A reason in one word, as on the wire.
fn word(reason: Reason) -> String {
    let reason = serde_json::to_value(reason).ok();
    reason.as_ref().and_then(|reason| reason.as_str()).unwrap_or_default().to_owned()
}

fn not_found(key: &Key) -> Fault {
    Fault::new(Code::ScheduleNotFound, format!("there is no schedule `{key}`"))
        .hint("`hob cron ls` lists them")
}
