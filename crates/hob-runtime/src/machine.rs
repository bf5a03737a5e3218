//! What the machine has: processors, memory, room on a disk.
//!
//! **Not here:** whether that is enough for anything (the node's doctor), and what a function may have of it.

use std::path::Path;

/// Processors that this process may use; at least 1.
pub fn cpus() -> u64 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u64)
}

/// Memory of the machine, bytes; 0 where the system does not say.
pub fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}

/// Free and whole room of the disk that holds a path, in bytes, as far as this user may fill it; `None` where
/// the system does not say.
pub fn disk(path: &Path) -> Option<(u64, u64)> {
    let disk = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Some((bytes(disk.f_bavail), bytes(disk.f_blocks)))
}

#[cfg(test)]
mod tests {
    use super::{cpus, disk, memory_bytes};
    use std::path::Path;

    #[test]
    fn a_machine_has_something_of_everything() {
        let (free, whole) = disk(Path::new("/")).unwrap();
        assert!(cpus() > 0 && memory_bytes() > 1 << 20 && free <= whole && whole > 0);
        assert_eq!(disk(Path::new("/no/such/folder")), None);
    }
}
