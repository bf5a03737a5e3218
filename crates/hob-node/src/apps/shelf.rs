//! Which artifacts and packages are kept, and the sweep that removes the others.
//!
//! **Why.** Artifacts come before the deploy that needs them, and several revisions share them, so
//! nobody can remove one at the moment when it is no longer needed. A sweep looks at everything.
//!
//! **How.** Whoever makes something that is not recorded yet holds the shelf meanwhile; a sweep needs
//! it alone, and does not wait for it: the next change sweeps. Artifacts of clients that are still
//! uploading are kept for [`UPLOAD_KEPT`], as long as there are not more than [`UPLOADS_KEPT_MAX`].

use super::{Apps, Step, record};
use crate::package;
use hob_core::digest::Digest;
use hob_core::fault::Result;
use hob_core::limit::{UPLOAD_KEPT, UPLOADS_KEPT_MAX};
use hob_core::spec::PackageFile;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{RwLock, RwLockReadGuard};

/// Who keeps what.
#[derive(Default)]
pub(super) struct Shelf {
    lock: RwLock<()>,
    /// Stored artifacts that a client has uploaded or asked for, and when that was.
    uploads: Mutex<HashMap<Digest, Instant>>,
    /// Whether there may be something to sweep.
    dusty: AtomicBool,
}

/// While it is there, nothing is swept.
pub(super) struct Held<'a> {
    shelf: &'a Shelf,
    _guard: RwLockReadGuard<'a, ()>,
}

impl Shelf {
    /// Waits for a sweep that runs, and keeps the next one away.
    pub(super) async fn hold(&self) -> Held<'_> {
        Held { shelf: self, _guard: self.lock.read().await }
    }

    /// Something may no longer be needed.
    pub(super) fn soil(&self) {
        self.dusty.store(true, Ordering::Release);
    }

    /// Those that are kept although no revision may need them.
    pub(super) fn recent_uploads(&self) -> Vec<Digest> {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.retain(|_, since| since.elapsed() < UPLOAD_KEPT);
        uploads.keys().copied().collect()
    }
}

impl Held<'_> {
    /// Keeps these artifacts, which are stored, for the deploy that will need them.
    pub(super) fn keep<'a>(&self, digests: impl IntoIterator<Item = &'a Digest>) {
        let now = Instant::now();
        let mut uploads = self.shelf.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.extend(digests.into_iter().map(|digest| (*digest, now)));
        if uploads.len() > UPLOADS_KEPT_MAX {
            forget_oldest(&mut uploads, UPLOADS_KEPT_MAX);
        }
    }
}

/// Forgets those that have been there longest, until there are half as many as may be: not for each one anew.
fn forget_oldest(uploads: &mut HashMap<Digest, Instant>, most: usize) {
    let mut times: Vec<Instant> = uploads.values().copied().collect();
    let (_, oldest, _) = times.select_nth_unstable(uploads.len() - most / 2);
    let oldest = *oldest;
    uploads.retain(|_, since| *since >= oldest);
    // Many of one request came at the same moment.
    let spare = uploads.len().saturating_sub(most);
    let gone: Vec<Digest> = uploads.keys().take(spare).copied().collect();
    for digest in gone {
        uploads.remove(&digest);
    }
}

/// Removes every artifact, package and compiled file that no revision needs, if there may be any and nobody is
/// making new ones. A failure is logged; the next sweep tries again.
pub(super) async fn sweep(apps: &Apps) {
    // Who finds somebody else at it leaves; so whoever has swept looks once more.
    while apps.shelf.dusty.load(Ordering::Acquire) {
        let Ok(alone) = apps.shelf.lock.try_write() else { return };
        apps.shelf.dusty.store(false, Ordering::Release);
        let swept = remove_unneeded(apps).await;
        drop(alone);
        (apps.observe)(Step::Swept);
        match swept {
            Ok([0, 0, 0]) => {}
            Ok([artifacts, packages, compiled]) => {
                tracing::info!(artifacts, packages, compiled, "removed what no revision needs");
            }
            Err(fault) => {
                apps.shelf.soil();
                return tracing::warn!(%fault, "what no revision needs could not be removed");
            }
        }
    }
}

/// What is stored counts, not what is shown: they differ after a commit whose outcome is unknown.
async fn remove_unneeded(apps: &Apps) -> Result<[u64; 3]> {
    let mut needed = Needed::default();
    record::needs(&*apps.state, |revision| {
        revision.packages().for_each(|package| needed.add(package));
        needed.revisions.insert(revision.digest);
    })
    .await?;
    for app in apps.live.load().apps().values() {
        // Nearly all of them are stored, and were seen above.
        for revision in app.kept.values() {
            if !needed.revisions.contains(&revision.digest) {
                revision.spec.functions.values().for_each(|function| needed.add(&function.package));
            }
        }
    }
    needed.artifacts.extend(apps.shelf.recent_uploads());
    let artifacts: Vec<Digest> = needed.artifacts.iter().copied().collect();
    let gone = apps.blobs.retain(&artifacts).await?;
    for spec in apps.retired.specs() {
        spec.functions.values().for_each(|function| needed.add(&function.package));
    }
    let packages = apps.packages.retain(&needed.packages).await?;
    Ok([gone, packages, apps.runtime.retain(needed.artifacts).await])
}

/// What is kept.
#[derive(Default)]
struct Needed {
    /// Content of stored revisions.
    revisions: HashSet<Digest>,
    artifacts: HashSet<Digest>,
    packages: HashSet<OsString>,
}

impl Needed {
    fn add(&mut self, package: &BTreeMap<String, PackageFile>) {
        self.artifacts.extend(package.values().map(|file| file.digest));
        self.packages.insert(package::name_of(package).into());
    }
}

#[cfg(test)]
mod tests {
    use super::forget_oldest;
    use hob_core::digest::Digest;
    use std::collections::HashMap;
    use std::time::{Duration, Instant};

    #[test]
    fn the_oldest_uploads_are_forgotten_first() {
        let began = Instant::now();
        for (same, left) in [(1, 4), (11, 8)] {
            let at = |number: u8| began + Duration::from_secs(u64::from(number / same));
            let mut uploads: HashMap<Digest, Instant> =
                (0..11).map(|number| (Digest::of(&[number]), at(number))).collect();
            forget_oldest(&mut uploads, 8);
            assert_eq!(uploads.len(), left, "{same} at a moment");
            assert!(same > 1 || (7..11).all(|number| uploads.contains_key(&Digest::of(&[number]))));
        }
    }
}
