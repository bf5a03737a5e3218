//! `hob rm`: removes an app with all of its revisions.

use super::{Command, DONE};
use crate::output::Output;
use crate::settings::Connection;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::AppName;
use serde_json::json;

/// Remove an app with all of its revisions. There is no way back.
#[derive(clap::Args)]
pub(super) struct Rm {
    /// The app
    app: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Rm {
    async fn run(self, output: &Output) -> Result<u8> {
        let app = AppName::new(&self.app)?;
        let client = self.connection.client()?;
        let info = client.app(&app).await?;
        if !self.yes {
            confirm(output, &app, info.revisions.len())?;
        }
        client.remove(&app).await?;
        output.result(&json!({ "removed": app }), &[app.to_string()], |_| format!("removed app `{app}`"));
        Ok(DONE)
    }
}

fn confirm(output: &Output, app: &AppName, revisions: usize) -> Result<()> {
    if !output.interactive() {
        return Err(Fault::new(Code::Usage, format!("removing app `{app}` needs a yes"))
            .hint(format!("run `hob rm {app} --yes`")));
    }
    if output.ask(&format!("remove app `{app}` with {revisions} revision(s)? there is no way back")) {
        return Ok(());
    }
    Err(Fault::new(Code::Usage, format!("app `{app}` was not removed")))
}
