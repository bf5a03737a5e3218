//! A worker process: runs the WASM functions of one space for its node, and can do nothing else.
//!
//! **How.** It takes away from itself what it does not need, makes the same engine as the node, says that it is ready,
//! and serves: a task for the control connection, one for each lane ([`lane`]). What runs is the host's own code, with
//! other surroundings: code comes as passed files, log lines and requests of guests leave by the lane of their call
//! ([`ways`]).
//!
//! **Invariants.** A panic ends the process, since nobody can say what it has left behind. When the node goes, the
//! control connection ends, and the process with it.

mod confine;
mod filter;
mod lane;
mod ways;

use super::engine::{self, Grade};
use super::passed::{Made, Passed, Publish};
use super::{Codes, File, Script, Shared, WasmUnit};
use crate::code::FunctionCode;
use crate::cpu::CpuTotal;
use crate::crowd::{Crowd, Shares};
use crate::environment::{Environment, Workers};
use crate::gate::Open;
use crate::invocation::{Invocation, Reply};
use crate::unit::{Handler as _, Instance, Unit as _};
use crate::witness::Nobody;
use crate::worker::control::{Order, Reader};
use crate::worker::lane::{Lane, Lost};
use crate::worker::wire::{Broken, Frame, Hello, Kind, Load, Loaded, Used};
use bytes::BytesMut;
use hob_core::fault::{Fault, Result};
use hob_core::limit::WALL_LOAD_BYTES_MAX;
use hob_core::name::SpaceName;
use hob_core::port::Spawn;
use rustix::fs::OFlags;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc};
use wasmtime::Engine;
use ways::Ways;

/// How often is told what functions use, while they do.
const TOTALS_INTERVAL: Duration = Duration::from_millis(100);

/// What a captured worker does instead of what it is asked: tests put it there, and nobody else can.
pub type Captured = Arc<dyn Fn(&Invocation) -> Option<Reply> + Send + Sync>;

/// The worker's whole life. Its control connection is its standard input.
pub fn worker_child(spawn: Arc<dyn Spawn>, captured: Option<Captured>) -> ExitCode {
    let begun = confine::begin().map_err(|error| error.to_string()).and_then(|control| {
        let hello = hello(&control)?;
        // While there are files: it looks how the kernel tells written pages.
        let engine =
            engine::open(hello.pooling, Some(Arc::new(Publish))).map_err(|fault| fault.to_string())?;
        Ok((control, hello, engine))
    });
    let (control, hello, engine) = match begun {
        Ok(begun) => begun,
        Err(words) => return fail(&words),
    };
    let cpus = usize::try_from(crate::machine::cpus()).unwrap_or(1);
    let missing = confine::leave();
    // As in the node: as many as processors, and two at least. No thread is made later.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cpus.max(2))
        .max_blocking_threads(1)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    let done = runtime.block_on(work(control, (hello, engine, missing), spawn, captured));
    // Guests that run do not hold it up.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => fail(&words),
    }
}

