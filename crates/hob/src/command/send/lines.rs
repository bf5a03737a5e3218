//! Many events, line by line, from a file or a pipe that may never end.
//!
//! **Why.** A million events do not fit into memory, and after a mistake in line 500 000 it has to be
//! clear what was sent.
//!
//! **How.** Lines become batches of bounded size; a batch is also sent when the input pauses, so that
//! what comes slowly is published at once. What is counted as sent was acknowledged. A bad line ends it:
//! everything before it is sent first, nothing after it.

use super::made::Made;
use super::{level, shown, unreadable};
use crate::client::Client;
use crate::output::Progress;
use hob_core::code::Code;
use hob_core::event::json;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{EVENT_BATCH_BYTES_MAX, EVENT_BATCH_MAX};
use hob_core::name::TopicName;
use hob_core::port::Durability;
use hob_core::unit::{millis, show_bytes, show_duration};
use serde::Serialize;
use std::cell::RefCell;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, BufReader};

/// How long an event waits for others to be sent with, when the input pauses.
const PAUSE: Duration = Duration::from_millis(20);
/// Bytes that are read at a time.
const READ_BYTES: usize = 256 << 10;

/// What was sent.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Summary {
    topic: TopicName,
    /// Lines of the input up to the last one that was sent, those that were skipped included.
    pub(super) lines: u64,
    /// Events that the topic has now and had not before.
    events: u64,
    /// Events that it had.
    duplicates: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
    durability: Durability,
    took_ms: u64,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} event(s) published", self.topic, self.events)?;
        if let (Some(first), Some(last)) = (self.first, self.last) {
            write!(f, " ({first} to {last}, {})", level(self.durability))?;
        }
        if self.duplicates > 0 {
            write!(f, ", {} duplicate(s) dropped", self.duplicates)?;
        }
        write!(f, " in {}", show_duration(Duration::from_millis(self.took_ms)))
    }
}

/// A stream of lines on its way to a topic.
pub(super) struct Stream<'a> {
    client: &'a Client,
    made: Option<&'a Made>,
    begun: Instant,
    /// What is acknowledged: it is asked for when the work is broken off.
    summary: RefCell<Summary>,
}

/// Events that are sent together, as they are written.
#[derive(Default)]
struct Batch {
    json: Vec<u8>,
    events: usize,
    last_line: u64,
    /// When the first one came.
    begun: Option<tokio::time::Instant>,
}

impl Batch {
    fn has_room(&self, bytes: usize) -> bool {
        // A separator, and the bracket at the end.
        self.events < EVENT_BATCH_MAX && self.json.len() + bytes + 2 <= EVENT_BATCH_BYTES_MAX
    }

