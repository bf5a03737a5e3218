//! The steps by which a child builds its walls: prepared values, each one system call or a few.
//!
//! **Why values.** Between its birth and its program a child shares the node's memory while other threads of the node
//! run. It may neither allocate nor lock, so everything is prepared before, and a step only hands pointers to
//! the kernel. As values the steps can also be counted, compared and named in an error.

use super::filter::Filter;
use super::rule::Rules;
use std::ffi::{CStr, CString, c_int, c_ulong, c_void};
use std::os::fd::RawFd;
use std::ptr;

/// The largest number of a capability that any kernel knows; prctl(2) says where the kernel's own end is.
const CAPABILITIES: c_int = 63;
/// The number of the capability that guards a memory: `CAP_SYS_PTRACE`.
const GUARDING: u32 = 19;
/// Sockets that wait to be accepted at a listener of a door.
const BACKLOG: c_int = 1024;

/// One step.
pub(crate) enum Step {
    /// Leaves namespaces for new ones (unshare(2)).
    Unshare(c_int),
    /// Goes into a namespace that is there (setns(2)): its descriptor, and its kind.
    Join(RawFd, c_int),
    /// Sees to it that no connection is left in the network.
    Deserted,
    /// Writes into a file that is there.
    Write(CString, Vec<u8>),
    /// The same where the kernel lets this be set; what it does not know is not missed.
    Set(CString, Vec<u8>),
    /// Makes an empty file, for something to be laid over it.
    File(CString),
    /// Makes a folder with this mode, if it is not there; nothing may be masked (umask(2)).
    Folder(CString, libc::mode_t),
    /// Makes a symbolic link: where it is, and where it leads.
    Link(CString, CString),
    /// mount(2).
    Mount(Mount),
    /// Takes rights from a mount and all below it: attributes of mount_setattr(2).
    Forbid(CString, u64),
    /// Goes to a folder.
    Enter(CString),
    /// Makes the current folder the root, and lets go of the old one.
    Pivot,
    /// Brings the loopback device up.
    Loopback,
    /// Sends a message to the kernel's routing (rtnetlink(7)) and reads the answer.
    Route(Vec<u8>),
    /// The same with several, until the kernel refuses one, which is no fault.
    Routes(Vec<Vec<u8>>),
    /// Opens a socket of the network namespace, for the node.
    Open(Socket),
    /// Gives up the right to get capabilities by a program, as long as it holds that which this takes.
    NoNewCapabilities,
    /// Becomes this user and group, and of no other group, with a memory that nobody else of that user may look at.
    User(u32),
    /// Gets back the right to look at oneself in `/proc`, which a change of the user takes away. As long as the memory is the node's this opens it to
    /// whoever is that user in the same user namespace, so it is for one who leaves this for a namespace of its own.
    Visible,
    /// Gives the machine's name in a host name namespace.
    Name(CString),
    /// Gives up every capability but one, which is never used and which the kernel takes away with the next program. Until then the memory
    /// is the node's, and who has fewer capabilities in the same user namespace may not look at it (`cap_ptrace_access_check` in the kernel, ptrace(2)).
    Guarded,
    /// Gives up every capability, for good.
    NoCapabilities,
    /// Only what these rules allow can be reached from here (landlock(7)).
    Restrict(Rules),
    /// Only these system calls from here on. The last step before a program.
    Filter(Filter),
}

/// What is mounted where.
pub(crate) struct Mount {
    pub(crate) source: Option<CString>,
    pub(crate) target: CString,
    pub(crate) kind: Option<CString>,
    pub(crate) flags: c_ulong,
    pub(crate) data: Option<CString>,
}

/// A socket that is opened inside and used by the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Socket {
    /// Which it is: its place in [`Sockets`].
    pub(super) slot: usize,
    pub(super) kind: SocketKind,
}

/// What kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketKind {
    /// A stream that is not connected.
    Stream,
    /// A listener at this address and port (0: any).
    Listener([u8; 4], u16),
    /// A listener at every address, of IPv6 as well where the kernel has it, and this port.
    Everywhere(u16),
    /// A bound datagram socket.
    Datagrams([u8; 4], u16),
}

/// Where opened sockets are put.
pub(super) type Sockets = [RawFd];

