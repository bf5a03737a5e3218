//! `hob import`: a manifest of another platform becomes a `hob.toml`.

use super::{Command, DONE};
use crate::output::Output;
use crate::project::{Foreign, Options, shown};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::foreign::{self, Level, Note};
use hob_core::manifest::FILE_NAME;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Write the `hob.toml` that says the same as a manifest of another platform. What Hob cannot honour stands in it as
/// comments with the line and the reason; those that begin with `TO DECIDE` keep `hob run` and `hob deploy` from taking
/// the other manifest as it is.
#[derive(clap::Args)]
pub(super) struct Import {
    /// The manifest, or its folder
    ///
    /// [default: .]
    path: Option<PathBuf>,
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
    /// A further file of a Knative manifest, or a folder of them; can be repeated
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Value of a parameter (SAM), an option (Serverless) or a variable (Spin); can be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    values: Vec<(String, String)>,
    /// Environment of a Wrangler manifest; the same as `--set env=NAME`
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// Stage of a Serverless manifest; the same as `--set stage=NAME`
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
}

impl Values {
    /// Whether nothing was given.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.values.is_empty() && self.env.is_none() && self.stage.is_none()
    }

    /// The path that is meant, and the options with what was given: the first file stands for a path that is not there.
    pub(super) fn options(&self, path: Option<PathBuf>, options: Options) -> (PathBuf, Options) {
        let mut files = self.files.clone();
        let path = path.unwrap_or_else(|| match files.is_empty() {
            true => PathBuf::from("."),
            false => files.remove(0),
        });
        let named = [("env", &self.env), ("stage", &self.stage)];
        let named = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
        let values = named.chain(self.values.iter().cloned()).collect();
        (path, Options { values, files, ..options })
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
        let (path, options) = self.values.options(self.path, Options::default());
        let foreign = Foreign::find(&path, &options.files)?;
        let file = foreign.file().to_owned();
        let dir = file.parent().unwrap_or_else(|| Path::new("/"));
        let target = dir.join(FILE_NAME);
        if !self.stdout && !self.force && target.exists() {
            return Err(Fault::new(Code::ImportExists, format!("`{}` is there already", shown(&target)))
                .hint("write over it with `--force`, or see the text with `--stdout`"));
        }
        let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let imported = foreign.read_to_write(&name, &options.values)?;
        for name in &imported.unused {
            output.warn(&format!("`--set {name}=…`: `{}` asks for nothing by that name", shown(&file)));
        }
        let names = foreign.files().iter().filter_map(|file| file.file_name()?.to_str());
        let text = foreign::write(&imported, &names.collect::<Vec<_>>().join("`, `"));
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

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
