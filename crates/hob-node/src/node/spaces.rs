//! The spaces of a node: which there are, and how one comes and goes.
//!
//! **How.** A record in the state of `default` says that a space is there; its folder follows from its name. A space is
//! made by one commit and opened after it, so that a kill leaves all of it or nothing. One that is removed is
//! marked so first, then stopped, then its tokens are revoked, its folder goes (its access keys are in there), and its
//! record last: a start of the node goes on with that. Nothing here removes a folder of which no record says that it may go.
//!
//! **Invariants.** One change at a time. What [`Doors`] show is open. No token is good in a space that was made after it.

use super::sockets::bind_inner;
use super::space::{Common, Of, Space, cache_of, folder_of, packs_of};
use crate::aws::Lambdas;
use crate::clock::now_ms;
use crate::control::{Control, Keeper, describe};
use crate::dashboard::Boards;
use crate::gateway::Tenants;
use crate::keys::Keys;
use crate::live::Live;
use crate::sync::lock;
use hob_bus::{Engine, EngineSettings};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{SPACE_DRAIN_TIMEOUT, SPACES_MAX};
use hob_core::name::SpaceName;
use hob_core::near::nearest;
use hob_core::port::{BoxFuture, Expect, State, Write};
use hob_core::space::{Quotas, RESOURCES};
use hob_core::wire::{SpaceInfo, SpaceState, Use};
use hob_runtime::runtime::Runtime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// What the keys of records begin with.
const RECORDS: &str = "spaces/";

/// What is stored of a space.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    /// Absent for `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_ms: Option<u64>,
    quotas: Quotas,
    /// It is on its way out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    removing: bool,
}

/// A space that there is.
struct Entry {
    record: Record,
    /// `None`: it could not be opened.
    open: Option<Space>,
}

/// The entrances that all spaces share, and through which each is found.
pub(super) struct Doors {
    pub(super) tenants: Arc<Tenants>,
    pub(super) boards: Option<Arc<Boards>>,
    pub(super) lambdas: Option<Arc<Lambdas>>,
}

impl Doors {
    /// From now on a space is found; `None`: it is not any more.
    fn show(&self, name: &SpaceName, space: Option<&Space>) {
        self.tenants.show(name, space.map(|space| Arc::clone(&space.tenant)));
        if let Some(boards) = &self.boards {
            boards.show(name, space.map(|space| Arc::clone(&space.control)));
        }
        if let Some(lambdas) = &self.lambdas {
            lambdas.show(name, space.map(|space| (Arc::clone(&space.control), Arc::clone(&space.state))));
        }
    }
}

/// All spaces of a node but `default`, and the quotas of all.
pub(super) struct Spaces {
    common: Arc<Common>,
    /// Of `default`.
    state: Arc<dyn State>,
    default: Arc<Control>,
    runtime: Arc<Runtime>,
    /// The apps of `default`.
    live: Arc<Live>,
    doors: Doors,
    named: Mutex<BTreeMap<SpaceName, Entry>>,
    /// Held while one comes or goes.
    changing: tokio::sync::Mutex<()>,
}

/// What is stored of the quotas of `default`, which is opened before all others.
///
/// # Errors
/// `HOB-06xx` when the store cannot be read.
pub(super) async fn quotas_of_default(state: &dyn State) -> Result<Quotas> {
    let name = SpaceName::default_space();
    let stored = state.get(&key(&name)).await?;
    let record: Option<Record> = stored.map(|entry| read(&name, &entry.value)).transpose()?;
    Ok(Quotas::of_new(&name).with(&record.map(|record| record.quotas).unwrap_or_default()))
}

/// How many spaces are stored beside `default`, but for those that are on their way out: it has to be known before the first
/// function of `default` starts, which is to be behind a wall if there are others.
///
/// # Errors
/// `HOB-06xx` when the records cannot be read.
pub(super) async fn count(state: &dyn State) -> Result<usize> {
    let mut count = 0;
    for (key, entry) in state.scan(RECORDS).await? {
        let name = SpaceName::new(key.strip_prefix(RECORDS).unwrap_or_default())?;
        count += usize::from(!name.is_default() && !read(&name, &entry.value)?.removing);
    }
    Ok(count)
}

