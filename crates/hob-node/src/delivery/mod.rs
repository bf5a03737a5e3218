//! Delivery: every subscription, schedule and asynchronous call of the node gets its worker.
//!
//! **Why.** What was accepted by the bus must reach its functions whatever happens to the node, and in
//! the revision in which it began.
//!
//! **How.** [`Delivery`] looks at the table of live apps whenever that changes, and starts and stops
//! workers ([`worker`]) so that there is one for each trigger of each kept revision. [`role`] says what a
//! worker does, [`attempt`] delivers one event, [`batch`] many in one call, [`call`] makes one asynchronous call, [`outcome`] is the
//! table of what answers mean, [`replay`] delivers old events once more.
//!
//! **Invariants.** One worker for each subscription: nobody else writes its position.
//!
//! **Not here:** when schedules run ([`crate::schedules`]).

mod attempt;
mod batch;
mod call;
mod destination;
mod outcome;
mod replay;
mod role;
mod worker;

pub(crate) use replay::{replay, topic_not_found};
pub(crate) use role::Role;

use crate::bus::Bus;
use crate::bus::position::Key;
use crate::calls::{Calls, Told, calls_topic};
use crate::dispatcher::Dispatcher;
use crate::live::{Life, Live, LiveApp, LiveTable};
use crate::sync::lock;
use crate::task::Tasks;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::GRACE_DEFAULT;
use hob_core::name::{AppName, FunctionName, TopicName};
use hob_core::subscription::Stats;
use hob_core::trigger::{StartAt, SubscriptionSpec};
use hob_core::wire::SubscriptionInfo;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;
pub(crate) use worker::Look;
use worker::{Handle, Wish};

/// What workers work with.
pub(crate) struct Parts {
    pub(crate) bus: Arc<Bus>,
    pub(crate) live: Arc<Live>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) tasks: Arc<Tasks>,
    /// Told when a worker has ended because somebody else has changed its position.
    pub(crate) lost: Notify,
}

/// All workers of a node.
pub(crate) struct Delivery {
    parts: Arc<Parts>,
    /// By what they are and the topic they read: two kept revisions may name two for one name.
    workers: Mutex<BTreeMap<(Key, TopicName), Handle>>,
    /// Workers that are to begin nothing any more, and have not ended.
    ending: Mutex<BTreeMap<(Key, TopicName), Handle>>,
    /// Functions that have asynchronous calls.
    called: Mutex<BTreeSet<(AppName, FunctionName)>>,
    /// Held while workers start and stop.
    arranging: tokio::sync::Mutex<()>,
}

impl Delivery {
    /// Starts the workers of what is live now, and follows its changes.
    ///
    /// # Errors
    /// `HOB-06xx` when positions or topics cannot be read.
    pub(crate) async fn start(parts: Parts, told: Told) -> Result<Arc<Self>> {
        let this = Arc::new(Self {
            parts: Arc::new(parts),
            workers: Mutex::default(),
            ending: Mutex::default(),
            called: Mutex::default(),
            arranging: tokio::sync::Mutex::default(),
        });
        this.find_calls().await?;
        let changes = this.parts.live.changes();
        this.arrange().await?;
        this.parts.bus.settle_rest().await?;
        let follow = Arc::clone(&this);
        this.parts.tasks.start("delivery", async move { follow.follow(changes, told).await });
        Ok(this)
    }

    /// Finds functions with asynchronous calls from before the start.
    async fn find_calls(&self) -> Result<()> {
        let topics = self.parts.bus.log().topics().await?;
        let table = Arc::clone(&self.parts.live.load());
        for app in table.apps().values() {
            let topic = calls_topic(&app.name);
            if topics.iter().any(|(name, state)| *name == topic && state.next > state.first) {
                let functions = app.kept.values().flat_map(|revision| revision.functions.keys());
                lock(&self.called).extend(functions.map(|function| (app.name.clone(), function.clone())));
            }
        }
        // What an app has left behind that was removed just before the node ended.
        for (topic, state) in &topics {
            let own = topic.as_str().strip_prefix("hob.").and_then(|rest| rest.split('.').nth(1));
            if own.is_some_and(|app| table.app(app).is_none()) && state.next > state.first {
                self.parts.bus.log().trim(topic, state.next).await?;
            }
        }
        Ok(())
    }

