//! A started program and the task that watches over it until nothing of it is left.
//!
//! **How.** The task waits for the end of the child, its deadline, or too much memory, whichever comes
//! first. While the child is not reaped its number cannot be given to another process, so the whole
//! session is killed before. Then come descendants that left the session, and the working folder.
//!
//! **Memory.** Where a control group holds it, the kernel ends who needs too much, and the task looks every [`MEMORY_CHECK`] whether
//! it has. Else the resident memory of the child is read that often, that of its session
//! every [`SESSION_CHECKS`] times that, and a program can exceed its limit for that long.

use super::account::{self, Account};
use super::folder::Folder;
use super::fork::Born;
use super::printed::{Pipe, Printed};
use super::procfs;
use crate::cgroup::Group;
use crate::code::FunctionCode;
use crate::crowd::Member;
use crate::environment::Environment;
use crate::invocation::Context;
use crate::log::{Lines, Tail};
use crate::outbound::{Gate, Running};
use crate::unit::{Exit, Launch, Program};
use crate::wall::{Dial, Loopback, Room};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::port::{BoxFuture, Stream};
use rustix::process::{Pid, Signal, kill_process_group};
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UdpSocket};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::{oneshot, watch};
use tokio::time::{Interval, MissedTickBehavior, interval_at, sleep_until, timeout};

/// How often the child's memory is read.
const MEMORY_CHECK: Duration = Duration::from_millis(50);
/// Every how many of these the whole session is read, which costs a walk through `/proc`.
const SESSION_CHECKS: u32 = 10;
/// How long the end of a program waits for the last lines that it printed.
const LAST_LINES: Duration = Duration::from_millis(20);
/// A child that lived longer may have descendants with lower numbers than its own.
const NUMBERS_WRAP: Duration = Duration::from_secs(10);

/// A started program. Dropping it kills its session.
pub(super) struct Child {
    session: Arc<Session>,
    exit: watch::Receiver<Option<Exit>>,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    printed: Arc<Printed>,
    tail: Tail,
    /// The way to its ports.
    door: Arc<dyn Dial>,
    /// A listener at a port of its own, for the contract.
    listener: Option<TcpListener>,
}

/// The processes of a program, as long as its number is its own.
struct Session {
    leader: Pid,
    /// The first process of its room, behind walls: whoever leaves the session is its child then.
    keeper: Option<Pid>,
    reaped: Mutex<bool>,
    account: Account,
    /// The control group that was made for it, which the watching task holds.
    group: Option<Weak<Group>>,
    /// What all of it had when the watching task last looked, bytes; 0: it has not.
    seen_bytes: AtomicU64,
}

impl Session {
    fn signal(&self, signal: Signal) {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*reaped {
            let _ = kill_process_group(self.leader, signal);
        }
    }

    /// As [`Account::now_ns`].
    fn cpu_ns(&self) -> Option<u64> {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if *reaped { None } else { self.account.now_ns() }
    }

    fn group(&self) -> Option<Arc<Group>> {
        self.group.as_ref()?.upgrade()
    }

    /// Resident memory of the first process and its descendants; 0 once it has ended.
    fn memory_bytes(&self) -> u64 {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if *reaped {
            return 0;
        }
        let held = self.group().and_then(|group| group.memory_bytes());
        held.unwrap_or_else(|| procfs::family(self.leader).into_iter().map(procfs::resident_bytes).sum())
    }

    /// All of its processes that can be found.
    fn processes(&self) -> Vec<i32> {
        let Some(keeper) = self.keeper else { return procfs::session(self.leader) };
        let mut all = procfs::family(self.leader);
        all.extend(procfs::family(keeper).into_iter().skip(1));
        all
    }
}

