//! `hob logs`: what functions print, kept by the node in memory.

use super::{Command, DONE};
use crate::output::Output;
use crate::settings::Connection;
use hob_core::fault::Result;
use hob_core::name::{AppName, FunctionName};
use hob_core::port::{LogRecord, Stream};
use hob_core::wire::LogQuery;

/// Show what functions print, oldest first.
#[derive(clap::Args)]
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
    /// Only from this stream: stdout, stderr or platform
    #[arg(long, value_parser = stream)]
    stream: Option<Stream>,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Logs {
    async fn run(self, output: &Output) -> Result<u8> {
        let (app, function) =
            match self.of.as_deref().map(|of| of.split_once('/').map_or((of, None), |(a, f)| (a, Some(f)))) {
                Some((app, function)) => {
                    (Some(AppName::new(app)?), function.map(FunctionName::new).transpose()?)
                }
                None => (None, None),
            };
        let query =
            LogQuery { app, function, stream: self.stream, tail: Some(self.tail), follow: self.follow };
        let client = self.connection.client()?;
        client
            .logs(&query, |record| {
                output.item(&record, |output| line(&record, output));
                !output.closed()
            })
            .await?;
        Ok(DONE)
    }
}

/// A record as people read it: where it came from, then the text.
pub(crate) fn line(record: &LogRecord, output: &Output) -> String {
    let mark = match record.stream {
        Stream::Stdout => "|",
        Stream::Stderr => "!",
        Stream::Platform => "*",
    };
    let origin = if output.wide() {
        let call = record.invocation.map(|id| format!(" {id}")).unwrap_or_default();
        format!("{} {}@{}#{}{call}", record.time_ms, record.function, record.revision, record.instance)
    } else {
        record.function.to_string()
    };
    format!("{} {}", output.dim(&format!("{origin} {mark}")), record.text)
}

fn stream(text: &str) -> Result<Stream, String> {
    serde_json::from_value(text.into()).map_err(|_| format!("`{text}` is none of stdout, stderr, platform"))
}
