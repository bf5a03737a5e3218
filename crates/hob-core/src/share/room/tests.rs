//! Stories of a machine that fills up.

use super::{Ask, Quota, Room, Taken, Verdict};
use crate::random::Random;
use std::fmt::Write as _;

/// Tells a story with a budget of 100 bytes and two slow starts at a time, one line at a time: `ask <app> <bytes>`,
/// `start <app> <bytes>` (a slow one), `end <bytes>`, `started`, `leaves <bytes>` (an idle one was asked to end),
/// `gone <bytes>`, `gives up <ticket>`, `tight`, `loose`, `crowded`. After each line whoever may start does.
fn check(story: &[(&str, &str)]) {
    let (mut room, mut taken) = (Room::new(100, 2), Taken::default());
    for (line, expected) in story {
        let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let number = |at: usize| numbers.get(at).copied().unwrap_or_default();
        let ask = |slow| Ask { app: u32::try_from(number(0)).unwrap(), space: 0, bytes: number(1), slow };
        match line.split(' ').next().unwrap() {
            "ask" => drop(room.enter(ask(false))),
            "start" => drop(room.enter(ask(true))),
            "end" => taken.bytes -= number(0),
            "started" => room.started(0),
            "leaves" => taken.leaving_bytes += number(0),
            "gone" => (taken.bytes, taken.leaving_bytes) = (taken.bytes - number(0), 0),
            "gives" => room.leave(number(0)),
            "tight" => taken.tight = true,
            "loose" => taken.tight = false,
            "crowded" => taken.crowded = true,
            _ => panic!("no line `{line}`"),
        }
        let mut told = String::new();
        loop {
            match room.next(taken, |_| Quota::Fits) {
                Verdict::Admit(ticket, ask) => {
                    assert!(room.fits(ask.bytes, taken), "after `{line}`");
                    taken.bytes += ask.bytes;
                    write!(told, "{ticket} ").unwrap();
                }
                Verdict::Reclaim => break told.push('!'),
                Verdict::ReclaimOf(_) | Verdict::Wait => break,
            }
        }
        assert_eq!(told.trim(), *expected, "after `{line}`");
        assert!(taken.bytes <= 100 || room.waiting() > 0 || story.len() == 3);
        assert!(room.starting() <= 2);
    }
}

#[test]
fn what_fits_starts_at_once_and_what_does_not_waits_for_an_end() {
    check(&[("ask 1 60", "1"), ("ask 1 40", "2"), ("ask 1 50", "!"), ("end 40", "!"), ("end 60", "3")]);
}

#[test]
fn one_that_never_fits_starts_when_nothing_else_runs() {
    check(&[("ask 1 10", "1"), ("ask 1 500", "!"), ("end 10", "2")]);
}

#[test]
fn small_ones_do_not_overtake_a_large_one_and_apps_take_turns() {
    check(&[
        ("ask 1 90", "1"),
        ("ask 2 20", "!"),
        ("ask 3 5", "!"),
        ("ask 3 5", "!"),
        ("ask 2 5", "!"),
        // 2's large one, then 3's first, 2's second, 3's second.
        ("end 90", "2 3 5 4"),
    ]);
}

#[test]
fn idle_instances_end_one_by_one_as_far_as_needed() {
    check(&[
        ("ask 1 50", "1"),
        ("ask 1 50", "2"),
        ("ask 2 60", "!"),
        ("leaves 50", "!"),
        ("leaves 50", ""),
        ("gone 100", "3"),
    ]);
}

#[test]
fn a_machine_short_of_memory_starts_nothing_beside_what_runs() {
    check(&[
        ("tight", ""),
        ("ask 1 10", "1"),
        ("ask 1 10", "!"),
        ("loose", "2"),
        ("tight", ""),
        ("ask 2 1", "!"),
        ("gives up 3", ""),
        ("end 20", ""),
    ]);
}

#[test]
fn slow_starts_are_few_and_hold_up_nobody_else() {
    check(&[
        ("start 1 1", "1"),
        ("start 1 1", "2"),
        ("start 1 1", ""),
        ("start 1 1", ""),
        ("ask 2 1", "5"),
        ("start 2 1", ""),
        ("started", "3"),
        // 1 was served: it is 2's turn.
        ("started", "6"),
        ("crowded", ""),
        ("started", ""),
        ("started", "4"),
    ]);
}

/// What starts when these apps ask for slow starts, each of the space that is its number by ten.
fn starts(room: &mut Room, taken: Taken, apps: &[u32]) -> Vec<u32> {
    for app in apps {
        room.enter(Ask { app: *app, space: app / 10, bytes: 1, slow: true });
    }
    let next = || match room.next(taken, |_| Quota::Fits) {
        Verdict::Admit(_, ask) => Some(ask.app),
        _ => None,
    };
    std::iter::from_fn(next).collect()
}

