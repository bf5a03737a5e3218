//! Facts as a tree: what caused what, in the order of time.
//!
//! **How.** A call is below the span that caused it, or below the event that it was an attempt for; an event is below
//! the call that published it; what became of an attempt, and who left an event out, is below the event. What has no
//! known cause stands at the top.

use super::text::{line, took, took_ms};
use crate::fact::{
    Call, CallCause, Change, Changed, Delivered, Ending, Fact, InstanceChanged, InstanceStep, Outside,
    PHASES, Publication, Refused, RunDecision, SkipReason, What,
};
use crate::id::InvocationId;
use crate::name::TopicName;
use crate::trace::SpanId;
use crate::wire::{Step, Verdict};
use std::collections::BTreeMap;

/// Waiting that is too short to be a step of its own, microseconds.
const NOTABLE_US: u64 = 1000;
/// Characters of a line of text from outside.
const LINE_CHARS: usize = 160;

/// The steps of some facts, as a tree.
pub fn tree(facts: &[Fact]) -> Vec<Step> {
    let mut sorted: Vec<&Fact> = facts.iter().collect();
    sorted.sort_by_key(|fact| fact.time_ms);
    let places = Places::of(&sorted);
    let parents: Vec<Option<usize>> = sorted
        .iter()
        .enumerate()
        .map(|(at, fact)| places.parent(fact).filter(|parent| *parent != at))
        .collect();
    let mut below: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut top = Vec::new();
    for (at, parent) in parents.iter().enumerate() {
        match parent {
            Some(parent) if !leads_to(&parents, *parent, at) => below.entry(*parent).or_default().push(at),
            _ => top.push(at),
        }
    }
    top.into_iter().map(|at| grow(at, &sorted, &below)).collect()
}

/// Whether going up from `from` one comes to `to`: facts from outside may name each other in a circle.
fn leads_to(parents: &[Option<usize>], from: usize, to: usize) -> bool {
    let mut at = Some(from);
    for _ in 0..parents.len() {
        match at {
            Some(here) if here == to => return true,
            Some(here) => at = parents[here],
            None => return false,
        }
    }
    true
}

fn grow(at: usize, facts: &[&Fact], below: &BTreeMap<usize, Vec<usize>>) -> Step {
    let mut step = step(facts[at]);
    let children = below.get(&at).into_iter().flatten();
    step.steps.extend(children.map(|child| {
        let mut inner = grow(*child, facts, below);
        // How the attempt failed stands in the line above.
        if let (What::Call(_), What::Delivered(delivered)) = (&facts[at].what, &facts[*child].what) {
            inner.text = ending(&Delivered { failure: None, ..(**delivered).clone() }).0;
        }
        inner
    }));
    step.steps.sort_by_key(|step| step.time_ms.unwrap_or(0));
    step
}

/// Where facts are that others name.
struct Places {
    spans: BTreeMap<SpanId, usize>,
    calls: BTreeMap<InvocationId, usize>,
    events: BTreeMap<(TopicName, u64), usize>,
}

impl Places {
    fn of(facts: &[&Fact]) -> Self {
        let mut places = Self { spans: BTreeMap::new(), calls: BTreeMap::new(), events: BTreeMap::new() };
        for (at, fact) in facts.iter().enumerate() {
            match &fact.what {
                What::Call(call) => {
                    places.spans.insert(call.span(), at);
                    places.calls.insert(call.id, at);
                }
                What::Span(span) => _ = places.spans.insert(span.span, at),
                What::Published(event) if event.sequence > 0 && !event.duplicate => {
                    places.events.entry((event.topic.clone(), event.sequence)).or_insert(at);
                }
                _ => {}
            }
        }
        places
    }

    fn parent(&self, fact: &Fact) -> Option<usize> {
        let span = |span: Option<SpanId>| span.and_then(|span| self.spans.get(&span).copied());
        let event = |topic: &TopicName, sequence| self.events.get(&(topic.clone(), sequence)).copied();
        match &fact.what {
            What::Call(call) => self.of_cause(call).or_else(|| span(call.parent)),
            What::Span(inner) => span(inner.parent),
            What::Published(published) => published.by.and_then(|by| self.calls.get(&by).copied()),
            What::Skipped(skipped) => event(&skipped.topic, skipped.sequence),
            What::Delivered(delivered) => {
                let call = delivered.invocation.and_then(|id| self.calls.get(&id).copied());
                call.or_else(|| event(&delivered.topic, delivered.sequence))
            }
            _ => None,
        }
    }

