//! The story of one request or call.

use super::cause::{Around, of_call, of_delay};
use super::text::time;
use super::tree::{change, step, tree};
use super::{Cause, cause};
use crate::fact::{Call, CallCause, Change, Changed, Fact, Refused, What};
use crate::name::RevisionNumber;
use crate::trace::TraceId;
use crate::wire::{Step, Story, Verdict};

/// What is known of a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallEvidence<'a> {
    /// The facts of its trace, and of the events in it.
    pub facts: &'a [Fact],
    /// What is around it.
    pub around: Around<'a>,
    /// The revision of its app that takes new requests now; `None`: the app is gone.
    pub current: Option<RevisionNumber>,
    /// Changes of the app, oldest first.
    pub changes: &'a [Fact],
}

/// The story of a call that is among the facts.
pub fn story(fact: &Fact, call: &Call, evidence: &CallEvidence<'_>) -> Story {
    let mut cause = of_call(call, &evidence.around);
    if let Some(late) = of_delay(call, fact.time_ms) {
        cause.reason = format!("{}; {late}", cause.reason);
    }
    if let Some(other) = other_revision(call, fact.time_ms, evidence) {
        cause.reason = format!("{}; {other}", cause.reason);
    }
    let mut story = cause.story(format!("call {}", call.id));
    story.path = tree(evidence.facts);
    if !names(&story.path, &call.id.to_string()) {
        story.path.push(step(fact));
    }
    story.trace = fact.trace.map(|trace| trace.to_string());
    story.next = next(call, fact.trace, story.verdict);
    story
}

/// That not the newest revision answered, and since when that is so.
fn other_revision(call: &Call, time_ms: u64, evidence: &CallEvidence<'_>) -> Option<String> {
    let before = evidence.changes.iter().rev().find(|fact| fact.time_ms <= time_ms + 1000)?;
    let What::Changed(changed) = &before.what else { return None };
    let surprising = changed.failure.is_some() || changed.change == Change::Rollback;
    if surprising && changed.to == Some(call.revision) {
        return Some(format!(
            "revision {} answers since {} at {}",
            call.revision,
            noun(changed),
            time(before.time_ms)
        ));
    }
    let current = evidence.current.filter(|current| *current != call.revision)?;
    Some(format!("revision {} handled it; revision {current} takes new requests now", call.revision))
}

fn noun(changed: &Changed) -> String {
    match (&changed.failure, changed.change) {
        (Some(failure), _) => format!("a deploy failed ({})", failure.message),
        (None, _) => change(changed).0,
    }
}

/// Whether one of the steps is about this id.
fn names(steps: &[Step], id: &str) -> bool {
    steps.iter().any(|step| step.id.as_deref() == Some(id) || names(&step.steps, id))
}

fn next(call: &Call, trace: Option<TraceId>, verdict: Verdict) -> Vec<String> {
    let mut next = Vec::new();
    if verdict == Verdict::Bad {
        next.push(format!("hob logs {}/{} --invocation {}", call.app, call.function, call.id));
    }
    match &call.cause {
        CallCause::Event { topic, sequence, .. } => {
            next.push(format!("hob why {topic}/{sequence}"));
            if verdict == Verdict::Bad {
                next.push(format!(
                    "hob replay {topic} --from {sequence} --limit 1 --to {}/{}",
                    call.app, call.function
                ));
            }
        }
        CallCause::Asynchronous { call, .. } => next.push(format!("hob why {call}")),
        CallCause::Schedule { schedule, .. } => next.push(format!("hob cron show {}/{schedule}", call.app)),
        _ => {}
    }
    next.extend(trace.map(|trace| format!("hob trace {trace}")));
    next
}

/// The story of a request for which nobody was called.
pub fn refused(fact: &Fact, refused: &Refused) -> Story {
    let mut story = cause::plain(&refused.failure).story(format!("request {}", refused.id));
    story.path = vec![step(fact)];
    if refused.control {
        story.subject = format!("command {}", refused.id);
        return story;
    }
    let url = format!("{} http://{}{}", refused.method, refused.host, refused.path);
    story.next = vec![format!("hob why --route \"{url}\"")];
    story
}

/// The story of a change of an app that failed, or did not.
pub fn changed(fact: &Fact, changed: &Changed) -> Story {
    let (text, verdict) = change(changed);
    let cause = match &changed.failure {
        Some(failure) => Cause { reason: text, ..cause::plain(failure) },
        None => Cause::new(verdict, text),
    };
    let mut story = cause.story(format!("change of {}", changed.app));
    story.path = vec![step(fact)];
    story.next = vec![format!("hob show {}", changed.app), format!("hob logs {}", changed.app)];
    story
}

/// The story of a trace: that of its first call, or of whatever is first in it.
pub fn trace(trace: TraceId, facts: &[Fact], evidence: &CallEvidence<'_>) -> Option<Story> {
    let calls = |fact: &&Fact| matches!(&fact.what, What::Call(_));
    let failed = |fact: &&Fact| matches!(&fact.what, What::Call(call) if call.failed());
    let mut sorted: Vec<&Fact> = facts.iter().collect();
    sorted.sort_by_key(|fact| fact.time_ms);
    let root = sorted.iter().copied().filter(failed).last().or_else(|| sorted.iter().copied().find(calls));
    let mut told = match root.map(|fact| (fact, &fact.what)) {
        Some((fact, What::Call(call))) => story(fact, call, &CallEvidence { facts, ..*evidence }),
        _ => Cause::new(Verdict::Good, "no function was called in this trace").story(""),
    };
    if facts.is_empty() {
        return None;
    }
    told.subject = format!("trace {trace}");
    told.path = tree(facts);
    Some(told)
}
