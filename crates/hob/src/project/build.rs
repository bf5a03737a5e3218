//! Runs a build and shows its output on stderr.

use super::recognise::Step;
use crate::output::Output;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// Runs the manifest's `build` through the shell, in the function's folder.
///
/// # Errors
/// `HOB-0206` when it fails.
pub(super) async fn shell(dir: &Path, line: &str, output: &Output) -> Result<()> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(line);
    run(command, dir, line, output).await
}

/// Runs one step of a recognised folder.
///
/// # Errors
/// `HOB-0306` when the tool is not there, `HOB-0206` when it fails.
pub(super) async fn step(dir: &Path, step: &Step, output: &Output) -> Result<()> {
    let hob = dir.join(".hob");
    if let Some(file) = &step.makes {
        std::fs::create_dir_all(&hob).map_err(|error| failed(dir, file, &error.to_string()))?;
    }
    let [program, args @ ..] = step.words.as_slice() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(args);
    run(command, dir, &step.shown(), output).await
}

async fn run(mut command: Command, dir: &Path, shown: &str, output: &Output) -> Result<()> {
    let stdout = if output.is_quiet() { Stdio::null() } else { Stdio::from(std::io::stderr()) };
    let status = command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(stdout)
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|error| missing_tool(shown, &error))?;
    if status.success() { Ok(()) } else { Err(failed(dir, shown, &format!("it ended with {status}"))) }
}

fn failed(dir: &Path, shown: &str, why: &str) -> Fault {
    Fault::new(Code::BuildFailed, format!("the build `{shown}` failed: {why}"))
        .at(super::shown(dir))
        .hint("its own words are above; it runs in this folder")
}

fn missing_tool(shown: &str, error: &std::io::Error) -> Fault {
    let tool = shown.split(' ').next().unwrap_or(shown);
    if error.kind() == std::io::ErrorKind::NotFound {
        return Fault::new(
            Code::ProgramMissing,
            format!("the build needs `{tool}`, which is not on the `PATH`"),
        )
        .hint(format!("install `{tool}`, or write `run` for something that is built already"));
    }
    Fault::new(Code::BuildFailed, format!("`{tool}` could not be started: {error}"))
}
