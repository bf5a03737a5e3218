//! Interfaces of Spin's platform that Hob does not have yet: they are there, and every function says so.
//!
//! **Why.** SDKs name interfaces that a component never calls, and a component that does call one deals with its
//! error as it would where a store does not exist. A failure at deploy would help neither.
//!
//! **How.** What a function returns is known from the component's own type. The error is the case that says best
//! that there is nothing ([`CASES`]). Whoever got no store or connection has nothing to call the rest with.

use super::super::store::State;
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem, Type};
use wasmtime::component::{LinkerInstance, Resource, ResourceType, Val};
use wasmtime::{AsContextMut, Engine};

/// The cases of errors that say that there is nothing, the best first.
const CASES: &[&str] = &[
    "no-such-store",
    "no-such-database",
    "model-not-supported",
    "connection-failed",
    "store-error",
    "other",
    "other-error",
    "runtime-error",
    "error",
    "access-denied",
];

/// Resources that an interface only uses: they are those of `wasi:io`.
const USED: [&str; 4] = ["input-stream", "output-stream", "pollable", "error"];

/// A resource that no component gets, or one that can do nothing.
struct Nothing;

/// Offers an interface of this type; `what` is what Hob does not have.
pub(super) fn add(
    instance: &mut LinkerInstance<'_, State>,
    engine: &Engine,
    interface: &ComponentInstance,
    what: &'static str,
) -> wasmtime::Result<()> {
    add_some(instance, engine, interface, what, |_| true)
}

/// Offers what `chosen` says of an interface.
pub(super) fn add_some(
    instance: &mut LinkerInstance<'_, State>,
    engine: &Engine,
    interface: &ComponentInstance,
    what: &'static str,
    chosen: impl Fn(&str) -> bool,
) -> wasmtime::Result<()> {
    for (name, item) in interface.exports(engine).filter(|(name, _)| chosen(name)) {
        match item.ty {
            ComponentItem::Resource(_) if USED.contains(&name) => {}
            ComponentItem::Resource(_) => {
                instance.resource(name, ResourceType::host::<Nothing>(), |_, _| Ok(()))?;
            }
            ComponentItem::ComponentFunc(function) if function.async_() => {
                instance.func_new_concurrent(name, move |accessor, function, _, results| {
                    let answered = accessor.with(|store| answer(store, &function, what, results));
                    Box::pin(std::future::ready(answered))
                })?;
            }
            ComponentItem::ComponentFunc(_) => {
                instance.func_new(name, move |store, function, _, results| {
                    answer(store, &function, what, results)
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn answer(
    store: impl AsContextMut,
    function: &ComponentFunc,
    what: &str,
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let (Some(kind), [result]) = (function.results().next(), results) else { return Ok(()) };
    let why = format!("Hob does not have {what} yet");
    *result = match &kind {
        Type::Result(kind) => {
            Val::Result(Err(kind.err().and_then(|error| refusal(&error, &why)).map(Box::new)))
        }
        Type::Own(_) => Val::Resource(Resource::<Nothing>::new_own(0).try_into_resource_any(store)?),
        other => blank(other).ok_or_else(|| wasmtime::Error::msg(why))?,
    };
    Ok(())
}

/// The value of an error that says that there is nothing.
fn refusal(error: &Type, why: &str) -> Option<Val> {
    match error {
        Type::Variant(variant) => {
            let named = |name: &&str| variant.cases().find(|case| case.name == *name);
            let case = CASES.iter().find_map(named).or_else(|| variant.cases().next())?;
            let payload = case.ty.and_then(|kind| refusal(&kind, why));
            Some(Val::Variant(case.name.to_owned(), payload.map(Box::new)))
        }
        Type::Enum(kind) => {
            let named = |name: &&str| kind.names().find(|case| case == name);
            let case = CASES.iter().find_map(named).or_else(|| kind.names().last())?;
            Some(Val::Enum(case.to_owned()))
        }
        Type::String => Some(Val::String(why.to_owned())),
        other => blank(other),
    }
}

/// A value that says nothing, for what is no `result`.
fn blank(kind: &Type) -> Option<Val> {
    Some(match kind {
        Type::Bool => Val::Bool(false),
        Type::U32 => Val::U32(0),
        Type::S64 => Val::S64(0),
        Type::U64 => Val::U64(0),
        Type::String => Val::String(String::new()),
        Type::List(_) => Val::List(Vec::new()),
        Type::Option(_) => Val::Option(None),
        Type::Flags(_) => Val::Flags(Vec::new()),
        Type::Record(record) => {
            let field = |name: &str, kind: &Type| Some((name.to_owned(), blank(kind)?));
            Val::Record(record.fields().map(|one| field(one.name, &one.ty)).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
