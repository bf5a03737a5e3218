//! Manifests of other platforms on disk: found, read, translated.
//!
//! **Not here:** what they mean (`hob_core::foreign`).

use super::shown;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::foreign::{self, DIALECTS, Dialect, Given, Imported};
use hob_core::limit::MANIFEST_BYTES_MAX;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A manifest of another platform.
#[derive(Clone, Copy)]
pub(crate) struct Foreign {
    dialect: &'static Dialect,
}

impl std::fmt::Debug for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.dialect.name)
    }
}

impl PartialEq for Foreign {
    fn eq(&self, other: &Self) -> bool {
        self.dialect.name == other.dialect.name
    }
}

impl Eq for Foreign {}

impl Foreign {
    /// The manifest in a folder, if there is one.
    ///
    /// # Errors
    /// `HOB-0122` when there are several.
    pub(crate) fn in_folder(dir: &Path) -> Result<Option<(Self, PathBuf)>> {
        let mut found: Vec<(Self, PathBuf)> = Vec::new();
        for name in DIALECTS.iter().flat_map(|dialect| dialect.files) {
            let file = dir.join(name);
            if !found.iter().any(|(_, known)| *known == file)
                && let Some(foreign) = Self::of_file(&file)
            {
                found.push((foreign, file));
            }
        }
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            all => {
                let names: Vec<String> = all.iter().map(|(_, file)| format!("`{}`", shown(file))).collect();
                Err(Fault::new(
                    Code::ForeignAmbiguous,
                    format!("there are {} manifests of other platforms: {}", all.len(), names.join(", ")),
                )
                .at(shown(dir))
                .hint("name the one that is meant, or write a `hob.toml`"))
            }
        }
    }

    /// What a file is; `None` when it is no manifest that Hob understands.
    pub(crate) fn of_file(file: &Path) -> Option<Self> {
        let name = file.file_name()?.to_str()?;
        let size = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file)?.len();
        if !foreign::may_be_manifest(name) {
            return None;
        }
        // A text that is too large is of the dialect with such a name, and refused when it is read.
        let text = if size > MANIFEST_BYTES_MAX as u64 {
            String::new()
        } else {
            std::fs::read_to_string(file).ok()?
        };
        let dialect = match text.is_empty() {
            true => DIALECTS.iter().find(|dialect| dialect.files.contains(&name)),
            false => foreign::recognise(name, &text),
        };
        dialect.map(|dialect| Self { dialect })
    }

    /// Reads and translates it. `name` is what the app is called when it does not say so itself.
    ///
    /// # Errors
    /// `HOB-0108` when it cannot be read, `HOB-0109` when it is too large, `HOB-0120` for a mistake in it.
    pub(crate) fn read(self, file: &Path, name: &str, values: &BTreeMap<String, String>) -> Result<Imported> {
        self.translated(file, name, values, foreign::translate)
    }

    /// The same for a file that others may read.
    ///
    /// # Errors
    /// Those of [`Foreign::read`].
    pub(crate) fn read_to_write(
        self,
        file: &Path,
        name: &str,
        values: &BTreeMap<String, String>,
    ) -> Result<Imported> {
        self.translated(file, name, values, foreign::translate_to_write)
    }

    fn translated(
        self,
        file: &Path,
        name: &str,
        values: &BTreeMap<String, String>,
        translate: fn(&Dialect, &str, &str, &Given) -> Result<Imported>,
    ) -> Result<Imported> {
        let place = shown(file);
        let unreadable = |error: &dyn std::fmt::Display| {
            Fault::new(Code::FileMissing, format!("cannot read `{place}`: {error}"))
        };
        let size = std::fs::metadata(file).map_err(|error| unreadable(&error))?.len();
        // More is not read; the first byte over the limit is enough to refuse it.
        let mut text = String::new();
        let mut source = std::io::Read::take(
            std::fs::File::open(file).map_err(|error| unreadable(&error))?,
            size.min(MANIFEST_BYTES_MAX as u64 + 1),
        );
        std::io::Read::read_to_string(&mut source, &mut text).map_err(|error| unreadable(&error))?;
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let (name, values) = (name.to_owned(), values.clone());
        let given = Given { name, values, environment: environment.collect(), hidden: false };
        translate(self.dialect, &text, &place, &given)
    }
}

/// Every file that is looked for, for hints; one that several dialects look for is named once.
pub(crate) fn names() -> String {
    let mut names: Vec<String> = Vec::new();
    for name in DIALECTS.iter().flat_map(|dialect| dialect.files).map(|name| format!("`{name}`")) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}
