//! Stories of pools in virtual time: what happens, and what the pool is told to do.

use super::{Effect, End, Event, Finished, Scale, Sharing};
use crate::spec::ScaleSpec;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const SPEC: ScaleSpec = ScaleSpec {
    min: 0,
    max: 2,
    concurrency: 1,
    idle_ms: 1000,
    calls_per_instance: None,
    provisioned: Vec::new(),
};
/// Longer than any story.
const LATE_MS: u64 = 1_000_000;

/// A story is told one line `<time> <event> [number] [number]` at a time:
///
/// - `call <call> [until]`, `left <call>`, `done <instance> [milliseconds]`, `broke <instance>` (the call failed
///   since its instance crashed), `ready <instance> [milliseconds]`, `failed`, `ended <instance>`,
///   `crashed <instance>`, `keep <instances>`, `reclaim`, `cool`, `tick`.
///
/// Its effects are compared, and the invariants of the module are checked after each line.
fn check(spec: &ScaleSpec, sharing: Sharing, story: &[(&str, &str)]) -> Scale {
    let mut scale = Scale::new(spec, sharing);
    for (line, expected) in story {
        assert_eq!(tell(&mut scale, spec, line), *expected, "after `{line}`");
    }
    scale
}

fn tell(scale: &mut Scale, spec: &ScaleSpec, line: &str) -> String {
    let mut words = line.split(' ');
    let now_ms: u64 = words.next().unwrap().parse().unwrap();
    let name = words.next().unwrap();
    let mut number = |default: u64| words.next().map_or(default, |word| word.parse().unwrap());
    let first = number(0);
    let done = |took_ms: u64, crashed: bool| {
        let answered_us = (!crashed).then_some(took_ms * 1000);
        Event::Finished(Finished { instance: first, took_us: took_ms * 1000, answered_us, crashed })
    };
    let event = match name {
        "call" => Event::Arrived(first, number(LATE_MS)),
        "left" => Event::Left(first),
        "done" => done(number(1), false),
        "broke" => done(1, true),
        "ready" => Event::Ready(first, number(1) * 1000),
        "failed" => Event::StartFailed,
        "ended" => Event::Ended(first, End::Quiet),
        "crashed" => Event::Ended(first, End::Crash),
        "keep" => Event::Provisioned(u32::try_from(first).unwrap()),
        "reclaim" => Event::Reclaim,
        "tick" => Event::Tick,
        "cool" => Event::Cool,
        _ => panic!("no event `{name}`"),
    };
    let mut effects = Vec::new();
    scale.step(event, now_ms, &mut effects);
    assert!(scale.slots.len() + scale.starting <= spec.max, "max, after `{line}`");
    assert!(scale.line.is_empty() || !scale.slots.has_free(), "a free place, after `{line}`");
    let needed = scale.waiting().div_ceil(spec.concurrency).max(scale.floor);
    assert!(!effects.contains(&Effect::Start) || scale.starting <= needed, "starts, after `{line}`");
    show(&effects)
}

fn show(effects: &[Effect]) -> String {
    let mut out = String::new();
    for effect in effects {
        if !out.is_empty() {
            out.push_str(", ");
        }
        let _ = match effect {
            Effect::Hand(call, instance) => write!(out, "{call} on {instance}"),
            Effect::Start => write!(out, "start"),
            Effect::Stop(instance) => write!(out, "stop {instance}"),
            Effect::RefuseFull(call) => write!(out, "full {call}"),
            Effect::RefuseLate(call, wait_ms) => write!(out, "late {call} by {wait_ms}"),
            Effect::RefuseFailing(call) => write!(out, "failing {call}"),
            Effect::RefuseOpen(call, pause_ms) => write!(out, "refuse {call} for {pause_ms}"),
            Effect::Circuit(circuit) => write!(out, "{}", circuit.text()),
            Effect::WakeAt(at_ms) => write!(out, "wake {at_ms}"),
        };
    }
    out
}

