//! The line of calls that wait: first come, first served, and whoever's time is over is passed by.
//!
//! **How.** Calls come in the order of their numbers, so one is found by bisection. One that leaves from the
//! middle is marked and dropped later; marks never outnumber the calls by much.

use super::CallId;
use std::collections::VecDeque;

/// A call that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) call: CallId,
    pub(super) since_ms: u64,
    /// After this it is of no use to anybody that the call is served.
    pub(super) until_ms: u64,
    gone: bool,
}

/// Calls in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// The first is never one that has gone.
    calls: VecDeque<Waiting>,
    gone: usize,
    /// Since when somebody waits without a break.
    busy_since_ms: u64,
}

impl Line {
    /// Calls that wait.
    pub(super) fn len(&self) -> usize {
        self.calls.len() - self.gone
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The call that has waited longest.
    pub(super) fn first(&self) -> Option<&Waiting> {
        self.calls.front()
    }

    /// Since when somebody waits without a break, if somebody does.
    pub(super) fn busy_since_ms(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.busy_since_ms)
    }

    /// Adds a call, whose number is higher than all before.
    pub(super) fn push(&mut self, call: CallId, since_ms: u64, until_ms: u64) {
        debug_assert!(self.calls.back().is_none_or(|last| last.call < call), "calls come in order");
        if self.is_empty() {
            self.busy_since_ms = since_ms;
        }
        self.calls.push_back(Waiting { call, since_ms, until_ms, gone: false });
    }

    /// Takes the first call out.
    pub(super) fn pop(&mut self) -> Option<CallId> {
        let first = self.calls.pop_front()?;
        self.tidy();
        Some(first.call)
    }

    /// Takes this call out, wherever it stands; says whether it was there.
    pub(super) fn leave(&mut self, call: CallId) -> bool {
        let Ok(at) = self.calls.binary_search_by_key(&call, |waiting| waiting.call) else { return false };
        let waiting = &mut self.calls[at];
        if waiting.gone {
            return false;
        }
        waiting.gone = true;
        self.gone += 1;
        self.tidy();
        if self.gone > 16 + self.len() {
            self.calls.retain(|waiting| !waiting.gone);
            self.gone = 0;
        }
        true
    }

    fn tidy(&mut self) {
        while self.calls.front().is_some_and(|first| first.gone) {
            self.calls.pop_front();
            self.gone -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn is_served_in_order_whoever_leaves() {
        let mut line = Line::default();
        (0..100).for_each(|call| line.push(call, call, 1000));
        assert!((0..97).rev().filter(|call| call % 2 == 0).all(|call| line.leave(call)));
        assert!(!line.leave(4) && !line.leave(200), "it has left, it never came");
        assert_eq!((line.len(), line.first().unwrap().call, line.busy_since_ms()), (51, 1, Some(0)));
        assert!(line.calls.len() < 2 * 51 + 17, "marks are dropped");
        let served: Vec<u64> = std::iter::from_fn(|| line.pop()).collect();
        let expected: Vec<u64> = (0..100).filter(|call| call % 2 == 1 || *call >= 97).collect();
        assert_eq!((served, line.busy_since_ms()), (expected, None));
    }
}
