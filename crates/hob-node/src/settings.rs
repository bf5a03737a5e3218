//! Settings of one node.

use hob_core::cost::Price;
use hob_core::limit;
use hob_core::name::AppName;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of one node. Flags and environment are the program's to read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder of the store, artifacts and working folders; created when missing.
    pub data: PathBuf,
    /// Folder of compiled code; `None`: below `data`.
    pub cache: Option<PathBuf>,
    /// Row of `hob_bus::ENGINES`: `file` or `memory`.
    pub engine: String,
    /// Where the gateway listens; port 0 picks a free one.
    pub http: SocketAddr,
    /// Certificate for the gateway; `None`: plain HTTP (HTTP/1.1 and h2c).
    pub tls: Option<Tls>,
    /// Where the control API listens.
    pub control: Vec<Address>,
    /// Where the dashboard listens.
    pub dashboard: Dashboard,
    /// Where the AWS Lambda API answers; port 0 picks a free one. `None`: there is none.
    pub lambda: Option<SocketAddr>,
    /// Domain below which apps get addresses; `localhost` by default.
    pub domain: String,
    /// The app that answers for hosts which name none; `None`: the only one, if there is just one.
    pub default_app: Option<AppName>,
    /// The command that compiles a component in a child process; empty: in this process.
    pub compiler: Vec<OsString>,
    /// Where WASM functions run.
    pub wasm: Place,
    /// The command that becomes a worker process; empty: there are none.
    pub worker: Vec<OsString>,
    /// Whether what happens is counted and kept: without it `hob why` knows nothing. For measurements only.
    pub facts: bool,
    /// Pool of reserved WASM slots; `None`: if the machine allows it.
    pub pooling: Option<bool>,
    /// Which walls native functions have.
    pub walls: hob_runtime::wall::Wanted,
    /// Memory of all instances, bytes; `None`: a share of what the machine has.
    pub memory_bytes: Option<u64>,
    /// What clients may do at the gateway.
    pub clients: Clients,
    /// Where spans, log records and metrics are exported to; `None`: nowhere.
    pub otlp: Option<Otlp>,
    /// The key that encrypts secrets; `None`: the node makes one, in its data folder.
    pub secret_key: Option<SecretKey>,
    /// What the machine costs in a month; `None`: what `price.toml` in the data folder says.
    pub price_per_month: Option<Price>,
}

/// Where WASM functions run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// In the node's process while there is one space, in a worker process for each space while there are several.
    #[default]
    Auto,
    /// In the node's process.
    InProcess,
    /// In a worker process for each space.
    Worker,
}

impl Place {
    /// Every value, as a person writes it.
    pub const ALL: [(&str, Self); 3] =
        [("auto", Self::Auto), ("in-process", Self::InProcess), ("worker", Self::Worker)];
}

/// Where the key is that encrypts secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretKey {
    /// A file with a key in each line: the first one encrypts, all of them open.
    File(PathBuf),
    /// The keys themselves, with commas between them.
    Text(String),
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Text(_) => f.write_str("given"),
        }
    }
}

/// What clients may do at the gateway. The defaults are those of [`hob_core::limit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Connections at a time; more wait until they are accepted.
    pub connections: usize,
    /// Connections of one client address at a time; more are closed.
    pub connections_per_client: usize,
    /// Time in which a request's headers have to arrive, and a TLS handshake has to be done.
    pub header_timeout: Duration,
    /// Longest silence inside a request's body, and longest time in which a client takes nothing of a response.
    pub body_idle: Duration,
    /// What a client has to send of a body, or to take of an answer, for each second in which it is waited for;
    /// looked at after `body_idle`.
    pub bytes_per_second: u64,
    /// Longest silence of both ends of an upgraded connection, such as a WebSocket.
    pub upgrade_idle: Duration,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            connections: limit::CONNECTIONS_MAX,
            connections_per_client: limit::CONNECTIONS_PER_CLIENT_MAX,
            header_timeout: limit::HEADER_TIMEOUT,
            body_idle: limit::BODY_IDLE_TIMEOUT,
            bytes_per_second: limit::CLIENT_BYTES_PER_SECOND_MIN,
            upgrade_idle: limit::UPGRADE_IDLE_TIMEOUT,
        }
    }
}

/// A collector (OpenTelemetry protocol over HTTP).
#[derive(Clone, PartialEq, Eq)]
pub struct Otlp {
    /// Its base URL, such as `http://localhost:4318`.
    pub endpoint: String,
    /// Headers of every request to it; they may hold secrets.
    pub headers: Vec<(String, String)>,
    /// What is said of everything that this node exports, such as `deployment.environment.name`.
    pub resource: Vec<(String, String)>,
}

impl std::fmt::Debug for Otlp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Otlp")
            .field("endpoint", &self.endpoint)
            .field("headers", &names)
            .field("resource", &self.resource)
            .finish()
    }
}

/// Where the control API listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A unix socket that only its owner may use.
    Unix(PathBuf),
    /// A TCP address and the token that every request must bear.
    Tcp(SocketAddr, String),
}

/// Where the dashboard listens; beyond this machine only with a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dashboard {
    /// There is none.
    #[default]
    Off,
    /// There; port 0 picks a free one.
    At(SocketAddr),
    /// There, or at a free port beside it when that one is taken.
    Near(SocketAddr),
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The chain.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}
