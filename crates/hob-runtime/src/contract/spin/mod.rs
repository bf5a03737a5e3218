//! Contract `spin`: a component of Spin, with what its platform tells requests and offers it.
//!
//! **How.** The host links Spin's interfaces and calls the component's export, whatever its SDK's generation is;
//! messages of Redis and ticks of cron are events of topics and runs of schedules. This row adds the headers by
//! which a component learns what route it was called by (`headers`), and answers the paths that Spin reserves.

pub(crate) mod headers;

use super::before::{Before, Through};
use super::{Contract, Lifetime, setting};
use crate::body::full;
use crate::code::FunctionCode;
use crate::invocation::{Invocation, Reply};
use crate::spin::{CONTRACT, VARIABLES, Variables};
use crate::unit::{Instance, Start, Unit};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::port::BoxFuture;
use hob_core::spec::FunctionSpec;
use http::header::{CONTENT_TYPE, HeaderValue};
use std::sync::Arc;

/// The path at which Spin says that it lives.
const HEALTH: &str = "/.well-known/spin/health";
/// The path at which Spin says which application it runs.
const INFO: &str = "/.well-known/spin/info";

/// The contract.
#[derive(Debug)]
pub struct Spin;

impl Contract for Spin {
    fn name(&self) -> &'static str {
        CONTRACT
    }

    fn summary(&self) -> &'static str {
        "a component of Spin: HTTP, Redis and cron triggers, variables"
    }

    fn example(&self) -> &'static str {
        "[functions.hello]\nrun = \"hello.wasm\"\ncontract = \"spin\"\n\n[functions.hello.spin]\nvariables = { greeting = \"hi\" }\n"
    }

    fn check(&self, spec: &FunctionSpec) -> Result<()> {
        if let Some(key) = spec.settings.keys().find(|key| *key != VARIABLES) {
            return Err(setting::unknown(CONTRACT, key, &[VARIABLES]));
        }
        Variables::read(spec).map(drop)
    }

    fn lifetime(&self, unit: &dyn Unit) -> Result<Lifetime> {
        let handler = unit.handler().ok_or_else(no_handler)?;
        Ok(if handler.per_call() { Lifetime::PerCall } else { Lifetime::Kept })
    }

    fn start(&self, start: Start) -> BoxFuture<'_, Result<Box<dyn Instance>>> {
        Box::pin(async move {
            let (unit, code) = (Arc::clone(&start.unit), Arc::clone(&start.code));
            let inner = unit.handler().ok_or_else(no_handler)?.open(start).await?;
            Ok(Through::boxed(Platform { code }, inner))
        })
    }
}

fn no_handler() -> Fault {
    Fault::new(
        Code::ContractMismatch,
        "contract `spin` needs a component with an export that a trigger calls",
    )
    .hint("use `contract = \"stdio\"` for a command, as the executor `wagi` runs it")
}

/// What Spin's platform does before its components.
struct Platform {
    code: Arc<FunctionCode>,
}

impl Platform {
    /// The answer for a path that no component gets.
    fn reserved(&self, path: &str) -> Option<Reply> {
        let (kind, text) = match path {
            HEALTH => ("text/plain", "OK".to_owned()),
            INFO => (
                "application/json",
                format!("{{\"name\":\"{}\",\"version\":\"{}\"}}", self.code.app, self.code.revision),
            ),
            _ => return None,
        };
        let mut reply = Reply::new(full(text));
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Some(reply)
    }
}

impl Before for Platform {
    fn call<'a>(
        &'a self,
        mut invocation: Invocation,
        inner: &'a dyn Instance,
    ) -> BoxFuture<'a, Result<Reply>> {
        if let Some(reply) = self.reserved(invocation.request.uri().path()) {
            return Box::pin(std::future::ready(Ok(reply)));
        }
        headers::add(&mut invocation.request, &invocation.context);
        inner.call(invocation)
    }
}
