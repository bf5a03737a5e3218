//! What is known of a topic: its subscriptions, its newest events, and topics that are called nearly so.

use super::RECENT;
use super::Why;
use super::events::explain;
use crate::bus::position::Key;
use hob_core::event::Event;
use hob_core::fact::{About, Fact, SkipReason, What};
use hob_core::fault::Result;
use hob_core::name::TopicName;
use hob_core::port::ReadLimit;
use hob_core::why::topic::{self, TopicEvidence, TopicTried};
use hob_core::wire::{Story, SubscriptionInfo};

/// Newest events whose types are looked at.
const NEWEST: u64 = 200;

impl Why {
    /// Why events of a topic do not arrive.
    pub(super) async fn of_topic(&self, name: &TopicName, kind: Option<&str>) -> Result<Story> {
        let known = self.bus.log().topics().await?;
        let state = known.iter().find(|(other, _)| other == name).map(|(_, state)| state.clone());
        let newest = match &state {
            Some(state) => self.newest(name, state.next).await?,
            None => Vec::new(),
        };
        let topics: Vec<TopicName> =
            known.into_iter().map(|(name, _)| name).filter(|name| !name.is_own()).collect();
        let mut tried = Vec::new();
        for info in
            self.delivery.list().await.into_iter().filter(|info| info.spec.topic == *name && info.current)
        {
            let left_out = match kind {
                Some(kind) => explain(&info.spec, &Event::new("?", "?", kind)).filter(by_type),
                None => newest.last().and_then(|event| explain(&info.spec, event)),
            };
            let failure = self.failure_in(&info).await?;
            tried.push(TopicTried { info, left_out, failure });
        }
        let facts = self.find_kinds(About::Topic(name.clone()), &["published"], RECENT).await?;
        let of_kind = |fact: &Fact| matches!(&fact.what, What::Published(event) if kind.is_none_or(|kind| event.kind == kind));
        let facts: Vec<Fact> = facts.into_iter().filter(of_kind).collect();
        let evidence = TopicEvidence {
            events: state.map(|state| state.next - state.first),
            tried: &tried,
            topics: &topics,
            subscribed: &self.subscribed(),
            facts: &facts,
            kinds: &kinds(&newest),
        };
        Ok(topic::story(name, kind, &evidence))
    }

    /// The newest events, oldest first.
    async fn newest(&self, topic: &TopicName, next: u64) -> Result<Vec<Event>> {
        let records = usize::try_from(NEWEST).unwrap_or(usize::MAX);
        let limit = ReadLimit { records, bytes: 4 << 20 };
        let page = self.bus.read(topic, next.saturating_sub(NEWEST), limit).await?;
        Ok(page.events.into_iter().map(|placed| placed.stored.event).collect())
    }

    /// The cause of a subscription's newest failed attempt, where attempts fail.
    async fn failure_in(&self, info: &SubscriptionInfo) -> Result<Option<hob_core::why::Cause>> {
        if info.waiting + info.blocked + info.dead == 0 {
            return Ok(None);
        }
        let key = Key::new(&info.app, &info.name);
        let facts = self.find_kinds(About::Trigger(key.app, key.name), &["call"], RECENT).await?;
        self.newest_attempt(&facts).await
    }
}

/// The types of events, the newest first, each once.
fn kinds(events: &[Event]) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for event in events.iter().rev() {
        if !kinds.contains(&event.kind) {
            kinds.push(event.kind.clone());
        }
    }
    kinds
}

/// With a type alone in mind, only a clause about the type tells anything.
fn by_type(reason: &SkipReason) -> bool {
    match reason {
        SkipReason::Filter { clause, wanted, .. } => {
            clause.ends_with(".type") || wanted.contains("type") || matches!(clause.as_str(), "any" | "all")
        }
        _ => true,
    }
}
