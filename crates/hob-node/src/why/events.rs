//! What is known of events: where they are, who was tried, and what became of them.

use super::calls::call_of;
use super::{FACTS, RECENT, Why};
use crate::bus::Placed;
use crate::bus::position::Key;
use crate::live::{LiveApp, LiveRevision};
use hob_core::event::record::Stored;
use hob_core::fact::{About, CallCause, Ending, Fact, SkipReason, What};
use hob_core::fault::Result;
use hob_core::filter::{Filters, Mismatch};
use hob_core::name::{FunctionName, TopicName};
use hob_core::port::ReadLimit;
use hob_core::trace::TraceId;
use hob_core::trigger::SubscriptionSpec;
use hob_core::unit::show_duration;
use hob_core::why::event::{self, EventEvidence, Tried};
use hob_core::wire::{DeadLetter, Story};
use std::sync::Arc;
use std::time::Duration;

/// Newest events of a topic among which an id is looked for when no fact names it.
const SEARCHED: u64 = 20_000;
/// Events that are read at a time.
const PAGE: ReadLimit = ReadLimit { records: 1000, bytes: 8 << 20 };
/// Dead letters among which that of an event is looked for.
const LETTERS: usize = 1000;

impl Why {
    /// The story of the event at a place; a dead letter's is that of its event.
    pub(super) async fn of_place(&self, topic: &TopicName, sequence: u64) -> Result<Story> {
        match self.bus.letter(topic, sequence).await {
            Ok(letter) => self.of_letter(&letter).await,
            Err(_) => self.of_event(topic, sequence, None).await,
        }
    }

    async fn of_event(&self, topic: &TopicName, sequence: u64, focus: Option<&str>) -> Result<Story> {
        let placed = self.bus.event(topic, sequence).await?;
        let mut facts = self.find(About::Event(topic.clone(), sequence), FACTS).await?;
        let trace = placed
            .as_ref()
            .map(|placed| TraceId(crate::bus::tell::trace(topic, sequence, &placed.stored).trace_id));
        if let Some(trace) = trace.or_else(|| facts.iter().find_map(|fact| fact.trace)) {
            for fact in self.with_events(self.find(About::Trace(trace), FACTS).await?).await? {
                if !facts.contains(&fact) {
                    facts.push(fact);
                }
            }
        }
        let tried = self.tried(topic, sequence, placed.as_ref(), &facts).await?;
        let evidence = EventEvidence {
            published_ms: placed.as_ref().map(|placed| placed.published_ms),
            kind: placed.as_ref().map(|placed| placed.stored.event.kind.as_str()),
            facts: &facts,
            tried: &tried,
            subscribed: &self.subscribed(),
            focus,
        };
        Ok(event::story(topic, sequence, &evidence))
    }

    /// A dead letter: of an event that was delivered in vain, or of one that was never published.
    async fn of_letter(&self, letter: &DeadLetter) -> Result<Story> {
        let mut story = if letter.from_sequence > 0 {
            self.of_event(&letter.from_topic, letter.from_sequence, Some(&letter.subscription)).await?
        } else {
            let fix = "look for functions that publish what they subscribe to; then drop the letter";
            hob_core::why::Cause::new(hob_core::wire::Verdict::Bad, letter.answer.clone().unwrap_or_default())
                .fix(fix)
                .owner(hob_core::code::Owner::Code)
                .code(letter.code.clone().unwrap_or_default())
                .story("")
        };
        story.subject = format!("dead letter {}/{}", letter.topic, letter.sequence);
        let show = format!("hob dlq show {} {}", letter.topic, letter.sequence);
        if !story.next.contains(&show) {
            story.next.insert(0, show);
        }
        Ok(story)
    }

    /// Every subscription of an event's topic.
    async fn tried(
        &self,
        topic: &TopicName,
        sequence: u64,
        placed: Option<&Placed>,
        facts: &[Fact],
    ) -> Result<Vec<Tried>> {
        let mut tried = Vec::new();
        for (key, role) in self.delivery.on(topic) {
            let stored = placed.map(|placed| &placed.stored);
            let only = stored.and_then(|stored| stored.only.as_ref());
            if only.is_some_and(|only| only.app != key.app || only.trigger != key.name) {
                continue;
            }
            let Some(app) = self.live.load().app(key.app.as_str()).cloned() else { continue };
            let function = match (&role, stored) {
                (Some(function), Some(stored))
                    if stored.event.subject.as_deref() != Some(function.as_str()) =>
                {
                    continue;
                }
                (role, _) => role.clone(),
            };
            tried.push(self.try_one(&key, function, &app, (topic, sequence), stored, facts).await?);
        }
        Ok(tried)
    }

