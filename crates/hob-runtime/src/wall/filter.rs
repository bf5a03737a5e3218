//! Which system calls a process may make: a table, and the program for the kernel's filter (seccomp(2)) that it becomes.
//!
//! **Why.** Most holes in kernels are in system calls that a function never makes. What is not in the table does not
//! exist for it: `ENOSYS`, so that a library which asks for something new falls back to something old. What programs are known
//! to ask for, and must not have, is `EPERM`. A virtual machine monitor makes do with fifty calls, since its threads run one known program; here it is any
//! program of any runtime, so the table is longer, in groups that each say why.
//!
//! **How.** The numbers become ranges with one answer each, and the ranges a tree of comparisons. The kernel runs
//! a filter once for every number when it is installed and remembers what is always allowed, so that an allowed call costs
//! nothing afterwards and a short tree makes a quick installation.
//!
//! **Not here:** programs for another kind of processor than the node's (32-bit ones on x86-64): they are ended. What WASM workers
//! may ask for, who have a table of their own.

use std::borrow::Cow;
use std::ffi::{c_int, c_long};
use std::io;

// linux/seccomp.h and linux/bpf_common.h.
const RETURN_ALLOW: u32 = 0x7fff_0000;
const RETURN_ERRNO: u32 = 0x0005_0000;
const RETURN_KILL_PROCESS: u32 = 0x8000_0000;
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;
/// Offsets in `seccomp_data`: the number, the architecture, and the low half of an argument (little endian).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;
/// seccomp(2): install a filter, and the same one for every thread or for none.
const SET_FILTER: c_int = 1;
const ALL_THREADS: c_int = 1;

#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xc000_00b7;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const NATIVE: u32 = 0;

/// Flags of clone(2) that make a namespace.
const NEW_NAMESPACE: u32 = 0x7e02_0080;
/// `TIOCSTI` and `TIOCLINUX`: typing into somebody else's terminal.
const TERMINAL_INPUT: [u32; 2] = [0x5412, 0x541c];
/// The families of addresses that programs need with every protocol: unix, IPv4, IPv6.
const FAMILIES: [u32; 3] = [1, 2, 10];
/// The family whose protocols reach far into the kernel, and the only one of them that programs need, to ask for their own interfaces.
const NETLINK: u32 = 16;
const NETLINK_ROUTE: u32 = 0;
/// The family of connected pairs.
const PAIRS: [u32; 1] = [1];
/// `PR_SET_SECCOMP`: more filters make nothing safer here, and are compiled by the kernel.
const OWN_FILTERS: [u32; 1] = [22];

/// The answer to a system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is made.
    Allow,
    /// It fails with this number.
    Fail(c_int),
    /// Allowed unless an argument has one of these bits.
    WithoutBits { argument: u32, bits: u32 },
    /// Allowed if an argument is one of these, else it fails.
    OneOf { argument: u32, values: Cow<'static, [u32]>, error: c_int },
    /// Allowed unless an argument is one of these.
    NoneOf { argument: u32, values: Cow<'static, [u32]> },
    /// Allowed for the families of [`FAMILIES`], and of [`NETLINK`] for routes.
    Families,
}

/// A filter, ready to be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter(Vec<Instruction>);

/// `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u16,
    when_true: u8,
    when_false: u8,
    value: u32,
}

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    length: u16,
    instructions: *const Instruction,
}

impl Filter {
    /// The filter of any program of a function.
    pub(super) fn of_programs() -> Self {
        Self::new(of_programs(), libc::ENOSYS)
    }

    /// The filter of a room's first process, which sleeps once it has executed the program for that.
    pub(super) fn of_keepers() -> Self {
        let allowed = table::OF_KEEPERS.iter().map(|call| (*call, Answer::Allow));
        Self::new(allowed.collect(), libc::EPERM)
    }

    /// One with these answers, the first that is given for a call; every other call fails with `otherwise`.
    pub(crate) fn new(mut answers: Vec<(c_long, Answer)>, otherwise: c_int) -> Self {
        answers.sort_by_key(|(call, _)| *call);
        answers.dedup_by_key(|(call, _)| *call);
        let mut code =
            vec![load(ARCHITECTURE), jump(JUMP_EQUAL, NATIVE, 1, 0), ret(RETURN_KILL_PROCESS), load(NUMBER)];
        code.extend(tree(&ranges(&answers, &Answer::Fail(otherwise)), otherwise));
        Self(code)
    }

    fn program(&self) -> Result<Program, c_int> {
        let length = u16::try_from(self.0.len()).map_err(|_| libc::E2BIG)?;
        Ok(Program { length, instructions: self.0.as_ptr() })
    }

    /// Installs it for all threads of this process.
    ///
    /// # Errors
    /// When the kernel has no filters, or a thread has another one.
    pub(crate) fn enter_with_all_threads(&self) -> io::Result<()> {
        let program = self.program().map_err(io::Error::from_raw_os_error)?;
        // SAFETY: the kernel copies `length` instructions, which are alive.
        match unsafe { libc::syscall(libc::SYS_seccomp, SET_FILTER, ALL_THREADS, &raw const program) } {
            0 => Ok(()),
            thread if thread > 0 => Err(io::Error::other(format!("thread {thread} has another filter"))),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Installs it. Only a system call on values that were prepared before.
    pub(super) fn enter(&self) -> Result<(), c_int> {
        let program = self.program()?;
        // SAFETY: the kernel copies `length` instructions, which are alive.
        let done =
            unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0) };
        if done < 0 { Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL)) } else { Ok(()) }
    }
}

