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
