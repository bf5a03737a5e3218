//! A node's life: how it starts and how it stops, each one function, readable top to bottom.
//!
//! **How.** [`sockets`] binds every address. Then the spaces open ([`space`]): `default`, and those that [`spaces`] has stored.
//! In each, [`ground`] is what all else stands on and [`services`] run by themselves. Last, the gateway, the control API
//! and the dashboard open, which all spaces share.

mod crowd;
mod ground;
mod services;
mod sockets;
mod space;
mod spaces;

use crate::audit::Audit;
use crate::aws::{self, Lambdas};
use crate::clock;
use crate::control::{self, Control, Keeper};
use crate::dashboard::{self, Boards};
use crate::gateway::{self, Gateway, Tenants};
use crate::hosts::Hosts;
use crate::listener::Open;
use crate::secrets;
use crate::settings::{Address, Settings};
use crate::sign_in::SignIn;
use crate::task::Tasks;
use crate::telemetry::meter::{Kind, Metric};
use crate::tokens::Tokens;
use arc_swap::ArcSwap;
use hob_bus::{Engine, EngineSettings};
use hob_core::fault::Result;
use hob_core::limit::DRAIN_TIMEOUT;
use hob_core::name::SpaceName;
use hob_core::port::State;
use hob_core::wire::NodeInfo;
use hob_runtime::crowd::{Crowd, Shares};
use sockets::{Board, Bound, Desk, Sockets};
use space::{Common, Of, Space};
use spaces::{Doors, Spaces};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
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
    default: Space,
    spaces: Arc<Spaces>,
    common: Arc<Common>,
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
        let sockets = Sockets::bind(&settings)?;
        let common = Arc::new(common(&settings, &sockets, &engine.state).await?);
        let Sockets { tls, http, inner, control, board, lambda, url, .. } = sockets;
        let default = Of {
            name: SpaceName::default_space(),
            created_ms: None,
            quotas: spaces::quotas_of_default(&*engine.state).await?,
            engine,
            inner,
            keys: lambda.as_ref().map(Desk::keys),
        };
        let default = Space::start(default, &common, None).await?;
        let tenants = Tenants::new(Arc::clone(&default.tenant), Arc::clone(&common.hosts), &settings.domain);
        let (operations, sign_in) = (&default.control, default.control.dashboard.clone());
        let boards = board.as_ref().zip(sign_in.clone());
        let boards = boards.map(|(board, sign_in)| boards_of(board, sign_in, operations, &tls, &settings));
        let lambdas = lambda.as_ref().map(|desk| lambdas_of(desk, &default, &tls));
        let doors = Doors { tenants: Arc::clone(&tenants), boards: boards.clone(), lambdas: lambdas.clone() };
        let spaces = Spaces::open(&common, &default, doors).await?;

        let gateway = Gateway::new(tenants, Arc::clone(&common.tasks), settings.clients);
        let gateway = gateway::serve(gateway, http, tls.clone(), &common.tasks);
        default.control.scrape.extra_of_machine(connections(gateway.open()));
        let keeper: Arc<dyn Keeper> = Arc::new(spaces::Handle(Arc::clone(&spaces)));
        let control_closing = CancellationToken::new();
        let control = serve_control((operations, &keeper), control, &control_closing);
        let lambda = lambda.zip(lambdas).map(|(desk, lambdas)| {
            aws::serve(&lambdas, desk.listener, control_closing.clone());
            desk.url
        });
        if let Some((board, boards)) = board.zip(boards) {
            dashboard::serve(&boards, board.listener, control_closing.clone());
        }
        let dashboard = sign_in;
        Ok(Self { url, control, dashboard, lambda, gateway, control_closing, default, spaces, common })
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
        tokio::join!(self.spaces.stop(), self.default.stop(&self.common));
        self.common.tokens.note().await;
        self.common.tasks.stop().await;
        // Behind the last task: a change that the stop has cut is to be in it.
        self.common.audit.close().await;
        for address in &self.control {
            if let Address::Unix(path) = address {
                // Somebody else may have removed it.
                let _ = std::fs::remove_file(path);
            }
        }
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
                .with([("limit", "client-bytes-per-second")], number(seen.slow))
                .with([("limit", "http2-faults")], number(seen.on_probation)),
            counter(
                "hob_http2_faults",
                "HTTP/2 connections that the gateway ended because their client flooded or broke the protocol",
            )
            .with([], number(seen.faulty)),
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

/// What belongs to no space.
///
/// # Errors
/// `HOB-06xx` when what is stored of tokens or of the audit log cannot be read.
async fn common(settings: &Settings, sockets: &Sockets, state: &Arc<dyn State>) -> Result<Common> {
    let tasks = Tasks::new();
    Ok(Common {
        settings: settings.clone(),
        addresses: sockets.addresses.clone(),
        crowd: Crowd::new(Shares::here(settings.memory_bytes), Arc::clone(&tasks) as _),
        hosts: Hosts::new(&settings.domain),
        doors: Arc::new(ArcSwap::from_pointee(sockets.doors())),
        names: Arc::default(),
        named: Arc::new(AtomicUsize::new(spaces::count(&**state).await?)),
        instances: Arc::new(AtomicU64::new(1)),
        node: info(&sockets.url, &settings.domain),
        tokens: Tokens::open(Arc::clone(state), &tasks).await?,
        audit: Audit::open(&settings.data, Arc::clone(state), &tasks).await?,
        secret_keys: secrets::Keys::open(&settings.data, settings.secret_key.as_ref())?,
        dashboard: sockets.board.as_ref().map(|board| board.url.clone()),
        lambda: sockets.lambda.as_ref().map(|desk| desk.url.clone()),
        tasks,
    })
}

/// Begins to serve the control API; returns where.
fn serve_control(
    (operations, keeper): (&Arc<Control>, &Arc<dyn Keeper>),
    bound: Vec<Bound>,
    closing: &CancellationToken,
) -> Vec<Address> {
    let serve = |Bound { listener, guard, address, tls }| {
        control::serve((operations, keeper), (listener, tls), guard, closing.clone(), &operations.tasks);
        address
    };
    bound.into_iter().map(serve).collect()
}

/// The dashboards that are served at an address.
fn boards_of(
    board: &Board,
    sign_in: Arc<SignIn>,
    control: &Arc<Control>,
    tls: &Option<TlsAcceptor>,
    settings: &Settings,
) -> Arc<Boards> {
    let (tokens, tls) = (tokens(&settings.control), tls.clone().filter(|_| board.secure));
    let (control, address) = (Arc::clone(control), board.address);
    Boards::new(dashboard::Parts { control, sign_in, tokens, address, tls })
}

/// The Lambda APIs that are served at an address.
fn lambdas_of(desk: &Desk, default: &Space, tls: &Option<TlsAcceptor>) -> Arc<Lambdas> {
    let tls = tls.clone().filter(|_| desk.secure);
    let (control, state) = (Arc::clone(&default.control), Arc::clone(&default.state));
    Lambdas::new(aws::Parts { control, state, keys: desk.keys(), tls, loopback: desk.loopback })
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
        space: None,
        pid: std::process::id(),
        started_ms: clock::now_ms(),
    }
}

#[cfg(test)]
mod tests;
