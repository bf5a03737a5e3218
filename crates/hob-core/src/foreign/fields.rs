//! The keys of one map: taken one by one, and what is left at the end becomes notes.
//!
//! **Why.** That nothing is ignored in silence must not depend on anybody's care: [`Fields::end`] goes
//! through every key that was not taken.
//!
//! **How.** Reasons for known keys stand in tables of [`Reason`] beside each dialect; keys in none of them
//! are warned about too.

use super::note::{Level, Notes};
use super::secret::{Environment, Kept};
use super::tree::{Entry, Node};
use crate::manifest::Written;

/// Why a key of the other platform cannot be honoured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reason {
    pub(super) key: &'static str,
    pub(super) level: Option<Level>,
    pub(super) why: &'static str,
}

/// The app is not run with this key.
pub(super) const fn refuse(key: &'static str, why: &'static str) -> Reason {
    Reason { key, level: Some(Level::Refused), why }
}

/// The app runs without it.
pub(super) const fn warn(key: &'static str, why: &'static str) -> Reason {
    Reason { key, level: Some(Level::Warning), why }
}

/// It is for people, or holds here anyway: there is nothing to honour.
pub(super) const fn met(key: &'static str) -> Reason {
    Reason { key, level: None, why: "" }
}

/// The keys of one map while they are read.
pub(super) struct Fields<'n> {
    /// The line of the map.
    pub(super) line: usize,
    path: String,
    entries: &'n [Entry],
    taken: Vec<bool>,
}

impl<'n> Fields<'n> {
    /// The keys of a map; anything else is refused and counts as empty.
    pub(super) fn of(node: &'n Node, path: &str, notes: &mut Notes) -> Self {
        let entries = node.entries().unwrap_or_else(|| {
            wrong(node, path, "a map", notes);
            &[]
        });
        Self { line: node.line, path: path.to_owned(), entries, taken: vec![false; entries.len()] }
    }

    /// The path of a key, for messages.
    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Takes a key.
    pub(super) fn take(&mut self, key: &str) -> Option<&'n Entry> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        self.taken[at] = true;
        Some(&self.entries[at])
    }

    /// Takes the first key that is there.
    pub(super) fn take_any(&mut self, keys: &[&str]) -> Option<&'n Entry> {
        keys.iter().find_map(|key| self.take(key))
    }

    /// Takes a map below a key.
    pub(super) fn fields(&mut self, key: &str, notes: &mut Notes) -> Option<Fields<'n>> {
        let entry = self.take(key)?;
        Some(Fields::of(&entry.value, &self.path(key), notes))
    }

    /// Takes every key that is left.
    pub(super) fn others(&mut self) -> Vec<&'n Entry> {
        let left: Vec<usize> = (0..self.entries.len()).filter(|at| !self.taken[*at]).collect();
        left.into_iter()
            .map(|at| {
                self.taken[at] = true;
                &self.entries[at]
            })
            .collect()
    }

    pub(super) fn text(&mut self, key: &str, notes: &mut Notes) -> Option<Written<String>> {
        let entry = self.take(key)?;
        match entry.value.text() {
            Some(text) => Some(Written { value: text.to_owned(), line: entry.line }),
            None => {
                wrong(&entry.value, &self.path(key), "text", notes);
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, key: &str, notes: &mut Notes) -> Option<Written<bool>> {
        let entry = self.take(key)?;
        match entry.value.boolean() {
            Some(value) => Some(Written { value, line: entry.line }),
            None => {
                wrong(&entry.value, &self.path(key), "true or false", notes);
                None
            }
        }
    }

    pub(super) fn number(&mut self, key: &str, notes: &mut Notes) -> Option<Written<u32>> {
        let entry = self.take(key)?;
        match entry.value.text().and_then(|text| text.parse().ok()) {
            Some(value) => Some(Written { value, line: entry.line }),
            None => {
                wrong(&entry.value, &self.path(key), "a whole number", notes);
                None
            }
        }
    }

    /// Text, or a list of texts.
    pub(super) fn list(&mut self, key: &str, notes: &mut Notes) -> Option<Written<Vec<String>>> {
        let entry = self.take(key)?;
        let texts = match entry.value.text() {
            Some(text) => Some(vec![text.to_owned()]),
            None => entry
                .value
                .list()
                .map(|items| items.iter().filter_map(Node::text).map(str::to_owned).collect()),
        };
        let whole = entry.value.list().is_none_or(|items| items.iter().all(|item| item.text().is_some()));
        if texts.is_none() || !whole {
            wrong(&entry.value, &self.path(key), "a list of texts", notes);
        }
        texts.map(|value| Written { value, line: entry.line })
    }

    /// Notes for what was not taken: the reason of the tables, or that nothing is known of it.
    pub(super) fn end(mut self, reasons: &[&[Reason]], notes: &mut Notes) {
        for entry in self.others() {
            let path = self.path(&entry.key);
            match reasons.iter().copied().flatten().find(|reason| reason.key == entry.key) {
                Some(Reason { level: Some(level), why, .. }) => {
                    notes.add(*level, entry.line, &path, (*why).to_owned());
                }
                Some(_) => {}
                None => notes.warn(entry.line, &path, "Hob does not know this setting"),
            }
        }
    }
}

/// Environment variables: those without a value are left out with a warning, those that are kept elsewhere are secrets.
pub(super) fn texts(entry: &Entry, path: &str, into: &mut Environment, notes: &mut Notes) {
    let Some(entries) = entry.value.entries() else {
        wrong(&entry.value, path, "a map of texts", notes);
        return;
    };
    for one in entries {
        let path = format!("{path}.{}", one.key);
        match (one.value.text(), one.value.unknown()) {
            (Some(text), _) => into.set(&one.key, text),
            (None, Some(unknown)) if unknown.secret => {
                let (setting, why) = (path, unknown.why.clone());
                into.keep(&one.key, Kept { line: one.line, setting, why, value: None });
            }
            (None, Some(unknown)) => {
                notes.warn(one.line, &path, format!("the variable is not set: {}", unknown.why));
            }
            (None, None) if one.value.is_null() => into.set(&one.key, ""),
            (None, None) => wrong(&one.value, &path, "text", notes),
        }
    }
}

/// Refuses a value of the wrong kind, or one that is not known.
pub(super) fn wrong(node: &Node, path: &str, wanted: &str, notes: &mut Notes) {
    match node.first_unknown() {
        Some((at, unknown)) if unknown.secret => {
            notes.refuse(
                at.line,
                path,
                format!("a value that {} can be an environment variable only", unknown.why),
            );
        }
        Some((at, unknown)) => notes.refuse(at.line, path, unknown.why.clone()),
        None => notes.refuse(node.line, path, format!("is {}, but has to be {wanted}", node.kind())),
    }
}
