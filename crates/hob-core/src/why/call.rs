//! The story of one request or call.

use super::cause::{Around, of_call, of_delay};
use super::change::surprise;
use super::route::{less_exact, unshadow};
use super::tree::{change, step, tree};
use super::{Cause, cause};
use crate::code::Owner;
use crate::fact::{Call, CallCause, Change, Changed, Fact, Refused, What};
use crate::limit::FACTS_SLOW_CALL;
use crate::name::{FunctionName, RevisionNumber};
use crate::trace::TraceId;
use crate::unit::micros;
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
    /// Routes that match its request too and are less exact.
    pub shadowed: &'a [(String, FunctionName)],
}

/// The story of a call that is among the facts.
pub fn story(fact: &Fact, call: &Call, evidence: &CallEvidence<'_>) -> Story {
    let mut cause = of_call(call, &evidence.around);
    if cause.verdict == Verdict::Good {
        cause = if call.times.total_us < micros(FACTS_SLOW_CALL) {
            with_what_surprises(cause, fact, call, evidence)
        } else {
            // That it was slow comes first then.
            let also = surprise(evidence.changes, call.revision, fact.time_ms);
            match also {
                Some(also) => cause.and(&format!("; {}", also.reason)),
                None => cause,
            }
        };
    }
    if let Some(late) = of_delay(call, fact.time_ms) {
        cause = cause.and(&format!("; {late}"));
    }
    let mut story = cause.story(format!("call {}", call.id));
    story.path = tree(evidence.facts);
    if !names(&story.path, &call.id.to_string()) {
        story.path.push(step(fact));
    }
    // What was done to the app just before belongs to what happened.
    let switched = |change: &&Fact| match &change.what {
        What::Changed(changed) => changed.change.switches() && change.time_ms <= fact.time_ms,
        _ => false,
    };
    let before = evidence.changes.iter().rev().find(switched);
    let shown = before.filter(|_| surprise(evidence.changes, call.revision, fact.time_ms).is_some());
    story.path.splice(0..0, shown.map(step));
    story.trace = fact.trace.map(|trace| trace.to_string());
    story.next = next(call, fact.trace, story.verdict);
    story
}

/// It went well, but perhaps not as somebody expected: another revision answered, or another function.
fn with_what_surprises(cause: Cause, fact: &Fact, call: &Call, evidence: &CallEvidence<'_>) -> Cause {
    if let Some(surprise) = surprise(evidence.changes, call.revision, fact.time_ms) {
        return surprise.and(&format!("; {}", cause.reason));
    }
    if let (Some(route), Some((first, other))) = (&call.route, evidence.shadowed.first()) {
        let more = format!(", by route `{}`{}", written(call, route), less_exact(evidence.shadowed));
        return cause.and(&more).fix(unshadow(first, other, &call.function)).owner(Owner::Caller);
    }
    let Some(current) = evidence.current.filter(|current| *current != call.revision) else { return cause };
    let more = match &call.cause {
        CallCause::Event { .. } => "; an event stays with the revision of the app that published it",
        CallCause::Function { .. } => "; a call stays with the revision on which it began",
        _ => "",
    };
    cause.and(&format!("; revision {current} takes new requests now{more}"))
}

/// The route with its method, as the manifest has it.
fn written(call: &Call, route: &str) -> String {
    if route.starts_with('/') { format!("{} {route}", call.method) } else { route.to_owned() }
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

/// The story of a request for which nobody was called. `now` is what is known besides what was said then.
pub fn refused(fact: &Fact, refused: &Refused, now: Option<Cause>) -> Story {
    let mut story =
        now.unwrap_or_else(|| cause::plain(&refused.failure)).story(format!("request {}", refused.id));
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
        Some(failure) => super::change::of_failure(&changed.app, failure).after(&format!(
            "a {} of {} failed: ",
            noun(changed.change),
            changed.app
        )),
        None => Cause::new(verdict, text),
    };
    let mut story = cause.story(format!("change of {}", changed.app));
    story.path = vec![step(fact)];
    story.next = vec![format!("hob show {}", changed.app), format!("hob logs {}", changed.app)];
    story
}

/// What was to be done.
fn noun(change: Change) -> &'static str {
    match change {
        Change::Deploy => "deploy",
        Change::Rollback => "rollback",
        Change::Remove => "removal",
        Change::Optimise => "exchange of code",
    }
}

/// The call of a trace that tells most: the first one that failed, since those that it made are told with it; else the
/// one that took longest.
pub fn telling(facts: &[Fact]) -> Option<(&Fact, &Call)> {
    let calls = || {
        facts.iter().filter_map(|fact| match &fact.what {
            What::Call(call) => Some((fact, &**call)),
            _ => None,
        })
    };
    let failed = calls()
        .filter(|(_, call)| call.failed())
        .min_by_key(|(fact, call)| (fact.time_ms, std::cmp::Reverse(call.times.total_us)));
    failed.or_else(|| calls().max_by_key(|(_, call)| call.times.total_us))
}

/// The story of a trace: that of the call that tells most, of `call`'s evidence.
pub fn trace(trace: TraceId, facts: &[Fact], evidence: &CallEvidence<'_>) -> Option<Story> {
    if facts.is_empty() {
        return None;
    }
    let mut told = match telling(facts) {
        Some((fact, call)) => story(fact, call, &CallEvidence { facts, ..*evidence }),
        None => Cause::new(Verdict::Good, "no function was called in this trace").story(""),
    };
    let failed = facts.iter().filter(|fact| matches!(&fact.what, What::Call(call) if call.failed())).count();
    if failed > 1 {
        told.reason = format!("{}; {failed} calls of the trace failed", told.reason);
    }
    told.subject = format!("trace {trace}");
    told.path = tree(facts);
    Some(told)
}

#[cfg(test)]
mod tests;
