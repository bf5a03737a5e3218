//! The pool of one function: instances start because calls wait, and stop because none come.

use crate::contract::Contract;
use crate::host::{FunctionCode, Host};
use crate::invocation::{Invocation, Reply};
use crate::runtime::Environment;
use hob_core::fault::Result;
use std::sync::Arc;
use std::time::Duration;

/// What happens in a pool now, and what has happened since the node started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Running instances.
    pub instances: u32,
    /// Calls that run.
    pub running: u32,
    /// Calls that wait for an instance.
    pub waiting: u32,
    /// Calls so far.
    pub calls: u64,
    /// Calls that failed by a fault.
    pub failures: u64,
    /// Instances started so far.
    pub starts: u64,
}

/// The instances of one function of one revision.
pub struct Pool;

impl Pool {
    /// An empty pool.
    pub fn new(
        _code: Arc<FunctionCode>,
        _host: Arc<dyn Host>,
        _contract: &'static dyn Contract,
        _environment: Arc<Environment>,
    ) -> Arc<Self> {
        Arc::new(Self)
    }

    /// The function.
    pub fn code(&self) -> &Arc<FunctionCode> {
        unimplemented!()
    }

    /// Handles one call: waits for an instance, or starts one because it waits. The call's place is
    /// held until the reply's body has ended or is dropped; dropping this future gives it up.
    ///
    /// # Errors
    /// `HOB-0501` at the deadline, `HOB-0503` when the queue is full, `HOB-0504` when it waited too
    /// long, `HOB-0405` for a body above the limit, and whatever the instance answers with.
    pub async fn call(&self, _invocation: Invocation) -> Result<Reply> {
        unimplemented!()
    }

    /// Loads the code and starts one instance, to prove at deploy that it can.
    ///
    /// # Errors
    /// What stands against it.
    pub async fn first_instance(&self) -> Result<()> {
        unimplemented!()
    }

    /// A snapshot of its numbers.
    pub fn stats(&self) -> Stats {
        unimplemented!()
    }

    /// Lets running calls finish for `grace`, then ends every instance. New calls fail with `HOB-0509`.
    pub async fn stop(&self, _grace: Duration) {
        unimplemented!()
    }
}
