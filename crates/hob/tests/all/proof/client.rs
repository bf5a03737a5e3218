//! The rows of the table: what comes from which registry, and how it becomes an app.
//!
//! **How.** The functions are in `tests/clients` and `tests/lambda`, as their authors write them. Each app has its function
//! `guest`, the same with a short deadline (`late`) and for many calls (`many`), and where the contract wants another handler
//! for it, one that streams.
//! Packages stay in the target folder, for the next run.

use crate::clients::{JAVASCRIPT, PYTHON, installed, packages_of};
use crate::examples::on_path;
use crate::support::{INSTALLED, Node, finish, write};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) const AWSLAMBDARIC: &str = "awslambdaric==4.2.2";
pub(crate) const BOTO3: &[&str] = &["boto3==1.44.8"];
const WORKERS: &[&str] = &["hono@4.13.19", "itty-router@5.0.24", "esbuild@0.28.2"];
const SPIN_PYTHON: &[&str] = &["componentize-py==0.25.1", "spin-sdk==5.0.0"];
const LAMBDA_PY: &[u8] = include_bytes!("../../clients/lambda.py");
pub(crate) const LAMBDA_MJS: &[u8] = include_bytes!("../../clients/lambda.mjs");
/// A failure of a function whose contract is Lambda's.
const FAILED: &str = "502 HOB-0331";

/// A client or framework.
pub(crate) struct Client {
    /// As the table shows it.
    pub(crate) name: &'static str,
    app: &'static str,
    make: fn(&Node, &str) -> Result<Deployed, String>,
    /// How the answer of a function that fails begins.
    pub(crate) fails: &'static str,
    /// Cases that its own platform does not have, and why.
    pub(crate) none: &'static [(&'static str, &'static str)],
    /// Whether an extension is beside the function, which has to hear of every call.
    pub(crate) watched: bool,
}

/// What there is to ask.
pub(crate) enum Deployed {
    /// An app of this name.
    App(String),
    /// A program that has asked already, and what it said of each case.
    Told(BTreeMap<String, Result<(), String>>),
}

impl Client {
    /// Installs what it needs and deploys its app.
    ///
    /// # Errors
    /// Why it cannot be had here.
    pub(crate) fn deploy(&self, node: &Node) -> Result<Deployed, String> {
        (self.make)(node, self.app)
    }
}

const fn client(
    name: &'static str,
    app: &'static str,
    make: fn(&Node, &str) -> Result<Deployed, String>,
    fails: &'static str,
    none: &'static [(&'static str, &'static str)],
) -> Client {
    Client { name, app, make, fails, none, watched: false }
}

/// Rows of the table. Those that take longest are first to begin.
#[rustfmt::skip]
pub(crate) const CLIENTS: &[Client] = &[
    client("`spin-sdk` 5.0.0 (PyPI)", "spin-python", spin_python, "500 ", &[
        ("stream", "the SDK's `Response` is whole"),
        ("cookies", "the SDK's `Response` has one value for each header"),
    ]),
    client("`lambda_runtime` 1.5.0 (crate)", "lambda-runtime", |node, app| rust(node, app, "plain", "stream"), FAILED, &[]),
    client("`lambda_http` 1.3.2 (crate)", "lambda-http", |node, app| rust(node, app, "web", "web-stream"), FAILED, &[]),
    Client {
        watched: true,
        ..client("`lambda-extension` 1.1.1 (crate), beside `lambda_http`", "lambda-extension",
            |node, app| rust(node, app, "web", "web-stream"), FAILED, &[])
    },
    client("`awslambdaric` 4.2.2 (PyPI)", "awslambdaric", awslambdaric, FAILED, &[
        ("stream", "the client has no streamed answers"),
    ]),
    client("`aws-lambda-ric` 3.3.0 (npm)", "aws-lambda-ric", aws_lambda_ric, FAILED, &[]),
    client("`mangum` 0.22.0 with Starlette (PyPI)", "mangum", mangum, "500 ", &[
        ("stream", "it gives its client the whole answer"),
    ]),
    client("`boto3` 1.44.8 (PyPI)", "boto3", |node, _| front_door(node, "boto3", BOTO3), "", &[]),
    client("`awscli` 1.46.3 (PyPI)", "awscli", |node, _| front_door(node, "awscli", &["awscli==1.46.3"]), "", &[
        ("stream", "the program has no command for streamed answers"),
    ]),
    client("`functions-framework` 3.10.2 (PyPI)", "framework-python", framework_python, "500 ", &[]),
    client("`@google-cloud/functions-framework` 5.0.5 (npm)", "framework-node", framework_node, "500 ", &[]),
    client("`hono` 4.13.19 (npm)", "hono", |node, app| worker(node, app, "hono.js"), "500 ", &[]),
    client("`itty-router` 5.0.24 (npm)", "itty", |node, app| worker(node, app, "itty.ts"), "502 HOB-0342", &[]),
    client("`spin-sdk` 7.0.0 (crate)", "spin-rust", spin_rust, "502 HOB-05", &[]),
];

