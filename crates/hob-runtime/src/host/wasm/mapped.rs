//! Machine code that is mapped now: once per file, exchanged for better code behind the running function,
//! and given back when others need the room.
//!
//! **Why.** A node knows thousands of functions and runs few of them. Code that was called once must not take
//! memory for ever, and code that was compiled in a hurry must not stay.
//!
//! **How.** A [`WasmUnit`] has a slot with its [`Current`] code. Whoever opens an instance takes what is in
//! the slot, or maps the file when the slot is empty. An exchange puts other code into the slots of a
//! file; instances keep the code with which they began, because their store holds it. When mapping exceeds
//! the budget, the slots of idle units that were used least recently are emptied.
//!
//! **Invariants.** A slot never goes from optimised code back to quick code: who has mapped quick code looks,
//! after putting it into the slot, whether a better file has come meanwhile; who exchanges looks for slots
//! after that file has its name. Emptying a slot ends nothing: it only lets the next call map again.

use super::check::{self, Runnable};
use super::compile::Compiled;
use super::engine::Grade;
use super::passed::{self, At};
use super::walled::Walled;
use super::{File, Machine, Shared, WasmUnit};
use crate::code::FunctionCode;
use arc_swap::ArcSwapOption;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{CODE_RESIDENT_BYTES_MIN, CODE_RESIDENT_SHARE};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

/// What wasmtime keeps beside the file for each that is mapped, about.
const OVERHEAD_BYTES: u64 = 128 << 10;
/// Compiled files up to this are mapped by whoever needs them.
const AT_ONCE_BYTES_MAX: u64 = 1 << 20;
/// Emptying stops at this share of the budget, so that it is not done again for the next file, percent.
const ROOM_PERCENT: u64 = 90;

/// A mapped file.
pub(super) struct Mapped {
    pub(super) machine: Machine,
    grade: Grade,
    bytes: u64,
    sum: Arc<AtomicU64>,
}

impl Drop for Mapped {
    fn drop(&mut self) {
        self.sum.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The code that new instances of a unit get.
pub(super) struct Current {
    pub(super) runnable: Runnable,
    mapped: Arc<Mapped>,
}

impl Current {
    /// Its machine code.
    pub(super) fn machine(&self) -> &Machine {
        &self.mapped.machine
    }
}

/// A unit's place for its code.
pub(super) struct Slot {
    current: ArcSwapOption<Current>,
    /// Who maps.
    mapping: tokio::sync::Mutex<()>,
    /// How many files had been mapped when it was used last.
    used: AtomicU64,
}

impl Slot {
    pub(super) fn new(current: Current) -> Self {
        let current = ArcSwapOption::from_pointee(current);
        Self { current, mapping: tokio::sync::Mutex::default(), used: AtomicU64::new(0) }
    }

    /// Whether code is mapped for it.
    pub(super) fn is_full(&self) -> bool {
        self.current.load().is_some()
    }
}

/// All code of one host.
pub(super) struct Codes {
    files: Mutex<HashMap<Digest, Weak<Mapped>>>,
    units: Mutex<Vec<Weak<WasmUnit>>>,
    /// Those whose code is mapped by workers.
    walled: Mutex<Vec<Weak<Walled>>>,
    /// Bytes that are mapped.
    sum: Arc<AtomicU64>,
    /// Files that were mapped so far: the clock of [`Slot::used`].
    clock: AtomicU64,
    bytes_max: u64,
}

impl Codes {
    pub(super) fn new() -> Self {
        let share = crate::machine::memory_bytes() / CODE_RESIDENT_SHARE;
        Self::within(share.max(CODE_RESIDENT_BYTES_MIN))
    }

    fn within(bytes_max: u64) -> Self {
        Self {
            files: Mutex::default(),
            units: Mutex::default(),
            walled: Mutex::default(),
            sum: Arc::default(),
            clock: AtomicU64::new(1),
            bytes_max,
        }
    }

    fn files(&self) -> MutexGuard<'_, HashMap<Digest, Weak<Mapped>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn units(&self) -> MutexGuard<'_, Vec<Weak<WasmUnit>>> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a unit known, so that its code can be exchanged.
    pub(super) fn add(&self, unit: &Arc<WasmUnit>) {
        let mut units = self.units();
        if units.len() == units.capacity() {
            units.retain(|unit| unit.strong_count() > 0);
        }
        units.push(Arc::downgrade(unit));
    }

    /// The same of one that runs in a worker.
    pub(super) fn add_walled(&self, unit: &Arc<Walled>) {
        let mut walled = self.walled.lock().unwrap_or_else(PoisonError::into_inner);
        if walled.len() == walled.capacity() {
            walled.retain(|unit| unit.strong_count() > 0);
        }
        walled.push(Arc::downgrade(unit));
    }

    fn walled(&self) -> Vec<Arc<Walled>> {
        let walled = self.walled.lock().unwrap_or_else(PoisonError::into_inner);
        walled.iter().filter_map(Weak::upgrade).collect()
    }

    /// The code of a file if it is mapped, unless there is better.
    fn known(&self, digest: Digest) -> Option<Arc<Mapped>> {
        self.files().get(&digest).and_then(Weak::upgrade)
    }

    /// Keeps what was mapped, unless somebody else was quicker with code as good.
    fn keep(&self, digest: Digest, mapped: Mapped) -> Arc<Mapped> {
        let mut files = self.files();
        if let Some(known) = files.get(&digest).and_then(Weak::upgrade)
            && (known.grade == mapped.grade || known.grade == Grade::Optimised)
        {
            return known;
        }
        let mapped = Arc::new(mapped);
        if files.len() == files.capacity() {
            files.retain(|_, known| known.strong_count() > 0);
        }
        files.insert(digest, Arc::downgrade(&mapped));
        self.clock.fetch_add(1, Ordering::Relaxed);
        mapped
    }

    /// Empties the slots of idle units, the least recently used first, until there is room again.
    fn make_room(&self) {
        if self.sum.load(Ordering::Relaxed) <= self.bytes_max {
            return;
        }
        let target = self.bytes_max / 100 * ROOM_PERCENT;
        let mut idle: Vec<(u64, Arc<WasmUnit>)> = self
            .units()
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|unit| unit.slot.is_full() && unit.is_idle())
            .map(|unit| (unit.slot.used.load(Ordering::Relaxed), unit))
            .collect();
        idle.sort_by_key(|(used, _)| *used);
        for (_, unit) in idle {
            if self.sum.load(Ordering::Relaxed) <= target {
                break;
            }
            unit.slot.current.store(None);
        }
    }
}

impl WasmUnit {
    /// The code for a new instance; maps it when its room was given to others.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Arc<Current>> {
        let codes = &self.shared.codes;
        if let Some(current) = self.slot.current.load_full() {
            self.slot.used.store(codes.clock.load(Ordering::Relaxed), Ordering::Relaxed);
            return Ok(current);
        }
        let _mapping = self.slot.mapping.lock().await;
        if let Some(current) = self.slot.current.load_full() {
            return Ok(current);
        }
        self.slot.used.store(codes.clock.load(Ordering::Relaxed), Ordering::Relaxed);
        let current = self.fill().await?;
        codes.make_room();
        Ok(current)
    }

