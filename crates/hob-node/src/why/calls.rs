//! What is known of calls: their trace, their settings, what they printed, and others like them.

use super::{FACTS, RECENT, Why, traits};
use crate::bus::Placed;
use hob_core::fact::{About, Call, CallCause, Fact, FactQuery, Failure, What};
use hob_core::fault::Result;
use hob_core::limit::FACTS_SLOW_CALL;
use hob_core::name::{AppName, TopicName};
use hob_core::port::Stream;
use hob_core::spec::FunctionSpec;
use hob_core::trace::TraceId;
use hob_core::unit::millis;
use hob_core::why::call::{self, CallEvidence};
use hob_core::why::cause::{self, Around};
use hob_core::why::{Cause, event};
use hob_core::wire::{LogQuery, Story};
use std::collections::BTreeMap;

/// Events of a trace whose deliveries are looked up.
const EVENTS: usize = 20;
/// Failures and successes that are compared.
const COMPARED: usize = 12;
/// Printed lines that are looked at.
const LINES: usize = 50;

/// What is around a call, as the node knows it.
#[derive(Default)]
pub(super) struct Known {
    children: Vec<Call>,
    spec: Option<FunctionSpec>,
    printed: Vec<String>,
    answer: Option<String>,
    start_failures: Vec<Failure>,
    failed: Vec<BTreeMap<String, String>>,
    passed: Vec<BTreeMap<String, String>>,
}

impl Known {
    /// The cause of the call's outcome.
    pub(super) fn cause(&self, call: &Call) -> Cause {
        let children: Vec<&Call> = self.children.iter().collect();
        cause::of_call(call, &self.around(&children))
    }

    fn around<'a>(&'a self, children: &'a [&'a Call]) -> Around<'a> {
        Around {
            children,
            spec: self.spec.as_ref(),
            printed: &self.printed,
            answer: self.answer.as_deref(),
            start_failures: &self.start_failures,
            failed: &self.failed,
            passed: &self.passed,
        }
    }
}

impl Why {
    /// The story of a call.
    pub(super) async fn of_call(&self, fact: &Fact, one: &Call) -> Result<Story> {
        let facts = match fact.trace {
            Some(trace) => self.with_events(self.find(About::Trace(trace), FACTS).await?).await?,
            None => vec![fact.clone()],
        };
        let known = self.known(fact, one, &facts).await?;
        let children: Vec<&Call> = known.children.iter().collect();
        let changes = self.find_kinds(About::App(one.app.clone()), &["changed"], 50).await?;
        let current = self.live.load().app(one.app.as_str()).map(|app| app.current.number);
        let evidence =
            CallEvidence { facts: &facts, around: known.around(&children), current, changes: &changes };
        Ok(call::story(fact, one, &evidence))
    }

    /// The story of a trace; `None` when nothing is known of it.
    pub(super) async fn story_of_trace(&self, trace: TraceId, facts: &[Fact]) -> Result<Option<Story>> {
        let calls = facts.iter().filter_map(|fact| call_of(fact).map(|call| (fact, call)));
        let worst = calls.clone().rev().find(|(_, call)| call.failed()).or_else(|| calls.clone().next());
        let known = match worst {
            Some((fact, call)) => self.known(fact, call, facts).await?,
            None => Known::default(),
        };
        let children: Vec<&Call> = known.children.iter().collect();
        let evidence = CallEvidence { facts, around: known.around(&children), ..CallEvidence::default() };
        Ok(call::trace(trace, facts, &evidence))
    }

    /// The facts of a trace with those of the events that were published in it.
    pub(super) async fn with_events(&self, mut facts: Vec<Fact>) -> Result<Vec<Fact>> {
        let places: Vec<(TopicName, u64)> = event::accepted(&facts)
            .take(EVENTS)
            .map(|(_, event)| (event.topic.clone(), event.sequence))
            .collect();
        for (topic, sequence) in places {
            for fact in self.find(About::Event(topic, sequence), RECENT).await? {
                if !facts.contains(&fact) {
                    facts.push(fact);
                }
            }
        }
        Ok(facts)
    }

    /// What is around a call. What went well and fast needs no look at others.
    pub(super) async fn known(&self, fact: &Fact, call: &Call, facts: &[Fact]) -> Result<Known> {
        let spec = self.live.load().revision(&call.app, call.revision);
        let spec = spec.and_then(|revision| revision.spec.functions.get(&call.function).cloned());
        let span = call.span();
        let children = facts.iter().filter_map(call_of).filter(|child| child.parent == Some(span)).cloned();
        let mut known = Known { children: children.collect(), spec, ..Known::default() };
        let bad = call.failed() || call.status.is_some_and(|status| status >= 400);
        if !bad && call.times.total_us < u64::try_from(FACTS_SLOW_CALL.as_micros()).unwrap_or(u64::MAX) {
            return Ok(known);
        }
        known.printed = self.printed(fact, call);
        known.answer = self.answer_of(call).await?;
        if call.failure.as_ref().is_some_and(|failure| failure.code.starts_with("HOB-03")) {
            known.start_failures = self.start_failures(call).await?;
        }
        if bad {
            (known.failed, known.passed) = self.compare(call).await?;
        }
        Ok(known)
    }

