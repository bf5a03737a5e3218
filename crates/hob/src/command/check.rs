//! `hob check`: everything that can be known about an app without a node.

use super::import::Values;
use super::{Command, DONE, trigger};
use crate::output::Output;
use crate::project::{Options, Project};
use hob_core::fault::Result;
use hob_core::unit::show_bytes;
use serde_json::json;
use std::path::PathBuf;

/// Check a file or folder without a node: manifest, routes, limits, files, what each function is.
/// Nothing is started; what a component imports is checked at deploy.
#[derive(clap::Args)]
pub(super) struct Check {
    /// A file, a folder, a `hob.toml`, or a manifest of another platform
    ///
    /// [default: .]
    path: Option<PathBuf>,
    #[command(flatten)]
    values: Values,
    /// Run the builds, too
    #[arg(long)]
    build: bool,
}

impl Command for Check {
    async fn run(self, output: &Output) -> Result<u8> {
        let options = Options { build: self.build, ..Options::default() };
        let (path, options) = self.values.options(self.path, options);
        let project = Project::load(&path, &options, output).await?;
        let app = &project.spec.app;
        let triggers = &project.spec.triggers;
        let value = json!({
            "app": app,
            "digest": project.spec.digest(),
            "functions": project.functions.len(),
            "subscriptions": triggers.subscriptions.len(),
            "schedules": triggers.schedules.len(),
            "event_routes": triggers.event_routes.len(),
            "unmet": project.unmet,
        });
        output.result(&value, &[app.to_string()], |_| {
            let lines = project.functions.iter().zip(&project.notes).map(|(function, note)| {
                let files = function.spec.package.len();
                let bytes: u64 = function.spec.package.values().map(|file| file.size).sum();
                format!(
                    "  {}: {note} ({}, {files} file(s), {})",
                    function.name,
                    function.spec.contract,
                    show_bytes(bytes)
                )
            });
            let lines = lines.chain(trigger::count(triggers).map(|count| format!("  {count}")));
            format!("{app} is in order\n{}", lines.collect::<Vec<_>>().join("\n"))
        });
        Ok(DONE)
    }
}
