//! Stories of one schedule, and ten thousand random ones, in virtual time.

use super::super::Schedule;
use super::{Decision, Fire, Missed, Overlap, Reason, Rules, Runs, State, decide, seed};
use crate::limit::{MISSED_RUNS_MAX, SCHEDULE_LATE_MAX, SKIPPED_RUNS_COUNTED_MAX};
use crate::random::Random;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const ONCE: Rules = Rules { missed: Missed::Once, overlap: Overlap::Skip, jitter: Duration::ZERO, seed: 0 };

/// Tells a story, one line `<minute>[+seconds] [running]` at a time, of a schedule created at minute 0 of
/// 1970; a line may also be `pause` or `resume`. Times are shown in minutes; `*` is a run that is made up.
fn check(expression: &str, rules: Rules, story: &[(&str, &str)]) {
    let schedule = Schedule::new(expression, "UTC").unwrap();
    let mut state = State::new(0);
    for (line, expected) in story {
        let (time, what) = line.split_once(' ').unwrap_or((line, ""));
        let (minute, second) = time.split_once('+').unwrap_or((time, "0"));
        let now_ms = minute.parse::<u64>().unwrap() * MINUTE_MS + second.parse::<u64>().unwrap() * 1000;
        match what {
            "pause" => state = state.pause(),
            "resume" => state = state.resume(now_ms),
            _ => {
                let decision = decide(&schedule, &rules, &state, now_ms, what == "running");
                assert_eq!(show(&decision), *expected, "{expression}, {rules:?}, after `{line}`");
                state = decision.state;
            }
        }
    }
}

fn show(decision: &Decision) -> String {
    let mut out = String::new();
    for Fire { due_ms, made_up } in &decision.fire {
        write!(out, "{}{} ", due_ms / MINUTE_MS, if *made_up { "*" } else { "" }).unwrap();
    }
    for skipped in &decision.skipped {
        let (first, last) = (skipped.first_ms / MINUTE_MS, skipped.last_ms / MINUTE_MS);
        let more = if skipped.more { "+" } else { "" };
        write!(out, "{:?} {first}-{last} {}{more} ", skipped.reason, skipped.count).unwrap();
    }
    match decision.wake_ms {
        Some(wake_ms) => write!(out, "wake {}", wake_ms / MINUTE_MS).unwrap(),
        None => write!(out, "end").unwrap(),
    }
    out
}

#[test]
fn runs_on_time_and_those_that_were_missed() {
    let hourly = "0 * * * *";
    check(
        hourly,
        ONCE,
        &[
            ("0", "wake 60"),
            ("59+59", "wake 60"),
            ("60", "60 wake 120"),
            ("60+1", "wake 120"),
            ("121", "120 wake 180"),
            ("181+1", "180* wake 240"),
            ("370", "360* Missed 240-300 2 wake 420"),
            // The one that is on time stands for those before it.
            ("600", "600 Missed 420-540 3 wake 660"),
            // The clock jumps back: waiting, and nothing twice.
            ("540", "wake 660"),
            ("600", "wake 660"),
            ("660", "660 wake 720"),
            // The clock jumps forward, as after a pause.
            ("730", "720* wake 780"),
        ],
    );
    check(
        hourly,
        Rules { missed: Missed::Skip, ..ONCE },
        &[
            ("250", "Missed 60-240 4 wake 300"),
            ("300+60", "300 wake 360"),
            ("420", "420 Missed 360-360 1 wake 480"),
        ],
    );
    check(
        hourly,
        Rules { missed: Missed::All, ..ONCE },
        &[("250", "60* 120* 180* 240* wake 300"), ("420", "300* 360* Overlap 420-420 1 wake 480")],
    );
    check(
        hourly,
        Rules { missed: Missed::All, overlap: Overlap::Allow, ..ONCE },
        &[("180 running", "60* 120* 180 wake 240")],
    );
    check("@at 1970-01-01T02:00:00", ONCE, &[("0", "wake 120"), ("120", "120 end"), ("130", "end")]);
    check("@at 1970-01-01T02:00:00", ONCE, &[("300", "120* end")]);
}

