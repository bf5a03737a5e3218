//! Where things are by default: the data folder, the addresses, the token; and the flags for them.
//!
//! **How.** A flag beats its environment variable (`HOB_DATA`, `HOB_HTTP`, `HOB_CONTROL`,
//! `HOB_TOKEN_FILE`, `HOB_SPACE`), which beats the default. clap reads the first two; this file knows the third.

use crate::client::{Client, Endpoint};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::SpaceName;
use hob_node::{Dashboard, Otlp, WallChoice, Walls};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where the gateway listens by default.
pub(crate) const HTTP: &str = "127.0.0.1:8080";
/// Where the dashboard listens by default, or beside it when that is taken.
pub(crate) const DASHBOARD: &str = "127.0.0.1:8081";
/// Domain below which apps get their addresses by default; browsers resolve it to this machine.
pub(crate) const DOMAIN: &str = "localhost";

/// How a command reaches a node.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Node")]
pub(crate) struct Connection {
    /// Control API of the node: `unix:PATH`, `HOST:PORT` or `https://HOST:PORT` [default: unix:DATA/control.sock]
    #[arg(long, env = "HOB_CONTROL", value_name = "ADDRESS", hide_env_values = true)]
    control: Option<String>,
    /// File that holds the token for a control API on TCP
    #[arg(long, env = "HOB_TOKEN_FILE", value_name = "FILE", hide_env_values = true)]
    token_file: Option<PathBuf>,
    /// Data folder of the node [default: $XDG_DATA_HOME/hob]
    #[arg(long, env = "HOB_DATA", value_name = "DIR", hide_env_values = true)]
    data: Option<PathBuf>,
    /// Space of the node to work in [default: default]
    #[arg(long = "space", env = "HOB_SPACE", value_name = "NAME", hide_env_values = true)]
    in_space: Option<String>,
}

impl Connection {
    /// What the environment and the defaults say, for commands without these flags.
    pub(crate) fn from_environment() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            control: set("HOB_CONTROL").and_then(|value| value.into_string().ok()),
            token_file: set("HOB_TOKEN_FILE").map(PathBuf::from),
            data: set("HOB_DATA").map(PathBuf::from),
            in_space: set("HOB_SPACE").and_then(|value| value.into_string().ok()),
        }
    }

    /// A client of the node that the flags name.
    ///
    /// # Errors
    /// `HOB-0111` for an address that cannot be understood, `HOB-0108` for a token file that cannot be read, `HOB-0104`
    /// for what is no name of a space.
    pub(crate) fn client(&self) -> Result<Client> {
        let endpoint = match &self.control {
            Some(text) => endpoint(text)?,
            None => Endpoint::Unix(control_socket(&data_dir(self.data.as_deref())?)),
        };
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        Ok(Client::new(endpoint, token).within(self.space()?))
    }

    /// The space to work in, if one is named.
    ///
    /// # Errors
    /// `HOB-0104` for what is no name of a space.
    pub(crate) fn space(&self) -> Result<Option<SpaceName>> {
        self.in_space.as_deref().filter(|name| !name.is_empty()).map(SpaceName::new).transpose()
    }
}

/// Whether native functions run behind walls.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Walls")]
pub(crate) struct Walled {
    /// Walls around native functions: `auto` (where the machine gives them), `require` or `off`
    #[arg(long, env = "HOB_WALLS", value_name = "WHEN", default_value = "auto", value_parser = parse_walls, hide_env_values = true)]
    walls: WallChoice,
    /// Do not start without walls around native functions, as `--walls require`
    #[arg(long)]
    require_walls: bool,
    /// Folder of this machine that every native function may read behind its walls; may be given again
    #[arg(long, env = "HOB_READABLE", value_name = "FOLDER", value_delimiter = ':', hide_env_values = true, value_hint = clap::ValueHint::DirPath)]
    readable: Vec<PathBuf>,
}

impl Walled {
    /// What is wanted.
    pub(crate) fn wanted(&self) -> Walls {
        let choice = if self.require_walls { WallChoice::Require } else { self.walls };
        // What is no path stays as it is, and is refused with its name.
        let whole = |folder: &PathBuf| std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
        Walls { choice, readable: self.readable.iter().map(whole).collect() }
    }
}

