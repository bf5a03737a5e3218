//! Deploys, rollbacks and removals are whole: when they fail, when they race and when the node is killed.

mod bounds;
mod density;
mod kill;

use super::{Addresses, Apps, Parts, Report, Step};
use crate::allowance::Allowance;
use crate::bus::Bus;
use crate::hosts::Hosts;
use crate::live::{Live, LiveRevision};
use crate::logs::Logs;
use crate::secrets::{Keys, Secrets};
use crate::task::Tasks;
use crate::telemetry::Telemetry;
use hob_bus::{Engine, EngineSettings};
use hob_core::digest::Digest;
use hob_core::fact::CallCause;
use hob_core::fault::Result;
use hob_core::id::InvocationId;
use hob_core::limit::REVISIONS_KEPT_MAX;
use hob_core::name::{AppName, FunctionName, RevisionNumber, SecretName};
use hob_core::port::BoxFuture;
use hob_core::spec::{AppSpec, FunctionSpec, PackageFile, RouteSpec, ScaleSpec};
use hob_core::trace::TraceContext;
use hob_core::wire::Deployed;
use hob_runtime::body::{Body, empty};
use hob_runtime::code::FunctionCode;
use hob_runtime::crowd::{Crowd, Shares};
use hob_runtime::environment::{Environment, Workers};
use hob_runtime::gate::Open;
use hob_runtime::invocation::{Context, Invocation, Origin, Reply, Timing, Trail};
use hob_runtime::outbound::{Caller, Outbound, ProxyEntry};
use hob_runtime::runtime::Runtime;
use hob_runtime::witness::Nobody;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A component of WASI 0.2 without code; see `tests/guests` of `hob-runtime`.
const COMPONENT: &str = include_str!("../../../hob-runtime/tests/guests/http02.wat");

/// Functions of these tests call nobody.
struct Alone;

impl Outbound for Alone {
    fn call(&self, _caller: Caller, _request: http::Request<Body>) -> BoxFuture<'_, Result<Reply>> {
        unreachable!("functions of these tests call nobody")
    }
    fn enter(&self, _code: &Arc<FunctionCode>, _instance: u64) -> Option<ProxyEntry> {
        None
    }
}

/// The apps of a node without its servers.
struct Desk {
    apps: Arc<Apps>,
    live: Arc<Live>,
    tasks: Arc<Tasks>,
}

impl Desk {
    fn open(data: &Path, engine: &str, observe: impl Fn(Step) + Send + Sync + 'static) -> Self {
        Self::over(data, hob_bus::open(engine, &EngineSettings::new(data)).unwrap(), observe)
    }

    fn over(data: &Path, engine: Engine, observe: impl Fn(Step) + Send + Sync + 'static) -> Self {
        let (live, tasks) = (Arc::new(Live::default()), Tasks::new());
        let environment = Environment {
            crowd: Crowd::new(Shares::here(None), Arc::clone(&tasks) as _),
            cache_dir: data.join("cache"),
            packs_dir: data.join("cache/functions"),
            cache_shared: false,
            work_dir: data.join("work"),
            compiler: Vec::new(),
            workers: Workers::none(),
            pooling: Some(false),
            walls: hob_runtime::wall::Choice::Auto.into(),
            spawn: Arc::clone(&tasks) as _,
            logs: Logs::new(),
            witnesses: Arc::new(Nobody),
            gates: Arc::new(Open),
            outbound: Arc::new(Alone),
            instances: Arc::new(AtomicU64::new(1)),
            space: hob_core::name::SpaceName::default_space(),
        };
        let parts = Parts {
            secrets: Arc::new(Secrets::none(
                hob_core::name::SpaceName::default_space(),
                Arc::clone(&engine.state),
                Keys::open(data, None).unwrap(),
                Arc::default(),
            )),
            state: Arc::clone(&engine.state),
            blobs: engine.blobs,
            bus: Bus::new(
                Arc::clone(&engine.log),
                engine.state,
                Telemetry::start(Arc::clone(&engine.facts), true, Arc::default(), &tasks),
                Allowance::unlimited(&engine.log, &engine.facts, &tasks),
            ),
            runtime: Arc::new(Runtime::open(environment).unwrap()),
            spawn: Arc::clone(&tasks) as _,
            live: Arc::clone(&live),
            packages: data.join("packages"),
            addresses: Addresses { secure: false, domain: "localhost".into(), port: 8080 },
            claims: Hosts::new("localhost").of(&hob_core::name::SpaceName::default_space()),
        };
        let apps = Apps::observed(parts, Box::new(observe)).unwrap();
        Self { apps, live, tasks }
    }

    fn quiet(data: &Path, engine: &str) -> Self {
        Self::open(data, engine, |_| ())
    }

    async fn close(self) {
        self.apps.stop(Duration::ZERO).await;
        self.tasks.stop().await;
    }

