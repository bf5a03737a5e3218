//! The opened tables of one node: hosts and contracts, and what they share.

use crate::code::FunctionCode;
use crate::contract::{self, Contract};
use crate::environment::Environment;
use crate::host::{HOSTS, Host, Progress, Stage};
use crate::pool::Pool;
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::spec::FunctionSpec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Lets this process open as many files as it may: connections, topics and pipes all need them, and the
/// usual soft limit is there for programs that use `select`.
fn open_more_files() {
    let own = getrlimit(Resource::Nofile);
    // It goes on with what it has when this is refused.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: own.maximum, maximum: own.maximum });
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
    pub fn open(environment: Environment) -> Result<Self> {
        open_more_files();
        let environment = Arc::new(environment);
        let mut hosts = BTreeMap::new();
        for row in HOSTS {
            hosts.insert(row.name, (row.open)(&environment)?);
        }
        Ok(Self { environment, hosts })
    }

    /// What the node gave to hosts and contracts.
    pub fn environment(&self) -> &Arc<Environment> {
        &self.environment
    }

    /// Checks that host and contract exist and that the contract takes its settings.
    ///
    /// # Errors
    /// `HOB-0103` for an unknown host or contract; the contract's own for its settings.
    pub fn check(&self, code: &FunctionCode) -> Result<()> {
        self.host(&code.spec)?;
        contract_of(&code.spec)?.check(&code.spec)
    }

    /// Checks that host and contract exist: all that [`Runtime::pool`] needs.
    ///
    /// # Errors
    /// `HOB-0103` for an unknown host or contract.
    pub fn knows(&self, spec: &FunctionSpec) -> Result<()> {
        self.host(spec)?;
        contract_of(spec).map(drop)
    }

    /// Whether everything is there that [`Runtime::prepare`] would make, as far as one look tells.
    pub fn is_prepared(&self, code: &FunctionCode) -> bool {
        self.host(&code.spec).is_ok_and(|host| host.is_prepared(code))
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
        self.host(&code.spec)?.prepare(code, progress).await
    }

    /// Removes what was made ready of files that are not among these; says how many files that were. What runs keeps its own,
    /// but whoever still has to be started needs his among them.
    pub async fn retain(&self, needed: HashSet<Digest>) -> u64 {
        if self.environment.cache_shared {
            return 0;
        }
        let hosts: Vec<Arc<dyn Host>> = self.hosts.values().cloned().collect();
        let work = move || hosts.iter().map(|host| host.retain(&needed)).sum();
        // Nobody is kept waiting, and the next time it goes again.
        tokio::task::spawn_blocking(work).await.unwrap_or_default()
    }

    /// How good a prepared function's code is; `None` where nothing is compiled.
    pub fn stage(&self, code: &FunctionCode) -> Option<Stage> {
        self.host(&code.spec).ok()?.stage(code)
    }

    /// The pool of a prepared function. Costs nothing until the first call.
    ///
    /// # Errors
    /// As [`Runtime::check`].
    pub fn pool(&self, code: Arc<FunctionCode>) -> Result<Arc<Pool>> {
        let host = Arc::clone(self.host(&code.spec)?);
        let contract = contract_of(&code.spec)?;
        Ok(Pool::new(code, host, contract, Arc::clone(&self.environment)))
    }

    fn host(&self, spec: &FunctionSpec) -> Result<&Arc<dyn Host>> {
        self.hosts.get(spec.host.as_str()).ok_or_else(|| {
            let known: Vec<&str> = HOSTS.iter().map(|row| row.name).collect();
            unknown("host", &spec.host, &known)
        })
    }
}

fn contract_of(spec: &FunctionSpec) -> Result<&'static dyn Contract> {
    contract::find(&spec.contract).ok_or_else(|| {
        let known: Vec<&str> = contract::CONTRACTS.iter().map(|row| row.name()).collect();
        unknown("contract", &spec.contract, &known)
    })
}

fn unknown(what: &str, value: &str, known: &[&str]) -> Fault {
    Fault::new(Code::ManifestValue, format!("there is no {what} `{value}`"))
        .hint(format!("use one of: {}", known.join(", ")))
}
