//! What guests may import: WASI 0.2, WASI 0.3 and `wasi:http` of both for components, preview 1 for
//! modules.
//!
//! **Why.** These few lines compile into a great deal of generated glue. They stand alone, so that a
//! change anywhere else does not compile it again.
//!
//! **Invariants.** Built once per engine; files and sockets are linked, since language runtimes import
//! them, but every store is made without any.

use super::javascript;
use super::store::{ModuleState, State};
use wasmtime::Engine;
use wasmtime::component::Linker;

/// The versions that [`components`] offers; guests of an earlier patch of the same minor fit too.
pub(super) const OFFERED: &[&str] = &["0.2.12", "0.3.0"];

/// The packages that [`components`] offers, each in every version of [`OFFERED`].
pub(super) const PACKAGES: &[&str] =
    &["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:http", "wasi:random", "wasi:sockets"];

/// For components.
pub(super) fn components(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// For the JavaScript runtime: what [`components`] has, and what is for nobody else.
pub(super) fn scripts(components: &Linker<State>) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::clone(components);
    javascript::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// For preview 1 modules.
pub(super) fn modules(engine: &Engine) -> wasmtime::Result<wasmtime::Linker<ModuleState>> {
    let mut linker = wasmtime::Linker::new(engine);
    wasmtime_wasi::p1::add_to_linker_async(&mut linker, |state: &mut ModuleState| &mut state.wasi)?;
    Ok(linker)
}