/// A manifest: functions with their routes and own lines, and lines that all of them have.
fn manifest(app: &str, functions: &[(&str, &str, &str)], all: &str) -> String {
    let mut text = format!("app = \"{app}\"\n");
    for (name, route, own) in functions {
        write!(text, "[functions.{name}]\nroute = {route}\n{all}{own}").unwrap();
    }
    text
}

const GUEST: (&str, &str, &str) =
    ("guest", "\"/*\"", "timeout = \"30s\"\nbody = \"8 MiB\"\nscale = { max = 2 }\n");
const LATE: (&str, &str, &str) = ("late", "\"/sleep\"", "timeout = \"3s\"\nscale = { max = 1 }\n");
/// Without a past: after calls that took long, a queue of a hundred would be too long for their deadline.
const MANY: (&str, &str, &str) = ("many", "\"/hello/*\"", "timeout = \"30s\"\nscale = { max = 2 }\n");

fn deploy(node: &Node, app: &str, manifest: &str, files: &[(&str, &[u8])]) -> Result<Deployed, String> {
    let dir = node.home.path().join(app);
    write(&dir, files);
    write(&dir, &[("hob.toml", manifest.as_bytes())]);
    let done = node.hob(&["deploy", app]);
    assert_eq!(done.code, 0, "{app}: {}\n{manifest}", done.stderr);
    Ok(Deployed::App(app.to_owned()))
}

/// The manifest of a function of AWS Lambda; `stream` is the handler that streams. The time to start is long, since machines
/// that test are often at work.
fn lambda(app: &str, handler: &str, stream: Option<&str>, all: &str) -> String {
    let with = |(name, route, own): (&'static str, &'static str, &str), handler: &str| {
        (
            name,
            route,
            format!("{own}[functions.{name}.lambda]\nhandler = \"{handler}\"\ninit-timeout = \"60s\"\n"),
        )
    };
    let mut functions = vec![with(GUEST, handler), with(LATE, handler), with(MANY, handler)];
    if let Some(stream) = stream {
        functions.push(with(("stream", "[\"/stream\", \"/endless\", \"/broken\"]", ""), stream));
    }
    let functions: Vec<_> =
        functions.iter().map(|(name, route, own)| (*name, *route, own.as_str())).collect();
    manifest(app, &functions, &format!("contract = \"lambda\"\n{all}"))
}

/// The Rust function, built before or now; or why there is none.
pub(crate) fn rust_guest() -> Result<Vec<u8>, String> {
    if !on_path("cargo") {
        return Err("this machine has no `cargo`".to_owned());
    }
    let target = Path::new(INSTALLED).join("lambda-guest");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lambda/Cargo.toml");
    let mut build = Command::new("cargo");
    build
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target);
    let built = build.env_remove("RUSTFLAGS").stdin(Stdio::null()).output().unwrap();
    if !built.status.success() {
        return Err(format!("`cargo` cannot build it here: {}", String::from_utf8_lossy(&built.stderr)));
    }
    Ok(std::fs::read(target.join("debug/guest")).unwrap())
}

fn rust(node: &Node, app: &str, handler: &str, stream: &str) -> Result<Deployed, String> {
    let guest = rust_guest()?;
    let mut files = vec![("bootstrap", guest.as_slice())];
    let mut all = "run = \"bootstrap\"\n".to_owned();
    if app == "lambda-extension" {
        files.push(("extensions/watcher", &guest));
        all += "files = [\"extensions/*\"]\n";
    }
    deploy(node, app, &lambda(app, handler, Some(stream), &all), &files)
}

