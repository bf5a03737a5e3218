//! Host `wasm`: components and preview 1 modules, in this process, in wasmtime.
//!
//! **Why.** Taking an instance from a pool and calling into it costs microseconds, so every call of a
//! WASI 0.2 function can have an instance of its own.
//!
//! **How.** At deploy `compile` makes machine code, which is then loaded once to see that it
//! exports something callable and imports nothing that is missing. Later [`Host::load`] maps the
//! file. `fresh` serves WASI 0.2 requests, `kept` those of 0.3, `program` runs commands.
//!
//! **Invariants.** Nothing is compiled on the way of a call unless the compiled file is gone, which
//! is then logged. A guest that fails takes its store with it: no store is used after a trap, a
//! time-out or a cancelled call.

mod calls;
mod check;
mod compile;
mod engine;
mod failure;
mod fresh;
mod inspect;
mod kept;
mod laps;
mod linker;
mod outgoing;
mod pipe;
mod program;
mod store;

pub use compile::compile_child;

use super::{Host, HostRow, Progress};
use crate::code::FunctionCode;
use crate::crowd::Member;
use crate::environment::Environment;
use crate::host::{Candidate, Detected};
use crate::invocation::Context;
use crate::log::Lines;
use crate::outbound::telemetry_variables;
use crate::unit::{Command, Handler, Launch, Program, Unit};
use crate::unit::{Instance, Start};
use calls::Calls;
use check::Runnable;
use compile::{Compiler, Source};
use engine::Ticker;
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::limit;
use hob_core::port::{BoxFuture, Stream};
use inspect::Entry;
use outgoing::Hooks;
use pipe::LogStream;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use store::{ModuleState, Place, State};
use tokio::sync::Semaphore;
use wasmtime::component::Component;
use wasmtime::{Engine, Module};
use wasmtime_wasi::WasiCtxBuilder;

pub(super) const ROW: HostRow = HostRow {
    name: "wasm",
    summary: "components of WASI 0.2 and 0.3 and preview 1 modules, in this process",
    example: "[functions.hello]\nrun = \"hello.wasm\"\nhost = \"wasm\"\n",
    detect,
    open: |environment| Ok(Arc::new(Wasm::open(environment)?)),
};

/// Where guests send what they tell of themselves.
const TELEMETRY_URL: &str = "http://telemetry.internal";

fn detect(candidate: &Candidate<'_>) -> Option<Detected> {
    if !inspect::looks_like_wasm(candidate.head, candidate.name) {
        return None;
    }
    // What cannot be read or called is taken as well: `prepare` then says what is wrong with it.
    let bytes = std::fs::read(candidate.file).unwrap_or_default();
    let entry = inspect::outside(&bytes).ok().and_then(|outside| outside.entries().first().copied());
    let (contract, what) = match entry {
        Some(entry) => (entry.contract(), entry.what()),
        None => ("wasi-http", "WASM file without an export that Hob can call"),
    };
    Some(Detected { host: "wasm", contract, run: vec![candidate.name.to_owned()], what: what.to_owned() })
}

/// The opened host of one node.
struct Wasm {
    shared: Arc<Shared>,
}

/// What all functions of the host share.
struct Shared {
    environment: Arc<Environment>,
    engine: Engine,
    compiler: Compiler,
    components: wasmtime::component::Linker<State>,
    modules: wasmtime::Linker<ModuleState>,
    ticker: Arc<Ticker>,
    /// Machine code that is mapped now, once for all functions and revisions with the same file.
    loaded: Mutex<HashMap<Digest, Weak<Machine>>>,
}

/// Mapped machine code.
enum Machine {
    Component(Component),
    Module(Module),
}

impl Wasm {
    fn open(environment: &Arc<Environment>) -> Result<Self> {
        let engine = engine::open(environment.pooling)?;
        let broken = |error: wasmtime::Error| Fault::internal(format!("{error:#}"));
        Ok(Self {
            shared: Arc::new(Shared {
                compiler: Compiler::open(&environment.cache_dir, &environment.compiler, &engine)?,
                components: linker::components(&engine).map_err(broken)?,
                modules: linker::modules(&engine).map_err(broken)?,
                ticker: Ticker::start(&engine, &environment.crowd)?,
                loaded: Mutex::default(),
                environment: Arc::clone(environment),
                engine,
            }),
        })
    }
}

