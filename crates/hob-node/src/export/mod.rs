//! Export: spans, log records and metrics to a collector, over the OpenTelemetry protocol (OTLP 1.x, http/protobuf).
//!
//! **Why.** Who has a collector wants Hob's traces next to all others. It must cost calls nothing: a collector
//! that is slow or gone loses telemetry, and nothing else.
//!
//! **How.** Tasks follow the facts ([`crate::telemetry`]) and the log ([`crate::logs`]) and put what they make of them
//! into bounded queues (`pipe`); one task for each signal takes batches out and sends them (`collector`), with
//! retries. What a fact is in the protocol's words, [`hob_core::otlp`] says.
//!
//! **Invariants.** Nothing here is waited for by a call. Every item that was told is counted as exported, dropped or
//! rejected, or still waits.

mod collector;
mod metrics;
mod pipe;

use crate::logs::{Line, Logs};
use crate::scrape::Scrape;
use crate::settings::Otlp;
use crate::task::Tasks;
use crate::telemetry::Telemetry;
use collector::Collector;
use hob_core::fact::Fact;
use hob_core::fault::Result;
use hob_core::limit::OTLP_FLUSH_TIMEOUT;
use hob_core::otlp::{self, Log, Signal, Span, Spans};
use hob_core::wire::LogQuery;
use hob_runtime::outbound::external::External;
use pipe::{AllCounts, Inlet, pipe};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The export of one node.
pub(crate) struct Export {
    collector: Arc<Collector>,
    counts: AllCounts,
    /// No more will be told: what waits is sent, then the tasks end.
    closing: CancellationToken,
    working: TaskTracker,
}

impl Export {
    /// Begins to export what is told from now on.
    ///
    /// # Errors
    /// `HOB-0111` for an endpoint or a header that cannot be used; `HOB-0901` when TLS cannot be set up.
    pub(crate) fn start(
        settings: &Otlp,
        telemetry: &Telemetry,
        logs: &Logs,
        tasks: &Arc<Tasks>,
    ) -> Result<Self> {
        let (closing, working) = (CancellationToken::new(), TaskTracker::new());
        let external = External::new(Arc::clone(tasks) as _)?;
        let collector = Arc::new(Collector::new(settings, external, closing.clone())?);
        let counts = AllCounts::default();
        let export = Self { counts, collector: Arc::clone(&collector), closing, working };
        let (spans, out) = pipe(Signal::Traces, &export.counts, Span::bytes);
        export.run(tasks, "export of spans", out.run(Arc::clone(&collector), otlp::write_spans));
        let (records, out) = pipe(Signal::Logs, &export.counts, Log::bytes);
        export.run(tasks, "export of logs", out.run(Arc::clone(&collector), otlp::write_logs));
        let (facts, closing) = (telemetry.follow(), export.closing.clone());
        export.run(tasks, "facts for export", follow_facts(facts, spans, records.clone(), closing));
        let (_, lines) = logs.read(LogQuery { tail: Some(0), ..LogQuery::default() });
        let closing = export.closing.clone();
        export.run(tasks, "log for export", follow_logs(lines, records, closing));
        Ok(export)
    }

    /// Exports metrics from now on, which the node has counted since `started_ms`.
    pub(crate) fn measure(&self, scrape: &Arc<Scrape>, started_ms: u64, tasks: &Tasks) {
        let counts = Arc::clone(&self.counts);
        scrape.extra(move || vec![pipe::metric(&counts)]);
        let (scrape, collector) = (Arc::clone(scrape), Arc::clone(&self.collector));
        let (counts, closing) = (Arc::clone(&self.counts), self.closing.clone());
        self.run(tasks, "export of metrics", metrics::run(scrape, started_ms, collector, counts, closing));
    }

    fn run(&self, tasks: &Tasks, kind: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        tasks.start(kind, self.working.track_future(work));
    }

    /// Sends what waits, as far as the collector takes it within the limit.
    pub(crate) async fn close(&self) {
        self.closing.cancel();
        self.working.close();
        if tokio::time::timeout(OTLP_FLUSH_TIMEOUT, self.working.wait()).await.is_err() {
            tracing::warn!("the collector did not take the last telemetry in time");
        }
        for (signal, counts) in Signal::ALL.into_iter().zip(self.counts.iter()) {
            let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
            let (exported, dropped, rejected) =
                (of(&counts.exported), of(&counts.dropped), of(&counts.rejected));
            tracing::info!(signal = signal.word(), exported, dropped, rejected, "telemetry was exported");
        }
    }
}

/// Makes spans and events of facts, until there are no more.
async fn follow_facts(
    mut facts: broadcast::Receiver<Arc<Fact>>,
    spans: Inlet<Span>,
    records: Inlet<Log>,
    closing: CancellationToken,
) {
    let mut made = Spans::default();
    let mut take = |fact: &Fact| {
        for (who, span) in made.of(fact) {
            spans.offer(who, span);
        }
        if let Some((who, event)) = otlp::event(fact) {
            records.offer(who, event);
        }
    };
    loop {
        tokio::select! {
            biased;
            fact = facts.recv() => match fact {
                Ok(fact) => take(&fact),
                // A fact is one span at least, or one event: the count is what is known.
                Err(RecvError::Lagged(missed)) => spans.missed(missed),
                Err(RecvError::Closed) => return,
            },
            () = closing.cancelled() => break,
        }
    }
    loop {
        match facts.try_recv() {
            Ok(fact) => take(&fact),
            Err(TryRecvError::Lagged(missed)) => spans.missed(missed),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return,
        }
    }
}

/// Hands over log records, until there are no more.
async fn follow_logs(mut lines: crate::logs::Follow, records: Inlet<Log>, closing: CancellationToken) {
    loop {
        let line = tokio::select! {
            biased;
            line = lines.next() => line,
            () = closing.cancelled() => None,
        };
        match line {
            Some(Line::Record(record)) => {
                let (who, log) = otlp::log(&record);
                records.offer(who, log);
            }
            Some(Line::Missed(missed)) => records.missed(missed),
            None => return,
        }
    }
}
