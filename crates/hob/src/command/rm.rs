//! `hob rm`: removes an app with all of its revisions.

use super::{Command, DONE};
use crate::output::Output;
use crate::settings::Connection;
use hob_core::fault::Result;
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
            let revisions = info.revisions.len();
            let doing = format!("removing app `{app}` with {revisions} revision(s)");
            output.confirm(&doing, &format!("hob rm {app}"))?;
        }
        client.remove(&app).await?;
        output.result(&json!({ "removed": app }), &[app.to_string()], |_| format!("removed app `{app}`"));
        Ok(DONE)
    }
}
