//! What `/proc` says about processes: who belongs to an instance, how much memory and time, which ports.
//!
//! **Why.** Without a cgroup of its own, an instance is known by its session, and a descendant that
//! left the session by a variable that it inherited. Neither needs a privilege.

use super::diagnosis;
use hob_core::limit::{WATCHED_FILES_MAX, WATCHED_THREADS_MAX};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// The variable that marks every process of an instance; its value is the instance's working folder.
pub(super) const MARK: &str = "HOB_INSTANCE";

fn pids() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The numbers that processes above `pid_min` can have: those that exist, or, where that is quicker than to walk
/// through `/proc`, those that the kernel has given out since.
fn pids_above(pid_min: i32) -> Vec<i32> {
    /// As many numbers are tried as a walk costs.
    const TRIED_MAX: i32 = 64;
    match newest() {
        Some(newest) if pid_min > 0 && (pid_min..=pid_min.saturating_add(TRIED_MAX)).contains(&newest) => {
            (pid_min + 1..=newest).collect()
        }
        // Numbers have begun anew, or there are many.
        _ => pids().filter(|pid| *pid > pid_min).collect(),
    }
}

/// The number that was given out last (proc(5), `/proc/loadavg`).
fn newest() -> Option<i32> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().nth(4)?.parse().ok()
}

/// Kills every process above `pid_min` whose mark `belongs`, and says whether there was one. Repeats, since processes may be
/// born meanwhile.
pub(super) fn kill_marked(belongs: impl Fn(&str) -> bool, pid_min: i32) -> bool {
    const ROUNDS: usize = 10;
    for round in 0..ROUNDS {
        let mut found = false;
        for pid in pids_above(pid_min).into_iter().filter_map(Pid::from_raw) {
            if mark(pid).is_some_and(|value| belongs(&value)) {
                found |= kill_process(pid, Signal::KILL).is_ok();
            }
        }
        if !found {
            return round > 0;
        }
    }
    true
}

fn mark(pid: Pid) -> Option<String> {
    let environ = std::fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).ok()?;
    let entry = environ.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(MARK.as_bytes()))?;
    String::from_utf8(entry.strip_prefix(b"=")?.to_vec()).ok()
}

/// The living processes of a session.
pub(super) fn session(leader: Pid) -> Vec<i32> {
    let leader = leader.as_raw_nonzero().get();
    pids().filter(|pid| *pid == leader || session_of(*pid) == Some(leader)).collect()
}

/// Fields of `/proc/<pid>/stat` after the name, which may itself hold spaces and brackets, from field
/// `from` on (0: state, 1: parent, 2: group, 3: session, 11 to 14: times).
fn stat<const N: usize>(pid: i32, from: usize) -> Option<[i64; N]> {
    let stat = short(&format!("/proc/{pid}/stat"))?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(from);
    let mut found = [0; N];
    for field in &mut found {
        *field = fields.next()?.parse().ok()?;
    }
    Some(found)
}

fn session_of(pid: i32) -> Option<i32> {
    // One system call, where `stat` takes three and has the kernel add up much that is not asked for. Rustix takes it for
    // granted that there is a session; threads of the kernel have none.
    // SAFETY: a number goes in and one comes out.
    let session = unsafe { libc::getsid(pid) };
    (session > 0).then_some(session)
}

/// Nanoseconds of one tick in which `/proc` counts processor time: `USER_HZ` is 100 wherever Hob runs.
const TICK_NS: u64 = 10_000_000;

fn ticks_ns(ticks: &[i64]) -> u64 {
    ticks.iter().map(|ticks| u64::try_from(*ticks).unwrap_or_default().saturating_mul(TICK_NS)).sum()
}

/// Processor time of a process and the children that it has waited for, nanoseconds in steps of a tick; 0
/// once it has ended.
pub(super) fn spent_ns(pid: i32) -> u64 {
    stat::<4>(pid, 11).map_or(0, |times| ticks_ns(&times))
}

/// Only that of the children.
pub(super) fn reaped_ns(pid: i32) -> u64 {
    stat::<2>(pid, 13).map_or(0, |times| ticks_ns(&times))
}

