//! The table of commands: one file and one line in [`COMMANDS`] each.
//!
//! **Why.** Help, completion, man pages and the reference come from this table, so a command cannot
//! exist without them.
//!
//! **How.** A command is a clap argument type that implements [`Command`]. [`main`] reads the
//! command line, runs the row's function on an async runtime, and turns a [`Fault`] into its exit
//! code. Without a command, `hob` says how the node is ([`status`]).

mod alert;
mod audit;
mod bench;
mod budget;
mod call;
mod check;
mod completion;
mod cost;
mod cron;
mod dashboard;
mod deploy;
mod dev;
mod dlq;
mod doctor;
mod forecast;
mod import;
mod key;
mod logs;
mod ls;
mod man;
mod moment;
mod new;
mod openapi;
mod reference;
mod replay;
mod rm;
mod rollback;
mod run;
mod secret;
mod secrets;
mod send;
mod serve;
mod show;
mod space;
mod status;
mod sub;
mod token;
mod top;
mod topic;
mod trace;
mod trigger;
mod why;

use crate::output::{Flags, Output};
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, FromArgMatches};
use hob_core::code::{Code, exit};
use hob_core::fault::{Fault, Result};
use std::ffi::OsString;
use std::pin::Pin;

/// Exit code of a command that did what it was asked.
pub(crate) const DONE: u8 = 0;
/// Exit code of a command that a person has interrupted.
pub(crate) const INTERRUPTED: u8 = 130;

/// Every command, in the order in which help shows them.
pub(crate) static COMMANDS: &[Row] = &[
    row::<run::Run>("run", "Run a file or a folder, without a node or a manifest"),
    row::<new::New>("new", "Create a folder with a working function"),
    row::<import::Import>("import", "Write the `hob.toml` for a manifest of another platform"),
    row::<dev::Dev>("dev", "Run a folder, and again after each change"),
    row::<serve::Serve>("serve", "Start a node"),
    row::<deploy::Deploy>("deploy", "Move an app to a new revision, all of it at once"),
    row::<rollback::Rollback>("rollback", "Move an app back to an earlier revision"),
    row::<ls::Ls>("ls", "List the apps of the node"),
    row::<show::Show>("show", "Show an app, or every setting of a folder"),
    row::<call::Call>("call", "Send a request to a function"),
    row::<bench::Bench>("bench", "Measure how fast a function answers, or which of two revisions is faster"),
    row::<send::Send>("send", "Publish events to a topic"),
    row::<topic::Topic>("topic", "See topics, follow their events, remove events"),
    row::<sub::Sub>("sub", "See subscriptions, pause and move them"),
    row::<cron::Cron>("cron", "See schedules, run and pause them"),
    row::<dlq::Dlq>("dlq", "See events that were given up, deliver them again"),
    row::<replay::Replay>("replay", "Deliver old events once more, to a chosen function"),
    row::<logs::Logs>("logs", "Show what functions print"),
    row::<dashboard::Dashboard>("dashboard", "Print a link that opens the dashboard"),
    row::<why::Why>("why", "Say why something did or did not happen"),
    row::<trace::Trace>("trace", "Show where the time of a request or event went"),
    row::<top::Top>("top", "Show what functions do right now"),
    row::<cost::Cost>("cost", "Say what functions cost, here or elsewhere"),
    row::<budget::Budget>("budget", "See what may be used, and how much of it is"),
    row::<alert::Alert>("alert", "See alert rules, and which of them fire"),
    row::<space::Space>("space", "See tenants of the node, make, limit and remove them"),
    row::<secret::Secret>("secret", "Set values that functions are given and nobody is shown"),
    row::<token::Token>("token", "Make and revoke API tokens"),
    row::<audit::Audit>("audit", "Show what people and programs did to the node"),
    row::<key::Key>("key", "Make and remove access keys of the AWS Lambda API"),
    row::<check::Check>("check", "Check a folder or file without a node"),
    row::<rm::Rm>("rm", "Remove an app"),
    row::<doctor::Doctor>("doctor", "Say what this machine offers, and what Hob does without it"),
    row::<completion::Completion>("completion", "Write a completion script for a shell"),
    row::<man::Man>("man", "Write the manual pages into a folder"),
    hidden::<reference::Reference>("__reference", "Write one page of the reference"),
    hidden::<openapi::OpenApi>("__openapi", "Write the OpenAPI document of the control API"),
];

/// A command's arguments and what it does.
pub(crate) trait Command: Args + Send + 'static {
    /// Runs it; the result is the exit code.
    fn run(self, output: &Output) -> impl Future<Output = Result<u8>>;
}

/// One line of [`COMMANDS`].
pub(crate) struct Row {
    /// The word on the command line.
    pub(crate) name: &'static str,
    /// One sentence, without a period.
    pub(crate) summary: &'static str,
    /// Whether it is for Hob's own use.
    pub(crate) hidden: bool,
    args: fn(clap::Command) -> clap::Command,
    run: for<'a> fn(&ArgMatches, &'a Output) -> Result<Running<'a>>,
}

