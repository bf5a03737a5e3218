//! One instance: a program, its extensions, and the runtime API between them and the calls.

use super::super::way::Way;
use super::super::{ended, spent};
use super::api::{Api, serve};
use super::environment::{ACCOUNT, LAYERS, Names, variables};
use super::event::{Called, Delivery, Shape, batch, event, v1, v2};
use super::freeze::Freezer;
use super::hold::{Held, Hold, Left};
use super::raw::{BatchCall, BatchItem, RawCall, RawReply};
use super::report::{Report, Reports, Status};
use super::session::{Answer, Call, Event, Failure, Session, show_id};
use super::settings::{Payload, Settings};
use super::stream::Streamed;
use super::telemetry::{Kind, Telemetry};
use super::{command, outcome, unlikely};
use crate::code::FunctionCode;
use crate::invocation::{Context, Invocation, Reply};
use crate::settled::settled;
use crate::unit::{Behind, Exit, Instance, Launch, Program, Start};
use bytes::Bytes;
use futures_util::future::{pending, select_all};
use hob_core::code::Code;
use hob_core::event::http as binding;
use hob_core::fact::CallCause;
use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use hob_core::limit::{LAMBDA_EXTENSIONS_MAX, LAMBDA_SHUTDOWN_EXTERNAL, LAMBDA_SHUTDOWN_INTERNAL};
use hob_core::port::BoxFuture;
use hob_core::unit::{micros, millis, show_duration, unix_ms};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

/// How long a call that got no answer waits for the news that its program has ended.
const EXIT_NEWS_TIMEOUT: Duration = Duration::from_millis(200);
/// Where the runtime API is when the instance has a network of its own, as in Lambda.
const PORT_BEHIND_WALLS: u16 = 9001;
/// The folder of extensions in a package, and in its layers.
const EXTENSIONS: &str = "extensions/";
/// Of the time that extensions have to end, the percentage that the runtime may take.
const RUNTIME_SHUTDOWN_PERCENT: u32 = 30;

static REQUEST_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-request-id");
static DEADLINE: HeaderName = HeaderName::from_static("lambda-runtime-deadline-ms");
static ARN: HeaderName = HeaderName::from_static("lambda-runtime-invoked-function-arn");
static TRACE: HeaderName = HeaderName::from_static("lambda-runtime-trace-id");
static CLIENT_CONTEXT: HeaderName = HeaderName::from_static("lambda-runtime-client-context");
static COGNITO: HeaderName = HeaderName::from_static("lambda-runtime-cognito-identity");
static TENANT: HeaderName = HeaderName::from_static("lambda-runtime-aws-tenant-id");

/// A running function.
pub(super) struct Function {
    code: Arc<FunctionCode>,
    settings: Settings,
    names: Names,
    arn: HeaderValue,
    session: Arc<Session>,
    telemetry: Arc<Telemetry>,
    program: Arc<dyn Program>,
    extensions: Vec<(String, Arc<dyn Program>)>,
    way: Way,
    calls: Arc<spent::Calls>,
    initialised_in: Duration,
    /// `None`: nobody wants its lines.
    reports: Option<Arc<Reports>>,
    /// Calls that have lost their callers, by their own ids: the id that the runtime knows, and what is told at the end.
    left: Arc<Left>,
    /// `None`: it never stands still.
    freezer: Option<Arc<Freezer>>,
    /// The runtime API ends with it.
    _open: watch::Sender<()>,
}

/// What is being started, with what has to end if it does not become ready.
struct Starting<'a> {
    start: &'a Start,
    settings: &'a Settings,
    names: &'a Names,
    session: Arc<Session>,
    telemetry: Arc<Telemetry>,
}