/// The children of a process as its threads have them, without a walk through `/proc`: the kernel says of each thread whom it has
/// forked (proc(5), `/proc/<pid>/task/<tid>/children`). An error where it says nothing.
fn children(pid: i32) -> impl Iterator<Item = std::io::Result<Vec<i32>>> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.map(|thread| {
        let children = std::fs::read_to_string(thread.path().join("children"))?;
        Ok(children.split_ascii_whitespace().filter_map(|child| child.parse().ok()).collect())
    })
}

/// Whether a process has children, as far as the kernel says so quickly.
pub(super) fn has_children(pid: Pid) -> bool {
    let children = children(pid.as_raw_nonzero().get());
    let mut looked = children.take(WATCHED_THREADS_MAX).peekable();
    looked.peek().is_none() || looked.any(|children| children.map_or(true, |children| !children.is_empty()))
}

/// A process and its descendants, as far as the kernel names them quickly: without a walk through `/proc`. Of more than
/// [`WATCHED_THREADS_MAX`] threads the rest is not asked.
pub(super) fn family(pid: Pid) -> Vec<i32> {
    let mut family = vec![pid.as_raw_nonzero().get()];
    let (mut at, mut threads_left) = (0, WATCHED_THREADS_MAX);
    while let Some(parent) = family.get(at).copied() {
        for children in children(parent).take(threads_left) {
            threads_left -= 1;
            family.extend(children.unwrap_or_default());
        }
        at += 1;
    }
    family
}

/// Bytes of the files in memory (memfd_create(2)) that processes have open, each once: what is written into one and not mapped is
/// in no process's resident memory. Of more than [`WATCHED_FILES_MAX`] open files the rest is not looked at.
pub(super) fn files_in_memory_bytes(processes: &[i32]) -> u64 {
    let open = |pid: &i32| std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut seen = HashSet::new();
    let mut bytes = 0_u64;
    for file in processes.iter().flat_map(open).take(WATCHED_FILES_MAX) {
        let path = file.path();
        // Only of these is more asked: a file of a disk may be slow to answer.
        if is_in_memory(&path)
            && let Ok(stat) = rustix::fs::stat(&path)
            && seen.insert((stat.st_dev, stat.st_ino))
        {
            const BLOCK_BYTES: u64 = 512;
            bytes = bytes.saturating_add(
                u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(BLOCK_BYTES),
            );
        }
    }
    bytes
}

/// Whether a link of `/proc/<pid>/fd` leads to a file in memory.
fn is_in_memory(link: &Path) -> bool {
    const BEGINNING: &[u8] = b"/memfd:";
    let mut begins = [0; BEGINNING.len()];
    let read = rustix::fs::readlinkat_raw(rustix::fs::CWD, link, &mut begins);
    read.is_ok_and(|read| read == BEGINNING.len()) && begins == *BEGINNING
}

/// How much of [`resident_bytes`] is memory that a file in memory may be.
pub(super) fn resident_shared_bytes(pid: i32) -> u64 {
    kib_field(&format!("/proc/{pid}/status"), "RssShmem:").unwrap_or_default()
}

/// The same of [`proportional_bytes`].
pub(super) fn proportional_shared_bytes(pid: i32) -> u64 {
    kib_field(&format!("/proc/{pid}/smaps_rollup"), "Pss_Shmem:")
        .unwrap_or_else(|| resident_shared_bytes(pid))
}

