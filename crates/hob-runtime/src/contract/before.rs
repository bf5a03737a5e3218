//! Instances that see each call before the instance that they have from their host, or from another contract, gets it.
//!
//! **Why.** Such a contract differs in calls alone. What else an instance tells is passed on here, once, so that no row
//! forgets a part of it.

use crate::invocation::{Context, Invocation, Reply};
use crate::unit::Instance;
use hob_core::fault::{Fault, Result};
use hob_core::port::BoxFuture;
use std::time::Duration;

/// What a contract does with calls.
pub(super) trait Before: Send + Sync {
    /// Hands the call to `inner`, changed as it likes, or answers it itself.
    fn call<'a>(&'a self, invocation: Invocation, inner: &'a dyn Instance) -> BoxFuture<'a, Result<Reply>>;
}

/// An instance behind a contract's own step.
pub(super) struct Through<B> {
    before: B,
    inner: Box<dyn Instance>,
}

impl<B: Before + 'static> Through<B> {
    /// Puts the step before the instance.
    pub(super) fn boxed(before: B, inner: Box<dyn Instance>) -> Box<dyn Instance> {
        Box::new(Self { before, inner })
    }
}

impl<B: Before> Instance for Through<B> {
    fn call(&self, invocation: Invocation) -> BoxFuture<'_, Result<Reply>> {
        self.before.call(invocation, self.inner.as_ref())
    }

    fn ended(&self) -> BoxFuture<'_, Option<Fault>> {
        self.inner.ended()
    }

    fn is_over(&self) -> bool {
        self.inner.is_over()
    }

    fn finishes(&self, context: &Context) -> Option<BoxFuture<'static, ()>> {
        self.inner.finishes(context)
    }

    fn connected_in(&self) -> Duration {
        self.inner.connected_in()
    }

    fn stop(&self, grace: Duration) -> BoxFuture<'_, ()> {
        self.inner.stop(grace)
    }

    fn seen_bytes(&self) -> Option<u64> {
        self.inner.seen_bytes()
    }

    fn memory_bytes(&self) -> Option<u64> {
        self.inner.memory_bytes()
    }
}
