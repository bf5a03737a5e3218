//! Manifests of other platforms on disk: found, read, translated.
//!
//! **How.** Most are one file. Resources of Kubernetes may stand in several: those of a folder belong together, as
//! `kubectl apply -f FOLDER` takes them, and so do files that were named one by one. A file that was named alone is
//! taken alone, and what calls its functions from a file beside it is told. Files that a manifest names itself are
//! read when the translation asks for them.
//!
//! **Not here:** what they mean (`hob_core::foreign`).

use super::shown;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::foreign::{self, DIALECTS, Dialect, Given, Imported, Source, Values};
use hob_core::limit::{FOREIGN_FILES_MAX, MANIFEST_BYTES_MAX};
use hob_core::unit::show_bytes;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Dialects whose manifests may stand in several files.
const IN_SEVERAL: [&str; 2] = ["knative", "cloud-run"];
/// What a resource says that was written for Hob, too.
const MARK: &str = "hob.dev/";

/// A manifest of another platform.
#[derive(Clone)]
pub(crate) struct Foreign {
    dialect: &'static Dialect,
    files: Vec<PathBuf>,
    /// Whether one file was named, and not its folder.
    alone: bool,
}

impl std::fmt::Debug for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.dialect.name, self.files)
    }
}

impl PartialEq for Foreign {
    fn eq(&self, other: &Self) -> bool {
        self.dialect.name == other.dialect.name && self.files == other.files
    }
}

impl Eq for Foreign {}

impl Foreign {
    /// The first of its files, whose folder is the app's.
    pub(crate) fn file(&self) -> &Path {
        self.files.first().map_or_else(|| Path::new(""), PathBuf::as_path)
    }

    /// All of its files.
    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The manifest in a folder, if there is one.
    ///
    /// # Errors
    /// `HOB-0122` when there are several.
    pub(crate) fn in_folder(dir: &Path) -> Result<Option<Self>> {
        let mut found: Vec<Self> = Vec::new();
        for name in DIALECTS.iter().flat_map(|dialect| dialect.files) {
            let file = dir.join(name);
            if !found.iter().any(|known| known.files.contains(&file))
                && let Some(foreign) = Self::of_file(&file)
            {
                found.push(foreign);
            }
        }
        let several = |one: &Self| IN_SEVERAL.contains(&one.dialect.name);
        match found.as_slice() {
            [] => Ok(Self::by_parts(dir)),
            all if all.iter().all(several) => {
                let first = all.iter().flat_map(|one| one.files.clone());
                let mut files: Vec<PathBuf> = first.collect();
                for part in parts(dir) {
                    if !files.contains(&part) {
                        files.push(part);
                    }
                }
                let dialect = dialect_of(&files).unwrap_or(all[0].dialect);
                Ok(Some(Self { dialect, files, alone: false }))
            }
            [one] => Ok(Some(one.clone())),
            all => {
                let names: Vec<String> = all.iter().map(|one| format!("`{}`", shown(one.file()))).collect();
                Err(Fault::new(
                    Code::ForeignAmbiguous,
                    format!("there are {} manifests of other platforms: {}", all.len(), names.join(", ")),
                )
                .at(shown(dir))
                .hint("name the one that is meant, or write a `hob.toml`"))
            }
        }
    }

    /// Resources of Kubernetes in files by any name: they are meant when one was written for Hob too, or nothing else is there.
    fn by_parts(dir: &Path) -> Option<Self> {
        let files = parts(dir);
        let dialect = dialect_of(&files)?;
        let marked = |file: &PathBuf| std::fs::read_to_string(file).is_ok_and(|text| text.contains(MARK));
        let known = |name: &str| name.starts_with('.') || foreign::may_be_manifest(name);
        let meant = files.iter().any(marked) || names(dir).iter().all(|name| known(name));
        meant.then_some(Self { dialect, files, alone: false })
    }