    /// Maps the file into the slot.
    async fn fill(self: &Arc<Self>) -> Result<Arc<Current>> {
        let current = Arc::new(self.shared.current(&self.file, &self.code).await?);
        self.slot.current.store(Some(Arc::clone(&current)));
        self.look_again(&current).await;
        Ok(self.slot.current.load_full().unwrap_or(current))
    }

    /// After code was put into the slot: has quick code replaced, at once by what has come meanwhile.
    async fn look_again(self: &Arc<Self>, current: &Current) {
        if current.mapped.grade == Grade::Optimised {
            return;
        }
        let better = self.shared.made.look(self.file.digest, Grade::Optimised);
        if better.is_none() || self.shared.exchange(&self.file).await.is_err() {
            self.shared.optimise_later(self.file.clone());
        }
    }

    /// Looks at the code with which the unit began, once it can be exchanged.
    pub(super) async fn begin(self: &Arc<Self>) {
        if let Some(current) = self.slot.current.load_full() {
            self.slot.used.store(self.shared.codes.clock.load(Ordering::Relaxed), Ordering::Relaxed);
            self.look_again(&current).await;
        }
        self.shared.codes.make_room();
    }
}

impl Shared {
    /// The best code of a file, ready for a function.
    pub(super) async fn current(&self, file: &File, code: &crate::code::FunctionCode) -> Result<Current> {
        let mapped = self.map(file).await?;
        let runnable = check::runnable(self, &mapped.machine, code, &file.name)?;
        Ok(Current { runnable, mapped })
    }

