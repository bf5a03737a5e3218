//! What somebody expected, and no id names: that a function is called, that an error code means something.

use super::text::{count, time, took};
use super::tree::step;
use super::{Cause, change};
use crate::code::{Code, Owner};
use crate::fact::{Call, Fact, InstanceStep, What};
use crate::limit::FACTS_KEPT;
use crate::name::{AppName, FunctionName, RevisionNumber};
use crate::wire::{Story, Verdict};

/// Facts that a path shows.
const SHOWN: usize = 12;

/// What is known of a function since a time.
#[derive(Clone, Debug, Default)]
pub struct FunctionEvidence<'a> {
    /// Facts of the function and changes of its app, oldest first.
    pub facts: &'a [Fact],
    /// The cause of the newest failed call's outcome.
    pub failed: Option<Cause>,
    /// The cause of the slowest call's time.
    pub slow: Option<Cause>,
    /// The revision that takes new requests.
    pub current: Option<RevisionNumber>,
    /// Its calls since the node started, exactly, in the current revision.
    pub calls: u64,
    /// What leads to it: routes, subscriptions, schedules.
    pub leads: &'a [String],
    /// What it is asked since.
    pub since_ms: u64,
}

/// How a function does.
pub fn function(app: &AppName, function: &FunctionName, evidence: &FunctionEvidence<'_>) -> Story {
    let mut story = of_function(app, function, evidence).story(format!("function {app}/{function}"));
    let telling = |fact: &&Fact| match &fact.what {
        What::Call(call) => call.failed() || call.times.total_us >= 500_000,
        What::Instance(instance) => instance.failure.is_some(),
        What::Changed(_) | What::Alert(_) => true,
        _ => false,
    };
    let shown: Vec<&Fact> = evidence.facts.iter().filter(telling).collect();
    story.path = shown.iter().rev().take(SHOWN).rev().map(|fact| step(fact)).collect();
    let newest = evidence.facts.iter().rev().find_map(|fact| match &fact.what {
        What::Call(call) if call.failed() => Some(call.id),
        _ => None,
    });
    story.next.extend(newest.map(|id| format!("hob why {id}")));
    story.next.push(format!("hob logs {app}/{function}"));
    story.next.push(format!("hob show {app}"));
    story
}

fn of_function(app: &AppName, function: &FunctionName, evidence: &FunctionEvidence<'_>) -> Cause {
    let calls: Vec<&Call> = evidence.facts.iter().filter_map(call_of).collect();
    let failures: Vec<&Call> = calls.iter().copied().filter(|call| call.failed()).collect();
    if let (Some(newest), Some(cause)) = (failures.last(), &evidence.failed) {
        let same = failures.iter().filter(|call| alike(call, newest)).count();
        let all = count(failures.len() as u64, "call");
        let alike = if same == failures.len() { String::new() } else { format!(", {same} of them so") };
        let since = time(evidence.since_ms);
        return cause.clone().and(&format!("; {all} of `{function}` failed since {since}{alike}"));
    }
    let start = evidence.facts.iter().rev().find_map(|fact| match &fact.what {
        What::Instance(instance) if instance.step == InstanceStep::StartFailed => {
            instance.failure.as_ref().filter(|_| Some(instance.revision) == evidence.current)
        }
        _ => None,
    });
    if let Some(failure) = start {
        return super::cause::start(function.as_str(), app.as_str(), failure, &[], None);
    }
    let surprise = evidence.current.and_then(|current| change::surprise(evidence.facts, current, u64::MAX));
    if let Some(surprise) = surprise {
        return surprise.and(&format!("; `{function}` answers there without failures"));
    }
    if calls.is_empty() {
        return uncalled(app, function, evidence);
    }
    if let Some(slow) = evidence.slow.as_ref().filter(|slow| slow.fix.is_some()) {
        return slow.clone().and(&format!("; that was the slowest call of `{function}`, and none failed"));
    }
    let slowest = calls.iter().map(|call| call.times.total_us).max().unwrap_or_default();
    let reason = format!(
        "`{function}` answers: none of its {} failed since {}, the slowest took {}",
        count(calls.len() as u64, "call"),
        time(evidence.since_ms),
        took(slowest)
    );
    Cause::new(Verdict::Good, reason)
}

fn call_of(fact: &Fact) -> Option<&Call> {
    match &fact.what {
        What::Call(call) => Some(call),
        _ => None,
    }
}

fn alike(one: &Call, other: &Call) -> bool {
    let code = |call: &Call| call.failure.as_ref().map(|failure| failure.code.clone());
    code(one) == code(other) && one.status == other.status
}

