//! Starting child processes, on one thread that lives as long as the host.
//!
//! **Why a thread.** A child asks the kernel to be killed with its parent (`PR_SET_PDEATHSIG`), and the
//! kernel takes the *thread* that forked for the parent. Threads of an async runtime come and go.
//!
//! **How.** The thread makes the working folder, forks, confines the child before it executes anything
//! foreign, and opens a file descriptor that becomes readable when the child ends.

use hob_core::limit::{PROCESS_FILES_MAX, PROCESS_NICENESS, PROCESS_TASKS_MAX};
use rustix::fs::{Mode, OFlags};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, geteuid, getpid, getppid, getpriority_process, getrlimit,
    kill_process_group, pidfd_open, set_parent_process_death_signal, setpriority_process, setrlimit, setsid,
};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Below a working folder: where the program starts, with links to its package's files.
const WORK: &str = "work";
/// Below a working folder: the program's `HOME` and `TMPDIR`.
pub(super) const TMP: &str = "tmp";
/// Where the kernel shares processors out by sessions first (`autogroup`), `nice` counts inside a session only, and
/// this is the niceness of the session: [`PROCESS_NICENESS`].
const SESSION_NICENESS: &[u8] = b"5";
/// The kernel's out-of-memory killer takes functions before the node.
const OOM_SCORE: &[u8] = b"500";

/// What to start.
pub(super) struct Job {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    /// The function's package.
    pub(super) package: PathBuf,
    /// The working folder to make.
    pub(super) folder: PathBuf,
    /// Whether standard input is a pipe.
    pub(super) stdin: bool,
}

/// A child that has just been started, with pipes at its standard streams.
pub(super) struct Born {
    pub(super) child: Child,
    pub(super) pid: Pid,
    /// Readable when the child has ended.
    pub(super) pidfd: OwnedFd,
    pub(super) folder: Folder,
}

/// A working folder; removed when dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The folder with links to the package's entries, so that the program finds its files where it
    /// starts and can add others that nobody else sees.
    fn make(path: &Path, package: &Path) -> io::Result<Self> {
        let folder = Self(path.to_owned());
        std::fs::create_dir_all(path.join(WORK))?;
        std::fs::create_dir(path.join(TMP))?;
        for entry in std::fs::read_dir(package)? {
            let entry = entry?;
            std::os::unix::fs::symlink(entry.path(), path.join(WORK).join(entry.file_name()))?;
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now goes when the next node opens the host.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

type Order = (Job, oneshot::Sender<io::Result<Born>>);

/// The thread that starts children. It ends when the last handle is dropped.
pub(super) struct Forker {
    orders: mpsc::Sender<Order>,
    started: AtomicU64,
}

impl Forker {
    pub(super) fn start() -> io::Result<Self> {
        let (orders, received) = mpsc::channel::<Order>();
        let confinement = Confinement::here();
        let work = move || {
            for (job, reply) in received {
                if let Err(Ok(born)) = reply.send(spawn(&job, confinement)) {
                    abandon(born);
                }
            }
        };
        std::thread::Builder::new().name("hob-fork".to_owned()).spawn(work)?;
        Ok(Self { orders, started: AtomicU64::new(0) })
    }

    /// A number for the next working folder.
    pub(super) fn next_number(&self) -> u64 {
        self.started.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) async fn spawn(&self, job: Job) -> io::Result<Born> {
        let gone = || io::Error::other("the thread that starts processes has ended");
        let (reply, born) = oneshot::channel();
        self.orders.send((job, reply)).map_err(|_| gone())?;
        born.await.map_err(|_| gone())?
    }
}

/// Ends a child for which nobody waits any more.
fn abandon(mut born: Born) {
    let _ = kill_process_group(born.pid, Signal::KILL);
    let _ = born.child.wait();
}

fn spawn(job: &Job, confinement: Confinement) -> io::Result<Born> {
    let folder = Folder::make(&job.folder, &job.package)?;
    let mut command = Command::new(&job.program);
    command
        .args(&job.args)
        .env_clear()
        .envs(&job.env)
        .current_dir(job.folder.join(WORK))
        .stdin(if job.stdin { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe functions may be
    // called. It makes system calls through rustix on values copied before; it neither allocates nor locks.
    unsafe { command.pre_exec(move || confinement.enter()) };
    let mut child = retry_busy(|| command.spawn())?;
    let opened = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::ErrorKind::InvalidData.into());
    match opened.and_then(|pid| Ok((pid, pidfd_open(pid, PidfdFlags::empty())?))) {
        Ok((pid, pidfd)) => Ok(Born { child, pid, pidfd, folder }),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

/// A file that was written a moment ago can still be open for writing in a child that another thread
/// has forked but that has not executed its program yet.
fn retry_busy(mut spawn: impl FnMut() -> io::Result<Child>) -> io::Result<Child> {
    const ATTEMPTS: u32 = 20;
    for _ in 1..ATTEMPTS {
        match spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
    spawn()
}

/// What a child does to itself before it executes its program.
#[derive(Clone, Copy)]
struct Confinement {
    node: Pid,
    niceness: i32,
    files: Rlimit,
    tasks: Option<Rlimit>,
}

impl Confinement {
    fn here() -> Self {
        Self {
            node: getpid(),
            niceness: getpriority_process(None).unwrap_or_default().saturating_add(PROCESS_NICENESS).min(19),
            files: lowered(Resource::Nofile, PROCESS_FILES_MAX),
            // The limit counts all processes of the user: for root that would be the whole machine.
            tasks: (!geteuid().is_root()).then(|| lowered(Resource::Nproc, PROCESS_TASKS_MAX)),
        }
    }

    /// Async-signal-safe.
    fn enter(self) -> io::Result<()> {
        setsid()?;
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(self.node) {
            // The node died before the line above.
            return Err(io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error()));
        }
        rustix::thread::set_no_new_privs(true)?;
        // Functions that compute must not keep the node from its sockets.
        setpriority_process(None, self.niceness)?;
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
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

/// The limit, or what the node itself may have if that is less.
fn lowered(resource: Resource, most: u64) -> Rlimit {
    let own = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    Rlimit { current: Some(most.min(own)), maximum: Some(most.min(own)) }
}
