//! `hob replay`: old events are delivered once more, to a chosen function or revision.

use super::moment::time_ms;
use super::{Command, DONE};
use crate::output::Output;
use crate::output::shown::harmless;
use crate::settings::Connection;
use hob_core::code::{Code, exit};
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, FunctionName, RevisionNumber, TopicName};
use hob_core::wire::{ReplayEvent, ReplayRequest};

/// Deliver old events of a topic once more, one after the other, to look at what happens: nothing is
/// retried, no subscription moves, and what functions answer with is not published. Ends with 1 when a
/// delivery failed.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  hob replay orders --since 1h --to desk
  hob replay orders --from 17 --limit 1 --to desk/letter@3")]
pub(super) struct Replay {
    /// The topic
    topic: String,
    /// From this time on: RFC 3339, or `1h` for an hour ago
    #[arg(long, value_name = "TIME", value_parser = time_ms, allow_hyphen_values = true)]
    since: Option<u64>,
    /// From this sequence on
    #[arg(long, value_name = "SEQUENCE", conflicts_with = "since")]
    from: Option<u64>,
    /// Up to this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = time_ms, allow_hyphen_values = true)]
    until: Option<u64>,
    /// At most so many events
    #[arg(long, value_name = "EVENTS")]
    limit: Option<u64>,
    /// Who gets them: the functions of an app that subscribe to the topic, or one function; of the
    /// current revision or of another one that is kept
    #[arg(long, value_name = "APP[/FUNCTION][@REVISION]")]
    to: String,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Replay {
    async fn run(self, output: &Output) -> Result<u8> {
        let topic = TopicName::new(&self.topic)?;
        if self.from.is_none() && self.since.is_none() {
            return Err(Fault::new(Code::Usage, "no first event is named")
                .hint("write `--since 1h` for the last hour, or `--from 1` for every event that is kept"));
        }
        let (app, function, revision) = receiver(&self.to)?;
        let request = ReplayRequest {
            app,
            function,
            revision,
            from: self.from,
            since_ms: self.since,
            until_ms: self.until,
            limit: self.limit,
        };
        let mut end = None;
        self.connection
            .client()?
            .replay(&topic, &request, |event| {
                output.item(&event, |output| line(&event, output));
                if let ReplayEvent::Done { failed, .. } = event {
                    end = Some(failed);
                }
                end.is_none() && !output.closed()
            })
            .await?;
        match end {
            Some(0) => Ok(DONE),
            Some(_) => Ok(exit::FUNCTION),
            None if output.closed() => Ok(DONE),
            None => Err(Fault::new(Code::BadResponse, "the replay ended before all events were delivered")
                .hint("see the node's own log")),
        }
    }
}

fn line(event: &ReplayEvent, output: &Output) -> String {
    match event {
        ReplayEvent::Delivered { sequence, function, invocation, status, ok, message } => {
            let status = if *status == 0 { "-".to_owned() } else { status.to_string() };
            let result = if *ok { "ok" } else { "failed" };
            let why = message.as_deref().map(|text| format!("  {}", harmless(text))).unwrap_or_default();
            let call = if output.wide() { format!("  {invocation}") } else { String::new() };
            format!("{sequence}  {function}  {status}  {result}{call}{why}")
        }
        ReplayEvent::Done { events, delivered, failed } => {
            let summary = format!("{events} event(s) read, {delivered} delivered, {failed} failed");
            output.strong(&summary)
        }
    }
}

type Receiver = (AppName, Option<FunctionName>, Option<RevisionNumber>);

fn receiver(text: &str) -> Result<Receiver> {
    let (name, revision) = text.split_once('@').map_or((text, None), |(name, number)| (name, Some(number)));
    let (app, function) = name.split_once('/').map_or((name, None), |(app, name)| (app, Some(name)));
    let revision = revision.map(|number| {
        number.parse().map(RevisionNumber).map_err(|_| {
            Fault::new(Code::Usage, format!("`{number}` in `{text}` is no revision"))
                .hint(format!("write its number, such as `{name}@3`; `hob show {app}` lists them"))
        })
    });
    Ok((AppName::new(app)?, function.map(FunctionName::new).transpose()?, revision.transpose()?))
}

#[cfg(test)]
mod tests {
    use super::receiver;

    #[test]
    fn receivers() {
        for (text, expected) in [
            ("desk", "desk None None"),
            ("desk/letter", r#"desk Some(FunctionName("letter")) None"#),
            ("desk@3", "desk None Some(RevisionNumber(3))"),
            ("desk/letter@3", r#"desk Some(FunctionName("letter")) Some(RevisionNumber(3))"#),
            ("desk@x", "HOB-0111"),
            ("desk@", "HOB-0111"),
            ("Desk", "HOB-0104"),
            ("desk/", "HOB-0104"),
        ] {
            let shown = match receiver(text) {
                Ok((app, function, revision)) => format!("{app} {function:?} {revision:?}"),
                Err(fault) => fault.code().text().to_owned(),
            };
            assert_eq!(shown, expected, "{text}");
        }
    }
}
