//! WASI 0.3 requests: one instance serves many, several at a time.
//!
//! **Why.** `handler.handle` is async: while one request waits, the guest works on others. So the
//! instance is kept, until the pool stops it or it fails.
//!
//! **How.** A background task owns the store and runs its event loop. Calls come to it through a
//! channel and are answered through one channel each ([`answers`]); bodies stream through wasmtime's
//! own. A trap ends the instance and every call in it, since nothing can be said about a store after a
//! trap. Outside the event loop a watch looks at the deadlines ([`deadlines`]): wasmtime cannot end one
//! call of several, so a call that is over its deadline closes the instance to new ones, which then
//! ends with its last call in time, or at once if the guest is stuck.
//!
//! **Invariants.** The fault of the instance is known before its store is dropped, so that a body
//! which breaks off by it is never taken for one that ended.

mod answers;
mod deadlines;

use super::calls::Calls;
use super::laps::Laps;
use super::store::State;
use super::{WasmUnit, failure, outgoing};
use crate::body::Body;
use crate::crowd::metered;
use crate::invocation::{Context, Invocation, Reply};
use crate::unit::Instance;
use answers::{Answer, Answers};
use deadlines::Deadlines;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit;
use hob_core::port::BoxFuture;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use wasmtime::Store;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::p3::Request;
use wasmtime_wasi_http::p3::bindings::{Service, ServicePre};
use wasmtime_wasi_http::{WasiBody, WasiHttpView};

/// A guest's event loop has to turn once while it is polled so often, each time until the next tick, or the guest
/// counts as stuck.
const POLLS: u32 = 15;
/// How often is looked whether it has turned.
const TURN: Duration = limit::WASM_EPOCH_TICK.saturating_mul(POLLS);

/// An instance that serves many calls.
pub(super) struct Kept {
    inbox: Mutex<Option<mpsc::Sender<Call>>>,
    status: Arc<Status>,
    code: Arc<crate::code::FunctionCode>,
}

struct Call {
    ticket: Arc<Ticket>,
    request: http::Request<WasiBody>,
    answer: oneshot::Sender<Result<Reply>>,
}

/// What the instance and its task know of each other.
struct Status {
    calls: Calls,
    laps: Arc<Laps>,
    answers: Answers,
    deadlines: Deadlines,
    /// Makes the event loop turn.
    turn: Notify,
    turns: AtomicU64,
    kill: Notify,
    fault: OnceLock<Fault>,
    /// Takes no more calls.
    closed: watch::Sender<bool>,
    /// The store is gone.
    gone: watch::Sender<bool>,
}

impl Status {
    fn end(&self, fault: Option<Fault>) {
        if let Some(fault) = fault {
            // The first fault is the cause of all that follow.
            let _ = self.fault.set(fault);
        }
        self.closed.send_replace(true);
    }
}

/// Ends an instance with a fault when it is dropped: also where its task panics, since the pool would give calls for ever to
/// one of which nobody says that it has ended.
struct Ending {
    status: Arc<Status>,
    fault: Option<Fault>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.status.end(self.fault.take());
    }
}

/// Says when it is dropped that the store is gone.
struct Gone(Arc<Status>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.gone.send_replace(true);
    }
}

/// A call that runs: held by the guest's task until it has answered, even if its caller has gone, and
/// by the answer's body.
struct Ticket {
    status: Arc<Status>,
    context: Arc<Context>,
    number: u64,
}

impl Ticket {
    fn new(status: &Arc<Status>, context: &Arc<Context>) -> Arc<Self> {
        status.calls.begin(context);
        let number = status.deadlines.begin(context.deadline);
        Arc::new(Self { status: Arc::clone(status), context: Arc::clone(context), number })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.status.calls.end(&self.context);
        self.status.deadlines.end(self.number);
    }
}

/// A caller that waits. The pool gives a call up at its deadline: then the instance takes no more.
struct Waiting<'a> {
    status: &'a Status,
    deadline: Instant,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.answered && Instant::now() >= self.deadline {
            self.status.end(None);
        }
    }
}

