//! Expressions with their next times, their words, and the messages for those that are wrong.

use super::{Expression, Schedule};
use crate::code::Code;
use crate::limit::SCHEDULE_BYTES_MAX;
use jiff::Timestamp;

fn ms(text: &str) -> u64 {
    let time: Timestamp = text.parse().unwrap();
    time.as_millisecond().try_into().unwrap()
}

/// A time as the schedule's clock shows it, without seconds that are 0.
fn show(schedule: &Schedule, at_ms: u64) -> String {
    let time = Timestamp::from_millisecond(at_ms.try_into().unwrap()).unwrap();
    let time = time.to_zoned_datetime(schedule.zone().clone());
    let form = if time.second() == 0 { "%Y-%m-%dT%H:%M%:z" } else { "%Y-%m-%dT%H:%M:%S%:z" };
    time.strftime(form).to_string().replace("+00:00", "Z")
}

/// Compares the next times with those expected, separated by spaces; `-` is none. The schedule is created at
/// `after`. The way back is compared too.
fn check(zone: &str, table: &[(&str, &str, &str)]) {
    for (expression, after, expected) in table {
        let schedule = Schedule::new(expression, zone).unwrap_or_else(|fault| panic!("{fault}"));
        let anchor_ms = ms(after);
        let mut found = Vec::new();
        let mut at_ms = anchor_ms;
        for _ in expected.split(' ') {
            let Some(next_ms) = schedule.next_after(at_ms, anchor_ms) else {
                found.push("-".to_owned());
                break;
            };
            found.push(show(&schedule, next_ms));
            assert_eq!(schedule.last_until(next_ms, anchor_ms), Some(next_ms), "{expression} back");
            let before_ms = schedule.last_until(next_ms - 1, anchor_ms);
            assert!(before_ms.is_none_or(|before_ms| before_ms <= at_ms), "{expression} skips one");
            assert!(at_ms == anchor_ms || before_ms == Some(at_ms), "{expression} back from {next_ms}");
            at_ms = next_ms;
        }
        assert_eq!(found.join(" "), *expected, "{expression} in {zone} after {after}");
    }
}

#[test]
fn a_skipped_time_runs_at_the_jump_and_a_repeated_one_the_first_time() {
    check(
        "Europe/London",
        &[
            ("30 1 * * *", "2026-03-28T12:00:00Z", "2026-03-29T02:00+01:00 2026-03-30T01:30+01:00"),
            (
                "*/20 1 * * *",
                "2026-03-28T12:00:00Z",
                "2026-03-29T02:00+01:00 2026-03-30T01:00+01:00 2026-03-30T01:20+01:00",
            ),
            ("0 1,2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T02:00+01:00 2026-03-30T01:00+01:00"),
            ("30 1 * * *", "2026-10-24T12:00:00Z", "2026-10-25T01:30+01:00 2026-10-26T01:30Z"),
            ("15,45 1 * * *", "2026-10-25T00:50:00Z", "2026-10-26T01:15Z"),
            ("15,45 1 * * *", "2026-10-25T00:20:00Z", "2026-10-25T01:45+01:00 2026-10-26T01:15Z"),
            ("@at 2026-03-29T01:30:00", "2026-01-01T00:00:00Z", "2026-03-29T02:00+01:00 -"),
            ("at(2026-10-25T01:30:00)", "2026-01-01T00:00:00Z", "2026-10-25T01:30+01:00 -"),
        ],
    );
    check(
        "America/New_York",
        &[
            ("30 2 * * *", "2026-03-08T00:00:00Z", "2026-03-08T03:00-04:00 2026-03-09T02:30-04:00"),
            ("30 2 8 3 *", "2026-03-08T00:00:00Z", "2026-03-08T03:00-04:00 2027-03-08T02:30-05:00"),
            (
                "0 */2 * * *",
                "2026-03-08T04:00:00Z",
                "2026-03-08T00:00-05:00 2026-03-08T03:00-04:00 2026-03-08T04:00-04:00",
            ),
            ("0 1 * * *", "2026-11-01T00:00:00Z", "2026-11-01T01:00-04:00 2026-11-02T01:00-05:00"),
        ],
    );
    check(
        "Australia/Lord_Howe",
        &[
            ("15 2 * * *", "2026-10-03T00:00:00Z", "2026-10-04T02:30+11:00 2026-10-05T02:15+11:00"),
            ("45 1 * * *", "2026-04-04T00:00:00Z", "2026-04-05T01:45+11:00 2026-04-06T01:45+10:30"),
        ],
    );
    // A whole day was skipped when the date line moved.
    let apia = "2011-12-31T00:00+14:00 2011-12-31T03:00+14:00 2012-01-01T03:00+14:00";
    check("Pacific/Apia", &[("0 3 * * *", "2011-12-29T20:00:00Z", apia)]);
}

