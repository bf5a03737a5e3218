//! Contract `javascript`: a module's `fetch`, `scheduled` and `queue`, as Workers have them.
//!
//! **How.** The module runs in the JavaScript runtime, which is a WASI 0.3 component that answers requests. This row
//! tells it what a call is: a request for `fetch`, the run of a schedule, or an event of a topic. It does so in a
//! header that no caller can set.

use super::before::{Before, Through};
use super::lambda::BatchCall;
use super::{Contract, Lifetime, setting};
use crate::body::Body;
use crate::invocation::{Invocation, Reply};
use crate::javascript::KIND;
use crate::unit::{Instance, Start, Unit};
use hob_core::code::Code;
use hob_core::fact::CallCause;
use hob_core::fault::{Fault, Result};
use hob_core::port::BoxFuture;
use hob_core::spec::FunctionSpec;
use http::{HeaderName, HeaderValue};
use std::sync::Arc;

/// The contract.
#[derive(Debug)]
pub struct JavaScript;

impl Contract for JavaScript {
    fn name(&self) -> &'static str {
        "javascript"
    }

    fn summary(&self) -> &'static str {
        "a JavaScript module that exports `fetch`, `scheduled` or `queue`, as Workers have them"
    }

    fn example(&self) -> &'static str {
        "[functions.hello]\nrun = \"hello.js\"\ncontract = \"javascript\"\n"
    }

    fn check(&self, spec: &FunctionSpec) -> Result<()> {
        setting::none(self.name(), spec)
    }

    fn lifetime(&self, unit: &dyn Unit) -> Result<Lifetime> {
        unit.handler().ok_or_else(no_handler).map(|_| Lifetime::Kept)
    }

    fn start(&self, start: Start) -> BoxFuture<'_, Result<Box<dyn Instance>>> {
        Box::pin(async move {
            let unit = Arc::clone(&start.unit);
            let inner = unit.handler().ok_or_else(no_handler)?.open(start).await?;
            Ok(Through::boxed(Kind, inner))
        })
    }
}

fn no_handler() -> Fault {
    Fault::new(Code::ContractMismatch, "contract `javascript` runs in host `wasm`")
        .hint("remove `host`, or use `contract = \"http\"` for a program that listens on `$PORT`")
}

/// Tells the module what a call is.
struct Kind;

/// The header with the attempt of each message of a batch.
const ATTEMPTS: &str = "hob-attempts";

/// The attempt of each event, where a call has several.
fn attempts(request: &http::Request<Body>) -> Option<HeaderValue> {
    let batch = request.extensions().get::<BatchCall>()?;
    let each: Vec<String> = batch.items.iter().map(|item| item.attempt.to_string()).collect();
    HeaderValue::from_str(&each.join(",")).ok()
}

/// What a call is for the module.
fn kind(cause: &CallCause) -> &'static str {
    match cause {
        CallCause::Schedule { .. } => "scheduled",
        CallCause::Event { .. } | CallCause::Replay { .. } => "queue",
        _ => "fetch",
    }
}

impl Before for Kind {
    fn call<'a>(
        &'a self,
        mut invocation: Invocation,
        inner: &'a dyn Instance,
    ) -> BoxFuture<'a, Result<Reply>> {
        let kind = HeaderValue::from_static(kind(&invocation.context.origin.cause));
        let attempts = attempts(&invocation.request);
        let headers = invocation.request.headers_mut();
        headers.insert(HeaderName::from_static(KIND), kind);
        if let Some(attempts) = attempts {
            headers.insert(HeaderName::from_static(ATTEMPTS), attempts);
        }
        inner.call(invocation)
    }
}
