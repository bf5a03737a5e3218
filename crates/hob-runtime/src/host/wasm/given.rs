//! What every instance of a function is given, made once when its code is loaded.
//!
//! **Why.** Instances may live for one call. What they cannot ask for is not made for them.

use super::Machine;
use crate::code::FunctionCode;
use crate::outbound::telemetry_variables;
use wasmtime::Engine;
use zeroize::Zeroize;

/// Where guests send what they tell of themselves.
const TELEMETRY_URL: &str = "http://telemetry.internal";

/// What an instance is given besides its calls.
pub(super) struct Given {
    /// Environment variables.
    pub(super) env: Vec<(String, String)>,
    /// Whether it can write to standard output.
    pub(super) stdout: bool,
    /// Whether it can write to standard error.
    pub(super) stderr: bool,
}

impl Drop for Given {
    fn drop(&mut self) {
        // Secrets are among them.
        self.env.iter_mut().for_each(|(_, value)| value.zeroize());
    }
}

impl Given {
    /// For the instances of a function. A module of preview 1 can ask for everything in one import.
    pub(super) fn of(engine: &Engine, machine: &Machine, code: &FunctionCode) -> Self {
        let imports = |interface: &str| match machine {
            Machine::Module(_) => true,
            Machine::Component(component) => component.component_type().imports(engine).any(|(name, _)| {
                name.strip_prefix(interface).is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
            }),
        };
        let env = if imports("wasi:cli/environment") {
            let own = code.spec.env.iter().map(|(name, value)| (name.clone(), value.clone()));
            own.chain(telemetry_variables(code, TELEMETRY_URL)).collect()
        } else {
            Vec::new()
        };
        Self { env, stdout: imports("wasi:cli/stdout"), stderr: imports("wasi:cli/stderr") }
    }
}
