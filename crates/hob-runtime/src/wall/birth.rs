//! The birth of a child: from the node's memory to a program of its own, without a copy of that memory.
//!
//! **Why.** `fork` copies the page tables and the list of mappings of its caller, and makes every page
//! that the caller touches afterwards fault. A node has thousands of mappings (a slot for every WASM
//! instance), which made the start of a child take twenty milliseconds and more. `posix_spawn`
//! (glibc) avoids that, but cannot say what a child of Hob has to say: new privileges, limits, death signal.
//!
//! **How.** As `posix_spawn` does it: `clone` with `CLONE_VM` and `CLONE_VFORK`. The child runs on a stack of its own in the
//! node's memory while the calling thread waits for its `execve`; it makes system calls on values that were prepared before,
//! and nothing else. All signals are blocked meanwhile, so that no handler of the node runs in the child.
//!
//! **With walls** the first child is a midwife: it goes into new namespaces (or those of a room), and has two children in the
//! same way, which the kernel takes for the node's own (`CLONE_PARENT`): the room's first process, and the program.
//! Then it ends, as another program ([`super::init`] says why). It shares the node's table of files, so that the sockets that it opens in the new
//! network are the node's.
//!
//! **With a control group** the first child is born into it where the kernel has version 2 of them, and writes itself into it
//! before it does anything else where it has version 1; whoever is born later is in it from the beginning.
//!
//! **How long.** A birth that takes too long is ended from beside ([`super::bound`]).
//!
//! **Invariants.** Everything that a child reads outlives the call, because the caller sleeps until the child
//! has executed its program or ended. Children write numbers only: descriptors, process ids, and why they failed.

use super::bound::{Bound, Process};
use super::clone::clone_into;
use super::confine::Confinement;
use super::network::Network;
use super::step::{self, Step};
use super::{Listening, Room, Wall};
use crate::cgroup::{Group, Joining};
use rustix::process::{Pid, WaitOptions, waitpid};
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;
use zeroize::{Zeroize as _, Zeroizing};

/// Stack of a child until it executes its program.
const STACK_BYTES: usize = 64 << 10;
/// What runs a file without a first line that names an interpreter (as execvp(3)).
const SHELL: &CStr = c"/bin/sh";

/// A program to be executed.
pub(crate) struct Image<'a> {
    pub(crate) program: &'a Path,
    pub(crate) args: &'a [String],
    pub(crate) env: &'a [(String, String)],
    /// Where it starts.
    pub(crate) directory: &'a Path,
    /// Standard input, output and error.
    pub(crate) streams: [&'a OwnedFd; 3],
    pub(crate) confinement: Confinement,
    /// What holds it and all that it starts.
    pub(crate) group: Option<&'a Group>,
    /// How long its birth may take.
    pub(crate) bound: &'a Bound,
}

/// Pointers to strings, with a null at the end, as execve(2) takes them.
struct Strings {
    pointers: Vec<*const c_char>,
    strings: Vec<CString>,
}

impl Drop for Strings {
    fn drop(&mut self) {
        // An environment holds the values of secrets.
        self.strings.drain(..).for_each(|text| text.into_bytes().zeroize());
    }
}

impl Strings {
    fn new<'a>(strings: impl IntoIterator<Item = &'a OsStr>) -> io::Result<Self> {
        let strings = strings.into_iter().map(text).collect::<io::Result<Vec<_>>>()?;
        let pointers = strings.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
        Ok(Self { pointers, strings })
    }
}

fn text(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

/// Where a program is born.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// Beside the node.
    Open,
    /// Behind new walls, where the node listens so.
    Behind(&'a Wall, &'a [Listening]),
    /// In a room that is there.
    In(&'a Wall, &'a Room),
}

/// A child that was born.
pub(crate) struct Born {
    pub(crate) pid: Pid,
    /// Readable when it has ended.
    pub(crate) pidfd: OwnedFd,
    /// Its room, if it is new.
    pub(crate) room: Option<Room>,
}

