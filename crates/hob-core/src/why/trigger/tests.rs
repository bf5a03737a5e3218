//! What is said of schedules and subscriptions, in tables.

use super::{rate_text, schedule, subscription};
use crate::fact::{Fact, Run, RunDecision, What};
use crate::trigger::RateSpec;
use crate::why::Cause;
use crate::why::sample::{self, Expected, app, check_story, fact, failure, topic, trigger};
use crate::wire::Verdict::{Bad, Good, Skipped, Waiting};
use crate::wire::{ScheduleInfo, SubscriptionInfo};

fn run(decision: RunDecision) -> Fact {
    fact(5000, What::Run(Box::new(Run { app: app("shop"), schedule: trigger("nightly"), decision })))
}

fn left_out(reason: &str) -> Fact {
    run(RunDecision::LeftOut { reason: reason.to_owned(), runs: 2, last_ms: 4000 })
}

type Schedules<'a> = Vec<(&'a str, ScheduleInfo, Option<Fact>, Option<&'a Cause>, Expected<'a>)>;

fn check_schedules(rows: Schedules<'_>) {
    for (name, info, fact, last, expected) in rows {
        let facts: Vec<Fact> = fact.into_iter().collect();
        check_story(name, &schedule(&info, &facts, last, 1000), expected);
    }
}

fn plain() -> ScheduleInfo {
    sample::schedule(|_| ())
}

/// One whose time is over.
fn over() -> ScheduleInfo {
    sample::schedule(|info| (info.next, info.next_ms) = (Vec::new(), Vec::new()))
}

fn fired(made_up: bool) -> Fact {
    run(RunDecision::Fired { due_ms: Some(1000), sequence: 1, made_up })
}

#[test]
fn a_schedule_says_when_it_runs_and_how_it_went() {
    let berlin = sample::schedule(|info| info.spec.zone = "Europe/Berlin".to_owned());
    let broken = Cause::new(Bad, "`f` answered 500").fix("mend `f`");
    check_schedules(vec![
        (
            "zone",
            plain(),
            None,
            None,
            (Waiting, &["03:00", "`UTC`", "2026-11-27 03:00:00 UTC"], &["`zone = \""]),
        ),
        (
            "its zone",
            berlin,
            Some(fired(false)),
            None,
            (Waiting, &["Europe/Berlin"], &["`zone = \"Europe/Berlin\"`", "0 3 * * *"]),
        ),
        (
            "paused",
            sample::schedule(|info| info.paused = true),
            None,
            None,
            (Skipped, &["is paused"], &["hob cron resume shop/nightly"]),
        ),
        (
            "could not begin",
            plain(),
            Some(run(RunDecision::Failed { failure: failure("HOB-0604", "the disk is full") })),
            None,
            (Bad, &["the disk is full"], &["tried again"]),
        ),
        (
            "fails",
            plain(),
            Some(fired(false)),
            Some(&broken),
            (Bad, &["answered 500", "last run"], &["mend `f`"]),
        ),
        ("over", over(), Some(fired(false)), None, (Bad, &["never runs again"], &["change `schedule`"])),
    ]);
}

#[test]
fn runs_that_are_left_out_or_made_up_for_say_why() {
    check_schedules(vec![
        (
            "overlap",
            plain(),
            Some(left_out("overlap")),
            None,
            (Skipped, &["2 runs", "not over"], &["overlap = \"allow\""]),
        ),
        (
            "missed",
            plain(),
            Some(left_out("missed")),
            None,
            (Skipped, &["the node was not running"], &["missed = \"once\""]),
        ),
        (
            "missed for ever",
            over(),
            Some(left_out("missed")),
            None,
            (Skipped, &["the node was not running", "never runs again"], &["hob cron fire"]),
        ),
        (
            "while paused",
            plain(),
            Some(left_out("paused")),
            None,
            (Skipped, &["it was paused"], &["hob cron fire"]),
        ),
        (
            "made up",
            plain(),
            Some(fired(true)),
            None,
            (Good, &["missed its run", "made up for it"], &["missed = \"skip\""]),
        ),
    ]);
}

type Subscriptions<'a> = Vec<(&'a str, SubscriptionInfo, Option<&'a Cause>, bool, Expected<'a>)>;

fn check_subscriptions(rows: Subscriptions<'_>) {
    let near = topic("oders");
    for (name, info, last, lonely, expected) in rows {
        check_story(name, &subscription(&info, &[], last, lonely.then_some(&near)), expected);
    }
}

#[test]
fn a_subscription_says_how_it_is() {
    let plain = |change: &dyn Fn(&mut SubscriptionInfo)| sample::subscription(change);
    let broken = Cause::new(Bad, "`f` answered 500").fix("mend `f`");
    check_subscriptions(vec![
        ("well", plain(&|_| ()), None, false, (Good, &["up to date", "3 delivered"], &[])),
        (
            "paused",
            plain(&|info| (info.paused, info.lag) = (true, 2)),
            None,
            false,
            (Waiting, &["paused: 2 events wait"], &["hob sub resume"]),
        ),
        (
            "gone",
            plain(&|info| info.current = false),
            None,
            false,
            (Skipped, &["current revision of `shop`"], &["hob rollback shop"]),
        ),
        (
            "failing",
            plain(&|info| info.waiting = 1),
            Some(&broken),
            false,
            (Waiting, &["answered 500", "1 event waits"], &["mend `f`"]),
        ),
        (
            "failing, unknown why",
            plain(&|info| (info.waiting, info.last_failure) = (2, Some("status 500".to_owned()))),
            None,
            false,
            (Waiting, &["2 events wait", "status 500"], &["mend `f`"]),
        ),
        (
            "dead",
            plain(&|info| info.dead = 1),
            Some(&broken),
            false,
            (Bad, &["answered 500", "given up 1 event"], &["hob dlq redrive orders.dead --all"]),
        ),
    ]);
}

#[test]
fn a_subscription_that_gets_nothing_or_too_much_says_why() {
    let plain = |change: &dyn Fn(&mut SubscriptionInfo)| sample::subscription(change);
    let rate = Some(RateSpec { events: 1, per_ms: 3_600_000 });
    check_subscriptions(vec![
        (
            "busy",
            plain(&|info| (info.lag, info.in_flight) = (3, 1)),
            None,
            false,
            (Waiting, &["3 events behind", "`concurrency`"], &["raise `concurrency`"]),
        ),
        (
            "rate",
            plain(&|info| (info.lag, info.spec.rate) = (3, rate)),
            None,
            false,
            (Waiting, &["`rate` is 1/h"], &["raise `rate`"]),
        ),
        (
            "behind",
            plain(&|info| info.lag = 3),
            None,
            false,
            (Waiting, &["3 events behind"], &["`concurrency`"]),
        ),
        (
            "misspelt",
            plain(&|info| info.delivered = 0),
            None,
            true,
            (Skipped, &["never got an event", "`oders`"], &["topic = \"oders\""]),
        ),
        (
            "matches nothing",
            plain(&|info| (info.delivered, info.skipped) = (0, 9)),
            None,
            false,
            (Skipped, &["9 left out", "matches none"], &["hob why --topic orders"]),
        ),
    ]);
}

#[test]
fn rates_are_told_as_they_are_written() {
    for (events, per_ms, text) in [(100, 1000, "100/s"), (1, 3_600_000, "1/h"), (10, 60_000, "10/m")] {
        assert_eq!(rate_text(events, per_ms), text);
    }
}
