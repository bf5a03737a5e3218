//! Sums lose nothing, stay bounded, and become days and then nothing.

use super::{By, Keep, Period, Rows, Usage, Whose, keep, mib_us, select};
use crate::limit::{USAGE_DAYS_KEPT, USAGE_HOURS_KEPT, USAGE_ROWS_MAX};
use crate::name::{AppName, FunctionName, RevisionNumber, TriggerName};
use crate::unit::millis;

fn whose(function: &str, revision: u32, trigger: &str) -> Whose {
    Whose {
        function: FunctionName::new(function).ok(),
        revision: (revision > 0).then_some(RevisionNumber(revision)),
        trigger: TriggerName::new(trigger).ok(),
    }
}

fn calls(invocations: u64) -> Usage {
    Usage { invocations, ..Usage::default() }
}

#[test]
fn memory_times_time_is_exact_for_whole_mebibytes_and_rounds_up_else() {
    for (memory_bytes, time_us, expected) in [
        (128 << 20, 1_000_000, 128_000_000),
        (128 << 20, 1, 128),
        (1, 1, 1),
        (0, 5, 0),
        (5, 0, 0),
        (4 << 30, u64::MAX, u64::MAX),
    ] {
        assert_eq!(mib_us(memory_bytes, time_us), expected, "{memory_bytes} × {time_us}");
    }
    let usage = Usage { mib_us: mib_us(2 << 30, 3_000_000), stored_kib_s: 3600 << 20, ..Usage::default() };
    assert_eq!((usage.gib_seconds(), usage.stored_gib_hours()), (6.0, 1.0));
}

#[test]
fn rows_are_bounded_and_no_count_is_lost() {
    let mut rows = Rows::default();
    let many = u32::try_from(USAGE_ROWS_MAX).unwrap() + 100;
    rows.add(&whose("first", 1, ""), &calls(1));
    for revision in 1..=many {
        rows.add(&whose("f", revision, "t"), &calls(1));
    }
    rows.add(&whose("first", 1, "late"), &calls(5));
    rows.add(&whose("f", 9, "t"), &Usage::default());
    let found: Vec<_> = rows.iter().collect();
    assert_eq!(found.len(), USAGE_ROWS_MAX + 1, "and the one for all others");
    assert_eq!(found[0], (&Whose::default(), &calls(101)));
    assert!(found.contains(&(&whose("first", 1, ""), &calls(6))), "its function's row is the nearest");
    assert_eq!(rows.iter().map(|(_, usage)| usage.invocations).sum::<u64>(), u64::from(many) + 6);

    let text = serde_json::to_string(&rows).unwrap();
    assert_eq!(serde_json::from_str::<Rows>(&text).unwrap(), rows);
    let mut twice = rows.clone();
    twice.merge(&rows);
    assert_eq!(twice.iter().map(|(_, usage)| usage.invocations).sum::<u64>(), 2 * (u64::from(many) + 6));
    let gained: Vec<_> =
        twice.iter().zip(rows.iter()).map(|((_, two), (_, one))| (two.since(one), *one)).collect();
    assert!(gained.iter().all(|(gained, one)| gained == one));
}

#[test]
fn hours_become_days_and_days_go() {
    let day = |n: u64| n * 24;
    let (hours, days) = (millis(USAGE_HOURS_KEPT), millis(USAGE_DAYS_KEPT));
    let ends = |period: Period| period.end_ms();
    for (period, now_ms, expected) in [
        (Period::Hour(day(100)), ends(Period::Day(100)) + hours - 1, Keep::AsIs),
        (Period::Hour(day(100)), ends(Period::Day(100)) + hours, Keep::InDay(Period::Day(100))),
        (Period::Hour(day(100) + 23), ends(Period::Day(100)) + hours, Keep::InDay(Period::Day(100))),
        (Period::Hour(day(101)), ends(Period::Day(100)) + hours, Keep::AsIs),
        (Period::Day(100), ends(Period::Day(100)) + hours, Keep::AsIs),
        (Period::Day(100), ends(Period::Day(100)) + days - 1, Keep::AsIs),
        (Period::Day(100), ends(Period::Day(100)) + days, Keep::Not),
        (Period::Hour(day(100)), ends(Period::Day(100)) + days, Keep::Not),
        (Period::Hour(day(100)), 0, Keep::AsIs),
    ] {
        assert_eq!(keep(period, now_ms), expected, "{period:?} at {now_ms}");
    }
}

#[test]
fn a_question_is_answered_from_whole_periods() {
    let desk = AppName::new("desk").unwrap();
    let rows = |n: u64| {
        Rows::from(vec![
            (whose("f", 1, ""), calls(n)),
            (whose("f", 2, "t"), calls(10 * n)),
            (whose("", 0, ""), calls(100 * n)),
        ])
    };
    let (first, second, third) = (rows(1), rows(2), rows(4));
    let entries = || {
        [
            (Period::Day(9), Some(&desk), &first),
            (Period::Hour(240), Some(&desk), &second),
            (Period::Hour(241), None, &third),
        ]
    };
    let hour = |n: u64| Period::Hour(n).start_ms();
    for (by, since_ms, until_ms, expected) in [
        ("", 0, u64::MAX, vec!["- - 444", "desk - 333"]),
        ("function", 0, u64::MAX, vec!["- - 400", "- f 44", "desk - 300", "desk f 33"]),
        ("revision", hour(240), hour(241), vec!["desk - 200", "desk r1 2", "desk r2 20"]),
        ("trigger", hour(240), u64::MAX, vec!["- - 404", "- t 40", "desk - 202", "desk t 20"]),
        ("hour", 0, u64::MAX, vec!["- @241 444", "desk @216 111", "desk @240 222"]),
        ("day", 0, u64::MAX, vec!["- @240 444", "desk @216 111", "desk @240 222"]),
        ("day, function", 0, hour(240), vec!["desk @216 - 100", "desk @216 f 11"]),
        ("", hour(241) + 5, u64::MAX, vec!["- - 444"]),
        ("", hour(300), u64::MAX, vec![]),
    ] {
        let sums = select(entries(), By::parse(by).unwrap(), since_ms, until_ms);
        let shown: Vec<String> = sums
            .iter()
            .map(|(part, usage)| {
                let app = part.app.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
                let mut words: Vec<String> = vec![app];
                words.extend(part.start_ms.map(|ms| format!("@{}", ms / 3_600_000)));
                let inner = part.whose.function.as_ref().map(ToString::to_string);
                let inner = inner.or_else(|| part.whose.revision.map(|number| format!("r{number}")));
                let inner = inner.or_else(|| part.whose.trigger.as_ref().map(ToString::to_string));
                let timed = part.start_ms.is_some() && !by.contains("function");
                words.extend(inner.or_else(|| (!timed).then(|| "-".to_owned())));
                words.push(usage.invocations.to_string());
                words.join(" ")
            })
            .collect();
        assert_eq!(shown, expected, "by `{by}` from {since_ms}");
    }
    let fault = By::parse("functon").unwrap_err();
    assert_eq!(fault.code().text(), "HOB-0704");
    assert!(fault.hint_text().unwrap().contains("`function`"));
}
