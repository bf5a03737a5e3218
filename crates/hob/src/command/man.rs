//! `hob man`: manual pages, made from the table of commands.

use super::{COMMANDS, Command, DONE, program};
use crate::output::Output;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use std::path::{Path, PathBuf};

/// Write the manual pages into a folder, for example `~/.local/share/man/man1`.
#[derive(clap::Args)]
pub(super) struct Man {
    /// The folder; created when missing
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

impl Command for Man {
    async fn run(self, output: &Output) -> Result<u8> {
        let pages = write_pages(&self.dir).map_err(|error| {
            Fault::new(Code::Usage, format!("cannot write into `{}`: {error}", self.dir.display()))
        })?;
        output.result(&pages, &pages, |_| format!("{} pages in {}", pages.len(), self.dir.display()));
        Ok(DONE)
    }
}

fn write_pages(dir: &Path) -> std::io::Result<Vec<String>> {
    std::fs::create_dir_all(dir)?;
    let mut program = program();
    program.build();
    let mut pages = vec![write_page(dir, "hob", program.clone())?];
    for row in COMMANDS.iter().filter(|row| !row.hidden) {
        if let Some(command) = program.find_subcommand(row.name) {
            write_all(dir, &format!("hob-{}", row.name), command, &mut pages)?;
        }
    }
    Ok(pages)
}

/// The page of a command and of each of its own commands.
fn write_all(
    dir: &Path,
    name: &str,
    command: &clap::Command,
    pages: &mut Vec<String>,
) -> std::io::Result<()> {
    pages.push(write_page(dir, name, command.clone())?);
    for nested in command.get_subcommands() {
        write_all(dir, &format!("{name}-{}", nested.get_name()), nested, pages)?;
    }
    Ok(())
}

fn write_page(dir: &Path, name: &str, command: clap::Command) -> std::io::Result<String> {
    let file = dir.join(format!("{name}.1"));
    let mut page = Vec::new();
    clap_mangen::Man::new(command).title(name.to_uppercase()).render(&mut page)?;
    std::fs::write(&file, page)?;
    Ok(file.display().to_string())
}
