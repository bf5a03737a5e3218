//! Manifests of other platforms, taken as they are: text becomes the same model that `hob.toml` becomes.
//!
//! **Why.** A function that was written for another platform has a manifest already. What of it cannot be
//! honoured is told by its line, and never dropped in silence.
//!
//! **How.** [`DIALECTS`] has a row for each. A row says which files are looked for, whether a text is meant,
//! and translates it into a [`Manifest`] whose lines are the other file's, so that `hob show --resolved`
//! and every error name them. [`translate`] is pure: variables of the environment come in by [`Given`].
//!
//! ```text
//! text -- yaml, toml, json --> Node -- a dialect --> Manifest + notes -- manifest::resolve --> AppSpec
//!                                                       '-- manifest::write --> hob.toml
//! ```
//!
//! To add a dialect: one file, one row, a folder of cases in `crates/hob-core/tests/foreign`.
//!
//! **Not here:** reading files, and running what was read.

mod cloudformation;
mod event_pattern;
mod fields;
mod knative;
mod lambda;
mod naming;
mod note;
mod sam;
mod serverless;
mod spin;
mod text;
mod tree;
mod wrangler;
mod write;
mod yaml;

pub use note::{Level, Note, refusal};
pub use write::write;

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit::MANIFEST_BYTES_MAX;
use crate::manifest::Manifest;
use crate::unit::show_bytes_over;
use note::Notes;
use std::collections::BTreeMap;
use tree::Node;

/// A manifest of another platform that Hob understands.
pub struct Dialect {
    /// Stable name, such as `aws-sam`.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Names that are looked for in a folder, in this order.
    pub files: &'static [&'static str],
    /// What is taken over; one sentence without a period.
    pub summary: &'static str,
    /// A manifest that `hob check` takes, with the files beside it, as (path, text).
    pub example: &'static [(&'static str, &'static str)],
    /// What a text with such a name says even where it cannot be read; empty where the name says enough.
    mark: &'static str,
    recognise: fn(&[Node]) -> bool,
    translate: fn(&[Node], &Given, &mut Notes) -> Result<Manifest>,
}

/// Every dialect. Where several recognise a text, the first one is meant.
pub static DIALECTS: &[Dialect] = &[
    sam::DIALECT,
    serverless::DIALECT,
    knative::CLOUD_RUN,
    knative::DIALECT,
    spin::DIALECT,
    wrangler::DIALECT,
];

/// What a manifest may ask for that is not in it.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// What the app is called when the manifest does not say it.
    pub name: String,
    /// Values for parameters (SAM) and options (`stage` of Serverless, `env` of Wrangler), by name.
    pub values: BTreeMap<String, String>,
    /// The environment, for those dialects that read it.
    pub environment: BTreeMap<String, String>,
    /// What comes from the environment, or from a parameter that is not to be shown, is [`HIDDEN`] with its name instead.
    pub hidden: bool,
}

/// What stands before the name of a value that is not to be shown.
pub const HIDDEN: &str = "SET-ME-";

/// A translated manifest.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The dialect's name.
    pub dialect: &'static str,
    /// The same as a `hob.toml` would say; its lines are those of the other file.
    pub manifest: Manifest,
    /// What cannot be honoured, in order of lines.
    pub notes: Vec<Note>,
}

/// Which dialect a file is in. `name` is the file's name, which says how it is written.
///
/// A file that cannot be read is of the dialect that has such a name and whose mark stands in it, so that its
/// mistake is told, and a template of somebody else's `service.yaml` is left alone.
pub fn recognise(name: &str, text: &str) -> Option<&'static Dialect> {
    match read(name, text) {
        Ok(documents) => DIALECTS.iter().find(|dialect| (dialect.recognise)(&documents)),
        Err(_) => {
            DIALECTS.iter().find(|dialect| dialect.files.contains(&name) && text.contains(dialect.mark))
        }
    }
}

/// Whether a file's ending is one in which manifests are written.
pub fn may_be_manifest(name: &str) -> bool {
    matches!(name.rsplit_once('.'), Some((_, "yaml" | "yml" | "toml" | "json" | "jsonc")))
}

/// Translates a manifest. `file` names it in messages.
///
/// # Errors
/// `HOB-0109` when it is too large, `HOB-0120` when it cannot be read. What cannot be honoured is no error
/// here but a note.
pub fn translate(dialect: &Dialect, text: &str, file: &str, given: &Given) -> Result<Imported> {
    let documents = read(file, text)?;
    let mut notes = Notes::of(file);
    let mut manifest = (dialect.translate)(&documents, given, &mut notes)?;
    file.clone_into(&mut manifest.file);
    Ok(Imported { dialect: dialect.name, manifest, notes: notes.end() })
}

/// The same for a file that others may read: variables whose values come from the environment, or from parameters that
/// are not to be shown, have a placeholder, and a note says so.
///
/// # Errors
/// Those of [`translate`].
pub fn translate_to_write(dialect: &Dialect, text: &str, file: &str, given: &Given) -> Result<Imported> {
    let mut imported = translate(dialect, text, file, given)?;
    let masked = translate(dialect, text, file, &Given { hidden: true, ..given.clone() })?;
    for function in &mut imported.manifest.functions {
        let Some(env) = &mut function.env else { continue };
        let other = masked.manifest.functions.iter().find(|other| other.name == function.name);
        let other = other.and_then(|other| other.env.as_ref());
        for (name, value) in &mut env.value {
            let shown = other.and_then(|other| other.value.get(name)).cloned();
            let shown = shown.unwrap_or_else(|| format!("{HIDDEN}{name}"));
            if shown == *value {
                continue;
            }
            *value = shown;
            imported.notes.push(Note {
                file: file.to_owned(),
                line: env.line,
                setting: format!("env.{name}"),
                why: "its value comes from the environment or from a parameter with `NoEcho`, so it is not written here: set it".to_owned(),
                level: Level::Warning,
                function: Some(function.name.clone()),
            });
        }
    }
    imported.notes.sort_by_key(|note| note.line);
    Ok(imported)
}

fn read(file: &str, text: &str) -> Result<Vec<Node>> {
    if text.len() > MANIFEST_BYTES_MAX {
        let (size, limit) = show_bytes_over(text.len() as u64, MANIFEST_BYTES_MAX as u64);
        let message = format!("the manifest has {size}, the limit is {limit}");
        return Err(Fault::new(Code::SettingOverLimit, message).at(file));
    }
    match file.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "toml" => text::toml(text, file).map(|root| vec![root]),
        "json" | "jsonc" => text::json(text, file).map(|root| vec![root]),
        _ => yaml::read(text, file),
    }
}

#[cfg(test)]
mod tests;
