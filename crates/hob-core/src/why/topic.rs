//! Why events of a topic do not arrive: which subscriptions there are, and what each makes of such an event.

use super::Cause;
use super::event::{mend_filter, nobody};
use super::text::{count, line, names, nearly_by, wait};
use super::tree::{left_out, step};
use crate::code::Owner;
use crate::fact::{Fact, SkipReason, What};
use crate::name::TopicName;
use crate::near::nearest;
use crate::wire::{Step, Story, SubscriptionInfo, Verdict};

/// Facts that a path shows.
const SHOWN: usize = 12;

/// One subscription of a topic, tried with an event that somebody has in mind.
#[derive(Clone, Debug)]
pub struct TopicTried {
    /// The subscription.
    pub info: SubscriptionInfo,
    /// Why it would leave the event out, as far as its type tells.
    pub left_out: Option<SkipReason>,
    /// The cause of its newest failed attempt, where attempts fail.
    pub failure: Option<Cause>,
}

/// What is known of a topic.
#[derive(Clone, Copy, Debug, Default)]
pub struct TopicEvidence<'a> {
    /// How many events it has; `None`: it does not exist.
    pub events: Option<u64>,
    /// Its subscriptions.
    pub tried: &'a [TopicTried],
    /// All topics that there are.
    pub topics: &'a [TopicName],
    /// Those that somebody subscribes to.
    pub subscribed: &'a [TopicName],
    /// The newest publications, of the type that is asked about.
    pub facts: &'a [Fact],
    /// Types of the newest events.
    pub kinds: &'a [String],
}

/// Why events of a topic, and perhaps of one type, do not arrive.
pub fn story(name: &TopicName, kind: Option<&str>, evidence: &TopicEvidence<'_>) -> Story {
    let mut story = of_topic(name, kind, evidence).story(match kind {
        Some(kind) => format!("events of type {kind} on topic {name}"),
        None => format!("topic {name}"),
    });
    let subscriptions = evidence.tried.iter().map(|one| {
        let (text, verdict) = state(one);
        let id = who(one);
        let text = format!("subscription {id} → {}: {text}", one.info.spec.delivery.function);
        Step { time_ms: None, took_us: None, text, verdict, id: Some(id), steps: Vec::new() }
    });
    story.path = subscriptions.chain(evidence.facts.iter().rev().take(SHOWN).rev().map(step)).collect();
    story.next = vec![format!("hob topic show {name}")];
    let paused = evidence.tried.iter().filter(|one| one.info.paused);
    story.next.extend(paused.map(|one| format!("hob sub resume {}", who(one))));
    story
}

fn who(one: &TopicTried) -> String {
    format!("{}/{}", one.info.app, one.info.name)
}

fn state(one: &TopicTried) -> (String, Verdict) {
    let info = &one.info;
    if let Some(reason) = &one.left_out {
        return (format!("would leave it out: {}", left_out(reason)), Verdict::Skipped);
    }
    if info.paused {
        return (format!("is paused, {}", wait(info.lag)), Verdict::Waiting);
    }
    let counts =
        format!("wants it; {} delivered, {} behind, {} given up", info.delivered, info.lag, info.dead);
    let bad = info.waiting + info.blocked > 0 || info.dead > 0;
    (counts, if bad { Verdict::Bad } else { Verdict::Good })
}

fn of_topic(name: &TopicName, kind: Option<&str>, evidence: &TopicEvidence<'_>) -> Cause {
    let what = match (kind, evidence.kinds.first()) {
        (Some(kind), _) => format!("events of type `{kind}` on `{name}`"),
        (None, Some(newest)) if evidence.tried.iter().any(|one| one.left_out.is_some()) => {
            format!("the newest event of `{name}`, of type `{newest}`")
        }
        (None, _) => format!("events of `{name}`"),
    };
    if evidence.tried.is_empty() {
        let cause = nobody(name, evidence.subscribed);
        return match evidence.events {
            Some(_) => cause,
            None => {
                cause.after(&format!("topic `{name}` does not exist: nothing was ever published to it, and "))
            }
        };
    }
    let wanting: Vec<&TopicTried> = evidence.tried.iter().filter(|one| one.left_out.is_none()).collect();
    if let Some(cause) = near_miss(evidence.tried)
        .filter(|_| kind.is_some() || wanting.is_empty())
        .and_then(|one| missed(one, &what))
    {
        return cause;
    }
    if wanting.is_empty() {
        let told = evidence.tried.first().and_then(|one| missed(one, &what));
        return told.unwrap_or_else(|| nobody(name, evidence.subscribed));
    }
    if let Some(one) = wanting.iter().find(|one| one.info.paused) {
        let who = who(one);
        let reason = format!("subscription `{who}` wants {what}, but is paused; {}", wait(one.info.lag));
        return Cause::new(Verdict::Waiting, reason)
            .fix(format!("hob sub resume {who}"))
            .owner(Owner::Caller);
    }
    let came = |fact: &Fact| matches!(&fact.what, What::Published(event) if event.sequence > 0);
    if !evidence.facts.iter().any(came)
        && let Some(cause) = nothing_came(name, kind, evidence)
    {
        return cause;
    }
    failing(&wanting, &what)
}