    async fn try_one(
        &self,
        key: &Key,
        called: Option<FunctionName>,
        app: &Arc<LiveApp>,
        (topic, sequence): (&TopicName, u64),
        stored: Option<&Stored>,
        facts: &[Fact],
    ) -> Result<Tried> {
        let revision = pinned(app, stored);
        let spec = spec_of(&revision, app, key);
        let (place, paused) = self.delivery.whereabouts(key, topic, sequence).await.unwrap_or_default();
        let of_this = |fact: &&Fact| is_for(fact, key, topic, sequence);
        let calls: Vec<&Fact> = facts.iter().filter(of_this).filter(|fact| call_of(fact).is_some()).collect();
        let failed = calls.iter().rev().find_map(|fact| {
            call_of(fact).filter(|call| call.failed() || call.status >= Some(400)).map(|call| (*fact, call))
        });
        let failure = match failed {
            Some((fact, call)) => Some(self.known_of(fact, call).await?.cause(call)),
            None => None,
        };
        let function = called
            .as_ref()
            .or(spec.map(|spec| &spec.delivery.function))
            .or(failed.map(|(_, call)| &call.function));
        let order_by = spec.and_then(|spec| spec.order_by.clone());
        let event = stored.map(|stored| &stored.event);
        Ok(Tried {
            subscription: key.to_string(),
            function: function.map(ToString::to_string).unwrap_or_default(),
            paused,
            left_out: stored
                .filter(|_| called.is_none())
                .and_then(|stored| left_out(&revision, key, topic, stored)),
            revision: Some(revision.number),
            place,
            since_ms: first_with(app, key),
            key: order_by.and_then(|name| Some((name.clone(), event?.text(&name)?.into_owned()))),
            rate: spec
                .and_then(|spec| spec.rate)
                .map(|rate| format!("{}/{}", rate.events, show_duration(Duration::from_millis(rate.per_ms)))),
            attempts: spec.map_or_else(
                || call_attempts(&revision, called.as_ref()),
                |spec| spec.delivery.retry.attempts,
            ),
            failure,
            answered: calls
                .iter()
                .filter_map(|fact| call_of(fact))
                .any(|call| !call.failed() && call.status < Some(400)),
            letter: self.letter_for(key, topic, sequence, facts).await?,
        })
    }

    /// The dead letter of an event in a subscription, if it was given up and nobody has dealt with that.
    async fn letter_for(
        &self,
        key: &Key,
        topic: &TopicName,
        sequence: u64,
        facts: &[Fact],
    ) -> Result<Option<DeadLetter>> {
        let dead =
            facts.iter().rev().filter(|fact| is_for(fact, key, topic, sequence)).find_map(|fact| match &fact
                .what
            {
                What::Delivered(one) => match &one.ending {
                    Ending::Dead { topic, .. } => Some((topic, fact.time_ms)),
                    _ => None,
                },
                _ => None,
            });
        let Some((into, at_ms)) = dead else { return Ok(None) };
        let from = self.bus.log().seek(into, at_ms.saturating_sub(1000)).await.unwrap_or(0);
        let letters = self.bus.letters(into, from, LETTERS).await?;
        let name = key.to_string();
        Ok(letters.into_iter().find(|letter| {
            letter.subscription == name && letter.from_topic == *topic && letter.from_sequence == sequence
        }))
    }

    /// The place of the newest event with this id, where no fact names it.
    pub(super) async fn place_of(&self, id: &str) -> Result<Option<(TopicName, u64)>> {
        for (topic, state) in self.bus.log().topics().await? {
            if topic.is_own() {
                continue;
            }
            let mut from = state.next.saturating_sub(SEARCHED).max(state.first);
            let mut found = None;
            while from < state.next {
                let page = self.bus.read(&topic, from, PAGE).await?;
                if page.is_end(from) {
                    break;
                }
                from = page.next;
                found = page
                    .events
                    .iter()
                    .rev()
                    .find(|placed| placed.stored.event.id == id)
                    .map(|one| one.sequence)
                    .or(found);
            }
            if let Some(sequence) = found {
                return Ok(Some((topic, sequence)));
            }
        }
        Ok(None)
    }