#[test]
fn runs_that_overlap_and_a_schedule_that_is_paused() {
    let often = "*/30 * * * * *";
    check(
        often,
        ONCE,
        &[
            ("1", "0 Overlap 1-1 1 wake 1"),
            ("1+30 running", "Overlap 1-1 1 wake 2"),
            ("9 running", "Missed 2-7 12 Overlap 8-9 3 wake 9"),
            ("9+30", "9 wake 10"),
        ],
    );
    check(often, Rules { overlap: Overlap::Queue, ..ONCE }, &[("1 running", "0 1 wake 1")]);
    check(
        "0 * * * *",
        ONCE,
        &[
            ("60", "60 wake 120"),
            ("60 pause", ""),
            ("120", "Paused 120-120 1 wake 180"),
            ("305", "Paused 180-300 3 wake 360"),
            ("365 resume", ""),
            ("370", "wake 420"),
            ("420", "420 wake 480"),
            // A resume without a pause decides nothing.
            ("485 resume", ""),
            ("485", "480* wake 540"),
            // The clock was set back during the pause.
            ("490 pause", ""),
            ("430 resume", ""),
            ("481", "wake 540"),
        ],
    );
}

#[test]
fn a_long_pause_costs_a_bounded_number_of_runs_and_steps() {
    let year_ms = 365 * 24 * HOUR_MS;
    let schedule = Schedule::new("* * * * * *", "UTC").unwrap();
    for missed in [Missed::Skip, Missed::Once, Missed::All] {
        let rules = Rules { missed, overlap: Overlap::Allow, ..ONCE };
        let decision = decide(&schedule, &rules, &State::new(0), year_ms, false);
        let made_up = decision.fire.iter().filter(|fire| fire.made_up).count();
        assert_eq!(made_up, if missed == Missed::All { MISSED_RUNS_MAX } else { 0 });
        assert_eq!(decision.fire.len() - made_up, 61, "those of the last minute are on time");
        assert_eq!(decision.fire.last().unwrap().due_ms, year_ms);
        let [skipped] = decision.skipped[..] else { panic!("{:?}", decision.skipped) };
        assert_eq!((skipped.first_ms, skipped.count, skipped.more), (1000, SKIPPED_RUNS_COUNTED_MAX, true));
        assert_eq!(skipped.last_ms + 1000, decision.fire[0].due_ms);
    }
}

#[test]
fn delays_differ_by_name_stay_the_same_and_keep_the_order() {
    let schedule = Schedule::new("*/2 * * * *", "UTC").unwrap();
    let delays = |name: &str, jitter_s: u64| -> Vec<u64> {
        let rules = Rules { jitter: Duration::from_secs(jitter_s), seed: seed(name), ..ONCE };
        let runs = Runs { schedule: &schedule, rules: &rules, anchor_ms: 0 };
        (1..1000).map(|run| runs.ripe_at(run * 2 * MINUTE_MS) - run * 2 * MINUTE_MS).collect()
    };
    assert!(delays("a", 0).iter().all(|delay_ms| *delay_ms == 0));
    for (jitter_s, longest_ms) in [(10, 10_000), (3600, 2 * MINUTE_MS - 1)] {
        let found = delays("a", jitter_s);
        assert_eq!(found, delays("a", jitter_s));
        assert_ne!(found, delays("b", jitter_s));
        assert!(found.iter().all(|delay_ms| *delay_ms <= longest_ms), "{jitter_s}");
        let mean_ms = found.iter().sum::<u64>() / 999;
        assert!(mean_ms.abs_diff(longest_ms / 2) < longest_ms / 20, "{jitter_s}: {mean_ms}");
    }
    let daily = Schedule::new("@daily", "UTC").unwrap();
    let rules = Rules { jitter: Duration::from_secs(24 * 3600), ..ONCE };
    let runs = Runs { schedule: &daily, rules: &rules, anchor_ms: 0 };
    assert!((0..100).all(|day| runs.ripe_at(day * 24 * HOUR_MS) - day * 24 * HOUR_MS <= HOUR_MS));
    // Before its delay has passed, a run waits.
    let rules = Rules { jitter: Duration::from_secs(60), seed: seed("a"), ..ONCE };
    let wake_ms = decide(&schedule, &rules, &State::new(0), 0, false).wake_ms.unwrap();
    assert!(wake_ms > 2 * MINUTE_MS, "{wake_ms}");
    assert_eq!(decide(&schedule, &rules, &State::new(0), wake_ms - 1, false).fire, []);
    let fire = Fire { due_ms: 2 * MINUTE_MS, made_up: false };
    assert_eq!(decide(&schedule, &rules, &State::new(0), wake_ms, false).fire, [fire]);
}