impl Function {
    /// Starts it and waits until the runtime asks for its first event.
    ///
    /// # Errors
    /// `HOB-0307` when that takes too long, `HOB-0308` when the program ends before, `HOB-0330` when it says
    /// that it cannot be initialised.
    pub(super) async fn start(start: Start) -> Result<Self> {
        let settings = Settings::read(&start.code.spec)?;
        let names = Names::of(&start.code);
        let way = Way::open(&start);
        let extensions = extensions_of(&start.code).into_iter().map(|(_, name)| name).collect();
        let session = Session::new(start.code.spec.scale.concurrency, extensions);
        let telemetry = Telemetry::new(Arc::clone(&start.environment.spawn));
        let starting = Starting {
            start: &start,
            settings: &settings,
            names: &names,
            session: Arc::clone(&session),
            telemetry: Arc::clone(&telemetry),
        };
        let (open, closed) = watch::channel(());
        let walled = command(start.unit.as_ref())?.walled().is_some();
        let address = if walled {
            format!("127.0.0.1:{PORT_BEHIND_WALLS}")
        } else {
            starting.listen(closed.clone()).await?
        };
        let began = Instant::now();
        let (program, extensions) = starting.launch(&address, &way, closed).await?;
        starting.ready(program.as_ref(), &extensions).await?;
        let initialised_in = began.elapsed();
        starting.tell_ready(initialised_in);
        let arn = HeaderValue::try_from(&names.arn).map_err(Fault::internal)?;
        let (code, calls, program) = (start.code, Arc::default(), Arc::<dyn Program>::from(program));
        // Nobody waits for the start of an instance that is kept running.
        let init_us = if code.spec.scale.keeps_some() { 0 } else { micros(initialised_in) };
        let reports = settings.reports.then(|| {
            Arc::new(Reports {
                log: Arc::clone(&start.environment.logs),
                code: Arc::clone(&code),
                instance: start.instance,
                program: Arc::clone(&program),
                json: settings.log_json,
                memory: AtomicU64::new(0),
                init_us: AtomicU64::new(init_us),
            })
        });
        let freezer = (settings.freeze && session.concurrency() == 1).then(|| {
            let beside = extensions.iter().map(|(_, program)| Arc::clone(program));
            let programs = std::iter::once(Arc::clone(&program)).chain(beside).collect();
            Freezer::start(programs, (&session, &telemetry), &*start.environment.spawn)
        });
        Ok(Self {
            code,
            settings,
            names,
            arn,
            session,
            telemetry,
            program,
            extensions,
            way,
            calls,
            initialised_in,
            reports,
            left: Arc::default(),
            freezer,
            _open: open,
        })
    }

    async fn run(&self, invocation: Invocation) -> Result<Reply> {
        let Invocation { context, request } = invocation;
        let awake = self.freezer.as_ref().map(Freezer::awake);
        let running = self.way.running(&context, self.program.calls());
        let hold = (running, self.calls.begin(&self.program, &context), awake);
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let form = self.form(&head, &context);
        let id = form.id().unwrap_or(context.id);
        let request = Request {
            head: &head,
            body,
            context: &context,
            id: show_id(id.0),
            now_ms: unix_ms(SystemTime::now()),
        };
        let event = self.event(&form, &request)?;
        let began = Instant::now();
        if self.telemetry.any() {
            self.tell_start(&request);
        }
        let (answer, answered) = oneshot::channel();
        let call = Call { id: id.0, deadline: context.deadline, event, answer };
        let report = self.reports.as_ref().map(|all| all.start(&context, &request.id, &self.names.version));
        let mut watched = Watched { function: self, context: &context, id: id.0, report, over: false };
        let given_up = self.session.offer(call);
        let answer = answered.await;
        watched.over = true;
        let answer = match answer {
            Ok(answer) if !matches!(answer, Answer::Untaken) => answer,
            nobody => {
                given_up.ended();
                if nobody.is_ok() {
                    watched.forget();
                    let body = crate::body::full(request.body);
                    context.trail.untaken(http::Request::from_parts(head, body));
                }
                watched.end(Status::Error);
                return Err(self.gone().await);
            }
        };
        let failed = matches!(answer, Answer::Failed(_) | Answer::TooLarge(_) | Answer::Broken);
        let status = if failed { Status::Error } else { Status::Success };
        self.tell_end(&request, status.word(), began);
        match answer {
            Answer::Streamed(headers, body) => {
                let report = watched.report.take();
                let left = (Arc::clone(&self.left), context.id, id.0);
                let held = Hold { given_up, report, left, _call: hold };
                self.streamed(&form, &headers, body, held).await
            }
            whole => {
                watched.end(status);
                given_up.ended();
                self.whole(&form, &context, whole)
            }
        }
    }

