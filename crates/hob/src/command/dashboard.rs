//! `hob dashboard`: a link that signs a browser in.

use super::{Command, DONE};
use crate::output::Output;
use crate::output::shown::time;
use crate::settings::Connection;
use hob_core::fault::Result;
use std::process::Stdio;

/// What opens a link in the person's browser, where there is one.
const OPENERS: [&str; 2] = ["xdg-open", "open"];

/// Print a link that signs a browser in to the node's dashboard. It works once, for five minutes; the
/// browser then stays signed in for as long as it is used, for a day at most.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  hob dashboard --open
  ssh -L 8081:127.0.0.1:8081 server, then on the server: hob dashboard")]
pub(super) struct Dashboard {
    /// Open it in a browser, too
    #[arg(long)]
    open: bool,
    /// A link for somebody who may look, and press nothing
    #[arg(long)]
    read_only: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Dashboard {
    async fn run(self, output: &Output) -> Result<u8> {
        let link = self.connection.client()?.dashboard_link(self.read_only).await?;
        output.result(&link, std::slice::from_ref(&link.url), |_| link.url.clone());
        output.note(&format!("good for one browser, until {}", time(link.expires_ms)));
        if self.open && !open(&link.url).await {
            output.note("this machine has nothing that opens a browser; open the link yourself");
        }
        Ok(DONE)
    }
}

/// Whether something has taken the link.
async fn open(url: &str) -> bool {
    for opener in OPENERS {
        let started = tokio::process::Command::new(opener)
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await;
        if started.is_ok_and(|status| status.success()) {
            return true;
        }
    }
    false
}
