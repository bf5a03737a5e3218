//! What components of Spin import from their platform, and the triggers that call them other than by `wasi:http`.
//!
//! **Why.** A component that an SDK of Spin made names the interfaces of that platform, often all of them, whether
//! it uses them or not. Every name must be there, or it does not start.
//!
//! **How.** The common linker knows nothing of Spin. When it lacks something that a component imports, a copy of it
//! gets just those interfaces ([`linker`]): variables and plain calls out work ([`variables`], [`calls`]); what Hob
//! does not have yet answers with the interface's own error ([`absent`]); drafts of WASI are the release ([`drafts`]). So components without such imports, and
//! the time in which they start, are as before.
//!
//! **Not here:** the headers of requests ([`crate::contract::spin`]).

mod absent;
mod calls;
mod drafts;
mod early;
mod handler;
mod trigger;
mod variables;

pub(super) use calls::readdress;
pub(super) use drafts::{is_handler_03, rename_handler};
pub(super) use handler::{Handler02Pre, is_draft};
pub(super) use trigger::{Kind, Once, Trigger};

use super::inspect::Outside;
use super::store::State;
use super::{Machine, Shared};
use crate::code::FunctionCode;
use crate::spin::Variables;
use hob_core::fault::{Fault, Result};
use std::sync::Arc;
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

/// How an interface is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    /// Types that others use.
    Types,
    /// Variables of the function; which of the interfaces for them it is.
    Variables(variables::Form),
    /// `fermyon:spin/http`: a call that is sent whole and answered whole.
    Call,
    /// Every function of it says that there is none; what Hob does not have.
    Absent(&'static str),
}

/// Every interface of Spin's platform that Hob knows, without its version, and how it is offered.
const OFFERS: &[(&str, Offer)] = &[
    ("fermyon:spin/variables", Offer::Variables(variables::Form::Spin2)),
    ("spin:variables/variables", Offer::Variables(variables::Form::Spin3)),
    ("fermyon:spin/config", Offer::Variables(variables::Form::Spin1)),
    ("wasi:config/store", Offer::Variables(variables::Form::Wasi)),
    ("fermyon:spin/http", Offer::Call),
    ("fermyon:spin/http-types", Offer::Types),
    ("fermyon:spin/redis-types", Offer::Types),
    ("fermyon:spin/rdbms-types", Offer::Types),
    ("fermyon:spin-cron/cron-types", Offer::Types),
    ("spin:cron/cron-types", Offer::Types),
    ("fermyon:spin/key-value", Offer::Absent("key-value stores")),
    ("spin:key-value/key-value", Offer::Absent("key-value stores")),
    ("wasi:keyvalue/store", Offer::Absent("key-value stores")),
    ("wasi:keyvalue/atomics", Offer::Absent("key-value stores")),
    ("wasi:keyvalue/batch", Offer::Absent("key-value stores")),
    ("fermyon:spin/sqlite", Offer::Absent("SQLite databases")),
    ("spin:sqlite/sqlite", Offer::Absent("SQLite databases")),
    ("fermyon:spin/redis", Offer::Absent("Redis")),
    ("spin:redis/redis", Offer::Absent("Redis")),
    ("fermyon:spin/postgres", Offer::Absent("PostgreSQL")),
    ("spin:postgres/postgres", Offer::Absent("PostgreSQL")),
    ("fermyon:spin/mysql", Offer::Absent("MySQL")),
    ("spin:mysql/mysql", Offer::Absent("MySQL")),
    ("fermyon:spin/mqtt", Offer::Absent("MQTT")),
    ("spin:mqtt/mqtt", Offer::Absent("MQTT")),
    ("fermyon:spin/llm", Offer::Absent("language models")),
    ("wasi:otel/types", Offer::Types),
    ("wasi:otel/tracing", Offer::Absent("`wasi:otel`")),
    ("wasi:otel/metrics", Offer::Absent("`wasi:otel`")),
    ("wasi:otel/logs", Offer::Absent("`wasi:otel`")),
];

fn offer(import: &str) -> Option<Offer> {
    let interface = import.split_once('@').map_or(import, |(interface, _)| interface);
    OFFERS.iter().find(|(name, _)| *name == interface).map(|(_, offer)| *offer)
}

/// Whether an import is one that only [`linker`] knows.
pub(super) fn is_import(import: &str) -> bool {
    offer(import).is_some() || drafts::is_import(import)
}

/// Whether a component was made for Spin's platform.
pub(super) fn is_made_for(outside: &Outside) -> bool {
    outside.imports.iter().any(|import| offer(import).is_some())
}

/// What a component can call and Hob does not have, as a sentence for people; `None` when there is nothing of that
/// kind. Who only uses an interface's types misses nothing.
pub(super) fn absent(engine: &Engine, machine: &Machine) -> Option<String> {
    let Machine::Component(component) = machine else { return None };
    let mut all: Vec<&str> = Vec::new();
    for (name, item) in component.component_type().imports(engine) {
        let (Some(Offer::Absent(what)), ComponentItem::ComponentInstance(interface)) = (offer(name), item.ty)
        else {
            continue;
        };
        let is_function = |item: &ComponentItem| matches!(item, ComponentItem::ComponentFunc(_));
        if !all.contains(&what) && interface.exports(engine).any(|(_, item)| is_function(&item.ty)) {
            all.push(what);
        }
    }
    let sentence = |all: String| format!("imports {all}, which Hob does not have yet: calls of them fail");
    (!all.is_empty()).then(|| sentence(all.join(", ")))
}

/// A linker with the interfaces of Spin that a component imports; `None` when it imports none.
///
/// # Errors
/// Those of [`Variables::read`], and `HOB-0901` when an interface cannot be made.
pub(super) fn linker(
    shared: &Shared,
    component: &Component,
    code: &FunctionCode,
) -> Result<Option<Linker<State>>> {
    let kind = component.component_type();
    if !kind.imports(&shared.engine).any(|(name, _)| is_import(name)) {
        return Ok(None);
    }
    let variables = Arc::new(Variables::read(&code.spec)?);
    let mut linker = Linker::clone(&shared.components);
    for (name, item) in kind.imports(&shared.engine) {
        let ComponentItem::ComponentInstance(interface) = &item.ty else { continue };
        let made = match offer(name) {
            None => drafts::add(&mut linker, &shared.engine, name, interface),
            Some(offer) => linker.instance(name).and_then(|mut instance| match offer {
                Offer::Types => Ok(()),
                Offer::Variables(form) => form.add(&mut instance, &variables),
                Offer::Call => calls::add(&mut instance),
                Offer::Absent(what) => absent::add(&mut instance, &shared.engine, interface, what),
            }),
        };
        made.map_err(|error| Fault::internal(format!("`{name}`: {error:#}")))?;
    }
    Ok(Some(linker))
}