    /// How a call's event looks.
    fn form(&self, head: &Parts, context: &Context) -> Form {
        if let Some(raw) = head.extensions.get::<RawCall>() {
            return Form::Raw(raw.clone());
        }
        let of_trigger = |name: &str| self.settings.events.get(name).copied().unwrap_or(self.settings.event);
        match &context.origin.cause {
            CallCause::Event { subscription, .. } if head.extensions.get::<BatchCall>().is_some() => {
                Form::Batch(of_trigger(subscription.as_str()))
            }
            CallCause::Event { subscription, .. } => Form::Delivered(of_trigger(subscription.as_str())),
            CallCause::Schedule { schedule, .. } => Form::Delivered(of_trigger(schedule.as_str())),
            CallCause::Replay { .. } => {
                // Which subscription it is replayed to stands in a header that the node alone can set.
                let named = head.headers.get("hob-subscription").and_then(|name| name.to_str().ok());
                let shape =
                    of_trigger(named.and_then(|name| name.split_once('/')).map_or("", |(_, name)| name));
                let batch = head.extensions.get::<BatchCall>().is_some();
                if batch { Form::Batch(shape) } else { Form::Delivered(shape) }
            }
            _ => Form::Http(self.settings.payload),
        }
    }

    /// What the runtime gets.
    fn event(&self, form: &Form, request: &Request<'_>) -> Result<Event> {
        let trace = request.trace();
        let payload = match form {
            Form::Raw(_) | Form::Http(Payload::Raw) => request.body.clone(),
            Form::Http(Payload::V2) => v2(&request.called(&trace)).into(),
            Form::Http(Payload::V1) => v1(&request.called(&trace)).into(),
            Form::Delivered(shape) => self.delivered(*shape, request)?.into(),
            Form::Batch(shape) => self.batched(*shape, request)?.into(),
        };
        let mut event = Event::new(Full::new(payload));
        let left = request.context.deadline.saturating_duration_since(Instant::now());
        let headers = event.headers_mut();
        headers.reserve(6);
        let text = |text: &str| HeaderValue::from_str(text).map_err(Fault::internal);
        headers.insert(REQUEST_ID.clone(), text(&request.id)?);
        headers.insert(DEADLINE.clone(), HeaderValue::from(request.now_ms + millis(left)));
        headers.insert(TRACE.clone(), text(&trace)?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ARN.clone(), self.arn.clone());
        if let Form::Raw(raw) = form {
            let given = [
                (&ARN, &raw.arn),
                (&CLIENT_CONTEXT, &raw.client_context),
                (&COGNITO, &raw.cognito_identity),
                (&TENANT, &raw.tenant),
            ];
            for (name, value) in given {
                if let Some(value) = value {
                    headers.insert(
                        name.clone(),
                        HeaderValue::from_bytes(value.as_bytes()).map_err(Fault::internal)?,
                    );
                }
            }
        }
        Ok(event)
    }

    fn delivered(&self, shape: Shape, request: &Request<'_>) -> Result<Vec<u8>> {
        let (place, schedule, sequence, attempt, published_ms) = match &request.context.origin.cause {
            CallCause::Event { topic, sequence, attempt, published_ms, .. } => {
                (topic.as_str(), false, *sequence, *attempt, *published_ms)
            }
            CallCause::Schedule { schedule, sequence, attempt, published_ms } => {
                (schedule.as_str(), true, *sequence, *attempt, *published_ms)
            }
            CallCause::Replay { topic, sequence } => {
                (topic.as_str(), topic.is_own(), *sequence, 1, request.now_ms)
            }
            _ => return Err(Fault::internal("no trigger delivers this")),
        };
        let events = binding::read(&request.head.headers, request.body.clone())?;
        let delivered = events.first().ok_or_else(|| Fault::internal("a delivery without an event"))?;
        let names = &self.names;
        Ok(event(
            shape,
            &Delivery { event: delivered, names, place, schedule, sequence, attempt, published_ms },
        ))
    }

