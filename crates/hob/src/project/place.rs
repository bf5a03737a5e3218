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
    /// Looks at a path; `more` are further files of its manifest, or folders of them.
    ///
    /// # Errors
    /// `HOB-0108` when there is nothing, `HOB-0122` when there are manifests of two other platforms, `HOB-0124` when files
    /// make no manifest together.
    pub(super) fn of(path: &Path, more: &[PathBuf]) -> Result<Self> {
        let place = Self::at(path)?;
        if more.is_empty() {
            return Ok(place);
        }
        if place.manifest.is_some() && place.foreign.is_none() || place.file.is_some() {
            let what = format!("`{}` is no manifest that has further files", place.shown());
            return Err(Fault::new(Code::ForeignFiles, what).hint("a `hob.toml` has everything in it"));
        }
        // Its own resources come first, and its folder is the app's.
        let own = place.foreign.iter().flat_map(|foreign| foreign.files().to_vec());
        let files: Vec<PathBuf> = own.chain(more.iter().cloned()).collect();
        let foreign = Foreign::of_files(&files)?;
        Ok(Self { manifest: Some(foreign.file().to_owned()), foreign: Some(foreign), ..place })
    }

    fn at(path: &Path) -> Result<Self> {
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
                None => {
                    let foreign = Foreign::in_folder(&absolute)?;
                    let file = foreign.as_ref().map(|foreign| foreign.file().to_owned());
                    (foreign, file)
                }
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
