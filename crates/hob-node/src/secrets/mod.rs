//! The secrets of one space: stored encrypted, given to the functions that name them, taken out of what is kept.
//!
//! **Why.** A value that is in the manifest is in every revision, every answer and every backup. Here it is in one record,
//! encrypted, and in the environment of instances.
//!
//! **How.** Each secret is a record in the space's state ([`hob_core::secret::Record`]). Values are opened when a function's
//! code is put together ([`Secrets::given`]) and nowhere else but for the table of what to take out of logs and facts
//! ([`Redaction`]). [`key`] is where keys come from.
//!
//! **Invariants.** A value is looked for as long as a record keeps it, and as long as code is there that was given it: what
//! runs with a value that was removed or replaced can still print it.
//!
//! **Not here:** running instances that have an old value ([`crate::apps::Apps::renew`] exchanges them).

mod key;
mod redaction;

pub(crate) use key::{Keys, Used};
pub(crate) use redaction::{Redacting, Redaction};

use crate::clock::now_ms;
use crate::sync::lock;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, FunctionName, SecretName, SpaceName};
use hob_core::port::{Expect, State, Write};
use hob_core::secret::redact::Redactor;
use hob_core::secret::{self, Record, Sealed};
use hob_core::spec::AppSpec;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, Weak};
use zeroize::Zeroizing;

/// What keys of records begin with.
const RECORDS: &str = "secrets/";

/// The secrets of one space.
pub(crate) struct Secrets {
    space: SpaceName,
    state: Arc<dyn State>,
    keys: Arc<Keys>,
    records: Mutex<BTreeMap<(AppName, SecretName), Record>>,
    /// What code was given that may still be there; taken after `records`.
    held: Mutex<Vec<Weak<Held>>>,
    redaction: Arc<Redaction>,
    /// Held while a record changes.
    changing: tokio::sync::Mutex<()>,
    exchanging: tokio::sync::Mutex<()>,
}

/// A value that some code was given, which holds this as long as it is there.
pub(crate) struct Held {
    pub(crate) name: SecretName,
    pub(crate) value: Zeroizing<String>,
}

impl Secrets {
    /// Reads the secrets of a space, and sees that every one can be opened.
    ///
    /// # Errors
    /// `HOB-0602` for a record that cannot be read, `HOB-0733` without the key, `HOB-0734` for a value that was changed.
    pub(crate) async fn open(
        space: SpaceName,
        state: Arc<dyn State>,
        keys: Arc<Keys>,
        redaction: Arc<Redaction>,
    ) -> Result<Arc<Self>> {
        let mut records = BTreeMap::new();
        for (key, entry) in state.scan(RECORDS).await? {
            let named = key.strip_prefix(RECORDS).and_then(|rest| rest.split_once('/'));
            let named =
                named.and_then(|(app, name)| Some((AppName::new(app).ok()?, SecretName::new(name).ok()?)));
            let record = serde_json::from_slice(&entry.value).ok();
            let (named, record) = named.zip(record).ok_or_else(|| {
                Fault::new(Code::StoreCorrupt, format!("the record `{key}` cannot be read"))
            })?;
            records.insert(named, record);
        }
        let mut secrets = Self::none(space, state, keys, redaction);
        secrets.records = Mutex::new(records);
        secrets.look_for()?;
        Ok(Arc::new(secrets))
    }

    /// No secrets yet.
    pub(crate) fn none(
        space: SpaceName,
        state: Arc<dyn State>,
        keys: Arc<Keys>,
        redaction: Arc<Redaction>,
    ) -> Self {
        let (changing, exchanging) = (tokio::sync::Mutex::default(), tokio::sync::Mutex::default());
        let (records, held) = (Mutex::default(), Mutex::default());
        Self { space, state, keys, records, held, redaction, changing, exchanging }
    }

    /// The keys of the node.
    pub(crate) fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// What takes values out of what is kept.
    pub(crate) fn redaction(&self) -> &Arc<Redaction> {
        &self.redaction
    }

    /// Held while instances are exchanged for ones with another value.
    pub(crate) async fn exchanging(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.exchanging.lock().await
    }

