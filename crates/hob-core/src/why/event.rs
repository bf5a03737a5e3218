//! The story of one event: how it came, which subscriptions were tried, and what became of it in each.

use super::Cause;
use super::cause::plain;
use super::text::{count, line, names, nearly_by, time, took_ms};
use super::tree::{left_out, place, tree};
use crate::code::Owner;
use crate::fact::{Fact, Publication, SkipReason, What};
use crate::name::{RevisionNumber, TopicName};
use crate::near::nearest;
use crate::subscription::Whereabouts;
use crate::wire::{DeadLetter, Step, Story, Verdict};

/// What is known of an event.
#[derive(Clone, Debug, Default)]
pub struct EventEvidence<'a> {
    /// When it was published, milliseconds since the Unix epoch; `None`: it is not kept any more, or never was.
    pub published_ms: Option<u64>,
    /// Its type, as far as known.
    pub kind: Option<&'a str>,
    /// The facts of its trace and its own.
    pub facts: &'a [Fact],
    /// Every subscription of its topic.
    pub tried: &'a [Tried],
    /// The topics that somebody subscribes to.
    pub subscribed: &'a [TopicName],
    /// The one subscription that is asked about, `app/name`; `None`: all.
    pub focus: Option<&'a str>,
}

/// What became of an event in one subscription.
#[derive(Clone, Debug)]
pub struct Tried {
    /// `app/name`.
    pub subscription: String,
    /// The function that it calls.
    pub function: String,
    /// Whether it is paused.
    pub paused: bool,
    /// Why it leaves the event out; `None`: it wants it.
    pub left_out: Option<SkipReason>,
    /// Whose words that went by.
    pub revision: Option<RevisionNumber>,
    /// Where the event is in it.
    pub place: Whereabouts,
    /// When the first kept revision with the subscription was deployed.
    pub since_ms: Option<u64>,
    /// The attribute by which it orders, and the event's value.
    pub key: Option<(String, String)>,
    /// Events per second at most, as written.
    pub rate: Option<String>,
    /// Attempts that it makes.
    pub attempts: u32,
    /// The cause of the last failed attempt.
    pub failure: Option<Cause>,
    /// Whether a call for the event went well.
    pub answered: bool,
    /// Its dead letter, if the event was given up.
    pub letter: Option<DeadLetter>,
}

/// The story of the event at a place.
pub fn story(topic: &TopicName, sequence: u64, evidence: &EventEvidence<'_>) -> Story {
    let at = place(topic, sequence);
    let told: Vec<Cause> = evidence.tried.iter().map(|tried| one(tried, topic, sequence, evidence)).collect();
    let mut story = sum(topic, sequence, &told, evidence).story(format!("event {at}"));
    story.path = tree(evidence.facts);
    story.path.extend(evidence.tried.iter().zip(&told).map(|(tried, cause)| Step {
        time_ms: None,
        took_us: None,
        text: format!("subscription {} → {}: {}", tried.subscription, tried.function, cause.reason),
        verdict: cause.verdict,
        id: Some(tried.subscription.clone()),
        steps: Vec::new(),
    }));
    story.trace = evidence.facts.iter().find_map(|fact| fact.trace).map(|trace| trace.to_string());
    story.next = next(topic, sequence, evidence, &story);
    story
}

