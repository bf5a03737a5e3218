//! The story of one event: how it came, which subscriptions were tried, and what became of it in each.
//!
//! **How.** `one` says what became of it in one subscription, and why; `sum` chooses among these what is said first: what
//! failed, what waits, and, when nobody wants the event, whoever misses it by least.

use super::Cause;
use super::cause::plain;
use super::text::{count, line, names, nearly_by, time, took_ms};
use super::tree::{left_out, place, tree};
use crate::code::{Code, Owner};
use crate::fact::{Fact, Publication, SkipReason, What};
use crate::name::{RevisionNumber, SpaceName, TopicName};
use crate::near::nearest;
use crate::space::RESOURCES;
use crate::subscription::Whereabouts;
use crate::wire::{DeadLetter, Step, Story, Verdict};

/// What is known of an event.
#[derive(Clone, Debug, Default)]
pub struct EventEvidence<'a> {
    /// When it was published, milliseconds since the Unix epoch; `None`: it is not kept any more, or never was.
    pub published_ms: Option<u64>,
    /// The first event that its topic keeps, and the number of the next one; `None`: there is no such topic.
    pub range: Option<(u64, u64)>,
    /// It was given up before, and is here once more for the subscription that did so.
    pub redriven: bool,
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
#[derive(Clone, Debug, Default)]
pub struct Tried {
    /// `app/name`.
    pub subscription: String,
    /// The function that it calls.
    pub function: String,
    /// Whether it is paused.
    pub paused: bool,
    /// Why it leaves the event out; `None`: it wants it.
    pub left_out: Option<SkipReason>,
    /// Whose words that went by: the revision to which the event belongs.
    pub revision: Option<RevisionNumber>,
    /// The revision that takes new requests, where that is another one.
    pub newer: Option<RevisionNumber>,
    /// Where the event is in it.
    pub place: Whereabouts,
    /// When the first kept revision with the subscription was deployed.
    pub since_ms: Option<u64>,
    /// The attribute by which it orders, and the event's value.
    pub key: Option<(String, String)>,
    /// Events per second at most, as written.
    pub rate: Option<String>,
    /// Deliveries at a time, and those that run now.
    pub concurrency: (u32, u64),
    /// The first event that it delivers now.
    pub running: Option<u64>,
    /// Attempts that it makes.
    pub attempts: u32,
    /// The cause of the last failed attempt.
    pub failure: Option<Cause>,
    /// The same of the event behind which this one waits.
    pub behind: Option<Cause>,
    /// Whether a call for the event went well.
    pub answered: bool,
    /// Its dead letter, if the event was given up.
    pub letter: Option<DeadLetter>,
    /// It was given up, and somebody has dropped its letter since.
    pub dropped: bool,
    /// It was passed over: the subscription was moved beyond it then, milliseconds since the Unix epoch.
    pub passed_over_ms: Option<u64>,
}

/// What became of the event in a subscription: why, and in few words for the path.
struct Told {
    cause: Cause,
    state: &'static str,
}

/// The story of the event at a place.
pub fn story(topic: &TopicName, sequence: u64, evidence: &EventEvidence<'_>) -> Story {
    let at = place(topic, sequence);
    let told: Vec<Told> = evidence.tried.iter().map(|tried| one(tried, topic, sequence, evidence)).collect();
    let mut cause = sum(topic, sequence, &told, evidence);
    if evidence.redriven && cause.verdict != Verdict::Unknown {
        cause = cause.after("it was given up, and redriven: ");
    }
    let mut story = cause.story(format!("event {at}"));
    let known = evidence.published_ms.is_some() || !evidence.facts.is_empty();
    let tried = evidence.tried.iter().zip(&told).filter(|_| known);
    story.path = tree(&without_skips(evidence.facts, topic, sequence));
    story.path.extend(tried.map(|(tried, told)| Step {
        time_ms: None,
        took_us: None,
        text: format!(
            "subscription {} → {}: {}",
            tried.subscription,
            tried.function,
            line_of(told, &story.reason)
        ),
        verdict: told.cause.verdict,
        id: Some(tried.subscription.clone()),
        steps: Vec::new(),
    }));
    story.trace = evidence.facts.iter().find_map(|fact| fact.trace).map(|trace| trace.to_string());
    story.next = next(topic, sequence, evidence, &story);
    story
}

