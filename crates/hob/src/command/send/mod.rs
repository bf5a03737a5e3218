//! `hob send`: publishes events, made from arguments, whole, or line by line.
//!
//! **How.** Three forms: data with attributes on the command line, whole events in JSON (`--event`), and
//! many as lines (`--lines`, [`lines`]). Each event is checked here already, so that a mistake names its
//! line; the node checks again.

mod lines;
mod made;

use super::{Command, DONE};
use crate::local::Interrupt;
use crate::output::Output;
use crate::settings::Connection;
use hob_core::code::Code;
use hob_core::event::json;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{EVENT_BATCH_BYTES_MAX, EVENT_BYTES_MAX};
use hob_core::name::TopicName;
use hob_core::port::Durability;
use hob_core::unit::show_bytes;
use hob_core::wire::Published;
use made::Made;
use std::io::Read;

/// Publish events to a topic: one from arguments, whole ones in JSON, or a stream of lines. A topic
/// exists from its first event on. An event whose `source` and `id` the topic knows is dropped.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Send {
    /// The topic
    topic: String,
    /// The event's data, or `-` for standard input; JSON is recognised
    #[arg(value_name = "DATA")]
    text: Option<String>,
    /// The event's data from a file
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    data_file: Option<String>,
    /// Whole events: a file (or `-`) with a CloudEvent in JSON or a list of them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["text", "data_file", "lines"])]
    event: Option<String>,
    /// Many: a file (or `-`) with a CloudEvent in JSON on each line, or with `--type` the data of one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["text", "data_file"])]
    lines: Option<String>,
    /// Leave out the first so many lines: they were sent before
    #[arg(long, value_name = "LINES", default_value_t = 0, requires = "lines")]
    skip: u64,
    /// How safe events are when they are acknowledged: `disk` survives a power failure, `memory` only
    /// an end of the node
    #[arg(long, value_name = "LEVEL", default_value = "disk", value_parser = durability)]
    durability: Durability,
    #[command(flatten)]
    made: Made,
    #[command(flatten)]
    connection: Connection,
}

const EXAMPLES: &str = "\
Examples:
  hob send orders --type order.placed '{\"id\": 7}'
  hob send orders --type order.placed --key customer-3 --subject 7 --data-file order.json
  hob send orders --event event.json
  generate-orders | hob send orders --type order.placed --lines -
  hob send orders --lines events.ndjson --skip 2000";

impl Command for Send {
    async fn run(self, output: &Output) -> Result<u8> {
        let topic = TopicName::new(&self.topic)?;
        if let Some(file) = &self.lines {
            return self.stream(&topic, file, output).await;
        }
        if self.event.is_some() && self.made.is_some() {
            return Err(Fault::new(Code::Usage, "attributes are given for what is a whole event")
                .hint("write them into the event, or give its data alone, without `--event`"));
        }
        let batch = match &self.event {
            Some(file) => whole(file)?,
            None => json::write_batch(&[self.made.event(self.data()?, None)?]),
        };
        let published = self.connection.client()?.publish(&topic, batch, self.durability).await?;
        let names: Vec<String> = published.iter().map(|one| one.sequence.to_string()).collect();
        let text = |_: &Output| published.iter().map(told).collect::<Vec<_>>().join("\n");
        match published.as_slice() {
            [one] if self.event.is_none() => output.result(one, &names, text),
            all => output.result(&all, &names, text),
        }
        Ok(DONE)
    }
}

impl Send {
    fn data(&self) -> Result<Option<Vec<u8>>> {
        match (&self.text, &self.data_file) {
            (Some(text), _) if text != "-" => Ok(Some(text.clone().into_bytes())),
            (Some(file), _) | (None, Some(file)) => read(file, EVENT_BYTES_MAX).map(Some),
            (None, None) => Ok(None),
        }
    }

    async fn stream(&self, topic: &TopicName, file: &str, output: &Output) -> Result<u8> {
        if self.made.is_some() && !self.made.has_type() {
            return Err(Fault::new(Code::Usage, "attributes are given for lines that are whole events")
                .hint("add `--type` if each line is the data of an event, or leave the attributes out"));
        }
        let made = self.made.has_type().then_some(&self.made);
        let client = self.connection.client()?;
        let stream = lines::Stream::new(&client, topic, made, self.durability);
        let mut interrupt = Interrupt::listen()?;
        let code = {
            let progress = output.progress();
            tokio::select! {
                sent = stream.send(file, self.skip, &progress) => {
                    sent?;
                    DONE
                }
                code = interrupt.wait() => code,
            }
        };
        let summary = stream.summary();
        output.result(&summary, &[topic.to_string()], |_| summary.to_string());
        if code != DONE {
            output.note(&format!("interrupted; go on with `--skip {}`", summary.lines));
        }
        Ok(code)
    }
}

/// The events of a file as a batch.
fn whole(file: &str) -> Result<Vec<u8>> {
    let text = read(file, EVENT_BATCH_BYTES_MAX)?;
    let name = shown(file);
    let place = |fault: Fault| {
        let place = fault.place().map_or_else(|| name.clone(), |inner| format!("{name}, {inner}"));
        fault.at(place)
    };
    let events = if text.trim_ascii_start().starts_with(b"[") {
        json::read_batch(&text).map_err(place)?
    } else {
        vec![json::read(&text).map_err(place)?]
    };
    Ok(json::write_batch(&events))
}

/// A file's name for people.
fn shown(file: &str) -> String {
    if file == "-" { "standard input".to_owned() } else { file.to_owned() }
}

/// The bytes of a file, or of standard input for `-`.
fn read(file: &str, most: usize) -> Result<Vec<u8>> {
    let unreadable = |error: std::io::Error| unreadable(&shown(file), &error);
    let source: Box<dyn Read> = match file {
        "-" => Box::new(std::io::stdin().lock()),
        _ => Box::new(std::fs::File::open(file).map_err(unreadable)?),
    };
    let mut bytes = Vec::new();
    source.take(most as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > most {
        let what = format!("`{}` has more than {}", shown(file), show_bytes(most as u64));
        return Err(Fault::new(Code::EventTooLarge, what)
            .hint("send many events with `--lines`; put large data elsewhere and name it with `dataref`"));
    }
    Ok(bytes)
}

fn unreadable(name: &str, error: &std::io::Error) -> Fault {
    Fault::new(Code::FileMissing, format!("cannot read `{name}`: {error}"))
        .hint("name a file that can be read, or `-` for standard input")
}

fn told(one: &Published) -> String {
    let Published { topic, sequence, duplicate, durability } = one;
    if *duplicate {
        return format!("{topic} {sequence}: a duplicate; the topic has this event already");
    }
    format!("{topic} {sequence}: published, {}", level(*durability))
}

/// How safe, for people.
fn level(durability: Durability) -> &'static str {
    match durability {
        Durability::Disk => "on disk",
        Durability::Memory => "in memory",
    }
}

fn durability(text: &str) -> Result<Durability, String> {
    serde_json::from_value(text.into()).map_err(|_| format!("`{text}` is none of disk, memory"))
}
