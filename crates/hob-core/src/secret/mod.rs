//! Secrets: what one is called, what is kept of it, and which functions are given it.
//!
//! **Why.** A password in a manifest is in every copy of it and in every revision. A secret has a name there and a value
//! nowhere but in the node.
//!
//! **How.** An app has secrets; a function gets those that it names, as environment variables. Each value is a version
//! ([`Record`]): the newest few are kept, one of them is given to instances that start. [`redact`] takes values out of
//! what is kept of functions.
//!
//! **Not here:** encryption and keys (`hob-node`).

pub mod redact;
mod walk;

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit::{SECRET_BYTES_MAX, SECRET_VERSIONS_KEPT, SECRETS_MAX};
use crate::name::{AppName, FunctionName, SecretName};
use serde::{Deserialize, Serialize};

/// What is kept of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version that is given to instances that start.
    pub current: u32,
    /// The kept versions, the oldest first; at least one.
    pub versions: Vec<Sealed>,
}

/// One value, encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Its number: 1, 2, 3 …, never used twice for one secret.
    pub version: u32,
    /// When it was set, milliseconds since the Unix epoch.
    pub set_ms: u64,
    /// Who set it.
    pub by: String,
    /// The id of the key that opens it.
    pub key: String,
    /// Nonce, ciphertext and tag, as hexadecimal digits.
    pub sealed: String,
}

impl Record {
    /// The number that the next value gets.
    pub fn next(record: Option<&Self>) -> u32 {
        record.and_then(|record| record.versions.last()).map_or(1, |last| last.version.saturating_add(1))
    }

    /// The secret with one more value, which is the current one; the oldest go above the limit, but never the one that
    /// was current until now.
    #[must_use]
    pub fn with(record: Option<Self>, sealed: Sealed) -> Self {
        let (before, mut versions) =
            record.map_or((0, Vec::new()), |record| (record.current, record.versions));
        let current = sealed.version;
        versions.push(sealed);
        while versions.len() > SECRET_VERSIONS_KEPT {
            let oldest = versions.iter().position(|one| one.version != before && one.version != current);
            versions.remove(oldest.unwrap_or(0));
        }
        Self { current, versions }
    }

    /// The same with another current version.
    ///
    /// # Errors
    /// `HOB-0731` when that is not kept.
    pub fn using(&self, app: &AppName, name: &SecretName, version: u32) -> Result<Self> {
        if self.versions.iter().all(|one| one.version != version) {
            let kept: Vec<String> = self.versions.iter().map(|one| one.version.to_string()).collect();
            let what = format!("version {version} of secret `{name}` of app `{app}` is not kept");
            return Err(Fault::new(Code::SecretNotFound, what).hint(format!("kept are {}", kept.join(", "))));
        }
        Ok(Self { current: version, versions: self.versions.clone() })
    }

    /// The version that is given to instances that start.
    pub fn given(&self) -> Option<&Sealed> {
        self.versions.iter().find(|one| one.version == self.current)
    }
}

/// Whether a value can be one. `count` is how many secrets the space has beside it.
///
/// # Errors
/// `HOB-0732` for an empty one, one that no environment variable can hold, and one above the limit; `HOB-0109` for too
/// many secrets.
pub fn check(name: &SecretName, value: &str, count: usize) -> Result<()> {
    let refuse = |what: String, hint: &str| Err(Fault::new(Code::SecretInvalid, what).hint(hint.to_owned()));
    if value.is_empty() {
        return refuse(
            format!("secret `{name}` has no value"),
            "give it on standard input or with `--from-file`",
        );
    }
    if value.contains('\0') {
        return refuse(
            format!("secret `{name}` holds a NUL character"),
            "an environment variable cannot hold it; encode it, for example as base64",
        );
    }
    if value.len() > SECRET_BYTES_MAX {
        let what = format!("secret `{name}` has {} bytes, the limit is {SECRET_BYTES_MAX}", value.len());
        return refuse(what, "keep what is large elsewhere, and the key to it here");
    }
    if count >= SECRETS_MAX {
        let what = format!("the space has {count} secrets, the limit is {SECRETS_MAX}");
        return Err(Fault::new(Code::SettingOverLimit, what).hint("remove one: `hob secret rm APP NAME`"));
    }
    Ok(())
}

