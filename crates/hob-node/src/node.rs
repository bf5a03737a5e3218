//! A node's life: how it starts and how it stops, each one function, readable top to bottom.

use crate::alerts::{self, Alerts, Doors};
use crate::apps::{Addresses, Apps, Parts};
use crate::bus::Bus;
use crate::calls::Calls;
use crate::clock;
use crate::control::{self, Control, Guard};
use crate::dashboard;
use crate::delivery::{self, Delivery};
use crate::dispatcher::Dispatcher;
use crate::entrance::Entrances;
use crate::export::Export;
use crate::gateway::routing::Rules;
use crate::gateway::{self, Gateway};
use crate::intake::Intake;
use crate::listener::{Listener, Open};
use crate::live::{Live, LiveTable};
use crate::logs::Logs;
use crate::proxy;
use crate::schedules::Schedules;
use crate::scrape::Scrape;
use crate::settings::{Address, Dashboard, Settings};
use crate::sign_in::SignIn;
use crate::task::Tasks;
use crate::telemetry::meter::{Kind, Metric};
use crate::telemetry::{Telemetry, Watches};
use crate::tls;
use crate::usage::UsageBook;
use crate::why::Why;
use hob_bus::{Engine, EngineSettings};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{DRAIN_TIMEOUT, GRACE_DEFAULT};
use hob_core::wire::NodeInfo;
use hob_runtime::environment::Environment;
use hob_runtime::log::Limited;
use hob_runtime::outbound::external::External;
use hob_runtime::runtime::Runtime;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// A running node.
pub struct Node {
    url: String,
    control: Vec<Address>,
    dashboard: Option<Arc<SignIn>>,
    gateway: gateway::Server,
    control_closing: CancellationToken,
    delivery: Arc<Delivery>,
    apps: Arc<Apps>,
    live: Arc<Live>,
    telemetry: Arc<Telemetry>,
    export: Option<Export>,
    usage: Arc<UsageBook>,
    tasks: Arc<Tasks>,
}

impl Node {
    /// Opens the store, binds every address, restores the deployed apps, then serves.
    ///
    /// # Errors
    /// `HOB-0605` when the data folder is in use, `HOB-0902` when an address is taken, `HOB-06xx`
    /// when the store cannot be read, `HOB-0705` for a TCP control address without a token, `HOB-0103`
    /// and `HOB-0108` for a certificate that cannot be used.
    pub async fn start(settings: Settings) -> Result<Self> {
        let engine = hob_bus::open(&settings.engine, &EngineSettings::new(&settings.data))?;
        Self::start_on(engine, settings).await
    }