    async fn follow(self: &Arc<Self>, mut changes: tokio::sync::watch::Receiver<u64>, mut told: Told) {
        loop {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                function = told.recv() => match function {
                    Some(function) => drop(lock(&self.called).insert(function)),
                    None => return,
                },
                // A worker has lost its position to a removal; the app may be there again.
                () = self.parts.lost.notified() => {}
            }
            if let Err(fault) = self.arrange().await {
                tracing::error!(%fault, "subscriptions could not be started");
            }
        }
    }

    /// Starts and stops workers so that they are those of the live table.
    async fn arrange(self: &Arc<Self>) -> Result<()> {
        let _one_at_a_time = self.arranging.lock().await;
        let table = Arc::clone(&self.parts.live.load());
        let current = table.acting().values().map(|app| &*app.current.spec);
        self.parts.bus.configure(current).await?;
        let wanted = self.wanted(&table)?;
        let gone: Vec<((Key, TopicName), Handle)> = {
            let mut workers = lock(&self.workers);
            let is_wanted = |place: &(Key, TopicName), handle: &Handle| {
                wanted.get(place).is_some_and(|(role, life)| (role, life) == (&handle.role, &handle.life))
            };
            let gone = workers.iter().filter(|(place, handle)| !is_wanted(place, handle));
            let gone: Vec<(Key, TopicName)> = gone.map(|(place, _)| place.clone()).collect();
            gone.into_iter().filter_map(|place| workers.remove_entry(&place)).collect()
        };
        for (place, handle) in gone {
            handle.tell(Wish::Stop).await;
            self.let_end(place, handle);
        }
        for (place, (role, life)) in wanted {
            let known = lock(&self.workers).get(&place).cloned().filter(|handle| !handle.has_ended());
            match known {
                Some(handle) => handle.tell(Wish::Changed).await,
                None => {
                    let before = lock(&self.ending).get(&place).cloned();
                    if let Some(before) = before {
                        // It should have written its last position; if it takes too long, what it still
                        // delivers is delivered again.
                        let _ = timeout(GRACE_DEFAULT, before.ended()).await;
                    }
                    // What is removed meanwhile is told of by another table.
                    if let Some(handle) = worker::start(&self.parts, place.0.clone(), role, life).await? {
                        lock(&self.workers).insert(place, handle);
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits beside for a worker that delivers its last events.
    fn let_end(self: &Arc<Self>, place: (Key, TopicName), handle: Handle) {
        lock(&self.ending).insert(place.clone(), handle.clone());
        let this = Arc::clone(self);
        self.parts.tasks.start("subscription end", async move {
            handle.ended().await;
            lock(&this.ending).remove(&place);
            if !lock(&this.workers).contains_key(&place) {
                this.parts.bus.settle(&place.1, &place.0, None).await;
            }
        });
    }

    /// Every subscription that there has to be.
    fn wanted(&self, table: &LiveTable) -> Result<BTreeMap<(Key, TopicName), (Role, Life)>> {
        let mut wanted = Vec::new();
        for app in table.acting().values() {
            for revision in app.kept.values().chain([&app.current]) {
                let triggers = &revision.spec.triggers;
                let events = triggers
                    .subscriptions
                    .iter()
                    .map(|(name, spec)| (name, Role::Events(spec.topic.clone())));
                let runs = triggers.schedules.keys().map(|name| (name, Role::Runs));
                let roles = events.chain(runs);
                wanted.extend(roles.map(|(name, role)| (Key::new(&app.name, name), role, &app.life)));
            }
        }
        for (app, function) in lock(&self.called).iter() {
            if let Some(live) = table.app(app.as_str()) {
                let own = [Role::calls(app, function)?, Role::callbacks(app)?];
                wanted.extend(own.map(|(key, role)| (key, role, &live.life)));
            }
        }
        let places = wanted.into_iter().map(|(key, role, life)| {
            let topic = role.topic(&key.app);
            ((key, topic), (role, life.clone()))
        });
        Ok(places.collect())
    }

    /// Begins nothing any more, and lets what runs end and be saved.
    pub(crate) async fn stop(&self, grace: Duration) {
        let _one_at_a_time = self.arranging.lock().await;
        let workers: Vec<Handle> = std::mem::take(&mut *lock(&self.workers)).into_values().collect();
        for handle in &workers {
            handle.tell(Wish::Stop).await;
        }
        let ended = futures_util::future::join_all(workers.iter().map(Handle::ended));
        if timeout(grace, ended).await.is_err() {
            tracing::warn!("deliveries were still running and are made again after the next start");
        }
    }

    /// Subscriptions to topics, by app and name.
    pub(crate) async fn list(self: &Arc<Self>) -> Vec<SubscriptionInfo> {
        let keys: BTreeSet<Key> = lock(&self.workers).keys().map(|(key, _)| key.clone()).collect();
        let mut found = Vec::new();
        for key in keys {
            found.extend(self.get(&key).await.ok());
        }
        found
    }

    /// One subscription to a topic.
    ///
    /// # Errors
    /// `HOB-0807` when there is none.
    pub(crate) async fn get(self: &Arc<Self>, key: &Key) -> Result<SubscriptionInfo> {
        let handle = self.handle(key).await?;
        self.info(key, &handle).await.ok_or_else(|| not_found(key))
    }

    async fn info(&self, key: &Key, handle: &Handle) -> Option<SubscriptionInfo> {
        let table = Arc::clone(&self.parts.live.load());
        let (spec, current) = spec_of(table.app(key.app.as_str())?, key)?;
        let (stats, last_failure) = handle.ask(Wish::Stats).await.ok()?;
        let next = self.parts.bus.log().topic(&spec.topic).await.ok()?.map_or(1, |topic| topic.next);
        let Stats { cursor, settled_above, in_flight, waiting, blocked, paused, counters, .. } = stats;
        Some(SubscriptionInfo {
            app: key.app.clone(),
            name: key.name.clone(),
            spec: spec.clone(),
            current,
            paused,
            cursor,
            lag: next.saturating_sub(cursor).saturating_sub(settled_above),
            in_flight: in_flight as u64,
            waiting: waiting as u64,
            blocked: blocked as u64,
            delivered: counters.delivered,
            skipped: counters.skipped,
            failed: counters.retried + counters.dead,
            dead: counters.dead,
            missing: counters.missing,
            last_failure,
        })
    }

    /// Everything that reads a topic: subscriptions by their manifest, and those for asynchronous calls with
    /// their function.
    pub(crate) fn on(&self, topic: &TopicName) -> Vec<(Key, Option<FunctionName>)> {
        let workers = lock(&self.workers);
        let on_it = workers.iter().filter(|((_, of), _)| of == topic);
        let roles = on_it.filter_map(|((key, _), handle)| match &handle.role {
            Role::Events(_) | Role::Runs => Some((key.clone(), None)),
            Role::Calls(function) => Some((key.clone(), Some(function.clone()))),
            Role::Callbacks => None,
        });
        roles.collect()
    }

    /// Where a record is in a subscription, and how that is; `None` when there is none.
    pub(crate) async fn whereabouts(&self, key: &Key, topic: &TopicName, sequence: u64) -> Option<Look> {
        let handle = lock(&self.workers).get(&(key.clone(), topic.clone())).cloned()?;
        handle.ask(|answer| Wish::Look(sequence, answer)).await.ok()
    }

    /// Whether something of a subscription runs or waits; false when there is none.
    pub(crate) async fn is_busy(self: &Arc<Self>, key: &Key) -> bool {
        let Ok(handle) = self.handle(key).await else { return false };
        let topic = handle.role.topic(&key.app);
        let next = self.parts.bus.log().topic(&topic).await.ok().flatten().map_or(1, |topic| topic.next);
        // What is not read yet may be for it.
        handle.ask(Wish::Stats).await.is_ok_and(|(stats, _)| stats.pending > 0 || stats.next < next)
    }

    /// Delivers nothing for a subscription until it is resumed.
    ///
    /// # Errors
    /// `HOB-0807` when there is none.
    pub(crate) async fn pause(self: &Arc<Self>, key: &Key) -> Result<()> {
        self.handle(key).await?.ask(Wish::Pause).await?
    }

    /// Goes on with a subscription.
    ///
    /// # Errors
    /// `HOB-0807` when there is none.
    pub(crate) async fn resume(self: &Arc<Self>, key: &Key) -> Result<()> {
        self.handle(key).await?.ask(Wish::Resume).await?
    }

    /// Goes to another place with a subscription.
    ///
    /// # Errors
    /// `HOB-0807` when there is none, and those of the log.
    pub(crate) async fn seek(self: &Arc<Self>, key: &Key, to: StartAt) -> Result<()> {
        let handle = self.handle(key).await?;
        let sequence = self.parts.bus.within(&handle.role.topic(&key.app), to).await?;
        handle.ask(|answer| Wish::Seek(sequence, answer)).await?
    }

    /// The worker of a subscription; one that has just been deployed may have to be started first.
    async fn handle(self: &Arc<Self>, key: &Key) -> Result<Handle> {
        if let Some(handle) = self.known(key) {
            return Ok(handle);
        }
        self.arrange().await?;
        self.known(key).ok_or_else(|| not_found(key))
    }

    /// The worker that is there: the one on the topic that the newest revision says.
    fn known(&self, key: &Key) -> Option<Handle> {
        let table = self.parts.live.load();
        let spec = table.app(key.app.as_str()).and_then(|app| spec_of(app, key));
        let workers = lock(&self.workers);
        let found = match spec {
            Some((spec, _)) => workers.get(&(key.clone(), spec.topic.clone())),
            None => workers.iter().find(|((known, _), _)| known == key).map(|(_, handle)| handle),
        };
        found.cloned()
    }
}

/// What the current revision says of a subscription, or else the newest that has it.
fn spec_of<'a>(app: &'a LiveApp, key: &Key) -> Option<(&'a SubscriptionSpec, bool)> {
    let of = |spec: &'a hob_core::spec::AppSpec| spec.triggers.subscriptions.get(&key.name);
    match of(&app.current.spec) {
        Some(spec) => Some((spec, true)),
        None => app.kept.values().rev().find_map(|revision| Some((of(&revision.spec)?, false))),
    }
}

fn not_found(key: &Key) -> Fault {
    Fault::new(Code::SubscriptionNotFound, format!("there is no subscription `{key}`"))
        .hint("`hob sub ls` lists them")
}
