//! A node to test, and small clients of it.

use bytes::Bytes;
use hob_core::digest::Digest;
use hob_core::name::{AppName, FunctionName};
use hob_core::spec::{AppSpec, FunctionSpec, PackageFile, RouteSpec, ScaleSpec};
use hob_core::trigger::Triggers;
use hob_core::watch::Watch;
use hob_node::task::Tasks;
use hob_node::{Address, Node, Settings};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// How long anything in these tests may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The token of the control API on TCP.
pub(crate) const TOKEN: &str = "a-token-for-tests";

/// A node with its own data folder.
pub(crate) struct TestNode {
    pub(crate) node: Node,
    pub(crate) address: SocketAddr,
    pub(crate) control: PathBuf,
    pub(crate) tasks: Arc<Tasks>,
    _data: TempDir,
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl Got {
    /// The answer to a `GET` at an address. `target` is `host/path`.
    pub(crate) async fn at(address: SocketAddr, target: &str) -> Self {
        let (host, path) = target.split_at(target.find('/').unwrap());
        let stream = TcpStream::connect(address).await.unwrap();
        exchange(stream, "GET", path, &[("host", host)], Bytes::new()).await.unwrap()
    }

    /// A header as text; empty when it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What nodes log is printed with a test that fails.
fn keep_logs() {
    static KEPT: LazyLock<()> = LazyLock::new(|| {
        // Another part of the tests may have its own.
        let _ = tracing_subscriber::fmt()
            .with_test_writer()
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .try_init();
    });
    LazyLock::force(&KEPT);
}

/// Settings of a node in a fresh folder.
pub(crate) fn settings() -> (Settings, TempDir) {
    keep_logs();
    let data = tempfile::tempdir().unwrap();
    let settings = Settings {
        data: data.path().join("data"),
        cache: None,
        engine: "file".into(),
        http: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        control: vec![Address::Unix(data.path().join("control/hob.sock"))],
        dashboard: hob_node::Dashboard::Off,
        lambda: None,
        domain: "localhost".into(),
        default_app: None,
        compiler: Vec::new(),
        wasm: hob_node::Place::InProcess,
        worker: Vec::new(),
        facts: true,
        pooling: Some(false),
        walls: hob_node::WallChoice::Auto.into(),
        otlp: None,
        memory_bytes: None,
        clients: hob_node::Clients::default(),
        secret_key: None,
        price_per_month: None,
    };
    (settings, data)
}

/// Starts a node; `change` may change its settings.
pub(crate) async fn node(change: impl FnOnce(&mut Settings)) -> TestNode {
    let (mut settings, data) = settings();
    change(&mut settings);
    TestNode::of(Node::start(settings.clone()).await.unwrap(), &settings, data)
}

/// A node with every entrance it can have, and where those beside the gateway are.
pub(crate) async fn with_entrances() -> (TestNode, [(&'static str, SocketAddr); 3]) {
    let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let node = node(|settings| {
        settings.control.push(Address::Tcp(free, "token".to_owned()));
        (settings.dashboard, settings.lambda) = (hob_node::Dashboard::At(free), Some(free));
    })
    .await;
    let at = |url: Option<&str>| url.unwrap().strip_prefix("http://").unwrap().trim_end_matches('/').parse();
    let control = node.node.control().iter().find_map(|address| match address {
        Address::Tcp(address, _) => Some(*address),
        Address::Unix(_) => None,
    });
    let (dashboard, lambda) = (at(node.node.dashboard()).unwrap(), at(node.node.lambda()).unwrap());
    (node, [("control API", control.unwrap()), ("dashboard", dashboard), ("Lambda API", lambda)])
}

impl TestNode {
    /// One request to the gateway, on a connection of its own. `target` is `host/path`.
    pub(crate) async fn get(&self, target: &str) -> Got {
        self.send("GET", target, &[], "").await
    }

    /// One request to the gateway, on a connection of its own. `target` is `host/path`.
    pub(crate) async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Got {
        let (host, path) = target.split_at(target.find('/').unwrap());
        let mut all = vec![("host", host)];
        all.extend_from_slice(headers);
        let stream = TcpStream::connect(self.address).await.unwrap();
        exchange(stream, method, path, &all, Bytes::copy_from_slice(body.as_bytes())).await.unwrap()
    }

    /// One request to the control API.
    pub(crate) async fn control(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Got {
        self.control_with(method, path, &[], body).await
    }

    /// One request to the control API, with headers.
    pub(crate) async fn control_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Got {
        let stream = UnixStream::connect(&self.control).await.unwrap();
        let all = [&[("host", "localhost")], headers].concat();
        let got = exchange(stream, method, path, &all, body.into()).await.unwrap();
        assert!(
            is_documented(method, path, got.status),
            "{method} {path}: the document has no such answer: {got:?}"
        );
        got
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self._data.path().join("data")
    }

    /// A node that was started with these settings.
    pub(crate) fn of(node: Node, settings: &Settings, data: TempDir) -> Self {
        let address = node.url().rsplit('/').next().unwrap().parse().unwrap();
        let Some(Address::Unix(control)) = settings.control.first().cloned() else { panic!("a socket") };
        Self { node, address, control, tasks: Tasks::new(), _data: data }
    }

    /// Stops the node and starts it again on the same data.
    pub(crate) async fn restarted(self, settings: &Settings) -> Self {
        let Self { node, _data: data, .. } = self;
        node.stop().await;
        Self::of(Node::start(settings.clone()).await.unwrap(), settings, data)
    }

    /// Uploads what the app needs and deploys it; the last event as JSON.
    pub(crate) async fn deploy(&self, app: &App) -> serde_json::Value {
        for file in app.files.values() {
            let path = format!("/v1/artifacts/{}", Digest::of(file.as_bytes()));
            let put = self.control("PUT", &path, file.clone()).await;
            assert_eq!(put.status, 204, "{put:?}");
        }
        let spec = serde_json::to_vec(&app.spec()).unwrap();
        let path = format!("/v1/apps/{}/revisions", app.name);
        last_event(&self.control("POST", &path, spec).await)
    }

    /// Deploys what has to succeed; the number of the revision.
    pub(crate) async fn deployed(&self, app: &App) -> u64 {
        let event = self.deploy(app).await;
        assert_eq!(event["event"], "done", "{event}");
        event["revision"].as_u64().unwrap()
    }
}

/// Whether the OpenAPI document says that the operation at a path answers so. What is no operation may be anything.
pub(crate) fn is_documented(method: &str, path: &str, status: u16) -> bool {
    static DOCUMENT: LazyLock<serde_json::Value> = LazyLock::new(hob_node::openapi);
    let asked: Vec<&str> = path.split('?').next().unwrap_or_default().split('/').collect();
    let is_it = |template: &str| {
        let parts: Vec<&str> = template.split('/').collect();
        parts.len() == asked.len()
            && parts
                .iter()
                .zip(&asked)
                .all(|(part, text)| part == text || (part.starts_with('{') && !text.is_empty()))
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    // A path as it is goes before one with names in it.
    let exact = paths.iter().find(|(template, _)| template.split('/').eq(asked.iter().copied()));
    let found = exact.or_else(|| paths.iter().find(|(template, _)| is_it(template)));
    let Some(operation) = found.and_then(|(_, item)| item.get(method.to_ascii_lowercase())) else {
        return true;
    };
    let responses = &operation["responses"];
    !responses[status.to_string()].is_null() || !responses["default"].is_null()
}

/// The last line of newline-delimited JSON.
pub(crate) fn last_event(got: &Got) -> serde_json::Value {
    assert_eq!(got.status, 200, "{got:?}");
    serde_json::from_str(got.body.lines().last().unwrap()).unwrap()
}

/// One request on a connection; the response is read to its end.
pub(crate) async fn exchange<S>(
    stream: S,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<Got, Box<dyn std::error::Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = http::Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body))?;
    let answer = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok::<_, hyper::Error>(Got { status: head.status.as_u16(), headers: head.headers, body })
    };
    let both = async {
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            got = answer.as_mut() => got,
            // The connection may end before the answer has been looked at.
            _ = connection => answer.await,
        }
    };
    Ok(tokio::time::timeout(PATIENCE, both).await??)
}

/// Sends bytes as they are and reads until the node closes, or an answer with this text has come.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8], until: Option<&str>) -> (String, bool) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut got = Vec::new();
    let read = async {
        loop {
            if until.is_some_and(|text| String::from_utf8_lossy(&got).contains(text)) {
                return false;
            }
            // A reset is an end as well.
            if stream.read_buf(&mut got).await.unwrap_or(0) == 0 {
                return true;
            }
        }
    };
    let closed = tokio::time::timeout(PATIENCE, read).await.expect("an answer or an end within a minute");
    (String::from_utf8_lossy(&got).into_owned(), closed)
}

/// An app to deploy.
#[derive(Clone)]
pub(crate) struct App {
    name: String,
    functions: BTreeMap<FunctionName, FunctionSpec>,
    routes: Vec<RouteSpec>,
    triggers: Triggers,
    watch: Watch,
    files: BTreeMap<String, String>,
}

impl App {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            functions: BTreeMap::new(),
            routes: Vec::new(),
            triggers: Triggers::default(),
            watch: Watch::default(),
            files: BTreeMap::new(),
        }
    }

    /// Adds a function that is one file, run by a program, and its routes.
    pub(crate) fn function(
        mut self,
        name: &str,
        contract: &str,
        program: &str,
        text: &str,
        routes: &[&str],
    ) -> Self {
        let file = format!("{name}.txt");
        let package =
            PackageFile { digest: Digest::of(text.as_bytes()), size: text.len() as u64, executable: false };
        let spec = FunctionSpec {
            package: BTreeMap::from([(file.clone(), package)]),
            memory_bytes: 512 << 20,
            scale: ScaleSpec::up_to(8, 16),
            egress: Some(Vec::new()),
            ..FunctionSpec::new("process", contract, [program, file.as_str()])
        };
        let name = FunctionName::new(name).unwrap();
        let of_route = |route: &&str| RouteSpec { route: (*route).into(), function: name.clone() };
        self.routes.extend(routes.iter().map(of_route));
        self.files.insert(file, text.into());
        self.functions.insert(name, spec);
        self
    }

    /// Changes a function's settings.
    pub(crate) fn change(mut self, name: &str, change: impl FnOnce(&mut FunctionSpec)) -> Self {
        change(self.functions.get_mut(name).unwrap());
        self
    }

    /// Adds what `[[on]]`, `[topics]`, `[budget]` and `[[alert]]` of a manifest say, as TOML.
    pub(crate) fn on(mut self, text: &str) -> Self {
        let functions: String =
            self.functions.keys().map(|name| format!("[functions.{name}]\nrun = \"x\"\n")).collect();
        let manifest = hob_core::manifest::parse(&format!("{functions}{text}"), "hob.toml").unwrap();
        let resolve = |function| hob_core::manifest::resolve("hob.toml", function, None, BTreeMap::new());
        let resolved = manifest.functions.iter().map(resolve).collect::<Result<_, _>>().unwrap();
        let app = AppName::new(&self.name).unwrap();
        let spec = hob_core::manifest::assemble(&manifest, app, resolved).unwrap();
        (self.triggers, self.watch) = (spec.triggers, spec.watch);
        self
    }

    /// Sets an environment variable of every function.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        for function in self.functions.values_mut() {
            function.env.insert(name.into(), value.into());
        }
        self
    }

    /// The texts of its files.
    pub(crate) fn texts(&self) -> Vec<&String> {
        self.files.values().collect()
    }

    pub(crate) fn spec(&self) -> AppSpec {
        AppSpec {
            app: AppName::new(&self.name).unwrap(),
            functions: self.functions.clone(),
            routes: self.routes.clone(),
            triggers: self.triggers.clone(),
            watch: self.watch.clone(),
        }
    }
}

/// Whether a program can be started; says which test goes without it if not.
pub(crate) fn has(program: &str, test: &str) -> bool {
    let found = std::process::Command::new(program).arg("--version").output().is_ok();
    if !found {
        crate::skip::skip(test, format_args!("it needs `{program}`"));
    }
    found
}

/// A server on `$PORT` in Python. `handle(self)` returns status, headers and body.
pub(crate) fn python(handle: &str) -> String {
    format!(
        r#"
import http.server, json, os, sys, time, urllib.request

{handle}

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("content-length") or 0)
        self.content = self.rfile.read(length)
        status, headers, body = handle(self)
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer

    def log_message(self, *rest):
        pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#
    )
}
