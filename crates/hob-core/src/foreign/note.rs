//! What of a foreign manifest cannot be honoured: where it stands, and why.
//!
//! **Why.** A setting that is dropped in silence is a security hole or an outage in waiting. So every key of
//! a foreign manifest is taken, or ends up here.
//!
//! **How.** A note *refuses* when the app would otherwise run as nobody has written it: open where it was
//! closed, called by other events, or without its code. It *warns* when something is missing around it.

use super::source::Lines;
use crate::code::Code;
use crate::fault::Fault;
use crate::limit::FOREIGN_NOTES_MAX;
use crate::name::{FunctionName, SecretName};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How much hangs on a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The app is not run before somebody has decided.
    Refused,
    /// The app runs without it.
    Warning,
}

/// One thing that cannot be honoured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Note {
    /// The manifest, as messages name it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The setting, such as `Resources.Hello.Properties.VpcConfig`.
    pub setting: String,
    /// Why: one sentence without a period.
    pub why: String,
    /// How much hangs on it.
    pub level: Level,
    /// The function that it is about; `None`: the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionName>,
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: `{}`: {}", self.file, self.line, self.setting, self.why)
    }
}

/// The error for what refuses; `None` when nothing does.
pub fn refusal(notes: &[Note]) -> Option<Fault> {
    let refused: Vec<&Note> = notes.iter().filter(|note| note.level == Level::Refused).collect();
    let first = refused.first()?;
    let place = |note: &Note| match note.file == first.file {
        true => format!("line {}", note.line),
        false => format!("`{}` line {}", note.file, note.line),
    };
    let each: Vec<String> =
        refused.iter().map(|note| format!("{}, `{}`: {}", place(note), note.setting, note.why)).collect();
    let things =
        if refused.len() == 1 { "something".to_owned() } else { format!("{} things", refused.len()) };
    let message = format!("`{}` asks for {things} that Hob cannot honour: {}", first.file, each.join("; "));
    Some(
        Fault::new(Code::ForeignUnmet, message)
            .at(format!("{}:{}", first.file, first.line))
            .hint("`hob import` writes the rest as `hob.toml`, with these as comments to decide on"),
    )
}

/// Collects notes while a manifest is walked.
#[derive(Debug)]
pub(super) struct Notes {
    file: String,
    /// Where each file begins.
    pub(super) lines: Lines,
    function: Option<FunctionName>,
    all: Vec<Note>,
    /// Files that are needed and were not given, by their path from the manifest's folder.
    pub(super) wanted: BTreeSet<String>,
    /// Values of secrets that this machine knows.
    pub(super) secrets: BTreeMap<SecretName, String>,
}

impl Notes {
    pub(super) fn of(file: &str, lines: Lines) -> Self {
        Self {
            file: file.to_owned(),
            lines,
            function: None,
            all: Vec::new(),
            wanted: BTreeSet::new(),
            secrets: BTreeMap::new(),
        }
    }

    /// The value of a secret is known. Secrets belong to the app, so that two functions cannot have two values by one name.
    pub(super) fn knows(&mut self, name: SecretName, value: String, line: usize, setting: &str) {
        let known = self.secrets.entry(name.clone()).or_insert_with(|| value.clone());
        if *known != value {
            let why = format!("the app has one secret `{name}`, and this is another value than before");
            self.refuse(line, setting, why);
        }
    }

    /// What follows is about this function, or about the app.
    pub(super) fn about(&mut self, function: Option<&FunctionName>) {
        self.function = function.cloned();
    }

    pub(super) fn refuse(&mut self, line: usize, setting: &str, why: impl Into<String>) {
        self.add(Level::Refused, line, setting, why.into());
    }

    pub(super) fn warn(&mut self, line: usize, setting: &str, why: impl Into<String>) {
        self.add(Level::Warning, line, setting, why.into());
    }

    pub(super) fn add(&mut self, level: Level, line: usize, setting: &str, why: String) {
        let (file, setting, function) = (self.file.clone(), setting.to_owned(), self.function.clone());
        let note = match self.all.len() {
            0..FOREIGN_NOTES_MAX => Note { file, line, setting, why, level, function },
            FOREIGN_NOTES_MAX => {
                let why = format!("there is more than the {FOREIGN_NOTES_MAX} things that are listed");
                Note { file, line, setting, why, level: Level::Refused, function: None }
            }
            _ => return,
        };
        if !self.all.contains(&note) {
            self.all.push(note);
        }
    }

    /// How many refuse so far: what was refused meanwhile is not put into force by an import either.
    pub(super) fn refused(&self) -> usize {
        self.all.iter().filter(|note| note.level == Level::Refused).count()
    }

    /// The file for messages.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// All of them, in order of lines.
    pub(super) fn end(&mut self) -> Vec<Note> {
        self.all.sort_by_key(|note| note.line);
        std::mem::take(&mut self.all)
    }
}
