//! A child that is born into a control group: clone3(2) with `CLONE_INTO_CGROUP`, which the C library has no function for.
//!
//! **Why.** A process that is moved into a group has been outside before, and moving makes the kernel stop the births of all processes
//! for a moment. One that is born into it costs nothing more and has never been anywhere else.
//!
//! **How.** The system call is made here and not by a function of the C library, since the child comes back from it on another stack:
//! it calls its function at once and never returns.

use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;

/// linux/sched.h.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// `struct clone_args` of Linux 5.7.
#[repr(C)]
#[derive(Default)]
struct Arguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// As clone(2) with these flags, which share memory and wait, and SIGCHLD at the end; the child is in the group. A
/// negative error number, or the child's number.
///
/// # Safety
/// `stack` is a range of memory (its lower end and its bytes, both multiples of 16) that nobody else uses until the child has
/// executed a program or ended. The kernel writes one number to `pidfd`. `child` never returns, and may do what [`super::birth`] says.
pub(super) unsafe fn clone_into(
    group: RawFd,
    flags: c_int,
    pidfd: *mut RawFd,
    stack: (*mut c_void, usize),
    (child, plan): (extern "C" fn(*mut c_void) -> c_int, *mut c_void),
) -> i64 {
    let arguments = Arguments {
        flags: u64::from(flags.unsigned_abs()) | INTO_CGROUP,
        pidfd: pidfd as u64,
        exit_signal: u64::from(libc::SIGCHLD.unsigned_abs()),
        stack: stack.0 as u64,
        stack_size: stack.1 as u64,
        cgroup: u64::from(group.unsigned_abs()),
        ..Arguments::default()
    };
    // SAFETY: as for this function; the kernel reads one `Arguments`.
    unsafe { enter(&arguments, child, plan) }
}

/// # Safety
/// As [`clone_into`].
#[cfg(target_arch = "x86_64")]
unsafe fn enter(arguments: &Arguments, child: extern "C" fn(*mut c_void) -> c_int, plan: *mut c_void) -> i64 {
    let result: i64;
    // SAFETY: in the parent this is a system call. The child begins behind it with the new stack, whose end is aligned as
    // the ABI wants it before a call, and with the same registers.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") std::ptr::from_ref(arguments),
            in("rsi") size_of::<Arguments>(),
            in("r12") plan,
            in("r13") child,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// # Safety
/// As [`clone_into`].
#[cfg(target_arch = "aarch64")]
unsafe fn enter(arguments: &Arguments, child: extern "C" fn(*mut c_void) -> c_int, plan: *mut c_void) -> i64 {
    let result: i64;
    // SAFETY: as on x86-64.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x20",
            "blr x21",
            "brk #1",
            "2:",
            inlateout("x0") std::ptr::from_ref(arguments) => result,
            in("x1") size_of::<Arguments>(),
            in("x8") libc::SYS_clone3,
            in("x20") plan,
            in("x21") child,
        );
    }
    result
}

/// # Safety
/// None is needed: it does nothing.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn enter(_: &Arguments, _: extern "C" fn(*mut c_void) -> c_int, _: *mut c_void) -> i64 {
    -i64::from(libc::ENOSYS)
}
