//! Topics, subscriptions, schedules and dead letters over the control API: one method for each operation.

use super::{Client, Lines, Payload, empty, full, json, query_string};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, TopicName, TriggerName};
use hob_core::port::Durability;
use hob_core::trigger::StartAt;
use hob_core::wire::{
    DeadLetter, DeadLetterTopicInfo, DeadLettersQuery, EventsQuery, LettersReply, LettersRequest,
    PublishQuery, Published, PurgeQuery, Removed, ReplayEvent, ReplayRequest, ScheduleInfo, SeekRequest,
    StoredEvent, SubscriptionInfo, TopicInfo, TriggersQuery,
};
use http::Method;
use serde::de::DeserializeOwned;

/// Media type of a list of events (CloudEvents JSON format 1.0.2, section 4).
const BATCH: &str = "application/cloudevents-batch+json";

impl Client {
    /// Every topic.
    pub(crate) async fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.get("/v1/topics").await
    }

    /// One topic.
    pub(crate) async fn topic(&self, topic: &TopicName) -> Result<TopicInfo> {
        self.get(&format!("/v1/topics/{topic}")).await
    }

    /// Publishes a batch of events in JSON, all or none.
    pub(crate) async fn publish(
        &self,
        topic: &TopicName,
        batch: Vec<u8>,
        durability: Durability,
    ) -> Result<Vec<Published>> {
        let path = format!("/v1/topics/{topic}/events{}", query_string(&PublishQuery { durability }));
        let mut answer = self.request_as(Method::POST, &path, BATCH, full(batch)).await?;
        self.read(&mut answer).await
    }

    /// Hands a topic's events to `take` until it returns false or there are no more.
    pub(crate) async fn events(
        &self,
        topic: &TopicName,
        query: &EventsQuery,
        take: impl FnMut(StoredEvent) -> bool,
    ) -> Result<()> {
        let path = format!("/v1/topics/{topic}/events{}", query_string(query));
        self.stream(Method::GET, &path, empty(), take).await
    }

    /// Removes a topic's events before a sequence, or all.
    pub(crate) async fn purge(&self, topic: &TopicName, before: Option<u64>) -> Result<Removed> {
        let path = format!("/v1/topics/{topic}/events{}", query_string(&PurgeQuery { before }));
        let mut answer = self.request(Method::DELETE, &path, empty()).await?;
        self.read(&mut answer).await
    }

    /// Delivers old events once more and hands what becomes of them to `take`.
    pub(crate) async fn replay(
        &self,
        topic: &TopicName,
        request: &ReplayRequest,
        take: impl FnMut(ReplayEvent) -> bool,
    ) -> Result<()> {
        self.stream(Method::POST, &format!("/v1/topics/{topic}/replay"), json(request), take).await
    }

    /// Subscriptions, of one app or on one topic if that is asked for.
    pub(crate) async fn subscriptions(&self, query: &TriggersQuery) -> Result<Vec<SubscriptionInfo>> {
        self.get(&format!("/v1/subscriptions{}", query_string(query))).await
    }

    /// One subscription.
    pub(crate) async fn subscription(&self, app: &AppName, name: &TriggerName) -> Result<SubscriptionInfo> {
        self.get(&format!("/v1/apps/{app}/subscriptions/{name}")).await
    }

    /// Pauses a subscription or lets it go on.
    pub(crate) async fn pause_subscription(
        &self,
        app: &AppName,
        name: &TriggerName,
        pause: bool,
    ) -> Result<()> {
        self.steer(&format!("/v1/apps/{app}/subscriptions/{name}/{}", verb(pause))).await
    }

    /// Moves a subscription to another place of its topic.
    pub(crate) async fn seek(
        &self,
        app: &AppName,
        name: &TriggerName,
        to: StartAt,
    ) -> Result<SubscriptionInfo> {
        self.post(&format!("/v1/apps/{app}/subscriptions/{name}/seek"), json(&SeekRequest { to })).await
    }

    /// Schedules, of one app if that is asked for.
    pub(crate) async fn schedules(&self, app: Option<&AppName>) -> Result<Vec<ScheduleInfo>> {
        let query = TriggersQuery { app: app.cloned(), topic: None };
        self.get(&format!("/v1/schedules{}", query_string(&query))).await
    }

    /// One schedule.
    pub(crate) async fn schedule(&self, app: &AppName, name: &TriggerName) -> Result<ScheduleInfo> {
        self.get(&format!("/v1/apps/{app}/schedules/{name}")).await
    }

    /// Runs a schedule now.
    pub(crate) async fn fire(&self, app: &AppName, name: &TriggerName) -> Result<Published> {
        self.post(&format!("/v1/apps/{app}/schedules/{name}/fire"), empty()).await
    }

    /// Pauses a schedule or lets it go on.
    pub(crate) async fn pause_schedule(&self, app: &AppName, name: &TriggerName, pause: bool) -> Result<()> {
        self.steer(&format!("/v1/apps/{app}/schedules/{name}/{}", verb(pause))).await
    }

    /// The topics that hold dead letters.
    pub(crate) async fn letter_topics(&self) -> Result<Vec<DeadLetterTopicInfo>> {
        self.get("/v1/dead-letters").await
    }

    /// Dead letters of a topic that are not dealt with.
    pub(crate) async fn letters(
        &self,
        topic: &TopicName,
        query: &DeadLettersQuery,
    ) -> Result<Vec<DeadLetter>> {
        self.get(&format!("/v1/dead-letters/{topic}{}", query_string(query))).await
    }

    /// One dead letter.
    pub(crate) async fn letter(&self, topic: &TopicName, sequence: u64) -> Result<DeadLetter> {
        self.get(&format!("/v1/dead-letters/{topic}/{sequence}")).await
    }

    /// Delivers dead letters once more; none named means all.
    pub(crate) async fn redrive(&self, topic: &TopicName, sequences: Vec<u64>) -> Result<LettersReply> {
        let body = json(&LettersRequest { sequences });
        self.post(&format!("/v1/dead-letters/{topic}/redrive"), body).await
    }

    /// Forgets dead letters; none named means all.
    pub(crate) async fn drop_letters(&self, topic: &TopicName, sequences: Vec<u64>) -> Result<LettersReply> {
        let body = json(&LettersRequest { sequences });
        self.post(&format!("/v1/dead-letters/{topic}/drop"), body).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: Payload) -> Result<T> {
        let mut answer = self.request(Method::POST, path, body).await?;
        self.read(&mut answer).await
    }

    async fn steer(&self, path: &str) -> Result<()> {
        self.request(Method::POST, path, empty()).await.map(drop)
    }

    async fn stream<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Payload,
        mut take: impl FnMut(T) -> bool,
    ) -> Result<()> {
        let mut lines = Lines::new(self.request(method, path, body).await?);
        loop {
            let line = lines.next().await.map_err(|error| {
                Fault::new(Code::BadResponse, format!("the answer broke off: {error}"))
                    .hint("see the node's own log")
            })?;
            match line {
                Some(line) if take(self.parse(&line)?) => {}
                Some(_) | None => return Ok(()),
            }
        }
    }
}

fn verb(pause: bool) -> &'static str {
    if pause { "pause" } else { "resume" }
}
