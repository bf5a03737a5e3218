//! Bodies on their way through the gateway: streamed, never collected.

use super::peer::Busy;
use super::unsent::Giver;
use crate::live::LiveRevision;
use crate::settings::Clients;
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::limit::{DRAINED_BYTES_MAX, LINGER};
use hob_core::unit::show_duration;
use hob_runtime::body::{self, Body};
use http::Request;
use http::header::EXPECT;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, timeout};

/// The body of a request from somebody who is known. It fails when its bytes stay away for too long.
pub(crate) fn incoming(incoming: Incoming) -> Body {
    incoming_from(incoming, &Clients { bytes_per_second: 0, ..Clients::default() })
}

/// The body of a request from a stranger. It fails also when its bytes come too slowly.
pub(super) fn incoming_from(incoming: Incoming, clients: &Clients) -> Body {
    if incoming.is_end_stream() {
        return body::empty();
    }
    let (clients, waited) = (*clients, Duration::ZERO);
    Inbound { incoming, clients, timer: None, since: None, waited, bytes: 0 }.boxed_unsync()
}

/// Reads the rest of a refused request, if it is little and comes soon: what is not read would cost the
/// client its connection. A client that waits to be asked for the body (RFC 9110, 10.1.1) is not.
pub(super) async fn drain(request: &mut Request<Incoming>) {
    if request.headers().contains_key(EXPECT) {
        return;
    }
    let reading = body::skip(request.body_mut(), DRAINED_BYTES_MAX);
    // What does not come in time is cut off, as it would be anyway.
    let _ = timeout(LINGER, reading).await;
}

struct Inbound {
    incoming: Incoming,
    clients: Clients,
    timer: Option<Pin<Box<Sleep>>>,
    /// Since when the next piece is awaited; the timer runs for it.
    since: Option<Instant>,
    /// How long earlier ones were awaited, and how much they were.
    waited: Duration,
    bytes: u64,
}

impl Inbound {
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let silence = self.clients.body_idle;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(silence)));
        if self.since.is_none() {
            let now = Instant::now();
            timer.as_mut().reset(now + silence);
            self.since = Some(now);
        }
        timer.as_mut().poll(cx)
    }

    /// A piece of so many bytes has come. Says whether the client is too slow: only the time counts in which
    /// nobody but the client was waited for, once that is long enough to tell.
    fn came(&mut self, bytes: u64) -> bool {
        let Some(since) = self.since.take() else {
            self.bytes += bytes;
            return false;
        };
        self.waited += since.elapsed();
        self.bytes += bytes;
        let Clients { body_idle, bytes_per_second, .. } = self.clients;
        let least = self.waited.as_millis().saturating_mul(u128::from(bytes_per_second)) / 1000;
        self.waited >= body_idle && u128::from(self.bytes) < least
    }
}

