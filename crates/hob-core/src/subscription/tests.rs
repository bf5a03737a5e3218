//! Stories of subscriptions in virtual time: what happens, and what the node is told to do.

use super::{
    Bounds, Candidate, Delivery, Effect, Input, Machine, Outcome, Rate, Settings, Snapshot, Stats, Wanted,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const SETTINGS: Settings = Settings {
    attempts: 2,
    backoff_min_ms: 100,
    backoff_max_ms: 100,
    age_ms: None,
    ordered: true,
    concurrency: 2,
    rate: None,
};
const BOUNDS: Bounds = Bounds { window: 8, page: 8, stride: 10, save_settled: 4, save_pause_ms: 100 };

/// A subscription, and what its node remembers.
struct Story {
    machine: Machine,
    settings: Settings,
    bounds: Bounds,
    deliveries: BTreeMap<u64, Delivery>,
    saving: Option<Snapshot>,
    durable: Option<Snapshot>,
}

impl Story {
    fn new(settings: Settings, bounds: Bounds) -> Self {
        let machine = Machine::new(1, settings, bounds, 1, 0);
        Self { machine, settings, bounds, deliveries: BTreeMap::new(), saving: None, durable: None }
    }

    /// One line, `<time> <what> [number]…`; returns what the node is told to do.
    ///
    /// A record of a `page <from> <next>` is a number with a key (`7a`), or without (`7`), that the filter
    /// does not match (`-7`) or whose time is over (`!7`).
    fn line(&mut self, line: &str) -> Vec<Effect> {
        let mut words = line.split(' ');
        let now_ms: u64 = words.next().unwrap().parse().unwrap();
        let what = words.next().unwrap();
        let words: Vec<&str> = words.collect();
        let number = |place: usize| words.get(place).map(|word| word.parse::<u64>().unwrap());
        let sequence = || number(0).unwrap();
        let page: Vec<Candidate> = words.iter().skip(2).map(|word| candidate(word)).collect();
        let delivery = words.first().and_then(|word| word.parse().ok());
        let delivery = delivery.and_then(|sequence: u64| self.deliveries.get(&sequence).copied());
        let ends = |outcome| Input::Delivered { delivery: delivery.unwrap(), outcome };
        let input = match what {
            "tick" => Input::Tick,
            "appended" => Input::Appended,
            "page" => Input::Fetched { from: sequence(), records: &page, next: number(1).unwrap() },
            "unreadable" => Input::FetchFailed { from: sequence() },
            "done" => ends(Outcome::Done),
            "retry" => ends(Outcome::Retry { after_ms: number(1) }),
            "within" => {
                let (attempts, age_ms) = (u32::try_from(number(1).unwrap()).unwrap(), number(2));
                ends(Outcome::Within { after_ms: None, attempts, age_ms })
            }
            "old" => ends(Outcome::TooOld),
            "busy" => ends(Outcome::Overloaded { after_ms: number(1) }),
            "later" => ends(Outcome::Later { after_ms: number(1).unwrap() }),
            "reject" => ends(Outcome::Rejected),
            "gone" => ends(Outcome::Gone),
            "buried" => Input::DeadLettered { delivery: delivery.unwrap(), durable: true },
            "unburied" => Input::DeadLettered { delivery: delivery.unwrap(), durable: false },
            "saved" => {
                self.durable = self.saving.take();
                Input::Saved { version: self.durable.as_ref().unwrap().version }
            }
            "unsaved" => Input::SaveFailed { version: self.saving.take().unwrap().version },
            "pause" => Input::Pause,
            "resume" => Input::Resume,
            "seek" => Input::Seek { sequence: sequence() },
            "stop" => Input::Stop,
            "attempts" => {
                self.settings.attempts = u32::try_from(sequence()).unwrap();
                Input::Configure(self.settings)
            }
            "crash" => {
                let durable = self.durable.clone().unwrap();
                self.machine = Machine::restore(durable, self.settings, self.bounds, 1, now_ms);
                self.saving = None;
                Input::Tick
            }
            _ => panic!("no event `{what}`"),
        };
        let mut effects = Vec::new();
        self.machine.step(input, now_ms, &mut effects);
        for effect in &effects {
            match effect {
                Effect::Deliver(delivery) | Effect::DeadLetter { delivery, .. } => {
                    self.deliveries.insert(delivery.sequence, *delivery);
                }
                Effect::Save(snapshot) => self.saving = Some((**snapshot).clone()),
                Effect::Fetch { .. } | Effect::WakeAt(_) => {}
            }
        }
        effects
    }
}

fn candidate(word: &str) -> Candidate {
    let wanted = match word.chars().next() {
        Some('-') => Wanted::Skip,
        Some('!') => Wanted::Expired,
        _ => Wanted::Deliver,
    };
    let number = word.trim_matches(|c: char| !c.is_ascii_digit());
    let key = word.chars().last().filter(char::is_ascii_alphabetic).map(u64::from);
    Candidate { sequence: number.parse().unwrap(), time_ms: 0, key, wanted }
}

/// Compares what the node is told to do with what is expected, as far as it is one of the words of `shown`.
fn check(settings: Settings, shown: &str, story: &[(&str, &str)]) -> Stats {
    let mut told = Story::new(settings, BOUNDS);
    for (line, expected) in story {
        let effects = told.line(line);
        assert_eq!(show(&effects, shown), *expected, "after `{line}`");
    }
    told.machine.stats()
}

fn show(effects: &[Effect], shown: &str) -> String {
    let mut out = String::new();
    for effect in effects {
        let mut text = String::new();
        let _ = match effect {
            Effect::Fetch { from, records } => write!(text, "fetch {from}+{records}"),
            Effect::Deliver(Delivery { sequence, generation: 1, attempt }) => {
                write!(text, "deliver {sequence}#{attempt}")
            }
            Effect::Deliver(delivery) => {
                write!(text, "deliver {}#{}'{}", delivery.sequence, delivery.attempt, delivery.generation)
            }
            Effect::DeadLetter { delivery, reason, failures } => {
                write!(text, "dead {}#{} {reason:?} {failures}", delivery.sequence, delivery.attempt)
            }
            Effect::Save(snapshot) => {
                let _ =
                    write!(text, "save {}{}", snapshot.cursor, if snapshot.sealed { " sealed" } else { "" });
                let mut named = snapshot.waiting.iter().filter(|waiting| waiting.named);
                named.try_for_each(|waiting| write!(text, " names {}", waiting.sequence))
            }
            Effect::WakeAt(at_ms) => write!(text, "wake {at_ms}"),
        };
        let word = text.split(' ').next().unwrap_or_default();
        if shown.split(' ').any(|shown| shown == word) {
            out.push_str(if out.is_empty() { "" } else { ", " });
            out.push_str(&text);
        }
    }
    out
}

const ALL: &str = "fetch deliver dead save wake";

#[test]
fn a_position_is_saved_before_the_first_delivery_and_then_rarely() {
    let stats = check(
        SETTINGS,
        ALL,
        &[
            ("0 tick", "fetch 1+8, save 1"),
            ("1 page 1 4 1 2 -3", "fetch 4+6"),
            // The mark of the first snapshot is 11: up to there no other is needed.
            ("2 saved", "deliver 1#1, deliver 2#1, wake 101"),
            ("3 page 4 4", ""),
            ("4 done 1", ""),
            ("101 tick", "save 2"),
            ("102 done 2", ""),
            ("103 saved", "wake 202"),
            ("104 appended", "fetch 4+8"),
            // Four settled records are enough for a save before its time.
            ("105 page 4 7 -4 -5 -6", "fetch 7+8, save 7"),
            // What is durable has the mark 14, what is on its way has 17.
            ("106 page 7 15 7 -8 -9 -10 -11 -12 -13 14", "deliver 7#1, fetch 15+6"),
            ("107 saved", "deliver 14#1, save 7"),
            ("108 page 15 15", ""),
        ],
    );
    let counters = stats.counters;
    assert_eq!((stats.cursor, counters.delivered, counters.skipped, stats.pending), (7, 2, 10, 2));
}

#[test]
fn what_waits_for_a_place_asks_again_soon_however_often_and_loses_no_attempt() {
    let settings = Settings { backoff_min_ms: 3_600_000, backoff_max_ms: 7_200_000, ..SETTINGS };
    let mut story = vec![
        ("0 tick".to_owned(), "save 1"),
        ("1 page 1 2 1".to_owned(), ""),
        ("2 saved".to_owned(), "deliver 1#1"),
    ];
    let asks = ["deliver 1#2", "deliver 1#3", "deliver 1#4", "deliver 1#5", "deliver 1#6"];
    for (at, ask) in (1..).map(|round| round * 10_000).zip(asks) {
        // Long after it is due, since it is spread out.
        story.push((format!("{at} later 1 1000"), ""));
        story.push((format!("{} tick", at + 999), "save 1"));
        story.push((format!("{} saved", at + 1000), ""));
        story.push((format!("{} tick", at + 1251), ask));
    }
    story.push(("60000 done 1".to_owned(), ""));
    let story: Vec<(&str, &str)> = story.iter().map(|(line, expected)| (line.as_str(), *expected)).collect();
    let stats = check(settings, "deliver dead save", &story);
    assert_eq!((stats.counters.delivered, stats.counters.retried, stats.counters.dead), (1, 0, 0));
}

#[test]
fn a_retry_waits_for_its_time_and_for_its_failure_to_be_saved() {
    check(
        SETTINGS,
        "deliver dead save",
        &[
            ("0 tick", "save 1"),
            ("1 page 1 3 1 2", ""),
            ("2 saved", "deliver 1#1, deliver 2#1"),
            ("3 retry 1 500", ""),
            ("4 busy 2 500", ""),
            ("103 tick", "save 1"),
            ("503 tick", ""),
            ("504 tick", ""),
            // Both are due, the save is late.
            ("600 saved", "deliver 1#2, deliver 2#2"),
            // The second failure is the last; being busy was none.
            ("601 retry 1", "dead 1#2 Attempts 2"),
            ("602 retry 2 500", ""),
            ("603 unburied 1", ""),
            ("701 tick", "save 1"),
            ("702 saved", ""),
            ("1603 tick", "deliver 2#3, dead 1#2 Attempts 2"),
            ("1604 buried 1", ""),
            ("1605 reject 2", "dead 2#3 Rejected 1"),
            ("1606 buried 2", ""),
        ],
    );
}

#[test]
fn a_record_may_have_limits_of_its_own_within_those_of_the_settings() {
    check(
        Settings { attempts: 3, concurrency: 4, ..SETTINGS },
        "deliver dead",
        &[
            ("0 tick", ""),
            ("1 page 1 5 1 2 3 4", ""),
            ("2 saved", "deliver 1#1, deliver 2#1, deliver 3#1, deliver 4#1"),
            // One attempt at most; as many as the settings say, but no older than 100 ms; too old before it began.
            ("3 within 1 1", "dead 1#1 Attempts 1"),
            ("4 within 2 3 100", ""),
            ("5 within 3 2", ""),
            ("6 old 4", "dead 4#1 Age 0"),
            ("106 tick", ""),
            ("110 saved", "deliver 2#2, deliver 3#2"),
            ("111 within 2 3 100", "dead 2#2 Age 2"),
            ("112 within 3 2", "dead 3#2 Attempts 2"),
        ],
    );
}

#[test]
fn a_retry_holds_up_its_key_and_nothing_else() {
    let stats = check(
        SETTINGS,
        "deliver dead",
        &[
            ("0 tick", ""),
            ("1 page 1 8 1a 2a 3b 4b 5 6 7a", ""),
            ("2 saved", "deliver 1#1, deliver 3#1"),
            ("3 retry 1 50000", "deliver 5#1"),
            ("4 done 3", "deliver 4#1"),
            ("5 done 4", "deliver 6#1"),
            ("6 done 5", ""),
            ("7 done 6", ""),
            ("102 tick", ""),
            ("103 saved", ""),
            ("50003 tick", "deliver 1#2"),
            ("50004 done 1", "deliver 2#1"),
            ("50005 gone 2", "deliver 7#1"),
        ],
    );
    assert_eq!((stats.cursor, stats.in_flight, stats.counters.missing), (7, 1, 1));
}

#[test]
fn a_full_window_stops_reading() {
    check(
        SETTINGS,
        "fetch deliver",
        &[
            ("0 tick", "fetch 1+8"),
            ("1 page 1 6 1 2 3 4 5", "fetch 6+3"),
            ("2 saved", "deliver 1#1, deliver 2#1"),
            // More than was asked for: the rest is read again.
            ("3 page 6 10 6 7 8 9", ""),
            ("4 retry 2 90000", "deliver 3#1"),
            ("5 done 1", "deliver 4#1, fetch 9+1"),
            ("6 unreadable 9", ""),
            ("1006 tick", "fetch 9+1"),
        ],
    );
}

#[test]
fn what_is_not_in_a_page_is_missing_and_what_expired_is_dead() {
    let stats = check(
        SETTINGS,
        "fetch deliver dead",
        &[
            ("0 tick", "fetch 1+8"),
            ("1 page 1 11 4a !6a 7a", "dead 6#0 Expired 0, fetch 11+5"),
            ("2 saved", "deliver 4#1"),
            ("3 done 4", "deliver 7#1"),
            ("4 buried 6", ""),
            ("5 done 7", ""),
            ("6 page 11 11", ""),
        ],
    );
    assert_eq!((stats.cursor, stats.counters.missing, stats.counters.dead), (11, 7, 1));
}

#[test]
fn a_crash_gives_higher_attempts_and_takes_no_failures() {
    check(
        SETTINGS,
        "deliver dead save",
        &[
            ("0 tick", "save 1"),
            ("1 page 1 4 1 2 3", ""),
            ("2 saved", "deliver 1#1, deliver 2#1"),
            ("3 retry 1 5000", "deliver 3#1"),
            ("103 tick", "save 1"),
            ("104 saved", ""),
            ("105 done 3", ""),
            ("106 crash", ""),
            // All three may have been delivered; the next attempts wait until that is remembered.
            ("107 page 1 4 1 2 3", "save 1"),
            ("108 saved", "deliver 2#2, deliver 3#2"),
            ("109 crash", ""),
            ("110 page 1 4 1 2 3", "save 1"),
            // After two crashes, a record is named before it is delivered.
            ("111 saved", "save 1 names 2 names 3"),
            ("112 saved", "deliver 2#3, deliver 3#3"),
            ("113 retry 2 9000", ""),
            ("114 done 3", ""),
            // An attempt that ended was no crash: the other one is named alone.
            ("5003 tick", "save 1 names 1"),
            ("5004 saved", "deliver 1#4"),
            // One failure before the crashes, one after them.
            ("5005 retry 1", "dead 1#4 Attempts 2"),
        ],
    );
}

#[test]
fn a_stop_in_order_leaves_no_gap() {
    check(
        SETTINGS,
        "deliver save",
        &[
            ("0 tick", "save 1"),
            ("1 page 1 5 1 2 3 4", ""),
            ("2 saved", "deliver 1#1, deliver 2#1"),
            ("3 stop", ""),
            ("4 retry 1", ""),
            ("5 done 2", "save 1 sealed"),
            ("6 saved", ""),
            ("500 crash", ""),
            ("501 page 1 5 1 2 3 4", "save 1"),
            ("502 saved", "deliver 1#2, deliver 3#1"),
        ],
    );
}

#[test]
fn a_pause_outlives_the_node_and_deliveries_after_it_are_remembered() {
    check(
        SETTINGS,
        "fetch deliver save",
        &[
            ("0 tick", "fetch 1+8, save 1"),
            ("1 page 1 4 1 2 3", "fetch 4+5"),
            ("2 pause", ""),
            ("3 saved", "save 1 sealed"),
            ("4 page 4 4", ""),
            ("5 appended", ""),
            // The sealed snapshot may be on disk already, and it knows of no deliveries.
            ("6 resume", "fetch 4+5"),
            ("7 saved", "save 1"),
            ("8 saved", "deliver 1#1, deliver 2#1"),
            ("9 pause", "save 1"),
            ("10 saved", ""),
            ("11 done 1", ""),
            ("12 done 2", ""),
            ("111 tick", "save 3 sealed"),
            ("112 saved", ""),
            ("113 crash", ""),
            ("114 resume", "fetch 3+8, save 3"),
            ("115 page 3 4 3", "fetch 4+7"),
            ("116 saved", "deliver 3#1"),
        ],
    );
}

#[test]
fn a_seek_skips_or_begins_a_generation() {
    let stats = check(
        SETTINGS,
        "fetch deliver save",
        &[
            ("0 tick", "fetch 1+8, save 1"),
            ("1 page 1 6 1a 2a 3 4a 5", "fetch 6+3"),
            ("2 saved", "deliver 1#1, deliver 3#1"),
            ("3 page 6 6", ""),
            ("4 seek 4", "fetch 6+6, save 4"),
            ("5 saved", ""),
            // The first two still take the places, and the key.
            ("6 done 3", "deliver 5#1"),
            ("7 done 1", "deliver 4#1"),
            ("8 retry 5 9000", ""),
            ("9 seek 2", "fetch 2+8, save 2"),
            ("10 saved", ""),
            ("11 page 2 6 2a 3 4a 5", "deliver 3#1'2, fetch 6+4"),
            ("12 done 4", "deliver 2#1'2"),
            ("13 done 2", "deliver 4#1'2"),
        ],
    );
    assert_eq!((stats.cursor, stats.generation, stats.counters.skipped), (3, 2, 3));
    assert_eq!(
        (stats.counters.delivered, stats.in_flight),
        (1, 2),
        "answers of the old generation do not count"
    );
}

#[test]
fn old_records_are_given_up_when_they_fail_or_are_due() {
    check(
        Settings { age_ms: Some(1000), ..SETTINGS },
        "deliver dead",
        &[
            ("0 tick", ""),
            ("1 page 1 4 1 2 3", ""),
            ("500 saved", "deliver 1#1, deliver 2#1"),
            ("900 retry 1 200", "deliver 3#1"),
            ("1001 retry 2", "dead 2#1 Age 1"),
            ("1100 tick", "dead 1#1 Age 1"),
            ("1200 done 3", ""),
        ],
    );
}

#[test]
fn a_rate_spreads_deliveries() {
    check(
        Settings { rate: Some(Rate { events: 1, interval_ms: 100 }), ..SETTINGS },
        "deliver wake",
        &[
            ("0 tick", ""),
            ("1 page 1 4 1 2 3", ""),
            ("2 saved", "deliver 1#1, wake 102"),
            ("3 done 1", ""),
            ("103 tick", "deliver 2#1, wake 203"),
            ("104 done 2", ""),
            ("203 tick", "deliver 3#1"),
        ],
    );
}

#[test]
fn times_follow_a_clock_that_goes_back() {
    check(
        SETTINGS,
        "deliver wake",
        &[
            ("9000000 tick", ""),
            ("9000001 page 1 3 1 2", ""),
            ("9000002 saved", "deliver 1#1, deliver 2#1"),
            ("9000003 retry 1 5000", "wake 9000103"),
            ("9000103 tick", "wake 9005003"),
            ("9000104 saved", ""),
            // Back by an hour: four seconds and a bit are still to go.
            ("5400204 tick", "wake 5405103"),
            // Half a second back is no time; a tick that is too early asks again.
            ("5399904 tick", "wake 5405103"),
            ("5405103 tick", "deliver 1#2"),
            // Forward by an hour: a retry comes early.
            ("5405104 retry 2 5000", "wake 5405204"),
            ("9005104 tick", ""),
            ("9005105 saved", "deliver 2#2"),
        ],
    );
}

#[test]
fn settings_can_change_while_records_wait() {
    check(
        SETTINGS,
        "deliver dead",
        &[
            ("0 tick", ""),
            ("1 page 1 3 1a 2a", ""),
            ("2 saved", "deliver 1#1"),
            ("3 retry 1 5000", ""),
            ("103 tick", ""),
            ("104 saved", ""),
            ("105 attempts 1", ""),
            ("5003 tick", "dead 1#1 Attempts 1"),
            ("5004 buried 1", "deliver 2#1"),
        ],
    );
}

/// Feeds a machine of the usual size with `records`, answers everything at once with `outcome`, and returns
/// the snapshots and the number of deliveries.
fn flow(records: u64, time_ms: impl Fn(u64) -> u64, outcome: Outcome) -> (Vec<Snapshot>, u64) {
    let settings = Settings { backoff_min_ms: 100_000, backoff_max_ms: 100_000, ..Settings::default() };
    let mut machine = Machine::new(1, settings, Bounds::default(), 1, 0);
    let (mut snapshots, mut deliveries, mut effects, mut todo) = (Vec::new(), 0, Vec::new(), Vec::new());
    machine.step(Input::Tick, 0, &mut todo);
    while let Some(effect) = todo.pop() {
        let now_ms = time_ms(deliveries);
        match effect {
            Effect::Fetch { from, records: most } => {
                let last = (from + most as u64).min(records + 1);
                let wanted =
                    |sequence: u64| if sequence.is_multiple_of(2) { Wanted::Skip } else { Wanted::Deliver };
                let page: Vec<Candidate> = (from..last)
                    .map(|sequence| Candidate { sequence, time_ms: 0, key: None, wanted: wanted(sequence) })
                    .collect();
                machine.step(Input::Fetched { from, records: &page, next: last }, now_ms, &mut effects);
            }
            Effect::Deliver(delivery) => {
                deliveries += 1;
                machine.step(Input::Delivered { delivery, outcome }, now_ms, &mut effects);
            }
            Effect::Save(snapshot) => {
                let version = snapshot.version;
                snapshots.push(*snapshot);
                machine.step(Input::Saved { version }, now_ms, &mut effects);
            }
            Effect::DeadLetter { .. } | Effect::WakeAt(_) => {}
        }
        todo.append(&mut effects);
    }
    machine.step(Input::Tick, time_ms(deliveries) + 100, &mut effects);
    for effect in effects {
        if let Effect::Save(snapshot) = effect {
            snapshots.push(*snapshot);
        }
    }
    (snapshots, deliveries)
}

#[test]
fn saves_are_rare_when_much_is_delivered() {
    let (snapshots, deliveries) = flow(20_000, |_| 0, Outcome::Done);
    assert_eq!(deliveries, 10_000);
    assert!(snapshots.len() <= 25, "{} saves for 20,000 settled records", snapshots.len());
    // Ten deliveries in a millisecond: a save each 100 ms would be ten.
    let (snapshots, _) = flow(20_000, |deliveries| deliveries / 10, Outcome::Done);
    assert!(snapshots.len() <= 30, "{} saves in a second", snapshots.len());
}

#[test]
fn the_largest_snapshot_is_small() {
    let now_ms = 1_800_000_000_000;
    let (snapshots, _) = flow(20_000, |_| now_ms, Outcome::Retry { after_ms: None });
    let last = snapshots.last().unwrap();
    assert!(last.waiting.len() > 9000 && last.done.len() > 9000, "every second record waits");
    let text = serde_json::to_string(last).unwrap();
    assert!(text.len() < 1 << 20, "{} bytes", text.len());
    assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), *last);
}
