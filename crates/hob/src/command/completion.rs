//! `hob completion`: completion scripts, made from the table of commands.

use super::{Command, DONE, program};
use crate::output::Output;
use clap_complete::{Shell, generate};
use hob_core::fault::Result;

/// Write a completion script for a shell to stdout, for example into
/// `~/.local/share/bash-completion/completions/hob`.
#[derive(clap::Args)]
pub(super) struct Completion {
    /// bash, zsh or fish
    shell: Shell,
}

impl Command for Completion {
    async fn run(self, output: &Output) -> Result<u8> {
        let mut script = Vec::new();
        generate(self.shell, &mut program(), "hob", &mut script);
        output.write(&script);
        Ok(DONE)
    }
}