/// The facts without those that say once more what the lines of the subscriptions say.
fn without_skips(facts: &[Fact], topic: &TopicName, sequence: u64) -> Vec<Fact> {
    let repeats = |fact: &&Fact| match &fact.what {
        What::Skipped(skipped) => skipped.topic == *topic && skipped.sequence == sequence,
        _ => false,
    };
    facts.iter().filter(|fact| !repeats(fact)).cloned().collect()
}

/// What is said of a subscription in the path: few words where the first line says the rest.
fn line_of(told: &Told, reason: &str) -> String {
    if reason.contains(&told.cause.reason) { told.state.to_owned() } else { told.cause.reason.clone() }
}

/// What became of the event in one subscription.
fn one(tried: &Tried, topic: &TopicName, sequence: u64, evidence: &EventEvidence<'_>) -> Told {
    let (name, function) = (&tried.subscription, &tried.function);
    let tell = |cause: Cause, state| Told { cause, state };
    if let Some(letter) = &tried.letter {
        return tell(given_up(tried, letter), "gave it up");
    }
    if let Some(reason) = &tried.left_out {
        let cause = Cause::new(
            Verdict::Skipped,
            format!("`{name}`{} leaves it out: {}", by(tried), left_out(reason)),
        );
        let fix = match reason {
            SkipReason::NoTrigger => format!(
                "deliver it all the same: {}; what an app's own event causes stays with the revision that published it",
                replay(topic, sequence, tried)
            ),
            _ => mend_filter(name, reason),
        };
        return tell(cause.fix(fix).owner(Owner::Caller), "leaves it out");
    }
    if tried.dropped {
        let cause = Cause::new(
            Verdict::Skipped,
            format!("`{name}` gave it up, and somebody dropped its dead letter"),
        );
        let fix = format!("deliver it once more: {}", replay(topic, sequence, tried));
        return tell(cause.fix(fix).owner(Owner::Caller), "gave it up; its letter was dropped");
    }
    match (&tried.place, tried.paused) {
        (Whereabouts::Settled, _) => settled(tried, topic, sequence, evidence),
        (Whereabouts::Flying { .. }, _) if tried.failure.as_ref().is_some_and(is_no_place) => {
            let failure = tried.failure.clone().unwrap_or_else(|| Cause::new(Verdict::Waiting, ""));
            tell(failure.and(&format!("; `{name}` asks for a place again now")), "asks for a place")
        }
        (Whereabouts::Flying { attempt }, _) => {
            let reason = format!(
                "`{name}` is delivering it to `{function}` now (attempt {attempt} of {})",
                tried.attempts
            );
            let app = name.split_once('/').map_or("", |(app, _)| app);
            let fix = format!("wait, or see what `{function}` does: hob logs {app}/{function}");
            tell(Cause::new(Verdict::Waiting, reason).fix(fix).owner(Owner::Code), "is being delivered")
        }
        (_, true) => {
            let reason = format!("subscription `{name}` is paused, so nothing is delivered");
            let cause = Cause::new(Verdict::Waiting, reason);
            tell(cause.fix(format!("hob sub resume {name}")).owner(Owner::Caller), "is paused")
        }
        (Whereabouts::Waiting { due_ms, failures }, _) => {
            tell(waiting(tried, *due_ms, *failures), "waits for the next attempt")
        }
        (Whereabouts::Blocked { behind }, _) => tell(blocked(tried, topic, *behind), "waits for its key"),
        (Whereabouts::Unread { before }, _) => {
            let before = count(*before, "event");
            tell(turn(tried, topic, &format!("{before} before it")), "has not come to it yet")
        }
        (Whereabouts::Ready, _) => tell(turn(tried, topic, ""), "waits for its turn"),
        (Whereabouts::Burying, _) => {
            tell(Cause::new(Verdict::Waiting, format!("`{name}` is giving it up")), "is giving it up")
        }
    }
}

fn by(tried: &Tried) -> String {
    tried.revision.map(|revision| format!(" (revision {revision})")).unwrap_or_default()
}