#[test]
fn cooling_stops_what_is_idle_and_what_min_keeps_stays() {
    check(
        &ScaleSpec { min: 1, max: 3, ..SPEC },
        Sharing::Kept,
        &[
            ("0 call 1", "start"),
            ("1 call 2", "start"),
            ("2 call 3", "start"),
            ("5 ready 7", "wake 1005, 1 on 7"),
            ("6 ready 8", "2 on 8"),
            ("7 ready 9", "3 on 9"),
            ("8 cool", ""),
            ("10 done 8", ""),
            ("11 done 7", ""),
            // 9 works, so both idle ones are more than `min` needs.
            ("12 cool", "stop 8, stop 7"),
            ("20 done 9", ""),
            ("21 cool", ""),
            ("22 call 4", "4 on 9"),
        ],
    );
}

#[test]
fn starts_because_calls_wait_and_returns_to_zero() {
    check(
        &SPEC,
        Sharing::Kept,
        &[
            ("0 call 1", "start"),
            ("1 call 2", "start"),
            ("2 call 3", ""),
            ("5 ready 7", "wake 1005, 1 on 7"),
            ("6 ready 8", "2 on 8"),
            ("10 done 7", "3 on 7"),
            ("20 done 7", ""),
            ("30 done 8", ""),
            // The most recently used one serves, so that the other ages.
            ("40 call 4", "4 on 8"),
            ("50 done 8", ""),
            ("1005 tick", "wake 1054"),
            ("1054 tick", "stop 7, wake 1071"),
            ("1071 tick", "stop 8"),
            ("2000 call 5", "start"),
        ],
    );
}

#[test]
fn starts_no_more_than_concurrency_needs() {
    check(
        &ScaleSpec { max: 9, concurrency: 3, ..SPEC },
        Sharing::Kept,
        &[
            ("0 call 1", "start"),
            ("0 call 2", ""),
            ("0 call 3", ""),
            ("0 call 4", "start"),
            ("1 left 4", ""),
            ("2 ready 7", "wake 1002, 1 on 7, 2 on 7, 3 on 7"),
            ("3 call 5", ""),
            ("4 done 7", "5 on 7"),
            ("5 ready 8", ""),
            ("6 call 6", "6 on 8"),
        ],
    );
}

#[test]
fn keeps_the_least_and_replaces_what_is_used_up() {
    check(
        &ScaleSpec { min: 1, calls_per_instance: Some(2), concurrency: 2, ..SPEC },
        Sharing::Kept,
        &[
            ("0 tick", "start"),
            ("1 ready 7", "wake 1001"),
            ("1001 tick", ""),
            ("2000 call 1", "1 on 7"),
            ("2001 call 2", "2 on 7"),
            ("2002 done 7", ""),
            ("2003 done 7", "stop 7, start"),
            ("2004 ready 8", "wake 3004"),
        ],
    );
}

#[test]
fn what_is_provisioned_comes_ahead_of_calls_and_goes_when_its_time_is_over() {
    check(
        &ScaleSpec { max: 3, ..SPEC },
        Sharing::Kept,
        &[
            ("0 keep 2", "start, start"),
            ("1 ready 7", "wake 1001"),
            ("2 ready 8", ""),
            ("1001 tick", ""),
            ("5000 keep 9", "start"),
            ("5001 ready 9", "wake 6001"),
            ("6001 tick", ""),
            ("9000 keep 1", "stop 7, stop 8"),
            ("9500 keep 0", "stop 9"),
        ],
    );
}

#[test]
fn the_machine_takes_back_what_has_been_idle_for_longest() {
    check(
        &ScaleSpec { min: 1, ..SPEC },
        Sharing::Kept,
        &[
            ("0 call 1", "start"),
            ("0 call 2", "start"),
            ("1 ready 7", "wake 1001, 1 on 7"),
            ("1 ready 8", "2 on 8"),
            ("2 reclaim", ""),
            ("3 done 8", ""),
            ("4 done 7", ""),
            ("5 reclaim", "stop 8"),
            ("6 reclaim", ""),
        ],
    );
}

