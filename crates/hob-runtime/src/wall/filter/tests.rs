//! The filter's program, run here as the kernel would run it.

use super::table::{ALLOWED, ATTRIBUTES, DENIED};
use super::{
    ARCHITECTURE, Filter, JUMP, JUMP_ANY_BIT, JUMP_EQUAL, JUMP_GREATER, LOAD, NATIVE, NUMBER, RETURN,
    RETURN_ALLOW, RETURN_ERRNO, RETURN_KILL_PROCESS,
};
use libc::*;

/// What a program may call, older names included: whoever adds one says why in its group.
const CALLS_MAX: usize = 194;

/// What the kernel would return, and after how many instructions.
fn run(filter: &Filter, architecture: u32, number: c_long, arguments: impl AsRef<[u32]>) -> (u32, usize) {
    let (mut at, mut value, arguments) = (0, 0, arguments.as_ref());
    for steps in 1.. {
        let instruction = filter.0[at];
        let jumps =
            |taken: bool| usize::from(if taken { instruction.when_true } else { instruction.when_false });
        at += 1;
        match instruction.code {
            LOAD => {
                value = match instruction.value {
                    NUMBER => u32::try_from(number).unwrap(),
                    ARCHITECTURE => architecture,
                    offset => arguments.get((offset as usize - 16) / 8).copied().unwrap_or_default(),
                }
            }
            JUMP => at += instruction.value as usize,
            JUMP_EQUAL => at += jumps(value == instruction.value),
            JUMP_GREATER => at += jumps(value > instruction.value),
            JUMP_ANY_BIT => at += jumps(value & instruction.value != 0),
            RETURN => return (instruction.value, steps),
            other => panic!("{other:#x}"),
        }
    }
    unreachable!()
}

/// Whether the kernel would make a call.
pub(crate) fn allows(filter: &Filter, number: c_long, arguments: [u32; 2]) -> bool {
    run(filter, NATIVE, number, arguments).0 == RETURN_ALLOW
}

#[test]
fn calls_get_the_answer_of_the_table() {
    let failed = |error: c_int| RETURN_ERRNO | error.unsigned_abs();
    let filter = Filter::of_programs();
    for (what, number, arguments, expected) in [
        ("read", SYS_read, [0, 0], RETURN_ALLOW),
        ("execve", SYS_execve, [0, 0], RETURN_ALLOW),
        ("mount", SYS_mount, [0, 0], failed(EPERM)),
        ("io_uring", SYS_io_uring_setup, [0, 0], failed(EPERM)),
        ("bpf", SYS_bpf, [0, 0], failed(EPERM)),
        ("a fork", SYS_clone, [17, 0], RETURN_ALLOW),
        ("a thread", SYS_clone, [0x003d_0f00, 0], RETURN_ALLOW),
        ("a user namespace", SYS_clone, [0x1000_0000 | 17, 0], failed(EPERM)),
        ("clone3", SYS_clone3, [0, 0], failed(ENOSYS)),
        ("TCP", SYS_socket, [2, 1], RETURN_ALLOW),
        ("a pair", SYS_socketpair, [1, 1], RETURN_ALLOW),
        ("a pair of another family", SYS_socketpair, [30, 1], failed(EAFNOSUPPORT)),
        ("packets", SYS_socket, [17, 3], failed(EAFNOSUPPORT)),
        ("the hypervisor", SYS_socket, [40, 1], failed(EAFNOSUPPORT)),
        ("a terminal's size", SYS_ioctl, [1, 0x5413], RETURN_ALLOW),
        ("typing", SYS_ioctl, [1, 0x5412], failed(EPERM)),
        ("a personality", SYS_personality, [0x0004_0000, 0], failed(EPERM)),
        ("a thread's name", SYS_prctl, [15, 0], RETURN_ALLOW),
        ("a filter of its own", SYS_prctl, [22, 2], failed(EPERM)),
        ("attributes", SYS_listxattr, [0, 0], failed(EOPNOTSUPP)),
        ("shared memory of System V", SYS_shmget, [0, 0], failed(ENOSYS)),
        ("becoming root", SYS_setuid, [0, 0], failed(EPERM)),
        ("what does not exist", 9999, [0, 0], failed(ENOSYS)),
        ("the other way to call", 0x4000_0000, [0, 0], failed(ENOSYS)),
    ] {
        assert_eq!(run(&filter, NATIVE, number, arguments).0, expected, "{what}");
    }
    for (family, protocol, expected) in [
        (1, 5, RETURN_ALLOW),
        (10, 17, RETURN_ALLOW),
        (16, 0, RETURN_ALLOW),
        // Netfilter, the diagnosis of sockets, the kernel's ciphers.
        (16, 12, failed(EAFNOSUPPORT)),
        (16, 4, failed(EAFNOSUPPORT)),
        (38, 0, failed(EAFNOSUPPORT)),
    ] {
        assert_eq!(
            run(&filter, NATIVE, SYS_socket, [family, 3, protocol]).0,
            expected,
            "{family} {protocol}"
        );
    }
    let keepers = Filter::of_keepers();
    for (number, expected) in
        [(SYS_execveat, RETURN_ALLOW), (SYS_exit_group, RETURN_ALLOW), (SYS_openat, failed(EPERM))]
    {
        assert_eq!(run(&keepers, NATIVE, number, [0; 2]).0, expected, "{number}");
    }
    let mut allowed: Vec<c_long> = ALLOWED.iter().flat_map(|(_, calls)| *calls).copied().collect();
    let groups = ALLOWED.iter().map(|(what, calls)| format!("{what} {}", calls.len()));
    let (count, shown) = (allowed.len(), groups.collect::<Vec<_>>().join(", "));
    assert!(count <= CALLS_MAX, "{count}: {shown}");
    allowed.extend(DENIED.iter().chain(ATTRIBUTES));
    allowed.sort_unstable();
    assert!(allowed.windows(2).all(|pair| pair[0] != pair[1]), "a call has two answers");
    assert_eq!(run(&filter, 0x4000_0003, SYS_read, [0, 0]).0, RETURN_KILL_PROCESS);
    // The kernel runs every number when the filter is installed.
    let longest = (0..512).map(|number| run(&filter, NATIVE, number, [0, 0]).1).max().unwrap();
    assert!(longest < 40, "{longest} instructions");
}
