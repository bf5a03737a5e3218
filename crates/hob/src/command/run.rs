//! `hob run`: a file or a folder behind HTTP at once, without a node or a manifest beforehand.

use super::import::Values;
use super::logs;
use super::{Command, deploy, secrets, trigger};
use crate::client::Client;
use crate::local::{self, Interrupt, Temporary};
use crate::output::{Output, Table};
use crate::project::{Options, Project};
use crate::settings::{self, DOMAIN, HTTP};
use hob_core::fault::Result;
use hob_core::wire::{AppInfo, Deployed, LogQuery};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Run a file or a folder: a WebAssembly file, a binary, a script, a package, or an app with a
/// `hob.toml`. Prints `ready <url>` on stdout once it serves; what functions print follows on stderr.
/// Ctrl-C stops it gracefully, and nothing stays behind.
#[derive(clap::Args)]
pub(super) struct Run {
    /// A file, a folder, a `hob.toml`, or a manifest of another platform
    ///
    /// [default: .]
    path: Option<PathBuf>,
    #[command(flatten)]
    values: Values,
    /// Where it answers; port 0 picks a free one
    #[arg(long, env = "HOB_HTTP", value_name = "ADDRESS", default_value = HTTP, hide_env_values = true)]
    http: String,
    /// Where the dashboard answers, or `none` [default: 127.0.0.1:8081, or a free port when that is taken]
    #[arg(long, env = "HOB_DASHBOARD", value_name = "ADDRESS", hide_env_values = true)]
    dashboard: Option<String>,
    /// Domain below which functions get their addresses
    #[arg(long, value_name = "DOMAIN", default_value = DOMAIN)]
    domain: String,
    #[command(flatten)]
    telemetry: settings::Telemetry,
    #[command(flatten)]
    walled: settings::Walled,
    /// Arguments of the program
    #[arg(last = true)]
    args: Vec<String>,
}

impl Command for Run {
    async fn run(self, output: &Output) -> Result<u8> {
        local::trace(output);
        let mut interrupt = Interrupt::listen()?;
        let http = settings::listen_address(&self.http)?;
        let dashboard = settings::dashboard(self.dashboard.as_deref())?;
        let options = Options { build: true, args: self.args, ..Options::default() };
        let (path, options) = self.values.options(self.path, options);
        let project = tokio::select! {
            project = Project::load(&path, &options, output) => project?,
            code = interrupt.wait() => return Ok(code),
        };
        let node =
            Temporary::start(http, dashboard, &self.domain, self.telemetry.collector(), self.walled.wanted())
                .await?;
        let outcome = tokio::select! {
            served = serve(&node, &project, output) => served.map(|()| super::DONE),
            code = interrupt.wait() => Ok(code),
        };
        interrupt.unless_again(node.stop()).await;
        outcome
    }
}

async fn serve(node: &Temporary, project: &Project, output: &Output) -> Result<()> {
    secrets::give(node.client(), project, &mut BTreeMap::new()).await?;
    let done = deploy::send(node.client(), project, output).await?;
    ready(node, &done, output).await?;
    follow(node.client(), output).await
}

/// The one line on stdout, and what there is on stderr.
pub(super) async fn ready(node: &Temporary, done: &Deployed, output: &Output) -> Result<()> {
    let info = node.client().app(&done.app).await?;
    let revision = node.client().revision(&done.app, done.revision).await?;
    if let Some(link) = node.dashboard() {
        output.note(&format!("dashboard {link}"));
    }
    output.line(&format!("ready {}", node.url()));
    output.note(addresses(&info).trim_end());
    let triggers = trigger::table(&revision.spec.triggers);
    if !triggers.is_empty() {
        output.note(&format!("\n{}", triggers.trim_end()));
    }
    Ok(())
}

/// Shows what functions print until the node ends.
pub(super) async fn follow(client: &Client, output: &Output) -> Result<()> {
    let query = LogQuery { tail: Some(1000), follow: true, ..LogQuery::default() };
    client
        .logs(&query, |record| {
            output.note(&logs::line(&record, logs::From::Function, output.note_style()));
            true
        })
        .await
}

fn addresses(info: &AppInfo) -> String {
    let mut table = Table::new(4, &["FUNCTION", "RUNS AS", "ROUTES", "ADDRESS"]);
    for function in &info.functions {
        let routes = info.routes.iter().filter(|route| route.function == function.function);
        let routes: Vec<&str> = routes.map(|route| route.route.as_str()).collect();
        table.row([
            function.function.to_string(),
            format!("{}, {}", function.host, function.contract),
            routes.join("  "),
            function.url.clone().unwrap_or_else(|| "private".to_owned()),
        ]);
    }
    table.text(false)
}
