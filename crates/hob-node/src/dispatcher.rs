//! Calls that functions make: by name to other functions, and to the world outside.
//!
//! **Why.** A call by name stays in the node. It keeps its caller's revision, so that one request never
//! meets two revisions of an app; its trace, so that it can be followed; and its deadline, so that
//! nobody works for a caller who has given up.
//!
//! **How.** [`Dispatcher`] is the node's [`Outbound`]. `http://<function>.<app>.internal/…` goes to the
//! pool of that function: of the caller's own revision within an app, of the current one in another
//! app. What the called function does wrong is its answer, as it would be through the gateway; so is it that the space
//! has as many calls as it may.
//!
//! **Not here:** the way of a child process to this place ([`crate::proxy`]).

use crate::allowance::Running;
use crate::bus::Bus;
use crate::entrance::Entrances;
use crate::gateway::forward;
use crate::gateway::routing::host_name;
use crate::identity;
use crate::intake::{Intake, Telling};
use crate::live::{Live, LiveRevision, LiveTable};
use crate::problem::{self, Form};
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::fact::{CallCause, Failure, Outside};
use hob_core::fault::{Fault, Result};
use hob_core::limit::{CALL_DEPTH_MAX, OTLP_BODY_BYTES_MAX};
use hob_core::name::{AppName, FunctionName, TopicName};
use hob_core::near::nearest;
use hob_core::port::{BoxFuture, Durability};
use hob_core::route::Match;
use hob_core::trace::SpanId;
use hob_core::unit::micros;
use hob_runtime::body::Body;
use hob_runtime::code::FunctionCode;
use hob_runtime::invocation::{Context, Invocation, Origin, Reply, Timing, Trail};
use hob_runtime::outbound::external::External;
use hob_runtime::outbound::{Caller, Outbound, ProxyEntry};
use hob_runtime::pool::Pool;
use http::header::{ALLOW, HOST, HeaderMap, HeaderValue};
use http::uri::Authority;
use http::{Method, Request, Uri};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;
use tokio::net::TcpStream;

/// The end of the host names of functions.
const INTERNAL: &str = ".internal";
/// The name of the bus among them: `http://bus.internal/<topic>`.
const BUS: &str = "bus";
/// The name of the place for telemetry among them: `http://telemetry.internal/v1/traces`.
const TELEMETRY: &str = "telemetry";

/// Takes the calls of functions.
pub(crate) struct Dispatcher {
    live: Arc<Live>,
    bus: Arc<Bus>,
    entrances: Arc<Entrances>,
    intake: Intake,
    external: External,
}

/// The name of the caller's own app among them, by its routes: `http://self.internal/orders/1`.
const SELF: &str = "self";

/// A function that somebody calls by name.
pub(crate) struct Target {
    /// Its revision; held until the answer has ended.
    pub(crate) revision: Arc<LiveRevision>,
    /// Its instances.
    pub(crate) pool: Arc<Pool>,
    /// The route by which it was found, if it was found so.
    pub(crate) route: Option<String>,
}

/// What a call takes over from whoever causes it.
pub(crate) struct Cause {
    /// The invocation in which it is made.
    pub(crate) context: Option<Arc<Context>>,
    /// How many events caused each other before it.
    pub(crate) hops: u32,
    /// Headers that only the node may set.
    pub(crate) headers: HeaderMap,
    /// Why it is made.
    pub(crate) why: CallCause,
    /// Its place among the calls of its space, where these are counted; held until its answer has ended.
    pub(crate) place: Option<Running>,
}

impl Cause {
    /// Of a call that nobody else's call or event causes.
    pub(crate) fn of(why: CallCause) -> Self {
        Self { context: None, hops: 0, headers: HeaderMap::new(), why, place: None }
    }
}

impl Dispatcher {
    pub(crate) fn new(
        live: Arc<Live>,
        bus: Arc<Bus>,
        entrances: Arc<Entrances>,
        intake: Intake,
        external: External,
    ) -> Arc<Self> {
        Arc::new(Self { live, bus, entrances, intake, external })
    }

    /// The way to the world, for what the node sends in a function's name.
    pub(crate) fn external(&self) -> &External {
        &self.external
    }

    /// The current revision's function, private or not.
    ///
    /// # Errors
    /// `HOB-0351` and `HOB-0353`.
    pub(crate) fn current(&self, app: &AppName, function: &FunctionName) -> Result<Target> {
        let table = self.live.load();
        let app = table.app(app.as_str()).ok_or_else(|| no_app(app.as_str()))?;
        target(&app.current, function.as_str())
    }

