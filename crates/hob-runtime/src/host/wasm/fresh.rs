//! WASI 0.2 requests: each gets an instance of its own.
//!
//! **How.** The guest's export is a future. It is polled first by the call, until the guest has set
//! its answer; then by the answer's body, so that whoever reads the body drives the guest, and
//! dropping the body stops it. What the guest still does after its body's end goes on in the
//! background, until the export returns or the deadline is over.
//!
//! ```text
//! call ──── polls guest ──── answer set ──▶ body ──── polls guest ──── body ends ──▶ background task
//! ```
//!
//! **Invariants.** The guest never outlives its deadline, and counts as an instance of its function
//! until its store is gone.

use super::calls::Calls;
use super::spin::Handler02Pre;
use super::{WasmUnit, failure, outgoing};
use crate::body::Body;
use crate::crowd::{also_queued, metered};
use crate::invocation::{Invocation, Reply};
use crate::unit::Instance;
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::port::{BoxFuture, Spawn};
use http_body::Frame;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::{WasiBody, WasiHttpView};

/// An instance yet to be made, for one call.
pub(super) struct Fresh {
    unit: Arc<WasmUnit>,
    pre: Handler02Pre,
    instance: u64,
    /// Starts what goes on after the answer.
    spawn: Arc<dyn Spawn>,
}

impl Fresh {
    pub(super) fn new(unit: Arc<WasmUnit>, pre: Handler02Pre, instance: u64) -> Self {
        let spawn = Arc::clone(&unit.shared.environment.spawn);
        Self::lasting(unit, pre, instance, spawn)
    }

    /// One whose work after its answer is started by `spawn`.
    pub(super) fn lasting(
        unit: Arc<WasmUnit>,
        pre: Handler02Pre,
        instance: u64,
        spawn: Arc<dyn Spawn>,
    ) -> Self {
        Self { unit, pre, instance, spawn }
    }
}

impl Instance for Fresh {
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

/// The guest's work; ends with the fault, if it failed.
type Guest = BoxFuture<'static, Option<Fault>>;
/// What the guest sets as its answer.
type Set = std::result::Result<http::Response<WasiBody>, ErrorCode>;

impl Fresh {
    async fn handle(&self, invocation: Invocation) -> Result<Reply> {
        let Invocation { context, request } = invocation;
        let deadline = context.deadline.into();
        let place = match self.unit.place_now() {
            Some(place) => place,
            None => tokio::time::timeout_at(deadline, self.unit.place())
                .await
                .map_err(|_| failure::timeout(&self.unit.code))??,
        };
        let calls = Calls::One(Some(Arc::clone(&context)));
        let mut wasi = self.unit.wasi(self.instance, &calls);
        let mut store = self.unit.component_store(&mut wasi, (calls, self.instance), place);

        let scheme = if context.secure { Scheme::Https } else { Scheme::Http };
        let request = request.map(|body| outgoing::from_body(body, None));
        let no_request = |error: wasmtime::Error| {
            Fault::new(Code::RequestMalformed, "the request has no valid `Host` header").detail(error)
        };
        let request = store.data_mut().http().new_incoming_request(scheme, request).map_err(no_request)?;
        let (answer, set) = oneshot::channel();
        let out = store.data_mut().http().new_response_outparam(answer).map_err(Fault::internal)?;

        let (pre, call) = (self.pre.clone(), Arc::clone(&context));
        let guest = async move {
            let done = async {
                let began = Instant::now();
                let handler = pre.open(&mut store).await?;
                call.timing.started(began.elapsed());
                handler.handle(&mut store, request, out).await
            }
            .await;
            // Whoever hears of its end still has it: what it breaks off is broken off when the fault is known.
            (done, store)
        };
        let (unit, instance) = (Arc::clone(&self.unit), self.instance);
        let guest: Guest = Box::pin(async move {
            let (total, call) = (unit.code.cpu.clone(), Arc::clone(&context));
            let tell = move |cpu_ns, waited| {
                total.add(cpu_ns);
                call.timing.spent(cpu_ns);
                also_queued(&call.timing, waited);
            };
            let guest = metered(unit.member.turn(), &unit.code.cpu, guest, tell);
            match tokio::time::timeout_at(deadline, guest).await {
                Ok((Ok(()), _)) => None,
                Ok((Err(error), store)) => {
                    unit.log_failure(instance, Some(&context), &error);
                    Some(failure::fault(&unit.code, &error, store.data().refused()))
                }
                Err(_) => Some(failure::timeout(&unit.code)),
            }
        });
        self.answer(guest, set).await
    }

