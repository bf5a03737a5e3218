//! `hob logs`: what functions print, from the node's memory.

use super::moment::time_ms;
use super::{Command, DONE};
use crate::output::{Output, Style, shown};
use crate::settings::Connection;
use hob_core::event::timestamp;
use hob_core::fault::Result;
use hob_core::id::InvocationId;
use hob_core::log_line::{self, Level};
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::port::{LogRecord, Stream};
use hob_core::trace::TraceId;
use hob_core::wire::LogQuery;

/// Show what functions print, oldest first. Lines of JSON are shown as their message and their fields.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  hob logs -f                                   everything, as it comes
  hob logs shop/cart --level warn --since 10m   what one function complained about
  hob logs --invocation 0198c2…                 one call, by the `hob-invocation-id` of its answer
  hob logs shop --grep timeout -o json | jq .fields")]
pub(super) struct Logs {
    /// Only of this app, or of one function: `APP` or `APP/FUNCTION`
    #[arg(value_name = "APP[/FUNCTION]")]
    of: Option<String>,
    /// Go on with new lines until interrupted
    #[arg(short, long)]
    follow: bool,
    /// How many of the kept lines to show first
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 200)]
    tail: u32,
    /// Only what is at least so severe: trace, debug, info, warn, error or fatal
    #[arg(short, long, value_name = "LEVEL", value_parser = level)]
    level: Option<Level>,
    /// Only from a time on, such as `10m` for ten minutes ago or `2026-07-01T09:30:00Z`
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    since: Option<u64>,
    /// Only before a time
    #[arg(long, value_name = "TIME", value_parser = time_ms, conflicts_with = "follow")]
    until: Option<u64>,
    /// Only lines with this text in message or fields, upper and lower case alike
    #[arg(short, long, value_name = "TEXT")]
    grep: Option<String>,
    /// Only of this revision
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u32>,
    /// Only of one call, by its id
    #[arg(long, value_name = "ID", value_parser = invocation)]
    invocation: Option<InvocationId>,
    /// Only of one trace, by its id
    #[arg(long, value_name = "ID", value_parser = trace)]
    trace: Option<TraceId>,
    /// Only from this stream: stdout, stderr, platform (Hob itself) or otlp
    #[arg(long, value_parser = stream)]
    stream: Option<Stream>,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Logs {
    async fn run(self, output: &Output) -> Result<u8> {
        let client = self.connection.client()?;
        let query = self.query()?;
        client
            .logs(&query, |record| {
                output.item(&record, |output| {
                    let from = if output.wide() { From::Everywhere } else { From::Time };
                    line(&record, from, output.result_style())
                });
                !output.closed()
            })
            .await?;
        Ok(DONE)
    }
}

impl Logs {
    fn query(self) -> Result<LogQuery> {
        let (app, function) = match self.of.as_deref() {
            Some(of) => match of.split_once('/') {
                Some((app, function)) => (Some(AppName::new(app)?), Some(FunctionName::new(function)?)),
                None => (Some(AppName::new(of)?), None),
            },
            None => (None, None),
        };
        Ok(LogQuery {
            app,
            function,
            revision: self.revision.map(RevisionNumber),
            stream: self.stream,
            level: self.level,
            since_ms: self.since,
            until_ms: self.until,
            grep: self.grep,
            invocation: self.invocation,
            trace: self.trace,
            tail: Some(self.tail),
            follow: self.follow,
        })
    }
}

/// How much is said of where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// The function.
    Function,
    /// The time of day in UTC, too.
    Time,
    /// Date, revision, instance and call, too.
    Everywhere,
}

