//! What is said of asynchronous calls, in a table.

use super::{AsyncEnd, AsyncEvidence, Callback, address, story};
use crate::name::AppName;
use crate::subscription::Whereabouts;
use crate::why::Cause;
use crate::why::sample::{Expected, app, check_story, letter};
use crate::wire::Verdict::{Bad, Good, Unknown, Waiting};

fn callback(failure: &str, place: Whereabouts, dead: bool) -> Callback {
    let failure = Some(failure.to_owned()).filter(|failure| !failure.is_empty());
    Callback { url: "https://me.example/told".to_owned(), place, failure, dead }
}

/// A call that was accepted and is not known any more.
fn accepted(shop: &AppName) -> AsyncEvidence<'_> {
    AsyncEvidence {
        app: shop,
        function: "f",
        accepted_ms: Some(1000),
        place: Whereabouts::Settled,
        attempts: 3,
        failure: None,
        end: None,
        letter: None,
        callback: None,
        facts: &[],
    }
}

fn ended(failed: bool) -> Option<AsyncEnd> {
    Some(AsyncEnd { failed, attempts: 2, status: Some(200), ended_ms: 3000 })
}

fn check_rows(rows: Vec<(&str, AsyncEvidence<'_>, Expected<'_>)>) {
    for (name, evidence, expected) in rows {
        check_story(name, &story("shop.1.x", &evidence), expected);
    }
}

const AGAIN: Whereabouts = Whereabouts::Waiting { due_ms: 9000, failures: 1 };

#[test]
fn an_asynchronous_call_says_how_far_it_is() {
    let shop = app("shop");
    let base = accepted(&shop);
    let broken = || Some(Cause::new(Bad, "`f` answered 500").fix("mend `f`"));
    let none = Whereabouts::Waiting { due_ms: 9000, failures: 0 };
    check_rows(vec![
        (
            "unknown",
            AsyncEvidence { accepted_ms: None, ..base.clone() },
            (Unknown, &["no such asynchronous call"], &["`Location`"]),
        ),
        (
            "done",
            AsyncEvidence { end: ended(false), ..base.clone() },
            (Good, &["ended with 200", "2.00 s after", "2 attempts"], &[]),
        ),
        (
            "failed",
            AsyncEvidence { end: ended(true), failure: broken(), ..base.clone() },
            (Bad, &["given up after 2 attempts", "answered 500"], &["mend `f`"]),
        ),
        (
            "given up",
            AsyncEvidence { letter: Some(letter("attempts")), failure: broken(), ..base.clone() },
            (Bad, &["3 failed attempts", "answered 500"], &["then hob dlq redrive orders.dead 1"]),
        ),
        (
            "runs",
            AsyncEvidence { place: Whereabouts::Flying { attempt: 1 }, ..base.clone() },
            (Waiting, &["now (attempt 1 of 3)"], &["hob logs shop/f"]),
        ),
        (
            "waits for an attempt",
            AsyncEvidence { place: AGAIN, failure: broken(), ..base.clone() },
            (Waiting, &["answered 500", "1 of 3 attempts"], &["mend `f`"]),
        ),
        (
            "waits for a place",
            AsyncEvidence { place: none, failure: broken(), ..base.clone() },
            (Waiting, &["answered 500", "no attempt"], &["mend `f`"]),
        ),
        (
            "waits for its turn",
            AsyncEvidence { place: Whereabouts::Ready, ..base.clone() },
            (Waiting, &["waits for its turn"], &["`scale.max`"]),
        ),
        ("expired", base.clone(), (Waiting, &["not kept any more"], &["kept for a day"])),
    ]);
}

#[test]
fn a_callback_says_whether_it_came() {
    let shop = app("shop");
    let base = AsyncEvidence { end: ended(false), ..accepted(&shop) };
    check_rows(vec![
        (
            "told",
            AsyncEvidence { callback: Some(callback("", Whereabouts::Settled, false)), ..base.clone() },
            (Good, &["sent to https://me.example/told"], &[]),
        ),
        (
            "may not be told",
            AsyncEvidence {
                callback: Some(callback(
                    "HOB-0507 function `f` may not reach it",
                    Whereabouts::Settled,
                    true,
                )),
                ..base.clone()
            },
            (Bad, &["callback", "may not reach", "given up"], &["\"me.example:443\"", "`egress`"]),
        ),
        (
            "cannot be told",
            AsyncEvidence {
                callback: Some(callback("HOB-0510: bad: invalid peer certificate", AGAIN, false)),
                ..base.clone()
            },
            (Bad, &["callback", "certificate", "again at"], &["mend the certificate"]),
        ),
        (
            "refused by whoever is told",
            AsyncEvidence { callback: Some(callback("status 500 no", AGAIN, false)), ..base.clone() },
            (Bad, &["status 500 no"], &["me.example:443"]),
        ),
        (
            "told in the end",
            AsyncEvidence {
                callback: Some(callback("status 500 no", Whereabouts::Settled, false)),
                ..base.clone()
            },
            (Good, &["sent to"], &[]),
        ),
    ]);
}

#[test]
fn an_address_is_what_an_egress_list_has() {
    for (url, expected) in [
        ("http://a.example/x?y=1:2", "a.example:80"),
        ("https://a.example", "a.example:443"),
        ("http://127.0.0.2:9/told", "127.0.0.2:9"),
        ("http://[::1]:9/", "[::1]:9"),
    ] {
        assert_eq!(address(url), expected);
    }
}