    async fn upload(&self, app: &App) {
        for text in app.files.iter() {
            let mut upload = self.apps.upload().await.unwrap();
            upload.write(text.as_bytes()).await.unwrap();
            self.apps.publish(upload, Digest::of(text.as_bytes())).await.unwrap();
        }
    }

    async fn deploy(&self, app: &App) -> Result<Deployed> {
        self.upload(app).await;
        self.apps.deploy(app.spec.clone(), quiet()).await
    }

    async fn rollback(&self, to: Option<u32>) -> Result<Deployed> {
        self.apps.rollback(&desk(), to.map(RevisionNumber), quiet()).await
    }

    /// The app as calls and clients see it: `current: kept numbers: status of each function`.
    async fn show(&self) -> String {
        let Some(app) = self.live.load().app("desk").cloned() else { return "none".into() };
        let info = self.apps.get(&desk()).unwrap();
        assert_eq!(info.current, app.current.number);
        let kept: Vec<String> = info.revisions.iter().rev().map(|r| r.revision.to_string()).collect();
        let mut answers = Vec::new();
        for name in app.current.spec.functions.keys() {
            answers.push(call(&app.current, name).await);
        }
        format!("{}: {}: {}", info.current, kept.join(" "), answers.join(" "))
    }
}

fn quiet() -> Report {
    Arc::new(|_| ())
}

fn desk() -> AppName {
    AppName::new("desk").unwrap()
}

async fn call(revision: &Arc<LiveRevision>, name: &FunctionName) -> String {
    let context = Context {
        id: InvocationId(1),
        trace: TraceContext { trace_id: 1, span_id: 1, flags: 0 },
        app: revision.app.clone(),
        revision: revision.number,
        function: name.clone(),
        deadline: Instant::now() + PATIENCE,
        depth: 0,
        hops: 0,
        secure: false,
        peer: None,
        route: None,
        origin: Origin::now(CallCause::Request),
        timing: Timing::default(),
        trail: Trail::default(),
    };
    let request = http::Request::builder().uri("/").header("host", "desk.localhost").body(empty()).unwrap();
    let pool = revision.functions.get(name).unwrap();
    match pool.call(Invocation { context: Arc::new(context), request }).await {
        Ok(reply) => reply.status().as_u16().to_string(),
        Err(fault) => fault.to_string(),
    }
}

/// An app and the text of its files.
#[derive(Clone)]
struct App {
    spec: AppSpec,
    files: BTreeSet<String>,
}

impl App {
    fn new(name: &str) -> Self {
        let (functions, routes) = (BTreeMap::new(), Vec::new());
        let spec = AppSpec {
            app: AppName::new(name).unwrap(),
            functions,
            routes,
            triggers: Default::default(),
            watch: Default::default(),
        };
        Self { spec, files: BTreeSet::new() }
    }

    /// The app `desk` of two functions which both answer with this status.
    fn answering(status: u16) -> Self {
        let text = component(status);
        Self::new("desk").function("stats", &text).function("triage", &text).route("/*", "triage")
    }

    fn function(mut self, name: &str, text: &str) -> Self {
        let package =
            PackageFile { digest: Digest::of(text.as_bytes()), size: text.len() as u64, executable: false };
        let spec = FunctionSpec {
            package: BTreeMap::from([("main.wat".to_owned(), package)]),
            memory_bytes: 32 << 20,
            scale: ScaleSpec::up_to(8, 1),
            egress: Some(Vec::new()),
            ..FunctionSpec::new("wasm", "wasi-http", ["main.wat"])
        };
        self.spec.functions.insert(FunctionName::new(name).unwrap(), spec);
        self.files.insert(text.to_owned());
        self
    }

    fn route(mut self, route: &str, function: &str) -> Self {
        let function = FunctionName::new(function).unwrap();
        self.spec.routes.push(RouteSpec { route: route.into(), function });
        self
    }

    fn change(mut self, function: &str, change: impl FnOnce(&mut FunctionSpec)) -> Self {
        change(self.spec.functions.get_mut(function).unwrap());
        self
    }
}

fn component(status: u16) -> String {
    let handle = format!(
        "(func (export \"handle\") (param $req i32) (param $out i32)
           (call $answer (local.get $out) (call $fields) (i32.const {status})))"
    );
    COMPONENT.replace(";;GUEST\n", &handle)
}

