//! What is said of asynchronous calls, in a table.

use super::{AsyncEnd, AsyncEvidence, Callback, address, story};
use crate::subscription::Whereabouts;
use crate::why::Cause;
use crate::why::sample::{Expected, app, check_story, letter};
use crate::wire::Verdict::{Bad, Good, Unknown, Waiting};

fn callback(failure: &str, place: Whereabouts, dead: bool) -> Callback {
    let failure = Some(failure.to_owned()).filter(|failure| !failure.is_empty());
    Callback { url: "https://me.example/told".to_owned(), place, failure, dead }
}

#[test]
fn an_asynchronous_call_says_how_far_it_is() {
    let shop = app("shop");
    let base = AsyncEvidence {
        app: &shop,
        function: "f",
        accepted_ms: Some(1000),
        place: Whereabouts::Settled,
        attempts: 3,
        failure: None,
        end: None,
        letter: None,
        callback: None,
        facts: &[],
    };
    let broken = || Some(Cause::new(Bad, "`f` answered 500").fix("mend `f`"));
    let end = |failed| Some(AsyncEnd { failed, attempts: 2, status: Some(200), ended_ms: 3000 });
    let (done, failed) = (end(false), end(true));
    let again = Whereabouts::Waiting { due_ms: 9000, failures: 1 };
    let none = Whereabouts::Waiting { due_ms: 9000, failures: 0 };
    let rows: Vec<(&str, AsyncEvidence<'_>, Expected<'_>)> = vec![
        (
            "unknown",
            AsyncEvidence { accepted_ms: None, ..base.clone() },
            (Unknown, &["no such asynchronous call"], &["`Location`"]),
        ),
        (
            "done",
            AsyncEvidence { end: done, ..base.clone() },
            (Good, &["ended with 200", "2.00 s after", "2 attempts"], &[]),
        ),
        (
            "failed",
            AsyncEvidence { end: failed, failure: broken(), ..base.clone() },
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
            AsyncEvidence { place: again, failure: broken(), ..base.clone() },
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
        (
            "told",
            AsyncEvidence {
                end: done,
                callback: Some(callback("", Whereabouts::Settled, false)),
                ..base.clone()
            },
            (Good, &["sent to https://me.example/told"], &[]),
        ),
        (
            "may not be told",
            AsyncEvidence {
                end: done,
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
                end: done,
                callback: Some(callback("HOB-0510: bad: invalid peer certificate", again, false)),
                ..base.clone()
            },
            (Bad, &["callback", "certificate", "again at"], &["mend the certificate"]),
        ),
        (
            "refused by whoever is told",
            AsyncEvidence {
                end: done,
                callback: Some(callback("status 500 no", again, false)),
                ..base.clone()
            },
            (Bad, &["status 500 no"], &["me.example:443"]),
        ),
        (
            "told in the end",
            AsyncEvidence {
                end: done,
                callback: Some(callback("status 500 no", Whereabouts::Settled, false)),
                ..base.clone()
            },
            (Good, &["sent to"], &[]),
        ),
    ];
    for (name, evidence, expected) in rows {
        check_story(name, &story("shop.1.x", &evidence), expected);
    }
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
