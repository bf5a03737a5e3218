//! The metrics of every space at once, for whoever runs the node.
//!
//! **Why.** One scrape with one token watches all tenants; without it an operator would have a job for each space, and
//! forget the newest.
//!
//! **How.** Each series says in its label `space` whose it is; those of the machine have none. Of one metric there are at most
//! [`METRIC_SERIES_OF_ALL_MAX`] series: a space that has few leaves its room to others ([`shares`]), and what is above
//! a space's share is added up as its own `_other`, so that no tenant drives out another's.

use super::Scrape;
use crate::telemetry::meter::{Kind, Metric, bounded};
use hob_core::limit::METRIC_SERIES_OF_ALL_MAX;
use hob_core::name::SpaceName;
use hob_core::wire::{SpaceInfo, SpaceState};
use std::sync::Arc;

/// Everything of these spaces, `default` among them, and how each stands with its quotas.
pub(crate) async fn metrics(spaces: &[(SpaceName, Arc<Scrape>)], standing: &[SpaceInfo]) -> Vec<Metric> {
    let mut own = Vec::with_capacity(spaces.len());
    for (space, scrape) in spaces {
        own.push((space, scrape.own().await));
    }
    let mut all = merged(&own, METRIC_SERIES_OF_ALL_MAX);
    all.extend(quotas(standing));
    for (_, scrape) in spaces {
        all.extend(scrape.machine());
    }
    all
}

/// One metric for each name, with at most `most` series.
fn merged(spaces: &[(&SpaceName, Vec<Metric>)], most: usize) -> Vec<Metric> {
    let mut all: Vec<Metric> = Vec::new();
    for metric in spaces.iter().flat_map(|(_, metrics)| metrics) {
        if !all.iter().any(|known| known.name == metric.name) {
            all.push(Metric::new(metric.name, metric.kind, metric.unit, metric.help));
        }
    }
    for metric in &mut all {
        let of: Vec<Metric> = spaces
            .iter()
            .map(|(_, metrics)| {
                let mut same = metrics.iter().filter(|one| one.name == metric.name);
                same.next().cloned().unwrap_or_else(|| Metric { samples: Vec::new(), ..metric.clone() })
            })
            .collect();
        let shares = shares(&of.iter().map(|one| one.samples.len()).collect::<Vec<_>>(), most);
        for (((space, _), one), share) in spaces.iter().zip(of).zip(shares) {
            metric.samples.extend(bounded(one, share).labelled("space", space.as_str()).samples);
        }
    }
    all
}

/// How many of `most` each may have that has so many: as many as all others, and what others leave. At least one, for
/// the sum of the rest.
fn shares(counts: &[usize], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_unstable_by_key(|at| counts[*at]);
    let (mut shares, mut left) = (vec![0; counts.len()], most);
    for (done, at) in order.into_iter().enumerate() {
        let even = left / (counts.len() - done);
        // One of its places is for the sum of those that have none.
        shares[at] = if counts[at] <= even { counts[at] } else { even.saturating_sub(1) };
        left = left.saturating_sub(shares[at] + usize::from(counts[at] > even));
    }
    shares
}

/// What every space has and may have.
#[expect(clippy::cast_precision_loss, reason = "a metric is a floating point number")]
fn quotas(standing: &[SpaceInfo]) -> [Metric; 3] {
    let gauge = |name, help| Metric::new(name, Kind::Gauge, "", help);
    let mut up = gauge("hob_space_up", "1 for a space that is served, 0 for one that could not be opened");
    let mut used = gauge("hob_space_used", "What a space has of something that it has a quota of");
    let mut quota = gauge("hob_space_quota", "What it may have of that; without a series there is no limit");
    for info in standing {
        let space = info.space.as_str();
        up.push([("space", space)], f64::from(u8::from(info.state == SpaceState::Ready)));
        for (resource, of) in &info.use_of {
            let labels = [("space", space), ("resource", resource.row().word)];
            used.push(labels, of.used as f64);
            if let Some(limit) = of.limit {
                quota.push(labels, limit as f64);
            }
        }
    }
    [up, used, quota]
}

#[cfg(test)]
mod tests {
    use super::{merged, shares};
    use crate::telemetry::meter::{HistogramValue, Kind, Metric, Sample, Value};
    use hob_core::name::SpaceName;

    #[test]
    fn a_space_with_few_series_leaves_its_room_to_others_and_none_drives_out_another() {
        for (counts, most, expected) in [
            (&[][..], 10, &[][..]),
            (&[3, 4], 10, &[3, 4]),
            (&[0, 2, 100], 10, &[0, 2, 7]),
            (&[100, 100], 10, &[4, 4]),
            (&[100, 1, 4, 100], 13, &[3, 1, 4, 3]),
            (&[9, 9, 9], 2, &[0, 0, 0]),
        ] {
            assert_eq!(shares(counts, most), expected, "{counts:?} of {most}");
        }
    }

    #[test]
    fn series_above_a_share_are_added_up_by_space() {
        let name = |text: &str| SpaceName::new(text).unwrap();
        let (left, right) = (name("left"), name("right"));
        let calls = |count: u32| {
            let mut calls = Metric::new("calls", Kind::Counter, "", "Calls");
            (0..count).for_each(|app| calls.push([("app", &*format!("a{app}"))], f64::from(app)));
            let counts = |count| HistogramValue { bounds: vec![1.0], counts: vec![count, 1], sum: 2.0 };
            let sample = |app| Sample {
                labels: vec![("app", format!("a{app}"))],
                value: Value::Histogram(counts(app)),
            };
            let samples = (0..u64::from(count)).map(sample).collect();
            vec![calls, Metric { samples, ..Metric::new("time", Kind::Histogram, "", "Time") }]
        };
        let all = merged(&[(&left, calls(10)), (&right, calls(2))], 6);
        let shown = |metric: &Metric| -> Vec<String> {
            let one = |sample: &Sample| {
                let labels: Vec<&str> = sample.labels.iter().map(|(_, value)| value.as_str()).collect();
                let value = match &sample.value {
                    Value::Number(number) => number.to_string(),
                    Value::Histogram(HistogramValue { counts, sum, .. }) => format!("{counts:?} {sum}"),
                };
                format!("{} {value}", labels.join("/"))
            };
            metric.samples.iter().map(one).collect()
        };
        assert_eq!(
            shown(&all[0]),
            ["a0/left 0", "a1/left 1", "a2/left 2", "_other/left 42", "a0/right 0", "a1/right 1"]
        );
        assert_eq!(shown(&all[1])[3..5], ["_other/left [42, 7] 14", "a0/right [0, 1] 2"]);
        assert_eq!((all.len(), all[1].samples.len()), (2, 6));
    }
}
