//! What is known of events: where they are, who was tried, and what became of them.

use super::calls::call_of;
use super::{FACTS, RECENT, Why};
use crate::bus::Placed;
use crate::bus::position::Key;
use crate::live::{LiveApp, LiveRevision};
use hob_core::event::Event;
use hob_core::event::record::Stored;
use hob_core::fact::{About, Call, CallCause, Ending, Fact, SkipReason, What};
use hob_core::fault::Result;
use hob_core::filter::{Filters, Mismatch};
use hob_core::name::{FunctionName, TopicName};
use hob_core::near::nearest;
use hob_core::port::{BoxFuture, ReadLimit};
use hob_core::subscription::Whereabouts;
use hob_core::trace::TraceId;
use hob_core::trigger::SubscriptionSpec;
use hob_core::why::event::{self, EventEvidence, Tried};
use hob_core::why::trigger::rate_text;
use hob_core::why::{Cause, named_in};
use hob_core::wire::{DeadLetter, Story};
use std::sync::Arc;

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

    /// Told of the newest place of the event: a dead letter that was redriven has another one.
    fn of_event<'a>(
        &'a self,
        topic: &'a TopicName,
        sequence: u64,
        focus: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Story>> {
        Box::pin(async move {
            let placed = self.bus.event(topic, sequence).await?;
            if let Some(again) = self.redriven_as(topic, placed.as_ref()).await? {
                let mut story = self.of_event(topic, again, focus).await?;
                story.subject = format!("event {topic}/{sequence}, redriven as {topic}/{again}");
                return Ok(story);
            }
            let facts = self.facts_of(topic, sequence, placed.as_ref()).await?;
            let tried = self.tried(topic, sequence, placed.as_ref(), &facts).await?;
            let state = self.bus.log().topic(topic).await?;
            let redriven =
                placed.as_ref().is_some_and(|placed| placed.stored.only.is_some()) && !topic.is_own();
            let evidence = EventEvidence {
                published_ms: placed.as_ref().map(|placed| placed.published_ms),
                range: state.map(|state| (state.first, state.next)),
                redriven,
                facts: &facts,
                tried: &tried,
                subscribed: &self.subscribed(),
                focus,
            };
            Ok(event::story(topic, sequence, &evidence))
        })
    }

    /// The facts of an event's trace and its own.
    pub(super) async fn facts_of(
        &self,
        topic: &TopicName,
        sequence: u64,
        placed: Option<&Placed>,
    ) -> Result<Vec<Fact>> {
        let mut facts = self.find(About::Event(topic.clone(), sequence), FACTS).await?;
        let trace =
            placed.map(|placed| TraceId(crate::bus::tell::trace(topic, sequence, &placed.stored).trace_id));
        if let Some(trace) = trace.or_else(|| facts.iter().find_map(|fact| fact.trace)) {
            for fact in self.with_events(self.find(About::Trace(trace), FACTS).await?).await? {
                if !facts.contains(&fact) {
                    facts.push(fact);
                }
            }
        }
        Ok(facts)
    }

    /// Where an event is now that was given up and redriven.
    async fn redriven_as(&self, topic: &TopicName, placed: Option<&Placed>) -> Result<Option<u64>> {
        let Some(Placed { sequence, stored, .. }) = placed else { return Ok(None) };
        let facts = self.find(About::EventId(stored.event.id.clone()), RECENT).await?;
        let later = event::accepted(&facts).filter(|(_, event)| {
            event.topic == *topic && event.source == stored.event.source && event.sequence > *sequence
        });
        for (_, event) in later.collect::<Vec<_>>().into_iter().rev() {
            let again = self.bus.event(topic, event.sequence).await?;
            // The same event may be published anew, after its first one was forgotten.
            if again.is_some_and(|placed| placed.stored.only.is_some()) {
                return Ok(Some(event.sequence));
            }
        }
        Ok(None)
    }

    /// A dead letter: of an event that was delivered in vain, or of one that was never published.
    async fn of_letter(&self, letter: &DeadLetter) -> Result<Story> {
        let call = letter.from_topic.as_str().strip_prefix("hob.calls.").map(str::to_owned);
        let mut story = if let Some(app) = call {
            let secret = letter.event.get("id").and_then(|id| id.as_str()).unwrap_or_default();
            let id = format!("{app}.{}.{secret}", letter.from_sequence);
            self.of_asynchronous(&id, &hob_core::name::AppName::new(&app)?, letter.from_sequence).await?
        } else if letter.from_sequence > 0 {
            self.of_event(&letter.from_topic, letter.from_sequence, Some(&letter.subscription)).await?
        } else {
            event::of_loop(letter, &self.subscribers(&letter.from_topic))
        };
        story.subject = format!("dead letter {}/{}", letter.topic, letter.sequence);
        let show = format!("hob dlq show {} {}", letter.topic, letter.sequence);
        if !story.next.contains(&show) {
            story.next.insert(0, show);
        }
        Ok(story)
    }

    /// The subscriptions of a topic, by name alone.
    fn subscribers(&self, topic: &TopicName) -> Vec<Tried> {
        let on = self.delivery.on(topic).into_iter();
        on.map(|(key, _)| Tried { subscription: key.to_string(), ..Tried::default() }).collect()
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
            let one = self.try_one(&key, function, &app, (topic, sequence), placed, facts).await?;
            // One that a later revision has dropped, and that left the event out then, is nobody's business now.
            let former = !app.current.spec.triggers.subscriptions.contains_key(&key.name) && !topic.is_own();
            if !(former && matches!(one.left_out, Some(SkipReason::NoTrigger))) {
                tried.push(one);
            }
        }
        Ok(tried)
    }

    async fn try_one(
        &self,
        key: &Key,
        called: Option<FunctionName>,
        app: &Arc<LiveApp>,
        (topic, sequence): (&TopicName, u64),
        placed: Option<&Placed>,
        facts: &[Fact],
    ) -> Result<Tried> {
        let stored = placed.map(|placed| &placed.stored);
        let pinned = pinned(app, stored);
        let spec = spec_of(&pinned, app, key);
        let look = self.delivery.whereabouts(key, topic, sequence).await.unwrap_or_default();
        let calls: Vec<&Fact> = facts
            .iter()
            .filter(|fact| call_of(fact).is_some() && is_for(fact, key, topic, sequence))
            .collect();
        let failed = calls.iter().rev().find_map(|fact| {
            call_of(fact).filter(|call| call.failed() || call.status >= Some(400)).map(|call| (*fact, call))
        });
        let good = calls
            .iter()
            .filter_map(|fact| call_of(fact))
            .rfind(|call| !call.failed() && call.status < Some(400));
        let function = called
            .as_ref()
            .or_else(|| spec.map(|spec| &spec.delivery.function))
            .or_else(|| failed.map(|(_, call)| &call.function));
        let event = stored.map(|stored| &stored.event);
        let order_by = spec.and_then(|spec| spec.order_by.clone());
        let (letter, given_up) = self.letter_for(key, topic, sequence, facts).await?;
        let handled = good.map_or(pinned.number, |call| call.revision);
        let behind = match look.place {
            Whereabouts::Blocked { behind: Some(behind) } => self.why_stuck(key, topic, behind).await?,
            _ => None,
        };
        let told = told_then(key, topic, sequence, facts).filter(|_| good.is_none());
        let told = told.map(|reason| match event {
            Some(event) => in_full(reason, event),
            None => reason,
        });
        let now =
            stored.filter(|_| called.is_none()).and_then(|stored| left_out(&pinned, key, topic, stored));
        Ok(Tried {
            subscription: key.to_string(),
            function: function.map(ToString::to_string).unwrap_or_default(),
            paused: look.paused,
            left_out: told.or(now).filter(|_| good.is_none()),
            revision: Some(handled),
            newer: Some(app.current.number)
                .filter(|current| *current > handled && stored.is_some_and(|stored| stored.cause.is_some())),
            place: look.place,
            since_ms: first_with(app, key),
            key: order_by.and_then(|name| Some((name.clone(), event?.text(&name)?.into_owned()))),
            rate: spec.and_then(|spec| spec.rate).map(|rate| rate_text(rate.events.into(), rate.per_ms)),
            concurrency: (spec.map_or(0, |spec| spec.delivery.concurrency), look.in_flight),
            running: look.running,
            attempts: spec
                .map_or_else(|| call_attempts(&pinned, called.as_ref()), |spec| spec.delivery.retry.attempts),
            failure: self.last_failure((key, topic, sequence), facts, failed).await?,
            behind,
            answered: good.is_some(),
            dropped: given_up && letter.is_none(),
            letter,
            passed_over_ms: self.passed_over(key, topic, sequence, placed).await?,
        })
    }

    /// Why the last attempt came to nothing: it found no place among the calls of the space, or its call failed.
    pub(super) async fn last_failure(
        &self,
        (key, topic, sequence): (&Key, &TopicName, u64),
        facts: &[Fact],
        failed: Option<(&Fact, &Call)>,
    ) -> Result<Option<Cause>> {
        let put_back = facts.iter().rev().find_map(|fact| match &fact.what {
            What::Delivered(one) if matches!(one.ending, Ending::Overloaded { .. }) => {
                is_for(fact, key, topic, sequence).then_some((one.failure.as_deref()?, fact.time_ms))
            }
            _ => None,
        });
        let space = self.bus.allowance().space();
        let put_back = put_back.and_then(|(told, at_ms)| Some((event::no_place(space, told)?, at_ms)));
        Ok(match (put_back, failed) {
            (Some((cause, at_ms)), failed) if failed.is_none_or(|(fact, _)| fact.time_ms < at_ms) => {
                Some(cause)
            }
            (_, Some((fact, call))) => Some(self.known_of(fact, call).await?.cause(call)),
            _ => None,
        })
    }

    /// Why an event does not go on behind which others wait.
    async fn why_stuck(&self, key: &Key, topic: &TopicName, sequence: u64) -> Result<Option<Cause>> {
        let facts = self.find_kinds(About::Event(topic.clone(), sequence), &["call"], RECENT).await?;
        let failed = facts.iter().rev().find_map(|fact| {
            let call = call_of(fact).filter(|call| call.failed() || call.status >= Some(400))?;
            is_for(fact, key, topic, sequence).then_some((fact, call))
        });
        Ok(match failed {
            Some((fact, call)) => Some(self.known_of(fact, call).await?.cause(call)),
            None => None,
        })
    }

    /// When the subscription was moved beyond the event before it had dealt with it.
    async fn passed_over(
        &self,
        key: &Key,
        topic: &TopicName,
        sequence: u64,
        placed: Option<&Placed>,
    ) -> Result<Option<u64>> {
        let about = About::Trigger(key.app.clone(), key.name.clone());
        let facts = self.find_kinds(about, &["skipped"], RECENT).await?;
        let published_ms = placed.map_or(0, |placed| placed.published_ms);
        let over = facts.iter().rev().find(|fact| match &fact.what {
            What::Skipped(skipped) => {
                let SkipReason::Seek { from } = skipped.reason else { return false };
                skipped.topic == *topic
                    && (from..=skipped.sequence).contains(&sequence)
                    && fact.time_ms >= published_ms
            }
            _ => false,
        });
        Ok(over.map(|fact| fact.time_ms))
    }

    /// The dead letter of an event in a subscription, if nobody has dealt with it, and whether there was one.
    pub(super) async fn letter_for(
        &self,
        key: &Key,
        topic: &TopicName,
        sequence: u64,
        facts: &[Fact],
    ) -> Result<(Option<DeadLetter>, bool)> {
        let own = facts.iter().rev().filter(|fact| is_for(fact, key, topic, sequence));
        let dead = own.filter_map(|fact| match &fact.what {
            What::Delivered(one) => match &one.ending {
                Ending::Dead { topic, .. } => Some((topic, fact.time_ms)),
                _ => None,
            },
            _ => None,
        });
        let Some((into, at_ms)) = dead.into_iter().next() else { return Ok((None, false)) };
        let from = self.bus.log().seek(into, at_ms.saturating_sub(1000)).await.unwrap_or(0);
        let letters = self.bus.letters(into, from, LETTERS).await?;
        let name = key.to_string();
        let letter = letters.into_iter().find(|letter| {
            letter.subscription == name && letter.from_topic == *topic && letter.from_sequence == sequence
        });
        Ok((letter, true))
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
        let failed = self.newest_attempt(&facts).await?;
        let telling: Vec<Fact> = facts.into_iter().filter(|fact| fact.what.failed()).collect();
        let near = self.near_topic(&info.spec.topic).await?;
        Ok(hob_core::why::trigger::subscription(&info, &telling, failed.as_ref(), near.as_ref()))
    }

    /// The cause of the newest attempt that failed, a refusal as well.
    pub(super) async fn newest_attempt(&self, facts: &[Fact]) -> Result<Option<Cause>> {
        Ok(match newest_failed(facts) {
            Some((fact, call)) => Some(self.known_of(fact, call).await?.cause(call)),
            None => None,
        })
    }

    /// A topic with events to which nobody subscribes, and that is called nearly so.
    async fn near_topic(&self, topic: &TopicName) -> Result<Option<TopicName>> {
        let subscribed = self.subscribed();
        let all = self.bus.log().topics().await?;
        let lonely = |name: &TopicName| !name.is_own() && !subscribed.contains(name) && name != topic;
        let lonely: Vec<TopicName> = all.into_iter().map(|(name, _)| name).filter(lonely).collect();
        let near = nearest(topic.as_str(), lonely.iter().map(TopicName::as_str));
        Ok(near.and_then(|near| TopicName::new(near).ok()))
    }
}