fn key(space: &SpaceName) -> String {
    format!("{RECORDS}{space}")
}

fn read(space: &SpaceName, value: &[u8]) -> Result<Record> {
    serde_json::from_slice(value).map_err(|error| {
        Fault::new(Code::StoreCorrupt, format!("the record of space `{space}` cannot be read")).detail(error)
    })
}

impl Spaces {
    /// Opens every stored space beside `default`. One that cannot be opened is logged and shown as such; the others are
    /// served.
    ///
    /// # Errors
    /// `HOB-06xx` when the records cannot be read.
    pub(super) async fn open(common: &Arc<Common>, default: &Space, doors: Doors) -> Result<Arc<Self>> {
        let this = Arc::new(Self {
            common: Arc::clone(common),
            state: Arc::clone(&default.state),
            default: Arc::clone(&default.control),
            runtime: Arc::clone(&default.services.runtime),
            live: Arc::clone(&default.ground.live),
            doors,
            named: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        });
        let mut stored = Vec::new();
        for (key, entry) in this.state.scan(RECORDS).await? {
            let name = SpaceName::new(key.strip_prefix(RECORDS).unwrap_or_default())?;
            stored.push((read(&name, &entry.value)?, name));
        }
        this.revoke_strangers(&stored).await?;
        // Hosts belong to the first who claims them.
        stored.sort_by_key(|(record, _)| record.created_ms);
        for (record, name) in stored.into_iter().filter(|(_, name)| !name.is_default()) {
            if record.removing {
                if let Err(fault) = this.erase(&name).await {
                    tracing::error!(space = %name, %fault, "a removed space leaves something behind");
                }
                continue;
            }
            let opened = this.start(&name, &record).await;
            let opened =
                opened.inspect_err(|fault| tracing::error!(space = %name, %fault, "the space is not served"));
            this.show(name, record, opened.ok());
        }
        Ok(this)
    }

    /// Revokes the tokens of spaces that are not there, and those that are older than their space: they were another
    /// tenant's. Removals see to that by now; a node may have been stopped in the middle of one, or written what is stored
    /// before they did.
    async fn revoke_strangers(&self, stored: &[(Record, SpaceName)]) -> Result<()> {
        let kept = stored.iter().filter(|(record, _)| !record.removing);
        let since: BTreeMap<&SpaceName, u64> =
            kept.map(|(record, name)| (name, record.created_ms.unwrap_or_default())).collect();
        let lost = |space: &SpaceName, made_ms: u64| {
            !space.is_default() && since.get(space).is_none_or(|since| made_ms < *since)
        };
        let count = self.common.tokens.revoke_where(lost).await?;
        if count > 0 {
            tracing::warn!(count, "API tokens of spaces that were removed were still good, and are revoked");
        }
        Ok(())
    }

    /// Ends every space.
    pub(super) async fn stop(&self) {
        let _one_at_a_time = self.changing.lock().await;
        let all = std::mem::take(&mut *lock(&self.named));
        let open = all.into_values().filter_map(|entry| entry.open);
        futures_util::future::join_all(open.map(|space| space.stop(&self.common))).await;
    }

    async fn start(&self, name: &SpaceName, record: &Record) -> Result<Space> {
        // Before its first call: from now on there are walls between spaces.
        if self.common.named.fetch_max(1, Ordering::Relaxed) == 0 {
            cool(&self.live);
        }
        let (node, folder) = (&self.common.settings, folder_of(&self.common.settings.data, name));
        let opened = {
            let (engine, folder) = (node.engine.clone(), folder.clone());
            tokio::task::spawn_blocking(move || {
                make_folder(&folder)?;
                hob_bus::open(&engine, &EngineSettings::new(&folder))
            })
        };
        let engine: Engine = opened.await.map_err(Fault::internal)??;
        let keys = node.lambda.is_some().then(|| Keys::open(&folder)).transpose()?;
        let of = Of {
            name: name.clone(),
            created_ms: record.created_ms,
            quotas: record.quotas.clone(),
            engine,
            inner: bind_inner()?,
            keys,
        };
        Space::start(of, &self.common, Some(&self.runtime)).await
    }

