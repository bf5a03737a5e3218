//! What a manifest may ask for that is not in it: options, the environment, files beside it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What a manifest may ask for that is not in it.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// What the app is called when the manifest does not say it.
    pub name: String,
    /// Values for parameters (SAM) and options (`stage` of Serverless, `env` of Wrangler), by name.
    pub values: Values,
    /// The environment, for those dialects that read it.
    pub environment: BTreeMap<String, String>,
    /// Files that the manifest names, by their path from its folder; `None` when there is no such file.
    pub files: BTreeMap<String, Option<String>>,
    /// What comes from the environment is [`super::HIDDEN`] with its name instead, and what is not to be shown a secret.
    pub hidden: bool,
}

impl Given {
    /// The same, of which nothing has been asked for.
    pub(super) fn afresh(&self) -> Self {
        let values = Values { all: self.values.all.clone(), asked: Rc::default() };
        Self { values, ..self.clone() }
    }
}

/// Values by name, which know what was asked for: a name that nothing asks for is a mistake that somebody has to hear of.
#[derive(Clone, Debug, Default)]
pub struct Values {
    all: BTreeMap<String, String>,
    asked: Rc<RefCell<BTreeSet<String>>>,
}

impl Values {
    /// A value.
    pub(super) fn get(&self, name: &str) -> Option<&String> {
        self.asked.borrow_mut().insert(name.to_owned());
        self.all.get(name)
    }

    /// Sets a value that nobody gave.
    pub(super) fn or_set(&mut self, name: &str, value: &str) {
        self.asked.borrow_mut().insert(name.to_owned());
        self.all.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }

    /// What was given and never asked for.
    pub(super) fn unused(&self) -> Vec<String> {
        let asked = self.asked.borrow();
        self.all.keys().filter(|name| !asked.contains(*name)).cloned().collect()
    }
}

impl FromIterator<(String, String)> for Values {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(all: I) -> Self {
        Self { all: all.into_iter().collect(), asked: Rc::default() }
    }
}