    /// A manifest in several files: each a file, or a folder of them.
    ///
    /// # Errors
    /// `HOB-0107` when a folder has none, `HOB-0108` when one is not there, `HOB-0124` when they make no manifest together.
    pub(crate) fn of_files(paths: &[PathBuf]) -> Result<Self> {
        let mut files: Vec<PathBuf> = Vec::new();
        for path in paths {
            let path = std::fs::canonicalize(path).map_err(|error| {
                Fault::new(Code::FileMissing, format!("cannot read `{}`: {error}", path.display()))
            })?;
            let found = if path.is_dir() { parts(&path) } else { vec![path.clone()] };
            if found.is_empty() {
                let what = format!("`{}` has no YAML with resources of Kubernetes", shown(&path));
                return Err(Fault::new(Code::NothingToRun, what));
            }
            found.into_iter().for_each(|file| {
                if !files.contains(&file) {
                    files.push(file);
                }
            });
        }
        if let [one] = files.as_slice() {
            return Self::of_file(one).map(|one| Self { alone: false, ..one }).ok_or_else(|| {
                Fault::new(Code::NothingToRun, format!("`{}` is no manifest of another platform", shown(one)))
                    .hint(format!("Hob understands {}", names_of_all()))
            });
        }
        let other = files.iter().find(|file| !is_part(file));
        match (other, dialect_of(&files)) {
            (None, Some(dialect)) => Ok(Self { dialect, files, alone: false }),
            (Some(other), _) => Err(not_together(format!("`{}` is none", shown(other)))),
            (None, None) => Err(not_together("none of them is one of Knative".to_owned())),
        }
    }

