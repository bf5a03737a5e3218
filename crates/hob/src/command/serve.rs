//! `hob serve`: a node, until it is told to stop.

use super::{Command, DONE};
use crate::client::Endpoint;
use crate::local::{self, Interrupt};
use crate::output::Output;
use crate::settings::{self, DOMAIN, HTTP};
use hob_core::code::Code;
use hob_core::cost::Price;
use hob_core::fault::{Fault, Result};
use hob_core::name::AppName;
use hob_core::unit::parse_bytes;
use hob_node::{Address, Node, Place, SecretKey, Settings, Tls};
use std::path::{Path, PathBuf};

/// Start a node. It prints `ready <url>` on stdout once it serves, and stops gracefully on SIGTERM
/// or Ctrl-C; a second one stops it at once.
#[derive(clap::Args)]
pub(super) struct Serve {
    /// Folder of everything the node stores [default: $XDG_DATA_HOME/hob]
    #[arg(long, env = "HOB_DATA", value_name = "DIR", hide_env_values = true)]
    data: Option<PathBuf>,
    /// Where apps answer; port 0 picks a free one
    #[arg(long, env = "HOB_HTTP", value_name = "ADDRESS", default_value = HTTP, hide_env_values = true)]
    http: String,
    /// Where the control API answers, `unix:PATH` or `HOST:PORT`; repeat for several [default: unix:DATA/control.sock]
    #[arg(long, env = "HOB_CONTROL", value_name = "ADDRESS", value_delimiter = ',', hide_env_values = true)]
    control: Vec<String>,
    /// File that holds the token which a control API on TCP asks for
    #[arg(long, env = "HOB_TOKEN_FILE", value_name = "FILE", hide_env_values = true)]
    token_file: Option<PathBuf>,
    /// File that holds the key which encrypts secrets, 64 hexadecimal digits; older keys may follow, a line each
    /// [default: $HOB_SECRET_KEY, or a key file that the node makes in its data folder]
    #[arg(long, env = "HOB_SECRET_KEY_FILE", value_name = "FILE", hide_env_values = true)]
    secret_key_file: Option<PathBuf>,
    /// Where the dashboard answers, or `none` [default: 127.0.0.1:8081, or a free port when that is taken]
    #[arg(long, env = "HOB_DASHBOARD", value_name = "ADDRESS", hide_env_values = true)]
    dashboard: Option<String>,
    /// Where the AWS Lambda API answers, such as `127.0.0.1:9001`; `hob key env` prints what its clients need
    #[arg(long, env = "HOB_LAMBDA", value_name = "ADDRESS", hide_env_values = true)]
    lambda: Option<String>,
    /// Domain below which apps get their addresses
    #[arg(long, value_name = "DOMAIN", default_value = DOMAIN)]
    domain: String,
    /// The app that answers for hosts which name none [default: the only one]
    #[arg(long, value_name = "APP")]
    default_app: Option<String>,
    /// Certificate chain of the gateway, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// What this machine costs in a month, such as `40EUR`, for `hob cost` [default: `price.toml` in the data folder]
    #[arg(long, env = "HOB_PRICE_PER_MONTH", value_name = "AMOUNT", value_parser = Price::parse, hide_env_values = true)]
    price_per_month: Option<Price>,
    /// Memory that all instances may have together, such as `4 GiB`; starts wait when it is taken [default: 75 % of the machine's]
    #[arg(long, env = "HOB_MEMORY", value_name = "SIZE", value_parser = parse_bytes, hide_env_values = true)]
    memory: Option<u64>,
    /// Where WASM runs: `in-process`, in a `worker` process for each space, or `auto` (a worker when there are several spaces)
    #[arg(long, env = "HOB_WASM", value_name = "WHERE", value_parser = place, default_value = "auto", hide_env_values = true)]
    wasm: Place,
    /// Where state is kept: `file` (durable) or `memory` (forgotten at the end)
    #[arg(long, value_name = "ENGINE", default_value = "file")]
    engine: String,
    /// Count and keep nothing of what happens, to measure what that costs; `hob why` knows nothing then
    #[arg(long)]
    no_facts: bool,
    #[command(flatten)]
    telemetry: settings::Telemetry,
    #[command(flatten)]
    walled: settings::Walled,
}