/// Starts watching over a child that was just born.
pub(super) fn watch(
    born: Born,
    code: &Arc<FunctionCode>,
    launch: &Launch,
    environment: &Arc<Environment>,
) -> Result<Child> {
    let group = born.group.as_ref().map(Arc::downgrade);
    // In a room that several programs share each would count what all have spent.
    let counts = group.clone().filter(|_| !launch.behind.shared);
    let account = Account::new(born.pid, code.cpu.clone(), counts);
    let session = Arc::new(Session {
        leader: born.pid,
        keeper: born.room.as_ref().map(|room| room.keeper()),
        reaped: Mutex::new(false),
        account,
        group,
        seen_bytes: AtomicU64::new(0),
    });
    let (input, output, errors) = (born.input, born.output, born.errors);
    let streams = || -> std::io::Result<(Option<ChildStdin>, ChildStdout, ChildStderr)> {
        Ok((
            input.map(|input| ChildStdin::from_std(input.into())).transpose()?,
            ChildStdout::from_std(output.into())?,
            ChildStderr::from_std(errors.into())?,
        ))
    };
    let (stdin, stdout, stderr) = match { streams }() {
        Ok(streams) => streams,
        Err(error) => {
            session.signal(Signal::KILL);
            return Err(Fault::internal(format!("cannot read a child's output: {error}")));
        }
    };
    let tail = Tail::default();
    let lines = |stream| {
        let sink = Arc::clone(launch.lines.as_ref().unwrap_or(&environment.logs));
        Lines::new(sink, Arc::clone(code), launch.instance, stream).with_tail(tail.clone())
    };
    let mut logged = vec![(Pipe::Stderr(stderr), lines(Stream::Stderr))];
    let mut stdout = Some(stdout);
    if !launch.stdout {
        logged.extend(stdout.take().map(|stdout| (Pipe::Stdout(stdout), lines(Stream::Stdout))));
    }
    let printed = Printed::new(logged, launch.context.as_ref());
    let pumped = (0..printed.streams()).map(|stream| pump(&printed, stream, environment)).collect();
    let (exited, exit) = watch::channel(None);
    let (door, listener) = match &born.room {
        Some(room) => doors(room, launch)?,
        None => (Arc::new(Loopback) as Arc<dyn Dial>, None),
    };
    let watcher = Watcher {
        session: Arc::clone(&session),
        pidfd: born.pidfd,
        folder: born.folder,
        group: born.group.or_else(|| born.room.as_ref()?.group().cloned()),
        room: born.room,
        began: Instant::now(),
        context: launch.context.clone(),
        memory_bytes_max: code.spec.memory_bytes,
        member: environment.crowd.member(&environment.space, code),
        pumped,
        exited,
    };
    environment.spawn.spawn("process", Box::pin(watcher.run()));
    Ok(Child { session, exit, stdin, stdout, printed, tail, door, listener })
}

/// The machine refuses what each program needs: a process, its walls, its control group, the way to it.
pub(super) fn refused(what: &str, error: &std::io::Error) -> Fault {
    tracing::warn!(%error, "{what}");
    Fault::new(Code::StartRefused, what)
        .detail(error)
        .hint("`hob doctor` says what the machine grants")
        .retry_after(1)
}

/// The way to a room's ports, which all of its programs share, and the contract's listener. The way out is
/// opened with it.
fn doors(room: &Room, launch: &Launch) -> Result<(Arc<dyn Dial>, Option<TcpListener>)> {
    let broken = |error| refused("cannot reach a function behind its walls", &error);
    let mut listeners = (0..).map_while(|at| room.take_listener(at));
    let tcp = |listener: OwnedFd| TcpListener::from_std(listener.into());
    let own = launch.behind.listen.and_then(|_| listeners.next());
    let listener = own.map(tcp).transpose().map_err(broken)?;
    if let Some(entrance) = &launch.behind.entrance {
        // In the order in which they were opened.
        for (at, listener) in listeners.enumerate() {
            entrance(match at {
                0 => Gate::Proxy(tcp(listener).map_err(broken)?),
                1 => Gate::Names(UdpSocket::from_std(listener.into()).map_err(broken)?),
                _ => Gate::Through(tcp(listener).map_err(broken)?),
            });
        }
    }
    Ok((room.door().map_err(broken)?, listener))
}

/// Makes a stream's lines log records in the background; tells when it has ended.
fn pump(printed: &Arc<Printed>, stream: usize, environment: &Environment) -> oneshot::Receiver<()> {
    let printed = Arc::clone(printed);
    let (done, ended) = oneshot::channel();
    let pump = async move {
        printed.pump(stream).await;
        let _ = done.send(());
    };
    environment.spawn.spawn("process output", Box::pin(pump));
    ended
}

struct Watcher {
    session: Arc<Session>,
    pidfd: OwnedFd,
    folder: Option<Folder>,
    room: Option<Arc<Room>>,
    /// What holds it: its own, or that of its room.
    group: Option<Arc<Group>>,
    began: Instant,
    /// The call that it serves, when it serves just one.
    context: Option<Arc<Context>>,
    memory_bytes_max: u64,
    /// Is told what memory it has.
    member: Arc<Member>,
    pumped: Vec<oneshot::Receiver<()>>,
    exited: watch::Sender<Option<Exit>>,
}

