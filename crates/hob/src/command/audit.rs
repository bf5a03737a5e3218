//! `hob audit`: what people and programs did to the node, and whether the log of it is whole.

use super::moment::time_ms;
use super::{Command, DONE};
use crate::output::shown::{dash, short, time};
use crate::output::{Output, Table};
use crate::settings::Connection;
use clap::Subcommand;
use hob_core::access::audit::Book;
use hob_core::fault::Result;
use hob_core::wire::{AuditEntry, AuditQuery, AuditReport};

/// Show what people and programs did to the node: deploys, tokens, secrets, and what was refused. Actions that change
/// nothing are told once and then counted.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  hob audit --since 1d --operation apps
  hob audit --refused
  hob audit verify"
)]
pub(super) struct Audit {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    list: List,
}

#[derive(Subcommand)]
enum What {
    /// Say whether a line of the log was changed or removed
    Verify(Verify),
}

#[derive(clap::Args)]
struct List {
    /// Only since then, a time or so long ago
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    since: Option<u64>,
    /// Only before then
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    until: Option<u64>,
    /// Only of whoever has this in the name, such as `ci`
    #[arg(long)]
    who: Option<String>,
    /// Only operations that begin with this, such as `apps` or `apps.deploy`
    #[arg(long)]
    operation: Option<String>,
    /// Only what was done to this: an app, a topic
    #[arg(long)]
    on: Option<String>,
    /// Only what was refused or failed
    #[arg(long)]
    refused: bool,
    /// So many lines at most, the newest [default: 100]
    #[arg(long, value_name = "LINES")]
    limit: Option<u64>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Verify {
    /// The end of the log as this command printed it earlier: it has to be there as it was
    #[arg(long, value_name = "END")]
    noted: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Audit {
    async fn run(self, output: &Output) -> Result<u8> {
        match self.what {
            None => {
                let List { since, until, who, operation, on, refused, limit, connection } = self.list;
                let query =
                    AuditQuery { since_ms: since, until_ms: until, who, operation, on, refused, limit };
                let all = connection.client()?.audit(&query).await?;
                let names: Vec<String> = all.iter().map(name).collect();
                output.result(&all, &names, |output| table(&all, output.wide()));
                if all.is_empty() {
                    output.note("the audit log has no such line");
                }
            }
            Some(What::Verify(Verify { noted, connection })) => {
                let report = connection.client()?.verify_audit(noted).await?;
                output.result(&report, &[end(&report)], |_| shown(&report));
                report.judge()?;
            }
        }
        Ok(DONE)
    }
}

fn table(all: &[AuditEntry], wide: bool) -> String {
    let columns = ["WHEN", "WHO", "OPERATION", "ON", "OUTCOME", "TIMES", "FROM", "VIA", "SPACE", "ID"];
    let mut table = Table::new(6, &columns);
    for entry in all {
        let act = &entry.act;
        table.row([
            time(entry.time_ms),
            short(&act.who, 60),
            act.operation.clone(),
            act.on.as_deref().map_or_else(dash, |on| short(on, 60)),
            act.outcome.clone(),
            entry.times.unwrap_or(1).to_string(),
            short(&act.from, 60),
            act.via.clone(),
            act.space.to_string(),
            entry.id.clone().unwrap_or_else(dash),
        ]);
    }
    if all.is_empty() { String::new() } else { table.text(wide) }
}

/// A line's number; with its chain, unless that is the operators'.
fn name(entry: &AuditEntry) -> String {
    match entry.act.book {
        Book::Operators => entry.sequence.to_string(),
        book => format!("{}:{}", book.word(), entry.sequence),
    }
}

/// The ends of the log's chains, for somebody who notes them.
fn end(report: &AuditReport) -> String {
    report.ends().to_string()
}

fn shown(report: &AuditReport) -> String {
    let word = if report.whole { "whole" } else { "broken" };
    let (lines, first) = (report.lines, report.first);
    let mut text = format!("{word}: {lines} lines from entry {first}, end {}", end(report));
    for problem in &report.problems {
        text.push_str(&format!("\n  {problem}"));
    }
    text
}
