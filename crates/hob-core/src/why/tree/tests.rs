//! What stands below what.

use super::tree;
use crate::fact::{Call, CallCause, Delivered, Ending, Fact, Publication, Times, What};
use crate::id::InvocationId;
use crate::trace::SpanId;
use crate::why::sample::{app, call, child, fact, failed, outside, topic, trigger};
use crate::wire::Step;

/// The steps as text: depth and the beginning of each.
fn shown(steps: &[Step], depth: usize, out: &mut Vec<String>) {
    for step in steps {
        let text: String = step.text.chars().take(24).collect();
        out.push(format!("{}{}", "-".repeat(depth), text.trim_end()));
        shown(&step.steps, depth + 1, out);
    }
}

fn drawn(facts: &[Fact]) -> Vec<String> {
    let mut out = Vec::new();
    shown(&tree(facts), 0, &mut out);
    out
}

fn of(time_ms: u64, call: Call) -> Fact {
    fact(time_ms, What::Call(Box::new(call)))
}

#[test]
fn what_was_caused_stands_below_its_cause() {
    let by = call(Some(200)).id;
    let published = Publication {
        topic: topic("orders"),
        sequence: 7,
        id: "e".to_owned(),
        source: "/s".to_owned(),
        kind: "x".to_owned(),
        duplicate: false,
        failure: None,
        by: Some(by),
    };
    let cause = CallCause::Event {
        subscription: trigger("letters"),
        topic: topic("orders"),
        sequence: 7,
        attempt: 1,
        published_ms: 0,
        others: Vec::new(),
    };
    let attempt = Call { id: InvocationId(9), cause, ..failed("HOB-0508", "exit") };
    let delivered = Delivered {
        app: app("shop"),
        subscription: trigger("letters"),
        topic: topic("orders"),
        sequence: 7,
        attempt: 1,
        invocation: Some(InvocationId(9)),
        ending: Ending::Retry { at_ms: 9000 },
        failure: Some("HOB-0508 exit".to_owned()),
    };
    let calls = Call { outside: vec![outside(Some(200), Some(5))], ..call(Some(200)) };
    let facts = [
        fact(1004, What::Delivered(Box::new(delivered))),
        of(1003, attempt),
        fact(1002, What::Published(Box::new(published))),
        of(1001, child("b", call(Some(200)))),
        of(1000, calls),
    ];
    assert_eq!(
        drawn(&facts),
        [
            "GET /x → shop/f revision",
            "-called `db.example:5432`",
            "-GET /x → shop/b revision",
            "-event `e` of type `x` is",
            "--letters delivers orders/",
            "---shop/letters: attempt 1",
        ]
    );
    let last = &tree(&facts)[0].steps[2].steps[0];
    assert!(last.text.contains("1.00 s after it was published"), "{}", last.text);
    assert!(
        !last.steps[0].text.contains("exit"),
        "the line above says how it failed: {}",
        last.steps[0].text
    );
}

#[test]
fn what_names_each_other_in_a_circle_ends() {
    let own = |id, parent| Call { id: InvocationId(id), parent: Some(SpanId(parent)), ..call(Some(200)) };
    let facts = [of(1, own(1, 2)), of(2, own(2, 1)), of(3, own(3, 3))];
    assert_eq!(drawn(&facts).len(), 3);
}

#[test]
fn a_cold_call_shows_its_phases_and_a_start_that_is_nothing_is_not_told() {
    let times = Times {
        route_us: 20,
        queue_us: 500,
        start_us: 9000,
        load_us: 4000,
        connect_us: 3000,
        answer_us: 10_000,
        total_us: 12_000,
    };
    let slight = Times { start_us: 30, load_us: 0, connect_us: 0, ..times };
    for (times, expected) in [
        (
            times,
            &[
                "an instance was started for it: route 20 µs, queue 500 µs, load 4.0 ms, start 2.0 ms, connect 3.0 ms, run 480 µs",
            ][..],
        ),
        (slight, &[]),
    ] {
        let steps = tree(&[of(1000, Call { cold: true, times, ..call(Some(200)) })]);
        let told: Vec<&str> = steps[0].steps.iter().map(|step| step.text.as_str()).collect();
        assert_eq!(told, expected);
    }
}
