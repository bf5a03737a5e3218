//! Steps, taken by processes of the test's own.

use super::{Rows, Step, left, take};
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

#[test]
fn what_the_kernel_says_of_connections_is_read() {
    for (orphan, waiting) in [(0, 0), (3, 0), (0, 12), (40, 256)] {
        let text = format!(
            "sockets: used 9\nTCP: inuse 1 orphan {orphan} tw {waiting} alloc 4 mem 0\nUDP: inuse 0 mem 0\n"
        );
        assert_eq!(left(text.as_bytes()), Some((orphan, waiting)), "{text}");
    }
    assert_eq!(left(b"sockets: used 9\n"), None);
}

#[test]
fn a_connection_without_a_process_is_found_however_its_table_comes() {
    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    let row = |inode: &str| {
        format!(
            "   0: 0100007F:1F90 00000000:0000 04 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0 20\n"
        )
    };
    for (table, expected) in [
        (HEAD.to_owned(), false),
        ([HEAD, &row("4242")].concat(), false),
        ([HEAD, &row("4240"), &row("10")].concat(), false),
        ([HEAD, &row("0")].concat(), true),
        ([HEAD, &row("4242"), &row("0"), &row("7")].concat(), true),
    ] {
        for piece in [1, 7, 100, 4096] {
            let mut rows = Rows::default();
            let found = table.as_bytes().chunks(piece).any(|piece| rows.have_orphan(piece));
            assert_eq!(found, expected, "{piece}: {table}");
        }
    }
}
