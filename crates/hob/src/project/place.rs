//! What a path names: a file, a folder, or a folder with a manifest.

use super::foreign::Foreign;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::manifest::FILE_NAME;
use std::path::{Path, PathBuf};

/// Where an app lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its folder, absolute.
    pub(super) dir: PathBuf,
    /// What it is called when nothing else gives it a name.
    pub(super) name: String,
    /// The manifest, if there is one.
    pub(super) manifest: Option<PathBuf>,
    /// Whose manifest that is, when it is not a `hob.toml`.
    pub(super) foreign: Option<Foreign>,
    /// The file in the folder that is meant, when it is not the whole folder.
    pub(super) file: Option<String>,
}

impl Place {
    /// Looks at a path.
    ///
    /// # Errors
    /// `HOB-0108` when there is nothing, `HOB-0122` when there are manifests of two other platforms.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let absolute = std::fs::canonicalize(path).map_err(|error| {
            let message = match error.kind() {
                std::io::ErrorKind::NotFound => format!("`{}` does not exist", path.display()),
                _ => format!("cannot read `{}`: {error}", path.display()),
            };
            Fault::new(Code::FileMissing, message).hint("name a file or a folder; `hob new` makes an example")
        })?;
        let name = |path: &Path| {
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        };
        if absolute.is_dir() {
            let manifest = Some(absolute.join(FILE_NAME)).filter(|file| file.is_file());
            let (foreign, manifest) = match manifest {
                Some(manifest) => (None, Some(manifest)),
                None => Foreign::in_folder(&absolute)?.unzip(),
            };
            return Ok(Self { name: name(&absolute), manifest, foreign, file: None, dir: absolute });
        }
        let dir = absolute.parent().unwrap_or_else(|| Path::new("/")).to_owned();
        let foreign = Foreign::of_file(&absolute);
        if name(&absolute) == FILE_NAME || foreign.is_some() {
            return Ok(Self { name: name(&dir), manifest: Some(absolute), foreign, file: None, dir });
        }
        let stem = absolute.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let file =
            absolute.file_name().and_then(|name| name.to_str()).map(str::to_owned).ok_or_else(|| {
                Fault::new(Code::PackagePath, format!("`{}` is not valid UTF-8", path.display()))
                    .hint("rename the file")
            })?;
        Ok(Self { dir, name: stem, manifest: None, foreign: None, file: Some(file) })
    }

    /// The place for messages.
    pub(super) fn shown(&self) -> String {
        super::shown(&self.file.as_ref().map_or_else(|| self.dir.clone(), |file| self.dir.join(file)))
    }
}
