//! Topics, subscriptions, schedules, dead letters and asynchronous calls on the control API.

use crate::name::{AppName, FunctionName, RevisionNumber, TopicName, TriggerName};
use crate::port::{Damage, Durability};
use crate::trigger::{ScheduleSpec, StartAt, SubscriptionSpec, TopicSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How events are published.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishQuery {
    /// How safe they are when they are acknowledged; `disk` by default.
    #[serde(default)]
    pub durability: Durability,
}

/// What became of one published event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Published {
    /// The topic.
    pub topic: TopicName,
    /// The event's number in it; for a duplicate, that of the first one.
    pub sequence: u64,
    /// True when an event with this `source` and `id` was there already: this one was dropped.
    pub duplicate: bool,
    /// How safe it is.
    pub durability: Durability,
}

/// A topic.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TopicInfo {
    /// The name.
    pub topic: TopicName,
    /// The first kept sequence.
    pub first: u64,
    /// The sequence that the next event gets; equal to `first` when the topic is empty.
    pub next: u64,
    /// Kept events.
    pub events: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// When the first kept event was published, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_ms: Option<u64>,
    /// When the last one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_ms: Option<u64>,
    /// What it keeps.
    pub keeps: TopicSpec,
    /// Its subscriptions, each `app/name`.
    pub subscriptions: Vec<String>,
    /// Events that are lost to damage on disk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damage: Vec<Damage>,
}

/// Which events of a topic are wanted.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// From this sequence on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// From this time on, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// Only the last so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u64>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Go on with new ones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
}

/// An event as it lies in a topic.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StoredEvent {
    /// The topic.
    pub topic: TopicName,
    /// Its number.
    pub sequence: u64,
    /// When it was published, milliseconds since the Unix epoch.
    pub published_ms: u64,
    /// How many events caused each other before it.
    pub hops: u32,
    /// The call that published it, when it was one of this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<CauseInfo>,
    /// The only subscription that it is for, `app/name`: it was redriven or fired by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// The event in the JSON format of CloudEvents.
    pub event: serde_json::Value,
}

/// The call that published an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CauseInfo {
    /// The app.
    pub app: AppName,
    /// Its revision.
    pub revision: RevisionNumber,
    /// The invocation, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation: Option<String>,
}

/// How many events were removed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Removed {
    /// So many.
    pub removed: u64,
}

/// A request to remove events from a topic.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PurgeQuery {
    /// Those before this sequence; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

/// Which subscriptions or schedules are wanted.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggersQuery {
    /// Only of this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// Only on this topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicName>,
}

/// A subscription: what it is, and how far it is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SubscriptionInfo {
    /// The app.
    pub app: AppName,
    /// Its name.
    pub name: TriggerName,
    /// What the newest revision that has it says.
    pub spec: SubscriptionSpec,
    /// Whether the current revision has it.
    pub current: bool,
    /// Whether it delivers nothing until it is resumed.
    pub paused: bool,
    /// Every event before this sequence is settled.
    pub cursor: u64,
    /// Events of the topic from the cursor on that are not settled, those not for it included.
    pub lag: u64,
    /// Deliveries that run now.
    pub in_flight: u64,
    /// Events that wait for another attempt.
    pub waiting: u64,
    /// Events that wait for an earlier one with their key.
    pub blocked: u64,
    /// Events delivered so far.
    pub delivered: u64,
    /// Events that its filters left out, or that a seek passed over, so far.
    pub skipped: u64,
    /// Failed attempts so far.
    pub failed: u64,
    /// Events given up so far.
    pub dead: u64,
    /// Events that were lost to damage or removed before it had read them.
    pub missing: u64,
    /// Why the last attempt failed, if the last one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
}

/// Where a subscription should go on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeekRequest {
    /// There.
    pub to: StartAt,
}

/// A schedule: what it is, and when it runs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleInfo {
    /// The app.
    pub app: AppName,
    /// Its name.
    pub name: TriggerName,
    /// What the current revision says.
    pub spec: ScheduleSpec,
    /// Whether it fires nothing until it is resumed.
    pub paused: bool,
    /// When the last run began, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ms: Option<u64>,
    /// The schedule in plain words.
    pub description: String,
    /// The next runs.
    pub next_ms: Vec<u64>,
    /// The same in the schedule's own time zone, for people.
    pub next: Vec<String>,
    /// Runs so far.
    pub fired: u64,
    /// Runs left out so far, and why the last one was.
    pub skipped: u64,
    /// Why the last run was left out, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_skipped: Option<String>,
}

/// A dead-letter topic.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetterTopicInfo {
    /// The topic.
    pub topic: TopicName,
    /// Letters in it that were neither redriven nor dropped.
    pub letters: u64,
    /// When the last one came, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_ms: Option<u64>,
}

/// Which dead letters are wanted.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLettersQuery {
    /// From this sequence on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// At most so many; 100 by default, 1000 at most. Of large ones fewer come, some 4 MiB at once: go on behind the last
    /// one until none come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// An event that was given up.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetter {
    /// The dead-letter topic.
    pub topic: TopicName,
    /// Its number there.
    pub sequence: u64,
    /// When it was given up, milliseconds since the Unix epoch.
    pub dead_ms: u64,
    /// The subscription that gave it up, `app/name`.
    pub subscription: String,
    /// The topic that it came from.
    pub from_topic: TopicName,
    /// Its number there.
    pub from_sequence: u64,
    /// Why: `attempts`, `age`, `rejected`, `expired` or `loop`.
    pub reason: String,
    /// Attempts that were made.
    pub attempts: u32,
    /// The code of the last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// HTTP status of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The beginning of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The last invocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation: Option<String>,
    /// The event in the JSON format of CloudEvents, as it was.
    pub event: serde_json::Value,
}

/// Which dead letters to redrive or drop.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LettersRequest {
    /// These, each once, 1000 at most; empty: all that are there now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sequences: Vec<u64>,
}

/// How many dead letters were redriven or dropped.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LettersReply {
    /// So many.
    pub letters: u64,
}

/// A request to deliver events of a topic once more, to a chosen place.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// The app whose function or revision gets them.
    pub app: AppName,
    /// This function gets all of them; absent: those functions whose subscriptions of the topic match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionName>,
    /// In this revision; absent: the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionNumber>,
    /// From this sequence on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// From this time on, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// Up to this time, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// What became of one replayed event, or of all of them (the last line).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ReplayEvent {
    /// One delivery.
    Delivered {
        /// The event's number.
        sequence: u64,
        /// The function.
        function: FunctionName,
        /// The invocation.
        invocation: String,
        /// HTTP status of the answer.
        status: u16,
        /// Whether it counts as handled.
        ok: bool,
        /// What went wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// The end.
    Done {
        /// Events that were read.
        events: u64,
        /// Deliveries.
        delivered: u64,
        /// Those that failed.
        failed: u64,
    },
}

/// How far an asynchronous call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CallState {
    /// It waits for its turn or for another attempt, or runs.
    Pending,
    /// The function has answered.
    Done,
    /// It was given up.
    Failed,
}

/// An asynchronous call.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CallInfo {
    /// Its id.
    pub id: String,
    /// How far it is.
    pub state: CallState,
    /// The app.
    pub app: AppName,
    /// The function.
    pub function: FunctionName,
    /// When it was accepted, milliseconds since the Unix epoch.
    pub accepted_ms: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// Attempts that were made, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// HTTP status of the last answer, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The code of the failure, if it failed without an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Until when this can be read, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
}