/// No such event was published; `None`: that cannot be known.
fn nothing_came(name: &TopicName, kind: Option<&str>, evidence: &TopicEvidence<'_>) -> Option<Cause> {
    let skipped =
        |reason: String, fix: String| Cause::new(Verdict::Skipped, reason).fix(fix).owner(Owner::Caller);
    if evidence.events.unwrap_or(0) > 0 {
        let kind = kind
            .filter(|kind| !evidence.kinds.is_empty() && !evidence.kinds.iter().any(|other| other == kind))?;
        let near = nearest(kind, evidence.kinds.iter().map(String::as_str));
        let seen = names(evidence.kinds.iter().map(String::as_str));
        let reason =
            format!("no event of type `{kind}` came to `{name}` lately; those that came are of type {seen}");
        let fix = match near {
            Some(near) => format!(
                "let the publisher write `{kind}` instead of `{near}`, or the `where` of the trigger `{near}`"
            ),
            None => format!("see whether the publisher writes `{kind}`: hob topic tail {name}"),
        };
        return Some(skipped(reason, fix));
    }
    let others = evidence.topics.iter().map(TopicName::as_str).filter(|other| *other != name.as_str());
    Some(match nearest(name.as_str(), others) {
        Some(near) => skipped(
            format!(
                "nothing was published to `{name}`; there are events on `{near}`, which is nearly the same"
            ),
            format!("publish to `{name}`, or write `topic = \"{near}\"` in the trigger"),
        ),
        None => skipped(
            format!("nothing was published to `{name}` yet"),
            format!("publish one: hob send {name} --type {}", kind.unwrap_or("com.example.created")),
        ),
    })
}

/// A subscription whose filter the event misses by a letter or two.
fn near_miss(tried: &[TopicTried]) -> Option<&TopicTried> {
    tried.iter().find(|one| match &one.left_out {
        Some(SkipReason::Filter { clause, wanted, seen: Some(seen) }) => {
            nearly_by(clause, wanted, seen).is_some()
        }
        _ => false,
    })
}

fn missed(one: &TopicTried, what: &str) -> Option<Cause> {
    let (reason, who) = (one.left_out.as_ref()?, who(one));
    let cause = Cause::new(Verdict::Skipped, format!("`{who}` leaves out {what}: {}", left_out(reason)));
    Some(cause.fix(mend_filter(&who, reason)).owner(Owner::Caller))
}

fn failing(wanting: &[&TopicTried], what: &str) -> Cause {
    let bad = wanting.iter().find(|one| {
        one.info.waiting + one.info.blocked > 0 || one.info.dead > 0 && one.info.last_failure.is_some()
    });
    if let Some(one) = bad {
        let who = who(one);
        if let Some(cause) = &one.failure {
            let state = format!("; so `{who}` gets {what} and cannot deliver them");
            return Cause { verdict: Verdict::Bad, ..cause.clone().and(&state) };
        }
        let last = one.info.last_failure.as_ref().map(|failure| format!(": {}", line(failure, 120)));
        let reason = format!("`{who}` gets {what}, but its deliveries fail{}", last.unwrap_or_default());
        return Cause::new(Verdict::Bad, reason)
            .fix(format!("see the newest failure: hob why {who}"))
            .owner(Owner::Code);
    }
    if let Some(one) = wanting.iter().find(|one| one.info.lag > 0) {
        let (who, function) = (who(one), &one.info.spec.delivery.function);
        let reason = format!("`{who}` gets {what}, and {} for it", wait(one.info.lag));
        return Cause::new(Verdict::Waiting, reason)
            .fix(format!("raise `concurrency` or `rate` of `{who}`, or make `{function}` faster"))
            .owner(Owner::Limit);
    }
    let given_up: u64 = wanting.iter().map(|one| one.info.dead).sum();
    let dead =
        if given_up == 0 { String::new() } else { format!("; {} were given up", count(given_up, "event")) };
    let names = names(wanting.iter().map(|one| one.info.name.as_str()));
    Cause::new(Verdict::Good, format!("{what} are delivered by {names}{dead}"))
}

#[cfg(test)]
mod tests;
