//! The tables of system calls: what a program may make, group by group with the reason, and what is refused.
//!
//! **How it was found.** Every runtime that functions are written for (Node.js, Python, Go, Rust, Java, Ruby, shells, C) was read or traced for what it asks for, and
//! what happens when it is refused. A call stays if one of them fails without it. It goes, and then does not exist (`ENOSYS`), if they all have another
//! way or never ask: so `openat2`, `preadv2`, `pkey_alloc`, `mlock2` and `epoll_pwait2` go, for which libraries fall back.
//!
//! **One table for all contracts.** What a contract says is how a call comes in, not what the program is: a script of `stdio` starts the same
//! interpreters that serve `http`, and Python's worker processes listen on sockets of their own under every one of them.

use libc::*;
use std::ffi::c_long;

/// What for, and calls that are allowed for this one reason.
type Group = (&'static str, &'static [c_long]);

/// What is allowed with any arguments. Calls with some arguments only are in [`super::of_programs`].
pub(super) const ALLOWED: &[Group] = &[
    (
        // Every allocator, loader and just-in-time compiler; `mlock` is for keys (libsodium, OpenSSL), `mincore` asks for the guard
        // pages of Java's stacks, `membarrier` and `rseq` are how its threads and the C library's meet.
        "memory",
        &[
            SYS_brk,
            SYS_madvise,
            SYS_membarrier,
            SYS_mincore,
            SYS_mlock,
            SYS_mmap,
            SYS_mprotect,
            SYS_mremap,
            SYS_msync,
            SYS_munlock,
            SYS_munmap,
            SYS_rseq,
            #[cfg(target_arch = "x86_64")]
            SYS_arch_prctl,
        ],
    ),
    (
        // Threads of every runtime. Priorities and processors may be asked for; the kernel lets nobody go up.
        "threads",
        &[
            SYS_futex,
            SYS_get_robust_list,
            SYS_getcpu,
            SYS_getpriority,
            SYS_gettid,
            SYS_sched_get_priority_max,
            SYS_sched_get_priority_min,
            SYS_sched_getaffinity,
            SYS_sched_getparam,
            SYS_sched_getscheduler,
            SYS_sched_setaffinity,
            SYS_sched_yield,
            SYS_set_robust_list,
            SYS_set_tid_address,
            SYS_setpriority,
        ],
    ),
    (
        // Programs that start programs: shells, `subprocess`, `child_process`, `os/exec`. Sessions and groups are their job
        // control; descriptors of processes are how Go and Python wait.
        "processes",
        &[
            SYS_execve,
            SYS_execveat,
            SYS_exit,
            SYS_exit_group,
            SYS_getpgid,
            SYS_getpid,
            SYS_getppid,
            SYS_getsid,
            SYS_kill,
            SYS_pidfd_open,
            SYS_pidfd_send_signal,
            SYS_setpgid,
            SYS_setsid,
            SYS_tgkill,
            SYS_tkill,
            SYS_wait4,
            SYS_waitid,
        ],
    ),
    (
        // Handlers of every runtime; the collectors of Java and Go stop threads with signals; Node.js takes them by descriptor.
        "signals",
        &[
            SYS_restart_syscall,
            SYS_rt_sigaction,
            SYS_rt_sigpending,
            SYS_rt_sigprocmask,
            SYS_rt_sigreturn,
            SYS_rt_sigsuspend,
            SYS_rt_sigtimedwait,
            SYS_sigaltstack,
            SYS_signalfd4,
        ],
    ),
    (
        // Clocks and timers; Go's and Ruby's profilers and schedulers use timers of POSIX, Python and shells alarms.
        "time",
        &[
            SYS_clock_getres,
            SYS_clock_gettime,
            SYS_clock_nanosleep,
            SYS_getitimer,
            SYS_gettimeofday,
            SYS_nanosleep,
            SYS_setitimer,
            SYS_timer_create,
            SYS_timer_delete,
            SYS_timer_getoverrun,
            SYS_timer_gettime,
            SYS_timer_settime,
            SYS_timerfd_create,
            SYS_timerfd_gettime,
            SYS_timerfd_settime,
            SYS_times,
        ],
    ),
    (
        // What a program may know of itself: its user, its limits, the machine's kind. `capget` tells it that it has nothing.
        "about itself",
        &[
            SYS_capget,
            SYS_getegid,
            SYS_geteuid,
            SYS_getgid,
            SYS_getgroups,
            SYS_getrandom,
            SYS_getresgid,
            SYS_getresuid,
            SYS_getrlimit,
            SYS_getrusage,
            SYS_getuid,
            SYS_prlimit64,
            SYS_setrlimit,
            SYS_sysinfo,
            SYS_umask,
            SYS_uname,
        ],
    ),
    (
        // Reading and writing through descriptors, and event loops. `splice` and `sendfile` are Go's and nginx's copies.
        "descriptors",
        &[
            SYS_close,
            SYS_close_range,
            SYS_dup,
            SYS_dup3,
            SYS_epoll_create1,
            SYS_epoll_ctl,
            SYS_epoll_pwait,
            SYS_eventfd2,
            SYS_fcntl,
            SYS_lseek,
            SYS_memfd_create,
            SYS_pipe2,
            SYS_ppoll,
            SYS_pread64,
            SYS_preadv,
            SYS_pselect6,
            SYS_pwrite64,
            SYS_pwritev,
            SYS_read,
            SYS_readv,
            SYS_sendfile,
            SYS_splice,
            SYS_write,
            SYS_writev,
        ],
    ),
    (
        // Files of its view: what `cp`, `tar`, SQLite, package loaders and build tools do. Owners can be set to what they are.
        "files",
        &[
            SYS_chdir,
            SYS_copy_file_range,
            SYS_faccessat,
            SYS_faccessat2,
            SYS_fadvise64,
            SYS_fallocate,
            SYS_fchdir,
            SYS_fchmod,
            SYS_fchmodat,
            SYS_fchown,
            SYS_fchownat,
            SYS_fdatasync,
            SYS_flock,
            SYS_fstat,
            SYS_fstatfs,
            SYS_fsync,
            SYS_ftruncate,
            SYS_getcwd,
            SYS_getdents64,
            SYS_inotify_add_watch,
            SYS_inotify_init1,
            SYS_inotify_rm_watch,
            SYS_linkat,
            SYS_mkdirat,
            // Named pipes; devices take a privilege.
            SYS_mknodat,
            SYS_newfstatat,
            SYS_openat,
            SYS_readlinkat,
            SYS_renameat2,
            SYS_statfs,
            SYS_statx,
            SYS_symlinkat,
            SYS_truncate,
            SYS_unlinkat,
            SYS_utimensat,
            #[cfg(target_arch = "aarch64")]
            SYS_renameat,
        ],
    ),
    (
        // Serving and calling, in the instance's own network. Families are in [`super::of_programs`].
        "sockets",
        &[
            SYS_accept,
            SYS_accept4,
            SYS_bind,
            SYS_connect,
            SYS_getpeername,
            SYS_getsockname,
            SYS_getsockopt,
            SYS_listen,
            SYS_recvfrom,
            SYS_recvmmsg,
            SYS_recvmsg,
            SYS_sendmmsg,
            SYS_sendmsg,
            SYS_sendto,
            SYS_setsockopt,
            SYS_shutdown,
        ],
    ),
    #[cfg(target_arch = "x86_64")]
    (
        // The same as calls above, by the older names that x86-64 alone has: the C libraries, Go and old programs that
        // are linked statically still use them, and without they do not start.
        "older names",
        &[
            SYS_access,
            SYS_alarm,
            SYS_chmod,
            SYS_chown,
            SYS_creat,
            SYS_dup2,
            SYS_epoll_create,
            SYS_epoll_wait,
            SYS_fork,
            SYS_getpgrp,
            SYS_lchown,
            SYS_link,
            SYS_lstat,
            SYS_mkdir,
            SYS_mknod,
            SYS_open,
            SYS_pause,
            SYS_pipe,
            SYS_poll,
            SYS_readlink,
            SYS_rename,
            SYS_renameat,
            SYS_rmdir,
            SYS_select,
            SYS_stat,
            SYS_symlink,
            SYS_time,
            SYS_unlink,
            SYS_utime,
            SYS_utimes,
            SYS_vfork,
        ],
    ),
];

