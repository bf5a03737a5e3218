//! The program `hob`: one command line, one command, one exit code.
//!
//! **Why.** Everything but `serve`, `run` and `dev` is a client of the control API like any other,
//! which keeps that API complete. Nothing here decides what a node does.
//!
//! **How.** [`command::COMMANDS`] is the table of commands; [`output`] is the only module that
//! writes to the terminal.

mod client;
mod command;
mod load;
mod local;
mod output;
mod project;
mod settings;
mod template;

use std::process::ExitCode;

fn main() -> ExitCode {
    // The compiling child has memory and time limits of its own and must not pay for a command line.
    if std::env::args_os().nth(1).is_some_and(|word| word == hob_node::COMPILE_COMMAND) {
        return hob_node::compile_child();
    }
    // So has a worker, which is about to lose everything else.
    if std::env::args_os().nth(1).is_some_and(|word| word == hob_node::WORKER_COMMAND) {
        return hob_node::worker_child();
    }
    ExitCode::from(command::main())
}
