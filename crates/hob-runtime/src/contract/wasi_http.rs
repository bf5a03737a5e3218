//! Contract `wasi-http`: a component's exported handler takes the request, in process.
//!
//! **How.** WASI 0.2 exports `wasi:http/incoming-handler`, 0.3 exports `wasi:http/handler`. The host
//! does the work behind [`crate::unit::Handler`]; this row says only how long an instance lives: one
//! call for 0.2, whose guests expect to be alone, many for 0.3, which is made for it.

use super::{Contract, Lifetime, setting};
use crate::unit::Unit;
use crate::unit::{Instance, Start};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::port::BoxFuture;
use hob_core::spec::FunctionSpec;

/// The contract.
#[derive(Debug)]
pub struct WasiHttp;

impl Contract for WasiHttp {
    fn name(&self) -> &'static str {
        "wasi-http"
    }

    fn summary(&self) -> &'static str {
        "a component that exports the `wasi:http` handler of WASI 0.2 or 0.3"
    }

    fn example(&self) -> &'static str {
        "[functions.hello]\nrun = \"hello.wasm\"\ncontract = \"wasi-http\"\n"
    }

    fn check(&self, spec: &FunctionSpec) -> Result<()> {
        setting::none(self.name(), spec)
    }

    fn lifetime(&self, unit: &dyn Unit) -> Result<Lifetime> {
        let handler = unit.handler().ok_or_else(no_handler)?;
        Ok(if handler.per_call() { Lifetime::PerCall } else { Lifetime::Kept })
    }

    fn start(&self, start: Start) -> BoxFuture<'_, Result<Box<dyn Instance>>> {
        Box::pin(async move {
            let unit = std::sync::Arc::clone(&start.unit);
            unit.handler().ok_or_else(no_handler)?.open(start).await
        })
    }
}

fn no_handler() -> Fault {
    Fault::new(Code::ContractMismatch, "contract `wasi-http` needs a component with an exported handler")
        .hint("use `contract = \"stdio\"` or `contract = \"http\"` for programs")
}
