//! Errors of disks as faults, and the few ways in which folders are made.

use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// An error of the operating system about `path`, as a fault: `HOB-0604` when the disk is full,
/// `HOB-0601` otherwise. `action` is a verb such as `write`.
pub(crate) fn fault(action: &str, path: &Path, error: &io::Error) -> Fault {
    let message = format!("cannot {action} `{}`", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => full(message),
        _ => Fault::new(Code::StoreIo, message)
            .hint("see whether the data folder exists, belongs to the node's user and is not read-only"),
    }
    .detail(error)
}

/// The fault for a disk without space.
pub(crate) fn full(message: String) -> Fault {
    Fault::new(Code::StoreFull, message).hint("free space on the disk of the data folder, then try again")
}

/// Makes a folder that only the node's user may enter, and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| fault("make the folder", path, &error))
}

/// Brings a folder's names to disk: new and renamed files are durable only after this.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| fault("sync", path, &error))
}
