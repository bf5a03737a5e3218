//! `hob deploy`: moves an app to a new revision, all of it at once.

use super::import::Values;
use super::{Command, DONE, forecast};
use crate::client::Client;
use crate::output::Output;
use crate::project::{Options, Project, diff};
use crate::settings::Connection;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::AppName;
use hob_core::spec::AppSpec;
use hob_core::unit::show_duration;
use hob_core::wire::Deployed;
use std::path::PathBuf;
use std::time::Duration;

/// Build a file or folder, upload what the node lacks, make everything ready, then switch the whole
/// app at once. When a step fails, what was running goes on.
#[derive(clap::Args)]
pub(super) struct Deploy {
    /// A file, a folder, a `hob.toml`, or a manifest of another platform
    ///
    /// [default: .]
    path: Option<PathBuf>,
    #[command(flatten)]
    values: Values,
    /// Another name for the app
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Deploy {
    async fn run(self, output: &Output) -> Result<u8> {
        let app = self.app.as_deref().map(AppName::new).transpose()?;
        let client = self.connection.client()?;
        let options = Options { build: true, app, ..Options::default() };
        let (path, options) = self.values.options(self.path, options);
        let project = Project::load(&path, &options, output).await?;
        if self.dry_run {
            let current = current(&client, &project.spec.app).await?;
            let changes = diff(current.as_ref(), &project.spec);
            let names: Vec<String> = changes.iter().map(|change| change.what.clone()).collect();
            output.result(&changes, &names, |_| {
                let lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
                if lines.is_empty() { "nothing would change".to_owned() } else { lines.join("\n") }
            });
            forecast::tell(&client, current.as_ref(), &project.spec, output).await;
            return Ok(DONE);
        }
        // A first deploy and a node that cannot be asked are the same here: the deploy itself will tell.
        let current = current(&client, &project.spec.app).await.ok().flatten();
        forecast::tell(&client, current.as_ref(), &project.spec, output).await;
        report(output, &send(&client, &project, output).await?);
        Ok(DONE)
    }
}

/// Uploads what the node lacks and switches; steps are shown as they come.
pub(super) async fn send(client: &Client, project: &Project, output: &Output) -> Result<Deployed> {
    let progress = output.progress();
    let missing = client.missing(project.spec.artifacts()).await?;
    for (done, digest) in missing.iter().enumerate() {
        let Some(file) = project.files.get(digest) else {
            return Err(Fault::internal(format!("no file for {digest}")));
        };
        let percent = u8::try_from(done * 100 / missing.len()).ok();
        progress.step(&format!("uploading {} file(s)", missing.len()), percent);
        client.upload(digest, file).await?;
    }
    let step = |function: &_, step: &str, percent| progress.step(&format!("{function}: {step}"), percent);
    client.deploy(&project.spec, step).await
}

async fn current(client: &Client, app: &AppName) -> Result<Option<AppSpec>> {
    match client.app(app).await {
        Ok(info) => Ok(Some(client.revision(app, info.current).await?.spec)),
        Err(fault) if fault.code() == Code::AppNotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Shows the result of a deploy or a rollback.
pub(super) fn report(output: &Output, done: &Deployed) {
    output.result(done, &[done.app.to_string()], |output| {
        let took = show_duration(Duration::from_millis(done.took_ms));
        let (app, revision, url) = (output.strong(done.app.as_str()), done.revision, &done.url);
        match (done.changed, done.previous) {
            (false, _) => format!("{app} is at revision {revision} already: nothing has changed\n{url}"),
            (true, Some(previous)) => {
                format!("{app} moved from revision {previous} to {revision} in {took}\n{url}")
            }
            (true, None) => format!("{app} serves at revision {revision} after {took}\n{url}"),
        }
    });
}
