//! What answers now: a table of apps and revisions that calls read without a lock.
//!
//! **Why.** Every call looks here, so a look-up must never wait for a deploy. And a deploy must show
//! itself to calls at one instant: a call sees the whole old table or the whole new one.
//!
//! **How.** [`Live`] holds an immutable [`LiveTable`]; a change publishes a new one in a single
//! pointer swap. A call takes an `Arc<LiveRevision>` and keeps it until its answer has ended, so it
//! finishes on the revision on which it began, even when that revision is dropped meanwhile.
//!
//! **Invariants.** [`crate::apps`] is the only writer. A table holds only what is committed.
//!
//! **Not here:** choosing a function within a revision ([`hob_core::route`]).

use arc_swap::{ArcSwap, Guard};
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::route::Table;
use hob_core::spec::AppSpec;
use hob_runtime::pool::Pool;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use tokio::sync::watch;

/// The current table, and the place where the next one appears.
#[derive(Default)]
pub struct Live {
    table: ArcSwap<LiveTable>,
    /// Counts the tables.
    changes: watch::Sender<u64>,
}

impl Live {
    /// The table at this moment. Cheap and never blocks; do not hold it across an `await`, take the
    /// [`LiveRevision`] out instead.
    pub fn load(&self) -> Guard<Arc<LiveTable>> {
        self.table.load()
    }

    /// Shows the next table to all calls that begin from now on.
    pub(crate) fn publish(&self, table: LiveTable) {
        self.table.store(Arc::new(table));
        self.changes.send_modify(|count| *count += 1);
    }

    /// What tells of each next table, for those who do something about it afterwards.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Every app of the node at one moment.
#[derive(Clone, Default)]
pub struct LiveTable {
    apps: HashMap<AppName, Arc<LiveApp>>,
    hosts: HashMap<String, AppName>,
    only: Option<AppName>,
}

impl LiveTable {
    /// The table of these apps. The hosts that the routes of their current revisions name belong to them.
    pub fn new(apps: HashMap<AppName, Arc<LiveApp>>) -> Self {
        let claims = |app: &Arc<LiveApp>| -> Vec<(String, AppName)> {
            app.current.routes.hosts().map(|host| (host.to_owned(), app.name.clone())).collect()
        };
        let hosts = apps.values().flat_map(claims).collect();
        let mut names = apps.keys();
        let only = names.next().filter(|_| names.next().is_none()).cloned();
        Self { apps, hosts, only }
    }

    /// The app with that name.
    pub fn app(&self, name: &str) -> Option<&Arc<LiveApp>> {
        self.apps.get(name)
    }

    /// Every app, in no order.
    pub fn apps(&self) -> &HashMap<AppName, Arc<LiveApp>> {
        &self.apps
    }

    /// The app to which a custom host belongs: exactly, or by the nearest `*.<parent>`.
    /// `host` is lower case and without a port.
    pub fn app_of_host(&self, host: &str) -> Option<&Arc<LiveApp>> {
        let parents = host.match_indices('.').map(|(dot, _)| format!("*{}", &host[dot..]));
        let name = self.hosts.get(host).or_else(|| parents.into_iter().find_map(|p| self.hosts.get(&p)))?;
        self.apps.get(name)
    }

    /// The app that claims exactly this host pattern.
    pub fn owner_of(&self, pattern: &str) -> Option<&AppName> {
        self.hosts.get(pattern)
    }

    /// A kept revision of an app.
    pub fn revision(&self, app: &AppName, number: RevisionNumber) -> Option<Arc<LiveRevision>> {
        self.apps.get(app)?.kept.get(&number).cloned()
    }

    /// The only app, when there is just one.
    pub fn only(&self) -> Option<&Arc<LiveApp>> {
        self.apps.get(self.only.as_ref()?)
    }
}

/// One app.
#[derive(Clone)]
pub struct LiveApp {
    /// Its name.
    pub name: AppName,
    /// The revision that takes new requests.
    pub current: Arc<LiveRevision>,
    /// Every kept revision, the current one too.
    pub kept: BTreeMap<RevisionNumber, Arc<LiveRevision>>,
}

impl LiveApp {
    /// Its revisions, the current one too.
    pub(crate) fn into_revisions(self) -> Vec<Arc<LiveRevision>> {
        drop(self.current);
        self.kept.into_values().collect()
    }
}

/// One revision with the pools of its functions.
pub struct LiveRevision {
    /// The app.
    pub app: AppName,
    /// Its number.
    pub number: RevisionNumber,
    /// Digest of its content.
    pub digest: Digest,
    /// When it was deployed, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// What was deployed.
    pub spec: Arc<AppSpec>,
    /// Its routes, ready for look-ups.
    pub routes: Table,
    /// The pools of its functions, private ones too.
    pub functions: HashMap<FunctionName, Arc<Pool>>,
    /// Gone when the last holder of the revision is gone.
    alive: watch::Sender<()>,
}

impl LiveRevision {
    /// A revision of these pools.
    ///
    /// # Errors
    /// `HOB-0105` and `HOB-0106` when the routes cannot be arranged.
    pub fn new(
        number: RevisionNumber,
        created_ms: u64,
        spec: Arc<AppSpec>,
        functions: HashMap<FunctionName, Arc<Pool>>,
    ) -> Result<Self> {
        let routes = Table::new(&spec.routes, &spec.triggers.event_routes)?;
        let (app, digest) = (spec.app.clone(), spec.digest());
        Ok(Self { app, number, digest, created_ms, spec, routes, functions, alive: watch::Sender::new(()) })
    }

    /// The instances of a function.
    ///
    /// # Errors
    /// `HOB-0353` when the revision does not have it.
    pub(crate) fn pool(&self, function: &FunctionName) -> Result<&Arc<Pool>> {
        self.functions.get(function).ok_or_else(|| {
            let what = format!("revision {} of app `{}` has no function `{function}`", self.number, self.app);
            Fault::new(Code::FunctionNotFound, what).hint(format!("hob show {}", self.app))
        })
    }

    /// Resolves when nobody holds the revision any more: no table and no call.
    pub fn released(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut alive = self.alive.subscribe();
        async move {
            // Nothing is ever sent: the only change is that the sender goes.
            let _ = alive.changed().await;
        }
    }
}