/// Runs that begin, with whether they are made up, and how many are left out for which reason.
type Outcome = (Vec<(u64, bool)>, Vec<(Reason, u64)>);

/// A schedule's life: its clock, what is stored, and what has begun.
struct World<'a> {
    seed: u64,
    schedule: &'a Schedule,
    rules: Rules,
    now_ms: u64,
    state: State,
    running: bool,
    ever_paused: bool,
    fired: BTreeSet<u64>,
    /// Begun, and not yet decided by what is stored: those may be decided again.
    unsaved: BTreeSet<u64>,
}

impl World<'_> {
    fn runs(&self) -> Runs<'_> {
        Runs { schedule: self.schedule, rules: &self.rules, anchor_ms: self.state.anchor_ms }
    }

    /// The due times that have to be decided now, one after the other from the first.
    fn ripe(&self) -> Vec<u64> {
        let mut ripe = Vec::new();
        let mut at_ms = self.state.last_ms.unwrap_or(self.state.anchor_ms);
        while let Some(due_ms) = self.schedule.next_after(at_ms, self.state.anchor_ms) {
            if due_ms > self.now_ms || self.runs().ripe_at(due_ms) > self.now_ms {
                break;
            }
            ripe.push(due_ms);
            at_ms = due_ms;
        }
        ripe
    }

    /// The rules of the module, told for a list.
    fn expected(&self, ripe: &[u64]) -> Outcome {
        let mut left_out: Vec<(Reason, u64)> = Vec::new();
        let mut leave = |reason: Reason| match left_out.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => left_out.push((reason, 1)),
        };
        let late = |due_ms: u64| {
            u128::from(self.now_ms - self.runs().ripe_at(due_ms)) > SCHEDULE_LATE_MAX.as_millis()
        };
        let (mut chosen, mut begun) = (Vec::new(), Vec::new());
        for (index, due_ms) in ripe.iter().enumerate() {
            let newest = index + 1 == ripe.len();
            match (self.state.paused, late(*due_ms), self.rules.missed) {
                (true, _, _) => leave(Reason::Paused),
                (_, true, Missed::Skip) => leave(Reason::Missed),
                (_, true, Missed::Once) if !newest => leave(Reason::Missed),
                (_, true, Missed::All) if ripe.len() - index > MISSED_RUNS_MAX => leave(Reason::TooMany),
                (_, late, _) => chosen.push((*due_ms, late)),
            }
        }
        for (due_ms, made_up) in chosen {
            let alone = begun.is_empty() || made_up;
            if self.rules.overlap == Overlap::Skip && (self.running || !alone) {
                leave(Reason::Overlap);
            } else {
                begun.push((due_ms, made_up));
            }
        }
        left_out.sort_unstable();
        (begun, left_out)
    }

    fn decide(&mut self, lost: bool) {
        let ripe = self.ripe();
        let decision = decide(self.schedule, &self.rules, &self.state, self.now_ms, self.running);
        let place = format!("seed {}: {} at {}", self.seed, self.schedule.expression(), self.now_ms);
        let begun: Vec<(u64, bool)> = decision.fire.iter().map(|fire| (fire.due_ms, fire.made_up)).collect();
        let mut left_out: Vec<(Reason, u64)> =
            decision.skipped.iter().map(|skipped| (skipped.reason, skipped.count)).collect();
        left_out.sort_unstable();
        assert_eq!((begun, left_out), self.expected(&ripe), "{place}");
        for fire in &decision.fire {
            assert!(fire.due_ms <= self.now_ms, "{place}: {} is early", fire.due_ms);
            let again = !self.fired.insert(fire.due_ms);
            assert!(!again || self.unsaved.contains(&fire.due_ms), "{place}: {} twice", fire.due_ms);
        }
        let newest_ms = ripe.last().copied().or(self.state.last_ms);
        assert_eq!(decision.state, State { last_ms: newest_ms, ..self.state }, "{place}");
        assert!(decision.wake_ms.is_none_or(|wake_ms| wake_ms > self.now_ms), "{place}: no end of asking");
        self.running |= !decision.fire.is_empty();
        if lost {
            self.unsaved.extend(decision.fire.iter().map(|fire| fire.due_ms));
            return;
        }
        self.state = decision.state;
        self.unsaved.retain(|due_ms| self.state.last_ms.is_none_or(|last_ms| *due_ms > last_ms));
        let again = decide(self.schedule, &self.rules, &self.state, self.now_ms, self.running);
        assert!(again.fire.is_empty() && again.skipped.is_empty(), "{place}: the same twice");
    }

    /// Something happens to the node or its clock.
    fn step(&mut self, random: &mut Random, unit_ms: u64) {
        let wake_ms = decide(self.schedule, &self.rules, &self.state, self.now_ms, self.running).wake_ms;
        match random.below(12) {
            0..3 => self.now_ms = self.now_ms.max(wake_ms.unwrap_or(0)),
            3 => self.now_ms = self.now_ms.max(wake_ms.unwrap_or(1) - 1),
            4 => self.now_ms += random.below(3 * unit_ms),
            5 => self.now_ms += random.below(2 * MINUTE_MS),
            6 => self.now_ms += HOUR_MS,
            7 => self.now_ms -= HOUR_MS.min(random.below(2 * HOUR_MS)),
            8 => {
                self.decide(false);
                self.state = self.state.pause();
                self.ever_paused = true;
            }
            9 => {
                self.state = self.state.resume(self.now_ms);
            }
            // A restart after some time, which ends the run.
            10 => {
                self.now_ms += random.below(10 * unit_ms);
                self.running = false;
            }
            _ => self.running = false,
        }
        self.decide(random.below(6) == 0);
    }
}

