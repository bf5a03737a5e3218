//! Folders of groups that hold groups: a node's own, its spaces', its apps'.
//!
//! **How.** A level is the same group in each hierarchy. It is removed when nobody holds it any more, with what is left below it.
//!
//! **Invariants.** A node's own folder is locked (flock(2)) while it lives, so that whoever gets the lock knows that nobody needs
//! what is in it.

use super::OWN;
use super::plan::LEAF;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// A node's folder in one hierarchy.
#[derive(Debug)]
pub(super) struct Own {
    path: PathBuf,
    lock: OwnedFd,
}

impl Own {
    /// Makes one below `folder`, with a number that nobody has.
    pub(super) fn make(folder: &Path) -> io::Result<Self> {
        const ATTEMPTS: u32 = 10_000;
        for number in 0..ATTEMPTS {
            let path = folder.join(format!("{OWN}{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            // Somebody may have swept it away between its making and its lock.
            if let Some(lock) = locked(&path) {
                return Ok(Self { path, lock });
            }
        }
        Err(io::Error::other("too many groups of nodes"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// The lock of a folder that is there and that nobody else has.
fn locked(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive).ok()?;
    let (mine, there) = (rustix::fs::fstat(&folder).ok()?, rustix::fs::stat(path).ok()?);
    (mine.st_ino == there.st_ino).then_some(folder)
}

/// Ends and removes what nodes have left that are no more.
pub(super) fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_own = name.to_str().is_some_and(|name| name.starts_with(OWN) && name != LEAF);
        // The lock is held until it is gone: a node that is just making its folder takes another one then.
        if is_own && let Some(_lock) = locked(&entry.path()) {
            remove(&entry.path());
        }
    }
}

/// The same group in each hierarchy.
#[derive(Debug)]
pub(super) struct Level {
    folders: Vec<PathBuf>,
    children: Mutex<HashMap<String, Weak<Level>>>,
    /// Goes after it.
    _parent: Option<Arc<Level>>,
    _locks: Vec<OwnedFd>,
}

impl Level {
    /// The uppermost.
    pub(super) fn of(own: Vec<Own>) -> Arc<Self> {
        let (folders, locks) = own.into_iter().map(|own| (own.path, own.lock)).unzip();
        Arc::new(Self { folders, children: Mutex::default(), _parent: None, _locks: locks })
    }

    /// One that is a folder of a test.
    #[cfg(test)]
    pub(super) fn at(folder: PathBuf, parent: &Arc<Self>) -> Arc<Self> {
        let (folders, parent) = (vec![folder], Some(Arc::clone(parent)));
        Arc::new(Self { folders, children: Mutex::default(), _parent: parent, _locks: Vec::new() })
    }

    /// One below another, with a name that no other had.
    pub(super) fn make(parent: &Arc<Self>, name: &str) -> io::Result<Arc<Self>> {
        let folders = parent.folders.iter().map(|folder| folder.join(name)).collect();
        let level = Self {
            folders,
            children: Mutex::default(),
            _parent: Some(Arc::clone(parent)),
            _locks: Vec::new(),
        };
        for folder in &level.folders {
            std::fs::create_dir(folder)?;
        }
        Ok(Arc::new(level))
    }

    /// The one below it with this name: that which is there, or a new one.
    pub(super) fn child(
        &self,
        name: &str,
        make: impl FnOnce() -> io::Result<Arc<Self>>,
    ) -> io::Result<Arc<Self>> {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain(|_, level| level.strong_count() > 0);
        if let Some(level) = children.get(name).and_then(Weak::upgrade) {
            return Ok(level);
        }
        let level = make()?;
        children.insert(name.to_owned(), Arc::downgrade(&level));
        Ok(level)
    }

    /// One in each hierarchy.
    pub(super) fn folders(&self) -> &[PathBuf] {
        &self.folders
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        for folder in &self.folders {
            remove(folder);
        }
    }
}

/// Ends what runs in a group and below it, and removes it.
pub(super) fn remove(folder: &Path) {
    /// Processes take a moment to end, longer where they have much memory.
    const ROUNDS: u32 = 100;
    const PAUSE: Duration = Duration::from_millis(1);
    for round in 0..ROUNDS {
        if try_remove(folder) {
            return;
        }
        kill(folder);
        if round > 0 {
            std::thread::sleep(PAUSE);
        }
    }
}

/// Whether it is gone, with all below it.
fn try_remove(folder: &Path) -> bool {
    match std::fs::remove_dir(folder) {
        Ok(()) => return true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
        Err(_) => {}
    }
    let inside = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for group in inside.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        try_remove(&group.path());
    }
    std::fs::remove_dir(folder).is_ok()
}

/// Sends SIGKILL to all in a group and below it.
pub(super) fn kill(folder: &Path) {
    // Since Linux 5.14, in version 2 (cgroups, "cgroup.kill").
    if std::fs::OpenOptions::new()
        .write(true)
        .open(folder.join("cgroup.kill"))
        .and_then(|mut file| io::Write::write_all(&mut file, b"1"))
        .is_ok()
    {
        return;
    }
    let processes = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    // Of processes that this one cannot see the kernel says 0.
    for pid in processes.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
        let _ = kill_process(pid, Signal::KILL);
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            kill(&entry.path());
        }
    }
}
