//! The peers that run functions in other languages: how each is found, configured and started.
//!
//! **How.** One row of [`PEERS`] each. A peer serves as it comes, on a port that was free a moment ago; what it
//! runs is in `bench/peers` and is written beside its configuration. A peer that is not there is skipped, and
//! the reason says how to install it.
//!
//! **Not here:** `wasmtime serve`, which runs the same components as Hob ([`crate::contestant`]).

use crate::Result;
use crate::client::Target;
use crate::server::{self, Server};
use bytes::Bytes;
use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The path at which every peer repeats the request's body.
const ECHO: &str = "/echo";
/// The path at which a peer's function asks another one.
const CALL: &str = "/call";

/// What is known of a peer before it is looked for.
#[derive(Debug)]
pub(crate) struct Peer {
    /// As the tables name it.
    pub(crate) name: &'static str,
    /// The variable that names its program, and the program that is looked for without it.
    variable: &'static str,
    program: &'static str,
    /// How to get it.
    install: &'static str,
    /// The file that it runs.
    pub(crate) file: &'static str,
    pub(crate) code: &'static str,
    greeting: &'static str,
    arguments: fn(&Path, &[SocketAddr]) -> Result<Vec<String>>,
    /// Whether one process runs several functions, which call each other.
    pub(crate) many: bool,
}

pub(crate) static PEERS: [Peer; 4] = [
    Peer {
        name: "workerd",
        variable: "WORKERD",
        program: "workerd",
        install: "npm install --prefix target/peers workerd; \
                  WORKERD=target/peers/node_modules/@cloudflare/workerd-linux-64/bin/workerd",
        file: "worker.js",
        code: include_str!("../peers/worker.js"),
        greeting: "hello from a worker",
        arguments: workerd,
        many: true,
    },
    Peer {
        name: "Deno",
        variable: "DENO",
        program: "deno",
        install: "npm install --prefix target/peers deno; \
                  DENO=target/peers/node_modules/@deno/linux-x64-glibc/deno",
        file: "worker.js",
        code: include_str!("../peers/worker.js"),
        greeting: "hello from a worker",
        arguments: deno,
        many: false,
    },
    Peer {
        name: "Node functions-framework",
        variable: "NODE_FUNCTIONS",
        program: "functions-framework-nodejs",
        install: "npm install --prefix target/peers @google-cloud/functions-framework; \
                  NODE_FUNCTIONS=target/peers/node_modules/.bin/functions-framework-nodejs",
        file: "index.js",
        code: include_str!("../peers/index.js"),
        greeting: "hello from node",
        arguments: node,
        many: false,
    },
    Peer {
        name: "Python functions-framework",
        variable: "PYTHON_FUNCTIONS",
        program: "functions-framework-python",
        install: "python3 -m venv target/peers/python && target/peers/python/bin/pip install functions-framework; \
                  PYTHON_FUNCTIONS=target/peers/python/bin/functions-framework-python",
        file: "main.py",
        code: include_str!("../peers/main.py"),
        greeting: "hello from python",
        arguments: python,
        many: false,
    },
];

/// A peer that is there.
#[derive(Clone, Debug)]
pub(crate) struct Present {
    pub(crate) peer: &'static Peer,
    pub(crate) program: PathBuf,
    /// Whether it runs on the servers' processor alone.
    pin: bool,
}

impl Peer {
    /// The peer's program, or why the peer is skipped.
    pub(crate) fn find(&'static self, none: bool, pin: bool) -> std::result::Result<Present, String> {
        let program = std::env::var_os(self.variable).map_or_else(|| self.program.into(), PathBuf::from);
        // A path has to hold from any folder: servers are started where their files are.
        let program = program.canonicalize().unwrap_or(program);
        let there = |program: &Path| Command::new(program).arg("--version").output().is_ok();
        if none || !there(&program) {
            let (name, shown) = (self.name, program.display());
            return Err(format!("{name}: no `{shown}`; to have it: {}", self.install));
        }
        Ok(Present { peer: self, program, pin })
    }
}

