//! What somebody expected, and no id names: a request, an event on a topic, a function, an error code.

use super::Cause;
use super::event::nobody;
use super::text::{count, names, nearly_by, time, took};
use super::tree::{left_out, step};
use crate::code::{Code, Owner};
use crate::fact::{Call, Fact, InstanceStep, SkipReason, What};
use crate::name::{AppName, FunctionName, RevisionNumber, TopicName};
use crate::near::nearest;
use crate::wire::{Step, Story, SubscriptionInfo, Verdict};

/// Facts that a path shows.
const SHOWN: usize = 12;

/// Who would answer a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteAnswer {
    /// A function.
    Function {
        /// The app.
        app: AppName,
        /// Its revision.
        revision: RevisionNumber,
        /// The function.
        function: FunctionName,
        /// The route that matches, as the manifest has it; `None`: the function's own address.
        route: Option<String>,
        /// Other routes that match too and are less exact, with their functions.
        shadowed: Vec<(String, FunctionName)>,
    },
    /// The bus.
    Events {
        /// The app whose route it is.
        app: AppName,
        /// The topic.
        topic: TopicName,
        /// The route.
        route: String,
    },
    /// Nobody, for this method.
    Method {
        /// The app.
        app: AppName,
        /// Methods that the path is answered for.
        allowed: String,
    },
    /// Nobody: what the gateway would say.
    Nobody {
        /// Its code.
        code: Code,
        /// Its words.
        message: String,
        /// What mends it.
        hint: Option<String>,
        /// The app, if it came that far.
        app: Option<AppName>,
        /// Routes of the app.
        routes: Vec<String>,
    },
}

/// Who answers a request, and why not somebody else. `last` is the cause of the newest failure there, if one is recent.
pub fn route(asked: &str, answer: &RouteAnswer, facts: &[Fact], last: Option<&Cause>) -> Story {
    let mut story = of_route(asked, answer, last).story(format!("request {asked}"));
    story.path = facts.iter().rev().take(SHOWN).rev().map(step).collect();
    story.next = match answer {
        RouteAnswer::Function { app, function, .. } => {
            vec![format!("hob why --function {app}/{function}"), format!("hob show {app}")]
        }
        RouteAnswer::Events { topic, .. } => vec![format!("hob why --topic {topic}")],
        RouteAnswer::Method { app, .. } => vec![format!("hob show {app}")],
        RouteAnswer::Nobody { app: Some(app), .. } => vec![format!("hob show {app}")],
        RouteAnswer::Nobody { app: None, .. } => vec!["hob ls".to_owned()],
    };
    story
}

fn of_route(asked: &str, answer: &RouteAnswer, last: Option<&Cause>) -> Cause {
    match answer {
        RouteAnswer::Function { app, revision, function, route, shadowed } => {
            let by = match route {
                Some(route) => format!("by route `{route}`"),
                None => "by its own address".to_owned(),
            };
            let reason = format!("`{asked}` is answered by `{function}` of {app} revision {revision}, {by}");
            if let Some(last) = last {
                return Cause {
                    reason: format!("{reason}; the newest such request failed: {}", last.reason),
                    ..last.clone()
                };
            }
            if shadowed.is_empty() {
                return Cause::new(Verdict::Good, reason);
            }
            let others = shadowed.iter().map(|(route, function)| format!("`{route}` of `{function}`"));
            let others = others.collect::<Vec<_>>().join(", ");
            let (first, other) = &shadowed[0];
            Cause::new(Verdict::Good, format!("{reason}; it also matches {others}, but the more exact route wins"))
                .fix(format!("if `{other}` should answer, make its route `{first}` more exact, or take the path out of `{function}`'s route"))
                .owner(Owner::Caller)
        }
        RouteAnswer::Events { app, topic, route } => Cause::new(
            Verdict::Good,
            format!(
                "`{asked}` publishes to topic `{topic}`, by route `{route}` of {app}; no function answers it"
            ),
        ),
        RouteAnswer::Method { app, allowed } => {
            let method = asked.split_whitespace().next().unwrap_or("GET");
            Cause::new(Verdict::Bad, format!("the path of `{asked}` has a route in {app}, but not for method {method}: it takes {allowed}"))
                .fix(format!("use {allowed}, or add {method} to the route in `hob.toml`"))
                .owner(Owner::Caller)
                .code(Code::MethodNotAllowed.text())
        }
        RouteAnswer::Nobody { code, message, hint, routes, .. } => {
            let listed = if routes.is_empty() {
                String::new()
            } else {
                format!("; its routes are {}", names(routes.iter().map(String::as_str)))
            };
            Cause::new(Verdict::Bad, format!("nobody answers `{asked}`: {message}{listed}"))
                .fix(hint.clone().unwrap_or_else(|| "add a `route` to the function in `hob.toml`".to_owned()))
                .owner(Owner::Caller)
                .code(code.text())
        }
    }
}

