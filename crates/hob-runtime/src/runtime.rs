//! The opened tables of one node: hosts and contracts, and what they share.

use crate::contract::{self, Contract};
use crate::host::{FunctionCode, HOSTS, Host, Progress};
use crate::log;
use crate::outbound::Outbound;
use crate::pool::Pool;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::port::{LogSink, Spawn};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the node gives to hosts and contracts.
pub struct Environment {
    /// Compiled code, kept between starts; private to the node's user.
    pub cache_dir: PathBuf,
    /// Working folders of instances; emptied at start.
    pub work_dir: PathBuf,
    /// The command that compiles a component in a child process (program, then leading arguments);
    /// empty: in this process, as tests and embedders may.
    pub compiler: Vec<OsString>,
    /// Whether WASM instances come from a pool of reserved slots; `None`: if the machine allows it.
    pub pooling: Option<bool>,
    /// Starts background tasks.
    pub spawn: Arc<dyn Spawn>,
    /// Takes log records.
    pub logs: Arc<dyn LogSink>,
    /// Takes the calls that functions make.
    pub outbound: Arc<dyn Outbound>,
    /// The next instance's number.
    pub instances: AtomicU64,
}

impl Environment {
    /// A number that no other instance of this node has.
    pub fn next_instance(&self) -> u64 {
        self.instances.fetch_add(1, Ordering::Relaxed)
    }
}

/// The hosts and contracts of one node.
pub struct Runtime {
    environment: Arc<Environment>,
    hosts: BTreeMap<&'static str, Arc<dyn Host>>,
}

impl Runtime {
    /// Opens every host.
    ///
    /// # Errors
    /// When a host cannot work on this machine at all.
    pub fn open(mut environment: Environment) -> Result<Self> {
        environment.logs = log::limited(environment.logs, Arc::clone(&environment.spawn));
        let environment = Arc::new(environment);
        let mut hosts = BTreeMap::new();
        for row in HOSTS {
            hosts.insert(row.name, (row.open)(&environment)?);
        }
        Ok(Self { environment, hosts })
    }

    /// Checks that host and contract exist and that the contract takes its settings.
    ///
    /// # Errors
    /// `HOB-0103` for an unknown host or contract; the contract's own for its settings.
    pub fn check(&self, code: &FunctionCode) -> Result<()> {
        self.host(code)?;
        contract_of(code)?.check(&code.spec)
    }

    /// Makes a function ready: compiles, checks. At deploy only.
    ///
    /// # Errors
    /// `HOB-03xx`, see [`Host::prepare`].
    pub async fn prepare(
        &self,
        code: &FunctionCode,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<()> {
        self.check(code)?;
        self.host(code)?.prepare(code, progress).await
    }

    /// The pool of a prepared function. Costs nothing until the first call.
    ///
    /// # Errors
    /// As [`Runtime::check`].
    pub fn pool(&self, code: Arc<FunctionCode>) -> Result<Arc<Pool>> {
        let host = Arc::clone(self.host(&code)?);
        let contract = contract_of(&code)?;
        Ok(Pool::new(code, host, contract, Arc::clone(&self.environment)))
    }

    fn host(&self, code: &FunctionCode) -> Result<&Arc<dyn Host>> {
        self.hosts.get(code.spec.host.as_str()).ok_or_else(|| {
            let known: Vec<&str> = HOSTS.iter().map(|row| row.name).collect();
            unknown("host", &code.spec.host, &known)
        })
    }
}

fn contract_of(code: &FunctionCode) -> Result<&'static dyn Contract> {
    contract::find(&code.spec.contract).ok_or_else(|| {
        let known: Vec<&str> = contract::CONTRACTS.iter().map(|row| row.name()).collect();
        unknown("contract", &code.spec.contract, &known)
    })
}

fn unknown(what: &str, value: &str, known: &[&str]) -> Fault {
    Fault::new(Code::ManifestValue, format!("there is no {what} `{value}`"))
        .hint(format!("use one of: {}", known.join(", ")))
}
