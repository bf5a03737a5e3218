//! `hob __reference`: the reference pages, for the committed copies.
//!
//! **Why.** A page that enumerates by hand is wrong after the next change. These are written from
//! the tables that the program itself runs on, and a test compares them.

use super::{COMMANDS, Command, DONE, program};
use crate::output::Output;
use hob_core::code::{Code, Owner};
use hob_core::fault::Result;
use hob_core::manifest::key;
use hob_node::reference::{Row, contracts, hosts};

/// Columns of help texts, whatever the terminal.
const COLUMNS: usize = 100;

/// Write one page of the reference.
#[derive(clap::Args)]
pub(super) struct Reference {
    /// The page
    #[arg(value_enum)]
    page: Page,
}

/// What there are pages of.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Page {
    Manifest,
    Hosts,
    Contracts,
    Errors,
    Cli,
}

impl Command for Reference {
    async fn run(self, output: &Output) -> Result<u8> {
        let page = match self.page {
            Page::Manifest => manifest(),
            Page::Hosts => rows(
                "Hosts",
                "What runs a function: `host` in the manifest, detected from the file without it.",
                &hosts(),
            ),
            Page::Contracts => rows(
                "Contracts",
                "How a call reaches a function's code: `contract` in the manifest.",
                &contracts(),
            ),
            Page::Errors => errors(),
            Page::Cli => cli(),
        };
        output.line(page.trim_end());
        Ok(DONE)
    }
}

fn heading(title: &str, about: &str) -> String {
    format!(
        "# {title}\n\n<!-- Generated; `UPDATE=1 cargo test -p hob --test house` writes it anew. -->\n\n{about}\n"
    )
}

fn manifest() -> String {
    let mut page = heading(
        "The manifest `hob.toml`",
        "Every key is optional. Unknown keys are refused. `hob show --resolved` prints every setting of a folder and where it came from.",
    );
    for (table, keys) in key::tables() {
        page += &format!("\n## {table}\n\n| key | value | without it | meaning |\n|---|---|---|---|\n");
        for key in keys {
            page += &format!("| `{}` | {} | {} | {} |\n", key.name, key.kind, key.default, key.summary);
        }
    }
    page += "\nA sub-table named like the function's contract holds the contract's own settings, such as\n`[functions.letter.http]`; see [contracts](contracts.md).\n";
    page
}

fn rows(title: &str, about: &str, rows: &[Row]) -> String {
    let mut page = heading(title, about);
    for row in rows {
        let mut letters = row.summary.chars();
        let first = letters.next().map(char::to_uppercase).into_iter().flatten();
        let summary: String = first.chain(letters).collect();
        let summary = summary.trim_end_matches('.');
        page += &format!("\n## `{}`\n\n{summary}.\n\n```toml\n{}\n```\n", row.name, row.example.trim());
    }
    page
}

fn errors() -> String {
    let mut page = heading(
        "Error codes",
        "A code never changes its meaning and is never used twice. Every error answer of the gateway carries it in `hob-error`.",
    );
    page += "\n| code | meaning | status | owner | exit |\n|---|---|---|---|---|\n";
    for code in Code::ALL {
        page += &format!(
            "| [{code}](../errors/{code}.md) | {} | {} | {} | {} |\n",
            code.summary(),
            code.status(),
            owner(code.owner()),
            code.exit()
        );
    }
    page
}

fn owner(owner: Owner) -> &'static str {
    match owner {
        Owner::Platform => "Hob or the machine",
        Owner::Code => "the function",
        Owner::Limit => "a limit of the function",
        Owner::Dependency => "another system",
        Owner::Caller => "the caller",
    }
}

fn cli() -> String {
    let mut page = heading(
        "The program `hob`",
        "Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 the function failed, 2 usage, 3 not found, 4 refused, 5 conflict, 6 time-out, 7 Hob or the machine, 130 interrupted.",
    );
    let mut program = program().term_width(COLUMNS);
    program.build();
    page += &fence(&mut program.clone());
    for row in COMMANDS.iter().filter(|row| !row.hidden) {
        if let Some(command) = program.find_subcommand(row.name) {
            page += &section(command, &format!("hob {}", row.name), "##");
        }
    }
    page
}

/// A command's help, and below it that of each of its own commands.
fn section(command: &clap::Command, name: &str, heading: &str) -> String {
    let own = fence(&mut command.clone().term_width(COLUMNS));
    let nested = command
        .get_subcommands()
        .map(|nested| section(nested, &format!("{name} {}", nested.get_name()), &format!("{heading}#")));
    format!("\n{heading} `{name}`\n{own}{}", nested.collect::<String>())
}

fn fence(command: &mut clap::Command) -> String {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    format!("\n```text\n{}\n```\n", lines.join("\n"))
}