    fn of_cause(&self, call: &Call) -> Option<usize> {
        let event = |topic: TopicName, sequence| self.events.get(&(topic, sequence)).copied();
        match &call.cause {
            CallCause::Event { topic, sequence, .. } | CallCause::Replay { topic, sequence } => {
                event(topic.clone(), *sequence)
            }
            CallCause::Asynchronous { sequence, .. } => event(TopicName::own("calls", &call.app), *sequence),
            _ => None,
        }
    }
}

/// One fact as a step, without what it caused.
pub fn step(fact: &Fact) -> Step {
    let plain = |text: String, verdict| Step {
        time_ms: Some(fact.time_ms),
        took_us: None,
        text,
        verdict,
        id: None,
        steps: Vec::new(),
    };
    match &fact.what {
        What::Call(call) => of_call(call, fact.time_ms),
        What::Refused(refused) => Step {
            id: Some(refused.id.to_string()),
            ..plain(
                format!("{} {} {}: {}", refused.method, refused.path, whom(refused), refused.failure.message),
                Verdict::Bad,
            )
        },
        What::Published(event) => {
            let (text, verdict) = published(event);
            Step {
                id: (event.sequence > 0).then(|| place(&event.topic, event.sequence)),
                ..plain(text, verdict)
            }
        }
        What::Skipped(skipped) => {
            let text = format!(
                "{}/{} leaves it out: {}",
                skipped.app,
                skipped.subscription,
                left_out(&skipped.reason)
            );
            plain(text, Verdict::Skipped)
        }
        What::Delivered(delivered) => {
            let (text, verdict) = ending(delivered);
            Step { id: delivered.invocation.map(|id| id.to_string()), ..plain(text, verdict) }
        }
        What::Run(run) => {
            let (text, verdict) = decision(&run.decision);
            plain(format!("schedule {}/{} {text}", run.app, run.schedule), verdict)
        }
        What::Changed(changed) => {
            let (text, verdict) = change(changed);
            Step { took_us: Some(changed.took_ms.saturating_mul(1000)), ..plain(text, verdict) }
        }
        What::Instance(instance) => {
            let (text, verdict) = instance_step(instance);
            Step { took_us: Some(instance.start_us).filter(|us| *us > 0), ..plain(text, verdict) }
        }
        What::Span(span) => {
            let failed =
                span.failed.as_ref().map(|why| format!(": {}", line(why, LINE_CHARS))).unwrap_or_default();
            let verdict = if span.failed.is_some() { Verdict::Bad } else { Verdict::Good };
            Step {
                took_us: Some(span.took_us),
                ..plain(format!("{}{failed}", line(&span.name, LINE_CHARS)), verdict)
            }
        }
        What::Alert(alert) => {
            let verdict = if alert.on { Verdict::Bad } else { Verdict::Good };
            plain(format!("alert `{}`: {}", alert.alert, alert.text), verdict)
        }
    }
}

fn instance_step(instance: &InstanceChanged) -> (String, Verdict) {
    let circuit = |what| {
        let last = instance.failure.as_ref().map(|failure| format!(", at last {}", failure.message));
        let verdict = if last.is_some() { Verdict::Bad } else { Verdict::Good };
        (format!("{}/{} {what}{}", instance.app, instance.function, last.unwrap_or_default()), verdict)
    };
    let what = match instance.step {
        InstanceStep::Started => "started",
        InstanceStep::StartFailed => "could not be started",
        InstanceStep::Ended => "ended by itself",
        InstanceStep::Stopped => "was stopped",
        InstanceStep::Reclaimed => "was idle and stopped to make room",
        InstanceStep::CircuitOpened => return circuit("fails again and again: calls are refused"),
        InstanceStep::CircuitProbed => return circuit("is tried again, with one call or start"),
        InstanceStep::CircuitClosed => return circuit("works again: calls are let in"),
    };
    let why = instance.failure.as_ref().map(|failure| format!(": {}", failure.message)).unwrap_or_default();
    let verdict = if instance.failure.is_some() { Verdict::Bad } else { Verdict::Good };
    (format!("an instance of {}/{} {what}{why}", instance.app, instance.function), verdict)
}

