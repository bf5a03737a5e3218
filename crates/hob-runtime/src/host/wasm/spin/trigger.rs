//! Triggers that call a component with a whole message and take a whole answer: Redis, cron, and HTTP as Spin had it
//! before `wasi:http`.
//!
//! **How.** Whatever calls a function is a request. A message of Redis is its body: the data of the event, when it
//! brings one. A tick of cron is the time of the schedule's run. Each call has an instance of its own, as such a
//! component expects. An error that it answers with is a failed call, which the subscription tries again.

use super::super::calls::Calls;
use super::super::store::State;
use super::super::{WasmUnit, failure};
use super::calls::{Method, Request, Response};
use crate::body::{empty, full};
use crate::crowd::{also_queued, metered};
use crate::invocation::{Context, Invocation, Reply};
use crate::unit::Instance;
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::event::{http as binding, timestamp_ms};
use hob_core::fault::{Fault, Result};
use hob_core::port::BoxFuture;
use http::StatusCode;
use http::request::Parts;
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wasmtime::component::types::Type;
use wasmtime::component::{ComponentExportIndex, ComponentType, InstancePre, Lift, Lower, Val};
use wasmtime::{Store, format_err};

/// What calls the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Kind {
    /// `fermyon:spin/inbound-http`.
    Http,
    /// `fermyon:spin/inbound-redis`.
    Redis2,
    /// `spin:redis/inbound-redis@3`.
    Redis3,
    /// `handle-cron-event`, an export of the world.
    Cron,
}

impl Kind {
    /// The kind that an export is for.
    pub(in super::super) fn of(export: &str) -> Option<Self> {
        match export {
            "fermyon:spin/inbound-http" => Some(Self::Http),
            "fermyon:spin/inbound-redis" => Some(Self::Redis2),
            "handle-cron-event" => Some(Self::Cron),
            _ => export.starts_with("spin:redis/inbound-redis@3.").then_some(Self::Redis3),
        }
    }

    fn function(self) -> &'static str {
        match self {
            Self::Http => "handle-request",
            Self::Redis2 | Self::Redis3 => "handle-message",
            Self::Cron => "handle-cron-event",
        }
    }
}

/// A component with such an export, ready to be instantiated.
#[derive(Clone)]
pub(in super::super) struct Trigger {
    pub(in super::super) kind: Kind,
    pre: InstancePre<State>,
    function: ComponentExportIndex,
}

impl Trigger {
    /// Looks up what is called.
    ///
    /// # Errors
    /// When the interface is there, but not its function.
    pub(in super::super) fn new(kind: Kind, pre: InstancePre<State>) -> wasmtime::Result<Self> {
        let component = pre.component();
        let exports = component.component_type();
        let interface =
            exports.exports(pre.engine()).map(|(name, _)| name).find(|name| Kind::of(name) == Some(kind));
        let inside = match (kind, interface) {
            (Kind::Cron, _) | (_, None) => None,
            (_, Some(interface)) => component.get_export_index(None, interface),
        };
        let function = component.get_export_index(inside.as_ref(), kind.function());
        let function = function.ok_or_else(|| format_err!("there is no function `{}`", kind.function()))?;
        Ok(Self { kind, pre, function })
    }
}

/// `error` of `fermyon:spin/redis-types`.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "only guests make values of it")]
enum RedisTypesError {
    #[component(name = "success")]
    Success,
    #[component(name = "error")]
    Error,
}

/// `error` of `spin:redis/redis`.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum RedisError {
    #[component(name = "invalid-address")]
    InvalidAddress,
    #[component(name = "too-many-connections")]
    TooManyConnections,
    #[component(name = "type-error")]
    TypeError,
    #[component(name = "other")]
    Other(String),
}

/// What the component made of a call.
enum Answer {
    Done,
    /// Its own error, in words.
    Failed(String),
    Response(Response),
}

impl Answer {
    fn of<E: std::fmt::Debug>(outcome: std::result::Result<(), E>) -> Self {
        match outcome {
            Ok(()) => Self::Done,
            Err(error) => Self::Failed(format!("{error:?}")),
        }
    }
}

/// An instance yet to be made, for one call.
pub(in super::super) struct Once {
    unit: Arc<WasmUnit>,
    trigger: Trigger,
    instance: u64,
}

impl Once {
    pub(in super::super) fn new(unit: Arc<WasmUnit>, trigger: Trigger, instance: u64) -> Self {
        Self { unit, trigger, instance }
    }

    async fn handle(&self, invocation: Invocation) -> Result<Reply> {
        let Invocation { context, request } = invocation;
        let deadline = context.deadline.into();
        let (head, body) = request.into_parts();
        let late = || failure::timeout(&self.unit.code);
        let body = tokio::time::timeout_at(deadline, body.collect()).await.map_err(|_| late())??.to_bytes();
        let message = self.message(&head, body)?;
        let place = tokio::time::timeout_at(deadline, self.unit.place()).await.map_err(|_| late())??;
        let calls = Calls::One(Some(Arc::clone(&context)));
        let mut wasi = self.unit.wasi(self.instance, &calls);
        let mut store = self.unit.component_store(&mut wasi, (calls, self.instance), place);
        let own = Self::new(Arc::clone(&self.unit), self.trigger.clone(), self.instance);
        let call = Arc::clone(&context);
        let guest = async move {
            let done = own.run(&mut store, message, &call).await;
            done.map_err(|error| (error, store.data().refused()))
        };
        let (total, call) = (self.unit.code.cpu.clone(), Arc::clone(&context));
        let tell = move |cpu_ns, waited| {
            total.add(cpu_ns);
            call.timing.spent(cpu_ns);
            also_queued(&call.timing, waited);
        };
        let guest = metered(self.unit.member.turn(), &self.unit.code.cpu, guest, tell);
        match tokio::time::timeout_at(deadline, guest).await {
            Ok(Ok(answer)) => self.reply(answer),
            Ok(Err((error, refused))) => {
                self.unit.log_failure(self.instance, Some(&context), &error);
                Err(failure::fault(&self.unit.code, &error, refused))
            }
            Err(_) => Err(late()),
        }
    }