    fn push(&mut self, event: &[u8], line: u64) {
        self.json.push(if self.events == 0 { b'[' } else { b',' });
        self.json.extend_from_slice(event);
        self.begun.get_or_insert_with(tokio::time::Instant::now);
        self.events += 1;
        self.last_line = line;
    }
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        client: &'a Client,
        topic: &TopicName,
        made: Option<&'a Made>,
        durability: Durability,
    ) -> Self {
        let summary = Summary {
            topic: topic.clone(),
            lines: 0,
            events: 0,
            duplicates: 0,
            first: None,
            last: None,
            durability,
            took_ms: 0,
        };
        Self { client, made, begun: Instant::now(), summary: RefCell::new(summary) }
    }

    /// What is sent so far.
    pub(super) fn summary(&self) -> Summary {
        let took_ms = millis(self.begun.elapsed());
        Summary { took_ms, ..self.summary.borrow().clone() }
    }

    /// Sends every line after the first `skip`.
    ///
    /// # Errors
    /// `HOB-0801`, `HOB-0802` for a bad line, with its place; `HOB-0108` for a file that cannot be read;
    /// those of publishing. The hint says how to go on.
    pub(super) async fn send(&self, file: &str, skip: u64, progress: &Progress) -> Result<()> {
        self.summary.borrow_mut().lines = skip;
        let mut input = Input::open(file).await?;
        let sent = self.send_all(&mut input, skip, progress).await;
        sent.map_err(|fault| self.how_to_go_on(fault, skip))
    }

    async fn send_all(&self, input: &mut Input, skip: u64, progress: &Progress) -> Result<()> {
        let mut batch = Batch::default();
        loop {
            let come = match batch.begun {
                None => Some(input.next().await),
                Some(begun) => tokio::select! {
                    biased;
                    come = input.next() => Some(come),
                    () = tokio::time::sleep_until(begun + PAUSE) => None,
                },
            };
            match come {
                None => self.publish(&mut batch, progress).await?,
                Some(Ok(true)) if input.number <= skip => {}
                Some(Ok(true)) if input.line.trim_ascii().is_empty() => {}
                Some(Ok(true)) => match self.event(input) {
                    Ok(event) => {
                        if !batch.has_room(event.len()) {
                            self.publish(&mut batch, progress).await?;
                        }
                        batch.push(&event, input.number);
                    }
                    Err(fault) => {
                        self.publish(&mut batch, progress).await?;
                        self.summary.borrow_mut().lines = input.number - 1;
                        return Err(fault);
                    }
                },
                Some(Ok(false)) => return self.publish(&mut batch, progress).await,
                Some(Err(fault)) => {
                    self.publish(&mut batch, progress).await?;
                    return Err(fault);
                }
            }
        }
    }

    /// The event of the line that was read last, in JSON.
    fn event(&self, input: &Input) -> Result<Vec<u8>> {
        let event = match self.made {
            Some(made) => made.event(Some(input.line.clone()), Some(input.number)),
            None => json::read(&input.line),
        };
        event.map(|event| json::write(&event)).map_err(|fault| fault.at(input.place()))
    }

    async fn publish(&self, batch: &mut Batch, progress: &Progress) -> Result<()> {
        let Batch { mut json, events, last_line, .. } = std::mem::take(batch);
        if events == 0 {
            return Ok(());
        }
        json.push(b']');
        let (topic, durability) = {
            let summary = self.summary.borrow();
            (summary.topic.clone(), summary.durability)
        };
        let published = self.client.publish(&topic, json, durability).await?;
        {
            let mut summary = self.summary.borrow_mut();
            summary.lines = last_line;
            for one in &published {
                if one.duplicate {
                    summary.duplicates += 1;
                } else {
                    summary.events += 1;
                    summary.first = summary.first.or(Some(one.sequence));
                    summary.last = Some(one.sequence);
                }
            }
        }
        progress.count(|| {
            let summary = self.summary();
            let sent = summary.events + summary.duplicates;
            let per_second = sent * 1000 / summary.took_ms.max(1);
            format!("{sent} events sent, {per_second} each second")
        });
        Ok(())
    }

    fn how_to_go_on(&self, fault: Fault, skip: u64) -> Fault {
        let lines = self.summary.borrow().lines;
        let next = if lines == skip {
            "nothing was sent".to_owned()
        } else {
            format!("the {lines} line(s) before were sent: go on with `--skip {lines}`")
        };
        let hint = fault.hint_text().map_or_else(|| next.clone(), |hint| format!("{hint}; {next}"));
        fault.hint(hint)
    }
}

/// The lines of a file or of standard input.
struct Input {
    name: String,
    reader: BufReader<File>,
    /// The line that was read last, without its end.
    line: Vec<u8>,
    /// Its number, from 1.
    number: u64,
    /// Whether `line` is whole.
    whole: bool,
}

impl Input {
    async fn open(file: &str) -> Result<Self> {
        let name = shown(file);
        let opened = if file == "-" {
            // As a file it can be waited for, beside the clock.
            let own = std::io::stdin().as_fd().try_clone_to_owned();
            own.map(|own| File::from_std(own.into()))
        } else {
            File::open(file).await
        };
        let opened = opened.map_err(|error| unreadable(&name, &error))?;
        let reader = BufReader::with_capacity(READ_BYTES, opened);
        Ok(Self { name, reader, line: Vec::new(), number: 0, whole: true })
    }

    fn place(&self) -> String {
        format!("{}:{}", self.name, self.number)
    }

    /// Reads the next line into `line`; false at the end. Nothing is lost when the wait is broken off.
    async fn next(&mut self) -> Result<bool> {
        if self.whole {
            self.line.clear();
            self.whole = false;
        }
        loop {
            let read = self.reader.fill_buf().await.map_err(|error| unreadable(&self.name, &error))?;
            if read.is_empty() {
                let last = !self.line.is_empty();
                (self.whole, self.number) = (true, self.number + u64::from(last));
                return Ok(last);
            }
            let end = read.iter().position(|&byte| byte == b'\n');
            self.line.extend_from_slice(&read[..end.unwrap_or(read.len())]);
            let used = end.map_or(read.len(), |end| end + 1);
            self.reader.consume(used);
            if self.line.len() > EVENT_BATCH_BYTES_MAX {
                self.number += 1;
                let what = format!("a line has more than {}", show_bytes(EVENT_BATCH_BYTES_MAX as u64));
                return Err(Fault::new(Code::EventTooLarge, what)
                    .hint("put large data elsewhere and name it with `dataref`")
                    .at(self.place()));
            }
            if end.is_some() {
                (self.whole, self.number) = (true, self.number + 1);
                if self.line.last() == Some(&b'\r') {
                    self.line.pop();
                }
                return Ok(true);
            }
        }
    }
}
