//! Apps: deploy, rollback, remove and restore, each of them whole or not at all.
//!
//! **Why.** A revision is the whole app. Between the old one and the new one there must be no moment,
//! and no kill of the node, that leaves a mixture.
//!
//! **How.** Everything that can fail or take time comes first and touches nothing that serves:
//!
//! ```text
//! check → plan → packages → prepare → first instances │ commit → publish → retire what is dropped
//!         old revision serves, whatever happens        │ one transaction, then one pointer swap
//! ```
//!
//! A kill before the commit leaves the old revision; a kill after it, the new one ([`Apps::restore`]).
//! What a kill leaves lying about (artifacts, packages) is found by the next sweep (`shelf`).
//!
//! A revision that is not current has pools without a minimum of instances, so that it idles to zero;
//! when it becomes current again it gets new ones (`Role`).
//!
//! **Invariants.**
//! 1. One deploy, rollback or removal of an app at a time; another is refused with `HOB-0354`.
//! 2. What [`crate::live`] shows has been committed.
//! 3. Nothing that a stored, shown or still running revision needs is swept away.
//!
//! **Not here:** what a plan is ([`hob_core::rollout`]), how instances start ([`hob_runtime::pool`]).

mod address;
mod condition;
mod deploy;
mod ready;
mod record;
mod renew;
mod restore;
mod retire;
mod shelf;
mod triggers;

pub use address::Addresses;
pub(crate) use record::{BESIDE, beside};

use crate::bus::Bus;
use crate::hosts::Claims;
use crate::identity;
use crate::live::functions::Maker;
use crate::live::{Live, LiveApp, LiveRevision};
use crate::package::Packages;
use crate::secrets::Secrets;
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fact::{Change, Changed, Failure, What};
use hob_core::fault::{Fault, Result};
use hob_core::limit::ARTIFACTS_ASKED_MAX;
use hob_core::name::{AppName, FunctionName, RevisionNumber, SecretName};
use hob_core::port::{Blobs, Spawn, State, Upload};
use hob_core::rollout;
use hob_core::spec::{AppSpec, FunctionSpec};
use hob_core::unit::millis;
use hob_core::wire::{AppInfo, DeployEvent, Deployed, FunctionInfo, Revision, RevisionInfo};
use hob_runtime::runtime::Runtime;
use retire::Retired;
use shelf::Shelf;
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

/// What [`Apps`] works with.
pub struct Parts {
    /// Control state.
    pub state: Arc<dyn State>,
    /// Artifacts.
    pub blobs: Arc<dyn Blobs>,
    /// Where subscriptions begin.
    pub(crate) bus: Arc<Bus>,
    /// Hosts and contracts.
    pub runtime: Arc<Runtime>,
    /// Starts background tasks.
    pub spawn: Arc<dyn Spawn>,
    /// Where calls look.
    pub live: Arc<Live>,
    /// Folder of packages; private to the node, created when missing.
    pub packages: PathBuf,
    /// How the space's addresses are written.
    pub addresses: Addresses,
    /// What the space may say about hosts.
    pub(crate) claims: Claims,
    /// What functions are given besides.
    pub(crate) secrets: Arc<Secrets>,
}

/// Told of each step of a deploy or rollback; only [`DeployEvent::Progress`] comes this way.
pub type Report = Arc<dyn Fn(DeployEvent) + Send + Sync>;

/// How far a change of an app has come; each is a point at which a kill must leave old or new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The plan is made, nothing has happened.
    Planned,
    /// The package of a function is made.
    Unpacked,
    /// A function has started its first instance.
    Started,
    /// All functions are ready, nothing is committed.
    Ready,
    /// The change is durable, calls do not see it.
    Committed,
    /// Calls see it.
    Published,
    /// What nobody needs is swept away.
    Swept,
}

/// The apps of one space.
pub struct Apps {
    state: Arc<dyn State>,
    blobs: Arc<dyn Blobs>,
    bus: Arc<Bus>,
    runtime: Arc<Runtime>,
    spawn: Arc<dyn Spawn>,
    live: Arc<Live>,
    packages: Arc<Packages>,
    /// Makes the pools of functions that are called.
    maker: Arc<dyn Maker>,
    addresses: Addresses,
    claims: Claims,
    secrets: Arc<Secrets>,
    /// Apps that are being changed.
    busy: Mutex<HashSet<AppName>>,
    /// Held from the last check of hosts to the publication, so that no two apps claim one host.
    switch: tokio::sync::Mutex<()>,
    shelf: Shelf,
    retired: Retired,
    observe: Box<dyn Fn(Step) + Send + Sync>,
}