    /// As [`Node::start`], on an engine that is open already, whatever `settings.engine` says: tests of
    /// the whole node give it one that breaks promises, so the program needs no switch for that.
    ///
    /// # Errors
    /// Those of [`Node::start`] that are not about opening the store.
    pub async fn start_on(engine: Engine, settings: Settings) -> Result<Self> {
        let tls = settings.tls.as_ref().map(tls::acceptor).transpose()?;
        let http = Listener::bind(settings.http)?;
        let inner = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let control = settings.control.iter().map(bind_control).collect::<Result<Vec<_>>>()?;
        let board = bind_dashboard(&settings)?;
        let sign_in = board.as_ref().map(|board| Arc::new(SignIn::new(board.url.clone())));

        let (tasks, logs, live) = (Tasks::new(), Logs::new(), Arc::new(Live::default()));
        let addresses =
            Addresses { secure: tls.is_some(), domain: settings.domain.clone(), port: port(&http)? };
        let entrances = Entrances::new(port(&inner)?);
        let telemetry = Telemetry::start(engine.facts, settings.facts, &tasks);
        let export = settings.otlp.as_ref();
        let export = export.map(|otlp| Export::start(otlp, &telemetry, &logs, &tasks)).transpose()?;
        let bus = Bus::new(engine.log, Arc::clone(&engine.state), Arc::clone(&telemetry));
        let usage = UsageBook::start(Arc::clone(&engine.state), Arc::clone(&telemetry), &live, &bus, &tasks);
        let printed = Limited::new(Arc::clone(&logs) as _, Arc::clone(&tasks) as _);
        let (calls, told) = Calls::new(Arc::clone(&bus));
        let dispatcher = Dispatcher::new(
            Arc::clone(&live),
            Arc::clone(&bus),
            Arc::clone(&entrances),
            Intake::new(Arc::clone(&telemetry), Arc::clone(&printed) as _),
            External::new(Arc::clone(&tasks) as _)?,
        );
        let doors = Arc::new(Doors::default());
        let runtime =
            Runtime::open(environment(&settings, &tasks, &printed, &telemetry, &doors, &dispatcher))?;
        let apps = Apps::new(Parts {
            state: engine.state,
            blobs: engine.blobs,
            bus: Arc::clone(&bus),
            runtime: Arc::new(runtime),
            spawn: Arc::clone(&tasks) as _,
            live: Arc::clone(&live),
            packages: settings.data.join("packages"),
            addresses: addresses.clone(),
        })?;
        proxy::serve(inner, Arc::clone(&dispatcher), entrances, &tasks);
        apps.restore().await?;
        let alerts = Alerts::open(alerts::Parts::new(&settings, &bus, &live, &usage, doors)?).await?;
        let parts = delivery::Parts {
            bus: Arc::clone(&bus),
            live: Arc::clone(&live),
            calls: Arc::clone(&calls),
            dispatcher: Arc::clone(&dispatcher),
            tasks: Arc::clone(&tasks),
            lost: Notify::new(),
        };
        let delivery = Delivery::start(parts, told).await?;
        alerts.start(&delivery, &tasks);
        let schedules =
            Schedules::start(Arc::clone(&bus), Arc::clone(&live), Arc::clone(&delivery), &tasks).await?;

        let url = url(&addresses, settings.http, &http);
        let rules = Rules { default_app: settings.default_app.clone(), addresses };
        let why = Why {
            live: Arc::clone(&live),
            bus: Arc::clone(&bus),
            calls: Arc::clone(&calls),
            delivery: Arc::clone(&delivery),
            schedules: Arc::clone(&schedules),
            telemetry: Arc::clone(&telemetry),
            logs: Arc::clone(&logs),
            rules: rules.clone(),
        };
        let gateway = Gateway::new(
            Arc::clone(&live),
            Arc::clone(&bus),
            Arc::clone(&calls),
            rules,
            Arc::clone(&tasks),
            Arc::clone(&telemetry),
        );
        let gateway = gateway::serve(gateway, http, tls.clone(), &tasks);
        let node = info(&url, &settings.domain);
        let scrape = Scrape::new(&live, &bus, &delivery, &telemetry, node.clone());
        scrape.extra(connections(gateway.open()));
        scrape.extra(dropped_lines(printed));
        if let Some(export) = &export {
            export.measure(&scrape, node.started_ms, &tasks);
        }
        let operations = Arc::new(Control {
            apps: Arc::clone(&apps),
            logs,
            live: Arc::clone(&live),
            dispatcher,
            bus,
            calls,
            delivery: Arc::clone(&delivery),
            schedules,
            tasks: Arc::clone(&tasks),
            telemetry: Arc::clone(&telemetry),
            why,
            scrape,
            usage: Arc::clone(&usage),
            alerts,
            node,
            data: settings.data.clone(),
            dashboard: sign_in.clone(),
        });
        let control_closing = CancellationToken::new();
        let mut control_addresses = Vec::new();
        for Bound { listener, guard, address } in control {
            control_addresses.push(address);
            control::serve(&operations, listener, guard, control_closing.clone(), &tasks);
        }
        if let Some((board, sign_in)) = board.zip(sign_in.clone()) {
            serve_dashboard(board, sign_in, operations, tls, &settings, &control_closing);
        }
        Ok(Self {
            url,
            control: control_addresses,
            dashboard: sign_in,
            gateway,
            control_closing,
            delivery,
            apps,
            live,
            telemetry,
            export,
            usage,
            tasks,
        })
    }

