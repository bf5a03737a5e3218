//! Components and modules that run as a program: arguments, environment, standard streams, exit code.
//!
//! **How.** The guest runs in a background task that owns its store; its standard streams are pipes
//! in memory. Dropping or stopping the program drops the store, and with it the guest: there is no
//! process that could survive.

use super::calls::Calls;
use super::check::Runnable;
use super::pipe::pipe;
use super::running::{KILLED, Running};
use super::store::Place;
use super::{WasmUnit, failure, store};
use crate::crowd::{also_queued, metered};
use crate::invocation::Context;
use crate::unit::{Exit, Launch};
use hob_core::fault::Result;
use std::sync::Arc;
use wasmtime::component::Accessor;
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

/// An exit code, or why there is none and whether memory was refused before.
type Ended = std::result::Result<i32, (wasmtime::Error, bool)>;

/// Starts a guest.
///
/// # Errors
/// When there is no place for it.
pub(super) async fn start(unit: Arc<WasmUnit>, launch: Launch) -> Result<Running> {
    let calls = Calls::One(launch.context.clone());
    let mut wasi = unit.wasi(launch.instance, &calls);
    wasi.args(&unit.code.spec.run).args(&launch.args);
    for (name, value) in &launch.env {
        wasi.env(name, value);
    }
    let (mut stdin, mut stdout) = (None, None);
    if launch.stdin {
        let (writer, reader) = pipe();
        wasi.stdin(reader);
        stdin = Some(writer);
    }
    if launch.stdout {
        let (writer, reader) = pipe();
        wasi.stdout(writer);
        stdout = Some(reader);
    }
    let place = unit.place().await?;
    let (running, ending, mut stopped) = Running::new(stdin, stdout);
    let guest = Guest { context: launch.context, instance: launch.instance, calls };
    let spawn = Arc::clone(&unit.shared.environment.spawn);
    let life = async move {
        // WASI knows no signals: there is no way to ask.
        let killed = async {
            if let Some(grace) = stopped.recv().await {
                tokio::time::sleep(grace).await;
            }
        };
        let exit = tokio::select! {
            exit = guest.run(&unit, wasi, place) => exit,
            () = killed => Exit::Signal(KILLED),
        };
        ending.send_replace(Some(exit));
    };
    spawn.spawn("wasm-program", Box::pin(life));
    Ok(running)
}

/// One run of a guest.
struct Guest {
    context: Option<Arc<Context>>,
    instance: u64,
    calls: Calls,
}

impl Guest {
    async fn run(&self, unit: &Arc<WasmUnit>, wasi: WasiCtxBuilder, place: Place) -> Exit {
        let (total, context) = (unit.code.cpu.clone(), self.context.clone());
        let tell = move |cpu_ns, waited| {
            total.add(cpu_ns);
            if let Some(context) = &context {
                context.timing.spent(cpu_ns);
                also_queued(&context.timing, waited);
            }
        };
        let execute = execute(Arc::clone(unit), (self.calls.clone(), self.instance), wasi, place);
        let work = metered(unit.member.turn(), &unit.code.cpu, execute, tell);
        let ended = match &self.context {
            Some(context) => match tokio::time::timeout_at(context.deadline.into(), work).await {
                Ok(ended) => ended,
                Err(_) => return Exit::Deadline,
            },
            None => work.await,
        };
        let (error, refused) = match ended {
            Ok(code) => return Exit::Code(code),
            Err(ended) => ended,
        };
        if let Some(I32Exit(code)) = error.downcast_ref() {
            return Exit::Code(*code);
        }
        unit.log_failure(self.instance, self.context.as_deref(), &error);
        if refused { Exit::MemoryLimit } else { Exit::Trap(failure::trap_text(&error)) }
    }
}

/// Runs a program to its end.
async fn execute(
    unit: Arc<WasmUnit>,
    (calls, instance): (Calls, u64),
    mut wasi: WasiCtxBuilder,
    place: Place,
) -> Ended {
    let current = unit.current().await.map_err(|fault| (wasmtime::Error::new(fault), false))?;
    if let Runnable::Start(pre) = &current.runnable {
        let mut store = store::module(&unit.shared.engine, &mut wasi, unit.memory_bytes(), place);
        let done = async {
            let instance = pre.instantiate_async(&mut store).await?;
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
            start.call_async(&mut store, ()).await
        }
        .await;
        return done.map(|()| 0).map_err(|error| (error, store.data().refused()));
    }
    let mut store = unit.component_store(&mut wasi, (calls, instance), place);
    let done = async {
        match &current.runnable {
            Runnable::Run02(pre) => {
                let command = pre.instantiate_async(&mut store).await?;
                command.wasi_cli_run().call_run(&mut store).await
            }
            Runnable::Run03(pre) => {
                let command = pre.instantiate_async(&mut store).await?;
                store
                    .run_concurrent(async |accessor: &Accessor<store::State>| {
                        command.wasi_cli_run().call_run(accessor).await
                    })
                    .await?
            }
            _ => Err(wasmtime::format_err!("not a command")),
        }
    }
    .await;
    // `run` itself knows success and failure only; other codes come through `wasi:cli/exit`.
    done.map(|run| i32::from(run.is_err())).map_err(|error| (error, store.data().refused()))
}
