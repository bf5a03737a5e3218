//! Landlock: what a child may still do with files and ports when everything else has failed to stop it.
//!
//! **Why.** The view of a child holds only what it needs, read-only. Should a mount be wrong one day, the kernel's
//! access control for unprivileged processes (landlock(7)) says the same again from another side: writing only below the
//! private folders, no port outside of the namespace, no signals and abstract sockets beyond.
//!
//! **How.** Folders are opened and named by the child after its root has changed, since a rule is about
//! a place and not about a path.

use std::ffi::{CString, c_int, c_long};

// linux/landlock.h: rights of files.
const EXECUTE: u64 = 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const MAKE_FILE: u64 = 1 << 8;
/// All rights that ABI 1 knows.
const ALL_1: u64 = (1 << 13) - 1;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEVICE: u64 = 1 << 15;
/// Scopes (ABI 6): abstract unix sockets and signals.
const SCOPES: u64 = 3;
const WRITE_FILE: u64 = 1 << 1;
const PATH_BENEATH: c_int = 1;

/// `struct landlock_ruleset_attr`.
#[repr(C)]
struct Handled {
    files: u64,
    ports: u64,
    scopes: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    rights: u64,
    parent: c_int,
}

/// What a child may do with files.
pub(crate) struct Rules {
    files: u64,
    scopes: u64,
    /// Folders, and what may be done below them.
    folders: Vec<(CString, u64)>,
}

/// The version of landlock that the kernel has; `None`: none.
pub(super) fn version() -> Option<c_long> {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the kernel reads nothing and returns a number.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0_usize, 0_usize, VERSION) };
    (version > 0).then_some(version)
}

/// All rights of files that a version knows.
fn all_of(version: c_long) -> u64 {
    let newer = [(2, REFER), (3, TRUNCATE), (5, IOCTL_DEVICE)];
    newer.iter().filter(|(since, _)| version >= *since).fold(ALL_1, |all, (_, right)| all | right)
}

fn scopes_of(version: c_long) -> u64 {
    if version >= 6 { SCOPES } else { 0 }
}

impl Rules {
    /// Everything may be read and executed, and `writable` be written; as far as the kernel's version goes.
    pub(super) fn new(version: c_long, writable: impl IntoIterator<Item = CString>) -> Self {
        let files = all_of(version);
        let read = EXECUTE | READ_FILE | READ_DIR;
        let device = (read | WRITE_FILE | TRUNCATE | IOCTL_DEVICE) & files;
        let mut folders =
            vec![(c"/".to_owned(), read), (c"/dev".to_owned(), device), (c"/proc".to_owned(), device)];
        folders.extend(writable.into_iter().map(|folder| (folder, files)));
        Self { files, scopes: scopes_of(version), folders }
    }

    /// Only one file may be read, and what is in some folders; new files may be made and written in one more.
    pub(crate) fn only(
        file: CString,
        readable: impl IntoIterator<Item = CString>,
        writable: CString,
    ) -> Option<Self> {
        let version = version()?;
        let mut folders = vec![(file, READ_FILE), (writable, READ_FILE | WRITE_FILE | MAKE_FILE)];
        folders.extend(readable.into_iter().map(|folder| (folder, READ_FILE | READ_DIR)));
        Some(Self { files: all_of(version), scopes: scopes_of(version), folders })
    }

    /// Takes effect for this process and all that it makes. Only system calls on values prepared before.
    pub(super) fn enter(&self) -> Result<(), c_int> {
        let last = || std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL);
        let handled = Handled { files: self.files, ports: 0, scopes: self.scopes };
        // A kernel before ABI 6 takes a larger structure as long as the rest is zero.
        // SAFETY: the kernel reads one `Handled`.
        let rules = unsafe {
            libc::syscall(libc::SYS_landlock_create_ruleset, &raw const handled, size_of_val(&handled), 0_u32)
        };
        let Some(rules) = c_int::try_from(rules).ok().filter(|rules| *rules >= 0) else { return Err(last()) };
        for (folder, rights) in &self.folders {
            // SAFETY: the path ends with a zero; the kernel reads one `Beneath`; descriptors are this process's own.
            unsafe {
                let parent = libc::open(folder.as_ptr(), libc::O_PATH | libc::O_CLOEXEC);
                if parent < 0 {
                    continue;
                }
                let beneath = Beneath { rights: *rights, parent };
                let added = libc::syscall(
                    libc::SYS_landlock_add_rule,
                    rules,
                    PATH_BENEATH,
                    &raw const beneath,
                    0_u32,
                );
                libc::close(parent);
                if added < 0 {
                    return Err(last());
                }
            }
        }
        // SAFETY: no pointers.
        let done = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules, 0_u32) };
        if done < 0 { Err(last()) } else { Ok(()) }
    }
}
