//! Host `wasm`: components and preview 1 modules, in this process, in wasmtime.
//!
//! **Why.** Taking an instance from a pool and calling into it costs microseconds, so every call of a
//! WASI 0.2 function can have an instance of its own.
//!
//! **How.** At deploy `compile` makes machine code, which is then loaded once to see that it
//! exports something callable and imports nothing that is missing. Later [`Host::load`] maps the
//! file. `fresh` serves WASI 0.2 requests, `kept` those of 0.3, `program` runs commands. What takes long
//! to compile is served by quick code at first, which `optimise` has replaced behind it (`mapped`).
//!
//! **Invariants.** Nothing is compiled on the way of a call unless the compiled file is gone, which
//! is then logged. A guest that fails takes its store with it: no store is used after a trap, a
//! time-out or a cancelled call.

mod calls;
mod check;
pub(crate) mod compile;
mod engine;
mod failure;
mod far;
mod fresh;
mod given;
pub(crate) mod inspect;
mod javascript;
mod kept;
mod laps;
mod linker;
mod mapped;
mod optimise;
mod outgoing;
mod passed;
mod pipe;
mod placed;
mod program;
mod running;
mod script;
mod spin;
mod store;
mod walled;

pub use compile::{compile_child, compilers_have_own_files};
pub use far::{Captured, worker_child};
pub(super) use script::detect_script;

use super::{Host, HostRow, Prepared, Progress, Stage};
use crate::code::FunctionCode;
use crate::crowd::Member;
use crate::environment::Environment;
use crate::host::{Candidate, Detected};
use crate::invocation::Context;
use crate::javascript::Program as Script;
use crate::log::Lines;
use crate::unit::{Command, Handler, Launch, Program, Unit};
use crate::unit::{Instance, Start};
use crate::worker::near::{Fleet, Outfit};
use calls::Calls;
use check::Runnable;
use compile::{Compiler, Source};
use engine::{Grade, Ticker};
use given::Given;
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{self, WORKER_OWN_BYTES_MAX};
use hob_core::log_line::Level;
use hob_core::port::{BoxFuture, Stream};
use inspect::Entry;
use mapped::{Codes, Slot};
use optimise::Line;
use outgoing::Hooks;
use passed::Made;
use pipe::LogStream;
use placed::Placed;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{ModuleState, Place, State};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Component;
use wasmtime::{Engine, Module};
use wasmtime_wasi::WasiCtxBuilder;

pub(super) const ROW: HostRow = HostRow {
    name: "wasm",
    summary: "components of WASI 0.2 and 0.3 and preview 1 modules, in this process",
    example: "[functions.hello]\nrun = \"hello.wasm\"\nhost = \"wasm\"\n",
    detect,
    open: |environment| Ok(Arc::new(Wasm::open(environment, Codes::new())?)),
};

fn detect(candidate: &Candidate<'_>) -> Option<Detected> {
    if let Some(detected) = script::detect(candidate) {
        return Some(detected);
    }
    if !inspect::looks_like_wasm(candidate.head, candidate.name) {
        return None;
    }
    // What cannot be read or called is taken as well: `prepare` then says what is wrong with it.
    let bytes = inspect::file(candidate.file, candidate.name).unwrap_or_default();
    let outside = inspect::outside(&bytes).ok();
    let entry = outside.as_ref().and_then(|outside| outside.entries().first().copied());
    let spin = outside.as_ref().is_some_and(spin::is_made_for);
    let (contract, what) = match entry {
        Some(entry) if spin && entry.is_handler() => {
            (crate::spin::CONTRACT, format!("Spin component, {}", entry.what()))
        }
        Some(entry) => (entry.contract(), entry.what().to_owned()),
        None => ("wasi-http", "WASM file without an export that Hob can call".to_owned()),
    };
    Some(Detected { host: "wasm", contract, run: vec![candidate.name.to_owned()], what })
}

/// The opened host of one node.
struct Wasm {
    shared: Arc<Shared>,
}

/// What all functions of the host share.
struct Shared {
    environment: Arc<Environment>,
    engine: Engine,
    /// Compiled code.
    made: Made,
    /// The space's workers; none in a worker itself.
    fleet: Option<Arc<Fleet>>,
    components: Arc<wasmtime::component::Linker<State>>,
    /// For the JavaScript runtime.
    scripts: Arc<wasmtime::component::Linker<State>>,
    modules: Arc<wasmtime::Linker<ModuleState>>,
    ticker: Arc<Ticker>,
    /// Machine code that is mapped now.
    codes: Codes,
    /// What is optimised behind running functions.
    line: Line,
}