    /// The manifest at a path with its further files, also beside a `hob.toml`.
    ///
    /// # Errors
    /// `HOB-0107` when there is none, `HOB-0108` when nothing is there, and those of [`Foreign::of_files`].
    pub(crate) fn find(path: &Path, more: &[PathBuf]) -> Result<Self> {
        let absolute = std::fs::canonicalize(path).map_err(|error| {
            let message = match error.kind() {
                std::io::ErrorKind::NotFound => format!("`{}` does not exist", path.display()),
                _ => format!("cannot read `{}`: {error}", path.display()),
            };
            Fault::new(Code::FileMissing, message)
        })?;
        let found = match absolute.is_dir() {
            true => Self::in_folder(&absolute)?,
            false => Self::of_file(&absolute),
        };
        match found {
            Some(found) if more.is_empty() => Ok(found),
            Some(found) => {
                let files: Vec<PathBuf> = found.files.iter().chain(more).cloned().collect();
                Self::of_files(&files)
            }
            None if !more.is_empty() && absolute.is_dir() => Self::of_files(more),
            None => {
                let message = format!("`{}` is or has no manifest of another platform", path.display());
                let hint = format!("Hob understands {}", names_of_all());
                Err(Fault::new(Code::NothingToRun, message).hint(hint))
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
        dialect.map(|dialect| Self { dialect, files: vec![file.to_owned()], alone: true })
    }

    /// Reads and translates it. `name` is what the app is called when it does not say so itself.
    ///
    /// # Errors
    /// `HOB-0108` when it cannot be read, `HOB-0109` when it is too large, `HOB-0120` for a mistake in it.
    pub(crate) fn read(&self, name: &str, values: &BTreeMap<String, String>) -> Result<Imported> {
        self.translated(name, values, foreign::translate)
    }

    /// The same for a file that others may read.
    ///
    /// # Errors
    /// Those of [`Foreign::read`].
    pub(crate) fn read_to_write(&self, name: &str, values: &BTreeMap<String, String>) -> Result<Imported> {
        self.translated(name, values, foreign::translate_to_write)
    }

    fn translated(
        &self,
        name: &str,
        values: &BTreeMap<String, String>,
        translate: fn(&Dialect, &[Source], &Given) -> Result<Imported>,
    ) -> Result<Imported> {
        if self.files.len() > FOREIGN_FILES_MAX {
            let what =
                format!("the manifest has {} files, the limit is {FOREIGN_FILES_MAX}", self.files.len());
            return Err(Fault::new(Code::SettingOverLimit, what).at(shown(self.file())));
        }
        let sources: Result<Vec<Source>> = self.files.iter().map(|file| source(file)).collect();
        let sources = sources?;
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let values: Values = values.clone().into_iter().collect();
        let mut given =
            Given { name: name.to_owned(), values, environment: environment.collect(), ..Given::default() };
        let folder = self.file().parent().unwrap_or_else(|| Path::new("/"));
        loop {
            let mut imported = translate(self.dialect, &sources, &given)?;
            let wanted = imported.wanted.iter().filter(|path| !given.files.contains_key(*path));
            let wanted: Vec<String> = wanted.cloned().collect();
            if wanted.is_empty() {
                imported.notes.extend(self.left_out(&sources));
                return Ok(imported);
            }
            for path in wanted {
                if given.files.len() >= FOREIGN_FILES_MAX {
                    let what = format!("the manifest names more than {FOREIGN_FILES_MAX} files");
                    return Err(Fault::new(Code::SettingOverLimit, what).at(shown(self.file())));
                }
                let file = folder.join(&path);
                let text = if file.is_file() { Some(source(&file)?.text) } else { None };
                given.files.insert(path, text);
            }
        }
    }

    /// What calls its functions from files beside the one that was named.
    fn left_out(&self, sources: &[Source]) -> Vec<foreign::Note> {
        if !self.alone || !IN_SEVERAL.contains(&self.dialect.name) {
            return Vec::new();
        }
        let folder = self.file().parent().unwrap_or_else(|| Path::new("/"));
        let beside = parts(folder).into_iter().filter(|file| !self.files.contains(file));
        let others: Vec<Source> = beside.filter_map(|file| source(&file).ok()).collect();
        foreign::left_out(sources, &others)
    }
}

fn not_together(why: String) -> Fault {
    let what = "several files are one manifest only where all are resources of Kubernetes";
    Fault::new(Code::ForeignFiles, format!("{what}, and {why}"))
        .hint("name one manifest; a `hob.toml` can have everything in it")
}

/// A file's text; no more than a manifest may have is read.
fn source(file: &Path) -> Result<Source> {
    let place = shown(file);
    let unreadable = |error: &dyn std::fmt::Display| {
        Fault::new(Code::FileMissing, format!("cannot read `{place}`: {error}"))
    };
    // The first byte over the limit is enough to refuse it.
    let mut text = String::new();
    let open = std::fs::File::open(file).map_err(|error| unreadable(&error))?;
    let mut open = std::io::Read::take(open, MANIFEST_BYTES_MAX as u64 + 1);
    std::io::Read::read_to_string(&mut open, &mut text).map_err(|error| unreadable(&error))?;
    if text.len() > MANIFEST_BYTES_MAX {
        let size = std::fs::metadata(file).map_or(text.len() as u64, |metadata| metadata.len());
        let (size, limit) = (show_bytes(size), show_bytes(MANIFEST_BYTES_MAX as u64));
        let what = format!("the manifest has {size}, the limit is {limit}");
        return Err(Fault::new(Code::SettingOverLimit, what).at(place));
    }
    Ok(Source::new(place, text))
}

/// Names in a folder.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Files of a folder that are resources of Kubernetes from the first line to the last, in order of names.
fn parts(dir: &Path) -> Vec<PathBuf> {
    let yaml = |name: &String| name.ends_with(".yaml") || name.ends_with(".yml");
    let mut files: Vec<PathBuf> =
        names(dir).iter().filter(|name| yaml(name)).map(|name| dir.join(name)).collect();
    files.sort();
    files.retain(|file| is_part(file));
    files
}

fn is_part(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    source(file).is_ok_and(|source| foreign::is_part(name, &source.text))
}

fn dialect_of(files: &[PathBuf]) -> Option<&'static Dialect> {
    let sources: Option<Vec<Source>> = files.iter().map(|file| source(file).ok()).collect();
    foreign::recognise_all(&sources?)
}

/// Every file that is looked for, for hints; one that several dialects look for is named once.
fn names_of_all() -> String {
    let mut names: Vec<String> = Vec::new();
    for name in DIALECTS.iter().flat_map(|dialect| dialect.files).map(|name| format!("`{name}`")) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}
