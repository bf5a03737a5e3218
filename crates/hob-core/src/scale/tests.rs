//! Stories of pools in virtual time: what happens, and what the pool is told to do.

use super::{Effect, Event, Scale, Sharing};
use crate::spec::ScaleSpec;
use std::fmt::Write as _;

const SPEC: ScaleSpec = ScaleSpec { min: 0, max: 2, concurrency: 1, idle_ms: 1000, calls_per_instance: None };

/// Tells a story, one line `<time> <event> [number]` at a time, and compares what the pool is told.
/// The invariants of the module are checked after each line.
fn check(spec: ScaleSpec, sharing: Sharing, story: &[(&str, &str)]) {
    let mut scale = Scale::new(spec, sharing);
    for (line, expected) in story {
        let mut words = line.split(' ');
        let now_ms: u64 = words.next().unwrap().parse().unwrap();
        let name = words.next().unwrap();
        let number: u64 = words.next().map_or(0, |word| word.parse().unwrap());
        let event = match name {
            "call" => Event::Arrived(number),
            "left" => Event::Left(number),
            "done" => Event::Finished(number),
            "ready" => Event::Ready(number),
            "failed" => Event::StartFailed,
            "ended" => Event::Ended(number),
            "reclaim" => Event::Reclaim,
            "tick" => Event::Tick,
            _ => panic!("no event `{name}`"),
        };
        let mut effects = Vec::new();
        scale.step(event, now_ms, &mut effects);
        assert_eq!(show(&effects), *expected, "after `{line}`");
        assert!(scale.slots.len() + scale.starting as usize <= spec.max as usize, "max, after `{line}`");
        assert!(scale.waiting.is_empty() || scale.free.is_empty(), "a free place, after `{line}`");
        let needed = scale.waiting().div_ceil(spec.concurrency).max(spec.min);
        assert!(!effects.contains(&Effect::Start) || scale.starting <= needed, "starts, after `{line}`");
    }
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
            Effect::RefuseFailing(call) => write!(out, "failing {call}"),
            Effect::WakeAt(at_ms) => write!(out, "wake {at_ms}"),
        };
    }
    out
}

#[test]
fn starts_because_calls_wait_and_returns_to_zero() {
    check(
        SPEC,
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
            ("1005 tick", "wake 1020"),
            ("1020 tick", "stop 7, wake 1050"),
            ("1050 tick", "stop 8"),
            ("2000 call 5", "start"),
        ],
    );
}

#[test]
fn gives_up_the_least_recently_used_idle_instance_above_min() {
    check(
        ScaleSpec { min: 1, ..SPEC },
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

#[test]
fn starts_no_more_than_concurrency_needs() {
    let spec = ScaleSpec { max: 9, concurrency: 3, ..SPEC };
    check(
        spec,
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
    let spec = ScaleSpec { min: 1, calls_per_instance: Some(2), concurrency: 2, ..SPEC };
    check(
        spec,
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
fn a_crash_loop_does_not_spin() {
    let refused = [
        ("0 call 1", "start"),
        ("0 call 2", "start"),
        ("1 failed", "wake 101"),
        ("2 failed", "failing 1, failing 2"),
        ("50 call 3", "failing 3"),
        ("101 tick", ""),
        ("202 call 4", "start"),
        ("202 call 5", ""),
        ("203 failed", "wake 603, failing 4, failing 5"),
        ("603 tick", ""),
        ("700 call 6", "start"),
        ("701 ready 7", "wake 1701, 6 on 7"),
        ("702 done 7", ""),
        ("703 ended 7", ""),
        ("704 call 8", "start"),
    ];
    check(SPEC, Sharing::Kept, &refused);
    let kept_alive = [
        ("0 tick", "start"),
        ("1 ready 7", "wake 1001"),
        ("2 ended 7", "wake 102"),
        ("102 tick", "start"),
        ("103 ready 8", "wake 1103"),
        ("104 ended 8", "wake 304"),
        ("304 tick", "start"),
    ];
    check(ScaleSpec { min: 1, ..SPEC }, Sharing::Kept, &kept_alive);
}

#[test]
fn a_lost_instance_is_replaced_for_those_who_wait() {
    check(
        ScaleSpec { max: 1, ..SPEC },
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
        SPEC,
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
    let mut scale = Scale::new(ScaleSpec { max: 1, ..SPEC }, Sharing::PerCall);
    let mut effects = Vec::new();
    let last = 1 + u64::try_from(crate::limit::QUEUE_CALLS_MAX).unwrap();
    (0..=last).for_each(|call| scale.step(Event::Arrived(call), 0, &mut effects));
    assert_eq!(effects, [Effect::Hand(0, 0), Effect::RefuseFull(last)]);
}
