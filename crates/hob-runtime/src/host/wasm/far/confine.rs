//! What a worker takes away from itself: files, network, privileges, and nearly every system call.
//!
//! **Why by itself.** A worker is Hob's own program. It needs files and system calls until its engine and its threads are
//! there, and hardly any afterwards; nobody else knows when that is. Nothing of a stranger's has run before.
//!
//! **How.** [`begin`] is the first thing that the process does. [`leave`] is called while it has one thread: new
//! namespaces, an empty root that nobody can write to, another user where the node is root, no capabilities. [`seal`]
//! is called when all threads are there, and lets the kernel refuse what is not in the table of [`filter`].
//!
//! **Invariants.** The filter is always there, or the worker does not start. What a machine does not offer of the rest is
//! named, and told to the node.

use super::filter;
use crate::wall::dump_nothing;
use crate::wall::step::{Mount, Step, take_here};
use hob_core::limit::{COMPILED_BYTES_MAX, PROCESS_NICENESS, WORKER_FILES_MAX};
use rustix::process::{
    Resource, Rlimit, Signal, getegid, geteuid, getpriority_process, getrlimit,
    set_parent_process_death_signal, setpriority_process, setrlimit, setsid,
};
use std::ffi::c_int;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};

/// The kernel's out-of-memory killer takes workers before the node.
const OOM_SCORE: &str = "500";
/// The user that a worker of root's becomes: nobody has it.
const USER: u32 = 0x6fff_ffff;
/// Namespaces that it leaves for empty ones. It makes no processes, so one for these would change nothing.
const NAMESPACES: c_int =
    libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;

/// Before anything else: limits, and that a panic ends the process. Returns the control connection.
///
/// # Errors
/// When something cannot be taken away.
pub(super) fn begin() -> io::Result<OwnedFd> {
    let cap = |resource, most: u64| {
        let own = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let most = Some(most.min(own));
        setrlimit(resource, Rlimit { current: most, maximum: most })
    };
    rustix::thread::set_no_new_privs(true)?;
    // A session of its own, among which the kernel shares processors out. It leads none yet.
    let _ = setsid();
    let niceness = getpriority_process(None).unwrap_or_default().saturating_add(PROCESS_NICENESS).min(19);
    setpriority_process(None, niceness)?;
    dump_nothing()?;
    cap(Resource::Nofile, WORKER_FILES_MAX)?;
    // Files in memory, into which wasmtime puts what memories begin with.
    cap(Resource::Fsize, COMPILED_BYTES_MAX)?;
    // A machine without the file has no killer to be told.
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    std::panic::set_hook(Box::new(|panic| {
        use std::io::Write as _;
        // Nobody is left to tell when this fails.
        let _ = writeln!(io::stderr(), "{panic}");
        std::process::abort();
    }));
    // What is asked for later is remembered, where files are needed to find it out.
    let _ = rustix::param::page_size();
    // SAFETY: the node has put the control connection there, and nothing else in this process uses it.
    Ok(unsafe { OwnedFd::from_raw_fd(0) })
}

/// While there is one thread: leaves the machine's files, network and users. Names what the machine did not grant.
pub(super) fn leave() -> Vec<String> {
    let mut missing = Vec::new();
    let root = geteuid().is_root();
    if let Err(error) = namespaces(root) {
        missing.push(format!("namespaces: {error}"));
    } else if let Err(error) = empty_root() {
        missing.push(format!("an empty root: {error}"));
    }
    if root && let Err(error) = take_here(&[Step::NoNewCapabilities, Step::User(USER)]) {
        missing.push(format!("another user: {error}"));
    }
    if let Err(error) = take_here(&[Step::NoCapabilities]) {
        missing.push(format!("no capabilities: {error}"));
    }
    // After the change of the user, which takes it away.
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        missing.push(format!("death with the node: {error}"));
    }
    missing
}

/// When all threads are there: only the system calls of the table from here on.
///
/// # Errors
/// When the kernel takes no filter.
pub(super) fn seal() -> io::Result<()> {
    filter::install()
}

fn namespaces(root: bool) -> io::Result<()> {
    if root {
        return take_here(&[Step::Unshare(NAMESPACES)]);
    }
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    take_here(&[
        Step::Unshare(NAMESPACES | libc::CLONE_NEWUSER),
        Step::Write(c"/proc/self/setgroups".into(), b"deny".to_vec()),
        Step::Write(c"/proc/self/uid_map".into(), format!("0 {user} 1").into_bytes()),
        Step::Write(c"/proc/self/gid_map".into(), format!("0 {group} 1").into_bytes()),
    ])
}

/// An empty folder in memory becomes the root, for reading only.
fn empty_root() -> io::Result<()> {
    let quiet = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let root = |flags| Mount { source: None, target: c"/".into(), kind: None, flags, data: None };
    // Whatever folder is everywhere: it is only the place where the new root is for a moment.
    let empty = Mount {
        source: Some(c"root".into()),
        target: c"/proc".into(),
        kind: Some(c"tmpfs".into()),
        flags: quiet,
        data: Some(c"mode=555,size=4k,nr_inodes=2".into()),
    };
    take_here(&[
        Step::Mount(root(libc::MS_REC | libc::MS_PRIVATE)),
        Step::Mount(empty),
        Step::Enter(c"/proc".into()),
        Step::Pivot,
        Step::Mount(root(libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY | quiet)),
    ])
}