#[test]
fn what_runs_in_every_hour_follows_the_time_that_passes() {
    check(
        "Europe/London",
        &[
            ("30 * * * *", "2026-03-29T00:00:00Z", "2026-03-29T00:30Z 2026-03-29T02:30+01:00"),
            (
                "30 * * * *",
                "2026-10-24T23:45:00Z",
                "2026-10-25T01:30+01:00 2026-10-25T01:30Z 2026-10-25T02:30Z",
            ),
            ("59 * 25 10 *", "2026-10-25T00:00:00Z", "2026-10-25T01:59+01:00 2026-10-25T01:59Z"),
        ],
    );
    check(
        "America/New_York",
        &[(
            "0 0-23 * * *",
            "2026-11-01T04:30:00Z",
            "2026-11-01T01:00-04:00 2026-11-01T01:00-05:00 2026-11-01T02:00-05:00",
        )],
    );
    check(
        "Australia/Lord_Howe",
        &[
            (
                "45 * * * *",
                "2026-04-04T14:00:00Z",
                "2026-04-05T01:45+11:00 2026-04-05T01:45+10:30 2026-04-05T02:45+10:30",
            ),
            ("15 * * * *", "2026-10-03T15:00:00Z", "2026-10-04T03:15+11:00"),
        ],
    );
    // A clock that goes back over midnight shows the end of a day again, or the beginning of the next.
    let end = "2019-02-16T23:30-02:00 2019-02-16T23:30-03:00 2020-02-16T00:30-03:00";
    check("America/Sao_Paulo", &[("30 * 16 2 *", "2019-02-17T01:00:00Z", end)]);
    let beginning = "2010-11-07T00:00-02:30 2010-11-07T00:00-03:30 2010-11-07T01:00-03:30";
    check("America/St_Johns", &[("0 * 7 11 *", "2010-11-07T02:00:00Z", beginning)]);
    check("Asia/Kathmandu", &[("0 * * * *", "2026-01-01T00:00:00Z", "2026-01-01T06:00+05:45")]);
}

#[test]
fn crontab_lines_with_five_and_six_fields() {
    check(
        "UTC",
        &[
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00Z 2032-02-29T00:00Z"),
            ("0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00Z"),
            ("0 0 31 * *", "2026-01-31T00:00:00Z", "2026-03-31T00:00Z 2026-05-31T00:00Z 2026-07-31T00:00Z"),
            ("59 23 31 12 *", "2026-11-25T00:00:00Z", "2026-12-31T23:59Z 2027-12-31T23:59Z"),
            ("0 0 13 * FRI", "2026-04-10T00:00:00Z", "2026-04-13T00:00Z 2026-04-17T00:00Z"),
            (
                "0 0 */2 * MON",
                "2026-02-01T00:00:00Z",
                "2026-02-02T00:00Z 2026-02-03T00:00Z 2026-02-05T00:00Z",
            ),
            ("0 0 ? * mon", "2026-11-25T00:00:00Z", "2026-11-30T00:00Z 2026-12-07T00:00Z"),
            ("0 0 * * 7", "2026-11-25T00:00:00Z", "2026-11-29T00:00Z 2026-12-06T00:00Z"),
            ("0 0 * * 0", "2026-11-25T00:00:00Z", "2026-11-29T00:00Z 2026-12-06T00:00Z"),
            ("0 0 * * 5-7", "2026-11-25T00:00:00Z", "2026-11-27T00:00Z 2026-11-28T00:00Z 2026-11-29T00:00Z"),
            (
                "0 9 * * FRI-MON",
                "2026-11-28T12:00:00Z",
                "2026-11-29T09:00Z 2026-11-30T09:00Z 2026-12-04T09:00Z",
            ),
            (
                "0 22-1/2 * * *",
                "2026-11-25T12:00:00Z",
                "2026-11-25T22:00Z 2026-11-26T00:00Z 2026-11-26T22:00Z",
            ),
            (
                "0 0 1 NOV-FEB *",
                "2026-12-25T00:00:00Z",
                "2027-01-01T00:00Z 2027-02-01T00:00Z 2027-11-01T00:00Z",
            ),
            ("5/25 3 * * *", "2026-11-25T00:00:00Z", "2026-11-25T03:05Z 2026-11-25T03:30Z 2026-11-25T03:55Z"),
            ("10-30/10,45 3 * * *", "2026-11-25T03:20:00Z", "2026-11-25T03:30Z 2026-11-25T03:45Z"),
            ("0 0 12 * * 2", "2026-11-25T00:00:00Z", "2026-12-01T12:00Z"),
            (
                "*/20 * * * * *",
                "2026-11-25T00:00:05Z",
                "2026-11-25T00:00:20Z 2026-11-25T00:00:40Z 2026-11-25T00:01Z",
            ),
            ("1/30 * * * * *", "2026-11-25T00:00:05.5Z", "2026-11-25T00:00:31Z 2026-11-25T00:01:01Z"),
        ],
    );
    check("Asia/Kathmandu", &[("0 0 * * *", "2026-01-01T00:00:00Z", "2026-01-02T00:00+05:45")]);
}