fn load(offset: u32) -> Instruction {
    Instruction { code: LOAD, when_true: 0, when_false: 0, value: offset }
}

fn jump(code: u16, value: u32, when_true: u8, when_false: u8) -> Instruction {
    Instruction { code, when_true, when_false, value }
}

fn ret(value: u32) -> Instruction {
    Instruction { code: RETURN, when_true: 0, when_false: 0, value }
}

fn fail(error: c_int) -> Instruction {
    ret(RETURN_ERRNO | error.unsigned_abs())
}

/// Every call that has another answer than `ENOSYS` for programs.
fn of_programs() -> Vec<(c_long, Answer)> {
    let allowed = table::ALLOWED.iter().flat_map(|(_, calls)| *calls);
    let mut all: Vec<(c_long, Answer)> = allowed.map(|call| (*call, Answer::Allow)).collect();
    all.extend(table::DENIED.iter().map(|call| (*call, Answer::Fail(libc::EPERM))));
    all.extend(table::ATTRIBUTES.iter().map(|call| (*call, Answer::Fail(libc::EOPNOTSUPP))));
    all.extend([
        // Its flags are in memory, where a filter cannot look: libraries fall back to `clone`.
        (libc::SYS_clone3, Answer::Fail(libc::ENOSYS)),
        (libc::SYS_clone, Answer::WithoutBits { argument: 0, bits: NEW_NAMESPACE }),
        (libc::SYS_socket, Answer::Families),
        // The kernel makes pairs of two families only, but asks the module of any that it knows.
        (
            libc::SYS_socketpair,
            Answer::OneOf { argument: 0, values: Cow::Borrowed(&PAIRS), error: libc::EAFNOSUPPORT },
        ),
        (libc::SYS_ioctl, Answer::NoneOf { argument: 1, values: Cow::Borrowed(&TERMINAL_INPUT) }),
        (libc::SYS_prctl, Answer::NoneOf { argument: 0, values: Cow::Borrowed(&OWN_FILTERS) }),
    ]);
    all
}

/// The last number of each range, and its answer. The first begins with 0, the last ends with all numbers.
fn ranges<'a>(answers: &'a [(c_long, Answer)], otherwise: &'a Answer) -> Vec<(u32, &'a Answer)> {
    let mut ranges: Vec<(u32, &Answer)> = Vec::new();
    let mut push = |end: u32, answer: &'a Answer| match ranges.last_mut() {
        Some((last, before)) if *before == answer => *last = end,
        _ => ranges.push((end, answer)),
    };
    let mut next = 0;
    for (call, answer) in answers {
        let number = u32::try_from(*call).unwrap_or_default();
        if number > next {
            push(number - 1, otherwise);
        }
        push(number, answer);
        next = number + 1;
    }
    push(u32::MAX, otherwise);
    ranges
}

fn tree(ranges: &[(u32, &Answer)], otherwise: c_int) -> Vec<Instruction> {
    match ranges {
        [] => vec![fail(otherwise)],
        [(_, answer)] => answer.code(),
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            let end = low.last().map_or(0, |(end, _)| *end);
            let (low, high) = (tree(low, otherwise), tree(high, otherwise));
            let over = u32::try_from(low.len()).unwrap_or_default();
            let mut code = vec![
                jump(JUMP_GREATER, end, 0, 1),
                Instruction { code: JUMP, when_true: 0, when_false: 0, value: over },
            ];
            code.extend(low);
            code.extend(high);
            code
        }
    }
}

impl Answer {
    fn code(&self) -> Vec<Instruction> {
        let argument = |argument: u32| load(ARGUMENTS + 8 * argument);
        match self {
            Self::Allow => vec![ret(RETURN_ALLOW)],
            Self::Fail(error) => vec![fail(*error)],
            Self::WithoutBits { argument: at, bits } => {
                vec![argument(*at), jump(JUMP_ANY_BIT, *bits, 0, 1), fail(libc::EPERM), ret(RETURN_ALLOW)]
            }
            Self::OneOf { argument: at, values, error } => {
                one_of(argument(*at), values, fail(*error), ret(RETURN_ALLOW))
            }
            Self::NoneOf { argument: at, values } => {
                one_of(argument(*at), values, ret(RETURN_ALLOW), fail(libc::EPERM))
            }
            Self::Families => families(),
        }
    }
}

/// Loads the family and compares; of one family it loads the protocol as well.
fn families() -> Vec<Instruction> {
    let mut code = vec![load(ARGUMENTS)];
    for (at, family) in FAMILIES.iter().enumerate() {
        let left = u8::try_from(FAMILIES.len() - at).unwrap_or(u8::MAX);
        code.push(jump(JUMP_EQUAL, *family, left + 3, 0));
    }
    code.extend([
        jump(JUMP_EQUAL, NETLINK, 0, 2),
        load(ARGUMENTS + 2 * 8),
        jump(JUMP_EQUAL, NETLINK_ROUTE, 1, 0),
        fail(libc::EAFNOSUPPORT),
        ret(RETURN_ALLOW),
    ]);
    code
}

/// Loads, compares, and returns `other` or, at the first value that is equal, `equal`.
fn one_of(load: Instruction, values: &[u32], other: Instruction, equal: Instruction) -> Vec<Instruction> {
    let mut code = vec![load];
    for (at, value) in values.iter().enumerate() {
        let left = u8::try_from(values.len() - at).unwrap_or(u8::MAX);
        code.push(jump(JUMP_EQUAL, *value, left, 0));
    }
    code.extend([other, equal]);
    code
}

/// The tables themselves.
mod table;

pub(crate) use table::OF_ITSELF;

#[cfg(test)]
pub(crate) mod tests;
