//! From what was written and what was detected to every setting, and where each came from.

use super::check::{check, check_function};
use super::key::{self, unknown};
use super::{Function, Manifest, Written, trigger, watch};
use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit;
use crate::name::{AppName, FunctionName};
use crate::route::Table;
use crate::spec::{AppSpec, AsyncSpec, CONTRACT_NAMES, FunctionSpec, PackageFile, RouteSpec, ScaleSpec};
use crate::unit::millis;
use std::collections::{BTreeMap, BTreeSet};

/// What a look at the function's file has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detected {
    /// Row of `HOSTS`.
    pub host: String,
    /// Row of `CONTRACTS`.
    pub contract: String,
    /// The command line that stands for the file, such as `python3 app.py`.
    pub run: Vec<String>,
}

/// Where a setting came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was written on this line.
    Manifest {
        /// From 1; 0 when there is no file.
        line: usize,
    },
    /// It was seen in the file.
    Detected,
    /// Nobody said anything.
    Default,
}

/// One function with every setting.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Its name.
    pub name: FunctionName,
    /// Its settings.
    pub spec: FunctionSpec,
    /// Its routes as written.
    pub routes: Vec<Written<String>>,
    /// Where each setting came from, by its key (`timeout`, `scale.min`).
    pub origins: BTreeMap<&'static str, Origin>,
}

/// Fills in what a function's manifest leaves open.
///
/// `detected` is what the first word of `run` (or what was built) turned out to be; `None` when it is
/// no file of the package, such as `python3`. Detection's command line then stands for that word.
///
/// # Errors
/// `HOB-0107` when there is nothing to run, `HOB-0102` for settings of another contract, `HOB-0109`
/// for a setting above its limit, and what [`check()`] refuses. `file` names the manifest in them.
pub fn resolve(
    file: &str,
    function: &Function,
    detected: Option<&Detected>,
    package: BTreeMap<String, PackageFile>,
) -> Result<Resolved> {
    let mut origins = Origins::default();
    let host = origins.host(function, detected);
    let contract = origins.contract(function, detected, &host);
    let run = origins.run(file, function, detected)?;
    let native = !matches!(host.as_str(), "wasm" | "files");
    let memory = if native { limit::MEMORY_BYTES_DEFAULT_PROCESS } else { limit::MEMORY_BYTES_DEFAULT };
    let spec = FunctionSpec {
        run,
        package,
        env: origins.pick("env", &function.env, BTreeMap::new()),
        secrets: origins.pick("secrets", &function.secrets, BTreeSet::new()),
        timeout_ms: millis(origins.pick("timeout", &function.timeout, limit::CALL_TIMEOUT_DEFAULT)),
        memory_bytes: origins.pick("memory", &function.memory, memory),
        cpu_milli: origins.pick("cpu", &function.cpu.as_ref().map(some), None),
        body_bytes_max: origins.pick("body", &function.body, limit::BODY_BYTES_DEFAULT),
        scale: origins.scale(function, native, &contract),
        egress: origins.pick("egress", &function.egress.as_ref().map(some), None),
        private: origins.pick("private", &function.private, false),
        asynchronous: origins.asynchronous(function),
        settings: settings(file, function, &contract)?,
        host,
        contract,
    };
    let place = |line| if line > 0 { format!("{file}:{line}") } else { file.to_owned() };
    check_function(&function.name, &spec).map_err(|problem| match origins.0.get(problem.setting) {
        Some(Origin::Manifest { line }) => problem.fault.at(place(*line)),
        _ => problem.fault.at(place(function.line)),
    })?;
    Ok(Resolved { name: function.name.clone(), spec, routes: routes(function), origins: origins.0 })
}

/// Joins an app's functions and triggers. A function without a route answers everything when it is
/// alone in an app without triggers.
///
/// # Errors
/// `HOB-0105` and `HOB-0106` with the line of the route, `HOB-0102`, `HOB-0103` and `HOB-0815` for
/// triggers, budgets and alerts, and what [`check()`] refuses.
pub fn assemble(manifest: &Manifest, app: AppName, functions: Vec<Resolved>) -> Result<AppSpec> {
    let (file, alone) = (&manifest.file, functions.len() == 1 && manifest.triggers.is_empty());
    let mut table = Table::default();
    let (triggers, watch) = (trigger::resolve(manifest, &app)?, watch::resolve(manifest)?);
    let mut spec = AppSpec { app, functions: BTreeMap::new(), routes: Vec::new(), triggers, watch };
    for function in functions {
        let mut routes = function.routes;
        if routes.is_empty() && alone && !function.spec.private {
            routes.push(Written { value: "/*".to_owned(), line: 0 });
        }
        for Written { value: route, line } in routes {
            let route = RouteSpec { route, function: function.name.clone() };
            table.insert(&route).map_err(|fault| fault.at(format!("{file}:{line}")))?;
            spec.routes.push(route);
        }
        spec.functions.insert(function.name, function.spec);
    }
    for route in &spec.triggers.event_routes {
        table.insert_events(route).map_err(|fault| fault.at(file.clone()))?;
    }
    check(&spec)?;
    Ok(spec)
}

fn some<T: Clone>(written: &Written<T>) -> Written<Option<T>> {
    Written { value: Some(written.value.clone()), line: written.line }
}

fn routes(function: &Function) -> Vec<Written<String>> {
    let Some(written) = &function.route else { return Vec::new() };
    written.value.iter().map(|route| Written { value: route.clone(), line: written.line }).collect()
}

