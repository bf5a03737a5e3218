//! The first process of a child's process namespace: it does nothing, and everything ends with it.
//!
//! **Why.** The kernel kills whatever is left in a process namespace when its first process ends: one signal ends a whole
//! family, however it hides. The first process also has to be there for as long as programs come and go (a
//! Lambda function has several), and a program that is the first process would not be ended by SIGTERM.
//!
//! **How.** It sleeps. Children that are left to it are taken away by the kernel, since it ignores their
//! end (`SIGCHLD`, sigaction(2)). So it is nine bytes of machine code in the smallest program file that the kernel
//! takes, which costs a few pages of memory for each instance and a tenth of a millisecond at its start. A process of Hob's own
//! program would cost some megabytes and milliseconds.
//!
//! A second program of this kind ends at once. Whoever has built a room and is not needed any more becomes that one: a process that ends in
//! the node's memory makes the kernel add up all of its mappings (process accounting, `acct_collect`), which are thousands
//! where there is WASM, and take half a millisecond and more.

use rustix::fs::{MemfdFlags, Mode, memfd_create};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

/// Where the file is mapped.
const BASE: u64 = 0x40_0000;
const HEADER_BYTES: u64 = 64;
const SEGMENT_BYTES: u64 = 56;

/// `pause()` for ever.
#[cfg(target_arch = "x86_64")]
const SLEEP: &[u8] = &[
    0xb8, 0x22, 0x00, 0x00, 0x00, // mov eax, 34 (pause)
    0x0f, 0x05, // syscall
    0xeb, 0xf7, // jmp -9
];
/// `exit_group(0)`.
#[cfg(target_arch = "x86_64")]
const END: &[u8] = &[
    0xb8, 0xe7, 0x00, 0x00, 0x00, // mov eax, 231 (exit_group)
    0x31, 0xff, // xor edi, edi
    0x0f, 0x05, // syscall
];
#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;

/// `ppoll(NULL, 0, NULL, NULL)` for ever.
#[cfg(target_arch = "aarch64")]
const SLEEP: &[u8] = &[
    0x00, 0x00, 0x80, 0xd2, // mov x0, #0
    0x01, 0x00, 0x80, 0xd2, // mov x1, #0
    0x02, 0x00, 0x80, 0xd2, // mov x2, #0
    0x03, 0x00, 0x80, 0xd2, // mov x3, #0
    0x28, 0x09, 0x80, 0xd2, // mov x8, #73 (ppoll)
    0x01, 0x00, 0x00, 0xd4, // svc #0
    0xfa, 0xff, 0xff, 0x17, // b -6 instructions
];
/// `exit_group(0)`.
#[cfg(target_arch = "aarch64")]
const END: &[u8] = &[
    0x00, 0x00, 0x80, 0xd2, // mov x0, #0
    0xc8, 0x0b, 0x80, 0xd2, // mov x8, #94 (exit_group)
    0x01, 0x00, 0x00, 0xd4, // svc #0
];
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const SLEEP: &[u8] = &[];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const END: &[u8] = &[];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const MACHINE: u16 = 0;

/// The program that sleeps, and the one that ends at once.
///
/// # Errors
/// When the kernel gives no such files.
pub(super) fn programs() -> io::Result<[OwnedFd; 2]> {
    Ok([in_memory(SLEEP)?, in_memory(END)?])
}

/// A program in memory, ready to be executed by its descriptor.
fn in_memory(code: &[u8]) -> io::Result<OwnedFd> {
    // A machine may be set to make files in memory that are not for executing unless that is asked for (since Linux 6.3).
    let made = memfd_create(c"hob-init", MemfdFlags::CLOEXEC | MemfdFlags::EXEC);
    let made = made.or_else(|_| memfd_create(c"hob-init", MemfdFlags::CLOEXEC))?;
    let mut file = std::fs::File::from(made);
    file.write_all(&elf(code))?;
    // What is open for writing cannot be executed.
    let reopened = std::fs::File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)))?;
    // Who executes what he may not read has a memory that nobody may look at (`would_dump` in the kernel, ptrace(2)). Else programs of a room, who are the
    // same user as its first process, could write their own code into it, which no filter holds.
    rustix::fs::fchmod(&reopened, Mode::from_raw_mode(0o111))?;
    Ok(reopened.into())
}

/// A program that ends well at once, to try out whether programs can be started.
pub(super) fn probe() -> Vec<u8> {
    elf(END)
}

/// A program file with this code: a header, one segment that is read and executed, and one that says that stacks are
/// not executed (System V ABI, "ELF Header", "Program Header").
fn elf(code: &[u8]) -> Vec<u8> {
    let begin = HEADER_BYTES + 2 * SEGMENT_BYTES;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half =
        |file: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|value| file.extend(value.to_le_bytes()));
    let word =
        |file: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|value| file.extend(value.to_le_bytes()));
    let long =
        |file: &mut Vec<u8>, values: &[u64]| values.iter().for_each(|value| file.extend(value.to_le_bytes()));
    half(&mut file, &[2, MACHINE]);
    word(&mut file, &[1]);
    long(&mut file, &[BASE + begin, HEADER_BYTES, 0]);
    word(&mut file, &[0]);
    half(&mut file, &[64, 56, 2, 0, 0, 0]);
    let bytes = begin + code.len() as u64;
    word(&mut file, &[1, 5]);
    long(&mut file, &[0, BASE, BASE, bytes, bytes, 0x1000]);
    word(&mut file, &[0x6474_e551, 6]);
    long(&mut file, &[0, 0, 0, 0, 0, 16]);
    file.extend(code);
    file
}