    /// The function that `<function>.<app>.internal` means for a caller.
    fn named(&self, caller: &FunctionCode, name: &str) -> Result<Target> {
        let (function, app) = name.split_once('.').ok_or_else(|| {
            Fault::new(Code::FunctionNotFound, format!("`{name}{INTERNAL}` does not name a function"))
                .hint("call `http://<function>.<app>.internal/`")
        })?;
        let table = self.live.load();
        if app != caller.app.as_str() {
            let app = table.app(app).ok_or_else(|| {
                let near = nearest(app, table.apps().keys().map(AppName::as_str));
                match near {
                    Some(near) => no_app(app)
                        .hint(format!("did you mean `{near}`? call `http://{function}.{near}{INTERNAL}/`")),
                    None => no_app(app),
                }
            })?;
            return target(&app.current, function);
        }
        target(&own(&table, caller)?, function)
    }

    /// The function of the caller's own app that a route leads to.
    fn routed(&self, caller: &FunctionCode, method: &Method, path: &str) -> Result<Target> {
        let revision = own(&self.live.load(), caller)?;
        let (function, route) = match revision.routes.find(method.as_str(), "", false, path) {
            Match::Function { function, path } => (function.clone(), path.to_owned()),
            Match::Method { allowed } => {
                let what = format!("`{path}` does not take method `{method}`");
                return Err(
                    Fault::new(Code::MethodNotAllowed, what).hint(format!("use {}", allowed.join(", ")))
                );
            }
            Match::Events { topic, .. } => {
                let what = format!("`{path}` takes events for topic `{topic}`");
                return Err(Fault::new(Code::RouteNotFound, what)
                    .hint(format!("publish with `POST http://{BUS}{INTERNAL}/{topic}`")));
            }
            Match::Nothing { nearest } => {
                let fault = Fault::new(Code::RouteNotFound, format!("no route of the app matches `{path}`"));
                return Err(match nearest {
                    Some(near) => fault.hint(format!("did you mean `{near}`?")),
                    None => fault,
                });
            }
        };
        Ok(Target { route: Some(route), ..target(&revision, function.as_str())? })
    }

    /// A tunnel to an address outside.
    ///
    /// # Errors
    /// `HOB-0507` when the function may not reach it.
    pub(crate) async fn connect(&self, caller: &Caller, to: &Authority) -> Result<TcpStream> {
        if is_inside(to.as_str()) {
            return Err(Fault::new(Code::EgressDenied, format!("`{to}` is inside of this node"))
                .hint("calls by name need no TLS: use `http://`"));
        }
        let left = Left::now(caller, to.to_string());
        let stream = self.external.connect(&caller.code, to).await;
        left.back(stream.as_ref().map(|_| None));
        stream
    }

    async fn inside(&self, caller: Caller, name: &str, request: Request<Body>) -> Result<Reply> {
        let topic = if name == BUS { request.uri().path() } else { "" };
        let refused = Refused::new(&caller, format!("{name}{INTERNAL}{topic}"));
        if name == BUS {
            // What is refused is an answer like any other: a guest has to see its status.
            let (form, id) = (Form::of(request.headers()), caller.context.as_ref().map(|context| context.id));
            let answer = self.publish(&caller, request).await.inspect_err(|fault| refused.note(fault));
            return Ok(
                answer.unwrap_or_else(|fault| problem::respond(&fault, id.map(|id| id.to_string()), form))
            );
        }
        if name == TELEMETRY {
            let form = Form::of(request.headers());
            let telling = Telling::of(request.method(), request.uri().path(), request.headers());
            let instance = caller.context.as_ref().and_then(|context| context.trail.instance());
            let told = self.tell(&caller.code, instance, telling, request.into_body()).await;
            return Ok(told.unwrap_or_else(|fault| problem::respond(&fault, None, form)));
        }
        if name == SELF {
            let form = Form::of(request.headers());
            let id = caller.context.as_ref().map(|context| context.id.to_string());
            let target = self.routed(&caller.code, request.method(), request.uri().path());
            let answer = match target {
                Ok(target) => self.call_within(caller, target, request).await,
                Err(fault) => Err(fault),
            };
            // The app's answer to whoever asks for a path that it does not have.
            let answer = answer.inspect_err(|fault| refused.note(fault));
            return Ok(answer.unwrap_or_else(|fault| problem::respond(&fault, id, form)));
        }
        let (form, id) = (Form::of(request.headers()), caller.context.as_ref().map(|context| context.id));
        match self.call_by_name(caller, name, request).await.inspect_err(|fault| refused.note(fault)) {
            // That there is no room now is an answer: whoever calls can try again later.
            Err(fault) if fault.status() == 429 => {
                Ok(problem::respond(&fault, id.map(|id| id.to_string()), form))
            }
            answer => answer,
        }
    }

