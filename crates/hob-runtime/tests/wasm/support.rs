//! A host `wasm` without a node around it: what tests give it, and what they get back.

use crate::ports::{Logs, Spawner};
use bytes::Bytes;
use hob_core::digest::Digest;
use hob_core::fact::CallCause;
use hob_core::fault::Result;
use hob_core::id::InvocationId;
use hob_core::name::{AppName, FunctionName, RevisionNumber, SpaceName};
use hob_core::port::{BoxFuture, LogSink};
use hob_core::spec::{FunctionSpec, PackageFile, ScaleSpec};
use hob_core::trace::TraceContext;
use hob_runtime::body::{Body, empty, full};
use hob_runtime::code::FunctionCode;
use hob_runtime::contract;
use hob_runtime::crowd::{Crowd, Shares};
use hob_runtime::environment::{Environment, Supervision, Workers};
use hob_runtime::gate::Open;
use hob_runtime::host::{HOSTS, Host};
use hob_runtime::invocation::{Context, Invocation, Origin, Reply, Timing, Trail};
use hob_runtime::outbound::{Caller, Outbound, ProxyEntry};
use hob_runtime::unit::{Instance, Start, Unit};
use hob_runtime::witness::{Changed, Ended, Witness, Witnesses};
use http_body_util::BodyExt;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Where the guests lie.
pub(crate) fn guest_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests").join(name)
}

/// A guest of WASI 0.2 with this core code; see `tests/guests/http02.wat`.
pub(crate) fn guest02(code: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(guest_path("http02.wat")).unwrap();
    assert!(text.contains(";;GUEST\n"));
    text.replace(";;GUEST\n", code).into_bytes()
}

/// The export `handle` with these instructions; `$out` is the response-outparam.
pub(crate) fn handle(instructions: &str) -> String {
    format!("(func (export \"handle\") (param $req i32) (param $out i32) {instructions})")
}

impl Logs {
    /// All lines so far.
    pub(crate) fn text(&self) -> String {
        self.all().iter().map(|record| format!("{:?} {}\n", record.stream, record.text)).collect()
    }
}

/// Answers outgoing calls as it is told, and keeps who called what.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) answer: Mutex<Option<Result<u16>>>,
    pub(crate) seen: Mutex<Vec<(String, Option<InvocationId>)>>,
}

impl Outbound for World {
    fn call(&self, caller: Caller, request: http::Request<Body>) -> BoxFuture<'_, Result<Reply>> {
        let id = caller.context.map(|context| context.id);
        self.seen.lock().unwrap().push((request.uri().to_string(), id));
        let answer = self.answer.lock().unwrap().clone().unwrap_or(Ok(200));
        Box::pin(async move {
            answer.map(|status| http::Response::builder().status(status).body(full("other")).unwrap())
        })
    }

    fn enter(&self, _code: &Arc<FunctionCode>, _instance: u64) -> Option<ProxyEntry> {
        None
    }
}

/// A host with its surroundings.
pub(crate) struct Bench {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) environment: Arc<Environment>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) world: Arc<World>,
    pub(crate) told: Arc<Told>,
    pub(crate) folder: tempfile::TempDir,
    next: AtomicU64,
}

/// Counts how often optimised code took the place of quick code.
#[derive(Default)]
pub(crate) struct Told(Arc<AtomicU64>);

