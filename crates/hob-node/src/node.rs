//! A node's life: how it starts and how it stops, each one function, readable top to bottom.
//!
//! **How.** [`sockets`] binds every address, [`ground`] is what all else stands on, [`services`] run by themselves; then the
//! gateway, the control API and the dashboard open.

mod crowd;
mod ground;
mod services;
mod sockets;

use crate::apps::Apps;
use crate::audit::Audit;
use crate::aws;
use crate::clock;
use crate::control::{self, Control};
use crate::dashboard;
use crate::delivery::Delivery;
use crate::export::Export;
use crate::gateway::routing::Rules;
use crate::gateway::{self, Gateway};
use crate::listener::Open;
use crate::live::{Live, LiveTable};
use crate::proxy;
use crate::scrape::Scrape;
use crate::settings::{Address, Settings};
use crate::sign_in::SignIn;
use crate::task::Tasks;
use crate::telemetry::Telemetry;
use crate::telemetry::meter::{Kind, Metric};
use crate::tokens::Tokens;
use crate::usage::UsageBook;
use ground::Ground;
use hob_bus::{Engine, EngineSettings};
use hob_core::fault::Result;
use hob_core::limit::{DRAIN_TIMEOUT, GRACE_DEFAULT};
use hob_core::port::State;
use hob_core::wire::NodeInfo;
use services::Services;
use sockets::{Board, Bound, Desk, Sockets};
use std::sync::Arc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// A running node.
pub struct Node {
    url: String,
    control: Vec<Address>,
    dashboard: Option<Arc<SignIn>>,
    lambda: Option<String>,
    gateway: gateway::Server,
    control_closing: CancellationToken,
    delivery: Arc<Delivery>,
    apps: Arc<Apps>,
    live: Arc<Live>,
    telemetry: Arc<Telemetry>,
    export: Option<Export>,
    usage: Arc<UsageBook>,
    tokens: Arc<Tokens>,
    audit: Arc<Audit>,
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
        let Engine { state, blobs, log, facts } = engine;
        let sockets = Sockets::bind(&settings)?;
        let records = Arc::clone(&state);
        let (ground, told) = Ground::lay((Arc::clone(&state), log, facts), &settings, &sockets)?;
        let Sockets { tls, http, inner, control, board, lambda, addresses, url, .. } = sockets;
        let inner = || {
            proxy::serve(inner, Arc::clone(&ground.dispatcher), Arc::clone(&ground.entrances), &ground.tasks)
        };
        let services = Services::start(&ground, (state, blobs), told, &settings, &addresses, inner).await?;

