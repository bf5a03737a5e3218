//! `hob ls`: the apps of the node.

use super::{Command, DONE};
use crate::output::{Output, Table};
use crate::settings::Connection;
use hob_core::fault::Result;
use hob_core::wire::AppInfo;

/// List the apps of the node.
#[derive(clap::Args)]
pub(super) struct Ls {
    #[command(flatten)]
    connection: Connection,
}

impl Command for Ls {
    async fn run(self, output: &Output) -> Result<u8> {
        let apps = self.connection.client()?.apps().await?;
        let names: Vec<String> = apps.iter().map(|app| app.app.to_string()).collect();
        output.result(&apps, &names, |output| table(&apps, output.wide()));
        if apps.is_empty() {
            output.note("no apps yet; `hob deploy PATH` makes one");
        }
        Ok(DONE)
    }
}

fn table(apps: &[AppInfo], wide: bool) -> String {
    let mut table = Table::new(
        5,
        &["APP", "REVISION", "FUNCTIONS", "INSTANCES", "URL", "CALLS", "FAILURES", "KEPT", "DIGEST"],
    );
    for app in apps {
        let sum = |count: fn(&hob_core::wire::FunctionInfo) -> u64| -> String {
            app.functions.iter().map(count).sum::<u64>().to_string()
        };
        let digest =
            app.revisions.iter().find(|revision| revision.current).map(|revision| revision.digest.short());
        table.row([
            app.app.to_string(),
            app.current.to_string(),
            app.functions.len().to_string(),
            sum(|function| u64::from(function.instances)),
            app.url.clone(),
            sum(|function| function.calls),
            sum(|function| function.failures),
            app.revisions.len().to_string(),
            digest.unwrap_or_default(),
        ]);
    }
    if apps.is_empty() { String::new() } else { table.text(wide) }
}