    /// Topics that a current revision subscribes to.
    pub(super) fn subscribed(&self) -> Vec<TopicName> {
        let table = self.live.load();
        let specs = table.apps().values().flat_map(|app| app.current.spec.triggers.subscriptions.values());
        let mut topics: Vec<TopicName> = specs.map(|spec| spec.topic.clone()).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    /// How a subscription is.
    pub(super) async fn of_subscription(&self, key: &Key) -> Result<Story> {
        let info = self.delivery.get(key).await?;
        let facts = self
            .find_kinds(
                About::Trigger(key.app.clone(), key.name.clone()),
                &["delivered", "call", "skipped"],
                RECENT,
            )
            .await?;
        let (failed, _) = self.worst(&facts).await?;
        let telling: Vec<Fact> = facts.into_iter().filter(|fact| fact.what.failed()).collect();
        Ok(hob_core::why::trigger::subscription(&info, &telling, failed.as_ref()))
    }
}

/// Whether a fact is about the delivery of an event by a subscription.
fn is_for(fact: &Fact, key: &Key, topic: &TopicName, sequence: u64) -> bool {
    match &fact.what {
        What::Delivered(one) => {
            one.app == key.app
                && one.subscription == key.name
                && one.topic == *topic
                && one.sequence == sequence
        }
        What::Call(call) if call.app == key.app => match &call.cause {
            CallCause::Event { subscription, topic: of, sequence: number, .. } => {
                *subscription == key.name && of == topic && *number == sequence
            }
            CallCause::Schedule { schedule, sequence: number, .. } => {
                *schedule == key.name && topic.is_own() && *number == sequence
            }
            CallCause::Asynchronous { sequence: number, .. } => topic.is_own() && *number == sequence,
            _ => false,
        },
        _ => false,
    }
}

/// The revision that an event belongs to: the one that published it, if it is of this app and kept.
fn pinned(app: &LiveApp, stored: Option<&Stored>) -> Arc<LiveRevision> {
    let cause = stored.and_then(|stored| stored.cause.as_ref()).filter(|cause| cause.app == app.name);
    let pinned = cause.and_then(|cause| app.kept.get(&cause.revision));
    Arc::clone(pinned.unwrap_or(&app.current))
}

/// What the event's revision says of the subscription, else the newest one that has it.
fn spec_of<'a>(revision: &'a LiveRevision, app: &'a LiveApp, key: &Key) -> Option<&'a SubscriptionSpec> {
    let of = |revision: &'a LiveRevision| revision.spec.triggers.subscriptions.get(&key.name);
    of(revision).or_else(|| app.kept.values().rev().find_map(|revision| of(revision)))
}

/// Why the subscription leaves an event out, by the words of the event's revision.
fn left_out(revision: &LiveRevision, key: &Key, topic: &TopicName, stored: &Stored) -> Option<SkipReason> {
    if topic.is_own() || stored.only.is_some() {
        return None;
    }
    let spec = revision.spec.triggers.subscriptions.get(&key.name).filter(|spec| spec.topic == *topic);
    let Some(spec) = spec else { return Some(SkipReason::NoTrigger) };
    explain(spec, &stored.event)
}

/// The clause of a subscription's filter that an event does not match.
pub(super) fn explain(spec: &SubscriptionSpec, event: &hob_core::event::Event) -> Option<SkipReason> {
    let mismatch = Filters::compile(&spec.filters).ok()?.explain(event).err()?;
    let Mismatch { clause, wanted, seen } = mismatch;
    Some(SkipReason::Filter { clause, wanted, seen })
}

fn call_attempts(revision: &LiveRevision, function: Option<&FunctionName>) -> u32 {
    let spec = function.and_then(|function| revision.spec.functions.get(function));
    spec.map_or(1, |spec| spec.asynchronous.retry.attempts)
}

/// When the first kept revision with the subscription was deployed.
fn first_with(app: &LiveApp, key: &Key) -> Option<u64> {
    let first = app.kept.values().next()?;
    let with =
        app.kept.values().find(|revision| revision.spec.triggers.subscriptions.contains_key(&key.name))?;
    // What the oldest kept one has may be older than that.
    (with.number != first.number || with.number.0 == 1).then_some(with.created_ms)
}
