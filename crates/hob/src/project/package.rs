//! Which files of a folder are deployed, and their digests.
//!
//! **How.** What `files` matches, in the order of its patterns: one that begins with `!` takes out what those before it chose.
//! And always what `run` names. Version control, build folders and
//! caches are never walked; a link counts as the file behind it if that lies below the folder.

use super::glob;
use hob_core::code::Code;
use hob_core::digest::{Digest, Hasher};
use hob_core::fault::{Fault, Result};
use hob_core::limit::{ARTIFACT_BYTES_MAX, PACKAGE_BYTES_MAX, PACKAGE_FILES_MAX};
use hob_core::manifest::FILE_NAME;
use hob_core::spec::PackageFile;
use hob_core::unit::show_bytes;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Names of folders and files that are never deployed unless `run` names them.
const LEFT_OUT: [&str; 4] = [".git", "target", ".hob", "__pycache__"];
/// What a pattern begins with that takes files out.
const NOT: char = '!';
/// Bytes of a file that are read at a time.
const PIECE_BYTES: usize = 256 << 10;

/// Whether a name is never walked into.
pub(crate) fn is_left_out(name: &str) -> bool {
    LEFT_OUT.contains(&name)
}

/// Which files are wanted.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// Patterns of paths below the folder.
    pub(super) globs: Vec<String>,
    /// The command line; those of its words that are files belong to the package.
    pub(super) run: Vec<String>,
    /// Whether names that are left out of folders belong to it too.
    pub(super) whole: bool,
}

/// Files of one function.
#[derive(Debug, Default)]
pub(super) struct Package {
    /// By their path in the package.
    pub(super) entries: BTreeMap<String, PackageFile>,
    /// Where each artifact's bytes are.
    pub(super) files: BTreeMap<Digest, PathBuf>,
    bytes: u64,
}

impl Package {
    /// Collects files below `dir`.
    ///
    /// # Errors
    /// `HOB-0108` for a file that cannot be read or a pattern without a file, `HOB-0201` above the
    /// limits, `HOB-0205` for a name that is not UTF-8.
    pub(super) fn collect(dir: &Path, choice: &Choice) -> Result<Self> {
        let mut package = Self::default();
        let chosen = |pattern: &&String| !pattern.starts_with(NOT) && *pattern != "**";
        // With everything chosen before, a pattern without a file takes nothing away.
        let all = choice.globs.first().is_some_and(|first| first == "**");
        let unused = choice.globs.iter().filter(chosen).filter(|_| !all);
        let mut unused: Vec<&str> = unused.map(String::as_str).collect();
        if !choice.globs.is_empty() {
            let base = std::fs::canonicalize(dir).map_err(|error| unreadable(dir, &error))?;
            walk(&base, &base, choice.whole, &mut |path, file| {
                let mut wanted = false;
                for pattern in &choice.globs {
                    match pattern.strip_prefix(NOT) {
                        Some(pattern) => wanted &= !glob::matches(pattern, path),
                        None => wanted |= glob::matches(pattern, path),
                    }
                }
                unused.retain(|pattern| !glob::matches(pattern, path));
                if wanted { package.add(path, file) } else { Ok(()) }
            })?;
        }
        if let Some(pattern) = unused.first() {
            return Err(Fault::new(
                Code::FileMissing,
                format!("`files` names `{pattern}`, but no file matches"),
            )
            .at(super::shown(dir))
            .hint("`*` stands for any name, `**` for any folders below"));
        }
        for word in &choice.run {
            let file = dir.join(word);
            if !word.starts_with('/') && !word.split('/').any(|part| part == "..") && file.is_file() {
                package.add(word.trim_start_matches("./"), &file)?;
            }
        }
        Ok(package)
    }

    /// Adds all files below `dir` under names that begin with `below`; they take the place of others there.
    ///
    /// # Errors
    /// As [`Package::collect`].
    pub(super) fn lay(&mut self, below: &str, dir: &Path) -> Result<()> {
        let base = std::fs::canonicalize(dir).map_err(|error| unreadable(dir, &error))?;
        walk(&base, &base, true, &mut |path, file| {
            let path = format!("{below}{path}");
            self.entries.remove(&path);
            self.add(&path, file)
        })
    }

