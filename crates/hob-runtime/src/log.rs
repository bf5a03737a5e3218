//! What functions print, as bounded, harmless log records.
//!
//! **Why.** A function's output is written by strangers: it may have no line ends, be no text, hold
//! terminal escapes, or never stop. A log that passes it on unchanged is an attack on whoever reads it.
//!
//! **How.** [`Lines`] cuts bytes into lines and makes each a record: harmless, long lines cut and marked,
//! with the invocation where it can be known. [`Limited`] wraps a node's sink with the rate limit of each
//! function: what passes is understood (level, JSON), what it drops is counted, and the exact count is a
//! record itself.
//!
//! **Not here:** keeping and showing records (the node's log buffer).

use crate::code::FunctionCode;
use crate::invocation::Context;
use hob_core::limit::{LOG_BYTES_PER_SECOND, LOG_LINE_BYTES_MAX, LOG_TAIL_LINES};
use hob_core::log_line::{Level, harmless};
use hob_core::name::{AppName, FunctionName};
use hob_core::port::{LogRecord, LogSink, Spawn, Stream};
use hob_core::trace::{SpanId, TraceId};
use hob_core::unit::unix_ms;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt};

/// One stream of one instance, cut into lines. Usable from synchronous and asynchronous code.
pub struct Lines {
    sink: Arc<dyn LogSink>,
    code: Arc<FunctionCode>,
    instance: u64,
    stream: Stream,
    line: Vec<u8>,
    skipped: u64,
    tail: Option<Tail>,
}

impl Lines {
    /// An empty stream.
    pub fn new(sink: Arc<dyn LogSink>, code: Arc<FunctionCode>, instance: u64, stream: Stream) -> Self {
        Self { sink, code, instance, stream, line: Vec::new(), skipped: 0, tail: None }
    }

    /// Also keeps the newest lines in `tail`.
    #[must_use]
    pub fn with_tail(mut self, tail: Tail) -> Self {
        self.tail = Some(tail);
        self
    }

    /// Adds bytes; every line that they end becomes a record. `calls` are those that may have printed it:
    /// the only one has, or the one that the line names.
    pub fn write(&mut self, mut bytes: &[u8], calls: &[Arc<Context>]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end]);
            self.emit(calls);
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    /// Makes what is left a record: at the end of the stream, or of a call.
    pub fn flush(&mut self, calls: &[Arc<Context>]) {
        if !self.line.is_empty() {
            self.emit(calls);
        }
    }

    /// Reads until the end of `reader`.
    pub async fn pump(mut self, mut reader: impl AsyncRead + Unpin, calls: &[Arc<Context>]) {
        let mut buffer = vec![0; 8 << 10];
        while let Ok(read) = reader.read(&mut buffer).await {
            if read == 0 {
                break;
            }
            self.write(&buffer[..read], calls);
        }
        self.flush(calls);
    }

    fn extend(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(LOG_LINE_BYTES_MAX - self.line.len());
        self.line.extend_from_slice(&bytes[..kept]);
        self.skipped += (bytes.len() - kept) as u64;
    }

    fn emit(&mut self, calls: &[Arc<Context>]) {
        let mut text = harmless(self.line.strip_suffix(b"\r").unwrap_or(&self.line));
        if self.skipped > 0 {
            let _ = write!(text, " … ({} bytes cut)", self.skipped);
        }
        self.line.clear();
        self.skipped = 0;
        if let Some(tail) = &self.tail {
            tail.push(&text);
        }
        let call = match calls {
            [only] => Some(&**only),
            several => named(&text, several),
        };
        self.sink.record(record(&self.code, self.instance, call, self.stream, None, text));
    }
}

/// The one call of several that a line names: by the id of its invocation, or by that of its trace if no
/// other has the same.
fn named<'a>(text: &str, calls: &'a [Arc<Context>]) -> Option<&'a Context> {
    const DIGITS: usize = 32;
    if calls.is_empty() || text.len() < DIGITS {
        return None;
    }
    let words = text.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == DIGITS);
    let ids = words.filter_map(|word| u128::from_str_radix(word, 16).ok());
    // Lambda's runtimes know an invocation as a UUID (RFC 9562, section 4).
    let parts =
        text.split(|c: char| !c.is_ascii_hexdigit() && c != '-').filter(|part| part.len() == DIGITS + 4);
    let uuids = parts.filter_map(|part| u128::from_str_radix(&part.replace('-', ""), 16).ok());
    let ids: Vec<u128> = ids.chain(uuids).collect();
    if let Some(call) = calls.iter().find(|call| ids.contains(&call.id.0)) {
        return Some(call);
    }
    let mut of_trace = calls.iter().filter(|call| ids.contains(&call.trace.trace_id));
    match (of_trace.next(), of_trace.next()) {
        (Some(call), None) => Some(call),
        _ => None,
    }
}

