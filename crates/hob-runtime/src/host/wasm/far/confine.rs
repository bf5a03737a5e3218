//! What a worker takes away from itself.

use hob_core::limit::{COMPILED_BYTES_MAX, WORKER_FILES_MAX};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::os::fd::{FromRawFd as _, OwnedFd};

/// Before anything else: limits, and that a panic ends the process. Returns the control connection.
///
/// # Errors
/// When something cannot be taken away.
pub(super) fn begin() -> std::io::Result<OwnedFd> {
    let cap = |resource, most: u64| {
        let own = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let most = Some(most.min(own));
        setrlimit(resource, Rlimit { current: most, maximum: most })
    };
    rustix::thread::set_no_new_privs(true)?;
    cap(Resource::Core, 0)?;
    cap(Resource::Nofile, WORKER_FILES_MAX)?;
    // Files in memory, into which wasmtime puts what memories begin with.
    cap(Resource::Fsize, COMPILED_BYTES_MAX)?;
    std::panic::set_hook(Box::new(|panic| {
        use std::io::Write as _;
        // Nobody is left to tell when this fails.
        let _ = writeln!(std::io::stderr(), "{panic}");
        std::process::abort();
    }));
    // SAFETY: the node has put the control connection there, and nothing else in this process uses it.
    Ok(unsafe { OwnedFd::from_raw_fd(0) })
}

/// When all is there that is needed from outside.
///
/// # Errors
/// When something cannot be taken away.
pub(super) fn seal() -> std::io::Result<()> {
    Ok(())
}
