//! How long a birth may take: a thread beside that which starts programs ends what is not born by then.
//!
//! **Why.** Whoever starts a program sleeps until it is executed, and cannot look at a clock. A child that is born into a room can be stopped by
//! the programs that are there (SIGSTOP: they have the same user), and a mount or a program file may lie on a disk that does not
//! answer. The thread would sleep for ever then, and no other program would start either.
//!
//! **How.** The kernel writes the descriptors of a birth's processes where this one reads them, before they run. When the time is over they are ended:
//! those that were born last first, since the ones before them sleep until these have left the node's memory. That goes on until the birth says that it is over.
//!
//! A midwife that is ended all the same leaves its children in that memory, so whoever asked for the birth waits for them as well ([`Bound::take_away`]).
//!
//! **Invariants.** A descriptor is closed only after [`Bound::over`], and nobody is ended after it: the number means no other process.

use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often processes are ended of which more may come.
const AGAIN: Duration = Duration::from_millis(50);

/// The processes of a birth, in the order in which they are ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Process {
    /// The program that is born behind walls.
    Program,
    /// The first of a new room.
    Keeper,
    /// The midwife, or the program itself beside the node.
    First,
}

/// The time that one birth after another may take.
pub(crate) struct Bound {
    limit: Duration,
    state: Mutex<State>,
    changed: Condvar,
    /// By [`Process`]; -1: it is not there.
    processes: [AtomicI32; 3],
}

#[derive(Default)]
struct State {
    /// When the birth began that is not over.
    begun: Option<Instant>,
    /// Whether its processes were ended.
    ended: bool,
    /// Whether nobody looks at the clock until somebody says so.
    sleeps: bool,
    closed: bool,
}

impl Bound {
    /// One that nobody holds: for what is born where nobody else is.
    pub(super) fn none() -> Self {
        let processes = [-1; 3].map(AtomicI32::new);
        Self { limit: Duration::MAX, state: Mutex::default(), changed: Condvar::new(), processes }
    }

    /// One of this length, and the thread that holds it, until it is closed.
    ///
    /// # Errors
    /// When the system makes no thread.
    pub(crate) fn start(limit: Duration) -> io::Result<Arc<Self>> {
        let bound = Arc::new(Self { limit, ..Self::none() });
        let held = Arc::clone(&bound);
        std::thread::Builder::new().name("hob-birth".to_owned()).spawn(move || held.hold())?;
        Ok(bound)
    }

    /// There are no more births.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// A birth begins.
    pub(super) fn begin(&self) {
        self.processes.iter().for_each(|process| process.store(-1, Ordering::Relaxed));
        let mut state = self.lock();
        (state.begun, state.ended) = (Some(Instant::now()), false);
        // Else it wakes by itself when the time of a birth before would have been over: most starts wake nobody.
        if std::mem::take(&mut state.sleeps) {
            self.changed.notify_all();
        }
    }

    /// Where the kernel writes the descriptor of a process.
    pub(super) fn place(&self, process: Process) -> *mut c_int {
        self.processes[process as usize].as_ptr()
    }

    /// The kernel made no such process, though it may have written a number.
    pub(super) fn has_no(&self, process: Process) {
        self.processes[process as usize].store(-1, Ordering::Relaxed);
    }

    /// The birth is over; an error if it was ended. Then its processes but the first are to be taken away.
    pub(super) fn over(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.begun = None;
        if !state.ended {
            return Ok(());
        }
        let text = format!("it was not born within {:?}, and was ended", self.limit);
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    }

    /// Waits for the end of the processes that were born, whether they were ended already or not.
    pub(super) fn take_away(&self) {
        // The first of a room does not end before the kernel is rid of all others.
        for process in [Process::Program, Process::Keeper] {
            let number = self.processes[process as usize].swap(-1, Ordering::Relaxed);
            if number < 0 {
                continue;
            }
            // SAFETY: the kernel made it for this birth, which gave it to nobody else.
            let process = unsafe { OwnedFd::from_raw_fd(number) };
            let _ = pidfd_send_signal(process.as_fd(), Signal::KILL);
            while waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED)
                .is_err_and(|error| error == rustix::io::Errno::INTR)
            {}
        }
    }

    /// Ends what takes too long, until there are no more births.
    fn hold(&self) {
        let mut state = self.lock();
        while !state.closed {
            let left = state.begun.map(|begun| self.limit.saturating_sub(begun.elapsed()));
            let wait = match left {
                None => {
                    state.sleeps = true;
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                Some(Duration::ZERO) => {
                    state.ended = true;
                    self.end();
                    AGAIN
                }
                Some(left) => left,
            };
            state = self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends what is there of a birth that is not over.
    fn end(&self) {
        for process in &self.processes {
            let number = process.load(Ordering::Relaxed);
            if number >= 0 {
                // SAFETY: it is open as long as the birth is not over, and whoever says that it is waits for the lock.
                let process = unsafe { BorrowedFd::borrow_raw(number) };
                let _ = pidfd_send_signal(process, Signal::KILL);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
