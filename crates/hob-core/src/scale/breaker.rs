//! The circuit breaker of one pool: closed, open, half-open (Nygard, *Release It!*, "Circuit Breaker").
//!
//! **Why.** A function that ends whenever it is started, or with each call, costs a start for nothing each time,
//! and its callers wait for an error that is known already.
//!
//! **How.** Failures in a row are counted: starts that fail, instances that end before their first call, and
//! those that crash while they serve. After a few the circuit is *open*: calls are refused at once. When its
//! pause is over, one call is let through to probe (*half-open*); if it succeeds, the circuit is *closed*, else
//! it is open again for twice as long. A success of any call closes it: that is all a probe could show.
//!
//! A failed start puts the next one off from the first time on. A crash does not, since one bad request must not
//! hold up the others.

use super::CallId;
use crate::limit::{BREAKER_FAILURES, BREAKER_PROVEN, START_BACKOFF_MAX, START_BACKOFF_MIN};
use crate::unit::millis;

/// Whether a pool takes calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Circuit {
    /// It does.
    #[default]
    Closed,
    /// One call probes whether it works again; others are refused.
    HalfOpen,
    /// Too many failures in a row: calls are refused.
    Open,
}

impl Circuit {
    /// `closed`, `half-open` or `open`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Breaker {
    circuit: Circuit,
    /// In a row.
    failures: u32,
    /// No start before this.
    until_ms: u64,
    /// The call that probes.
    probe: Option<CallId>,
    /// Half-open: since when there is an instance that has not failed.
    alive_since_ms: Option<u64>,
}

impl Breaker {
    pub(super) fn circuit(&self) -> Circuit {
        self.circuit
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Milliseconds until the next start may be made; 0: now.
    pub(super) fn pause_ms(&self, now_ms: u64) -> u64 {
        self.until_ms.saturating_sub(now_ms)
    }

    /// When the pause is over, if it is not.
    pub(super) fn due(&self, now_ms: u64) -> Option<u64> {
        (now_ms < self.until_ms).then_some(self.until_ms)
    }

    /// Whether a call that comes now is let in. The first after a pause is the probe.
    pub(super) fn admits(&mut self, call: CallId, now_ms: u64) -> bool {
        match self.circuit {
            Circuit::Closed => return true,
            Circuit::Open if now_ms < self.until_ms => return false,
            Circuit::Open => self.circuit = Circuit::HalfOpen,
            Circuit::HalfOpen => {
                let proven = |since_ms| now_ms >= since_ms + millis(BREAKER_PROVEN);
                if self.alive_since_ms.is_some_and(proven) {
                    self.succeeded();
                    return true;
                }
                if self.probe.is_some() {
                    return false;
                }
            }
        }
        self.probe = Some(call);
        true
    }

    /// There is an instance that works, as far as is known.
    pub(super) fn alive(&mut self, now_ms: u64) {
        if self.circuit == Circuit::HalfOpen {
            self.alive_since_ms.get_or_insert(now_ms);
        }
    }

    /// A call has ended well.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        if self.circuit != Circuit::Closed {
            *self = Self::default();
        }
    }

    /// The probe is over without having shown anything.
    pub(super) fn inconclusive(&mut self, call: Option<CallId>) {
        if call.is_none_or(|call| self.probe == Some(call)) {
            self.probe = None;
        }
    }

    /// A start has failed, or an instance has ended before its first call.
    pub(super) fn start_failed(&mut self, now_ms: u64) {
        self.pause(now_ms);
        self.failed();
    }

    /// An instance has crashed while it served.
    pub(super) fn crashed(&mut self, now_ms: u64) {
        if self.circuit != Circuit::Closed || self.failures + 1 >= BREAKER_FAILURES {
            self.pause(now_ms);
        }
        self.failed();
    }

    /// A start of `min` after the pause: it probes without a call.
    pub(super) fn start_probes(&mut self) {
        if self.circuit == Circuit::Open {
            self.circuit = Circuit::HalfOpen;
        }
    }

    fn pause(&mut self, now_ms: u64) {
        let first_ms = millis(START_BACKOFF_MIN);
        let pause_ms = first_ms.saturating_mul(1 << self.failures.min(20)).min(millis(START_BACKOFF_MAX));
        self.until_ms = now_ms + pause_ms;
    }

    fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= BREAKER_FAILURES {
            self.circuit = Circuit::Open;
            (self.probe, self.alive_since_ms) = (None, None);
        }
    }
}
