//! The lines that Lambda itself writes into a function's log: when a call begins and ends, and what it took (Lambda
//! developer guide, "Log format").
//!
//! **How.** A [`Report`] writes `START` when it is made and `END` and `REPORT` when it is ended, in the stream of what the
//! function prints, so that the limit of that holds for them. One that is dropped before its end tells of a time-out.
//! What a process prints comes by a pipe, so its last lines may come after these.

use crate::code::FunctionCode;
use crate::invocation::Context;
use crate::unit::Program;
use hob_core::event::timestamp;
use hob_core::port::{LogSink, Stream};
use hob_core::unit::unix_ms;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// What an instance writes its reports with.
pub(super) struct Reports {
    pub(super) log: Arc<dyn LogSink>,
    pub(super) code: Arc<FunctionCode>,
    pub(super) instance: u64,
    pub(super) program: Arc<dyn Program>,
    /// As JSON instead of text.
    pub(super) json: bool,
    /// The most memory that was seen so far, bytes.
    pub(super) memory: AtomicU64,
    /// How long the start took, microseconds, until a call has told it; 0: told, or nobody waited for it.
    pub(super) init_us: AtomicU64,
}

/// A call that is under way.
pub(super) struct Report {
    reports: Arc<Reports>,
    context: Arc<Context>,
    id: String,
    began: Instant,
    ended: bool,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Success,
    Error,
    Timeout,
}

impl Status {
    /// As the telemetry API names it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Timeout => "timeout",
        }
    }
}

impl Reports {
    /// A call begins; `version` is what it was called by.
    pub(super) fn start(self: &Arc<Self>, context: &Arc<Context>, id: &str, version: &str) -> Report {
        match self.json {
            false => self.say(context, format!("START RequestId: {id} Version: {version}")),
            true => self.record(context, "platform.start", json!({ "requestId": id, "version": version })),
        }
        let (reports, context) = (Arc::clone(self), Arc::clone(context));
        Report { reports, context, id: id.to_owned(), began: Instant::now(), ended: false }
    }

    fn say(&self, context: &Context, text: String) {
        let record = crate::log::record(&self.code, self.instance, Some(context), Stream::Stdout, None, text);
        self.log.record(record);
    }

    fn record(&self, context: &Context, kind: &str, record: Value) {
        let time = timestamp(unix_ms(SystemTime::now()));
        self.say(context, json!({ "time": time, "type": kind, "record": record }).to_string());
    }

    /// The most memory so far, MiB. Only the first look costs something, unless nobody looks all the time.
    fn memory_mib(&self) -> u64 {
        let before = self.memory.load(Ordering::Relaxed);
        let seen = self.program.seen_bytes();
        let seen = seen.or_else(|| if before == 0 { self.program.memory_bytes() } else { None });
        let most = before.max(seen.unwrap_or_default());
        self.memory.store(most, Ordering::Relaxed);
        most.div_ceil(1 << 20)
    }
}

impl Report {
    /// The call has ended.
    pub(super) fn end(mut self, status: Status) {
        self.write(status);
    }

    /// The call goes to another instance, which tells of it.
    pub(super) fn forget(mut self) {
        self.ended = true;
    }

    fn write(&mut self, status: Status) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let Self { reports, context, id, began, .. } = self;
        let took = began.elapsed();
        let init_us = reports.init_us.swap(0, Ordering::Relaxed);
        let init = (init_us > 0).then(|| Duration::from_micros(init_us));
        let (memory, used) = (reports.code.spec.memory_bytes >> 20, reports.memory_mib());
        if reports.json {
            let mut metrics = json!({
                "durationMs": ms(took), "billedDurationMs": billed(took), "memorySizeMB": memory, "maxMemoryUsedMB": used,
            });
            if let Some(init) = init {
                metrics["initDurationMs"] = json!(ms(init));
            }
            let record = json!({ "requestId": id, "metrics": metrics, "status": status.word() });
            return reports.record(context, "platform.report", record);
        }
        reports.say(context, format!("END RequestId: {id}"));
        reports.say(context, line(id, took, (memory, used), init, status));
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.write(Status::Timeout);
    }
}

/// Milliseconds with two digits behind the point.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}

fn billed(time: Duration) -> u128 {
    time.as_micros().div_ceil(1000)
}

/// The `REPORT` line.
fn line(
    id: &str,
    took: Duration,
    (memory, used): (u64, u64),
    init: Option<Duration>,
    status: Status,
) -> String {
    let mut text = format!(
        "REPORT RequestId: {id}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {memory} MB\tMax Memory Used: {used} MB\t",
        ms(took),
        billed(took),
    );
    if let Some(init) = init {
        text.push_str(&format!("Init Duration: {:.2} ms\t", ms(init)));
    }
    match status {
        Status::Success => {}
        Status::Error => text.push_str("Status: error"),
        Status::Timeout => text.push_str("Status: timeout"),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Status, line};
    use std::time::Duration;

    #[test]
    fn reports_are_as_lambda_writes_them() {
        let (took, init) = (Duration::from_micros(12_341), Duration::from_millis(100));
        for (init, status, expected) in [
            (
                Some(init),
                Status::Success,
                "REPORT RequestId: i\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\tMax Memory Used: 40 MB\tInit Duration: 100.00 ms\t",
            ),
            (
                None,
                Status::Timeout,
                "REPORT RequestId: i\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\tMax Memory Used: 40 MB\tStatus: timeout",
            ),
        ] {
            assert_eq!(line("i", took, (128, 40), init, status), expected);
        }
    }
}