/// Eight calls one after the other, so that times are known: each takes 10 ms, and a start took 100.
fn measured() -> Vec<(String, String)> {
    let mut story = vec![
        ("0 call 1".to_owned(), "start".to_owned()),
        ("100 ready 1 100".to_owned(), "wake 60100, 1 on 1".to_owned()),
        ("110 done 1 10".to_owned(), String::new()),
    ];
    for call in 2..=8_u64 {
        story.push((format!("{} call {call}", 100 + call * 10), format!("{call} on 1")));
        story.push((format!("{} done 1 10", 110 + call * 10), String::new()));
    }
    story
}

fn after_measuring(spec: &ScaleSpec, story: &[(&str, &str)]) -> Scale {
    let spec = ScaleSpec { idle_ms: 60_000, ..spec.clone() };
    let measured = measured();
    let before = measured.iter().map(|(line, expected)| (line.as_str(), expected.as_str()));
    check(&spec, Sharing::Kept, &before.chain(story.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn what_is_free_sooner_than_a_start_takes_is_waited_for() {
    let spec = ScaleSpec { max: 9, ..SPEC };
    // Ten calls are served within the 100 ms of a start.
    after_measuring(
        &spec,
        &[
            ("1000 call 11", "11 on 1"),
            ("1000 call 12", "wake 1100"),
            ("1000 call 13", ""),
            ("1010 done 1 10", "12 on 1"),
            ("1020 done 1 10", "13 on 1"),
            ("1030 done 1 10", ""),
        ],
    );
    // Of more than ten, one instance more serves the rest.
    let many: Vec<(String, &str)> = (12..=21)
        .map(|call| (format!("1000 call {call}"), if call == 12 { "wake 1100" } else { "" }))
        .chain([("1000 call 22".to_owned(), "start"), ("1000 call 23".to_owned(), "")])
        .collect();
    let many = many.iter().map(|(line, expected)| (line.as_str(), *expected));
    after_measuring(&spec, &[("1000 call 11", "11 on 1")].into_iter().chain(many).collect::<Vec<_>>());
    // The running call takes longer than it used to: after the time of a start the estimate is not believed.
    after_measuring(
        &spec,
        &[
            ("1000 call 11", "11 on 1"),
            ("1000 call 12", "wake 1100"),
            ("1001 call 13", ""),
            ("1100 tick", "wake 61100, start, start"),
        ],
    );
    // Somebody waits all the time, though all are served in turn: one more, and not one for each.
    let first = [("1000 call 11", "11 on 1"), ("1001 call 12", "wake 1101"), ("1001 call 13", "")];
    let mut story: Vec<_> = first.map(|(line, expected)| (line.to_owned(), expected.to_owned())).into();
    for round in 0..10 {
        let at = 1010 + round * 10;
        story.push((format!("{at} done 1 10"), format!("{} on 1", 12 + round)));
        let expected = if round == 9 { "start" } else { "" };
        story.push((format!("{} call {}", at + 1, 14 + round), expected.to_owned()));
    }
    story.push(("1102 call 24".to_owned(), String::new()));
    let story: Vec<_> = story.iter().map(|(line, expected)| (line.as_str(), expected.as_str())).collect();
    after_measuring(&spec, &story);
}

#[test]
fn what_the_last_minute_needed_is_kept_and_nothing_goes_in_a_panic() {
    let spec = ScaleSpec { max: 4, idle_ms: 120_000, ..SPEC };
    check(
        &spec,
        Sharing::Kept,
        &[
            ("0 call 1", "start"),
            ("0 call 2", "start"),
            ("0 call 3", "start"),
            ("10 ready 1", "wake 60010, 1 on 1"),
            ("10 ready 2", "2 on 2"),
            ("10 ready 3", "3 on 3"),
            ("20 done 1", ""),
            ("20 done 2", ""),
            ("20 done 3", ""),
            ("30000 call 4", "4 on 3"),
            ("30010 call 5", "5 on 2"),
            ("30020 done 2", ""),
            ("30020 done 3", ""),
            // Two at a time until a minute after 30 s; one until two minutes after its last call.
            ("60010 tick", "wake 61000"),
            ("61000 tick", "stop 1, wake 91000"),
            ("91000 tick", "stop 2, wake 150020"),
            ("150020 tick", "stop 3"),
        ],
    );
    check(
        &ScaleSpec { max: 1, min: 0, concurrency: 1, idle_ms: 60_000, ..SPEC },
        Sharing::Kept,
        &[
            ("0 call 1", "start"),
            ("10 ready 1", "wake 60010, 1 on 1"),
            ("59000 call 2", ""),
            ("59000 call 3", ""),
            ("59500 done 1", "2 on 1"),
            ("59600 done 1", "3 on 1"),
            ("59700 done 1", ""),
            // Three at a time where one is ready: a panic, which lasts for a minute.
            ("60010 tick", "wake 120010"),
            ("120010 tick", "stop 1"),
        ],
    );
}

#[test]
fn a_call_whose_turn_cannot_come_in_time_is_refused_at_once() {
    let spec = ScaleSpec { max: 1, ..SPEC };
    after_measuring(
        &spec,
        &[
            ("1000 call 11 1005", "11 on 1"),
            // Its turn comes after 10 ms, and it takes 10 itself.
            ("1000 call 12 1019", "late 12 by 10"),
            ("1000 call 13 1020", ""),
            ("1000 call 14 1029", "late 14 by 20"),
            ("1000 call 15 1030", ""),
            ("1010 done 1 10", "13 on 1"),
            // Whoever's time is over is passed by.
            ("1030 call 16", ""),
            ("1031 done 1 10", "16 on 1"),
            ("1032 left 15", ""),
        ],
    );
    // Instances that may still be started count as if they ran.
    after_measuring(
        &ScaleSpec { max: 2, ..SPEC },
        &[
            ("1000 call 11", "11 on 1"),
            ("1000 call 12 1014", "late 12 by 5"),
            ("1000 call 13 1015", "wake 1100"),
        ],
    );
    // Nothing was measured, nothing is refused.
    let table = [("0 call 1", "1 on 0"), ("0 call 2", "2 on 0"), ("0 call 3 1", ""), ("1 call 4 1", "")];
    check(&SPEC, Sharing::PerCall, &table);
}

#[test]
fn a_crash_loop_does_not_spin() {
    let failing = [
        ("0 call 1", "start"),
        ("0 call 2", "start"),
        ("1 failed", "wake 101"),
        ("2 failed", "failing 1, failing 2"),
        // The pause after a start that failed: the reason is known.
        ("50 call 3", "failing 3"),
        ("202 call 4", "start"),
        ("203 failed", "failing 4"),
        ("603 call 5", "start"),
        ("604 failed", "failing 5"),
        ("1404 call 6", "start"),
        ("1405 failed", "failing 6, open"),
        ("1406 call 7", "refuse 7 for 1599"),
        ("3005 call 8", "start, half-open"),
        ("3006 call 9", "refuse 9 for 0"),
        ("3007 failed", "failing 8, open"),
        ("6207 call 10", "start, half-open"),
        ("6208 ready 7", "10 on 7"),
        ("6209 call 11", "refuse 11 for 0"),
        ("6210 done 7", "closed"),
        ("6211 call 12", "12 on 7"),
    ];
    check(&SPEC, Sharing::Kept, &failing);
    let kept_alive = [
        ("0 tick", "start"),
        ("1 ready 7", "wake 1001"),
        ("2 ended 7", "wake 102"),
        ("102 tick", "start"),
        ("103 ready 8", "wake 1103"),
        ("104 ended 8", "wake 304"),
        ("304 tick", "start"),
    ];
    check(&ScaleSpec { min: 1, ..SPEC }, Sharing::Kept, &kept_alive);
}

#[test]
fn crashes_of_what_serves_open_the_circuit_but_one_bad_request_does_not() {
    let spec = ScaleSpec { max: 1, concurrency: 2, ..SPEC };
    let mut story = vec![];
    for crash in 0..4 {
        let (at, instance) = (crash * 10, crash + 1);
        story.push((format!("{at} call {crash}"), "start".to_owned()));
        let wake = if crash == 0 { "wake 1000, " } else { "" };
        story.push((format!("{at} ready {instance}"), format!("{wake}{crash} on {instance}")));
        story.push((format!("{at} crashed {instance}"), String::new()));
        story.push((format!("{at} broke {instance}"), String::new()));
    }
    let after = [
        ("40 call 5", "start"),
        ("41 ready 5", "5 on 5"),
        // Others succeed in between.
        ("42 call 6", "6 on 5"),
        ("43 done 5", ""),
        ("44 crashed 5", ""),
        ("44 broke 5", ""),
        ("45 call 7", "start"),
        ("46 ready 6", "7 on 6"),
    ];
    let told: Vec<_> = story.iter().map(|(line, expected)| (line.as_str(), expected.as_str())).collect();
    check(&spec, Sharing::Kept, &[&told[..], &after].concat());
    let after = [
        ("40 call 5", "start"),
        ("41 ready 5", "5 on 5"),
        ("42 call 6", "6 on 5"),
        ("42 call 7", ""),
        ("43 crashed 5", "failing 7, open"),
        ("43 broke 5", ""),
        ("43 broke 5", ""),
        ("44 call 8", "refuse 8 for 1599"),
        // The caller of the probe goes: the next one probes.
        ("1643 call 9", "start, half-open"),
        ("1644 left 9", ""),
        ("1645 call 10", ""),
        ("1646 call 11", "refuse 11 for 0"),
        ("1650 ready 6", "10 on 6"),
        // It takes long, but its instance has proven that it lives.
        ("6649 call 12", "refuse 12 for 0"),
        ("6650 call 13", "13 on 6, closed"),
    ];
    let story = [&told[..], &after].concat();
    let scale = check(&spec, Sharing::Kept, &story);
    assert_eq!(scale.failures(), 0);
}

#[test]
fn a_lost_instance_is_replaced_for_those_who_wait() {
    check(
        &ScaleSpec { max: 1, ..SPEC },
        Sharing::Kept,
        &[
            ("0 call 1", "start"),
            ("1 ready 7", "wake 1001, 1 on 7"),
            ("2 done 7", ""),
            ("3 call 2", "2 on 7"),
            ("4 call 3", ""),
            ("5 ended 7", "start"),
            ("6 done 7", ""),
            ("7 ready 8", "3 on 8"),
        ],
    );
}

#[test]
fn a_place_per_call_is_a_counter() {
    check(
        &SPEC,
        Sharing::PerCall,
        &[
            ("0 call 1", "1 on 0"),
            ("0 call 2", "2 on 0"),
            ("0 call 3", ""),
            ("0 call 4", ""),
            ("1 left 3", ""),
            ("2 done 0", "4 on 0"),
            ("3 done 0", ""),
            ("3 done 0", ""),
            ("4 call 5", "5 on 0"),
        ],
    );
}

#[test]
fn the_queue_is_bounded() {
    let mut scale = Scale::new(&ScaleSpec { max: 1, ..SPEC }, Sharing::PerCall);
    let mut effects = Vec::new();
    let last = 1 + u64::try_from(crate::limit::QUEUE_CALLS_MAX).unwrap();
    (0..=last).for_each(|call| scale.step(Event::Arrived(call, LATE_MS), 0, &mut effects));
    assert_eq!(effects, [Effect::Hand(0, 0), Effect::RefuseFull(last)]);
}

/// A child, simulated: how long a call takes with so many at a time.
type Child = fn(u64, u32) -> u64;

/// Keeps `clients` busy on one instance for `seconds`, and tells how many calls at a time it takes in the end,
/// and how many were served in the last second.
fn drive(scale: &mut Scale, from_ms: u64, seconds: u64, clients: u32, child: Child) -> (u32, u32) {
    let (mut due, mut effects) = (BTreeMap::<u64, Vec<(u64, u64)>>::new(), Vec::new());
    let (mut next, mut running, mut served) = (from_ms * 1000, 0, 0);
    let until_ms = from_ms + seconds * 1000;
    (0..clients).for_each(|_| {
        next += 1;
        scale.step(Event::Arrived(next, LATE_MS), from_ms, &mut effects);
    });
    for now_ms in from_ms..until_ms {
        for (instance, took_ms) in due.remove(&now_ms).unwrap_or_default() {
            running -= 1;
            served += u32::from(now_ms >= until_ms - 1000);
            let (took_us, answered_us) = (took_ms * 1000, Some(took_ms * 1000));
            let finished = Finished { instance, took_us, answered_us, crashed: false };
            scale.step(Event::Finished(finished), now_ms, &mut effects);
            next += 1;
            scale.step(Event::Arrived(next, LATE_MS), now_ms, &mut effects);
        }
        for effect in effects.drain(..) {
            match effect {
                Effect::Hand(_, instance) => {
                    running += 1;
                    let took_ms = child(now_ms, running).max(1);
                    due.entry(now_ms + took_ms).or_default().push((instance, took_ms));
                }
                Effect::Start | Effect::WakeAt(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    // Everybody goes, so that the next drive begins with nobody.
    let limit = scale.slots.places_each();
    for (instance, took_ms) in due.into_values().flatten() {
        let finished =
            Finished { instance, took_us: took_ms * 1000, answered_us: Some(took_ms * 1000), crashed: false };
        scale.step(Event::Finished(finished), until_ms, &mut effects);
    }
    while let Some(call) = scale.line.pop() {
        scale.step(Event::Left(call), until_ms, &mut effects);
    }
    scale.running = 0;
    scale.slots.remove(1);
    scale.slots.insert(1, until_ms);
    (limit, served)
}

#[test]
fn fewer_calls_at_a_time_for_a_child_that_only_queues_and_no_harm_to_others() {
    // Milliseconds that a call takes beside so many others, and: quiet load, then full load; the limit after
    // the full load lies in this range, and so many calls are served at least in its last second.
    let steady: Child = |_, _| 50;
    let noisy: Child = |now_ms, running| 20 + (now_ms * 7919 + u64::from(running) * 104_729) % 180;
    let single: Child = |_, running| 10 * u64::from(running);
    let collapses: Child = |_, running| 10 + u64::from(running) * u64::from(running) / 4;
    let slower_later: Child = |now_ms, _| if now_ms < 30_000 { 20 } else { 400 };
    let recovers: Child = |now_ms, running| {
        if (20_000..40_000).contains(&now_ms) { 30 * u64::from(running) } else { 20 }
    };
    let table: &[(&str, Child, u64, std::ops::RangeInclusive<u32>, u32)] = &[
        ("steady", steady, 20, 80..=80, 1590),
        ("noisy", noisy, 20, 80..=80, 600),
        ("single", single, 20, 1..=8, 90),
        ("collapses", collapses, 20, 1..=20, 300),
        ("slower by itself", slower_later, 60, 80..=80, 160),
        ("recovers", recovers, 80, 80..=80, 3000),
    ];
    for (name, child, seconds, limits, served_min) in table {
        let spec = ScaleSpec { max: 1, concurrency: 80, ..SPEC };
        let mut scale = check(&spec, Sharing::Kept, &[("0 keep 1", "start"), ("0 ready 1", "wake 1000")]);
        drive_quietly(&mut scale, *child);
        let (limit, served) = drive(&mut scale, 10_000, *seconds, 80, *child);
        assert!(limits.contains(&limit), "{name}: {limit} at a time");
        assert!(served >= *served_min, "{name}: {served} in a second");
    }
}

/// Ten seconds of one call at a time, so that the best latency is known.
fn drive_quietly(scale: &mut Scale, child: Child) {
    let (mut now_ms, mut call, mut effects) = (0, 0, Vec::new());
    while now_ms < 9000 {
        call += 1;
        scale.step(Event::Arrived(call, LATE_MS), now_ms, &mut effects);
        let took_ms = child(now_ms, 1);
        now_ms += took_ms;
        let (took_us, answered_us) = (took_ms * 1000, Some(took_ms * 1000));
        let finished = Finished { instance: 1, took_us, answered_us, crashed: false };
        scale.step(Event::Finished(finished), now_ms, &mut effects);
    }
}
