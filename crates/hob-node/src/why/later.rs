//! What is known of asynchronous calls: how they are, and what became of their results.

use super::events::newest_failed;
use super::{RECENT, Why};
use crate::bus::position::Key;
use crate::calls::{Message, calls_topic, results_topic};
use crate::delivery::Role;
use hob_core::fact::{About, Ending, Fact, What};
use hob_core::fault::Result;
use hob_core::name::{AppName, FunctionName};
use hob_core::why::asynchronous::{self, AsyncEnd, AsyncEvidence, Callback};
use hob_core::wire::Story;

impl Why {
    /// The story of an asynchronous call.
    pub(super) async fn of_asynchronous(&self, id: &str, app: &AppName, sequence: u64) -> Result<Story> {
        let topic = calls_topic(app);
        let placed = self.bus.event(&topic, sequence).await?;
        // The id holds a secret: whoever asks for another one asks for another call.
        let placed = placed.filter(|placed| id.ends_with(&placed.stored.event.id));
        let facts = match &placed {
            Some(placed) => self.facts_of(&topic, sequence, Some(placed)).await?,
            None => Vec::new(),
        };
        let name = placed.as_ref().and_then(|placed| placed.stored.event.subject.clone()).unwrap_or_default();
        let function = FunctionName::new(&name).ok();
        let key = function.as_ref().and_then(|function| Role::calls(app, function).ok()).map(|(key, _)| key);
        let look = match &key {
            Some(key) => self.delivery.whereabouts(key, &topic, sequence).await.unwrap_or_default(),
            None => crate::delivery::Look::default(),
        };
        let letter = match &key {
            Some(key) => self.letter_for(key, &topic, sequence, &facts).await?.0,
            None => None,
        };
        let own: Vec<Fact> =
            self.find_kinds(About::Event(topic.clone(), sequence), &["call"], RECENT).await?;
        let attempts = function.as_ref().map_or(1, |function| self.async_attempts(app, function));
        let (end, callback, more) = match &placed {
            Some(placed) => self.end_of(app, &placed.stored.event.id).await?,
            None => (None, None, Vec::new()),
        };
        let facts: Vec<Fact> = facts.into_iter().chain(more).collect();
        let failure = match &key {
            Some(key) => self.last_failure((key, &topic, sequence), &facts, newest_failed(&own)).await?,
            None => None,
        };
        let evidence = AsyncEvidence {
            app,
            function: &name,
            accepted_ms: placed.as_ref().map(|placed| placed.published_ms),
            place: look.place,
            attempts,
            failure,
            end,
            letter,
            callback,
            facts: &facts,
        };
        Ok(asynchronous::story(id, &evidence))
    }

    fn async_attempts(&self, app: &AppName, function: &FunctionName) -> u32 {
        let table = self.live.load();
        let spec = table.app(app.as_str()).and_then(|app| app.current.spec.functions.get(function).cloned());
        spec.map_or(1, |spec| spec.asynchronous.retry.attempts)
    }

    /// How a call ended, and what became of its result where that is to be sent, with the facts of that.
    async fn end_of(
        &self,
        app: &AppName,
        secret: &str,
    ) -> Result<(Option<AsyncEnd>, Option<Callback>, Vec<Fact>)> {
        let Some((sequence, message, ended_ms)) = self.calls.result(app, secret).await? else {
            return Ok((None, None, Vec::new()));
        };
        let ended = message.ended();
        let end =
            AsyncEnd { failed: ended.failed, attempts: ended.attempts, status: message.status(), ended_ms };
        let (callback, facts) = self.callback_of(app, sequence, &message).await?;
        Ok((Some(end), callback, facts))
    }

    async fn callback_of(
        &self,
        app: &AppName,
        sequence: u64,
        message: &Message,
    ) -> Result<(Option<Callback>, Vec<Fact>)> {
        let (Some(url), Ok((key, _))) = (message.callback(), Role::callbacks(app)) else {
            return Ok((None, Vec::new()));
        };
        let topic = results_topic(app);
        let look = self.delivery.whereabouts(&key, &topic, sequence).await.unwrap_or_default();
        let facts = self.find_kinds(About::Event(topic.clone(), sequence), &["delivered"], RECENT).await?;
        let of_it = |fact: &&Fact| is_of(fact, &key);
        let newest = facts.iter().rev().filter(of_it).find_map(|fact| match &fact.what {
            What::Delivered(one) => Some((one.failure.clone(), matches!(one.ending, Ending::Dead { .. }))),
            _ => None,
        });
        let (failure, dead) = newest.unwrap_or_default();
        Ok((Some(Callback { url: url.to_owned(), place: look.place, failure, dead }), facts))
    }
}

fn is_of(fact: &Fact, key: &Key) -> bool {
    matches!(&fact.what, What::Delivered(one) if one.app == key.app && one.subscription == key.name)
}
