//! Old events of a topic are delivered once more, to a chosen function or revision, as a person asked.
//!
//! **How.** In order, one call after the other, without retries: the outcome of each event is told as it comes. Who gets
//! batches gets them here too, as full as can be. No position changes and nothing is dead-lettered. Events that functions answer with are not published:
//! a replay is for looking.

use super::Parts;
use super::attempt::{Attempt, Attempted};
use super::batch::{Batch, Item, gathering};
use crate::bus::Placed;
use crate::bus::position::Key;
use crate::clock::now_ms;
use crate::live::LiveRevision;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::filter::Filters;
use hob_core::name::{FunctionName, TopicName, TriggerName};
use hob_core::port::ReadLimit;
use hob_core::rollout;
use hob_core::subscription::{Batches, Delivery, Gathering, Outcome};
use hob_core::trigger::{DeliveryMode, DeliverySpec, RetrySpec};
use hob_core::wire::{ReplayEvent, ReplayRequest};
use std::sync::Arc;

/// Events that are read at a time.
const PAGE: ReadLimit = ReadLimit { records: 64, bytes: 1 << 20 };

/// A replay that has been checked.
pub(crate) struct Replay {
    parts: Arc<Parts>,
    topic: TopicName,
    revision: Arc<LiveRevision>,
    receivers: Vec<Receiver>,
    from: u64,
    until_ms: u64,
    limit: u64,
}

/// Who gets events, and which.
struct Receiver {
    key: Key,
    spec: DeliverySpec,
    filters: Filters,
}

impl super::Delivery {
    /// Checks what is asked for.
    ///
    /// # Errors
    /// `HOB-0803` for a topic without events, `HOB-0351`, `HOB-0352` and `HOB-0353` for what gets them,
    /// `HOB-0807` when no subscription of the revision reads the topic.
    pub(crate) async fn replay(&self, topic: &TopicName, asked: &ReplayRequest) -> Result<Replay> {
        let parts = Arc::clone(&self.parts);
        let state = parts.bus.log().topic(topic).await?.ok_or_else(|| topic_not_found(topic))?;
        let revision = revision(&parts, asked)?;
        let receivers = match &asked.function {
            Some(function) => vec![one(&revision, function)?],
            None => subscribed(&revision, topic)?,
        };
        let from = match (asked.from, asked.since_ms) {
            (Some(from), _) => from,
            (None, Some(since_ms)) => parts.bus.log().seek(topic, since_ms).await?,
            (None, None) => state.first,
        };
        // What comes while it runs is not old.
        let until_ms = asked.until_ms.unwrap_or(u64::MAX).min(now_ms());
        let limit = asked.limit.unwrap_or(u64::MAX);
        Ok(Replay { parts, topic: topic.clone(), revision, receivers, from, until_ms, limit })
    }
}

/// The fault for a topic that does not exist.
pub(crate) fn topic_not_found(topic: &TopicName) -> Fault {
    Fault::new(Code::TopicNotFound, format!("there is no topic `{topic}`")).hint("`hob topic ls` lists them")
}

fn revision(parts: &Parts, asked: &ReplayRequest) -> Result<Arc<LiveRevision>> {
    let table = parts.live.load();
    let app = table.app(asked.app.as_str()).ok_or_else(|| rollout::app_not_found(&asked.app))?;
    match asked.revision {
        None => Ok(Arc::clone(&app.current)),
        Some(number) => app
            .kept
            .get(&number)
            .cloned()
            .ok_or_else(|| rollout::revision_not_found(&asked.app, number, app.kept.keys().copied())),
    }
}

/// A function gets every event, in the form in which a subscription of its own would.
fn one(revision: &LiveRevision, function: &FunctionName) -> Result<Receiver> {
    revision.pool(function)?;
    let known = revision.spec.triggers.deliveries().find(|spec| spec.function == *function);
    let spec = known.cloned().unwrap_or_else(|| DeliverySpec {
        function: function.clone(),
        path: "/".to_owned(),
        mode: DeliveryMode::default(),
        concurrency: 1,
        retry: RetrySpec::of(1),
        dead_letter: TopicName::own("replay", &revision.app),
        publish: None,
        on_success: None,
        on_failure: None,
        batch: None,
    });
    let key = Key::new(&revision.app, &TriggerName::new("hob-replay")?);
    Ok(Receiver { key, spec: quiet(spec), filters: Filters::default() })
}

/// Every subscription of the revision on the topic gets what matches it.
fn subscribed(revision: &LiveRevision, topic: &TopicName) -> Result<Vec<Receiver>> {
    let subscriptions = revision.spec.triggers.subscriptions.iter().filter(|(_, spec)| spec.topic == *topic);
    let receivers: Vec<Receiver> = subscriptions
        .map(|(name, spec)| {
            let (key, filters) = (Key::new(&revision.app, name), Filters::compile(&spec.filters)?);
            Ok(Receiver { key, spec: quiet(spec.delivery.clone()), filters })
        })
        .collect::<Result<_>>()?;
    if receivers.is_empty() {
        let what = format!(
            "revision {} of app `{}` has no subscription to `{topic}`",
            revision.number, revision.app
        );
        return Err(
            Fault::new(Code::SubscriptionNotFound, what).hint("name a function: `--to <app>/<function>`")
        );
    }
    Ok(receivers)
}