impl Command for Serve {
    async fn run(self, output: &Output) -> Result<u8> {
        local::trace(output);
        let mut interrupt = Interrupt::listen()?;
        let settings = self.settings()?;
        let data = settings.data.display().to_string();
        let node = Node::start(settings).await?;
        let controls: Vec<String> = node.control().iter().map(shown).collect();
        output.note(&format!("data in {data}, control API at {}", controls.join(", ")));
        if let Some(url) = node.dashboard() {
            output.note(&format!("dashboard at {url}; `hob dashboard` prints a link that signs in"));
        }
        if let Some(url) = node.lambda() {
            output.note(&format!("AWS Lambda API at {url}; `hob key env` prints what its clients need"));
        }
        output.line(&format!("ready {}", node.url()));
        let code = interrupt.wait().await;
        output.note("stopping; running calls may finish");
        interrupt.unless_again(node.stop()).await;
        debug_assert!(code == DONE || code == super::INTERRUPTED);
        Ok(code)
    }
}

fn place(text: &str) -> Result<Place, String> {
    let found = Place::ALL.into_iter().find(|(name, _)| *name == text);
    found.map(|(_, place)| place).ok_or_else(|| "use `auto`, `in-process` or `worker`".to_owned())
}

impl Serve {
    fn settings(self) -> Result<Settings> {
        let data = settings::data_dir(self.data.as_deref())?;
        let control = self.control_addresses(&data)?;
        Ok(Settings {
            cache: None,
            engine: self.engine,
            http: settings::listen_address(&self.http)?,
            tls: self.tls_cert.zip(self.tls_key).map(|(certificate, key)| Tls { certificate, key }),
            control,
            dashboard: settings::dashboard(self.dashboard.as_deref())?,
            lambda: self.lambda.as_deref().map(settings::listen_address).transpose()?,
            domain: self.domain.trim_matches('.').to_ascii_lowercase(),
            default_app: self.default_app.as_deref().map(AppName::new).transpose()?,
            compiler: local::compiler(),
            wasm: self.wasm,
            worker: local::worker(),
            facts: !self.no_facts,
            pooling: None,
            walls: self.walled.wanted(),
            memory_bytes: self.memory,
            clients: hob_node::Clients::default(),
            otlp: self.telemetry.collector(),
            secret_key: secret_key(self.secret_key_file),
            price_per_month: self.price_per_month,
            data,
        })
    }

    fn control_addresses(&self, data: &Path) -> Result<Vec<Address>> {
        if self.control.is_empty() {
            return Ok(vec![Address::Unix(settings::control_socket(data))]);
        }
        let token = self.token_file.as_deref().map(settings::read_token).transpose()?;
        self.control.iter().map(|text| control_address(text, token.as_deref())).collect()
    }
}

/// The key for secrets: of the file, else of the environment.
fn secret_key(file: Option<PathBuf>) -> Option<SecretKey> {
    let given = || std::env::var("HOB_SECRET_KEY").ok().filter(|text| !text.is_empty()).map(SecretKey::Text);
    file.map(SecretKey::File).or_else(given)
}

fn control_address(text: &str, token: Option<&str>) -> Result<Address> {
    match (settings::endpoint(text)?, token) {
        (Endpoint::Unix(path), _) => Ok(Address::Unix(path)),
        (Endpoint::Tcp(address), Some(token)) => {
            Ok(Address::Tcp(settings::listen_address(&address)?, token.to_owned()))
        }
        (Endpoint::Tls(_), _) => Err(Fault::new(
            Code::Usage,
            format!("`{text}` is not an address to listen on"),
        )
        .hint(
            "leave `https://` away: beyond this machine the control API has the certificate of `--tls-cert`",
        )),
        (Endpoint::Tcp(address), None) => Err(Fault::new(
            Code::ControlOpen,
            format!("the control API at `{address}` would be open to everybody"),
        )
        .hint("write a long random text into a file and name it with `--token-file FILE`")),
    }
}

fn shown(address: &Address) -> String {
    match address {
        Address::Unix(path) => format!("unix:{}", path.display()),
        // Beyond this machine it is never without TLS.
        Address::Tcp(address, _token) if !address.ip().is_loopback() => format!("https://{address}"),
        Address::Tcp(address, _token) => address.to_string(),
    }
}
