//! How apps are stored: keys and values of the control state.
//!
//! ```text
//! apps/<app>                              its rollout::Record
//! apps/<app>/revisions/<ten digits>       a wire::Revision
//! beside/<app>                            what the Lambda API keeps of its function
//! ```

use crate::live::LiveRevision;
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, RevisionNumber};
use hob_core::port::{Entry, Expect, State, Write};
use hob_core::rollout::Record;
use hob_core::spec::PackageFile;
use hob_core::wire::Revision;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// One app as it is stored.
#[derive(Default)]
pub(super) struct Stored {
    /// Its record with the entry's version; `None`: there is no such app.
    pub(super) record: Option<(Record, u64)>,
    /// Its kept revisions.
    pub(super) revisions: BTreeMap<RevisionNumber, Revision>,
}

impl Stored {
    /// The content of the kept revisions.
    pub(super) fn digests(&self) -> BTreeMap<RevisionNumber, Digest> {
        self.revisions.iter().map(|(number, revision)| (*number, revision.digest)).collect()
    }

    /// What a commit that changes the app has to expect of its record.
    pub(super) fn expect(&self) -> Expect {
        self.record.as_ref().map_or(Expect::Absent, |(_, version)| Expect::Version(*version))
    }
}

/// Reads one app.
///
/// # Errors
/// `HOB-06xx` when the store cannot be read.
pub(super) async fn load(state: &dyn State, app: &AppName) -> Result<Stored> {
    let key = app_key(app);
    let record = match state.get(&key).await? {
        Some(entry) => Some((read(&key, &entry)?, entry.version)),
        None => None,
    };
    let mut stored = Stored { record, revisions: BTreeMap::new() };
    for (key, entry) in state.scan(&format!("{key}/revisions/")).await? {
        let revision: Revision = read(&key, &entry)?;
        stored.revisions.insert(revision.revision, revision);
    }
    Ok(stored)
}

/// Reads every app.
///
/// # Errors
/// `HOB-06xx` when the store cannot be read.
pub(super) async fn load_all(state: &dyn State) -> Result<BTreeMap<AppName, Stored>> {
    let mut all: BTreeMap<AppName, Stored> = BTreeMap::new();
    for (key, entry) in state.scan("apps/").await? {
        match key.split('/').collect::<Vec<_>>()[..] {
            [_, app] => {
                all.entry(name(&key, app)?).or_default().record = Some((read(&key, &entry)?, entry.version));
            }
            [_, app, "revisions", _] => {
                let revision: Revision = read(&key, &entry)?;
                all.entry(name(&key, app)?).or_default().revisions.insert(revision.revision, revision);
            }
            _ => return Err(damaged(&key, &"no such key is ever written")),
        }
    }
    Ok(all)
}

/// A stored revision as far as a sweep cares: what else it says may be of another version of Hob.
#[derive(Deserialize)]
pub(super) struct Needs {
    /// The digest of its content.
    pub(super) digest: Digest,
    spec: NeedsOfApp,
}

#[derive(Deserialize)]
struct NeedsOfApp {
    functions: BTreeMap<String, NeedsOfFunction>,
}

#[derive(Deserialize)]
struct NeedsOfFunction {
    package: BTreeMap<String, PackageFile>,
}

impl Needs {
    /// The packages of its functions.
    pub(super) fn packages(&self) -> impl Iterator<Item = &BTreeMap<String, PackageFile>> {
        self.spec.functions.values().map(|function| &function.package)
    }
}

/// Shows what each stored revision needs, one after the other: all at once would take as much memory again as the
/// revisions that are shown.
///
/// # Errors
/// `HOB-06xx` when the store cannot be read.
pub(super) async fn needs(state: &dyn State, mut see: impl FnMut(Needs)) -> Result<()> {
    for (key, entry) in state.scan("apps/").await? {
        if key.contains("/revisions/") {
            see(read(&key, &entry)?);
        }
    }
    Ok(())
}

/// The write of an app's record; `None` removes it.
pub(super) fn write_record(app: &AppName, expect: Expect, record: Option<&Record>) -> Result<Write> {
    let value = record.map(serde_json::to_vec).transpose().map_err(Fault::internal)?;
    Ok(Write { key: app_key(app), expect, value })
}

/// The write of a new revision.
pub(super) fn write_revision(revision: &LiveRevision) -> Result<Write> {
    let value = serde_json::to_vec(&stored_form(revision)).map_err(Fault::internal)?;
    let key = revision_key(&revision.app, revision.number);
    Ok(Write { key, expect: Expect::Absent, value: Some(value) })
}

/// The write that removes a revision.
pub(super) fn drop_revision(app: &AppName, number: RevisionNumber) -> Write {
    Write { key: revision_key(app, number), expect: Expect::Any, value: None }
}

/// A revision as it is stored and sent.
pub(super) fn stored_form(revision: &LiveRevision) -> Revision {
    Revision {
        revision: revision.number,
        digest: revision.digest,
        created_ms: revision.created_ms,
        spec: revision.spec.as_ref().clone(),
    }
}

/// What the keys of [`beside`] begin with.
pub(crate) const BESIDE: &str = "beside/";

/// The key of what is kept beside an app by whoever offers it under other words; it goes with the app.
pub(crate) fn beside(app: &AppName) -> String {
    format!("{BESIDE}{app}")
}

fn app_key(app: &AppName) -> String {
    format!("apps/{app}")
}

/// Ten digits, so that byte order is the order of the numbers.
fn revision_key(app: &AppName, number: RevisionNumber) -> String {
    format!("apps/{app}/revisions/{:010}", number.0)
}

fn name(key: &str, app: &str) -> Result<AppName> {
    AppName::new(app).map_err(|fault| damaged(key, &fault))
}

fn read<T: DeserializeOwned>(key: &str, entry: &Entry) -> Result<T> {
    serde_json::from_slice(&entry.value).map_err(|error| damaged(key, &error))
}

/// The engine has checked the bytes, so another version of Hob wrote them.
fn damaged(key: &str, detail: &dyn std::fmt::Display) -> Fault {
    Fault::new(Code::StoreCorrupt, format!("the record `{key}` cannot be understood"))
        .hint("start the version of Hob that wrote it, or restore the data folder from a backup")
        .detail(detail)
}
