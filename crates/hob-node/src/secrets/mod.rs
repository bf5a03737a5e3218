//! The secrets of one space: stored encrypted, given to the functions that name them, taken out of what is kept.
//!
//! **Why.** A value that is in the manifest is in every revision, every answer and every backup. Here it is in one record,
//! encrypted, and in the environment of instances.
//!
//! **How.** Each secret is a record in the space's state ([`hob_core::secret::Record`]). Values are opened when a function's
//! code is put together ([`Secrets::given`]) and nowhere else but for the table of what to take out of logs and facts
//! ([`Redaction`]). [`key`] is where keys come from.
//!
//! **Not here:** running instances that have an old value ([`crate::apps::Apps::renew`] exchanges them).

mod key;
mod redaction;

pub(crate) use key::Keys;
pub(crate) use redaction::{Redacting, Redaction};

use crate::clock::now_ms;
use crate::sync::lock;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, SecretName, SpaceName};
use hob_core::port::{Expect, State, Write};
use hob_core::secret::redact::Redactor;
use hob_core::secret::{self, Record, Sealed};
use hob_core::spec::AppSpec;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

/// What keys of records begin with.
const RECORDS: &str = "secrets/";

/// The secrets of one space.
pub(crate) struct Secrets {
    space: SpaceName,
    state: Arc<dyn State>,
    keys: Arc<Keys>,
    records: Mutex<BTreeMap<(AppName, SecretName), Record>>,
    redaction: Arc<Redaction>,
    /// Held while a record changes.
    changing: tokio::sync::Mutex<()>,
    exchanging: tokio::sync::Mutex<()>,
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
        Self { space, state, keys, records: Mutex::default(), redaction, changing, exchanging }
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

    /// The values of these secrets as instances are given them that start now. One that is not there is left out: that
    /// was refused at the deploy.
    pub(crate) fn given<'a>(
        &self,
        app: &AppName,
        names: impl Iterator<Item = &'a SecretName>,
    ) -> Vec<(SecretName, Zeroizing<String>)> {
        let open = |name: &SecretName| {
            let record = self.get(app, name).ok()?;
            let opened = self.value(app, name, record.given()?);
            let value =
                opened.inspect_err(|fault| tracing::error!(%app, %name, %fault, "a secret is not given"));
            Some((name.clone(), value.ok()?))
        };
        names.filter_map(open).collect()
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
                let value = self.keys.open_sealed(&sealed.key, &sealed.sealed, &bound_to)?;
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
        self.keys.open_sealed(&sealed.key, &sealed.sealed, &bound_to)
    }

    /// Looks for all kept values from now on: instances that have an old one still run.
    fn look_for(&self) -> Result<()> {
        let records = lock(&self.records).clone();
        let mut values = Vec::new();
        for ((app, name), record) in &records {
            for sealed in &record.versions {
                values.push((name, self.value(app, name, sealed)?));
            }
        }
        self.redaction.set(Redactor::new(values.iter().map(|(name, value)| (*name, value.as_str()))));
        Ok(())
    }
}

fn write(app: &AppName, name: &SecretName, record: Option<&Record>) -> Result<Write> {
    let value = record.map(serde_json::to_vec).transpose().map_err(Fault::internal)?;
    Ok(Write { key: format!("{RECORDS}{app}/{name}"), expect: Expect::Any, value })
}

#[cfg(test)]
mod tests;