fn parse_walls(text: &str) -> std::result::Result<WallChoice, String> {
    match text {
        "auto" => Ok(WallChoice::Auto),
        "require" => Ok(WallChoice::Require),
        "off" => Ok(WallChoice::Off),
        _ => Err("use `auto`, `require` or `off`".to_owned()),
    }
}

/// Where telemetry is exported to.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Telemetry")]
pub(crate) struct Telemetry {
    /// Collector to which spans, logs and metrics are exported (OTLP over HTTP), such as `http://localhost:4318`;
    /// `none` for none [default: $OTEL_EXPORTER_OTLP_ENDPOINT]
    #[arg(long, env = "HOB_OTLP", value_name = "URL", hide_env_values = true)]
    otlp: Option<String>,
}

impl Telemetry {
    /// The collector, if there is one; with the headers and the resource that OpenTelemetry's own variables name.
    pub(crate) fn collector(self) -> Option<Otlp> {
        self.collector_from(|name| std::env::var(name).ok())
    }

    fn collector_from(self, set: impl Fn(&str) -> Option<String>) -> Option<Otlp> {
        let disabled = || set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let standard = || set("OTEL_EXPORTER_OTLP_ENDPOINT").filter(|_| !disabled());
        let endpoint = self.otlp.or_else(standard).filter(|text| !matches!(text.trim(), "" | "none"))?;
        let mut resource = pairs(&set("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default());
        // Each function has a name of its own.
        resource.retain(|(name, _)| name != "service.name");
        let headers = pairs(&set("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default());
        Some(Otlp { endpoint: endpoint.trim().to_owned(), headers, resource })
    }
}

/// Reads `name=value,name=value`, values percent-encoded (W3C Baggage, as OpenTelemetry's variables are).
fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), percent_decoded(value.trim()))).collect()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let hex = more.first_chunk::<2>().filter(|_| *first == b'%');
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &more[2..] } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The data folder: the flag's, or the user's own; absolute, since functions have working folders of
/// their own.
///
/// # Errors
/// `HOB-0111` when there is neither a flag nor a home folder.
pub(crate) fn data_dir(flag: Option<&Path>) -> Result<PathBuf> {
    if let Some(text) = flag.and_then(Path::to_str).filter(|text| text.starts_with(['{', '['])) {
        return Err(Fault::new(Code::Usage, format!("`--data` names the node's data folder, not `{text}`"))
            .hint("give the data of an event without a flag: `hob send TOPIC '{…}'`"));
    }
    if let Some(dir) = flag {
        return std::path::absolute(dir).map_err(|error| {
            Fault::new(Code::Usage, format!("`{}` is not a data folder: {error}", dir.display()))
                .hint("name a folder with `--data DIR`")
        });
    }
    user_dir("XDG_DATA_HOME", ".local/share").ok_or_else(|| {
        Fault::new(Code::Usage, "there is no home folder to keep data in")
            .hint("name a folder with `--data DIR`")
    })
}

/// Where compiled code is kept between runs, if there is a home folder.
pub(crate) fn cache_dir() -> Option<PathBuf> {
    user_dir("XDG_CACHE_HOME", ".cache")
}

/// The default control socket of a data folder.
pub(crate) fn control_socket(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// Reads `unix:PATH`, `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`.
///
/// # Errors
/// `HOB-0111`.
pub(crate) fn endpoint(text: &str) -> Result<Endpoint> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Endpoint::Unix(path.into()));
    }
    let secure = text.strip_prefix("https://");
    let address = secure.or_else(|| text.strip_prefix("http://")).unwrap_or(text).trim_end_matches('/');
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none() || address.contains('/') {
        return Err(Fault::new(Code::Usage, format!("`{text}` is not a control address"))
            .hint("write `unix:PATH`, `HOST:PORT` or `https://HOST:PORT`"));
    }
    let address = address.to_owned();
    Ok(if secure.is_some() { Endpoint::Tls(address) } else { Endpoint::Tcp(address) })
}

