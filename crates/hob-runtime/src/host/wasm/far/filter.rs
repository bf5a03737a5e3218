//! The system calls that a worker may make once it serves: a table, and the kernel's filter (seccomp(2)) made of it.
//!
//! **How.** What is not in the table fails with `EPERM`, for all threads. Three calls are allowed with certain arguments
//! alone, since each could reach others with the rest: flags of own descriptors, scans of own memory, signals to own
//! threads.
//!
//! **Invariants.** Nothing here makes a descriptor that leads out of the process, opens a file, starts a process or
//! a thread, or changes who this is.

use libc::*;
use std::ffi::{c_int, c_long};
use std::io;

/// What is allowed with any arguments.
const ALLOWED: &[c_long] = &[
    // Through descriptors that are there.
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_recvfrom,
    SYS_sendto,
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_shutdown,
    SYS_close,
    SYS_fstat,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_ppoll,
    // Memory, and files that are nowhere but in it.
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    SYS_memfd_create,
    SYS_ftruncate,
    SYS_pwrite64,
    // Time and its own threads.
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_futex,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_restart_syscall,
    SYS_rseq,
    SYS_membarrier,
    SYS_getcpu,
    SYS_set_robust_list,
    SYS_getrandom,
    SYS_getpid,
    SYS_gettid,
    // Traps of guests are signals.
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_exit,
    SYS_exit_group,
    #[cfg(target_arch = "x86_64")]
    SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    SYS_poll,
];

/// What fcntl(2) may do: flags, copies, and seals of files in memory. Not owners, to whom signals would go.
const FLAGS: [u32; 7] = [
    F_GETFD as u32,
    F_SETFD as u32,
    F_GETFL as u32,
    F_SETFL as u32,
    F_DUPFD_CLOEXEC as u32,
    F_ADD_SEALS as u32,
    F_GET_SEALS as u32,
];
/// `PAGEMAP_SCAN` (linux/fs.h): which of its own pages were written. Wasmtime asks when it makes a slot new.
const PAGEMAP_SCAN: u32 = 0xc060_6610;

// linux/seccomp.h and linux/bpf_common.h.
const RETURN_ALLOW: u32 = 0x7fff_0000;
const RETURN_ERRNO: u32 = 0x0005_0000;
const RETURN_KILL_PROCESS: u32 = 0x8000_0000;
const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// Offsets in `seccomp_data`: the number, the architecture, and the low half of an argument (little endian).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;
const SET_FILTER: c_int = 1;
/// The same filter for every thread, or for none (`SECCOMP_FILTER_FLAG_TSYNC`).
const ALL_THREADS: c_int = 1;

#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xc000_00b7;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const NATIVE: u32 = 0;

/// `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Instruction {
    code: u16,
    when_true: u8,
    when_false: u8,
    value: u32,
}

const fn step(code: u16, when_true: u8, when_false: u8, value: u32) -> Instruction {
    Instruction { code, when_true, when_false, value }
}

/// What is allowed if an argument is one of these: call, argument, values.
fn by_argument(own: u32) -> [(c_long, u32, Vec<u32>); 3] {
    [
        (SYS_fcntl, 1, FLAGS.to_vec()),
        (SYS_ioctl, 1, vec![PAGEMAP_SCAN]),
        // `abort` ends this process so; no other one.
        (SYS_tgkill, 0, vec![own]),
    ]
}

fn program(own: u32) -> Vec<Instruction> {
    let number = |call: c_long| u32::try_from(call).unwrap_or(u32::MAX);
    let denied = step(RETURN, 0, 0, RETURN_ERRNO | EPERM.unsigned_abs());
    let mut code = vec![
        step(LOAD, 0, 0, ARCHITECTURE),
        step(JUMP_EQUAL, 1, 0, NATIVE),
        step(RETURN, 0, 0, RETURN_KILL_PROCESS),
        step(LOAD, 0, 0, NUMBER),
    ];
    for call in ALLOWED {
        code.extend([step(JUMP_EQUAL, 0, 1, number(*call)), step(RETURN, 0, 0, RETURN_ALLOW)]);
    }
    for (call, argument, values) in by_argument(own) {
        let length = u8::try_from(2 * values.len() + 2).unwrap_or(u8::MAX);
        code.extend([step(JUMP_EQUAL, 0, length, number(call)), step(LOAD, 0, 0, ARGUMENTS + 8 * argument)]);
        for value in values {
            code.extend([step(JUMP_EQUAL, 0, 1, value), step(RETURN, 0, 0, RETURN_ALLOW)]);
        }
        code.push(denied);
    }
    code.push(denied);
    code
}

/// Installs it for all threads.
///
/// # Errors
/// When the kernel has no filters, or a thread has another one.
pub(super) fn install() -> io::Result<()> {
    #[repr(C)]
    struct Program {
        length: u16,
        instructions: *const Instruction,
    }
    let code = program(std::process::id());
    let length = u16::try_from(code.len()).map_err(io::Error::other)?;
    let program = Program { length, instructions: code.as_ptr() };
    // SAFETY: the kernel copies `length` instructions, which are alive.
    match unsafe { syscall(SYS_seccomp, SET_FILTER, ALL_THREADS, &raw const program) } {
        0 => Ok(()),
        thread if thread > 0 => Err(io::Error::other(format!("thread {thread} has another filter"))),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::{ALLOWED, by_argument};

    #[test]
    fn a_worker_needs_sixty_system_calls_at_most() {
        let all = ALLOWED.len() + by_argument(1).len();
        assert!(all <= 60, "{all}");
        let mut numbers = ALLOWED.to_vec();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), ALLOWED.len(), "one is named twice");
    }
}
