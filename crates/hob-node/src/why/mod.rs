//! Answers to "why?": finds what is known about an id or a question, and lets [`hob_core::why`] tell it.
//!
//! **Why.** What is asked about may be in the facts, in the log, in a subscription's memory or in the live table, and
//! who asks need not know where.
//!
//! **How.** [`Why::ask`] reads what kind of thing is meant and hands it to `calls`, `later`, `events`, `routes`, `topics` or
//! `questions`, each of which gathers the evidence of its kind. Nothing is changed by asking.
//!
//! **Not here:** finding the cause among the evidence ([`hob_core::why`]).

mod calls;
mod events;
mod later;
mod questions;
mod routes;
mod topics;
mod traits;

use crate::bus::Bus;
use crate::bus::position::Key;
use crate::calls::Calls;
use crate::clock::now_ms;
use crate::delivery::Delivery;
use crate::gateway::routing::Rules;
use crate::live::Live;
use crate::logs::Logs;
use crate::schedules::Schedules;
use crate::telemetry::Telemetry;
use hob_core::code::Code;
use hob_core::fact::{About, Fact, FactQuery, What};
use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use hob_core::limit::FACTS_KEPT;
use hob_core::name::{AppName, FunctionName, TopicName, TriggerName};
use hob_core::near::nearest;
use hob_core::trace::{TraceContext, TraceId};
use hob_core::unit::millis;
use hob_core::why::{call, event, question};
use hob_core::wire::{Story, Verdict, WhyQuery};
use std::sync::Arc;

/// Facts of one trace or event that a story is told from.
const FACTS: usize = 1000;
/// Recent facts of one function, subscription or schedule that are looked at.
const RECENT: usize = 200;
/// Changes of one app that are looked at.
const CHANGES: usize = 50;

/// Everything that knows something.
pub(crate) struct Why {
    pub(crate) live: Arc<Live>,
    pub(crate) bus: Arc<Bus>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) schedules: Arc<Schedules>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) rules: Rules,
}

impl Why {
    /// Answers one question.
    ///
    /// # Errors
    /// `HOB-0704` for a question that is none or more than one, and those of the stores.
    pub(crate) async fn ask(&self, asked: WhyQuery) -> Result<Story> {
        let WhyQuery { id, route, topic, kind, cron, function, app, since_ms } = asked;
        match (id, route, topic, cron, function) {
            (Some(id), None, None, None, None) => self.of_id(id.trim(), app.as_ref()).await,
            (None, Some(route), None, None, None) => self.of_route(&route, app.as_ref()).await,
            (None, None, Some(topic), None, None) => {
                self.of_topic(&TopicName::new(&topic)?, kind.as_deref()).await
            }
            (None, None, None, Some(cron), None) => self.of_schedule(&cron, app.as_ref()).await,
            (None, None, None, None, Some(function)) => {
                self.of_function(&function, app.as_ref(), since_ms).await
            }
            _ => Err(Fault::new(
                Code::ControlRequest,
                "ask one thing: an id, a route, a topic, a schedule or a function",
            )
            .hint("write for example `hob why --route \"POST /orders\"`, or `hob why ID`")),
        }
    }

    async fn of_id(&self, id: &str, app: Option<&AppName>) -> Result<Story> {
        if let Some(code) = Code::parse(&id.to_ascii_uppercase()) {
            return self.of_code(code).await;
        }
        if let Some(invocation) = InvocationId::parse(id) {
            return self.of_number(id, invocation).await;
        }
        if let Some(trace) = TraceContext::parse(id) {
            return self.of_trace(id, TraceId(trace.trace_id)).await;
        }
        if let Some((topic, sequence)) = place(id) {
            return self.of_place(&topic, sequence).await;
        }
        if let Some((app, sequence)) = call_id(id) {
            return self.of_asynchronous(id, &app, sequence).await;
        }
        if let Some(story) = self.of_event_id(id).await? {
            return Ok(story);
        }
        self.of_name(id, app).await
    }

