//! The operation that reads the log.

use super::{Ask, Control, Handled, Operation, Payload, query, stream};
use crate::logs::{Follow, Line};
use hob_core::access::{Need, Scope};
use hob_core::log_line::Level;
use hob_core::port::{LogRecord, Stream};
use hob_core::wire::LogQuery;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    id: "logs.read",
    method: Some("GET"),
    path: "/v1/logs",
    summary: "Reads the newest log records, and goes on with new ones if asked to.",
    needs: Need::Space(Scope::Observe),
    query: Some(<LogQuery as schemars::JsonSchema>::json_schema),
    request: Payload::None,
    response: Payload::Lines(|schemas| schemas.subschema_for::<LogRecord>()),
    status: 200,
    handle: read,
}];

fn read(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let wanted: LogQuery = query::read(ask.request.uri())?;
        let follow = wanted.follow;
        let (kept, new) = control.logs.read(wanted);
        let (lines, response) = stream::lines();
        control.tasks.start("log reader", async move {
            for record in kept {
                if !lines.send(&*record).await {
                    return;
                }
            }
            if follow {
                tokio::select! {
                    () = go_on(&lines, new) => {}
                    () = lines.closed() => {}
                }
            }
        });
        Ok(response)
    })
}

/// Writes new records until the client goes or the node stops.
async fn go_on(lines: &stream::Lines, mut new: Follow) {
    let mut missed = 0;
    while let Some(line) = new.next().await {
        match line {
            Line::Missed(records) => missed += records,
            Line::Record(record) => {
                let gap = (missed > 0).then(|| tell_missed(&record, std::mem::take(&mut missed)));
                let told = match gap {
                    Some(gap) => lines.send(&gap).await,
                    None => true,
                };
                if !told || !lines.send(&*record).await {
                    return;
                }
            }
        }
    }
}

/// The record that stands for those which a slow reader missed before `next`.
fn tell_missed(next: &LogRecord, records: u64) -> LogRecord {
    LogRecord {
        stream: Stream::Platform,
        invocation: None,
        trace: None,
        span: None,
        level: Some(Level::Warn),
        text: format!("{records} records were missed: this reader is too slow"),
        fields: Default::default(),
        ..next.clone()
    }
}