/// Mapped machine code.
enum Machine {
    Component(Component),
    Module(Module),
}

impl Wasm {
    fn open(environment: &Arc<Environment>, codes: Codes) -> Result<Self> {
        let engine = engine::open(environment.pooling, None)?;
        let compiler = Compiler::open(&environment.cache_dir, &environment.compiler, &engine)?;
        compiler.open_packs(&environment.packs_dir)?;
        let fleet = Fleet::new(Outfit {
            command: environment.workers.command.clone(),
            fingerprint: engine::fingerprint(&engine),
            pooling: environment.pooling,
            memory_bytes_max: environment
                .crowd
                .stats()
                .memory_budget_bytes
                .saturating_add(WORKER_OWN_BYTES_MAX),
            supervision: environment.workers.supervision,
            spawn: Arc::clone(&environment.spawn),
        });
        let shared = Shared::open(environment, engine, Made::Here(Arc::new(compiler)), (Some(fleet), codes))?;
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Host for Wasm {
    fn prepare<'a>(
        &'a self,
        code: &'a FunctionCode,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> BoxFuture<'a, Result<Prepared>> {
        Box::pin(async move {
            let file = self.shared.file(code).await?;
            file.look(code).await?;
            let compiler =
                self.shared.made.compiler().ok_or_else(|| Fault::internal("a worker compiles nothing"))?;
            let compiled = compiler.compile(&file.source(), progress).await?;
            let current = self.shared.current(&file, code).await?;
            if let Some(step) = spin::absent(&self.shared.engine, current.machine()) {
                let logs = &*self.shared.environment.logs;
                crate::log::platform(logs, code, 0, None, Level::Warn, step.as_str());
                progress(Progress { step, percent: None });
            }
            let script = script::is(code);
            let handlers = if script { Some(script::check(&self.shared, code).await?) } else { None };
            if compiled.grade == Grade::Quick {
                self.shared.optimise_later(file);
            }
            Ok(Prepared { handlers })
        })
    }

    /// Quick code is not all: it has yet to be optimised.
    fn is_prepared(&self, code: &FunctionCode) -> bool {
        digest(code).is_some_and(|digest| self.shared.made.look(digest, Grade::Optimised).is_some())
    }

    fn load(&self, code: Arc<FunctionCode>) -> BoxFuture<'_, Result<Arc<dyn Unit>>> {
        Box::pin(async move {
            let file = self.shared.file(&code).await?;
            let script = if script::is(&code) { Some(self.shared.script(&code).await?) } else { None };
            let placed = Placed::load(&self.shared, file, code, script).await?;
            Ok(Arc::new(placed) as Arc<dyn Unit>)
        })
    }

    fn retain(&self, needed: &HashSet<Digest>) -> u64 {
        self.shared.made.compiler().map_or(0, |compiler| compiler.retain(needed))
    }

    /// Shares engine, compiler and linkers, which hold nothing of anybody; maps machine code and has workers for itself.
    fn beside(&self, environment: &Arc<Environment>) -> Result<Arc<dyn Host>> {
        let of = &self.shared;
        let compiler = of.made.compiler().ok_or_else(|| Fault::internal("a worker has one space"))?;
        compiler.open_packs(&environment.packs_dir)?;
        let shared = Shared {
            environment: Arc::clone(environment),
            engine: of.engine.clone(),
            made: Made::Here(Arc::clone(compiler)),
            fleet: of.fleet.as_ref().map(|fleet| fleet.beside()),
            components: Arc::clone(&of.components),
            scripts: Arc::clone(&of.scripts),
            modules: Arc::clone(&of.modules),
            ticker: Arc::clone(&of.ticker),
            codes: Codes::new(),
            line: Line::default(),
        };
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    fn leave(&self) {
        if let Some(fleet) = &self.shared.fleet {
            fleet.leave();
        }
    }

    fn stage(&self, code: &FunctionCode) -> Option<Stage> {
        let digest = digest(code)?;
        let grade = self.shared.mapped_grade(digest);
        match grade.or_else(|| self.shared.made.find(digest).map(|found| found.grade))? {
            Grade::Optimised => Some(Stage::Optimised(self.shared.line.took(digest))),
            Grade::Quick => Some(self.shared.line.stage(digest)),
        }
    }
}

/// The digest of a function's WASM file, where its package tells it.
fn digest(code: &FunctionCode) -> Option<Digest> {
    if script::is(code) {
        return Some(*crate::javascript::DIGEST);
    }
    let name = code.spec.run.first()?;
    code.spec.package.get(name).map(|file| file.digest)
}

impl Shared {
    fn open(
        environment: &Arc<Environment>,
        engine: Engine,
        made: Made,
        (fleet, codes): (Option<Arc<Fleet>>, Codes),
    ) -> Result<Self> {
        let broken = |error: wasmtime::Error| Fault::internal(format!("{error:#}"));
        let components = linker::components(&engine).map_err(broken)?;
        Ok(Self {
            made,
            fleet,
            scripts: Arc::new(linker::scripts(&components).map_err(broken)?),
            components: Arc::new(components),
            modules: Arc::new(linker::modules(&engine).map_err(broken)?),
            ticker: Ticker::start(&engine, &environment.crowd)?,
            codes,
            line: Line::default(),
            environment: Arc::clone(environment),
            engine,
        })
    }

    /// The WASM file of a function.
    async fn file(&self, code: &FunctionCode) -> Result<File> {
        if script::is(code) {
            return script::file(&self.environment).await;
        }
        File::of(code, &self.environment.packs_dir).await
    }
}

/// The WASM file of a function.
#[derive(Clone)]
struct File {
    path: PathBuf,
    name: String,
    digest: Digest,
    /// Functions that were compiled for others of its space.
    packs: PathBuf,
}

impl File {
    async fn of(code: &FunctionCode, packs: &Path) -> Result<Self> {
        let name = code.spec.run.first().cloned().unwrap_or_default();
        let path = code.dir.join(&name);
        let digest = match code.spec.package.get(&name) {
            Some(file) => file.digest,
            None => Digest::of(&read(&path, &name).await?),
        };
        Ok(Self { path, name, digest, packs: packs.to_owned() })
    }

    fn source(&self) -> Source<'_> {
        Source { path: &self.path, digest: self.digest, name: &self.name, packs: &self.packs }
    }

    /// Checks what can be checked without compiling, which may take long.
    async fn look(&self, code: &FunctionCode) -> Result<()> {
        let (path, name) = (self.path.clone(), self.name.clone());
        let read = move || inspect::file(&path, &name).map(|bytes| inspect::outside(&bytes));
        let outside = tokio::task::spawn_blocking(read).await.map_err(Fault::internal)??.map_err(|why| {
            Fault::new(
                Code::ComponentInvalid,
                format!("`{}` is not a WASM component or module: {why}", self.name),
            )
            .hint("build it again; `hob check --build` runs the manifest's `build`")
        })?;
        check::entry(&outside, code, &self.name).map(drop)
    }
}

async fn read(path: &Path, name: &str) -> Result<Vec<u8>> {
    tokio::fs::read(path)
        .await
        .map_err(|error| Fault::new(Code::FileMissing, format!("cannot read `{name}`")).detail(error))
}

/// A function's loaded code.
struct WasmUnit {
    shared: Arc<Shared>,
    given: Given,
    file: File,
    /// What its contract calls: the same in all code of the file.
    entry: Entry,
    /// The program that the file runs, if it is the JavaScript runtime.
    script: Option<Arc<Script>>,
    slot: Slot,
    /// Stores that may be alive, those included that finish work after their answer.
    instances: Arc<Semaphore>,
    /// By which its guests get their turns on a processor.
    member: Arc<Member>,
    instances_max: usize,
    code: Arc<FunctionCode>,
}

/// The abilities of a [`WasmUnit`].
struct Loaded(Arc<WasmUnit>);

impl Unit for Loaded {
    fn inside(&self) -> bool {
        true
    }