#[test]
fn aws_and_quartz_with_days_counted_from_an_end() {
    check(
        "UTC",
        &[
            ("cron(0 10 L * ? *)", "2028-02-01T00:00:00Z", "2028-02-29T10:00Z 2028-03-31T10:00Z"),
            ("cron(0 10 L-3 * ? *)", "2026-02-01T00:00:00Z", "2026-02-25T10:00Z 2026-03-28T10:00Z"),
            ("cron(0 8 1W * ? *)", "2026-07-31T12:00:00Z", "2026-08-03T08:00Z 2026-09-01T08:00Z"),
            ("cron(0 8 31W * ? *)", "2026-05-01T00:00:00Z", "2026-05-29T08:00Z 2026-07-31T08:00Z"),
            ("cron(0 8 LW * ? *)", "2026-05-01T00:00:00Z", "2026-05-29T08:00Z 2026-06-30T08:00Z"),
            ("cron(0 8 ? * 6L *)", "2026-05-01T00:00:00Z", "2026-05-29T08:00Z 2026-06-26T08:00Z"),
            ("cron(0 8 ? * FRIL *)", "2026-05-01T00:00:00Z", "2026-05-29T08:00Z 2026-06-26T08:00Z"),
            ("cron(0 8 ? * TUE#2 *)", "2026-05-01T00:00:00Z", "2026-05-12T08:00Z 2026-06-09T08:00Z"),
            ("cron(0 8 ? * 1#5 *)", "2026-05-01T00:00:00Z", "2026-05-31T08:00Z 2026-08-30T08:00Z"),
            ("cron(0 8 ? * L *)", "2026-05-01T00:00:00Z", "2026-05-02T08:00Z 2026-05-09T08:00Z"),
            (
                "cron(0 8 1,15,L * ? *)",
                "2026-05-02T00:00:00Z",
                "2026-05-15T08:00Z 2026-05-31T08:00Z 2026-06-01T08:00Z",
            ),
            ("cron(15 10 ? * 2-6 2027)", "2026-11-25T00:00:00Z", "2027-01-01T10:15Z 2027-01-04T10:15Z"),
            ("cron(15 10 1 1 ? 2026,2030)", "2026-06-01T00:00:00Z", "2030-01-01T10:15Z -"),
            (
                "cron(0 0 1 1 ? 2028-2199/100)",
                "2026-06-01T00:00:00Z",
                "2028-01-01T00:00Z 2128-01-01T00:00Z -",
            ),
            ("0 0 12 ? * 2", "2026-11-25T00:00:00Z", "2026-11-30T12:00Z"),
            ("0 0 12 ? * MON#1", "2026-11-25T00:00:00Z", "2026-12-07T12:00Z"),
            (
                "0 0 12 1/15 * ? 2027",
                "2026-11-25T00:00:00Z",
                "2027-01-01T12:00Z 2027-01-16T12:00Z 2027-01-31T12:00Z",
            ),
        ],
    );
}