/// What the child reads.
struct Plan<'a> {
    program: CString,
    args: Strings,
    /// The same for [`SHELL`].
    shell: Strings,
    env: Strings,
    directory: CString,
    streams: [RawFd; 3],
    confinement: Confinement,
    place: Place<'a>,
    /// Files of control groups, into which the first child writes itself.
    groups: Vec<RawFd>,
    /// Steps into namespaces of which one was used before; none: all are new.
    spaces: Vec<Step>,
    /// Steps that open sockets for the node.
    sockets: Vec<Step>,
    /// Steps of the program itself: who it becomes.
    identity: Vec<Step>,
    /// Those of the room's first process.
    keeper: Vec<Step>,
    stacks: [*mut c_void; 2],
    bound: &'a Bound,
    told: Told,
}

/// What the children write.
struct Told {
    sockets: Vec<RawFd>,
    keeper: (c_int, RawFd),
    program: (c_int, RawFd),
    /// The phase and the step of it that failed, if it was a step, and the error number.
    failed: Option<(Phase, usize, c_int)>,
}

/// A part of a birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not a step: it did not get into its control group.
    Group,
    Spaces,
    Build,
    Sockets,
    First,
    Keeper,
    Rest,
    Close,
    Identity,
    Seal,
    /// Not a step: the program could not be executed.
    Program,
    /// Not a step: the kernel made no process, or did not let it in.
    Process,
}

impl<'a> Plan<'a> {
    fn new(
        image: &Image<'a>,
        place: Place<'a>,
        (user, network): (Option<u32>, Option<&Network>),
        stacks: [*mut c_void; 2],
    ) -> io::Result<Self> {
        let program = image.program.as_os_str();
        let args = || std::iter::once(program).chain(image.args.iter().map(OsStr::new));
        let env = image.env.iter().map(|(name, value)| Zeroizing::new(format!("{name}={value}")));
        let env: Vec<Zeroizing<String>> = env.collect();
        let (identity, keeper, sockets) = match place {
            Place::Open => (Vec::new(), Vec::new(), Vec::new()),
            Place::Behind(wall, ports) => (wall.identity(user), Wall::keeper(user), super::sockets(ports)),
            Place::In(wall, _) => (wall.identity(user), Vec::new(), Vec::new()),
        };
        Ok(Self {
            program: text(program)?,
            args: Strings::new(args())?,
            shell: Strings::new(std::iter::once(OsStr::from_bytes(SHELL.to_bytes())).chain(args()))?,
            env: Strings::new(env.iter().map(|text| OsStr::new(text.as_str())))?,
            directory: text(image.directory.as_os_str())?,
            streams: image.streams.map(|stream| stream.as_raw_fd()),
            confinement: image.confinement,
            place,
            groups: Vec::new(),
            spaces: network.map(|network| network.enter(super::NAMESPACES)).unwrap_or_default(),
            stacks,
            bound: image.bound,
            told: Told { sockets: vec![-1; sockets.len()], keeper: (0, -1), program: (0, -1), failed: None },
            sockets,
            identity,
            keeper,
        })
    }

    fn spaces<'b>(&'b self, wall: &'b Wall) -> &'b [Step] {
        if self.spaces.is_empty() { &wall.spaces } else { &self.spaces }
    }

    /// In words, what failed.
    fn error(&self, (phase, at, error): (Phase, usize, c_int)) -> io::Error {
        let cause = io::Error::from_raw_os_error(error);
        let steps: &[Step] = match (phase, self.place) {
            (Phase::Spaces, Place::Behind(wall, _)) => self.spaces(wall),
            (Phase::Build, Place::Behind(wall, _)) => &wall.build,
            (Phase::First, Place::Behind(wall, _)) => &wall.first,
            (Phase::Rest, Place::Behind(wall, _)) => &wall.rest,
            (Phase::Close, Place::Behind(wall, _)) => &wall.close,
            (Phase::Seal, Place::Behind(wall, _) | Place::In(wall, _)) => &wall.seal,
            (Phase::Sockets, _) => &self.sockets,
            (Phase::Keeper, _) => &self.keeper,
            (Phase::Identity, _) => &self.identity,
            (Phase::Group, _) => return in_words("entering a control group", cause),
            _ => return cause,
        };
        in_words(&steps.get(at).map_or_else(|| format!("{phase:?}"), Step::show), cause)
    }
}

