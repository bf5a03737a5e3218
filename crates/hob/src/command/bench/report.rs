//! The numbers of a load test, as they are written for programs and shown to people.

use crate::load::Slice;
use crate::load::tally::Tally;
use hob_core::compare::{Ratio, Verdict};
use hob_core::histogram::Histogram;
use hob_core::name::RevisionNumber;
use hob_core::unit::micros;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Share of a thread's time from which on the client itself is what limits.
pub(super) const SATURATED: f64 = 0.9;

/// What one target answered.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Report {
    /// What was measured.
    pub(super) target: String,
    /// Its address.
    pub(super) url: String,
    /// The revision, where two were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<RevisionNumber>,
    /// For how long, without the warm-up.
    pub(super) seconds: f64,
    /// Answers.
    pub(super) answers: u64,
    /// Answers in a second.
    pub(super) requests_per_second: f64,
    /// Errors, of whatever kind.
    pub(super) failed: u64,
    /// Latencies of all answers.
    pub(super) latency: Latency,
    /// Of those that waited for a start; absent: the node did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cold: Option<Latency>,
    /// Of those that did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warm: Option<Latency>,
    /// Where time went, by the node's own clock: means.
    pub(super) phases: Vec<Spent>,
    /// Answers by status.
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Errors by what they are.
    pub(super) errors: BTreeMap<String, u64>,
    /// Bytes of answers' bodies.
    pub(super) body_bytes: u64,
}

/// Latencies, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Latency {
    /// How many.
    pub(super) count: u64,
    pub(super) mean_us: u64,
    pub(super) p50_us: u64,
    pub(super) p90_us: u64,
    pub(super) p99_us: u64,
    pub(super) p999_us: u64,
    pub(super) max_us: u64,
}

/// What calls spent in a phase, microseconds on average.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Spent {
    /// Its name in `Server-Timing`.
    pub(super) phase: String,
    /// Of calls that waited for a start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cold_us: Option<f64>,
    /// Of the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warm_us: Option<f64>,
}

/// How the calls were made.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Maker {
    /// Connections.
    pub(super) connections: usize,
    /// Threads.
    pub(super) threads: usize,
    /// Calls in a second that were wanted; absent: closed loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rate: Option<f64>,
    /// Share of its time for which the busiest thread kept a processor: at 1 the client is what limits.
    pub(super) busy: f64,
    /// Whether that is so.
    pub(super) saturated: bool,
}

/// A whole load test.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Whole {
    #[serde(flatten)]
    pub(super) report: Report,
    pub(super) client: Maker,
    /// Whether somebody has ended it early.
    pub(super) interrupted: bool,
    /// Whether it ended because nobody answered any more.
    pub(super) gone: bool,
}

/// Two revisions.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) old: Report,
    pub(super) new: Report,
    /// Pairs of slices.
    pub(super) pairs: usize,
    /// The comparison of each number; empty: there were too few pairs to say anything.
    pub(super) compared: Vec<Compared>,
    pub(super) client: Maker,
    pub(super) interrupted: bool,
    pub(super) gone: bool,
}

/// One number of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Compared {
    /// Which.
    pub(super) number: &'static str,
    /// The new one's as a multiple of the old one's.
    pub(super) ratio: f64,
    /// The 95 % interval.
    pub(super) low: f64,
    pub(super) high: f64,
    /// `faster`, `slower`, or `same`: no difference can be told.
    pub(super) new_is: &'static str,
}

impl Report {
    /// Of what came back in that time.
    pub(super) fn of(tally: &Tally, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64();
        let timed = tally.cold.count() + tally.warm.count() > 0;
        let mean = |sum_ms: f64, calls: &Histogram| {
            (calls.count() > 0).then(|| sum_ms * 1000.0 / number(calls.count()))
        };
        let phases = tally.phases.iter().map(|phase| Spent {
            phase: phase.name.clone(),
            cold_us: mean(phase.cold_ms, &tally.cold),
            warm_us: mean(phase.warm_ms, &tally.warm),
        });
        Self {
            seconds,
            answers: tally.all.count(),
            requests_per_second: if seconds > 0.0 { number(tally.all.count()) / seconds } else { 0.0 },
            failed: tally.failed(),
            latency: Latency::of(&tally.all),
            cold: timed.then(|| Latency::of(&tally.cold)),
            warm: timed.then(|| Latency::of(&tally.warm)),
            phases: phases.collect(),
            statuses: tally.statuses.clone(),
            errors: tally.errors.clone(),
            body_bytes: tally.bytes,
            ..Self::default()
        }
    }
}

