//! What the tests of this contract share.

use crate::code::FunctionCode;
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::spec::{FunctionSpec, ScaleSpec};

/// A function, with settings changed by `change`.
pub(super) fn code(change: impl FnOnce(&mut FunctionSpec)) -> FunctionCode {
    let mut spec = FunctionSpec {
        host: "process".to_owned(),
        contract: "lambda".to_owned(),
        run: vec!["bootstrap".to_owned()],
        package: [].into(),
        env: [].into(),
        secrets: Default::default(),
        timeout_ms: 3000,
        memory_bytes: 128 << 20,
        body_bytes_max: 6 << 20,
        scale: ScaleSpec {
            min: 0,
            max: 1,
            concurrency: 1,
            idle_ms: 1000,
            calls_per_instance: None,
            provisioned: Vec::new(),
        },
        egress: None,
        private: false,
        asynchronous: Default::default(),
        settings: serde_json::Map::new(),
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
    }
}