fn last() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL)
}

fn check(done: impl Into<i64>) -> Result<i64, c_int> {
    let done = done.into();
    if done < 0 { Err(last()) } else { Ok(done) }
}

fn pointer(text: Option<&CString>) -> *const libc::c_char {
    text.map_or(ptr::null(), |text| text.as_ptr())
}

/// Takes all steps; the number of the one that failed, and why.
///
/// # Safety
/// Only in a child that shares its memory with a sleeping parent and has all signals blocked.
pub(super) unsafe fn take(steps: &[Step], sockets: &mut Sockets) -> Result<(), (usize, c_int)> {
    for (at, step) in steps.iter().enumerate() {
        // SAFETY: as for this function.
        unsafe { step.run(sockets) }.map_err(|error| (at, error))?;
    }
    Ok(())
}

/// Takes steps in a process of their own, which has one thread.
///
/// # Errors
/// Why one of them failed.
pub(crate) fn take_here(steps: &[Step]) -> std::io::Result<()> {
    // SAFETY: nobody shares this process's memory, so that it may do more than a child with its parent's.
    unsafe { take(steps, &mut []) }.map_err(|(_, error)| std::io::Error::from_raw_os_error(error))
}

impl Step {
    /// # Safety
    /// As [`take`].
    unsafe fn run(&self, sockets: &mut Sockets) -> Result<(), c_int> {
        // SAFETY: every pointer is to a prepared text that ends with a zero, or to a value on this stack; the kernel
        // checks all numbers.
        unsafe {
            match self {
                Self::Unshare(flags) => check(libc::unshare(*flags))?,
                Self::Join(namespace, kind) => check(libc::setns(*namespace, *kind))?,
                Self::Deserted => return deserted(),
                Self::Write(path, text) => return write(path, text),
                Self::Set(path, text) => {
                    let _ = write(path, text);
                    0
                }
                Self::File(path) => {
                    let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_CLOEXEC;
                    let file = check(libc::open(path.as_ptr(), flags, 0o444))?;
                    check(libc::close(fd(file)))?
                }
                Self::Folder(path, mode) => match check(libc::mkdir(path.as_ptr(), *mode)) {
                    Err(libc::EEXIST) => 0,
                    done => done?,
                },
                Self::Link(path, to) => check(libc::symlink(to.as_ptr(), path.as_ptr()))?,
                Self::Mount(mount) => return mount.run(),
                Self::Forbid(path, attributes) => return forbid(path, *attributes),
                Self::Enter(path) => check(libc::chdir(path.as_ptr()))?,
                Self::Pivot => {
                    // The old root lies above the new one for a moment (pivot_root(2), "pivot_root(".", ".")").
                    check(libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()))?;
                    check(libc::umount2(c".".as_ptr(), libc::MNT_DETACH))?;
                    check(libc::chdir(c"/".as_ptr()))?
                }
                Self::Loopback => return loopback(),
                Self::Route(message) => return route(message),
                Self::Routes(messages) => {
                    for message in messages {
                        if route(message).is_err() {
                            break;
                        }
                    }
                    0
                }
                Self::Open(socket) => {
                    let opened = socket.open()?;
                    if let Some(slot) = sockets.get_mut(socket.slot) {
                        *slot = opened;
                    }
                    0
                }
                Self::NoNewCapabilities => {
                    bound_capabilities();
                    0
                }
                Self::User(id) => return become_user(*id),
                Self::Visible => check(libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0))?,
                Self::Name(name) => check(libc::sethostname(name.as_ptr(), name.count_bytes()))?,
                Self::Guarded => return keep_capabilities(1 << GUARDING),
                Self::NoCapabilities => return keep_capabilities(0),
                Self::Restrict(rules) => return rules.enter(),
                Self::Filter(filter) => return filter.enter(),
            };
        }
        Ok(())
    }

    /// What it does, for an error.
    pub(super) fn show(&self) -> String {
        let text = |text: &CStr| text.to_string_lossy().into_owned();
        match self {
            Self::Unshare(flags) => format!("new namespaces ({flags:#x})"),
            Self::Join(_, kind) => format!("entering a namespace ({kind:#x})"),
            Self::Deserted => "looking for connections that are left".to_owned(),
            Self::Write(path, _) | Self::Set(path, _) => format!("writing `{}`", text(path)),
            Self::File(path) | Self::Folder(path, _) | Self::Link(path, _) => {
                format!("making `{}`", text(path))
            }
            Self::Mount(mount) => format!("mounting `{}`", text(&mount.target)),
            Self::Forbid(path, _) => format!("taking rights from `{}`", text(path)),
            Self::Enter(path) => format!("entering `{}`", text(path)),
            Self::Pivot => "changing the root".to_owned(),
            Self::Loopback => "bringing loopback up".to_owned(),
            Self::Route(_) | Self::Routes(_) => "making every address local".to_owned(),
            Self::Open(_) => "opening a socket".to_owned(),
            Self::User(id) => format!("becoming user {id}"),
            Self::Visible => "looking at oneself".to_owned(),
            Self::Name(name) => format!("naming the machine `{}`", text(name)),
            Self::NoNewCapabilities | Self::NoCapabilities | Self::Guarded => {
                "giving up capabilities".to_owned()
            }
            Self::Restrict(_) => "restricting itself by landlock".to_owned(),
            Self::Filter(_) => "filtering system calls".to_owned(),
        }
    }
}

