//! The bus of one node: events go into topics, and whoever waits for them learns it.
//!
//! **Why.** Everything that publishes (requests, functions, schedules, answers, people) goes through
//! [`Bus::publish`], so checks, the loop guard and the wake-up of subscribers are in one place.
//!
//! **How.** [`hob_core::port::Log`] keeps the records; here they are events with what the node knows
//! of them ([`Stored`]). `ingress` reads events out of requests, `dead` keeps what was given up,
//! `position` is where subscriptions are stored, `topics` says what topics keep.
//!
//! **Not here:** who gets an event ([`crate::delivery`]).

pub(crate) mod dead;
pub(crate) mod ingress;
pub(crate) mod position;
pub(crate) mod tell;
mod topics;

use crate::allowance::Allowance;
use crate::identity;
use crate::room::Room;
use crate::sync::lock;
use crate::telemetry::{Budget, Telemetry};
use hob_core::code::Code;
use hob_core::event::record::{self, Stored};
use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use hob_core::limit::{EVENT_BATCH_BYTES_MAX, EVENT_BATCH_MAX, EVENT_HOPS_MAX, FACTS_EVENTS_PER_SECOND};
use hob_core::name::TopicName;
use hob_core::port::{Durability, Log, NewRecord, ReadLimit, State, TopicSettings};
use hob_core::space::Resource;
use hob_core::spec::AppSpec;
use hob_core::trigger::StartAt;
use hob_core::wire::Published;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tell::Teller;
use tokio::sync::{MutexGuard, watch};
use topics::Topics;

/// Publishes, reads, and wakes those who wait.
pub(crate) struct Bus {
    log: Arc<dyn Log>,
    state: Arc<dyn State>,
    /// The sequence after the last published one, for those who wait for it.
    arrivals: Mutex<HashMap<TopicName, watch::Sender<u64>>>,
    topics: Topics,
    /// Room for the bodies of requests.
    room: Room,
    /// Held while the log is told what is settled, so that it hears the newest last.
    settling: tokio::sync::Mutex<()>,
    /// Held while the set of dead letters that are dealt with changes.
    letters: tokio::sync::Mutex<()>,
    telemetry: Arc<Telemetry>,
    /// For what went well.
    told: Budget,
    /// What the space may have.
    allowance: Arc<Allowance>,
    /// Held while a topic begins, so that no two are the last one that may.
    beginning: tokio::sync::Mutex<()>,
}

/// An event at its place.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// Its number.
    pub(crate) sequence: u64,
    /// When it was published, milliseconds since the Unix epoch.
    pub(crate) published_ms: u64,
    /// The event.
    pub(crate) stored: Stored,
}

/// Some events of a topic.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// In order.
    pub(crate) events: Vec<Placed>,
    /// Where to go on. What is neither here nor comes from there on is gone.
    pub(crate) next: u64,
}

impl Events {
    /// Whether nothing stands in the topic from `from` on, where it was read.
    pub(crate) fn is_end(&self, from: u64) -> bool {
        self.events.is_empty() && self.next <= from
    }
}

impl Bus {
    pub(crate) fn new(
        log: Arc<dyn Log>,
        state: Arc<dyn State>,
        telemetry: Arc<Telemetry>,
        allowance: Arc<Allowance>,
    ) -> Arc<Self> {
        Arc::new(Self {
            log,
            state,
            arrivals: Mutex::default(),
            topics: Topics::default(),
            room: Room::shared(allowance.ingress_bytes(), EVENT_BATCH_BYTES_MAX),
            settling: tokio::sync::Mutex::default(),
            letters: tokio::sync::Mutex::default(),
            telemetry,
            told: Budget::new(FACTS_EVENTS_PER_SECOND),
            allowance,
            beginning: tokio::sync::Mutex::default(),
        })
    }

    /// Checks events and appends them, all or none; returns when they are as safe as asked.
    ///
    /// # Errors
    /// `HOB-0801` and `HOB-0802` for an event that is none or too large, `HOB-0806` for one that is
    /// too deep in a chain (it is in the dead-letter topic then), and those of [`Log::append`].
    pub(crate) async fn publish(
        &self,
        topic: &TopicName,
        events: Vec<Stored>,
        durability: Durability,
    ) -> Result<Vec<Published>> {
        self.publish_by(topic, events, durability, None).await
    }

    /// The same for events that a request brings.
    ///
    /// # Errors
    /// Those of [`Bus::publish`].
    pub(crate) async fn publish_by(
        &self,
        topic: &TopicName,
        events: Vec<Stored>,
        durability: Durability,
        by: Option<InvocationId>,
    ) -> Result<Vec<Published>> {
        let events = match by {
            Some(by) => events.into_iter().map(|stored| traced(stored, by)).collect(),
            None => events,
        };
        let teller = Teller::new(&self.telemetry, &self.told, topic, &events, by);
        let published = self.check_and_append(topic, events, durability).await;
        teller.tell(topic, &published);
        published
    }

