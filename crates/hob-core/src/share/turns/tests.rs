//! Crowds in virtual time: each app gets its share, nobody starves, whatever the order.

use super::{Entry, QUANTUM_NS, Standing, Ticket, Turns, Who};
use crate::limit::{TURN_ALONE_AFTER, TURN_CLOCKS_SWEPT_ABOVE, TURN_LAPSE};
use crate::random::Random;
use std::collections::BTreeMap;

/// A guest of the simulation.
struct Guest {
    who: Who,
    /// What it has left to spend; `None`: it loops for ever.
    left_ns: Option<u64>,
    came_ns: u64,
    ticket: Option<Ticket>,
}

/// A machine whose processors run guests in virtual time.
struct Machine {
    turns: Turns,
    slots: usize,
    spare: usize,
    now_ns: u64,
    guests: BTreeMap<usize, Guest>,
    /// When a turn ends, whose it is and what it will have spent.
    running: Vec<(u64, usize, u64)>,
    spent_ns: BTreeMap<u32, u64>,
    /// How long calls took that have an end.
    took_ns: BTreeMap<u32, Vec<u64>>,
    next: usize,
    random: Random,
}

impl Machine {
    fn new((slots, spare): (u32, u32), seed: u64) -> Self {
        Self {
            turns: Turns::new(slots, spare),
            slots: slots as usize,
            spare: spare as usize,
            now_ns: 0,
            guests: BTreeMap::new(),
            running: Vec::new(),
            spent_ns: BTreeMap::new(),
            took_ns: BTreeMap::new(),
            next: 0,
            random: Random(seed),
        }
    }

    /// A guest of an app in the only space.
    fn add(&mut self, app: u32, function: u32, left_ns: Option<u64>) {
        self.add_of(Who { space: 0, app, function }, left_ns);
    }

    fn add_of(&mut self, who: Who, left_ns: Option<u64>) {
        let number = self.next;
        self.next += 1;
        self.guests.insert(number, Guest { who, left_ns, came_ns: self.now_ns, ticket: None });
        self.enter(number);
    }

    fn enter(&mut self, number: usize) {
        let who = self.guests[&number].who;
        match self.turns.enter(who, true, self.now_ns) {
            Entry::Turn => self.begin(number),
            Entry::Wait(ticket) => self.guests.get_mut(&number).unwrap().ticket = Some(ticket),
        }
        self.check();
    }

    fn begin(&mut self, number: usize) {
        let left_ns = self.guests[&number].left_ns;
        // The tick comes somewhere in the turn.
        let tick_ns = QUANTUM_NS / 2 + self.random.below(QUANTUM_NS / 2);
        let spends_ns = left_ns.map_or(tick_ns, |left| left.min(tick_ns)).max(1);
        self.running.push((self.now_ns + spends_ns, number, spends_ns));
    }

    fn check(&self) {
        assert!(self.turns.taken() as usize <= self.slots + self.spare);
        assert_eq!(self.turns.taken() as usize, self.running.len());
        assert!(self.turns.waiting() == 0 || self.running.len() >= self.slots, "a slot is free");
    }

    /// Runs until `until_ns`; returns there.
    fn run(&mut self, until_ns: u64) {
        while let Some(at) = (0..self.running.len()).min_by_key(|at| self.running[*at].0) {
            if self.running[at].0 > until_ns {
                break;
            }
            let (ends_ns, number, spent_ns) = self.running.swap_remove(at);
            self.now_ns = ends_ns;
            let guest = self.guests.get_mut(&number).unwrap();
            let app = guest.who.app;
            *self.spent_ns.entry(app).or_default() += spent_ns;
            guest.left_ns = guest.left_ns.map(|left| left - spent_ns);
            let (who, done, mut told) = (guest.who, guest.left_ns == Some(0), Vec::new());
            if done {
                self.took_ns.entry(app).or_default().push(ends_ns - guest.came_ns);
                self.guests.remove(&number);
                self.turns.leave(who, spent_ns, ends_ns, &mut told);
            } else {
                guest.ticket = Some(self.turns.stay(who, spent_ns, ends_ns, &mut told));
            }
            for ticket in told {
                assert!(matches!(self.turns.ask(ticket), Standing::Turn(_)));
                let chosen = *self.guests.iter().find(|(_, guest)| guest.ticket == Some(ticket)).unwrap().0;
                self.guests.get_mut(&chosen).unwrap().ticket = None;
                self.begin(chosen);
            }
            self.check();
        }
        self.now_ns = until_ns;
    }
}