#[test]
fn macros_steps_and_single_moments() {
    check(
        "UTC",
        &[
            ("@yearly", "2026-11-25T00:00:00Z", "2027-01-01T00:00Z"),
            ("@annually", "2026-11-25T00:00:00Z", "2027-01-01T00:00Z"),
            ("@monthly", "2026-11-25T00:00:00Z", "2026-12-01T00:00Z"),
            ("@weekly", "2026-11-25T00:00:00Z", "2026-11-29T00:00Z"),
            ("@Daily", "2026-11-25T00:00:00Z", "2026-11-26T00:00Z"),
            ("@midnight", "2026-11-25T00:00:00Z", "2026-11-26T00:00Z"),
            ("@hourly", "2026-11-25T00:00:00Z", "2026-11-25T01:00Z"),
            ("@every 1h30m", "2026-11-25T00:10:00Z", "2026-11-25T01:40Z 2026-11-25T03:10Z"),
            ("@every 1m30s", "2026-11-25T00:00:00Z", "2026-11-25T00:01:30Z 2026-11-25T00:03Z"),
            ("rate(5 minutes)", "2026-11-25T00:00:00Z", "2026-11-25T00:05Z 2026-11-25T00:10Z"),
            ("rate(1 day)", "2026-11-25T00:00:00Z", "2026-11-26T00:00Z"),
            ("@at 2026-11-21T01:00:00+02:00", "2026-11-01T00:00:00Z", "2026-11-20T23:00Z -"),
            ("at(2026-11-21T01:00:00Z)", "2026-11-21T01:00:00Z", "-"),
            ("CRON_TZ=Asia/Kathmandu 0 0 * * *", "2026-01-01T00:00:00Z", "2026-01-02T00:00+05:45"),
            ("TZ=europe/london 0 3 * * *", "2026-07-01T00:00:00Z", "2026-07-01T03:00+01:00"),
        ],
    );
}

#[test]
fn steps_begin_one_step_after_the_schedule_was_created() {
    let schedule = Schedule::new("@every 10s", "UTC").unwrap();
    for (at_ms, last_ms, next_ms) in
        [(0, None, 15_500), (5500, None, 15_500), (15_499, None, 15_500), (15_500, Some(15_500), 25_500)]
    {
        assert_eq!(schedule.last_until(at_ms, 5500), last_ms, "{at_ms}");
        assert_eq!(schedule.next_after(at_ms, 5500), Some(next_ms), "{at_ms}");
    }
    // Times that no calendar has are no reason to fail.
    for expression in ["@every 10s", "* * * * *", "0 3 * * *", "@at 9997-01-01T00:00:00Z"] {
        let schedule = Schedule::new(expression, "Europe/London").unwrap();
        assert_eq!(schedule.next_after(u64::MAX, 0), None, "{expression}");
        let _ = schedule.last_until(u64::MAX, 0);
    }
}

#[test]
fn expressions_in_plain_words() {
    for (expression, expected) in [
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("5,35 * * * *", "at minutes 5 and 35 of every hour"),
        ("0 * * * *", "every hour"),
        ("0 */2 * * *", "every 2 hours"),
        ("0 3 * * *", "at 03:00 every day"),
        ("30 3,15 * * 1-5", "at 03:30 and 15:30 on Monday to Friday"),
        ("0 9-17 * * MON-FRI", "at minute 0 of hours 9 to 17 on Monday to Friday"),
        ("*/10 9-17 * * *", "every 10 minutes of hours 9 to 17"),
        ("0 0 1 1 *", "at 00:00 on day 1 of the month in January"),
        ("0 0 13 * FRI", "at 00:00 on day 13 of the month or on Friday"),
        ("* * * * * *", "every second"),
        ("*/10 * * * * *", "every 10 seconds"),
        ("30 * * * * *", "at second 30 of every minute"),
        ("15 0 3 * * *", "at 03:00:15 every day"),
        ("0 0 * * SAT,SUN", "at 00:00 on Saturday and Sunday"),
        ("0 0 12 ? * 2", "at 12:00 on Monday"),
        ("0 0 12 * * 2", "at 12:00 on Tuesday"),
        ("cron(0 10 L * ? *)", "at 10:00 on the last day of the month"),
        ("cron(0 10 L-3 * ? 2027)", "at 10:00 on the day 3 days before the last day of the month in 2027"),
        (
            "cron(0 10 15W,LW * ? *)",
            "at 10:00 on the weekday nearest to day 15 of the month and the last weekday of the month",
        ),
        (
            "cron(0 8 ? * 6L,TUE#2 *)",
            "at 08:00 on the last Friday of the month and the second Tuesday of the month",
        ),
        ("@every 1h30m", "every 1h 30m"),
        ("rate(5 minutes)", "every 5m"),
        ("@at 2026-11-21T01:00:00", "once at 2026-11-21T01:00:00"),
        ("at(2026-11-21T01:00:00Z)", "once at 2026-11-21T01:00:00Z"),
        ("0 0 1 NOV-FEB *", "at 00:00 on day 1 of the month in January, February, November and December"),
        ("5 10-30 3 * * *", "at second 5 of minutes 10 to 30 of hour 3"),
        ("* 3 * * *", "every minute of hour 3"),
        ("30 * 3 * * *", "at second 30 of every minute of hour 3"),
        ("1-20 3 * * *", "at minutes 1 to 20 of hour 3"),
        (
            "0 1,3,5,7,9,11,13,15,17,19,21,23 * * *",
            "at minute 0 of hours 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21 and 23",
        ),
    ] {
        let read = Expression::parse(expression).unwrap();
        assert_eq!(read.describe(), expected, "{expression}");
        assert_eq!(read.to_string(), expression, "as it was written");
    }
}