impl http_body::Body for Inbound {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                let (bytes, more) = (data.map_or(0, Bytes::len), data.is_some());
                if this.came(bytes as u64) && more && !this.incoming.is_end_stream() {
                    return Poll::Ready(Some(Err(slow(this.clients))));
                }
                Poll::Ready(frame.map(|frame| frame.map_err(|error| broken(&error))))
            }
            Poll::Pending => this.poll_silence(cx).map(|()| Some(Err(silent(this.clients)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

fn broken(error: &hyper::Error) -> Fault {
    Fault::new(Code::RequestMalformed, "the request's body ended early or is malformed").detail(error)
}

fn silent(clients: Clients) -> Fault {
    let time = show_duration(clients.body_idle);
    Fault::new(Code::RequestTimeout, format!("no byte of the request's body came for {time}"))
}

fn slow(clients: Clients) -> Fault {
    let rate = clients.bytes_per_second;
    let what = format!("the request's body came more slowly than {rate} bytes per second");
    Fault::new(Code::RequestTimeout, what).hint("send larger pieces, or nothing until there is more to send")
}

/// The body of an answer, and what has to stay until it has ended.
///
/// One that fails does so when what came before, the head at least, is on its way: hyper drops what it has not sent yet
/// when a body fails, and sends it when a body lets it wait.
pub(super) struct Answer {
    body: Body,
    /// What HTTP/2 has its pieces from, and what is left to be given so.
    giver: Option<Giver>,
    rest: Bytes,
    /// Whether something may still lie with hyper.
    unsent: bool,
    failed: Option<Fault>,
    _busy: Option<Busy>,
    _revision: Option<Arc<LiveRevision>>,
}

impl Answer {
    pub(super) fn new(body: Body, busy: Busy, revision: Option<Arc<LiveRevision>>) -> Self {
        let giver = busy.0.giver();
        Self { giver, _busy: Some(busy), _revision: revision, ..Self::alone(body) }
    }

    /// A body for which nothing has to stay.
    pub(super) fn alone(body: Body) -> Self {
        let rest = Bytes::new();
        Self { body, giver: None, rest, unsent: true, failed: None, _busy: None, _revision: None }
    }

    /// The next piece, as the client's protocol needs it.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let Some(giver) = &self.giver else { return Pin::new(&mut self.body).poll_frame(cx) };
        if self.rest.is_empty() {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                giver.for_function();
                return Poll::Pending;
            };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) if !data.is_empty() => self.rest = data,
                Some(Ok(Ok(empty))) => return Poll::Ready(Some(Ok(Frame::data(empty)))),
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(fault)) => return Poll::Ready(Some(Err(fault))),
                None => return Poll::Ready(None),
            }
        }
        ready!(giver.poll_room(cx));
        Poll::Ready(Some(Ok(Frame::data(giver.piece(&mut self.rest)))))
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        if let Some(fault) = this.failed.take() {
            return Poll::Ready(Some(Err(fault)));
        }
        let frame = this.poll_piece(cx);
        let sent = !std::mem::replace(&mut this.unsent, frame.is_ready());
        match frame {
            Poll::Ready(Some(Err(fault))) if !sent => {
                (this.failed, this.unsent) = (Some(fault), false);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failed.is_none() && self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Bytes, Code, Fault};
    use futures_util::task::noop_waker_ref;
    use http::Response;
    use http_body::{Body as _, Frame};
    use http_body_util::{BodyExt as _, StreamBody};
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[test]
    fn a_body_fails_when_what_came_before_is_on_its_way() {
        for (what, expected) in [("!", ".!"), ("a!", "a.!"), ("ab.!", "ab.!"), ("a", "a"), (".a.!", ".a.!")] {
            let mut left = what.chars();
            let frames = futures_util::stream::poll_fn(move |_| match left.next() {
                Some('.') => Poll::Pending,
                Some('!') => Poll::Ready(Some(Err(Fault::new(Code::StartExit, "it ended")))),
                next => Poll::Ready(next.map(|next| Ok(Frame::data(Bytes::from(next.to_string()))))),
            });
            let mut answer = Answer::alone(StreamBody::new(frames).boxed_unsync());
            let mut seen = String::new();
            for _ in 0..what.len() + 2 {
                match Pin::new(&mut answer).poll_frame(&mut Context::from_waker(noop_waker_ref())) {
                    Poll::Pending => seen.push('.'),
                    Poll::Ready(Some(Ok(frame))) => {
                        seen.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
                    }
                    Poll::Ready(Some(Err(_))) => {
                        seen.push('!');
                        break;
                    }
                    Poll::Ready(None) => break,
                }
            }
            assert_eq!(seen, expected, "{what}");
        }
    }

    #[tokio::test]
    async fn the_head_of_an_answer_that_fails_at_once_arrives() {
        let (mut client, server) = tokio::io::duplex(4096);
        let service = service_fn(|_| async {
            let fails = futures_util::stream::once(async { Err(Fault::new(Code::StartExit, "it ended")) });
            Ok::<_, Infallible>(Response::new(Answer::alone(StreamBody::new(fails).boxed_unsync())))
        });
        let serving = http1::Builder::new().serve_connection(TokioIo::new(server), service);
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut seen = String::new();
        let (served, read) = tokio::join!(serving, client.read_to_string(&mut seen));
        assert!(served.is_err() && read.is_ok());
        assert!(seen.starts_with("HTTP/1.1 200"), "{seen:?}");
    }
}
