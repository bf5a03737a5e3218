//! Which calls run in an instance: one in a fresh instance, several in a kept one.
//!
//! **Why.** What a guest prints and whom it calls should name the invocation that made it do so. In
//! an instance with several calls the guest's `traceparent` header tells them apart.

use crate::code::FunctionCode;
use crate::invocation::Context;
use crate::outbound::Caller;
use hob_core::trace::TraceContext;
use std::sync::{Arc, Mutex, PoisonError};

/// The calls that run in one instance.
#[derive(Clone)]
pub(super) enum Calls {
    /// The only call that the instance will have, or none that is known.
    One(Option<Arc<Context>>),
    /// Calls come and go.
    Many(Arc<Mutex<Vec<Arc<Context>>>>),
}

/// Who works in an instance.
pub(super) enum Who {
    Nobody,
    One(Arc<Context>),
    Several,
}

impl Calls {
    /// For an instance that is kept.
    pub(super) fn many() -> Self {
        Self::Many(Arc::default())
    }

    /// A call begins.
    pub(super) fn begin(&self, context: &Arc<Context>) {
        if let Self::Many(calls) = self {
            calls.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(context));
        }
    }

    /// A call has ended.
    pub(super) fn end(&self, context: &Arc<Context>) {
        if let Self::Many(calls) = self {
            let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(index) = calls.iter().position(|call| Arc::ptr_eq(call, context)) {
                calls.swap_remove(index);
            }
        }
    }

    /// Who works when an instance with many calls is polled now. Several are told at once that nobody
    /// can say what each of them spends.
    pub(super) fn who(&self) -> Who {
        let Self::Many(calls) = self else { return self.only().map_or(Who::Nobody, Who::One) };
        match calls.lock().unwrap_or_else(PoisonError::into_inner).as_slice() {
            [] => Who::Nobody,
            [call] => Who::One(Arc::clone(call)),
            calls => {
                calls.iter().for_each(|call| call.timing.shared());
                Who::Several
            }
        }
    }

    /// So many nanoseconds were spent since it was asked who works (`before`); calls may have come and gone
    /// in that time. Says who works now.
    pub(super) fn spent(&self, before: &Who, cpu_ns: u64) -> Who {
        let now = self.who();
        match (before, &now) {
            (Who::One(before), Who::One(after)) if !Arc::ptr_eq(before, after) => {
                before.timing.shared();
                after.timing.shared();
            }
            (Who::One(call), Who::Nobody | Who::One(_)) | (Who::Nobody, Who::One(call)) => {
                call.timing.spent(cpu_ns);
            }
            (Who::One(call), Who::Several) | (Who::Several, Who::One(call)) => call.timing.shared(),
            (Who::Nobody | Who::Several, Who::Nobody | Who::Several) => {}
        }
        now
    }

    /// The call that runs, if it is the only one.
    pub(super) fn only(&self) -> Option<Arc<Context>> {
        match self {
            Self::One(call) => call.clone(),
            Self::Many(calls) => match calls.lock().unwrap_or_else(PoisonError::into_inner).as_slice() {
                [call] => Some(Arc::clone(call)),
                _ => None,
            },
        }
    }

    /// Hands the calls that run to `look`.
    pub(super) fn with<T>(&self, look: impl FnOnce(&[Arc<Context>]) -> T) -> T {
        match self {
            Self::One(call) => look(call.as_slice()),
            Self::Many(calls) => look(&calls.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Who makes a request with this `traceparent`.
    pub(super) fn caller(&self, code: &Arc<FunctionCode>, traceparent: Option<&str>) -> Caller {
        let (code, context) = (Arc::clone(code), self.caused(traceparent));
        match self {
            Self::One(_) => Caller::new(code, context, []),
            Self::Many(calls) => {
                Caller::new(code, context, calls.lock().unwrap_or_else(PoisonError::into_inner).iter())
            }
        }
    }

    /// The call that made a request with this `traceparent`: the one with that span or, when the
    /// guest made a span of its own, the only one with that trace; without a header the only one.
    fn caused(&self, traceparent: Option<&str>) -> Option<Arc<Context>> {
        let Self::Many(calls) = self else { return self.only() };
        let Some(trace) = traceparent.and_then(TraceContext::parse) else { return self.only() };
        let calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
        let mut same = calls.iter().filter(|call| call.trace.trace_id == trace.trace_id);
        let span = calls
            .iter()
            .find(|call| (call.trace.trace_id, call.trace.span_id) == (trace.trace_id, trace.span_id));
        match (span, same.next(), same.next(), calls.as_slice()) {
            (Some(call), ..) | (None, Some(call), None, _) | (None, None, None, [call]) => {
                Some(Arc::clone(call))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Calls, Context};
    use std::sync::Arc;

    fn call() -> Arc<Context> {
        Arc::new(Context::of_test())
    }

    /// Each letter is a call: a capital begins it, a small one ends it; `.` is a poll's begin, `!` its end,
    /// which has spent a microsecond.
    #[test]
    fn only_a_call_that_was_alone_in_every_poll_is_charged() {
        for (story, expected) in [
            ("A.!a", [Some(1), None]),
            ("A.!.!a", [Some(2), None]),
            (".A!a", [Some(1), None]),
            ("A.a!", [Some(1), None]),
            ("A.!aB.!b", [Some(1), Some(1)]),
            ("AB.!ab", [None, None]),
            ("A.!B.ab!", [None, None]),
            ("A.!.B!ab", [None, None]),
            ("A.aB!b", [None, None]),
            (".Aa!", [None, None]),
            (".!", [None, None]),
        ] {
            let (calls, known) = (Calls::many(), [call(), call()]);
            let mut before = None;
            for step in story.chars() {
                match step {
                    '.' => before = Some(calls.who()),
                    '!' => drop(calls.spent(&before.take().unwrap(), 1000)),
                    'A' | 'B' => calls.begin(&known[usize::from(step == 'B')]),
                    _ => calls.end(&known[usize::from(step == 'b')]),
                }
            }
            assert_eq!(known.map(|call| call.timing.cpu_us()), expected, "{story}");
        }
    }
}