    async fn call_by_name(&self, caller: Caller, name: &str, request: Request<Body>) -> Result<Reply> {
        let target = self.named(&caller.code, name)?;
        self.call_within(caller, target, request).await
    }

    /// A function's call of another.
    async fn call_within(&self, caller: Caller, target: Target, request: Request<Body>) -> Result<Reply> {
        let depth = caller.context.as_ref().map_or(0, |context| context.depth) + 1;
        if depth > CALL_DEPTH_MAX {
            let name = &target.pool.code().name;
            let what = format!("function `{name}` was called through {CALL_DEPTH_MAX} other functions");
            return Err(Fault::new(Code::LoopTooDeep, what)
                .hint("look for functions that call each other in a circle"));
        }
        let place = self.bus.allowance().begin()?;
        let why = CallCause::Function {
            app: caller.code.app.clone(),
            function: caller.code.name.clone(),
            invocation: caller.context.as_ref().map(|context| context.id),
        };
        let cause = Cause { context: caller.context, hops: caller.hops, place, ..Cause::of(why) };
        Ok(call(target, cause, request).await)
    }

    /// Takes what a function tells of itself.
    ///
    /// # Errors
    /// Those of [`Telling::of`], and `HOB-0405` for a body that is too large.
    pub(crate) async fn tell(
        &self,
        code: &FunctionCode,
        instance: Option<u64>,
        telling: Result<Telling>,
        body: Body,
    ) -> Result<Reply> {
        let telling = telling?;
        let (body, _room) =
            self.bus.collect(body, OTLP_BODY_BYTES_MAX, None).await.map_err(|fault| match fault.code() {
                Code::EventTooLarge => Fault::new(Code::BodyTooLarge, fault.message())
                    .hint("send fewer spans or records at once"),
                _ => fault,
            })?;
        Ok(self.intake.take(code, instance, telling, body).await)
    }

    /// Publishes the events of a function's request.
    async fn publish(&self, caller: &Caller, request: Request<Body>) -> Result<Reply> {
        let path = request.uri().path().trim_matches('/');
        let topic = TopicName::new(path).map_err(|fault| {
            fault.with_status(404).hint(format!("publish with `POST http://{BUS}{INTERNAL}/<topic>`"))
        })?;
        if *request.method() != Method::POST {
            let what = format!("the bus does not take method `{}`", request.method());
            let mut refusal = problem::respond(
                &Fault::new(Code::MethodNotAllowed, what).hint("use POST"),
                None,
                Form::of(request.headers()),
            );
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return Ok(refusal);
        }
        self.bus.take(&topic, request, Some(caller), Durability::Disk, None).await
    }
}

/// Whether a host is a name inside of the node.
pub(crate) fn is_inside(authority: &str) -> bool {
    host_name(authority).ends_with(INTERNAL)
}

/// The revision of whoever calls.
fn own(table: &LiveTable, caller: &FunctionCode) -> Result<Arc<LiveRevision>> {
    table.revision(&caller.app, caller.revision).ok_or_else(|| {
        let what = format!("revision {} of app `{}` is gone", caller.revision, caller.app);
        Fault::new(Code::RevisionNotFound, what).hint("call again: the app has moved on")
    })
}

fn target(revision: &Arc<LiveRevision>, function: &str) -> Result<Target> {
    let pool = revision.functions.get(function).ok_or_else(|| {
        let app = &revision.app;
        let fault = Fault::new(Code::FunctionNotFound, format!("app `{app}` has no function `{function}`"));
        match nearest(function, revision.functions.keys().map(FunctionName::as_str)) {
            Some(near) => fault.hint(format!("did you mean `{near}`? call `http://{near}.{app}{INTERNAL}/`")),
            None => fault.hint(format!("hob ls {app}")),
        }
    })?;
    Ok(Target { revision: Arc::clone(revision), pool: Arc::clone(pool), route: None })
}

fn no_app(app: &str) -> Fault {
    Fault::new(Code::AppNotFound, format!("there is no app `{app}`")).hint("hob ls")
}

