//! The story of a schedule, and that of a subscription as a whole.

use super::Cause;
use super::text::{count, line, time, wait};
use super::tree::step;
use crate::code::Owner;
use crate::fact::{Fact, RunDecision, What};
use crate::name::TopicName;
use crate::unit::show_duration;
use crate::wire::{ScheduleInfo, Story, SubscriptionInfo, Verdict};
use std::time::Duration;

/// Facts that a path shows.
const SHOWN: usize = 12;

/// Why a schedule ran, or did not.
///
/// `facts` are its own, oldest first; `last` is the cause of its last call's outcome.
pub fn schedule(info: &ScheduleInfo, facts: &[Fact], last: Option<&Cause>, now_ms: u64) -> Story {
    let name = format!("{}/{}", info.app, info.name);
    let mut story = of_schedule(info, &name, facts, last, now_ms).story(format!("schedule {name}"));
    story.path = facts.iter().rev().take(SHOWN).rev().map(step).collect();
    story.next = vec![format!("hob cron show {name}")];
    if info.paused {
        story.next.insert(0, format!("hob cron resume {name}"));
    } else {
        story.next.push(format!("hob cron fire {name}"));
    }
    story
}

fn of_schedule(info: &ScheduleInfo, name: &str, facts: &[Fact], last: Option<&Cause>, now_ms: u64) -> Cause {
    if info.paused {
        return Cause::new(Verdict::Skipped, format!("schedule `{name}` is paused: its runs are left out"))
            .fix(format!("hob cron resume {name}"))
            .owner(Owner::Caller);
    }
    let when = match info.next.first() {
        Some(next) => format!("it runs {} in zone `{}`, next at {next}", info.description, info.spec.zone),
        None => format!("it never runs again (`{}`)", info.spec.expression),
    };
    let decided = facts.iter().rev().find_map(|fact| match &fact.what {
        What::Run(run) => Some((fact.time_ms, &run.decision)),
        _ => None,
    });
    if let Some(cause) = decided.and_then(|(at_ms, decision)| of_decision(name, at_ms, decision, &when)) {
        return cause;
    }
    if let Some(last) = last.filter(|last| last.verdict == Verdict::Bad) {
        return last.clone().and(&format!("; that was the last run of `{name}`"));
    }
    if info.next.is_empty() {
        let ran = info.last_ms.map(|ms| format!("; it ran last at {}", time(ms))).unwrap_or_default();
        return Cause::new(
            Verdict::Bad,
            format!("schedule `{name}` (`{}`) never runs again{ran}", info.spec.expression),
        )
        .fix(format!("change `schedule` in `hob.toml`: its time is over; run it now: hob cron fire {name}"))
        .owner(Owner::Caller);
    }
    regular(info, name, &when, now_ms)
}

/// What the newest decision tells; `None` when it is an ordinary run.
fn of_decision(name: &str, at_ms: u64, decision: &RunDecision, when: &str) -> Option<Cause> {
    match decision {
        RunDecision::Failed { failure } => Some(
            Cause::new(
                Verdict::Bad,
                format!("a run of `{name}` was due and could not begin: {}", failure.message),
            )
            .fix(failure.hint.clone().unwrap_or_else(|| "it is tried again each second".to_owned()))
            .owner(failure.owner)
            .code(&failure.code),
        ),
        RunDecision::LeftOut { reason, runs, last_ms } => Some(left_out(name, reason, *runs, *last_ms, when)),
        RunDecision::Fired { due_ms: Some(due_ms), made_up: true, .. } => {
            let (began, due) = (time(at_ms), time(*due_ms));
            let reason = format!(
                "`{name}` missed its run of {due}, since the node was not running then, and made up for it at {began}; {when}"
            );
            Some(
                Cause::new(Verdict::Good, reason)
                    .fix("to leave missed runs out, write `missed = \"skip\"` in the trigger"),
            )
        }
        RunDecision::Fired { .. } => None,
    }
}