/// A record as people read it: where it came from, how severe it is unless the text says so itself, the
/// text, and its fields.
pub(crate) fn line(record: &LogRecord, from: From, style: Style) -> String {
    let mark = match record.stream {
        Stream::Stdout => "|",
        Stream::Stderr => "!",
        Stream::Platform => "*",
        Stream::Otlp => ">",
    };
    let origin = match from {
        From::Function => record.function.to_string(),
        From::Time => format!("{} {}", time_of_day(record.time_ms), record.function),
        From::Everywhere => {
            let call = record.invocation.map(|id| format!(" {id}")).unwrap_or_default();
            let time = timestamp(record.time_ms);
            let LogRecord { app, function, revision, instance, .. } = record;
            format!("{time} {app}/{function}@{revision}#{instance}{call}")
        }
    };
    let mut text = record.text.clone();
    if let Some(level) = record.level.filter(|_| log_line::level(&text).is_none()) {
        text = format!("{} {text}", level.word().to_ascii_uppercase());
    }
    let text = match record.level {
        Some(Level::Error | Level::Fatal) => style.red(&text),
        Some(Level::Warn) => style.yellow(&text),
        Some(Level::Trace | Level::Debug) => style.dim(&text),
        Some(Level::Info) | None => text,
    };
    let mut line = format!("{} {text}", style.dim(&format!("{origin} {mark}")));
    for (name, value) in &record.fields {
        line += &format!(" {}", style.dim(&format!("{name}={}", quoted(value))));
    }
    line
}

fn time_of_day(time_ms: u64) -> String {
    let (seconds, milliseconds) = (time_ms / 1000 % 86_400, time_ms % 1000);
    format!("{:02}:{:02}:{:02}.{milliseconds:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A value in quotes if it would not be one word otherwise.
fn quoted(value: &str) -> String {
    const SHOWN_CHARACTERS: usize = 200;
    let value = shown::short(value, SHOWN_CHARACTERS);
    let one_word = !value.is_empty() && !value.contains([' ', '"', '=']);
    if one_word { value } else { format!("\"{}\"", value.replace('"', "\\\"")) }
}

fn stream(text: &str) -> Result<Stream, String> {
    serde_json::from_value(text.into())
        .map_err(|_| format!("`{text}` is none of stdout, stderr, platform, otlp"))
}

fn level(text: &str) -> Result<Level, String> {
    Level::parse(text).ok_or_else(|| format!("`{text}` is none of trace, debug, info, warn, error, fatal"))
}

fn invocation(text: &str) -> Result<InvocationId, String> {
    InvocationId::parse(text).ok_or_else(|| format!("`{text}` is no id of a call: 32 hexadecimal digits"))
}

fn trace(text: &str) -> Result<TraceId, String> {
    TraceId::parse(text).ok_or_else(|| format!("`{text}` is no id of a trace: 32 hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use super::{From, line};
    use crate::output::Style;
    use hob_core::port::LogRecord;
    use serde_json::json;

    #[test]
    fn lines_say_where_they_came_from_and_how_severe_they_are() {
        let record = |more: serde_json::Value| -> LogRecord {
            let mut record = json!({
                "time_ms": 1_700_000_000_042_u64, "app": "desk", "revision": 3, "function": "notes", "instance": 7,
                "stream": "stdout", "text": "bought",
            });
            record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(record).unwrap()
        };
        let plain = Style::of(false);
        for (more, from, expected) in [
            (json!({}), From::Function, "notes | bought"),
            (json!({}), From::Time, "22:13:20.042 notes | bought"),
            (
                json!({ "invocation": "0000000000000000000000000000002a", "stream": "stderr" }),
                From::Everywhere,
                "2023-11-14T22:13:20.042Z desk/notes@3#7 0000000000000000000000000000002a ! bought",
            ),
            (
                json!({ "level": "warn", "fields": { "n": "1", "who": "a \"b\"" } }),
                From::Function,
                "notes | WARN bought n=1 who=\"a \\\"b\\\"\"",
            ),
            (
                json!({ "level": "error", "text": "ERROR no", "stream": "platform" }),
                From::Function,
                "notes * ERROR no",
            ),
        ] {
            assert_eq!(line(&record(more), from, plain), expected);
        }
    }
}
