//! Everything that can be measured of a node, when somebody asks: the meters, and gauges read at that moment.
//!
//! **Why.** A gauge that is kept up to date costs every change something; one that is read costs who asks.
//!
//! **How.** [`Scrape::metrics`] asks pools, bus, subscriptions, facts, the async runtime and the machine. The
//! Prometheus operation and the export by OTLP write what it returns. A part of the node that this module
//! must not know adds its own by [`Scrape::extra`]. Each space has its own; the series of those beside `default` say
//! in a label which it is, and tell nothing of the machine. [`all`] is what the operator sees: every space at once.
//!
//! **Not here:** the forms in which metrics are written ([`crate::telemetry::meter`]).

pub(crate) mod all;
mod machine;

use crate::bus::Bus;
use crate::delivery::Delivery;
use crate::live::Live;
use crate::sync::lock;
use crate::telemetry::Telemetry;
use crate::telemetry::meter::{Kind, Metric, bounded};
use hob_core::limit::METRIC_SERIES_MAX;
use hob_core::scale::Circuit;
use hob_core::wire::{NodeInfo, SubscriptionInfo};
use hob_runtime::pool::Stats;
use std::sync::{Arc, Mutex};

/// Metrics of a part of the node, as they are now. Must not wait.
type Extra = Box<dyn Fn() -> Vec<Metric> + Send + Sync>;

/// What is measured of one node.
pub(crate) struct Scrape {
    live: Arc<Live>,
    bus: Arc<Bus>,
    delivery: Arc<Delivery>,
    telemetry: Arc<Telemetry>,
    node: NodeInfo,
    extra: Mutex<Vec<Extra>>,
    /// The same of what belongs to no space.
    of_machine: Mutex<Vec<Extra>>,
}

impl Scrape {
    /// What these parts of the node tell.
    pub(crate) fn new(
        live: &Arc<Live>,
        bus: &Arc<Bus>,
        delivery: &Arc<Delivery>,
        telemetry: &Arc<Telemetry>,
        node: NodeInfo,
    ) -> Arc<Self> {
        Arc::new(Self {
            live: Arc::clone(live),
            bus: Arc::clone(bus),
            delivery: Arc::clone(delivery),
            telemetry: Arc::clone(telemetry),
            node,
            extra: Mutex::default(),
            of_machine: Mutex::default(),
        })
    }

    /// Adds metrics of another part of the node, which are asked for each time.
    pub(crate) fn extra(&self, metrics: impl Fn() -> Vec<Metric> + Send + Sync + 'static) {
        lock(&self.extra).push(Box::new(metrics));
    }

    /// The same of what belongs to no space: it is told where `default` is.
    pub(crate) fn extra_of_machine(&self, metrics: impl Fn() -> Vec<Metric> + Send + Sync + 'static) {
        lock(&self.of_machine).push(Box::new(metrics));
    }

    /// Everything, as it is now. What cannot be read is left out, and the node's log says why.
    pub(crate) async fn metrics(&self) -> Vec<Metric> {
        let own = self.own().await.into_iter().map(|metric| bounded(metric, METRIC_SERIES_MAX));
        match &self.node.space {
            None => own.chain(self.machine()).collect(),
            Some(space) => own.map(|metric| metric.labelled("space", space.as_str())).collect(),
        }
    }

    /// What is measured of the machine and the process; nothing where the space is not `default`.
    fn machine(&self) -> Vec<Metric> {
        if self.node.space.is_some() {
            return Vec::new();
        }
        let mut all = vec![
            Metric::new("hob_build_info", Kind::Gauge, "", "The version of Hob")
                .with([("version", self.node.version.as_str())], 1.0),
        ];
        all.extend(machine::metrics(self.node.started_ms));
        lock(&self.of_machine).iter().for_each(|extra| all.extend(extra()));
        all
    }

    /// What is measured of the space, without bounds.
    async fn own(&self) -> Vec<Metric> {
        let mut all = self.telemetry.meters().snapshot();
        all.extend(self.pools());
        all.extend(subscriptions(&self.delivery.list().await));
        all.extend(self.topics().await);
        all.extend(self.facts().await);
        lock(&self.extra).iter().for_each(|extra| all.extend(extra()));
        all
    }

    /// Of current revisions, and of others that have something to show.
    fn pools(&self) -> [Metric; 9] {
        let mut metrics = pool_metrics();
        let table = Arc::clone(&self.live.load());
        let mut apps: Vec<_> = table.apps().values().collect();
        apps.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for (app, revision) in apps.iter().flat_map(|app| app.kept.values().map(move |kept| (app, kept))) {
            for function in revision.spec.functions.keys() {
                let stats: Stats = revision.functions.stats(function.as_str());
                if revision.number != app.current.number && stats == Stats::default() {
                    continue;
                }
                let number = revision.number.to_string();
                let labels =
                    [("app", app.name.as_str()), ("function", function.as_str()), ("revision", &number)];
                for (metric, value) in metrics.iter_mut().zip(pool_values(&stats)) {
                    metric.push(labels, value);
                }
            }
        }
        metrics
    }