/// What became of the event in one subscription.
fn one(tried: &Tried, topic: &TopicName, sequence: u64, evidence: &EventEvidence<'_>) -> Cause {
    let name = &tried.subscription;
    if let Some(letter) = &tried.letter {
        return given_up(tried, letter);
    }
    if let Some(reason) = &tried.left_out {
        let by = tried.revision.map(|revision| format!(" (revision {revision})")).unwrap_or_default();
        return Cause::new(Verdict::Skipped, format!("`{name}`{by} leaves it out: {}", left_out(reason)))
            .fix(mend_filter(name, reason))
            .owner(Owner::Caller);
    }
    let late = tried.since_ms.zip(evidence.published_ms).filter(|(since, published)| since > published);
    match (&tried.place, tried.paused) {
        (Whereabouts::Settled, _) if tried.answered => {
            Cause::new(Verdict::Good, format!("`{name}` delivered it to `{}`", tried.function))
        }
        (Whereabouts::Settled, _) if late.is_some() => {
            let since = tried.since_ms.map(time).unwrap_or_default();
            Cause::new(Verdict::Skipped, format!("`{name}` began at {since}, after the event was published"))
                .fix(format!(
                    "give it older events too: hob sub seek {name} {sequence}, or `start = \"beginning\"`"
                ))
                .owner(Owner::Caller)
        }
        (Whereabouts::Settled, _) => Cause::new(
            Verdict::Good,
            format!("`{name}` has dealt with it: it was delivered, or passed over by a seek"),
        ),
        (Whereabouts::Flying { attempt }, _) => Cause::new(
            Verdict::Waiting,
            format!("`{name}` is delivering it to `{}` now (attempt {attempt})", tried.function),
        ),
        (_, true) => {
            Cause::new(Verdict::Waiting, format!("subscription `{name}` is paused, so nothing is delivered"))
                .fix(format!("hob sub resume {name}"))
                .owner(Owner::Caller)
        }
        (Whereabouts::Waiting { due_ms, failures }, _) => waiting(tried, *due_ms, *failures),
        (Whereabouts::Blocked { behind }, _) => blocked(tried, topic, *behind),
        (Whereabouts::Unread { before }, _) => {
            let rate =
                tried.rate.as_ref().map(|rate| format!(" and its `rate` is {rate}")).unwrap_or_default();
            Cause::new(
                Verdict::Waiting,
                format!("`{name}` has not come to it yet: {} before it{rate}", count(*before, "event")),
            )
            .fix(format!("raise `concurrency` or `rate` of `{name}`, or make `{}` faster", tried.function))
            .owner(Owner::Limit)
        }
        (Whereabouts::Ready | Whereabouts::Burying, _) => {
            let rate = tried.rate.as_ref().map(|rate| format!(" (its `rate` is {rate})")).unwrap_or_default();
            Cause::new(Verdict::Waiting, format!("it waits for its turn in `{name}`{rate}"))
                .fix(format!("raise `concurrency` or `rate` of `{name}`"))
        }
    }
}

fn waiting(tried: &Tried, due_ms: u64, failures: u32) -> Cause {
    let (name, due) = (&tried.subscription, time(due_ms));
    let attempts =
        format!("{} of {} attempts failed in `{name}`, the next one is at {due}", failures, tried.attempts);
    match &tried.failure {
        Some(failure) => Cause {
            verdict: Verdict::Waiting,
            reason: format!("{}; {attempts}", failure.reason),
            ..failure.clone()
        },
        None if failures == 0 => Cause::new(
            Verdict::Waiting,
            format!("there was no place for it in `{}`; `{name}` tries again at {due}", tried.function),
        )
        .fix(format!("raise `scale.max` or `scale.concurrency` of `{}`", tried.function))
        .owner(Owner::Limit),
        None => Cause::new(Verdict::Waiting, attempts).fix(format!("hob sub show {name}")),
    }
}

fn blocked(tried: &Tried, topic: &TopicName, behind: Option<u64>) -> Cause {
    let name = &tried.subscription;
    let key = tried
        .key
        .as_ref()
        .map(|(attribute, value)| format!(" with the same {attribute} `{}`", line(value, 60)));
    let before = behind
        .map_or_else(|| "an earlier event".to_owned(), |behind| format!("event {}", place(topic, behind)));
    let reason = format!(
        "it waits in `{name}` behind {before}{}, since events of one key come in order",
        key.unwrap_or_default()
    );
    let cause = Cause::new(Verdict::Waiting, reason).owner(Owner::Code);
    match behind {
        Some(behind) => {
            cause.fix(format!("see why that one does not go on: hob why {}", place(topic, behind)))
        }
        None => cause.fix(format!("hob sub show {name}")),
    }
}

