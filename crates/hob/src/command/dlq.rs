//! `hob dlq`: events that were given up, why, and what should become of them.
//!
//! **How.** A topic's dead letters lie in a topic of their own, `TOPIC.dead` unless the subscription says
//! otherwise. Whoever names the topic means them.

use super::topic::data;
use super::{Command, DONE};
use crate::client::Client;
use crate::output::shown::{self, dash, harmless, short, time, time_or_dash};
use crate::output::{Output, Table};
use crate::settings::Connection;
use clap::Subcommand;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::TopicName;
use hob_core::wire::{DeadLetter, DeadLetterTopicInfo, DeadLettersQuery};
use serde_json::{Value, json};

/// Letters that are listed unless more are asked for.
const LISTED: u64 = 100;
/// Letters that the node lists at once.
const PAGE: u64 = 1000;
/// Characters of an answer that a table shows.
const ANSWER_SHOWN: usize = 40;

/// See which events were given up and why; deliver them once more, or forget them.
#[derive(clap::Args)]
pub(super) struct Dlq {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List topics that hold dead letters, or the dead letters of one
    Ls(Ls),
    /// Show one dead letter: why it was given up, and the event
    Show(Show),
    /// Deliver dead letters once more, to the subscription that gave them up
    Redrive(Redrive),
    /// Forget dead letters
    Drop(Forget),
}

