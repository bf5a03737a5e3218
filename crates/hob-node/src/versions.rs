//! What versions and aliases of functions want of the node, whoever calls them: instances that are kept, and addresses.
//!
//! **Why.** Both outlive the request of the Lambda API that asked for them, and hold whether this node serves that API or
//! not.
//!
//! **How.** Everything is in the functions' records, which are read when a space opens; whoever changes a record tells it
//! here ([`Versions::know`]). A task tells the pools of versions how many instances to keep, after each change and
//! whenever the node shows other apps; what could not be provisioned is tried again after a while. The gateway asks for
//! the address of an alias without a lock.
//!
//! **Not here:** records and their rules ([`hob_core::aws::record`]), the operations ([`crate::aws`]).

use crate::apps::BESIDE;
use crate::identity;
use crate::live::{Live, LiveRevision};
use crate::sync::lock;
use crate::task::Tasks;
use arc_swap::ArcSwap;
use hob_core::aws::alias::Alias;
use hob_core::aws::name::version;
use hob_core::aws::record::Record;
use hob_core::fault::Result;
use hob_core::limit::AWS_PROVISION_PAUSE;
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::port::State;
use hob_runtime::pool::Pool;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use tokio::sync::Notify;

/// A version of an app's function, and the revision that it is.
type Kept = (AppName, RevisionNumber, u32);
/// The doors of each app, by the first part of their host.
type Doors = BTreeMap<AppName, BTreeMap<String, Door>>;

/// What versions and aliases of one space want.
pub(crate) struct Versions {
    live: Arc<Live>,
    /// Instances, by version.
    wanted: Mutex<BTreeMap<Kept, u32>>,
    doors: ArcSwap<Doors>,
    changed: Notify,
}

/// Where an alias answers, and who.
#[derive(Clone, Debug)]
struct Door {
    alias: Alias,
    /// The revisions of the versions that it names.
    revisions: BTreeMap<u32, RevisionNumber>,
}

impl Versions {
    /// Reads what is wanted, and begins to keep it.
    ///
    /// # Errors
    /// `HOB-06xx` when the store cannot be read.
    pub(crate) async fn open(state: &dyn State, live: &Arc<Live>, tasks: &Tasks) -> Result<Arc<Self>> {
        let (live, changed) = (Arc::clone(live), Notify::new());
        let versions = Arc::new(Self { live, wanted: Mutex::default(), doors: ArcSwap::default(), changed });
        for (key, entry) in state.scan(BESIDE).await? {
            let app = AppName::new(key.strip_prefix(BESIDE).unwrap_or_default())?;
            match serde_json::from_slice(&entry.value) {
                Ok(record) => versions.know(&app, &record),
                // Whoever asks for the function is told of it.
                Err(error) => tracing::error!(%app, %error, "the record of a function cannot be understood"),
            }
        }
        let task = Arc::clone(&versions);
        tasks.start("provisioned versions", async move { keep(&task).await });
        Ok(versions)
    }

    /// From now on this is what an app's function has.
    pub(crate) fn know(&self, app: &AppName, record: &Record) {
        let mut wanted = lock(&self.wanted);
        wanted.retain(|(of, ..), _| of != app);
        for (number, instances) in record.provisioned_versions() {
            if let Some(version) = record.versions.get(&number) {
                wanted.insert((app.clone(), version.revision, number), instances);
            }
        }
        drop(wanted);
        let doors = doors(record);
        self.doors.rcu(|all| {
            let mut all = Doors::clone(all);
            match doors.is_empty() {
                true => drop(all.remove(app)),
                false => drop(all.insert(app.clone(), doors.clone())),
            }
            all
        });
        self.changed.notify_one();
    }

    /// The revision that an alias's address means for this request, and the number of the version; `None`: there is no
    /// such address. No number is what is current.
    pub(crate) fn behind(&self, app: &AppName, label: &str) -> Option<Option<(RevisionNumber, u32)>> {
        let doors = self.doors.load();
        let door = doors.get(app)?.get(label)?;
        let number = version(door.alias.choose(random()));
        Some(number.and_then(|number| Some((*door.revisions.get(&number)?, number))))
    }

    /// The pool of a version, while its revision is shown.
    pub(crate) fn pool(&self, app: &AppName, revision: RevisionNumber, number: u32) -> Option<Arc<Pool>> {
        let revision = self.live.load().revision(app, revision)?;
        pool_of(&revision, number).cloned()
    }

    /// What apps had that are gone is forgotten.
    fn prune(&self) {
        let table = self.live.load();
        let gone = |app: &AppName| table.app(app.as_str()).is_none();
        lock(&self.wanted).retain(|(app, ..), _| !gone(app));
        if self.doors.load().keys().any(gone) {
            self.doors.rcu(|all| {
                let mut all = Doors::clone(all);
                all.retain(|app, _| !gone(app));
                all
            });
        }
    }
}

/// Bits that are as good as drawn: those of an id that no other call has, without the two that say what it is.
pub(crate) fn random() -> u64 {
    let bytes = identity::invocation().0.to_be_bytes();
    let low = bytes.last_chunk().map_or(0, |low| u64::from_be_bytes(*low));
    low << 2
}

/// The pool of a version of a function that is alone in its app, as all that have versions are.
pub(crate) fn pool_of(revision: &LiveRevision, number: u32) -> Option<&Arc<Pool>> {
    let function: &FunctionName = revision.spec.functions.keys().next()?;
    revision.functions.numbered(function, number)
}

fn doors(record: &Record) -> BTreeMap<String, Door> {
    let each = record.urls.keys().filter_map(|name| {
        let alias = record.aliases.get(name)?.clone();
        let revisions = record.versions.iter().map(|(number, version)| (*number, version.revision));
        let named = |number: &u32| {
            let text = number.to_string();
            alias.version == text || alias.weights.contains_key(&text)
        };
        let revisions = revisions.filter(|(number, _)| named(number)).collect();
        Some((name.clone(), Door { alias, revisions }))
    });
    each.collect()
}

async fn keep(versions: &Versions) {
    let mut changes = versions.live.changes();
    let mut kept: BTreeMap<Kept, Weak<Pool>> = BTreeMap::new();
    loop {
        let failed = look(versions, &mut kept).await;
        let pause = async {
            match failed {
                true => tokio::time::sleep(AWS_PROVISION_PAUSE).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            () = versions.changed.notified() => {}
            changed = changes.changed() => match changed {
                Ok(()) => versions.prune(),
                Err(_) => return,
            },
            () = pause => {}
        }
    }
}

/// Tells the pools what is wanted of them; whether that failed for one.
async fn look(versions: &Versions, kept: &mut BTreeMap<Kept, Weak<Pool>>) -> bool {
    let wanted = lock(&versions.wanted).clone();
    let gone: Vec<Kept> = kept.keys().filter(|of| !wanted.contains_key(of)).cloned().collect();
    for of in gone {
        if let Some(pool) = kept.remove(&of).and_then(|pool| pool.upgrade()) {
            // That of none cannot fail.
            drop(pool.provision(0).await);
        }
    }
    let mut failed = false;
    for (of, instances) in wanted {
        let (app, revision, number) = &of;
        let Some(pool) = versions.pool(app, *revision, *number) else { continue };
        if let Err(fault) = pool.provision(instances).await {
            tracing::warn!(%fault, %app, version = number, "a version cannot be provisioned");
            failed = true;
        }
        kept.insert(of, Arc::downgrade(&pool));
    }
    failed
}
