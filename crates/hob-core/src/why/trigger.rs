//! The story of a schedule, and that of a subscription as a whole.

use super::Cause;
use super::text::{count, line, time};
use super::tree::step;
use crate::code::Owner;
use crate::fact::{Fact, RunDecision, What};
use crate::wire::{ScheduleInfo, Story, SubscriptionInfo, Verdict};

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
    let (zone, next) = (&info.spec.zone, info.next.first());
    if info.paused {
        return Cause::new(Verdict::Skipped, format!("schedule `{name}` is paused: its runs are left out"))
            .fix(format!("hob cron resume {name}"))
            .owner(Owner::Caller);
    }
    let Some(next) = next else {
        return Cause::new(
            Verdict::Bad,
            format!("schedule `{name}` (`{}`) never runs again", info.spec.expression),
        )
        .fix("change `schedule` in `hob.toml`: its time is over or does not exist")
        .owner(Owner::Caller);
    };
    let decided = facts.iter().rev().find_map(|fact| match &fact.what {
        What::Run(run) => Some((fact.time_ms, &run.decision)),
        _ => None,
    });
    let when = format!("it runs {} in zone `{zone}`, next at {next}", info.description);
    match decided {
        Some((_, RunDecision::Failed { failure })) => {
            return Cause::new(
                Verdict::Bad,
                format!("a run of `{name}` was due and could not begin: {}", failure.message),
            )
            .fix(failure.hint.clone().unwrap_or_else(|| "it is tried again each second".to_owned()))
            .owner(failure.owner)
            .code(&failure.code);
        }
        Some((_, RunDecision::LeftOut { reason, runs, last_ms })) => {
            return left_out(name, reason, *runs, *last_ms, &when);
        }
        Some((began_ms, RunDecision::Fired { due_ms: Some(due_ms), made_up: true, .. })) => {
            let (began, due) = (time(began_ms), time(*due_ms));
            return Cause::new(
                Verdict::Good,
                format!("`{name}` missed its run of {due}, since the node was not running then, and made up for it at {began}; {when}"),
            )
            .fix("to leave missed runs out, write `missed = \"skip\"` in the trigger");
        }
        _ => {}
    }
    if let Some(last) = last.filter(|last| last.verdict == Verdict::Bad) {
        return Cause {
            reason: format!("`{name}` runs, but its last run failed: {}", last.reason),
            ..last.clone()
        };
    }
    let ran = info
        .last_ms
        .map_or_else(|| "it has not run yet".to_owned(), |ms| format!("it ran last at {}", time(ms)));
    let far = info.next_ms.first().map(|ms| ms.saturating_sub(now_ms)).filter(|ms| *ms > 0);
    let far = far.map(|ms| format!(" (in {})", super::text::took_ms(ms / 1000 * 1000))).unwrap_or_default();
    let verdict = if info.last_ms.is_some() { Verdict::Good } else { Verdict::Waiting };
    let cause = Cause::new(verdict, format!("`{name}`: {ran}; {when}{far}"));
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

/// How a subscription is, as a whole. `last` is the cause of its last failed attempt.
pub fn subscription(info: &SubscriptionInfo, facts: &[Fact], last: Option<&Cause>) -> Story {
    let name = format!("{}/{}", info.app, info.name);
    let mut story = of_subscription(info, &name, last).story(format!("subscription {name}"));
    story.path = facts.iter().rev().take(SHOWN).rev().map(step).collect();
    story.next = vec![format!("hob sub show {name}")];
    if info.dead > 0 {
        story.next.push(format!("hob dlq ls {}", info.spec.delivery.dead_letter));
    }
    story
}

fn of_subscription(info: &SubscriptionInfo, name: &str, last: Option<&Cause>) -> Cause {
    let topic = &info.spec.topic;
    if info.paused {
        let reason =
            format!("subscription `{name}` is paused: {} wait in `{topic}`", count(info.lag, "event"));
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
        let waits = format!("{} wait for another attempt, {} behind them", info.waiting, info.blocked);
        let told = last.map(|last| format!(": {}", last.reason));
        let told =
            told.or_else(|| info.last_failure.as_ref().map(|failure| format!(": {}", line(failure, 160))));
        let cause = Cause::new(
            Verdict::Waiting,
            format!("deliveries of `{name}` fail ({waits}){}", told.unwrap_or_default()),
        );
        let fix = last
            .and_then(|last| last.fix.clone())
            .unwrap_or_else(|| format!("mend `{}`", info.spec.delivery.function));
        return cause.fix(fix).owner(last.and_then(|last| last.owner).unwrap_or(Owner::Code));
    }
    if info.dead > 0 {
        let told = last.map(|last| format!(": {}", last.reason)).unwrap_or_default();
        let reason = format!("`{name}` has given up {}{told}", count(info.dead, "event"));
        let fix = last
            .and_then(|last| last.fix.clone())
            .unwrap_or_else(|| format!("mend `{}`", info.spec.delivery.function));
        return Cause::new(Verdict::Bad, reason)
            .fix(format!("{fix}; then hob dlq redrive {} --all", info.spec.delivery.dead_letter))
            .owner(last.and_then(|last| last.owner).unwrap_or(Owner::Code));
    }
    if info.lag > 0 {
        let reason = format!(
            "`{name}` is {} behind in `{topic}`, {} run now",
            count(info.lag, "event"),
            info.in_flight
        );
        return Cause::new(Verdict::Waiting, reason)
            .fix(format!(
                "raise its `concurrency` or `rate`, or make `{}` faster",
                info.spec.delivery.function
            ))
            .owner(Owner::Limit);
    }
    let reason = format!(
        "`{name}` is up to date in `{topic}`: {} delivered, {} left out",
        info.delivered, info.skipped
    );
    Cause::new(Verdict::Good, reason)
}
