//! A bounded queue of one signal, and the task that sends what is in it.

use super::collector::Collector;
use crate::telemetry::meter::{Kind, Metric};
use hob_core::limit::{
    OTLP_BATCH_BYTES_MAX, OTLP_BATCH_MAX, OTLP_BATCH_WAIT, OTLP_QUEUED_BYTES_MAX, OTLP_QUEUED_MAX,
};
use hob_core::otlp::{self, Attributes, Signal, Told};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// What became of the items of one signal.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// The collector has them.
    pub(super) exported: AtomicU64,
    /// There was no room, or the collector could not be reached for too long.
    pub(super) dropped: AtomicU64,
    /// The collector did not want them.
    pub(super) rejected: AtomicU64,
}

/// The counts of all signals, in their order.
pub(super) type AllCounts = Arc<[Counts; Signal::ALL.len()]>;

/// The counts as a metric.
pub(super) fn metric(counts: &AllCounts) -> Metric {
    let help = "Spans, log records and metrics for the collector, by what became of them";
    let mut metric = Metric::new("hob_export_items", Kind::Counter, "", help);
    for (signal, counts) in Signal::ALL.into_iter().zip(counts.iter()) {
        let all =
            [("exported", &counts.exported), ("dropped", &counts.dropped), ("rejected", &counts.rejected)];
        for (outcome, count) in all {
            #[expect(clippy::cast_precision_loss, reason = "no export counts beyond 2^53")]
            let value = count.load(Ordering::Relaxed) as f64;
            metric.push([("signal", signal.word()), ("outcome", outcome)], value);
        }
    }
    metric
}

struct Queued<T> {
    who: Attributes,
    item: T,
    bytes: usize,
}

/// Where items go in.
pub(super) struct Inlet<T> {
    queue: mpsc::Sender<Queued<T>>,
    bytes: Arc<AtomicUsize>,
    weigh: fn(&T) -> usize,
    signal: Signal,
    counts: AllCounts,
}

impl<T> Clone for Inlet<T> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            bytes: Arc::clone(&self.bytes),
            weigh: self.weigh,
            signal: self.signal,
            counts: Arc::clone(&self.counts),
        }
    }
}

/// Where they come out.
pub(super) struct Outlet<T> {
    queue: mpsc::Receiver<Queued<T>>,
    bytes: Arc<AtomicUsize>,
    signal: Signal,
    counts: AllCounts,
}

/// A queue for items that weigh so much.
pub(super) fn pipe<T>(signal: Signal, counts: &AllCounts, weigh: fn(&T) -> usize) -> (Inlet<T>, Outlet<T>) {
    let (inlet, outlet) = mpsc::channel(OTLP_QUEUED_MAX);
    let bytes = Arc::<AtomicUsize>::default();
    (
        Inlet { queue: inlet, bytes: Arc::clone(&bytes), weigh, signal, counts: Arc::clone(counts) },
        Outlet { queue: outlet, bytes, signal, counts: Arc::clone(counts) },
    )
}

impl<T> Inlet<T> {
    /// Takes an item, if there is room.
    pub(super) fn offer(&self, who: Attributes, item: T) {
        let bytes = (self.weigh)(&item);
        let room = self.bytes.load(Ordering::Relaxed) + bytes <= OTLP_QUEUED_BYTES_MAX;
        if room && self.queue.try_send(Queued { who, item, bytes }).is_ok() {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.missed(1);
        }
    }

    /// So many items never came.
    pub(super) fn missed(&self, items: u64) {
        self.counts[self.signal as usize].dropped.fetch_add(items, Ordering::Relaxed);
    }
}

impl<T: Send + 'static> Outlet<T> {
    /// Sends batches until nothing can come any more.
    pub(super) async fn run(mut self, collector: Arc<Collector>, write: fn(&[Told<T>]) -> Vec<u8>) {
        while let Some(batch) = self.batch().await {
            let items = batch.len() as u64;
            let mut told = otlp::gather(batch);
            for one in &mut told {
                one.resource.extend(collector.resource().iter().cloned());
            }
            let body = write(&told);
            drop(told);
            collector.deliver(self.signal, body, items, &self.counts[self.signal as usize]).await;
        }
    }

    /// What comes until it is enough, or the first of it has waited long enough.
    async fn batch(&mut self) -> Option<Vec<(Attributes, T)>> {
        let first = self.queue.recv().await?;
        let until = Instant::now() + OTLP_BATCH_WAIT;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(Queued { who, item, bytes: weight }) = next {
            self.bytes.fetch_sub(weight, Ordering::Relaxed);
            bytes += weight;
            batch.push((who, item));
            if batch.len() >= OTLP_BATCH_MAX || bytes >= OTLP_BATCH_BYTES_MAX {
                break;
            }
            next = timeout_at(until, self.queue.recv()).await.ok().flatten();
        }
        Some(batch)
    }
}
