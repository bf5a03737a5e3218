//! Requests to a collector, as protobuf.

use super::proto::Writer;
use super::{Attributes, Log, Metric, Point, Points, Span, Spread, Told, Value};

/// `AggregationTemporality`: since the start.
const CUMULATIVE: u64 = 2;
/// `StatusCode`: failed.
const FAILED: u64 = 2;

/// An `ExportTraceServiceRequest`.
pub fn spans(all: &[Told<Span>]) -> Vec<u8> {
    request(all, span)
}

/// An `ExportLogsServiceRequest`.
pub fn logs(all: &[Told<Log>]) -> Vec<u8> {
    request(all, log)
}

/// An `ExportMetricsServiceRequest`.
pub fn metrics(all: &[Told<Metric>]) -> Vec<u8> {
    request(all, metric)
}

/// The three requests have the same shape and the same numbers: resources, scopes, items.
fn request<T>(all: &[Told<T>], item: fn(&mut Writer, &T)) -> Vec<u8> {
    let mut writer = Writer::default();
    for told in all {
        writer.message(1, |of_resource| {
            of_resource.message(1, |resource| attributes(resource, 1, &told.resource));
            of_resource.message(2, |of_scope| {
                of_scope.message(1, |scope| scope.text(1, &told.scope));
                for one in &told.items {
                    of_scope.message(2, |message| item(message, one));
                }
            });
        });
    }
    writer.done()
}

fn span(w: &mut Writer, span: &Span) {
    w.bytes(1, &span.trace.0.to_be_bytes());
    w.bytes(2, &span.span.0.to_be_bytes());
    if let Some(parent) = span.parent {
        w.bytes(4, &parent.0.to_be_bytes());
    }
    w.text(5, &span.name);
    w.number(6, span.kind as u64);
    w.fixed64(7, span.start_ns);
    w.fixed64(8, span.end_ns);
    attributes(w, 9, &span.attributes);
    for (name, time_ns, of_event) in &span.events {
        w.message(11, |event| {
            event.fixed64(1, *time_ns);
            event.text(2, name);
            attributes(event, 3, of_event);
        });
    }
    for (trace, id, of_link) in &span.links {
        w.message(13, |link| {
            link.bytes(1, &trace.0.to_be_bytes());
            link.bytes(2, &id.0.to_be_bytes());
            attributes(link, 4, of_link);
        });
    }
    if let Some(why) = &span.failed {
        w.message(15, |status| {
            status.text(2, why);
            status.number(3, FAILED);
        });
    }
    w.fixed32(16, 1);
}

fn log(w: &mut Writer, log: &Log) {
    w.fixed64(1, log.time_ns);
    w.number(2, log.severity.into());
    w.text(3, &log.severity_text);
    if log.body != Value::None {
        w.message(5, |body| value(body, &log.body));
    }
    attributes(w, 6, &log.attributes);
    if let Some(trace) = log.trace {
        w.bytes(9, &trace.0.to_be_bytes());
    }
    if let Some(span) = log.span {
        w.bytes(10, &span.0.to_be_bytes());
    }
    w.fixed64(11, log.observed_ns);
    w.text(12, &log.event);
}

fn metric(w: &mut Writer, metric: &Metric) {
    w.text(1, &metric.name);
    w.text(2, &metric.description);
    w.text(3, &metric.unit);
    match &metric.points {
        Points::Gauge(points) => w.message(5, |gauge| {
            for one in points {
                gauge.message(1, |message| point(message, one));
            }
        }),
        Points::Counter(points) => w.message(7, |sum| {
            for one in points {
                sum.message(1, |message| point(message, one));
            }
            sum.number(2, CUMULATIVE);
            sum.number(3, 1);
        }),
        Points::Histogram(spreads) => w.message(9, |histogram| {
            for one in spreads {
                histogram.message(1, |message| spread(message, one));
            }
            histogram.number(2, CUMULATIVE);
        }),
    }
}

fn point(w: &mut Writer, point: &Point) {
    w.fixed64(2, point.start_ns);
    w.fixed64(3, point.time_ns);
    w.some_fixed64(4, point.value.to_bits());
    attributes(w, 7, &point.attributes);
}

fn spread(w: &mut Writer, spread: &Spread) {
    w.fixed64(2, spread.start_ns);
    w.fixed64(3, spread.time_ns);
    w.fixed64(4, spread.counts.iter().sum());
    w.some_fixed64(5, spread.sum.to_bits());
    w.packed64(6, spread.counts.iter().copied());
    w.packed64(7, spread.bounds.iter().map(|bound| bound.to_bits()));
    attributes(w, 9, &spread.attributes);
}

fn attributes(w: &mut Writer, field: u32, all: &Attributes) {
    for (name, of_name) in all {
        pair(w, field, name, of_name);
    }
}

fn pair(w: &mut Writer, field: u32, name: &str, of_name: &Value) {
    w.message(field, |pair| {
        pair.text(1, name);
        pair.message(2, |message| value(message, of_name));
    });
}

#[expect(clippy::cast_sign_loss, reason = "protobuf writes an int64 as its two's complement")]
fn value(w: &mut Writer, any: &Value) {
    match any {
        Value::None => {}
        Value::Text(text) => w.some_bytes(1, text.as_bytes()),
        Value::Bool(truth) => w.some_number(2, u64::from(*truth)),
        Value::Int(number) => w.some_number(3, *number as u64),
        Value::Double(number) => w.some_fixed64(4, number.to_bits()),
        Value::List(values) => w.message(5, |list| {
            for one in values {
                list.message(1, |message| value(message, one));
            }
        }),
        Value::Map(values) => w.message(6, |map| {
            for (name, one) in values {
                pair(map, 1, name, one);
            }
        }),
        Value::Bytes(bytes) => w.some_bytes(7, bytes),
    }
}