/// Waits for a condition.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Artifacts and packages on disk, without what is half made. What is compiled is of artifacts that are there.
fn on_disk(data: &Path) -> (usize, usize) {
    let list = |path: &Path| -> Vec<_> {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    };
    let files = |path: &Path| fs::read_dir(path).unwrap().count();
    assert_eq!(files(&data.join("packages/incoming")), 0, "a half package");
    let artifacts = list(&data.join("artifacts")).iter().map(|folder| files(folder)).sum();
    let compiled = fs::read_dir(data.join("cache/wasm")).unwrap().map(|entry| entry.unwrap().path());
    let compiled = compiled.filter(|path| path.extension().is_some_and(|found| found == "cwasm")).count();
    assert!(compiled <= artifacts, "{compiled} compiled files of {artifacts} artifacts");
    (artifacts, list(&data.join("packages")).len() - 1)
}

/// Tells a story on each engine: a change, its outcome, and what is served then.
async fn check(story: &[(&str, &str, &str)]) {
    for engine in ["memory", "file"] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut node = Desk::quiet(&data, engine);
        for (line, outcome, shown) in story {
            let (verb, number) =
                line.split_once(' ').map_or((*line, None), |(v, n)| (v, n.parse::<u16>().ok()));
            let done = match verb {
                "deploy" => node.deploy(&App::answering(number.unwrap_or(200))).await,
                "rollback" => node.rollback(number.map(u32::from)).await,
                "remove" => node.apps.remove(&desk()).await.map(|()| gone()),
                _ if engine == "file" => {
                    node.close().await;
                    node = Desk::quiet(&data, engine);
                    node.apps.restore().await.map(|()| gone())
                }
                _ => Ok(gone()),
            };
            let done = done.map_or_else(|fault| fault.code().to_string(), |deployed| summary(&deployed));
            assert_eq!((done.as_str(), node.show().await.as_str()), (*outcome, *shown), "{engine}: {line}");
        }
        node.close().await;
    }
}

fn gone() -> Deployed {
    let (app, revision) = (desk(), RevisionNumber(0));
    Deployed { app, revision, previous: None, changed: true, url: String::new(), took_ms: 0 }
}