impl Row {
    /// The command as clap sees it: the row's sentence in lists, the type's own words in its help.
    fn command(&self) -> clap::Command {
        let command = (self.args)(clap::Command::new(self.name).hide(self.hidden));
        let words = command.get_long_about().or_else(|| command.get_about()).cloned().unwrap_or_default();
        command.about(self.summary).long_about(words).disable_help_subcommand(true)
    }
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<u8>> + 'a>>;

const fn row<C: Command>(name: &'static str, summary: &'static str) -> Row {
    Row { name, summary, hidden: false, args: C::augment_args, run: start::<C> }
}

const fn hidden<C: Command>(name: &'static str, summary: &'static str) -> Row {
    Row { hidden: true, ..row::<C>(name, summary) }
}

fn start<'a, C: Command>(matches: &ArgMatches, output: &'a Output) -> Result<Running<'a>> {
    let command = C::from_arg_matches(matches).map_err(|error| usage(&error))?;
    Ok(Box::pin(command.run(output)))
}

/// The whole command line as clap sees it.
pub(crate) fn program() -> clap::Command {
    let root = clap::Command::new("hob").version(env!("CARGO_PKG_VERSION"));
    let root = status::Status::augment_args(Flags::augment_args(root))
        .bin_name("hob")
        .about("An open, self-hosted serverless platform in one program")
        .after_help("`hob run PATH` runs what you have; `hob` alone says how the node is.")
        .disable_help_subcommand(true)
        .max_term_width(100);
    COMMANDS.iter().fold(root, |root, row| root.subcommand(row.command()))
}

/// Reads the command line, runs the command, and returns the exit code.
pub(crate) fn main() -> u8 {
    let words: Vec<OsString> = std::env::args_os().collect();
    let matches = match program().try_get_matches_from(&words) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => {
            // Help and version are results; a reader that has gone does not matter.
            let _ = error.print();
            return DONE;
        }
        Err(error) => {
            let fault = missing_command(&error, &words).unwrap_or_else(|| usage(&error));
            Output::before_flags(&words).fault(&fault);
            return fault.code().exit();
        }
    };
    let flags = Flags::from_arg_matches(&matches).unwrap_or_default();
    let output = Output::new(&flags);
    dispatch(&matches, &output).unwrap_or_else(|fault| {
        output.fault(&fault);
        fault.code().exit()
    })
}

fn dispatch(matches: &ArgMatches, output: &Output) -> Result<u8> {
    let (run, matches) = match matches.subcommand() {
        Some((name, matches)) => {
            let row = COMMANDS.iter().find(|row| row.name == name);
            (row.expect("clap knows the commands of the table only").run, matches)
        }
        None => {
            (start::<status::Status> as for<'a> fn(&ArgMatches, &'a Output) -> Result<Running<'a>>, matches)
        }
    };
    let running = run(matches, output)?;
    // With more threads than processors one stands behind another that was just woken; guests that compute have threads of
    // their own. With a single one, nobody looks after sockets while a guest shows for the first time that it computes.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.max(2))
        .on_thread_start(hob_node::answer_soon)
        .enable_all()
        .build()
        .map_err(|error| Fault::new(Code::MachineLacks, format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(running);
    // A blocked read of standard input must not hold the program back.
    runtime.shutdown_background();
    result
}

/// The fault for a command that stands alone and has commands of its own; clap would write its help.
fn missing_command(error: &clap::Error, words: &[OsString]) -> Option<Fault> {
    let alone = [ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand, ErrorKind::MissingSubcommand];
    if !alone.contains(&error.kind()) {
        return None;
    }
    let program = program();
    let command = words.iter().find_map(|word| program.find_subcommand(word))?;
    let (name, own) = (command.get_name(), command.get_subcommands().map(clap::Command::get_name));
    let own: Vec<String> = own.map(|own| format!("`hob {name} {own}`")).collect();
    Some(
        Fault::new(Code::Usage, format!("`hob {name}` needs a command of its own"))
            .hint(format!("write one of {}", own.join(", "))),
    )
}

/// clap's sentence as a fault: its first line, and the rest as the hint.
fn usage(error: &clap::Error) -> Fault {
    debug_assert_eq!(Code::Usage.exit(), exit::USAGE);
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
    let (message, rest) = text.split_once('\n').unwrap_or((text, ""));
    let tip = rest.lines().map(str::trim).find_map(|line| line.strip_prefix("tip: "));
    let usage = rest.lines().map(str::trim).find_map(|line| line.strip_prefix("Usage: "));
    let listed: Vec<&str> =
        rest.lines().filter(|line| line.starts_with("  ") && !line.contains("tip:")).map(str::trim).collect();
    let message =
        if listed.is_empty() { message.to_owned() } else { format!("{message} {}", listed.join(" ")) };
    let fault = Fault::new(Code::Usage, message.trim_end_matches('.').replace('\'', "`"));
    match (tip, usage) {
        (Some(tip), _) => fault.hint(tip.replace('\'', "`")),
        (None, Some(usage)) => fault.hint(format!("write `{usage}`, or see `--help`")),
        (None, None) => fault.hint("see `hob --help`"),
    }
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, program};

    #[test]
    fn the_command_line_is_consistent_and_every_row_has_a_sentence() {
        program().debug_assert();
        for row in COMMANDS {
            assert!(row.summary.starts_with(char::is_uppercase), "{}", row.name);
            assert!(!row.summary.ends_with('.'), "{}", row.name);
            assert_eq!(row.hidden, row.name.starts_with("__"), "{}", row.name);
        }
    }
}
