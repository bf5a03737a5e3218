//! The end of a call's log, as Lambda gives it to a caller who asks for it.
//!
//! **How.** What a process prints comes by a pipe, beside its answer. So the log is read until nothing more has come for
//! a moment, at most for [`AWS_LOG_WAIT_MAX`].

use super::find::Found;
use crate::logs::{Line, Logs};
use hob_core::event::base64;
use hob_core::id::InvocationId;
use hob_core::limit::{AWS_LOG_QUIET, AWS_LOG_TAIL_BYTES, AWS_LOG_WAIT_MAX};
use hob_core::port::LogRecord;
use hob_core::wire::LogQuery;
use hob_runtime::contract::lambda::request_id;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The last 4 KiB of the log of a call, in base64.
pub(super) async fn tail(logs: &Logs, found: &Found, call: InvocationId, took: Duration) -> String {
    let query = LogQuery {
        app: Some(found.revision.app.clone()),
        function: Some(found.function.clone()),
        invocation: Some(call),
        ..LogQuery::default()
    };
    let (mut records, mut follow) = logs.read(query);
    let end = Instant::now() + AWS_LOG_WAIT_MAX;
    while Instant::now() < end {
        match timeout(AWS_LOG_QUIET, follow.next()).await {
            Ok(Some(Line::Record(record))) => records.push(record),
            Ok(Some(Line::Missed(_))) => {}
            Ok(None) | Err(_) => break,
        }
    }
    let memory = found.revision.spec.functions.get(&found.function).map_or(0, |spec| spec.memory_bytes >> 20);
    base64::encode(cut(&text(&records, &request_id(call), &found.version(), memory, took)).as_bytes())
}

/// The log as Lambda writes it (Lambda developer guide, "Log format"). The contract `lambda` has written how the call
/// began and ended; what the function printed may have come later than that, and stands between. Of another contract
/// the same is said here.
fn text(records: &[Arc<LogRecord>], call: &str, version: &str, memory_mib: u64, took: Duration) -> String {
    let place = |record: &LogRecord| match record.text.split_once(" RequestId: ") {
        Some(("START", rest)) if rest.starts_with(call) => 0,
        Some(("END", rest)) if rest.starts_with(call) => 2,
        Some(("REPORT", rest)) if rest.starts_with(call) => 3,
        _ => 1,
    };
    let written = records.iter().any(|record| place(record) == 3);
    let mut text =
        if written { String::new() } else { format!("START RequestId: {call} Version: {version}\n") };
    for at in 0..4 {
        for record in records.iter().filter(|record| place(record) == at) {
            text.push_str(&record.text);
            text.push('\n');
        }
    }
    if written {
        return text;
    }
    let (ms, billed) = (took.as_secs_f64() * 1000.0, took.as_micros().div_ceil(1000));
    text.push_str(&format!(
        "END RequestId: {call}\nREPORT RequestId: {call}\tDuration: {ms:.2} ms\tBilled Duration: {billed} ms\tMemory Size: {memory_mib} MB\t\n"
    ));
    text
}

/// The end of a text, from a character on.
fn cut(text: &str) -> &str {
    let mut from = text.len().saturating_sub(AWS_LOG_TAIL_BYTES);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::{AWS_LOG_TAIL_BYTES, cut};

    #[test]
    fn the_tail_begins_with_a_whole_character() {
        assert_eq!(cut("short"), "short");
        let long = "ä".repeat(AWS_LOG_TAIL_BYTES);
        for text in [format!("{long}x"), long.clone()] {
            let tail = cut(&text);
            assert!(tail.len() <= AWS_LOG_TAIL_BYTES && tail.len() >= AWS_LOG_TAIL_BYTES - 1);
            assert!(text.ends_with(tail));
        }
    }
}