    fn batched(&self, shape: Shape, request: &Request<'_>) -> Result<Vec<u8>> {
        let (CallCause::Event { topic, .. } | CallCause::Replay { topic, .. }, Some(BatchCall { items })) =
            (&request.context.origin.cause, request.head.extensions.get::<BatchCall>())
        else {
            return Err(Fault::internal("no subscription delivers this batch"));
        };
        let events = binding::read(&request.head.headers, request.body.clone())?;
        let (names, place) = (&self.names, topic.as_str());
        let each = events.iter().zip(items).map(|(event, item)| {
            let BatchItem { sequence, attempt, published_ms } = *item;
            Delivery { event, names, place, schedule: false, sequence, attempt, published_ms }
        });
        Ok(batch(shape, &each.collect::<Vec<_>>()))
    }

    /// The answer of a call whose result came at once.
    fn whole(&self, form: &Form, context: &Context, answer: Answer) -> Result<Reply> {
        let (content_type, result) = match answer {
            Answer::Whole(content_type, result) => (content_type, result),
            Answer::Failed(failure) => return self.failed(form, context, &failure),
            Answer::TooLarge(bytes) => {
                let most = hob_core::limit::LAMBDA_RESPONSE_BYTES_MAX;
                return Err(self.bad("it is larger than Lambda allows").detail(format!(
                    "Response payload size ({bytes} bytes) exceeded maximum allowed payload size ({most} bytes)."
                )));
            }
            Answer::Broken | Answer::Untaken | Answer::Streamed(..) => return Err(self.bad("it broke off")),
        };
        match form {
            Form::Raw(_) => {
                let mut reply = outcome::as_it_is(content_type, result);
                reply.extensions_mut().insert(RawReply { failed: false });
                Ok(reply)
            }
            Form::Http(Payload::Raw) => Ok(outcome::as_it_is(content_type, result)),
            Form::Http(_) => outcome::respond(&result).map_err(|why| self.bad(&why)),
            Form::Delivered(Shape::Sqs | Shape::DynamoDb) if outcome::item_failed(&result) => {
                let failure = Failure { kind: Some("BatchItemFailures".to_owned()), body: result };
                Err(self.function_error(context, &failure))
            }
            // An event that is answered with an event: the answer is published.
            Form::Delivered(Shape::CloudEvent) | Form::Batch(Shape::CloudEvent) if is_event(&result) => {
                let media = HeaderValue::from_static("application/cloudevents+json");
                Ok(outcome::as_it_is(Some(media), result))
            }
            // Which events of a batch have failed is read by whoever delivers it.
            Form::Delivered(_) | Form::Batch(_) => Ok(outcome::inferred(result)),
        }
    }

    async fn streamed(
        &self,
        form: &Form,
        headers: &http::HeaderMap,
        mut body: Streamed,
        hold: Hold,
    ) -> Result<Reply> {
        let head = match form {
            Form::Raw(_) => {
                let mut reply = outcome::streamed(headers);
                reply.extensions_mut().insert(RawReply { failed: false });
                reply
            }
            _ => match body.prelude(headers).await? {
                Some(text) => outcome::prelude(&text).map_err(|why| self.bad(&why))?,
                None => outcome::streamed(headers),
            },
        };
        Ok(head.map(|_| Held::new(body, hold).boxed_unsync()))
    }

    fn failed(&self, form: &Form, context: &Context, failure: &Failure) -> Result<Reply> {
        let fault = self.function_error(context, failure);
        if !matches!(form, Form::Raw(_)) {
            return Err(fault);
        }
        let mut reply = outcome::inferred(failure.body.clone());
        *reply.status_mut() = http::StatusCode::BAD_GATEWAY;
        reply.extensions_mut().insert(RawReply { failed: true });
        Ok(reply)
    }

    fn function_error(&self, context: &Context, failure: &Failure) -> Fault {
        context.trail.answers(&failure.body);
        outcome::function_error(&self.code.app, &self.code.name, failure)
    }