/// Reads an address to listen on.
///
/// # Errors
/// `HOB-0111`.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr> {
    let text = text.strip_prefix("http://").unwrap_or(text);
    let with_host = if text.starts_with(':') {
        format!("0.0.0.0{text}")
    } else {
        text.replace("localhost:", "127.0.0.1:")
    };
    with_host.parse().map_err(|_| {
        Fault::new(Code::Usage, format!("`{text}` is not an address to listen on"))
            .hint("write an IP address and a port, such as `127.0.0.1:8080`; port 0 picks a free one")
    })
}

/// Reads where the dashboard listens: an address, or `none`. Without a word it is the default, or a free
/// port when that is taken, so that a second node on a machine starts as the first.
///
/// # Errors
/// `HOB-0111`.
pub(crate) fn dashboard(text: Option<&str>) -> Result<Dashboard> {
    match text.map(str::trim) {
        None | Some("") => listen_address(DASHBOARD).map(Dashboard::Near),
        Some("none") => Ok(Dashboard::Off),
        Some(text) => listen_address(text).map(Dashboard::At),
    }
}

/// The token in a file: its only line.
///
/// # Errors
/// `HOB-0108` when it cannot be read, `HOB-0705` when it is empty.
pub(crate) fn read_token(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Fault::new(Code::FileMissing, format!("cannot read the token file `{}`: {error}", file.display()))
    })?;
    let token = text.trim();
    if token.is_empty() {
        return Err(Fault::new(Code::ControlOpen, format!("the token file `{}` is empty", file.display()))
            .hint("write a long random text into it, for example with `head -c 32 /dev/urandom | base64`"));
    }
    Ok(token.to_owned())
}

fn user_dir(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set(variable).or_else(|| set("HOME").map(|home| home.join(below_home))).map(|dir| dir.join("hob"))
}

#[cfg(test)]
mod tests {
    use super::{DASHBOARD, Endpoint, Telemetry, dashboard, endpoint, listen_address};
    use hob_node::Dashboard;

    #[test]
    fn a_collector_is_named_by_the_flag_or_by_the_standard_variables() {
        for (flag, variables, expected) in [
            (None, &[][..], None),
            (Some("http://a:1"), &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:2")], Some("http://a:1 [] []")),
            (None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:2")], Some("http://b:2 [] []")),
            (Some("none"), &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:2")], None),
            (None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:2"), ("OTEL_SDK_DISABLED", "true")], None),
            (
                Some("http://a:1"),
                &[
                    ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20eA%3D%3D,x= 1 "),
                    ("OTEL_RESOURCE_ATTRIBUTES", "service.name=no,deployment.environment.name=100%"),
                ],
                Some(
                    r#"http://a:1 [("authorization", "Basic eA=="), ("x", "1")] [("deployment.environment.name", "100%")]"#,
                ),
            ),
        ] {
            let set = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            let found = Telemetry { otlp: flag.map(str::to_owned) }.collector_from(set);
            let shown = found.map(|otlp| format!("{} {:?} {:?}", otlp.endpoint, otlp.headers, otlp.resource));
            assert_eq!(shown.as_deref(), expected, "{flag:?} {variables:?}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(endpoint("unix:/run/hob.sock").unwrap(), Endpoint::Unix("/run/hob.sock".into()));
        for text in ["node:7000", "http://node:7000/", "[::1]:7000"] {
            assert!(
                matches!(endpoint(text).unwrap(), Endpoint::Tcp(address) if !address.contains('/')),
                "{text}"
            );
        }
        assert_eq!(endpoint("https://node:7000/").unwrap(), Endpoint::Tls("node:7000".into()));
        for bad in ["", "node", "node:http", "http://node:1/x", "https://node"] {
            assert_eq!(endpoint(bad).unwrap_err().code().text(), "HOB-0111", "{bad}");
        }
        assert_eq!(listen_address(":80").unwrap().to_string(), "0.0.0.0:80");
        assert_eq!(listen_address("localhost:0").unwrap().to_string(), "127.0.0.1:0");
        assert!(listen_address("8080").is_err());
        assert_eq!(dashboard(None).unwrap(), Dashboard::Near(DASHBOARD.parse().unwrap()));
        assert_eq!(dashboard(Some("none")).unwrap(), Dashboard::Off);
        assert_eq!(dashboard(Some("localhost:0")).unwrap(), Dashboard::At("127.0.0.1:0".parse().unwrap()));
        assert!(dashboard(Some("nowhere")).is_err());
    }
}
