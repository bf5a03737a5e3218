//! What a child does to itself before it executes its program: session, death with the node, limits.

use hob_core::limit::{PROCESS_FILES_MAX, PROCESS_TASKS_MAX};
use rustix::fs::{Mode, OFlags};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, geteuid, getpid, getppid, getrlimit, set_parent_process_death_signal,
    setrlimit, setsid,
};

/// The kernel's out-of-memory killer takes functions before the node.
const OOM_SCORE: &[u8] = b"500";

/// What a child does to itself before it executes its program.
#[derive(Clone, Copy)]
pub(super) struct Confinement {
    node: Pid,
    files: Rlimit,
    tasks: Option<Rlimit>,
}

impl Confinement {
    pub(super) fn here() -> Self {
        Self {
            node: getpid(),
            files: lowered(Resource::Nofile, PROCESS_FILES_MAX),
            // The limit counts all processes of the user: for root that would be the whole machine.
            tasks: (!geteuid().is_root()).then(|| lowered(Resource::Nproc, PROCESS_TASKS_MAX)),
        }
    }

    /// Only system calls, on values copied before: it neither allocates nor locks.
    pub(super) fn enter(self) -> rustix::io::Result<()> {
        setsid()?;
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(self.node) {
            // The node died before the line above.
            return Err(rustix::io::Errno::SRCH);
        }
        rustix::thread::set_no_new_privs(true)?;
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
        setrlimit(Resource::Nofile, self.files)?;
        if let Some(tasks) = self.tasks {
            setrlimit(Resource::Nproc, tasks)?;
        }
        // A machine without the file has no killer to be told.
        if let Ok(file) =
            rustix::fs::open(c"/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        {
            let _ = rustix::io::write(&file, OOM_SCORE);
        }
        Ok(())
    }
}

/// The limit, or what the node itself may have if that is less.
fn lowered(resource: Resource, most: u64) -> Rlimit {
    let own = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    Rlimit { current: Some(most.min(own)), maximum: Some(most.min(own)) }
}
