//! `hob doctor`: what this machine offers, and what Hob does without it.

use super::{Command, DONE};
use crate::output::{Output, Table};
use hob_core::fault::Result;

/// Say what this machine offers, and what Hob does without it. Changes nothing.
#[derive(clap::Args)]
pub(super) struct Doctor {}

impl Command for Doctor {
    async fn run(self, output: &Output) -> Result<u8> {
        let findings = hob_node::doctor::examine();
        let names: Vec<String> = findings.iter().map(|finding| finding.name.to_owned()).collect();
        output.result(&findings, &names, |output| {
            let mut table = Table::new(4, &["WHAT", "FOUND", "SEEN", "EFFECT"]);
            for finding in &findings {
                let found = if finding.found { "yes" } else { "no" };
                table.row([finding.name.into(), found.into(), finding.seen.clone(), finding.effect.into()]);
            }
            table.text(output.wide())
        });
        Ok(DONE)
    }
}
