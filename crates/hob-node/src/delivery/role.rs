//! What a subscription is there for: events of a topic, runs of a schedule, calls, or their results.
//!
//! **How.** All of them are positions in topics driven by one machine ([`super::worker`]); what differs
//! is which records are for it, how one is delivered, and what is written when one is given up.

use super::Parts;
use super::attempt::{Attempt, Attempted, record_of};
use super::batch::{Batch, Item, gathering};
use super::call;
use crate::bus::Placed;
use crate::bus::dead::{Failure, Letter};
use crate::bus::position::Key;
use crate::bus::tell;
use crate::calls;
use crate::clock::now_ms;
use crate::live::{Life, LiveRevision};
use crate::telemetry::Budget;
use hob_core::aws::asynchronous::widest;
use hob_core::code::Code;
use hob_core::event::record::{Cause, Stored};
use hob_core::fact::{Delivered, Ending, SkipReason, Skipped, What};
use hob_core::fault::{Fault, Result};
use hob_core::filter::{Filters, Mismatch};
use hob_core::id::InvocationId;
use hob_core::limit::{
    ASYNC_CONCURRENCY, CALLBACK_ATTEMPTS, EVENT_BATCH_MAX, FACTS_EVENTS_PER_SECOND, SUBSCRIPTION_WINDOW_MAX,
};
use hob_core::name::{AppName, FunctionName, RevisionNumber, TopicName, TriggerName};
use hob_core::port::Durability;
use hob_core::subscription::{Delivery, Gathering, Outcome, Rate, Reason, Settings, Wanted};
use hob_core::trace::TraceId;
use hob_core::trigger::{DeliverySpec, RetrySpec};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// What a subscription is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Events of a topic, by the manifest.
    Events(TopicName),
    /// Runs of a schedule.
    Runs,
    /// Asynchronous calls of a function.
    Calls(FunctionName),
    /// Results of such calls that somebody wants to have sent.
    Callbacks,
}

/// What names of the node's own subscriptions begin with.
const CALLS: &str = "hob-calls-";
const CALLBACKS: &str = "hob-callbacks";

impl Role {
    /// The subscription for a function's asynchronous calls.
    ///
    /// # Errors
    /// `HOB-0104`: never, since a function's name is short.
    pub(crate) fn calls(app: &AppName, function: &FunctionName) -> Result<(Key, Self)> {
        let name = TriggerName::new(&format!("{CALLS}{function}"))?;
        Ok((Key::new(app, &name), Self::Calls(function.clone())))
    }

    /// The subscription for an app's callbacks.
    ///
    /// # Errors
    /// `HOB-0104`: never.
    pub(crate) fn callbacks(app: &AppName) -> Result<(Key, Self)> {
        Ok((Key::new(app, &TriggerName::new(CALLBACKS)?), Self::Callbacks))
    }

    /// The topic whose records it reads.
    pub(super) fn topic(&self, app: &AppName) -> TopicName {
        match self {
            Self::Events(topic) => topic.clone(),
            Self::Runs => TopicName::own("schedules", app),
            Self::Calls(_) => calls::calls_topic(app),
            Self::Callbacks => calls::results_topic(app),
        }
    }
}

/// A subscription at work on its records: knows the app's revisions, and keeps compiled filters.
pub(super) struct Desk {
    pub(super) parts: Arc<Parts>,
    pub(super) key: Key,
    pub(super) role: Role,
    pub(super) topic: TopicName,
    /// Of the app.
    life: Life,
    /// `None`: they cannot be understood.
    filters: HashMap<RevisionNumber, Option<Filters>>,
    hasher: RandomState,
    /// For events that are left out.
    told: Budget,
}

impl Desk {
    pub(super) fn new(parts: Arc<Parts>, key: Key, role: Role, life: Life) -> Self {
        let topic = role.topic(&key.app);
        let (filters, hasher) = (HashMap::new(), RandomState::new());
        Self { parts, key, role, topic, life, filters, hasher, told: Budget::new(FACTS_EVENTS_PER_SECOND) }
    }

    /// Whether the app was removed: what is there under its name now, and its positions, are not this subscription's.
    pub(super) fn is_over(&self) -> bool {
        self.parts.live.load().app(self.key.app.as_str()).is_none_or(|app| app.life != self.life)
    }

    /// The revision that handles a record: the one that published it, if it is of this app and kept;
    /// else the current one.
    pub(super) fn revision_of(&self, stored: &Stored) -> Option<Arc<LiveRevision>> {
        let table = self.parts.live.load();
        let pinned = stored.cause.as_ref().filter(|cause| cause.app == self.key.app);
        pinned
            .and_then(|Cause { revision, .. }| table.revision(&self.key.app, *revision))
            .or_else(|| table.app(self.key.app.as_str()).map(|app| Arc::clone(&app.current)))
    }

