//! Ways out of a worker: each carries one request of a guest, in the name of the call whose lane asked for it.
//!
//! **How.** The worker asks on a call's or instance's lane. The node makes the pair, knows from the lane who calls, and
//! answers on it as it would answer a guest in this process.
//!
//! **Invariant.** A way out ends with what it was made for.

use super::super::outgoing::is_forbidden;
use super::Beside;
use crate::outbound::Caller;
use crate::worker::lane::{Lane, Lost};
use crate::worker::outbox::Outbox;
use crate::worker::serve::{Answerer, serve};
use crate::worker::wire::{Broken, Kind, take_request};
use hob_core::code::Code;
use hob_core::fault::Fault;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Opens the way out that a worker knows under this number.
pub(super) fn open(beside: &Beside, number: u64) {
    let Some((lane, exit)) = beside.link().exit(number) else { return };
    let environment = &beside.unit.shared.environment;
    let outbound = Arc::clone(&environment.outbound);
    let (code, calls, instance) = (Arc::clone(&beside.unit.code), beside.calls.clone(), beside.instance);
    let caller = move |traceparent: Option<&str>| Caller { instance, ..calls.caller(&code, traceparent) };
    let over = beside.exits.clone();
    let work = async move {
        tokio::select! {
            () = over.cancelled() => {}
            done = carry(lane, &caller, &*outbound) => {
                if let Err(lost @ Lost::Broken(_)) = done {
                    // Its calls learn of it when the worker is gone.
                    let _ = exit.link().fault(&lost);
                }
            }
        }
        drop(exit);
    };
    environment.spawn.spawn("wasm-call", Box::pin(work));
}

async fn carry(
    mut lane: Lane,
    caller: &(dyn Fn(Option<&str>) -> Caller + Send + Sync),
    outbound: &dyn crate::outbound::Outbound,
) -> Result<(), Lost> {
    let mut first = lane.next().await?;
    if first.kind != Kind::Call {
        return Err(Broken("a way out that does not begin with a request").into());
    }
    let (mut request, hint) = take_request(&mut first.content)?;
    // As the engine takes them from a guest.
    let forbidden: Vec<_> = request.headers().keys().filter(|name| is_forbidden(name)).cloned().collect();
    for name in forbidden {
        request.headers_mut().remove(name);
    }
    crate::hop::strip(request.headers_mut());
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let caller = caller(traceparent);
    let addressed = request.uri().authority().is_some();
    let handle = |request| async move {
        if !addressed {
            return Err(Fault::new(Code::RequestMalformed, "the request has no address"));
        }
        outbound.call(caller, request).await
    };
    serve(&mut lane, (request, hint), handle, &mut Silent).await?;
    lane.flush().await
}

/// Says nothing beside the answer.
struct Silent;

impl Answerer for Silent {
    fn outbox(&self) -> Option<&Outbox> {
        None
    }

    fn poll_over(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn tell(&mut self, _: &mut Lane) {}
}
