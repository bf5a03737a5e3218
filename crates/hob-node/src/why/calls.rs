//! What is known of calls: their trace, their settings, what they printed, and others like them.

use super::{FACTS, RECENT, Why, traits};
use crate::bus::Placed;
use crate::clock::now_ms;
use hob_core::code::Code;
use hob_core::fact::{About, Call, CallCause, Fact, FactQuery, Failure, Refused, What};
use hob_core::fault::Result;
use hob_core::name::TopicName;
use hob_core::port::{BoxFuture, LogRecord, Stream};
use hob_core::scale::Circuit;
use hob_core::spec::FunctionSpec;
use hob_core::trace::TraceId;
use hob_core::unit::millis;
use hob_core::why::call::{self, CallEvidence};
use hob_core::why::cause::{self, Around, Child, NOTABLE_US};
use hob_core::why::circuit::{self, Broken, Next};
use hob_core::why::route::refusal;
use hob_core::why::{Cause, event};
use hob_core::wire::{LogQuery, Story};
use std::collections::BTreeMap;
use std::time::Duration;

/// Events of a trace whose deliveries are looked up.
const EVENTS: usize = 20;
/// Failures and successes that are compared.
const COMPARED: usize = 12;
/// Facts of a function's instances in which the failure is looked for that opened its circuit.
const INSTANCES: usize = 2000;
/// Printed lines that are looked at.
const LINES: usize = 50;

/// What is around a call, as the node knows it.
#[derive(Default)]
pub(super) struct Known {
    children: Vec<Child>,
    spec: Option<FunctionSpec>,
    printed: Vec<String>,
    shared: bool,
    answer: Option<String>,
    start_failures: Vec<Failure>,
    broken: Option<Broken>,
    failed: Vec<BTreeMap<String, String>>,
    passed: Vec<BTreeMap<String, String>>,
}

impl Known {
    /// The cause of the call's outcome.
    pub(super) fn cause(&self, call: &Call) -> Cause {
        cause::of_call(call, &self.around())
    }

    fn around(&self) -> Around<'_> {
        Around {
            children: &self.children,
            spec: self.spec.as_ref(),
            printed: &self.printed,
            shared: self.shared,
            answer: self.answer.as_deref(),
            start_failures: &self.start_failures,
            broken: self.broken.as_ref(),
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
        let changes = self.changes(&one.app).await?;
        let current = self.live.load().app(one.app.as_str()).map(|app| app.current.number);
        let shadowed = self.shadowed(one);
        let (around, shadowed) = (known.around(), &shadowed);
        let evidence = CallEvidence { facts: &facts, around, current, changes: &changes, shadowed };
        Ok(call::story(fact, one, &evidence))
    }

    /// The story of a request that nobody was called for.
    pub(super) async fn of_refused(&self, fact: &Fact, refused: &Refused) -> Result<Story> {
        if refused.control {
            return Ok(call::refused(fact, refused, None));
        }
        let asked = format!("{} http://{}{}", refused.method, refused.host, refused.path);
        let now = self.answer_to(&refused.method, &refused.host, &refused.path).await?;
        // Told as it is now, unless that has changed since.
        let now = refusal(&asked, &now);
        let now = now.filter(|cause| {
            cause
                .code
                .as_deref()
                .is_some_and(|code| code == refused.failure.code || refused.failure.code == "HOB-0408")
        });
        Ok(call::refused(fact, refused, now))
    }

