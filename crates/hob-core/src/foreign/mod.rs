//! Manifests of other platforms, taken as they are: text becomes the same model that `hob.toml` becomes.
//!
//! **Why.** A function that was written for another platform has a manifest already. What of it cannot be
//! honoured is told by its line, and never dropped in silence.
//!
//! **How.** [`DIALECTS`] has a row for each. A row says which files are looked for, whether a text is meant,
//! and translates it into a [`Manifest`] whose lines are the other file's, so that `hob show --resolved`
//! and every error name them. [`translate`] is pure: variables of the environment come in by [`Given`], and files
//! that the manifest names are asked for ([`Imported::wanted`]) and given to the next attempt.
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
mod dotenv;
mod event_pattern;
mod fields;
mod given;
mod knative;
mod lambda;
mod naming;
mod note;
mod sam;
mod secret;
mod serverless;
mod source;
mod spin;
mod text;
mod tree;
mod wrangler;
mod write;
mod yaml;

pub use given::{Given, Values};
pub use note::{Level, Note, refusal};
pub use source::{Lines, Source};
pub use write::write;

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit::MANIFEST_BYTES_MAX;
use crate::manifest::{Function, Manifest};
use crate::name::SecretName;
use crate::unit::show_bytes_over;
use note::Notes;
use std::collections::{BTreeMap, BTreeSet};
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
    /// Which file a line of the manifest is in.
    pub lines: Lines,
    /// Files that the manifest names and that were not given, by their path from its folder: with them in
    /// [`Given::files`] the next attempt knows more.
    pub wanted: BTreeSet<String>,
    /// Values that were given and that the manifest does not ask for.
    pub unused: Vec<String>,
    /// Values of secrets that this machine knows, for a node that lives as long as a command. They are never written.
    pub secrets: BTreeMap<SecretName, String>,
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

/// Whether a file belongs to a manifest in several files: all of it is resources of Kubernetes.
pub fn is_part(name: &str, text: &str) -> bool {
    match read(name, text) {
        Ok(documents) => knative::is_part(&documents),
        // Its mistake is told when it is read with the others.
        Err(_) => text.contains("knative.dev/"),
    }
}

/// The dialect of a manifest in several files; `None` when they are of several, or one cannot be read.
pub fn recognise_all(sources: &[Source]) -> Option<&'static Dialect> {
    let documents: Result<Vec<Vec<Node>>> =
        sources.iter().map(|source| read(&source.file, &source.text)).collect();
    let documents = documents.ok()?;
    match documents.as_slice() {
        [one] => DIALECTS.iter().find(|dialect| (dialect.recognise)(one)),
        all if all.iter().all(|one| knative::is_part(one)) => {
            let all = all.concat();
            DIALECTS.iter().find(|dialect| (dialect.recognise)(&all))
        }
        _ => None,
    }
}

/// What stands in other files beside a manifest and calls its functions, but was not named with it.
pub fn left_out(sources: &[Source], others: &[Source]) -> Vec<Note> {
    let parse = |source: &Source| read(&source.file, &source.text).unwrap_or_default();
    let own: Vec<Node> = sources.iter().flat_map(parse).collect();
    others.iter().flat_map(|other| knative::left_out(&own, &parse(other), &other.file)).collect()
}

/// Translates a manifest; all but the dialect of Knative have one source.
///
/// # Errors
/// `HOB-0109` when it is too large, `HOB-0120` when it cannot be read. What cannot be honoured is no error
/// here but a note.
pub fn translate(dialect: &Dialect, sources: &[Source], given: &Given) -> Result<Imported> {
    let mut imported = translated(dialect, sources, given)?;
    settle(&mut imported);
    Ok(imported)
}

/// The same, with lines in notes that count on from file to file.
fn translated(dialect: &Dialect, sources: &[Source], given: &Given) -> Result<Imported> {
    let (lines, given) = (Lines::of(sources, &given.files), given.afresh());
    let mut documents = Vec::new();
    for source in sources {
        let before = lines.before(&source.file);
        documents.extend(read(&source.file, &source.text)?.into_iter().map(|mut document| {
            source::moved(&mut document, before);
            document
        }));
    }
    let file = sources.first().map_or("", |first| &first.file);
    let mut notes = Notes::of(file, lines.clone());
    let manifest = (dialect.translate)(&documents, &given, &mut notes);
    let mut manifest = manifest.map_err(|fault| lines.corrected(fault))?;
    file.clone_into(&mut manifest.file);
    let (all, wanted) = (notes.end(), std::mem::take(&mut notes.wanted));
    let (unused, secrets) = (given.values.unused(), notes.secrets);
    Ok(Imported { dialect: dialect.name, manifest, notes: all, lines, wanted, unused, secrets })
}

/// The same for a file that others may read: what nobody is meant to see becomes a secret, variables whose values come from
/// the environment have a placeholder, and a note says so.
///
/// # Errors
/// Those of [`translate`].
pub fn translate_to_write(dialect: &Dialect, sources: &[Source], given: &Given) -> Result<Imported> {
    let mut imported = translated(dialect, sources, given)?;
    let masked = translated(dialect, sources, &Given { hidden: true, ..given.clone() })?;
    for function in &mut imported.manifest.functions {
        let Some(other) = masked.manifest.functions.iter().find(|other| other.name == function.name) else {
            continue;
        };
        mask(function, other, &mut imported.notes);
    }
    for note in masked.notes {
        // The reasons of secrets that are secrets in what is written alone.
        if !imported.notes.contains(&note) && note.why.starts_with(secret::WHY) {
            imported.notes.push(note);
        }
    }
    imported.notes.sort_by_key(|note| note.line);
    settle(&mut imported);
    Ok(imported)
}

/// Notes whose lines count on get the file of each.
fn settle(imported: &mut Imported) {
    for note in &mut imported.notes {
        let (file, line) = imported.lines.place(note.line);
        (note.file, note.line) = (file.to_owned(), line);
    }
}

/// Gives a function what another translation of it may show.
fn mask(function: &mut Function, masked: &Function, notes: &mut Vec<Note>) {
    let mut hide = |line: usize, setting: String| {
        notes.push(Note {
            file: String::new(),
            line,
            setting,
            why: "its value comes from the environment, so it is not written here: set it".to_owned(),
            level: Level::Warning,
            function: Some(function.name.clone()),
        });
    };
    let secret = |name: &str| masked.secrets.as_ref().is_some_and(|all| all.value.contains(name));
    if let Some(env) = &mut function.env {
        env.value.retain(|name, _| !secret(name));
        for (name, value) in &mut env.value {
            let shown = masked.env.as_ref().and_then(|env| env.value.get(name)).cloned();
            let shown = shown.unwrap_or_else(|| format!("{HIDDEN}{name}"));
            if shown != *value {
                *value = shown;
                hide(env.line, format!("env.{name}"));
            }
        }
    }
    for (contract, settings) in &mut function.settings {
        let Some(shown) = masked.settings.get(contract).filter(|shown| shown.value != settings.value) else {
            continue;
        };
        settings.value.clone_from(&shown.value);
        hide(settings.line, contract.clone());
    }
    function.secrets.clone_from(&masked.secrets);
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
