//! Functions whose folder is a zip archive, and layers: unpacked into folders that live as long as the project.
//!
//! **How.** `dir = "function.zip"` is the function's folder; `run = "function.zip"` is the same, and what runs is
//! what such a folder runs. Layers of AWS Lambda are laid into the package's folder `opt`, in their order.

use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::manifest::Function;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The ending of archives.
const ENDING: &str = ".zip";
/// The folder of a package in which layers are.
pub(super) const LAYERS: &str = "opt/";

/// What a function's archive is, if its folder is one: a path below `dir`.
pub(super) fn named(function: &Function, dir: &Path) -> Option<String> {
    let written = function.dir.as_ref().map(|written| written.value.as_str());
    let run = function.run.as_ref().and_then(|run| run.value.first()).map(String::as_str);
    let archive = |path: &&str| path.ends_with(ENDING) && dir.join(path).is_file();
    written.filter(archive).or_else(|| run.filter(archive)).map(str::to_owned)
}

/// The function whose folder is the archive: what it says of the archive itself is taken out.
pub(super) fn inside(function: &Function) -> Function {
    let mut function = function.clone();
    if let Some(run) = &mut function.run
        && run.value.first().is_some_and(|first| first.ends_with(ENDING))
    {
        run.value.remove(0);
    }
    function.run = function.run.filter(|run| !run.value.is_empty());
    function
}

/// A new folder with what an archive holds.
///
/// # Errors
/// As [`hob_node::archive::unpack`].
pub(super) fn open(archive: &Path) -> Result<TempDir> {
    let folder = tempfile::tempdir().map_err(|error| {
        Fault::new(Code::MachineLacks, format!("there is no folder to unpack into: {error}"))
    })?;
    hob_node::archive::unpack(archive, folder.path()).map_err(|fault| fault.at(super::shown(archive)))?;
    Ok(folder)
}

/// The layers that a function names, in order; each a folder or an archive.
///
/// # Errors
/// `HOB-0103` when they are no paths, `HOB-0108` when there is nothing.
pub(super) fn layers(function: &Function, dir: &Path) -> Result<Vec<PathBuf>> {
    let Some(settings) = function.settings.get("lambda") else { return Ok(Vec::new()) };
    let Some(layers) = settings.value.get("layers") else { return Ok(Vec::new()) };
    let wrong = || {
        Fault::new(
            Code::ManifestValue,
            format!("`layers` of function `{}` cannot be `{layers}`", function.name),
        )
        .hint("write a list of folders and zip archives, such as `[\"layer.zip\"]`")
    };
    let paths: Vec<&str> = layers.as_array().ok_or_else(wrong)?.iter().filter_map(Value::as_str).collect();
    if layers.as_array().is_some_and(|all| all.len() != paths.len()) {
        return Err(wrong());
    }
    let found = paths.into_iter().map(|path| {
        let place = dir.join(path);
        if place.is_dir() || place.is_file() {
            return Ok(place);
        }
        Err(Fault::new(
            Code::FileMissing,
            format!("the layer `{path}` of function `{}` does not exist", function.name),
        ))
    });
    found.collect()
}
