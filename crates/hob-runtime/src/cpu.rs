//! Processor time of functions: what a call spent, where it can be told apart, and what all spent together.
//!
//! **How.** A guest of WASM works while its future is polled, on one thread, so the thread's own clock
//! before and after a poll says what the guest spent ([`crate::crowd`]). That clock is a system call; a call
//! that answers at once is polled once or twice. What processes spend is told by the kernel (`host/process`).
//!
//! **Not here:** the sum of one call ([`crate::invocation::Timing`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Processor time that all instances of a function have spent so far. Clones are the same sum.
#[derive(Clone, Debug)]
pub struct CpuTotal {
    sum_ns: Arc<AtomicU64>,
    counts: bool,
}

impl Default for CpuTotal {
    fn default() -> Self {
        Self::new(true)
    }
}

impl CpuTotal {
    /// Nothing spent yet; if it does not count, guests are not measured.
    pub fn new(counts: bool) -> Self {
        Self { sum_ns: Arc::default(), counts }
    }

    /// Adds nanoseconds.
    pub fn add(&self, spent_ns: u64) {
        self.sum_ns.fetch_add(spent_ns, Ordering::Relaxed);
    }

    /// The sum, microseconds.
    pub fn us(&self) -> u64 {
        self.sum_ns.load(Ordering::Relaxed) / 1000
    }

    /// The sum, nanoseconds.
    pub(crate) fn ns(&self) -> u64 {
        self.sum_ns.load(Ordering::Relaxed)
    }

    /// Whether nobody else has a clone: then the sum is final.
    pub fn is_final(&self) -> bool {
        Arc::strong_count(&self.sum_ns) == 1
    }

    /// Whether anything is counted.
    pub(crate) fn counts(&self) -> bool {
        self.counts
    }

    /// Processor time of this thread, nanoseconds; 0 if nothing is counted.
    pub(crate) fn thread_ns(&self) -> u64 {
        if self.counts { thread_ns() } else { 0 }
    }
}

/// By libc, since rustix looks for the kernel's own page of code, which valgrind hides.
fn thread_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a value of the right type, which lives through the call.
    if unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) } != 0 {
        return 0;
    }
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or_default().saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or_default())
}