    /// Lets everybody see a space.
    fn show(&self, name: SpaceName, record: Record, open: Option<Space>) {
        self.doors.show(&name, open.as_ref());
        let mut named = lock(&self.named);
        named.insert(name, Entry { record, open });
        self.common.named.store(named.len(), Ordering::Relaxed);
    }

    async fn write(&self, space: &SpaceName, expect: Expect, record: Option<&Record>) -> Result<()> {
        let value = record.map(serde_json::to_vec).transpose().map_err(Fault::internal)?;
        self.state.commit(vec![Write { key: key(space), expect, value }]).await
    }

    /// Revokes the tokens of a space that nobody finds any more, then removes its folder and its record.
    async fn erase(&self, name: &SpaceName) -> Result<()> {
        self.common.tokens.revoke_where(|space, _| space == name).await?;
        let settings = &self.common.settings;
        let (folder, packs) = (folder_of(&settings.data, name), packs_of(&cache_of(settings), name));
        let gone = {
            let folder = folder.clone();
            let remove = |folder: &Path| match std::fs::remove_dir_all(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
            tokio::task::spawn_blocking(move || remove(&packs).and_then(|()| remove(&folder)))
        };
        gone.await.map_err(Fault::internal)?.map_err(|error| {
            let what = format!("the folder `{}` cannot be removed", folder.display());
            Fault::new(Code::StoreIo, what).detail(error)
        })?;
        self.write(name, Expect::Any, None).await
    }

    async fn create_now(&self, name: SpaceName, quotas: Quotas) -> Result<SpaceInfo> {
        let _one_at_a_time = self.changing.lock().await;
        let exists = |what: String| Fault::new(Code::SpaceExists, what);
        let there = lock(&self.named).len() + 1;
        if name.is_default() || lock(&self.named).contains_key(&name) {
            return Err(exists(format!("there is a space `{name}` already"))
                .hint(format!("`hob space set {name}` changes what it may have")));
        }
        if there >= SPACES_MAX {
            let what = format!("the node has {there} spaces, the limit is {SPACES_MAX}");
            return Err(Fault::new(Code::SettingOverLimit, what).hint("remove one: `hob space rm NAME`"));
        }
        let folder = folder_of(&self.common.settings.data, &name);
        if folder.exists() {
            let what = format!("the folder `{}` is there, but no space belongs to it", folder.display());
            return Err(exists(what).hint("move it away, then try again"));
        }
        // Whoever had the name before has nothing in here, whatever became of his end.
        self.common.tokens.revoke_where(|space, _| *space == name).await?;
        let record = Record { created_ms: Some(now_ms()), quotas, removing: false };
        self.write(&name, Expect::Absent, Some(&record)).await?;
        match self.start(&name, &record).await {
            Ok(space) => {
                let info = describe(&space.control).await;
                self.show(name, record, Some(space));
                info
            }
            Err(fault) => {
                self.erase(&name).await?;
                Err(fault)
            }
        }
    }

    async fn set_now(&self, name: SpaceName, change: Quotas) -> Result<SpaceInfo> {
        let _one_at_a_time = self.changing.lock().await;
        let (record, control) = if name.is_default() {
            let quotas = self.default.bus.allowance().quotas().as_ref().clone();
            (Record { created_ms: None, quotas, removing: false }, Some(Arc::clone(&self.default)))
        } else {
            let named = lock(&self.named);
            let entry = named.get(&name).ok_or_else(|| not_found(&name, named.keys()))?;
            (entry.record.clone(), entry.open.as_ref().map(|space| Arc::clone(&space.control)))
        };
        let record = Record { quotas: record.quotas.with(&change), ..record };
        self.write(&name, Expect::Any, Some(&record)).await?;
        if let Some(entry) = lock(&self.named).get_mut(&name) {
            entry.record = record.clone();
        }
        match control {
            Some(control) => {
                control.bus.allowance().set(record.quotas);
                describe(&control).await
            }
            None => Ok(self.failed(&name, &record)),
        }
    }

    async fn remove_now(&self, name: SpaceName, with_content: bool) -> Result<()> {
        let _one_at_a_time = self.changing.lock().await;
        if name.is_default() {
            return Err(Fault::new(Code::SpaceForbidden, "space `default` is always there")
                .hint("`hob rm` removes its apps"));
        }
        let (record, control) = {
            let named = lock(&self.named);
            let entry = named.get(&name).ok_or_else(|| not_found(&name, named.keys()))?;
            (entry.record.clone(), entry.open.as_ref().map(|space| Arc::clone(&space.control)))
        };
        if !with_content {
            check_empty(&name, control.as_deref()).await?;
        }
        drop(control);
        self.write(&name, Expect::Any, Some(&Record { removing: true, ..record })).await?;
        self.doors.show(&name, None);
        let (open, left) = {
            let mut named = lock(&self.named);
            (named.remove(&name).and_then(|entry| entry.open), named.len())
        };
        self.common.named.store(left, Ordering::Relaxed);
        if let Some(space) = open {
            let runtime = Arc::clone(&space.services.runtime);
            if tokio::time::timeout(SPACE_DRAIN_TIMEOUT, space.stop(&self.common)).await.is_err() {
                tracing::warn!(space = %name, "something of a removed space still ran and is left to end by itself");
            }
            runtime.leave().await;
        }
        self.erase(&name).await
    }

    /// What is shown of a space that could not be opened.
    fn failed(&self, name: &SpaceName, record: &Record) -> SpaceInfo {
        let limits = RESOURCES
            .iter()
            .map(|row| (row.resource, Use { used: 0, limit: record.quotas.limit(row.resource) }));
        SpaceInfo {
            space: name.clone(),
            state: SpaceState::Failed,
            created_ms: record.created_ms,
            domain: format!("{name}.{}", self.common.settings.domain),
            use_of: limits.collect(),
        }
    }

    async fn info(&self, name: &SpaceName) -> Result<SpaceInfo> {
        match self.control(name) {
            Ok(control) => describe(&control).await,
            Err(fault) if fault.code() == Code::SpaceUnavailable => {
                let record = lock(&self.named).get(name).map(|entry| entry.record.clone());
                record.map(|record| self.failed(name, &record)).ok_or(fault)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Runs a change as a task of its own, so that a client that goes away cannot cut it in the middle.
    async fn to_the_end<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (done, result) = oneshot::channel();
        self.common.tasks.start("space", async move {
            // Nobody waits any more when this fails; the change is done all the same.
            let _ = done.send(change.await);
        });
        result.await.unwrap_or_else(|_| Err(Fault::new(Code::Stopping, "the node is shutting down")))
    }
}

/// What a control API listener holds of the spaces.
pub(super) struct Handle(pub(super) Arc<Spaces>);

impl Keeper for Handle {
    fn control(&self, space: &SpaceName) -> Result<Arc<Control>> {
        self.0.control(space)
    }

    fn known(&self, space: &SpaceName) -> Result<()> {
        let named = lock(&self.0.named);
        let there = space.is_default() || named.contains_key(space);
        if there { Ok(()) } else { Err(not_found(space, named.keys())) }
    }

    fn names(&self) -> Vec<SpaceName> {
        let named = lock(&self.0.named);
        std::iter::once(SpaceName::default_space()).chain(named.keys().cloned()).collect()
    }

    fn open(&self) -> Vec<Arc<Control>> {
        let named = lock(&self.0.named);
        let open = named.values().filter_map(|entry| entry.open.as_ref());
        std::iter::once(&self.0.default).chain(open.map(|space| &space.control)).cloned().collect()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<SpaceInfo>>> {
        Box::pin(async move {
            let named: Vec<SpaceName> = lock(&self.0.named).keys().cloned().collect();
            let mut all = vec![describe(&self.0.default).await?];
            for name in named {
                match self.0.info(&name).await {
                    Ok(info) => all.push(info),
                    // It has gone meanwhile.
                    Err(fault) if fault.code() == Code::SpaceNotFound => {}
                    Err(fault) => return Err(fault),
                }
            }
            Ok(all)
        })
    }

    fn get(&self, space: SpaceName) -> BoxFuture<'_, Result<SpaceInfo>> {
        Box::pin(async move { self.0.info(&space).await })
    }

    fn create(&self, space: SpaceName, quotas: Quotas) -> BoxFuture<'_, Result<SpaceInfo>> {
        let spaces = Arc::clone(&self.0);
        Box::pin(self.0.to_the_end(async move { spaces.create_now(space, quotas).await }))
    }

    fn set(&self, space: SpaceName, quotas: Quotas) -> BoxFuture<'_, Result<SpaceInfo>> {
        let spaces = Arc::clone(&self.0);
        Box::pin(self.0.to_the_end(async move { spaces.set_now(space, quotas).await }))
    }

    fn remove(&self, space: SpaceName, with_content: bool) -> BoxFuture<'_, Result<()>> {
        let spaces = Arc::clone(&self.0);
        Box::pin(self.0.to_the_end(async move { spaces.remove_now(space, with_content).await }))
    }
}

