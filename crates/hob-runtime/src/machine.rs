//! What the machine has: processors, memory, room on a disk.
//!
//! **Not here:** whether that is enough for anything (the node's doctor), and what a function may have of it.

use std::path::{Path, PathBuf};

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

/// Memory that this process and its children may use, bytes: that of the machine, or less where its control group
/// (cgroup v2, `memory.max`) has less; 0 where the system does not say.
pub fn memory_limit_bytes() -> u64 {
    let machine = Some(memory_bytes()).filter(|bytes| *bytes > 0);
    let groups = groups().filter_map(|group| number(&group.join("memory.max")));
    machine.into_iter().chain(groups).min().unwrap_or_default()
}

/// Memory that is left of it, bytes, what the kernel can take back at once included; `None` where the system does
/// not say. Reads a few small files.
pub fn memory_available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let groups = groups().filter_map(|group| {
        let (most, used) = (number(&group.join("memory.max"))?, number(&group.join("memory.current"))?);
        let stat = std::fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
        let files = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse().ok());
        Some(most.saturating_sub(used.saturating_sub(files.unwrap_or_default())))
    });
    kib.map(|kib| kib << 10).into_iter().chain(groups).min()
}

/// The control groups in which this process is, the innermost first.
fn groups() -> impl Iterator<Item = PathBuf> {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    // Version 2 has one line, `0::<path>`.
    let own = text.lines().find_map(|line| line.strip_prefix("0::/")).map(str::to_owned);
    let own = own.map(|own| Path::new("/sys/fs/cgroup").join(own));
    std::iter::successors(own, |group| group.parent().map(Path::to_owned))
        .take_while(|group| group.starts_with("/sys/fs/cgroup"))
}

/// The number that a file holds, if it is one.
fn number(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
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
    use super::{cpus, disk, memory_available_bytes, memory_bytes, memory_limit_bytes};
    use std::path::Path;

    #[test]
    fn a_machine_has_something_of_everything() {
        let (free, whole) = disk(Path::new("/")).unwrap();
        assert!(cpus() > 0 && memory_bytes() > 1 << 20 && free <= whole && whole > 0);
        assert!(memory_limit_bytes() <= memory_bytes());
        assert!(memory_available_bytes().is_some_and(|left| left <= memory_limit_bytes()));
        assert_eq!(disk(Path::new("/no/such/folder")), None);
    }
}
