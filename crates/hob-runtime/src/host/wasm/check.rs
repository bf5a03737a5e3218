//! Whether a function's code can run here: what it exports, what it imports, what it needs.
//!
//! **How.** [`runnable`] does it for loaded code, at deploy and at every later load; [`entry`] alone
//! needs no machine code, so that a wrong file is refused before it is compiled.

use super::inspect::{Entry, Form, Outside};
use super::linker::{OFFERED, PACKAGES};
use super::spin::{self, Handler02Pre, Trigger};
use super::store::{ModuleState, State};
use super::{Machine, Shared, script};
use crate::code::FunctionCode;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit;
use hob_core::unit::show_bytes;
use wasmtime::component::{Component, InstancePre};
use wasmtime::{Engine, Module, ResourcesRequired};
use wasmtime_wasi::{p2, p3};
use wasmtime_wasi_http::p3::bindings::ServicePre;

/// Names that one message lists.
const NAMES_SHOWN: usize = 6;

/// Code with its imports resolved, ready to be instantiated.
pub(super) enum Runnable {
    Http02(Handler02Pre),
    Http03(ServicePre<State>),
    Run02(p2::bindings::CommandPre<State>),
    Run03(p3::bindings::CommandPre<State>),
    Start(wasmtime::InstancePre<ModuleState>),
    Spin(Trigger),
}

impl Runnable {
    pub(super) fn entry(&self) -> Entry {
        match self {
            Self::Http02(_) => Entry::Http02,
            Self::Http03(_) => Entry::Http03,
            Self::Run02(_) => Entry::Run02,
            Self::Run03(_) => Entry::Run03,
            Self::Start(_) => Entry::Start,
            Self::Spin(trigger) => Entry::Spin(trigger.kind),
        }
    }
}

/// The entry that the function's contract calls.
///
/// # Errors
/// `HOB-0301`, naming what is exported and what could be called.
pub(super) fn entry(outside: &Outside, code: &FunctionCode, file: &str) -> Result<Entry> {
    // A script runs in a component that answers requests.
    let contract = if script::is(code) { "wasi-http" } else { code.spec.contract.as_str() };
    let entries = outside.entries();
    if let Some(entry) = entries.iter().find(|entry| entry.is_called_by(contract)) {
        return Ok(*entry);
    }
    let exports = match outside.exports.as_slice() {
        [] => "exports nothing".to_owned(),
        names => format!("exports {}", list(names)),
    };
    let fault = |needed: &str| {
        Fault::new(Code::WrongWorld, format!("`{file}` {exports}, but contract `{contract}` calls {needed}"))
    };
    let fault = match contract {
        "wasi-http" => fault("`wasi:http/incoming-handler@0.2` or `wasi:http/handler@0.3`"),
        "spin" => fault("what a trigger of Spin calls, such as `wasi:http/incoming-handler@0.2`"),
        "stdio" => fault("`wasi:cli/run@0.2`, `wasi:cli/run@0.3` or `_start`"),
        _ => fault("nothing of a WASM file"),
    };
    Err(match entries.first() {
        Some(other) => {
            fault.hint(format!("it is a {}: use `contract = \"{}\"`", other.what(), other.contract()))
        }
        None => fault.hint("build it for the world `wasi:http/proxy` (0.2) or `wasi:http/service` (0.3)"),
    })
}