    /// A request, a call or a trace, which all look alike.
    async fn of_number(&self, id: &str, invocation: InvocationId) -> Result<Story> {
        let facts = self.find(About::Invocation(invocation), FACTS).await?;
        for fact in &facts {
            match &fact.what {
                What::Call(one) if one.id == invocation => return self.of_call(fact, one).await,
                What::Refused(one) if one.id == invocation => return self.of_refused(fact, one).await,
                What::Changed(one) if one.id == Some(invocation) => return Ok(call::changed(fact, one)),
                _ => {}
            }
        }
        if let Some(fact) = facts.iter().find(|fact| matches!(&fact.what, What::Published(_))) {
            return self.of_publication(fact).await;
        }
        if let Some(Fact { what: What::Delivered(one), .. }) = facts.first() {
            return self.of_place(&one.topic, one.sequence).await;
        }
        self.of_trace(id, TraceId(invocation.0)).await
    }

    async fn of_trace(&self, id: &str, trace: TraceId) -> Result<Story> {
        let facts = self.with_events(self.find(About::Trace(trace), FACTS).await?).await?;
        let told = self.story_of_trace(trace, &facts).await?;
        let kept_since_ms = now_ms().saturating_sub(millis(FACTS_KEPT));
        Ok(told.unwrap_or_else(|| question::unknown(id, moment(trace.0), kept_since_ms, None)))
    }

    /// What is told of something that was published: where it is now, or why it is nowhere.
    async fn of_publication(&self, fact: &Fact) -> Result<Story> {
        let What::Published(published) = &fact.what else { return Err(Fault::internal("no publication")) };
        if published.sequence == 0 {
            return Ok(event::not_accepted(fact, published, None));
        }
        if published.duplicate {
            let first = self.bus.event(&published.topic, published.sequence).await?;
            return Ok(event::not_accepted(fact, published, first.map(|placed| placed.published_ms)));
        }
        if let Some(app) = published.topic.as_str().strip_prefix("hob.calls.") {
            let id = format!("{app}.{}.{}", published.sequence, published.id);
            return self.of_asynchronous(&id, &AppName::new(app)?, published.sequence).await;
        }
        self.of_place(&published.topic, published.sequence).await
    }

    /// An event by its own id.
    async fn of_event_id(&self, id: &str) -> Result<Option<Story>> {
        let facts = self.find(About::EventId(id.to_owned()), 20).await?;
        let Some(newest) = facts.last() else {
            return Ok(match self.place_of(id).await? {
                Some((topic, sequence)) => Some(self.of_place(&topic, sequence).await?),
                None => None,
            });
        };
        self.of_publication(newest).await.map(Some)
    }

    /// A name: a subscription, schedule, function, topic or app.
    async fn of_name(&self, id: &str, app: Option<&AppName>) -> Result<Story> {
        let (app, name) = match id.split_once('/') {
            Some((app, name)) => (AppName::new(app).ok(), name),
            None => (app.cloned(), id),
        };
        let trigger = TriggerName::new(name).ok().and_then(|name| self.trigger(app.as_ref(), &name));
        let function = FunctionName::new(name).ok();
        let function = function.and_then(|name| Some((self.app_of(app.as_ref(), &name)?, name)));
        match (trigger, function) {
            (Some(key), None) => return self.of_trigger(&key).await,
            (None, Some((app, function))) => return self.story_of_function(&app, &function, None).await,
            (Some(key), Some((app, function))) => {
                // Of two that have the name, the one is told that does not go well.
                let trigger = self.of_trigger(&key).await?;
                let mut of_function = self.story_of_function(&app, &function, None).await?;
                if of_function.verdict == Verdict::Bad && trigger.verdict == Verdict::Good {
                    of_function.next.push(format!("hob sub show {key}"));
                    return Ok(of_function);
                }
                let next = [format!("hob why --function {app}/{function}")];
                return Ok(Story { next: trigger.next.into_iter().chain(next).collect(), ..trigger });
            }
            (None, None) => {}
        }
        if let Ok(topic) = TopicName::new(id)
            && self.bus.log().topic(&topic).await?.is_some()
        {
            return self.of_topic(&topic, None).await;
        }
        // Of a name in an app that is there, what is nearly so called tells more than how the app is.
        let live = |app: &AppName| self.live.load().app(app.as_str()).is_some();
        let name = match id.contains('/') {
            true => app.filter(|app| !live(app)),
            false => app.or_else(|| AppName::new(id).ok()),
        };
        if let Some(story) = match &name {
            Some(name) => self.of_app(name).await?,
            None => None,
        } {
            return Ok(story);
        }
        let names = self.names();
        Ok(question::unknown(id, None, 0, nearest(id, names.iter().map(String::as_str))))
    }