/// What a function printed through an interface that knows more of it than bytes.
pub(crate) struct Printed<'a> {
    /// Where it would have gone.
    pub(crate) stream: Stream,
    /// How severe it is.
    pub(crate) level: Level,
    /// The calls that may have printed it.
    pub(crate) calls: &'a [Arc<Context>],
}

/// What goes before the lines of a text that are not its first. A level or JSON is looked for in front of a line, so that none
/// of them passes for something that the function has said by itself (OWASP, Log Injection).
const GOES_ON: &str = "\u{21b3} ";

/// Each line of a text as a record, in which it can be seen that it goes on.
pub(crate) fn printed(
    sink: &dyn LogSink,
    code: &FunctionCode,
    instance: u64,
    printed: &Printed<'_>,
    text: &str,
) {
    let call = match printed.calls {
        [only] => Some(&**only),
        several => named(text, several),
    };
    for (at, line) in text.lines().enumerate() {
        let cut = line.floor_char_boundary(LOG_LINE_BYTES_MAX);
        let mut line = harmless(&line.as_bytes()[..cut]);
        if at > 0 {
            line.insert_str(0, GOES_ON);
        }
        sink.record(record(code, instance, call, printed.stream, Some(printed.level), line));
    }
}

/// A line that a worker has read, of this instance, and of this call if it is known.
pub(crate) fn line(
    sink: &dyn LogSink,
    code: &FunctionCode,
    (instance, call): (u64, Option<&Context>),
    (stream, level): (Stream, Option<Level>),
    text: &str,
) {
    let cut = text.floor_char_boundary(2 * LOG_LINE_BYTES_MAX);
    sink.record(record(code, instance, call, stream, level, harmless(&text.as_bytes()[..cut])));
}

/// A record of Hob's own about a function: started, crashed, stopped.
pub fn platform(
    sink: &dyn LogSink,
    code: &FunctionCode,
    instance: u64,
    call: Option<&Context>,
    level: Level,
    text: impl Into<String>,
) {
    sink.record(record(code, instance, call, Stream::Platform, Some(level), text.into()));
}

pub(crate) fn record(
    code: &FunctionCode,
    instance: u64,
    call: Option<&Context>,
    stream: Stream,
    level: Option<Level>,
    text: String,
) -> LogRecord {
    LogRecord {
        time_ms: unix_ms(SystemTime::now()),
        app: code.app.clone(),
        revision: code.revision,
        function: code.name.clone(),
        instance,
        invocation: call.map(|call| call.id),
        trace: call.map(|call| TraceId(call.trace.trace_id)),
        span: call.map(|call| SpanId(call.trace.span_id)),
        stream,
        level,
        text,
        fields: BTreeMap::new(),
    }
}

/// The newest lines that an instance printed, for the message when it fails.
#[derive(Clone, Debug, Default)]
pub struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    /// The lines, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn push(&self, line: &str) {
        const SHOWN_CHARS: usize = 200;
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LOG_TAIL_LINES {
            lines.pop_front();
        }
        lines.push_back(line.chars().take(SHOWN_CHARS).collect());
    }
}

/// A sink with the rate limit of each function: [`LOG_BYTES_PER_SECOND`] of what it prints. Hob's own
/// records pass. A second in which something was dropped ends with a record that says how much.
pub struct Limited {
    shared: Arc<Shared>,
    spawn: Arc<dyn Spawn>,
}

struct Shared {
    sink: Arc<dyn LogSink>,
    windows: Mutex<HashMap<Key, Window>>,
    dropped: Mutex<BTreeMap<Key, Dropped>>,
}

type Key = (AppName, FunctionName);

/// What was dropped of a function's lines since the node started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Lines.
    pub lines: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Limited {
    /// Wraps `sink`.
    pub fn new(sink: Arc<dyn LogSink>, spawn: Arc<dyn Spawn>) -> Arc<Self> {
        let shared = Shared { sink, windows: Mutex::default(), dropped: Mutex::default() };
        Arc::new(Self { shared: Arc::new(shared), spawn })
    }

    /// Every function of which something was dropped since the node started, and how much; exact, and
    /// up to date with each line.
    pub fn dropped(&self) -> Vec<(AppName, FunctionName, Dropped)> {
        let dropped = self.shared.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        dropped.iter().map(|((app, function), dropped)| (app.clone(), function.clone(), *dropped)).collect()
    }
}