fn replay(topic: &TopicName, sequence: u64, tried: &Tried) -> String {
    let app = tried.subscription.split_once('/').map_or("", |(app, _)| app);
    format!("hob replay {topic} --from {sequence} --limit 1 --to {app}/{}", tried.function)
}

/// The subscription is through with it.
fn settled(tried: &Tried, topic: &TopicName, sequence: u64, evidence: &EventEvidence<'_>) -> Told {
    let (name, function) = (&tried.subscription, &tried.function);
    let tell = |cause: Cause, state| Told { cause, state };
    if tried.answered {
        let reason = format!("`{name}` delivered it to `{function}`");
        let (Some(revision), Some(newer)) = (tried.revision, tried.newer) else {
            return tell(Cause::new(Verdict::Good, reason), "delivered it");
        };
        let reason = format!(
            "{reason} of revision {revision}, which had published it, though revision {newer} takes new requests: what an app's own event causes stays with its revision"
        );
        let fix = format!("to have revision {newer} handle it too: {}", replay(topic, sequence, tried));
        return tell(Cause::new(Verdict::Good, reason).fix(fix), "delivered it");
    }
    if let Some(at_ms) = tried.passed_over_ms {
        let reason = format!("`{name}` passed it over: a seek moved it beyond the event at {}", time(at_ms));
        let fix = format!(
            "go back: hob sub seek {name} {sequence}; or only this one: {}",
            replay(topic, sequence, tried)
        );
        return tell(Cause::new(Verdict::Skipped, reason).fix(fix).owner(Owner::Caller), "passed it over");
    }
    let late = tried.since_ms.zip(evidence.published_ms).filter(|(since, published)| since > published);
    if let Some((since, _)) = late {
        let reason = format!("`{name}` began at {}, after the event was published", time(since));
        let fix =
            format!("give it older events too: hob sub seek {name} {sequence}, or `start = \"beginning\"`");
        return tell(Cause::new(Verdict::Skipped, reason).fix(fix).owner(Owner::Caller), "began later");
    }
    if let Some(failure) = &tried.failure {
        let reason =
            format!("`{name}` is through with it; the last attempt that is known failed: {}", failure.reason);
        return tell(Cause { verdict: Verdict::Waiting, reason, ..failure.clone() }, "is through with it");
    }
    let reason = format!(
        "`{name}` has dealt with it: it was delivered (of many successes only some are kept), or passed over"
    );
    tell(Cause::new(Verdict::Good, reason), "has dealt with it")
}

/// It waits for a place or for the rate.
fn turn(tried: &Tried, topic: &TopicName, before: &str) -> Cause {
    let (name, function) = (&tried.subscription, &tried.function);
    let (most, running) = tried.concurrency;
    let before = if before.is_empty() { String::new() } else { format!(" ({before})") };
    let limit = Cause::new(Verdict::Waiting, String::new()).owner(Owner::Limit);
    if most > 0 && running >= u64::from(most) {
        let now = tried
            .running
            .map(|sequence| format!(", with {} now", place(topic, sequence)))
            .unwrap_or_default();
        let reason = format!(
            "it waits for its turn in `{name}`{before}: its `concurrency` is {most}, and {} under way{now}",
            if running == 1 { "1 delivery is".to_owned() } else { format!("{running} deliveries are") }
        );
        let fix = format!("raise `concurrency` of `{name}`, or make `{function}` faster");
        return Cause { reason, ..limit }.fix(fix);
    }
    match &tried.rate {
        Some(rate) => {
            let reason = format!("it waits for its turn in `{name}`{before}, whose `rate` is {rate}");
            Cause { reason, ..limit }
                .fix(format!("raise `rate` of `{name}` in `hob.toml`, then `hob deploy`"))
        }
        None => {
            let reason = format!("`{name}` has not come to it yet{before}");
            Cause { reason, ..limit }
                .fix(format!("raise `concurrency` of `{name}`, or make `{function}` faster"))
        }
    }
}