    /// How a revision wants it delivered; `None`: it has no such trigger.
    pub(super) fn spec<'a>(&self, revision: &'a LiveRevision) -> Option<&'a DeliverySpec> {
        let triggers = &revision.spec.triggers;
        match &self.role {
            Role::Events(topic) => {
                let spec = triggers.subscriptions.get(&self.key.name)?;
                (spec.topic == *topic).then_some(&spec.delivery)
            }
            Role::Runs => triggers.schedules.get(&self.key.name).map(|spec| &spec.delivery),
            Role::Calls(_) | Role::Callbacks => None,
        }
    }

    /// The machine's settings: those of the current revision, else of the newest kept one that has it.
    pub(super) fn settings(&self) -> Settings {
        let table = self.parts.live.load();
        let Some(app) = table.app(self.key.app.as_str()) else { return Settings::default() };
        let mut revisions = std::iter::once(&app.current).chain(app.kept.values().rev());
        match &self.role {
            Role::Events(_) | Role::Runs => revisions
                .find_map(|revision| {
                    let spec = self.spec(revision)?;
                    let subscription = revision.spec.triggers.subscriptions.get(&self.key.name);
                    let rate = subscription.and_then(|subscription| subscription.rate);
                    Some(Settings {
                        ordered: subscription.is_some_and(|subscription| subscription.order_by.is_some()),
                        rate: rate.map(|rate| Rate { events: rate.events, interval_ms: rate.per_ms }),
                        ..retry(&spec.retry, events_at_a_time(spec))
                    })
                })
                .unwrap_or_default(),
            Role::Calls(function) => revisions
                .find_map(|revision| revision.spec.functions.get(function))
                // Each call has limits of its own within these.
                .map(|spec| retry(&widest(&spec.asynchronous.retry), ASYNC_CONCURRENCY))
                .unwrap_or_default(),
            Role::Callbacks => retry(&RetrySpec::of(CALLBACK_ATTEMPTS), ASYNC_CONCURRENCY),
        }
    }

    /// How events are gathered into calls, by the current revision, else the newest kept one that has the trigger; `None`:
    /// each event has its own.
    pub(super) fn gathering(&self) -> Option<Gathering> {
        let table = self.parts.live.load();
        let app = table.app(self.key.app.as_str())?;
        let mut revisions = std::iter::once(&app.current).chain(app.kept.values().rev());
        revisions.find_map(|revision| Some(gathering(self.spec(revision)?, revision)))?
    }

    /// Whether a record is for this subscription.
    pub(super) fn wanted(&mut self, placed: &Placed) -> (Wanted, Option<u64>) {
        let stored = &placed.stored;
        match &self.role {
            Role::Calls(function) => {
                let own = stored.event.subject.as_deref() == Some(function.as_str());
                return (if own { Wanted::Deliver } else { Wanted::Skip }, None);
            }
            Role::Callbacks => {
                let message = calls::Message::of(placed);
                let own = message.is_some_and(|message| message.callback().is_some());
                return (if own { Wanted::Deliver } else { Wanted::Skip }, None);
            }
            Role::Events(_) | Role::Runs => {}
        }
        let others = stored.only.as_ref().map_or(self.role == Role::Runs, |only| {
            only.app != self.key.app || only.trigger != self.key.name
        });
        if others {
            return (Wanted::Skip, None);
        }
        let revision = self.revision_of(stored);
        let Some(revision) = revision.filter(|revision| self.spec(revision).is_some()) else {
            return (Wanted::Skip, None);
        };
        if stored.only.is_none() && !self.matches(&revision, stored) {
            return (Wanted::Skip, None);
        }
        let key = self.order_key(&revision, stored);
        let expired = stored.event.expires_ms().is_some_and(|expires| expires <= crate::clock::now_ms());
        (if expired { Wanted::Expired } else { Wanted::Deliver }, key)
    }

    fn matches(&mut self, revision: &LiveRevision, stored: &Stored) -> bool {
        let Some(spec) = revision.spec.triggers.subscriptions.get(&self.key.name) else { return true };
        let filters = self.filters.entry(revision.number).or_insert_with(|| {
            // They were checked at deploy, by another version of Hob perhaps.
            let compiled = Filters::compile(&spec.filters);
            compiled
                .map_err(|fault| tracing::error!(%fault, subscription = %self.key, "it matches nothing"))
                .ok()
        });
        filters.as_ref().is_some_and(|filters| filters.matches(&stored.event))
    }

    /// Tells why an event is left out, as far as the budget allows.
    pub(super) fn tell_skipped(&self, placed: &Placed) {
        let stored = &placed.stored;
        let tells = matches!(self.role, Role::Events(_)) && stored.only.is_none();
        let revision = self.revision_of(stored).filter(|_| tells && self.told.spend(now_ms()));
        let Some(revision) = revision else { return };
        let reason = match self.spec(&revision) {
            None => SkipReason::NoTrigger,
            Some(_) => {
                let filters = self.filters.get(&revision.number).and_then(Option::as_ref);
                let mismatch = filters.and_then(|filters| filters.explain(&stored.event).err());
                let Some(Mismatch { clause, wanted, seen }) = mismatch else { return };
                SkipReason::Filter { clause, wanted, seen }
            }
        };
        let skipped = Skipped {
            app: self.key.app.clone(),
            subscription: self.key.name.clone(),
            revision: revision.number,
            topic: self.topic.clone(),
            sequence: placed.sequence,
            reason,
        };
        let trace = tell::trace(&self.topic, placed.sequence, stored);
        self.parts.bus.telemetry().now(Some(TraceId(trace.trace_id)), What::Skipped(Box::new(skipped)));
    }

    /// Tells that somebody moves the subscription, where that passes events over.
    pub(super) fn tell_sought(&self, from: u64, to: u64) {
        let Role::Events(_) = self.role else { return };
        let revision = self.parts.live.load().app(self.key.app.as_str()).map(|app| app.current.number);
        let Some(revision) = revision.filter(|_| to > from) else { return };
        let skipped = Skipped {
            app: self.key.app.clone(),
            subscription: self.key.name.clone(),
            revision,
            topic: self.topic.clone(),
            sequence: to - 1,
            reason: SkipReason::Seek { from },
        };
        self.parts.bus.telemetry().now(None, What::Skipped(Box::new(skipped)));
    }

    /// Tells what became of an attempt that did not settle its event.
    pub(super) fn tell(&self, delivery: Delivery, ending: Ending, failure: Option<&Failure>) {
        // What merely waits for a place may do so a thousand times.
        if matches!(ending, Ending::Overloaded { .. }) && !self.told.spend(now_ms()) {
            return;
        }
        let invocation = failure.and_then(|failure| InvocationId::parse(failure.invocation.as_deref()?));
        let delivered = Delivered {
            app: self.key.app.clone(),
            subscription: self.key.name.clone(),
            topic: self.topic.clone(),
            sequence: delivery.sequence,
            attempt: delivery.attempt,
            invocation,
            ending,
            failure: failure.map(Failure::text).filter(|text| !text.is_empty()),
        };
        self.parts.bus.telemetry().now(None, What::Delivered(Box::new(delivered)));
    }

    /// Where a record goes that is given up.
    pub(super) fn dead_topic(&self, placed: &Placed) -> TopicName {
        let revision = self.revision_of(&placed.stored);
        let spec = revision.as_ref().and_then(|revision| self.spec(revision));
        spec.map_or_else(|| self.topic.dead(), |spec| spec.dead_letter.clone())
    }

    fn order_key(&self, revision: &LiveRevision, stored: &Stored) -> Option<u64> {
        let spec = revision.spec.triggers.subscriptions.get(&self.key.name)?;
        let value = stored.event.text(spec.order_by.as_deref()?)?;
        Some(self.hasher.hash_one(&*value))
    }

    /// The app has other revisions.
    pub(super) fn forget_filters(&mut self) {
        self.filters.clear();
    }

    /// Makes an attempt.
    pub(super) fn attempt(
        &self,
        placed: Placed,
        delivery: Delivery,
    ) -> impl Future<Output = Attempted> + Send + use<> {
        let (parts, key, role, topic) =
            (Arc::clone(&self.parts), self.key.clone(), self.role.clone(), self.topic.clone());
        let revision = self.revision_of(&placed.stored);
        let spec = revision.as_ref().and_then(|revision| self.spec(revision)).cloned();
        async move {
            let Some(revision) = revision else {
                let what = format!("there is no app `{}` any more", key.app);
                return Attempted::refused(&Fault::new(Code::AppNotFound, what), Outcome::Rejected);
            };
            match (&role, spec) {
                (Role::Calls(function), _) => {
                    call::make(&parts, &revision, function, &placed, delivery.attempt).await
                }
                (Role::Callbacks, _) => call::call_back(&parts, &revision, &placed).await,
                (_, Some(spec)) => {
                    let (bus, key, topic, placed) = (&*parts.bus, &key, &topic, &placed);
                    let number = delivery.attempt;
                    Attempt { bus, key, spec: &spec, revision, topic, placed, number, quiet: false }
                        .make()
                        .await
                }
                (_, None) => {
                    let what = format!("revision {} has no trigger `{}`", revision.number, key.name);
                    Attempted::refused(&Fault::new(Code::SubscriptionNotFound, what), Outcome::Rejected)
                }
            }
        }
    }

    /// Makes an attempt of several records: one call for those of one revision that wants batches, else one for each.
    pub(super) fn attempt_all(
        &self,
        items: Vec<Item>,
    ) -> impl Future<Output = Vec<(Delivery, Attempted)>> + Send + use<> {
        let (parts, key, topic) = (Arc::clone(&self.parts), self.key.clone(), self.topic.clone());
        let (mut batches, mut alone) =
            (BTreeMap::<RevisionNumber, (Arc<LiveRevision>, Vec<Item>)>::new(), Vec::new());
        for (delivery, placed) in items {
            let revision = self.revision_of(&placed.stored);
            let batched =
                |revision: &Arc<LiveRevision>| self.spec(revision).is_some_and(|spec| spec.batch.is_some());
            match revision.filter(batched) {
                Some(revision) => {
                    let of = batches.entry(revision.number).or_insert_with(|| (revision, Vec::new()));
                    of.1.push((delivery, placed));
                }
                None => {
                    let attempt = self.attempt(placed, delivery);
                    alone.push(async move { (delivery, attempt.await) });
                }
            }
        }
        let specs: Vec<_> = batches
            .into_values()
            .filter_map(|(revision, items)| Some((self.spec(&revision)?.clone(), revision, items)))
            .collect();
        async move {
            let mut attempted = futures_util::future::join_all(alone).await;
            for (spec, revision, items) in specs {
                let Some(batch) = spec.batch else { continue };
                let (bus, key, spec, topic) = (&*parts.bus, &key, &spec, &topic);
                let call = Batch { bus, key, spec, batch, revision, topic, quiet: false };
                let outcomes = call.make(&items).await;
                attempted.extend(items.iter().map(|(delivery, _)| *delivery).zip(outcomes));
            }
            attempted
        }
    }

    /// Writes what is to be written of a record that is given up.
    pub(super) fn bury(
        &self,
        placed: Placed,
        (delivery, reason): (Delivery, Reason),
        attempts: u32,
        failure: Failure,
    ) -> impl Future<Output = Result<()>> + Send + use<> {
        let (parts, key, role, topic) =
            (Arc::clone(&self.parts), self.key.clone(), self.role.clone(), self.topic.clone());
        let revision = self.revision_of(&placed.stored);
        let spec = revision.as_ref().and_then(|revision| self.spec(revision)).cloned();
        let dead = self.dead_topic(&placed);
        async move {
            let letter = Letter {
                subscription: Some(key.clone()),
                topic: topic.clone(),
                sequence: placed.sequence,
                generation: delivery.generation,
                reason: word(reason),
                attempts,
                failure,
            };
            match &role {
                Role::Calls(function) => {
                    return call::give_up(&parts, revision.as_deref(), function, &placed, &letter).await;
                }
                Role::Callbacks => return parts.bus.bury(&topic.dead(), &placed.stored, &letter).await,
                Role::Events(_) | Role::Runs => {}
            }
            parts.bus.bury(&dead, &placed.stored, &letter).await?;
            let failed = spec.as_ref().and_then(|spec| Some((spec, spec.on_failure.as_ref()?)));
            if let Some((spec, into)) = failed {
                let event =
                    record_of(&key, &spec.function, &placed, attempts, condition(reason), &letter.failure);
                let stored = Stored { hops: placed.stored.hops + 1, ..Stored::new(event) };
                parts.bus.publish(into, vec![stored], Durability::Disk).await?;
            }
            Ok(())
        }
    }
}