    async fn of_trigger(&self, key: &Key) -> Result<Story> {
        match self.schedules.get(key).await {
            Ok(info) => self.story_of_schedule(&info).await,
            Err(_) => self.of_subscription(key).await,
        }
    }

    /// Everything that has a name, for hints.
    fn names(&self) -> Vec<String> {
        let table = self.live.load();
        let mut names = Vec::new();
        for app in table.apps().values() {
            let triggers = &app.current.spec.triggers;
            let own = app.current.functions.keys().map(ToString::to_string);
            let own = own.chain(triggers.subscriptions.keys().map(ToString::to_string));
            let own: Vec<String> = own.chain(triggers.schedules.keys().map(ToString::to_string)).collect();
            names.extend(own.iter().map(|name| format!("{}/{name}", app.name)));
            names.extend(own);
            names.push(app.name.to_string());
        }
        names.extend(self.subscribed().iter().map(ToString::to_string));
        names.sort_unstable();
        names
    }

    /// The trigger with that name, in that app or in any.
    fn trigger(&self, app: Option<&AppName>, name: &TriggerName) -> Option<Key> {
        let table = self.live.load();
        let mut apps = table.apps().values().filter(|one| app.is_none_or(|app| one.name == *app));
        let found = apps.find(|one| {
            one.kept.values().any(|revision| {
                let triggers = &revision.spec.triggers;
                triggers.subscriptions.contains_key(name) || triggers.schedules.contains_key(name)
            })
        });
        found.map(|app| Key::new(&app.name, name))
    }

    /// The app with that function: the one that is named, or any.
    fn app_of(&self, app: Option<&AppName>, function: &FunctionName) -> Option<AppName> {
        let table = self.live.load();
        let mut apps = table.apps().values().filter(|one| app.is_none_or(|app| one.name == *app));
        apps.find(|one| one.current.functions.contains_key(function)).map(|app| app.name.clone())
    }

    /// What was done to an app, oldest first.
    async fn changes(&self, app: &AppName) -> Result<Vec<Fact>> {
        self.find_kinds(About::App(app.clone()), &["changed"], CHANGES).await
    }

    /// The newest facts about something.
    async fn find(&self, about: About, limit: usize) -> Result<Vec<Fact>> {
        self.telemetry.find(FactQuery::newest(about, limit)).await
    }

    /// The newest facts of some kinds about something.
    async fn find_kinds(&self, about: About, kinds: &[&'static str], limit: usize) -> Result<Vec<Fact>> {
        self.telemetry.find(FactQuery { kinds: kinds.to_vec(), ..FactQuery::newest(about, limit) }).await
    }
}

/// Topic and number of `topic/17`.
fn place(id: &str) -> Option<(TopicName, u64)> {
    let (topic, sequence) = id.rsplit_once('/')?;
    Some((TopicName::new(topic).ok()?, sequence.parse().ok()?))
}

/// App and number of an asynchronous call's id: `<app>.<number>.<secret>`.
fn call_id(id: &str) -> Option<(AppName, u64)> {
    let mut parts = id.split('.');
    let (app, sequence, secret) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = parts.next().is_none() && secret.len() == 32;
    Some((AppName::new(app).ok().filter(|_| whole)?, sequence.parse().ok()?))
}

/// When an id was made that names its time (UUID version 7, RFC 9562, 5.7).
fn moment(id: u128) -> Option<u64> {
    let version = (id >> 76) & 0xf;
    (version == 7).then(|| u64::try_from(id >> 80).unwrap_or(0))
}
