//! Contracts: how a call reaches a function's code. One row of [`CONTRACTS`] each.
//!
//! **How.** A contract makes [`Instance`]s from a [`Unit`]'s abilities and translates an
//! [`Invocation`] into what the code expects, and its answer into a [`Reply`].
//!
//! To add a contract: one file here and one line in [`CONTRACTS`].

pub mod http;
pub mod stdio;
pub mod wasi_http;
mod way;

use crate::host::{FunctionCode, Unit};
use crate::invocation::{Invocation, Reply};
use crate::runtime::Environment;
use hob_core::fault::{Fault, Result};
use hob_core::port::BoxFuture;
use hob_core::spec::FunctionSpec;
use std::sync::Arc;
use std::time::Duration;

/// Every contract, in the order in which the documentation shows them.
pub static CONTRACTS: &[&dyn Contract] = &[&wasi_http::WasiHttp, &http::Http, &stdio::Stdio];

/// How a call reaches code.
pub trait Contract: Send + Sync {
    /// The value of `contract` in a manifest.
    fn name(&self) -> &'static str;
    /// One sentence.
    fn summary(&self) -> &'static str;
    /// A runnable manifest fragment.
    fn example(&self) -> &'static str;
    /// Checks the contract's own settings (`[functions.<name>.<contract>]`).
    ///
    /// # Errors
    /// `HOB-0102` for an unknown key, `HOB-0103` for a wrong value.
    fn check(&self, spec: &FunctionSpec) -> Result<()>;
    /// Whether each call gets an instance of its own, or instances are kept and shared.
    ///
    /// # Errors
    /// `HOB-0110` when the unit lacks the ability that the contract needs.
    fn lifetime(&self, unit: &dyn Unit) -> Result<Lifetime>;
    /// Starts an instance and waits until it is ready for calls.
    fn start(&self, start: Start) -> BoxFuture<'_, Result<Box<dyn Instance>>>;
}

/// How long an instance lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// One call. Starting is part of the call; the pool only limits how many run.
    PerCall,
    /// Many calls, until it is idle, used up, or ends.
    Kept,
}

/// What a contract needs to start an instance.
#[derive(Clone)]
pub struct Start {
    /// The function.
    pub code: Arc<FunctionCode>,
    /// Its loaded code.
    pub unit: Arc<dyn Unit>,
    /// Number of the instance, unique in a node's life.
    pub instance: u64,
    /// The node's ports and settings.
    pub environment: Arc<Environment>,
}

/// A running copy of a function. Dropping it ends it at once.
pub trait Instance: Send + Sync {
    /// Handles one call. The returned body may still be streaming. The pool holds the call's place
    /// until the body has ended, and drops this future when the caller has gone or the deadline passed.
    fn call(&self, invocation: Invocation) -> BoxFuture<'_, Result<Reply>>;
    /// Resolves when the instance can serve no more calls, with the reason if it is a fault.
    fn ended(&self) -> BoxFuture<'_, Option<Fault>>;
    /// Ends it, letting it finish for `grace`.
    fn stop(&self, grace: Duration) -> BoxFuture<'_, ()>;
}

/// The contract with that name.
pub fn find(name: &str) -> Option<&'static dyn Contract> {
    CONTRACTS.iter().copied().find(|contract| contract.name() == name)
}