    fn memory_bytes(&self) -> Option<u64> {
        Some(self.0.member.held_bytes())
    }

    fn command(&self) -> Option<&dyn Command> {
        (!self.0.entry.is_handler()).then_some(self as &dyn Command)
    }

    fn handler(&self) -> Option<&dyn Handler> {
        self.0.entry.is_handler().then_some(self as &dyn Handler)
    }
}

impl Handler for Loaded {
    fn per_call(&self) -> bool {
        self.0.entry != Entry::Http03
    }

    fn open(&self, start: Start) -> BoxFuture<'_, Result<Box<dyn Instance>>> {
        let unit = Arc::clone(&self.0);
        Box::pin(async move {
            let current = unit.current().await?;
            let instance: Box<dyn Instance> = match &current.runnable {
                Runnable::Http02(pre) => Box::new(fresh::Fresh::new(unit, pre.clone(), start.instance)),
                Runnable::Http03(pre) => Box::new(kept::Kept::open(unit, pre.clone(), start.instance).await?),
                Runnable::Spin(trigger) => Box::new(spin::Once::new(unit, trigger.clone(), start.instance)),
                _ => return Err(Fault::internal("a command was opened as a handler")),
            };
            Ok(instance)
        })
    }
}

impl Command for Loaded {
    /// What a guest asks for comes to the host as a call.
    fn connects(&self) -> bool {
        false
    }

