//! A runtime without a node around it: functions of a few lines, and what they answer.

use crate::ports::{Logs, Spawner};
use crate::skip::{skip, tell};
use hob_core::digest::Digest;
use hob_core::fact::CallCause;
use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::port::{BoxFuture, LogSink, Spawn};
use hob_core::spec::{FunctionSpec, PackageFile, ScaleSpec};
use hob_core::trace::TraceContext;
use hob_runtime::body::{Body, empty, full};
use hob_runtime::code::FunctionCode;
use hob_runtime::crowd::{Crowd, Shares};
use hob_runtime::environment::{Environment, Workers};
use hob_runtime::gate::Open;
use hob_runtime::invocation::{Context, Invocation, Origin, Reply, Timing, Trail};
use hob_runtime::log::Limited;
use hob_runtime::outbound::{Caller, Outbound, ProxyEntry};
use hob_runtime::pool::Pool;
use hob_runtime::runtime::Runtime;
use hob_runtime::wall::{Choice, Wanted};
use hob_runtime::witness::Nobody;
use http_body_util::BodyExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

struct Nowhere;

impl Outbound for Nowhere {
    fn call(&self, _caller: Caller, _request: http::Request<Body>) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(async { Err(Fault::internal("these tests call nobody")) })
    }

    fn enter(&self, _code: &Arc<FunctionCode>, _instance: u64) -> Option<ProxyEntry> {
        None
    }
}

/// A runtime and its surroundings.
pub(crate) struct Bench {
    pub(crate) runtime: Runtime,
    pub(crate) logs: Arc<Logs>,
    pub(crate) limited: Arc<Limited>,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) folder: tempfile::TempDir,
    next: AtomicU64,
}

/// A file of a function's package, executable.
pub(crate) type File<'a> = (&'a str, &'a [u8]);