/// What failed, and why: whoever asks gets the number of the error as well.
#[derive(Debug)]
struct InWords {
    what: String,
    cause: io::Error,
}

impl std::fmt::Display for InWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.cause)
    }
}

impl std::error::Error for InWords {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// Of the kind of an error only a want of memory is kept: that a folder is not there, say, does not mean the program.
fn in_words(what: &str, cause: io::Error) -> io::Error {
    let kind = Some(cause.kind()).filter(|kind| *kind == io::ErrorKind::OutOfMemory);
    io::Error::new(kind.unwrap_or(io::ErrorKind::Other), InWords { what: what.to_owned(), cause })
}

/// The stacks of the children.
struct Stack(Box<[MaybeUninit<u8>]>);

impl Stack {
    /// Of memory that nobody has touched yet: a child needs a page or two of it.
    fn new() -> Self {
        Self(Box::new_uninit_slice(STACK_BYTES))
    }

    /// Its upper end, as the ABI wants it.
    fn top(&mut self) -> *mut c_void {
        // SAFETY: the upper end of one allocation, and a place a little below.
        unsafe {
            let top = self.0.as_mut_ptr().add(STACK_BYTES);
            top.sub(top as usize % 16).cast()
        }
    }

    /// All of it: where it begins, and its bytes.
    fn whole(&mut self) -> (*mut c_void, usize) {
        let top = self.top();
        let bytes = STACK_BYTES - 16;
        // SAFETY: the upper end is at most fifteen bytes below that of the allocation.
        (unsafe { top.sub(bytes) }, bytes)
    }
}

/// Has the first child: the midwife, or the program itself. Returns when it has executed or ended.
///
/// # Safety
/// As [`become_program`] says of what it may do; the plan is alive and nobody else's.
unsafe fn have_first(
    walled: bool,
    joining: Option<&Joining>,
    stack: &mut Stack,
    plan: *mut Plan<'_>,
) -> io::Result<(Pid, RawFd)> {
    let child: extern "C" fn(*mut c_void) -> c_int = if walled { midwife } else { enter };
    let own = if walled { libc::CLONE_FILES } else { 0 };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | own;
    // SAFETY: as for this function.
    let bound = unsafe { (*plan).bound };
    let pidfd = bound.place(Process::First);
    let mut groups: Vec<RawFd> =
        joining.iter().flat_map(|joining| &joining.write).map(|file| file.as_raw_fd()).collect();
    let of = |pid: i64| i32::try_from(pid).ok().filter(|pid| *pid > 0).and_then(Pid::from_raw);
    if let Some((group, file)) = joining.and_then(|joining| joining.into.as_ref()) {
        // SAFETY: as for this function; the kernel writes one number to `pidfd`, where it is asked to.
        let born = unsafe {
            (*plan).groups.clone_from(&groups);
            clone_into(group.as_raw_fd(), flags, pidfd, stack.whole(), (child, plan.cast()))
        };
        if let Some(pid) = of(born) {
            // SAFETY: the kernel has written it.
            return Ok((pid, unsafe { ptr::read_volatile(pidfd) }));
        }
        bound.has_no(Process::First);
        let error = c_int::try_from(-born).unwrap_or(libc::EINVAL);
        // An older kernel, or one that keeps the call from this process.
        if ![libc::ENOSYS, libc::EINVAL, libc::E2BIG, libc::EPERM, libc::EACCES].contains(&error) {
            return Err(io::Error::from_raw_os_error(error));
        }
        groups.push(file.as_raw_fd());
    }
    // SAFETY: as above.
    let pid = unsafe {
        (*plan).groups = groups;
        libc::clone(child, stack.top(), flags | libc::SIGCHLD, plan.cast(), pidfd)
    };
    let Some(pid) = of(pid.into()) else {
        let error = io::Error::last_os_error();
        bound.has_no(Process::First);
        return Err(error);
    };
    // SAFETY: the kernel has written it.
    Ok((pid, unsafe { ptr::read_volatile(pidfd) }))
}

/// Executes a program in a new child.
///
/// # Errors
/// Why the system makes no child, why a wall could not be built, or why the child could not execute the program.
pub(crate) fn spawn(image: &Image<'_>, place: Place<'_>) -> io::Result<Born> {
    if let Place::Behind(wall, _) = place
        && let Some(network) = wall.networks.take(wall.number)
    {
        match attempt(image, place, Some(network)) {
            // Whatever is wrong with it, there are new ones, unless there is no time left.
            Err(error) if error.kind() != io::ErrorKind::TimedOut => {}
            done => return done,
        }
    }
    attempt(image, place, None)
}

/// The same in a network that was used before, or in a new one.
fn attempt(image: &Image<'_>, place: Place<'_>, network: Option<Network>) -> io::Result<Born> {
    let (mut stack, mut second, mut third) = (Stack::new(), Stack::new(), Stack::new());
    let user = match place {
        Place::Open => None,
        Place::Behind(wall, _) => wall.next_user(),
        Place::In(_, room) => room.user,
    };
    let mut plan = Plan::new(image, place, (user, network.as_ref()), [second.top(), third.top()])?;
    let walled = !matches!(place, Place::Open);
    let plan_pointer: *mut Plan<'_> = &raw mut plan;
    let blocked = Blocked::all()?;
    let joining = image.group.map(Group::joining).transpose()?;
    image.bound.begin();
    // SAFETY: the child shares this memory, but this thread sleeps until the child has executed its program or ended, so
    // that the stacks, `plan` and what they point to outlive it, and nobody else looks at them. The children make system calls
    // only.
    let first = unsafe { have_first(walled, joining.as_ref(), &mut stack, plan_pointer) };
    drop(blocked);
    let ends = first.as_ref().ok().filter(|_| walled);
    // The midwife is in the group until it has ended: a limit of processors would hold it up even now.
    ends.inspect(|(pid, _)| reap(*pid));
    let in_time = image.bound.over();
    image.group.inspect(|group| group.all_born());
    let (pid, pidfd) = first?;
    if in_time.is_err() {
        if !walled {
            reap(pid);
        }
        // Until then they may be in this memory.
        image.bound.take_away();
    }
    // SAFETY: `plan` is alive, and the children that might write to it have left this memory.
    let told = unsafe { ptr::read_volatile(&raw const (*plan_pointer).told) };
    // SAFETY: nobody owns what was just read, and the place it came from is forgotten without being dropped.
    unsafe { ptr::write(&raw mut (*plan_pointer).told, Told::nothing()) };
    // Whatever becomes of the birth, they are closed with it: the midwife opened them in this process's table, and nobody else knows of them.
    let sockets = told.sockets.iter().filter(|socket| **socket >= 0);
    // SAFETY: as was just said.
    let sockets: Vec<OwnedFd> = sockets.map(|socket| unsafe { OwnedFd::from_raw_fd(*socket) }).collect();
    let first = owned((pid.as_raw_nonzero().get(), pidfd));
    in_time?;
    let (child, room) = if walled { (owned(told.program), owned(told.keeper)) } else { (first, None) };
    let wall = match place {
        Place::Behind(wall, _) => Some(wall),
        Place::Open | Place::In(..) => None,
    };
    let room = room.zip(wall).map(|(keeper, wall)| Room::new(wall, (user, network), keeper, sockets));
    let Some(failed) = told.failed else {
        let (pid, pidfd) = child.ok_or_else(|| io::Error::other("a birth without a child"))?;
        return Ok(Born { pid, pidfd, room });
    };
    // It has ended by itself already.
    child.inspect(|(pid, _)| reap(*pid));
    Err(plan.error(failed))
}

impl Told {
    fn nothing() -> Self {
        Self { sockets: Vec::new(), keeper: (0, -1), program: (0, -1), failed: None }
    }
}

/// A process and its descriptor, which the kernel has just made for this process.
fn owned((pid, pidfd): (c_int, RawFd)) -> Option<(Pid, OwnedFd)> {
    let pid = (pid > 0).then(|| Pid::from_raw(pid)).flatten()?;
    // SAFETY: nobody else knows of this descriptor.
    Some((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// Takes away a child that has ended, or is about to.
pub(super) fn reap(pid: Pid) {
    while matches!(waitpid(Some(pid), WaitOptions::empty()), Err(rustix::io::Errno::INTR)) {}
}

/// All signals of this thread are blocked, until it is dropped.
struct Blocked(libc::sigset_t);

impl Blocked {
    fn all() -> io::Result<Self> {
        // SAFETY: a signal set is plain numbers; both calls write whole ones.
        let (done, before) = unsafe {
            let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            (libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, &raw mut before), before)
        };
        if done == 0 { Ok(Self(before)) } else { Err(io::Error::from_raw_os_error(done)) }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set is the one that this thread had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}

fn last() -> c_int {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL)
}

/// The child, until it executes its program.
extern "C" fn enter(plan: *mut c_void) -> c_int {
    let plan: *mut Plan<'_> = plan.cast();
    // SAFETY: see `spawn`: the plan is alive, and the thread that owns it sleeps.
    let Err(failed) = unsafe { become_program(&mut *plan) };
    // SAFETY: as above; the reference has ended. `_exit` runs nothing of the node's.
    unsafe {
        ptr::write_volatile(&raw mut (*plan).told.failed, Some(failed));
        libc::_exit(127)
    }
}

/// The midwife.
extern "C" fn midwife(plan: *mut c_void) -> c_int {
    let plan: *mut Plan<'_> = plan.cast();
    // SAFETY: as in `enter`; only raw places are handed to the midwife's children, one after another.
    unsafe {
        if let Err(failed) = deliver(plan)
            && ptr::read_volatile(&raw const (*plan).told.failed).is_none()
        {
            ptr::write_volatile(&raw mut (*plan).told.failed, Some(failed));
        }
        if let Place::Behind(wall, _) | Place::In(wall, _) = (*plan).place {
            leave(wall.ender);
        }
        libc::_exit(0)
    }
}

/// Leaves the node's memory for a program that ends at once; returns if that could not be executed.
///
/// # Safety
/// As [`become_program`].
unsafe fn leave(ender: RawFd) {
    // SAFETY: the first call has no pointers. It gives this process a table of its own with the files up to the program: whoever executes
    // one would get a copy of the whole table.
    unsafe {
        let next = ender.unsigned_abs() + 1;
        libc::syscall(libc::SYS_close_range, next, libc::c_uint::MAX, libc::CLOSE_RANGE_UNSHARE);
        execute(ender, c"hob-born");
    }
}

/// Executes a program by its descriptor, without arguments and environment; returns if it could not.
///
/// # Safety
/// As [`become_program`].
unsafe fn execute(program: RawFd, name: &CStr) {
    let args: [*const c_char; 2] = [name.as_ptr(), ptr::null()];
    let none: [*const c_char; 1] = [ptr::null()];
    // SAFETY: arguments and environment are lists that end with a null.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program,
            c"".as_ptr(),
            args.as_ptr(),
            none.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
}

type Failed = (Phase, usize, c_int);

fn of(phase: Phase) -> impl Fn((usize, c_int)) -> Failed {
    move |(at, error)| (phase, at, error)
}

/// Builds the walls, or goes into a room, and has the program born there.
///
/// # Safety
/// As [`become_program`]; the plan is alive and nobody else's.
unsafe fn deliver(plan: *mut Plan<'_>) -> Result<(), Failed> {
    const PROCESS: fn(c_int) -> Failed = |error| (Phase::Process, 0, error);
    // SAFETY: the plan is alive, and the midwife's children run while it sleeps.
    unsafe {
        let [second, third] = (*plan).stacks;
        join(&(*plan).groups).map_err(|error| (Phase::Group, 0, error))?;
        match (*plan).place {
            Place::Open => {}
            Place::Behind(wall, _) => {
                libc::umask(0);
                step::take((&*plan).spaces(wall), &mut []).map_err(of(Phase::Spaces))?;
                step::take(&wall.build, &mut []).map_err(of(Phase::Build))?;
                step::take(&(*plan).sockets, &mut (*plan).told.sockets).map_err(of(Phase::Sockets))?;
                (*plan).told.keeper = have((keep, Process::Keeper), second, plan).map_err(PROCESS)?;
                if ptr::read_volatile(&raw const (*plan).told.failed).is_some() {
                    return Err((Phase::Process, 0, libc::ECHILD));
                }
                step::take(&wall.close, &mut []).map_err(of(Phase::Close))?;
            }
            Place::In(_, room) => {
                let done = libc::setns(room.pidfd(), room.namespaces());
                if done < 0 {
                    return Err(PROCESS(last()));
                }
            }
        }
        (*plan).told.program = have((enter, Process::Program), third, plan).map_err(PROCESS)?;
        // The kernel kills both with the node; it may have died before they could ask for that.
        (*plan).confinement.has_node().map_err(|error| PROCESS(error.raw_os_error()))
    }
}

/// Goes into control groups: who writes a zero means itself.
fn join(groups: &[RawFd]) -> Result<(), c_int> {
    for file in groups {
        // SAFETY: one byte is read; the descriptor is open.
        if unsafe { libc::write(*file, c"0".as_ptr().cast(), 1) } < 0 {
            return Err(last());
        }
    }
    Ok(())
}

/// A child of the node's, made by the midwife, which sleeps until it has executed something.
///
/// # Safety
/// As [`deliver`].
unsafe fn have(
    (child, process): (extern "C" fn(*mut c_void) -> c_int, Process),
    stack: *mut c_void,
    plan: *mut Plan<'_>,
) -> Result<(c_int, RawFd), c_int> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PARENT | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: see `spawn`: the stack is alive and used by this child alone; the kernel writes one number.
    unsafe {
        let bound = (*plan).bound;
        let pidfd = bound.place(process);
        let pid = libc::clone(child, stack, flags, plan.cast(), pidfd);
        if pid >= 0 {
            return Ok((pid, ptr::read_volatile(pidfd)));
        }
        let error = last();
        bound.has_no(process);
        Err(error)
    }
}

/// The first process of a room, until it executes the program that only sleeps.
extern "C" fn keep(plan: *mut c_void) -> c_int {
    let plan: *mut Plan<'_> = plan.cast();
    // SAFETY: as in `enter`.
    unsafe {
        let Err(failed) = become_keeper(&*plan);
        ptr::write_volatile(&raw mut (*plan).told.failed, Some(failed));
        libc::_exit(127)
    }
}

/// # Safety
/// As [`become_program`].
unsafe fn become_keeper(plan: &Plan<'_>) -> Result<std::convert::Infallible, Failed> {
    let Place::Behind(wall, _) = plan.place else { return Err((Phase::Process, 0, libc::EINVAL)) };
    let process = |error: rustix::io::Errno| (Phase::Process, 0, error.raw_os_error());
    // SAFETY: as for this function.
    unsafe {
        step::take(&wall.first, &mut []).map_err(of(Phase::First))?;
        step::take(&plan.keeper, &mut []).map_err(of(Phase::Keeper))?;
        rustix::process::setsid().map_err(process)?;
        rustix::thread::set_no_new_privs(true).map_err(process)?;
        Confinement::end_with_node().map_err(process)?;
        // The kernel takes away at once whoever ends and was left to it.
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        for number in 0..3 {
            if number != wall.sleeper {
                libc::close(number);
            }
        }
        own_files_only();
        step::take(&wall.rest, &mut []).map_err(of(Phase::Rest))?;
        execute(wall.sleeper, c"hob-init");
        Err((Phase::Process, 0, last()))
    }
}

/// What the node itself was given to inherit is not the child's: it is closed with the next program.
///
/// # Safety
/// As [`become_program`].
unsafe fn own_files_only() {
    const FIRST: libc::c_uint = 3;
    // SAFETY: no pointers. A kernel without it leaves what the node has not marked itself, which is nothing of its own.
    unsafe { libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

/// Confines this process and executes the program; returns why it could not.
///
/// # Safety
/// Only in a child that shares its memory with a sleeping parent and has all signals blocked.
unsafe fn become_program(plan: &mut Plan<'_>) -> Result<std::convert::Infallible, Failed> {
    let failed = |error: c_int| (Phase::Program, 0, error);
    let check = |done: c_int| if done < 0 { Err(failed(last())) } else { Ok(()) };
    let errno = |error: rustix::io::Errno| failed(error.raw_os_error());
    for (number, stream) in (0..).zip(plan.streams) {
        // SAFETY: descriptors are numbers, and those of this process are its own.
        check(unsafe { libc::dup2(stream, number) })?;
    }
    if matches!(plan.place, Place::Open) {
        join(&plan.groups).map_err(|error| (Phase::Group, 0, error))?;
    }
    plan.confinement.enter().map_err(errno)?;
    // SAFETY: as for this function.
    unsafe { step::take(&plan.identity, &mut []) }.map_err(of(Phase::Identity))?;
    Confinement::end_with_node().map_err(errno)?;
    if matches!(plan.place, Place::Open) {
        // The node died before the line above. Behind walls the midwife looks.
        plan.confinement.has_node().map_err(errno)?;
    }
    // SAFETY: the text ends with a zero and is alive.
    check(unsafe { libc::chdir(plan.directory.as_ptr()) })?;
    // SAFETY: nothing of the node handles a signal from here on; the handlers are this process's own copy.
    unsafe {
        libc::umask(0o022);
        own_files_only();
        default_signals();
    }
    if let Place::Behind(wall, _) | Place::In(wall, _) = plan.place {
        // SAFETY: as for this function.
        unsafe { step::take(&wall.seal, &mut []) }.map_err(of(Phase::Seal))?;
    }
    // SAFETY: all pointers are to texts that end with a zero, in lists that end with a null, and alive.
    unsafe {
        libc::execve(plan.program.as_ptr(), plan.args.pointers.as_ptr(), plan.env.pointers.as_ptr());
        let mut error = last();
        if error == libc::ENOEXEC {
            libc::execve(SHELL.as_ptr(), plan.shell.pointers.as_ptr(), plan.env.pointers.as_ptr());
            error = last();
        }
        Err(failed(error))
    }
}

/// Takes back what the node does with signals: its handlers, that it ignores SIGPIPE, and what it blocks.
///
/// # Safety
/// As [`become_program`].
unsafe fn default_signals() {
    // SAFETY: all bytes of both being zero is the default action and the empty set; the kernel refuses numbers
    // that are no signals or may not be changed.
    unsafe {
        let default: libc::sigaction = std::mem::zeroed();
        for signal in 1..=libc::SIGRTMAX() {
            let mut now: libc::sigaction = std::mem::zeroed();
            let known = libc::sigaction(signal, ptr::null(), &raw mut now) == 0;
            let ignored = now.sa_sigaction == libc::SIG_IGN && signal != libc::SIGPIPE;
            if known && now.sa_sigaction != libc::SIG_DFL && !ignored {
                libc::sigaction(signal, &raw const default, ptr::null_mut());
            }
        }
        let none: libc::sigset_t = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

#[cfg(test)]
mod tests;
