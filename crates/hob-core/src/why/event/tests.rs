//! What is said of events, in tables.

use super::{EventEvidence, Tried, is_no_place, no_place, not_accepted, of_loop, story};
use crate::fact::{Publication, SkipReason, What};
use crate::name::{RevisionNumber, SpaceName};
use crate::subscription::Whereabouts;
use crate::why::Cause;
use crate::why::sample::{Expected, check_story, fact, failure, letter, topic};
use crate::wire::Verdict::{Bad, Good, Skipped, Unknown, Waiting};

fn tried(change: impl Fn(&mut Tried)) -> Tried {
    let mut tried = Tried {
        subscription: "shop/letters".to_owned(),
        function: "f".to_owned(),
        attempts: 5,
        concurrency: (16, 0),
        ..Tried::default()
    };
    change(&mut tried);
    tried
}

fn filter(clause: &str, wanted: &str, seen: Option<&str>) -> SkipReason {
    SkipReason::Filter { clause: clause.to_owned(), wanted: wanted.to_owned(), seen: seen.map(str::to_owned) }
}

fn told(tried: &[Tried]) -> crate::wire::Story {
    let evidence =
        EventEvidence { published_ms: Some(5000), range: Some((1, 9)), tried, ..EventEvidence::default() };
    story(&topic("orders"), 7, &evidence)
}

fn broken() -> Cause {
    Cause::new(Bad, "`f` answered 500").fix("mend `f`").code("HOB-0508")
}