    async fn check_and_append(
        &self,
        topic: &TopicName,
        events: Vec<Stored>,
        durability: Durability,
    ) -> Result<Vec<Published>> {
        if events.len() > EVENT_BATCH_MAX {
            let what = format!("{} events come at once, the limit is {EVENT_BATCH_MAX}", events.len());
            return Err(Fault::new(Code::EventTooLarge, what).hint("send them in several batches"));
        }
        events.iter().try_for_each(|stored| stored.event.check())?;
        if let Some(deep) = events.iter().position(|stored| stored.hops > EVENT_HOPS_MAX) {
            return Err(self.stop_loop(topic, events, deep).await);
        }
        let records = events.iter().map(|stored| NewRecord {
            payload: record::encode(stored),
            // What is meant for one subscription was there before.
            key: stored.only.is_none().then(|| stored.event.key()),
        });
        let records: Vec<NewRecord> = records.collect();
        self.keep_and_append(topic, records, durability).await
    }

    /// Appends records, if the space may have so much more and the topic.
    async fn keep_and_append(
        &self,
        topic: &TopicName,
        records: Vec<NewRecord>,
        durability: Durability,
    ) -> Result<Vec<Published>> {
        self.allowance.keep(records.iter().map(|record| record.payload.len() as u64).sum()).await?;
        let _beginning = self.begin(topic).await?;
        self.append(topic, records, durability).await
    }