const MS: u64 = 1_000_000;

/// Slots, how many loops each app runs, and what each app's share is, in percent of all processors.
const SHARES: [(u32, &[u32], &[u64]); 6] = [
    (1, &[1, 1], &[50, 50]),
    (2, &[8, 2], &[50, 50]),
    (2, &[1000, 2, 2, 2], &[25, 25, 25, 25]),
    // One loop cannot use more than one processor.
    (2, &[8, 1], &[50, 50]),
    (4, &[100, 1], &[75, 25]),
    (3, &[5, 1, 1], &[33, 33, 33]),
];

#[test]
fn busy_apps_get_equal_shares() {
    for (slots, loops, shares) in SHARES {
        for seed in 0..5 {
            let mut machine = Machine::new((slots, 0), seed);
            for (app, loops) in (0..).zip(loops) {
                (0..*loops).for_each(|function| machine.add(app, function % 3, None));
            }
            machine.run(2000 * MS);
            for (app, share) in (0..).zip(shares) {
                let percent = machine.spent_ns[&app] * 100 / (2000 * MS * u64::from(slots));
                let close = percent.abs_diff(*share) <= 2;
                assert!(close, "{slots} slots, {loops:?}, seed {seed}: app {app} has {percent} %");
            }
        }
    }
}

/// How many loops each app of a space runs.
type Apps = &'static [u32];

/// Slots, the spaces, and the share of each, in percent of all processors.
const SPACES: [(u32, &[Apps], &[u64]); 5] = [
    // A hundred apps are one space.
    (1, &[&[1; 100], &[1]], &[50, 50]),
    (2, &[&[3; 100], &[9]], &[50, 50]),
    (2, &[&[1; 40], &[8, 8], &[2], &[2]], &[25, 25, 25, 25]),
    // What one loop cannot use is left to the others.
    (4, &[&[4; 20], &[1]], &[75, 25]),
    (3, &[&[1, 500], &[20], &[1; 10]], &[33, 33, 33]),
];

#[test]
fn busy_spaces_get_equal_shares_and_their_apps_equal_parts_of_them() {
    for (slots, spaces, shares) in SPACES {
        for seed in 0..5 {
            let mut machine = Machine::new((slots, 0), seed);
            for (space, apps) in (0..).zip(spaces) {
                for (app, loops) in (0..).zip(*apps) {
                    let who = |function| Who { space, app: 1000 * space + app, function };
                    (0..*loops).for_each(|function| machine.add_of(who(function % 3), None));
                }
            }
            let all_ns = 8000 * MS * u64::from(slots);
            machine.run(8000 * MS);
            for (space, (apps, share)) in (0..).zip(spaces.iter().zip(shares)) {
                let spent =
                    |app: u32| machine.spent_ns.get(&(1000 * space + app)).copied().unwrap_or_default();
                let each: Vec<u64> = (0..).zip(*apps).map(|(app, _)| spent(app)).collect();
                let percent = each.iter().sum::<u64>() * 100 / all_ns;
                assert!(
                    percent.abs_diff(*share) <= 2,
                    "{slots} slots, seed {seed}: space {space} has {percent} %"
                );
                // Where each app can use its part, no two differ by more than a few turns.
                let (least, most) = (each.iter().min().unwrap(), each.iter().max().unwrap());
                let even = apps.iter().all(|loops| loops == &apps[0]);
                assert!(!even || most - least <= 3 * QUANTUM_NS, "seed {seed}: {least} to {most}");
            }
        }
    }
}

