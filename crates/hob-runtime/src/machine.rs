//! What the machine has: processors, memory, file descriptors, room on a disk.
//!
//! **Not here:** whether that is enough for anything (the node's doctor), and what a function may have of it.

use crate::disk::{Space, space};
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::limit::NODE_SLICE;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::path::{Path, PathBuf};

/// Processors that this process may use; at least 1.
pub fn cpus() -> u64 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u64)
}

/// Asks the kernel to let the calling thread run at once when it is woken, even where a program computes: its turns are
/// shorter for that ([`NODE_SLICE`]), its share stays the same (sched(7), `sched_setattr`(2) since Linux 6.12). What
/// the thread starts has turns of the usual length, and no niceness below 0. Kernels that know nothing of it, or refuse
/// it, change nothing.
///
/// **Why.** Where function and node share a processor, the answer of the function lies in the node's socket while the
/// function still tidies up; a server of Node does that for as long as it has worked on the call.
pub fn answer_soon() {
    // Whoever has chosen another kind of scheduling for the node knows why.
    let Some(mut attributes) = Attributes::of_this_thread().filter(|attributes| attributes.policy == 0)
    else {
        return;
    };
    attributes.size = ATTRIBUTES_BYTES;
    attributes.flags |= RESET_ON_FORK;
    attributes.runtime_ns = u64::try_from(NODE_SLICE.as_nanos()).unwrap_or_default();
    // SAFETY: the kernel reads as many bytes as `size` says, which is the size of the value, and keeps no pointer.
    let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

/// `struct sched_attr` in its first version (`sched_setattr`(2)).
#[derive(Default)]
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

impl Attributes {
    /// `None`: the kernel does not say.
    fn of_this_thread() -> Option<Self> {
        let mut attributes = Self::default();
        let at = &raw mut attributes;
        // SAFETY: the kernel writes at most as many bytes as it is told, which is the size of the value. 0 is the calling
        // thread.
        let known = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, at, ATTRIBUTES_BYTES, 0) };
        (known == 0).then_some(attributes)
    }
}

const ATTRIBUTES_BYTES: u32 = 48;
const _: () = assert!(size_of::<Attributes>() == ATTRIBUTES_BYTES as usize);
/// `SCHED_FLAG_RESET_ON_FORK`: threads and children of the thread have the usual slice.
const RESET_ON_FORK: u64 = 1;

/// Memory of the machine, bytes; 0 where the system does not say.
pub fn memory_bytes() -> u64 {
    meminfo(Path::new("/"), "MemTotal:").unwrap_or_default()
}

/// Memory that this process and its children may use, bytes: that of the machine, or less where its control group
/// has less (cgroup v2 `memory.max`, v1 `memory.limit_in_bytes`); 0 where the system does not say.
pub fn memory_limit_bytes() -> u64 {
    limit_below(Path::new("/"))
}

fn limit_below(root: &Path) -> u64 {
    let groups = groups(root);
    let limits = groups.iter().filter_map(|(group, files)| number(&group.join(files.limit)));
    meminfo(root, "MemTotal:").filter(|bytes| *bytes > 0).into_iter().chain(limits).min().unwrap_or_default()
}

/// Memory that is left of it, bytes, what the kernel can take back at once included; `None` where the system does
/// not say. Reads a few small files.
pub fn memory_available_bytes() -> Option<u64> {
    available_below(Path::new("/"))
}

fn available_below(root: &Path) -> Option<u64> {
    let groups = groups(root);
    let left = groups.iter().filter_map(|(group, names)| {
        let (most, used) = (number(&group.join(names.limit))?, number(&group.join(names.used))?);
        let stat = std::fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
        let of =
            |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        // Whether they were read once or twice: as in `MemAvailable`, they go before anything is short.
        let files: u64 = names.files.iter().filter_map(|name| of(name)).sum();
        Some(most.saturating_sub(used.saturating_sub(files)))
    });
    meminfo(root, "MemAvailable:").into_iter().chain(left).min()
}

/// A line of `/proc/meminfo`, bytes.
fn meminfo(root: &Path, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// How the files of a control group are called in a version of them.
struct Names {
    limit: &'static str,
    used: &'static str,
    /// The lines of `memory.stat` with the files that the kernel can take back.
    files: [&'static str; 2],
}

const VERSION_1: Names = Names {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    files: ["total_inactive_file ", "total_active_file "],
};
const VERSION_2: Names =
    Names { limit: "memory.max", used: "memory.current", files: ["inactive_file ", "active_file "] };

/// The control groups in which this process is, the innermost first. A container may see its own group at the root and
/// the name that it has outside; what is not there has no files.
fn groups(root: &Path) -> Vec<(PathBuf, Names)> {
    let text = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    // `<number>:<controllers>:<path>`, a line for each hierarchy; version 2 has number 0 and no controllers.
    let own = text.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|one| one == "memory").then_some(("sys/fs/cgroup/memory", path, VERSION_1))
    });
    let own = own.or_else(|| {
        text.lines().find_map(|line| Some(("sys/fs/cgroup", line.strip_prefix("0::")?, VERSION_2)))
    });
    let Some((mounted, path, names)) = own else { return Vec::new() };
    let mounted = root.join(mounted);
    let innermost = mounted.join(path.trim_start_matches('/'));
    let all = innermost.ancestors().take_while(|group| group.starts_with(&mounted)).map(Path::to_owned);
    all.map(|group| (group, Names { ..names })).collect()
}

