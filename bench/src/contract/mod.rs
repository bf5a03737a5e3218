//! The contracts, each with a function and with what that function is without Hob: one row of [`cases`] each.
//!
//! **Why.** What a contract costs is what Hob adds to the function's own server or runtime. Both are asked in
//! the same rounds of the same run, since a machine drifts.
//!
//! **How.** What a function is alone differs by contract ([`Alone`]): a server is asked directly, a bootstrap for
//! Lambda asks a runtime API in this process ([`runtime_api`]), a program for one call is started for each call
//! ([`each_call`]). Components are served by `wasmtime serve`. Where nothing runs a function without Hob (files,
//! or a machine without wasmtime) bare hyper stands there, which runs no function at all.

pub(crate) mod bootstrap;
mod each_call;
pub(crate) mod emulator;
mod runtime_api;

use crate::client::{Target, once, steady};
use crate::contestant::{CHILD, GUESTS, Guest, Hob, hyper, wasmtime};
use crate::load::Turn;
use crate::peers::Present;
use crate::plan::Plan;
use crate::server::{self, Server};
use crate::{Result, hyper_server};
use each_call::EachCall;
use runtime_api::RuntimeApi;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The app with a function for each contract.
pub(crate) const APP: &str = "contracts";
/// The module of contract `javascript`.
pub(crate) const MODULE: &str = include_str!("../../guests/hello.js");
/// The same as a server of Node's.
pub(crate) const SERVER: &str = include_str!("../../peers/server.js");
/// What both answer with, before the path.
pub(crate) const FROM_MODULE: &str = "hello from javascript";
/// A module of WASI preview 1 for the executor `wagi`.
const WAGI: &[u8] = include_bytes!("../../guests/hello-wagi.wasm");
const FROM_WAGI: &str = "hello from wagi\n";
/// What the CGI program answers with.
pub(crate) const FROM_CGI: &str = "hello from cgi\n";
/// Before the body, in what programs for one call print.
const HEADERS: &str = "content-type: text/plain\n\n";
/// Calls that a bootstrap takes at a time, on both sides.
const LAMBDA_CONCURRENCY: usize = 32;

/// A function, and what it is without Hob.
pub(crate) struct Case<'a> {
    pub(crate) contract: &'static str,
    pub(crate) program: &'static str,
    /// Its name among the functions, and its path.
    pub(crate) name: &'static str,
    /// Below its route.
    rest: &'static str,
    /// Lines of its table in the manifest, `scale` without its braces, and what follows the table.
    lines: String,
    scale: String,
    settings: &'static str,
    expect: String,
    pub(crate) alone: Alone<'a>,
}