/// Calls a function by name. What goes wrong in it is its answer.
pub(crate) async fn call(target: Target, cause: Cause, request: Request<Body>) -> Reply {
    let Target { revision, pool, route } = target;
    let form = Form::of(request.headers());
    let context = Arc::new(Context { route, ..context(pool.code(), &cause, &request) });
    let (mut parts, body) = request.into_parts();
    hob_runtime::hop::strip(&mut parts.headers);
    forward::strip_own(&mut parts.headers);
    parts.headers.extend(cause.headers);
    forward::mark(&mut parts.headers, &context);
    if let Some(host) = parts.uri.authority().and_then(|host| HeaderValue::try_from(host.as_str()).ok()) {
        parts.headers.insert(HOST, host);
    }
    parts.uri = parts.uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
    let request = Request::from_parts(parts, body);
    let reply = pool.call(Invocation { context: Arc::clone(&context), request }).await;
    let mut reply = match reply {
        Ok(mut reply) => {
            forward::outward(reply.headers_mut());
            reply
        }
        Err(fault) => {
            let mut reply = problem::respond(&fault, Some(context.id.to_string()), form);
            // For callers inside of the node, who have to say it in other words.
            reply.extensions_mut().insert(fault);
            reply
        }
    };
    reply.headers_mut().insert(forward::INVOCATION_ID, forward::id_value(context.id));
    reply.map(|body| Held { body, _revision: revision, _place: cause.place }.boxed_unsync())
}

fn context(code: &FunctionCode, cause: &Cause, request: &Request<Body>) -> Context {
    let (id, came) = (identity::invocation(), Instant::now());
    let own_deadline = came + code.spec.timeout();
    let caller = cause.context.as_deref();
    let trace = caller.map(|caller| caller.trace).or_else(|| forward::caller_trace(request.headers()));
    let parent = trace.map(|trace| SpanId(trace.span_id));
    Context {
        id,
        trace: identity::trace(id, trace),
        app: code.app.clone(),
        revision: code.revision,
        function: code.name.clone(),
        deadline: caller.map_or(own_deadline, |caller| caller.deadline.min(own_deadline)),
        depth: caller.map_or(0, |caller| caller.depth + 1),
        hops: cause.hops,
        secure: false,
        peer: None,
        route: None,
        origin: Origin { came, parent, cause: cause.why.clone() },
        timing: Timing::default(),
        trail: Trail::default(),
    }
}

impl Outbound for Dispatcher {
    fn call(&self, caller: Caller, request: Request<Body>) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(async move {
            let host =
                host_name(request.uri().authority().map_or("", |authority| authority.as_str())).into_owned();
            match host.strip_suffix(INTERNAL) {
                Some(name) => self.inside(caller, name, request).await,
                None => {
                    let to = request.uri().authority().map(Authority::to_string).unwrap_or_default();
                    let left = Left::now(&caller, to);
                    let reply = self.external.call(&caller.code, request).await;
                    left.back(reply.as_ref().map(|reply| Some(reply.status().as_u16())));
                    reply
                }
            }
        })
    }

    fn enter(&self, code: &Arc<FunctionCode>, instance: u64) -> Option<ProxyEntry> {
        self.entrances.open(code, instance)
    }
}

/// A call by name that may be refused before anybody is called, so that only its cause's own notes tell of it.
struct Refused {
    caller: Option<Arc<Context>>,
    to: String,
    since: Instant,
}

impl Refused {
    fn new(caller: &Caller, to: String) -> Self {
        Self { caller: caller.context.clone(), to, since: Instant::now() }
    }

    fn note(&self, fault: &Fault) {
        let Some(caller) = &self.caller else { return };
        let after_us = micros(self.since.saturating_duration_since(caller.origin.came));
        caller.trail.leave(Outside {
            to: self.to.clone(),
            after_us,
            took_us: Some(micros(self.since.elapsed())),
            status: None,
            failure: Some(Failure::from(fault)),
        });
    }
}

/// A call that has left the node, noted where its cause is known.
struct Left<'a> {
    caller: Option<&'a Context>,
    number: Option<usize>,
    since: Instant,
}

impl<'a> Left<'a> {
    fn now(caller: &'a Caller, to: String) -> Self {
        let (caller, since) = (caller.context.as_deref(), Instant::now());
        let number = caller.and_then(|context| {
            let after_us = micros(since.saturating_duration_since(context.origin.came));
            context.trail.leave(Outside { to, after_us, took_us: None, status: None, failure: None })
        });
        Self { caller, number, since }
    }

    fn back(self, end: Result<Option<u16>, &Fault>) {
        let Some(caller) = self.caller else { return };
        caller.trail.back(self.number, |call| {
            call.took_us = Some(micros(self.since.elapsed()));
            match end {
                Ok(status) => call.status = status,
                Err(fault) => call.failure = Some(Failure::from(fault)),
            }
        });
    }
}

/// A body that keeps its revision alive, and its place among the calls of its space.
struct Held {
    body: Body,
    _revision: Arc<LiveRevision>,
    _place: Option<Running>,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