    async fn topics(&self) -> Vec<Metric> {
        let mut letters = gauge("hob_dead_letters", "Dead letters that were neither redriven nor dropped");
        match self.bus.letter_topics().await {
            Ok(topics) => {
                for one in topics {
                    letters.push([("topic", one.topic.as_str())], number_of(one.letters));
                }
            }
            Err(fault) => tracing::warn!(%fault, "dead letters cannot be counted"),
        }
        let mut bytes = Metric::new("hob_topic_size_bytes", Kind::Gauge, "bytes", "Bytes of a topic on disk");
        let mut kept = gauge("hob_topic_events", "Events that a topic keeps");
        let mut published = counter("hob_topic_published", "Events that were ever published in a topic");
        match self.bus.log().topics().await {
            Ok(topics) => {
                for (topic, state) in topics {
                    let labels = [("topic", topic.as_str())];
                    bytes.push(labels, number_of(state.bytes));
                    kept.push(labels, number_of(state.next.saturating_sub(state.first)));
                    published.push(labels, number_of(state.next.saturating_sub(1)));
                }
            }
            Err(fault) => tracing::warn!(%fault, "topics cannot be measured"),
        }
        vec![letters, bytes, kept, published]
    }

    async fn facts(&self) -> Vec<Metric> {
        let dropped = counter("hob_facts_dropped", "Facts that were dropped because too many came at once")
            .with([], number_of(self.telemetry.dropped()));
        let (kept, bytes) = match self.telemetry.size().await {
            Ok(size) => size,
            Err(fault) => {
                tracing::warn!(%fault, "facts cannot be measured");
                return vec![dropped];
            }
        };
        vec![
            gauge("hob_facts", "Facts that are kept").with([], number_of(kept)),
            Metric::new("hob_facts_size_bytes", Kind::Gauge, "bytes", "Bytes of kept facts")
                .with([], number_of(bytes)),
            dropped,
        ]
    }
}

/// What is told of a pool, in the order of [`pool_values`].
fn pool_metrics() -> [Metric; 9] {
    let seconds = |name, help| Metric::new(name, Kind::Gauge, "seconds", help);
    [
        gauge("hob_instances", "Instances that run"),
        gauge("hob_calls_running", "Calls that run"),
        gauge("hob_calls_waiting", "Calls that wait for an instance"),
        counter("hob_instance_starts", "Instances that were started"),
        gauge("hob_instances_wanted", "Instances that calls, their recent peak and the settings ask for"),
        gauge("hob_instance_concurrency", "Calls at a time that one instance is given, on average"),
        seconds("hob_queue_oldest_seconds", "How long the first of the waiting calls has waited"),
        seconds("hob_queue_wait_seconds", "How long a call that came now would wait, by what is measured"),
        gauge(
            "hob_circuit_open",
            "1 while calls are refused since the function fails again and again, 0.5 while one probes",
        ),
    ]
}

fn pool_values(stats: &Stats) -> [f64; 9] {
    let outlook = &stats.outlook;
    [
        f64::from(stats.instances),
        f64::from(stats.running),
        f64::from(stats.waiting),
        number_of(stats.starts),
        f64::from(outlook.wanted),
        f64::from(outlook.concurrency),
        number_of(outlook.waited_ms) / 1000.0,
        number_of(outlook.wait_ms) / 1000.0,
        match outlook.circuit {
            Circuit::Closed => 0.0,
            Circuit::HalfOpen => 0.5,
            Circuit::Open => 1.0,
        },
    ]
}

fn subscriptions(all: &[SubscriptionInfo]) -> Vec<Metric> {
    let gauges = [
        gauge("hob_subscription_lag", "Events that a subscription has not settled"),
        gauge("hob_subscription_running", "Deliveries of a subscription that run"),
        gauge("hob_subscription_waiting", "Events that wait for another attempt"),
        gauge("hob_subscription_blocked", "Events that wait for an earlier one with their key"),
        gauge("hob_subscription_paused", "1 while a subscription is paused"),
        counter("hob_subscription_delivered", "Events that were delivered"),
        counter("hob_subscription_skipped", "Events that filters left out"),
        counter("hob_subscription_failed_attempts", "Attempts that failed"),
        counter("hob_subscription_dead", "Events that were given up"),
    ];
    let mut metrics = Vec::from(gauges);
    for one in all {
        let labels = [
            ("app", one.app.as_str()),
            ("subscription", one.name.as_str()),
            ("topic", one.spec.topic.as_str()),
        ];
        let values = [
            one.lag,
            one.in_flight,
            one.waiting,
            one.blocked,
            u64::from(one.paused),
            one.delivered,
            one.skipped,
            one.failed,
            one.dead,
        ];
        for (metric, value) in metrics.iter_mut().zip(values) {
            metric.push(labels, number_of(value));
        }
    }
    metrics
}

fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric::new(name, Kind::Gauge, "", help)
}

fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric::new(name, Kind::Counter, "", help)
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a floating point number")]
fn number_of(value: u64) -> f64 {
    value as f64
}