impl Apps {
    /// No apps yet; [`Apps::restore`] brings back the stored ones.
    ///
    /// # Errors
    /// `HOB-0601` when the folder of packages cannot be used.
    pub fn new(parts: Parts) -> Result<Arc<Self>> {
        Self::observed(parts, Box::new(|step| tracing::debug!(?step, "an app is being changed")))
    }

    /// The same with somebody who is told of each step.
    pub(crate) fn observed(parts: Parts, observe: Box<dyn Fn(Step) + Send + Sync>) -> Result<Arc<Self>> {
        let packages = Arc::new(Packages::open(parts.packages)?);
        let counts = parts.bus.telemetry().is_on();
        let maker = ready::FromParts {
            runtime: Arc::clone(&parts.runtime),
            packages: Arc::clone(&packages),
            secrets: Arc::clone(&parts.secrets),
            counts,
        };
        Ok(Arc::new(Self {
            state: parts.state,
            blobs: parts.blobs,
            bus: parts.bus,
            runtime: parts.runtime,
            spawn: parts.spawn,
            live: parts.live,
            packages,
            maker: Arc::new(maker),
            addresses: parts.addresses,
            claims: parts.claims,
            secrets: parts.secrets,
            busy: Mutex::default(),
            switch: tokio::sync::Mutex::default(),
            shelf: Shelf::default(),
            retired: Retired::default(),
            observe,
        }))
    }

    /// Brings back every kept revision of every app, without loading or compiling any code. What is
    /// missing of derived data (packages, compiled code) is made in the background, current revisions
    /// first; a call that comes before waits for it.
    ///
    /// # Errors
    /// `HOB-06xx` when the store cannot be read.
    pub async fn restore(self: &Arc<Self>) -> Result<()> {
        restore::restore(self).await
    }

    /// Makes a revision of `spec` and switches to it, once every function has started an instance.
    /// Goes on to its end when the returned future is dropped.
    ///
    /// # Errors
    /// What stands against it; nothing has changed then.
    pub async fn deploy(self: &Arc<Self>, spec: AppSpec, report: Report) -> Result<Deployed> {
        let this = Arc::clone(self);
        self.to_the_end("deploy", async move {
            let (app, began) = (spec.app.clone(), Instant::now());
            let done = deploy::deploy(&this, spec, &report).await;
            this.tell(app, Change::Deploy, began, done)
        })
        .await
    }

    /// Switches to the revision before the current one, or to a chosen kept one. Goes on to its end
    /// when the returned future is dropped.
    ///
    /// # Errors
    /// `HOB-0351`, `HOB-0352`, `HOB-0355`, or why a function of that revision does not start.
    pub async fn rollback(
        self: &Arc<Self>,
        app: &AppName,
        to: Option<RevisionNumber>,
        report: Report,
    ) -> Result<Deployed> {
        let (this, app) = (Arc::clone(self), app.clone());
        self.to_the_end("rollback", async move {
            let began = Instant::now();
            let done = deploy::rollback(&this, &app, to, &report).await;
            this.tell(app, Change::Rollback, began, done)
        })
        .await
    }

    /// Gives functions that name a secret its value of now: instances that have another finish their calls and end, and new
    /// ones have started before. Goes on to its end when the returned future is dropped.
    ///
    /// # Errors
    /// Why a function does not start with it; what runs goes on then. `HOB-0354` when a deploy of the app takes too long.
    pub(crate) async fn renew(self: &Arc<Self>, app: &AppName, secret: &SecretName) -> Result<()> {
        let (this, app, secret) = (Arc::clone(self), app.clone(), secret.clone());
        self.to_the_end("renew", async move { renew::renew(&this, &app, &secret).await }).await
    }

    /// Keeps these revisions from now on, and no others that were kept this way.
    ///
    /// # Errors
    /// `HOB-0351`, `HOB-0352` for one that is not there, `HOB-0354` while the app is being changed.
    pub(crate) async fn pin(
        self: &Arc<Self>,
        app: &AppName,
        numbers: BTreeSet<RevisionNumber>,
    ) -> Result<()> {
        let (this, app) = (Arc::clone(self), app.clone());
        self.to_the_end("pin", async move { deploy::pin(&this, &app, numbers).await }).await
    }