fn waiting(tried: &Tried, due_ms: u64, failures: u32) -> Cause {
    let (name, due) = (&tried.subscription, time(due_ms));
    let attempts =
        format!("{failures} of {} attempts failed in `{name}`, the next one is at {due}", tried.attempts);
    let none = format!("that counts as no attempt, and `{name}` tries again at {due}");
    match &tried.failure {
        Some(failure) => Cause {
            verdict: Verdict::Waiting,
            reason: match failures == 0 || is_no_place(failure) {
                true => format!("{}; {none}", failure.reason),
                false => format!("{}; {attempts}", failure.reason),
            },
            ..failure.clone()
        },
        _ if failures == 0 => Cause::new(
            Verdict::Waiting,
            format!("there was no place for it in `{}`; `{name}` tries again at {due}", tried.function),
        )
        .fix(format!("raise `scale.max` or `scale.concurrency` of `{}`, or make it faster", tried.function))
        .owner(Owner::Limit),
        _ => Cause::new(Verdict::Waiting, attempts).fix(format!("hob sub show {name}")).owner(Owner::Code),
    }
}

/// Why a delivery was put back that found no place among the calls of its space; `told` is what its fact says of that.
pub fn no_place(space: &SpaceName, told: &str) -> Option<Cause> {
    let (code, message) = told.split_once(' ')?;
    let mut rows = RESOURCES.iter().filter(|row| matches!(row.code, Code::SpaceRate | Code::SpaceCalls));
    let row = rows.find(|row| row.code.text() == code)?;
    let fix = format!(
        "it is tried until there is a place; for more at a time, ask the node's operator: hob space set {space} --{} NUMBER",
        row.word
    );
    Some(Cause::new(Verdict::Waiting, message).fix(fix).owner(Owner::Limit).code(code))
}

/// Whether a cause is that of [`no_place`].
pub(super) fn is_no_place(cause: &Cause) -> bool {
    let codes = [Code::SpaceRate, Code::SpaceCalls].map(Code::text);
    cause.verdict == Verdict::Waiting && cause.code.as_deref().is_some_and(|code| codes.contains(&code))
}

fn blocked(tried: &Tried, topic: &TopicName, behind: Option<u64>) -> Cause {
    let name = &tried.subscription;
    let key = tried
        .key
        .as_ref()
        .map(|(attribute, value)| format!(" with the same {attribute} `{}`", line(value, 60)));
    let before = behind
        .map_or_else(|| "an earlier event".to_owned(), |behind| format!("event {}", place(topic, behind)));
    let why = tried.behind.as_ref().map(|cause| format!(", of which an attempt failed: {}", cause.reason));
    let reason = format!(
        "it waits in `{name}` behind {before}{}{}",
        key.unwrap_or_default(),
        why.unwrap_or_else(|| ", since events of one key come in order".to_owned())
    );
    let cause = Cause::new(Verdict::Waiting, reason)
        .owner(tried.behind.as_ref().and_then(|cause| cause.owner).unwrap_or(Owner::Code));
    match (tried.behind.as_ref().and_then(|cause| cause.fix.clone()), behind) {
        (Some(fix), _) => cause.fix(format!("{fix}; or do without `order-by`")),
        (None, Some(behind)) => {
            cause.fix(format!("see why that one does not go on: hob why {}", place(topic, behind)))
        }
        (None, None) => cause.fix(format!("hob sub show {name}")),
    }
}

/// The event is a dead letter.
fn given_up(tried: &Tried, letter: &DeadLetter) -> Cause {
    let (name, kept) = (&tried.subscription, place(&letter.topic, letter.sequence));
    let said = letter.answer.as_deref().map(|answer| line(answer, 100)).filter(|answer| !answer.is_empty());
    let redrive = format!("hob dlq redrive {} {}", letter.topic, letter.sequence);
    if letter.reason == "expired" {
        let when = said.unwrap_or_else(|| "the event expired before it could be delivered".to_owned());
        return Cause::new(Verdict::Bad, format!("`{name}` gave it up: {when}; it is kept as {kept}"))
            .fix("let the publisher set a later `expirytime`, or deliver faster; a redriven event would expire again")
            .owner(Owner::Caller)
            .code("HOB-0816");
    }
    let dead = match letter.reason.as_str() {
        "age" => format!("`{name}` gave it up: it was older than `retry.age` allows after a failure"),
        "rejected" => format!("`{name}` gave it up at once: the answer says that it will never succeed"),
        "crashes" => format!("`{name}` gave it up: the node crashed again and again while it was delivered"),
        _ => format!("`{name}` gave it up after {}", count(u64::from(letter.attempts), "failed attempt")),
    };
    if tried.answered && matches!(letter.code.as_deref(), Some("HOB-0801" | "HOB-0802" | "HOB-0805")) {
        let why = said.unwrap_or_default();
        return Cause {
            verdict: Verdict::Bad,
            reason: format!(
                "`{}` handled it, but the event that it answered with was not accepted: {why}; it is kept as {kept}",
                tried.function
            ),
            fix: Some(format!(
                "mend what `{}` answers with, or let it answer with 204; then {redrive}",
                tried.function
            )),
            owner: Some(Owner::Code),
            code: letter.code.clone(),
            root: None,
        };
    }
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
        root: None,
    }
}

