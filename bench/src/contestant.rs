//! The servers that are compared, and the guests that they serve.

use crate::client::{Target, once};
use crate::control::Control;
use crate::plan::Plan;
use crate::publish::hob::{ON_DISK, Route};
use crate::server::Server;
use crate::{Result, hyper_server};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The app that the bench deploys.
pub(crate) const APP: &str = "bench";
/// The function that is a child process.
pub(crate) const CHILD: &str = "child";

/// A component; `bench/guests/README.md` says how each was made.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) bytes: &'static [u8],
    greeting: &'static str,
    /// Whether the reply repeats the path that was asked for.
    echoes_path: bool,
}

pub(crate) static GUESTS: [Guest; 3] = [
    Guest {
        name: "wat",
        what: "hand-written, WASI 0.2, 4 KB",
        bytes: include_bytes!("../guests/hello-wat.wasm"),
        greeting: "hello from wat",
        echoes_path: false,
    },
    Guest {
        name: "rust",
        what: "Rust, WASI 0.2, 46 KB",
        bytes: include_bytes!("../guests/hello-rust.wasm"),
        greeting: "hello from rust",
        echoes_path: true,
    },
    Guest {
        name: "rust-p3",
        what: "Rust, WASI 0.3, 69 KB",
        bytes: include_bytes!("../guests/hello-rust-p3.wasm"),
        greeting: "hello from rust p3",
        echoes_path: true,
    },
];

/// What works for its reply: echo, a call to another function, a loop without end.
#[derive(Debug)]
pub(crate) struct Worker {
    /// The function's name.
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    bytes: &'static [u8],
    /// The guest that it calls.
    pub(crate) callee: &'static Guest,
}

pub(crate) static WORKERS: [Worker; 2] = [
    Worker {
        name: "echo",
        what: "Rust, WASI 0.2",
        bytes: include_bytes!("../guests/echo-rust.wasm"),
        callee: &GUESTS[1],
    },
    Worker {
        name: "echo-p3",
        what: "Rust, WASI 0.3",
        bytes: include_bytes!("../guests/echo-rust-p3.wasm"),
        callee: &GUESTS[2],
    },
];

impl Guest {
    /// What it answers with at a path.
    pub(crate) fn expect(&self, path: &str) -> String {
        if self.echoes_path { format!("{} {path}\n", self.greeting) } else { format!("{}\n", self.greeting) }
    }

    /// A target that asks this guest, wherever it runs.
    pub(crate) fn target(&self, server: &Server, host: String, path: String) -> Target {
        Target::get(server.address, &host, &path, self.expect(&path))
    }
}

/// The limit.
pub(crate) fn hyper(plan: &Plan) -> Result<(Server, Target)> {
    let mut command = plan.server_command(&std::env::current_exe()?);
    command.arg("hyper").env_remove("PORT");
    let server = Server::start(command)?;
    let target = Target::get(server.address, "localhost", "/hyper", hyper_server::REPLY.to_owned());
    Ok((server, target))
}

/// `wasmtime serve` as it comes; `None` when it is skipped.
pub(crate) fn wasmtime_serve(plan: &Plan, name: &str, bytes: &[u8], folder: &Path) -> Result<Option<Server>> {
    let Some(program) = &plan.wasmtime else { return Ok(None) };
    let file = folder.join(format!("{name}.wasm"));
    fs::write(&file, bytes)?;
    let mut command = plan.server_command(program);
    command.args(["serve", "--addr", "127.0.0.1:0"]).arg(file);
    Server::start(command).map(Some)
}

/// The same with a worker.
pub(crate) fn wasmtime_worker(plan: &Plan, worker: &Worker, folder: &Path) -> Result<Option<Server>> {
    wasmtime_serve(plan, worker.name, worker.bytes, folder)
}

/// The same with a guest, and what asks it.
pub(crate) fn wasmtime(plan: &Plan, guest: &Guest, folder: &Path) -> Result<Option<(Server, Target)>> {
    let Some(server) = wasmtime_serve(plan, guest.name, guest.bytes, folder)? else { return Ok(None) };
    let target = guest.target(&server, "localhost".to_owned(), format!("/{}", guest.name));
    Ok(Some((server, target)))
}

/// A Hob node with a data folder of its own.
#[derive(Debug)]
pub(crate) struct Hob {
    pub(crate) server: Server,
    pub(crate) control: Control,
    plan: Plan,
    /// The socket and the apps' folders.
    folder: TempDir,
    /// The data folder, on the disk that is measured.
    data: TempDir,
}

impl Hob {
    /// A node without any app.
    pub(crate) fn start(plan: &Plan) -> Result<Self> {
        Self::start_with(plan, &[])
    }

    /// The same with more flags for `hob serve`.
    pub(crate) fn start_with(plan: &Plan, flags: &[&str]) -> Result<Self> {
        let folder = TempDir::with_prefix("hob-bench-")?;
        let data = plan.folder_on_disk()?;
        let control = Control::new(folder.path().join("control.sock"));
        let mut command = serve(plan, data.path(), &control);
        command.args(flags);
        let server = Server::start(command)?;
        Ok(Self { server, control, plan: plan.clone(), folder, data })
    }

    /// Stops the node and starts it again over the same data.
    pub(crate) fn restart(self) -> Result<Self> {
        let Self { server, control, plan, folder, data } = self;
        server.stop()?;
        let server = Server::start(serve(&plan, data.path(), &control))?;
        Ok(Self { server, control, plan, folder, data })
    }

    /// Kills the node with SIGKILL and starts it again over the same data.
    pub(crate) fn kill_and_start(self) -> Result<Self> {
        let Self { server, control, plan, folder, data } = self;
        drop(server);
        let server = Server::start(serve(&plan, data.path(), &control))?;
        Ok(Self { server, control, plan, folder, data })
    }

