//! Starting child processes, on threads that live as long as the host.
//!
//! **Why a thread.** A child asks the kernel to be killed with its parent (`PR_SET_PDEATHSIG`), and the
//! kernel takes the *thread* that forked for the parent. Threads of an async runtime come and go.
//!
//! **Why two.** The thread sleeps until a child executes its program. One that is born into a room where programs run already can be held up by them, for as
//! long as a birth may take; so such births wait for each other only, and not those of all others for them.
//!
//! **How.** The thread makes the working folder, if none is left of an earlier program, and the pipes, and has the child born ([`birth`]), which confines itself
//! before it executes anything foreign, in bounded time ([`Bound`]). A file descriptor becomes readable when the child ends.

use super::account;
use super::folder::{Folder, WORK, Wanted};
use crate::cgroup::{AppGroups, Group, Limits};
use crate::wall::birth::{self, Image, Place};
use crate::wall::bound::Bound;
use crate::wall::{self, Confinement, Listening, Room, Wall};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use tokio::sync::oneshot;
use zeroize::Zeroize;

/// What to start.
pub(super) struct Job {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) env: Variables,
    /// Whether standard input is a pipe.
    pub(super) stdin: bool,
    pub(super) place: JobPlace,
    /// The working folder of a program beside the node.
    pub(super) folder: Option<Wanted>,
    /// Where a control group is made for it, with these limits.
    pub(super) groups: Option<(Arc<AppGroups>, Limits)>,
}

/// The environment of a program; secrets are among it, so it is overwritten at its end.
pub(super) struct Variables(pub(super) Vec<(String, String)>);

impl Drop for Variables {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|(_, value)| value.zeroize());
    }
}

/// Where to start it.
pub(super) enum JobPlace {
    /// Beside the node, in its working folder.
    Open,
    /// Behind new walls, where the node listens so, and at most so many processes and threads.
    Behind { wall: Arc<Wall>, listening: Vec<Listening>, tasks_max: u64 },
    /// In a room that is there.
    In { wall: Arc<Wall>, room: Arc<Room>, tasks_max: u64 },
}

/// A child that has just been started, with pipes at its standard streams.
pub(super) struct Born {
    pub(super) pid: Pid,
    /// Readable when the child has ended.
    pub(super) pidfd: OwnedFd,
    /// The writing end of its standard input, where that is a pipe.
    pub(super) input: Option<OwnedFd>,
    /// The reading end of its standard output.
    pub(super) output: OwnedFd,
    /// The reading end of its standard error.
    pub(super) errors: OwnedFd,
    /// Its working folder, where it is beside the node.
    pub(super) folder: Option<Folder>,
    /// The room that it is in, behind walls.
    pub(super) room: Option<Arc<Room>>,
    /// The control group that it is in, where it was made for it.
    pub(super) group: Option<Arc<Group>>,
}

type Order = (Job, oneshot::Sender<io::Result<Born>>);

/// The threads that start children. They end when the last handle is dropped.
pub(super) struct Forker {
    confinement: Confinement,
    birth_max: Duration,
    /// For those that are born where nobody else is.
    apart: mpsc::Sender<Order>,
    /// For those that are born into a room; `None`: there was none yet.
    among: Mutex<Option<mpsc::Sender<Order>>>,
    started: AtomicU64,
}

impl Forker {
    /// With births that take at most so long.
    pub(super) fn start(birth_max: Duration) -> io::Result<Self> {
        let confinement = Confinement::here();
        let (apart, among) = (thread(confinement, birth_max)?, Mutex::default());
        Ok(Self { confinement, birth_max, apart, among, started: AtomicU64::new(0) })
    }

    /// The thread for a birth.
    fn orders(&self, place: &JobPlace) -> io::Result<mpsc::Sender<Order>> {
        if !matches!(place, JobPlace::In { .. }) {
            return Ok(self.apart.clone());
        }
        let mut among = self.among.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(orders) = &*among {
            return Ok(orders.clone());
        }
        Ok(among.insert(thread(self.confinement, self.birth_max)?).clone())
    }

