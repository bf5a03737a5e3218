//! The operation that reads the log.

use super::{Ask, Control, Handled, Operation, Payload, query, stream};
use crate::logs::{Follow, Line};
use hob_core::fault::Result;
use hob_core::name::{AppName, FunctionName};
use hob_core::port::{LogRecord, Stream};
use hob_core::wire::LogQuery;
use std::str::FromStr;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    id: "logs.read",
    method: Some("GET"),
    path: "/v1/logs",
    summary: "Reads the newest log records, and goes on with new ones if asked to.",
    query: Some(<LogQuery as schemars::JsonSchema>::json_schema),
    request: Payload::None,
    response: Payload::Lines(|schemas| schemas.subschema_for::<LogRecord>()),
    status: 200,
    handle: read,
}];

fn read(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let wanted = wanted(ask.request.uri().query().unwrap_or_default())?;
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

fn wanted(text: &str) -> Result<LogQuery> {
    let mut wanted = LogQuery::default();
    for (name, value) in query::pairs(text)? {
        match name.as_str() {
            "app" => wanted.app = Some(AppName::new(&value)?),
            "function" => wanted.function = Some(FunctionName::new(&value)?),
            "stream" => wanted.stream = Some(stream_named(&value)?),
            "tail" => wanted.tail = Some(read_value(&name, &value)?),
            "follow" => wanted.follow = read_value(&name, &value)?,
            _ => return Err(query::refuse(&format!("there is no `{name}`"))),
        }
    }
    Ok(wanted)
}

fn read_value<T: FromStr>(name: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| query::refuse(&format!("`{name}` cannot be `{value}`")))
}

fn stream_named(value: &str) -> Result<Stream> {
    let known = serde_json::from_value(serde_json::Value::from(value));
    known.map_err(|_| query::refuse(&format!("`stream` cannot be `{value}`")))
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
        text: format!("{records} records were missed: this reader is too slow"),
        ..next.clone()
    }
}
