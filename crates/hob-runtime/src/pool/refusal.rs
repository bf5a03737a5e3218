//! Why a call gets no place, for its caller and for the function's owner.

use crate::code::FunctionCode;
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::limit::{QUEUE_CALLS_MAX, QUEUE_WAIT_MAX, RETRY_AFTER_MAX_S};
use hob_core::unit::show_duration;
use std::time::Duration;

/// The deadline has passed.
pub(super) fn call_timeout(code: &FunctionCode) -> Fault {
    let (name, timeout) = (&code.name, show_duration(code.spec.timeout()));
    Fault::new(
        Code::CallTimeout,
        format!("`{name}` did not answer before its deadline (timeout `{timeout}`)"),
    )
    .hint(format!("raise `timeout` of `{name}`, or see where it waits with `hob logs`"))
}

/// It waited for as long as a call may; `wait_ms`: how long one that came now would; `no_room`: for room on the machine.
pub(super) fn queue_timeout(code: &FunctionCode, wait_ms: u64, no_room: bool) -> Fault {
    let name = &code.name;
    let waited = show_duration(QUEUE_WAIT_MAX);
    let message = format!("the call waited {waited} for an instance of `{name}`");
    let fault = Fault::new(Code::QueueTimeout, message).retry_after(seconds(wait_ms));
    if no_room {
        return fault.hint(
            "the machine has no room for more instances: see `hob_memory_reserved_bytes` in the metrics, and raise `--memory` if it has more",
        );
    }
    more_room(code, fault)
}

/// As many wait as may.
pub(super) fn queue_full(code: &FunctionCode, wait_ms: u64) -> Fault {
    let message = format!("{QUEUE_CALLS_MAX} calls wait for `{}` already, which is the limit", code.name);
    more_room(code, Fault::new(Code::QueueFull, message)).retry_after(seconds(wait_ms))
}

/// Its turn would come too late.
pub(super) fn queue_late(code: &FunctionCode, waiting: u32, wait_ms: u64) -> Fault {
    let wait = show_duration(Duration::from_millis(wait_ms.max(1)));
    let message = format!(
        "{waiting} calls wait for `{}`: the turn of one more would come after about {wait}, too late for its deadline",
        code.name
    );
    more_room(code, Fault::new(Code::QueueFull, message)).retry_after(seconds(wait_ms))
}

/// The circuit is open.
pub(super) fn circuit_open(code: &FunctionCode, failures: u32, pause_ms: u64, last: Option<&Fault>) -> Fault {
    let name = &code.name;
    let last = last.map(|last| format!("; last: {} {}", last.code(), last.message())).unwrap_or_default();
    let message = match pause_ms {
        0 => {
            format!("`{name}` failed {failures} times in a row and is being tried again with one call{last}")
        }
        _ => {
            let pause = show_duration(Duration::from_millis(pause_ms));
            format!("`{name}` failed {failures} times in a row and is tried again in {pause}{last}")
        }
    };
    Fault::new(Code::CircuitOpen, message)
        .hint(format!("see `hob logs {}/{name}` for why it fails", code.app))
        .retry_after(seconds(pause_ms))
}

/// Starts fail, and it is too early for another.
pub(super) fn failing(last: Option<&Fault>, pause_ms: u64) -> Fault {
    let fault = last.cloned().unwrap_or_else(|| Fault::internal("a start failed without a reason"));
    fault.retry_after(seconds(pause_ms))
}

/// The pool is being stopped.
pub(super) fn stopping() -> Fault {
    Fault::new(Code::Stopping, "the function is being stopped").retry_after(1)
}

/// What a program printed before it failed is its owner's to see, not its callers'.
pub(super) fn for_callers(fault: Fault) -> Fault {
    match fault.code() {
        Code::StartTimeout | Code::StartExit => fault.hint("see `hob logs` for what it printed"),
        _ => fault,
    }
}

fn more_room(code: &FunctionCode, fault: Fault) -> Fault {
    fault.hint(format!("raise `scale.max` or `scale.concurrency` of `{}`", code.name))
}

/// Whole seconds for `Retry-After` (RFC 9110, 10.2.3), at least one.
fn seconds(ms: u64) -> u32 {
    u32::try_from(ms.div_ceil(1000)).unwrap_or(u32::MAX).clamp(1, RETRY_AFTER_MAX_S)
}