/// Events whose attempts run at a time: of batches as many as all calls can have.
fn events_at_a_time(spec: &DeliverySpec) -> u32 {
    let events = spec.batch.map_or(1, |batch| u64::from(batch.events).min(EVENT_BATCH_MAX as u64));
    let most = u64::from(spec.concurrency) * events.max(1);
    u32::try_from(most.min(SUBSCRIPTION_WINDOW_MAX as u64)).unwrap_or(u32::MAX)
}

fn retry(spec: &RetrySpec, concurrency: u32) -> Settings {
    Settings {
        attempts: spec.attempts,
        backoff_min_ms: spec.backoff_min_ms,
        backoff_max_ms: spec.backoff_max_ms,
        age_ms: spec.age_ms,
        ordered: false,
        concurrency,
        rate: None,
    }
}

/// A reason in one word, as dead letters have it.
pub(super) fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Attempts => "attempts",
        Reason::Age => "age",
        Reason::Rejected => "rejected",
        Reason::Expired => "expired",
        Reason::Crashes => "crashes",
    }
}

/// A reason as AWS Lambda's destinations name it.
pub(super) fn condition(reason: Reason) -> &'static str {
    match reason {
        Reason::Age | Reason::Expired => "EventAgeExceeded",
        Reason::Attempts | Reason::Rejected | Reason::Crashes => "RetriesExhausted",
    }
}