/// What has to agree so that a subscription takes what it leaves out.
pub(super) fn mend_filter(name: &str, reason: &SkipReason) -> String {
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
        SkipReason::Filter { clause, seen: None, .. } if clause.contains('.') => {
            let attribute = clause.rsplit_once('.').map_or("", |(_, attribute)| attribute);
            format!(
                "publish such events with `{attribute}`, or take `{clause}` out of the `where` of `{name}`"
            )
        }
        SkipReason::Filter { clause, .. } => {
            format!("change `{clause}` in the `where` of `{name}`, if it should get such events")
        }
        SkipReason::NoTrigger => {
            format!("deploy a revision with `{name}`; an event stays with the revision that published it")
        }
        SkipReason::Seek { .. } => format!("go back: hob sub seek {name} SEQUENCE"),
    }
}

/// The cause for the event as a whole: the worst first.
fn sum(topic: &TopicName, sequence: u64, told: &[Told], evidence: &EventEvidence<'_>) -> Cause {
    if evidence.published_ms.is_none() && evidence.facts.is_empty() {
        return nowhere(topic, sequence, evidence);
    }
    if told.is_empty() {
        return nobody(topic, evidence.subscribed);
    }
    let focused = evidence
        .tried
        .iter()
        .zip(told)
        .find(|(tried, _)| Some(tried.subscription.as_str()) == evidence.focus);
    if let Some((_, told)) = focused {
        return told.cause.clone();
    }
    let of =
        |verdict: Verdict| told.iter().map(|told| &told.cause).filter(move |cause| cause.verdict == verdict);
    let others = |verdict: Verdict| match of(verdict).count().saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {} like it)", count(more as u64, "subscription")),
    };
    for verdict in [Verdict::Bad, Verdict::Waiting] {
        // What failed tells more than what is merely not its turn.
        let worst = of(verdict).max_by_key(|cause| (cause.code.is_some(), cause.fix.is_some()));
        if let Some(worst) = worst {
            return worst.clone().and(&others(verdict));
        }
    }
    if of(Verdict::Good).next().is_some() {
        return delivered(told, evidence);
    }
    let nearest_miss = of(Verdict::Skipped)
        .max_by_key(|cause| (cause.reason.contains(" apart)"), cause.reason.contains("only)")));
    match (nearest_miss, told.len()) {
        (Some(cause), 1) => cause.clone(),
        (Some(cause), tried) => {
            cause.clone().after(&format!("none of {tried} subscriptions of `{topic}` wants it: "))
        }
        (None, _) => nobody(topic, evidence.subscribed),
    }
}

/// It was delivered, at least to one.
fn delivered(told: &[Told], evidence: &EventEvidence<'_>) -> Cause {
    let good = |told: &Told| told.cause.verdict == Verdict::Good;
    if let Some(stopped) = evidence.facts.iter().find_map(stopped) {
        let cause = plain(stopped);
        let fix = culprits(evidence.tried, cause.fix.as_deref().unwrap_or_default());
        return cause.after("it was delivered, but what came of it was stopped: ").fix(fix);
    }
    let left = told.iter().filter(|told| told.cause.verdict == Verdict::Skipped).count();
    let rest = if left == 0 {
        String::new()
    } else {
        format!("; {} left it out", count(left as u64, "subscription"))
    };
    let well = || evidence.tried.iter().zip(told).filter(|(_, told)| good(told));
    // One that says more than that it was delivered, or that does not know, is told as it is.
    let telling = well().find(|(tried, told)| told.cause.fix.is_some() && tried.answered);
    let uncertain = well().next().filter(|_| !well().any(|(tried, _)| tried.answered));
    if let Some((_, told)) = telling.filter(|_| well().count() == 1).or(uncertain) {
        return told.cause.clone().and(&rest);
    }
    let delivered =
        names(well().filter(|(tried, _)| tried.answered).map(|(tried, _)| tried.subscription.as_str()));
    Cause::new(Verdict::Good, format!("the event was delivered by {delivered}{rest}"))
}