    /// A number for the next working folder.
    pub(super) fn next_number(&self) -> u64 {
        self.started.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) async fn spawn(&self, job: Job) -> io::Result<Born> {
        let gone = || io::Error::other("the thread that starts processes has ended");
        let (reply, born) = oneshot::channel();
        self.orders(&job.place)?.send((job, reply)).map_err(|_| gone())?;
        born.await.map_err(|_| gone())?
    }
}

/// A thread that starts what is ordered.
fn thread(confinement: Confinement, birth_max: Duration) -> io::Result<mpsc::Sender<Order>> {
    let (orders, received) = mpsc::channel::<Order>();
    let bound = Bound::start(birth_max)?;
    let held = Arc::clone(&bound);
    let work = move || {
        for (job, reply) in received {
            if let Err(Ok(born)) = reply.send(spawn(job, confinement, &held)) {
                abandon(&born);
            }
        }
        held.close();
    };
    let started = std::thread::Builder::new().name("hob-fork".to_owned()).spawn(work);
    started.inspect_err(|_| bound.close())?;
    Ok(orders)
}

/// Ends a child for which nobody waits any more.
fn abandon(born: &Born) {
    let _ = kill_process_group(born.pid, Signal::KILL);
    let _ = account::reap(born.pid);
}

fn spawn(job: Job, confinement: Confinement, bound: &Bound) -> io::Result<Born> {
    let Job { program, args, env, stdin, place: job_place, folder, groups } = job;
    let folder = folder.map(Wanted::open).transpose()?;
    let work = folder.as_ref().map_or_else(|| PathBuf::from(wall::WORK), |folder| folder.path().join(WORK));
    let (place, confinement) = match &job_place {
        JobPlace::Open => (Place::Open, confinement),
        JobPlace::Behind { wall, listening, tasks_max } => {
            (Place::Behind(wall, listening), confinement.with_tasks(*tasks_max))
        }
        JobPlace::In { wall, room, tasks_max } => (Place::In(wall, room), confinement.with_tasks(*tasks_max)),
    };
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from);
    let ((output, its_output), (errors, its_errors)) = (pipe()?, pipe()?);
    let (its_input, input) = if stdin {
        let (reader, writer) = pipe()?;
        (reader, Some(writer))
    } else {
        (rustix::fs::open(c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?, None)
    };
    // A program that joins a room is in the group of the room.
    let (group, there) = match &job_place {
        JobPlace::In { room, .. } => (None, room.group().cloned()),
        _ => {
            let group = groups.map(group).transpose()?.flatten();
            (group.clone(), group)
        }
    };
    let image = Image {
        group: there.as_deref(),
        program: &program,
        args: &args,
        env: &env.0,
        directory: &work,
        streams: [&its_input, &its_output, &its_errors],
        confinement,
        bound,
    };
    let born = retry_busy(|| birth::spawn(&image, place))?;
    let room = match &job_place {
        JobPlace::In { room, .. } => Some(Arc::clone(room)),
        _ => born.room.map(Arc::new),
    };
    if let Some(room) = &room {
        room.hold(&born.pidfd);
        group.iter().for_each(|group| room.is_held_by(group));
    }
    Ok(Born { pid: born.pid, pidfd: born.pidfd, input, output, errors, folder, room, group })
}

/// A control group of its own for a program.
///
/// # Errors
/// When there is none for a program with a limit of processors, which nothing else holds and of which its owner was told that it holds.
fn group((groups, limits): (Arc<AppGroups>, Limits)) -> io::Result<Option<Arc<Group>>> {
    match groups.make(limits) {
        Ok(group) => Ok(Some(Arc::new(group))),
        Err(error) if limits.cpu_milli.is_some() && groups.holds_processors() => Err(error),
        Err(error) => {
            // Its memory is watched then, as where there are no groups.
            tracing::warn!(%error, "an instance has no control group: the kernel makes none");
            Ok(None)
        }
    }
}

