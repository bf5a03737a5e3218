//! Working folders of programs beside the node: made for one, used again by the next if nothing was left in them.
//!
//! **Why.** A program that answers one call lives for a millisecond. Making its folder, with a link for each entry of its
//! package, and removing it again took a third of that, for folders in which nearly nobody ever writes anything.
//!
//! **How.** A folder that is given back is compared with what it was when it was made: the times at which its parts were
//! changed (`st_ctime`, inode(7), which no program can set), the entries with their inode numbers, and that `tmp` is empty.
//! One that differs in anything is removed. The times alone would do, but for kernels that count them in steps of some
//! milliseconds, in which a program has begun and ended.
//!
//! **Invariants.** A folder belongs to the programs of one function, and to one at a time: it is given back when no process
//! is left that was started in it.
//!
//! **Not here:** behind walls each program has folders in memory ([`crate::wall`]).

use hob_core::limit::WORK_FOLDERS_KEPT_MAX;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Below a working folder: where the program starts, with links to its package's files.
pub(super) const WORK: &str = "work";
/// Below a working folder: the program's `HOME` and `TMPDIR`.
pub(super) const TMP: &str = "tmp";

/// The folders of one function's programs that nobody uses at the moment.
#[derive(Default)]
pub(super) struct Folders(Mutex<Vec<Folder>>);

/// A working folder; removed when dropped.
pub(super) struct Folder {
    path: PathBuf,
    /// How it looked when it was made.
    made: Option<Look>,
    home: Weak<Folders>,
}

/// A folder to be used, or to be made first.
pub(super) enum Wanted {
    Kept(Folder),
    New { path: PathBuf, package: PathBuf, home: Weak<Folders> },
}

/// What a program would change by leaving something: seconds and nanoseconds of the last change of the folder and its
/// parts, and names with inode numbers.
#[derive(PartialEq, Eq)]
struct Look {
    changed: [(i64, i64); 3],
    entries: Vec<(OsString, u64)>,
}

impl Folders {
    /// One that is there, or one at `path` with links to the entries of `package`.
    pub(super) fn take(self: &Arc<Self>, path: impl FnOnce() -> PathBuf, package: &Path) -> Wanted {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            Some(folder) => Wanted::Kept(folder),
            None => Wanted::New { path: path(), package: package.to_owned(), home: Arc::downgrade(self) },
        }
    }

    fn put(&self, folder: Folder) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = if kept.len() < WORK_FOLDERS_KEPT_MAX {
            kept.push(folder);
            None
        } else {
            Some(folder)
        };
        drop(kept);
        drop(over);
    }
}

impl Wanted {
    /// Where it is, or will be.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Kept(folder) => folder.path(),
            Self::New { path, .. } => path,
        }
    }

    /// The folder, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn open(self) -> io::Result<Folder> {
        match self {
            Self::Kept(folder) => Ok(folder),
            Self::New { path, package, home } => Folder::make(path, &package, home),
        }
    }
}

impl Folder {
    /// The folder with links to the package's entries, so that the program finds its files where it
    /// starts and can add others that nobody else sees.
    fn make(path: PathBuf, package: &Path, home: Weak<Folders>) -> io::Result<Self> {
        let mut folder = Self { path, made: None, home };
        let work = folder.path.join(WORK);
        fs::create_dir_all(&work)?;
        fs::create_dir(folder.path.join(TMP))?;
        for entry in fs::read_dir(package)? {
            let entry = entry?;
            symlink(entry.path(), work.join(entry.file_name()))?;
        }
        folder.made = Some(Look::at(&folder.path)?);
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its program has ended, and no process of it is left: it is kept for the next one, or removed.
    pub(super) fn give_back(self) {
        let Some(home) = self.home.upgrade() else { return };
        let nothing_left =
            fs::read_dir(self.path.join(TMP)).is_ok_and(|mut entries| entries.next().is_none());
        if nothing_left && Look::at(&self.path).ok() == self.made {
            home.put(self);
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now goes when the next node opens the host.
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Look {
    fn at(path: &Path) -> io::Result<Self> {
        let work = path.join(WORK);
        let changed = |path: &Path| {
            fs::symlink_metadata(path).map(|metadata| (metadata.ctime(), metadata.ctime_nsec()))
        };
        let changed = [changed(path)?, changed(&work)?, changed(&path.join(TMP))?];
        let entry = |entry: io::Result<fs::DirEntry>| entry.map(|entry| (entry.file_name(), entry.ino()));
        let mut entries = fs::read_dir(&work)?.map(entry).collect::<io::Result<Vec<_>>>()?;
        entries.sort_unstable();
        Ok(Self { changed, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::{Folders, TMP, WORK};
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::sync::Arc;

    #[test]
    fn a_folder_is_used_again_only_when_nothing_was_left_in_it() {
        let root = tempfile::tempdir().unwrap();
        let package = root.path().join("package");
        fs::create_dir(&package).unwrap();
        fs::write(package.join("program"), "").unwrap();
        let folders = Arc::new(Folders::default());
        type Program = fn(&Path);
        let programs: [(&str, Program, bool); 8] = [
            ("reads", |folder| drop(fs::read(folder.join(WORK).join("program")).unwrap()), true),
            ("writes to its folder", |folder| fs::write(folder.join(WORK).join("a"), "").unwrap(), false),
            ("writes to `tmp`", |folder| fs::write(folder.join(TMP).join("a"), "").unwrap(), false),
            ("writes beside them", |folder| fs::write(folder.join("a"), "").unwrap(), false),
            ("removes a link", |folder| fs::remove_file(folder.join(WORK).join("program")).unwrap(), false),
            (
                "puts a file in place of a link",
                |folder| {
                    let file = folder.join(WORK).join("program");
                    fs::remove_file(&file).unwrap();
                    fs::write(&file, "").unwrap();
                },
                false,
            ),
            ("removes `tmp`", |folder| fs::remove_dir(folder.join(TMP)).unwrap(), false),
            (
                "closes `tmp`",
                |folder| {
                    let (tmp, mode) = (folder.join(TMP), fs::Permissions::from_mode(0o500));
                    // In a later step of the clock of a kernel that counts in steps.
                    let before = fs::metadata(&tmp).unwrap();
                    let same = |now: fs::Metadata| {
                        use std::os::unix::fs::MetadataExt as _;
                        (now.ctime(), now.ctime_nsec()) == (before.ctime(), before.ctime_nsec())
                    };
                    while same(fs::metadata(&tmp).unwrap()) {
                        fs::set_permissions(&tmp, mode.clone()).unwrap();
                    }
                },
                false,
            ),
        ];
        for (number, (what, program, again)) in programs.into_iter().enumerate() {
            let at = || root.path().join(number.to_string());
            let folder = folders.take(at, &package).open().unwrap();
            let path = folder.path().to_owned();
            assert!(fs::symlink_metadata(path.join(WORK).join("program")).unwrap().is_symlink(), "{what}");
            program(&path);
            folder.give_back();
            assert_eq!(path.exists(), again, "{what}");
            let next = folders.take(|| root.path().join(format!("{number}-next")), &package);
            assert_eq!(next.path() == path, again, "{what}");
        }
        let last = folders.take(|| root.path().join("last"), &package).open().unwrap();
        let path = last.path().to_owned();
        last.give_back();
        assert!(path.exists());
        drop(folders);
        assert!(!path.exists(), "they go with their function");
    }
}
