//! `hob alert`: alert rules, and which of them fire.

use super::{Command, DONE};
use crate::output::shown::{dash, time};
use crate::output::{Output, Table};
use crate::settings::Connection;
use clap::Subcommand;
use hob_core::alert::State;
use hob_core::fault::Result;
use hob_core::name::AppName;
use hob_core::wire::AlertInfo;

/// See alert rules and how they stand: those of apps, written as `[[alert]]` in `hob.toml`, those of budgets,
/// and the node's own.
#[derive(clap::Args)]
pub(super) struct Alert {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List alert rules
    Ls(Ls),
}

#[derive(clap::Args)]
struct Ls {
    /// Only of this app
    #[arg(long)]
    app: Option<String>,
    /// Only those that fire
    #[arg(long)]
    firing: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Alert {
    async fn run(self, output: &Output) -> Result<u8> {
        let What::Ls(Ls { app, firing, connection }) = self.what;
        let app = app.as_deref().map(AppName::new).transpose()?;
        let mut all = connection.client()?.alerts(app.as_ref()).await?;
        all.retain(|info| !firing || matches!(info.state, State::Firing { .. }));
        let names: Vec<String> = all.iter().map(name).collect();
        output.result(&all, &names, |output| table(&all, output.wide()));
        if all.is_empty() {
            output.note(if firing { "no alert fires" } else { "no alert rules" });
        }
        Ok(DONE)
    }
}

fn table(all: &[AlertInfo], wide: bool) -> String {
    let mut table = Table::new(5, &["ALERT", "STATE", "SINCE", "VALUE", "TOLD WHEN", "OF", "TOPIC", "NEXT"]);
    for info in all {
        let (state, since_ms) = match info.state {
            State::Ok => ("ok", None),
            State::Pending { since_ms } => ("pending", Some(since_ms)),
            State::Firing { since_ms, .. } => ("firing", Some(since_ms)),
        };
        let of = info.last.as_ref().and_then(|sample| sample.of.clone());
        table.row([
            name(info),
            state.to_owned(),
            since_ms.map_or_else(dash, time),
            info.value.clone().unwrap_or_else(dash),
            info.rule.clone(),
            of.unwrap_or_else(dash),
            info.spec.publish.to_string(),
            info.next.clone(),
        ]);
    }
    if all.is_empty() { String::new() } else { table.text(wide) }
}

fn name(info: &AlertInfo) -> String {
    match &info.app {
        Some(app) => format!("{app}/{}", info.name),
        None => info.name.clone(),
    }
}
