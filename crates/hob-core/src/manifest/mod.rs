//! `hob.toml`: a person's text becomes a checked description with every default filled in.
//!
//! **Why.** What was written, what was detected and what is a default are three things that people
//! ask about (`hob show --resolved`), so they stay apart until the last step.
//!
//! **How.** Four steps, each a pure function:
//!
//! ```text
//! text -- parse --> Manifest -- resolve (per function) --> Resolved -- assemble --> AppSpec
//!                                     ^ what the file is                    '-- check --> deployed
//! ```
//!
//! [`key`] is the one table of keys: the reader, the hints and `docs/reference/manifest.md` come
//! from it. [`check()`] is run again by the node on what clients send.
//!
//! **Not here:** reading files, looking at binaries, building (the program's work), and the settings
//! of a contract, which its row checks.

mod check;
pub mod key;
mod provisioned;
mod resolve;
mod trigger;
mod value;
mod watch;
mod words;

pub use check::check;
pub use resolve::{Detected, Origin, Resolved, assemble, resolve};
pub use trigger::{Asynchronous, On, Retry, Topic};
pub use watch::{Alert, Budget};
pub(crate) use words::split as split_words;

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit::MANIFEST_BYTES_MAX;
use crate::name::{AppName, FunctionName, SecretName};
use crate::spec::Provisioned;
use crate::unit::show_bytes_over;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use value::Item;

/// The name of a manifest in its folder.
pub const FILE_NAME: &str = "hob.toml";

/// A manifest as it was written: every setting is optional and knows its line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// The file's name for messages, such as `hob.toml`; empty when there is no file.
    pub file: String,
    /// The app's name.
    pub app: Option<Written<AppName>>,
    /// The functions, in the order of the file.
    pub functions: Vec<Function>,
    /// What else causes calls, in the order of the file.
    pub triggers: Vec<On>,
    /// What topics keep.
    pub topics: Vec<Topic>,
    /// What the app may use.
    pub budget: Option<Budget>,
    /// When somebody is told, in the order of the file.
    pub alerts: Vec<Alert>,
}

/// A value and the line on which it was written (1 is the first; 0: not in a file).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written<T> {
    /// The value.
    pub value: T,
    /// The line.
    pub line: usize,
}

/// One `[functions.<name>]`. What each field means stands in [`key::FUNCTION`].
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the table of keys documents them, for people too")]
pub struct Function {
    /// Its name.
    pub name: FunctionName,
    /// The line of its name.
    pub line: usize,
    pub run: Option<Written<Vec<String>>>,
    pub host: Option<Written<String>>,
    pub contract: Option<Written<String>>,
    pub build: Option<Written<String>>,
    pub dir: Option<Written<String>>,
    pub files: Option<Written<Vec<String>>>,
    pub route: Option<Written<Vec<String>>>,
    pub private: Option<Written<bool>>,
    pub timeout: Option<Written<Duration>>,
    pub memory: Option<Written<u64>>,
    pub cpu: Option<Written<u32>>,
    pub body: Option<Written<u64>>,
    pub env: Option<Written<BTreeMap<String, String>>>,
    pub secrets: Option<Written<BTreeSet<SecretName>>>,
    pub egress: Option<Written<Vec<String>>>,
    pub scale: Scale,
    pub asynchronous: Asynchronous,
    pub budget: Option<Budget>,
    /// Sub-tables that are not keys: settings of a contract, by its name.
    pub settings: BTreeMap<String, Written<serde_json::Map<String, serde_json::Value>>>,
}

/// `scale` of a function. What each field means stands in [`key::SCALE`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table of keys documents them, for people too")]
pub struct Scale {
    pub min: Option<Written<u32>>,
    pub max: Option<Written<u32>>,
    pub concurrency: Option<Written<u32>>,
    pub idle: Option<Written<Duration>>,
    pub calls: Option<Written<u32>>,
    pub provisioned: Option<Written<Vec<Provisioned>>>,
}

impl Function {
    /// A function of which nothing is written but its name.
    pub fn new(name: FunctionName) -> Self {
        Self {
            name,
            line: 0,
            run: None,
            host: None,
            contract: None,
            build: None,
            dir: None,
            files: None,
            route: None,
            private: None,
            timeout: None,
            memory: None,
            cpu: None,
            body: None,
            env: None,
            secrets: None,
            egress: None,
            scale: Scale::default(),
            asynchronous: Asynchronous::default(),
            budget: None,
            settings: BTreeMap::new(),
        }
    }
}

/// Reads a manifest. `file` names it in messages.
///
/// # Errors
/// `HOB-0101` for text that is not TOML, `HOB-0102` for an unknown key, `HOB-0103` for a value of the
/// wrong kind, `HOB-0104` for a bad name, `HOB-0109` when the text is too large. All name the line.
pub fn parse(text: &str, file: &str) -> Result<Manifest> {
    if text.len() > MANIFEST_BYTES_MAX {
        let (size, limit) = show_bytes_over(text.len() as u64, MANIFEST_BYTES_MAX as u64);
        return Err(Fault::new(
            Code::SettingOverLimit,
            format!("the manifest has {size}, the limit is {limit}"),
        )
        .at(file));
    }
    let root = toml::de::DeTable::parse(text).map_err(|error| syntax(text, file, &error))?;
    let mut manifest = Manifest { file: file.to_owned(), ..Manifest::default() };
    for item in value::entries(text, file, "", root.get_ref()) {
        key::read(key::APP, &mut manifest, &item)?;
    }
    Ok(manifest)
}

fn syntax(text: &str, file: &str, error: &toml::de::Error) -> Fault {
    let line = error.span().map_or(1, |span| value::line_of(text, span.start));
    let why = error.message().lines().collect::<Vec<_>>().join(", ");
    Fault::new(Code::ManifestSyntax, format!("the manifest is not valid TOML: {why}"))
        .at(format!("{file}:{line}"))
        .hint("https://toml.io/en/v1.0.0 describes the format")
}

fn read_functions(manifest: &mut Manifest, item: &Item<'_>) -> Result<()> {
    for entry in item.entries()? {
        let name = FunctionName::new(entry.key).map_err(|fault| fault.at(entry.place()))?;
        let mut function = Function { line: entry.line, ..Function::new(name) };
        for item in entry.entries()? {
            if item.is_table() && !key::FUNCTION.iter().any(|key| key.doc.name == item.key) {
                function.settings.insert(item.key.to_owned(), item.settings()?);
            } else {
                key::read(key::FUNCTION, &mut function, &item)?;
            }
        }
        manifest.functions.push(function);
    }
    Ok(())
}

fn read_scale(function: &mut Function, item: &Item<'_>) -> Result<()> {
    item.entries()?.iter().try_for_each(|entry| key::read(key::SCALE, &mut function.scale, entry))
}

#[cfg(test)]
mod tests;