/// The same delivery, from which nothing follows.
fn quiet(spec: DeliverySpec) -> DeliverySpec {
    DeliverySpec { publish: None, on_success: None, on_failure: None, ..spec }
}

/// Delivers the events and tells of each; `tell` returns false when nobody listens any more.
///
/// # Errors
/// Those of the log.
pub(crate) async fn replay<F>(replay: &Replay, mut tell: impl FnMut(ReplayEvent) -> F) -> Result<()>
where
    F: Future<Output = bool>,
{
    let (mut from, mut events, mut delivered, mut failed) = (replay.from, 0, 0, 0);
    let mut gathered: Vec<Batches<Item>> = replay.receivers.iter().map(|_| Batches::default()).collect();
    let mut tell_all = async |all: Vec<ReplayEvent>| {
        for told in all {
            delivered += 1;
            failed += u64::from(matches!(told, ReplayEvent::Delivered { ok: false, .. }));
            if !tell(told).await {
                return false;
            }
        }
        true
    };
    'pages: loop {
        let page = replay.parts.bus.read(&replay.topic, from, PAGE).await?;
        if page.is_end(from) {
            break;
        }
        from = page.next;
        for placed in page.events {
            if placed.published_ms > replay.until_ms || events == replay.limit {
                break 'pages;
            }
            events += 1;
            let each = replay.receivers.iter().zip(&mut gathered);
            for (receiver, gathered) in each.filter(|(one, _)| one.filters.matches(&placed.stored.event)) {
                let told = match gathering(&receiver.spec, &replay.revision) {
                    None => vec![replay.deliver(receiver, &placed).await],
                    Some(by) => {
                        gathered.put(item(&placed), placed.stored.event.bytes(), 0);
                        replay.deliver_gathered(receiver, gathered, by, false).await
                    }
                };
                if !tell_all(told).await {
                    return Ok(());
                }
            }
        }
    }
    for (receiver, gathered) in replay.receivers.iter().zip(&mut gathered) {
        let Some(by) = gathering(&receiver.spec, &replay.revision) else { continue };
        if !tell_all(replay.deliver_gathered(receiver, gathered, by, true).await).await {
            return Ok(());
        }
    }
    tell(ReplayEvent::Done { events, delivered, failed }).await;
    Ok(())
}

/// The first attempt of an event, in no run of a subscription.
fn item(placed: &Placed) -> Item {
    (Delivery { sequence: placed.sequence, generation: 0, attempt: 1 }, placed.clone())
}

impl Replay {
    async fn deliver(&self, receiver: &Receiver, placed: &Placed) -> ReplayEvent {
        let attempt = Attempt {
            bus: &self.parts.bus,
            key: &receiver.key,
            spec: &receiver.spec,
            revision: Arc::clone(&self.revision),
            topic: &self.topic,
            placed,
            number: 1,
            quiet: true,
        };
        receiver.told(placed.sequence, attempt.make().await)
    }

    /// Makes the calls for which enough events are gathered, or for all of them.
    async fn deliver_gathered(
        &self,
        receiver: &Receiver,
        gathered: &mut Batches<Item>,
        by: Gathering,
        all: bool,
    ) -> Vec<ReplayEvent> {
        // Nothing is to be expected of time: what is old has all come.
        let by = Gathering { window_ms: u64::MAX, calls: 1, ..by };
        let mut told = Vec::new();
        while let (Some(batch), Some(items)) = (receiver.spec.batch, gathered.take(by, 0, all)) {
            let (bus, topic, revision) = (&*self.parts.bus, &self.topic, Arc::clone(&self.revision));
            let (key, spec) = (&receiver.key, &receiver.spec);
            let attempted = Batch { bus, key, spec, batch, revision, topic, quiet: true }.make(&items).await;
            gathered.ended();
            let each = items.iter().zip(attempted);
            told.extend(each.map(|((delivery, _), attempted)| receiver.told(delivery.sequence, attempted)));
        }
        told
    }
}

impl Receiver {
    fn told(&self, sequence: u64, attempted: Attempted) -> ReplayEvent {
        let Attempted { outcome, failure } = attempted;
        let ok = outcome == Outcome::Done;
        ReplayEvent::Delivered {
            sequence,
            function: self.spec.function.clone(),
            message: (!ok).then(|| failure.text()),
            invocation: failure.invocation.unwrap_or_default(),
            status: failure.status.unwrap_or_default(),
            ok,
        }
    }
}