    /// Drives the guest until it has set its answer.
    async fn answer(&self, guest: Guest, mut set: oneshot::Receiver<Set>) -> Result<Reply> {
        let mut guest = Some(guest);
        let mut fault = None;
        let set = std::future::poll_fn(|context| {
            if let Some(running) = &mut guest
                && let Poll::Ready(ended) = running.as_mut().poll(context)
            {
                (guest, fault) = (None, ended);
            }
            Pin::new(&mut set).poll(context)
        })
        .await;
        let code = &self.unit.code;
        match set {
            Ok(Ok(answer)) => Ok(self.stream(answer, guest, fault)),
            Ok(Err(error)) => {
                Err(failure::bad_response(code, format_args!("answered with the error `{error}`")))
            }
            // The guest is gone with its end of the channel.
            Err(_) => Err(fault.unwrap_or_else(|| failure::bad_response(code, "returned without an answer"))),
        }
    }

    fn stream(&self, answer: http::Response<WasiBody>, guest: Option<Guest>, fault: Option<Fault>) -> Reply {
        let (parts, body) = answer.into_parts();
        let length = parts.headers.get(http::header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
        let body =
            Streaming { body, guest, fault, unsent: length, ended: false, spawn: Arc::clone(&self.spawn) };
        http::Response::from_parts(parts, Body::new(body))
    }
}

/// The body of a guest's answer, which drives the guest.
struct Streaming {
    body: WasiBody,
    guest: Option<Guest>,
    fault: Option<Fault>,
    /// Bytes that `content-length` still promises.
    unsent: Option<u64>,
    ended: bool,
    spawn: Arc<dyn Spawn>,
}

impl http_body::Body for Streaming {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        loop {
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let (Some(unsent), Some(data)) = (&mut this.unsent, frame.data_ref()) {
                        *unsent = unsent.saturating_sub(data.len() as u64);
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Poll::Ready(None) => {
                    this.ended = true;
                    // Wasmtime ends the body in silence when its store goes away.
                    return Poll::Ready(this.fault.take().map(Err));
                }
                Poll::Ready(Some(Err(error))) => {
                    // A guest that crashed broke its body off; its own fault says why.
                    if let Some(guest) = &mut this.guest
                        && let Poll::Ready(fault) = guest.as_mut().poll(context)
                    {
                        (this.guest, this.fault) = (None, fault);
                    }
                    let broke_off = || Fault::new(Code::BadResponse, format!("the body broke off: {error}"));
                    return Poll::Ready(Some(Err(this.fault.take().unwrap_or_else(broke_off))));
                }
                Poll::Pending => {
                    let Some(guest) = &mut this.guest else { return Poll::Pending };
                    let fault = ready!(guest.as_mut().poll(context));
                    // The guest's end may have ended its body: look again.
                    (this.guest, this.fault) = (None, fault);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        // A body that was read to its end was delivered; one that was not has lost its reader.
        let delivered = self.ended || self.unsent == Some(0);
        if let (true, Some(guest)) = (delivered, self.guest.take()) {
            self.spawn.spawn(
                "wasm-after-answer",
                Box::pin(async move {
                    guest.await;
                }),
            );
        }
    }
}
