//! Writes queued facts in batches, and lets the store forget what is old.

use crate::clock::now_ms;
use hob_core::fact::Fact;
use hob_core::limit::{FACTS_BATCH_MAX, FACTS_BATCH_WAIT, FACTS_KEPT};
use hob_core::port::Facts;
use hob_core::unit::millis;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// How often old facts are looked for.
const TRIM_INTERVAL: Duration = Duration::from_secs(60);

/// What waits in the queue.
pub(super) enum Queued {
    /// A fact.
    Fact(Arc<Fact>),
    /// Somebody who waits until all before is kept.
    Flush(oneshot::Sender<()>),
}

/// Writes until nobody can tell anything any more.
pub(super) async fn run(
    store: Arc<dyn Facts>,
    mut queued: mpsc::Receiver<Queued>,
    bytes_max: impl Fn() -> u64,
) {
    let mut trim_at = Instant::now();
    while let Some(first) = queued.recv().await {
        let (batch, waiting) = collect(first, &mut queued).await;
        if !batch.is_empty() {
            let facts = batch.len();
            if let Err(fault) = store.append(batch).await {
                tracing::warn!(%fault, facts, "facts are lost: they could not be written");
            }
        }
        // Whoever waits may have gone.
        for waiting in waiting {
            let _ = waiting.send(());
        }
        if Instant::now() >= trim_at {
            trim_at = Instant::now() + TRIM_INTERVAL;
            let before_ms = now_ms().saturating_sub(millis(FACTS_KEPT));
            if let Err(fault) = store.trim(before_ms, bytes_max()).await {
                tracing::warn!(%fault, "old facts could not be removed");
            }
        }
    }
}

/// What comes until the batch is full, somebody waits for it, or it has waited long enough.
async fn collect(
    first: Queued,
    queued: &mut mpsc::Receiver<Queued>,
) -> (Vec<Fact>, Vec<oneshot::Sender<()>>) {
    let (mut batch, mut waiting) = (Vec::new(), Vec::new());
    let until = Instant::now() + FACTS_BATCH_WAIT;
    let mut next = Some(first);
    while let Some(one) = next.take() {
        match one {
            Queued::Fact(fact) => batch.push(Arc::unwrap_or_clone(fact)),
            Queued::Flush(done) => waiting.push(done),
        }
        if batch.len() >= FACTS_BATCH_MAX {
            break;
        }
        next = if waiting.is_empty() {
            tokio::select! {
                more = queued.recv() => more,
                () = sleep_until(until) => None,
            }
        } else {
            queued.try_recv().ok()
        };
    }
    (batch, waiting)
}