    /// Why nobody answers any more.
    async fn gone(&self) -> Fault {
        match timeout(EXIT_NEWS_TIMEOUT, self.program.exit()).await {
            Ok(exit) => crash(&self.code, &exit),
            Err(_) => {
                let name = &self.code.name;
                Fault::new(Code::Crashed, format!("the instance of `{name}` was ended while it had the call"))
                    .hint(format!("see `hob logs {}/{name}`", self.code.app))
            }
        }
    }

    fn bad(&self, why: &str) -> Fault {
        let name = &self.code.name;
        Fault::new(Code::BadResponse, format!("`{name}` gave no valid answer: {why}"))
            .hint(format!("see `hob logs {}/{name}`", self.code.app))
    }

    fn tell_start(&self, request: &Request<'_>) {
        let record = json!({
            "requestId": request.id, "version": self.names.version,
            "tracing": { "type": "X-Amzn-Trace-Id", "value": request.trace() },
        });
        self.telemetry.tell(Kind::Platform, "platform.start", record);
    }

    fn tell_end(&self, request: &Request<'_>, status: &str, began: Instant) {
        if !self.telemetry.any() {
            return;
        }
        let ms = began.elapsed().as_secs_f64() * 1000.0;
        let metrics = json!({ "durationMs": ms });
        let done = json!({ "requestId": request.id, "status": status, "metrics": metrics });
        self.telemetry.tell(Kind::Platform, "platform.runtimeDone", done);
        let report = json!({ "requestId": request.id, "status": status, "metrics": {
            "durationMs": ms,
            "billedDurationMs": began.elapsed().as_millis().saturating_add(1),
            "memorySizeMB": self.code.spec.memory_bytes >> 20,
            "maxMemoryUsedMB": self.program.memory_bytes().unwrap_or_default() >> 20,
        } });
        self.telemetry.tell(Kind::Platform, "platform.report", report);
    }
}

/// How a call's event looks, and what becomes of the result.
enum Form {
    Raw(RawCall),
    Http(Payload),
    Delivered(Shape),
    /// Several events in one call.
    Batch(Shape),
}

impl Form {
    /// The id that the handler is to see, where that is not the call's own.
    fn id(&self) -> Option<InvocationId> {
        if let Self::Raw(raw) = self { raw.id } else { None }
    }
}

/// A call with its body.
struct Request<'a> {
    head: &'a Parts,
    body: Bytes,
    context: &'a Context,
    id: String,
    now_ms: u64,
}

impl Request<'_> {
    /// The trace as AWS writes it: the W3C trace id in two parts, the span, and whether it is kept.
    fn trace(&self) -> String {
        let trace = self.context.trace;
        let id = format!("{:032x}", trace.trace_id);
        let (time, rest) = id.split_at(8);
        format!("Root=1-{time}-{rest};Parent={:016x};Sampled={}", trace.span_id, trace.flags & 1)
    }

    fn called<'a>(&'a self, trace: &'a str) -> Called<'a> {
        let Self { head, body, context, id, now_ms } = self;
        Called { head, body, context, id, trace, now_ms: *now_ms }
    }
}

