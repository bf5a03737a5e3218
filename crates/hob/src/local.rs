//! A node in this process: for `serve` with the settings of its flags, for `run` and `dev` with a
//! temporary data folder, used through its control socket like any other node.

use crate::client::{Client, Endpoint};
use crate::output::Output;
use crate::settings;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_node::{Address, Dashboard, Node, Otlp, Settings};
use std::ffi::OsString;
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit code after an interrupt from the keyboard: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

/// A node that lives as long as the command, with everything it has stored.
pub(crate) struct Temporary {
    node: Node,
    client: Client,
    // Removed last, when the node has stopped.
    data: TempDir,
}

impl Temporary {
    /// Starts one whose gateway listens at `http`, and that exports its telemetry to a collector if there is one.
    ///
    /// # Errors
    /// `HOB-0903` without a place for temporary files; those of [`Node::start`].
    pub(crate) async fn start(
        http: SocketAddr,
        dashboard: Dashboard,
        domain: &str,
        otlp: Option<Otlp>,
        walls: hob_node::Walls,
    ) -> Result<Self> {
        let data = tempfile::Builder::new().prefix("hob-").tempdir().map_err(|error| {
            Fault::new(Code::MachineLacks, format!("cannot make a temporary folder: {error}"))
                .hint("name a folder that can be written with `TMPDIR`")
        })?;
        let socket = settings::control_socket(data.path());
        let node = Node::start(Settings {
            data: data.path().to_owned(),
            cache: settings::cache_dir().map(|dir| dir.join("compiled")),
            engine: "memory".to_owned(),
            http,
            tls: None,
            control: vec![Address::Unix(socket.clone())],
            dashboard,
            lambda: None,
            domain: domain.to_owned(),
            default_app: None,
            compiler: compiler(),
            wasm: hob_node::Place::InProcess,
            worker: Vec::new(),
            facts: true,
            pooling: None,
            walls,
            memory_bytes: None,
            clients: hob_node::Clients::default(),
            otlp,
            secret_key: None,
            price_per_month: None,
        })
        .await?;
        Ok(Self { node, client: Client::new(Endpoint::Unix(socket), None), data })
    }

    /// A client of it.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Where its gateway answers.
    pub(crate) fn url(&self) -> &str {
        self.node.url()
    }

    /// A link that signs in to its dashboard; `None` when it has none.
    pub(crate) fn dashboard(&self) -> Option<String> {
        self.node.dashboard_link()
    }

    /// Lets running calls finish, stops, and removes what was stored.
    pub(crate) async fn stop(self) {
        let Self { node, client, data } = self;
        drop(client);
        node.stop().await;
        drop(data);
    }
}

/// The command that compiles a component in a child process: this program itself.
pub(crate) fn compiler() -> Vec<OsString> {
    // Without a path to itself the program compiles in its own process.
    std::env::current_exe()
        .map_or_else(|_| Vec::new(), |program| vec![program.into(), hob_node::COMPILE_COMMAND.into()])
}

/// The command that becomes a worker: this program itself.
pub(crate) fn worker() -> Vec<OsString> {
    std::env::current_exe()
        .map_or_else(|_| Vec::new(), |program| vec![program.into(), hob_node::WORKER_COMMAND.into()])
}

/// The wish of a person or of the system that the program ends.
pub(crate) struct Interrupt {
    keyboard: Signal,
    system: Signal,
}

impl Interrupt {
    /// Listens from now on.
    ///
    /// # Errors
    /// `HOB-0903` when the system gives no signals.
    pub(crate) fn listen() -> Result<Self> {
        let open = |kind| {
            signal(kind).map_err(|error| {
                Fault::new(Code::MachineLacks, format!("cannot listen for signals: {error}"))
            })
        };
        Ok(Self { keyboard: open(SignalKind::interrupt())?, system: open(SignalKind::terminate())? })
    }

    /// Waits for it; the result is the program's exit code.
    pub(crate) async fn wait(&mut self) -> u8 {
        tokio::select! {
            _ = self.keyboard.recv() => INTERRUPTED,
            _ = self.system.recv() => 0,
        }
    }

    /// Waits until `work` is done, but not beyond a further interrupt.
    pub(crate) async fn unless_again(&mut self, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            _ = self.wait() => {}
        }
    }
}

/// Sends the node's own log to stderr.
pub(crate) fn trace(output: &Output) {
    use tracing_subscriber::EnvFilter;
    let level = output.log_level();
    let filter = EnvFilter::try_from_env("HOB_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    // A second call finds the first one's subscriber in place, which is as good.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(output.colourful())
        .without_time()
        .with_target(false)
        .try_init();
}
