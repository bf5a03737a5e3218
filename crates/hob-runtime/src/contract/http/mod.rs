//! Contract `http`: a server on `$PORT`, as Cloud Run and Knative run it.
//!
//! **How.** An instance is a child that is told a free loopback port, is awaited (`ready`), and
//! takes requests over kept connections (`connection`). The environment follows the container
//! contract (Knative runtime contract, "Environment"; Cloud Run container contract): `PORT`,
//! `K_SERVICE`, `K_REVISION`, `K_CONFIGURATION`. It ends by SIGTERM, then SIGKILL after `grace`.
//!
//! **Invariants.** A call that outlives its deadline is given up; the instance goes on, since other
//! calls run in it. A request that may have been read by the child is never sent twice.

mod connection;
mod ready;
pub(super) mod settings;

use super::ended::crash;
use super::spent;
use super::way::Way;
use super::{Contract, Lifetime};
use crate::body::Body;
use crate::code::FunctionCode;
use crate::hop;
use crate::invocation::{Invocation, Reply};
use crate::machine;
use crate::outbound::ports;
use crate::unit::{Instance, Start};
use crate::unit::{Launch, Program, Unit};
use crate::wall::{Dial as _, Loopback};
use connection::{Connections, Error};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::port::BoxFuture;
use hob_core::spec::FunctionSpec;
use http::header::{CONNECTION, HOST, HeaderValue, UPGRADE};
use http::uri::PathAndQuery;
use http::{Request, StatusCode, Uri, Version};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::upgrade::OnUpgrade;
use settings::Settings;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a failed connection waits for the news that the child has ended.
const EXIT_NEWS_TIMEOUT: Duration = Duration::from_millis(200);

/// The port of a program that has a network of its own: what Cloud Run gives, too.
const PORT_BEHIND_WALLS: u16 = 8080;
/// Ports that are tried when somebody else takes them between the choice and the program's `bind`.
const PORT_ATTEMPTS: u32 = 3;

/// The contract.
#[derive(Debug)]
pub struct Http;

impl Contract for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn summary(&self) -> &'static str {
        "an HTTP server on `$PORT`, as Cloud Run and Knative run it"
    }

    fn example(&self) -> &'static str {
        "[functions.letter]\nrun = [\"python3\", \"letter.py\"]\n\n[functions.letter.http]\nready = \"/healthz\"\n"
    }

    fn check(&self, spec: &FunctionSpec) -> Result<()> {
        Settings::read(&spec.settings).map(drop)
    }

    fn lifetime(&self, unit: &dyn Unit) -> Result<Lifetime> {
        unit.command().ok_or_else(no_program).map(|_| Lifetime::Kept)
    }

    fn start(&self, start: Start) -> BoxFuture<'_, Result<Box<dyn Instance>>> {
        Box::pin(async move {
            let settings = Settings::read(&start.code.spec.settings)?;
            Ok(Box::new(Server::start(start, &settings, &[]).await?) as Box<dyn Instance>)
        })
    }
}

pub(super) fn no_program() -> Fault {
    Fault::new(Code::ContractMismatch, "contract `http` needs a program that can listen on a port")
        .hint("use `contract = \"wasi-http\"` for a component that exports a handler")
}

pub(super) struct Server {
    code: Arc<FunctionCode>,
    program: Arc<dyn Program>,
    calls: Arc<spent::Calls>,
    connections: Connections,
    way: Way,
    h2c: bool,
    grace: Duration,
    connected_in: Duration,
}

impl Server {
    /// Starts the program, with variables besides those of this contract, and waits until it serves.
    pub(super) async fn start(start: Start, settings: &Settings, env: &[(&str, String)]) -> Result<Self> {
        let way = Way::open(&start);
        let walled = start.unit.command().is_some_and(|command| command.walled().is_some());
        for attempt in 1.. {
            let port = if walled { port_behind_walls(&start.code) } else { free_port()? };
            let (program, connections, connected_in) = match launch(&start, settings, &way, port, env).await {
                Ok(launched) => launched,
                Err(fault) if !walled && attempt < PORT_ATTEMPTS && lost(&fault, port).await => continue,
                Err(fault) => return Err(fault),
            };
            let (code, h2c, grace) = (start.code, settings.h2c, settings.grace);
            let (program, calls) = (Arc::from(program), Arc::default());
            return Ok(Self { code, program, calls, connections, way, h2c, grace, connected_in });
        }
        unreachable!("the last attempt returns")
    }

    async fn exchange(&self, invocation: Invocation) -> Result<Reply> {
        let on_the_way = self.way.running(&invocation.context, self.program.calls());
        let spending = self.calls.begin(&self.program, &invocation.context);
        let (request, switches) = inward(invocation.request, self.h2c)?;
        let mut response = match self.connections.send(request).await {
            Ok(response) => response,
            Err(error) => return Err(self.failure(error).await),
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            if !switches {
                return Err(self.bad("it switched protocols though it was not asked to"));
            }
        } else {
            hop::strip(response.headers_mut());
        }
        if response.status() != StatusCode::SWITCHING_PROTOCOLS && response.body().is_end_stream() {
            return Ok(response);
        }
        // The call runs as long as its body lives; whoever keeps a switched connection keeps the body.
        Ok(response.map(|body| {
            body.map_frame(move |frame| {
                let _ = (&on_the_way, &spending);
                frame
            })
            .boxed_unsync()
        }))
    }

