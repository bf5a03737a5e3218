//! Values that another platform keeps secret become secrets of Hob.
//!
//! **Why.** What nobody was meant to see must not stand in a revision, nor in what `hob import` writes. So only the name
//! is taken over, and a note says where the value was kept.
//!
//! **How.** A function names the secret; where this machine knows the value (`.dev.vars`, `SPIN_VARIABLE_…`), it goes
//! along for the node of `hob run` and `hob dev`, and nowhere else.

use super::note::Notes;
use crate::manifest::{Function, Written};
use crate::name::SecretName;
use std::collections::{BTreeMap, BTreeSet};

/// How the reason of a secret begins.
pub(super) const WHY: &str = "its value ";

/// Variables of a function: those with a value, and those whose value is a secret, with the line and the reason.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    pub(super) values: BTreeMap<String, String>,
    pub(super) secrets: BTreeMap<String, Kept>,
}

/// A variable whose value is kept elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) line: usize,
    /// The setting, for messages.
    pub(super) setting: String,
    /// Where its value is: the end of a sentence that begins with [`WHY`].
    pub(super) why: String,
    /// The value, where this machine knows it.
    pub(super) value: Option<String>,
}

impl Environment {
    /// Sets a value, which takes the place of a secret.
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.secrets.remove(name);
        self.values.insert(name.to_owned(), value.into());
    }

    /// A secret, which takes the place of a value.
    pub(super) fn keep(&mut self, name: &str, kept: Kept) {
        self.values.remove(name);
        self.secrets.insert(name.to_owned(), kept);
    }

    /// Gives the function its variables; `line` is that of the values.
    pub(super) fn give(self, function: &mut Function, line: usize, notes: &mut Notes) {
        function.env = Some(Written { value: self.values, line });
        for (name, kept) in self.secrets {
            self::give(function, &name, kept, notes);
        }
    }
}

/// The function names a secret.
pub(super) fn give(function: &mut Function, name: &str, kept: Kept, notes: &mut Notes) {
    let Ok(secret) = SecretName::new(name) else {
        let why = format!("{WHY}{}, and `{name}` is no name of a secret: use another one", kept.why);
        notes.refuse(kept.line, &kept.setting, why);
        return;
    };
    let written = function.secrets.get_or_insert(Written { value: BTreeSet::new(), line: kept.line });
    written.value.insert(secret.clone());
    let why = format!("{WHY}{}: it is a secret here, set with `hob secret set APP {secret}`", kept.why);
    notes.warn(kept.line, &kept.setting, why);
    if let Some(value) = kept.value {
        notes.knows(secret, value, kept.line, &kept.setting);
    }
}
