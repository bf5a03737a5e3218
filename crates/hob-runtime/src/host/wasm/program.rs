//! Components and modules that run as a program: arguments, environment, standard streams, exit code.
//!
//! **How.** The guest runs in a background task that owns its store; its standard streams are pipes
//! in memory. Dropping or stopping the program drops the store, and with it the guest: there is no
//! process that could survive.

use super::calls::Calls;
use super::check::Runnable;
use super::pipe::{PipeReader, PipeWriter, pipe};
use super::store::Place;
use super::{WasmUnit, failure, store};
use crate::crowd::{also_queued, metered};
use crate::invocation::Context;
use crate::unit::{Exit, Launch, Program};
use hob_core::fault::Result;
use hob_core::port::BoxFuture;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{oneshot, watch};
use wasmtime::component::Accessor;
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

/// A guest that runs as a program.
pub(super) struct Running {
    stdin: Option<PipeWriter>,
    stdout: Option<PipeReader>,
    exit: watch::Receiver<Option<Exit>>,
    kill: Mutex<Option<oneshot::Sender<()>>>,
}

/// An exit code, or why there is none and whether memory was refused before.
type Ended = std::result::Result<i32, (wasmtime::Error, bool)>;

impl Running {
    /// Starts the guest.
    pub(super) async fn start(unit: Arc<WasmUnit>, launch: Launch) -> Result<Self> {
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
        let (sender, exit) = watch::channel(None);
        let (kill, killed) = oneshot::channel();
        let guest = Guest { context: launch.context, instance: launch.instance, calls };
        let spawn = Arc::clone(&unit.shared.environment.spawn);
        let life = async move {
            let exit = tokio::select! {
                exit = guest.run(&unit, wasi, place) => exit,
                _ = killed => Exit::Signal(KILLED),
            };
            sender.send_replace(Some(exit));
        };
        spawn.spawn("wasm-program", Box::pin(life));
        Ok(Self { stdin, stdout, exit, kill: Mutex::new(Some(kill)) })
    }
}

/// SIGKILL: what a native program in its place would have ended with.
const KILLED: i32 = 9;

impl Program for Running {
    fn take_stdin(&mut self) -> Option<Box<dyn AsyncWrite + Send + Unpin>> {
        self.stdin.take().map(|stdin| Box::new(stdin) as Box<dyn AsyncWrite + Send + Unpin>)
    }

    fn take_stdout(&mut self) -> Option<Box<dyn AsyncRead + Send + Unpin>> {
        self.stdout.take().map(|stdout| Box::new(stdout) as Box<dyn AsyncRead + Send + Unpin>)
    }

    fn exit(&self) -> BoxFuture<'_, Exit> {
        let mut exit = self.exit.clone();
        Box::pin(async move {
            let ended = exit.wait_for(Option::is_some).await.ok().and_then(|exit| exit.clone());
            // The task went away with the node's runtime.
            ended.unwrap_or(Exit::Signal(KILLED))
        })
    }

    fn stop(&self, grace: Duration) -> BoxFuture<'_, Exit> {
        Box::pin(async move {
            // WASI knows no signals: there is no way to ask.
            if let Ok(exit) = tokio::time::timeout(grace, self.exit()).await {
                return exit;
            }
            self.kill.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.exit().await
        })
    }
}

/// One run of a guest.
struct Guest {
    context: Option<Arc<Context>>,
    instance: u64,
    calls: Calls,
}

impl Guest {
    async fn run(&self, unit: &Arc<WasmUnit>, wasi: WasiCtxBuilder, place: Place) -> Exit {
        let tell = |cpu_ns, waited| {
            unit.code.cpu.add(cpu_ns);
            if let Some(context) = &self.context {
                context.timing.spent(cpu_ns);
                also_queued(&context.timing, waited);
            }
        };
        let work = metered(unit.member.turn(), &unit.code.cpu, self.execute(unit, wasi, place), tell);
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

    async fn execute(&self, unit: &Arc<WasmUnit>, mut wasi: WasiCtxBuilder, place: Place) -> Ended {
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
        let mut store = unit.component_store(&mut wasi, (self.calls.clone(), self.instance), place);
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
}