#[derive(clap::Args)]
struct Ls {
    /// The topic, or the one of its dead letters [default: every one]
    topic: Option<String>,
    /// From this sequence on
    #[arg(long, value_name = "SEQUENCE", requires = "topic")]
    from: Option<u64>,
    /// At most so many
    #[arg(short = 'n', long, value_name = "LETTERS", default_value_t = LISTED)]
    number: u64,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Show {
    /// The topic, or the one of its dead letters
    topic: String,
    /// The letter's number, as `hob dlq ls` lists it
    sequence: u64,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Chosen {
    /// The topic, or the one of its dead letters
    topic: String,
    /// The letters' numbers, as `hob dlq ls` lists them
    #[arg(conflicts_with = "all", value_name = "SEQUENCE")]
    sequences: Vec<u64>,
    /// All that are there
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  hob dlq redrive orders 3 5
  hob dlq redrive orders --all")]
struct Redrive {
    #[command(flatten)]
    chosen: Chosen,
}

#[derive(clap::Args)]
struct Forget {
    #[command(flatten)]
    chosen: Chosen,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Command for Dlq {
    async fn run(self, output: &Output) -> Result<u8> {
        match self.what {
            What::Ls(ls) => ls.run(output).await,
            What::Show(show) => {
                let client = show.connection.client()?;
                let topic = letters_of(&client, &show.topic, output).await?;
                let letter = client.letter(&topic, show.sequence).await?;
                output.result(&letter, &[letter.sequence.to_string()], |output| text(&letter, output));
                Ok(DONE)
            }
            What::Redrive(redrive) => redrive.run(output).await,
            What::Drop(forget) => forget.run(output).await,
        }
    }
}

/// The topic of the letters that are meant: the named one if it holds some, else its `.dead`.
async fn letters_of(client: &Client, text: &str, output: &Output) -> Result<TopicName> {
    let topic = TopicName::new(text)?;
    let all = client.letter_topics().await?;
    let dead = topic.dead();
    let holds = |topic: &TopicName| all.iter().any(|info| info.topic == *topic);
    if !holds(&topic) && holds(&dead) {
        output.note(&format!("the dead letters of `{topic}` are in `{dead}`"));
        return Ok(dead);
    }
    Ok(topic)
}

impl Ls {
    async fn run(self, output: &Output) -> Result<u8> {
        let client = self.connection.client()?;
        let Some(topic) = &self.topic else {
            let mut topics = client.letter_topics().await?;
            topics.retain(|info| info.letters > 0);
            let names: Vec<String> = topics.iter().map(|info| info.topic.to_string()).collect();
            output.result(&topics, &names, |output| table(&topics, output.wide()));
            if topics.is_empty() {
                output.note("no dead letters: no event was given up");
            }
            return Ok(DONE);
        };
        let topic = letters_of(&client, topic, output).await?;
        let (letters, more) = self.letters(&client, &topic).await?;
        let names: Vec<String> = letters.iter().map(|letter| letter.sequence.to_string()).collect();
        output.result(&letters, &names, |output| list(&letters, output.wide()));
        if letters.is_empty() {
            output.note(&format!("topic `{topic}` has no dead letters"));
        }
        if let Some(next) = more {
            output.note(&format!("there are more: `hob dlq ls {topic} --from {next}`"));
        }
        Ok(DONE)
    }

    /// As many as are wanted, and where to go on if there are more.
    async fn letters(&self, client: &Client, topic: &TopicName) -> Result<(Vec<DeadLetter>, Option<u64>)> {
        let wanted = usize::try_from(self.number).unwrap_or(usize::MAX);
        let (mut all, mut from) = (Vec::new(), self.from);
        loop {
            // One more than is shown says whether there are more.
            let left = (wanted - all.len()).saturating_add(1);
            let limit = u64::try_from(left).unwrap_or(PAGE).min(PAGE);
            let page = client.letters(topic, &DeadLettersQuery { from, limit: Some(limit) }).await?;
            let last = page.last().map(|letter| letter.sequence);
            all.extend(page);
            if all.len() > wanted {
                let next = all[wanted].sequence;
                all.truncate(wanted);
                return Ok((all, Some(next)));
            }
            // Fewer than were asked for may have come because they are large; only none says that there are no more.
            match last {
                Some(last) => from = Some(last + 1),
                None => return Ok((all, None)),
            }
        }
    }
}

fn table(topics: &[DeadLetterTopicInfo], wide: bool) -> String {
    let mut table = Table::new(3, &["TOPIC", "LETTERS", "NEWEST"]);
    for info in topics {
        table.row([info.topic.to_string(), info.letters.to_string(), time_or_dash(info.newest_ms)]);
    }
    if topics.is_empty() { String::new() } else { table.text(wide) }
}

fn list(letters: &[DeadLetter], wide: bool) -> String {
    let mut table = Table::new(
        7,
        &[
            "SEQUENCE",
            "GIVEN UP",
            "BY",
            "REASON",
            "ATTEMPTS",
            "ANSWER",
            "TYPE",
            "FROM",
            "EVENT",
            "ID",
            "INVOCATION",
        ],
    );
    for letter in letters {
        let attribute = |name: &str| letter.event.get(name).and_then(Value::as_str).unwrap_or_default();
        table.row([
            letter.sequence.to_string(),
            time(letter.dead_ms),
            by(letter).to_owned(),
            harmless(&letter.reason),
            letter.attempts.to_string(),
            short(&answer(letter).unwrap_or_else(dash), ANSWER_SHOWN),
            short(attribute("type"), ANSWER_SHOWN),
            letter.from_topic.to_string(),
            letter.from_sequence.to_string(),
            short(attribute("id"), ANSWER_SHOWN),
            letter.invocation.as_deref().map_or_else(dash, harmless),
        ]);
    }
    if letters.is_empty() { String::new() } else { table.text(wide) }
}

fn by(letter: &DeadLetter) -> &str {
    if letter.subscription.is_empty() { "nobody" } else { &letter.subscription }
}

/// How the last attempt failed, if there was one.
fn answer(letter: &DeadLetter) -> Option<String> {
    let what = match (&letter.code, letter.status) {
        (Some(code), _) => code.clone(),
        (None, Some(status)) => status.to_string(),
        (None, None) => return letter.answer.clone(),
    };
    let said = letter.answer.as_deref().unwrap_or_default();
    // A fault of Hob begins with its code already.
    Some(if said.starts_with(&what) {
        said.to_owned()
    } else {
        format!("{what} {said}").trim_end().to_owned()
    })
}

/// Why an event was given up, in a sentence.
fn why(letter: &DeadLetter) -> String {
    let attempts = letter.attempts;
    let by = by(letter);
    match letter.reason.as_str() {
        "attempts" => format!("{by} gave it up after {attempts} failed attempt(s)"),
        "age" => format!("{by} gave it up after {attempts} attempt(s): it was older than `retry.age` allows"),
        "rejected" => format!("{by} rejected it: after such an answer another attempt makes no sense"),
        "expired" => "its `expirytime` had passed before it could be delivered".to_owned(),
        "loop" => "events caused each other too many times in a row, so it was never published".to_owned(),
        other => format!("{by} gave it up: {}", harmless(other)),
    }
}

fn text(letter: &DeadLetter, output: &Output) -> String {
    let mut lines = Vec::new();
    lines.extend(answer(letter).map(|answer| ("last answer", harmless(&answer))));
    lines.extend(letter.invocation.as_deref().map(|id| ("invocation", harmless(id))));
    lines.push(("given up", time(letter.dead_ms)));
    let from = match letter.from_sequence {
        0 => letter.from_topic.to_string(),
        sequence => format!("{} {sequence}", letter.from_topic),
    };
    lines.push(("event of", from));
    let attributes = letter.event.as_object().into_iter().flatten();
    for (name, value) in attributes.filter(|(name, _)| !matches!(name.as_str(), "data" | "data_base64")) {
        lines.push((name, harmless(value.as_str().unwrap_or(&value.to_string()))));
    }
    let data = data(&letter.event).map(|data| format!("\n\n{}", printable(&data))).unwrap_or_default();
    let head = output.strong(&format!("{} {}", letter.topic, letter.sequence));
    format!("{head}: {}\n{}{data}", why(letter), shown::fields(&lines))
}

/// Data over several lines, each of them harmless.
fn printable(data: &str) -> String {
    let pretty =
        serde_json::from_str::<Value>(data).ok().filter(|value| value.is_object() || value.is_array());
    let text = pretty.and_then(|value| serde_json::to_string_pretty(&value).ok());
    text.as_deref()
        .unwrap_or(data)
        .lines()
        .map(|line| format!("  {}", harmless(line)))
        .collect::<Vec<_>>()
        .join("\n")
}

impl Chosen {
    /// Refuses a command that names no letters.
    fn check(&self) -> Result<()> {
        if self.all || !self.sequences.is_empty() {
            return Ok(());
        }
        Err(Fault::new(Code::Usage, "no dead letter is named")
            .hint(format!("name numbers that `hob dlq ls {}` lists, or write `--all`", self.topic)))
    }
}

impl Redrive {
    async fn run(self, output: &Output) -> Result<u8> {
        self.chosen.check()?;
        let client = self.chosen.connection.client()?;
        let topic = letters_of(&client, &self.chosen.topic, output).await?;
        let letters = client.redrive(&topic, self.chosen.sequences).await?.letters;
        let value = json!({ "topic": topic, "redriven": letters });
        output.result(&value, &[topic.to_string()], |_| {
            format!("{topic}: {letters} letter(s) are delivered once more")
        });
        Ok(DONE)
    }
}

impl Forget {
    async fn run(self, output: &Output) -> Result<u8> {
        self.chosen.check()?;
        let client = self.chosen.connection.client()?;
        let topic = letters_of(&client, &self.chosen.topic, output).await?;
        if !self.yes {
            let sequences = &self.chosen.sequences;
            let which = match sequences.as_slice() {
                [] => "all letters".to_owned(),
                some => format!("{} letter(s)", some.len()),
            };
            let words: Vec<String> = sequences.iter().map(u64::to_string).collect();
            let words = if words.is_empty() { "--all".to_owned() } else { words.join(" ") };
            output.confirm(
                &format!("dropping {which} of topic `{topic}`"),
                &format!("hob dlq drop {topic} {words}"),
            )?;
        }
        let letters = client.drop_letters(&topic, self.chosen.sequences).await?.letters;
        let value = json!({ "topic": topic, "dropped": letters });
        output.result(&value, &[topic.to_string()], |_| format!("{topic}: {letters} letter(s) dropped"));
        Ok(DONE)
    }
}