impl Watcher {
    async fn run(mut self) {
        let verdict = self.watch().await;
        self.session.signal(Signal::KILL);
        if verdict.is_some() {
            // Until it has given its memory back, which takes long where that is much: nobody waits for it on a thread of the runtime, nor
            // with the session locked.
            self.ended().await;
        }
        if self.room.is_none() {
            // Whoever left the session is still in the group.
            self.group.iter().for_each(|group| group.kill());
        }
        let exit = self.reap();
        if let Some(room) = self.room.as_ref().filter(|room| Arc::strong_count(room) == 1) {
            room.kill();
        }
        for pumped in std::mem::take(&mut self.pumped) {
            let _ = timeout(LAST_LINES, pumped).await;
        }
        self.exited.send_replace(Some(verdict.unwrap_or(exit)));
        let (began, leader, folder, room) = (self.began, self.session.leader, self.folder, self.room);
        let group = self.group;
        let sweep = move || {
            // Whoever is in it ends with it, and is waited for.
            drop(room);
            match (folder, group) {
                // Nobody can have left a group.
                (folder, Some(group)) => drop((group, folder)),
                (Some(folder), None) => sweep(began, leader, folder),
                (None, None) => {}
            }
        };
        let _ = tokio::task::spawn_blocking(sweep).await;
    }