impl Starting<'_> {
    /// Opens the runtime API; where it listens.
    async fn listen(&self, closed: watch::Receiver<()>) -> Result<String> {
        let none = |error| Fault::new(Code::MachineLacks, "there is no free loopback port").detail(error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(none)?;
        let address = listener.local_addr().map_err(none)?.to_string();
        self.serve(listener, closed);
        Ok(address)
    }

    fn serve(&self, listener: TcpListener, closed: watch::Receiver<()>) {
        let function = json!({
            "functionName": self.names.function, "functionVersion": self.names.version,
            "handler": self.settings.handler, "accountId": ACCOUNT,
        });
        let (session, telemetry) = (Arc::clone(&self.session), Arc::clone(&self.telemetry));
        let api = Arc::new(Api { session, telemetry, function, closed });
        self.start.environment.spawn.spawn("lambda runtime api", Box::pin(settled(serve(listener, api))));
    }

    /// Behind walls the runtime API is in the network of the first program.
    fn open(&self, first: &mut dyn Program, closed: &watch::Receiver<()>) {
        if let Some(listener) = first.take_listener() {
            self.telemetry.reach(first.dial());
            self.serve(listener, closed.clone());
        }
    }

    /// Starts the extensions, then the runtime.
    async fn launch(
        &self,
        address: &str,
        way: &Way,
        closed: watch::Receiver<()>,
    ) -> Result<(Box<dyn Program>, Vec<(String, Arc<dyn Program>)>)> {
        let code = &self.start.code;
        let now_ms = unix_ms(SystemTime::now());
        let mut env = way.variables();
        env.extend(variables(
            code,
            self.settings,
            self.names,
            address,
            command(self.start.unit.as_ref())?.walled(),
            now_ms,
            unlikely(self.start.instance),
        ));
        let launch = |env, kind| Launch {
            instance: self.start.instance,
            args: Vec::new(),
            env,
            stdin: false,
            stdout: false,
            lines: Some(self.telemetry.lines(kind, &self.start.environment.logs)),
            context: None,
            behind: Behind { listen: Some(PORT_BEHIND_WALLS), shared: true, ..way.behind() },
        };
        let unit = command(self.start.unit.as_ref())?;
        let mut extensions = Vec::new();
        for (file, name) in extensions_of(code) {
            let own = |name: &str| !name.starts_with('_') && !name.starts_with("AWS_XRAY");
            let env = env.iter().filter(|(name, _)| own(name)).cloned().collect();
            let mut program = unit.start_file(&file, launch(env, Kind::Extension)).await?;
            self.open(program.as_mut(), &closed);
            extensions.push((name, Arc::from(program)));
        }
        let mut program = unit.start(launch(env, Kind::Function)).await?;
        self.open(program.as_mut(), &closed);
        Ok((program, extensions))
    }

    /// Waits for the runtime's first question, and those of its extensions.
    async fn ready(&self, program: &dyn Program, extensions: &[(String, Arc<dyn Program>)]) -> Result<()> {
        let code = &self.start.code;
        let printed = |fault: Fault| {
            let lines = program.last_lines();
            if lines.is_empty() { fault } else { fault.hint(format!("it printed:\n{}", lines.join("\n"))) }
        };
        tokio::select! {
            biased;
            started = self.session.started() => {
                started.map_err(|failure| outcome::init_failed(&code.app, &code.name, &failure))
            }
            exit = program.exit() => {
                let message = format!("`{}` {} before it asked for an event", code.name, ended::describe(&exit));
                Err(printed(Fault::new(Code::StartExit, message).detail(status(&exit))))
            }
            name = any_exit(extensions) => Err(lost(code, name)),
            () = sleep(self.settings.init_timeout) => {
                let time = show_duration(self.settings.init_timeout);
                let message = format!("`{}` did not ask for an event within {time}", code.name);
                let hint = "let it ask `$AWS_LAMBDA_RUNTIME_API` for its next invocation, or raise `init-timeout`";
                Err(printed(Fault::new(Code::StartTimeout, message).hint(hint)))
            }
        }
    }

    fn tell_ready(&self, took: Duration) {
        let (kind, phase) = ("on-demand", "init");
        let ms = took.as_secs_f64() * 1000.0;
        let what = json!({ "initializationType": kind, "phase": phase, "status": "success", "metrics": { "durationMs": ms } });
        self.telemetry.tell(Kind::Platform, "platform.initRuntimeDone", what.clone());
        self.telemetry.tell(Kind::Platform, "platform.initReport", what);
    }
}

/// The extensions in a package: executable files right in a folder of them, by path and name.
fn extensions_of(code: &FunctionCode) -> Vec<(String, String)> {
    let files = code.spec.package.iter().filter(|(_, file)| file.executable);
    let found = files.filter_map(|(path, _)| {
        let name = path.strip_prefix(LAYERS).unwrap_or(path).strip_prefix(EXTENSIONS)?;
        (!name.contains('/')).then(|| (path.clone(), name.to_owned()))
    });
    found.take(LAMBDA_EXTENSIONS_MAX).collect()
}

/// The name of the first extension that ends.
async fn any_exit(extensions: &[(String, Arc<dyn Program>)]) -> &str {
    if extensions.is_empty() {
        return pending().await;
    }
    let exits = extensions.iter().map(|(name, program)| {
        Box::pin(async move {
            program.exit().await;
            name.as_str()
        })
    });
    select_all(exits).await.0
}

