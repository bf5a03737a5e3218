//! Metrics, read and sent every so often, and once more at the end.
//!
//! **How.** They are those of the Prometheus text ([`crate::scrape`]), named as OpenTelemetry does it: the unit is no part of
//! the name, so that a collector which turns them into Prometheus' form gets the same names again.

use super::collector::Collector;
use super::pipe::AllCounts;
use crate::clock::now_ms;
use crate::scrape::Scrape;
use crate::telemetry::meter;
use hob_core::limit::OTLP_METRICS_INTERVAL;
use hob_core::otlp::{self, Attributes, Metric, Point, Points, Signal, Spread, Told, Value};
use std::sync::Arc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const NANOS_PER_MS: u64 = 1_000_000;

/// Exports what `scrape` says, which began to count at `started_ms`.
pub(super) async fn run(
    scrape: Arc<Scrape>,
    started_ms: u64,
    collector: Arc<Collector>,
    counts: AllCounts,
    closing: CancellationToken,
) {
    let mut ticks = interval(OTLP_METRICS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once, when there is nothing to tell.
    ticks.tick().await;
    loop {
        let last = tokio::select! {
            _ = ticks.tick() => false,
            () = closing.cancelled() => true,
        };
        let now_ms = now_ms();
        let items: Vec<Metric> = scrape
            .metrics()
            .await
            .into_iter()
            .filter_map(|metric| named(metric, started_ms, now_ms))
            .collect();
        let number = items.len() as u64;
        let mut resource = vec![("service.name".into(), Value::from("hob"))];
        resource.extend(collector.resource().iter().cloned());
        let body = otlp::write_metrics(&[Told { resource, scope: "hob".to_owned(), items }]);
        collector.deliver(Signal::Metrics, body, number, &counts[Signal::Metrics as usize]).await;
        if last {
            return;
        }
    }
}

/// The metric in OTLP's words; `None` for one without series.
fn named(metric: meter::Metric, started_ms: u64, now_ms: u64) -> Option<Metric> {
    let meter::Metric { name, help, unit, kind, samples } = metric;
    if samples.is_empty() {
        return None;
    }
    let (start_ns, time_ns) = (started_ms.saturating_mul(NANOS_PER_MS), now_ms.saturating_mul(NANOS_PER_MS));
    let (mut points, mut spreads) = (Vec::new(), Vec::new());
    for meter::Sample { labels, value } in samples {
        let labels = labels.into_iter().map(|(name, value)| (name.into(), Value::from(value)));
        let attributes: Attributes = labels.collect();
        match value {
            meter::Value::Number(value) => points.push(Point { attributes, start_ns, time_ns, value }),
            meter::Value::Histogram(meter::HistogramValue { bounds, counts, sum }) => {
                spreads.push(Spread { attributes, start_ns, time_ns, sum, counts, bounds });
            }
        }
    }
    let points = match kind {
        meter::Kind::Counter => Points::Counter(points),
        meter::Kind::Gauge => Points::Gauge(points),
        meter::Kind::Histogram => Points::Histogram(spreads),
    };
    let bare = name.strip_suffix(unit).and_then(|bare| bare.strip_suffix('_')).filter(|_| !unit.is_empty());
    let unit = match unit {
        "seconds" => "s",
        "bytes" => "By",
        other => other,
    };
    Some(Metric {
        name: bare.unwrap_or(name).to_owned(),
        description: help.to_owned(),
        unit: unit.to_owned(),
        points,
    })
}

#[cfg(test)]
mod tests {
    use super::named;
    use crate::telemetry::meter::{HistogramValue, Kind, Metric, Sample, Value};
    use hob_core::otlp::Points;

    #[test]
    fn metrics_are_named_without_their_unit() {
        let spread = HistogramValue { bounds: vec![1.0], counts: vec![2, 3], sum: 9.0 };
        let sample = |value| Sample { labels: vec![("app", "shop".to_owned())], value };
        for (name, kind, unit, value, expected) in [
            ("hob_calls", Kind::Counter, "", Value::Number(3.0), "hob_calls `` counter 3"),
            (
                "hob_topic_size_bytes",
                Kind::Gauge,
                "bytes",
                Value::Number(0.5),
                "hob_topic_size `By` gauge 0.5",
            ),
            (
                "hob_call_duration_seconds",
                Kind::Histogram,
                "seconds",
                Value::Histogram(spread),
                "hob_call_duration `s` histogram [2, 3] to [1.0], 9",
            ),
        ] {
            let metric = Metric { samples: vec![sample(value)], ..Metric::new(name, kind, unit, "help") };
            let metric = named(metric, 1, 2).unwrap();
            let shown = match &metric.points {
                Points::Counter(points) => format!("counter {}", points[0].value),
                Points::Gauge(points) => format!("gauge {}", points[0].value),
                Points::Histogram(all) => {
                    format!("histogram {:?} to {:?}, {}", all[0].counts, all[0].bounds, all[0].sum)
                }
            };
            assert_eq!(format!("{} `{}` {shown}", metric.name, metric.unit), expected);
        }
        assert!(named(Metric::new("hob_calls", Kind::Counter, "", "help"), 1, 2).is_none());
    }
}
