//! What causes calls besides requests, resolved: subscriptions, schedules, event routes; and topics.
//!
//! **Why.** As with [`crate::spec`]: what is stored is what was resolved, with every setting present.
//!
//! **How.** [`crate::manifest`] makes these from `[[on]]` and `[topics]`; the node reads them.

use crate::filter::Filter;
use crate::limit;
use crate::name::{FunctionName, TopicName, TriggerName};
use crate::port::TopicSettings;
use crate::schedule::{Missed, Overlap};
use crate::unit::millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What causes calls of an app's functions besides requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Triggers {
    /// Events of topics.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub subscriptions: BTreeMap<TriggerName, SubscriptionSpec>,
    /// Times.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: BTreeMap<TriggerName, ScheduleSpec>,
    /// Requests that bring events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_routes: Vec<EventRouteSpec>,
    /// What topics keep, where the app says so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub topics: BTreeMap<TopicName, TopicSpec>,
}

impl Triggers {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How the events of every subscription and schedule reach their functions.
    pub fn deliveries(&self) -> impl Iterator<Item = &DeliverySpec> {
        let of_topics = self.subscriptions.values().map(|spec| &spec.delivery);
        of_topics.chain(self.schedules.values().map(|spec| &spec.delivery))
    }
}

/// A function gets a topic's events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionSpec {
    /// The topic.
    pub topic: TopicName,
    /// Which of its events; all filters have to match, none means every event.
    pub filters: Vec<Filter>,
    /// How they reach the function.
    pub delivery: DeliverySpec,
    /// The attribute whose value is the key: events of one key are delivered one after the other, in order.
    pub order_by: Option<String>,
    /// Events per second at most; `None`: no bound.
    pub rate: Option<RateSpec>,
    /// With which event it begins when it is new.
    pub start: StartAt,
}

/// How events reach a function, and what becomes of the outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliverySpec {
    /// The function.
    pub function: FunctionName,
    /// Path of the request.
    pub path: String,
    /// Form of the event in the request.
    pub mode: DeliveryMode,
    /// Deliveries at a time.
    pub concurrency: u32,
    /// What happens after a failure.
    pub retry: RetrySpec,
    /// Where events go that are given up.
    pub dead_letter: TopicName,
    /// Where events go that the function answers with; `None`: the topic that the event came from.
    pub publish: Option<TopicName>,
    /// Where a record of each success goes.
    pub on_success: Option<TopicName>,
    /// Where a record of each event that is given up goes.
    pub on_failure: Option<TopicName>,
    /// How events are gathered into one call; `None`: each has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchSpec>,
}

/// Events of one call (Lambda developer guide, "Batching behavior"). Then `concurrency` counts calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchSpec {
    /// Events of one call at most; never more than [`limit::EVENT_BATCH_MAX`].
    pub events: u32,
    /// How long the first one waits for others, in milliseconds.
    pub window_ms: u64,
    /// Whether the answer names the events that failed, so that only those are tried again.
    pub partial: bool,
}

/// Form of an event in a request (CloudEvents HTTP binding 1.0.2, section 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryMode {
    /// Attributes as `ce-` headers, data as the body.
    #[default]
    Binary,
    /// All of it as JSON.
    Structured,
}

/// What happens after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrySpec {
    /// Attempts at most, the first one included.
    pub attempts: u32,
    /// Pause after the first failure, in milliseconds; doubles with each further one.
    pub backoff_min_ms: u64,
    /// Longest pause, in milliseconds.
    pub backoff_max_ms: u64,
    /// An event older than this is given up when an attempt fails, in milliseconds; `None`: never.
    pub age_ms: Option<u64>,
}

impl RetrySpec {
    /// The defaults with that many attempts.
    pub fn of(attempts: u32) -> Self {
        Self {
            attempts,
            backoff_min_ms: millis(limit::DELIVERY_BACKOFF_MIN_DEFAULT),
            backoff_max_ms: millis(limit::DELIVERY_BACKOFF_MAX_DEFAULT),
            age_ms: None,
        }
    }
}

/// That many events in that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateSpec {
    /// Events.
    pub events: u32,
    /// Milliseconds.
    pub per_ms: u64,
}

/// The first event of a new subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StartAt {
    /// The next one that is published.
    #[default]
    Now,
    /// The oldest kept one.
    Beginning,
    /// The first one at or after this time, milliseconds since the Unix epoch.
    Time(u64),
    /// The one with this sequence.
    Sequence(u64),
}

/// A function is called at times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// When, as it was written.
    pub expression: String,
    /// Time zone (IANA name) in which it is read.
    pub zone: String,
    /// How the run reaches the function.
    pub delivery: DeliverySpec,
    /// Random delay at most, in milliseconds.
    pub jitter_ms: u64,
    /// What becomes of runs that were missed.
    pub missed: Missed,
    /// What becomes of a run while the one before is not over.
    pub overlap: Overlap,
    /// Data of the event; `None`: there is none.
    pub data: Option<serde_json::Value>,
}

/// Requests that bring events into a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventRouteSpec {
    /// `[host]/path`, as in the manifest.
    pub route: String,
    /// The topic.
    pub topic: TopicName,
    /// Which senders may deliver by web hook: DNS names, `*.example.com` or `*`.
    pub origins: Vec<String>,
}

/// What a topic keeps. When several apps say so, the longest and largest hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicSpec {
    /// How long settled events are kept, in milliseconds.
    pub age_ms: u64,
    /// Settled events that are kept, in bytes on disk.
    pub bytes: u64,
    /// Settled events that are kept; `None`: any number.
    pub events: Option<u64>,
    /// How long `(source, id)` is remembered to drop a second event, in milliseconds.
    pub dedup_ms: u64,
}

impl Default for TopicSpec {
    fn default() -> Self {
        Self {
            age_ms: millis(limit::TOPIC_AGE_DEFAULT),
            bytes: limit::TOPIC_BYTES_DEFAULT,
            events: None,
            dedup_ms: millis(limit::DEDUP_WINDOW_DEFAULT),
        }
    }
}

impl From<TopicSpec> for TopicSettings {
    fn from(spec: TopicSpec) -> Self {
        Self {
            age_ms: spec.age_ms,
            bytes: spec.bytes,
            records: spec.events.unwrap_or(u64::MAX),
            dedup_ms: spec.dedup_ms,
            bytes_max: limit::TOPIC_BYTES_CEILING,
        }
    }
}

impl TopicSpec {
    /// What holds when two apps use one topic: of each setting the one that keeps more.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        Self {
            age_ms: self.age_ms.max(other.age_ms),
            bytes: self.bytes.max(other.bytes),
            events: self.events.zip(other.events).map(|(own, others)| own.max(others)),
            dedup_ms: self.dedup_ms.max(other.dedup_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TopicSpec;

    #[test]
    fn a_topic_keeps_what_any_app_asks_for() {
        let spec = |age_ms, bytes, events, dedup_ms| TopicSpec { age_ms, bytes, events, dedup_ms };
        for (one, other, both) in [
            (spec(1, 20, Some(3), 0), spec(10, 2, Some(4), 5), spec(10, 20, Some(4), 5)),
            (spec(1, 1, None, 1), spec(1, 1, Some(4), 1), spec(1, 1, None, 1)),
        ] {
            assert_eq!((one.joined(other), other.joined(one)), (both, both));
        }
    }
}