impl Host for Wasm {
    fn prepare<'a>(
        &'a self,
        code: &'a FunctionCode,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let file = File::of(code).await?;
            file.look(code).await?;
            let compiled = self.shared.compiler.compile(&file.source(), progress).await?;
            let machine = self.shared.map(&file, compiled).await?;
            check::runnable(&self.shared, &machine, code, &file.name).map(drop)
        })
    }

    fn load(&self, code: Arc<FunctionCode>) -> BoxFuture<'_, Result<Arc<dyn Unit>>> {
        Box::pin(async move {
            let file = File::of(&code).await?;
            let machine = self.shared.map(&file, self.shared.compiler.path(file.digest)).await?;
            let runnable = check::runnable(&self.shared, &machine, &code, &file.name)?;
            let instances = usize::try_from(code.spec.scale.max.max(1)).unwrap_or(1);
            let unit = WasmUnit {
                shared: Arc::clone(&self.shared),
                _machine: machine,
                runnable,
                instances: Arc::new(Semaphore::new(instances)),
                member: self.shared.environment.crowd.member(&code),
                code,
            };
            Ok(Arc::new(Loaded(Arc::new(unit))) as Arc<dyn Unit>)
        })
    }
}

impl Shared {
    /// Maps the compiled file; makes it anew when it is gone or of another version.
    async fn map(&self, file: &File, compiled: PathBuf) -> Result<Arc<Machine>> {
        let known = |map: &HashMap<Digest, Weak<Machine>>| map.get(&file.digest).and_then(Weak::upgrade);
        if let Some(machine) = known(&self.loaded.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(machine);
        }
        let machine = match self.deserialize(compiled).await {
            Ok(machine) => machine,
            Err(error) => {
                tracing::warn!(
                    file = file.name,
                    error = format!("{error:#}"),
                    "compiling again: the compiled code cannot be loaded"
                );
                let compiled = self.compiler.compile_anew(&file.source(), &|_| {}).await?;
                self.deserialize(compiled).await.map_err(|error| Fault::internal(format!("{error:#}")))?
            }
        };
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(machine) = known(&loaded) {
            return Ok(machine);
        }
        let machine = Arc::new(machine);
        loaded.retain(|_, machine| machine.strong_count() > 0);
        loaded.insert(file.digest, Arc::downgrade(&machine));
        Ok(machine)
    }

    async fn deserialize(&self, path: PathBuf) -> wasmtime::Result<Machine> {
        let engine = self.engine.clone();
        let work = tokio::task::spawn_blocking(move || {
            match Engine::detect_precompiled_file(&path)? {
                // SAFETY: the folder is private to this node's user and files get their final name
                // only after this program has written them whole; wasmtime checks the version.
                Some(wasmtime::Precompiled::Component) => unsafe {
                    Component::deserialize_file(&engine, &path).map(Machine::Component)
                },
                // SAFETY: as above.
                Some(wasmtime::Precompiled::Module) => unsafe {
                    Module::deserialize_file(&engine, &path).map(Machine::Module)
                },
                None => Err(wasmtime::format_err!("not a compiled file")),
            }
        });
        work.await?
    }
}

/// The WASM file of a function.
struct File {
    path: PathBuf,
    name: String,
    digest: Digest,
}

impl File {
    async fn of(code: &FunctionCode) -> Result<Self> {
        let name = code.spec.run.first().cloned().unwrap_or_default();
        let path = code.dir.join(&name);
        let digest = match code.spec.package.get(&name) {
            Some(file) => file.digest,
            None => Digest::of(&read(&path, &name).await?),
        };
        Ok(Self { path, name, digest })
    }

