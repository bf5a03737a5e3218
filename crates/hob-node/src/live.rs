//! What answers now: a table of apps and revisions that calls read without a lock.
//!
//! **Why.** Every call looks here, so a look-up must never wait for a deploy. And a deploy must show
//! itself to calls at one instant: a call sees the whole old table or the whole new one.
//!
//! **How.** [`Live`] holds an immutable [`LiveTable`]; a change publishes a new one in a single
//! pointer swap. A call takes an `Arc<LiveRevision>` and keeps it until its answer has ended, so it
//! finishes on the revision on which it began, even when that revision is dropped meanwhile. What a change costs
//! hardly grows with the number of apps (`spread`), and an idle function costs a few bytes ([`functions`]).
//!
//! **Invariants.** [`crate::apps`] is the only writer. A table holds only what is committed.
//!
//! **Not here:** choosing a function within a revision ([`hob_core::route`]).

pub mod functions;
mod spread;

use arc_swap::{ArcSwap, Guard};
use functions::Functions;
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::route::Table;
use hob_core::spec::AppSpec;
use hob_runtime::pool::Pool;
use spread::{Keyed, Spread};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, OnceLock};
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
    apps: Spread<Arc<LiveApp>>,
    /// Those with triggers, budgets or alerts: who looks after these looks at no other app.
    acting: Spread<Arc<LiveApp>>,
    hosts: Spread<Claim>,
    only: Option<Arc<LiveApp>>,
}

/// A host pattern, and the app that it belongs to.
#[derive(Clone)]
struct Claim {
    pattern: Arc<str>,
    app: AppName,
}

impl Keyed for Claim {
    fn key(&self) -> &str {
        &self.pattern
    }
}

impl Keyed for Arc<LiveApp> {
    fn key(&self) -> &str {
        self.name.as_str()
    }
}

impl LiveTable {
    /// The table of these apps. The hosts that the routes of their current revisions name belong to them.
    pub fn new(apps: impl Iterator<Item = Arc<LiveApp>>) -> Self {
        let apps = Spread::of(apps);
        let acting = Spread::of(apps.iter().filter(|app| app.acts()).cloned());
        let hosts = Spread::of(apps.iter().flat_map(claims));
        Self { apps, acting, hosts, only: None }.with_only()
    }

    /// The table with this app, in place of the one with its name.
    pub(crate) fn with(&self, app: &Arc<LiveApp>) -> Self {
        let (mut table, _) = self.without(&app.name);
        table.apps = table.apps.with(Arc::clone(app));
        if app.acts() {
            table.acting = table.acting.with(Arc::clone(app));
        }
        for claim in claims(app) {
            table.hosts = table.hosts.with(claim);
        }
        table.with_only()
    }

    /// The table without an app, and that app.
    pub(crate) fn without(&self, name: &AppName) -> (Self, Option<Arc<LiveApp>>) {
        let mut table = self.clone();
        let gone = self.app(name.as_str()).cloned();
        if let Some(app) = &gone {
            table.apps = table.apps.without(name.as_str());
            if app.acts() {
                table.acting = table.acting.without(name.as_str());
            }
            for claim in claims(app) {
                // Hosts are checked before a switch; only what belongs to the app goes with it.
                if table.owner_of(&claim.pattern) == Some(name) {
                    table.hosts = table.hosts.without(&claim.pattern);
                }
            }
        }
        (table.with_only(), gone)
    }

    fn with_only(mut self) -> Self {
        self.only = self.apps.iter().next().filter(|_| self.apps.len() == 1).cloned();
        self
    }

    /// The app with that name.
    pub fn app(&self, name: &str) -> Option<&Arc<LiveApp>> {
        self.apps.get(name)
    }

