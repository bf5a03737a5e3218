//! What a child does to itself before it executes its program: session, death with the node, limits.

use hob_core::limit::{PROCESS_FILES_MAX, PROCESS_NICENESS, PROCESS_TASKS_MAX};
use rustix::fs::{Mode, OFlags};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, geteuid, getpid, getppid, getpriority_process, getrlimit,
    set_parent_process_death_signal, setpriority_process, setrlimit, setsid,
};

/// Where the kernel shares processors out by sessions first (`autogroup`), `nice` counts inside a session only, and
/// this is the niceness of the session: [`PROCESS_NICENESS`].
const SESSION_NICENESS: &[u8] = b"10";
const _: () = assert!(PROCESS_NICENESS == 10);
/// The kernel's out-of-memory killer takes functions before the node.
const OOM_SCORE: &[u8] = b"500";

/// What a child does to itself before it executes its program.
#[derive(Clone, Copy)]
pub(crate) struct Confinement {
    node: Pid,
    niceness: i32,
    files: Rlimit,
    tasks: Option<Rlimit>,
}

impl Confinement {
    /// For children of this process.
    pub(crate) fn here() -> Self {
        Self {
            node: getpid(),
            niceness: getpriority_process(None).unwrap_or_default().saturating_add(PROCESS_NICENESS).min(19),
            files: lowered(Resource::Nofile, PROCESS_FILES_MAX),
            // The limit counts all processes of the user: for root that would be the whole machine.
            tasks: (!geteuid().is_root()).then(|| lowered(Resource::Nproc, PROCESS_TASKS_MAX)),
        }
    }

    /// With at most so many processes and threads of the child's own user, which nobody else is.
    pub(crate) fn with_tasks(self, tasks_max: u64) -> Self {
        Self { tasks: Some(lowered(Resource::Nproc, tasks_max)), ..self }
    }

    /// Whether the node still is this process's parent.
    pub(super) fn has_node(self) -> rustix::io::Result<()> {
        if getppid() == Some(self.node) { Ok(()) } else { Err(rustix::io::Errno::SRCH) }
    }

    /// Ends with the node. A change of the user takes this away, so it comes after.
    pub(super) fn end_with_node() -> rustix::io::Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))
    }

    /// Only system calls, on values copied before: it neither allocates nor locks.
    pub(super) fn enter(self) -> rustix::io::Result<()> {
        setsid()?;
        rustix::thread::set_no_new_privs(true)?;
        // Functions that compute must not keep the node from its sockets.
        setpriority_process(None, self.niceness)?;
        dump_nothing()?;
        setrlimit(Resource::Nofile, self.files)?;
        if let Some(tasks) = self.tasks {
            setrlimit(Resource::Nproc, tasks)?;
        }
        // A machine without the file has no killer to be told, or no such groups.
        for (path, text) in
            [(c"/proc/self/oom_score_adj", OOM_SCORE), (c"/proc/self/autogroup", SESSION_NICENESS)]
        {
            if let Ok(file) = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
                let _ = rustix::io::write(&file, text);
            }
        }
        Ok(())
    }
}

/// Sees to it that this process leaves no core dump, neither in a file nor with a program of the machine's that would get its memory.
///
/// A limit of zero does not hold for programs (core(5), `|` in `core_pattern`); the kernel refuses them for a limit of one, at which it writes no file
/// either. Who may have nothing at all cannot raise it.
pub(crate) fn dump_nothing() -> rustix::io::Result<()> {
    let limit = |bytes| setrlimit(Resource::Core, Rlimit { current: Some(bytes), maximum: Some(bytes) });
    limit(1).or_else(|_| limit(0))
}

/// The limit, or what the node itself may have if that is less.
fn lowered(resource: Resource, most: u64) -> Rlimit {
    let own = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    Rlimit { current: Some(most.min(own)), maximum: Some(most.min(own)) }
}