fn check_rows(rows: Vec<(&str, Tried, Expected<'_>)>) {
    for (name, tried, expected) in rows {
        check_story(name, &told(&[tried]), expected);
    }
}

#[test]
fn what_a_subscription_is_through_with_is_told() {
    let paused = |place| tried(|tried| (tried.paused, tried.place) = (true, place));
    check_rows(vec![
        ("delivered", tried(|t| t.answered = true), (Good, &["delivered by `shop/letters`"], &[])),
        (
            "by an old revision",
            tried(|t| {
                (t.answered, t.revision, t.newer) = (true, Some(RevisionNumber(1)), Some(RevisionNumber(2)))
            }),
            (Good, &["revision 1", "revision 2"], &["hob replay orders --from 7"]),
        ),
        ("nothing is known", tried(|_| ()), (Good, &["dealt with"], &[])),
        (
            "the last that is known failed",
            tried(|t| t.failure = Some(broken())),
            (Waiting, &["answered 500"], &["mend `f`"]),
        ),
        (
            "began later",
            tried(|t| t.since_ms = Some(6000)),
            (Skipped, &["began at", "after the event"], &["hob sub seek shop/letters 7"]),
        ),
        (
            "passed over",
            tried(|t| t.passed_over_ms = Some(6000)),
            (Skipped, &["seek"], &["hob sub seek shop/letters 7"]),
        ),
        (
            "letter dropped",
            tried(|t| t.dropped = true),
            (Skipped, &["dropped its dead letter"], &["hob replay"]),
        ),
        ("paused", paused(Whereabouts::Ready), (Waiting, &["is paused"], &["hob sub resume shop/letters"])),
        ("paused, but settled before", paused(Whereabouts::Settled), (Good, &["dealt with"], &[])),
    ]);
}

#[test]
fn what_waits_in_a_subscription_is_told_with_what_it_waits_for() {
    let at = |place| tried(move |tried| tried.place = place);
    let waiting = Whereabouts::Waiting { due_ms: 9000, failures: 2 };
    let none = Whereabouts::Waiting { due_ms: 9000, failures: 0 };
    let blocked = Whereabouts::Blocked { behind: Some(3) };
    check_rows(vec![
        (
            "in flight",
            at(Whereabouts::Flying { attempt: 2 }),
            (Waiting, &["now (attempt 2 of 5)"], &["hob logs shop/f"]),
        ),
        (
            "fails",
            tried(|t| (t.place, t.failure) = (waiting, Some(broken()))),
            (Waiting, &["answered 500", "2 of 5 attempts"], &["mend `f`"]),
        ),
        ("fails for an unknown reason", at(waiting), (Waiting, &["2 of 5 attempts"], &["hob sub show"])),
        ("no place", at(none), (Waiting, &["no place for it in `f`"], &["`scale.max`"])),
        (
            "no place for a reason",
            tried(|t| (t.place, t.failure) = (none, Some(broken()))),
            (Waiting, &["answered 500", "no attempt"], &["mend `f`"]),
        ),
        (
            "behind another",
            tried(|t| (t.place, t.key) = (blocked, Some(("partitionkey".to_owned(), "a".to_owned())))),
            (Waiting, &["behind event orders/3", "partitionkey `a`"], &["hob why orders/3"]),
        ),
        (
            "behind one that fails",
            tried(|t| (t.place, t.behind) = (blocked, Some(broken()))),
            (Waiting, &["orders/3", "answered 500"], &["mend `f`"]),
        ),
        (
            "unread",
            at(Whereabouts::Unread { before: 4 }),
            (Waiting, &["4 events before it"], &["`concurrency`"]),
        ),
        (
            "no room",
            tried(|t| (t.place, t.concurrency, t.running) = (Whereabouts::Ready, (1, 1), Some(6))),
            (Waiting, &["`concurrency` is 1", "orders/6"], &["raise `concurrency`"]),
        ),
        (
            "rate",
            tried(|t| (t.place, t.rate) = (Whereabouts::Ready, Some("1/h".to_owned()))),
            (Waiting, &["`rate` is 1/h"], &["raise `rate`"]),
        ),
        ("burying", at(Whereabouts::Burying), (Waiting, &["is giving it up"], &[])),
    ]);
}

#[test]
fn an_event_that_was_given_up_says_why_and_where_it_is() {
    let dead = |reason: &str, change: &dyn Fn(&mut Tried)| {
        tried(|tried| {
            tried.letter = Some(letter(reason));
            change(tried);
        })
    };
    let answer = |text: &str, tried: &mut Tried| {
        tried.letter.as_mut().unwrap().answer = Some(text.to_owned());
    };
    for (name, tried, expected) in [
        (
            "attempts",
            dead("attempts", &|t| t.failure = Some(broken())),
            (
                Bad,
                &["after 3 failed attempts", "answered 500", "orders.dead/1"][..],
                &["mend `f`; then hob dlq redrive orders.dead 1"][..],
            ),
        ),
        (
            "rejected",
            dead("rejected", &|t| answer("no such order", t)),
            (Bad, &["at once", "no such order"], &["hob dlq redrive"]),
        ),
        ("age", dead("age", &|_| ()), (Bad, &["`retry.age`"], &["hob dlq redrive"])),
        ("crashes", dead("crashes", &|_| ()), (Bad, &["crashed again"], &["hob dlq redrive"])),
        (
            "expired",
            dead("expired", &|t| answer("the event expired at 2020", t)),
            (Bad, &["expired at 2020"], &["`expirytime`"]),
        ),
        (
            "a bad reply",
            dead("rejected", &|t| {
                answer("it has no id", t);
                t.answered = true;
                t.letter.as_mut().unwrap().code = Some("HOB-0801".to_owned());
            }),
            (Bad, &["`f` handled it", "answered with", "no id"], &["mend what `f` answers with"]),
        ),
    ] {
        check_story(name, &told(&[tried]), expected);
    }
    let evidence_tried = [tried(|_| ())];
    check_story(
        "loop",
        &of_loop(&letter("loop"), &evidence_tried),
        (Bad, &["too many times"], &["shop/letters"]),
    );
    check_story(
        "loop of nobody",
        &of_loop(&letter("loop"), &[]),
        (Bad, &[], &["publish what they subscribe to"]),
    );
}

#[test]
fn filters_say_which_clause_and_how_near() {
    for (name, reason, expected) in [
        (
            "near",
            filter("exact.type", "order.created", Some("order.creatd")),
            (
                Skipped,
                &["`exact.type`", "one character apart"][..],
                &["write `order.creatd` instead of `order.created`"][..],
            ),
        ),
        (
            "far",
            filter("exact.country", "UK", Some("DE")),
            (Skipped, &["wants `UK`, the event has `DE`"], &["change `exact.country`"]),
        ),
        (
            "missing",
            filter("exact.country", "UK", None),
            (Skipped, &["does not have that"], &["publish such events with `country`"]),
        ),
        (
            "expression",
            filter("sql", "INT(amount) > 100", Some("amount `7`")),
            (Skipped, &["`INT(amount) > 100` is not true", "amount `7`"], &["`sql`"]),
        ),
        (
            "false",
            filter("sql", "TRUE AND FALSE", Some("false")),
            (Skipped, &["`TRUE AND FALSE` is false"], &["`where`"]),
        ),
        ("no trigger", SkipReason::NoTrigger, (Skipped, &["no such subscription"], &["hob replay orders"])),
    ] {
        check_story(name, &told(&[tried(|tried| tried.left_out = Some(reason.clone()))]), expected);
    }
}

#[test]
fn the_worst_of_several_subscriptions_comes_first() {
    let good = || tried(|tried| tried.answered = true);
    let out =
        || tried(|tried| tried.left_out = Some(filter("exact.type", "order.created", Some("order.creatd"))));
    let far = || tried(|tried| tried.left_out = Some(filter("exact.type", "invoice", Some("order.creatd"))));
    let dead = || tried(|tried| tried.letter = Some(letter("attempts")));
    let waits = || tried(|tried| tried.paused = true);
    for (name, tried, expected) in [
        ("dead", vec![good(), dead(), waits()], (Bad, &["gave it up"][..])),
        ("two dead", vec![dead(), dead()], (Bad, &["and 1 subscription like it"])),
        (
            "waiting",
            vec![good(), tried(|tried| (tried.paused, tried.place) = (true, Whereabouts::Ready))],
            (Waiting, &["paused"]),
        ),
        ("one of two", vec![good(), out()], (Good, &["delivered by", "1 subscription left it out"])),
        ("the nearest", vec![far(), out()], (Skipped, &["none of 2", "`order.created`"])),
    ] {
        check_story(name, &told(&tried), (expected.0, expected.1, &[]));
    }
}

#[test]
fn an_event_without_a_place_or_a_reader_is_told() {
    let evidence = |range| EventEvidence { range, ..EventEvidence::default() };
    let told = |sequence, evidence: &EventEvidence<'_>| story(&topic("oders"), sequence, evidence);
    check_story(
        "no topic",
        &told(1, &evidence(None)),
        (Unknown, &["nothing was ever published"], &["hob send oders"]),
    );
    check_story(
        "not yet",
        &told(9, &evidence(Some((1, 5)))),
        (Unknown, &["no event oders/9 yet", "is 4"], &["hob topic show"]),
    );
    check_story(
        "not any more",
        &told(1, &evidence(Some((3, 5)))),
        (Unknown, &["any more"], &["[topics.\"oders\"]"]),
    );
    let subscribed = [topic("orders")];
    let read = EventEvidence { published_ms: Some(1), subscribed: &subscribed, ..EventEvidence::default() };
    check_story(
        "near",
        &told(1, &read),
        (Skipped, &["nobody subscribes", "`orders`"], &["publish to `orders`"]),
    );
    let read = EventEvidence { subscribed: &[], ..read };
    check_story("alone", &told(1, &read), (Skipped, &["nobody subscribes"], &["[[on]]"]));
}

#[test]
fn what_waits_for_its_space_names_the_quota_and_who_can_raise_it() {
    let space = SpaceName::new("team").unwrap();
    let of = |told: &str| no_place(&space, told);
    let calls =
        of("HOB-0714 space `team` has 5 calls at a time and asks for 1 more, its quota is 5").unwrap();
    let rate =
        of("HOB-0713 space `team` has 9 requests in a second and asks for 1 more, its quota is 9").unwrap();
    assert!(is_no_place(&calls) && is_no_place(&rate) && !is_no_place(&broken()));
    for other in ["HOB-0503 too many calls wait", "HOB-0712 space `team` has 5 apps", "status 429", ""] {
        assert_eq!(of(other), None, "{other}");
    }
    let at = |place, failure: &Cause| tried(|t| (t.place, t.failure) = (place, Some(failure.clone())));
    let waiting = Whereabouts::Waiting { due_ms: 9000, failures: 1 };
    check_rows(vec![
        (
            "put back",
            at(waiting, &calls),
            (
                Waiting,
                &["calls at a time", "counts as no attempt", "tries again at"],
                &["hob space set team --calls"],
            ),
        ),
        (
            "asks",
            at(Whereabouts::Flying { attempt: 8 }, &rate),
            (
                Waiting,
                &["requests in a second", "asks for a place again now"],
                &["hob space set team --requests"],
            ),
        ),
        ("runs", at(Whereabouts::Flying { attempt: 2 }, &broken()), (Waiting, &["attempt 2 of 5"], &[])),
    ]);
}

#[test]
fn what_was_not_accepted_says_why() {
    let event = |failure| Publication {
        topic: topic("orders"),
        sequence: 0,
        id: "e".to_owned(),
        source: "/s".to_owned(),
        kind: "x".to_owned(),
        duplicate: false,
        failure,
        by: None,
    };
    let at = |event: &Publication| fact(3000, What::Published(Box::new(event.clone())));
    let refused = event(Some(failure("HOB-0802", "it is large")));
    check_story(
        "refused",
        &not_accepted(&at(&refused), &refused, None),
        (Bad, &["`e`", "not accepted on `orders`", "large"], &[]),
    );
    let unread = Publication { id: String::new(), source: String::new(), ..refused };
    check_story(
        "unread",
        &not_accepted(&at(&unread), &unread, None),
        (Bad, &["an event was not accepted"], &[]),
    );
    let again = Publication { sequence: 2, duplicate: true, ..event(None) };
    check_story(
        "twice",
        &not_accepted(&at(&again), &again, Some(1000)),
        (Skipped, &["duplicate", "orders/2, 2.00 s before"], &["`id`"]),
    );
}