    /// The revisions that somebody keeps, such as the published versions of a Lambda function; none of an app that is not
    /// there.
    ///
    /// # Errors
    /// `HOB-06xx`.
    pub(crate) async fn pinned(&self, app: &AppName) -> Result<BTreeSet<RevisionNumber>> {
        let stored = record::load(&*self.state, app).await?;
        Ok(stored.record.map(|(record, _)| record.pinned).unwrap_or_default())
    }

    /// Removes an app with all its revisions. Running calls finish.
    ///
    /// # Errors
    /// `HOB-0351` when there is no such app.
    pub async fn remove(self: &Arc<Self>, app: &AppName) -> Result<()> {
        let (this, app) = (Arc::clone(self), app.clone());
        self.to_the_end("remove", async move {
            let (from, began) =
                (this.live.load().app(app.as_str()).map(|app| app.current.number), Instant::now());
            let done = deploy::remove(&this, &app).await;
            let failure = done.as_ref().err().map(Failure::from);
            let (change, took_ms) = (Change::Remove, millis(began.elapsed()));
            let changed = Changed { id: None, app, function: None, change, from, to: None, failure, took_ms };
            this.bus.telemetry().now(None, What::Changed(Box::new(changed)));
            done
        })
        .await
    }

    /// Tells of a deploy or rollback, unless it changed nothing; a failure gets an id.
    fn tell(&self, app: AppName, change: Change, began: Instant, done: Result<Deployed>) -> Result<Deployed> {
        let id = identity::invocation();
        let (from, to, failure) = match &done {
            Ok(deployed) if !deployed.changed => return done,
            Ok(deployed) => (deployed.previous, Some(deployed.revision), None),
            Err(fault) => {
                let current = self.live.load().app(app.as_str()).map(|app| app.current.number);
                (current, current, Some(Failure::from(fault)))
            }
        };
        let changed = Changed {
            id: Some(id),
            app,
            function: None,
            change,
            from,
            to,
            failure,
            took_ms: millis(began.elapsed()),
        };
        self.bus.telemetry().now(None, What::Changed(Box::new(changed)));
        // What a function printed while it failed to start is a part of that.
        done.map_err(|fault| self.secrets.redaction().fault(fault).known_as(id.to_string()))
    }

    /// Lets running calls finish for `grace`, then ends every instance of every app. For a node that stops.
    pub async fn stop(&self, grace: std::time::Duration) {
        let table = Arc::clone(&self.live.load());
        let revisions = table.apps().values().flat_map(|app| app.kept.values());
        futures_util::future::join_all(revisions.map(|revision| retire::stop(revision, grace))).await;
    }

    /// Every app, by name.
    pub fn list(&self) -> Vec<AppInfo> {
        let mut all: Vec<AppInfo> = self.live.load().apps().values().map(|app| self.info(app)).collect();
        all.sort_unstable_by(|a, b| a.app.cmp(&b.app));
        all
    }

    /// One app.
    ///
    /// # Errors
    /// `HOB-0351` when there is no such app.
    pub fn get(&self, app: &AppName) -> Result<AppInfo> {
        let app = self.live_app(app)?;
        let mut info = self.info(&app);
        condition::fill(self, &app, &mut info);
        Ok(info)
    }

    /// One kept revision.
    ///
    /// # Errors
    /// `HOB-0351`, `HOB-0352`.
    pub fn revision(&self, app: &AppName, number: RevisionNumber) -> Result<Revision> {
        let live = self.live_app(app)?;
        let revision = live
            .kept
            .get(&number)
            .ok_or_else(|| rollout::revision_not_found(app, number, live.kept.keys().copied()))?;
        Ok(record::stored_form(revision))
    }