    /// Why there was no answer: because the child ended, or because it closed the connection.
    async fn failure(&self, error: Error) -> Fault {
        if let Error::Connect(error) = &error
            && let Some(fault) = machine::out_of_files(error)
        {
            return fault;
        }
        let exit = tokio::time::timeout(EXIT_NEWS_TIMEOUT, self.program.exit()).await;
        match (exit, error) {
            (Ok(exit), _) => crash(&self.code, &exit),
            (Err(_), Error::Connect(error)) => {
                self.bad("it does not listen on its port any more").detail(error)
            }
            (Err(_), Error::Exchange(error)) if error.is_parse() => {
                self.bad("its answer is not valid HTTP").detail(error)
            }
            (Err(_), Error::Exchange(error)) => {
                self.bad("it closed the connection without an answer").detail(error)
            }
        }
    }

    fn bad(&self, why: &str) -> Fault {
        let name = &self.code.name;
        Fault::new(Code::BadResponse, format!("`{name}` gave no valid answer: {why}"))
            .hint(format!("see `hob logs {}/{name}`", self.code.app))
    }
}

impl Instance for Server {
    fn call(&self, invocation: Invocation) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(self.exchange(invocation))
    }

    fn ended(&self) -> BoxFuture<'_, Option<Fault>> {
        Box::pin(async move { Some(crash(&self.code, &self.program.exit().await)) })
    }

    fn connected_in(&self) -> Duration {
        self.connected_in
    }

    fn stop(&self, grace: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move { drop(self.program.stop(self.grace.min(grace)).await) })
    }

    fn memory_bytes(&self) -> Option<u64> {
        self.program.memory_bytes()
    }

    fn seen_bytes(&self) -> Option<u64> {
        self.program.seen_bytes()
    }
}

/// Starts the program with its port and waits until it serves there.
async fn launch(
    start: &Start,
    settings: &Settings,
    way: &Way,
    port: u16,
    more: &[(&str, String)],
) -> Result<(Box<dyn Program>, Connections, Duration)> {
    let mut env = way.variables();
    env.extend(variables(&start.code, port));
    env.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let launch = Launch {
        instance: start.instance,
        args: Vec::new(),
        env,
        stdin: false,
        stdout: false,
        lines: None,
        context: None,
        behind: way.behind(),
    };
    let program = start.unit.command().ok_or_else(no_program)?.start(launch).await?;
    let spawn = Arc::clone(&start.environment.spawn);
    let connections = Connections::new(program.dial(), port, settings.h2c, spawn);
    let started = Instant::now();
    ready::wait(&start.code, program.as_ref(), port, settings, &connections).await?;
    Ok((program, connections, started.elapsed()))
}

/// Whether a program ended because somebody else took its port first: it is gone, and the port is not.
async fn lost(fault: &Fault, port: u16) -> bool {
    fault.code() == Code::StartExit && Loopback.connect(port).await.is_ok()
}

/// The request as the child gets it, and whether it asks to switch protocols.
fn inward(mut request: Request<Body>, h2c: bool) -> Result<(Request<Body>, bool)> {
    let wanted = request.headers().get(UPGRADE).cloned();
    let wanted = wanted.filter(|_| !h2c && request.extensions().get::<OnUpgrade>().is_some());
    hop::strip(request.headers_mut());
    if let Some(protocol) = &wanted {
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        request.headers_mut().insert(UPGRADE, protocol.clone());
    }
    request.extensions_mut().clear();
    *request.version_mut() = if h2c { Version::HTTP_2 } else { Version::HTTP_11 };
    if h2c {
        // HTTP/2 says in the address what HTTP/1.1 says in `Host` (RFC 9113, 8.3.1).
        let host = request.headers_mut().remove(HOST);
        let host = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let uri = Uri::builder().scheme("http").authority(host).path_and_query(path).build();
        *request.uri_mut() = uri.map_err(Fault::internal)?;
    }
    Ok((request, wanted.is_some()))
}

/// A port that the program does not have to reach elsewhere.
fn port_behind_walls(code: &FunctionCode) -> u16 {
    let outside = ports(&code.spec);
    (PORT_BEHIND_WALLS..).find(|port| !outside.contains(port)).unwrap_or(PORT_BEHIND_WALLS)
}

/// A loopback port that nobody uses at this moment. Whether the child got it is checked when somebody
/// accepts there.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    let none = |error: std::io::Error| {
        let lack = || Fault::new(Code::MachineLacks, "there is no free loopback port").detail(&error);
        machine::out_of_files(&error).unwrap_or_else(lack)
    };
    address.map(|address| address.port()).map_err(none)
}

fn variables(code: &FunctionCode, port: u16) -> [(String, String); 4] {
    let revision = format!("{}-{}-{:05}", code.app, code.name, code.revision.0);
    [
        ("PORT", port.to_string()),
        ("K_SERVICE", code.name.to_string()),
        ("K_CONFIGURATION", code.name.to_string()),
        ("K_REVISION", revision),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}