    fn start(&self, launch: Launch) -> BoxFuture<'_, Result<Box<dyn Program>>> {
        let unit = Arc::clone(&self.0);
        Box::pin(async move { Ok(Box::new(program::start(unit, launch).await?) as Box<dyn Program>) })
    }
}

impl WasmUnit {
    /// A function's code, with the machine code that was made for it.
    fn of(
        shared: &Arc<Shared>,
        file: File,
        current: mapped::Current,
        (code, script): (Arc<FunctionCode>, Option<Arc<Script>>),
    ) -> Arc<Self> {
        let instances = usize::try_from(code.spec.scale.max.max(1)).unwrap_or(1);
        Arc::new(Self {
            shared: Arc::clone(shared),
            given: Given::of(&shared.engine, current.machine(), &code),
            file,
            entry: current.runnable.entry(),
            script,
            slot: Slot::new(current),
            instances: Arc::new(Semaphore::new(instances)),
            member: shared.environment.crowd.member(&shared.environment.space, &code),
            instances_max: instances,
            code,
        })
    }

    /// One of the instances that the function may have, if one is free.
    fn place_now(&self) -> Option<Place> {
        let permit = Arc::clone(&self.instances).try_acquire_owned().ok()?;
        Some(self.place_by(permit))
    }

    /// Whether no store of it is alive.
    fn is_idle(&self) -> bool {
        self.instances.available_permits() == self.instances_max
    }

    /// Waits for one of the instances that the function may have.
    async fn place(&self) -> Result<Place> {
        let permit = Arc::clone(&self.instances).acquire_owned().await.map_err(Fault::internal)?;
        Ok(self.place_by(permit))
    }

    fn place_by(&self, permit: OwnedSemaphorePermit) -> Place {
        Place { permit, ticker: Arc::clone(&self.shared.ticker), member: Arc::clone(&self.member) }
    }

    /// The function's environment variables; standard output and error become log lines.
    fn wasi(&self, instance: u64, calls: &Calls) -> WasiCtxBuilder {
        let stream = |stream| {
            let logs = Arc::clone(&self.shared.environment.logs);
            LogStream::new(Lines::new(logs, Arc::clone(&self.code), instance, stream), calls.clone())
        };
        let mut wasi = WasiCtxBuilder::new();
        if self.given.stdout {
            wasi.stdout(stream(Stream::Stdout));
        }
        if self.given.stderr {
            wasi.stderr(stream(Stream::Stderr));
        }
        wasi.envs(&self.given.env);
        wasi
    }

    /// A component's store for an instance that serves these calls.
    fn component_store(
        &self,
        wasi: &mut WasiCtxBuilder,
        (calls, instance): (Calls, u64),
        place: Place,
    ) -> wasmtime::Store<State> {
        let outbound = Arc::clone(&self.shared.environment.outbound);
        let spawn = Arc::clone(&self.shared.environment.spawn);
        let hooks = Hooks { outbound, code: Arc::clone(&self.code), calls, instance, spawn };
        store::component(&self.shared.engine, wasi, hooks, self.memory_bytes(), place)
    }

    fn log_failure(&self, instance: u64, context: Option<&Context>, error: &wasmtime::Error) {
        failure::log(&self.shared.environment, &self.code, instance, context, error);
    }

    fn memory_bytes(&self) -> u64 {
        self.code.spec.memory_bytes.min(limit::WASM_MEMORY_BYTES_CEILING)
    }
}
