//! `hob sub`: subscriptions, how far they are, and where they should go on.

use super::moment::{Kind, place, trigger};
use super::{Command, DONE};
use crate::output::shown::{self, dash, short};
use crate::output::{Output, Table};
use crate::settings::Connection;
use clap::Subcommand;
use hob_core::fault::Result;
use hob_core::name::{AppName, TopicName};
use hob_core::trigger::StartAt;
use hob_core::unit::show_duration;
use hob_core::wire::{SubscriptionInfo, TriggersQuery};
use std::time::Duration;

/// Characters of the last failure that a table shows.
const FAILURE_SHOWN: usize = 60;

/// See what gets events of which topic and how far it is; pause it, let it go on, move it. A
/// subscription is written as `[[on]]` with a `topic` in `hob.toml`.
#[derive(clap::Args)]
pub(super) struct Sub {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List subscriptions
    Ls(Ls),
    /// Show one subscription: what it gets, how far it is, why it fails
    Show(Named),
    /// Deliver nothing until it is resumed; events wait in the topic
    Pause(Named),
    /// Go on with a paused subscription
    Resume(Named),
    /// Go on at another place: forward skips events, back delivers them again
    Seek(Seek),
}

#[derive(clap::Args)]
struct Ls {
    /// Only of this app
    #[arg(long)]
    app: Option<String>,
    /// Only on this topic
    #[arg(long)]
    topic: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Named {
    /// The subscription; its name alone where only one app has it
    #[arg(value_name = "APP/NAME")]
    subscription: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  hob sub seek desk/letter beginning
  hob sub seek desk/letter 1h")]
struct Seek {
    /// The subscription; its name alone where only one app has it
    #[arg(value_name = "APP/NAME")]
    subscription: String,
    /// `now`, `beginning`, a sequence, a time (RFC 3339), or `1h` for an hour ago
    #[arg(value_parser = place, allow_hyphen_values = true)]
    to: StartAt,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Sub {
    async fn run(self, output: &Output) -> Result<u8> {
        match self.what {
            What::Ls(ls) => ls.run(output).await,
            What::Show(named) => {
                let client = named.connection.client()?;
                let (app, name) = trigger(&client, &named.subscription, Kind::Subscription).await?;
                let info = client.subscription(&app, &name).await?;
                output.result(&info, &[full(&info)], |output| text(&info, output));
                Ok(DONE)
            }
            What::Pause(named) => named.pause(true, output).await,
            What::Resume(named) => named.pause(false, output).await,
            What::Seek(seek) => seek.run(output).await,
        }
    }
}

impl Ls {
    async fn run(self, output: &Output) -> Result<u8> {
        let query = TriggersQuery {
            app: self.app.as_deref().map(AppName::new).transpose()?,
            topic: self.topic.as_deref().map(TopicName::new).transpose()?,
        };
        let all = self.connection.client()?.subscriptions(&query).await?;
        let names: Vec<String> = all.iter().map(full).collect();
        output.result(&all, &names, |output| table(&all, output.wide()));
        if all.is_empty() {
            output.note("no subscriptions; `[[on]]` with a `topic` and `call` in `hob.toml` makes one");
        }
        Ok(DONE)
    }
}

/// Subscriptions as a table; nothing for none.
pub(super) fn table(all: &[SubscriptionInfo], wide: bool) -> String {
    let mut table = Table::new(
        8,
        &[
            "SUBSCRIPTION",
            "TOPIC",
            "FUNCTION",
            "LAG",
            "DELIVERED",
            "FAILED",
            "DEAD",
            "STATE",
            "CURSOR",
            "RUNNING",
            "WAITING",
            "BLOCKED",
            "SKIPPED",
            "MISSING",
            "LAST FAILURE",
        ],
    );
    for info in all {
        table.row([
            full(info),
            info.spec.topic.to_string(),
            info.spec.delivery.function.to_string(),
            info.lag.to_string(),
            info.delivered.to_string(),
            info.failed.to_string(),
            info.dead.to_string(),
            state(info).to_owned(),
            info.cursor.to_string(),
            info.in_flight.to_string(),
            info.waiting.to_string(),
            info.blocked.to_string(),
            info.skipped.to_string(),
            info.missing.to_string(),
            info.last_failure.as_deref().map_or_else(dash, |text| short(text, FAILURE_SHOWN)),
        ]);
    }
    if all.is_empty() { String::new() } else { table.text(wide) }
}

fn full(info: &SubscriptionInfo) -> String {
    format!("{}/{}", info.app, info.name)
}

/// In one word what it does.
fn state(info: &SubscriptionInfo) -> &'static str {
    match info {
        SubscriptionInfo { paused: true, .. } => "paused",
        SubscriptionInfo { current: false, .. } => "old",
        SubscriptionInfo { last_failure: Some(_), .. } => "failing",
        SubscriptionInfo { lag: 0, .. } => "idle",
        _ => "active",
    }
}

fn text(info: &SubscriptionInfo, output: &Output) -> String {
    let spec = &info.spec;
    let delivery = &spec.delivery;
    let time = |ms: u64| show_duration(Duration::from_millis(ms));
    let retry = &delivery.retry;
    let age = retry.age_ms.map(|age| format!(", not after {}", time(age))).unwrap_or_default();
    let state = match state(info) {
        "paused" => format!("paused; `hob sub resume {}` lets it go on", full(info)),
        "old" => "the current revision does not have it, so nothing is delivered".to_owned(),
        other => other.to_owned(),
    };
    let mut lines = vec![
        ("state", state),
        ("calls", format!("{} at {}", delivery.function, delivery.path)),
        ("events of", spec.topic.to_string()),
    ];
    for filter in &spec.filters {
        lines.push(("where", serde_json::to_string(filter).unwrap_or_default()));
    }
    lines.extend(spec.order_by.as_ref().map(|key| ("in order of", key.clone())));
    lines.extend(spec.rate.map(|rate| ("at most", format!("{} in {}", rate.events, time(rate.per_ms)))));
    lines.extend([
        ("at a time", delivery.concurrency.to_string()),
        (
            "attempts",
            format!(
                "{}, {} to {} apart{age}",
                retry.attempts,
                time(retry.backoff_min_ms),
                time(retry.backoff_max_ms)
            ),
        ),
        ("dead letters", delivery.dead_letter.to_string()),
        ("position", format!("{} ({} event(s) to go)", info.cursor, info.lag)),
        (
            "now",
            format!(
                "{} running, {} waiting for another attempt, {} for their key",
                info.in_flight, info.waiting, info.blocked
            ),
        ),
        (
            "so far",
            format!(
                "{} delivered, {} left out by filters, {} failed attempt(s), {} given up, {} missing",
                info.delivered, info.skipped, info.failed, info.dead, info.missing
            ),
        ),
    ]);
    lines.extend(info.last_failure.as_deref().map(|text| ("last failure", shown::harmless(text))));
    format!("{}\n{}", output.strong(&full(info)), shown::fields(&lines))
}

impl Named {
    async fn pause(self, pause: bool, output: &Output) -> Result<u8> {
        let client = self.connection.client()?;
        let (app, name) = trigger(&client, &self.subscription, Kind::Subscription).await?;
        client.pause_subscription(&app, &name, pause).await?;
        let info = client.subscription(&app, &name).await?;
        output.result(&info, &[full(&info)], |_| {
            let does = if pause { "is paused" } else { "goes on" };
            format!(
                "{app}/{name} {does} at {} of {} ({} event(s) to go)",
                info.cursor, info.spec.topic, info.lag
            )
        });
        Ok(DONE)
    }
}

impl Seek {
    async fn run(self, output: &Output) -> Result<u8> {
        let client = self.connection.client()?;
        let (app, name) = trigger(&client, &self.subscription, Kind::Subscription).await?;
        let info = client.seek(&app, &name, self.to).await?;
        output.result(&info, &[full(&info)], |_| {
            let paused = if info.paused { "; it is paused" } else { "" };
            format!(
                "{app}/{name} goes on at {} of {} ({} event(s) to go){paused}",
                info.cursor, info.spec.topic, info.lag
            )
        });
        Ok(DONE)
    }
}