fn uncalled(app: &AppName, function: &FunctionName, evidence: &FunctionEvidence<'_>) -> Cause {
    let since = time(evidence.since_ms);
    if evidence.leads.is_empty() {
        return Cause::new(Verdict::Skipped, format!("nothing calls `{function}`: it has no route, subscription or schedule"))
            .fix(format!("give it a `route`, or an `[[on]]` with `call = \"{function}\"`; try it with `hob call {app}/{function}`"))
            .owner(Owner::Caller);
    }
    let leads = evidence.leads.join(", ");
    Cause::new(
        Verdict::Skipped,
        format!("nobody has called `{function}` since {since}; what leads to it: {leads}"),
    )
    .fix("ask about that way: hob why --route \"GET /path\", --topic T or --cron NAME")
}

/// What an error code means, and how it occurred lately. `last` is the cause of the newest failure with it.
pub fn code(code: Code, facts: &[Fact], last: Option<&Cause>) -> Story {
    let failed = facts.iter().filter(|fact| fact.what.failed()).count();
    let happened = match failed {
        0 => "it has not happened lately".to_owned(),
        failed => format!(
            "it happened {} lately",
            if failed == 1 { "once".to_owned() } else { format!("{failed} times") }
        ),
    };
    let newest = last.map(|last| format!("; the newest: {}", last.reason)).unwrap_or_default();
    let verdict = if failed == 0 { Verdict::Unknown } else { Verdict::Bad };
    let fix = last
        .and_then(|last| last.fix.clone())
        .unwrap_or_else(|| format!("docs/errors/{code}.md says what mends it"));
    let mut story = Cause::new(verdict, format!("{code} means: {}; {happened}{newest}", code.summary()))
        .fix(fix)
        .owner(code.owner())
        .code(code.text())
        .story(format!("error {code}"));
    story.path = facts.iter().rev().take(SHOWN).rev().map(step).collect();
    story
}

/// Nothing is known of an id.
///
/// `when` is the time that it names itself, where it does; `kept_since_ms` how far back anything is kept; `near` what
/// there is that is called nearly so.
pub fn unknown(id: &str, when: Option<u64>, kept_since_ms: u64, near: Option<&str>) -> Story {
    let kept = count(FACTS_KEPT.as_secs() / 86_400, "day");
    let cause = match (when, near) {
        (Some(when), _) if when >= kept_since_ms => Cause::new(
            Verdict::Unknown,
            format!("nothing is kept of `{id}`, which began at {}: it went well and fast, or another node handled it", time(when)),
        )
        .fix("of many successful calls in a second only some are kept; what failed or was slow is always kept"),
        (Some(when), _) => Cause::new(
            Verdict::Unknown,
            format!("nothing is kept of `{id}`, which began at {}: that is longer ago than facts are kept", time(when)),
        )
        .fix(format!("facts are kept for {kept}, and less long where there are many; export them to keep them longer")),
        (None, Some(near)) => {
            Cause::new(Verdict::Unknown, format!("there is nothing called `{id}`, only `{near}`"))
                .fix(format!("did you mean `{near}`? hob why {near}"))
        }
        (None, None) if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => Cause::new(
            Verdict::Unknown,
            format!("nothing is kept of `{id}`: no request, call or trace of this node is called so"),
        )
        .fix(format!("ask the node that answered; facts are kept for {kept}; the newest traces: hob trace")),
        (None, None) => Cause::new(Verdict::Unknown, format!("there is nothing called `{id}`"))
            .fix("give an id from `hob-invocation-id`, an event as `topic/17`, a subscription or schedule as `app/name`, or an error code"),
    };
    let mut story = cause.owner(Owner::Caller).story(id.to_owned());
    story.next = vec![
        "hob why --route \"GET /path\"".to_owned(),
        "hob why --topic T --type X".to_owned(),
        "hob why --function F".to_owned(),
    ];
    story
}

/// There is no function, or no schedule, of that name.
pub fn no_such(what: &str, code: Code, asked: &str, near: Option<&str>) -> Story {
    let (list, flag) = if what == "schedule" { ("hob cron ls", "cron") } else { ("hob ls", "function") };
    let cause = Cause::new(Verdict::Unknown, format!("there is no {what} `{asked}`"));
    let cause = match near {
        Some(near) => cause.fix(format!("did you mean `{near}`? hob why --{flag} {near}")),
        None => cause.fix(format!("`{list}` lists them; deploy an app that has it")),
    };
    let mut story = cause.owner(Owner::Caller).code(code.text()).story(format!("{what} {asked}"));
    story.next = vec![list.to_owned()];
    story
}

#[cfg(test)]
mod tests;
