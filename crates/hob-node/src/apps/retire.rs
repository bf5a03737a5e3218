//! The end of revisions that are no longer shown: when their last call has ended, their instances do.

use super::{Apps, shelf};
use crate::live::LiveRevision;
use hob_core::limit::GRACE_DEFAULT;
use hob_core::spec::AppSpec;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Revisions that are no longer shown, but whose packages may still be in use.
#[derive(Default)]
pub(super) struct Retired {
    specs: Mutex<(u64, HashMap<u64, Arc<AppSpec>>)>,
}

impl Retired {
    /// What they were made of.
    pub(super) fn specs(&self) -> Vec<Arc<AppSpec>> {
        self.specs.lock().unwrap_or_else(PoisonError::into_inner).1.values().cloned().collect()
    }

    fn add(&self, spec: Arc<AppSpec>) -> u64 {
        let (next, specs) = &mut *self.specs.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        specs.insert(*next, spec);
        *next
    }

    fn remove(&self, number: u64) {
        self.specs.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&number);
    }
}

/// Stops the revision's instances once nobody holds it, then sweeps. Call it after the publication of
/// a table without the revision.
pub(super) fn retire(apps: &Arc<Apps>, revision: Arc<LiveRevision>) {
    let number = apps.retired.add(Arc::clone(&revision.spec));
    // Who holds the revision until then may still call a function for the first time.
    let (apps_then, functions) = (Arc::clone(apps), Arc::clone(&revision.functions));
    let released = revision.released();
    drop(revision);
    let task = async move {
        released.await;
        functions.stop(GRACE_DEFAULT).await;
        apps_then.retired.remove(number);
        apps_then.shelf.soil();
        shelf::sweep(&apps_then).await;
    };
    apps.spawn.spawn("retire", Box::pin(task));
}

/// Lets running calls finish for `grace`, then ends the revision's instances.
pub(super) async fn stop(revision: &LiveRevision, grace: Duration) {
    revision.functions.stop(grace).await;
}