/// Why an event that followed was not accepted: it was one too many in a row.
fn stopped(fact: &Fact) -> Option<&crate::fact::Failure> {
    match &fact.what {
        What::Published(event) => event.failure.as_ref().filter(|failure| failure.code == "HOB-0806"),
        _ => None,
    }
}

/// Who may close the circle, and what mends that.
pub(super) fn culprits(tried: &[Tried], hint: &str) -> String {
    if tried.is_empty() {
        return hint.to_owned();
    }
    let who = names(tried.iter().map(|tried| tried.subscription.as_str()));
    format!(
        "let the function of {who} not publish into the topic that it gets events from, or narrow its `where`; then drop the letter"
    )
}

/// The story of a letter that was never published, since too many events had caused each other.
pub fn of_loop(letter: &DeadLetter, tried: &[Tried]) -> Story {
    let reason = letter
        .answer
        .clone()
        .unwrap_or_else(|| "events caused each other too many times in a row".to_owned());
    let hint = "look for functions that publish what they subscribe to; then drop the letter";
    let cause = Cause::new(Verdict::Bad, reason).fix(culprits(tried, hint)).owner(Owner::Code);
    cause.code(letter.code.clone().unwrap_or_default()).story("")
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

/// There is no event at the place.
fn nowhere(topic: &TopicName, sequence: u64, evidence: &EventEvidence<'_>) -> Cause {
    let at = place(topic, sequence);
    let unknown = |reason| Cause::new(Verdict::Unknown, reason).owner(Owner::Caller);
    match evidence.range {
        None => {
            let cause =
                unknown(format!("there is no event {at}: nothing was ever published to topic `{topic}`"));
            match nearest(topic.as_str(), evidence.subscribed.iter().map(TopicName::as_str)) {
                Some(near) => cause.fix(format!("did you mean `{near}`? hob why {near}/{sequence}")),
                None => cause
                    .fix(format!("`hob topic ls` lists the topics; publish one: hob send {topic} --type TYPE")),
            }
        }
        Some((_, next)) if sequence >= next => {
            unknown(format!("there is no event {at} yet: the newest one of `{topic}` is {}", next.saturating_sub(1)))
                .fix(format!("`hob topic show {topic}` says which events it has; `hob topic tail {topic}` shows them"))
        }
        Some(_) => unknown(format!("there is no event {at} any more: its topic has removed it")).fix(format!(
            "`hob topic show {topic}` says which events it keeps; `[topics.\"{topic}\"]` says for how long"
        )),
    }
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
        let to = evidence.tried.iter().find(|tried| !tried.function.is_empty());
        next.push(to.map_or_else(
            || format!("hob replay {topic} --from {sequence} --limit 1 --to APP/FUNCTION"),
            |tried| replay(topic, sequence, tried),
        ));
    }
    next.extend(story.trace.as_ref().map(|trace| format!("hob trace {trace}")));
    next.dedup();
    next.truncate(4);
    next
}

/// The story of an event that was dropped or refused when it came; `first` is the one that it repeats.
pub fn not_accepted(fact: &Fact, event: &Publication, first_ms: Option<u64>) -> Story {
    let what = match (event.id.as_str(), event.source.as_str()) {
        ("", _) => "an event".to_owned(),
        (id, "") => format!("event `{}`", line(id, 80)),
        (id, source) => format!("event `{}` from `{}`", line(id, 80), line(source, 80)),
    };
    let cause = match &event.failure {
        Some(failure) => plain(failure).after(&format!("{what} was not accepted on `{}`: ", event.topic)),
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
    let subject =
        if event.id.is_empty() { format!("event on {}", event.topic) } else { format!("event {}", event.id) };
    let mut story = cause.story(subject);
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

#[cfg(test)]
mod tests;
