//! The birth of a child: from the node's memory to a program of its own, without a copy of that memory.
//!
//! **Why.** `fork` copies the page tables and the list of mappings of its caller, and makes every page
//! that the caller touches afterwards fault. A node has thousands of mappings (a slot for every WASM
//! instance), which made the start of a child take twenty milliseconds and more. `posix_spawn`
//! (glibc) avoids that, but cannot say what a child of Hob has to say: new privileges, limits, death signal.
//!
//! **How.** As `posix_spawn` does it: `clone` with `CLONE_VM` and `CLONE_VFORK`. The child runs
//! [`enter`] on a stack of its own in the node's memory while the calling thread waits for its `execve`; it makes system
//! calls on values that were prepared before, and nothing else. All signals are blocked meanwhile, so that no
//! handler of the node runs in the child.
//!
//! **Invariants.** Everything that the child reads outlives the call, because the caller sleeps until the child
//! has executed its program or ended. The child writes one number: why it failed.

use super::confine::Confinement;
use rustix::process::Pid;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;

/// Stack of a child until it executes its program.
const STACK_BYTES: usize = 64 << 10;
/// What runs a file without a first line that names an interpreter (as execvp(3)).
const SHELL: &CStr = c"/bin/sh";

/// A program to be executed.
pub(super) struct Image<'a> {
    pub(super) program: &'a Path,
    pub(super) args: &'a [String],
    pub(super) env: &'a [(String, String)],
    /// Where it starts.
    pub(super) directory: &'a Path,
    /// Standard input, output and error.
    pub(super) streams: [&'a OwnedFd; 3],
    pub(super) confinement: Confinement,
}

/// Pointers to strings, with a null at the end, as execve(2) takes them.
struct Strings {
    pointers: Vec<*const c_char>,
    _strings: Vec<CString>,
}

impl Strings {
    fn new<'a>(strings: impl IntoIterator<Item = &'a OsStr>) -> io::Result<Self> {
        let strings = strings.into_iter().map(text).collect::<io::Result<Vec<_>>>()?;
        let pointers = strings.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
        Ok(Self { pointers, _strings: strings })
    }
}

fn text(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

/// What the child reads.
struct Plan {
    program: CString,
    args: Strings,
    /// The same for [`SHELL`].
    shell: Strings,
    env: Strings,
    directory: CString,
    streams: [RawFd; 3],
    confinement: Confinement,
    /// Why the child failed: an error number.
    failed: c_int,
}

impl Plan {
    fn new(image: &Image<'_>) -> io::Result<Self> {
        let program = image.program.as_os_str();
        let args = || std::iter::once(program).chain(image.args.iter().map(OsStr::new));
        let env: Vec<String> = image.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Ok(Self {
            program: text(program)?,
            args: Strings::new(args())?,
            shell: Strings::new(std::iter::once(OsStr::from_bytes(SHELL.to_bytes())).chain(args()))?,
            env: Strings::new(env.iter().map(OsStr::new))?,
            directory: text(image.directory.as_os_str())?,
            streams: image.streams.map(|stream| stream.as_raw_fd()),
            confinement: image.confinement,
            failed: 0,
        })
    }
}

/// Executes a program in a new child.
///
/// # Errors
/// Why the system makes no child, or why the child could not execute the program.
pub(super) fn spawn(image: &Image<'_>) -> io::Result<(Pid, OwnedFd)> {
    let mut plan = Plan::new(image)?;
    let mut stack = vec![0_u8; STACK_BYTES];
    let mut pidfd: c_int = -1;
    let plan_pointer: *mut Plan = &raw mut plan;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let blocked = Blocked::all()?;
    // SAFETY: the stack's upper end is inside of one allocation, and rounded down to what the ABI wants. The child
    // shares this memory, but this thread sleeps until the child has executed its program or ended, so that
    // `stack`, `plan` and what they point to outlive it, and nobody else looks at them. `enter` makes
    // system calls only. The kernel writes one number to `pidfd`.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(STACK_BYTES);
        let top = top.sub(top as usize % 16);
        libc::clone(enter, top.cast(), flags, plan_pointer.cast(), &raw mut pidfd)
    };
    let error = io::Error::last_os_error();
    drop(blocked);
    // Asked for in this order, since a negative number may not become a `Pid`.
    let Some(pid) = (pid > 0).then(|| Pid::from_raw(pid)).flatten() else { return Err(error) };
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    // SAFETY: `plan` is alive, and the child that might write to it has left this memory.
    let failed = unsafe { ptr::read_volatile(&raw const (*plan_pointer).failed) };
    if failed == 0 {
        return Ok((pid, pidfd));
    }
    // It has ended by itself already.
    let _ = super::account::reap(pid);
    Err(io::Error::from_raw_os_error(failed))
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

/// The child, until it executes its program.
extern "C" fn enter(plan: *mut c_void) -> c_int {
    let plan: *mut Plan = plan.cast();
    // SAFETY: see `spawn`: the plan is alive, and the thread that owns it sleeps.
    let Err(error) = unsafe { become_program(&*plan) };
    // SAFETY: as above; the reference has ended. `_exit` runs nothing of the node's.
    unsafe {
        ptr::write_volatile(&raw mut (*plan).failed, error);
        libc::_exit(127)
    }
}

/// Confines this process and executes the program; returns why it could not.
///
/// # Safety
/// Only in a child that shares its memory with a sleeping parent and has all signals blocked.
unsafe fn become_program(plan: &Plan) -> Result<std::convert::Infallible, c_int> {
    let last = || io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL);
    let check = |done: c_int| if done < 0 { Err(last()) } else { Ok(()) };
    for (number, stream) in (0..).zip(plan.streams) {
        // SAFETY: descriptors are numbers, and those of this process are its own.
        check(unsafe { libc::dup2(stream, number) })?;
    }
    // SAFETY: the text ends with a zero and is alive.
    check(unsafe { libc::chdir(plan.directory.as_ptr()) })?;
    plan.confinement.enter().map_err(rustix::io::Errno::raw_os_error)?;
    // SAFETY: nothing of the node handles a signal from here on; the handlers are this process's own copy.
    unsafe { default_signals() };
    // SAFETY: all pointers are to texts that end with a zero, in lists that end with a null, and alive.
    unsafe {
        libc::execve(plan.program.as_ptr(), plan.args.pointers.as_ptr(), plan.env.pointers.as_ptr());
        let mut error = last();
        if error == libc::ENOEXEC {
            libc::execve(SHELL.as_ptr(), plan.shell.pointers.as_ptr(), plan.env.pointers.as_ptr());
            error = last();
        }
        Err(error)
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
