//! `hob cron`: schedules, when they run next, and why they did not.

use super::moment::{Kind, trigger};
use super::{Command, DONE};
use crate::output::shown::{self, dash, time_or_dash};
use crate::output::{Output, Table};
use crate::settings::Connection;
use clap::Subcommand;
use hob_core::fault::Result;
use hob_core::name::AppName;
use hob_core::wire::ScheduleInfo;

/// See what runs when, in the schedule's own time zone; run it now, pause it. A schedule is written as
/// `[[on]]` with a `schedule` in `hob.toml`.
#[derive(clap::Args)]
pub(super) struct Cron {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List schedules with their next run
    Ls(Ls),
    /// Show one schedule: its next runs, the last one, and runs that were left out
    Show(Named),
    /// Run it now, paused or not
    Fire(Named),
    /// Leave its runs out until it is resumed
    Pause(Named),
    /// Go on with a paused schedule
    Resume(Named),
}

#[derive(clap::Args)]
struct Ls {
    /// Only of this app
    #[arg(long)]
    app: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Named {
    /// The schedule; its name alone where only one app has it
    #[arg(value_name = "APP/NAME")]
    schedule: String,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Cron {
    async fn run(self, output: &Output) -> Result<u8> {
        match self.what {
            What::Ls(ls) => ls.run(output).await,
            What::Show(named) => {
                let client = named.connection.client()?;
                let (app, name) = trigger(&client, &named.schedule, Kind::Schedule).await?;
                let info = client.schedule(&app, &name).await?;
                output.result(&info, &[full(&info)], |output| text(&info, output));
                Ok(DONE)
            }
            What::Fire(named) => named.fire(output).await,
            What::Pause(named) => named.pause(true, output).await,
            What::Resume(named) => named.pause(false, output).await,
        }
    }
}

impl Ls {
    async fn run(self, output: &Output) -> Result<u8> {
        let app = self.app.as_deref().map(AppName::new).transpose()?;
        let all = self.connection.client()?.schedules(app.as_ref()).await?;
        let names: Vec<String> = all.iter().map(full).collect();
        output.result(&all, &names, |output| table(&all, output.wide()));
        if all.is_empty() {
            output.note("no schedules; `[[on]]` with a `schedule` and `call` in `hob.toml` makes one");
        }
        Ok(DONE)
    }
}

/// Schedules as a table; nothing for none.
pub(super) fn table(all: &[ScheduleInfo], wide: bool) -> String {
    let mut table = Table::new(
        5,
        &[
            "SCHEDULE",
            "FUNCTION",
            "NEXT",
            "LAST",
            "WHEN",
            "EXPRESSION",
            "ZONE",
            "RUNS",
            "LEFT OUT",
            "WHY THE LAST ONE WAS",
        ],
    );
    for info in all {
        table.row([
            full(info),
            info.spec.delivery.function.to_string(),
            next(info),
            time_or_dash(info.last_ms),
            info.description.clone(),
            info.spec.expression.clone(),
            info.spec.zone.clone(),
            info.fired.to_string(),
            info.skipped.to_string(),
            info.last_skipped.clone().unwrap_or_else(dash),
        ]);
    }
    if all.is_empty() { String::new() } else { table.text(wide) }
}

fn full(info: &ScheduleInfo) -> String {
    format!("{}/{}", info.app, info.name)
}

fn next(info: &ScheduleInfo) -> String {
    if info.paused {
        return "paused".to_owned();
    }
    info.next.first().cloned().unwrap_or_else(|| "never again".to_owned())
}

fn text(info: &ScheduleInfo, output: &Output) -> String {
    let spec = &info.spec;
    let mut lines = vec![
        ("when", info.description.clone()),
        ("written", format!("{}, zone {}", spec.expression, spec.zone)),
        ("calls", format!("{} at {}", spec.delivery.function, spec.delivery.path)),
    ];
    if info.paused {
        lines.push(("state", format!("paused; `hob cron resume {}` lets it go on", full(info))));
    }
    match info.next.as_slice() {
        [] => lines.push(("next", "never again".to_owned())),
        [first, rest @ ..] => {
            lines.push(("next", first.clone()));
            lines.extend(rest.iter().map(|run| ("", run.clone())));
        }
    }
    lines.push(("last", time_or_dash(info.last_ms)));
    lines.push(("runs", format!("{} so far, {} left out", info.fired, info.skipped)));
    lines.extend(info.last_skipped.as_ref().map(|why| ("left out", why.clone())));
    let attempts = spec.delivery.retry.attempts;
    lines.push((
        "a failure",
        format!("{attempts} attempt(s), then `hob dlq ls {}`", spec.delivery.dead_letter),
    ));
    format!("{}\n{}", output.strong(&full(info)), shown::fields(&lines))
}

impl Named {
    async fn fire(self, output: &Output) -> Result<u8> {
        let client = self.connection.client()?;
        let (app, name) = trigger(&client, &self.schedule, Kind::Schedule).await?;
        let run = client.fire(&app, &name).await?;
        output.result(&run, &[run.sequence.to_string()], |_| {
            format!("{app}/{name} runs now (event {} of {})", run.sequence, run.topic)
        });
        Ok(DONE)
    }

    async fn pause(self, pause: bool, output: &Output) -> Result<u8> {
        let client = self.connection.client()?;
        let (app, name) = trigger(&client, &self.schedule, Kind::Schedule).await?;
        client.pause_schedule(&app, &name, pause).await?;
        let info = client.schedule(&app, &name).await?;
        output.result(&info, &[full(&info)], |_| {
            if pause {
                return format!(
                    "{app}/{name} is paused: runs are left out until `hob cron resume {app}/{name}`"
                );
            }
            format!("{app}/{name} goes on; next run {}", next(&info))
        });
        Ok(DONE)
    }
}