    /// Maps the compiled file; makes it anew when it is gone or of another version.
    pub(super) async fn map(&self, file: &File) -> Result<Arc<Mapped>> {
        if let Some(mapped) = self.codes.known(file.digest) {
            return Ok(mapped);
        }
        // Twice: quick code may be replaced and removed between the look and the load.
        let found = match self.load_compiled(file).await {
            Err(_) => self.load_compiled(file).await,
            found => found,
        };
        let mapped = match found {
            Ok(mapped) => mapped,
            Err(error) => {
                tracing::warn!(
                    file = file.name,
                    error = format!("{error:#}"),
                    "compiling again: the compiled code cannot be loaded"
                );
                let compiled = self.made.compile_anew(&file.source()).await?;
                let mapped = self.deserialize(compiled).await;
                mapped.map_err(|error| Fault::internal(format!("{error:#}")))?
            }
        };
        Ok(self.codes.keep(file.digest, mapped))
    }

    async fn load_compiled(&self, file: &File) -> wasmtime::Result<Mapped> {
        let found = self.made.find(file.digest);
        self.deserialize(found.ok_or_else(|| wasmtime::format_err!("the compiled file is gone"))?).await
    }

    /// Gives all units of a file its optimised code; instances that run keep theirs to their end.
    ///
    /// # Errors
    /// When the optimised code cannot be loaded: everything stays as it is.
    pub(super) async fn exchange(&self, file: &File) -> Result<()> {
        let found = self.made.look(file.digest, Grade::Optimised);
        let found = found.ok_or_else(|| Fault::internal("the optimised code has gone again"))?;
        for walled in self.codes.walled().iter().filter(|walled| walled.digest() == file.digest) {
            walled.exchange(&found);
        }
        let mapped = self.deserialize(found).await;
        let mapped = mapped.map_err(|error| Fault::internal(format!("{error:#}")))?;
        let mapped = self.codes.keep(file.digest, mapped);
        let units: Vec<Arc<WasmUnit>> = self.codes.units().iter().filter_map(Weak::upgrade).collect();
        for unit in units.iter().filter(|unit| unit.file.digest == file.digest && unit.slot.is_full()) {
            let runnable = check::runnable(self, &mapped.machine, &unit.code, &file.name)?;
            unit.slot.current.store(Some(Arc::new(Current { runnable, mapped: Arc::clone(&mapped) })));
        }
        Ok(())
    }

    /// Tells the witness of each function that serves by a file, of its newest revision, that its code is optimised now.
    pub(super) fn tell_optimised(&self, digest: Digest, took: Duration) {
        let units = self.codes.units().iter().filter_map(Weak::upgrade).collect::<Vec<_>>();
        let walled = self.codes.walled();
        let inside = units.iter().filter(|unit| unit.file.digest == digest).map(|unit| &unit.code);
        let behind = walled.iter().filter(|unit| unit.digest() == digest).map(|unit| unit.code());
        let mut newest: BTreeMap<_, &Arc<FunctionCode>> = BTreeMap::new();
        for code in inside.chain(behind) {
            let known = newest.entry((&code.app, &code.name)).or_insert(code);
            if code.revision > known.revision {
                *known = code;
            }
        }
        newest.values().for_each(|code| self.environment.witnesses.of(code).optimised(took));
    }

    /// How good the mapped code of a file is; `None` when none is mapped.
    pub(super) fn mapped_grade(&self, digest: Digest) -> Option<Grade> {
        let walled = || self.codes.walled().iter().find(|unit| unit.digest() == digest)?.grade();
        self.codes.known(digest).map(|mapped| mapped.grade).or_else(walled)
    }

    /// Maps a compiled file: a small one at once, since handing it to another thread and back takes as long.
    async fn deserialize(&self, found: Compiled) -> wasmtime::Result<Mapped> {
        let (engine, sum) = (self.engine.clone(), Arc::clone(&self.codes.sum));
        let at_once = found.bytes <= AT_ONCE_BYTES_MAX || matches!(found.at, At::Open(_));
        let work = move || {
            let machine = match &found.at {
                At::Path(path) => load(&engine, path)?,
                At::Open(file) => passed::map(&engine, file)?,
            };
            let bytes = found.bytes + OVERHEAD_BYTES;
            sum.fetch_add(bytes, Ordering::Relaxed);
            Ok(Mapped { machine, grade: found.grade, bytes, sum })
        };
        if at_once { work() } else { tokio::task::spawn_blocking(work).await? }
    }
}

fn load(engine: &Engine, path: &Path) -> wasmtime::Result<Machine> {
    // SAFETY: the folder is private to this node's user and files get their final name
    // only after this program has written them whole; wasmtime checks the version.
    match unsafe { Component::deserialize_file(engine, path) } {
        Ok(component) => Ok(Machine::Component(component)),
        Err(error) => match Engine::detect_precompiled_file(path)? {
            // SAFETY: as above.
            Some(wasmtime::Precompiled::Module) => unsafe {
                Module::deserialize_file(engine, path).map(Machine::Module)
            },
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests;
