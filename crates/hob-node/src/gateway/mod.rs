//! HTTP in: connections, routing, and the way of one request to a function and back.
//!
//! **Why.** Everything that a stranger can send arrives here, so here are the limits, and here is where
//! each request gets its id, trace, deadline and revision.
//!
//! **How.** [`serve`] drives connections (TLS, HTTP/1.1, HTTP/2; behind [`crate::wire`]) and calls
//! [`Gateway::answer`] for each request. Its host decides the space ([`tenant`]), and with that all that it can
//! reach. A call looks at one immutable table, waits for one pool, and touches no lock.
//!
//! ```text
//! socket ─▶ serve ─▶ wire ─▶ hyper ─▶ answer ─▶ tenant ─▶ routing ─▶ pool
//! ```
//!
//! **Not here:** calls between functions ([`crate::dispatcher`]).

pub(crate) mod body;
pub(crate) mod forward;
mod peer;
pub(crate) mod routing;
mod serve;
mod tenant;
mod unsent;
mod upgrade;

pub(crate) use serve::{Server, serve};
pub(crate) use tenant::{Tenant, Tenants};

use crate::bus::ingress::Stranger;
use crate::calls::{self, Acceptance};
use crate::identity;
use crate::live::LiveRevision;
use crate::problem::{self, Form};
use crate::settings::Clients;
use crate::task::Tasks;
use crate::wire;
use body::Answer;
use hob_core::code::Code;
use hob_core::fact::{CallCause, Failure, Refused, What};
use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use hob_core::name::TopicName;
use hob_core::trace::{SpanId, TraceId};
use hob_runtime::body::{self as bodies, Body};
use hob_runtime::invocation::{Context, Invocation, Origin, Timing, Trail};
use http::header::{ALLOW, CONNECTION, HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use peer::{Busy, Peer};
use routing::{Choice, Found};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use upgrade::Upgrade;

/// What answers requests from outside.
pub(crate) struct Gateway {
    tenants: Arc<Tenants>,
    tasks: Arc<Tasks>,
    closing: AtomicBool,
    /// What its clients may do.
    clients: Clients,
    /// What those of HTTP/2 have not taken of their answers.
    unsent: unsent::Total,
}

/// One request, before anybody is chosen to answer it.
struct Arrival {
    id: InvocationId,
    came: Instant,
    form: Form,
    upgrade: Option<Upgrade>,
}

impl Arrival {
    /// The answer when it ends in a fault.
    fn refuse(&self, fault: &Fault) -> Response<Body> {
        problem::respond(fault, Some(self.id.to_string()), self.form)
    }
}

/// What is told of a request that is refused; the request itself may be used up by then.
struct Told {
    method: Method,
    uri: Uri,
    host: String,
    trace: Option<TraceId>,
}

impl Told {
    fn of(request: &Request<Incoming>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            host: routing::host_name(host_of(request)).into_owned(),
            trace: forward::caller_trace(request.headers()).map(|trace| TraceId(trace.trace_id)),
        }
    }
}

impl Gateway {
    pub(crate) fn new(tenants: Arc<Tenants>, tasks: Arc<Tasks>, clients: Clients) -> Arc<Self> {
        Arc::new(Self {
            tenants,
            tasks,
            closing: AtomicBool::new(false),
            clients,
            unsent: Default::default(),
        })
    }