fn live(seed: u64, schedules: &[(Schedule, u64)]) {
    let mut random = Random(seed);
    let mut pick = |bound: u64| usize::try_from(random.below(bound)).unwrap();
    let (schedule, unit_ms) = &schedules[pick(schedules.len().try_into().unwrap())];
    let rules = Rules {
        missed: [Missed::Skip, Missed::Once, Missed::All][pick(3)],
        overlap: [Overlap::Skip, Overlap::Queue, Overlap::Allow][pick(3)],
        jitter: Duration::from_secs([0, 0, 5, 90, 3600][pick(5)]),
        seed,
    };
    // Around the days on which clocks change in spring, and on any other day of the year.
    let start_ms =
        if pick(2) == 0 { 1_774_656_000_000 } else { 1_767_225_600_000 + random.below(365 * 24 * HOUR_MS) };
    let now_ms = start_ms + random.below(HOUR_MS);
    let mut world = World {
        seed,
        schedule,
        rules,
        now_ms,
        state: State::new(now_ms),
        running: false,
        ever_paused: false,
        fired: BTreeSet::new(),
        unsaved: BTreeSet::new(),
    };
    for _ in 0..12 {
        world.step(&mut random, *unit_ms);
    }
    world.decide(false);
    if rules.missed == Missed::All && rules.overlap != Overlap::Skip && !world.ever_paused {
        let until_ms = world.state.last_ms.unwrap_or(0);
        let due = |at_ms: &u64| schedule.next_after(*at_ms, now_ms).filter(|due_ms| *due_ms <= until_ms);
        let all: BTreeSet<u64> = std::iter::successors(due(&now_ms), due).collect();
        let decided: BTreeSet<u64> = world.fired.range(..=until_ms).copied().collect();
        assert_eq!(decided, all, "seed {seed}: each run once");
    }
}

#[test]
fn whatever_happens_no_run_is_early_or_begun_twice_and_the_rules_are_kept() {
    let schedules: Vec<(Schedule, u64)> = [
        ("*/5 * * * *", "UTC", 5 * MINUTE_MS),
        ("*/30 * * * * *", "Asia/Kathmandu", MINUTE_MS),
        ("0 * * * *", "Europe/London", HOUR_MS),
        ("30 1 * * *", "Europe/London", 24 * HOUR_MS),
        ("*/10 1-3 * * *", "America/New_York", 6 * HOUR_MS),
        ("15,45 * * * *", "Australia/Lord_Howe", HOUR_MS),
        ("@every 7m", "UTC", 7 * MINUTE_MS),
        ("cron(0 6 ? * MON-FRI *)", "Europe/London", 24 * HOUR_MS),
        ("@at 2026-03-29T01:30:00", "Europe/London", 24 * HOUR_MS),
    ]
    .map(|(expression, zone, unit_ms)| (Schedule::new(expression, zone).unwrap(), unit_ms))
    .into();
    (0..10_000).for_each(|seed| live(seed, &schedules));
}
