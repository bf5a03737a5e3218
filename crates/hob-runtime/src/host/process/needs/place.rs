//! Which folders of the machine may be shown to functions, and on whose word.
//!
//! **How.** Every folder is judged by where it really is, after all links, and by the numbers by which the kernel knows it, so that neither a link nor a mount
//! gives a folder another name under which it would pass.

use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Places that a child has of its own, so that nothing of the machine can be shown there.
const OWN: &[&str] = &["/dev", "/etc", "/proc", "/run", "/tmp", "/var/task", "/work"];
/// Those that are writable: something can lie in them all the same.
const WRITABLE: &[&str] = &["/run", "/tmp", "/work"];
/// Where nothing is an installation because a path says so: homes, what is written to by everybody, what is the machine's.
const PRIVATE: &[&str] = &[
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/proc",
    "/root",
    "/run",
    "/sys",
    "/tmp",
    "/usr/home",
    "/var/run",
    "/var/tmp",
];
/// Folders that hold homes.
const HOMES: &[&str] = &["/home", "/Users", "/usr/home"];
/// What somebody's home has in it.
const HOME_MARKS: &[&str] = &[".ssh", ".gnupg", ".bashrc", ".profile", ".bash_history"];
/// Homes in there are nobody's: users of the system have them.
const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/dev"];
/// How deep and among how many entries sockets are looked for in an installation; one with more is not shown because a path says so.
const SOCKETS_DEPTH: usize = 3;
const ENTRIES_MAX: usize = 50_000;

/// The numbers by which the kernel knows a folder, whatever it is called.
type Identity = (u64, u64);

fn identity(folder: &Path) -> Option<Identity> {
    std::fs::metadata(folder).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// The node's data folder, of which nothing is shown.
struct Data {
    real: PathBuf,
    itself: Option<Identity>,
    /// Those of the folders that hold it.
    above: Vec<Identity>,
}

impl Data {
    /// The one that a folder of the node's is in.
    fn of(node: &Path) -> Self {
        let folder = node.parent().unwrap_or(node);
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let above = real.ancestors().skip(1).filter_map(identity).collect();
        Self { itself: identity(&real), above, real }
    }

    /// Whether a folder is it, holds it, or is in it.
    fn has_to_do_with(&self, real: &Path) -> bool {
        let within = real.ancestors().filter_map(identity).any(|one| Some(one) == self.itself);
        let holds = identity(real).is_some_and(|one| self.above.contains(&one));
        within || holds || meet(real, &self.real)
    }
}

fn meet(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// The place of a child's own that a folder would be shown over or in.
fn own(folder: &Path) -> Option<&'static str> {
    let meets = |own: &&&str| {
        let within = !WRITABLE.contains(own) && folder.starts_with(own);
        within || Path::new(own).starts_with(folder)
    };
    OWN.iter().find(meets).copied()
}

/// Whether these folders of the machine can be shown to every program; `node` is a folder of which nothing is shown.
///
/// # Errors
/// `HOB-0525` for what is no folder, holds a folder that programs have of their own or is in one, or has to do with the node's.
pub(in super::super) fn check(shown: &[PathBuf], node: &Path) -> Result<()> {
    let data = Data::of(node);
    for folder in shown {
        let no = |why: String, fix: &'static str| {
            let text = format!("functions cannot be shown `{}`: {why}", folder.display());
            Err(Fault::new(Code::NotShown, text).hint(fix))
        };
        let real = match folder.canonicalize() {
            Ok(real) if real.is_dir() && folder.is_absolute() => real,
            Ok(_) => return no("it is no folder".to_owned(), "name a folder by its whole path"),
            Err(error) => return no(error.to_string(), "name a folder that is there"),
        };
        if let Some(own) = own(folder).or_else(|| own(&real)) {
            return no(format!("each has a `{own}` of its own"), "name a folder elsewhere");
        }
        if data.has_to_do_with(&real) {
            return no("it has to do with the node's data folder".to_owned(), "name a folder apart from it");
        }
    }
    Ok(())
}

/// What is known of the machine's folders.
pub(super) struct Places {
    data: Data,
    /// Whose the node's files are, if it is not root.
    pub(super) user: Option<u32>,
    pub(super) homes: Vec<PathBuf>,
    pub(super) private: Vec<PathBuf>,
}

