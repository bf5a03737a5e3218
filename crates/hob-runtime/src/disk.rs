//! How much room a disk has.

use std::io;
use std::path::Path;

/// The room of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that the node's user may still write.
    pub free_bytes: u64,
    /// Bytes in all.
    pub bytes: u64,
}

/// The room of the disk that a path is on.
///
/// # Errors
/// What the kernel says, such as that there is no such path.
pub fn space(path: &Path) -> io::Result<Space> {
    let told = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(told.f_frsize);
    Ok(Space { free_bytes: bytes(told.f_bavail), bytes: bytes(told.f_blocks) })
}