impl Present {
    /// Starts it with one function.
    pub(crate) fn start(&self, folder: &Path) -> Result<(Server, Target)> {
        let (server, mut addresses) = self.start_many(folder, 1)?;
        let address = addresses.remove(0);
        let target = self.hello(address);
        Ok((server, target))
    }

    /// Starts it with several functions, each at an address of its own.
    pub(crate) fn start_many(&self, folder: &Path, functions: usize) -> Result<(Server, Vec<SocketAddr>)> {
        let folder = folder.join(self.peer.program);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(self.peer.file), self.peer.code)?;
        let addresses = free_addresses(functions)?;
        let mut command = server::command(&self.program, self.pin);
        command.args((self.peer.arguments)(&folder, &addresses)?);
        let server = Server::start_at(command, addresses[functions - 1])?;
        Ok((server, addresses))
    }

    /// What asks for its greeting.
    pub(crate) fn hello(&self, address: SocketAddr) -> Target {
        Target::get(address, "localhost", "/hello", self.greeting("/hello"))
    }

    /// What its function answers with at a path.
    pub(crate) fn greeting(&self, path: &str) -> String {
        format!("{} {path}\n", self.peer.greeting)
    }

    /// What sends a body and must get it back.
    pub(crate) fn echo(&self, address: SocketAddr, body: &Bytes) -> Target {
        Target::echo(address, "localhost", ECHO, body)
    }

    /// What asks a function that asks another.
    pub(crate) fn call(&self, address: SocketAddr) -> Target {
        Target::get(address, "localhost", CALL, format!("{} /called\n", self.peer.greeting))
    }
}

/// Addresses at which nobody listens.
fn free_addresses(count: usize) -> Result<Vec<SocketAddr>> {
    let open: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<std::io::Result<_>>()?;
    Ok(open.iter().map(TcpListener::local_addr).collect::<std::io::Result<_>>()?)
}

/// One worker for each address; each is bound to the next one, as `other`.
fn workerd(folder: &Path, addresses: &[SocketAddr]) -> Result<Vec<String>> {
    let (mut services, mut sockets, mut workers) = (String::new(), String::new(), String::new());
    for (index, address) in addresses.iter().enumerate() {
        let next = (index + 1) % addresses.len();
        let _ = writeln!(services, "    (name = \"f{index}\", worker = .f{index}),");
        let _ = writeln!(
            sockets,
            "    (name = \"f{index}\", address = \"{address}\", http = (), service = \"f{index}\"),"
        );
        let _ = writeln!(
            workers,
            "const f{index} :Workerd.Worker = (modules = [(name = \"worker\", esModule = embed \"worker.js\")],\n  \
             compatibilityDate = \"2026-01-01\", bindings = [(name = \"other\", service = \"f{next}\")]);"
        );
    }
    let config = format!(
        "using Workerd = import \"/workerd/workerd.capnp\";\n\
         const config :Workerd.Config = (\n  services = [\n{services}  ],\n  sockets = [\n{sockets}  ],\n);\n{workers}"
    );
    let file = folder.join("config.capnp");
    fs::write(&file, config)?;
    Ok(vec!["serve".to_owned(), file.display().to_string()])
}

fn deno(folder: &Path, addresses: &[SocketAddr]) -> Result<Vec<String>> {
    let file = folder.join("worker.js").display().to_string();
    let (host, port) = (addresses[0].ip().to_string(), addresses[0].port().to_string());
    let words = ["serve", "--no-config", "--no-lock", "--host", &host, "--port", &port, &file];
    Ok(words.map(str::to_owned).to_vec())
}

fn node(folder: &Path, addresses: &[SocketAddr]) -> Result<Vec<String>> {
    let source = format!("--source={}", folder.display());
    Ok(vec![source, "--target=main".to_owned(), format!("--port={}", addresses[0].port())])
}

fn python(folder: &Path, addresses: &[SocketAddr]) -> Result<Vec<String>> {
    let source = folder.join("main.py").display().to_string();
    let (host, port) = (addresses[0].ip().to_string(), addresses[0].port().to_string());
    let words = ["--source", &source, "--target", "main", "--host", &host, "--port", &port];
    Ok(words.map(str::to_owned).to_vec())
}
