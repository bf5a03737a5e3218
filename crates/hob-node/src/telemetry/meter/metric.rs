//! Metrics as values: what the Prometheus text and OTLP are written from.

/// The label value of what is not told apart. No name of an app, function or topic can be it.
pub(crate) const OTHER: &str = "_other";

/// One metric with all its series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metric {
    /// Its name, with its unit and without `_total`, such as `hob_call_duration_seconds`.
    pub(crate) name: &'static str,
    /// What it means, in one line.
    pub(crate) help: &'static str,
    /// `seconds`, `bytes`, or nothing for numbers of things.
    pub(crate) unit: &'static str,
    /// What its values do.
    pub(crate) kind: Kind,
    /// Its series.
    pub(crate) samples: Vec<Sample>,
}

/// What the values of a metric do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// They grow until the node starts anew.
    Counter,
    /// They go up and down.
    Gauge,
    /// They grow, by size of what was observed.
    Histogram,
}

/// The value of one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// Names and values, each name once.
    pub(crate) labels: Vec<(&'static str, String)>,
    /// The value.
    pub(crate) value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Of a counter or gauge.
    Number(f64),
    /// Of a histogram.
    Histogram(HistogramValue),
}

/// What was observed, by its size.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HistogramValue {
    /// Upper bounds of the buckets, inclusive.
    pub(crate) bounds: Vec<f64>,
    /// How many are in each bucket alone; one more than bounds, for what is above them.
    pub(crate) counts: Vec<u64>,
    /// The sum of everything that was observed.
    pub(crate) sum: f64,
}

impl Value {
    /// Both together. All histograms of a metric have the same bounds.
    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => Self::Number(one + other),
            (Self::Histogram(mut one), Self::Histogram(other)) => {
                one.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
                one.sum += other.sum;
                Self::Histogram(one)
            }
            (one, _) => one,
        }
    }
}

impl Metric {
    /// A metric without series yet.
    pub(crate) const fn new(name: &'static str, kind: Kind, unit: &'static str, help: &'static str) -> Self {
        Self { name, help, unit, kind, samples: Vec::new() }
    }

    /// The same with one more series.
    #[must_use]
    pub(crate) fn with<const N: usize>(mut self, labels: [(&'static str, &str); N], value: f64) -> Self {
        self.push(labels, value);
        self
    }

    /// The same with one more label on each series.
    #[must_use]
    pub(crate) fn labelled(mut self, name: &'static str, value: &str) -> Self {
        self.samples.iter_mut().for_each(|sample| sample.labels.push((name, value.to_owned())));
        self
    }

    /// Adds a series.
    pub(crate) fn push<const N: usize>(&mut self, labels: [(&'static str, &str); N], value: f64) {
        let labels = labels.map(|(name, value)| (name, value.to_owned())).into();
        self.samples.push(Sample { labels, value: Value::Number(value) });
    }
}

/// At most `most` series; the values of further ones are added up, in one series whose labels are [`OTHER`].
pub(crate) fn bounded(mut metric: Metric, most: usize) -> Metric {
    if metric.samples.len() <= most {
        return metric;
    }
    let rest = metric.samples.split_off(most);
    let labels = rest[0].labels.iter().map(|(name, _)| (*name, OTHER.to_owned())).collect();
    let sum = rest.into_iter().map(|sample| sample.value).reduce(Value::plus);
    metric.samples.extend(sum.map(|value| Sample { labels, value }));
    metric
}
