//! The start of a node: what was stored is shown again, and what is derived from it is mended.

use super::ready::{self, Role};
use super::record::{self, Stored};
use super::{Apps, shelf};
use crate::live::{Life, LiveApp, LiveRevision, LiveTable};
use crate::package;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::AppName;
use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

/// See [`Apps::restore`].
///
/// An app whose current revision this version of Hob cannot show is left out and logged: the others
/// are served, nothing that is stored is touched, and a deploy mends it.
pub(super) async fn restore(apps: &Arc<Apps>) -> Result<()> {
    let there = apps.packages.names()?;
    let mut shown = Vec::new();
    for (name, stored) in record::load_all(&*apps.state).await? {
        match show(apps, &name, stored, &there).await {
            Ok(app) => shown.push(Arc::new(app)),
            Err(fault) => tracing::error!(app = %name, %fault, "the app cannot be served"),
        }
    }
    for app in &shown {
        // Two spaces cannot have committed the same, unless somebody put back old data of one.
        match apps.claims.claim(app.current.routes.hosts()) {
            Ok(claimed) => claimed.stay(),
            Err(fault) => tracing::error!(app = %app.name, %fault, "the app does not get its hosts"),
        }
    }
    apps.live.publish(LiveTable::new(shown.iter().cloned()));
    apps.shelf.soil();
    let apps_then = Arc::clone(apps);
    apps.spawn.spawn("mend", Box::pin(async move { mend(&apps_then, shown).await }));
    Ok(())
}

async fn show(apps: &Apps, name: &AppName, stored: Stored, there: &HashSet<OsString>) -> Result<LiveApp> {
    let (record, _) = stored.record.ok_or_else(|| {
        Fault::new(Code::StoreCorrupt, format!("app `{name}` has revisions, but no record"))
    })?;
    let mut kept = BTreeMap::new();
    for (number, revision) in stored.revisions {
        let role = if number == record.current { Role::Current } else { Role::Resting };
        let spec = (Arc::new(revision.spec), revision.digest);
        match ready::assemble(apps, number, revision.created_ms, spec, role) {
            Ok(revision) => drop(kept.insert(number, Arc::new(revision))),
            Err(fault) if role == Role::Current => return Err(fault),
            Err(fault) => tracing::error!(app = %name, revision = %number, %fault, "it cannot be shown"),
        }
    }
    let current = kept.get(&record.current).cloned().ok_or_else(|| {
        Fault::new(Code::StoreCorrupt, format!("revision {} of app `{name}` is missing", record.current))
    })?;
    // Before the first call. One look at the folder is for all, and functions often share their package.
    let mut seen = None;
    for function in current.spec.functions.values() {
        if seen != Some(&function.package)
            && !there.contains(OsStr::new(&package::name_of(&function.package)))
        {
            apps.packages.make(function, &*apps.blobs).await?;
        }
        seen = Some(&function.package);
    }
    Ok(LiveApp { name: name.clone(), life: Life::default(), current, kept })
}

/// Makes what may be missing after a start: packages, code compiled by another engine, the minimum of
/// instances. Current revisions come first.
async fn mend(apps: &Arc<Apps>, shown: Vec<Arc<LiveApp>>) {
    {
        let _held = apps.shelf.hold().await;
        for app in &shown {
            mend_revision(apps, &app.current, Role::Current).await;
        }
        for app in &shown {
            for revision in app.kept.values().filter(|kept| kept.number != app.current.number) {
                mend_revision(apps, revision, Role::Resting).await;
            }
        }
    }
    drop(shown);
    shelf::sweep(apps).await;
}

async fn mend_revision(apps: &Apps, revision: &LiveRevision, role: Role) {
    for (name, spec) in &revision.spec.functions {
        let Some(code) = revision.functions.code(name) else { continue };
        let mut mended = ready::mend(apps, &code).await;
        if mended.is_ok() && role == Role::Current && spec.scale.keeps_some() {
            mended = match revision.functions.get(name) {
                Some(pool) => pool.first_instance().await,
                None => Ok(()),
            };
        }
        if let Err(fault) = mended {
            let (app, number) = (&revision.app, revision.number);
            tracing::error!(%app, revision = %number, function = %name, %fault, "it cannot be made ready");
        }
        // Calls come first: what is there already takes no time, but there may be much of it.
        tokio::task::yield_now().await;
    }
}