/// Reads what the node says first, before there is a runtime that could.
fn hello(control: &OwnedFd) -> std::result::Result<Hello, String> {
    let mut input = BytesMut::new();
    loop {
        if let Some(frame) =
            Frame::parse(&mut input, WALL_LOAD_BYTES_MAX).map_err(|broken| broken.to_string())?
        {
            if frame.kind != Kind::Init || !input.is_empty() {
                return Err("told something before it was ready".to_owned());
            }
            return frame.content.json().map_err(|broken| broken.to_string());
        }
        let mut part = [0; 256];
        match rustix::io::read(control, &mut part) {
            Ok(0) => return Err("the node has gone".to_owned()),
            Ok(read) => input.extend_from_slice(&part[..read]),
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn fail(words: &str) -> ExitCode {
    use std::io::Write as _;
    // Nobody is left to tell when this fails.
    let _ = std::io::stderr().write_all(words.as_bytes());
    ExitCode::FAILURE
}

async fn work(
    control: OwnedFd,
    (hello, engine, missing): (Hello, Engine, Vec<String>),
    spawn: Arc<dyn Spawn>,
    captured: Option<Captured>,
) -> std::result::Result<(), String> {
    let flags = OFlags::NONBLOCK;
    rustix::fs::fcntl_setfl(&control, flags).map_err(|error| error.to_string())?;
    let stream = std::os::unix::net::UnixStream::from(control);
    let stream = UnixStream::from_std(stream).map_err(|error| error.to_string())?;
    let mut reader = Reader::new(WALL_LOAD_BYTES_MAX, true);
    let (notices, mut noticed) = mpsc::unbounded_channel();
    let far = Far::open(&hello, engine, spawn, (notices, captured)).map_err(|fault| fault.to_string())?;
    let fingerprint = engine::fingerprint(&far.shared.engine);
    confine::seal().map_err(|error| format!("cannot filter system calls: {error}"))?;
    let ready = Order::new(Kind::Ready, None, |put| {
        put.bytes(fingerprint.as_bytes());
        put.bytes(missing.join(", ").as_bytes());
    });
    if ready.send(&stream).await.is_err() {
        return Ok(());
    }
    far.spawn.spawn("worker totals", Box::pin(totals(Arc::clone(&far))));
    loop {
        tokio::select! {
            biased;
            notice = noticed.recv() => match notice {
                Some(notice) => if Order::send(notice, &stream).await.is_err() { return Ok(()) },
                None => return Ok(()),
            },
            frame = reader.next(&stream) => match frame {
                Ok((frame, descriptor)) => far.take(frame, descriptor).map_err(|broken| broken.to_string())?,
                Err(Lost::Gone) => return Ok(()),
                Err(Lost::Broken(broken)) => return Err(broken.to_string()),
            },
        }
    }
}

/// What a worker has.
struct Far {
    shared: Arc<Shared>,
    ways: Arc<Ways>,
    spawn: Arc<dyn Spawn>,
    notices: mpsc::UnboundedSender<Order>,
    units: Mutex<HashMap<u64, Arc<WasmUnit>>>,
    instances: Mutex<HashMap<u64, Arc<dyn Instance>>>,
    /// Something is used.
    used: Notify,
    captured: Option<Captured>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Far {
    fn open(
        hello: &Hello,
        engine: Engine,
        spawn: Arc<dyn Spawn>,
        (notices, captured): (mpsc::UnboundedSender<Order>, Option<Captured>),
    ) -> Result<Arc<Self>> {
        let ways = Arc::new(Ways::default());
        // The node has let them in.
        let shares = Shares::here(Some(u64::MAX));
        let environment = Arc::new(Environment {
            // The node knows whose it is; here is only one.
            space: SpaceName::default_space(),
            cache_dir: PathBuf::new(),
            packs_dir: PathBuf::new(),
            cache_shared: true,
            work_dir: PathBuf::new(),
            compiler: Vec::new(),
            pooling: hello.pooling,
            workers: Workers::none(),
            // It starts no programs.
            walls: crate::wall::Choice::Off.into(),
            spawn: Arc::clone(&spawn),
            logs: Arc::new(ways::Lines(Arc::clone(&ways))),
            witnesses: Arc::new(Nobody),
            gates: Arc::new(Open),
            crowd: Crowd::new(shares, Arc::clone(&spawn)),
            outbound: Arc::new(ways::Out(Arc::clone(&ways))),
            instances: Arc::new(AtomicU64::new(1)),
        });
        let made = Made::Passed(Passed::default());
        let shared = Arc::new(Shared::open(&environment, engine, made, (None, Codes::new()))?);
        let (units, instances, used) = (Mutex::default(), Mutex::default(), Notify::new());
        Ok(Arc::new(Self { shared, ways, spawn, notices, units, instances, used, captured }))
    }

    /// Takes an order of the node.
    fn take(
        self: &Arc<Self>,
        mut frame: Frame,
        descriptor: Option<OwnedFd>,
    ) -> std::result::Result<(), Broken> {
        match (frame.kind, descriptor) {
            (Kind::Lane, Some(end)) => {
                let far = Arc::clone(self);
                self.spawn.spawn("worker lane", Box::pin(lane::carry(far, end)));
            }
            (Kind::ExitAt, Some(end)) => self.ways.opened(frame.content.u64()?, Lane::new(end).ok()),
            (Kind::NoExit, None) => self.ways.opened(frame.content.u64()?, None),
            (Kind::Load, Some(file)) => {
                let (far, load) = (Arc::clone(self), frame.content.json::<Load>()?);
                self.spawn.spawn("worker load", Box::pin(async move { far.load(load, file).await }));
            }
            (Kind::Exchange, Some(file)) => {
                let (far, function) = (Arc::clone(self), frame.content.u64()?);
                self.spawn.spawn("worker load", Box::pin(async move { far.exchange(function, file).await }));
            }
            (Kind::Unload, None) => self.unload(frame.content.u64()?),
            (Kind::Ping, None) => self.notice(Order::new(Kind::Pong, None, |_| {})),
            _ => return Err(Broken("an order that is none")),
        }
        Ok(())
    }

    fn notice(&self, notice: Order) {
        // Whoever reads them is gone only when the process ends.
        let _ = self.notices.send(notice);
    }

    /// The function of this number.
    fn unit(&self, function: u64) -> Result<Arc<WasmUnit>> {
        let unit = lock(&self.units).get(&function).cloned();
        unit.ok_or_else(|| Fault::internal(format!("function {function} was not loaded")))
    }

    async fn load(&self, load: Load, file: OwnedFd) {
        let function = load.function;
        let done = self.unit_of(load, file).await;
        self.notice(Order::new(Kind::Loaded, None, |put| {
            put.u64(function);
            match &done {
                Ok(unit) => {
                    put.u8(1);
                    let loaded = super::Loaded(Arc::clone(unit));
                    let (handler, per_call) = (loaded.handler().is_some(), loaded.per_call());
                    put.json(&Loaded { handler, per_call });
                }
                Err(fault) => {
                    put.u8(0);
                    put.fault(fault);
                }
            }
        }));
    }

    async fn unit_of(&self, load: Load, file: OwnedFd) -> Result<Arc<WasmUnit>> {
        let grade = if load.quick { Grade::Quick } else { Grade::Optimised };
        if let Made::Passed(passed) = &self.shared.made {
            passed.keep(load.digest, file.into(), grade).map_err(Fault::internal)?;
        }
        let code = Arc::new(FunctionCode {
            app: load.app,
            revision: load.revision,
            name: load.name,
            numbered: None,
            spec: load.spec,
            dir: PathBuf::new(),
            cpu: CpuTotal::default(),
            given: crate::code::Given::default(),
        });
        let file = File { path: PathBuf::new(), name: load.file, digest: load.digest, packs: PathBuf::new() };
        let script = load.script.map(|(name, text)| Arc::new(Script { name, text }));
        let current = self.shared.current(&file, &code).await?;
        let unit = WasmUnit::of(&self.shared, file, current, (code, script));
        self.shared.codes.add(&unit);
        lock(&self.units).insert(load.function, Arc::clone(&unit));
        Ok(unit)
    }

    async fn exchange(&self, function: u64, file: OwnedFd) {
        let Ok(unit) = self.unit(function) else { return };
        if let Made::Passed(passed) = &self.shared.made
            && passed.keep(unit.file.digest, file.into(), Grade::Optimised).is_ok()
        {
            // What cannot be exchanged serves on.
            let _ = self.shared.exchange(&unit.file).await;
        }
    }

    fn unload(&self, function: u64) {
        let mut units = lock(&self.units);
        let Some(unit) = units.remove(&function) else { return };
        let digest = unit.file.digest;
        let others = units.values().any(|unit| unit.file.digest == digest);
        drop(units);
        if let (false, Made::Passed(passed)) = (others, &self.shared.made) {
            passed.forget(digest);
        }
    }
}

/// What a function has used so far.
fn used(unit: &WasmUnit) -> Used {
    Used {
        function_ns: unit.code.cpu.ns(),
        held_bytes: unit.member.held_bytes(),
        largest_bytes: unit.member.largest_bytes(),
        ..Used::default()
    }
}

/// Tells what functions use, while they do.
async fn totals(far: Arc<Far>) {
    let mut told: HashMap<u64, Used> = HashMap::new();
    loop {
        far.used.notified().await;
        loop {
            tokio::time::sleep(TOTALS_INTERVAL).await;
            let units: Vec<(u64, Arc<WasmUnit>)> =
                lock(&far.units).iter().map(|(number, unit)| (*number, Arc::clone(unit))).collect();
            told.retain(|number, _| units.iter().any(|(known, _)| known == number));
            let now = units.iter().map(|(number, unit)| (*number, used(unit)));
            let changed: Vec<(u64, Used)> =
                now.filter(|(number, now)| told.insert(*number, *now).as_ref() != Some(now)).collect();
            if changed.is_empty() {
                break;
            }
            far.notice(Order::new(Kind::Totals, None, |put| {
                put.u64(changed.len() as u64);
                for (number, used) in &changed {
                    put.u64(*number);
                    used.put(put);
                }
            }));
        }
    }
}