fn list(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES_SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Resolves imports and checks that an instance fits into the function's limits.
///
/// # Errors
/// `HOB-0301` for a missing export, `HOB-0302` for an import that is not offered, `HOB-0309` above
/// the limits.
pub(super) fn runnable(
    shared: &Shared,
    machine: &Machine,
    code: &FunctionCode,
    file: &str,
) -> Result<Runnable> {
    let entry = entry(&outside(machine, &shared.engine, false), code, file)?;
    let missing = |error: wasmtime::Error| missing(&outside(machine, &shared.engine, true), file, &error);
    let bad_world = |error: wasmtime::Error| {
        Fault::new(Code::WrongWorld, format!("`{file}` has an export of the right name, but another type"))
            .detail(format!("{error:#}"))
    };
    match machine {
        Machine::Component(component) => {
            fits(component.resources_required(), code, file)?;
            let linker = if script::is(code) { &shared.scripts } else { &shared.components };
            let pre: InstancePre<State> = match linker.instantiate_pre(component) {
                Ok(pre) => pre,
                Err(error) => match spin::linker(shared, component, code)? {
                    Some(linker) => linker.instantiate_pre(component).map_err(missing)?,
                    None => return Err(missing(error)),
                },
            };
            match entry {
                Entry::Http02 => Handler02Pre::new(pre).map(Runnable::Http02),
                Entry::Http03 => ServicePre::new(pre).map(Runnable::Http03),
                Entry::Run02 => p2::bindings::CommandPre::new(pre).map(Runnable::Run02),
                Entry::Run03 => p3::bindings::CommandPre::new(pre).map(Runnable::Run03),
                Entry::Start => Err(wasmtime::format_err!("a component has no `_start`")),
                Entry::Spin(kind) => Trigger::new(kind, pre).map(Runnable::Spin),
            }
            .map_err(bad_world)
        }
        Machine::Module(module) => {
            fits(Some(module.resources_required()), code, file)?;
            let pre = shared.modules.instantiate_pre(module);
            pre.map(Runnable::Start).map_err(missing)
        }
    }
}

/// The outside of machine code. Its imports are for messages, and cost time on the way of a cold call.
fn outside(machine: &Machine, engine: &Engine, imports: bool) -> Outside {
    let component = |component: &Component| {
        let kind = component.component_type();
        Outside {
            form: Form::Component,
            imports: kind.imports(engine).filter(|_| imports).map(|(name, _)| name.to_owned()).collect(),
            exports: kind.exports(engine).map(|(name, _)| name.to_owned()).collect(),
        }
    };
    let module = |module: &Module| Outside {
        form: Form::Module,
        imports: module
            .imports()
            .filter(|_| imports)
            .map(|import| format!("{}::{}", import.module(), import.name()))
            .collect(),
        exports: module.exports().map(|export| export.name().to_owned()).collect(),
    };
    match machine {
        Machine::Component(code) => component(code),
        Machine::Module(code) => module(code),
    }
}

fn fits(needed: Option<ResourcesRequired>, code: &FunctionCode, file: &str) -> Result<()> {
    const PAGE_BYTES: u64 = 64 << 10;
    let Some(needed) = needed else { return Ok(()) };
    let too_large = |what: String, limit: String| {
        Err(Fault::new(Code::ResourcesTooLarge, format!("`{file}` needs {what}, the limit is {limit}")))
    };
    let memory_bytes = needed.max_initial_memory_size.unwrap_or(0).saturating_mul(PAGE_BYTES);
    if memory_bytes > code.spec.memory_bytes {
        let (mut needs, mut may) = (show_bytes(memory_bytes), show_bytes(code.spec.memory_bytes));
        if needs == may {
            (needs, may) = (format!("{memory_bytes} B"), format!("{} B", code.spec.memory_bytes));
        }
        return too_large(format!("{needs} of memory to begin with"), may)
            .map_err(|fault: Fault| fault.hint("raise `memory` in the function's section of the manifest"));
    }
    let elements = needed.max_initial_table_size.unwrap_or(0);
    if elements > limit::WASM_TABLE_ELEMENTS_MAX as u64 {
        return too_large(
            format!("a table of {elements} elements"),
            limit::WASM_TABLE_ELEMENTS_MAX.to_string(),
        );
    }
    if needed.num_memories as usize > limit::WASM_MEMORIES_MAX {
        return too_large(format!("{} memories", needed.num_memories), limit::WASM_MEMORIES_MAX.to_string());
    }
    if needed.num_tables as usize > limit::WASM_CORE_INSTANCES_MAX {
        return too_large(
            format!("{} tables", needed.num_tables),
            limit::WASM_CORE_INSTANCES_MAX.to_string(),
        );
    }
    Ok(())
}

/// The fault of imports that cannot be resolved: names the first that Hob does not offer.
fn missing(outside: &Outside, file: &str, error: &wasmtime::Error) -> Fault {
    let offered = format!("Hob offers {} in {}", PACKAGES.join(", "), OFFERED.join(" and "));
    let name = outside.imports.iter().find(|import| !is_offered(outside.form, import));
    let fault = match name {
        Some(name) => {
            Fault::new(Code::ImportMissing, format!("`{file}` imports `{name}`, which Hob does not offer"))
        }
        None => Fault::new(
            Code::ImportMissing,
            format!("`{file}` imports something that Hob does not offer: {}", error.root_cause()),
        ),
    };
    let nearest = name.and_then(|name| nearest(name));
    let hint = match (outside.form, nearest) {
        (Form::Module, _) => "Hob offers `wasi_snapshot_preview1` to modules".to_owned(),
        (Form::Component, Some(nearest)) => format!("the nearest that Hob offers is `{nearest}`"),
        (Form::Component, None) => offered,
    };
    fault.hint(hint).detail(format!("{error:#}"))
}

fn is_offered(form: Form, import: &str) -> bool {
    if form == Form::Module {
        return import.starts_with("wasi_snapshot_preview1::");
    }
    if spin::is_import(import) {
        return true;
    }
    let Some((interface, version)) = import.split_once('@') else { return false };
    let package = interface.split('/').next().unwrap_or_default();
    let same_minor = OFFERED.iter().any(|offered| {
        let minor = |version: &str| version.rsplit_once('.').map(|(minor, _)| minor.to_owned());
        !version.contains('-') && minor(offered) == minor(version)
    });
    same_minor && (PACKAGES.contains(&package) || (package == "wasi:io" && version.starts_with("0.2.")))
}

/// The same interface in the version that is offered, for imports of another version.
fn nearest(import: &str) -> Option<String> {
    let (interface, version) = import.split_once('@')?;
    let package = interface.split('/').next()?;
    let offered = OFFERED.iter().find(|offered| version.get(..3) == offered.get(..3)).or(OFFERED.first())?;
    (PACKAGES.contains(&package) || package == "wasi:io").then(|| format!("{interface}@{offered}"))
}
