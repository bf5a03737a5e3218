//! The start of a node: what was stored is shown again, and what is derived from it is mended.

use super::ready::{self, Role};
use super::record::{self, Stored};
use super::{Apps, shelf};
use crate::live::{LiveApp, LiveRevision, LiveTable};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::AppName;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// See [`Apps::restore`].
///
/// An app whose current revision this version of Hob cannot show is left out and logged: the others
/// are served, nothing that is stored is touched, and a deploy mends it.
pub(super) async fn restore(apps: &Arc<Apps>) -> Result<()> {
    let mut shown = HashMap::new();
    for (name, stored) in record::load_all(&*apps.state).await? {
        match show(apps, &name, stored).await {
            Ok(app) => drop(shown.insert(name, Arc::new(app))),
            Err(fault) => tracing::error!(app = %name, %fault, "the app cannot be served"),
        }
    }
    let current: Vec<_> = shown.values().map(|app: &Arc<LiveApp>| Arc::clone(app)).collect();
    apps.live.publish(LiveTable::new(shown));
    apps.shelf.soil();
    let apps_then = Arc::clone(apps);
    apps.spawn.spawn("mend", Box::pin(async move { mend(&apps_then, current).await }));
    Ok(())
}

async fn show(apps: &Apps, name: &AppName, stored: Stored) -> Result<LiveApp> {
    let (record, _) = stored.record.ok_or_else(|| {
        Fault::new(Code::StoreCorrupt, format!("app `{name}` has revisions, but no record"))
    })?;
    let mut kept = BTreeMap::new();
    for (number, revision) in stored.revisions {
        let role = if number == record.current { Role::Current } else { Role::Resting };
        match ready::assemble(apps, number, revision.created_ms, Arc::new(revision.spec), role) {
            Ok(revision) => drop(kept.insert(number, Arc::new(revision))),
            Err(fault) if role == Role::Current => return Err(fault),
            Err(fault) => tracing::error!(app = %name, revision = %number, %fault, "it cannot be shown"),
        }
    }
    let current = kept.get(&record.current).cloned().ok_or_else(|| {
        Fault::new(Code::StoreCorrupt, format!("revision {} of app `{name}` is missing", record.current))
    })?;
    // Before the first call; what is there already costs one look.
    for function in current.spec.functions.values() {
        apps.packages.make(function, &*apps.blobs).await?;
    }
    Ok(LiveApp { name: name.clone(), current, kept })
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
    for (name, pool) in &revision.functions {
        let mut mended = ready::unpack_and_prepare(apps, pool.code(), &|_| ()).await;
        if mended.is_ok() && role == Role::Current && pool.code().spec.scale.keeps_some() {
            mended = pool.first_instance().await;
        }
        if let Err(fault) = mended {
            let (app, number) = (&revision.app, revision.number);
            tracing::error!(%app, revision = %number, function = %name, %fault, "it cannot be made ready");
        }
    }
}