/// It runs when it should, which may be another hour than somebody thinks.
fn regular(info: &ScheduleInfo, name: &str, when: &str, now_ms: u64) -> Cause {
    let zone = &info.spec.zone;
    let ran = info
        .last_ms
        .map_or_else(|| "it has not run yet".to_owned(), |ms| format!("it ran last at {}", time(ms)));
    let far = info.next_ms.first().map(|ms| ms.saturating_sub(now_ms)).filter(|ms| *ms > 0);
    let far = far.map(|ms| format!(" (in {})", super::text::took_ms(ms / 1000 * 1000))).unwrap_or_default();
    let verdict = if info.last_ms.is_some() { Verdict::Good } else { Verdict::Waiting };
    let cause = Cause::new(verdict, format!("`{name}`: {ran}; {when}{far}")).owner(Owner::Caller);
    if is_utc(zone) {
        return cause.fix(format!(
            "if that is the wrong hour, its zone is: times are read in `{zone}`; set `zone = \"Europe/London\"` or yours in the trigger"
        ));
    }
    cause.fix(format!(
        "if that is the wrong hour, change `zone = \"{zone}\"` or `schedule = \"{}\"` in the trigger",
        info.spec.expression
    ))
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "Etc/UTC" | "Z" | "GMT" | "Etc/GMT")
}

fn left_out(name: &str, reason: &str, runs: u64, last_ms: u64, when: &str) -> Cause {
    let (runs, last) = (count(runs, "run"), time(last_ms));
    let (why, fix) = match reason {
        "overlap" => (
            "the run before was not over".to_owned(),
            "make the function faster, or allow it with `overlap = \"allow\"` in the trigger".to_owned(),
        ),
        "missed" | "too-many" => (
            "the node was not running when it was due".to_owned(),
            format!(
                "make missed runs up with `missed = \"once\"` or `\"all\"` in the trigger; run it now: hob cron fire {name}"
            ),
        ),
        "paused" => ("it was paused".to_owned(), format!("run it now: hob cron fire {name}")),
        other => (format!("the reason is `{other}`"), format!("hob cron show {name}")),
    };
    Cause::new(
        Verdict::Skipped,
        format!("`{name}` left out {runs} because {why}; the last was due at {last}; {when}"),
    )
    .fix(fix)
    .owner(Owner::Caller)
}

/// How a subscription is, as a whole. `last` is the cause of its last failed attempt, and `near` a topic with events to
/// which nobody subscribes, whose name is nearly that of its own.
pub fn subscription(
    info: &SubscriptionInfo,
    facts: &[Fact],
    last: Option<&Cause>,
    near: Option<&TopicName>,
) -> Story {
    let name = format!("{}/{}", info.app, info.name);
    let mut story = of_subscription(info, &name, last, near).story(format!("subscription {name}"));
    story.path = facts.iter().rev().take(SHOWN).rev().map(step).collect();
    story.next = vec![format!("hob sub show {name}")];
    if info.dead > 0 {
        story.next.push(format!("hob dlq ls {}", info.spec.delivery.dead_letter));
    }
    story
}