impl Mount {
    /// # Safety
    /// As [`take`].
    unsafe fn run(&self) -> Result<(), c_int> {
        let (source, kind) = (pointer(self.source.as_ref()), pointer(self.kind.as_ref()));
        // SAFETY: all pointers are null or to texts that end with a zero.
        check(unsafe {
            libc::mount(source, self.target.as_ptr(), kind, self.flags, pointer(self.data.as_ref()).cast())
        })?;
        Ok(())
    }
}

impl Socket {
    /// # Safety
    /// As [`take`].
    #[expect(
        clippy::cast_possible_truncation,
        reason = "small constants and sizes, as the C types want them"
    )]
    unsafe fn open(self) -> Result<RawFd, c_int> {
        let (kind, place) = match self.kind {
            SocketKind::Stream => (libc::SOCK_STREAM, None),
            SocketKind::Listener(host, port) => (libc::SOCK_STREAM, Some((host, port))),
            SocketKind::Everywhere(port) => (libc::SOCK_STREAM, Some(([0; 4], port))),
            SocketKind::Datagrams(host, port) => (libc::SOCK_DGRAM, Some((host, port))),
        };
        let flags = kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no pointers but to values on this stack, with their sizes.
        unsafe {
            if let SocketKind::Everywhere(port) = self.kind
                && let Ok(socket) = check(libc::socket(libc::AF_INET6, flags, 0))
            {
                let mut address: libc::sockaddr_in6 = std::mem::zeroed();
                address.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                address.sin6_port = port.to_be();
                set(fd(socket), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0);
                return listen(fd(socket), (&raw const address).cast(), size_of_val(&address));
            }
            let socket = fd(check(libc::socket(libc::AF_INET, flags, 0))?);
            let Some((host, port)) = place else { return Ok(socket) };
            let mut address: libc::sockaddr_in = std::mem::zeroed();
            address.sin_family = libc::AF_INET as libc::sa_family_t;
            address.sin_port = port.to_be();
            address.sin_addr.s_addr = u32::from_ne_bytes(host);
            listen(socket, (&raw const address).cast(), size_of_val(&address))
        }
    }
}

/// Binds a socket, and lets it listen if that is its kind.
///
/// # Safety
/// As [`take`]; the address is as long as is said.
#[expect(clippy::cast_possible_truncation, reason = "small constants and sizes, as the C types want them")]
unsafe fn listen(socket: RawFd, address: *const libc::sockaddr, bytes: usize) -> Result<RawFd, c_int> {
    // SAFETY: as for this function.
    unsafe {
        // Connections of a former room may wait for their time to be over.
        set(socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1);
        let done = check(libc::bind(socket, address, bytes as u32)).and_then(|_| {
            match check(libc::listen(socket, BACKLOG)) {
                // Datagrams come without.
                Err(libc::EOPNOTSUPP) => Ok(0),
                done => done,
            }
        });
        if let Err(error) = done {
            libc::close(socket);
            return Err(error);
        }
    }
    Ok(socket)
}