    /// From now on every answer asks its client to come back on another connection.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Answers one request, whatever it is.
    async fn answer(&self, peer: &Arc<Peer>, mut request: Request<Incoming>) -> Response<Answer> {
        let mut busy = Busy::new(peer);
        let arrival = Arrival {
            id: identity::invocation(),
            came: Instant::now(),
            form: Form::of(request.headers()),
            upgrade: Upgrade::asked(&mut request, peer),
        };
        let (tenant, chosen) = self.choose(peer, &mut request, &mut busy);
        let (mut response, revision) = match chosen {
            Ok(Choice::Function(found)) if calls::is_asked(request.headers()) => {
                (self.call_later(&tenant, &arrival, (peer, &found), request).await, None)
            }
            Ok(Choice::Function(found)) => {
                let response = call(&arrival, peer, &found, request).await;
                (response, Some(found.revision))
            }
            Ok(Choice::Events(revision, topic, route)) => {
                let to = (&*revision, &topic, &*route);
                (self.take_events(&tenant, (&arrival, peer), to, request).await, None)
            }
            Ok(Choice::Call(rest)) => {
                let answer = tenant.calls.answer(request.method(), &rest).await;
                let refuse = |fault| {
                    tenant.tell_refused(&arrival, &Told::of(&request), &fault);
                    arrival.refuse(&fault)
                };
                (answer.unwrap_or_else(refuse), None)
            }
            Ok(Choice::Options(allow)) => (allowing(no_content(), &allow), None),
            Ok(Choice::NotAllowed(fault, allow)) => {
                tenant.tell_refused(&arrival, &Told::of(&request), &fault);
                body::drain(&mut request).await;
                (allowing(arrival.refuse(&fault), &allow), None)
            }
            Err(fault) => {
                tenant.tell_refused(&arrival, &Told::of(&request), &fault);
                // After a refusal by [`wire::Strict`] nothing more is read at all.
                if !peer.exchange.is_refused() {
                    body::drain(&mut request).await;
                }
                (arrival.refuse(&fault), None)
            }
        };
        response.headers_mut().insert(forward::INVOCATION_ID, forward::id_value(arrival.id));
        self.hand_over(arrival.upgrade, peer, response, busy, revision)
    }

    /// Accepts a call that is made later.
    async fn call_later(
        &self,
        tenant: &Tenant,
        arrival: &Arrival,
        (peer, found): (&Peer, &Found),
        request: Request<Incoming>,
    ) -> Response<Body> {
        let (context, told) = (context(arrival, peer, found, &request), Told::of(&request));
        let refuse = |fault| {
            tenant.tell_refused(arrival, &told, &fault);
            arrival.refuse(&fault)
        };
        let (mut parts, incoming) = request.into_parts();
        let callback = match calls::take_callback(&mut parts.headers) {
            Ok(callback) => callback,
            Err(fault) => return refuse(fault),
        };
        forward::inward(&mut parts.headers, peer);
        parts.uri = parts.uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
        let (code, client) = (found.pool.code(), Some(peer.client()));
        let by = Acceptance { code, id: arrival.id, trace: context.trace, client, callback };
        let request = Request::from_parts(parts, body::incoming_from(incoming, &self.clients));
        tenant.calls.accept(by, request).await.unwrap_or_else(refuse)
    }

    /// Takes the events of a request to an event route.
    async fn take_events(
        &self,
        tenant: &Tenant,
        (arrival, peer): (&Arrival, &Peer),
        (revision, topic, route): (&LiveRevision, &TopicName, &str),
        request: Request<Incoming>,
    ) -> Response<Body> {
        let routes = &revision.spec.triggers.event_routes;
        let origins = routes.iter().find(|spec| spec.route == route).map(|spec| spec.origins.as_slice());
        let origins = origins.unwrap_or_default();
        let request = request.map(|body| body::incoming_from(body, &self.clients));
        let by = Stranger { id: arrival.id, client: peer.client() };
        let taken = tenant.bus.take_from_outside(topic, origins, request, by);
        taken.await.unwrap_or_else(|fault| arrival.refuse(&fault))
    }

    /// Checks a request, finds the space that it belongs to, and chooses who answers it there.
    fn choose(
        &self,
        peer: &Peer,
        request: &mut Request<Incoming>,
        busy: &mut Busy,
    ) -> (Arc<Tenant>, Result<Choice>) {
        if let Err(fault) = wire::check(peer.http2, &peer.exchange, request) {
            return (Arc::clone(self.tenants.default()), Err(fault));
        }
        let tenant = self.tenants.of(host_of(request));
        let chosen = tenant.allowance.begin().and_then(|running| {
            busy.counts(running);
            tenant.choose(request)
        });
        (tenant, chosen)
    }

    /// Gives the response to the connection, with what has to stay until its body has ended.
    fn hand_over(
        &self,
        upgrade: Option<Upgrade>,
        peer: &Peer,
        mut response: Response<Body>,
        busy: Busy,
        revision: Option<Arc<LiveRevision>>,
    ) -> Response<Answer> {
        if let Some(upgrade) = upgrade {
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                upgrade.accept(&mut response, peer, &self.tasks, (busy, revision));
                return response.map(|_| Answer::alone(bodies::empty()));
            }
            upgrade.refuse(peer);
        }
        if self.closing.load(Ordering::Relaxed) && !peer.http2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|body| Answer::new(body, busy, revision))
    }
}