    /// A new, empty folder for an app's files.
    pub(crate) fn app_folder(&self, app: &str) -> Result<PathBuf> {
        let folder = self.folder.path().join("apps").join(app);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Deploys an app's folder with `hob deploy`; returns how long that took.
    pub(crate) fn deploy(&self, folder: &Path) -> Result<Duration> {
        let started = Instant::now();
        let output = std::process::Command::new(&self.plan.hob)
            .arg("deploy")
            .arg(folder)
            .env("HOB_CONTROL", self.control.address())
            .output()?;
        if !output.status.success() {
            return Err(format!("hob deploy failed:\n{}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(started.elapsed())
    }

    /// Deploys every guest and the child; another `mark` makes another revision of the same code.
    pub(crate) fn deploy_guests(&self, mark: usize, idle: &str) -> Result<()> {
        let folder = self.app_folder(APP)?;
        let mut manifest = format!("app = \"{APP}\"\n");
        for guest in &GUESTS {
            let file = format!("{}.wasm", guest.name);
            fs::write(folder.join(&file), guest.bytes)?;
            let _ = write!(
                manifest,
                "\n[functions.{0}]\nrun = \"{file}\"\nroute = \"/{0}\"\nenv = {{ MARK = \"{mark}\" }}\n",
                guest.name
            );
        }
        let _ = write!(
            manifest,
            "\n[functions.{CHILD}]\nrun = [\"{CHILD}\", \"hyper\"]\nhost = \"process\"\ncontract = \"http\"\n\
             route = \"/{CHILD}\"\nenv = {{ MARK = \"{mark}\" }}\n\
             scale = {{ max = 1, concurrency = 1000, idle = \"{idle}\" }}\n"
        );
        if mark == 0 {
            fs::copy(std::env::current_exe()?, folder.join(CHILD))?;
        }
        fs::write(folder.join("hob.toml"), manifest)?;
        self.deploy(&folder).map(drop)
    }

    /// Deploys an app of the workers, the guests that they call and the child. `more` is added to each worker's
    /// section of the manifest.
    pub(crate) fn deploy_workers(&self, app: &str, more: &str) -> Result<()> {
        let folder = self.app_folder(app)?;
        let mut manifest = format!("app = \"{app}\"\n");
        for worker in &WORKERS {
            for (name, bytes, more) in
                [(worker.name, worker.bytes, more), (worker.callee.name, worker.callee.bytes, "")]
            {
                fs::write(folder.join(format!("{name}.wasm")), bytes)?;
                let _ = write!(manifest, "\n[functions.{name}]\nrun = \"{name}.wasm\"\n{more}");
            }
        }
        let _ = write!(
            manifest,
            "\n[functions.{CHILD}]\nrun = [\"{CHILD}\", \"hyper\"]\nhost = \"process\"\ncontract = \"http\"\n\
             scale = {{ max = 1, concurrency = 1000 }}\n"
        );
        fs::copy(std::env::current_exe()?, folder.join(CHILD))?;
        fs::write(folder.join("hob.toml"), manifest)?;
        self.deploy(&folder).map(drop)
    }

    /// The host at which a function is reached that has no route.
    pub(crate) fn host(&self, app: &str, function: &str) -> String {
        format!("{function}--{app}.localhost")
    }

    /// Deploys an app whose functions are all guests; `triggers` goes into its manifest.
    pub(crate) fn deploy_with_triggers(&self, guests: &[&Guest], triggers: &str) -> Result<()> {
        let folder = self.app_folder(APP)?;
        let mut manifest = format!("app = \"{APP}\"\n");
        for guest in guests {
            let name = guest.name;
            fs::write(folder.join(format!("{name}.wasm")), guest.bytes)?;
            let _ = write!(manifest, "\n[functions.{name}]\nrun = \"{name}.wasm\"\nroute = \"/{name}\"\n");
        }
        fs::write(folder.join("hob.toml"), format!("{manifest}\n{triggers}"))?;
        self.deploy(&folder).map(drop)
    }

    /// The event route at `/events/<topic>`, which publishes to that topic.
    pub(crate) fn route(&self, topic: &str, batch: usize) -> Route {
        Route {
            address: self.server.address,
            host: format!("{APP}.localhost"),
            path: format!("/events/{topic}"),
            topic: topic.to_owned(),
            control: self.control.clone(),
            mark: ON_DISK,
            batch,
        }
    }

    /// What asks one guest through the gateway.
    pub(crate) fn guest(&self, guest: &Guest) -> Target {
        guest.target(&self.server, format!("{APP}.localhost"), format!("/{}", guest.name))
    }

    /// What asks the child through the gateway.
    pub(crate) fn child(&self) -> Target {
        let (host, path) = (format!("{APP}.localhost"), format!("/{CHILD}"));
        Target::get(self.server.address, &host, &path, hyper_server::REPLY.to_owned())
    }

    /// Waits until no instance of the child is left.
    pub(crate) async fn child_gone(&self) -> Result<()> {
        self.control.until_idle(APP, CHILD).await
    }
}

fn serve(plan: &Plan, data: &Path, control: &Control) -> std::process::Command {
    let mut command = plan.server_command(&plan.hob);
    command
        .arg("serve")
        .env("HOB_DATA", data)
        .env("HOB_HTTP", "127.0.0.1:0")
        .env("HOB_CONTROL", control.address());
    command
}

/// A request that must succeed, outside of any figure.
pub(crate) async fn warm(target: &Target) -> Result<()> {
    once(target).await.map(drop).map_err(|error| format!("{}{}: {error}", target.host, target.path).into())
}