/// Sets an option to a number; what a kernel does not know is not missed.
fn set(socket: RawFd, level: c_int, option: c_int, value: c_int) {
    const NUMBER_BYTES: libc::socklen_t = 4;
    // SAFETY: the kernel reads one number.
    unsafe {
        libc::setsockopt(socket, level, option, (&raw const value).cast(), NUMBER_BYTES);
    }
}

/// A descriptor that a system call returned.
#[expect(clippy::cast_possible_truncation, reason = "the kernel gives descriptors as int")]
fn fd(number: i64) -> RawFd {
    number as RawFd
}

/// # Safety
/// As [`take`].
unsafe fn write(path: &CStr, text: &[u8]) -> Result<(), c_int> {
    // SAFETY: the path ends with a zero; the buffer is as long as is said.
    unsafe {
        let file = fd(check(libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC))?);
        let written = check(libc::write(file, text.as_ptr().cast(), text.len()) as i64);
        libc::close(file);
        written.map(drop)
    }
}

/// Whether no connection of this network waits for its time to be over, or for the other end, without a process that knows of it
/// (proc(5), `/proc/net/sockstat`).
///
/// # Safety
/// As [`take`].
unsafe fn deserted() -> Result<(), c_int> {
    let mut text = [0_u8; 512];
    // SAFETY: as for this function.
    let read = unsafe { Table::open(c"/proc/thread-self/net/sockstat")?.read(&mut text)? };
    match left(text.get(..read).unwrap_or_default()) {
        Some((0, 0)) => Ok(()),
        // Those that have lost their process are counted for the whole machine. Which of them are here say the tables, for which the kernel
        // walks through all connections of the machine.
        // SAFETY: as for this function.
        Some((_, 0)) => unsafe { without_orphans(c"/proc/thread-self/net/tcp") }
            // A kernel without IPv6 has no second one.
            .and_then(|()| match unsafe { without_orphans(c"/proc/thread-self/net/tcp6") } {
                Err(libc::ENOENT) => Ok(()),
                done => done,
            }),
        _ => Err(libc::EADDRINUSE),
    }
}

/// How many connections have no process any more, and how many wait for their time to be over, as sockstat says it.
fn left(sockstat: &[u8]) -> Option<(u64, u64)> {
    let number = |name: &[u8]| {
        let at = sockstat.windows(name.len()).position(|part| part == name)? + name.len();
        let digits = sockstat.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit());
        digits.map(|digit| u64::from(digit - b'0')).reduce(|number, digit| number.saturating_mul(10) + digit)
    };
    Some((number(b" orphan ")?, number(b" tw ")?))
}

/// Whether every connection of a table belongs to a process.
///
/// # Safety
/// As [`take`].
unsafe fn without_orphans(path: &CStr) -> Result<(), c_int> {
    let mut text = [0_u8; 2048];
    let mut rows = Rows::default();
    // SAFETY: as for this function.
    unsafe {
        let table = Table::open(path)?;
        loop {
            let read = table.read(&mut text)?;
            if read == 0 {
                return Ok(());
            }
            if rows.have_orphan(text.get(..read).unwrap_or_default()) {
                return Err(libc::EADDRINUSE);
            }
        }
    }
}

/// Rows of `/proc/net/tcp` that are read piece by piece.
#[derive(Default)]
struct Rows {
    /// Words of this row that have ended.
    words: usize,
    /// How long the current word is, and whether it begins with a zero.
    word: (usize, bool),
}

impl Rows {
    /// Whether a connection ends in this piece that has no socket of a process: its inode is 0.
    fn have_orphan(&mut self, piece: &[u8]) -> bool {
        const INODE: usize = 9;
        for byte in piece {
            if !byte.is_ascii_whitespace() {
                self.word = (self.word.0 + 1, if self.word.0 == 0 { *byte == b'0' } else { self.word.1 });
                continue;
            }
            if self.words == INODE && self.word == (1, true) {
                return true;
            }
            self.words += usize::from(self.word.0 > 0);
            self.word = (0, false);
            if *byte == b'\n' {
                self.words = 0;
            }
        }
        false
    }
}

/// A file of the kernel's that is read; closed with it.
struct Table(RawFd);