/// Wrong expressions and what is said about them.
const WRONG: &[(&str, &str)] = &[
    ("", "the schedule is empty"),
    ("61 * * * *", "the minute of the schedule `61 * * * *` is `61`, but has to be 0-59"),
    ("* * * *", "the number of fields of the schedule `* * * *` is `4`, but has to be 5, 6 or 7"),
    ("0 24 * * *", "the hour of the schedule `0 24 * * *` is `24`, but has to be 0-23"),
    ("0 0 0 * *", "the day of the month of the schedule `0 0 0 * *` is `0`, but has to be 1-31"),
    ("0 0 1 13 *", "the month of the schedule `0 0 1 13 *` is `13`, but has to be 1-12 or JAN-DEC"),
    ("0 0 * * 8", "the weekday of the schedule `0 0 * * 8` is `8`, but has to be 0-7 or SUN-SAT"),
    ("0 0 * * MOM", "the weekday of the schedule `0 0 * * MOM` is `MOM`, but has to be 0-7 or SUN-SAT"),
    (
        "0 0 * JANUARY *",
        "the month of the schedule `0 0 * JANUARY *` is `JANUARY`, but has to be 1-12 or JAN-DEC",
    ),
    ("*/0 * * * *", "the step of the minute of the schedule `*/0 * * * *` is `0`, but has to be 1-60"),
    ("*/90 * * * *", "the step of the minute of the schedule `*/90 * * * *` is `90`, but has to be 1-60"),
    (
        "30-10 * * * *",
        "the minute of the schedule `30-10 * * * *` is `30-10`, but has to be a range that goes up, within 0-59",
    ),
    ("1,,2 * * * *", "the minute of the schedule `1,,2 * * * *` is empty, but has to be 0-59"),
    ("-1 * * * *", "the minute of the schedule `-1 * * * *` is `-1`, but has to be 0-59"),
    ("+1 * * * *", "the minute of the schedule `+1 * * * *` is `+1`, but has to be 0-59"),
    ("1- * * * *", "the minute of the schedule `1- * * * *` is `1-`, but has to be 0-59"),
    ("1/2/3 * * * *", "the step of the minute of the schedule `1/2/3 * * * *` is `2/3`, but has to be 1-60"),
    ("? * * * *", "the minute of the schedule `? * * * *` is `?`, but has to be 0-59"),
    (
        "0 3 L * *",
        "the day of the month of the schedule `0 3 L * *` is `L`, but `L`, `W` and `#` are for Quartz and AWS expressions",
    ),
    (
        "0 3 15W * *",
        "the day of the month of the schedule `0 3 15W * *` is `15W`, but `L`, `W` and `#` are for Quartz and AWS expressions",
    ),
    (
        "0 3 * * 5L",
        "the weekday of the schedule `0 3 * * 5L` is `5L`, but `L`, `W` and `#` are for Quartz and AWS expressions",
    ),
    (
        "0 3 * * MON#1",
        "the weekday of the schedule `0 3 * * MON#1` is `MON#1`, but `L`, `W` and `#` are for Quartz and AWS expressions",
    ),
    ("0 0 31 2 *", "the schedule `0 0 31 2 *` never runs: no month and year it names has that day"),
    ("0 0 30 2,2 *", "the schedule `0 0 30 2,2 *` never runs: no month and year it names has that day"),
    (
        "0 0 31 4,6,9,11 *",
        "the schedule `0 0 31 4,6,9,11 *` never runs: no month and year it names has that day",
    ),
    (
        "cron(0 0 29 2 ? 2027)",
        "the schedule `cron(0 0 29 2 ? 2027)` never runs: no month and year it names has that day",
    ),
    ("cron(0 10 * * *)", "the number of fields of the schedule `cron(0 10 * * *)` is `5`, but has to be 6"),
    (
        "cron(0 10 * * * *)",
        "the number of `?` in the day fields of the schedule `cron(0 10 * * * *)` is `0`, but has to be 1",
    ),
    (
        "cron(0 10 ? * ? *)",
        "the number of `?` in the day fields of the schedule `cron(0 10 ? * ? *)` is `2`, but has to be 1",
    ),
    (
        "cron(0 10 L-31 * ? *)",
        "the day of the month of the schedule `cron(0 10 L-31 * ? *)` is `L-31`, but has to be `L`, `L-1` to `L-30`, `LW` or `15W`",
    ),
    (
        "cron(0 10 0W * ? *)",
        "the day of the month of the schedule `cron(0 10 0W * ? *)` is `0`, but has to be 1-31",
    ),
    (
        "cron(0 10 ? * 0 *)",
        "the weekday of the schedule `cron(0 10 ? * 0 *)` is `0`, but has to be 1-7 or SUN-SAT",
    ),
    (
        "cron(0 10 ? * 2#6 *)",
        "the number after `#` in the weekday of the schedule `cron(0 10 ? * 2#6 *)` is `2#6`, but has to be 1-5",
    ),
    (
        "cron(0 10 1 * ? 1969)",
        "the year of the schedule `cron(0 10 1 * ? 1969)` is `1969`, but has to be 1970-2199",
    ),
    (
        "cron(0 10 1 * ? 2027",
        "the schedule `cron(0 10 1 * ? 2027` is none of `cron(…)`, `rate(…)` and `at(…)`",
    ),
    (
        "0 0 12 * * * 2027",
        "the number of `?` in the day fields of the schedule `0 0 12 * * * 2027` is `0`, but has to be 1",
    ),
    ("@dialy", "`@dialy` is not the name of a schedule"),
    ("@reboot", "`@reboot` is not the name of a schedule"),
    ("@every", "the time of the schedule `@every` is missing"),
    (
        "@every 5",
        "the time of the schedule `@every 5` is `5`, but has to be numbers with `s`, `m`, `h` or `d`",
    ),
    ("@every 500ms", "the time of the schedule `@every 500ms` is `500ms`, but has to be from 1s to 36500d"),
    (
        "@every 1h-30m",
        "the time of the schedule `@every 1h-30m` is `1h-30m`, but has to be numbers with `s`, `m`, `h` or `d`",
    ),
    (
        "@every 99999d",
        "the time of the schedule `@every 99999d` is `99999d`, but has to be from 1s to 36500d",
    ),
    (
        "rate(0 minutes)",
        "the rate of the schedule `rate(0 minutes)` is `0 minutes`, but has to be a number from 1 and `minutes`, `hours` or `days` (36500 days at most)",
    ),
    (
        "rate(5 weeks)",
        "the rate of the schedule `rate(5 weeks)` is `5 weeks`, but has to be a number from 1 and `minutes`, `hours` or `days` (36500 days at most)",
    ),
    (
        "rate(5)",
        "the rate of the schedule `rate(5)` is `5`, but has to be a number from 1 and `minutes`, `hours` or `days` (36500 days at most)",
    ),
    (
        "@at",
        "the moment of the schedule `@at` has to be a date and a time in whole seconds, from 1970 to 9998",
    ),
    (
        "@at tomorrow",
        "the moment of the schedule `@at tomorrow` has to be a date and a time in whole seconds, from 1970 to 9998",
    ),
    (
        "at(2026-02-30T01:00:00)",
        "the moment of the schedule `at(2026-02-30T01:00:00)` has to be a date and a time in whole seconds, from 1970 to 9998",
    ),
    (
        "at(2026-02-20T01:00:00.5)",
        "the moment of the schedule `at(2026-02-20T01:00:00.5)` has to be a date and a time in whole seconds, from 1970 to 9998",
    ),
    (
        "at(1960-02-20T01:00:00)",
        "the moment of the schedule `at(1960-02-20T01:00:00)` has to be a date and a time in whole seconds, from 1970 to 9998",
    ),
    (
        "@at 2026-11-21T01:00:00[Europe/London]",
        "the moment of the schedule `@at 2026-11-21T01:00:00[Europe/London]` has to be a date and a time in whole seconds, from 1970 to 9998",
    ),
    ("TZ=UTC", "the schedule is empty"),
    ("é * * * *", "the minute of the schedule `é * * * *` is `é`, but has to be 0-59"),
    ("99999999 * * * *", "the minute of the schedule `99999999 * * * *` is `99999999`, but has to be 0-59"),
    ("0 0 * * MON-", "the weekday of the schedule `0 0 * * MON-` is `MON-`, but has to be 0-7 or SUN-SAT"),
];

