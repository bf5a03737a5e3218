//! The system calls that a worker may make once it serves: a table, of which [`crate::wall::filter`] makes the kernel's filter.
//!
//! **How.** What is not in the table fails with `EPERM`, for all threads. Three calls are allowed with certain arguments
//! alone, since each could reach others with the rest: flags of own descriptors, scans of own memory, signals to own
//! threads.
//!
//! **Invariants.** Nothing here makes a descriptor that leads out of the process, opens a file, starts a process or
//! a thread, or changes who this is.

use crate::wall::filter::{Answer, Filter, OF_ITSELF};
use libc::*;
use std::ffi::c_long;
use std::io;

/// What is allowed with any arguments, beside what is of the process itself ([`OF_ITSELF`]).
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
    // Files that are nowhere but in memory.
    SYS_memfd_create,
    SYS_ftruncate,
    SYS_pwrite64,
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

/// What is allowed if an argument is one of these: call, argument, values.
fn by_argument(own: u32) -> [(c_long, u32, Vec<u32>); 3] {
    [
        (SYS_fcntl, 1, FLAGS.to_vec()),
        (SYS_ioctl, 1, vec![PAGEMAP_SCAN]),
        // `abort` ends this process so; no other one.
        (SYS_tgkill, 0, vec![own]),
    ]
}

fn filter(own: u32) -> Filter {
    let always = ALLOWED.iter().chain(OF_ITSELF).map(|call| (*call, Answer::Allow));
    let by_argument = by_argument(own).into_iter().map(|(call, argument, values)| {
        (call, Answer::OneOf { argument, values: values.into(), error: EPERM })
    });
    Filter::new(always.chain(by_argument).collect(), EPERM)
}

/// Installs it for all threads.
///
/// # Errors
/// When the kernel has no filters, or a thread has another one.
pub(super) fn install() -> io::Result<()> {
    filter(std::process::id()).enter_with_all_threads()
}

#[cfg(test)]
mod tests {
    use super::{ALLOWED, OF_ITSELF, by_argument, filter};
    use crate::wall::filter::tests::allows;
    use libc::*;

    #[test]
    fn a_worker_needs_sixty_system_calls_at_most() {
        let mut numbers = [ALLOWED, OF_ITSELF].concat();
        let all = numbers.len() + by_argument(1).len();
        assert!(all <= 60, "{all}");
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), ALLOWED.len() + OF_ITSELF.len(), "one is named twice");
    }

    #[test]
    fn what_is_in_the_table_is_allowed_and_the_rest_is_not() {
        let filter = filter(7);
        for (number, arguments, allowed) in [
            (SYS_read, [2, 0], true),
            (SYS_socket, [2, 0], false),
            (SYS_kill, [2, 0], false),
            (SYS_futex, [2, 0], true),
            (SYS_tgkill, [7, 0], true),
            (SYS_tgkill, [8, 0], false),
            (SYS_fcntl, [3, F_SETOWN.unsigned_abs()], false),
            (SYS_fcntl, [3, F_GETFL.unsigned_abs()], true),
        ] {
            assert_eq!(allows(&filter, number, arguments), allowed, "{number}");
        }
    }
}
