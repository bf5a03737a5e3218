//! The way out for programs: a proxy address in the environment, and who is calling when they use it.

use crate::code::FunctionCode;
use crate::invocation::Context;
use crate::outbound::{ENTRANCE_PORT, ProxyEntry, Running, telemetry_variables};
use crate::unit::{Behind, Command, Start};
use std::sync::Arc;

/// An instance's way to other functions, open as long as this value lives.
pub(super) struct Way {
    entry: Option<ProxyEntry>,
    code: Arc<FunctionCode>,
    /// Whether the program has a network of its own, in which nobody else could use the way.
    walled: bool,
}

impl Way {
    /// Opens it, if the node offers one and the program can use it.
    pub(super) fn open(start: &Start) -> Self {
        let connects = start.unit.command().is_some_and(Command::connects);
        let entry = connects.then(|| start.environment.outbound.enter(&start.code, start.instance)).flatten();
        let walled = start.unit.command().is_some_and(|command| command.walled().is_some());
        Self { entry, code: Arc::clone(&start.code), walled }
    }

    /// What the instance's first program is given behind walls.
    pub(super) fn behind(&self) -> Behind {
        let entrance = self.entry.as_ref().map(|entry| Arc::clone(&entry.entrance));
        Behind { entrance, ..Behind::default() }
    }

    /// What a program has to know of it. Programs that take no notice of `http_proxy` reach other
    /// functions through the gateway.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        let Some(entry) = &self.entry else { return Vec::new() };
        let direct = "127.0.0.1,localhost,::1";
        let inside = format!("http://127.0.0.1:{ENTRANCE_PORT}");
        let (url, telemetry) = if self.walled { (&inside, &inside) } else { (&entry.url, &entry.telemetry) };
        let proxy =
            [("http_proxy", url.as_str()), ("HTTP_PROXY", url), ("no_proxy", direct), ("NO_PROXY", direct)];
        let mut variables: Vec<_> = proxy.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        variables.extend(telemetry_variables(&self.code, telemetry));
        variables
    }

    /// Says that a call runs, until the returned value is dropped: to whoever takes the instance's own
    /// calls, and to whoever reads what it prints (`logged`).
    pub(super) fn running(&self, context: &Arc<Context>, logged: Option<Arc<dyn Running>>) -> OnTheWay {
        let told = [self.entry.as_ref().map(|entry| Arc::clone(&entry.running)), logged];
        for running in told.iter().flatten() {
            running.begin(context);
        }
        OnTheWay { told, context: Arc::clone(context) }
    }
}

/// A call that runs.
pub(super) struct OnTheWay {
    told: [Option<Arc<dyn Running>>; 2],
    context: Arc<Context>,
}

impl Drop for OnTheWay {
    fn drop(&mut self) {
        for running in self.told.iter().flatten() {
            running.end(&self.context);
        }
    }
}