    fn source(&self) -> Source<'_> {
        Source { path: &self.path, digest: self.digest, name: &self.name }
    }

    /// Checks what can be checked without compiling, which may take long.
    async fn look(&self, code: &FunctionCode) -> Result<()> {
        let bytes = read(&self.path, &self.name).await?;
        let work = tokio::task::spawn_blocking(move || inspect::outside(&bytes));
        let outside = work.await.map_err(Fault::internal)?.map_err(|why| {
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
    /// Kept here so that other functions with the same file find it mapped.
    _machine: Arc<Machine>,
    runnable: Runnable,
    /// Stores that may be alive, those included that finish work after their answer.
    instances: Arc<Semaphore>,
    /// By which its guests get their turns on a processor.
    member: Arc<Member>,
    code: Arc<FunctionCode>,
}

/// The abilities of a [`WasmUnit`].
struct Loaded(Arc<WasmUnit>);

impl Unit for Loaded {
    fn command(&self) -> Option<&dyn Command> {
        matches!(self.0.runnable.entry(), Entry::Run02 | Entry::Run03 | Entry::Start)
            .then_some(self as &dyn Command)
    }

    fn handler(&self) -> Option<&dyn Handler> {
        matches!(self.0.runnable.entry(), Entry::Http02 | Entry::Http03).then_some(self as &dyn Handler)
    }
}

impl Handler for Loaded {
    fn per_call(&self) -> bool {
        self.0.runnable.entry() == Entry::Http02
    }

    fn open(&self, start: Start) -> BoxFuture<'_, Result<Box<dyn Instance>>> {
        let unit = Arc::clone(&self.0);
        match &self.0.runnable {
            Runnable::Http02(pre) => {
                let pre = pre.clone();
                Box::pin(async move {
                    Ok(Box::new(fresh::Fresh::new(unit, pre, start.instance)) as Box<dyn Instance>)
                })
            }
            Runnable::Http03(pre) => {
                let pre = pre.clone();
                Box::pin(async move {
                    Ok(Box::new(kept::Kept::open(unit, pre, start.instance).await?) as Box<dyn Instance>)
                })
            }
            _ => Box::pin(async { Err(Fault::internal("a command was opened as a handler")) }),
        }
    }
}

impl Command for Loaded {
    /// What a guest asks for comes to the host as a call.
    fn connects(&self) -> bool {
        false
    }

    fn start(&self, launch: Launch) -> BoxFuture<'_, Result<Box<dyn Program>>> {
        let unit = Arc::clone(&self.0);
        Box::pin(
            async move { Ok(Box::new(program::Running::start(unit, launch).await?) as Box<dyn Program>) },
        )
    }
}

impl WasmUnit {
    /// Waits for one of the instances that the function may have.
    async fn place(&self) -> Result<Place> {
        let permit = Arc::clone(&self.instances).acquire_owned().await.map_err(Fault::internal)?;
        Ok(Place { permit, ticker: Arc::clone(&self.shared.ticker), member: Arc::clone(&self.member) })
    }

    /// The function's environment variables; standard output and error become log lines.
    fn wasi(&self, instance: u64, calls: &Calls) -> WasiCtxBuilder {
        let stream = |stream| {
            let logs = Arc::clone(&self.shared.environment.logs);
            LogStream::new(Lines::new(logs, Arc::clone(&self.code), instance, stream), calls.clone())
        };
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(stream(Stream::Stdout)).stderr(stream(Stream::Stderr));
        for (name, value) in &self.code.spec.env {
            wasi.env(name, value);
        }
        for (name, value) in telemetry_variables(&self.code, TELEMETRY_URL) {
            wasi.env(name, value);
        }
        wasi
    }

    /// A component's store for an instance that serves these calls.
    fn component_store(
        &self,
        wasi: &mut WasiCtxBuilder,
        calls: Calls,
        place: Place,
    ) -> wasmtime::Store<State> {
        let outbound = Arc::clone(&self.shared.environment.outbound);
        let spawn = Arc::clone(&self.shared.environment.spawn);
        let hooks = Hooks { outbound, code: Arc::clone(&self.code), calls, spawn };
        store::component(&self.shared.engine, wasi, hooks, self.memory_bytes(), place)
    }

    fn log_failure(&self, instance: u64, context: Option<&Context>, error: &wasmtime::Error) {
        failure::log(&self.shared.environment, &self.code, instance, context, error);
    }

    fn memory_bytes(&self) -> u64 {
        self.code.spec.memory_bytes.min(limit::WASM_MEMORY_BYTES_CEILING)
    }
}