fn of_call(call: &Call, time_ms: u64) -> Step {
    let verdict = if call.failed() { Verdict::Bad } else { Verdict::Good };
    let mut step = Step {
        time_ms: Some(time_ms),
        took_us: Some(call.times.total_us),
        text: format!("{}{} → {}", cause(call), in_topic(call, time_ms), answer(call)),
        verdict,
        id: Some(call.id.to_string()),
        steps: Vec::new(),
    };
    let part = |after_us: u64, took_us, text: String, verdict| Step {
        time_ms: Some(time_ms + after_us / 1000),
        took_us,
        text,
        verdict,
        id: None,
        steps: Vec::new(),
    };
    let times = call.times;
    if times.queue_us >= NOTABLE_US {
        step.steps.push(part(0, Some(times.queue_us), "waited for an instance".to_owned(), Verdict::Good));
    }
    // Where each call has an instance of its own, a start is nothing to tell of, unless it took long.
    if times.start_us >= NOTABLE_US || times.load_us > 0 {
        let phases = PHASES.iter().zip(times.phases()).map(|(phase, us)| format!("{phase} {}", took(us)));
        let phases: Vec<String> = phases.collect();
        let text = format!("an instance was started for it: {}", phases.join(", "));
        step.steps.push(part(times.queue_us, Some(times.start_us), text, Verdict::Good));
    }
    step.steps.extend(call.outside.iter().map(|outside| {
        let (text, verdict) = outside_call(outside);
        part(outside.after_us, outside.took_us, text, verdict)
    }));
    step
}

/// Why a call was made, and of what.
fn cause(call: &Call) -> String {
    let (method, path) = (&call.method, &call.path);
    match &call.cause {
        CallCause::Request => format!("{method} {path}"),
        CallCause::Control => format!("hob call: {method} {path}"),
        CallCause::Lambda => "Invoke of the Lambda API".to_owned(),
        CallCause::Function { app, function, .. } => format!("{app}/{function} calls {method} {path}"),
        CallCause::Event { subscription, topic, sequence, attempt, others, .. } => match others.len() {
            0 => format!("{subscription} delivers {topic}/{sequence}, attempt {attempt}"),
            more => format!("{subscription} delivers {topic}/{sequence} and {more} more, attempt {attempt}"),
        },
        CallCause::Schedule { schedule, attempt, .. } => format!("schedule {schedule}, attempt {attempt}"),
        CallCause::Asynchronous { attempt, .. } => format!("asynchronous {method} {path}, attempt {attempt}"),
        CallCause::Replay { topic, sequence } => format!("replay of {topic}/{sequence}"),
    }
}

/// Who answered, and what.
fn answer(call: &Call) -> String {
    let who = format!("{}/{} revision {}", call.app, call.function, call.revision);
    match (&call.failure, call.status) {
        (Some(failure), _) => format!("{who}: {} {}", failure.code, failure.message),
        (None, Some(status)) => format!("{who}: {status}"),
        (None, None) => format!("{who}: the caller went away"),
    }
}

fn outside_call(outside: &Outside) -> (String, Verdict) {
    let to = &outside.to;
    match (&outside.failure, outside.status, outside.took_us) {
        (Some(failure), ..) => (format!("called `{to}`: {}", failure.message), Verdict::Bad),
        (None, Some(status), _) => {
            let verdict = if status >= 500 { Verdict::Bad } else { Verdict::Good };
            (format!("called `{to}`: {status}"), verdict)
        }
        (None, None, Some(_)) => (format!("opened a connection to `{to}`"), Verdict::Good),
        (None, None, None) => {
            (format!("called `{to}`, which had not answered when the call ended"), Verdict::Bad)
        }
    }
}

fn published(event: &Publication) -> (String, Verdict) {
    let what = match event.id.as_str() {
        // It could not be read, so that nothing is known of it.
        "" => "an event".to_owned(),
        id => format!("event `{}` of type `{}`", line(id, 64), line(&event.kind, 64)),
    };
    match (&event.failure, event.duplicate) {
        (Some(failure), _) => {
            (format!("{what} for topic {} is refused: {}", event.topic, failure.message), Verdict::Bad)
        }
        (None, true) => {
            let first = place(&event.topic, event.sequence);
            (format!("{what} is dropped as a duplicate of {first}"), Verdict::Skipped)
        }
        (None, false) => {
            let at = place(&event.topic, event.sequence);
            match event.topic.as_str().starts_with("hob.calls.") {
                true => (format!("an asynchronous call is accepted as {at}"), Verdict::Good),
                false => (format!("{what} is published as {at}"), Verdict::Good),
            }
        }
    }
}

/// Who was asked by a refused request.
fn whom(refused: &Refused) -> String {
    if refused.control { "of the control API".to_owned() } else { format!("on host `{}`", refused.host) }
}

