//! `hob topic`: what topics there are and hold, and their events as they come.

use super::moment::time_ms;
use super::{Command, DONE};
use crate::output::shown::{self, dash, harmless, short, time, time_or_dash};
use crate::output::{Output, Table};
use crate::settings::Connection;
use clap::Subcommand;
use hob_core::fault::Result;
use hob_core::name::TopicName;
use hob_core::unit::{show_bytes, show_duration};
use hob_core::wire::{EventsQuery, StoredEvent, TopicInfo};
use serde_json::{Value, json};
use std::time::Duration;

/// Events that `tail` shows first unless it is told.
const TAIL: u64 = 10;
/// Characters of an event's data that are shown to people, and with `-o wide`.
const DATA_SHOWN: usize = 80;
const DATA_SHOWN_WIDE: usize = 2000;

/// See what topics there are and what is in them, follow their events, remove events. A topic exists
/// from its first event on.
#[derive(clap::Args)]
pub(super) struct Topic {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List the topics of the node
    Ls(Ls),
    /// Show one topic: what it holds, what it keeps, who reads it
    Show(Show),
    /// Show the last events of a topic, and go on with new ones if asked to
    Tail(Tail),
    /// Remove events of a topic, whether they were delivered or not
    Purge(Purge),
}

#[derive(clap::Args)]
struct Ls {
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Show {
    /// The topic
    topic: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  hob topic tail orders -f
  hob topic tail orders --since 1h -o json | jq .event.data
  hob topic tail orders --from 1 -n 3")]
struct Tail {
    /// The topic
    topic: String,
    /// Go on with new events until interrupted, also of a topic that has none yet
    #[arg(short, long)]
    follow: bool,
    /// The last so many events; with `--from` or `--since` the first so many [default: 10, or all]
    #[arg(short = 'n', long, value_name = "EVENTS")]
    number: Option<u64>,
    /// From this time on: RFC 3339, or `1h` for an hour ago
    #[arg(long, value_name = "TIME", value_parser = time_ms, allow_hyphen_values = true)]
    since: Option<u64>,
    /// From this sequence on
    #[arg(long, value_name = "SEQUENCE", conflicts_with = "since")]
    from: Option<u64>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Purge {
    /// The topic
    topic: String,
    /// Only events before this sequence
    #[arg(long, value_name = "SEQUENCE")]
    before: Option<u64>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Topic {
    async fn run(self, output: &Output) -> Result<u8> {
        match self.what {
            What::Ls(ls) => ls.run(output).await,
            What::Show(show) => show.run(output).await,
            What::Tail(tail) => tail.run(output).await,
            What::Purge(purge) => purge.run(output).await,
        }
    }
}

impl Ls {
    async fn run(self, output: &Output) -> Result<u8> {
        let topics = self.connection.client()?.topics().await?;
        let names: Vec<String> = topics.iter().map(|info| info.topic.to_string()).collect();
        output.result(&topics, &names, |output| table(&topics, output.wide()));
        if topics.is_empty() {
            output.note("no topics yet; `hob send TOPIC --type TYPE DATA` makes one");
        }
        Ok(DONE)
    }
}

fn table(topics: &[TopicInfo], wide: bool) -> String {
    let mut table = Table::new(
        5,
        &["TOPIC", "EVENTS", "SIZE", "NEWEST", "SUBSCRIPTIONS", "FIRST", "NEXT", "OLDEST", "KEEPS", "LOST"],
    );
    for info in topics {
        let subscriptions =
            if info.subscriptions.is_empty() { dash() } else { info.subscriptions.join(", ") };
        table.row([
            info.topic.to_string(),
            info.events.to_string(),
            show_bytes(info.bytes),
            time_or_dash(info.newest_ms),
            subscriptions,
            info.first.to_string(),
            info.next.to_string(),
            time_or_dash(info.oldest_ms),
            keeps(info),
            info.damage
                .iter()
                .map(|lost| (lost.last + 1).saturating_sub(lost.first))
                .sum::<u64>()
                .to_string(),
        ]);
    }
    if topics.is_empty() { String::new() } else { table.text(wide) }
}

fn keeps(info: &TopicInfo) -> String {
    let age = show_duration(Duration::from_millis(info.keeps.age_ms));
    let events = info.keeps.events.map(|events| format!(", {events} events")).unwrap_or_default();
    format!("{age}, {}{events}", show_bytes(info.keeps.bytes))
}

impl Show {
    async fn run(self, output: &Output) -> Result<u8> {
        let topic = TopicName::new(&self.topic)?;
        let info = self.connection.client()?.topic(&topic).await?;
        output.result(&info, &[topic.to_string()], |output| text(&info, output));
        Ok(DONE)
    }
}

fn text(info: &TopicInfo, output: &Output) -> String {
    let events = if info.events == 0 {
        format!("none; the next one is {}", info.next)
    } else {
        format!("{}, {} to {}, {}", info.events, info.first, info.next - 1, show_bytes(info.bytes))
    };
    let mut lines = vec![
        ("events", events),
        ("oldest", time_or_dash(info.oldest_ms)),
        ("newest", time_or_dash(info.newest_ms)),
        ("keeps", format!("{} of what every subscription has settled", keeps(info))),
        ("duplicates", format!("known for {}", show_duration(Duration::from_millis(info.keeps.dedup_ms)))),
        ("read by", if info.subscriptions.is_empty() { dash() } else { info.subscriptions.join(", ") }),
    ];
    for damage in &info.damage {
        let lost = serde_json::to_value(damage).unwrap_or_default();
        lines.push(("damage", harmless(&lost.to_string())));
    }
    format!("{}\n{}", output.strong(info.topic.as_str()), shown::fields(&lines))
}

impl Tail {
    async fn run(self, output: &Output) -> Result<u8> {
        let topic = TopicName::new(&self.topic)?;
        let begins = self.since.is_some() || self.from.is_some();
        let query = EventsQuery {
            from: self.from,
            since_ms: self.since,
            tail: (!begins).then(|| self.number.unwrap_or(TAIL)),
            limit: self.number.filter(|_| begins),
            follow: self.follow,
        };
        let client = self.connection.client()?;
        client
            .events(&topic, &query, |event| {
                output.item(&event, |output| line(&event, output));
                !output.closed()
            })
            .await?;
        Ok(DONE)
    }
}

/// An event in one line.
fn line(stored: &StoredEvent, output: &Output) -> String {
    let attribute = |name: &str| stored.event.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut words = vec![
        stored.sequence.to_string(),
        output.dim_result(&time(stored.published_ms)),
        output.strong(&short(attribute("type"), DATA_SHOWN)),
        short(attribute("source"), DATA_SHOWN),
    ];
    if !attribute("subject").is_empty() {
        words.push(short(attribute("subject"), DATA_SHOWN));
    }
    if let Some(only) = &stored.only {
        words.push(output.dim_result(&format!("(only for {only})")));
    }
    if output.wide() {
        words.push(output.dim_result(&format!("id={}", short(attribute("id"), DATA_SHOWN))));
        words.extend(stored.cause.as_ref().map(|cause| {
            output
                .dim_result(&format!("from {} revision {} ({} hops)", cause.app, cause.revision, stored.hops))
        }));
    }
    let most = if output.wide() { DATA_SHOWN_WIDE } else { DATA_SHOWN };
    words.extend(data(&stored.event).map(|data| short(&data, most)));
    words.join("  ")
}

/// An event's data as text.
pub(super) fn data(event: &Value) -> Option<String> {
    match (event.get("data"), event.get("data_base64")) {
        (Some(Value::String(text)), _) => Some(text.clone()),
        (Some(data), _) => Some(data.to_string()),
        (None, Some(base64)) => Some(format!("base64 {}", base64.as_str().unwrap_or_default())),
        (None, None) => None,
    }
}

impl Purge {
    async fn run(self, output: &Output) -> Result<u8> {
        let topic = TopicName::new(&self.topic)?;
        let client = self.connection.client()?;
        let info = client.topic(&topic).await?;
        if !self.yes {
            let end = self.before.unwrap_or(info.next).min(info.next);
            let count = end.saturating_sub(info.first);
            let doing = format!("removing {count} event(s) of topic `{topic}`");
            let before = self.before.map(|before| format!(" --before {before}")).unwrap_or_default();
            output.confirm(&doing, &format!("hob topic purge {topic}{before}"))?;
        }
        let removed = client.purge(&topic, self.before).await?.removed;
        let value = json!({ "topic": topic, "removed": removed });
        output.result(&value, &[topic.to_string()], |_| format!("{topic}: {removed} event(s) removed"));
        Ok(DONE)
    }
}