    /// The secrets of an app, by name.
    pub(crate) fn of(&self, app: &AppName) -> Vec<(SecretName, Record)> {
        let records = lock(&self.records);
        let own = records.iter().filter(|((of, _), _)| of == app);
        own.map(|((_, name), record)| (name.clone(), record.clone())).collect()
    }

    /// One secret.
    ///
    /// # Errors
    /// `HOB-0731` when there is none.
    pub(crate) fn get(&self, app: &AppName, name: &SecretName) -> Result<Record> {
        let known = lock(&self.records).get(&(app.clone(), name.clone())).cloned();
        known.ok_or_else(|| secret::not_found(app, name))
    }

    /// Whether every secret that an app names is set.
    ///
    /// # Errors
    /// `HOB-0730`, which names the first function and secret.
    pub(crate) fn check(&self, spec: &AppSpec) -> Result<()> {
        let records = lock(&self.records);
        let missing =
            spec.secrets().find(|(_, name)| !records.contains_key(&(spec.app.clone(), (*name).clone())));
        missing.map_or(Ok(()), |(function, name)| Err(secret::not_set(&spec.app, function, name)))
    }

    /// The values of the secrets that a function names, as instances are given them that start now. Whoever starts some
    /// holds what this returns for as long as one may be left.
    ///
    /// # Errors
    /// `HOB-0730` for one that is not there any more, `HOB-0733` and `HOB-0734` for one that cannot be opened. Each names
    /// the secret: without it, or with none in its place, the function would be another program.
    pub(crate) fn given<'a>(
        &self,
        (app, function): (&AppName, &FunctionName),
        names: impl Iterator<Item = &'a SecretName>,
    ) -> Result<Vec<Arc<Held>>> {
        let records = lock(&self.records);
        let open = |name: &SecretName| {
            let record = records.get(&(app.clone(), name.clone()));
            let sealed = record.and_then(Record::given);
            // Whoever calls the function is not the one who has to set it.
            let missing = || secret::not_set(app, function, name).with_status(503);
            let value = self.value(app, name, sealed.ok_or_else(missing)?).map_err(|fault| {
                let message = fault.message();
                let what =
                    format!("function `{function}` cannot start without its secret `{name}`: {message}");
                Fault::new(fault.code(), what).hint(fault.hint_text().unwrap_or_default())
            })?;
            Ok(Arc::new(Held { name: name.clone(), value }))
        };
        let given: Vec<Arc<Held>> = names.map(open).collect::<Result<_>>()?;
        // Before the records can change: whoever changes them then finds these.
        let mut held = lock(&self.held);
        held.retain(|one| one.strong_count() > 0);
        held.extend(given.iter().map(Arc::downgrade));
        Ok(given)
    }

    /// Stores a value as the newest version of a secret; it is on disk when this returns.
    ///
    /// # Errors
    /// Those of [`secret::check`]; `HOB-0731` to `rotate` one that is not there; `HOB-0733`; `HOB-06xx`.
    pub(crate) async fn set(
        &self,
        (app, name): (&AppName, &SecretName),
        value: &str,
        rotate: bool,
        by: String,
    ) -> Result<Record> {
        let _changing = self.changing.lock().await;
        let known = self.get(app, name);
        let before = if rotate { Some(known?) } else { known.ok() };
        let count = if before.is_some() { 0 } else { lock(&self.records).len() };
        secret::check(name, value, count)?;
        let version = Record::next(before.as_ref());
        let (key, sealed) =
            self.keys.seal(value, &secret::bound_to(self.space.as_str(), app, name, version))?;
        let record = Record::with(before, Sealed { version, set_ms: now_ms(), by, key, sealed });
        self.write(app, name, Some(record.clone())).await?;
        Ok(record)
    }

    /// Gives a kept version to instances from now on.
    ///
    /// # Errors
    /// `HOB-0731`, `HOB-06xx`.
    pub(crate) async fn use_version(&self, app: &AppName, name: &SecretName, version: u32) -> Result<Record> {
        let _changing = self.changing.lock().await;
        let record = self.get(app, name)?.using(app, name, version)?;
        self.write(app, name, Some(record.clone())).await?;
        Ok(record)
    }

    /// Removes a secret with all its versions.
    ///
    /// # Errors
    /// `HOB-0731`, `HOB-06xx`.
    pub(crate) async fn remove(&self, app: &AppName, name: &SecretName) -> Result<()> {
        let _changing = self.changing.lock().await;
        self.get(app, name)?;
        self.write(app, name, None).await
    }

    /// Encrypts every value anew that is not encrypted with the newest key, all of them or none; how many.
    ///
    /// # Errors
    /// `HOB-0733`, `HOB-0734`, `HOB-06xx`.
    pub(crate) async fn reseal(&self) -> Result<u64> {
        let _changing = self.changing.lock().await;
        let mut next = lock(&self.records).clone();
        let (mut writes, mut values) = (Vec::new(), 0);
        for ((app, name), record) in &mut next {
            let old: Vec<&mut Sealed> =
                record.versions.iter_mut().filter(|one| !self.keys.is_first(&one.key)).collect();
            if old.is_empty() {
                continue;
            }
            for sealed in old {
                let bound_to = secret::bound_to(self.space.as_str(), app, name, sealed.version);
                let value = self.value(app, name, sealed)?;
                (sealed.key, sealed.sealed) = self.keys.seal(&value, &bound_to)?;
                values += 1;
            }
            writes.push(write(app, name, Some(&*record))?);
        }
        if !writes.is_empty() {
            self.state.commit(writes).await?;
            *lock(&self.records) = next;
        }
        Ok(values)
    }

    async fn write(&self, app: &AppName, name: &SecretName, record: Option<Record>) -> Result<()> {
        self.state.commit(vec![write(app, name, record.as_ref())?]).await?;
        let at = (app.clone(), name.clone());
        match record {
            Some(record) => drop(lock(&self.records).insert(at, record)),
            None => drop(lock(&self.records).remove(&at)),
        }
        self.look_for()
    }

    fn value(&self, app: &AppName, name: &SecretName, sealed: &Sealed) -> Result<Zeroizing<String>> {
        let bound_to = secret::bound_to(self.space.as_str(), app, name, sealed.version);
        let opened = self.keys.open_sealed(&sealed.key, &sealed.sealed, &bound_to);
        opened.map_err(|fault| fault.at(format!("secret {name} of app {app}")))
    }

    /// The ids of the keys that kept values are encrypted with.
    pub(crate) fn keys_used(&self) -> BTreeSet<String> {
        let records = lock(&self.records);
        records.values().flat_map(|record| &record.versions).map(|sealed| sealed.key.clone()).collect()
    }

    /// Looks for all kept values from now on, and for all that something may still run with. One that cannot be opened
    /// keeps none of the others from being looked for.
    fn look_for(&self) -> Result<()> {
        let records = lock(&self.records).clone();
        let mut opened = Vec::new();
        let mut failed = Ok(());
        for ((app, name), record) in &records {
            for sealed in &record.versions {
                match self.value(app, name, sealed) {
                    Ok(value) => opened.push((name, value)),
                    Err(fault) => failed = failed.and(Err(fault)),
                }
            }
        }
        let held: Vec<Arc<Held>> = lock(&self.held).iter().filter_map(Weak::upgrade).collect();
        let kept = opened.iter().map(|(name, value)| (*name, value.as_str()));
        let held = held.iter().map(|held| (&held.name, held.value.as_str()));
        // Many have the same value: each is looked for once.
        let values: BTreeSet<(&SecretName, &str)> = kept.chain(held).collect();
        self.redaction.set(Redactor::new(values.into_iter()));
        failed
    }
}

fn write(app: &AppName, name: &SecretName, record: Option<&Record>) -> Result<Write> {
    let value = record.map(serde_json::to_vec).transpose().map_err(Fault::internal)?;
    Ok(Write { key: format!("{RECORDS}{app}/{name}"), expect: Expect::Any, value })
}

#[cfg(test)]
mod tests;