/// What is answered as by a file system that has none: copying programs go on then, and would not after `ENOSYS`.
pub(super) const ATTRIBUTES: &[c_long] = &[
    SYS_fgetxattr,
    SYS_flistxattr,
    SYS_fremovexattr,
    SYS_fsetxattr,
    SYS_getxattr,
    SYS_lgetxattr,
    SYS_listxattr,
    SYS_llistxattr,
    SYS_lremovexattr,
    SYS_lsetxattr,
    SYS_removexattr,
    SYS_setxattr,
];

/// What programs must not have: it exists, and they may not.
pub(super) const DENIED: &[c_long] = &[
    // Privileges, users and what is the machine's.
    SYS_acct,
    SYS_adjtimex,
    SYS_capset,
    SYS_chroot,
    SYS_clock_adjtime,
    SYS_clock_settime,
    SYS_delete_module,
    SYS_finit_module,
    SYS_init_module,
    SYS_kexec_load,
    SYS_personality,
    SYS_quotactl,
    SYS_quotactl_fd,
    SYS_reboot,
    SYS_setdomainname,
    SYS_setfsgid,
    SYS_setfsuid,
    SYS_setgid,
    SYS_setgroups,
    SYS_sethostname,
    SYS_setregid,
    SYS_setresgid,
    SYS_setresuid,
    SYS_setreuid,
    SYS_settimeofday,
    SYS_setuid,
    SYS_swapoff,
    SYS_swapon,
    SYS_syslog,
    SYS_vhangup,
    // Real time.
    SYS_sched_setattr,
    SYS_sched_setparam,
    SYS_sched_setscheduler,
    // Walls: namespaces, mounts, roots, filters of its own.
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fsopen,
    SYS_fspick,
    SYS_mount,
    SYS_mount_setattr,
    SYS_move_mount,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    SYS_open_tree,
    SYS_pivot_root,
    SYS_seccomp,
    SYS_setns,
    SYS_umount2,
    SYS_unshare,
    // Other processes.
    SYS_kcmp,
    SYS_migrate_pages,
    SYS_move_pages,
    SYS_pidfd_getfd,
    SYS_process_madvise,
    SYS_process_mrelease,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_ptrace,
    // Where most holes of the kernel were, and no runtime needs it.
    SYS_add_key,
    SYS_bpf,
    SYS_fanotify_init,
    SYS_fanotify_mark,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_io_uring_setup,
    SYS_keyctl,
    SYS_lookup_dcookie,
    SYS_memfd_secret,
    SYS_nfsservctl,
    SYS_perf_event_open,
    SYS_remap_file_pages,
    SYS_request_key,
    SYS_userfaultfd,
    // It would write out the disks of the whole machine.
    SYS_sync,
    SYS_syncfs,
    #[cfg(target_arch = "x86_64")]
    SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    SYS_sysfs,
    #[cfg(target_arch = "x86_64")]
    SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    SYS_ustat,
];

/// What a room's first process makes: it executes the program that sleeps, and this sleeps or ends.
pub(super) const OF_KEEPERS: &[c_long] = &[
    SYS_execveat,
    SYS_exit,
    SYS_exit_group,
    SYS_ppoll,
    SYS_restart_syscall,
    #[cfg(target_arch = "x86_64")]
    SYS_pause,
];

/// What processes of Hob's own may make that serve strangers: nothing in it reaches beyond the process.
pub(crate) const OF_ITSELF: &[c_long] = &[
    // Memory.
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
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
];