#[test]
fn a_quiet_app_waits_for_one_turn_of_each_other_space_whatever_their_apps() {
    for seed in 0..5 {
        let mut machine = Machine::new((1, 0), seed);
        for space in 1..4 {
            for app in 0..50 {
                machine.add_of(Who { space, app: 100 * space + app, function: 0 }, None);
            }
        }
        // One alone in its space, and one beside fifty that loop.
        let quiet = [Who { space: 9, app: 900, function: 0 }, Who { space: 1, app: 199, function: 0 }];
        for call in 1..100 {
            // After the first round, in which all are equally new.
            let at_ns = 1000 * MS + call * 23 * MS + machine.random.below(MS);
            machine.run(at_ns);
            machine.add_of(quiet[usize::from(call % 2 == 0)], Some(MS / 10));
        }
        machine.run(4000 * MS);
        for (who, turns) in quiet.iter().zip([1, 4]) {
            let took_ns = &machine.took_ns[&who.app];
            let worst = took_ns.iter().max().unwrap();
            assert!(*worst <= turns * QUANTUM_NS + MS / 10, "seed {seed}: {who:?} waits {worst}");
        }
    }
}

#[test]
fn nothing_is_kept_of_those_that_came_and_went() {
    let mut turns = Turns::new(1, 0);
    for number in 0..50_000_u32 {
        let who = Who { space: number / 50, app: number, function: 0 };
        assert_eq!(turns.enter(who, true, u64::from(number)), Entry::Turn);
        turns.leave(who, QUANTUM_NS, u64::from(number), &mut Vec::new());
    }
    let apps: usize = turns.spaces.values().map(|space| space.line.clocks()).sum();
    let most = TURN_CLOCKS_SWEPT_ABOVE;
    assert!(turns.spaces.len() <= most && turns.line.clocks() <= most, "{}", turns.spaces.len());
    assert!(apps <= 50 * most && turns.spaces.values().all(|space| space.queues.is_empty()), "{apps}");
}

#[test]
fn functions_of_an_app_are_served_in_turn() {
    let mut machine = Machine::new((1, 0), 1);
    (0..99).for_each(|_| machine.add(1, 1, Some(MS)));
    machine.add(1, 2, Some(MS));
    machine.run(5 * MS);
    assert_eq!(machine.guests.values().filter(|guest| guest.who.function == 2).count(), 0);
}

#[test]
fn a_quiet_app_waits_for_one_turn_of_the_others_at_most() {
    // Slots, spare ones, how many loop, and the longest wait.
    for (slots, spare, loud, wait_ns) in [
        (1, 0, 8, QUANTUM_NS),
        (2, 0, 8, QUANTUM_NS),
        (2, 0, 1000, QUANTUM_NS),
        (4, 0, 1000, QUANTUM_NS),
        (2, 1, 8, 0),
        (2, 1, 1000, 0),
    ] {
        for seed in 0..5 {
            let mut machine = Machine::new((slots, spare), seed);
            (0..loud).for_each(|function| machine.add(1, function % 2, None));
            for call in 1..100 {
                let at_ns = call * 7 * MS + machine.random.below(MS);
                machine.run(at_ns);
                machine.add(2, 1, Some(MS / 10));
            }
            machine.run(2000 * MS);
            let took_ns = &machine.took_ns[&2];
            assert_eq!(took_ns.len(), 99, "each call is answered");
            let worst = took_ns.iter().max().unwrap();
            assert!(
                *worst <= wait_ns + MS / 10,
                "{slots} + {spare} slots, {loud} loops, seed {seed}: {worst}"
            );
        }
    }
}

#[test]
fn spare_slots_are_not_for_those_that_loop() {
    for seed in 0..5 {
        let mut machine = Machine::new((2, 1), seed);
        (0..4).for_each(|app| (0..4).for_each(|function| machine.add(app, function, None)));
        machine.run(2000 * MS);
        let spent_ns: u64 = machine.spent_ns.values().sum();
        // Each may have had one turn before it was known.
        assert!(spent_ns <= 2 * 2000 * MS + 16 * QUANTUM_NS, "seed {seed}: {spent_ns}");
    }
}

#[test]
fn what_an_app_did_not_use_is_not_saved_up() {
    let mut machine = Machine::new((1, 0), 3);
    machine.add(1, 1, None);
    machine.run(1000 * MS);
    machine.add(2, 1, None);
    machine.run(1100 * MS);
    // The newcomer has half of what came after it.
    let spent_ns = machine.spent_ns[&2];
    assert!((45 * MS..=55 * MS).contains(&spent_ns), "{spent_ns}");
}

