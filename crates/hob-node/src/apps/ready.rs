//! Making a revision ready to serve, without touching what serves.

use super::{Apps, Report, Step};
use crate::live::LiveRevision;
use crate::live::functions::{Functions, Maker, Of};
use crate::package::{self, Packages};
use crate::secrets::Secrets;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::handler;
use hob_core::limit::DEPLOY_CONCURRENCY;
use hob_core::name::{FunctionName, RevisionNumber};
use hob_core::space::Resource;
use hob_core::spec::AppSpec;
use hob_core::wire::DeployEvent;
use hob_runtime::code::{FunctionCode, Given, Numbered};
use hob_runtime::cpu::CpuTotal;
use hob_runtime::host::{Prepared, Progress};
use hob_runtime::pool::Pool;
use hob_runtime::runtime::Runtime;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// What a revision is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It takes new requests and keeps its minimum of instances.
    Current,
    /// It is kept for rollback and preview, and keeps none.
    Resting,
}

/// A revision without pools, which come at the first calls. Costs next to nothing until then. `digest` is that of
/// `spec`.
///
/// # Errors
/// `HOB-0103` for an unknown host or contract, `HOB-0105` and `HOB-0106` for its routes.
pub(super) fn assemble(
    apps: &Apps,
    number: RevisionNumber,
    created_ms: u64,
    (spec, digest): (Arc<AppSpec>, Digest),
    role: Role,
) -> Result<LiveRevision> {
    spec.functions.values().try_for_each(|function| apps.runtime.knows(function))?;
    let maker = Arc::clone(&apps.maker);
    let functions = Functions::new(Arc::clone(&spec), number, role == Role::Current, maker);
    LiveRevision::new(number, created_ms, spec, digest, functions)
}

/// Makes codes and pools out of a node's parts.
pub(super) struct FromParts {
    pub(super) runtime: Arc<Runtime>,
    pub(super) packages: Arc<Packages>,
    pub(super) secrets: Arc<Secrets>,
    /// Whether processor time is counted.
    pub(super) counts: bool,
}

impl Maker for FromParts {
    fn code(&self, of: Of<'_>) -> Arc<FunctionCode> {
        let mut spec = of.spec.clone();
        if !of.keeps_minimum {
            spec.scale.min = 0;
            spec.scale.provisioned.clear();
        }
        let mut given = Given::default();
        let values = self.secrets.given((of.app, of.name), of.spec.secrets.iter());
        let values = values.unwrap_or_else(|fault| {
            tracing::error!(app = %of.app, function = %of.name, %fault, "a function cannot start");
            given.lacking = Some(fault);
            Vec::new()
        });
        for held in values {
            let (name, value) = (&held.name, &held.value);
            // Spin's variables have an environment of their own.
            if spec.contract == "spin" {
                let variable = format!("SPIN_VARIABLE_{}", name.as_str().to_ascii_uppercase());
                spec.env.insert(variable, value.to_string());
            }
            spec.env.insert(name.to_string(), value.to_string());
            given.held.push(held);
        }
        let (app, name, dir) = (of.app.clone(), of.name.clone(), self.packages.folder(&spec));
        let cpu = CpuTotal::new(self.counts);
        let numbered = of.number.map(|version| Numbered { version, provisioned: AtomicU32::new(0) });
        Arc::new(FunctionCode { app, revision: of.revision, name, numbered, spec, dir, cpu, given })
    }

    fn pool(&self, code: Arc<FunctionCode>) -> Result<Arc<Pool>> {
        self.runtime.pool(code)
    }
}

/// Whether a revision differs by its role, and so needs new pools when that changes.
pub(super) fn has_minimum(spec: &AppSpec) -> bool {
    spec.functions.values().any(|function| function.scale.keeps_some())
}

/// Makes packages and compiled code, and starts an instance of every function, a few at a time.
///
/// # Errors
/// Why the first function that failed did; the others may have instances then.
pub(super) async fn make_ready(apps: &Apps, revision: &LiveRevision, report: &Report) -> Result<()> {
    let functions = revision.spec.functions.keys();
    let work = functions.map(|name| {
        let pool = revision.functions.get(name);
        async move {
            let pool = pool.ok_or_else(|| Fault::internal(format!("function `{name}` has no pool")))?;
            let started = start(apps, &revision.spec, pool, report).await;
            started.map_err(|fault| of_function(fault, name))
        }
    });
    // Collected, since the compiler cannot see through a borrowing iterator that the future is `Send`.
    let work: Vec<_> = work.collect();
    stream::iter(work).buffer_unordered(DEPLOY_CONCURRENCY).try_collect::<()>().await
}

async fn start(apps: &Apps, spec: &AppSpec, pool: &Pool, report: &Report) -> Result<()> {
    let code = pool.code();
    let say = |progress: Progress| say(report, &code.name, progress);
    let prepared = unpack_and_prepare(apps, code, &say).await?;
    if let Some(handlers) = &prepared.handlers {
        let file = code.spec.run.first().map_or("", String::as_str);
        handler::check(spec, &code.name, file, handlers)?;
    }
    say(Progress { step: "starting".to_owned(), percent: None });
    pool.first_instance().await?;
    (apps.observe)(Step::Started);
    Ok(())
}

