//! What belongs to one WASM instance on the host's side, and the limits it lives in.
//!
//! **Why.** Wasmtime's defaults trust a guest with a million handles and 128 MiB of arguments in one
//! call. Here every budget is on the page of limits, and what a guest can make the host hold stays
//! below what it may hold itself.
//!
//! **How.** [`State`] is the data of a component's store, [`ModuleState`] that of a preview 1
//! module's. Both have no files, no sockets, no inherited environment.

use super::engine::{Alive, Ticker};
use super::javascript::Running;
use super::outgoing::Hooks;
use crate::crowd::Member;
use hob_core::limit;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, ResourceLimiter, Store};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// What an instance occupies while it lives.
pub(super) struct Place {
    /// One of the instances that its function may have.
    pub(super) permit: OwnedSemaphorePermit,
    /// Makes it yield.
    pub(super) ticker: Arc<Ticker>,
    /// Is told what memory it had.
    pub(super) member: Arc<Member>,
}

/// The data of a component's store.
pub(super) struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    hooks: Hooks,
    /// The JavaScript program that it runs, in a function of that contract.
    pub(super) javascript: Option<Running>,
    limits: Limits,
    _alive: Alive,
    _permit: OwnedSemaphorePermit,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

impl State {
    /// How its requests leave.
    pub(super) fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    /// Whether the instance asked for more memory than it may have.
    pub(super) fn refused(&self) -> bool {
        self.limits.refused
    }
}

/// The data of a preview 1 module's store.
pub(super) struct ModuleState {
    pub(super) wasi: WasiP1Ctx,
    limits: Limits,
    _alive: Alive,
    _permit: OwnedSemaphorePermit,
}

impl ModuleState {
    /// As [`State::refused`].
    pub(super) fn refused(&self) -> bool {
        self.limits.refused
    }
}

/// A store for a component.
pub(super) fn component(
    engine: &Engine,
    wasi: &mut WasiCtxBuilder,
    hooks: Hooks,
    memory_bytes: u64,
    place: Place,
) -> Store<State> {
    let mut http = WasiHttpCtx::new();
    http.set_field_size_limit(limit::WASM_FIELDS_BYTES_MAX);
    let mut table = ResourceTable::new();
    table.set_max_capacity(limit::WASM_HANDLES_MAX);
    let mut store = Store::new(
        engine,
        State {
            wasi: wasi.max_random_size(limit::WASM_RANDOM_BYTES_MAX).build(),
            http,
            table,
            hooks,
            javascript: None,
            limits: Limits::new(memory_bytes, place.member),
            _alive: place.ticker.guest(),
            _permit: place.permit,
        },
    );
    store.limiter(|state| &mut state.limits);
    store.set_max_component_handles(limit::WASM_HANDLES_MAX);
    bound(&mut store);
    store
}

/// A store for a preview 1 module.
pub(super) fn module(
    engine: &Engine,
    wasi: &mut WasiCtxBuilder,
    memory_bytes: u64,
    place: Place,
) -> Store<ModuleState> {
    let mut store = Store::new(
        engine,
        ModuleState {
            wasi: wasi.max_random_size(limit::WASM_RANDOM_BYTES_MAX).build_p1(),
            limits: Limits::new(memory_bytes, place.member),
            _alive: place.ticker.guest(),
            _permit: place.permit,
        },
    );
    store.limiter(|state| &mut state.limits);
    bound(&mut store);
    store
}

fn bound<T>(store: &mut Store<T>) {
    store.set_hostcall_fuel(limit::WASM_HOSTCALL_BYTES_MAX);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
}

/// Memory and tables of one instance, all memories and all tables together.
struct Limits {
    memory_bytes_max: usize,
    memory_bytes: usize,
    table_elements: usize,
    refused: bool,
    member: Arc<Member>,
}

impl Limits {
    fn new(memory_bytes: u64, member: Arc<Member>) -> Self {
        let memory_bytes_max = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
        Self { memory_bytes_max, memory_bytes: 0, table_elements: 0, refused: false, member }
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        self.member.gave_memory_back(self.memory_bytes as u64);
    }
}

/// Growth of one kind, as the runtime asks for it.
struct Growth {
    current: usize,
    desired: usize,
    /// What the guest's own declaration allows.
    maximum: Option<usize>,
}

impl Growth {
    /// Adds it to `sum`, if `limit` allows that; notes what the limit refuses.
    fn grant(&self, sum: &mut usize, limit: usize, refused: &mut bool) -> bool {
        // Growth that the guest's own declaration forbids fails anyway, and must not be counted.
        if self.maximum.is_some_and(|maximum| self.desired > maximum) {
            return false;
        }
        let total = sum.saturating_add(self.desired.saturating_sub(self.current));
        if total > limit {
            *refused = true;
            return false;
        }
        *sum = total;
        true
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let (growth, before) = (Growth { current, desired, maximum }, self.memory_bytes);
        let granted = growth.grant(&mut self.memory_bytes, self.memory_bytes_max, &mut self.refused);
        self.member.took_memory((self.memory_bytes - before) as u64);
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = Growth { current, desired, maximum };
        Ok(growth.grant(&mut self.table_elements, limit::WASM_TABLE_ELEMENTS_MAX, &mut self.refused))
    }

    fn instances(&self) -> usize {
        limit::WASM_CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        limit::WASM_CORE_INSTANCES_MAX
    }

    fn memories(&self) -> usize {
        limit::WASM_MEMORIES_MAX
    }
}
