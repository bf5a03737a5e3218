//! Aliases: names for versions, one of which may take a share of the calls (Lambda developer guide, "Implementing
//! weighted aliases").

use super::name::LATEST;
use crate::code::Code;
use crate::fault::{Fault, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Versions besides the alias's own that take calls.
const OTHERS_MAX: usize = 1;

/// What an alias stands for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// The version: a number, or `$LATEST`.
    pub version: String,
    /// What its owner says of it.
    #[serde(default)]
    pub description: String,
    /// Other versions, and the share of calls that each takes: 0 to 1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, f64>,
}

impl Alias {
    /// Checks it; `exists` says whether there is a version.
    ///
    /// # Errors
    /// `HOB-0623` for a version that is not there, `HOB-0622` for shares that make no sense.
    pub fn check(&self, exists: impl Fn(&str) -> bool) -> Result<()> {
        let named = [&self.version].into_iter().chain(self.weights.keys());
        if let Some(missing) = named.into_iter().find(|version| *version != LATEST && !exists(version)) {
            return Err(Fault::new(Code::LambdaNotFound, format!("the function has no version `{missing}`")));
        }
        let refuse = |what: String| Err(Fault::new(Code::AwsRequest, what));
        if self.weights.len() > OTHERS_MAX {
            return refuse(format!(
                "an alias may have {OTHERS_MAX} further version, not {}",
                self.weights.len()
            ));
        }
        for (version, weight) in &self.weights {
            if !(0.0..=1.0).contains(weight) {
                return refuse(format!("the weight of version `{version}` is {weight}: use 0 to 1"));
            }
            if *version == self.version {
                return refuse(format!(
                    "version `{version}` is the alias's own: it takes what the other leaves"
                ));
            }
            if *version == LATEST || self.version == LATEST {
                return refuse(format!("an alias with weights cannot have `{LATEST}`: publish a version"));
            }
        }
        Ok(())
    }

    /// The version that takes a call; `random` is any number.
    pub fn choose(&self, random: u64) -> &str {
        // 53 bits are what a floating point number holds.
        #[expect(clippy::cast_precision_loss, reason = "11 bits are shifted out")]
        let drawn = (random >> 11) as f64 / (1u64 << 53) as f64;
        let mut below = 0.0;
        for (version, weight) in &self.weights {
            below += weight;
            if drawn < below {
                return version;
            }
        }
        &self.version
    }
}

#[cfg(test)]
mod tests {
    use super::Alias;
    use crate::random::Random;

    fn alias(version: &str, weights: &[(&str, f64)]) -> Alias {
        let weights = weights.iter().map(|(version, weight)| ((*version).to_owned(), *weight)).collect();
        Alias { version: version.to_owned(), description: String::new(), weights }
    }

    #[test]
    fn weights_make_sense_or_are_refused() {
        for (version, weights, expected) in [
            ("1", &[][..], "ok"),
            ("$LATEST", &[], "ok"),
            ("3", &[], "HOB-0623"),
            ("1", &[("2", 0.1)], "ok"),
            ("1", &[("2", 1.0)], "ok"),
            ("1", &[("2", 1.1)], "HOB-0622"),
            ("1", &[("2", -0.1)], "HOB-0622"),
            ("1", &[("2", f64::NAN)], "HOB-0622"),
            ("1", &[("1", 0.5)], "HOB-0622"),
            ("1", &[("3", 0.5)], "HOB-0623"),
            ("$LATEST", &[("1", 0.5)], "HOB-0622"),
            ("1", &[("$LATEST", 0.5)], "HOB-0622"),
        ] {
            let checked = alias(version, weights).check(|version| matches!(version, "1" | "2"));
            let found = checked.map_or_else(|fault| fault.code().text(), |()| "ok");
            assert_eq!(found, expected, "{version} {weights:?}");
        }
        let two = alias("1", &[("2", 0.1), ("3", 0.1)]);
        assert_eq!(two.check(|_| true).unwrap_err().code().text(), "HOB-0622");
    }

    #[test]
    fn calls_are_shared_as_the_weights_say() {
        let mut random = Random(1);
        for (weight, least, most) in [(0.0, 0, 0), (1.0, 10_000, 10_000), (0.1, 900, 1100), (0.5, 4800, 5200)]
        {
            let alias = alias("1", &[("2", weight)]);
            let second = (0..10_000).filter(|_| alias.choose(random.number()) == "2").count();
            assert!((least..=most).contains(&second), "{weight}: {second}");
        }
        assert_eq!(alias("7", &[]).choose(u64::MAX), "7");
    }
}
