//! Steps, taken by processes of the test's own.

use super::{Step, take};
use rustix::pipe::PipeFlags;
use std::ffi::{CString, c_int};
use std::os::fd::{AsRawFd as _, OwnedFd};

/// Takes steps in a child of this process, then does something there that says how the child ends.
fn child(steps: &[Step], then: impl FnOnce() -> c_int) -> c_int {
    // SAFETY: the child makes system calls on prepared values, and ends.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            let done = take(steps, &mut []).map_or(100, |()| then());
            libc::_exit(done);
        }
        pid
    }
}

/// How it ended.
fn ended(pid: c_int) -> c_int {
    let mut status = 0;
    // SAFETY: the kernel writes one number.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    libc::WEXITSTATUS(status)
}

/// Whether somebody of the same user and user namespace, without capabilities, may open the memory of a process that has taken steps into it and then this one.
/// `None` where the machine makes no user namespaces.
fn is_open_after(last: Step) -> Option<bool> {
    let (ready, done) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
    let (until, go) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let mut steps = vec![Step::Unshare(libc::CLONE_NEWUSER)];
    steps.extend(super::super::mapped(user, group).unwrap());
    steps.push(last);
    let (done_fd, until_fd, go_fd) = (done.as_raw_fd(), until.as_raw_fd(), go.as_raw_fd());
    let looked_at = child(&steps, || {
        let mut byte = 0_u8;
        // SAFETY: one byte is written and one read. It ends when the test has closed the other end.
        unsafe {
            libc::close(go_fd);
            libc::write(done_fd, (&raw const byte).cast(), 1);
            libc::read(until_fd, (&raw mut byte).cast(), 1);
        }
        0
    });
    drop(done);
    let is_ready = rustix::io::read(&ready, &mut [0; 1]).unwrap() == 1;
    let looker = is_ready.then(|| {
        let namespace: OwnedFd = std::fs::File::open(format!("/proc/{looked_at}/ns/user")).unwrap().into();
        let memory = CString::new(format!("/proc/{looked_at}/mem")).unwrap();
        let steps = [Step::Join(namespace.as_raw_fd(), libc::CLONE_NEWUSER), Step::NoCapabilities];
        // SAFETY: the path ends with a zero.
        ended(child(&steps, || unsafe { c_int::from(libc::open(memory.as_ptr(), libc::O_RDWR) >= 0) }))
    });
    drop(go);
    ended(looked_at);
    looker.map(|opened| {
        assert!(opened <= 1, "the one who looks has failed to get there");
        opened == 1
    })
}

#[test]
fn nobody_of_a_room_looks_at_the_memory_of_a_program_that_is_none_yet() {
    match is_open_after(Step::NoCapabilities) {
        Some(true) => assert_eq!(is_open_after(Step::Guarded), Some(false)),
        Some(false) => println!("skipped: this machine lets nobody look at others anyway"),
        None => println!("skipped: this machine makes no user namespaces"),
    }
}

#[test]
fn the_guard_is_gone_with_the_next_program() {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let mut steps = vec![Step::Unshare(libc::CLONE_NEWUSER)];
    steps.extend(super::super::mapped(user, group).unwrap());
    steps.push(Step::Guarded);
    let script = c"grep -Eq '^CapPrm:.*[1-9a-f]' /proc/self/status && exit 1; exit 0";
    let pid = child(&steps, || {
        let words = [c"sh".as_ptr(), c"-c".as_ptr(), script.as_ptr(), std::ptr::null()];
        // SAFETY: the path and the words end with a zero, the list with a null.
        unsafe { libc::execv(c"/bin/sh".as_ptr(), words.as_ptr()) }
    });
    let how = ended(pid);
    assert!(how == 0 || how == 100, "{how}");
}