/// The event is a dead letter.
fn given_up(tried: &Tried, letter: &DeadLetter) -> Cause {
    let (name, kept) = (&tried.subscription, place(&letter.topic, letter.sequence));
    let dead = match letter.reason.as_str() {
        "expired" => format!("it expired before `{name}` could deliver it"),
        "age" => format!("`{name}` gave it up: it was older than `retry.age` allows after a failure"),
        "rejected" => format!("`{name}` gave it up at once: the answer says that it will never succeed"),
        "crashes" => format!("`{name}` gave it up: the node crashed again and again while it was delivered"),
        _ => format!("`{name}` gave it up after {}", count(u64::from(letter.attempts), "failed attempt")),
    };
    let redrive = format!("hob dlq redrive {} {}", letter.topic, letter.sequence);
    if letter.reason == "expired" {
        return Cause::new(Verdict::Bad, format!("{dead}; it is kept as {kept}"))
            .fix("let the publisher set a later `expirytime`, or deliver faster; a redriven event would expire again")
            .owner(Owner::Caller)
            .code("HOB-0816");
    }
    let said = letter.answer.as_deref().map(|answer| line(answer, 100)).filter(|answer| !answer.is_empty());
    let last = match (&tried.failure, letter.status, said) {
        (Some(failure), ..) => failure.reason.clone(),
        (None, Some(status), Some(said)) => format!("the last answer was {status}: `{said}`"),
        (None, Some(status), None) => format!("the last answer was {status}"),
        (None, None, said) => said.unwrap_or_else(|| "nothing is known of the last attempt".to_owned()),
    };
    let mend = tried.failure.as_ref().and_then(|failure| failure.fix.clone());
    let mend = mend.unwrap_or_else(|| format!("mend `{}`", tried.function));
    Cause {
        verdict: Verdict::Bad,
        reason: format!("{dead}: {last}; it is kept as {kept}"),
        fix: Some(format!("{mend}; then {redrive}")),
        owner: tried.failure.as_ref().map_or(Some(Owner::Code), |failure| failure.owner),
        code: letter.code.clone().or_else(|| tried.failure.as_ref().and_then(|failure| failure.code.clone())),
    }
}

fn mend_filter(name: &str, reason: &SkipReason) -> String {
    match reason {
        SkipReason::Filter { clause, wanted, seen: Some(seen) }
            if nearly_by(clause, wanted, seen).is_some() =>
        {
            format!(
                "write `{}` instead of `{}` in `{clause}` of `{name}`, or let the publisher write `{}`",
                line(seen, 60),
                line(wanted, 60),
                line(wanted, 60)
            )
        }
        SkipReason::Filter { clause, .. } => {
            format!("change `{clause}` in the `where` of `{name}`, if it should get such events")
        }
        SkipReason::NoTrigger => {
            format!("deploy a revision with `{name}`; an event stays with the revision that published it")
        }
        SkipReason::Seek => format!("go back: hob sub seek {name} SEQUENCE"),
    }
}

/// The cause for the event as a whole: the worst first.
fn sum(topic: &TopicName, sequence: u64, told: &[Cause], evidence: &EventEvidence<'_>) -> Cause {
    if evidence.published_ms.is_none() && told.is_empty() && evidence.facts.is_empty() {
        return gone(topic, sequence);
    }
    if told.is_empty() {
        return nobody(topic, evidence.subscribed);
    }
    let focused = evidence
        .tried
        .iter()
        .zip(told)
        .find(|(tried, _)| Some(tried.subscription.as_str()) == evidence.focus);
    if let Some((_, cause)) = focused {
        return cause.clone();
    }
    let of = |verdict: Verdict| told.iter().filter(move |cause| cause.verdict == verdict);
    let others = |verdict: Verdict| {
        let more = of(verdict).count().saturating_sub(1);
        if more == 0 {
            String::new()
        } else {
            format!(" (and {} like it)", count(more as u64, "subscription"))
        }
    };
    for verdict in [Verdict::Bad, Verdict::Waiting] {
        // What failed tells more than what is merely not its turn.
        let worst = of(verdict).max_by_key(|cause| (cause.code.is_some(), cause.fix.is_some()));
        if let Some(worst) = worst {
            return Cause { reason: format!("{}{}", worst.reason, others(verdict)), ..worst.clone() };
        }
    }
    if of(Verdict::Good).next().is_some() {
        let delivered = evidence.tried.iter().zip(told).filter(|(_, cause)| cause.verdict == Verdict::Good);
        let delivered = names(delivered.map(|(tried, _)| tried.subscription.as_str()));
        let left = of(Verdict::Skipped).count();
        let rest = if left == 0 {
            String::new()
        } else {
            format!("; {} left it out", count(left as u64, "subscription"))
        };
        return Cause::new(Verdict::Good, format!("the event was delivered by {delivered}{rest}"));
    }
    let nearest_miss = of(Verdict::Skipped)
        .max_by_key(|cause| (cause.reason.contains(" apart)"), cause.reason.contains("only)")));
    let wanted = count(told.len() as u64, "subscription");
    match nearest_miss {
        Some(cause) => Cause {
            reason: format!(
                "no subscription of `{topic}` wants the event ({wanted} tried): {}",
                cause.reason
            ),
            ..cause.clone()
        },
        None => nobody(topic, evidence.subscribed),
    }
}

