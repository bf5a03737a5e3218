//! Small histories by hand: a good one, and for each check what only that one refuses.

use super::violations;
use crate::history::{ATTEMPTS, Call, History, Kind, Letter, Line, Outcome, Sent, Stored, Subscription};
use crate::sink::{CALLS, TICK};
use hob_core::subscription::CRASHES_MAX;

fn sent(id: &str, n: u64, kind: Kind, outcome: Outcome) -> Sent {
    Sent { id: id.into(), n, key: "k".into(), checksum: format!("sum-{id}"), kind, outcome }
}

fn line(subscription: &str, id: &str, sequence: u64, attempt: u32, status: u16) -> Line {
    Line {
        id: id.into(),
        attempt,
        subscription: subscription.into(),
        sequence,
        key: "k".into(),
        checksum: format!("sum-{id}"),
        wall_ms: 2_000_000_000_500,
        status,
    }
}

/// Two good events, one that came twice around a kill, a poisoned one, one that was never stored, a run, a call.
fn good() -> History {
    let ok = |sequence| Outcome::Ok { sequence, duplicate: false };
    let mut lines = vec![line("s", "a", 1, 1, 200), line("s", "b", 2, 1, 200), line("s", "b", 2, 2, 200)];
    lines.extend((1..=ATTEMPTS).map(|attempt| line("s", "c", 3, attempt, 500)));
    lines.push(line("s", "d", 4, 1, 200));
    lines.push(line(TICK, "2033-05-18T03:33:20.000Z", 1, 1, 200));
    lines.push(Line { id: "call".into(), ..line(CALLS, "call", 0, 1, 200) });
    let stored =
        |(id, sequence): (&str, u64)| Stored { sequence, id: id.into(), checksum: format!("sum-{id}") };
    History {
        sent: vec![
            sent("a", 1, Kind::Good, ok(1)),
            sent("b", 2, Kind::Good, ok(2)),
            sent("a", 1, Kind::Good, Outcome::Ok { sequence: 1, duplicate: true }),
            sent("c", 3, Kind::Poison, ok(3)),
            sent("d", 4, Kind::Good, Outcome::Unknown),
            sent("e", 5, Kind::Good, Outcome::Unknown),
            sent("f", 6, Kind::Good, Outcome::Fail),
        ],
        lines,
        topic: [("a", 1), ("b", 2), ("c", 3), ("d", 4)].map(stored).into(),
        next: 5,
        letters: vec![Letter {
            subscription: "s".into(),
            id: "c".into(),
            reason: "attempts".into(),
            attempts: ATTEMPTS,
        }],
        subscriptions: vec![Subscription {
            name: "s".into(),
            prefix: "",
            ordered: true,
            lag: 0,
            delivered: 3,
            dead: 1,
            skipped: 0,
            missing: 0,
        }],
        calls: vec![Call {
            id: "call".into(),
            checksum: "sum-call".into(),
            results: vec![("done".into(), "sum-call".into()); 2],
        }],
        calls_unknown: 0,
        disturbances: 1,
        ahead_ms: 0,
    }
}

/// Changes the good history, and names the check that has to see it.
type Case = (&'static str, fn(&mut History));

const CASES: &[Case] = &[
    ("lost", |history| history.lines.retain(|line| line.id != "a")),
    ("lost", |history| history.lines.retain(|line| line.id != "d")),
    ("phantom", |history| history.lines.push(line("s", "z", 9, 1, 200))),
    ("phantom", |history| history.lines.push(line("s", "f", 9, 1, 200))),
    ("changed", |history| history.lines[0].checksum = "other".into()),
    ("changed", |history| history.lines[0].key = "other".into()),
    ("changed", |history| history.topic[0].checksum = "other".into()),
    ("repeated", |history| history.lines[2].attempt = 1),
    ("repeated", |history| history.disturbances = 0),
    ("order", |history| history.lines.swap(0, 1)),
    ("duplicates", |history| history.lines[2].sequence = 4),
    ("duplicates", |history| history.sent[2].outcome = Outcome::Ok { sequence: 4, duplicate: false }),
    ("counts", |history| history.subscriptions[0].delivered = 2),
    ("counts", |history| history.subscriptions[0].lag = 1),
    ("counts", |history| history.next = 6),
    ("counts", |history| history.sent[4..6].iter_mut().for_each(|sent| sent.outcome = Outcome::Fail)),
    ("phantom", |history| history.sent[4].outcome = Outcome::Fail),
    ("poison", |history| history.letters[0].attempts = ATTEMPTS + 1),
    ("poison", |history| history.letters[0].reason = "crashes".into()),
    ("poison", |history| history.sent[3].kind = Kind::Once),
    ("poison", |history| {
        history.disturbances = CRASHES_MAX;
        let blamed = Letter { reason: "crashes".into(), attempts: 0, ..history.letters[0].clone() };
        history.letters.extend(vec![blamed; CRASHES_MAX as usize + 1]);
    }),
    ("schedule", |history| of_tick(history).wall_ms -= 501),
    ("schedule", |history| {
        let again = Line { sequence: 2, attempt: 2, ..of_tick(history).clone() };
        history.lines.push(again);
    }),
    ("calls", |history| history.calls[0].results.clear()),
    ("calls", |history| history.calls[0].results[1].1 = "other".into()),
    ("calls", |history| history.calls[0].results = vec![("failed".into(), String::new()); 2]),
    ("calls", |history| history.calls.clear()),
    ("calls", |history| history.lines.retain(|line| line.subscription != CALLS)),
];

fn of_tick(history: &mut History) -> &mut Line {
    history.lines.iter_mut().find(|line| line.subscription == TICK).unwrap()
}

#[test]
fn a_good_history_passes_and_each_check_bites() {
    assert!(violations(&good()).is_empty(), "{}", super::show(&violations(&good())));
    for (number, (check, change)) in CASES.iter().enumerate() {
        let mut history = good();
        change(&mut history);
        let found = violations(&history);
        assert!(found.contains_key(check), "case {number} is not seen by `{check}`: {found:?}");
    }
    for (check, _) in super::CHECKS {
        assert!(CASES.iter().any(|(name, _)| name == check), "`{check}` has no case");
    }
}
