//! The meters of functions as metrics.

use super::cells::{BOUNDS_US, Sum};
use super::metric::{HistogramValue, Kind, Metric, OTHER, Sample, Value};
use super::{CAUSES, CLASSES, Meter, OUTCOMES, lock};
use hob_core::usage::Usage;
use std::sync::Arc;

/// A metric of which each function has one series.
struct Simple {
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    help: &'static str,
    value: fn(&Meter) -> Value,
}

/// Those that are told of each function once.
const SIMPLE: [Simple; 9] = [
    Simple {
        name: "hob_call_duration_seconds",
        kind: Kind::Histogram,
        unit: "seconds",
        help: "Time of calls from their arrival to the end of their answer",
        value: |meter| histogram(meter.duration.get()),
    },
    Simple {
        name: "hob_call_queue_seconds",
        kind: Kind::Histogram,
        unit: "seconds",
        help: "Time that calls waited for an instance, without its start",
        value: |meter| histogram(meter.queue.get()),
    },
    Simple {
        name: "hob_call_start_seconds",
        kind: Kind::Histogram,
        unit: "seconds",
        help: "Time of starts that calls waited for, loading the code included",
        value: |meter| histogram(meter.start.get()),
    },
    Simple {
        name: "hob_cold_starts",
        kind: Kind::Counter,
        unit: "",
        help: "Calls that waited for an instance to start; every call where each has its own",
        value: |meter| number(total(meter).cold_starts),
    },
    Simple {
        name: "hob_request_body_bytes",
        kind: Kind::Counter,
        unit: "bytes",
        help: "Bytes of requests' bodies that functions read",
        value: |meter| number(total(meter).bytes_in),
    },
    Simple {
        name: "hob_response_body_bytes",
        kind: Kind::Counter,
        unit: "bytes",
        help: "Bytes of answers' bodies",
        value: |meter| number(total(meter).bytes_out),
    },
    Simple {
        name: "hob_call_run_seconds",
        kind: Kind::Counter,
        unit: "seconds",
        help: "Time of calls without their waiting for an instance",
        value: |meter| seconds(total(meter).wall_us),
    },
    Simple {
        name: "hob_cpu_seconds",
        kind: Kind::Counter,
        unit: "seconds",
        help: "Processor time of functions",
        value: |meter| seconds(meter.cpu_us()),
    },
    Simple {
        name: "hob_memory_byte_seconds",
        kind: Kind::Counter,
        unit: "",
        help: "Memory that functions may have, times the time of their calls",
        value: |meter| Value::Number(total(meter).gib_seconds() * f64::from(1 << 30)),
    },
];

/// All metrics of these meters.
pub(super) fn metrics(meters: &[Arc<Meter>]) -> Vec<Metric> {
    let mut calls = Metric::new(
        "hob_calls",
        Kind::Counter,
        "",
        "Calls that have ended, by what caused them and how they ended",
    );
    let mut classes =
        Metric::new("hob_call_statuses", Kind::Counter, "", "Calls that have ended, by class of status");
    let mut phases = Metric::new(
        "hob_cold_start_phase_seconds",
        Kind::Histogram,
        "seconds",
        "Time of calls that waited for a start, by phase, until the head of their answer",
    );
    for meter in meters {
        for (cause, outcomes) in CAUSES.iter().zip(&meter.calls) {
            told(&mut calls, meter, OUTCOMES.iter().zip(outcomes), |outcome| {
                vec![("cause", (*cause).to_owned()), ("outcome", outcome.to_owned())]
            });
        }
        told(&mut classes, meter, CLASSES.iter().zip(&meter.classes), |class| {
            vec![("class", class.to_owned())]
        });
        for (phase, times) in lock(&meter.colds).phases() {
            let mut labels = labels(meter);
            labels.push(("phase", phase.to_owned()));
            phases.samples.push(Sample { labels, value: histogram(times) });
        }
    }
    let mut all = vec![calls, classes, phases];
    all.extend(SIMPLE.iter().map(|simple| {
        let mut metric = Metric::new(simple.name, simple.kind, simple.unit, simple.help);
        let sample = |meter: &Arc<Meter>| Sample { labels: labels(meter), value: (simple.value)(meter) };
        metric.samples = meters.iter().map(sample).collect();
        metric
    }));
    all
}

/// Adds the series that have counted something.
fn told<'a>(
    metric: &mut Metric,
    meter: &Meter,
    counts: impl Iterator<Item = (&'a &'static str, &'a Sum)>,
    more: impl Fn(&str) -> Vec<(&'static str, String)>,
) {
    for (word, count) in counts.filter(|(_, count)| count.get() > 0) {
        let mut labels = labels(meter);
        labels.extend(more(word));
        metric.samples.push(Sample { labels, value: number(count.get()) });
    }
}

fn labels(meter: &Meter) -> Vec<(&'static str, String)> {
    let key = &meter.key;
    let other = || OTHER.to_owned();
    vec![
        ("app", key.app.to_string()),
        ("function", key.function.as_ref().map_or_else(other, ToString::to_string)),
        ("revision", key.revision.map_or_else(other, |revision| revision.to_string())),
    ]
}

fn total(meter: &Meter) -> Usage {
    let mut total = meter.own.usage();
    meter.triggers.load().iter().for_each(|(_, cells)| total += &cells.usage());
    total
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a floating point number")]
fn number(count: u64) -> Value {
    Value::Number(count as f64)
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a floating point number")]
fn seconds(time_us: u64) -> Value {
    Value::Number(time_us as f64 / 1e6)
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a floating point number")]
fn histogram((counts, sum_us): (Vec<u64>, u64)) -> Value {
    let bounds = BOUNDS_US.iter().map(|bound_us| *bound_us as f64 / 1e6).collect();
    Value::Histogram(HistogramValue { bounds, counts, sum: sum_us as f64 / 1e6 })
}