fn awslambdaric(node: &Node, app: &str) -> Result<Deployed, String> {
    let packages = packages_of(&PYTHON, &[AWSLAMBDARIC])?;
    let all = format!(
        "run = [\"python3\", \"-m\", \"awslambdaric\", \"lambda.handler\"]\nfiles = [\"*.py\"]\nenv = {{ PYTHONPATH = {packages:?} }}\n"
    );
    deploy(node, app, &lambda(app, "lambda.handler", None, &all), &[("lambda.py", LAMBDA_PY)])
}

fn mangum(node: &Node, app: &str) -> Result<Deployed, String> {
    let packages = packages_of(&PYTHON, &[AWSLAMBDARIC, "mangum==0.22.0", "starlette==1.3.1"])?;
    let all = format!(
        "run = [\"python3\", \"-m\", \"awslambdaric\", \"asgi.handler\"]\nfiles = [\"*.py\"]\nenv = {{ PYTHONPATH = {packages:?} }}\n"
    );
    let app_py: &[u8] = include_bytes!("../../clients/asgi.py");
    deploy(node, app, &lambda(app, "asgi.handler", None, &all), &[("asgi.py", app_py)])
}

/// The folder in which `aws-lambda-ric` is installed as `npm install --global --prefix` would; or why it is not.
///
/// **Why not by npm alone.** The package builds libcurl from its source, for which it wants cmake, autoconf, automake and
/// libtool, and minutes. Its own native part takes the compiler seconds, against the libcurl that the machine has.
pub(crate) fn ric() -> Result<PathBuf, String> {
    if let Some(missing) = ["node", "npm", "g++"].into_iter().find(|name| !on_path(name)) {
        return Err(format!("this machine has no `{missing}`"));
    }
    installed("aws-lambda-ric-3.3.0", |folder| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/lambda/ric");
        let mut command = Command::new("sh");
        command.arg(script).arg(folder);
        command
    })
}

fn aws_lambda_ric(node: &Node, app: &str) -> Result<Deployed, String> {
    let main = ric()?.join("lib/node_modules/aws-lambda-ric/bin/index.mjs");
    let program = |handler: &str| format!("run = [\"node\", {main:?}, \"{handler}\"]\nfiles = [\"*.mjs\"]\n");
    // The handler is an argument here, so that each function has a command of its own.
    let text = lambda(app, "lambda.handler", Some("lambda.stream"), &program("lambda.handler"));
    let (others, stream) = text.split_at(text.find("[functions.stream]").unwrap());
    let text = others.to_owned() + &stream.replacen("\"lambda.handler\"]", "\"lambda.stream\"]", 1);
    deploy(node, app, &text, &[("lambda.mjs", LAMBDA_MJS)])
}

/// Runs a program against the front door, which makes its own functions.
fn front_door(node: &Node, name: &str, packages: &[&str]) -> Result<Deployed, String> {
    let packages = packages_of(&PYTHON, packages)?;
    let dir = node.home.path().join(name);
    let files: [(&str, &[u8]); 2] = [
        ("table.py", include_bytes!("../../clients/lambda/table.py")),
        ("bootstrap", include_bytes!("../../clients/lambda/bootstrap")),
    ];
    write(&dir, &files);
    let mut program = front_door_client(node, &dir.join("table.py"), &packages);
    let done = finish(program.arg(name));
    let told = done
        .stdout
        .lines()
        .last()
        .and_then(|line| serde_json::from_str::<BTreeMap<String, String>>(line).ok());
    let told = told.unwrap_or_else(|| panic!("{name}: {}{}", done.stdout, done.stderr));
    let cell = |why: String| if why == "ok" { Ok(()) } else { Err(format!("{why}\n{}", done.stderr)) };
    Ok(Deployed::Told(told.into_iter().map(|(case, why)| (case, cell(why))).collect()))
}

/// A Python program with a key for the node's front door, as `hob key env` gives it.
pub(crate) fn front_door_client(node: &Node, program: &Path, packages: &Path) -> Command {
    let access: serde_json::Value = serde_json::from_str(&node.ok(&["key", "env", "-o", "json"])).unwrap();
    let text =
        |pointer: &str| access.pointer(pointer).and_then(serde_json::Value::as_str).unwrap().to_owned();
    let mut command = Command::new("python3");
    command
        .arg(program)
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("AWS_ENDPOINT_URL_LAMBDA", text("/endpoint"))
        .env("AWS_DEFAULT_REGION", text("/region"))
        .env("AWS_ACCESS_KEY_ID", text("/key/id"))
        .env("AWS_SECRET_ACCESS_KEY", text("/key/secret"))
        .env_remove("HTTP_PROXY")
        .env_remove("http_proxy");
    command
}

