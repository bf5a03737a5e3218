//! What Spin's components are told that is not in a request: the variables of the function.
//!
//! **How.** A variable is written in the manifest (`[functions.<name>.spin] variables`); a variable of the
//! environment, `SPIN_VARIABLE_<NAME>`, goes before it, as Spin's own provider does.

use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::SPIN_VARIABLES_MAX;
use hob_core::spec::FunctionSpec;
use serde_json::Value;
use std::collections::BTreeMap;
use zeroize::Zeroize;

/// The value of `contract` for Spin's components.
pub(crate) const CONTRACT: &str = "spin";
/// The setting with the variables.
pub(crate) const VARIABLES: &str = "variables";
/// What the names of environment variables that are variables begin with.
const PREFIX: &str = "SPIN_VARIABLE_";

/// The variables of one function, by name.
#[derive(Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Drop for Variables {
    fn drop(&mut self) {
        // Secrets are among them.
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

/// Why a variable has no value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// No variable can have that name.
    Name(String),
    /// There is none of that name.
    Undefined(String),
}

impl Variables {
    /// Those of a function.
    ///
    /// # Errors
    /// `HOB-0103` for what is no table of texts or a name that none can have, `HOB-0109` for too many.
    pub(crate) fn read(spec: &FunctionSpec) -> Result<Self> {
        let mut found = BTreeMap::new();
        if let Some(written) = spec.settings.get(VARIABLES).filter(|_| spec.contract == CONTRACT) {
            let wrong = |what: String| {
                Fault::new(Code::ManifestValue, what)
                    .hint("write names and texts, such as { greeting = \"hi\" }")
            };
            let table = written.as_object().ok_or_else(|| {
                wrong(format!("`{VARIABLES}` of contract `{CONTRACT}` cannot be `{written}`"))
            })?;
            if table.len() > SPIN_VARIABLES_MAX {
                let what =
                    format!("a function has {} variables, the limit is {SPIN_VARIABLES_MAX}", table.len());
                return Err(Fault::new(Code::SettingOverLimit, what));
            }
            for (name, value) in table {
                if !is_name(name) {
                    let what = format!("`{name}` cannot be the name of a variable");
                    return Err(Fault::new(Code::ManifestValue, what)
                        .hint("a name is small letters, digits and single `_` between them, and begins with a letter"));
                }
                let Value::String(text) = value else {
                    return Err(wrong(format!("variable `{name}` cannot be `{value}`")));
                };
                found.insert(name.clone(), text.clone());
            }
        }
        for (name, value) in &spec.env {
            let name = name.strip_prefix(PREFIX).map(str::to_ascii_lowercase);
            if let Some(name) = name.filter(|name| is_name(name)) {
                found.insert(name, value.clone());
            }
        }
        Ok(Self(found))
    }

    /// The value of one.
    pub(crate) fn get(&self, name: &str) -> std::result::Result<String, Missing> {
        if !is_name(name) {
            return Err(Missing::Name(format!("`{name}` is no name of a variable")));
        }
        let undefined = || Missing::Undefined(format!("no variable `{name}`"));
        self.0.get(name).cloned().ok_or_else(undefined)
    }

    /// All of them, in order.
    pub(crate) fn all(&self) -> Vec<(String, String)> {
        self.0.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// Whether a variable can have that name (Spin, `spin_expressions::Key`).
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !name.ends_with('_')
        && !name.contains("__")
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_are_those_of_spin() {
        for (name, good) in [
            ("a", true),
            ("api_key_2", true),
            ("", false),
            ("2a", false),
            ("a-b", false),
            ("Ab", false),
            ("_a", false),
            ("a_", false),
            ("a__b", false),
        ] {
            assert_eq!(is_name(name), good, "{name}");
        }
    }
}