/// The contract's own settings; a sub-table of any other name is a mistake.
fn settings(
    file: &str,
    function: &Function,
    contract: &str,
) -> Result<serde_json::Map<String, serde_json::Value>> {
    for (name, written) in &function.settings {
        if name == contract {
            continue;
        }
        let path = format!("functions.{}.{name}", function.name);
        let fault = match name.as_str() {
            known if CONTRACT_NAMES.contains(&known) => Fault::new(
                Code::ManifestUnknownKey,
                format!("`{path}` has settings for contract `{name}`, but the contract is `{contract}`"),
            )
            .hint(format!("write `contract = \"{name}\"`, or move the settings to `{contract}`")),
            _ => unknown(&path, name, key::FUNCTION.iter().map(|key| key.doc.name)),
        };
        return Err(fault.at(format!("{file}:{}", written.line)));
    }
    Ok(function.settings.get(contract).map(|written| written.value.clone()).unwrap_or_default())
}

/// Remembers where each setting came from while it is chosen.
#[derive(Default)]
struct Origins(BTreeMap<&'static str, Origin>);

impl Origins {
    fn set(&mut self, key: &'static str, origin: Origin) {
        let before = self.0.insert(key, origin);
        debug_assert!(before.is_none(), "`{key}` is chosen once");
    }

    fn pick<T: Clone>(&mut self, key: &'static str, written: &Option<Written<T>>, default: T) -> T {
        let origin = written.as_ref().map_or(Origin::Default, |w| Origin::Manifest { line: w.line });
        self.set(key, origin);
        written.as_ref().map_or(default, |written| written.value.clone())
    }

    fn asynchronous(&mut self, function: &Function) -> AsyncSpec {
        let (written, default) = (&function.asynchronous, AsyncSpec::default());
        let line = written.retry.attempts.as_ref().map(|attempts| Written { value: (), line: attempts.line });
        self.pick("async.attempts", &line, ());
        AsyncSpec {
            retry: trigger::retry_spec(&written.retry, default.retry.attempts),
            on_success: written.on_success.as_ref().map(|topic| topic.value.clone()),
            on_failure: written.on_failure.as_ref().map(|topic| topic.value.clone()),
            ..default
        }
    }

    fn host(&mut self, function: &Function, detected: Option<&Detected>) -> String {
        match (&function.host, detected) {
            (None, Some(detected)) => {
                self.set("host", Origin::Detected);
                detected.host.clone()
            }
            (written, _) => self.pick("host", written, "process".to_owned()),
        }
    }

    fn contract(&mut self, function: &Function, detected: Option<&Detected>, host: &str) -> String {
        match (&function.contract, detected) {
            (None, Some(detected)) if detected.host == host => {
                self.set("contract", Origin::Detected);
                detected.contract.clone()
            }
            (written, _) => {
                let default = match host {
                    "wasm" => "wasi-http",
                    "files" => "static",
                    _ => "http",
                };
                self.pick("contract", written, default.to_owned())
            }
        }
    }

    fn run(&mut self, file: &str, function: &Function, detected: Option<&Detected>) -> Result<Vec<String>> {
        let words = function.run.as_ref().map(|run| run.value.as_slice()).unwrap_or_default();
        let Some(detected) = detected else {
            if words.is_empty() {
                let message = format!("function `{}` has nothing to run", function.name);
                let fault = Fault::new(Code::NothingToRun, message)
                    .hint(format!("add `run = \"…\"` below `[functions.{}]`", function.name));
                return Err(if function.line > 0 {
                    fault.at(format!("{file}:{}", function.line))
                } else {
                    fault
                });
            }
            return Ok(self.pick("run", &function.run, Vec::new()));
        };
        let whole: Vec<String> = detected.run.iter().chain(words.iter().skip(1)).cloned().collect();
        if whole == words {
            return Ok(self.pick("run", &function.run, Vec::new()));
        }
        self.set("run", Origin::Detected);
        Ok(whole)
    }

    fn scale(&mut self, function: &Function, native: bool, contract: &str) -> ScaleSpec {
        let scale = &function.scale;
        let one = contract == "static";
        let max = if one {
            1
        } else if native {
            limit::INSTANCES_DEFAULT_PROCESS
        } else {
            limit::INSTANCES_DEFAULT_WASM
        };
        let (concurrency, calls) = match contract {
            "http" | "functions-framework" => (limit::CONCURRENCY_DEFAULT_HTTP, None),
            "wasi-http" | "spin" => (limit::CONCURRENCY_DEFAULT_WASI3, Some(limit::WASI3_CALLS_PER_INSTANCE)),
            "static" => (limit::CONCURRENCY_DEFAULT_STATIC, None),
            "javascript" => (limit::CONCURRENCY_DEFAULT_WASI3, None),
            _ => (1, None),
        };
        let provisioned = scale.provisioned.as_ref().map_or(&[][..], |written| &written.value);
        let kept = provisioned.iter().map(|one| one.count).chain(scale.min.as_ref().map(|min| min.value));
        let kept = kept.max().unwrap_or_default();
        ScaleSpec {
            min: self.pick("scale.min", &scale.min, 0),
            // A bare `min` or `provisioned` above the usual maximum raises it.
            max: self.pick("scale.max", &scale.max, max.max(kept)),
            concurrency: self.pick("scale.concurrency", &scale.concurrency, concurrency),
            idle_ms: millis(self.pick("scale.idle", &scale.idle, limit::IDLE_TIMEOUT_DEFAULT)),
            calls_per_instance: self.pick("scale.calls", &scale.calls.as_ref().map(some), calls),
            provisioned: self.pick("scale.provisioned", &scale.provisioned, Vec::new()),
        }
    }
}