/// How many files this process may have open, connections included.
pub fn files_max() -> u64 {
    // Raised to the hard limit when the runtime opens.
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// Why something was not opened, if it is because this process or the machine has no file descriptor left.
pub fn out_of_files(error: &std::io::Error) -> Option<Fault> {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    let errno = Errno::from_io_error(error).or_else(|| Errno::from_io_error(cause?))?;
    matches!(errno, Errno::MFILE | Errno::NFILE).then(|| {
        let most = files_max();
        Fault::new(Code::MachineLacks, format!("the node has no file descriptor left; it may have {most}"))
            .hint("raise the limit with `ulimit -n 65536`, or `LimitNOFILE=65536` in its systemd unit")
            .detail(error)
            .with_status(503)
            .retry_after(1)
    })
}

/// The number that a file holds, if it is one.
fn number(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Free and whole room of the disk that holds a path, in bytes, as far as this user may fill it; `None` where
/// the system does not say.
pub fn disk(path: &Path) -> Option<(u64, u64)> {
    let Space { free_bytes, bytes } = space(path).ok()?;
    Some((free_bytes, bytes))
}

#[cfg(test)]
mod tests {
    use super::{
        Attributes, NODE_SLICE, answer_soon, available_below, cpus, disk, limit_below,
        memory_available_bytes, memory_bytes, memory_limit_bytes, out_of_files,
    };
    use std::path::Path;

    #[test]
    fn a_machine_has_something_of_everything() {
        let (free, whole) = disk(Path::new("/")).unwrap();
        assert!(cpus() > 0 && memory_bytes() > 1 << 20 && free <= whole && whole > 0);
        assert!(memory_limit_bytes() <= memory_bytes());
        assert!(memory_available_bytes().is_some_and(|left| left <= memory_limit_bytes()));
        assert_eq!(disk(Path::new("/no/such/folder")), None);
    }

    #[test]
    fn a_thread_has_short_turns_and_what_it_starts_has_not() {
        fn slice_ns() -> Option<u64> {
            Attributes::of_this_thread().map(|attributes| attributes.runtime_ns)
        }
        let usual_ns = slice_ns();
        let thread = std::thread::spawn(|| {
            answer_soon();
            (slice_ns(), std::thread::spawn(slice_ns).join().unwrap())
        });
        let (own_ns, of_its_thread_ns) = thread.join().unwrap();
        if usual_ns.is_none_or(|ns| ns == 0) {
            return eprintln!("skipped: this kernel knows no slices (before Linux 6.12)");
        }
        assert_eq!((own_ns.map(u128::from), of_its_thread_ns), (Some(NODE_SLICE.as_nanos()), usual_ns));
    }

    /// A machine of 8 GiB, of which 6 are free, with these lines in `/proc/self/cgroup`, and these files (`path=GiB` or
    /// `path=text`).
    fn machine(groups: &str, files: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("proc/meminfo", &format!("MemTotal: {} kB\nMemAvailable: {} kB\n", 8 << 20, 6 << 20));
        write("proc/self/cgroup", groups);
        for (path, value) in files.split_whitespace().map(|file| file.split_once('=').unwrap()) {
            let value = match value.split_once(':') {
                Some((line, gib)) => format!("rss 1\n{line} {}\n", gib.parse::<u64>().unwrap() << 30),
                None => value.parse::<u64>().map_or_else(|_| value.to_owned(), |gib| (gib << 30).to_string()),
            };
            write(&format!("sys/fs/cgroup/{path}"), &value);
        }
        root
    }

    #[test]
    fn the_least_of_all_control_groups_counts_in_both_versions() {
        let v1 = "9:name=systemd:/\n4:cpu,memory:/outer/inner\n0::/\n";
        // What is found, in GiB: the limit, and what is left.
        for (what, groups, files, limit, left) in [
            ("no groups", "", "", 8, 6),
            ("version 2", "0::/a/b\n", "a/b/memory.max=4 a/b/memory.current=3", 4, 1),
            ("an outer one", "0::/a/b\n", "a/b/memory.max=max a/memory.max=2 a/memory.current=1", 2, 1),
            (
                "files can be taken back",
                "0::/a\n",
                "a/memory.max=4 a/memory.current=3 a/memory.stat=inactive_file:2",
                4,
                3,
            ),
            (
                "those that were read twice, too",
                "0::/a\n",
                "a/memory.max=4 a/memory.current=3 a/memory.stat=active_file:1",
                4,
                2,
            ),
            (
                "version 1",
                v1,
                "memory/outer/inner/memory.limit_in_bytes=8589934591 memory/outer/inner/memory.usage_in_bytes=1
                 memory/outer/memory.limit_in_bytes=3 memory/outer/memory.usage_in_bytes=2
                 memory/outer/memory.stat=total_inactive_file:1",
                3,
                2,
            ),
            (
                "a container sees its group at the root",
                v1,
                "memory/memory.limit_in_bytes=1 memory/memory.usage_in_bytes=1",
                1,
                0,
            ),
            ("no limit", v1, "memory/outer/inner/memory.limit_in_bytes=8589934591", 8, 6),
        ] {
            let root = machine(groups, files);
            let found = (limit_below(root.path()), available_below(root.path()));
            assert_eq!(found, (limit << 30, Some(left << 30)), "{what}");
        }
    }

    #[test]
    fn a_lack_of_descriptors_is_told_apart() {
        for (number, lacks) in [(24, true), (23, true), (2, false)] {
            let fault = out_of_files(&std::io::Error::from_raw_os_error(number));
            assert_eq!(fault.map(|fault| fault.status()), lacks.then_some(503), "{number}");
        }
    }
}
