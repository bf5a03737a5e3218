//! The search against a walk through every minute of two years, with random expressions.

use super::super::Schedule;
use crate::random::Random;
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// 2026-01-01T00:00:00Z.
const START_S: i64 = 1_767_225_600;
const MINUTES: usize = 2 * 365 * 24 * 60;

/// A minute as a clock in the zone shows it.
#[derive(Clone, Copy)]
struct Minute {
    /// Local minutes since 1970.
    local: i64,
    minute: u8,
    hour: u8,
    day: u8,
    month: u8,
    weekday: u8,
}

fn minute(local: i64) -> Minute {
    let time = TimeZone::UTC.to_datetime(Timestamp::from_second(local * 60).unwrap());
    Minute {
        local,
        minute: time.minute().unsigned_abs(),
        hour: time.hour().unsigned_abs(),
        day: time.day().unsigned_abs(),
        month: time.month().unsigned_abs(),
        weekday: time.weekday().to_sunday_zero_offset().unsigned_abs(),
    }
}

/// What the clock of a zone shows at each minute.
fn walk(zone: &str) -> Vec<Minute> {
    let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
    let mut minutes = Vec::with_capacity(MINUTES);
    for passed in 0..i64::try_from(MINUTES).unwrap() {
        let second = START_S + passed * 60;
        let offset = zone.to_offset(Timestamp::from_second(second).unwrap());
        let local = (second + i64::from(offset.seconds())) / 60;
        let next: Option<&Minute> = minutes.last();
        minutes.push(match next {
            // Within an hour only the minute changes: the calendar is asked once an hour.
            Some(last) if last.local + 1 == local && last.minute < 59 => {
                Minute { local, minute: last.minute + 1, ..*last }
            }
            _ => minute(local),
        });
    }
    minutes
}

/// An expression as sets that were chosen before it was written down.
struct Chosen {
    text: String,
    minutes: u64,
    hours: u64,
    days: Option<u64>,
    months: u64,
    weekdays: Option<u64>,
}

impl Chosen {
    fn random(random: &mut Random) -> Chosen {
        let (minute, minutes) = field(random, 0, 59, 40);
        let (hour, hours) = field(random, 0, 23, 40);
        let (day, days) = field(random, 1, 31, 60);
        let (month, months) = field(random, 1, 12, 70);
        let (weekday, weekdays) = field(random, 0, 6, 60);
        let restricts = |text: &str, set: u64| (text != "*").then_some(set);
        Chosen {
            text: format!("{minute} {hour} {day} {month} {weekday}"),
            days: restricts(&day, days),
            weekdays: restricts(&weekday, weekdays),
            minutes,
            hours,
            months,
        }
    }

    fn matches(&self, at: Minute) -> bool {
        let has = |set: u64, value: u8| set >> value & 1 == 1;
        if !has(self.minutes, at.minute) || !has(self.hours, at.hour) || !has(self.months, at.month) {
            return false;
        }
        match (self.days, self.weekdays) {
            (Some(days), Some(weekdays)) => has(days, at.day) || has(weekdays, at.weekday),
            (Some(days), None) => has(days, at.day),
            (None, Some(weekdays)) => has(weekdays, at.weekday),
            (None, None) => true,
        }
    }

    /// The minutes at which it is due, by the two rules of this module told in another way: by what the
    /// clock shows each minute, and by what it newly reaches each minute.
    fn due(&self, minutes: &[Minute]) -> Vec<usize> {
        let mut due = Vec::new();
        let mut reached = minutes[0].local - 1;
        for (passed, at) in minutes.iter().enumerate() {
            let as_shown = self.hours.count_ones() == 24 || at.local == reached + 1;
            let newly_reached = || (reached + 1..=at.local).any(|local| self.matches(minute(local)));
            let now = if as_shown { self.matches(*at) } else { newly_reached() };
            reached = reached.max(at.local);
            if now {
                due.push(passed);
            }
        }
        due
    }
}

fn pick(random: &mut Random, from: u8, to: u8) -> u8 {
    from + u8::try_from(random.below(u64::from(to - from) + 1)).unwrap()
}

