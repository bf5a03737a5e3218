//! `hob` alone: how the node is, and the next useful command.

use super::{Command, DONE};
use crate::output::{Output, Table};
use crate::settings::Connection;
use hob_core::code::Code;
use hob_core::fault::Result;
use hob_core::wire::{AppInfo, NodeInfo};
use serde::Serialize;

/// `hob` without a command.
#[derive(clap::Args)]
pub(super) struct Status {}

#[derive(Serialize)]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<NodeInfo>,
    apps: Vec<AppInfo>,
    next: String,
}

impl Command for Status {
    async fn run(self, output: &Output) -> Result<u8> {
        let report = look().await?;
        let names: Vec<String> = report.apps.iter().map(|app| app.app.to_string()).collect();
        output.result(&report, &names, |output| text(&report, output));
        Ok(DONE)
    }
}

async fn look() -> Result<Report> {
    let client = Connection::from_environment().client()?;
    let node = match client.node().await {
        Ok(node) => node,
        Err(fault) if fault.code() == Code::NodeUnreachable => {
            return Ok(Report { node: None, apps: Vec::new(), next: "hob run PATH".to_owned() });
        }
        Err(fault) => return Err(fault),
    };
    let apps = client.apps().await?;
    let next = apps.first().map_or_else(|| "hob deploy".to_owned(), |app| format!("hob show {}", app.app));
    Ok(Report { node: Some(node), apps, next })
}

fn text(report: &Report, output: &Output) -> String {
    let Some(node) = &report.node else {
        return format!(
            "no node is running here\nnext: `{}` runs a file or folder, `hob serve` starts a node, `hob new` makes an example",
            report.next
        );
    };
    let mut apps = Table::new(4, &["APP", "REVISION", "FUNCTIONS", "URL"]);
    for app in &report.apps {
        apps.row([
            app.app.to_string(),
            app.current.to_string(),
            app.functions.len().to_string(),
            app.url.clone(),
        ]);
    }
    let apps = if report.apps.is_empty() { "no apps yet\n".to_owned() } else { apps.text(output.wide()) };
    format!(
        "Hob {} serves at {} (process {})\n{apps}next: `{}`",
        node.version, node.url, node.pid, report.next
    )
}