/// What a function is without Hob.
#[derive(Clone, Copy)]
pub(crate) enum Alone<'a> {
    /// Bare hyper: the same server as contract `http` has, or nothing but a server.
    Hyper { same: bool },
    /// A component in `wasmtime serve`.
    Wasmtime(&'static Guest),
    /// Node's `http` with this program of Node.
    Node(&'a Path),
    /// A server that is a peer in other scenarios.
    Peer(&'a Present),
    /// A bootstrap that asks this process for events.
    Bootstrap,
    /// The same with an HTTP server in front.
    Emulator,
    /// The CGI program, started for each call.
    Cgi,
    /// `wasmtime run`, started for each call.
    WasmtimeRun(&'a Path),
}

/// The same, started.
pub(crate) enum Direct {
    Server(Server, Arc<Target>),
    Bootstrap(RuntimeApi),
    EachCall(EachCall),
}

/// Every case whose programs are there.
pub(crate) fn cases(plan: &Plan) -> Vec<Case<'_>> {
    let child =
        |word: &str| format!("run = [\"{CHILD}\", \"{word}\"]\nfiles = [\"{CHILD}\"]\nhost = \"process\"\n");
    let new = |contract, program, name, lines, alone, expect| Case {
        contract,
        program,
        name,
        rest: "",
        lines,
        scale: String::new(),
        settings: "",
        expect,
        alone,
    };
    let component = |guest: &'static Guest| match plan.wasmtime {
        Some(_) => Alone::Wasmtime(guest),
        None => Alone::Hyper { same: false },
    };
    let mut all = Vec::new();
    for guest in &GUESTS {
        let lines = format!("run = \"{}.wasm\"\n", guest.name);
        let expect = guest.expect(&format!("/{}", guest.name));
        all.push(new("wasi-http", guest.what, guest.name, lines, component(guest), expect));
    }
    let same = Alone::Hyper { same: true };
    let expect = hyper_server::REPLY.to_owned();
    let http = new("http", "hyper", "http", child("hyper"), same, expect.clone());
    all.push(Case { scale: one_for(1000), ..http });
    if let Some(node) = &plan.node {
        let lines = format!("run = [\"{}\", \"server.js\"]\nfiles = [\"server.js\"]\n", node.display());
        let expect = format!("{FROM_MODULE} /node\n");
        let http = new("http", "Node's `http`", "node", lines, Alone::Node(node), expect);
        all.push(Case { scale: one_for(1000), ..http });
    }
    all.extend(plan.peers.iter().filter_map(framework));
    let stdio = new("stdio", "CGI program in Rust", "cgi", child("cgi"), Alone::Cgi, FROM_CGI.to_owned());
    all.push(Case { scale: "max = 32".to_owned(), ..stdio });
    let alone = plan.wasmtime.as_deref().map_or(Alone::Hyper { same: false }, Alone::WasmtimeRun);
    let lines = "run = \"hello-wagi.wasm\"\n".to_owned();
    let wagi = new("stdio", "module for WAGI", "wagi", lines, alone, FROM_WAGI.to_owned());
    all.push(Case { settings: "stdio = { wagi = true }\n", ..wagi });
    let expect = bootstrap::text("/lambda");
    let lambda = new("lambda", "bootstrap in Rust", "lambda", child("bootstrap"), Alone::Bootstrap, expect);
    all.push(Case { scale: one_for(LAMBDA_CONCURRENCY), ..lambda });
    let (alone, expect) = (Alone::Emulator, bootstrap::text("/lambda-http"));
    let http = new("lambda", "bootstrap in Rust", "lambda-http", child("bootstrap"), alone, expect);
    all.push(Case { scale: one_for(LAMBDA_CONCURRENCY), ..http });
    let lines = "run = \"hello.js\"\n".to_owned();
    let alone = plan.node.as_deref().map_or(Alone::Hyper { same: false }, Alone::Node);
    let expect = format!("{FROM_MODULE} /javascript\n");
    all.push(new("javascript", "hello.js", "javascript", lines, alone, expect));
    let guest = &GUESTS[2];
    let lines = format!("run = \"{}.wasm\"\n", guest.name);
    all.push(new("spin", guest.what, "spin", lines, component(guest), guest.expect("/spin")));
    let lines = "run = \"public\"\n".to_owned();
    let files = new("static", "17 bytes", "static", lines, Alone::Hyper { same: false }, expect_file());
    all.push(Case { rest: "/hello.txt", ..files });
    all
}

fn expect_file() -> String {
    hyper_server::REPLY.to_owned()
}

/// One instance for that many calls at a time.
pub(crate) fn one_for(concurrency: usize) -> String {
    format!("max = 1, concurrency = {concurrency}")
}

/// A Functions Framework, which is asked for the same function with and without Hob.
fn framework(present: &Present) -> Option<Case<'_>> {
    let (name, program, source) = match present.peer.name {
        "Node functions-framework" => ("ff-node", "for Node", "."),
        "Python functions-framework" => ("ff-python", "for Python", present.peer.file),
        _ => return None,
    };
    Some(Case {
        contract: "functions-framework",
        program,
        name,
        rest: "",
        lines: format!(
            "run = [\"{}\", \"--source={source}\"]\nfiles = [\"{}\"]\n",
            present.program.display(),
            present.peer.file
        ),
        scale: one_for(1000),
        settings: "functions-framework = { target = \"main\" }\n",
        expect: present.greeting(&format!("/{name}")),
        alone: Alone::Peer(present),
    })
}

/// Deploys a function for each case; `scale` is added to what each says of itself.
pub(crate) fn deploy(hob: &Hob, cases: &[Case<'_>], scale: &str) -> Result<()> {
    let folder = hob.app_folder(APP)?;
    let mut manifest = format!("app = \"{APP}\"\n");
    for guest in &GUESTS {
        fs::write(folder.join(format!("{}.wasm", guest.name)), guest.bytes)?;
    }
    fs::create_dir_all(folder.join("public"))?;
    fs::write(folder.join("public/hello.txt"), expect_file())?;
    fs::write(folder.join("hello-wagi.wasm"), WAGI)?;
    fs::write(folder.join("hello.js"), MODULE)?;
    fs::write(folder.join("server.js"), SERVER)?;
    fs::copy(std::env::current_exe()?, folder.join(CHILD))?;
    for case in cases {
        if let Alone::Peer(present) = case.alone {
            fs::write(folder.join(present.peer.file), present.peer.code)?;
        }
        let Case { name, contract, lines, settings, .. } = case;
        let route = if case.rest.is_empty() { "" } else { "/*" };
        let scale = [case.scale.as_str(), scale].join(if case.scale.is_empty() { "" } else { ", " });
        let _ = write!(
            manifest,
            "\n[functions.{name}]\ncontract = \"{contract}\"\nroute = \"/{name}{route}\"\n{lines}\
             scale = {{ {} }}\n{settings}",
            scale.trim_end_matches(", ")
        );
    }
    fs::write(folder.join("hob.toml"), manifest)?;
    hob.deploy(&folder).map(drop)
}

impl Case<'_> {
    /// What asks the function through Hob's gateway.
    pub(crate) fn target(&self, hob: &Hob) -> Target {
        let path = format!("/{}{}", self.name, self.rest);
        Target::get(hob.server.address, &format!("{APP}.localhost"), &path, self.expect.clone())
    }
}