    /// The story of a trace; `None` when nothing is known of it.
    pub(super) async fn story_of_trace(&self, trace: TraceId, facts: &[Fact]) -> Result<Option<Story>> {
        let known = match call::telling(facts) {
            Some((fact, call)) => self.known(fact, call, facts).await?,
            None => Known::default(),
        };
        let evidence = CallEvidence { facts, around: known.around(), ..CallEvidence::default() };
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
    pub(super) fn known<'a>(
        &'a self,
        fact: &'a Fact,
        call: &'a Call,
        facts: &'a [Fact],
    ) -> BoxFuture<'a, Result<Known>> {
        // A call's cause may be in one that it made, and that one's further down; depth is bounded by that of calls.
        Box::pin(self.look_around(fact, call, facts))
    }

    async fn look_around(&self, fact: &Fact, call: &Call, facts: &[Fact]) -> Result<Known> {
        let spec = self.live.load().revision(&call.app, call.revision);
        let spec = spec.and_then(|revision| revision.spec.functions.get(&call.function).cloned());
        let mut known = Known { spec, ..Known::default() };
        let bad = call.failed() || call.status.is_some_and(|status| status >= 400);
        if !bad && call.times.total_us < NOTABLE_US {
            return Ok(known);
        }
        known.children = self.children(call, facts).await?;
        (known.printed, known.shared) = self.printed(fact, call);
        known.answer = match &call.said {
            Some(said) => Some(said.clone()),
            None => self.answer_of(call).await?,
        };
        if call.failure.as_ref().is_some_and(|failure| failure.code.starts_with("HOB-03")) {
            known.start_failures = self.start_failures(call).await?;
        }
        if call.failure.as_ref().is_some_and(|failure| failure.code == Code::CircuitOpen.text()) {
            known.broken = Some(self.broken(fact, call).await?);
        }
        if bad {
            (known.failed, known.passed) = self.compare(call).await?;
        }
        Ok(known)
    }

    /// The calls that a call made; the causes of the last that failed and of the longest are looked for.
    async fn children(&self, call: &Call, facts: &[Fact]) -> Result<Vec<Child>> {
        let span = call.span();
        let own = |fact: &&Fact| {
            call_of(fact).is_some_and(|child| child.parent == Some(span) && child.id != call.id)
        };
        let of_it: Vec<(&Fact, &Call)> =
            facts.iter().filter(own).filter_map(|fact| Some((fact, call_of(fact)?))).collect();
        let failed = of_it.iter().rposition(|(_, child)| child.failed());
        let longest = (0..of_it.len()).max_by_key(|at| of_it[*at].1.times.total_us);
        let mut children = Vec::new();
        for (at, (fact, child)) in of_it.into_iter().enumerate() {
            let tells = failed == Some(at) || longest == Some(at);
            let cause = if tells { Some(self.known(fact, child, facts).await?.cause(child)) } else { None };
            children.push(Child { call: child.clone(), cause });
        }
        Ok(children)
    }

    /// What the function printed in the call; where that cannot be known, what its instance did meanwhile (then true).
    fn printed(&self, fact: &Fact, call: &Call) -> (Vec<String>, bool) {
        let query = LogQuery {
            app: Some(call.app.clone()),
            function: Some(call.function.clone()),
            ..LogQuery::default()
        };
        let (records, _) = self.logs.read(query);
        let end_ms = fact.time_ms.saturating_add(call.times.total_us / 1000).saturating_add(1000);
        let begin_ms = fact.time_ms.saturating_sub(millis(Duration::from_secs(1)));
        let own = |record: &LogRecord| record.invocation == Some(call.id);
        let meanwhile = |record: &LogRecord| {
            record.invocation.is_none()
                && call.instance.is_none_or(|instance| instance == record.instance)
                && (begin_ms..=end_ms).contains(&record.time_ms)
        };
        let text = |wanted: &dyn Fn(&LogRecord) -> bool| -> Vec<String> {
            let wanted = records.iter().filter(|record| record.stream != Stream::Platform && wanted(record));
            wanted.map(|record| record.text.clone()).collect()
        };
        let (mut lines, mut shared) = (text(&own), false);
        if lines.is_empty() {
            lines = text(&meanwhile);
            shared = self.is_shared(call);
        }
        (lines.split_off(lines.len().saturating_sub(LINES)), shared)
    }

    /// Whether other calls may run in the same instance.
    fn is_shared(&self, call: &Call) -> bool {
        let revision = self.live.load().revision(&call.app, call.revision);
        let spec = revision.and_then(|revision| revision.spec.functions.get(&call.function).cloned());
        spec.is_none_or(|spec| spec.scale.concurrency > 1)
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
            What::Instance(instance) if instance.revision == call.revision => instance.failure,
            _ => None,
        });
        Ok(failures.filter(|failure| failure.code.starts_with("HOB-03")).collect())
    }

    /// Why a function's calls were refused when this one was, and when it is tried again.
    async fn broken(&self, fact: &Fact, call: &Call) -> Result<Broken> {
        let about = About::Function(call.app.clone(), call.function.clone());
        let facts = self.find_kinds(about, &["instance"], INSTANCES).await?;
        let mut broken = circuit::broken(&facts, call.revision, fact.time_ms);
        let query = LogQuery {
            app: Some(call.app.clone()),
            function: Some(call.function.clone()),
            ..LogQuery::default()
        };
        let (records, _) = self.logs.read(query);
        let own = |record: &LogRecord| {
            record.stream != Stream::Platform && broken.instance == Some(record.instance)
        };
        let mut lines: Vec<String> =
            records.iter().filter(|record| own(record)).map(|record| record.text.clone()).collect();
        broken.printed = lines.split_off(lines.len().saturating_sub(LINES));
        let revision = self.live.load().revision(&call.app, call.revision);
        let pool = revision.as_ref().and_then(|revision| revision.functions.made_of(call.function.as_str()));
        if let (Some(pool), Next::Unknown) = (pool, broken.next) {
            let outlook = pool.stats().outlook;
            broken.next = match (outlook.circuit, outlook.pause_ms) {
                (Circuit::Closed, _) => Next::Unknown,
                (_, 0) => Next::Probed,
                (_, pause_ms) => Next::Paused(now_ms().saturating_add(pause_ms)),
            };
        }
        Ok(broken)
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
            let (into, alike) = match other.failed() || other.status >= Some(400) {
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
        let failed = match calls().rfind(|(_, call)| call.failed()) {
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