fn of_subscription(
    info: &SubscriptionInfo,
    name: &str,
    last: Option<&Cause>,
    near: Option<&TopicName>,
) -> Cause {
    let (topic, function) = (&info.spec.topic, &info.spec.delivery.function);
    if info.paused {
        let reason = format!("subscription `{name}` is paused: {} in `{topic}`", wait(info.lag));
        return Cause::new(Verdict::Waiting, reason)
            .fix(format!("hob sub resume {name}"))
            .owner(Owner::Caller);
    }
    if !info.current {
        return Cause::new(
            Verdict::Skipped,
            format!(
                "the current revision of `{}` has no subscription `{name}`; it only ends what began before",
                info.app
            ),
        )
        .fix(format!("deploy a revision with it, or go back: hob rollback {}", info.app))
        .owner(Owner::Caller);
    }
    if info.waiting + info.blocked > 0 {
        let waits =
            format!("in `{name}` {} for another attempt, {} behind them", wait(info.waiting), info.blocked);
        return failing(info, last, Verdict::Waiting, &waits);
    }
    if info.dead > 0 {
        let mut cause = failing(
            info,
            last,
            Verdict::Bad,
            &format!("`{name}` has given up {}", count(info.dead, "event")),
        );
        let redrive = format!("hob dlq redrive {} --all", info.spec.delivery.dead_letter);
        cause.fix = cause.fix.map(|fix| format!("{fix}; then {redrive}"));
        return cause;
    }
    if info.lag > 0 {
        return behind(info, name);
    }
    if let Some(near) = near.filter(|_| info.delivered + info.skipped == 0) {
        let reason = format!(
            "`{name}` has never got an event: it subscribes to `{topic}`, but events come to `{near}`, to which nobody subscribes"
        );
        return Cause::new(Verdict::Skipped, reason)
            .fix(format!("write `topic = \"{near}\"` in the trigger, or publish to `{topic}`"))
            .owner(Owner::Caller);
    }
    let reason = format!(
        "`{name}` is up to date in `{topic}`: {} delivered, {} left out",
        info.delivered, info.skipped
    );
    if info.delivered == 0 && info.skipped > 0 {
        return Cause::new(Verdict::Skipped, format!("{reason}: its `where` matches none of them"))
            .fix(format!("see which clause: hob why --topic {topic}, or hob why {topic}/SEQUENCE; `{function}` gets what matches"))
            .owner(Owner::Caller);
    }
    Cause::new(Verdict::Good, reason)
}

/// Attempts fail: the cause of the last one, and what came of it.
fn failing(info: &SubscriptionInfo, last: Option<&Cause>, verdict: Verdict, state: &str) -> Cause {
    let function = &info.spec.delivery.function;
    match last {
        Some(last) => Cause { verdict, ..last.clone().and(&format!("; {state}")) },
        None => {
            let told = info.last_failure.as_ref().map(|failure| format!(": {}", line(failure, 120)));
            Cause::new(verdict, format!("{state}{}", told.unwrap_or_default()))
                .fix(format!("mend `{function}`; its dead letters say more: hob dlq ls {}", info.spec.topic))
                .owner(Owner::Code)
        }
    }
}

/// It is behind, and nothing fails.
fn behind(info: &SubscriptionInfo, name: &str) -> Cause {
    let (topic, function) = (&info.spec.topic, &info.spec.delivery.function);
    let concurrency = info.spec.delivery.concurrency;
    let lag = format!("`{name}` is {} behind in `{topic}`", count(info.lag, "event"));
    let late =
        |reason: String, fix: String| Cause::new(Verdict::Waiting, reason).fix(fix).owner(Owner::Limit);
    match info.spec.rate {
        _ if info.in_flight >= u64::from(concurrency) => late(
            format!("{lag}: {} run, as many as its `concurrency` allows", info.in_flight),
            format!("raise `concurrency` of `{name}`, or make `{function}` faster"),
        ),
        Some(rate) => late(
            format!("{lag}: its `rate` is {}", rate_text(rate.events.into(), rate.per_ms)),
            format!("raise `rate` of `{name}` in `hob.toml`, then `hob deploy`"),
        ),
        None => late(
            format!("{lag}, {} run now", info.in_flight),
            format!("raise `concurrency` of `{name}`, or make `{function}` faster"),
        ),
    }
}

/// A rate as it is written: `100/s`, `1/h`, `7/90s`.
pub fn rate_text(events: u64, per_ms: u64) -> String {
    let per = show_duration(Duration::from_millis(per_ms));
    let unit = per.strip_prefix('1').filter(|unit| unit.chars().all(char::is_alphabetic));
    format!("{events}/{}", unit.unwrap_or(&per))
}

#[cfg(test)]
mod tests;