    /// Waits for the end, and says why if it was not the program's own.
    async fn watch(&self) -> Option<Exit> {
        let late = async {
            match &self.context {
                Some(context) => sleep_until(context.deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.ended() => self.lacked_memory().then_some(Exit::MemoryLimit),
            () = late => Some(Exit::Deadline),
            () = self.memory_exceeded() => Some(Exit::MemoryLimit),
        }
    }

    /// Waits until it can be reaped without waiting.
    async fn ended(&self) {
        // SAFETY: the descriptor is borrowed from `self`, so it stays open and its own as long as
        // the registration lives.
        match unsafe { AsyncFd::register(self.pidfd.as_fd()) } {
            Ok(fd) => drop(fd.readable().await),
            Err(error) => tracing::error!(%error, "cannot wait for a child"),
        }
    }

    /// Whether the kernel has ended a process of its group for want of memory.
    fn lacked_memory(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.has_lacked_memory())
    }

    /// Waits until it needs more memory than it may have.
    async fn memory_exceeded(&self) {
        let mut ticks = interval_at(tokio::time::Instant::now() + MEMORY_CHECK, MEMORY_CHECK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        match self.group.as_ref().filter(|group| group.holds_memory()) {
            Some(group) => self.group_lacks_memory(group, ticks).await,
            None => self.processes_exceed(ticks).await,
        }
    }

    async fn group_lacks_memory(&self, group: &Group, mut ticks: Interval) {
        let is_own = self.session.group.is_some();
        for check in 0_u32.. {
            ticks.tick().await;
            if group.has_lacked_memory() {
                return;
            }
            if !is_own {
                continue;
            }
            let whole = check % SESSION_CHECKS == 0;
            let bytes = if whole { group.memory_bytes() } else { group.about_bytes() }.unwrap_or_default();
            if whole {
                self.session.account.look_at_group();
            }
            self.member.saw_memory(bytes);
            self.session.seen_bytes.store(bytes, Ordering::Relaxed);
        }
    }

    async fn processes_exceed(&self, mut ticks: Interval) {
        let leader = self.session.leader.as_raw_nonzero().get();
        let mut others_bytes = 0;
        for check in 1_u32.. {
            ticks.tick().await;
            let bytes = procfs::resident_bytes(leader);
            self.member.saw_memory(bytes);
            if bytes > self.memory_bytes_max {
                return;
            }
            if check % SESSION_CHECKS == 0 {
                let (all_bytes, exceeds) = self.look_at_session();
                if exceeds {
                    return;
                }
                others_bytes = all_bytes.saturating_sub(bytes);
            }
            self.session.seen_bytes.store(bytes.saturating_add(others_bytes), Ordering::Relaxed);
        }
    }

    /// Resident memory of all its processes, and whether that is more than it may have.
    fn look_at_session(&self) -> (u64, bool) {
        let processes = self.session.processes();
        self.session.account.look(&processes);
        let total = |bytes: fn(i32) -> u64| processes.iter().map(|pid| bytes(*pid)).sum::<u64>();
        // Pages that a parent shares with its forked workers count once, which costs more to find out.
        let resident_bytes = total(procfs::resident_bytes);
        let files_bytes = procfs::files_in_memory_bytes(&processes);
        // What is mapped of these files is in both; few programs have any.
        let beside = |mapped: fn(i32) -> u64| {
            if files_bytes == 0 { 0 } else { files_bytes.saturating_sub(total(mapped)) }
        };
        let bytes = resident_bytes.saturating_add(beside(procfs::resident_shared_bytes));
        self.member.saw_memory(bytes.min(self.memory_bytes_max));
        let exactly = || {
            let bytes = total(procfs::proportional_bytes);
            bytes.saturating_add(beside(procfs::proportional_shared_bytes))
        };
        // Where a file is mapped often, the first sum counts it once for each, but the second does not.
        let may_exceed = resident_bytes.saturating_add(files_bytes) > self.memory_bytes_max;
        (bytes, may_exceed && exactly() > self.memory_bytes_max)
    }

    /// Takes the child's exit status; from here on its number may be another's.
    fn reap(&mut self) -> Exit {
        let mut reaped = self.session.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        let status = account::reap(self.session.leader);
        *reaped = true;
        match status {
            Ok((status, spent_ns)) => {
                let spent_ns = self.session.account.end(spent_ns);
                self.context.as_ref().inspect(|context| context.timing.spent(spent_ns));
                match (status.code(), status.signal()) {
                    (Some(code), _) => Exit::Code(code),
                    (None, Some(signal)) => Exit::Signal(signal),
                    (None, None) => Exit::Code(-1),
                }
            }
            Err(error) => {
                tracing::error!(%error, "cannot read a child's exit status");
                Exit::Code(-1)
            }
        }
    }
}

/// Ends descendants that left the session, and gives the working folder back, where there were none.
fn sweep(began: Instant, leader: Pid, folder: Folder) {
    let mark = folder.path().display().to_string();
    let pid_min = if began.elapsed() < NUMBERS_WRAP { leader.as_raw_nonzero().get() } else { 0 };
    // Whoever was just killed may still do something.
    if !procfs::kill_marked(|value| value == mark, pid_min) {
        folder.give_back();
    }
}

impl Program for Child {
    fn take_stdin(&mut self) -> Option<Box<dyn AsyncWrite + Send + Unpin>> {
        self.stdin.take().map(|stdin| Box::new(stdin) as _)
    }

    fn take_stdout(&mut self) -> Option<Box<dyn AsyncRead + Send + Unpin>> {
        self.stdout.take().map(|stdout| Box::new(stdout) as _)
    }

    fn exit(&self) -> BoxFuture<'_, Exit> {
        let mut exit = self.exit.clone();
        Box::pin(async move {
            let ended = exit.wait_for(Option::is_some).await.ok().and_then(|exit| exit.clone());
            // Without a watching task the node itself is ending, and the child with it.
            ended.unwrap_or(Exit::Signal(Signal::KILL.as_raw()))
        })
    }

    fn stop(&self, grace: Duration) -> BoxFuture<'_, Exit> {
        Box::pin(async move {
            self.session.signal(Signal::TERM);
            if let Ok(exit) = timeout(grace, self.exit()).await {
                return exit;
            }
            self.session.signal(Signal::KILL);
            self.exit().await
        })
    }

    fn freeze(&self, frozen: bool) {
        self.session.signal(if frozen { Signal::STOP } else { Signal::CONT });
    }

    fn dial(&self) -> Arc<dyn Dial> {
        Arc::clone(&self.door)
    }

    fn take_listener(&mut self) -> Option<TcpListener> {
        self.listener.take()
    }

    fn listening(&self) -> Vec<SocketAddr> {
        procfs::listening(self.session.leader)
    }

    fn is_taken(&self, port: u16) -> bool {
        // In a network of its own there is nobody else.
        self.session.keeper.is_none() && procfs::is_taken(self.session.leader, port)
    }

    fn calls(&self) -> Option<Arc<dyn Running>> {
        Some(Arc::clone(&self.printed) as _)
    }

    fn cpu_ns(&self) -> Option<u64> {
        self.session.cpu_ns()
    }

    fn memory_bytes(&self) -> Option<u64> {
        Some(self.session.memory_bytes())
    }

    fn seen_bytes(&self) -> Option<u64> {
        Some(self.session.seen_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }

    fn last_lines(&self) -> Vec<String> {
        self.tail.lines()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.session.signal(Signal::KILL);
    }
}
