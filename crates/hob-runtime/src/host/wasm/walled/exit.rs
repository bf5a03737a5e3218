//! Ways out of a worker: each carries one request of a guest, in the name of the call whose lane asked for it.
//!
//! **How.** The worker asks on a call's or instance's lane. The node makes the pair, knows from the lane who calls, and
//! answers on it as it would answer a guest in this process.
//!
//! **Invariant.** A way out ends with what it was made for.

use super::super::outgoing::is_forbidden;
use super::Beside;
use crate::body::Body;
use crate::invocation::Reply;
use crate::outbound::Caller;
use crate::worker::lane::{Lane, Lost};
use crate::worker::outbox::Outbox;
use crate::worker::serve::{Answerer, serve};
use crate::worker::wire::{Broken, Frame, Kind, take_request};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result as Outcome};
use std::sync::Arc;
use std::task::{Context, Poll};

/// Opens the way out that a worker knows under this number.
///
/// # Errors
/// As [`crate::worker::near::Link::exit`].
pub(super) fn open(beside: &Beside, number: u64) -> Result<(), Broken> {
    let Some((lane, exit)) = beside.link().exit(number)? else { return Ok(()) };
    let environment = &beside.unit.shared.environment;
    let outbound = Arc::clone(&environment.outbound);
    let (code, calls, instance) = (Arc::clone(&beside.unit.code), beside.calls.clone(), beside.instance);
    let call = async move |request: http::Request<Body>| {
        let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
        let caller = Caller { instance, ..calls.caller(&code, traceparent) };
        outbound.call(caller, request).await
    };
    let over = beside.exits.clone();
    let work = async move {
        tokio::select! {
            () = over.cancelled() => {}
            done = carry(lane, call) => {
                if let Err(lost @ Lost::Broken(_)) = done {
                    // Its calls learn of it when the worker is gone.
                    let _ = exit.link().fault(&lost);
                }
            }
        }
        drop(exit);
    };
    environment.spawn.spawn("wasm-call", Box::pin(work));
    Ok(())
}

async fn carry<F>(mut lane: Lane, call: impl FnOnce(http::Request<Body>) -> F + Send) -> Result<(), Lost>
where
    F: Future<Output = Outcome<Reply>> + Send,
{
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
    let addressed = request.uri().authority().is_some();
    let handle = |request| async move {
        if !addressed {
            return Err(Fault::new(Code::RequestMalformed, "the request has no address"));
        }
        call(request).await
    };
    serve(&mut lane, (request, hint), handle, &mut Silent).await?;
    lane.flush().await?;
    drain(lane).await
}

/// Reads on until the worker has let go of its end. An answer may come before the request has ended; whoever still
/// writes into a socket that is closed, or that is closed with something unread in it, never reads that answer.
async fn drain(mut lane: Lane) -> Result<(), Lost> {
    loop {
        match lane.next().await {
            Ok(Frame { kind: Kind::Data | Kind::Trailers | Kind::End | Kind::BrokeOff, .. }) => {}
            Ok(_) => return Err(Broken("a frame after a request").into()),
            Err(Lost::Gone) => return Ok(()),
            Err(lost) => return Err(lost),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::carry;
    use crate::body::{Body, full};
    use crate::worker::exchange::{Caller, Exchange};
    use crate::worker::lane::Lane;
    use crate::worker::wire::Kind;
    use hob_core::fault::Fault;
    use http_body_util::{BodyExt as _, StreamBody};
    use std::os::unix::net::UnixStream;

    /// The first request's end comes after the answer: its sender wrote into a closed socket and was told that its call
    /// was over.
    #[tokio::test]
    async fn an_answer_may_come_before_the_requests_end() {
        let lane = |end: UnixStream| {
            end.set_nonblocking(true).unwrap();
            Lane::new(end.into()).unwrap()
        };
        let (near, far) = UnixStream::pair().unwrap();
        let (near, far) = (lane(near), lane(far));
        let (parts, arriving) =
            tokio::sync::mpsc::channel::<Result<http_body::Frame<bytes::Bytes>, Fault>>(1);
        let stream = futures_util::stream::unfold(arriving, async |mut arriving| {
            arriving.recv().await.map(|part| (part, arriving))
        });
        let request = http::Request::post("http://a/").body(Body::new(StreamBody::new(stream))).unwrap();
        let mut asked = Box::pin(Exchange::ask(far, Kind::Call, |_| {}, request, Caller));
        let answered = tokio::sync::Notify::new();
        let mut carried = Box::pin(carry(near, async |_| {
            answered.notify_one();
            Ok(http::Response::new(full("answer")))
        }));
        tokio::select! {
            biased;
            done = &mut carried => panic!("the way out was closed while a request was on it: {done:?}"),
            () = answered.notified() => {}
            _ = &mut asked => panic!("an answer without its sender"),
        }

        parts.send(Ok(http_body::Frame::data(bytes::Bytes::from_static(b"the rest")))).await.unwrap();
        drop(parts);
        let reply = asked.await.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(reply, "answer");
        carried.await.unwrap();
    }
}
