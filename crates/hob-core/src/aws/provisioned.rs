//! Provisioned concurrency (Lambda developer guide, "Configuring provisioned concurrency"): instances that are kept of
//! versions, by themselves or by an alias that names them.
//!
//! **How.** Each version gets the highest number that anybody wants of it. An alias with weights shares its number among
//! its versions as it shares its calls.

use super::alias::Alias;
use super::name::version;
use super::record::Record;
use crate::code::Code;
use crate::event::timestamp;
use crate::fault::{Fault, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What somebody wants of a version or alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Instances.
    pub instances: u32,
    /// Since when, milliseconds since the Unix epoch.
    pub modified_ms: u64,
}

/// What there is of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct There {
    /// Instances that run.
    pub instances: u32,
    /// None more are started for now, since starts or calls fail.
    pub failing: bool,
}

impl Wanted {
    /// The fields of `GetProvisionedConcurrencyConfig`.
    pub fn shown(&self, there: There) -> Value {
        let available = there.instances.min(self.instances);
        let status = match available == self.instances {
            true => "READY",
            false if there.failing => "FAILED",
            false => "IN_PROGRESS",
        };
        let time = timestamp(self.modified_ms);
        let mut shown = json!({
            "RequestedProvisionedConcurrentExecutions": self.instances,
            "AvailableProvisionedConcurrentExecutions": available,
            "AllocatedProvisionedConcurrentExecutions": available,
            "Status": status,
            "LastModified": format!("{}+0000", time.get(..19).unwrap_or(&time)),
        });
        if status == "FAILED" {
            shown["StatusReason"] = "FUNCTION_ERROR_INIT_FAILURE".into();
        }
        shown
    }
}

impl Alias {
    /// The versions that it names, with their parts of so many instances; `$LATEST` has none.
    fn shares(&self, instances: u32) -> Vec<(u32, u32)> {
        let mut rest = instances;
        let mut shares = Vec::new();
        for (other, weight) in &self.weights {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a u32")]
            let part = (f64::from(instances) * weight).ceil() as u32;
            let part = part.min(rest);
            rest -= part;
            shares.extend(version(other).map(|number| (number, part)));
        }
        shares.extend(version(&self.version).map(|number| (number, rest)));
        shares
    }
}

impl Record {
    /// The versions that a qualifier names, with their parts of what is wanted.
    fn provisioned_by(&self, qualifier: &str, instances: u32) -> Vec<(u32, u32)> {
        match self.aliases.get(qualifier) {
            Some(alias) => alias.shares(instances),
            None => version(qualifier).map(|number| (number, instances)).into_iter().collect(),
        }
    }

    /// The instances to keep, by version.
    pub fn provisioned_versions(&self) -> BTreeMap<u32, u32> {
        let mut all: BTreeMap<u32, u32> = BTreeMap::new();
        for (qualifier, wanted) in &self.provisioned {
            for (number, part) in self.provisioned_by(qualifier, wanted.instances) {
                let most = all.entry(number).or_default();
                *most = part.max(*most);
            }
        }
        all
    }

    /// The versions whose instances count for a qualifier.
    pub fn versions_of(&self, qualifier: &str) -> Vec<u32> {
        self.provisioned_by(qualifier, 0).into_iter().map(|(number, _)| number).collect()
    }

    /// Wants instances of a version or alias; `most` is how many a version may have.
    ///
    /// # Errors
    /// `HOB-0623` for one that is not there, `HOB-0622` for a number out of range, `$LATEST`, or a version that is
    /// provisioned by another name already.
    pub fn provision(&mut self, qualifier: &str, wanted: Wanted, most: u32) -> Result<()> {
        let refuse = |what: String| Err(Fault::new(Code::AwsRequest, what));
        self.check_there(qualifier)?;
        if !(1..=most).contains(&wanted.instances) {
            let what = format!("`ProvisionedConcurrentExecutions` is {}: use 1 to {most}", wanted.instances);
            return Err(Fault::new(Code::AwsRequest, what).hint(
                "`PutFunctionConcurrency` sets how many instances a version that is published then may have",
            ));
        }
        let own = self.versions_of(qualifier);
        if own.is_empty() {
            return refuse(format!("`{qualifier}` is not a version, nor an alias of one: publish a version"));
        }
        let mut others = self.provisioned.keys().filter(|other| *other != qualifier);
        if let Some(other) =
            others.find(|other| self.versions_of(other).iter().any(|number| own.contains(number)))
        {
            return refuse(format!(
                "`{other}` has provisioned concurrency for the version of `{qualifier}` already"
            ));
        }
        self.provisioned.insert(qualifier.to_owned(), wanted);
        Ok(())
    }