/// Why a subscription left an event out.
pub fn left_out(reason: &SkipReason) -> String {
    match reason {
        // An expression names several attributes; what they are is in `seen`, or only what it comes to.
        SkipReason::Filter { clause, wanted, seen: Some(seen) } if clause == "sql" => match seen.as_str() {
            "false" => format!("`{}` is false", line(wanted, 120)),
            seen => format!("`{}` is not true: the event has {}", line(wanted, 120), line(seen, 120)),
        },
        SkipReason::Filter { clause, wanted, seen: Some(seen) } => {
            let near = super::text::nearly_by(clause, wanted, seen)
                .map(|how| format!(" ({how})"))
                .unwrap_or_default();
            format!("`{clause}` wants `{}`, the event has `{}`{near}", line(wanted, 80), line(seen, 80))
        }
        SkipReason::Filter { clause, wanted, seen: None } if !clause.contains('.') => {
            format!("`{clause}` does not match: it wants {}", line(wanted, 120))
        }
        SkipReason::Filter { clause, wanted, seen: None } => {
            format!("`{clause}` wants `{}`, and the event does not have that", line(wanted, 80))
        }
        SkipReason::NoTrigger => "the revision that the event belongs to has no such subscription".to_owned(),
        SkipReason::Seek { .. } => "the subscription was moved beyond it".to_owned(),
    }
}

fn ending(delivered: &Delivered) -> (String, Verdict) {
    let who = match delivered.subscription.as_str() {
        "hob-callbacks" => "the callback".to_owned(),
        calls if calls.starts_with("hob-calls-") => "the asynchronous call".to_owned(),
        name => format!("{}/{name}", delivered.app),
    };
    let why =
        delivered.failure.as_ref().map(|why| format!(" ({})", line(why, LINE_CHARS))).unwrap_or_default();
    match &delivered.ending {
        Ending::Retry { at_ms } => {
            let attempt = delivered.attempt;
            (
                format!(
                    "{who}: attempt {attempt} failed{why}; the next one at {}",
                    super::text::time(*at_ms)
                ),
                Verdict::Bad,
            )
        }
        Ending::Overloaded { at_ms } => {
            (format!("{who}: no place for it{why}; again at {}", super::text::time(*at_ms)), Verdict::Waiting)
        }
        Ending::Dead { reason, topic } => {
            (format!("{who}: given up ({reason}){why}; it is kept in {topic}"), Verdict::Bad)
        }
    }
}

fn decision(decision: &RunDecision) -> (String, Verdict) {
    match decision {
        RunDecision::Fired { due_ms: None, .. } => ("runs, as somebody asked".to_owned(), Verdict::Good),
        RunDecision::Fired { made_up: true, due_ms: Some(due), .. } => {
            (format!("makes up for the run of {}", super::text::time(*due)), Verdict::Good)
        }
        RunDecision::Fired { .. } => ("runs".to_owned(), Verdict::Good),
        RunDecision::LeftOut { reason, runs, last_ms } => {
            let (runs, last) = (super::text::count(*runs, "run"), super::text::time(*last_ms));
            (format!("leaves out {runs} ({reason}), the last one due at {last}"), Verdict::Skipped)
        }
        RunDecision::Failed { failure } => (format!("could not run: {}", failure.message), Verdict::Bad),
    }
}

/// What was done to an app, or was not.
pub fn change(changed: &Changed) -> (String, Verdict) {
    let app = &changed.app;
    let to = changed.to.map_or_else(|| "an earlier revision".to_owned(), |to| format!("revision {to}"));
    if let Some(failure) = &changed.failure {
        let what = match changed.change {
            Change::Deploy => "deploy",
            Change::Rollback => "rollback",
            Change::Remove => "removal",
            Change::Optimise => "exchange of code",
        };
        let stays = changed.to.map(|to| format!("; revision {to} goes on")).unwrap_or_default();
        return (format!("a {what} of {app} failed: {}{stays}", failure.message), Verdict::Bad);
    }
    let from = changed.from.map(|from| format!(", before it revision {from}")).unwrap_or_default();
    let text = match changed.change {
        Change::Deploy => format!("{app} was deployed as {to}{from}"),
        Change::Rollback => format!("{app} was rolled back to {to}{from}"),
        Change::Remove => format!("{app} was removed"),
        Change::Optimise => {
            let function =
                changed.function.as_ref().map(|function| format!("/{function}")).unwrap_or_default();
            format!("optimised code of {app}{function} took the place of quick code, in {to}")
        }
    };
    (text, Verdict::Good)
}

/// The place of an event, as `hob why` takes it.
pub fn place(topic: &TopicName, sequence: u64) -> String {
    format!("{topic}/{sequence}")
}

/// How long an event waited in its topic before its first attempt, in words; empty when that is not worth a word.
fn in_topic(call: &Call, time_ms: u64) -> String {
    let published_ms = match &call.cause {
        CallCause::Event { published_ms, attempt: 1, .. }
        | CallCause::Schedule { published_ms, attempt: 1, .. }
        | CallCause::Asynchronous { published_ms, attempt: 1, .. } => *published_ms,
        _ => return String::new(),
    };
    match time_ms.saturating_sub(published_ms) {
        ..100 => String::new(),
        waited => format!(", {} after it was published", took_ms(waited)),
    }
}

#[cfg(test)]
mod tests;