/// A file that was written a moment ago can still be open for writing in a child that another thread
/// has forked but that has not executed its program yet.
fn retry_busy<T>(mut spawn: impl FnMut() -> io::Result<T>) -> io::Result<T> {
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

#[cfg(test)]
mod tests {
    use super::{Born, Forker, Job, JobPlace, Variables, abandon};
    use crate::cgroup::{Groups, Limits};
    use crate::wall::{Choice, View, Walls};
    use hob_core::name::{AppName, SpaceName};
    use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    fn job(place: JobPlace) -> Job {
        let (program, env) = (PathBuf::from("/bin/true"), Variables(Vec::new()));
        Job { program, args: Vec::new(), env, stdin: false, place, folder: None, groups: None }
    }

    /// Walls in a folder that its programs may read.
    fn walls() -> Option<(tempfile::TempDir, Walls, View)> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let walls = Walls::open(Choice::Auto, &folder.path().join("wall")).unwrap();
        let view =
            View { same: [folder.path().to_owned()].into(), private_bytes: 1 << 20, ..View::default() };
        let Some(walls) = walls else {
            println!("skipped: this machine gives no walls");
            return None;
        };
        Some((folder, walls, view))
    }

    /// Ten that compute have spent what the group has before any wall could be built.
    #[tokio::test]
    async fn a_limit_of_processors_does_not_hold_births_up() {
        use std::io::Read as _;
        /// One takes a few milliseconds, and with a hundredth of a processor for eleven programs seconds.
        const BIRTHS: usize = 4;
        const BIRTHS_LAST_MAX: Duration = Duration::from_secs(5);
        let groups = Arc::new(Groups::open());
        let app = groups.app(&SpaceName::default_space(), &AppName::new("shop").unwrap()).unwrap();
        let Some(app) = app.map(Arc::new).filter(|app| app.holds_processors()) else {
            println!("skipped: no control group of this machine holds processors");
            return;
        };
        let Some((_folder, walls, view)) = walls() else { return };
        let wall = Arc::new(walls.wall(&view).unwrap());
        let forker = Forker::start(Duration::from_secs(600)).unwrap();
        let limits = Limits { memory_bytes: 256 << 20, tasks: 64, cpu_milli: Some(10) };
        let script = "for i in 1 2 3 4 5 6 7 8 9 10; do while :; do :; done & done; echo; wait";
        let computes = Job {
            program: PathBuf::from("/bin/sh"),
            args: ["-c", script].map(str::to_owned).to_vec(),
            groups: Some((app, limits)),
            ..job(JobPlace::Behind { wall: Arc::clone(&wall), listening: Vec::new(), tasks_max: 64 })
        };
        let mut first = forker.spawn(computes).await.unwrap();
        let room = first.room.take().unwrap();
        std::fs::File::from(first.output.try_clone().unwrap()).read_exact(&mut [0]).unwrap();
        let begun = std::time::Instant::now();
        let mut born = Vec::new();
        for _ in 0..BIRTHS {
            let place = JobPlace::In { wall: Arc::clone(&wall), room: Arc::clone(&room), tasks_max: 64 };
            born.push(forker.spawn(job(place)).await.unwrap());
        }
        let took = begun.elapsed();
        room.kill();
        born.iter().chain([&first]).for_each(abandon);
        assert!(took < BIRTHS_LAST_MAX, "{took:?}");
    }

    #[tokio::test]
    async fn a_birth_among_strangers_keeps_nobody_else_waiting() {
        const TASKS: u64 = 8;
        let Some((folder, walls, view)) = walls() else { return };
        let pipe = folder.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        std::fs::set_permissions(&pipe, std::fs::Permissions::from_mode(0o666)).unwrap();
        let wall = Arc::new(walls.wall(&view).unwrap());
        let held = Arc::new(walls.wall(&view).unwrap().held_up(&pipe));
        // Nobody is ended here.
        let forker = Forker::start(Duration::from_secs(600)).unwrap();
        let behind = || JobPlace::Behind { wall: Arc::clone(&wall), listening: Vec::new(), tasks_max: TASKS };
        let first: Born = forker.spawn(job(behind())).await.unwrap();
        let room = Arc::clone(first.room.as_ref().unwrap());
        let mut among = Box::pin(forker.spawn(job(JobPlace::In { wall: held, room, tasks_max: TASKS })));
        for _ in 0..2 {
            let other = tokio::select! {
                // In this order, so that the one that is held up is ordered first.
                biased;
                born = &mut among => panic!("it is held up: {:?}", born.err()),
                other = forker.spawn(job(behind())) => other.unwrap(),
            };
            abandon(&other);
        }
        let _reader =
            rustix::fs::open(&pipe, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
                .unwrap();
        abandon(&among.await.unwrap());
        abandon(&first);
    }
}
