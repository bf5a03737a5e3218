//! Where records of functions are stored, and who may change one.
//!
//! **How.** A record is kept beside its app, and goes with it whoever removes that. One change of a function at a time:
//! another is refused, as AWS does.

use super::answer::{Answered, Refusal};
use crate::apps::{BESIDE, beside};
use crate::sync::lock;
use hob_core::aws::error::Exception;
use hob_core::aws::record::Record;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::AppName;
use hob_core::port::{Entry, Expect, State, Write};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

/// Every record of a node.
pub(super) struct Records {
    state: Arc<dyn State>,
    /// Functions that are being changed.
    busy: Mutex<HashSet<AppName>>,
}

/// A record as it is stored; `None`: there is none.
#[derive(Clone, Default)]
pub(super) struct Stored {
    pub(super) record: Option<Record>,
    version: Option<u64>,
}

impl Records {
    pub(super) fn new(state: Arc<dyn State>) -> Arc<Self> {
        Arc::new(Self { state, busy: Mutex::default() })
    }

    /// The store.
    pub(super) fn state(&self) -> &dyn State {
        &*self.state
    }

    /// The record of an app's function.
    ///
    /// # Errors
    /// `HOB-06xx` when the store cannot be read.
    pub(super) async fn load(&self, app: &AppName) -> Result<Stored> {
        match self.state.get(&beside(app)).await? {
            Some(entry) => read(app, &entry),
            None => Ok(Stored::default()),
        }
    }

    /// Every record.
    ///
    /// # Errors
    /// `HOB-06xx` when the store cannot be read.
    pub(super) async fn all(&self) -> Result<BTreeMap<AppName, Record>> {
        let mut all = BTreeMap::new();
        for (key, entry) in self.state.scan(BESIDE).await? {
            let app = AppName::new(key.strip_prefix(BESIDE).unwrap_or_default())?;
            all.extend(read(&app, &entry)?.record.map(|record| (app, record)));
        }
        Ok(all)
    }

    /// Writes a record, or removes it.
    ///
    /// # Errors
    /// `HOB-0603` when somebody else has written it, and those of the store.
    pub(super) async fn store(&self, app: &AppName, stored: &mut Stored) -> Result<()> {
        let value = stored.record.as_ref().map(serde_json::to_vec).transpose().map_err(Fault::internal)?;
        let expect = stored.version.map_or(Expect::Absent, Expect::Version);
        let key = beside(app);
        self.state.commit(vec![Write { key: key.clone(), expect, value }]).await?;
        stored.version = self.state.get(&key).await?.map(|entry| entry.version);
        Ok(())
    }

    /// The right to change a function, until it is dropped.
    pub(super) fn turn(self: &Arc<Self>, app: &AppName) -> Answered<Turn> {
        if lock(&self.busy).insert(app.clone()) {
            return Ok(Turn { records: Arc::clone(self), app: app.clone() });
        }
        let what = format!("another request is changing function `{app}`");
        let fault = Fault::new(Code::LambdaConflict, what).hint("wait until it is done, then try again");
        Err(Refusal::new(Exception::ResourceConflict, fault))
    }
}

/// The right to change a function.
pub(super) struct Turn {
    records: Arc<Records>,
    app: AppName,
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.records.busy).remove(&self.app);
    }
}

fn read(app: &AppName, entry: &Entry) -> Result<Stored> {
    let record = serde_json::from_slice(&entry.value).map_err(|error| {
        Fault::new(Code::StoreCorrupt, format!("the record of function `{app}` cannot be understood"))
            .hint("start the version of Hob that wrote it, or restore the data folder from a backup")
            .detail(error)
    })?;
    Ok(Stored { record: Some(record), version: Some(entry.version) })
}