#[test]
fn wrong_expressions_say_what_is_wrong_and_how_it_is_right() {
    for (expression, expected) in WRONG {
        let fault = Expression::parse(expression).unwrap_err();
        assert_eq!(fault.code(), Code::ScheduleInvalid);
        assert_eq!(fault.message(), *expected, "{expression}");
        let hint = fault.hint_text().unwrap();
        let example = hint.strip_prefix('`').and_then(|hint| hint.split('`').next());
        assert!(example.is_none_or(|example| Expression::parse(example).is_ok()), "the example in `{hint}`");
    }
    for (expression, hint) in [
        ("61 * * * *", "`30 3 * * MON-FRI` runs at 03:30 from Monday to Friday"),
        ("0 0 * * MOM", "did you mean `MON`?"),
        ("0 0 * JANUARY *", "did you mean `JAN`?"),
        ("30-10 * * * *", "write `30-59,0-10`"),
        ("0 3 L * *", "`cron(30 3 L * ? *)` runs at 03:30 on the last day of each month"),
        ("@dialy", "did you mean `@daily`?"),
    ] {
        assert_eq!(Expression::parse(expression).unwrap_err().hint_text(), Some(hint), "{expression}");
    }
    let long = format!("0 0 * * {}", "1,".repeat(SCHEDULE_BYTES_MAX / 2));
    assert_eq!(Expression::parse(&long).unwrap_err().message(), "a schedule has 264 bytes, but may have 256");
}