impl Spaces {
    fn control(&self, space: &SpaceName) -> Result<Arc<Control>> {
        if space.is_default() {
            return Ok(Arc::clone(&self.default));
        }
        let named = lock(&self.named);
        let entry = named.get(space).ok_or_else(|| not_found(space, named.keys()))?;
        entry.open.as_ref().map(|open| Arc::clone(&open.control)).ok_or_else(|| {
            Fault::new(Code::SpaceUnavailable, format!("space `{space}` could not be opened"))
                .hint("the node's log says why")
        })
    }
}

/// Ends the guests of `default` that have no call, so that the next ones are behind a wall. Who has one, or is kept by `min`, is
/// left where it is: nothing of `default` fails because a space comes.
fn cool(live: &Live) {
    let table = live.load();
    let revisions = table.apps().values().flat_map(|app| app.kept.values());
    for pool in revisions.flat_map(|revision| revision.functions.made()) {
        if pool.code().spec.host == "wasm" {
            pool.cool();
        }
    }
}

/// Makes the folder of a space for nobody but the node's user, as the data folder is.
fn make_folder(folder: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| {
        let what = format!("the folder `{}` cannot be made", folder.display());
        Fault::new(Code::StoreIo, what).detail(error)
    })
}

async fn check_empty(name: &SpaceName, control: Option<&Control>) -> Result<()> {
    let hint = format!("`hob space rm {name} --yes` removes it with all that is in it");
    let Some(control) = control else {
        let what = format!("space `{name}` could not be opened, and what is in it is not known");
        return Err(Fault::new(Code::SpaceNotEmpty, what).hint(hint));
    };
    let (apps, topics) = (control.apps.list().len(), control.bus.topics_begun().await?);
    if apps > 0 || topics > 0 {
        let what = format!("space `{name}` has {apps} apps and {topics} topics");
        return Err(Fault::new(Code::SpaceNotEmpty, what).hint(hint));
    }
    Ok(())
}

fn not_found<'a>(name: &SpaceName, known: impl Iterator<Item = &'a SpaceName>) -> Fault {
    let fault = Fault::new(Code::SpaceNotFound, format!("there is no space `{name}`"));
    match nearest(name.as_str(), known.map(SpaceName::as_str)) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None => fault.hint("`hob space ls` lists the spaces, `hob space create NAME` makes one"),
    }
}

#[cfg(test)]
mod tests;
