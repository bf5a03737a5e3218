//! What the tests of this contract share.

use crate::code::FunctionCode;
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::spec::{FunctionSpec, ScaleSpec};

/// A function, with settings changed by `change`.
pub(super) fn code(change: impl FnOnce(&mut FunctionSpec)) -> FunctionCode {
    let mut spec = FunctionSpec {
        timeout_ms: 3000,
        scale: ScaleSpec { idle_ms: 1000, ..ScaleSpec::up_to(1, 1) },
        ..FunctionSpec::new("process", "lambda", ["bootstrap"])
    };
    change(&mut spec);
    FunctionCode {
        app: AppName::new("shop").unwrap(),
        revision: RevisionNumber(3),
        name: FunctionName::new("guest").unwrap(),
        numbered: None,
        spec,
        dir: "/package".into(),
        cpu: Default::default(),
        given: crate::code::Given::default(),
    }
}