impl Table {
    /// # Safety
    /// As [`take`].
    unsafe fn open(path: &CStr) -> Result<Self, c_int> {
        // SAFETY: the path ends with a zero.
        let file = check(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) })?;
        Ok(Self(fd(file)))
    }

    /// # Safety
    /// As [`take`].
    unsafe fn read(&self, text: &mut [u8]) -> Result<usize, c_int> {
        // SAFETY: the buffer is as long as is said.
        let read = check(unsafe { libc::read(self.0, text.as_mut_ptr().cast(), text.len()) } as i64)?;
        Ok(usize::try_from(read).unwrap_or_default())
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: nobody else knows of this descriptor.
        unsafe { libc::close(self.0) };
    }
}

/// # Safety
/// As [`take`].
unsafe fn forbid(path: &CStr, attributes: u64) -> Result<(), c_int> {
    let attr = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the path ends with a zero; the kernel reads one `mount_attr`.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attr,
            size_of_val(&attr),
        )
    })?;
    Ok(())
}

/// # Safety
/// As [`take`].
#[expect(clippy::cast_possible_truncation, reason = "small constants and sizes, as the C types want them")]
unsafe fn loopback() -> Result<(), c_int> {
    // SAFETY: a zeroed `ifreq` is a value; the name `lo` fits and is followed by a zero.
    unsafe {
        let socket = fd(check(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0))?);
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
            *to = *from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        let up = check(libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw const request));
        libc::close(socket);
        up.map(drop)
    }
}

/// # Safety
/// As [`take`].
unsafe fn route(message: &[u8]) -> Result<(), c_int> {
    const HEADER_BYTES: usize = 16;
    let mut answer = [0_u8; 512];
    // SAFETY: both buffers are as long as is said.
    let read = unsafe {
        let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        let socket = fd(check(libc::socket(libc::AF_NETLINK, flags, libc::NETLINK_ROUTE))?);
        let sent = check(libc::send(socket, message.as_ptr().cast(), message.len(), 0) as i64);
        let read =
            sent.and_then(|_| check(libc::recv(socket, answer.as_mut_ptr().cast(), answer.len(), 0) as i64));
        libc::close(socket);
        read?
    };
    // An `nlmsgerr` follows the header: a negative error number, or zero.
    let error: Option<[u8; 4]> = answer.get(HEADER_BYTES..HEADER_BYTES + 4).and_then(|at| at.try_into().ok());
    match error.map(i32::from_ne_bytes) {
        Some(error) if read >= (HEADER_BYTES + 4) as i64 && error < 0 => Err(-error),
        _ => Ok(()),
    }
}

/// # Safety
/// As [`take`].
unsafe fn become_user(id: u32) -> Result<(), c_int> {
    // SAFETY: raw system calls, which change this process alone; the wrappers of the C library would ask all threads of
    // the node to follow.
    unsafe {
        check(libc::syscall(libc::SYS_setgroups, 0, ptr::null::<c_void>()))?;
        check(libc::syscall(libc::SYS_setresgid, id, id, id))?;
        check(libc::syscall(libc::SYS_setresuid, id, id, id))?;
        // A change of the user does this by itself, unless the machine is set otherwise (`fs.suid_dumpable`). The memory is the node's here; the program gets
        // one of its own, for which it is decided anew.
        check(libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0))?;
    }
    Ok(())
}

/// No program that this process starts gets any capability that it does not hold.
fn bound_capabilities() {
    for capability in 0..=CAPABILITIES {
        // Beyond the last one the kernel says EINVAL; who may not drop any hears EPERM.
        // SAFETY: no pointers.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } < 0 {
            break;
        }
    }
}

/// # Safety
/// As [`take`].
unsafe fn keep_capabilities(permitted: u32) -> Result<(), c_int> {
    /// linux/capability.h: version 3, 64 bits in two halves.
    const VERSION: u32 = 0x2008_0522;
    bound_capabilities();
    // SAFETY: the kernel reads a header of two and data of six numbers.
    unsafe {
        let header = [VERSION, 0];
        // Effective, permitted and inheritable ones, twice.
        let kept = [0, permitted, 0, 0, 0, 0];
        check(libc::syscall(libc::SYS_capset, header.as_ptr(), kept.as_ptr()))?;
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
