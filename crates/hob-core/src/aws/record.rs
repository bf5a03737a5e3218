//! What is stored of a function besides its app: who it says it is, its versions and its aliases.
//!
//! **Why.** A version is a revision of the app that somebody has given a number, so code and settings of a version are
//! where those of every revision are. What AWS's clients want to see besides has its place here.
//!
//! **How.** What somebody said of a function (runtime, handler, role, hash of the archive) belongs to the content of the
//! app, so it is kept by that content's digest: written before the deploy, it is there as soon as the revision is. Each
//! version has its own copy.
//!
//! **Invariants.**
//! 1. A version's number is never used twice.
//! 2. What an alias names is there.

use super::alias::Alias;
use super::asynchronous::{self, Configured};
use super::name::{LATEST, version};
use super::provisioned::Wanted;
use crate::code::Code;
use crate::digest::Digest;
use crate::fault::{Fault, Result};
use crate::limit::{AWS_ALIASES_MAX, AWS_VERSIONS_MAX};
use crate::name::{FunctionName, RevisionNumber};
use crate::spec::AsyncSpec;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is stored of one function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its name as its owner writes it.
    pub name: String,
    /// What its owner's tools keep with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// What was said of it, by the digest of the app's content.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub about: BTreeMap<Digest, About>,
    /// The number of the next version.
    pub next_version: u32,
    /// Its versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<u32, Version>,
    /// Its aliases.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, Alias>,
    /// When its asynchronous calls were last configured, milliseconds since the Unix epoch; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asynchronous_ms: Option<u64>,
    /// Instances at most, where somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<u32>,
    /// What was configured for asynchronous calls of versions and aliases, by these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub asynchronous: BTreeMap<String, Configured>,
    /// Instances that are kept of versions and aliases, by these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provisioned: BTreeMap<String, Wanted>,
    /// When aliases got their addresses, by these, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub urls: BTreeMap<String, u64>,
    /// The filter patterns of its event source mappings as they were sent, by the mapping's id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub patterns: BTreeMap<String, Vec<String>>,
}

/// What somebody said of a function that no revision holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// AWS's name of the runtime.
    pub runtime: String,
    /// The role that AWS would give it; without meaning here.
    pub role: String,
    /// The handler.
    pub handler: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// SHA-256 of the archive, in base64.
    pub code_sha256: String,
    /// Bytes of the archive.
    pub code_bytes: u64,
    /// When it was last changed, milliseconds since the Unix epoch.
    pub modified_ms: u64,
    /// The ARN to which its dead letters go, as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
    /// The ARNs of its layers' versions, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
}

impl About {
    /// An id that is another for other code or settings (`RevisionId`).
    pub fn revision_id(&self, content: Digest) -> String {
        let text = serde_json::to_string(self).expect("it has text keys only");
        uuid(&Digest::of(format!("{content}{text}").as_bytes()))
    }

    fn is_like(&self, other: &Self) -> bool {
        Self { modified_ms: 0, ..self.clone() } == Self { modified_ms: 0, ..other.clone() }
    }
}

/// A digest's first half, written as a UUID (RFC 9562, section 4).
pub fn uuid(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
}

/// A version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// The revision that it is.
    pub revision: RevisionNumber,
    /// The digest of the function alone: triggers make no other version.
    pub function: Digest,
    /// What was said of it then.
    pub about: About,
}