impl Tenant {
    /// That nobody was called for a request.
    fn tell_refused(&self, arrival: &Arrival, told: &Told, fault: &Fault) {
        if !self.refused.spend(crate::clock::now_ms()) {
            return;
        }
        let app = routing::app(&self.live.load(), &self.rules, &told.host).map(|app| app.name.clone());
        let refused = Refused {
            id: arrival.id,
            control: false,
            app,
            method: told.method.as_str().to_owned(),
            path: told.uri.path().to_owned(),
            host: told.host.clone(),
            failure: Failure::from(fault),
        };
        self.telemetry.now(told.trace, What::Refused(Box::new(refused)));
    }

    /// Chooses who answers a request.
    fn choose(&self, request: &Request<Incoming>) -> Result<Choice> {
        let host = routing::host_name(host_of(request));
        let (method, path) = (request.method().as_str(), request.uri().path());
        if let Some(rest) = path.strip_prefix(calls::PATH) {
            return Ok(Choice::Call(rest.to_owned()));
        }
        routing::find(&self.live.load(), &self.rules, method, &host, path)
    }
}

/// Calls the function that was found.
async fn call(arrival: &Arrival, peer: &Peer, found: &Found, request: Request<Incoming>) -> Response<Body> {
    let context = Arc::new(context(arrival, peer, found, &request));
    let mut request = inward(arrival, peer, &context, request);
    if let Some(alias) = &found.alias {
        request.extensions_mut().insert(alias.clone());
    }
    let reply = found.pool.call(Invocation { context: Arc::clone(&context), request }).await;
    let reply = reply.and_then(|reply| outward(arrival, reply));
    let mut response = reply.unwrap_or_else(|fault| arrival.refuse(&fault));
    forward::timing(response.headers_mut(), &context, arrival.came.elapsed());
    response
}

fn context(arrival: &Arrival, peer: &Peer, found: &Found, request: &Request<Incoming>) -> Context {
    let code = found.pool.code();
    let caller = forward::caller_trace(request.headers());
    let parent = caller.map(|trace| SpanId(trace.span_id));
    Context {
        id: arrival.id,
        trace: identity::trace(arrival.id, caller),
        app: code.app.clone(),
        revision: code.revision,
        function: code.name.clone(),
        deadline: arrival.came + code.spec.timeout(),
        depth: 0,
        hops: 0,
        secure: peer.secure,
        peer: Some(peer.address),
        route: found.route.clone(),
        origin: Origin { came: arrival.came, parent, cause: CallCause::Request },
        timing: Timing::default(),
        trail: Trail::default(),
    }
}

/// The request as the function sees it.
fn inward(arrival: &Arrival, peer: &Peer, context: &Context, request: Request<Incoming>) -> Request<Body> {
    let (mut parts, body) = request.into_parts();
    forward::inward(&mut parts.headers, peer);
    forward::mark(&mut parts.headers, context);
    if let Some(upgrade) = &arrival.upgrade {
        upgrade.announce(&mut parts);
    }
    if parts.uri.authority().is_some() {
        parts.uri = parts.uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
    }
    Request::from_parts(parts, body::incoming_from(body, &peer.clients))
}

/// The function's answer as the caller sees it.
fn outward(arrival: &Arrival, mut reply: Response<Body>) -> Result<Response<Body>> {
    let switches = reply.status() == StatusCode::SWITCHING_PROTOCOLS;
    if reply.status().is_informational() && !(switches && arrival.upgrade.is_some()) {
        let status = reply.status().as_u16();
        return Err(Fault::new(Code::BadResponse, format!("the function answered with status {status}"))
            .hint("answer with a final status from 200 to 599"));
    }
    let protocol = reply.headers().get(http::header::UPGRADE).filter(|_| switches).cloned();
    forward::outward(reply.headers_mut());
    if let Some(protocol) = protocol {
        forward::insert_upgrade(reply.headers_mut(), protocol);
    }
    Ok(reply)
}

/// Says which methods there are.
fn allowing(mut response: Response<Body>, allow: &str) -> Response<Body> {
    if let Ok(allow) = HeaderValue::try_from(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

fn no_content() -> Response<Body> {
    let mut response = Response::new(bodies::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn host_of(request: &Request<Incoming>) -> &str {
    request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}