impl Kept {
    /// Makes the instance and starts its task.
    pub(super) async fn open(unit: Arc<WasmUnit>, pre: ServicePre<State>, instance: u64) -> Result<Self> {
        let calls = Calls::many();
        // Others wait to start, so a function's own time is not all that counts.
        let until = tokio::time::Instant::now() + limit::WASM_START_TIMEOUT.min(unit.code.spec.timeout());
        let late = |_| failure::late_start(&unit.code);
        let place = tokio::time::timeout_at(until, unit.place()).await.map_err(late)??;
        let mut wasi = unit.wasi(instance, &calls);
        let mut store = unit.component_store(&mut wasi, (calls.clone(), instance), place);
        store.data_mut().javascript = unit.running(instance, &calls);
        let total = &unit.code.cpu;
        let told = total.clone();
        let tell = move |spent_ns, _| told.add(spent_ns);
        let begin = async move {
            let begun = pre.instantiate_async(&mut store).await;
            (begun, store)
        };
        let begin = metered(unit.member.turn(), total, begin, tell);
        let begun = tokio::time::timeout_at(until, begin).await;
        let (service, store) = match begun {
            Ok((Ok(service), store)) => (service, store),
            Ok((Err(error), store)) => {
                unit.log_failure(instance, None, &error);
                return Err(failure::fault(&unit.code, &error, store.data().refused()));
            }
            Err(_) => return Err(failure::late_start(&unit.code)),
        };
        let status = Arc::new(Status {
            laps: Arc::new(Laps::new(calls.clone(), unit.code.cpu.clone())),
            answers: Answers::default(),
            calls,
            deadlines: Deadlines::default(),
            turn: Notify::new(),
            turns: AtomicU64::new(0),
            kill: Notify::new(),
            fault: OnceLock::new(),
            closed: watch::Sender::new(false),
            gone: watch::Sender::new(false),
        });
        let (inbox, calls) = mpsc::channel(limit::CONCURRENCY_CEILING as usize);
        let kept = Self {
            inbox: Mutex::new(Some(inbox)),
            status: Arc::clone(&status),
            code: Arc::clone(&unit.code),
        };
        let spawn = Arc::clone(&unit.shared.environment.spawn);
        spawn.spawn("wasm-instance", Box::pin(live(store, service, calls, status, (unit, instance))));
        Ok(kept)
    }

    async fn handle(&self, invocation: Invocation) -> Result<Reply> {
        let Invocation { context, request } = invocation;
        let ended = || {
            let closed = || Fault::new(Code::QueueFull, "the instance takes no more calls").retry_after(1);
            self.status.fault.get().cloned().unwrap_or_else(closed)
        };
        let (answer, answered) = oneshot::channel();
        let request = absolute(request, context.secure)?.map(|body| outgoing::from_body(body, None));
        let call = Call { ticket: Ticket::new(&self.status, &context), request, answer };
        let sent = match &*self.inbox.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(inbox) => inbox.try_send(call).map_err(|_| ended()),
            None => Err(ended()),
        };
        sent?;
        let mut waiting = Waiting { status: &self.status, deadline: context.deadline, answered: false };
        let answered = answered.await;
        waiting.answered = true;
        match answered {
            Ok(answer) => answer,
            Err(_) => {
                // The event loop is gone, and will have said why when the store is gone too.
                let mut gone = self.status.gone.subscribe();
                let _ = tokio::time::timeout_at(context.deadline.into(), gone.wait_for(|gone| *gone)).await;
                // A stuck guest is ended at the deadline, a moment before or after its callers notice.
                let late = self.status.fault.get().is_none() && Instant::now() >= context.deadline;
                Err(if late { failure::timeout(&self.code) } else { ended() })
            }
        }
    }
}

impl Instance for Kept {
    fn call(&self, invocation: Invocation) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(self.handle(invocation))
    }

    fn ended(&self) -> BoxFuture<'_, Option<Fault>> {
        let mut closed = self.status.closed.subscribe();
        Box::pin(async move {
            // The sender lives as long as `self`.
            let _ = closed.wait_for(|closed| *closed).await;
            self.status.fault.get().cloned()
        })
    }

    fn stop(&self, grace: Duration) -> BoxFuture<'_, ()> {
        let mut gone = self.status.gone.subscribe();
        // What a guest still does after its last answer has the time of one call.
        let grace = grace.min(self.code.spec.timeout());
        Box::pin(async move {
            self.status.end(None);
            self.inbox.lock().unwrap_or_else(PoisonError::into_inner).take();
            if tokio::time::timeout(grace, gone.wait_for(|gone| *gone)).await.is_err() {
                self.status.kill.notify_one();
            }
        })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.status.kill.notify_one();
    }
}

/// `wasi:http` wants scheme and authority, which a request has in its connection and `Host` header.
fn absolute(request: http::Request<Body>, secure: bool) -> Result<http::Request<Body>> {
    let (mut parts, body) = request.into_parts();
    let mut uri = parts.uri.into_parts();
    uri.scheme = Some(if secure { http::uri::Scheme::HTTPS } else { http::uri::Scheme::HTTP });
    let malformed = |error: &dyn std::fmt::Display| {
        Fault::new(Code::RequestMalformed, "the request has no valid `Host` header").detail(error)
    };
    if uri.authority.is_none() {
        let host = parts.headers.get(http::header::HOST).ok_or_else(|| malformed(&"there is none"))?;
        uri.authority =
            Some(host.as_bytes().try_into().map_err(|error: http::uri::InvalidUri| malformed(&error))?);
    }
    if uri.path_and_query.is_none() {
        uri.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    }
    parts.uri = http::Uri::from_parts(uri).map_err(|error| malformed(&error))?;
    Ok(http::Request::from_parts(parts, body))
}

