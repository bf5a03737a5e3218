//! The log records of all functions: the newest are kept in memory, and followers see each new one.
//!
//! **Why.** A function must never wait for whoever reads its log, nor fill the node's memory.
//!
//! **How.** A bounded ring under a lock that is held for one push, and a broadcast channel. A follower
//! that is too slow misses records and is told how many.

use hob_core::limit::{LOG_BYTES_KEPT, LOG_RECORDS_KEPT};
use hob_core::port::{LogRecord, LogSink};
use hob_core::wire::LogQuery;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// New records that a follower may be behind before it misses some.
const FOLLOWER_RECORDS_MAX: usize = 1024;

/// The log of one space.
pub struct Logs {
    bytes_max: u64,
    kept: Mutex<Kept>,
    new: broadcast::Sender<Arc<LogRecord>>,
}

/// The newest records, and their bytes.
#[derive(Default)]
struct Kept {
    records: VecDeque<Arc<LogRecord>>,
    bytes: u64,
}

/// What a follower gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A record.
    Record(Arc<LogRecord>),
    /// So many records were missed, because the follower was too slow.
    Missed(u64),
}

impl Logs {
    /// An empty log.
    pub fn new() -> Arc<Self> {
        Self::within(LOG_BYTES_KEPT)
    }

    /// The same of at most so many bytes.
    pub(crate) fn within(bytes_max: u64) -> Arc<Self> {
        let (kept, new) = (Mutex::default(), broadcast::channel(FOLLOWER_RECORDS_MAX).0);
        Arc::new(Self { bytes_max, kept, new })
    }

    /// The kept records that `query` wants, oldest first, and what follows them.
    pub fn read(&self, query: LogQuery) -> (Vec<Arc<LogRecord>>, Follow) {
        // Under one lock, so that no record is in both or in neither.
        let kept = self.kept();
        let new = self.new.subscribe();
        let wanted = kept.records.iter().rev().filter(|record| query.wants(record));
        let tail = query.tail.map_or(usize::MAX, |tail| usize::try_from(tail).unwrap_or(usize::MAX));
        let mut records: Vec<_> = wanted.take(tail).cloned().collect();
        records.reverse();
        (records, Follow { query, new })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogSink for Logs {
    fn record(&self, record: LogRecord) {
        let record = Arc::new(record);
        let mut kept = self.kept();
        kept.bytes += record.bytes();
        kept.records.push_back(Arc::clone(&record));
        while kept.records.len() > LOG_RECORDS_KEPT || kept.bytes > self.bytes_max {
            let Some(oldest) = kept.records.pop_front() else { break };
            kept.bytes -= oldest.bytes();
        }
        // Fails when nobody follows, which is no fault.
        let _ = self.new.send(record);
    }
}

/// New records, as they come.
pub struct Follow {
    query: LogQuery,
    new: broadcast::Receiver<Arc<LogRecord>>,
}

impl Follow {
    /// The next record that the query wants; `None` when the node has stopped.
    pub async fn next(&mut self) -> Option<Line> {
        loop {
            match self.new.recv().await {
                Ok(record) if self.query.wants(&record) => return Some(Line::Record(record)),
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => return Some(Line::Missed(missed)),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FOLLOWER_RECORDS_MAX, Line, Logs};
    use hob_core::limit::LOG_RECORDS_KEPT;
    use hob_core::name::{AppName, FunctionName, RevisionNumber};
    use hob_core::port::{LogRecord, LogSink, Stream};
    use hob_core::wire::LogQuery;

    fn record(function: &str, text: String) -> LogRecord {
        LogRecord {
            time_ms: 0,
            app: AppName::new("desk").unwrap(),
            revision: RevisionNumber(1),
            function: FunctionName::new(function).unwrap(),
            instance: 1,
            invocation: None,
            trace: None,
            span: None,
            stream: Stream::Stdout,
            level: None,
            text,
            fields: Default::default(),
        }
    }

    #[tokio::test]
    async fn the_newest_are_kept_and_a_slow_follower_learns_what_it_missed() {
        let logs = Logs::new();
        let (none, mut follow) = logs.read(LogQuery::default());
        assert!(none.is_empty());
        for number in 0..LOG_RECORDS_KEPT + 5 {
            logs.record(record(if number % 2 == 0 { "even" } else { "odd" }, number.to_string()));
        }
        let (all, _) = logs.read(LogQuery::default());
        assert_eq!((all.len(), all[0].text.as_str()), (LOG_RECORDS_KEPT, "5"));
        let odd = LogQuery { function: FunctionName::new("odd").ok(), tail: Some(2), ..LogQuery::default() };
        let texts: Vec<_> = logs.read(odd).0.iter().map(|record| record.text.clone()).collect();
        assert_eq!(texts, [(LOG_RECORDS_KEPT + 1).to_string(), (LOG_RECORDS_KEPT + 3).to_string()]);
        let missed = (LOG_RECORDS_KEPT + 5 - FOLLOWER_RECORDS_MAX) as u64;
        assert_eq!(follow.next().await, Some(Line::Missed(missed)));
        assert!(matches!(follow.next().await, Some(Line::Record(r)) if r.text == missed.to_string()));
    }
}