impl Record {
    /// Of a function that is new.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            tags: BTreeMap::new(),
            about: BTreeMap::new(),
            next_version: 1,
            versions: BTreeMap::new(),
            aliases: BTreeMap::new(),
            asynchronous_ms: None,
            reserved: None,
            asynchronous: BTreeMap::new(),
            provisioned: BTreeMap::new(),
            urls: BTreeMap::new(),
            patterns: BTreeMap::new(),
        }
    }

    /// Keeps the patterns of a mapping; none of one that has none.
    pub fn set_patterns(&mut self, mapping: &str, patterns: Vec<String>) {
        match patterns.is_empty() {
            true => drop(self.patterns.remove(mapping)),
            false => drop(self.patterns.insert(mapping.to_owned(), patterns)),
        }
    }

    /// Gives what is current a number, or tells the number that it has already.
    ///
    /// # Errors
    /// `HOB-0109` above the limit.
    pub fn publish(&mut self, current: Version) -> Result<u32> {
        let newest = self.versions.last_key_value();
        let same =
            |known: &Version| known.function == current.function && known.about.is_like(&current.about);
        if let Some((number, _)) = newest.filter(|(_, known)| same(known)) {
            return Ok(*number);
        }
        if self.versions.len() >= AWS_VERSIONS_MAX {
            let what =
                format!("function `{}` has {AWS_VERSIONS_MAX} versions, which is the limit", self.name);
            return Err(Fault::new(Code::SettingOverLimit, what).hint("delete versions that nobody calls"));
        }
        let number = self.next_version;
        self.next_version += 1;
        self.versions.insert(number, current);
        Ok(number)
    }

    /// Removes a version.
    ///
    /// # Errors
    /// `HOB-0623` when there is none, `HOB-0624` when an alias names it.
    pub fn unpublish(&mut self, number: u32) -> Result<()> {
        let text = number.to_string();
        let naming = |alias: &&Alias| alias.version == text || alias.weights.contains_key(&text);
        if let Some((name, _)) = self.aliases.iter().find(|(_, alias)| naming(alias)) {
            let what = format!("version {number} of `{}` is what alias `{name}` names", self.name);
            return Err(
                Fault::new(Code::LambdaConflict, what).hint("let the alias name another version first")
            );
        }
        match self.versions.remove(&number) {
            Some(_) => {
                self.forget_qualifier(&text);
                Ok(())
            }
            None => Err(self.has_no("version", &text)),
        }
    }

    /// Removes an alias.
    ///
    /// # Errors
    /// `HOB-0623` when there is none.
    pub fn remove_alias(&mut self, name: &str) -> Result<()> {
        self.aliases.remove(name).ok_or_else(|| self.has_no("alias", name))?;
        self.forget_qualifier(name);
        Ok(())
    }

    /// What was set for a version or alias goes with it.
    fn forget_qualifier(&mut self, qualifier: &str) {
        self.asynchronous.remove(qualifier);
        self.provisioned.remove(qualifier);
        self.urls.remove(qualifier);
    }

    /// Gives an alias an address, in which its name stands.
    ///
    /// # Errors
    /// `HOB-0623` for one that is not there, `HOB-0624` for one that has an address, `HOB-0622` for a version, or a
    /// name that no host can have.
    pub fn open_url(&mut self, alias: &str, now_ms: u64) -> Result<()> {
        self.check_there(alias)?;
        if version(alias).is_some() || FunctionName::new(alias).is_err() || is_revision(alias) {
            let what = format!("`{alias}` cannot be a part of an address");
            return Err(Fault::new(Code::AwsRequest, what)
                .hint("use an alias of lower-case letters, digits and single hyphens"));
        }
        if self.urls.contains_key(alias) {
            let what = format!("alias `{alias}` of function `{}` has an address already", self.name);
            return Err(Fault::new(Code::LambdaConflict, what));
        }
        self.urls.insert(alias.to_owned(), now_ms);
        Ok(())
    }

    /// What becomes of an asynchronous call by a version or alias; `None`: what the function says. `spec` is what the
    /// version says, which decides where dead letters go.
    pub fn asynchronous_of(&self, qualifier: Option<&str>, spec: &AsyncSpec) -> Option<AsyncSpec> {
        let qualifier = qualifier.filter(|qualifier| *qualifier != LATEST)?;
        let configured = self.asynchronous.get(qualifier).map(|configured| configured.spec.clone());
        let dead_letter = spec.dead_letter.clone();
        Some(AsyncSpec { dead_letter, ..configured.unwrap_or_else(asynchronous::default) })
    }

    /// Sets an alias.
    ///
    /// # Errors
    /// Those of [`Alias::check`], and `HOB-0109` above the limit.
    pub fn set_alias(&mut self, name: &str, alias: Alias) -> Result<()> {
        alias.check(|text| version(text).is_some_and(|number| self.versions.contains_key(&number)))?;
        if self.aliases.len() >= AWS_ALIASES_MAX && !self.aliases.contains_key(name) {
            let what = format!("function `{}` has {AWS_ALIASES_MAX} aliases, which is the limit", self.name);
            return Err(Fault::new(Code::SettingOverLimit, what).hint("delete aliases that nobody calls"));
        }
        self.aliases.insert(name.to_owned(), alias);
        Ok(())
    }

    /// The revisions that have to be kept.
    pub fn pins(&self) -> BTreeSet<RevisionNumber> {
        self.versions.values().map(|version| version.revision).collect()
    }

    /// Forgets what was said of content that no revision has any more.
    pub fn forget(&mut self, kept: &BTreeSet<Digest>) {
        self.about.retain(|digest, _| kept.contains(digest));
    }

    /// The error for a version or alias that is not there.
    pub fn has_no(&self, kind: &str, name: &str) -> Fault {
        Fault::new(Code::LambdaNotFound, format!("function `{}` has no {kind} `{name}`", self.name))
    }
}

