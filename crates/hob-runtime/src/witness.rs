//! Who is told of every call and every instance of a function: the node's telemetry.
//!
//! **Why.** All ways to a function lead through its pool, so the pool alone sees every call to its end, with
//! the real reason of its failure. What is made of that is the node's affair.
//!
//! **How.** A pool asks [`Witnesses`] once for the [`Witness`] of its function, and tells it what ended.
//! Neither may wait.

use crate::code::FunctionCode;
use crate::invocation::Context;
use hob_core::fact::InstanceStep;
use hob_core::fault::Fault;
use http::header::{HOST, HeaderValue};
use http::{Method, Request, Uri};
use std::sync::Arc;
use std::time::Duration;

/// Gives each function its witness.
pub trait Witnesses: Send + Sync {
    /// The witness of a function of a revision.
    fn of(&self, code: &Arc<FunctionCode>) -> Arc<dyn Witness>;
}

/// Is told what happens in one pool.
pub trait Witness: Send + Sync {
    /// A call has ended, the body of its answer included.
    fn ended(&self, ended: &Ended<'_>);
    /// An instance that is kept for several calls has started, or ended.
    fn instance(&self, changed: &Changed<'_>);
    /// Optimised code took the place of the quick code with which the function began; making it took so long.
    fn optimised(&self, took: Duration);
}

/// What was asked for.
#[derive(Debug)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The path, with its query.
    pub uri: Uri,
    /// The host.
    pub host: Option<HeaderValue>,
}

impl Asked {
    /// What this request asks for; costs no allocation.
    pub fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            host: request.headers().get(HOST).cloned(),
        }
    }
}

/// A call that has ended.
#[derive(Debug)]
pub struct Ended<'a> {
    /// Its context, with times and what was noted meanwhile.
    pub context: &'a Context,
    /// What was asked for.
    pub asked: &'a Asked,
    /// The status that was answered; `None`: the caller went before, or `fault` says why not.
    pub status: Option<u16>,
    /// Why it failed.
    pub fault: Option<&'a Fault>,
    /// From its arrival to the head of the answer.
    pub answer: Duration,
    /// From its arrival to the end of the answer.
    pub total: Duration,
}

/// A change of the kept instances.
#[derive(Clone, Copy, Debug)]
pub struct Changed<'a> {
    /// The instance.
    pub instance: u64,
    /// What happened to it.
    pub step: InstanceStep,
    /// Why, when it failed.
    pub fault: Option<&'a Fault>,
    /// How long its start took.
    pub start: Duration,
    /// Instances of the function afterwards.
    pub instances: u32,
}

/// A witness that nobody asks: for a node that counts nothing, and for tests of pools alone.
#[derive(Debug)]
pub struct Nobody;

impl Witnesses for Nobody {
    fn of(&self, _: &Arc<FunctionCode>) -> Arc<dyn Witness> {
        Arc::new(Self)
    }
}

impl Witness for Nobody {
    fn ended(&self, _: &Ended<'_>) {}
    fn instance(&self, _: &Changed<'_>) {}
    fn optimised(&self, _: Duration) {}
}
