//! Metrics, read and sent every so often, and once more at the end.

use super::collector::Collector;
use super::pipe::AllCounts;
use hob_core::limit::OTLP_METRICS_INTERVAL;
use hob_core::otlp::{self, Metric, Signal, Told, Value};
use std::sync::Arc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Where the numbers come from.
pub(crate) trait Source: Send + Sync {
    /// All of them, as they are now.
    fn metrics(&self) -> Vec<Metric>;
}

pub(super) async fn run(
    source: Arc<dyn Source>,
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
        let items = source.metrics();
        let number = items.len() as u64;
        if number > 0 {
            let mut resource = vec![("service.name".into(), Value::from("hob"))];
            resource.extend(collector.resource().iter().cloned());
            let body = otlp::write_metrics(&[Told { resource, scope: "hob".to_owned(), items }]);
            collector.deliver(Signal::Metrics, body, number, &counts[Signal::Metrics as usize]).await;
        }
        if last {
            return;
        }
    }
}