/// Resident memory of one process in bytes; 0 once it has ended. `statm` has seven numbers, of pages; `status`, which
/// says the same in KiB, costs the kernel and the reader twenty times as much.
pub(super) fn resident_bytes(pid: i32) -> u64 {
    let pages = short(&format!("/proc/{pid}/statm"))
        .and_then(|text| text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or_default().saturating_mul(rustix::param::page_size() as u64)
}

/// A small file in one read: the standard library asks for its size first, which is 0 here, and then reads pieces of 32
/// bytes and more.
fn short(path: &str) -> Option<String> {
    /// `stat` has 52 numbers of up to 20 digits and a name of 64 bytes.
    const BYTES_MAX: usize = 2048;
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut space = [0; BYTES_MAX];
    let read = rustix::io::read(&file, &mut space).ok()?;
    // The name of a program may be any bytes.
    Some(String::from_utf8_lossy(&space[..read]).into_owned())
}

/// Resident memory in which a page shared by n processes counts 1/n for each; [`resident_bytes`] where
/// the kernel does not tell.
pub(super) fn proportional_bytes(pid: i32) -> u64 {
    kib_field(&format!("/proc/{pid}/smaps_rollup"), "Pss:").unwrap_or_else(|| resident_bytes(pid))
}

fn kib_field(file: &str, field: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(field))?;
    Some(value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The TCP addresses on which processes of a session listen.
pub(super) fn listening(leader: Pid) -> Vec<SocketAddr> {
    let sockets: HashSet<u64> = session(leader).into_iter().flat_map(sockets).collect();
    // Those of its network, which may be its own.
    let table = |name| format!("/proc/{}/net/{name}", leader.as_raw_nonzero());
    let tables = ["tcp", "tcp6"].map(|name| std::fs::read_to_string(table(name)).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines());
    rows.filter_map(listener)
        .filter(|(_, inode)| sockets.contains(inode))
        .map(|(address, _)| address)
        .collect()
}

/// Whether another process than those of a session is known to listen on a loopback port of the node's network: what the
/// session listens on can be seen, and it is not that.
pub(super) fn is_taken(leader: Pid, port: u16) -> bool {
    let own = |inode| session(leader).into_iter().any(|pid| sockets(pid).contains(&inode));
    if diagnosis::listener(port).is_some_and(own) {
        return false;
    }
    // Who has left the session, or is not told of by the kernel: the whole table says, slowly.
    let listening = listening(leader);
    !listening.is_empty() && listening.iter().all(|address| address.port() != port)
}

fn sockets(pid: i32) -> Vec<u64> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    links
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect()
}

/// A row of `/proc/net/tcp` in state LISTEN (`0A`): its local address and its socket's inode.
fn listener(row: &str) -> Option<(SocketAddr, u64)> {
    let mut words = row.split_ascii_whitespace();
    let (local, state, inode) = (words.nth(1)?, words.nth(1)?, words.nth(5)?);
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // Addresses are written as 32-bit words in the machine's byte order.
    let word =
        |at: usize| Some(u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let address = if address.len() == 8 {
        IpAddr::from(Ipv4Addr::from(word(0)?))
    } else {
        let mut bytes = [0; 16];
        for at in 0..4 {
            bytes[at * 4..at * 4 + 4].copy_from_slice(&word(at)?);
        }
        IpAddr::from(Ipv6Addr::from(bytes))
    };
    (state == "0A").then_some((SocketAddr::new(address, port), inode.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{family, files_in_memory_bytes, has_children, listener};
    use rustix::fs::{MemfdFlags, memfd_create};
    use std::io::Write as _;

    #[test]
    fn the_children_of_every_thread_are_of_the_family() {
        // A test is never the first thread of its process.
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let own = rustix::process::getpid();
        let (family, has_children) = (family(own), has_children(own));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(family.contains(&i32::try_from(child.id()).unwrap()) && has_children, "{family:?}");
    }

    #[test]
    fn what_is_written_into_a_file_in_memory_counts_once_for_all_who_have_it_open() {
        const BYTES: usize = 8 << 20;
        let own = [rustix::process::getpid().as_raw_nonzero().get()];
        let mut file = std::fs::File::from(memfd_create(c"hidden", MemfdFlags::CLOEXEC).unwrap());
        let _same = file.try_clone().unwrap();
        // Room that nobody has filled is no memory.
        file.set_len(16 * BYTES as u64).unwrap();
        file.write_all(&vec![1; BYTES]).unwrap();
        let counted = files_in_memory_bytes(&[own, own].concat());
        assert!((BYTES as u64..2 * BYTES as u64).contains(&counted), "{counted}");
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_the_kernels_table_of_sockets() {
        let rest = "00000000:0000 00000000 0 0 4242 1 0 100 0 0 10 0";
        for (row, expected) in [
            (format!("0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 {rest}"), Some("127.0.0.1:8080")),
            (format!("1: 0100007F:1F90 00000000:0000 01 00000000:00000000 {rest}"), None),
            (
                format!("2: 00000000000000000000000001000000:0050 0:0 0A 00000000:00000000 {rest}"),
                Some("[::1]:80"),
            ),
            ("  sl  local_address rem_address   st".to_owned(), None),
        ] {
            let found = listener(&row).map(|(address, inode)| (address.to_string(), inode));
            assert_eq!(found, expected.map(|address| (address.to_owned(), 4242)), "{row}");
        }
    }
}