/// The newest call that failed or was refused by its function.
pub(super) fn newest_failed(facts: &[Fact]) -> Option<(&Fact, &Call)> {
    facts.iter().rev().find_map(|fact| {
        call_of(fact).filter(|call| call.failed() || call.status >= Some(400)).map(|call| (fact, call))
    })
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
            CallCause::Event { subscription, topic: of, sequence: number, others, .. } => {
                *subscription == key.name
                    && of == topic
                    && (*number == sequence || others.contains(&sequence))
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

/// Why the subscription left the event out when it came to it, which may be by other words than those of now.
fn told_then(key: &Key, topic: &TopicName, sequence: u64, facts: &[Fact]) -> Option<SkipReason> {
    facts.iter().rev().find_map(|fact| match &fact.what {
        What::Skipped(skipped)
            if skipped.app == key.app
                && skipped.subscription == key.name
                && skipped.topic == *topic
                && skipped.sequence == sequence
                && !matches!(skipped.reason, SkipReason::Seek { .. }) =>
        {
            Some(skipped.reason.clone())
        }
        _ => None,
    })
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

/// The clause of a subscription's filter that an event does not match; of an expression with what the event has.
pub(super) fn explain(spec: &SubscriptionSpec, event: &Event) -> Option<SkipReason> {
    let mismatch = Filters::compile(&spec.filters).ok()?.explain(event).err()?;
    let Mismatch { clause, wanted, seen } = mismatch;
    Some(in_full(SkipReason::Filter { clause, wanted, seen }, event))
}

/// A reason with what the event has where an expression looks, not only that it is false.
fn in_full(reason: SkipReason, event: &Event) -> SkipReason {
    match reason {
        SkipReason::Filter { clause, wanted, seen } if clause == "sql" => {
            let has = named_in(&wanted, |name| event.text(name).map(std::borrow::Cow::into_owned));
            let has: Vec<String> = has.iter().map(|(name, value)| format!("{name} `{value}`")).collect();
            let seen = Some(has.join(", ")).filter(|has| !has.is_empty()).or(seen);
            SkipReason::Filter { clause, wanted, seen }
        }
        other => other,
    }
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