/// The life of an instance: serves calls until there are no more, or it fails, or it is killed.
async fn live(
    mut store: Store<State>,
    service: Service,
    mut inbox: mpsc::Receiver<Call>,
    status: Arc<Status>,
    (unit, instance): (Arc<WasmUnit>, u64),
) {
    // Of all that is here it goes last.
    let _gone = Gone(Arc::clone(&status));
    let events = {
        let (status, unit) = (Arc::clone(&status), Arc::clone(&unit));
        async move {
            let events = store.run_concurrent(async |accessor: &Accessor<State>| {
                serve(accessor, &service, &mut inbox, &status, &unit).await
            });
            let served = answers::deliver(events, &status).await;
            // Whoever comes until it is known why it has ended is told that.
            (served.and_then(|served| served), (store, inbox))
        }
    };
    let mut events = Box::pin(status.laps.run(unit.member.turn(), events));
    let mut ending = Ending { status: Arc::clone(&status), fault: Some(failure::panicked(&unit.code)) };
    let served = tokio::select! {
        biased;
        served = &mut events => Some(served),
        () = status.kill.notified() => None,
        () = overdue(&status, unit.code.spec.timeout()) => None,
    };
    ending.fault = match &served {
        Some((Ok(()), _)) => None,
        Some((Err(error), (store, _))) => {
            unit.log_failure(instance, status.calls.only().as_deref(), error);
            Some(failure::fault(&unit.code, error, store.data().refused()))
        }
        None => Some(failure::timeout(&unit.code)),
    };
    drop(ending);
    // The store, wherever it is. Bodies that it breaks off see the fault.
    drop((events, served));
}

/// Runs in the store's event loop: starts calls as they come.
async fn serve(
    accessor: &Accessor<State>,
    service: &Service,
    inbox: &mut mpsc::Receiver<Call>,
    status: &Status,
    unit: &WasmUnit,
) -> wasmtime::Result<()> {
    let mut running = FuturesUnordered::new();
    let mut open = true;
    while open || !running.is_empty() {
        status.turns.fetch_add(1, Ordering::Relaxed);
        tokio::select! {
            biased;
            Some(done) = running.next(), if !running.is_empty() => done?,
            call = inbox.recv(), if open => match call {
                Some(call) => running.push(handle(accessor, service, call, status, unit)),
                None => open = false,
            },
            () = status.turn.notified() => {}
        }
    }
    // Bodies still stream, and the guest may have work left after its answers.
    std::future::poll_fn(|context| {
        status.turns.fetch_add(1, Ordering::Relaxed);
        accessor.poll_no_interesting_tasks(context)
    })
    .await;
    Ok(())
}

/// One call, until its answer is known. An error is a trap, which ends the instance.
async fn handle(
    accessor: &Accessor<State>,
    service: &Service,
    call: Call,
    status: &Status,
    unit: &WasmUnit,
) -> wasmtime::Result<()> {
    let Call { ticket, request, answer: to } = call;
    let (request, sent) = accessor.with(|mut store| {
        let (request, sent) = Request::from_http(store.data_mut().http().hooks, request);
        let sent: BoxFuture<'static, _> = Box::pin(sent);
        (request, sent)
    });
    let answer = match service.handle(accessor, request).await? {
        Ok(response) => accessor.with(|store| response.into_http(store, sent)).map_err(|error| {
            failure::bad_response(&unit.code, "answered with something that is no valid response")
                .detail(error)
        }),
        Err(error) => Err(failure::answered(&unit.code, &error)),
    };
    status.answers.add(Answer::new(to, answer, ticket));
    Ok(())
}

/// Resolves when the instance has to die for its deadlines' sake.
async fn overdue(status: &Status, patience: Duration) {
    loop {
        let seen = status.deadlines.look(Instant::now(), patience);
        if seen.late {
            status.end(None);
            if seen.next.is_none() || stuck(status).await {
                return;
            }
        }
        status.deadlines.wait(&seen).await;
        // Without a call the guest may still work, but not for ever on the processor.
        if seen.next.is_none() && status.deadlines.idle_since(&seen) && stuck(status).await {
            return;
        }
    }
}

/// Whether the event loop does not turn, although it is asked to.
async fn stuck(status: &Status) -> bool {
    let (before, polls) = (status.turns.load(Ordering::Relaxed), status.laps.polls());
    status.turn.notify_one();
    loop {
        tokio::time::sleep(TURN).await;
        if status.turns.load(Ordering::Relaxed) != before {
            return false;
        }
        // Who waits for a processor is not stuck.
        if status.laps.polls() >= polls + u64::from(POLLS) {
            return true;
        }
    }
}