    /// What the function printed in the call; where that cannot be known, what its instance did meanwhile.
    fn printed(&self, fact: &Fact, call: &Call) -> Vec<String> {
        let query = LogQuery {
            app: Some(call.app.clone()),
            function: Some(call.function.clone()),
            ..LogQuery::default()
        };
        let (records, _) = self.logs.read(query);
        let end_ms = fact.time_ms.saturating_add(call.times.total_us / 1000).saturating_add(1000);
        let own = records.iter().filter(|record| record.invocation == Some(call.id));
        let meanwhile = records.iter().filter(|record| {
            record.invocation.is_none()
                && record.stream != Stream::Platform
                && call.instance.is_none_or(|instance| instance == record.instance)
                && (fact.time_ms.saturating_sub(millis(std::time::Duration::from_secs(1)))..=end_ms)
                    .contains(&record.time_ms)
        });
        let mut lines: Vec<String> = own.map(|record| record.text.clone()).collect();
        if lines.is_empty() {
            lines = meanwhile.map(|record| record.text.clone()).collect();
        }
        lines.split_off(lines.len().saturating_sub(LINES))
    }

    /// What a failed attempt was answered with, without its status.
    async fn answer_of(&self, call: &Call) -> Result<Option<String>> {
        let told = self.find_kinds(About::Invocation(call.id), &["delivered"], 1).await?;
        let text = told.into_iter().next().and_then(|fact| match fact.what {
            What::Delivered(one) => one.failure,
            _ => None,
        });
        let status = call.status.map(|status| format!("status {status} ")).unwrap_or_default();
        Ok(text.and_then(|text| text.strip_prefix(&status).map(str::to_owned)))
    }

    /// Why instances of the function could not start, the newest first.
    async fn start_failures(&self, call: &Call) -> Result<Vec<Failure>> {
        let about = About::Function(call.app.clone(), call.function.clone());
        let facts = self.find_kinds(about, &["instance"], 20).await?;
        let failures = facts.into_iter().rev().filter_map(|fact| match fact.what {
            What::Instance(instance) => instance.failure,
            _ => None,
        });
        Ok(failures.collect())
    }

    /// What calls that failed like this one are like, and those that passed.
    async fn compare(
        &self,
        call: &Call,
    ) -> Result<(Vec<BTreeMap<String, String>>, Vec<BTreeMap<String, String>>)> {
        let about = match call.cause.trigger() {
            Some(name) => About::Trigger(call.app.clone(), name.clone()),
            None => About::Function(call.app.clone(), call.function.clone()),
        };
        let facts = self.find_kinds(about, &["call"], RECENT).await?;
        let mut latest: BTreeMap<String, Call> = BTreeMap::new();
        for other in facts.iter().filter_map(call_of) {
            latest.insert(subject(other), other.clone());
        }
        let (mut failed, mut passed) = (Vec::new(), Vec::new());
        for other in latest.values().filter(|other| other.cause.word() == call.cause.word()) {
            let (into, alike) = match other.failed() {
                true => (&mut failed, other.status == call.status),
                false => (&mut passed, true),
            };
            if alike && into.len() < COMPARED {
                into.extend(self.traits(other).await?);
            }
        }
        Ok((failed, passed))
    }

    async fn traits(&self, call: &Call) -> Result<Option<BTreeMap<String, String>>> {
        let placed: Option<Placed> = match &call.cause {
            CallCause::Event { topic, sequence, .. } => self.bus.event(topic, *sequence).await?,
            _ => return Ok(Some(traits::of_request(call))),
        };
        Ok(placed.map(|placed| traits::of_event(&placed.stored.event)))
    }

    /// The causes of a function's newest failure and of its slowest call.
    pub(super) async fn worst(&self, facts: &[Fact]) -> Result<(Option<Cause>, Option<Cause>)> {
        let calls = || facts.iter().filter_map(|fact| call_of(fact).map(|call| (fact, call)));
        let failed = match calls().filter(|(_, call)| call.failed()).last() {
            Some((fact, call)) => Some(self.known_of(fact, call).await?.cause(call)),
            None => None,
        };
        let slow =
            match calls().filter(|(_, call)| !call.failed()).max_by_key(|(_, call)| call.times.total_us) {
                Some((fact, call)) => Some(self.known_of(fact, call).await?.cause(call)),
                None => None,
            };
        Ok((failed, slow))
    }

    /// What is around a call of which only its own fact is known.
    pub(super) async fn known_of(&self, fact: &Fact, call: &Call) -> Result<Known> {
        let facts = match fact.trace {
            Some(trace) => self.find(About::Trace(trace), RECENT).await?,
            None => Vec::new(),
        };
        self.known(fact, call, &facts).await
    }

    /// The newest failed call that a query finds, as a cause.
    pub(super) async fn newest_failure(&self, query: FactQuery) -> Result<Option<Cause>> {
        let facts = self.telemetry.find(FactQuery { failed: true, ..query }).await?;
        for fact in facts.iter().rev() {
            match &fact.what {
                What::Call(call) => return Ok(Some(self.known_of(fact, call).await?.cause(call))),
                What::Refused(refused) => return Ok(Some(cause::plain(&refused.failure))),
                What::Published(event) => return Ok(event.failure.as_ref().map(cause::plain)),
                _ => {}
            }
        }
        Ok(None)
    }

    /// The story of an asynchronous call.
    pub(super) async fn of_asynchronous(&self, id: &str, app: &AppName, sequence: u64) -> Result<Story> {
        let topic = crate::calls::calls_topic(app);
        let mut story = self.of_place(&topic, sequence).await?;
        story.subject = format!("asynchronous call {id}");
        story.next.retain(|next| !next.starts_with("hob replay"));
        Ok(story)
    }
}

/// What was called for: an attempt takes the place of the one before.
fn subject(call: &Call) -> String {
    match &call.cause {
        CallCause::Event { topic, sequence, .. } => format!("{topic}/{sequence}"),
        _ => call.id.to_string(),
    }
}

pub(super) fn call_of(fact: &Fact) -> Option<&Call> {
    match &fact.what {
        What::Call(call) => Some(call),
        _ => None,
    }
}