/// Makes the package and compiled code of one function, if they are missing.
///
/// # Errors
/// `HOB-02xx` and `HOB-03xx`.
pub(super) async fn unpack_and_prepare(
    apps: &Apps,
    code: &FunctionCode,
    say: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Prepared> {
    apps.packages.make(&code.spec, &*apps.blobs).await?;
    (apps.observe)(Step::Unpacked);
    apps.runtime.prepare(code, say).await
}

/// The same after a start of the node, where nearly everything is there: what is, is not looked into again.
///
/// # Errors
/// `HOB-02xx` and `HOB-03xx`.
pub(super) async fn mend(apps: &Apps, code: &FunctionCode) -> Result<()> {
    apps.packages.make(&code.spec, &*apps.blobs).await?;
    if apps.runtime.is_prepared(code) {
        return Ok(());
    }
    apps.runtime.prepare(code, &|_| ()).await.map(drop)
}

fn say(report: &Report, function: &FunctionName, progress: Progress) {
    let Progress { step, percent } = progress;
    report(DeployEvent::Progress { function: function.clone(), step, percent });
}

fn of_function(fault: Fault, name: &FunctionName) -> Fault {
    let place = match fault.place() {
        Some(place) => format!("functions.{name}: {place}"),
        None => format!("functions.{name}"),
    };
    fault.at(place)
}

/// Checks that every artifact is stored.
///
/// # Errors
/// `HOB-0204`, which names the first file that lacks its artifact.
pub(super) async fn check_artifacts(apps: &Apps, spec: &AppSpec) -> Result<()> {
    let missing = apps.blobs.missing(&spec.artifacts()).await?;
    let Some(digest) = missing.first() else { return Ok(()) };
    let files = spec.functions.iter().flat_map(|(name, function)| {
        function.package.iter().map(move |(path, file)| (name, path, file.digest))
    });
    let named = files.into_iter().find(|(_, _, of)| of == digest);
    let (name, path, _) =
        named.ok_or_else(|| Fault::internal(format!("no file has the digest `{digest}`")))?;
    let others = missing.len() - 1;
    let more = if others > 0 { format!(" (and {others} more)") } else { String::new() };
    let message = format!("file `{path}` of function `{name}` was never uploaded{more}");
    Err(Fault::new(Code::ArtifactMissing, message)
        .at(format!("functions.{name}"))
        .hint("deploy again: what is missing is uploaded first"))
}

/// Checks that the space may have the apps and functions that there are with this revision, and as much memory as an
/// instance of each may need.
///
/// # Errors
/// `HOB-0712`.
pub(super) fn check_quotas(apps: &Apps, revision: &LiveRevision) -> Result<()> {
    let (allowance, table) = (apps.bus.allowance(), apps.live.load());
    let others = || table.apps().values().filter(|app| app.name != revision.app);
    if allowance.limits(Resource::Apps) {
        allowance.admit(Resource::Apps, others().count() as u64, 1)?;
    }
    if allowance.limits(Resource::Functions) {
        let there: usize = others().map(|app| app.current.spec.functions.len()).sum();
        allowance.admit(Resource::Functions, there as u64, revision.spec.functions.len() as u64)?;
    }
    revision.spec.functions.iter().try_for_each(|(name, function)| {
        let judged = allowance.admit(Resource::Memory, 0, function.memory_bytes);
        judged.map_err(|fault| of_function(fault, name))
    })
}

/// Checks that the space may store a new revision: what is written of it, and the packages that it needs and nobody has made.
/// Functions with the same files share one. Those of a kept revision were let in when it came.
///
/// # Errors
/// `HOB-0712`, and `HOB-06xx` when what is stored cannot be measured.
pub(super) async fn keep(apps: &Apps, revision: &LiveRevision) -> Result<()> {
    let allowance = apps.bus.allowance();
    if !allowance.limits(Resource::Storage) {
        return Ok(());
    }
    let there = apps.packages.names()?;
    let functions = revision.spec.functions.values();
    let needed: HashMap<String, u64> = functions
        .map(|function| (package::name_of(&function.package), package::bytes_of(&function.package)))
        .filter(|(name, _)| !there.contains(OsStr::new(name)))
        .collect();
    let written = serde_json::to_vec(&*revision.spec).map_err(Fault::internal)?.len() as u64;
    let bytes = needed.values().fold(written, |bytes, more| bytes.saturating_add(*more));
    allowance.keep(bytes).await
}

/// Checks that no other app has one of the revision's own hosts, nor another space.
///
/// # Errors
/// `HOB-0106`, which names the host and the other app; `HOB-0716`, which names the host alone.
pub(super) fn check_hosts(apps: &Apps, revision: &LiveRevision) -> Result<()> {
    apps.claims.check(revision.routes.hosts())?;
    let table = apps.live.load();
    for host in revision.routes.hosts() {
        if let Some(owner) = table.owner_of(host).filter(|owner| **owner != revision.app) {
            let message = format!("host `{host}` belongs to app `{owner}`");
            return Err(Fault::new(Code::RouteConflict, message)
                .hint(format!("take it out of the routes of `{owner}` and deploy that app first")));
        }
    }
    Ok(())
}