#[test]
fn one_space_never_has_all_starts_of_a_node_with_several() {
    let (alone, shared) = (Taken::default(), Taken { shared: true, ..Taken::default() });
    let crowded = Taken { crowded: true, ..shared };
    // A space alone takes what there is.
    assert_eq!(starts(&mut Room::new(100, 4), alone, &[11; 6]), [11; 4]);
    let mut room = Room::new(100, 4);
    // One that is first leaves one, though nobody else has asked yet.
    assert_eq!(starts(&mut room, shared, &[11, 12, 11, 11, 11, 11]), [11, 12, 11]);
    assert_eq!(starts(&mut room, shared, &[21, 22]), [21], "all are taken");
    room.started(1);
    assert_eq!(starts(&mut room, shared, &[]), [11], "it waited before the other was served");
    room.started(1);
    assert_eq!(starts(&mut room, shared, &[]), [22], "it is the turn of the other");
    // Starts that never end crowd the processors as well.
    let mut room = Room::new(100, 4);
    assert_eq!(starts(&mut room, crowded, &[11; 4]), [11]);
    assert_eq!(starts(&mut room, crowded, &[21; 2]), [21]);
    assert_eq!(starts(&mut room, crowded, &[31, 41, 51]), [31, 41], "each has its first, while there is any");
    let mut room = Room::new(100, 1);
    assert_eq!(starts(&mut room, shared, &[11, 21]), [11], "of one start there is no share");
    room.started(1);
    assert_eq!(starts(&mut room, shared, &[]), [21]);
}

#[test]
fn a_full_space_waits_for_its_own_and_holds_up_nobody_else() {
    let (mut room, taken) = (Room::new(100, 2), Taken::default());
    let ask = |app, space, bytes| Ask { app, space, bytes, slow: false };
    for one in [ask(1, 1, 50), ask(2, 1, 5), ask(3, 2, 10), ask(4, 3, 10)] {
        room.enter(one);
    }
    // Space 1 has room for 20 more, and space 2 for nothing until an instance is gone that is on its way out.
    let quota = |ask: &Ask| match ask.space {
        1 if ask.bytes > 20 => Quota::Full,
        2 => Quota::Soon,
        _ => Quota::Fits,
    };
    assert_eq!(room.next(taken, quota), Verdict::Admit(4, ask(4, 3, 10)));
    assert_eq!(room.next(taken, quota), Verdict::ReclaimOf(1));
    room.leave(1);
    assert_eq!(room.next(taken, quota), Verdict::Admit(2, ask(2, 1, 5)));
    assert_eq!((room.next(taken, quota), room.waiting()), (Verdict::Wait, 1));
}

#[test]
fn spaces_take_turns_before_their_apps_do() {
    let (mut room, taken) = (Room::new(100, 100), Taken::default());
    let ask = |app, space| Ask { app, space, bytes: 1, slow: false };
    // Three apps of space 1, each with a storm, then two of space 2, and one of space 3 that gives up.
    let asked = [(11, 1), (12, 1), (13, 1), (11, 1), (12, 1), (11, 1), (21, 2), (21, 2), (22, 2), (31, 3)];
    let tickets: Vec<_> = asked.iter().map(|(app, space)| room.enter(ask(*app, *space))).collect();
    room.leave(tickets[9]);
    let served = std::iter::from_fn(|| match room.next(taken, |_| Quota::Fits) {
        Verdict::Admit(_, ask) => Some(ask.app),
        _ => None,
    });
    assert_eq!(served.collect::<Vec<_>>(), [11, 21, 12, 22, 13, 21, 11, 12, 11]);
    assert_eq!((room.waiting(), room.line.len(), room.asks.len()), (0, 0, 0));
}

#[test]
fn everybody_starts_at_last() {
    for seed in 0..200 {
        let (mut room, mut random) = (Room::new(1000, 3), Random(seed));
        let (mut running, mut asked, mut admitted) = (Vec::<Ask>::new(), 0, 0);
        let (mut starting, shared) = (Vec::new(), seed % 2 == 0);
        while asked < 300 || room.waiting() > 0 {
            let bytes = running.iter().map(|ask| ask.bytes).sum();
            if asked < 300 && random.once_in(2) {
                asked += 1;
                let app = u32::try_from(random.below(5)).unwrap();
                room.enter(Ask {
                    app,
                    space: app % 2,
                    bytes: 1 + random.below(700),
                    slow: random.once_in(2),
                });
            } else if let Verdict::Admit(_, ask) =
                room.next(Taken { bytes, shared, ..Taken::default() }, |ask| within(&running, ask, 700))
            {
                admitted += 1;
                running.push(ask);
                starting.extend(ask.slow.then_some(ask.space));
            } else if let Some(space) = starting.pop() {
                room.started(space);
            } else if !running.is_empty() {
                running.swap_remove(random.place(running.len()));
            }
            let bytes: u64 = running.iter().map(|ask| ask.bytes).sum();
            assert!(bytes <= 1000 && room.starting() <= 3, "seed {seed}");
            let of = |space: u32| starting.iter().filter(|of| **of == space).count();
            assert!(!shared || (of(0) <= 2 && of(1) <= 2), "seed {seed}");
            assert!([0, 1].iter().all(|space| of_space(&running, *space) <= 700), "seed {seed}");
        }
        assert_eq!(admitted, 300, "seed {seed}");
    }
}

fn of_space(running: &[Ask], space: u32) -> u64 {
    running.iter().filter(|ask| ask.space == space).map(|ask| ask.bytes).sum()
}

fn within(running: &[Ask], ask: &Ask, quota: u64) -> Quota {
    if of_space(running, ask.space) + ask.bytes <= quota { Quota::Fits } else { Quota::Full }
}
