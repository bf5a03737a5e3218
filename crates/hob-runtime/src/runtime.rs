//! The opened tables of one space: hosts and contracts, and what they share with those of the node's other spaces.

use crate::code::FunctionCode;
use crate::contract::{self, Contract};
use crate::environment::Environment;
use crate::host::{HOSTS, Host, Prepared, Progress, Stage};
use crate::pool::Pool;
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::name::SpaceName;
use hob_core::spec::FunctionSpec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Lets the system keep no picture of this process when it crashes: it would hold the secrets of all functions.
fn leave_no_core() {
    let most = getrlimit(Resource::Core).maximum;
    // To ask for less than one has is never refused.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: most });
}

/// Lets this process open as many files as it may: connections, topics and pipes all need them, and the
/// usual soft limit is there for programs that use `select`.
fn open_more_files() {
    let own = getrlimit(Resource::Nofile);
    // It goes on with what it has when this is refused.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: own.maximum, maximum: own.maximum });
}

/// The hosts and contracts of one space.
pub struct Runtime {
    environment: Arc<Environment>,
    hosts: BTreeMap<&'static str, Arc<dyn Host>>,
    /// Shared with those of the node's other spaces.
    needs: Arc<tokio::sync::Mutex<Needs>>,
}

/// The files whose compiled code each space needs; `None`: it has not said so since it was opened.
type Needs = HashMap<SpaceName, Option<HashSet<Digest>>>;

impl Runtime {
    /// Opens every host.
    ///
    /// # Errors
    /// When a host cannot work on this machine at all.
    pub fn open(environment: Environment) -> Result<Self> {
        open_more_files();
        leave_no_core();
        let environment = Arc::new(environment);
        let mut hosts = BTreeMap::new();
        for row in HOSTS {
            hosts.insert(row.name, (row.open)(&environment)?);
        }
        let needs = HashMap::from([(environment.space.clone(), None)]);
        Ok(Self { environment, hosts, needs: Arc::new(tokio::sync::Mutex::new(needs)) })
    }

    /// The hosts and contracts of another space of the same node: what is dear and belongs to nobody is shared.
    ///
    /// # Errors
    /// As [`Host::beside`].
    pub async fn beside(&self, environment: Environment) -> Result<Self> {
        let environment = Arc::new(environment);
        let beside = |(name, host): (&&'static str, &Arc<dyn Host>)| Ok((*name, host.beside(&environment)?));
        let hosts = self.hosts.iter().map(beside).collect::<Result<_>>()?;
        self.needs.lock().await.insert(environment.space.clone(), None);
        Ok(Self { environment, hosts, needs: Arc::clone(&self.needs) })
    }

    /// The space is gone, and needs nothing any more. Not only the next space of that name must not meet what is left of it:
    /// whatever still runs in its worker ends. May be told twice.
    pub async fn leave(&self) {
        self.hosts.values().for_each(|host| host.leave());
        self.needs.lock().await.remove(&self.environment.space);
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
    ) -> Result<Prepared> {
        self.check(code)?;
        // Before another space looks what nobody needs.
        if let Some(Some(needed)) = self.needs.lock().await.get_mut(&self.environment.space) {
            needed.extend(code.spec.package.values().map(|file| file.digest));
        }
        self.host(&code.spec)?.prepare(code, progress).await
    }

    /// Removes what was made ready of files that neither are among these nor does another space need; says how many files
    /// that were. What runs keeps its own, but whoever still has to be started needs his among them. As long as a
    /// space has not said what it needs, nothing is removed.
    pub async fn retain(&self, needed: HashSet<Digest>) -> u64 {
        if self.environment.cache_shared {
            return 0;
        }
        let mut needs = self.needs.lock().await;
        needs.insert(self.environment.space.clone(), Some(needed));
        let mut all = HashSet::new();
        for needed in needs.values() {
            let Some(needed) = needed else { return 0 };
            all.extend(needed.iter().copied());
        }
        let (needed, hosts): (_, Vec<Arc<dyn Host>>) = (all, self.hosts.values().cloned().collect());
        let work = move || hosts.iter().map(|host| host.retain(&needed)).sum();
        // Nobody is kept waiting, and the next time it goes again.
        let gone = tokio::task::spawn_blocking(work).await.unwrap_or_default();
        drop(needs);
        gone
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
