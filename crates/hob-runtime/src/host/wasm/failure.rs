//! How a guest failed, as a fault for the caller and lines for the function's log.
//!
//! **How.** The caller learns the kind of failure; the trap with its WASM backtrace goes to the
//! function's log as platform lines and into the fault's detail, which stays in the node.

use crate::code::FunctionCode;
use crate::environment::Environment;
use crate::invocation::Context;
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::limit::{LOG_LINE_BYTES_MAX, WASM_START_TIMEOUT};
use hob_core::log_line::Level;
use hob_core::unit::{show_bytes, show_duration};
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;

/// The fault of a guest that ended with this error; `refused` when it was denied memory before.
pub(super) fn fault(code: &FunctionCode, error: &wasmtime::Error, refused: bool) -> Fault {
    if error.is::<PoolConcurrencyLimitError>() {
        return Fault::new(Code::QueueFull, "every WASM instance of this node is in use")
            .retry_after(1)
            .detail(format!("{error:#}"));
    }
    if refused {
        return memory(code).detail(trap_text(error));
    }
    let name = &code.name;
    let fault = match error.downcast_ref::<I32Exit>() {
        Some(I32Exit(status)) => Fault::new(
            Code::Crashed,
            format!("function `{name}` ended its process with exit code {status} instead of answering"),
        ),
        None => Fault::new(Code::Crashed, format!("function `{name}` crashed while it handled the call"))
            .hint(format!("`hob logs {name}` shows where")),
    };
    fault.detail(trap_text(error))
}

/// The fault of a guest beside which the node itself failed.
pub(super) fn panicked(code: &FunctionCode) -> Fault {
    Fault::new(
        Code::Crashed,
        format!("an instance of function `{}` ended in the middle of its work", code.name),
    )
    .hint("the node's log says why: this is a mistake of Hob, please report it")
}

/// The fault of a guest that needed more memory than it may have.
pub(super) fn memory(code: &FunctionCode) -> Fault {
    Fault::new(
        Code::MemoryLimit,
        format!("function `{}` needed more than its {}", code.name, show_bytes(code.spec.memory_bytes)),
    )
    .hint("raise `memory` in the function's section of the manifest")
}

/// The fault of a call that did not end before its deadline.
pub(super) fn timeout(code: &FunctionCode) -> Fault {
    Fault::new(
        Code::CallTimeout,
        format!("function `{}` did not answer within {}", code.name, show_duration(code.spec.timeout())),
    )
    .hint("raise `timeout` in the function's section of the manifest")
}

/// The fault of an instance that was not made in time.
pub(super) fn late_start(code: &FunctionCode) -> Fault {
    if code.spec.timeout() <= WASM_START_TIMEOUT {
        return timeout(code);
    }
    let time = show_duration(WASM_START_TIMEOUT);
    Fault::new(
        Code::StartTimeout,
        format!("an instance of function `{}` was not made within {time}", code.name),
    )
    .hint("do what takes long in the calls, not in the start functions of its modules")
}

/// The fault of an answer that is none.
pub(super) fn bad_response(code: &FunctionCode, why: impl std::fmt::Display) -> Fault {
    Fault::new(Code::BadResponse, format!("function `{}` {why}", code.name))
}

/// The fault of a handler that answered with an error of `wasi:http`. That is how the JavaScript runtime says that
/// a handler threw; what it threw is in the log, not in the answer.
pub(super) fn answered(code: &FunctionCode, error: &ErrorCode) -> Fault {
    if !super::script::is(code) {
        return bad_response(code, format_args!("answered with the error `{error}`"));
    }
    // What the engine throws when its memory does not grow.
    if matches!(error, ErrorCode::InternalError(Some(thrown)) if thrown == "InternalError: out of memory") {
        return memory(code);
    }
    let name = &code.name;
    let fault = Fault::new(Code::ScriptThrew, format!("function `{name}` threw an exception"))
        .hint(format!("`hob logs {name}` shows it"));
    match error {
        ErrorCode::InternalError(Some(thrown)) => fault.detail(thrown),
        error => fault.detail(error),
    }
}

/// The innermost reason, in one line: `wasm trap: wasm `unreachable` instruction executed`.
pub(super) fn trap_text(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    }
}

/// Writes the trap and its WASM backtrace to the function's log.
pub(super) fn log(
    environment: &Environment,
    code: &FunctionCode,
    instance: u64,
    context: Option<&Context>,
    error: &wasmtime::Error,
) {
    // The debug form would show the node's own stack as well.
    let stack = error.downcast_ref::<WasmBacktrace>().map(ToString::to_string).unwrap_or_default();
    let mut text = format!("{}\n{stack}", trap_text(error));
    text.truncate(text.floor_char_boundary(LOG_LINE_BYTES_MAX));
    for line in text.lines().filter(|line| !line.is_empty()) {
        crate::log::platform(&*environment.logs, code, instance, context, Level::Error, line);
    }
}
