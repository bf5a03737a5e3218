//! `hob rollback`: moves an app back, in one switch.

use super::{Command, DONE};
use crate::output::Output;
use crate::settings::Connection;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, RevisionNumber};

/// Move an app back to the revision before the current one, or to a chosen one. Routes, environment
/// and limits go back with the code; what functions have stored elsewhere does not.
#[derive(clap::Args)]
pub(super) struct Rollback {
    /// The app [default: the only one]
    app: Option<String>,
    /// The revision to go to [default: the one before]
    #[arg(long, value_name = "REVISION")]
    to: Option<u32>,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Rollback {
    async fn run(self, output: &Output) -> Result<u8> {
        let client = self.connection.client()?;
        let app = match &self.app {
            Some(name) => AppName::new(name)?,
            None => only_app(client.apps().await?.into_iter().map(|app| app.app).collect())?,
        };
        let progress = output.progress();
        let done = client
            .rollback(&app, self.to.map(RevisionNumber), |function, step, percent| {
                progress.step(&format!("{function}: {step}"), percent);
            })
            .await?;
        drop(progress);
        super::deploy::report(output, &done);
        Ok(DONE)
    }
}

/// The app that is meant when none is named.
pub(super) fn only_app(mut apps: Vec<AppName>) -> Result<AppName> {
    match (apps.pop(), apps.is_empty()) {
        (Some(app), true) => Ok(app),
        (None, _) => {
            Err(Fault::new(Code::AppNotFound, "the node has no apps")
                .hint("deploy one with `hob deploy PATH`"))
        }
        (Some(app), false) => {
            apps.push(app);
            let names: Vec<String> = apps.iter().map(ToString::to_string).collect();
            Err(Fault::new(Code::Usage, "the node has several apps")
                .hint(format!("name one of: {}", names.join(", "))))
        }
    }
}
