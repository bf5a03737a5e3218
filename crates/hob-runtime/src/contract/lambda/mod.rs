//! Contract `lambda`: a program that asks for events, as AWS Lambda's custom runtimes and runtime clients do.
//!
//! **Why.** Code for Lambda runs as it is: a bare `bootstrap`, or any program with a runtime client (Python's
//! `awslambdaric`, Node's `aws-lambda-ric`, the crate `lambda_runtime`).
//!
//! **How.** An instance has a runtime API of its own on loopback (`api`), which listens before the program
//! starts. A call becomes an event (`event`), waits for the runtime to ask (`session`), and the result becomes
//! the answer (`outcome`, `stream`). Programs in the package's folder `extensions` are started with it
//! (`extension`, `telemetry`). With `scale.concurrency` above 1 the runtime is told that it may ask several
//! times at once (`AWS_LAMBDA_MAX_CONCURRENCY`).
//!
//! **What is called how.** An HTTP request is a payload of an HTTP API, or what `payload` says; what a trigger
//! delivers is an event of EventBridge, or what `event` and `events` say. A call with a [`RawCall`] in its
//! request's extensions gets its body to the handler byte for byte (`raw`): the way of Lambda's Invoke API.
//!
//! **Errors.** An HTTP caller learns that the function failed, and by which code it can ask why. What the
//! function said of its error is in the log and the facts.
//!
//! **Invariants.** At a time-out the instance ends, as an environment of Lambda does; when it takes several
//! calls, once all of its workers are late. It gets no signal to end unless it has an extension. One that takes one call at
//! a time stands still while nobody calls it (`freeze`).
//!
//! **Not here:** the file system of Lambda. There is no `/var/task` and no `/opt`: `LAMBDA_TASK_ROOT` says where
//! the code is, and layers are laid into the package when it is made.

mod api;
mod environment;
mod event;
mod extension;
mod freeze;
mod hold;
mod instance;
pub(crate) mod outcome;
mod raw;
mod refusal;
mod report;
mod session;
mod settings;
mod stream;
mod telemetry;

pub use raw::{BatchCall, BatchItem, RawCall, RawReply, error_payload, request_id};

use super::{Contract, Lifetime};
use crate::unit::{Command, Instance, Start, Unit};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::LAMBDA_BODY_BYTES_CEILING;
use hob_core::port::BoxFuture;
use hob_core::spec::FunctionSpec;
use hob_core::unit::show_bytes;
use settings::Settings;
use std::time::{SystemTime, UNIX_EPOCH};

/// The header in which AWS passes on a trace.
const TRACE_HEADER: &str = "x-amzn-trace-id";

/// The contract.
#[derive(Debug)]
pub struct Lambda;

impl Contract for Lambda {
    fn name(&self) -> &'static str {
        "lambda"
    }

    fn summary(&self) -> &'static str {
        "a program that asks for events, as AWS Lambda's custom runtimes and runtime clients do"
    }

    fn example(&self) -> &'static str {
        "[functions.orders]\nrun = \"bootstrap\"\ncontract = \"lambda\"\n\n[functions.orders.lambda]\nevent = \"sqs\"\n"
    }

    fn check(&self, spec: &FunctionSpec) -> Result<()> {
        if spec.body_bytes_max > LAMBDA_BODY_BYTES_CEILING {
            let (body, most) = (show_bytes(spec.body_bytes_max), show_bytes(LAMBDA_BODY_BYTES_CEILING));
            let message = format!("`body` is `{body}`, the limit for contract `lambda` is `{most}`");
            return Err(Fault::new(Code::SettingOverLimit, message)
                .hint("an event is held in memory; pass the address of what is larger"));
        }
        Settings::read(spec).map(drop)
    }

    fn lifetime(&self, unit: &dyn Unit) -> Result<Lifetime> {
        command(unit).map(|_| Lifetime::Kept)
    }

    fn start(&self, start: Start) -> BoxFuture<'_, Result<Box<dyn Instance>>> {
        Box::pin(async move { Ok(Box::new(instance::Function::start(start).await?) as Box<dyn Instance>) })
    }
}

/// The ability that the contract needs.
fn command(unit: &dyn Unit) -> Result<&dyn Command> {
    unit.command().filter(|command| command.connects()).ok_or_else(|| {
        Fault::new(Code::ContractMismatch, "contract `lambda` needs a program that can open connections")
            .hint("use `contract = \"wasi-http\"` for a component that exports a handler")
    })
}

/// A number that no other process of this machine is likely to have.
fn unlikely(more: u64) -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos() << 48 ^ u128::from(std::process::id()) << 24 ^ u128::from(more)
}

#[cfg(test)]
mod tests;