    /// The gateway's address, such as `http://127.0.0.1:8080`, with the real port.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the control API listens, in the order of the settings, with real ports.
    pub fn control(&self) -> &[Address] {
        &self.control
    }

    /// Where the dashboard answers, such as `http://127.0.0.1:8081`, with the real port; `None` when there
    /// is none.
    pub fn dashboard(&self) -> Option<&str> {
        self.dashboard.as_deref().map(SignIn::url)
    }

    /// A link that signs in to the dashboard as often as somebody likes, while the node runs: for the
    /// terminal in which it runs, and for nowhere else.
    pub fn dashboard_link(&self) -> Option<String> {
        self.dashboard.as_deref().map(SignIn::lasting_link)
    }

    /// Stops accepting, drains within the limit, flushes, closes.
    pub async fn stop(self) {
        self.control_closing.cancel();
        if timeout(DRAIN_TIMEOUT, self.gateway.close()).await.is_err() {
            tracing::warn!("calls were still running after {} s and are ended", DRAIN_TIMEOUT.as_secs());
        }
        self.delivery.stop(GRACE_DEFAULT).await;
        self.apps.stop(GRACE_DEFAULT).await;
        self.usage.keep(clock::now_ms()).await;
        self.telemetry.flush().await;
        if let Some(export) = &self.export {
            export.close().await;
        }
        self.tasks.stop().await;
        // Functions hold the way to other functions, and that holds what is live: a circle, which would
        // keep the store open.
        self.live.publish(LiveTable::default());
        for address in &self.control {
            if let Address::Unix(path) = address {
                // Somebody else may have removed it.
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// What was dropped of the lines of each function, as metrics.
fn dropped_lines(printed: Arc<Limited>) -> impl Fn() -> Vec<Metric> + Send + Sync + 'static {
    move || {
        let help = "Log lines above the rate of their function, which were dropped";
        let mut lines = Metric::new("hob_log_lines_dropped", Kind::Counter, "", help);
        for (app, function, dropped) in printed.dropped() {
            #[expect(clippy::cast_precision_loss, reason = "nobody drops 2^53 lines")]
            let number = dropped.lines as f64;
            lines.push([("app", app.as_str()), ("function", function.as_str())], number);
        }
        vec![lines]
    }
}

/// What hosts and contracts are given.
fn environment(
    settings: &Settings,
    tasks: &Arc<Tasks>,
    logs: &Arc<Limited>,
    telemetry: &Arc<Telemetry>,
    doors: &Arc<Doors>,
    dispatcher: &Arc<Dispatcher>,
) -> Environment {
    Environment {
        cache_dir: settings.cache.clone().unwrap_or_else(|| settings.data.join("cache")),
        work_dir: settings.data.join("work"),
        compiler: settings.compiler.clone(),
        pooling: settings.pooling,
        spawn: Arc::clone(tasks) as _,
        logs: Arc::clone(logs) as _,
        witnesses: Arc::new(Watches(Arc::clone(telemetry))),
        gates: Arc::clone(doors) as _,
        outbound: Arc::clone(dispatcher) as _,
        instances: AtomicU64::new(1),
    }
}

/// What tells how many connections the gateway has.
fn connections(open: Open) -> impl Fn() -> Vec<Metric> + Send + Sync + 'static {
    move || {
        let metric =
            Metric::new("hob_connections", Kind::Gauge, "", "Connections that are open at the gateway");
        vec![metric.with([], f64::from(open.count()))]
    }
}

/// A control address, bound.
struct Bound {
    listener: Listener,
    guard: Guard,
    address: Address,
}

fn bind_control(address: &Address) -> Result<Bound> {
    match address {
        Address::Unix(path) => {
            let listener = Listener::bind_unix(path)?;
            let uid = owner(path)?;
            Ok(Bound { listener, guard: Guard::Owner { uid }, address: address.clone() })
        }
        Address::Tcp(at, token) if token.trim().is_empty() => {
            let what = format!("the control API at `{at}` has no token");
            Err(Fault::new(Code::ControlOpen, what).hint("name a file that holds one: `--token-file FILE`"))
        }
        Address::Tcp(at, token) => {
            let listener = Listener::bind(*at)?;
            let at = listener.local().unwrap_or(*at);
            let guard = Guard::Token(token.trim().to_owned());
            Ok(Bound { listener, guard, address: Address::Tcp(at, token.clone()) })
        }
    }
}

/// The dashboard's address, bound.
struct Board {
    listener: Listener,
    address: SocketAddr,
    secure: bool,
    url: String,
}

/// Binds the dashboard: plain on this machine alone, with the gateway's certificate beyond it.
fn bind_dashboard(settings: &Settings) -> Result<Option<Board>> {
    let (asked, listener) = match settings.dashboard {
        Dashboard::Off => return Ok(None),
        Dashboard::At(at) | Dashboard::Near(at) if !at.ip().is_loopback() && settings.tls.is_none() => {
            let what = format!("the dashboard at `{at}` could be reached from other machines without TLS");
            return Err(Fault::new(Code::DashboardOpen, what)
                .hint("give `--tls-cert` and `--tls-key`, or keep `127.0.0.1` and come by `ssh -L`"));
        }
        Dashboard::At(at) => (at, Listener::bind(at)?),
        Dashboard::Near(at) => (at, Listener::bind(at).or_else(|_| Listener::bind((at.ip(), 0).into()))?),
    };
    let address = listener.local().unwrap_or(asked);
    let secure = !address.ip().is_loopback();
    let url = if secure {
        format!("https://{}:{}", settings.domain, address.port())
    } else {
        format!("http://{address}")
    };
    Ok(Some(Board { listener, address, secure, url }))
}

/// Begins to serve the dashboard.
fn serve_dashboard(
    board: Board,
    sign_in: Arc<SignIn>,
    control: Arc<Control>,
    tls: Option<TlsAcceptor>,
    settings: &Settings,
    closing: &CancellationToken,
) {
    let Board { listener, address, secure, .. } = board;
    let (tokens, tls) = (tokens(&settings.control), tls.filter(|_| secure));
    let parts = dashboard::Parts { control, sign_in, tokens, address, tls };
    dashboard::serve(parts, listener, closing.clone());
}

/// The tokens of a control API on TCP.
fn tokens(control: &[Address]) -> Vec<String> {
    let token = |address: &Address| match address {
        Address::Tcp(_, token) => Some(token.trim().to_owned()),
        Address::Unix(_) => None,
    };
    control.iter().filter_map(token).collect()
}

/// The user this process runs as: the owner of a socket that it has just made.
fn owner(socket: &Path) -> Result<u32> {
    std::fs::metadata(socket).map(|metadata| metadata.uid()).map_err(Fault::internal)
}

fn port(listener: &Listener) -> Result<u16> {
    listener.local().map(|address| address.port()).ok_or_else(|| Fault::internal("a TCP socket has no port"))
}

fn url(addresses: &Addresses, asked: SocketAddr, http: &Listener) -> String {
    let scheme = if addresses.secure { "https" } else { "http" };
    format!("{scheme}://{}", http.local().unwrap_or(asked))
}

fn info(url: &str, domain: &str) -> NodeInfo {
    NodeInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        url: url.to_owned(),
        domain: domain.to_owned(),
        pid: std::process::id(),
        started_ms: clock::now_ms(),
    }
}