impl Latency {
    /// Of what was counted.
    pub(super) fn of(counted: &Histogram) -> Self {
        let at = |per_mille| micros(counted.quantile(per_mille));
        Self {
            count: counted.count(),
            mean_us: micros(counted.mean()),
            p50_us: at(500),
            p90_us: at(900),
            p99_us: at(990),
            p999_us: at(999),
            max_us: micros(counted.max()),
        }
    }
}

/// What is compared: its name, whether more of it is better, and its value in a slice of that length.
type Number = (&'static str, bool, fn(&Slice, f64) -> f64);

/// Calls in a second first: it says nothing where the rate was given.
const NUMBERS: [Number; 4] = [
    ("requests/s", true, |slice, seconds| number(slice.latency.count()) / seconds),
    ("mean", false, |slice, _| slice.latency.mean().as_secs_f64()),
    ("p50", false, |slice, _| slice.latency.quantile(500).as_secs_f64()),
    ("p99", false, |slice, _| slice.latency.quantile(990).as_secs_f64()),
];

/// Compares slices, each with its target (0 or 1) and its length in seconds, in the order in which they were
/// measured. Two neighbours are a pair.
pub(super) fn compare(slices: &[(usize, Slice, f64)], open_loop: bool) -> Vec<Compared> {
    let compared = NUMBERS.iter().filter(|(name, ..)| !(open_loop && *name == "requests/s"));
    let compared = compared.filter_map(|(name, more_is_better, value)| {
        let pairs: Vec<(f64, f64)> = slices
            .chunks_exact(2)
            .map(|pair| {
                let of = |target: usize| pair.iter().find(|(whose, ..)| *whose == target);
                let value = |found: Option<&(usize, Slice, f64)>| {
                    found.map_or(0.0, |(_, slice, seconds)| value(slice, *seconds))
                };
                (value(of(0)), value(of(1)))
            })
            .collect();
        let ratio = Ratio::of(&pairs)?;
        let new_is = match (ratio.verdict(), more_is_better) {
            (Verdict::Same, _) => "same",
            (Verdict::Higher, true) | (Verdict::Lower, false) => "faster",
            (Verdict::Higher, false) | (Verdict::Lower, true) => "slower",
        };
        Some(Compared { number: name, ratio: ratio.ratio, low: ratio.low, high: ratio.high, new_is })
    });
    compared.collect()
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::{Report, compare};
    use crate::load::Slice;
    use crate::load::tally::Tally;
    use std::time::Duration;

    fn slice(target: usize, latency_us: u64, calls: u64) -> (usize, Slice, f64) {
        let mut slice = Slice::default();
        (0..calls).for_each(|call| slice.latency.record(Duration::from_micros(latency_us + call % 3)));
        (target, slice, 0.25)
    }

    #[test]
    fn slices_are_compared_with_their_neighbours() {
        // The order of the slices is old, new, new, old; the machine gets slower with time, which does not count.
        let slices = |new: u64| -> Vec<(usize, Slice, f64)> {
            (0..20u64)
                .map(|place| {
                    let whose = usize::from(matches!(place % 4, 1 | 2));
                    let latency_us = if whose == 0 { 1000 } else { new } * (100 + place) / 100;
                    slice(whose, latency_us, 1_000_000 / latency_us)
                })
                .collect()
        };
        for (new, open_loop, expected) in [
            (500, false, "requests/s faster, mean faster, p50 faster, p99 faster"),
            (2000, false, "requests/s slower, mean slower, p50 slower, p99 slower"),
            (1000, false, "requests/s same, mean same, p50 same, p99 same"),
            (500, true, "mean faster, p50 faster, p99 faster"),
        ] {
            let found = compare(&slices(new), open_loop);
            let found: Vec<String> =
                found.iter().map(|one| format!("{} {}", one.number, one.new_is)).collect();
            assert_eq!(found.join(", "), expected, "{new} {open_loop}");
        }
        assert!(compare(&slices(500)[..8], false).is_empty(), "four pairs say nothing");
    }

    #[test]
    fn a_report_of_nothing_and_of_something() {
        let nothing = Report::of(&Tally::default(), Duration::ZERO);
        assert_eq!((nothing.answers, nothing.requests_per_second, nothing.cold), (0, 0.0, None));
        let mut tally = Tally::default();
        (1..=100).for_each(|ms| tally.all.record(Duration::from_millis(ms)));
        let report = Report::of(&tally, Duration::from_secs(2));
        assert_eq!((report.requests_per_second, report.latency.max_us), (50.0, 100_000));
        assert!(report.latency.p50_us.abs_diff(50_000) < 250 && report.latency.p99_us.abs_diff(99_000) < 500);
    }
}