/// A function of a Functions Framework that answers requests.
fn framework(node: &Node, app: &str, run: &str, file: (&str, &[u8])) -> Result<Deployed, String> {
    let target = |(name, route, own): (&'static str, &'static str, &str)| {
        (name, route, format!("{own}[functions.{name}.functions-framework]\ntarget = \"hello\"\n"))
    };
    let functions = [target(GUEST), target(LATE), target(MANY)];
    let functions = functions.each_ref().map(|(name, route, own)| (*name, *route, own.as_str()));
    let all = format!("{run}files = [\"{}\"]\ncontract = \"functions-framework\"\n", file.0);
    deploy(node, app, &manifest(app, &functions, &all), &[file])
}

fn framework_python(node: &Node, app: &str) -> Result<Deployed, String> {
    let packages = packages_of(&PYTHON, &["functions-framework==3.10.2"])?;
    let run = format!("run = \"main.py\"\nenv = {{ PYTHONPATH = {packages:?} }}\n");
    framework(node, app, &run, ("main.py", include_bytes!("../../clients/framework.py")))
}

fn framework_node(node: &Node, app: &str) -> Result<Deployed, String> {
    let packages = packages_of(&JAVASCRIPT, &["@google-cloud/functions-framework@5.0.5"])?;
    let main = packages.join("@google-cloud/functions-framework/build/src/main.js");
    let run =
        format!("run = [\"node\", {main:?}, \"--source=index.js\"]\nenv = {{ NODE_PATH = {packages:?} }}\n");
    framework(node, app, &run, ("index.js", include_bytes!("../../clients/framework.js")))
}

/// A router in one file, as `esbuild` makes it.
fn worker(node: &Node, app: &str, source: &str) -> Result<Deployed, String> {
    let modules = packages_of(&JAVASCRIPT, WORKERS)?;
    let dir = node.home.path().join(format!("{app}-source"));
    let files: [(&str, &[u8]); 2] = [
        ("hono.js", include_bytes!("../../clients/workers/hono.js")),
        ("itty.ts", include_bytes!("../../clients/workers/itty.ts")),
    ];
    write(&dir, &files);
    let mut esbuild = Command::new(modules.join(".bin/esbuild"));
    esbuild.current_dir(&dir).env("NODE_PATH", &modules);
    let bundled = finish(esbuild.args([source, "--bundle", "--format=esm", "--outfile=bundle.js"]));
    assert_eq!(bundled.code, 0, "{}", bundled.stderr);
    let bundle = std::fs::read(dir.join("bundle.js")).unwrap();
    let all = "run = \"bundle.js\"\n";
    deploy(node, app, &manifest(app, &[GUEST, LATE, MANY], all), &[("bundle.js", &bundle)])
}

fn spin(node: &Node, app: &str, component: &[u8]) -> Result<Deployed, String> {
    let all = "run = \"guest.wasm\"\ncontract = \"spin\"\n";
    deploy(node, app, &manifest(app, &[GUEST, LATE, MANY], all), &[("guest.wasm", component)])
}

fn spin_rust(node: &Node, app: &str) -> Result<Deployed, String> {
    spin(node, app, include_bytes!("../../../../hob-runtime/tests/guests/built/spin7cases.wasm"))
}

fn spin_python(node: &Node, app: &str) -> Result<Deployed, String> {
    let packages = packages_of(&PYTHON, SPIN_PYTHON)?;
    let source: &[u8] = include_bytes!("../../clients/spin/app.py");
    let name = format!("spin-python-{}", &hob_core::digest::Digest::of(source).to_string()[..16]);
    let built = installed(&name, |folder| {
        write(folder, &[("app.py", source)]);
        let mut command = Command::new(packages.join("bin/componentize-py"));
        command.current_dir(folder).env("PYTHONPATH", &packages);
        command.args(["-w", "spin:up/http-trigger@4.1.0", "componentize", "-p", ".", "-p"]).arg(&packages);
        command.args(["app", "-o", "app.wasm"]);
        command
    })?;
    spin(node, app, &std::fs::read(built.join("app.wasm")).unwrap())
}