    /// What the component is called with.
    fn message(&self, head: &Parts, body: Bytes) -> Result<Message> {
        if self.trigger.kind == Kind::Http {
            return legacy(head, body).map(Message::Request);
        }
        let event = match binding::mode(&head.headers) {
            Some(_) => binding::read(&head.headers, body.clone())?.into_iter().next(),
            None => None,
        };
        Ok(match (self.trigger.kind, event) {
            (Kind::Cron, event) => {
                let time = event.and_then(|event| timestamp_ms(event.time.as_deref()?));
                Message::Tick(time.map_or_else(now_seconds, |time_ms| time_ms / 1000))
            }
            (_, Some(event)) => Message::Data(event.data.unwrap_or_default()),
            (_, None) => Message::Data(body),
        })
    }

    async fn run(
        &self,
        store: &mut Store<State>,
        message: Message,
        context: &Context,
    ) -> wasmtime::Result<Answer> {
        let began = Instant::now();
        let instance = self.trigger.pre.instantiate_async(&mut *store).await?;
        context.timing.started(began.elapsed());
        let function = &self.trigger.function;
        match message {
            Message::Request(request) => {
                let function = instance.get_typed_func::<(Request,), (Response,)>(&mut *store, function)?;
                let (response,) = function.call_async(store, (request,)).await?;
                Ok(Answer::Response(response))
            }
            Message::Data(data) if self.trigger.kind == Kind::Redis2 => {
                type Outcome = (std::result::Result<(), RedisTypesError>,);
                let function = instance.get_typed_func::<(Vec<u8>,), Outcome>(&mut *store, function)?;
                let (outcome,) = function.call_async(store, (data.to_vec(),)).await?;
                Ok(Answer::of(outcome))
            }
            Message::Data(data) => {
                type Outcome = (std::result::Result<(), RedisError>,);
                let function = instance.get_typed_func::<(Vec<u8>,), Outcome>(&mut *store, function)?;
                let (outcome,) = function.call_async(store, (data.to_vec(),)).await?;
                Ok(Answer::of(outcome))
            }
            Message::Tick(seconds) => {
                let function = instance.get_func(&mut *store, function);
                let function = function.ok_or_else(|| format_err!("`handle-cron-event` is no function"))?;
                // The packages of the trigger differ in the names of types, not in their form.
                let metadata: Vec<Val> =
                    function.ty(&*store).params().map(|(_, kind)| tick(&kind, seconds)).collect();
                let mut results = vec![Val::Bool(false); function.ty(&*store).results().len()];
                function.call_async(store, &metadata, &mut results).await?;
                Ok(match results.pop() {
                    Some(Val::Result(Err(error))) => Answer::Failed(format!("{error:?}")),
                    _ => Answer::Done,
                })
            }
        }
    }

    fn reply(&self, answer: Answer) -> Result<Reply> {
        let code = &self.unit.code;
        let response = match answer {
            Answer::Failed(why) => {
                return Err(failure::bad_response(code, "answered with an error").detail(why));
            }
            Answer::Done => {
                let mut reply = Reply::new(empty());
                *reply.status_mut() = StatusCode::NO_CONTENT;
                return Ok(reply);
            }
            Answer::Response(response) => response,
        };
        let mut reply = http::Response::builder().status(response.status);
        for (name, value) in response.headers.unwrap_or_default() {
            reply = reply.header(name, value);
        }
        reply.body(full(response.body.unwrap_or_default())).map_err(|error| {
            failure::bad_response(code, "answered with something that is no valid response").detail(error)
        })
    }
}

/// What a component is called with.
enum Message {
    Request(Request),
    Data(Bytes),
    /// Seconds since the Unix epoch.
    Tick(u64),
}

/// A request as `fermyon:spin/inbound-http` has it.
fn legacy(head: &Parts, body: Bytes) -> Result<Request> {
    let method = Method::of(&head.method).ok_or_else(|| {
        let what = format!("the interface `fermyon:spin/inbound-http` has no method `{}`", head.method);
        Fault::new(Code::MethodNotAllowed, what).hint("build the component with a newer SDK of Spin")
    })?;
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        Some((name.to_string(), value.to_str().ok()?.to_owned()))
    };
    Ok(Request {
        method,
        uri: head.uri.to_string(),
        headers: head.headers.iter().filter_map(text).collect(),
        // Spin has always left them empty: the query is in the address.
        params: Vec::new(),
        body: (!body.is_empty()).then(|| body.to_vec()),
    })
}

/// `record metadata { timestamp: u64 }`, whatever else a later version may have in it.
fn tick(kind: &Type, seconds: u64) -> Val {
    match kind {
        Type::Record(record) => {
            Val::Record(record.fields().map(|field| (field.name.to_owned(), Val::U64(seconds))).collect())
        }
        _ => Val::U64(seconds),
    }
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Instance for Once {
    fn call(&self, invocation: Invocation) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(self.handle(invocation))
    }

    fn ended(&self) -> BoxFuture<'_, Option<Fault>> {
        Box::pin(std::future::pending())
    }

    fn stop(&self, _grace: Duration) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