    /// Every app, in no order.
    pub fn apps(&self) -> Every<'_> {
        Every(&self.apps)
    }

    /// The apps of which some kept revision has a trigger, a budget or an alert, in no order.
    pub(crate) fn acting(&self) -> Every<'_> {
        Every(&self.acting)
    }

    /// The app to which a custom host belongs: exactly, or by the nearest `*.<parent>`.
    /// `host` is lower case and without a port.
    pub fn app_of_host(&self, host: &str) -> Option<&Arc<LiveApp>> {
        let mut parents = host.match_indices('.').map(|(dot, _)| format!("*{}", &host[dot..]));
        let name = self.owner_of(host).or_else(|| parents.find_map(|parent| self.owner_of(&parent)))?;
        self.apps.get(name.as_str())
    }

    /// The app that claims exactly this host pattern.
    pub fn owner_of(&self, pattern: &str) -> Option<&AppName> {
        self.hosts.get(pattern).map(|claim| &claim.app)
    }

    /// A kept revision of an app.
    pub fn revision(&self, app: &AppName, number: RevisionNumber) -> Option<Arc<LiveRevision>> {
        self.apps.get(app.as_str())?.kept.get(&number).cloned()
    }

    /// The only app, when there is just one.
    pub fn only(&self) -> Option<&Arc<LiveApp>> {
        self.only.as_ref()
    }
}

/// The hosts that an app's current revision claims.
fn claims(app: &Arc<LiveApp>) -> impl Iterator<Item = Claim> + use<> {
    let app = Arc::clone(app);
    let hosts: Vec<Arc<str>> = app.current.routes.hosts().map(Arc::from).collect();
    hosts.into_iter().map(move |pattern| Claim { pattern, app: app.name.clone() })
}

/// Apps of a table.
#[derive(Clone, Copy)]
pub struct Every<'a>(&'a Spread<Arc<LiveApp>>);

impl<'a> Every<'a> {
    /// The apps.
    pub fn values(self) -> impl Iterator<Item = &'a Arc<LiveApp>> {
        self.0.iter()
    }

    /// Their names.
    pub fn keys(self) -> impl Iterator<Item = &'a AppName> {
        self.0.iter().map(|app| &app.name)
    }
}

/// The life of an app, from its first deploy to its removal: one that is deployed again under the same name has another.
#[derive(Clone, Default)]
pub(crate) struct Life(Arc<u8>);

impl PartialEq for Life {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// One app.
#[derive(Clone)]
pub struct LiveApp {
    /// Its name.
    pub name: AppName,
    /// The same in all tables in which it is without a break.
    pub(crate) life: Life,
    /// The revision that takes new requests.
    pub current: Arc<LiveRevision>,
    /// Every kept revision, the current one too.
    pub kept: BTreeMap<RevisionNumber, Arc<LiveRevision>>,
}

impl LiveApp {
    /// Whether some kept revision has more than functions and routes.
    fn acts(&self) -> bool {
        let acts =
            |revision: &LiveRevision| !revision.spec.triggers.is_empty() || !revision.spec.watch.is_empty();
        acts(&self.current) || self.kept.values().any(|kept| acts(kept))
    }

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
    /// Its functions with their pools, private ones too. Shared with who stops them at its end.
    pub functions: Arc<Functions>,
    /// Gone when the last holder of the revision is gone. There once somebody waits for that.
    alive: OnceLock<watch::Sender<()>>,
}

impl LiveRevision {
    /// A revision of these functions; `digest` is that of `spec`, which is not computed again.
    ///
    /// # Errors
    /// `HOB-0105` and `HOB-0106` when the routes cannot be arranged.
    pub fn new(
        number: RevisionNumber,
        created_ms: u64,
        spec: Arc<AppSpec>,
        digest: Digest,
        functions: Functions,
    ) -> Result<Self> {
        let routes = Table::new(&spec.routes, &spec.triggers.event_routes)?;
        let (app, functions) = (spec.app.clone(), Arc::new(functions));
        Ok(Self { app, number, digest, created_ms, spec, routes, functions, alive: OnceLock::new() })
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

    /// The instances of a version of a function.
    ///
    /// # Errors
    /// Those of [`LiveRevision::pool`].
    pub(crate) fn numbered(&self, function: &FunctionName, version: Option<u32>) -> Result<&Arc<Pool>> {
        let found = version.and_then(|number| self.functions.numbered(function, number));
        found.map_or_else(|| self.pool(function), Ok)
    }

    /// Resolves when nobody holds the revision any more: no table and no call.
    pub fn released(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut alive = self.alive.get_or_init(|| watch::Sender::new(())).subscribe();
        async move {
            // Nothing is ever sent: the only change is that the sender goes.
            let _ = alive.changed().await;
        }
    }
}
