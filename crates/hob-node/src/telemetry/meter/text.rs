//! Metrics as text that Prometheus reads.
//!
//! **How.** Two forms of nearly the same lines: the text format 0.0.4 (Prometheus, "Exposition formats"), and
//! OpenMetrics 1.0 for who asks for it, where a counter's family has the name without `_total`, units are told
//! and the text ends with `# EOF`.

use super::metric::{HistogramValue, Kind, Metric, Sample, Value};
use std::fmt::Write as _;

/// A form of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Form {
    /// What an `Accept` header (RFC 9110, 12.5.1) prefers; the older form when it does not say.
    pub(crate) fn accepted(header: Option<&str>) -> Self {
        let weight = |name: &str| {
            let ranges = header.unwrap_or_default().split(',');
            ranges.filter_map(|range| quality(range, name)).fold(0.0_f32, f32::max)
        };
        let open = weight("application/openmetrics-text");
        if open > 0.0 && open >= weight("text/plain") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its media type.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Writes metrics; those without series are left out.
    pub(crate) fn write(self, metrics: &[Metric]) -> String {
        let mut text = String::new();
        for metric in metrics.iter().filter(|metric| !metric.samples.is_empty()) {
            self.head(&mut text, metric);
            metric.samples.iter().for_each(|sample| line(&mut text, metric, sample));
        }
        if self == Self::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }

    fn head(self, text: &mut String, metric: &Metric) {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let suffix = if self == Self::Prometheus { suffix(metric) } else { "" };
        let (name, help) = (metric.name, escaped(metric.help, self == Self::OpenMetrics));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}");
        if self == Self::OpenMetrics && !metric.unit.is_empty() {
            let _ = writeln!(text, "# UNIT {name} {}", metric.unit);
        }
    }
}

const fn suffix(metric: &Metric) -> &'static str {
    match metric.kind {
        Kind::Counter => "_total",
        Kind::Gauge | Kind::Histogram => "",
    }
}

fn line(text: &mut String, metric: &Metric, sample: &Sample) {
    match &sample.value {
        Value::Number(number) => series(text, metric.name, suffix(metric), &sample.labels, None, *number),
        Value::Histogram(value) => histogram(text, metric, sample, value),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a floating point number")]
fn histogram(text: &mut String, metric: &Metric, sample: &Sample, value: &HistogramValue) {
    let mut below = 0;
    let bounds = value.bounds.iter().copied().chain([f64::INFINITY]);
    for (bound, count) in bounds.zip(&value.counts) {
        below += count;
        series(text, metric.name, "_bucket", &sample.labels, Some(bound), below as f64);
    }
    series(text, metric.name, "_sum", &sample.labels, None, value.sum);
    series(text, metric.name, "_count", &sample.labels, None, below as f64);
}

fn series(
    text: &mut String,
    name: &str,
    suffix: &str,
    labels: &[(&'static str, String)],
    bound: Option<f64>,
    value: f64,
) {
    let mut pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value, true))).collect();
    // A bound is a number with a fraction in both forms, so that series keep their name.
    pairs.extend(bound.map(|bound| match bound {
        f64::INFINITY => "le=\"+Inf\"".to_owned(),
        bound => format!("le=\"{bound:?}\""),
    }));
    let pairs = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
    let _ = writeln!(text, "{name}{suffix}{pairs} {value}");
}

/// Backslashes and line ends, and quotes where text is quoted.
fn escaped(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}

/// The weight that one media range of `Accept` gives to a type, if it names it.
fn quality(range: &str, name: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(name) {
        return None;
    }
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some(weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or_default()))
}
