//! Waits until a child serves: it accepts on its port, and its readiness path answers if it has one.
//!
//! **How.** Attempts with growing pauses from one millisecond on, raced against the child's end and
//! the time it has. A connection refused on loopback costs microseconds, so this is bounded, and quick
//! for quick children, without the child's help.

use super::connection::{self, Connections};
use super::settings::Settings;
use crate::code::FunctionCode;
use crate::unit::{Exit, Program};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::unit::show_duration;
use http::{Request, StatusCode};
use std::time::Duration;

const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(5);
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Waits.
///
/// # Errors
/// `HOB-0307` when its time is over, `HOB-0308` when it ends first.
pub(super) async fn wait(
    code: &FunctionCode,
    program: &dyn Program,
    port: u16,
    settings: &Settings,
    connections: &Connections,
) -> Result<()> {
    tokio::select! {
        biased;
        exit = program.exit() => Err(ended(code, program, &exit)),
        () = serving(program, port, settings.ready.as_deref(), connections) => Ok(()),
        () = tokio::time::sleep(settings.start_timeout) => Err(late(code, program, port, settings)),
    }
}

async fn serving(program: &dyn Program, port: u16, path: Option<&str>, connections: &Connections) {
    let mut pause = PAUSE_MIN;
    let mut was_free = false;
    loop {
        match connection::connect(port).await {
            Ok(_) if (was_free || is_own(program, port)) && answers(path, connections).await => return,
            Ok(_) => {}
            Err(_) => was_free = true,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Whether it is not known to be a stranger who accepts. Asked only when somebody did so before the
/// program can have: reading the kernel's table of sockets takes tens of milliseconds. Who comes later
/// than that takes the port from the program, which then ends.
fn is_own(program: &dyn Program, port: u16) -> bool {
    let listening = program.listening();
    listening.is_empty() || listening.iter().any(|address| address.port() == port)
}

async fn answers(path: Option<&str>, connections: &Connections) -> bool {
    let Some(path) = path else { return true };
    let request = Request::get(path).header("host", "localhost").header("user-agent", "hob-probe");
    let Ok(request) = request.body(crate::body::empty()) else { return false };
    let answer = tokio::time::timeout(PROBE_TIMEOUT, connections.send(request)).await;
    matches!(answer, Ok(Ok(response)) if response.status() < StatusCode::BAD_REQUEST)
}

fn ended(code: &FunctionCode, program: &dyn Program, exit: &Exit) -> Fault {
    let message = format!("`{}` {} before it was ready", code.name, super::describe(exit));
    Fault::new(Code::StartExit, message).hint(printed(program, "run it by hand to see why"))
}

fn late(code: &FunctionCode, program: &dyn Program, port: u16, settings: &Settings) -> Fault {
    let time = show_duration(settings.start_timeout);
    let message = match &settings.ready {
        Some(path) => {
            format!("`{}` did not answer `{path}` on port {port} (`$PORT`) within {time}", code.name)
        }
        None => format!("`{}` did not listen on port {port} (`$PORT`) within {time}", code.name),
    };
    let others: Vec<String> = program.listening().iter().map(ToString::to_string).collect();
    let advice = if others.is_empty() {
        "let it listen on `0.0.0.0:$PORT`, or raise `start-timeout`".to_owned()
    } else {
        format!("it listens on {}; let it listen on `$PORT`", others.join(", "))
    };
    Fault::new(Code::StartTimeout, message).hint(printed(program, &advice))
}

fn printed(program: &dyn Program, advice: &str) -> String {
    let lines = program.last_lines();
    if lines.is_empty() { advice.to_owned() } else { format!("{advice}; it printed:\n{}", lines.join("\n")) }
}