/// One second of one function.
#[derive(Debug, Default)]
struct Window {
    start_ms: u64,
    bytes: u64,
    dropped_lines: u64,
    dropped_bytes: u64,
}

/// What becomes of a record.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Pass,
    /// Dropped; the first of its window, so somebody has to report it at the window's end.
    DropFirst,
    Drop,
}

const WINDOW_MS: u64 = 1000;
/// Windows that are kept before those of the past are thrown away.
const WINDOWS_MAX: usize = 4096;

impl Window {
    fn admit(&mut self, now_ms: u64, bytes: u64) -> Verdict {
        // A window with drops is closed by its report alone, so that no count is ever lost.
        if self.dropped_lines == 0 && now_ms.saturating_sub(self.start_ms) >= WINDOW_MS {
            *self = Self { start_ms: now_ms, ..Self::default() };
        }
        if self.dropped_lines == 0 && self.bytes + bytes <= LOG_BYTES_PER_SECOND {
            self.bytes += bytes;
            return Verdict::Pass;
        }
        self.dropped_lines += 1;
        self.dropped_bytes += bytes;
        if self.dropped_lines == 1 { Verdict::DropFirst } else { Verdict::Drop }
    }
}

impl Shared {
    fn admit(&self, record: &LogRecord) -> Verdict {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= WINDOWS_MAX {
            windows.retain(|_, window| {
                window.dropped_lines > 0 || record.time_ms < window.start_ms.saturating_add(WINDOW_MS)
            });
        }
        let key = (record.app.clone(), record.function.clone());
        let bytes = record.bytes();
        let verdict = windows.entry(key.clone()).or_default().admit(record.time_ms, bytes);
        if verdict != Verdict::Pass {
            // Grows with the functions that ever printed too much, which are few.
            let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
            let sum = dropped.entry(key).or_default();
            *sum = Dropped { lines: sum.lines + 1, bytes: sum.bytes + bytes };
        }
        verdict
    }

    /// Closes the window of `last`'s function and says what was dropped in it.
    fn report(&self, last: LogRecord) {
        let key = (last.app.clone(), last.function.clone());
        let closed = self.windows.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        let Some(Window { dropped_lines, dropped_bytes, .. }) = closed else { return };
        let text = format!(
            "dropped {dropped_lines} lines ({dropped_bytes} bytes): the function printed more than {LOG_BYTES_PER_SECOND} bytes in a second"
        );
        self.sink.record(LogRecord {
            time_ms: last.time_ms + WINDOW_MS,
            stream: Stream::Platform,
            invocation: None,
            trace: None,
            span: None,
            level: Some(Level::Warn),
            text,
            fields: BTreeMap::new(),
            ..last
        });
    }
}

impl LogSink for Limited {
    fn record(&self, record: LogRecord) {
        if record.stream == Stream::Platform {
            return self.shared.sink.record(record);
        }
        match self.shared.admit(&record) {
            // What comes as a record of its own is understood already.
            Verdict::Pass if record.stream == Stream::Otlp => self.shared.sink.record(record),
            Verdict::Pass => self.shared.sink.record(record.understood()),
            Verdict::Drop => {}
            Verdict::DropFirst => {
                let shared = Arc::clone(&self.shared);
                let report = async move {
                    tokio::time::sleep(Duration::from_millis(WINDOW_MS)).await;
                    shared.report(record);
                };
                self.spawn.spawn("log report", Box::pin(report));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LOG_BYTES_PER_SECOND, Verdict, Window};

    #[test]
    fn a_window_counts_everything_it_drops() {
        let mut window = Window::default();
        let half = LOG_BYTES_PER_SECOND / 2;
        let story = [
            (5000, half, Verdict::Pass),
            (5010, half, Verdict::Pass),
            (5020, 1, Verdict::DropFirst),
            (5030, 7, Verdict::Drop),
            // Late, but the report has not closed the window yet.
            (6500, 2, Verdict::Drop),
        ];
        for (now_ms, bytes, expected) in story {
            assert_eq!(window.admit(now_ms, bytes), expected, "at {now_ms}");
        }
        assert_eq!((window.dropped_lines, window.dropped_bytes), (3, 10));
        let mut next = Window { start_ms: 5000, bytes: LOG_BYTES_PER_SECOND, ..Window::default() };
        assert_eq!(next.admit(6000, half), Verdict::Pass, "a new second, a new budget");
    }
}
