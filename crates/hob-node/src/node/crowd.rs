//! How functions share the machine, as metrics.

use crate::telemetry::meter::{Kind, Metric};
use hob_core::name::SpaceName;
use hob_runtime::crowd::{Crowd, Stats};
use std::sync::Arc;

/// What tells, when somebody asks, how long the apps of a space have waited.
pub(super) fn of_space(
    crowd: Arc<Crowd>,
    space: SpaceName,
) -> impl Fn() -> Vec<Metric> + Send + Sync + 'static {
    move || waits(&crowd.stats(), &space)
}

/// What tells of the machine, and so of all spaces.
pub(super) fn of_machine(crowd: Arc<Crowd>) -> impl Fn() -> Vec<Metric> + Send + Sync + 'static {
    move || machine(&crowd.stats())
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a floating point number")]
fn waits(stats: &Stats, space: &SpaceName) -> Vec<Metric> {
    let mut waits = Metric::new(
        "hob_processor_waits",
        Kind::Counter,
        "",
        "Turns on a processor for which guests of an app had to wait",
    );
    let mut waited = Metric::new(
        "hob_processor_wait_seconds",
        Kind::Counter,
        "seconds",
        "Time for which guests of an app waited for a processor",
    );
    for (_, app, times, time) in stats.waits.iter().filter(|(of, ..)| of == space) {
        waits.push([("app", app.as_str())], *times as f64);
        waited.push([("app", app.as_str())], time.as_secs_f64());
    }
    vec![waits, waited]
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a floating point number")]
fn machine(stats: &Stats) -> Vec<Metric> {
    let gauge = |name, unit, help, value| Metric::new(name, Kind::Gauge, unit, help).with([], value);
    vec![
        gauge("hob_guests_running", "", "Guests that have a processor", f64::from(stats.turns)),
        gauge("hob_guests_waiting", "", "Guests that wait for a processor", stats.turns_waiting as f64),
        gauge(
            "hob_memory_budget_bytes",
            "bytes",
            "Memory that all instances may have together",
            stats.memory_budget_bytes as f64,
        ),
        gauge(
            "hob_memory_reserved_bytes",
            "bytes",
            "Memory that is reckoned for the instances that run",
            stats.memory_reserved_bytes as f64,
        ),
        gauge(
            "hob_memory_tight",
            "",
            "1 while the machine has so little memory left that instances wait",
            f64::from(u8::from(stats.memory_tight)),
        ),
        gauge("hob_starts_running", "", "Kept instances that start", f64::from(stats.starting)),
        gauge(
            "hob_starts_waiting",
            "",
            "Instances that wait for memory or for their turn to start",
            stats.starts_waiting as f64,
        ),
        gauge("hob_loads_waiting", "", "Functions whose code waits to be loaded", stats.loads_waiting as f64),
        Metric::new(
            "hob_instances_reclaimed",
            Kind::Counter,
            "",
            "Idle instances that were stopped to make room for others",
        )
        .with([], stats.reclaimed as f64),
    ]
}