impl Told {
    pub(crate) fn exchanges(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Witnesses for Told {
    fn of(&self, _: &Arc<FunctionCode>) -> Arc<dyn Witness> {
        Arc::new(Self(Arc::clone(&self.0)))
    }
}

impl Witness for Told {
    fn ended(&self, _: &Ended<'_>) {}
    fn instance(&self, _: &Changed<'_>) {}
    fn optimised(&self, _: Duration) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What a test may set on a function.
pub(crate) struct Settings {
    pub(crate) app: &'static str,
    pub(crate) contract: &'static str,
    pub(crate) file: &'static str,
    pub(crate) timeout: Duration,
    pub(crate) memory_bytes: u64,
    pub(crate) env: &'static [(&'static str, &'static str)],
    pub(crate) max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            app: "test",
            contract: "wasi-http",
            file: "guest.wasm",
            timeout: Duration::from_secs(10),
            memory_bytes: 32 << 20,
            env: &[],
            max: 64,
        }
    }
}

impl Bench {
    /// Opens the host on the running runtime, compiling in this process.
    pub(crate) fn open() -> Self {
        Self::with(Some(false), Vec::new())
    }

    /// The same in a worker process for each app, as if each were of a space of its own.
    pub(crate) fn walled() -> Self {
        Self::walled_with(Some(false))
    }

    /// The same, with slots or without.
    pub(crate) fn walled_with(pooling: Option<bool>) -> Self {
        Self::made(pooling, Vec::new(), Self::workers(Supervision::default()))
    }

    /// The same, supervised in another way and with so much memory for all instances.
    pub(crate) fn supervised(supervision: Supervision, memory_bytes: u64) -> Self {
        let shares = Shares { memory_bytes, ..Shares::here(None) };
        Self::of(Some(false), Vec::new(), Self::workers(supervision), shares)
    }

    fn workers(supervision: Supervision) -> Workers {
        let space_of = |app: &AppName| SpaceName::new(app.as_str()).ok();
        Workers { command: crate::worker::child(), space_of: Arc::new(space_of), supervision }
    }

    /// In this process, and in workers.
    pub(crate) fn both() -> [Self; 2] {
        [Self::open(), Self::walled()]
    }

    pub(crate) fn with(pooling: Option<bool>, compiler: Vec<std::ffi::OsString>) -> Self {
        Self::made(pooling, compiler, Workers::none())
    }

    /// With these workers.
    pub(crate) fn made(pooling: Option<bool>, compiler: Vec<std::ffi::OsString>, workers: Workers) -> Self {
        Self::of(pooling, compiler, workers, Shares::here(None))
    }

    fn of(
        pooling: Option<bool>,
        compiler: Vec<std::ffi::OsString>,
        workers: Workers,
        shares: Shares,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (logs, world, told) =
            (Arc::new(Logs::default()), Arc::new(World::default()), Arc::new(Told::default()));
        let environment = Arc::new(Environment {
            cache_dir: folder.path().join("cache"),
            packs_dir: folder.path().join("cache").join("functions"),
            cache_shared: false,
            work_dir: folder.path().join("work"),
            compiler,
            workers,
            pooling,
            walls: hob_runtime::wall::Choice::Off.into(),
            spawn: Arc::new(Spawner(tokio::runtime::Handle::current())),
            logs: Arc::clone(&logs) as Arc<dyn LogSink>,
            crowd: Crowd::new(shares, Arc::new(Spawner(tokio::runtime::Handle::current()))),
            outbound: Arc::clone(&world) as Arc<dyn Outbound>,
            witnesses: Arc::clone(&told) as Arc<dyn Witnesses>,
            gates: Arc::new(Open),
            instances: Arc::new(AtomicU64::new(1)),
            space: hob_core::name::SpaceName::default_space(),
        });
        let row = HOSTS.iter().find(|row| row.name == "wasm").unwrap();
        let host = (row.open)(&environment).unwrap();
        Self { host, environment, logs, world, told, folder, next: AtomicU64::new(1) }
    }

    /// The same as after a start of the node: nothing is mapped, nothing waits to be optimised.
    pub(crate) fn restart(&mut self) {
        let row = HOSTS.iter().find(|row| row.name == "wasm").unwrap();
        self.host = (row.open)(&self.environment).unwrap();
    }

    /// A function of these bytes; not yet prepared.
    pub(crate) fn code(&self, wasm: &[u8], settings: &Settings) -> Arc<FunctionCode> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let dir = self.folder.path().join(format!("package-{number}"));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(settings.file), wasm).unwrap();
        let file = PackageFile { digest: Digest::of(wasm), size: wasm.len() as u64, executable: false };
        Arc::new(FunctionCode {
            app: AppName::new(settings.app).unwrap(),
            revision: RevisionNumber(1),
            name: FunctionName::new("guest").unwrap(),
            numbered: None,
            spec: FunctionSpec {
                package: BTreeMap::from([(settings.file.to_owned(), file)]),
                env: settings.env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
                timeout_ms: u64::try_from(settings.timeout.as_millis()).unwrap(),
                memory_bytes: settings.memory_bytes,
                scale: ScaleSpec::up_to(settings.max, 16),
                ..FunctionSpec::new("wasm", settings.contract, [settings.file])
            },
            dir,
            cpu: Default::default(),
            given: hob_runtime::code::Given::default(),
        })
    }

    /// Prepares and loads a function after changing what the manifest says of it.
    pub(crate) async fn ready_with(
        &self,
        wasm: &[u8],
        settings: &Settings,
        change: impl FnOnce(&mut FunctionSpec),
    ) -> Result<Function> {
        let mut code = self.code(wasm, settings);
        change(&mut Arc::get_mut(&mut code).unwrap().spec);
        self.host.prepare(&code, &|_| {}).await?;
        let unit = self.host.load(Arc::clone(&code)).await?;
        Ok(Function { unit, code, environment: Arc::clone(&self.environment) })
    }

    /// Waits for a condition.
    pub(crate) async fn eventually(&self, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds() {
            assert!(Instant::now() < deadline, "it never came true; log:\n{}", self.logs.text());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Prepares and loads a function.
    pub(crate) async fn ready(&self, wasm: &[u8], settings: &Settings) -> Result<Function> {
        self.ready_with(wasm, settings, |_| {}).await
    }
}

/// A loaded function.
pub(crate) struct Function {
    pub(crate) unit: Arc<dyn Unit>,
    pub(crate) code: Arc<FunctionCode>,
    environment: Arc<Environment>,
}

/// Status and body of an answer, or the fault's code.
pub(crate) type Outcome = std::result::Result<(u16, String), String>;

impl Function {
    pub(crate) async fn instance(&self) -> Result<Box<dyn Instance>> {
        let start = Start {
            code: Arc::clone(&self.code),
            unit: Arc::clone(&self.unit),
            instance: self.environment.next_instance(),
            environment: Arc::clone(&self.environment),
        };
        contract::find(&self.code.spec.contract).unwrap().start(start).await
    }

    /// One call in an instance of its own, read to the end of its body.
    pub(crate) async fn call(&self, request: http::Request<Body>) -> Outcome {
        let instance = self.instance().await.map_err(|fault| fault.code().to_string())?;
        self.call_in(&*instance, request).await
    }

    pub(crate) async fn call_in(&self, instance: &dyn Instance, request: http::Request<Body>) -> Outcome {
        let (status, body) = self.reply_in(instance, request).await?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    async fn reply_in(
        &self,
        instance: &dyn Instance,
        request: http::Request<Body>,
    ) -> std::result::Result<(u16, Bytes), String> {
        let invocation = self.invocation(request);
        let reply = instance.call(invocation).await.map_err(|fault| fault.code().to_string())?;
        let status = reply.status().as_u16();
        let body = reply.into_body().collect().await.map_err(|fault| fault.code().to_string())?;
        Ok((status, body.to_bytes()))
    }

    pub(crate) fn invocation(&self, request: http::Request<Body>) -> Invocation {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let context = Context {
            id: InvocationId(u128::from(number)),
            trace: TraceContext { trace_id: 7, span_id: number, flags: 1 },
            app: self.code.app.clone(),
            revision: self.code.revision,
            function: self.code.name.clone(),
            deadline: Instant::now() + self.code.spec.timeout(),
            depth: 0,
            hops: 0,
            secure: false,
            peer: None,
            route: None,
            origin: Origin::now(CallCause::Request),
            timing: Timing::default(),
            trail: Trail::default(),
        };
        Invocation { context: Arc::new(context), request }
    }
}

/// `GET /` of `localhost`.
pub(crate) fn get() -> http::Request<Body> {
    http::Request::builder().uri("/?q=1").header("host", "localhost").body(empty()).unwrap()
}