    /// Whether there is a version or alias.
    ///
    /// # Errors
    /// `HOB-0623` when there is none.
    pub fn check_there(&self, qualifier: &str) -> Result<()> {
        match version(qualifier) {
            Some(number) if self.versions.contains_key(&number) => Ok(()),
            Some(_) => Err(self.has_no("version", qualifier)),
            None if self.aliases.contains_key(qualifier) => Ok(()),
            None => Err(self.has_no("alias", qualifier)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{There, Wanted};
    use crate::aws::alias::Alias;
    use crate::aws::record::{About, Record, Version};
    use crate::digest::Digest;
    use crate::name::RevisionNumber;

    fn record() -> Record {
        let mut record = Record::new("hello");
        for code in ["a", "b", "c"] {
            let about = About { code_sha256: code.to_owned(), ..About::default() };
            let version =
                Version { revision: RevisionNumber(1), function: Digest::of(code.as_bytes()), about };
            record.publish(version).unwrap();
        }
        for (name, version, weights) in
            [("one", "1", None), ("both", "2", Some(("3", 0.25))), ("newest", "$LATEST", None)]
        {
            let weights = weights.into_iter().map(|(version, weight)| (version.to_owned(), weight)).collect();
            let alias = Alias { version: version.to_owned(), description: String::new(), weights };
            record.set_alias(name, alias).unwrap();
        }
        record
    }

    #[test]
    fn versions_get_what_is_wanted_of_them_or_of_their_alias() {
        let wanted = |instances| Wanted { instances, modified_ms: 0 };
        // What was provisioned before, what is now, and the refusal or what each version gets.
        for (before, qualifier, instances, expected) in [
            (None, "1", 2, "1:2"),
            (None, "one", 3, "1:3"),
            (None, "both", 5, "2:3 3:2"),
            (None, "both", 1, "2:0 3:1"),
            (Some("1"), "both", 4, "1:7 2:3 3:1"),
            (Some("1"), "1", 4, "1:4"),
            (Some("1"), "one", 4, "HOB-0622"),
            (Some("both"), "3", 4, "HOB-0622"),
            (None, "newest", 4, "HOB-0622"),
            (None, "9", 4, "HOB-0623"),
            (None, "other", 4, "HOB-0623"),
            (None, "1", 0, "HOB-0622"),
            (None, "1", 11, "HOB-0622"),
        ] {
            let mut record = record();
            if let Some(before) = before {
                record.provision(before, wanted(7), 10).unwrap();
            }
            let found = match record.provision(qualifier, wanted(instances), 10) {
                Ok(()) => {
                    let all = record.provisioned_versions().into_iter();
                    all.map(|(number, count)| format!("{number}:{count}")).collect::<Vec<_>>().join(" ")
                }
                Err(fault) => fault.code().text().to_owned(),
            };
            assert_eq!(found, expected, "{before:?} {qualifier} {instances}");
        }
    }

    #[test]
    fn what_is_there_is_told_as_lambda_tells_it() {
        let wanted = Wanted { instances: 2, modified_ms: 1_795_681_800_042 };
        for (instances, failing, available, status) in [
            (0, false, 0, "IN_PROGRESS"),
            (1, true, 1, "FAILED"),
            (2, false, 2, "READY"),
            (5, true, 2, "READY"),
        ] {
            let shown = wanted.shown(There { instances, failing });
            assert_eq!(
                (&shown["AvailableProvisionedConcurrentExecutions"], &shown["Status"]),
                (&available.into(), &status.into())
            );
            assert_eq!(shown["LastModified"], "2026-11-26T08:30:00+0000");
        }
    }
}