fn summary(deployed: &Deployed) -> String {
    let from = deployed.previous.map_or_else(|| "-".to_owned(), |previous| previous.to_string());
    match deployed {
        Deployed { changed: false, revision, .. } => format!("{revision} unchanged"),
        Deployed { revision: RevisionNumber(0), .. } => "done".to_owned(),
        Deployed { revision, .. } => format!("{from} to {revision}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_moves_as_a_whole_and_back_and_survives_a_restart() {
    check(&[
        ("rollback", "HOB-0351", "none"),
        ("remove", "HOB-0351", "none"),
        ("deploy 201", "- to 1", "1: 1: 201 201"),
        ("deploy 201", "1 unchanged", "1: 1: 201 201"),
        ("rollback", "HOB-0355", "1: 1: 201 201"),
        ("deploy 202", "1 to 2", "2: 1 2: 202 202"),
        ("deploy 201", "2 to 3", "3: 1 2 3: 201 201"),
        ("restart", "done", "3: 1 2 3: 201 201"),
        ("rollback", "3 to 2", "2: 1 2 3: 202 202"),
        ("rollback", "2 to 1", "1: 1 2 3: 201 201"),
        ("rollback 9", "HOB-0352", "1: 1 2 3: 201 201"),
        ("restart", "done", "1: 1 2 3: 201 201"),
        ("deploy 203", "1 to 4", "4: 1 2 3 4: 203 203"),
        ("rollback", "4 to 1", "1: 1 2 3 4: 201 201"),
        ("remove", "done", "none"),
        ("restart", "done", "none"),
        ("deploy 204", "- to 1", "1: 1: 204 204"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_that_fails_changes_nothing_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let node = Desk::quiet(folder.path(), "file");
    let other = App::new("other").function("shop", &component(200)).route("shop.example.com/*", "shop");
    node.deploy(&other).await.unwrap();
    node.deploy(&App::answering(201)).await.unwrap();
    let next = App::answering(202);
    let mut missing = next.clone().function("lost", "never uploaded");
    missing.files.remove("never uploaded");
    for (app, code, names) in [
        (missing, "HOB-0204", "`main.wat` of function `lost`"),
        (next.clone().function("broken", "(component (nonsense))"), "HOB-0303", ""),
        (next.clone().route("shop.example.com/pay", "triage"), "HOB-0106", "`other`"),
        (next.clone().route("/*", "stats"), "HOB-0106", "/*"),
        (next.clone().route("no slash", "stats"), "HOB-0105", "no slash"),
        (next.clone().change("stats", |stats| stats.host = "moon".into()), "HOB-0103", "moon"),
        (next.clone().change("stats", |stats| stats.contract = "pigeon".into()), "HOB-0103", "pigeon"),
        (App::new("desk"), "HOB-0107", "desk"),
    ] {
        let fault = node.deploy(&app).await.unwrap_err();
        assert_eq!(fault.code().text(), code, "{fault}");
        assert!(fault.to_string().contains(names), "{fault}");
        assert_eq!(node.show().await, "1: 1: 201 201", "{code}");
        eventually("the packages of the failed deploy go", || on_disk(folder.path()).1 == 2).await;
    }
    assert_eq!(summary(&node.deploy(&next).await.unwrap()), "1 to 2");
    node.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_deploys_of_one_app_at_once_are_refused_and_of_two_apps_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let node = Desk::quiet(folder.path(), "memory");
    let turn = node.apps.turn(&desk()).unwrap();
    let fault = node.deploy(&App::answering(201)).await.unwrap_err();
    assert_eq!(fault.code().text(), "HOB-0354");
    node.deploy(&App::new("other").function("shop", &component(200))).await.unwrap();
    drop(turn);
    node.deploy(&App::answering(201)).await.unwrap();
    node.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_apps_that_claim_one_host_at_once_one_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = Desk::quiet(folder.path(), "memory");
    let claim = |name| App::new(name).function("shop", &component(200)).route("a.example.com/*", "shop");
    let (one, two) = (claim("one"), claim("two"));
    let (one, two) = tokio::join!(node.deploy(&one), node.deploy(&two));
    let lost = if one.is_ok() { two.unwrap_err() } else { two.and(one).unwrap_err() };
    assert_eq!(lost.code().text(), "HOB-0106", "{lost}");
    node.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_starts_without_a_secret_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let node = Desk::quiet(folder.path(), "memory");
    let (name, secrets) = (SecretName::new("API_KEY").unwrap(), Arc::clone(&node.apps.secrets));
    secrets.set((&desk(), &name), "hunter22", false, "owner".into()).await.unwrap();
    let naming =
        App::answering(201).change("stats", |stats| stats.secrets = std::iter::once(name.clone()).collect());
    node.deploy(&naming).await.unwrap();
    node.deploy(&App::answering(202)).await.unwrap();
    let stats = FunctionName::new("stats").unwrap();
    let first = || node.live.load().app("desk").unwrap().kept[&RevisionNumber(1)].clone();

    secrets.remove(&desk(), &name).await.unwrap();
    node.apps.renew(&desk(), &name).await.unwrap();
    let answer = call(&first(), &stats).await;
    assert!(answer.starts_with("HOB-0730") && answer.contains("API_KEY"), "{answer}");
    assert_eq!(node.rollback(Some(1)).await.unwrap_err().code().text(), "HOB-0730");
    assert_eq!(node.show().await, "2: 1 2: 202 202");

    secrets.set((&desk(), &name), "hunter23", false, "owner".into()).await.unwrap();
    node.apps.renew(&desk(), &name).await.unwrap();
    assert_eq!(call(&first(), &stats).await, "201", "it is there again");
    node.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_revision_lives_until_its_last_call_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let node = Desk::quiet(folder.path(), "memory");
    node.deploy(&App::answering(201)).await.unwrap();
    let held = Arc::clone(&node.live.load().app("desk").unwrap().current);
    for n in 0..=REVISIONS_KEPT_MAX {
        let env = |stats: &mut FunctionSpec| drop(stats.env.insert("N".into(), n.to_string()));
        node.deploy(&App::answering(202).change("stats", env)).await.unwrap();
    }
    let kept = node.apps.get(&desk()).unwrap().revisions;
    assert_eq!((kept.len(), kept.last().unwrap().revision), (REVISIONS_KEPT_MAX, RevisionNumber(3)));
    // It is shown no longer, but serves who holds it, from its package.
    for name in held.spec.functions.keys() {
        assert_eq!(call(&held, name).await, "201");
    }
    assert_eq!(on_disk(folder.path()).1, 2);
    drop(held);
    eventually("the package of the dropped revision goes", || on_disk(folder.path()).1 == 1).await;
    node.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_current_revision_keeps_a_minimum_of_instances() {
    let folder = tempfile::tempdir().unwrap();
    let node = Desk::quiet(folder.path(), "memory");
    let minimum = |app: App| app.change("stats", |stats| stats.scale.min = 2);
    let minimum_of = |number: u32| {
        let app = node.live.load().app("desk").cloned().unwrap();
        app.kept[&RevisionNumber(number)].functions.get("stats").unwrap().code().spec.scale.min
    };
    node.deploy(&minimum(App::answering(201))).await.unwrap();
    assert_eq!(minimum_of(1), 2);
    node.deploy(&minimum(App::answering(202))).await.unwrap();
    assert_eq!((minimum_of(1), minimum_of(2)), (0, 2));
    node.rollback(None).await.unwrap();
    assert_eq!((minimum_of(1), minimum_of(2), node.show().await.as_str()), (2, 0, "1: 1 2: 201 201"));
    let spec = node.apps.revision(&desk(), RevisionNumber(2)).unwrap().spec;
    assert_eq!(spec.functions["stats"].scale.min, 2, "what was deployed is what is shown");
    node.close().await;
}