    /// Those of `digests` that have to be uploaded before a deploy. The others are kept for an hour
    /// even if no revision needs them.
    ///
    /// # Errors
    /// `HOB-0704` for too many of them, `HOB-0601` when the store cannot be read.
    pub async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>> {
        if digests.len() > ARTIFACTS_ASKED_MAX {
            let what = format!(
                "the request asks for {} artifacts, the limit is {ARTIFACTS_ASKED_MAX}",
                digests.len()
            );
            let fault = Fault::new(Code::ControlRequest, what).with_status(413);
            return Err(fault.hint("ask for the others in requests of their own"));
        }
        let held = self.shelf.hold().await;
        let missing = self.blobs.missing(digests).await?;
        // What is not there is nothing to keep: whoever names digests would only fill the node's memory.
        let lacking: HashSet<&Digest> = missing.iter().collect();
        held.keep(digests.iter().filter(|digest| !lacking.contains(digest)));
        Ok(missing)
    }

    /// Begins an upload of one artifact; give it to [`Apps::publish`] when all bytes have come.
    ///
    /// # Errors
    /// `HOB-0601`, `HOB-0604`.
    pub async fn upload(&self) -> Result<Box<dyn Upload>> {
        self.blobs.upload().await
    }

    /// Publishes an uploaded artifact, which is then kept for an hour even if no revision needs it;
    /// returns its size.
    ///
    /// # Errors
    /// `HOB-0202` when the bytes have another digest.
    pub async fn publish(&self, upload: Box<dyn Upload>, expected: Digest) -> Result<u64> {
        let held = self.shelf.hold().await;
        let bytes = upload.finish(expected).await?;
        // Only now, since an upload that was refused leaves nothing. No sweep comes between.
        held.keep([&expected]);
        Ok(bytes)
    }

    fn live_app(&self, app: &AppName) -> Result<Arc<LiveApp>> {
        self.live.load().app(app.as_str()).cloned().ok_or_else(|| rollout::app_not_found(app))
    }

    fn info(&self, app: &LiveApp) -> AppInfo {
        let (name, current) = (&app.name, &app.current);
        let functions = current.spec.functions.iter();
        AppInfo {
            app: name.clone(),
            current: current.number,
            url: self.addresses.app(name),
            functions: functions
                .map(|(function, spec)| self.function_info(current, function, spec))
                .collect(),
            routes: current.spec.routes.clone(),
            revisions: app.kept.values().rev().map(|kept| revision_info(kept, current.number)).collect(),
        }
    }

    fn function_info(
        &self,
        revision: &LiveRevision,
        name: &FunctionName,
        spec: &FunctionSpec,
    ) -> FunctionInfo {
        let stats = revision.functions.stats(name.as_str());
        FunctionInfo {
            function: name.clone(),
            host: spec.host.clone(),
            contract: spec.contract.clone(),
            url: (!spec.private).then(|| self.addresses.function(name, &revision.app)),
            instances: stats.instances,
            running: stats.running,
            waiting: stats.waiting,
            calls: stats.calls,
            failures: stats.failures,
            starts: stats.starts,
            wanted: stats.outlook.wanted,
            concurrency: stats.outlook.concurrency,
            waited_ms: stats.outlook.waited_ms,
            circuit: stats.outlook.circuit.text().to_owned(),
            machine_code: None,
            cold_starts: None,
        }
    }

    /// Runs a change as a task of its own, so that a client that goes away cannot cut it in the middle.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        kind: &'static str,
        change: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (done, result) = oneshot::channel();
        let task = async move {
            // Nobody waits any more when this fails; the change is done all the same.
            let _ = done.send(change.await);
        };
        self.spawn.spawn(kind, Box::pin(task));
        result.await.unwrap_or_else(|_| Err(Fault::new(Code::Stopping, "the node is shutting down")))
    }

    /// The right to change an app, until it is dropped.
    fn turn(self: &Arc<Self>, app: &AppName) -> Result<Turn> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if busy.insert(app.clone()) {
            return Ok(Turn { apps: Arc::clone(self), app: app.clone() });
        }
        Err(Fault::new(Code::DeployConflict, format!("another deploy of app `{app}` is under way"))
            .hint("wait until it is done, then deploy again"))
    }
}

/// The right to change an app.
struct Turn {
    apps: Arc<Apps>,
    app: AppName,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.apps.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.app);
    }
}

fn revision_info(revision: &LiveRevision, current: RevisionNumber) -> RevisionInfo {
    RevisionInfo {
        revision: revision.number,
        digest: revision.digest,
        created_ms: revision.created_ms,
        current: revision.number == current,
    }
}

#[cfg(test)]
mod tests;
