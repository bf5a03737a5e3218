//! `hob dev`: a folder runs, and runs again after each change; a change that fails changes nothing.
//!
//! **How.** One node in this process; each change is a deploy to it. What a build writes must not
//! start the next one: files that the first build changed count as its output, and build folders
//! are not watched at all.

use super::import::Values;
use super::{Command, deploy, run, secrets};
use crate::local::{self, Interrupt, Temporary};
use crate::output::Output;
use crate::project::{Options, Project, is_left_out};
use crate::settings::{self, DOMAIN, HTTP};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::SecretName;
use notify::{Event, EventKind, RecursiveMode, Watcher};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Silence after a change before it is built: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(150);

/// Run a folder, and again after each change. When a build or a deploy fails, the old revision goes
/// on and the error is shown. What functions print follows on stderr.
#[derive(clap::Args)]
pub(super) struct Dev {
    /// A folder, or a file in it
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
}

impl Command for Dev {
    async fn run(self, output: &Output) -> Result<u8> {
        local::trace(output);
        let mut interrupt = Interrupt::listen()?;
        let http = settings::listen_address(&self.http)?;
        let dashboard = settings::dashboard(self.dashboard.as_deref())?;
        let options = Options { build: true, ..Options::default() };
        let (path, options) = self.values.options(self.path, options);
        let mut changes = Changes::watch(&path)?;
        let node =
            Temporary::start(http, dashboard, &self.domain, self.telemetry.collector(), self.walled.wanted())
                .await?;
        let outcome = tokio::select! {
            outcome = develop((&path, &options), &node, &mut changes, output) => outcome.map(|()| super::DONE),
            code = interrupt.wait() => Ok(code),
        };
        interrupt.unless_again(node.stop()).await;
        outcome
    }
}

async fn develop(
    from: (&Path, &Options),
    node: &Temporary,
    changes: &mut Changes,
    output: &Output,
) -> Result<()> {
    let (mut ready, mut given) = (false, BTreeMap::new());
    let work = async {
        loop {
            match once(from, node, &mut given, output).await {
                Ok(done) if !ready => {
                    ready = true;
                    run::ready(node, &done, output).await?;
                }
                Ok(done) if done.changed => output.note(&format!("revision {} serves", done.revision)),
                Ok(_) => {}
                Err(fault) => {
                    output.fault(&fault);
                    let rest = if ready { "the old revision goes on" } else { "nothing runs yet" };
                    output.note(&format!("{rest}; waiting for a change"));
                }
            }
            changes.forget_outputs();
            let changed = changes.next().await;
            output.note(&format!("{} changed", changed.display()));
        }
    };
    tokio::select! {
        ended = work => ended,
        ended = run::follow(node.client(), output) => ended,
    }
}

async fn once(
    (path, options): (&Path, &Options),
    node: &Temporary,
    given: &mut BTreeMap<SecretName, String>,
    output: &Output,
) -> Result<hob_core::wire::Deployed> {
    let project = Project::load(path, options, output).await?;
    secrets::give(node.client(), &project, given).await?;
    deploy::send(node.client(), &project, output).await
}

/// Files that change below a folder.
struct Changes {
    base: PathBuf,
    events: UnboundedReceiver<PathBuf>,
    outputs: HashSet<PathBuf>,
    first: bool,
    // Watches for as long as it lives.
    _watcher: notify::RecommendedWatcher,
}

impl Changes {
    fn watch(path: &Path) -> Result<Self> {
        let fault = |error: &dyn std::fmt::Display| {
            Fault::new(Code::FileMissing, format!("cannot watch `{}`: {error}", path.display()))
                .hint("name a folder that exists")
        };
        let path = std::fs::canonicalize(path).map_err(|error| fault(&error))?;
        let base = if path.is_dir() { path.clone() } else { path.parent().unwrap_or(&path).to_owned() };
        let (sender, events) = unbounded_channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let Ok(event) = event else { return };
            if matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_)) {
                // The receiver is gone only when the program ends.
                event.paths.into_iter().for_each(|path| drop(sender.send(path)));
            }
        })
        .map_err(|error| fault(&error))?;
        watcher.watch(&base, RecursiveMode::Recursive).map_err(|error| fault(&error))?;
        Ok(Self { base, events, outputs: HashSet::new(), first: true, _watcher: watcher })
    }

    /// What has changed during the first build is what it writes.
    fn forget_outputs(&mut self) {
        if std::mem::take(&mut self.first) {
            while let Ok(path) = self.events.try_recv() {
                self.outputs.insert(path);
            }
        }
    }

    /// Waits for a change that matters, and for the silence after it.
    async fn next(&mut self) -> PathBuf {
        loop {
            let Some(path) = self.events.recv().await else { return std::future::pending().await };
            if !self.matters(&path) {
                continue;
            }
            while tokio::time::timeout(QUIET, self.events.recv()).await.is_ok_and(|event| event.is_some()) {}
            return path.strip_prefix(&self.base).unwrap_or(&path).to_owned();
        }
    }

    fn matters(&self, path: &Path) -> bool {
        let below = path.strip_prefix(&self.base).unwrap_or(path);
        let left_out = |part: std::path::Component<'_>| {
            part.as_os_str().to_str().is_some_and(|name| is_left_out(name) || name == "node_modules")
        };
        !below.components().any(left_out) && !self.outputs.contains(path)
    }
}