/// One subscription of a topic, tried with an event that somebody has in mind.
#[derive(Clone, Debug)]
pub struct TopicTried {
    /// The subscription.
    pub info: SubscriptionInfo,
    /// Why it would leave the event out, as far as its type tells.
    pub left_out: Option<SkipReason>,
}

/// Why events of a topic do not arrive.
///
/// `events` is how many the topic has, `None` when it does not exist; `topics` are all there are, `subscribed` those that
/// somebody subscribes to; `facts` the newest publications and deliveries.
pub fn topic(
    asked: (&TopicName, Option<&str>),
    events: Option<u64>,
    tried: &[TopicTried],
    (topics, subscribed): (&[TopicName], &[TopicName]),
    facts: &[Fact],
) -> Story {
    let (name, kind) = asked;
    let mut story = of_topic(asked, events, tried, (topics, subscribed), facts).story(match kind {
        Some(kind) => format!("events of type {kind} on topic {name}"),
        None => format!("topic {name}"),
    });
    story.path = tried
        .iter()
        .map(|one| {
            let (text, verdict) = state(one);
            let id = format!("{}/{}", one.info.app, one.info.name);
            Step {
                time_ms: None,
                took_us: None,
                text: format!("subscription {id} → {}: {text}", one.info.spec.delivery.function),
                verdict,
                id: Some(id),
                steps: Vec::new(),
            }
        })
        .chain(facts.iter().rev().take(SHOWN).rev().map(step))
        .collect();
    story.next = vec![format!("hob topic show {name}")];
    story.next.extend(
        tried
            .iter()
            .filter(|one| one.info.paused)
            .map(|one| format!("hob sub resume {}/{}", one.info.app, one.info.name)),
    );
    story
}

fn state(one: &TopicTried) -> (String, Verdict) {
    let info = &one.info;
    if let Some(reason) = &one.left_out {
        return (format!("would leave it out: {}", left_out(reason)), Verdict::Skipped);
    }
    if info.paused {
        return (format!("is paused, {} wait", count(info.lag, "event")), Verdict::Waiting);
    }
    let counts =
        format!("wants it; {} delivered, {} behind, {} given up", info.delivered, info.lag, info.dead);
    let verdict = if info.waiting + info.blocked > 0 || info.dead > 0 { Verdict::Bad } else { Verdict::Good };
    (counts, verdict)
}

