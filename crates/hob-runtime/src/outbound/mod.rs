//! Calls that functions make: to each other by name, and to the world outside.
//!
//! **Why.** A call between functions must stay in the node and keep the revision, trace and deadline
//! of its caller; a call outside must obey the function's egress list. So guests never open sockets
//! by themselves: WASM calls come through [`Outbound::call`]; children are given an HTTP proxy
//! address ([`Outbound::enter`]) that leads to the same place.

pub mod external;
pub mod way;

use crate::body::Body;
use crate::code::FunctionCode;
use crate::invocation::{Context, Reply};
use hob_core::fault::Result;
use hob_core::limit::WALL_EGRESS_PORTS_MAX;
use hob_core::port::BoxFuture;
use hob_core::spec::FunctionSpec;
use std::sync::Arc;
use tokio::net::{TcpListener, UdpSocket};

/// Who calls.
#[derive(Clone)]
pub struct Caller {
    /// The function.
    pub code: Arc<FunctionCode>,
    /// The invocation in which it calls, where it can be known.
    pub context: Option<Arc<Context>>,
    /// How many events caused each other before the call: that invocation's, or where it cannot be
    /// known the most of those that run in the instance, so that no guest can begin anew.
    pub hops: u32,
    /// The instance, where it matters; 0: it does not.
    pub instance: u64,
}

impl Caller {
    /// The caller when the invocation is `context`, or else one of `running`.
    pub fn new<'a>(
        code: Arc<FunctionCode>,
        context: Option<Arc<Context>>,
        running: impl IntoIterator<Item = &'a Arc<Context>>,
    ) -> Self {
        let hops = match &context {
            Some(context) => context.hops,
            None => running.into_iter().map(|context| context.hops).max().unwrap_or(0),
        };
        Self { code, context, hops, instance: 0 }
    }
}

/// What tells a function's OpenTelemetry SDK where to send its spans and log records, and who it is (OpenTelemetry,
/// "Environment Variable Specification"): to `endpoint`, unless the function says itself where.
pub fn telemetry_variables(code: &FunctionCode, endpoint: &str) -> Vec<(String, String)> {
    let own = |name: &str| code.spec.env.contains_key(name);
    let FunctionCode { app, name, revision, .. } = code;
    let mut variables = vec![
        ("OTEL_SERVICE_NAME", format!("{app}/{name}")),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            format!("service.version={revision},faas.name={app}%2F{name},faas.version={revision}"),
        ),
    ];
    // Who has an own collector speaks to it as that wants.
    if !own("OTEL_EXPORTER_OTLP_ENDPOINT") {
        variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_owned()));
        variables.push(("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()));
        variables.push(("OTEL_EXPORTER_OTLP_COMPRESSION", "none".to_owned()));
    }
    variables.retain(|(name, _)| !own(name));
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Takes the calls of functions. The node implements it.
pub trait Outbound: Send + Sync {
    /// Sends a request with an absolute URI: `http://<function>.<app>.internal/…` goes to that
    /// function in the caller's revision; anything else goes outside, if the egress list allows it.
    ///
    /// # Errors
    /// `HOB-0507` when the address may not be reached, `HOB-0409` when calls are nested too deeply.
    fn call(&self, caller: Caller, request: http::Request<Body>) -> BoxFuture<'_, Result<Reply>>;

    /// Gives an instance its own way in through the node's HTTP proxy; `None` when there is none.
    /// Dropping the entry closes the way.
    fn enter(&self, code: &Arc<FunctionCode>, instance: u64) -> Option<ProxyEntry>;
}

/// The port of an instance's own loopback, behind walls, at which the node takes its calls and telemetry.
pub const ENTRANCE_PORT: u16 = 15_100;
/// Takes what one instance alone connects to, and serves it until the instance's way is closed.
pub type Entrance = Arc<dyn Fn(Gate) + Send + Sync>;

/// What an instance with a network of its own connects to.
#[derive(Debug)]
pub enum Gate {
    /// The node's proxy.
    Proxy(TcpListener),
    /// Whatever has this port: the address says what was meant.
    Through(TcpListener),
    /// The name server.
    Names(UdpSocket),
}

/// The ports that a function may reach without a proxy: those of its list and that of calls by name; without a list those of
/// HTTP. At most [`WALL_EGRESS_PORTS_MAX`], and none that the node uses for itself in an instance's network.
pub fn ports(spec: &FunctionSpec) -> Vec<u16> {
    let listed = spec.egress.iter().flatten().filter_map(|entry| entry.rsplit_once(':')?.1.parse().ok());
    let https = spec.egress.is_none().then_some(443);
    let mut ports: Vec<u16> = listed.chain(https).chain([80]).filter(|port| *port != ENTRANCE_PORT).collect();
    ports.sort_unstable();
    ports.dedup();
    ports.truncate(WALL_EGRESS_PORTS_MAX);
    ports
}

/// An instance's way to other functions.
pub struct ProxyEntry {
    /// For `http_proxy`: `http://<name>:<secret>@127.0.0.1:<port>`.
    pub url: String,
    /// For OpenTelemetry exporters, which do not use proxies: `http://127.0.0.1:<port>/<name>-<secret>`.
    pub telemetry: String,
    /// Takes the connections of an instance that has a network of its own: no name and no secret is needed there.
    pub entrance: Entrance,
    /// Which invocations run in the instance, so that the proxy can tell the caller.
    pub running: Arc<dyn Running>,
    /// Closes the way when dropped.
    pub guard: Box<dyn std::any::Any + Send + Sync>,
}

/// Told by a contract which calls run in an instance.
pub trait Running: Send + Sync {
    /// A call begins.
    fn begin(&self, context: &Arc<Context>);
    /// A call has ended.
    fn end(&self, context: &Arc<Context>);
}

#[cfg(test)]
mod tests;