impl Bench {
    /// As a node is without further words: with walls, where the machine gives them.
    pub(crate) fn open() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap())
    }

    /// With walls through which these folders can be read.
    pub(crate) fn showing(readable: Vec<PathBuf>) -> Self {
        let wanted = Wanted { readable, ..Wanted::default() };
        Self::with(tempfile::tempdir().unwrap(), Shares::here(None), wanted)
    }

    /// Without walls: its programs see the files and the process numbers that the test sees.
    pub(crate) fn bare() -> Self {
        Self::with(tempfile::tempdir().unwrap(), Shares::here(None), Choice::Off)
    }

    /// Whether programs run behind walls; says that the test is skipped when not.
    pub(crate) fn has_walls(&self) -> bool {
        let why = hob_runtime::wall::examine(&self.folder.path().join("examined")).err();
        why.iter().for_each(|why| tell(&this_test(), format_args!("this machine gives no walls: {why}")));
        why.is_none()
    }

    /// Where so many programs may start at a time.
    pub(crate) fn starting(starts: u32) -> Self {
        Self::with(tempfile::tempdir().unwrap(), Shares { starts, ..Shares::here(None) }, Choice::Auto)
    }

    /// With a folder in which something may be left of an earlier node.
    pub(crate) fn in_folder(folder: tempfile::TempDir) -> Self {
        Self::with(folder, Shares::here(None), Choice::Auto)
    }

    fn with(folder: tempfile::TempDir, shares: Shares, walls: impl Into<Wanted>) -> Self {
        let logs = Arc::new(Logs::default());
        let spawn: Arc<dyn Spawn> = Arc::new(Spawner(tokio::runtime::Handle::current()));
        let limited = Limited::new(Arc::clone(&logs) as Arc<dyn LogSink>, Arc::clone(&spawn));
        let crowd = Crowd::new(shares, Arc::clone(&spawn));
        let environment = Environment {
            crowd: Arc::clone(&crowd),
            cache_dir: folder.path().join("cache"),
            packs_dir: folder.path().join("cache").join("functions"),
            cache_shared: false,
            work_dir: folder.path().join("work"),
            compiler: Vec::new(),
            workers: Workers::none(),
            pooling: Some(false),
            walls: walls.into(),
            spawn,
            logs: Arc::clone(&limited) as Arc<dyn LogSink>,
            outbound: Arc::new(Nowhere),
            witnesses: Arc::new(Nobody),
            gates: Arc::new(Open),
            instances: Arc::new(AtomicU64::new(1)),
            space: hob_core::name::SpaceName::default_space(),
        };
        let runtime = Runtime::open(environment).unwrap();
        Self { runtime, logs, limited, crowd, folder, next: AtomicU64::new(1) }
    }

    /// A function that runs `run`, with settings changed by `change`; neither checked nor prepared.
    pub(crate) fn code(
        &self,
        contract: &str,
        run: &[&str],
        files: &[File<'_>],
        change: impl FnOnce(&mut FunctionSpec),
    ) -> Arc<FunctionCode> {
        let dir = self.folder.path().join(format!("package-{}", self.next.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir_all(&dir).unwrap();
        let mut spec = FunctionSpec {
            timeout_ms: 20_000,
            memory_bytes: 256 << 20,
            body_bytes_max: 16 << 20,
            scale: ScaleSpec::up_to(4, 4),
            ..FunctionSpec::new("process", contract, run.iter().copied())
        };
        for (name, bytes) in files {
            std::fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
            std::fs::write(dir.join(name), bytes).unwrap();
            std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
            let file = PackageFile { digest: Digest::of(bytes), size: bytes.len() as u64, executable: true };
            spec.package.insert((*name).to_owned(), file);
        }
        change(&mut spec);
        let (app, name) = (AppName::new("test").unwrap(), FunctionName::new("guest").unwrap());
        Arc::new(FunctionCode {
            app,
            revision: RevisionNumber(1),
            name,
            numbered: None,
            spec,
            dir,
            cpu: Default::default(),
            given: hob_runtime::code::Given::default(),
        })
    }

    /// The pool of a function that has been prepared.
    pub(crate) async fn pool(&self, code: Arc<FunctionCode>) -> Result<Arc<Pool>> {
        self.runtime.prepare(&code, &|_| {}).await?;
        self.runtime.pool(code)
    }

    /// The pool of a shell script that runs once per call.
    pub(crate) async fn script(&self, text: &str, change: impl FnOnce(&mut FunctionSpec)) -> Arc<Pool> {
        let code = self.code("stdio", &["sh", "guest.sh"], &[("guest.sh", text.as_bytes())], change);
        self.pool(code).await.unwrap()
    }

    /// The pool of a Python server.
    pub(crate) async fn server(&self, text: &str, change: impl FnOnce(&mut FunctionSpec)) -> Arc<Pool> {
        let code = self.code("http", &["python3", "guest.py"], &[("guest.py", text.as_bytes())], change);
        self.pool(code).await.unwrap()
    }
}

/// The name of the test that runs; its thread has it.
pub(crate) fn this_test() -> String {
    std::thread::current().name().unwrap_or("a test").to_owned()
}

/// Whether `python3` is there; says that the test is skipped when not.
pub(crate) fn python() -> bool {
    let found = std::process::Command::new("python3").arg("--version").output().is_ok();
    if !found {
        skip(&this_test(), "this machine has no `python3`");
    }
    found
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "it never came true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process runs; one that ended but was not reaped does not.
pub(crate) fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| Some(!stat.rsplit_once(')')?.1.trim_start().starts_with('Z')))
        .unwrap_or(false)
}

/// Whether a process of this machine was started with this command line.
pub(crate) fn is_running(command: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let command = command.replace(' ', "\0");
    processes
        .filter_map(|process| std::fs::read_to_string(process.path().join("cmdline")).ok())
        .any(|line| line.contains(&command))
}

/// Status and body of an answer, or the fault's code.
pub(crate) type Outcome = std::result::Result<(u16, String), String>;

/// An invocation of a pool's function.
pub(crate) fn invocation(pool: &Pool, request: http::Request<Body>) -> Invocation {
    let code = pool.code();
    let context = Context {
        id: InvocationId(0x42),
        trace: TraceContext { trace_id: 7, span_id: 1, flags: 1 },
        app: code.app.clone(),
        revision: code.revision,
        function: code.name.clone(),
        deadline: Instant::now() + code.spec.timeout(),
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

/// One call, read to the end of its answer.
pub(crate) async fn send(pool: &Pool, request: http::Request<Body>) -> Outcome {
    let code = |fault: Fault| fault.code().to_string();
    let reply = pool.call(invocation(pool, request)).await.map_err(code)?;
    let status = reply.status().as_u16();
    let body = reply.into_body().collect().await.map_err(code)?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// `GET <path>`.
pub(crate) async fn get(pool: &Pool, path: &str) -> Outcome {
    let request = http::Request::get(path).header("host", "localhost").body(empty()).unwrap();
    send(pool, request).await
}

/// `POST <path>` with a body.
pub(crate) async fn post(pool: &Pool, path: &str, body: Vec<u8>) -> Outcome {
    let request = http::Request::post(path).header("host", "localhost").header("content-length", body.len());
    send(pool, request.body(full(body)).unwrap()).await
}

/// An outcome in one line: `200 text` or the fault's code.
pub(crate) fn shown(outcome: &Outcome) -> String {
    match outcome {
        Ok((status, body)) => format!("{status} {}", body.trim_end()),
        Err(code) => code.clone(),
    }
}