/// A field and its values; `*` with the given chance in a hundred.
fn field(random: &mut Random, min: u8, max: u8, open: u64) -> (String, u64) {
    if random.below(100) < open {
        return ("*".to_owned(), (min..=max).fold(0, |set, value| set | 1 << value));
    }
    let (mut texts, mut values) = (Vec::new(), 0);
    for _ in 0..=random.below(3) {
        let (from, step) = (pick(random, min, max), pick(random, 1, 7.min(max - min + 1)));
        let to = pick(random, from, max);
        let (text, item): (String, Vec<u8>) = match random.below(4) {
            0 => (format!("*/{step}"), (min..=max).step_by(step.into()).collect()),
            1 => (format!("{from}-{to}"), (from..=to).collect()),
            2 => (format!("{from}-{to}/{step}"), (from..=to).step_by(step.into()).collect()),
            _ => (from.to_string(), vec![from]),
        };
        texts.push(text);
        values = item.iter().fold(values, |set, value| set | 1 << value);
    }
    // `*/1` alone leaves a field open, and is written as such in the table.
    if texts == ["*/1"] {
        return ("*".to_owned(), values);
    }
    (texts.join(","), values)
}

fn at_ms(passed: usize) -> u64 {
    u64::try_from(START_S + i64::try_from(passed).unwrap() * 60).unwrap() * 1000
}

/// Compares the runs of two years, and the way back from random moments.
fn check(zone: &str, seeds: std::ops::Range<u64>) {
    let minutes = walk(zone);
    for seed in seeds {
        let mut random = Random(seed);
        let chosen = Chosen::random(&mut random);
        let Ok(schedule) = Schedule::new(&chosen.text, zone) else {
            assert!(chosen.due(&minutes).is_empty(), "seed {seed}: `{}` is refused", chosen.text);
            continue;
        };
        let due = chosen.due(&minutes);
        let place = format!("seed {seed}: `{}` in {zone}", chosen.text);
        // Many runs a day are compared where the clock changes, and the others throughout.
        let dense = due.len() > 4000;
        let mut at = at_ms(0) - 1;
        for (index, passed) in due.iter().enumerate() {
            let near_change = || {
                let (from, to) = (passed.saturating_sub(200), (passed + 200).min(MINUTES - 1));
                minutes[to].local - minutes[from].local != i64::try_from(to - from).unwrap()
            };
            if !dense || index % 512 == 0 || near_change() {
                let before = index.checked_sub(1).map_or(at, |index| at_ms(due[index]));
                assert_eq!(schedule.next_after(before, 0), Some(at_ms(*passed)), "{place} after {before}");
                let last = schedule.last_until(at_ms(*passed) - 1, 0);
                assert!(index == 0 || last == Some(before), "{place} before {passed}: {last:?}");
            }
            at = at_ms(*passed);
        }
        let end = schedule.next_after(at, 0);
        assert!(end.is_none_or(|end| end >= at_ms(MINUTES)), "{place}: one more at {end:?}");
        for _ in 0..200 {
            let moment = usize::try_from(random.below(u64::try_from(MINUTES).unwrap())).unwrap();
            let index = due.partition_point(|passed| *passed <= moment);
            let until = at_ms(moment) + random.below(60_000);
            let (last, next) = (schedule.last_until(until, 0), schedule.next_after(until, 0));
            match index.checked_sub(1) {
                Some(index) => assert_eq!(last, Some(at_ms(due[index])), "{place} until {until}"),
                None => assert!(last.is_none_or(|last| last < at_ms(0)), "{place} until {until}"),
            }
            if let Some(passed) = due.get(index) {
                assert_eq!(next, Some(at_ms(*passed)), "{place} after {until}");
            }
        }
    }
}

#[test]
fn the_search_agrees_with_a_walk_through_every_minute() {
    for (zone, seeds) in [
        ("UTC", 0..10),
        ("Europe/London", 100..120),
        ("Australia/Lord_Howe", 200..220),
        ("America/New_York", 300..310),
    ] {
        check(zone, seeds);
    }
}