fn lost(code: &FunctionCode, extension: &str) -> Fault {
    Fault::new(Code::Crashed, format!("the extension `{extension}` of `{}` ended", code.name))
        .hint(format!("see `hob logs {}/{}`", code.app, code.name))
}

/// As every program's, with what Lambda calls it.
fn crash(code: &FunctionCode, exit: &Exit) -> Fault {
    ended::crash(code, exit).detail(status(exit))
}

/// As Lambda says it.
fn status(exit: &Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit status {code}"),
        Exit::Signal(9) | Exit::MemoryLimit => "signal: killed".to_owned(),
        Exit::Signal(signal) => format!("signal: {signal}"),
        Exit::Deadline => "signal: killed".to_owned(),
        Exit::Trap(trap) => trap.clone(),
    }
}

fn is_event(result: &[u8]) -> bool {
    hob_core::event::json::read(result).is_ok()
}

/// A call whose answer has not begun. Its caller may go away; then the instance keeps what is told at the end.
struct Watched<'a> {
    function: &'a Function,
    context: &'a Arc<Context>,
    id: u128,
    report: Option<Report>,
    /// It has ended, or its answer has begun.
    over: bool,
}

impl Watched<'_> {
    /// Another instance has it, which tells of it.
    fn forget(&mut self) {
        if let Some(report) = self.report.take() {
            report.forget();
        }
    }

    fn end(&mut self, status: Status) {
        if let Some(report) = self.report.take() {
            report.end(status);
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        // At its deadline it is a time-out, which the report says when it is dropped.
        if !self.over && Instant::now() < self.context.deadline {
            self.function.left.put(self.context.id, self.id, self.report.take());
        }
    }
}

impl Instance for Function {
    fn call(&self, invocation: Invocation) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(self.run(invocation))
    }

    fn ended(&self) -> BoxFuture<'_, Option<Fault>> {
        Box::pin(async {
            tokio::select! {
                biased;
                exit = self.program.exit() => {
                    self.session.close();
                    Some(crash(&self.code, &exit))
                }
                name = any_exit(&self.extensions) => {
                    self.session.close();
                    Some(lost(&self.code, name))
                }
                () = self.session.over() => None,
            }
        })
    }

    fn is_over(&self) -> bool {
        self.session.is_over()
    }

    fn finishes(&self, context: &Context) -> Option<BoxFuture<'static, ()>> {
        let (id, report) = self.left.take(context.id)?;
        let session = Arc::clone(&self.session);
        Some(Box::pin(async move {
            session.finished(id).await;
            if let Some(report) = report {
                report.end(if session.is_over() { Status::Timeout } else { Status::Success });
            }
        }))
    }

    fn connected_in(&self) -> Duration {
        self.initialised_in
    }

    fn stop(&self, grace: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (external, internal) = self.session.extensions(|all| all.count());
            let budget = match (external, internal) {
                (0, 0) => Duration::ZERO,
                (0, _) => LAMBDA_SHUTDOWN_INTERNAL,
                _ => LAMBDA_SHUTDOWN_EXTERNAL,
            };
            let budget = budget.min(grace);
            let _awake = self.freezer.as_ref().map(Freezer::awake);
            let until = tokio::time::Instant::now() + budget;
            self.program.stop(budget * RUNTIME_SHUTDOWN_PERCENT / 100).await;
            if external > 0 {
                let deadline_ms = unix_ms(SystemTime::now()) + millis(budget);
                self.session.extensions(|all| all.shut_down("SPINDOWN", deadline_ms));
                let ends = self.extensions.iter().map(|(_, program)| async {
                    drop(tokio::time::timeout_at(until, program.exit()).await);
                    program.stop(Duration::ZERO).await;
                });
                futures_util::future::join_all(ends).await;
            }
            self.session.close();
            self.telemetry.end();
        })
    }

    fn memory_bytes(&self) -> Option<u64> {
        let extensions = self.extensions.iter().filter_map(|(_, program)| program.memory_bytes());
        self.program.memory_bytes().map(|bytes| bytes + extensions.sum::<u64>())
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.session.close();
        self.telemetry.end();
    }
}
