//! Contract `http`.
use super::{Contract, Instance, Lifetime, Start};
use crate::host::Unit;
use hob_core::fault::Result;
use hob_core::port::BoxFuture;
use hob_core::spec::FunctionSpec;

/// The contract.
#[derive(Debug)]
pub struct Http;

impl Contract for Http {
    fn name(&self) -> &'static str {
        "http"
    }
    fn summary(&self) -> &'static str {
        ""
    }
    fn example(&self) -> &'static str {
        ""
    }
    fn check(&self, _spec: &FunctionSpec) -> Result<()> {
        unimplemented!()
    }
    fn lifetime(&self, _unit: &dyn Unit) -> Result<Lifetime> {
        unimplemented!()
    }
    fn start(&self, _start: Start) -> BoxFuture<'_, Result<Box<dyn Instance>>> {
        unimplemented!()
    }
}
