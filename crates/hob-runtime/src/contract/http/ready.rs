//! Waits until a child serves: it accepts on its port, and its readiness path answers if it has one.
//!
//! **How.** Attempts with growing pauses, raced against the child's end and the time it has. The kernel tells
//! nobody that a socket begins to listen (its socket diagnosis, `sock_diag`(7), reports sockets that go, and
//! answers questions about those that are: asking is no cheaper than connecting), so asking is all there is.
//! A connection refused on loopback costs some ten microseconds of processor time. A pause is a share of
//! the time that the child has taken so far: it is seen within a fifth of its own start time, whether
//! that is one millisecond or twenty: after some twenty attempts comes one every five milliseconds.
//!
//! Who accepts at the first attempt may be a stranger, so it is asked whose socket that is. Who comes after a refusal
//! takes the port from the program, which then ends.
//!
//! The connection that was accepted is kept for the first call.

use super::super::ended::describe;
use super::connection::Connections;
use super::settings::Settings;
use crate::code::FunctionCode;
use crate::machine;
use crate::unit::{Exit, Program};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::unit::show_duration;
use http::{Request, StatusCode};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

const PAUSE_MIN: Duration = Duration::from_micros(200);
const PAUSE_MAX: Duration = Duration::from_millis(5);
/// A pause is the time so far through this.
const PAUSE_SHARE: u32 = 5;
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
    let began = Instant::now();
    let clock = Clock::new();
    let mut was_free = false;
    loop {
        match connections.open().await {
            Ok(stream) if was_free || !program.is_taken(port) => match path {
                None => return connections.keep(stream).await,
                Some(path) if answers(path, connections).await => return,
                Some(_) => {}
            },
            Ok(_) => {}
            // It says nothing of the port that the node cannot ask.
            Err(error) => was_free |= machine::out_of_files(&error).is_none(),
        }
        clock.sleep((began.elapsed() / PAUSE_SHARE).clamp(PAUSE_MIN, PAUSE_MAX)).await;
    }
}

/// Sleeps for less than a millisecond, which tokio's clock does not: it counts in whole ones, and rounds up.
struct Clock(Option<AsyncFd<OwnedFd>>);

impl Clock {
    fn new() -> Self {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC);
        // SAFETY: the descriptor is owned by what is registered, so that it stays open and its own as long as that lives.
        let registered = |timer| unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE).ok() };
        Self(timer.ok().and_then(registered))
    }

    async fn sleep(&self, time: Duration) {
        let once = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
        let value = Itimerspec { it_interval: Timespec::default(), it_value: once };
        let armed = self
            .0
            .as_ref()
            .filter(|_| time < Duration::from_secs(1))
            .filter(|timer| timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &value).is_ok());
        let Some(timer) = armed else { return tokio::time::sleep(time).await };
        let mut count = [0; 8];
        loop {
            let Ok(mut ready) = timer.readable().await else { return };
            if !matches!(rustix::io::read(timer.get_ref(), &mut count), Err(rustix::io::Errno::AGAIN)) {
                return;
            }
            ready.clear_ready();
        }
    }
}

async fn answers(path: &str, connections: &Connections) -> bool {
    let request = Request::get(path).header("host", "localhost").header("user-agent", "hob-probe");
    let Ok(request) = request.body(crate::body::empty()) else { return false };
    let answer = tokio::time::timeout(PROBE_TIMEOUT, connections.send(request)).await;
    matches!(answer, Ok(Ok(response)) if response.status() < StatusCode::BAD_REQUEST)
}

fn ended(code: &FunctionCode, program: &dyn Program, exit: &Exit) -> Fault {
    let message = format!("`{}` {} before it was ready", code.name, describe(exit));
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