#[test]
fn a_wrong_time_zone_gets_the_one_that_was_meant() {
    for (expression, zone, expected) in [
        ("@daily", "Europe/Lodnon", "there is no time zone `Europe/Lodnon` | did you mean `Europe/London`?"),
        ("@daily", "New York", "there is no time zone `New York` | did you mean `America/New_York`?"),
        ("@daily", "", "there is no time zone `` | write an IANA name such as `Europe/London`, or `UTC`"),
        (
            "@daily",
            "Etc/Unknown",
            "there is no time zone `Etc/Unknown` | write an IANA name such as `Europe/London`, or `UTC`",
        ),
        (
            "CRON_TZ=Mars/Base @daily",
            "UTC",
            "there is no time zone `Mars/Base` | write an IANA name such as `Europe/London`, or `UTC`",
        ),
        (
            "CRON_TZ=Europe/London @daily",
            "Asia/Tokyo",
            "the schedule `CRON_TZ=Europe/London @daily` has a second time zone `Asia/Tokyo` | name the time zone in one of the two places",
        ),
    ] {
        let fault = Schedule::new(expression, zone).unwrap_err();
        assert_eq!(fault.code(), Code::ScheduleInvalid);
        assert_eq!(format!("{} | {}", fault.message(), fault.hint_text().unwrap()), expected);
    }
    let both = Schedule::new("CRON_TZ=europe/london @daily", "Europe/London").unwrap();
    assert_eq!(
        (both.zone_name(), both.describe().as_str()),
        ("Europe/London", "at 00:00 every day (Europe/London)")
    );
}
