//! Apps: deploy, rollback, remove and restore, each of them whole or not at all.

mod address;

pub use address::Addresses;

use crate::live::Live;
use hob_core::digest::Digest;
use hob_core::fault::Result;
use hob_core::name::{AppName, RevisionNumber};
use hob_core::port::{Blobs, Spawn, State, Upload};
use hob_core::spec::AppSpec;
use hob_core::wire::{AppInfo, DeployEvent, Deployed, Revision};
use hob_runtime::runtime::Runtime;
use std::path::PathBuf;
use std::sync::Arc;

/// What [`Apps`] works with.
pub struct Parts {
    /// Control state.
    pub state: Arc<dyn State>,
    /// Artifacts.
    pub blobs: Arc<dyn Blobs>,
    /// Hosts and contracts.
    pub runtime: Arc<Runtime>,
    /// Starts background tasks.
    pub spawn: Arc<dyn Spawn>,
    /// Where calls look.
    pub live: Arc<Live>,
    /// Folder of packages; private to the node, created when missing.
    pub packages: PathBuf,
    /// How the node's addresses are written.
    pub addresses: Addresses,
}

/// Told of each step of a deploy or rollback; only [`DeployEvent::Progress`] comes this way.
pub type Report = Arc<dyn Fn(DeployEvent) + Send + Sync>;

/// The apps of one node.
pub struct Apps {
    _parts: Parts,
}

impl Apps {
    /// No apps yet; [`Apps::restore`] brings back the stored ones.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self { _parts: parts })
    }

    /// Brings back every kept revision of every app, without loading or compiling any code.
    ///
    /// # Errors
    /// `HOB-06xx` when the store cannot be read.
    pub async fn restore(self: &Arc<Self>) -> Result<()> {
        unimplemented!()
    }

    /// Makes a revision of `spec` and switches to it, once every function has started an instance.
    /// Goes on to its end when the returned future is dropped.
    ///
    /// # Errors
    /// What stands against it; nothing has changed then.
    pub async fn deploy(self: &Arc<Self>, _spec: AppSpec, _report: Report) -> Result<Deployed> {
        unimplemented!()
    }

    /// Switches to the revision before the current one, or to a chosen kept one.
    ///
    /// # Errors
    /// `HOB-0351`, `HOB-0352`, `HOB-0355`, or why a function of that revision does not start.
    pub async fn rollback(
        self: &Arc<Self>,
        _app: &AppName,
        _to: Option<RevisionNumber>,
        _report: Report,
    ) -> Result<Deployed> {
        unimplemented!()
    }

    /// Removes an app with all its revisions. Running calls finish.
    ///
    /// # Errors
    /// `HOB-0351` when there is no such app.
    pub async fn remove(self: &Arc<Self>, _app: &AppName) -> Result<()> {
        unimplemented!()
    }

    /// Every app, by name.
    pub fn list(&self) -> Vec<AppInfo> {
        unimplemented!()
    }

    /// One app.
    ///
    /// # Errors
    /// `HOB-0351` when there is no such app.
    pub fn get(&self, _app: &AppName) -> Result<AppInfo> {
        unimplemented!()
    }

    /// One kept revision.
    ///
    /// # Errors
    /// `HOB-0351`, `HOB-0352`.
    pub fn revision(&self, _app: &AppName, _number: RevisionNumber) -> Result<Revision> {
        unimplemented!()
    }

    /// Those of `digests` that have to be uploaded before a deploy. The others are kept for an hour
    /// even if no revision needs them.
    ///
    /// # Errors
    /// `HOB-0601` when the store cannot be read.
    pub async fn missing(&self, _digests: &[Digest]) -> Result<Vec<Digest>> {
        unimplemented!()
    }

    /// Begins an upload of one artifact; give it to [`Apps::publish`] when all bytes have come.
    ///
    /// # Errors
    /// `HOB-0601`, `HOB-0604`.
    pub async fn upload(&self) -> Result<Box<dyn Upload>> {
        unimplemented!()
    }

    /// Publishes an uploaded artifact, which is then kept for an hour even if no revision needs it;
    /// returns its size.
    ///
    /// # Errors
    /// `HOB-0202` when the bytes have another digest.
    pub async fn publish(&self, _upload: Box<dyn Upload>, _expected: Digest) -> Result<u64> {
        unimplemented!()
    }
}
