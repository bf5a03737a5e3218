//! What a program's processes have spent of the processor.
//!
//! **How.** While it runs: the clock of its first process, which the kernel keeps to the nanosecond for
//! all threads, and the statistics of the others of its session, which the memory check walks through
//! anyway. At its end: the resource usage with which it is reaped, its reaped children included.
//! Children that are killed with it count up to the last walk. Where a control group counts, it is asked instead whenever there is more than one
//! process, and at the end: it forgets nobody.
//!
//! **Why libc.** Neither `wait4` nor the clock of another process is in rustix or the standard library, and
//! `/proc` counts in hundredths of a second, which is more than most calls take.

use super::procfs;
use crate::cgroup::Group;
use crate::cpu::CpuTotal;
use rustix::process::Pid;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError, Weak};

/// The processor time of one program.
pub(super) struct Account {
    leader: Pid,
    total: CpuTotal,
    /// What counts for all of its processes, and for nobody else's.
    group: Option<Weak<Group>>,
    state: Mutex<Spent>,
}

#[derive(Default)]
struct Spent {
    /// What is in the function's sum already.
    counted_ns: u64,
    /// All but the first process, when they were looked at last.
    others_ns: u64,
    /// Whether the first process is all there is; `None`: nobody has looked.
    alone: Option<bool>,
}

impl Account {
    /// Of a program that begins; its time goes into `total`.
    pub(super) fn new(leader: Pid, total: CpuTotal, group: Option<Weak<Group>>) -> Self {
        Self { leader, total, group, state: Mutex::default() }
    }

    /// What its group says that it has spent.
    fn grouped_ns(&self) -> Option<u64> {
        self.group.as_ref()?.upgrade()?.spent_ns()
    }

    /// Looks at its group.
    pub(super) fn look_at_group(&self) {
        let (spent_ns, alone) = (self.grouped_ns(), !procfs::has_children(self.leader));
        let mut state = self.lock();
        state.alone = Some(alone);
        self.advance(&mut state, spent_ns.unwrap_or_default());
    }

    /// Looks at the session's other processes.
    pub(super) fn look(&self, processes: &[i32]) {
        let leader = self.leader.as_raw_nonzero().get();
        let others = processes.iter().filter(|pid| **pid != leader);
        let (own, reaped_ns) = (clock_ns(self.leader), procfs::reaped_ns(leader));
        let others_ns = others.map(|pid| procfs::spent_ns(*pid)).sum::<u64>().saturating_add(reaped_ns);
        let mut state = self.lock();
        state.others_ns = state.others_ns.max(others_ns);
        state.alone = Some(processes.len() <= 1);
        self.count(&mut state, own.unwrap_or_default());
    }

    /// What the program has spent so far, nanoseconds; `None` when it is more than one process and no group counts, since their
    /// shares cannot be read that quickly. Costs a system call.
    pub(super) fn now_ns(&self) -> Option<u64> {
        let own_ns = clock_ns(self.leader)?;
        let mut state = self.lock();
        let alone = *state.alone.get_or_insert_with(|| !procfs::has_children(self.leader));
        self.count(&mut state, own_ns);
        if alone {
            return Some(own_ns);
        }
        let all_ns = self.grouped_ns()?;
        self.advance(&mut state, all_ns);
        Some(all_ns)
    }

    /// The program has ended and spent this, its children that it has not waited for aside; what it was with those.
    pub(super) fn end(&self, spent_ns: u64) -> u64 {
        let spent_ns = spent_ns.max(self.grouped_ns().unwrap_or_default());
        self.advance(&mut self.lock(), spent_ns);
        spent_ns
    }

    fn count(&self, state: &mut Spent, own_ns: u64) {
        let spent_ns = own_ns.saturating_add(state.others_ns);
        self.advance(state, spent_ns);
    }

    fn advance(&self, state: &mut Spent, spent_ns: u64) {
        self.total.add(spent_ns.saturating_sub(state.counted_ns));
        state.counted_ns = state.counted_ns.max(spent_ns);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Spent> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The processor time of a process that is not reaped, with all its threads.
fn clock_ns(pid: Pid) -> Option<u64> {
    // As clock_getcpuclockid(3) makes it: the low bits ask for the time that was really spent.
    const SCHEDULED: libc::clockid_t = 2;
    let clock = (!pid.as_raw_nonzero().get() << 3) | SCHEDULED;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one `timespec`, and refuses a clock that does not exist.
    let done = unsafe { libc::clock_gettime(clock, &raw mut time) };
    let (seconds, nanos) = (u64::try_from(time.tv_sec).ok()?, u64::try_from(time.tv_nsec).ok()?);
    (done == 0).then(|| seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// Takes a child's exit status and what it and the children that it has waited for have spent, nanoseconds;
/// from here on its number may be another's. Waits for its end.
pub(super) fn reap(pid: Pid) -> io::Result<(ExitStatus, u64)> {
    let mut status = 0;
    // SAFETY: all bytes of a `rusage` being zero is a value of it.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: the kernel writes a status and one `rusage`. The child is this process's own and not
        // reaped, so that its number is its own.
        let reaped = unsafe { libc::wait4(pid.as_raw_nonzero().get(), &raw mut status, 0, &raw mut usage) };
        if reaped > 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let micros = |time: libc::timeval| {
        let (seconds, micros) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_usec));
        seconds.unwrap_or_default().saturating_mul(1_000_000).saturating_add(micros.unwrap_or_default())
    };
    let spent_us = micros(usage.ru_utime).saturating_add(micros(usage.ru_stime));
    Ok((ExitStatus::from_raw(status), spent_us.saturating_mul(1000)))
}
