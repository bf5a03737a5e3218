//! Why events of a topic do not arrive, in a table.

use super::{TopicEvidence, TopicTried, story};
use crate::fact::SkipReason;
use crate::trigger::RateSpec;
use crate::why::Cause;
use crate::why::sample::{Expected, check_story, subscription, topic};
use crate::wire::SubscriptionInfo;
use crate::wire::Verdict::{Bad, Good, Skipped, Waiting};

fn one(change: impl Fn(&mut SubscriptionInfo)) -> TopicTried {
    TopicTried { info: subscription(change), left_out: None, failure: None }
}

fn out(wanted: &str, seen: &str) -> TopicTried {
    let left_out = SkipReason::Filter {
        clause: "exact.type".to_owned(),
        wanted: wanted.to_owned(),
        seen: Some(seen.to_owned()),
    };
    TopicTried { left_out: Some(left_out), ..one(|_| ()) }
}

type Row<'a> = (&'a str, Option<&'a str>, Option<u64>, Vec<TopicTried>, &'a [&'a str], Expected<'a>);

fn check_rows(rows: Vec<Row<'_>>) {
    let topics = [topic("oders"), topic("orders")];
    for (name, kind, events, tried, kinds, expected) in rows {
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let evidence = TopicEvidence {
            events,
            tried: &tried,
            topics: &topics,
            kinds: &kinds,
            ..TopicEvidence::default()
        };
        check_story(name, &story(&topic("orders"), kind, &evidence), expected);
    }
}

#[test]
fn a_topic_is_told_with_how_its_subscriptions_are() {
    let broken = || Cause::new(Bad, "`f` answered 500").fix("mend `f`");
    let failing = || TopicTried { failure: Some(broken()), ..one(|info| info.waiting = 1) };
    let blind = || one(|info| (info.waiting, info.last_failure) = (1, Some("status 500".to_owned())));
    check_rows(vec![
        ("well", None, Some(3), vec![one(|_| ())], &["x"], (Good, &["delivered by `letters`"], &[])),
        (
            "given up before",
            None,
            Some(3),
            vec![one(|info| info.dead = 2)],
            &["x"],
            (Good, &["2 events were given up"], &[]),
        ),
        (
            "paused",
            None,
            Some(3),
            vec![one(|info| (info.paused, info.lag) = (true, 1))],
            &["x"],
            (Waiting, &["paused; 1 event waits"], &["hob sub resume shop/letters"]),
        ),
        (
            "failing",
            None,
            Some(1),
            vec![failing()],
            &["x"],
            (Bad, &["answered 500", "shop/letters"], &["mend `f`"]),
        ),
        (
            "failing for an unknown reason",
            None,
            Some(1),
            vec![blind()],
            &["x"],
            (Bad, &["status 500"], &["hob why shop/letters"]),
        ),
        (
            "behind",
            None,
            Some(1),
            vec![one(|info| (info.lag, info.spec.rate) = (2, Some(RateSpec { events: 1, per_ms: 1000 })))],
            &["x"],
            (Waiting, &["2 events wait for it"], &["`rate`"]),
        ),
    ]);
}

#[test]
fn events_that_nobody_wants_or_publishes_are_told() {
    check_rows(vec![
        (
            "near",
            Some("order.creatd"),
            Some(1),
            vec![out("order.created", "order.creatd")],
            &["order.creatd"],
            (Skipped, &["one character apart"], &["write `order.creatd`"]),
        ),
        (
            "far",
            Some("x"),
            Some(1),
            vec![out("order.created", "x")],
            &["x"],
            (Skipped, &["shop/letters", "`order.created`"], &["change `exact.type`"]),
        ),
        (
            "the newest event",
            None,
            Some(1),
            vec![out("order.created", "order.creatd")],
            &["order.creatd"],
            (Skipped, &["the newest event", "`order.creatd`"], &["write"]),
        ),
        (
            "another type",
            Some("order.created"),
            Some(1),
            vec![one(|_| ())],
            &["order.creatd"],
            (
                Skipped,
                &["no event of type `order.created`", "`order.creatd`"],
                &["instead of `order.creatd`"],
            ),
        ),
        (
            "a type far from all",
            Some("sale"),
            Some(1),
            vec![one(|_| ())],
            &["order.creatd"],
            (Skipped, &["no event of type `sale`"], &["hob topic tail"]),
        ),
        (
            "empty",
            None,
            Some(0),
            vec![one(|_| ())],
            &[],
            (Skipped, &["nothing was published to `orders`", "`oders`"], &["topic = \"oders\""]),
        ),
        ("nobody", None, Some(1), vec![], &["x"], (Skipped, &["nobody subscribes"], &["[[on]]"])),
        ("no topic", None, None, vec![], &[], (Skipped, &["does not exist"], &["[[on]]"])),
    ]);
}