/// Whether a name is that of a revision in addresses.
fn is_revision(name: &str) -> bool {
    let digits = name.strip_prefix("rev-");
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::{About, Record, Version};
    use crate::aws::alias::Alias;
    use crate::aws::asynchronous::Configured;
    use crate::aws::provisioned::Wanted;
    use crate::digest::Digest;
    use crate::limit::AWS_VERSIONS_MAX;
    use crate::name::RevisionNumber;
    use crate::spec::AsyncSpec;

    fn version(revision: u32, code: &str, modified_ms: u64) -> Version {
        let about = About { code_sha256: code.to_owned(), modified_ms, ..About::default() };
        Version { revision: RevisionNumber(revision), function: Digest::of(code.as_bytes()), about }
    }

    fn names(version: &str) -> Alias {
        Alias { version: version.to_owned(), ..Alias::default() }
    }

    #[test]
    fn a_version_is_another_one_when_something_else_is_current() {
        let mut record = Record::new("hello");
        let published = [(1, "a", 0), (2, "a", 5), (3, "b", 6), (4, "a", 7)]
            .map(|(revision, code, ms)| record.publish(version(revision, code, ms)).unwrap());
        assert_eq!(published, [1, 1, 2, 3]);
        assert_eq!(record.pins().into_iter().map(|number| number.0).collect::<Vec<_>>(), [1, 3, 4]);

        record.set_alias("live", names("3")).unwrap();
        assert_eq!(record.set_alias("live", names("4")).unwrap_err().code().text(), "HOB-0623");
        assert_eq!(record.unpublish(3).unwrap_err().code().text(), "HOB-0624");
        record.set_alias("live", names("2")).unwrap();
        record.unpublish(3).unwrap();
        assert_eq!(record.unpublish(3).unwrap_err().code().text(), "HOB-0623");
        assert_eq!(record.publish(version(5, "c", 8)).unwrap(), 4, "numbers are never used twice");
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }

    #[test]
    fn what_is_set_for_an_alias_goes_with_it() {
        let mut record = Record::new("hello");
        record.publish(version(1, "a", 0)).unwrap();
        for (alias, expected) in [
            ("live", "ok"),
            ("live", "HOB-0624"),
            ("none", "HOB-0623"),
            ("1", "HOB-0622"),
            ("Upper_Case", "HOB-0622"),
            ("rev-3", "HOB-0622"),
        ] {
            if !matches!(alias, "none" | "1") {
                record.set_alias(alias, names("1")).unwrap();
            }
            let found = record.open_url(alias, 7).map_or_else(|fault| fault.code().text(), |()| "ok");
            assert_eq!(found, expected, "{alias}");
        }
        let wanted = Wanted { instances: 1, modified_ms: 0 };
        record.provision("live", wanted, 9).unwrap();
        let configured = Configured { modified_ms: 0, spec: AsyncSpec::default() };
        record.asynchronous.insert("live".to_owned(), configured);
        let letters = AsyncSpec { dead_letter: "letters".to_owned().try_into().ok(), ..AsyncSpec::default() };
        for (qualifier, attempts) in
            [(None, None), (Some("$LATEST"), None), (Some("live"), Some(3)), (Some("1"), Some(3))]
        {
            let found = record.asynchronous_of(qualifier, &letters);
            assert_eq!(
                found.as_ref().map(|spec| spec.retry.attempts).is_some(),
                attempts.is_some(),
                "{qualifier:?}"
            );
            assert!(found.is_none_or(|spec| spec.dead_letter == letters.dead_letter), "{qualifier:?}");
        }
        record.remove_alias("live").unwrap();
        assert!(record.asynchronous.is_empty() && record.provisioned.is_empty() && record.urls.is_empty());
        assert_eq!(record.remove_alias("live").unwrap_err().code().text(), "HOB-0623");
    }

    #[test]
    fn there_is_an_end_to_versions() {
        let mut record = Record::new("hello");
        let codes: Vec<String> = (0..=AWS_VERSIONS_MAX).map(|number| number.to_string()).collect();
        let last = codes.iter().map(|code| record.publish(version(1, code, 0))).collect::<Vec<_>>();
        assert_eq!(last.iter().filter(|published| published.is_err()).count(), 1);
        let (digest, other) = (Digest::of(b"a"), Digest::of(b"b"));
        let about = version(1, "a", 0).about;
        assert_eq!(about.revision_id(digest).len(), 36);
        assert_ne!(about.revision_id(digest), about.revision_id(other));
    }
}