    fn add(&mut self, path: &str, file: &Path) -> Result<()> {
        if self.entries.contains_key(path) {
            return Ok(());
        }
        let metadata = std::fs::metadata(file).map_err(|error| unreadable(file, &error))?;
        let size = metadata.len();
        self.bytes += size;
        let refuse = |what: String| {
            Err(Fault::new(Code::ArtifactTooLarge, what)
                .at(super::shown(file))
                .hint("choose what is deployed with `files = […]`"))
        };
        if size > ARTIFACT_BYTES_MAX {
            return refuse(format!(
                "the file has {}, the limit is {}",
                show_bytes(size),
                show_bytes(ARTIFACT_BYTES_MAX)
            ));
        }
        if self.bytes > PACKAGE_BYTES_MAX {
            return refuse(format!("the package has more than {}", show_bytes(PACKAGE_BYTES_MAX)));
        }
        if self.entries.len() >= PACKAGE_FILES_MAX {
            return refuse(format!("the package has more than {PACKAGE_FILES_MAX} files"));
        }
        let digest = digest(file)?;
        let executable = metadata.permissions().mode() & 0o111 != 0;
        self.entries.insert(path.to_owned(), PackageFile { digest, size, executable });
        self.files.insert(digest, file.to_owned());
        Ok(())
    }
}

/// Calls `take` with every file below `dir`, in order of names; with `whole`, really every.
fn walk(base: &Path, dir: &Path, whole: bool, take: &mut dyn FnMut(&str, &Path) -> Result<()>) -> Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(|error| unreadable(dir, &error))?;
    entries.sort();
    for path in entries {
        let relative = path.strip_prefix(base).unwrap_or(&path).to_str().ok_or_else(|| {
            Fault::new(Code::PackagePath, format!("`{}` is not valid UTF-8", path.display()))
                .hint("rename the file")
        })?;
        let name = relative.rsplit('/').next().unwrap_or(relative);
        if !whole && (is_left_out(name) || relative == FILE_NAME) {
            continue;
        }
        let kind = std::fs::symlink_metadata(&path).map_err(|error| unreadable(&path, &error))?.file_type();
        if kind.is_dir() {
            walk(base, &path, whole, take)?;
        } else if kind.is_file() || (kind.is_symlink() && links_inside(base, &path)) {
            take(relative, &path)?;
        }
    }
    Ok(())
}

/// Whether a link leads to a file below the folder.
fn links_inside(base: &Path, link: &Path) -> bool {
    std::fs::canonicalize(link).is_ok_and(|target| target.starts_with(base) && target.is_file())
}

fn digest(file: &Path) -> Result<Digest> {
    let read = || -> std::io::Result<Digest> {
        let mut source = std::fs::File::open(file)?;
        let mut hasher = Hasher::default();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match source.read(&mut piece)? {
                0 => return Ok(hasher.finish()),
                read => hasher.update(&piece[..read]),
            }
        }
    };
    read().map_err(|error| unreadable(file, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(Code::FileMissing, format!("cannot read `{}`: {error}", super::shown(path)))
}

#[cfg(test)]
mod tests {
    use super::{Choice, Package};
    use std::fs;

    /// Goal: exactly these paths, for these patterns and this command line.
    fn check(globs: &[&str], run: &[&str], expected: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        for path in
            ["app.py", "lib/a.py", "lib/b.txt", "target/x", ".git/config", "__pycache__/app.pyc", "hob.toml"]
        {
            let file = dir.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, path).unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("outside")).unwrap();
        std::os::unix::fs::symlink("app.py", dir.path().join("inside")).unwrap();
        let choice = Choice {
            globs: globs.iter().map(|&glob| glob.to_owned()).collect(),
            run: run.iter().map(|&word| word.to_owned()).collect(),
            whole: false,
        };
        let found = match Package::collect(dir.path(), &choice) {
            Ok(package) => package.entries.into_keys().collect(),
            Err(fault) => vec![fault.code().text().to_owned()],
        };
        assert_eq!(found, expected, "{globs:?} {run:?}");
    }

    #[test]
    fn packages_hold_what_was_chosen() {
        check(&[], &["python3", "app.py"], &["app.py"]);
        check(&[], &["target/x"], &["target/x"]);
        check(&["**"], &[], &["app.py", "inside", "lib/a.py", "lib/b.txt"]);
        check(&["lib/*.py"], &["./app.py"], &["app.py", "lib/a.py"]);
        check(&["*.rs"], &["app.py"], &["HOB-0108"]);
        check(&["**", "!lib/**", "lib/a.*"], &[], &["app.py", "inside", "lib/a.py"]);
        check(&["lib/**", "!*.md"], &[], &["lib/a.py", "lib/b.txt"]);
        check(&["**", "!**/*.py", "*.rs"], &["app.py"], &["app.py", "inside", "lib/b.txt"]);
        check(&[], &["../etc/passwd", "/etc/passwd", "missing"], &[]);
    }
}
