//! One call under watch: whatever becomes of it, its witness is told once, when all of it has ended.

use crate::invocation::{Context, Invocation};
use crate::witness::{Asked, Ended, Witness};
use hob_core::fault::Fault;
use std::sync::Arc;
use std::time::Instant;

/// Tells the witness when it is dropped.
pub(super) struct Watch {
    witness: Arc<dyn Witness>,
    context: Arc<Context>,
    asked: Asked,
    status: Option<u16>,
    fault: Option<Fault>,
    answered: Option<Instant>,
}

impl Watch {
    /// Of a call that begins.
    pub(super) fn new(witness: &Arc<dyn Witness>, invocation: &Invocation) -> Self {
        Self {
            witness: Arc::clone(witness),
            context: Arc::clone(&invocation.context),
            asked: Asked::of(&invocation.request),
            status: None,
            fault: None,
            answered: None,
        }
    }

    /// The call.
    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// The head of the answer is there, since the moment that is returned.
    pub(super) fn answered(&mut self, status: u16) -> Instant {
        self.status = Some(status);
        *self.answered.insert(Instant::now())
    }

    /// A part of the answer's body came out.
    pub(super) fn sent(&self, part: &[u8]) {
        self.context.timing.sent(part.len() as u64);
        if self.status.is_some_and(|status| status >= 400) {
            self.context.trail.answers(part);
        }
    }

    /// The call has failed, before its answer or in the middle of it.
    pub(super) fn failed(&mut self, fault: &Fault) {
        self.fault = Some(fault.clone());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let (came, now) = (self.context.origin.came, Instant::now());
        self.witness.ended(&Ended {
            context: &self.context,
            asked: &self.asked,
            status: self.status,
            fault: self.fault.as_ref(),
            answer: self.answered.unwrap_or(now).saturating_duration_since(came),
            total: now.saturating_duration_since(came),
        });
    }
}