    /// Checks that the space may have another topic, if this is one; holds up others that begin meanwhile.
    async fn begin(&self, topic: &TopicName) -> Result<Option<MutexGuard<'_, ()>>> {
        if topic.is_own() || !self.allowance.limits(Resource::Topics) || self.topics.is_known(topic) {
            return Ok(None);
        }
        let beginning = self.beginning.lock().await;
        if self.log.topic(topic).await?.is_some() {
            return Ok(None);
        }
        self.allowance.admit(Resource::Topics, self.topics_begun().await?, 1)?;
        Ok(Some(beginning))
    }

    /// How many topics there are, but for the node's own.
    ///
    /// # Errors
    /// Those of [`Log::topics`].
    pub(crate) async fn topics_begun(&self) -> Result<u64> {
        Ok(self.log.topics().await?.iter().filter(|(topic, _)| !topic.is_own()).count() as u64)
    }

    /// What the space may have.
    pub(crate) fn allowance(&self) -> &Arc<Allowance> {
        &self.allowance
    }

    /// Appends records and wakes those who wait for them.
    async fn append(
        &self,
        topic: &TopicName,
        records: Vec<NewRecord>,
        durability: Durability,
    ) -> Result<Vec<Published>> {
        if self.topics.prepare(&*self.log, topic).await? {
            self.settle_anew(topic).await?;
        }
        let appended = self.log.append(topic, records, durability).await?;
        if let Some(last) = appended.iter().filter(|appended| !appended.duplicate).map(|a| a.sequence).max() {
            self.arrived(topic, last + 1);
        }
        let published = appended.into_iter().map(|appended| Published {
            topic: topic.clone(),
            sequence: appended.sequence,
            duplicate: appended.duplicate,
            durability,
        });
        Ok(published.collect())
    }

    /// Dead-letters what is too deep in a chain; nothing of the batch is published.
    async fn stop_loop(&self, topic: &TopicName, mut events: Vec<Stored>, deep: usize) -> Fault {
        let stored = events.swap_remove(deep);
        let who = stored
            .cause
            .as_ref()
            .map_or_else(|| "a caller".to_owned(), |cause| format!("app `{}`", cause.app));
        let what = format!(
            "an event of {who} for topic `{topic}` is number {} in a chain of events that caused each other, the limit is {EVENT_HOPS_MAX}",
            stored.hops
        );
        let fault = Fault::new(Code::EventLoop, what).hint(format!(
            "look for functions that publish what they subscribe to; `hob dlq show {}` has the event. Where calls overlap in one instance, pass `traceparent` on, so that each publication is known to be its call's",
            topic.dead()
        ));
        let letter = dead::Letter::of_loop(topic, &fault);
        if let Err(failure) = self.bury(&topic.dead(), &stored, &letter).await {
            tracing::error!(%failure, %topic, "an event of a loop could not be dead-lettered");
            return failure;
        }
        tracing::warn!(%fault, "a loop of events is stopped");
        fault
    }

    /// Events from a sequence on; none when there are none yet.
    ///
    /// # Errors
    /// Those of [`Log::read`].
    pub(crate) async fn read(&self, topic: &TopicName, from: u64, limit: ReadLimit) -> Result<Events> {
        let page = self.log.read(topic, from, limit).await?;
        for (first, last) in page.missing.iter().filter(|(first, _)| *first > from) {
            tracing::error!(%topic, first, last, "events are lost: their file was damaged");
        }
        let mut events = Vec::with_capacity(page.records.len());
        for entry in page.records {
            match record::decode(&entry.payload) {
                Ok(stored) => {
                    events.push(Placed { sequence: entry.sequence, published_ms: entry.time_ms, stored });
                }
                Err(fault) => {
                    // Its checksum is right, so another version of Hob wrote it.
                    tracing::error!(%fault, %topic, sequence = entry.sequence, "an event cannot be understood");
                }
            }
        }
        Ok(Events { events, next: page.next })
    }

    /// The event with this sequence, if it is there.
    ///
    /// # Errors
    /// Those of [`Log::read`].
    pub(crate) async fn event(&self, topic: &TopicName, sequence: u64) -> Result<Option<Placed>> {
        let one = self.read(topic, sequence, ReadLimit { records: 1, bytes: 1 }).await?;
        Ok(one.events.into_iter().next().filter(|placed| placed.sequence == sequence))
    }

    /// The sequence with which somebody begins who starts there.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) async fn start(&self, topic: &TopicName, at: StartAt) -> Result<u64> {
        let state = self.log.topic(topic).await?;
        let (first, next) = state.map_or((1, 1), |state| (state.first, state.next));
        Ok(match at {
            StartAt::Now => next,
            StartAt::Beginning => first,
            StartAt::Sequence(sequence) => sequence.max(1),
            StartAt::Time(time_ms) => self.log.seek(topic, time_ms).await?.max(1),
        })
    }

    /// The sequence to which somebody goes who is told to: behind the last event is nothing to leave out.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) async fn within(&self, topic: &TopicName, at: StartAt) -> Result<u64> {
        Ok(self.start(topic, at).await?.min(self.start(topic, StartAt::Now).await?))
    }

    /// What tells of events that are published in a topic from now on: the sequence after the last one,
    /// 0 before the first.
    pub(crate) fn arrivals(&self, topic: &TopicName) -> watch::Receiver<u64> {
        self.arrival(topic).subscribe()
    }

    fn arrived(&self, topic: &TopicName, next: u64) {
        self.arrival(topic).send_if_modified(|known| {
            let later = next > *known;
            *known = next.max(*known);
            later
        });
    }

    fn arrival(&self, topic: &TopicName) -> watch::Sender<u64> {
        let mut arrivals = lock(&self.arrivals);
        if let Some(sender) = arrivals.get(topic) {
            return sender.clone();
        }
        arrivals.entry(topic.clone()).or_default().clone()
    }

    /// The log itself, for what is not about events.
    pub(crate) fn log(&self) -> &dyn Log {
        &*self.log
    }

    /// Who is told what happens.
    pub(crate) fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// The control state, for positions.
    pub(crate) fn state(&self) -> &dyn State {
        &*self.state
    }

    /// What a topic keeps now.
    pub(crate) fn settings(&self, topic: &TopicName) -> TopicSettings {
        self.topics.settings(topic)
    }

    /// Takes over what apps say about topics; `specs` are all current ones.
    ///
    /// # Errors
    /// Those of [`Log::configure`].
    pub(crate) async fn configure<'a>(&self, specs: impl Iterator<Item = &'a AppSpec>) -> Result<()> {
        self.topics.configure(&*self.log, specs).await
    }

    /// A subscription (`who`) waits for nothing before `sequence` any more; `None`: it is gone.
    pub(crate) async fn settle(&self, topic: &TopicName, who: &position::Key, sequence: Option<u64>) {
        let _in_order = self.settling.lock().await;
        if let Some(settled) = self.topics.settled(topic, who, sequence)
            && let Err(fault) = self.log.settle(topic, settled).await
        {
            tracing::warn!(%fault, %topic, "settled events are kept for now");
        }
    }

    /// From now on the log may remove what nobody waits for: every subscription has been named to
    /// [`Bus::settle`] once.
    ///
    /// # Errors
    /// Those of [`Log::topics`].
    pub(crate) async fn settle_rest(&self) -> Result<()> {
        self.topics.everybody_is_known();
        for (topic, _) in self.log.topics().await? {
            self.settle_anew(&topic).await?;
        }
        Ok(())
    }

    /// Tells the log once more what is settled.
    async fn settle_anew(&self, topic: &TopicName) -> Result<()> {
        let _in_order = self.settling.lock().await;
        match self.topics.settled_now(topic) {
            Some(settled) => self.log.settle(topic, settled).await,
            None => Ok(()),
        }
    }
}

/// The event in a trace: its own, or that of the request that brings it. One that nobody gives a trace gets one by
/// its place ([`tell::trace`]), which costs no byte.
fn traced(stored: Stored, by: InvocationId) -> Stored {
    if stored.trace.is_some() || stored.event.text("traceparent").is_some() {
        return stored;
    }
    Stored { trace: Some(identity::trace(by, None)), ..stored }
}

#[cfg(test)]
mod tests;
