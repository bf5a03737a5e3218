//! `hob budget`: what may be used, and how much of it is.

use super::{Command, DONE};
use crate::output::shown::time;
use crate::output::{Output, Table};
use crate::settings::Connection;
use clap::Subcommand;
use hob_core::fault::Result;
use hob_core::name::AppName;
use hob_core::watch::Per;
use hob_core::wire::BudgetInfo;

/// See budgets and how they stand. A budget is written as `[budget]` in `hob.toml`, for the app or for a
/// function.
#[derive(clap::Args)]
pub(super) struct Budget {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List budgets
    Ls(Ls),
}

#[derive(clap::Args)]
struct Ls {
    /// Only of this app
    #[arg(long)]
    app: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Budget {
    async fn run(self, output: &Output) -> Result<u8> {
        let What::Ls(Ls { app, connection }) = self.what;
        let app = app.as_deref().map(AppName::new).transpose()?;
        let all = connection.client()?.budgets(app.as_ref()).await?;
        let names: Vec<String> = all.iter().map(name).collect();
        output.result(&all, &names, |_| table(&all));
        if all.is_empty() {
            output.note("no budgets; write `[budget]` in `hob.toml` and deploy");
        }
        Ok(DONE)
    }
}

/// Each budget in a row; nothing for none.
pub(super) fn table(all: &[BudgetInfo]) -> String {
    let mut table = Table::new(5, &["BUDGET", "PER", "USED", "OF", "STATE"]);
    for info in all {
        table.row([
            name(info),
            info.spec.per.word().to_owned(),
            percent(info),
            info.standing.text.clone(),
            state(info),
        ]);
    }
    if all.is_empty() { String::new() } else { table.text(false) }
}

/// One budget in a line: `budget of shop: 3 of 10 calls this month (30%)`.
pub(super) fn line(info: &BudgetInfo) -> String {
    let period = match info.spec.per {
        Per::Day => "today",
        Per::Month => "this month",
    };
    let stopped = if info.standing.stopped { format!("; {}", state(info)) } else { String::new() };
    format!("budget of {}: {} {period} ({}){stopped}", name(info), info.standing.text, percent(info))
}

fn name(info: &BudgetInfo) -> String {
    match &info.function {
        Some(function) => format!("{}/{function}", info.app),
        None => info.app.to_string(),
    }
}

fn percent(info: &BudgetInfo) -> String {
    format!("{}%", info.standing.used / 1000)
}

fn state(info: &BudgetInfo) -> String {
    let standing = &info.standing;
    match (&standing.unknown, standing.stopped) {
        (_, true) => format!("stopped until {}", time(standing.until_ms)),
        (Some(why), false) => why.clone(),
        (None, false) if standing.used >= 100_000 => "spent".to_owned(),
        (None, false) => "ok".to_owned(),
    }
}