/// What the encryption of a value is bound to: a value that is put in the place of another one does not open.
pub fn bound_to(space: &str, app: &AppName, name: &SecretName, version: u32) -> Vec<u8> {
    // Names hold no NUL.
    format!("hob-secret-1\0{space}\0{app}\0{name}\0{version}").into_bytes()
}

/// The fault of a function that names a secret which is not set.
pub fn not_set(app: &AppName, function: &FunctionName, name: &SecretName) -> Fault {
    Fault::new(
        Code::SecretNotSet,
        format!("function `{function}` names the secret `{name}`, which is not set"),
    )
    .at(format!("functions.{function}"))
    .hint(format!("set it first: `hob secret set {app} {name}`"))
}

/// The fault for a secret that does not exist.
pub fn not_found(app: &AppName, name: &SecretName) -> Fault {
    Fault::new(Code::SecretNotFound, format!("app `{app}` has no secret `{name}`"))
        .hint(format!("`hob secret ls {app}` lists them"))
}

#[cfg(test)]
mod tests {
    use super::{Record, Sealed, bound_to, check};
    use crate::limit::{SECRET_BYTES_MAX, SECRET_VERSIONS_KEPT, SECRETS_MAX};
    use crate::name::{AppName, SecretName};

    fn sealed(version: u32) -> Sealed {
        Sealed { version, set_ms: 0, by: "owner".into(), key: String::new(), sealed: String::new() }
    }

    #[test]
    fn the_newest_versions_are_kept_and_the_one_before() {
        let (app, name) = (AppName::new("desk").unwrap(), SecretName::new("TOKEN").unwrap());
        let mut record = None;
        for version in 1..=3 {
            assert_eq!(Record::next(record.as_ref()), version);
            record = Some(Record::with(record, sealed(version)));
        }
        // Back to the first: it stays while others come, since a failed rotation goes back to it.
        let mut record = record.unwrap().using(&app, &name, 1).unwrap();
        for version in 4..20 {
            assert_eq!(Record::next(Some(&record)), version);
            let before = record.current;
            record = Record::with(Some(record), sealed(version));
            assert!(record.versions.len() <= SECRET_VERSIONS_KEPT && record.current == version);
            assert!(record.versions.iter().any(|one| one.version == before));
        }
        assert_eq!(record.given().unwrap().version, 19);
        assert_eq!(record.using(&app, &name, 2).unwrap_err().code().text(), "HOB-0731");
    }

    #[test]
    fn values_and_names_are_those_of_environment_variables() {
        let name = SecretName::new("TOKEN").unwrap();
        let long = "x".repeat(SECRET_BYTES_MAX + 1);
        for (value, count, expected) in [
            ("s", 0, "ok"),
            ("two\nlines é", 0, "ok"),
            ("", 0, "HOB-0732"),
            ("a\0b", 0, "HOB-0732"),
            (long.as_str(), 0, "HOB-0732"),
            ("s", SECRETS_MAX, "HOB-0109"),
        ] {
            let judged = check(&name, value, count).map_or_else(|fault| fault.code().text(), |()| "ok");
            assert_eq!(judged, expected);
        }
        for bad in ["", "1A", "A-B", "A B", "A=B", "é", &"A".repeat(65)] {
            assert_eq!(SecretName::new(bad).unwrap_err().code().text(), "HOB-0732", "{bad}");
        }
        let app = AppName::new("desk").unwrap();
        let bound = bound_to("default", &app, &name, 1);
        for other in [bound_to("blue", &app, &name, 1), bound_to("default", &app, &name, 2)] {
            assert_ne!(bound, other);
        }
    }
}