        let rules = Rules { default_app: settings.default_app.clone(), addresses };
        let gateway = Gateway::new(
            Arc::clone(&ground.live),
            Arc::clone(&ground.bus),
            Arc::clone(&ground.calls),
            rules.clone(),
            Arc::clone(&ground.tasks),
            Arc::clone(&ground.telemetry),
            settings.clients,
        );
        let gateway = gateway::serve(gateway, http, tls.clone(), &ground.tasks);
        let node = info(&url, &settings.domain);
        let scrape =
            Scrape::new(&ground.live, &ground.bus, &services.delivery, &ground.telemetry, node.clone());
        measure(&scrape, gateway.open(), node.started_ms, &ground);
        let tokens = Tokens::open(Arc::clone(&records), &ground.tasks).await?;
        let audit = Audit::open(&settings.data, Arc::clone(&records), &ground.tasks).await?;
        let sign_in = board.as_ref().map(|board| Arc::new(SignIn::new(board.url.clone())));
        let why = services.why(&ground, rules);
        let operations = Arc::new(Control {
            apps: Arc::clone(&services.apps),
            logs: ground.logs,
            live: Arc::clone(&ground.live),
            dispatcher: ground.dispatcher,
            bus: ground.bus,
            calls: ground.calls,
            delivery: Arc::clone(&services.delivery),
            schedules: services.schedules,
            tasks: Arc::clone(&ground.tasks),
            telemetry: Arc::clone(&ground.telemetry),
            why,
            scrape,
            usage: Arc::clone(&ground.usage),
            alerts: services.alerts,
            node,
            tokens: Arc::clone(&tokens),
            audit: Arc::clone(&audit),
            data: settings.data.clone(),
            dashboard: sign_in.clone(),
            lambda: lambda.as_ref().map(Desk::access),
        });
        let control_closing = CancellationToken::new();
        let control = serve_control(&operations, control, &control_closing);
        let lambda = lambda.map(|desk| serve_lambda(desk, records, &operations, &tls, &control_closing));
        if let Some((board, sign_in)) = board.zip(sign_in.clone()) {
            serve_dashboard(board, sign_in, operations, tls, &settings, &control_closing);
        }
        Ok(Self {
            url,
            control,
            dashboard: sign_in,
            lambda,
            gateway,
            control_closing,
            delivery: services.delivery,
            apps: services.apps,
            live: ground.live,
            telemetry: ground.telemetry,
            export: ground.export,
            usage: ground.usage,
            tokens,
            audit,
            tasks: ground.tasks,
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

    /// Where the AWS Lambda API answers, such as `http://127.0.0.1:9001`, with the real port; `None` when there is
    /// none.
    pub fn lambda(&self) -> Option<&str> {
        self.lambda.as_deref()
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
        self.tokens.note().await;
        self.audit.close().await;
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

/// Adds what the parts tell that [`Scrape`] does not know.
fn measure(scrape: &Arc<Scrape>, open: Open, started_ms: u64, ground: &Ground) {
    scrape.extra(connections(open));
    scrape.extra(crowd::metrics(Arc::clone(&ground.crowd)));
    scrape.extra(ground.dropped_lines());
    if let Some(export) = &ground.export {
        export.measure(scrape, started_ms, &ground.tasks);
    }
}

/// What tells how many connections the gateway has.
fn connections(open: Open) -> impl Fn() -> Vec<Metric> + Send + Sync + 'static {
    move || {
        let seen = open.seen();
        let gauge = |name, help| Metric::new(name, Kind::Gauge, "", help);
        let counter = |name, help| Metric::new(name, Kind::Counter, "", help);
        let refused = counter(
            "hob_connections_refused",
            "Connections that the gateway closed, by the limit that they met",
        );
        vec![
            gauge("hob_connections", "Connections that are open at the gateway")
                .with([], f64::from(open.count())),
            gauge("hob_connection_clients", "Client addresses that have connections at the gateway")
                .with([], f64::from(u32::try_from(seen.clients).unwrap_or(u32::MAX))),
            refused
                .with([("limit", "connections-per-client")], number(seen.of_busy_clients))
                .with([("limit", "header-timeout")], number(seen.late))
                .with([("limit", "client-bytes-per-second")], number(seen.slow)),
            counter("hob_connections_full", "How often further connections had to wait until others ended")
                .with([], number(seen.full)),
            counter("hob_accept_failures", "How often the machine could not give a connection")
                .with([], number(seen.failed)),
        ]
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a floating point number")]
fn number(count: u64) -> f64 {
    count as f64
}

/// Begins to serve the control API; returns where.
fn serve_control(operations: &Arc<Control>, bound: Vec<Bound>, closing: &CancellationToken) -> Vec<Address> {
    let serve = |Bound { listener, guard, address }| {
        control::serve(operations, listener, guard, closing.clone(), &operations.tasks);
        address
    };
    bound.into_iter().map(serve).collect()
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

/// Begins to serve the Lambda API; returns where.
fn serve_lambda(
    desk: Desk,
    state: Arc<dyn State>,
    control: &Arc<Control>,
    tls: &Option<TlsAcceptor>,
    closing: &CancellationToken,
) -> String {
    let Desk { listener, keys, loopback, secure, url } = desk;
    let tls = tls.clone().filter(|_| secure);
    let parts = aws::Parts { control: Arc::clone(control), state, keys, tls, loopback };
    aws::serve(parts, listener, closing.clone());
    url
}

/// The tokens of a control API on TCP.
fn tokens(control: &[Address]) -> Vec<String> {
    let token = |address: &Address| match address {
        Address::Tcp(_, token) => Some(token.trim().to_owned()),
        Address::Unix(_) => None,
    };
    control.iter().filter_map(token).collect()
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