fn of_topic(
    (name, kind): (&TopicName, Option<&str>),
    events: Option<u64>,
    tried: &[TopicTried],
    (topics, subscribed): (&[TopicName], &[TopicName]),
    facts: &[Fact],
) -> Cause {
    let what = kind
        .map_or_else(|| format!("events of `{name}`"), |kind| format!("events of type `{kind}` on `{name}`"));
    if tried.is_empty() {
        let cause = nobody(name, subscribed);
        return match events {
            Some(_) => cause,
            None => Cause {
                reason: format!(
                    "topic `{name}` does not exist: nothing was ever published to it, and {}",
                    cause.reason
                ),
                ..cause
            },
        };
    }
    if let Some(cause) = near_miss(tried).and_then(|one| missed(one, &what)) {
        return cause;
    }
    let wanting: Vec<&TopicTried> = tried.iter().filter(|one| one.left_out.is_none()).collect();
    if wanting.is_empty() {
        let told = near_miss(tried).or_else(|| tried.first());
        let why = told.and_then(|one| {
            Some(format!("`{}/{}`: {}", one.info.app, one.info.name, left_out(one.left_out.as_ref()?)))
        });
        let clause = told.and_then(|one| match &one.left_out {
            Some(SkipReason::Filter { clause, .. }) => Some(clause.clone()),
            _ => None,
        });
        return Cause::new(
            Verdict::Skipped,
            format!("no subscription wants {what}: {}", why.unwrap_or_default()),
        )
        .fix(format!(
            "change `{}` in the trigger's `where`, or the `type` that is published",
            clause.unwrap_or_else(|| "where".to_owned())
        ))
        .owner(Owner::Caller);
    }
    if let Some(one) = wanting.iter().find(|one| one.info.paused) {
        let who = format!("{}/{}", one.info.app, one.info.name);
        return Cause::new(
            Verdict::Waiting,
            format!(
                "subscription `{who}` wants {what}, but is paused; {} wait",
                count(one.info.lag, "event")
            ),
        )
        .fix(format!("hob sub resume {who}"))
        .owner(Owner::Caller);
    }
    if events.unwrap_or(0) == 0
        && !facts.iter().any(|fact| matches!(&fact.what, What::Published(event) if event.sequence > 0))
    {
        let others: Vec<&str> =
            topics.iter().map(TopicName::as_str).filter(|other| *other != name.as_str()).collect();
        let near = nearest(name.as_str(), others.iter().copied());
        let reason = match near {
            Some(near) => format!(
                "nothing is published to `{name}`; there are events on `{near}`, which is nearly the same"
            ),
            None => format!("nothing was published to `{name}` yet"),
        };
        let fix = match near {
            Some(near) => format!("publish to `{name}`, or write `topic = \"{near}\"` in the trigger"),
            None => format!("publish one: hob send {name} --type {}", kind.unwrap_or("com.example.created")),
        };
        return Cause::new(Verdict::Skipped, reason).fix(fix).owner(Owner::Caller);
    }
    failing(&wanting, &what)
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
    let reason = one.left_out.as_ref()?;
    let SkipReason::Filter { clause, wanted, seen: Some(seen) } = reason else { return None };
    let who = format!("{}/{}", one.info.app, one.info.name);
    Some(
        Cause::new(Verdict::Skipped, format!("`{who}` leaves out {what}: {}", left_out(reason)))
            .fix(format!("let the `{clause}` of `{who}` and what is published agree: `{wanted}` or `{seen}`"))
            .owner(Owner::Caller),
    )
}