/// Nobody subscribes to the topic.
pub fn nobody(topic: &TopicName, subscribed: &[TopicName]) -> Cause {
    let near = nearest(topic.as_str(), subscribed.iter().map(TopicName::as_str));
    let cause = Cause::new(
        Verdict::Skipped,
        match near {
            Some(near) => {
                format!("nobody subscribes to topic `{topic}`, only to `{near}`, which is nearly the same")
            }
            None => format!("nobody subscribes to topic `{topic}`"),
        },
    )
    .owner(Owner::Caller);
    match near {
        Some(near) => {
            cause.fix(format!("publish to `{near}`, or write `topic = \"{topic}\"` in the trigger"))
        }
        None => cause.fix(format!(
            "add `[[on]]` with `topic = \"{topic}\"` and `call` to `hob.toml`, then `hob deploy`"
        )),
    }
}

fn gone(topic: &TopicName, sequence: u64) -> Cause {
    Cause::new(Verdict::Unknown, format!("there is no event {} any more, or not yet", place(topic, sequence)))
        .fix(format!(
            "`hob topic show {topic}` says which events it keeps; `[topics.\"{topic}\"]` says for how long"
        ))
}

fn next(topic: &TopicName, sequence: u64, evidence: &EventEvidence<'_>, story: &Story) -> Vec<String> {
    let mut next = Vec::new();
    let asked = |tried: &&Tried| evidence.focus.is_none_or(|focus| tried.subscription == focus);
    for tried in evidence.tried.iter().filter(asked) {
        if let Some(letter) = &tried.letter {
            next.push(format!("hob dlq show {} {}", letter.topic, letter.sequence));
        }
    }
    if let Some(tried) = evidence.tried.iter().find(|tried| tried.paused) {
        next.push(format!("hob sub resume {}", tried.subscription));
    }
    if evidence.published_ms.is_some() && story.verdict != Verdict::Good {
        let to = evidence.tried.iter().find_map(|tried| {
            let (app, _) = tried.subscription.split_once('/')?;
            (!tried.function.is_empty()).then(|| format!("{app}/{}", tried.function))
        });
        let to = to.unwrap_or_else(|| "APP/FUNCTION".to_owned());
        next.push(format!("hob replay {topic} --from {sequence} --limit 1 --to {to}"));
    }
    next.extend(story.trace.as_ref().map(|trace| format!("hob trace {trace}")));
    next.dedup();
    next.truncate(4);
    next
}

/// The story of an event that was dropped or refused when it came; `first` is the one that it repeats.
pub fn not_accepted(fact: &Fact, event: &Publication, first_ms: Option<u64>) -> Story {
    let what = format!("event `{}` from `{}`", line(&event.id, 80), line(&event.source, 80));
    let cause = match &event.failure {
        Some(failure) => {
            let cause = plain(failure);
            Cause {
                reason: format!("{what} was not accepted on `{}`: {}", event.topic, cause.reason),
                ..cause
            }
        }
        None => {
            let first = place(&event.topic, event.sequence);
            let ago = first_ms
                .map(|ms| format!(", {} before", took_ms(fact.time_ms.saturating_sub(ms))))
                .unwrap_or_default();
            Cause::new(
                Verdict::Skipped,
                format!("{what} was dropped as a duplicate: the same `source` and `id` had come as {first}{ago}"),
            )
            .fix(format!("give each new event an `id` of its own; if it is the same one, see what became of it: hob why {first}"))
            .owner(Owner::Caller)
        }
    };
    let mut story = cause.story(format!("event {}", event.id));
    story.path = vec![super::tree::step(fact)];
    if event.sequence > 0 {
        story.next = vec![format!("hob why {}", place(&event.topic, event.sequence))];
    }
    story
}

/// Publications among facts that were accepted, by their place.
pub fn accepted(facts: &[Fact]) -> impl Iterator<Item = (&Fact, &Publication)> {
    facts.iter().filter_map(|fact| match &fact.what {
        What::Published(event) if event.sequence > 0 && !event.duplicate => Some((fact, &**event)),
        _ => None,
    })
}