impl Alone<'_> {
    /// As the tables name it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Hyper { same: true } => "the same server",
            Self::Hyper { same: false } => "hyper, no function",
            Self::Wasmtime(_) => "`wasmtime serve`",
            Self::Node(_) => "Node's `http`",
            Self::Peer(_) => "the same framework",
            Self::Bootstrap => "a bare runtime API",
            Self::Emulator => "the same behind bare hyper",
            Self::Cgi => "start for each call",
            Self::WasmtimeRun(_) => "`wasmtime run` for each call",
        }
    }

    /// Whether it is no function at all.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Hyper { same: false })
    }

    /// Starts it.
    pub(crate) async fn start(&self, plan: &Plan, folder: &Path) -> Result<Direct> {
        let server = |(server, target)| Direct::Server(server, Arc::new(target));
        Ok(match self {
            Self::Hyper { .. } => server(hyper(plan)?),
            Self::Wasmtime(guest) => server(wasmtime(plan, guest, folder)?.ok_or("wasmtime is not there")?),
            Self::Peer(present) => server(present.start(folder)?),
            Self::Node(program) => {
                let file = folder.join("server.js");
                fs::write(&file, SERVER)?;
                let mut command = plan.server_command(program);
                command.arg(file).env_remove("PORT");
                let node = Server::start(command)?;
                let target =
                    Target::get(node.address, "localhost", "/node", format!("{FROM_MODULE} /node\n"));
                server((node, target))
            }
            Self::Bootstrap => Direct::Bootstrap(RuntimeApi::start(plan, LAMBDA_CONCURRENCY).await?),
            Self::Emulator => {
                let mut command = plan.server_command(&std::env::current_exe()?);
                command.args(["emulator", &LAMBDA_CONCURRENCY.to_string()]);
                let emulator = Server::start(command)?;
                let expect = bootstrap::text(runtime_api::EVENT_PATH);
                let target = Target::get(emulator.address, "localhost", "/", expect);
                server((emulator, target))
            }
            Self::Cgi => {
                let program = std::env::current_exe()?;
                Direct::EachCall(EachCall::new(&program, &["cgi"], format!("{HEADERS}{FROM_CGI}"), plan.pin))
            }
            Self::WasmtimeRun(program) => {
                let file = folder.join("hello-wagi.wasm");
                fs::write(&file, WAGI)?;
                let words = ["run", &file.display().to_string()];
                Direct::EachCall(EachCall::new(program, &words, format!("{HEADERS}{FROM_WAGI}"), plan.pin))
            }
        })
    }

    /// From the start of the program to its first answer.
    pub(crate) async fn first_answer(&self, plan: &Plan, folder: &Path) -> Result<Duration> {
        let begun = Instant::now();
        match self.start(plan, folder).await? {
            // Its files are written before its process starts.
            Direct::Server(server, target) => Ok(server.start + once(&target).await?),
            Direct::EachCall(program) => program.once(),
            Direct::Bootstrap(api) => {
                api.once().await?;
                Ok(begun.elapsed())
            }
        }
    }
}

impl Direct {
    /// Calls in closed loops, with the processor time of whatever answers them.
    pub(crate) async fn turn(&self, calls: usize, time: Duration) -> Result<Turn> {
        let before = self.cpu()?;
        let outcome = match self {
            Self::Server(_, target) => steady(target, calls, time).await?,
            Self::Bootstrap(api) => api.steady(calls, time).await?,
            Self::EachCall(program) => program.steady(calls, time).await?,
        };
        Ok(Turn::of(outcome, self.cpu()?.saturating_sub(before)))
    }

    /// Of the runtime API and of starting programs this process pays the part that Hob's node pays otherwise.
    fn cpu(&self) -> Result<Duration> {
        match self {
            Self::Server(server, _) => Ok(server.cpu()),
            Self::Bootstrap(api) => Ok(server::own_cpu()? + api.cpu()),
            Self::EachCall(_) => server::own_cpu(),
        }
    }
}

/// What the command `cgi` prints: it is the program for one call.
pub(crate) fn cgi() {
    let text = format!("{HEADERS}{FROM_CGI}");
    // Whoever has closed the pipe does not want it.
    drop(std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()));
}