fn failing(wanting: &[&TopicTried], what: &str) -> Cause {
    let bad = wanting.iter().find(|one| {
        one.info.waiting + one.info.blocked > 0 || one.info.dead > 0 && one.info.last_failure.is_some()
    });
    if let Some(one) = bad {
        let who = format!("{}/{}", one.info.app, one.info.name);
        let last = one
            .info
            .last_failure
            .as_ref()
            .map(|failure| format!(": {}", super::text::line(failure, 160)))
            .unwrap_or_default();
        return Cause::new(Verdict::Bad, format!("`{who}` gets {what}, but its deliveries fail{last}"))
            .fix(format!("see the newest failure: hob why {who}"))
            .owner(Owner::Code);
    }
    let names = names(wanting.iter().map(|one| one.info.name.as_str()));
    Cause::new(Verdict::Good, format!("{what} are delivered by {names}"))
}

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
    let serving = serving(evidence);
    if let (Some(newest), Some(cause)) = (failures.last(), &evidence.failed) {
        let same = failures.iter().filter(|call| alike(call, newest)).count();
        let all = count(failures.len() as u64, "failed call");
        let reason = format!(
            "{all} of `{function}` since {}, {same} of them like the newest: {}{serving}",
            time(evidence.since_ms),
            cause.reason
        );
        return Cause { reason, ..cause.clone() };
    }
    let start = evidence.facts.iter().rev().find_map(|fact| match &fact.what {
        What::Instance(instance) if instance.step == InstanceStep::StartFailed => instance.failure.as_ref(),
        _ => None,
    });
    if let Some(failure) = start {
        return Cause::new(
            Verdict::Bad,
            format!("instances of `{function}` cannot be started: {}", failure.message),
        )
        .fix(failure.hint.clone().unwrap_or_else(|| format!("hob logs {app}/{function}")))
        .owner(failure.owner)
        .code(&failure.code);
    }
    if calls.is_empty() {
        return uncalled(app, function, evidence, &serving);
    }
    if let Some(slow) = evidence.slow.as_ref().filter(|slow| slow.fix.is_some()) {
        let reason =
            format!("`{function}` answers without failures; the slowest call: {}{serving}", slow.reason);
        return Cause { reason, ..slow.clone() };
    }
    let slowest = calls.iter().map(|call| call.times.total_us).max().unwrap_or_default();
    let reason = format!(
        "`{function}` answers: {} in facts, none failed, the slowest took {}{serving}",
        count(calls.len() as u64, "call"),
        took(slowest)
    );
    let cause = Cause::new(Verdict::Good, reason);
    match evidence.current {
        Some(current) if !serving.is_empty() => cause.fix(format!("revision {current} answers; move on with `hob deploy`, or to another one with `hob rollback {app} --to N`")),
        _ => cause,
    }
}

/// Which revision answers, where that may surprise: after a rollback or a deploy that failed.
fn serving(evidence: &FunctionEvidence<'_>) -> String {
    let changed = evidence.facts.iter().rev().find_map(|fact| match &fact.what {
        What::Changed(changed) => Some((fact.time_ms, changed)),
        _ => None,
    });
    let Some((at_ms, changed)) = changed else { return String::new() };
    if changed.failure.is_none() && changed.change == crate::fact::Change::Deploy {
        return String::new();
    }
    let current =
        evidence.current.map(|current| format!("; revision {current} answers, since ")).unwrap_or_default();
    format!("{current}{} ({})", super::tree::change(changed).0, time(at_ms))
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

fn uncalled(app: &AppName, function: &FunctionName, evidence: &FunctionEvidence<'_>, serving: &str) -> Cause {
    let since = time(evidence.since_ms);
    if evidence.leads.is_empty() {
        return Cause::new(Verdict::Skipped, format!("nothing calls `{function}`: it has no route, subscription or schedule{serving}"))
            .fix(format!("give it a `route`, or an `[[on]]` with `call = \"{function}\"`; try it with `hob call {app}/{function}`"))
            .owner(Owner::Caller);
    }
    let leads = evidence.leads.join(", ");
    Cause::new(
        Verdict::Skipped,
        format!("nobody has called `{function}` since {since}; what leads to it: {leads}{serving}"),
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

/// Nothing is known of an id. `when` is the time that it names itself, where it does, and `sampled` whether a call of then may
/// have been left out.
pub fn unknown(id: &str, when: Option<u64>, kept_since_ms: Option<u64>) -> Story {
    let cause = match (when, kept_since_ms) {
        (Some(when), Some(since)) if when >= since => Cause::new(
            Verdict::Unknown,
            format!("nothing is kept of `{id}`, which began at {}: it went well and fast, or another node handled it", time(when)),
        )
        .fix("of many successful calls in a second only some are kept; what failed or was slow is always kept"),
        (Some(when), _) => Cause::new(
            Verdict::Unknown,
            format!("nothing is kept of `{id}`, which began at {}: that is longer ago than facts are kept, or another node handled it", time(when)),
        )
        .fix("ask the node that answered, or export facts to keep them longer: `hob serve --otlp URL`"),
        (None, _) => Cause::new(Verdict::Unknown, format!("there is nothing called `{id}`"))
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
