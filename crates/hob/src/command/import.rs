//! `hob import`: a manifest of another platform becomes a `hob.toml`.

use super::{Command, DONE};
use crate::output::Output;
use crate::project::{Foreign, foreign_names, shown};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::foreign::{self, Level, Note};
use hob_core::manifest::FILE_NAME;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Write the `hob.toml` that says the same as a manifest of another platform. What Hob cannot honour stands in it as
/// comments with the line and the reason; those that begin with `TO DECIDE` keep `hob run` and `hob deploy` from taking
/// the other manifest as it is.
#[derive(clap::Args)]
pub(super) struct Import {
    /// The manifest, or its folder
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Write the text to stdout, and no file
    #[arg(long)]
    stdout: bool,
    /// Write over a `hob.toml` that is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    values: Values,
}

/// What a manifest of another platform asks for that is not in it.
#[derive(clap::Args)]
pub(super) struct Values {
    /// Value of a parameter (SAM), an option such as `stage` (Serverless) or `env` (Wrangler)
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    values: Vec<(String, String)>,
}

impl Values {
    /// By their names.
    pub(super) fn by_name(&self) -> BTreeMap<String, String> {
        self.values.iter().cloned().collect()
    }
}

#[derive(Serialize)]
struct Done<'a> {
    dialect: &'a str,
    file: &'a str,
    written: Option<String>,
    manifest: &'a str,
    notes: &'a [Note],
}

impl Command for Import {
    async fn run(self, output: &Output) -> Result<u8> {
        let values = self.values.by_name();
        let (foreign, file) = find(&self.path)?;
        let dir = file.parent().unwrap_or_else(|| Path::new("/"));
        let target = dir.join(FILE_NAME);
        if !self.stdout && !self.force && target.exists() {
            return Err(Fault::new(Code::ImportExists, format!("`{}` is there already", shown(&target)))
                .hint("write over it with `--force`, or see the text with `--stdout`"));
        }
        let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let imported = foreign.read_to_write(&file, &name, &values)?;
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = foreign::write(&imported, &name);
        if !self.stdout {
            std::fs::write(&target, &text).map_err(|error| {
                Fault::new(Code::FileMissing, format!("cannot write `{}`: {error}", shown(&target)))
            })?;
        }
        let written = (!self.stdout).then(|| shown(&target));
        let shown_file = shown(&file);
        let result = Done {
            dialect: imported.dialect,
            file: &shown_file,
            written: written.clone(),
            manifest: &text,
            notes: &imported.notes,
        };
        output.result(&result, &written.iter().cloned().collect::<Vec<_>>(), |_| match &written {
            None => text.trim_end().to_owned(),
            Some(written) => summary(written, &imported.notes),
        });
        Ok(DONE)
    }
}

fn summary(written: &str, notes: &[Note]) -> String {
    let count = |level: Level| notes.iter().filter(|note| note.level == level).count();
    let mut text = format!("wrote `{written}`");
    for (count, what) in [(count(Level::Refused), "to decide"), (count(Level::Warning), "to know")] {
        if count > 0 {
            text.push_str(&format!("\n{count} {what}: see the comments in it"));
        }
    }
    text
}

/// The manifest at a path, also beside a `hob.toml`.
fn find(path: &Path) -> Result<(Foreign, PathBuf)> {
    let absolute = std::fs::canonicalize(path).map_err(|error| {
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => format!("`{}` does not exist", path.display()),
            _ => format!("cannot read `{}`: {error}", path.display()),
        };
        Fault::new(Code::FileMissing, message)
    })?;
    let found = match absolute.is_dir() {
        true => Foreign::in_folder(&absolute)?,
        false => Foreign::of_file(&absolute).map(|foreign| (foreign, absolute.clone())),
    };
    found.ok_or_else(|| {
        let message = format!("`{}` is or has no manifest of another platform", path.display());
        Fault::new(Code::NothingToRun, message).hint(format!("Hob understands {}", foreign_names()))
    })
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