#[test]
fn guests_may_leave_at_any_moment() {
    for (seed, spare) in (0..200).zip([0, 1].into_iter().cycle()) {
        let (mut turns, mut random) = (Turns::new(2, spare), Random(seed));
        let (mut waiting, mut running, mut told) =
            (Vec::<(Ticket, u32)>::new(), Vec::<u32>::new(), Vec::new());
        for step in 0..2000_u64 {
            let now_ns = step * MS / 2;
            let app = u32::try_from(random.below(4)).unwrap();
            let who = |app| Who { space: app / 2, app, function: app % 2 };
            match random.below(5) {
                0 | 1 => match turns.enter(who(app), random.below(2) == 0, now_ns) {
                    Entry::Turn => running.push(app),
                    Entry::Wait(ticket) => waiting.push((ticket, app)),
                },
                2 if !waiting.is_empty() => {
                    let (ticket, _) = waiting.swap_remove(random.place(waiting.len()));
                    turns.drop_ticket(ticket, now_ns, &mut told);
                }
                3 if !running.is_empty() => {
                    let app = running.swap_remove(random.place(running.len()));
                    turns.leave(who(app), random.below(3 * MS), now_ns, &mut told);
                }
                _ => {
                    turns.tick(now_ns, &mut told);
                    waiting.retain(|(ticket, app)| match turns.ask(*ticket) {
                        Standing::Wait => true,
                        Standing::Turn(_) => {
                            running.push(*app);
                            false
                        }
                        Standing::Lapsed(_) => false,
                    });
                }
            }
            let taken = turns.taken();
            assert!(taken <= 2 + spare && (turns.waiting() == 0 || taken >= 2), "seed {seed}");
        }
        waiting.iter().for_each(|(ticket, _)| turns.drop_ticket(*ticket, 0, &mut told));
        let who = |app| Who { space: app / 2, app, function: app % 2 };
        running.iter().for_each(|app| turns.leave(who(*app), 0, 0, &mut told));
        assert_eq!((turns.taken(), turns.waiting(), turns.tickets.len()), (0, 0, 0), "seed {seed}");
    }
}

#[test]
fn a_turn_that_is_not_taken_up_goes_to_another() {
    let mut turns = Turns::new(1, 0);
    let who = |app| Who { space: 0, app, function: 1 };
    let lapse_ns = u64::try_from(TURN_LAPSE.as_nanos()).unwrap();
    assert_eq!(turns.enter(who(1), true, 0), Entry::Turn);
    let (Entry::Wait(slow), Entry::Wait(next)) = (turns.enter(who(2), true, 0), turns.enter(who(3), true, 0))
    else {
        panic!("there is one slot")
    };
    let mut told = Vec::new();
    turns.leave(who(1), MS, MS, &mut told);
    assert_eq!((told.as_slice(), turns.ask(next)), ([slow].as_slice(), Standing::Wait));
    turns.tick(MS + lapse_ns - 1, &mut told);
    assert_eq!(turns.ask(next), Standing::Wait);
    turns.tick(MS + lapse_ns, &mut told);
    assert_eq!(turns.ask(next), Standing::Turn(MS + lapse_ns));
    assert_eq!(turns.ask(slow), Standing::Lapsed(MS + lapse_ns));
}

#[test]
fn one_app_is_alone_until_another_comes_and_after_it_has_stayed_away() {
    let mut turns = Turns::new(2, 0);
    let after_ns = u64::try_from(TURN_ALONE_AFTER.as_nanos()).unwrap();
    for (now_ns, app, alone) in [
        (0, 1, Some(1)),
        (1, 1, Some(1)),
        (2, 2, None),
        (3, 1, None),
        (2 + after_ns, 1, None),
        (3 + after_ns, 1, Some(1)),
        (4 + after_ns, 2, None),
    ] {
        let who = Who { space: app, app, function: 1 };
        let entry = turns.enter(who, true, now_ns);
        assert_eq!((entry, turns.alone()), (Entry::Turn, alone), "at {now_ns}");
        turns.leave(who, 0, now_ns, &mut Vec::new());
    }
}
