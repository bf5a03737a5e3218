//! What a worker that somebody has captured may try: sixty system calls and more, each of which has to be denied.
//!
//! **How.** Each is made so that it would do something, or fail for another reason, where it is allowed. Denied is what
//! the filter says (`EPERM`, `ENOSYS`) and nothing else: a call that failed for a wrong argument was looked at.

use libc::*;

type Attempt = (&'static str, fn() -> c_long);

/// Makes a system call with numbers and addresses as they are.
macro_rules! call {
    ($number:expr $(, $argument:expr)*) => {
        // SAFETY: the process is a test's own, and meant to be spoiled; every address is of a value that lives on, or
        // null.
        || unsafe { syscall($number $(, $argument)*) }
    };
}

const NOWHERE: usize = 0;
const HERE: c_int = AT_FDCWD;

/// Every attempt.
const ATTEMPTS: &[Attempt] = &[
    // Files.
    ("read a file", call!(SYS_openat, HERE, c"/etc/passwd".as_ptr(), O_RDONLY, 0)),
    ("read own memory", call!(SYS_openat, HERE, c"/proc/self/mem".as_ptr(), O_RDWR, 0)),
    ("open the root", call!(SYS_openat, HERE, c"/".as_ptr(), O_RDONLY, 0)),
    ("make a file", call!(SYS_openat, HERE, c"/x".as_ptr(), O_CREAT | O_WRONLY, 0o600)),
    ("open by handle", call!(SYS_open_by_handle_at, HERE, NOWHERE, 0)),
    ("make a folder", call!(SYS_mkdirat, HERE, c"/d".as_ptr(), 0o700)),
    ("remove a file", call!(SYS_unlinkat, HERE, c"/etc/passwd".as_ptr(), 0)),
    ("rename", call!(SYS_renameat2, HERE, c"/etc/passwd".as_ptr(), HERE, c"/x".as_ptr(), 0)),
    ("link", call!(SYS_linkat, HERE, c"/etc/passwd".as_ptr(), HERE, c"/x".as_ptr(), 0)),
    ("make a link", call!(SYS_symlinkat, c"/etc/passwd".as_ptr(), HERE, c"/x".as_ptr())),
    ("change a mode", call!(SYS_fchmodat, HERE, c"/".as_ptr(), 0o777)),
    ("change an owner", call!(SYS_fchownat, HERE, c"/".as_ptr(), 0, 0, 0)),
    ("make a device", call!(SYS_mknodat, HERE, c"/x".as_ptr(), S_IFCHR | 0o600, 0x0103)),
    ("go to a folder", call!(SYS_chdir, c"/".as_ptr())),
    ("watch files", call!(SYS_inotify_init1, 0)),
    ("ask for a file system", call!(SYS_statfs, c"/".as_ptr(), NOWHERE)),
    // Processes.
    ("fork", call!(SYS_clone, SIGCHLD, NOWHERE, NOWHERE, NOWHERE, NOWHERE)),
    ("make a process in the new way", call!(SYS_clone3, NOWHERE, 0)),
    ("execute", call!(SYS_execve, c"/bin/sh".as_ptr(), NOWHERE, NOWHERE)),
    ("execute by descriptor", call!(SYS_execveat, 0, c"".as_ptr(), NOWHERE, NOWHERE, AT_EMPTY_PATH)),
    ("signal the node", call!(SYS_kill, getppid(), 0)),
    ("signal everybody", call!(SYS_kill, -1, 0)),
    ("trace the node", call!(SYS_ptrace, PTRACE_SEIZE, getppid(), NOWHERE, NOWHERE)),
    ("read the node's memory", call!(SYS_process_vm_readv, getppid(), NOWHERE, 0, NOWHERE, 0, 0)),
    ("write the node's memory", call!(SYS_process_vm_writev, getppid(), NOWHERE, 0, NOWHERE, 0, 0)),
    ("hold the node", call!(SYS_pidfd_open, getppid(), 0)),
    ("take a descriptor", call!(SYS_pidfd_getfd, 0, 0, 0)),
    ("compare with the node", call!(SYS_kcmp, getppid(), getpid(), 0, 0, 0)),
    ("be important", call!(SYS_setpriority, PRIO_PROCESS, 0, -5)),
    ("leave its session", call!(SYS_setsid)),
    ("choose a processor", call!(SYS_sched_setaffinity, 0, 0, NOWHERE)),
    ("raise a limit", call!(SYS_prlimit64, 0, RLIMIT_NOFILE, NOWHERE, NOWHERE)),
    // Privileges.
    ("be root", call!(SYS_setuid, 0)),
    ("be root's group", call!(SYS_setgid, 0)),
    ("be root in all ways", call!(SYS_setresuid, 0, 0, 0)),
    ("join groups", call!(SYS_setgroups, 0, NOWHERE)),
    ("take capabilities", call!(SYS_capset, NOWHERE, NOWHERE)),
    ("change its personality", call!(SYS_personality, 0x0004_0000)),
    ("be looked at", call!(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0)),
    // The kernel.
    ("leave its namespaces", call!(SYS_unshare, CLONE_NEWUSER)),
    ("join a namespace", call!(SYS_setns, 0, 0)),
    ("mount", call!(SYS_mount, NOWHERE, c"/".as_ptr(), c"tmpfs".as_ptr(), 0, NOWHERE)),
    ("unmount", call!(SYS_umount2, c"/".as_ptr(), MNT_DETACH)),
    ("change its root", call!(SYS_chroot, c"/".as_ptr())),
    ("turn the root round", call!(SYS_pivot_root, c"/".as_ptr(), c"/".as_ptr())),
    ("load a program into the kernel", call!(SYS_bpf, 0, NOWHERE, 0)),
    ("count events", call!(SYS_perf_event_open, NOWHERE, 0, -1, -1, 0)),
    ("handle faults", call!(SYS_userfaultfd, 0)),
    ("make a ring", call!(SYS_io_uring_setup, 1, NOWHERE)),
    ("use a keyring", call!(SYS_keyctl, 0, -3, 0, 0, 0)),
    ("add a key", call!(SYS_add_key, c"user".as_ptr(), c"k".as_ptr(), NOWHERE, 0, -3)),
    ("load a module", call!(SYS_init_module, NOWHERE, 0, c"".as_ptr())),
    ("read the kernel's log", call!(SYS_syslog, 3, NOWHERE, 0)),
    ("name the host", call!(SYS_sethostname, c"x".as_ptr(), 1)),
    ("set the clock", call!(SYS_clock_settime, CLOCK_REALTIME, NOWHERE)),
    ("swap", call!(SYS_swapon, c"/x".as_ptr(), 0)),
    ("account", call!(SYS_acct, c"/x".as_ptr())),
    ("make secret memory", call!(SYS_memfd_secret, 0)),
    // Others of the machine.
    ("speak to the internet", call!(SYS_socket, AF_INET, SOCK_STREAM, 0)),
    ("speak to the internet in the new way", call!(SYS_socket, AF_INET6, SOCK_STREAM, 0)),
    ("send a datagram", call!(SYS_socket, AF_INET, SOCK_DGRAM, 0)),
    ("speak to the machine", call!(SYS_socket, AF_UNIX, SOCK_STREAM, 0)),
    ("speak to the kernel", call!(SYS_socket, AF_NETLINK, SOCK_RAW, 0)),
    ("speak to the hypervisor", call!(SYS_socket, AF_VSOCK, SOCK_STREAM, 0)),
    ("make a pair", call!(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, NOWHERE)),
    ("connect", call!(SYS_connect, 0, NOWHERE, 0)),
    ("listen", call!(SYS_listen, 0, 1)),
    ("share memory", call!(SYS_shmget, 0, 4096, IPC_CREAT | 0o600)),
    ("send messages", call!(SYS_msgget, 0, IPC_CREAT | 0o600)),
    ("control a device", call!(SYS_ioctl, 0, FIONREAD, NOWHERE)),
];

/// Tries all, and says of each what came of it, a line each: `denied` or something else, and what it was.
pub(super) fn attempt() -> Vec<String> {
    let tried = ATTEMPTS.iter().map(|(what, attempt)| {
        let done = attempt();
        let error = std::io::Error::last_os_error();
        match error.raw_os_error() {
            _ if done >= 0 => format!("done: {what}"),
            Some(EPERM | ENOSYS) => format!("denied: {what}"),
            _ => format!("looked at ({error}): {what}"),
        }
    });
    tried.collect()
}
