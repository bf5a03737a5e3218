//! The ways of child processes into the node: one secret per instance, and the calls that run in it.
//!
//! **Why.** A child calls other functions through an HTTP proxy on loopback, which any local process can
//! reach, and tells its telemetry there. So each instance has a secret of its own, which says which function calls; and the calls that
//! run in the instance say in which invocation.
//!
//! An instance behind walls needs no secret: it has a network of its own, and whoever connects to the listener that is
//! made there is that instance.
//!
//! **Not here:** the proxy's listener ([`crate::proxy`]).

use crate::gateway::forward;
use crate::identity;
use crate::sync::lock;
use hob_core::resolve::Names;
use hob_runtime::code::FunctionCode;
use hob_runtime::invocation::Context;
use hob_runtime::outbound::{Caller, Gate, ProxyEntry, Running};
use http::HeaderMap;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, OnceLock};
use tokio_util::sync::CancellationToken;

/// Every open way, by the instance's number.
pub(crate) struct Entrances {
    port: u16,
    open: Mutex<HashMap<u64, Arc<Entrance>>>,
    /// Serves listeners of instances with a network of their own; there is nobody before the node has started.
    keeper: OnceLock<Keeper>,
}

/// Serves what one instance alone connects to, until the way is closed.
pub(crate) type Keeper = Box<dyn Fn(Gate, Arc<Entrance>) + Send + Sync>;

/// The way of one instance.
pub(crate) struct Entrance {
    instance: u64,
    secret: String,
    code: Arc<FunctionCode>,
    running: Mutex<Vec<Arc<Context>>>,
    closed: CancellationToken,
    /// The addresses that stand for names in its network.
    names: Mutex<Names>,
}

impl Entrances {
    /// None yet; the proxy listens on this port of 127.0.0.1.
    pub(crate) fn new(port: u16) -> Arc<Self> {
        Arc::new(Self { port, open: Mutex::default(), keeper: OnceLock::new() })
    }

    /// Who serves instances with a network of their own; once.
    pub(crate) fn keep(&self, keeper: Keeper) {
        let _ = self.keeper.set(keeper);
    }

    /// Opens a way for an instance.
    pub(crate) fn open(self: &Arc<Self>, code: &Arc<FunctionCode>, instance: u64) -> Option<ProxyEntry> {
        let secret = identity::secret();
        let url = format!("http://{instance}:{secret}@127.0.0.1:{}", self.port);
        let telemetry = format!("http://127.0.0.1:{}/{instance}-{secret}", self.port);
        let (running, closed) = (Mutex::default(), CancellationToken::new());
        let (code, names) = (Arc::clone(code), Mutex::default());
        let entrance = Arc::new(Entrance { instance, secret, code, running, closed, names });
        lock(&self.open).insert(instance, Arc::clone(&entrance));
        let guard = Guard { entrances: Arc::clone(self), instance };
        let (entrances, own) = (Arc::clone(self), Arc::clone(&entrance));
        let serve: hob_runtime::outbound::Entrance = Arc::new(move |gate| {
            if let Some(keeper) = entrances.keeper.get() {
                keeper(gate, Arc::clone(&own));
            }
        });
        Some(ProxyEntry { url, telemetry, entrance: serve, running: entrance, guard: Box::new(guard) })
    }

    /// Who tells something at a path `/<instance>-<secret>/…`, and what follows in the path.
    pub(crate) fn teller<'a>(&self, path: &'a str) -> Option<(u64, Arc<FunctionCode>, &'a str)> {
        let (who, _) = path.strip_prefix('/')?.split_once('/')?;
        let (instance, secret) = who.split_once('-')?;
        let instance = instance.parse().ok()?;
        let entrance = self.admit(instance, secret)?;
        Some((instance, Arc::clone(&entrance.code), &path[who.len() + 1..]))
    }

    fn admit(&self, instance: u64, secret: &str) -> Option<Arc<Entrance>> {
        let entrance = lock(&self.open).get(&instance).cloned()?;
        identity::same_secret(secret.as_bytes(), entrance.secret.as_bytes()).then_some(entrance)
    }

    /// Who calls, if the secret is right.
    pub(crate) fn caller(&self, instance: u64, secret: &str, headers: &HeaderMap) -> Option<Caller> {
        self.admit(instance, secret).map(|entrance| entrance.caller(headers))
    }
}

impl Entrance {
    /// Whose it is.
    pub(crate) fn teller(&self) -> (u64, Arc<FunctionCode>) {
        (self.instance, Arc::clone(&self.code))
    }

    /// The address that stands for a name in the instance's network; `None` when it has asked for too many.
    pub(crate) fn address_of(&self, name: &str) -> Option<Ipv4Addr> {
        lock(&self.names).address(name)
    }

    /// The name for which an address stands, if it stands for one; `None`: it should and does not.
    pub(crate) fn name_of(&self, address: Ipv4Addr) -> Option<Option<String>> {
        lock(&self.names).name(address).ok().map(|name| name.map(str::to_owned))
    }

    /// Cancelled when the instance's way is closed.
    pub(crate) fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// Who calls, in the invocation that a request's headers tell.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Caller {
        let context = self.cause(headers);
        Caller::new(Arc::clone(&self.code), context, lock(&self.running).iter())
    }

    /// The invocation in which a request is made: the one whose trace it carries, else the only one.
    fn cause(&self, headers: &HeaderMap) -> Option<Arc<Context>> {
        let running = lock(&self.running);
        if let Some(trace) = forward::caller_trace(headers) {
            let of_span = running.iter().find(|context| context.trace.span_id == trace.span_id);
            let of_trace = || running.iter().find(|context| context.trace.trace_id == trace.trace_id);
            if let Some(context) = of_span.or_else(of_trace) {
                return Some(Arc::clone(context));
            }
        }
        match running.as_slice() {
            [only] => Some(Arc::clone(only)),
            _ => None,
        }
    }
}

impl Running for Entrance {
    fn begin(&self, context: &Arc<Context>) {
        lock(&self.running).push(Arc::clone(context));
    }

    fn end(&self, context: &Arc<Context>) {
        lock(&self.running).retain(|running| running.id != context.id);
    }
}

/// Closes a way when the instance has ended.
struct Guard {
    entrances: Arc<Entrances>,
    instance: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(entrance) = lock(&self.entrances.open).remove(&self.instance) {
            entrance.closed.cancel();
        }
    }
}