impl Places {
    pub(super) fn here(node: &Path) -> Self {
        let user = rustix::process::geteuid();
        Self {
            data: Data::of(node),
            user: (!user.is_root()).then(|| user.as_raw()),
            homes: homes(),
            private: PRIVATE.iter().map(PathBuf::from).collect(),
        }
    }

    /// Whether a folder is somebody's home.
    pub(super) fn is_home(&self, folder: &Path) -> bool {
        let known = self.homes.iter().any(|home| home == folder);
        let in_homes = HOMES.iter().any(|homes| folder.parent() == Some(Path::new(homes)));
        known || in_homes || HOME_MARKS.iter().any(|mark| folder.join(mark).exists())
    }

    /// Whether a folder may be shown at all: everybody may read it, it is no home and holds none, no function has something of its own
    /// there, and it has nothing to do with the node's data.
    pub(super) fn shows(&self, folder: &Path) -> bool {
        let Ok(real) = folder.canonicalize() else { return false };
        let home =
            |folder: &Path| self.is_home(folder) || self.homes.iter().any(|home| home.starts_with(folder));
        folder.components().count() > 2
            && real.components().count() > 2
            && is_public(&real)
            && !home(folder)
            && !home(&real)
            && own(folder).is_none()
            && own(&real).is_none()
            && !self.data.has_to_do_with(&real)
    }

    /// Whether one that may be shown is shown because a stranger names it: whatever is in it can be read by every user of the machine
    /// already, as far as folders go, and there is nothing to connect to.
    pub(super) fn opens(&self, folder: &Path) -> bool {
        let Ok(real) = folder.canonicalize() else { return false };
        let private = self.private.iter().chain(&self.homes);
        // What only the node's user may read of his own files the function could read as well, as it is that user outside.
        let nodes_own = |real: &Path| {
            let owner = std::fs::metadata(real).map(|meta| meta.uid());
            self.user.is_some_and(|user| owner.is_ok_and(|owner| owner == user))
        };
        real.ancestors().all(is_public)
            && !private.into_iter().any(|private| meet(folder, private) || meet(&real, private))
            && !nodes_own(&real)
            && !has_sockets(&real, SOCKETS_DEPTH, &mut ENTRIES_MAX.clone())
    }
}

/// The homes of the machine's users and of the node's.
fn homes() -> Vec<PathBuf> {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_users = users.lines().filter_map(|line| line.split(':').nth(5)).map(PathBuf::from);
    let named = of_users.chain(std::env::var_os("HOME").map(PathBuf::from));
    let system = |home: &Path| SYSTEM.iter().any(|system| home.starts_with(system));
    let known: Vec<PathBuf> =
        named.filter(|home| home.is_absolute() && home.parent().is_some() && !system(home)).collect();
    let real: Vec<PathBuf> = known.iter().filter_map(|home| home.canonicalize().ok()).collect();
    known.into_iter().chain(real).collect()
}

fn is_public(folder: &Path) -> bool {
    std::fs::metadata(folder).is_ok_and(|meta| meta.is_dir() && meta.mode() & 0o005 == 0o005)
}

/// Whether there is, or may be, something to connect to: what is shown for reading only can be connected to all the same.
fn has_sockets(folder: &Path, depth: usize, left: &mut usize) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    for entry in entries.flatten() {
        if *left == 0 {
            return true;
        }
        *left -= 1;
        let Ok(kind) = entry.file_type() else { continue };
        let inside = kind.is_dir() && depth > 1 && has_sockets(&entry.path(), depth - 1, left);
        if kind.is_socket() || kind.is_fifo() || inside {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::Data;
    use std::path::PathBuf;

    #[test]
    fn a_mount_gives_the_data_folder_no_other_name() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().canonicalize().unwrap().join(path);
        for folder in ["data/work", "data/packages/bin", "opt"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        // As a mount shows it: the folder that the kernel knows, under a path that has nothing in common with its own.
        let data = Data { real: PathBuf::from("/mounted/data"), ..Data::of(&at("data/work")) };
        for (folder, expected) in [("data", true), ("data/packages/bin", true), ("", true), ("opt", false)] {
            assert_eq!(data.has_to_do_with(&at(folder)), expected, "{folder}");
        }
    }
}
