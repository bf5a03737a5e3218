//! Contracts: how a call reaches a function's code. One row of [`CONTRACTS`] each.
//!
//! **How.** A contract makes [`Instance`]s from a [`Unit`]'s abilities and translates a call into what
//! the code expects, and its answer into a reply.
//!
//! To add a contract: one file here and one line in [`CONTRACTS`].

mod before;
mod ended;
pub mod framework;
pub mod http;
pub mod javascript;
pub mod lambda;
mod route;
mod setting;
pub mod site;
mod spent;
pub mod spin;
pub mod stdio;
pub mod wasi_http;
mod way;

use crate::unit::{Instance, Start, Unit};
use hob_core::fault::Result;
use hob_core::port::BoxFuture;
use hob_core::spec::FunctionSpec;

/// Every contract, in the order in which the documentation shows them.
pub static CONTRACTS: &[&dyn Contract] = &[
    &wasi_http::WasiHttp,
    &http::Http,
    &framework::FunctionsFramework,
    &stdio::Stdio,
    &lambda::Lambda,
    &javascript::JavaScript,
    &spin::Spin,
    &site::Static,
];

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

/// The contract with that name.
pub fn find(name: &str) -> Option<&'static dyn Contract> {
    CONTRACTS.iter().copied().find(|contract| contract.name() == name)
}

#[cfg(test)]
mod tests {
    use super::CONTRACTS;
    use hob_core::spec::CONTRACT_NAMES;

    #[test]
    fn manifests_know_every_contract() {
        let names: Vec<&str> = CONTRACTS.iter().map(|contract| contract.name()).collect();
        assert_eq!(names, CONTRACT_NAMES);
    }
}
