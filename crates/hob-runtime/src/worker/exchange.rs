//! The asking half of an exchange: a request goes out on a lane, its answer comes back.
//!
//! **How.** One value owns lane and request, and is polled by whoever wants the answer: first the call, then the
//! answer's body. Both directions move while it is polled, so that answers may begin before requests have ended, and
//! nothing moves while nobody wants it. Of the request's body only so much is sent as the other side has room for
//! ([`Kind::Credit`]); of the answer's only so much is read as is taken, and the socket holds the rest back.
//!
//! **Invariants.** Dropping it closes the lane, which ends the call on the other side at once: that one always
//! reads. A lane is given back only when both sides have said all.

use super::lane::{Lane, Lost, PENDING_BYTES_MAX};
use super::wire::{Broken, Frame, Hint, Kind, put_request, take_answer};
use crate::body::{self, Body};
use bytes::Bytes;
use hob_core::fault::{Fault, Result as Outcome};
use hob_core::limit::{WALL_PART_BYTES_MAX, WALL_WINDOW_BYTES};
use http_body::{Body as _, Frame as BodyFrame, SizeHint};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Whoever asks: is told what comes beside the answer, and what becomes of the lane.
pub(crate) trait Asker: Send + Unpin + 'static {
    /// A frame that is no part of the answer.
    ///
    /// # Errors
    /// When it has no place here.
    fn beside(&mut self, frame: Frame) -> Result<(), Broken>;
    /// Everything was said: the lane can be used again.
    fn finished(&mut self, lane: Lane);
    /// The answer's body has ended, but the other side still works: goes on until it is done.
    fn linger(self, rest: Rest<Self>)
    where
        Self: Sized;
    /// The lane is of no use any more: the fault for who waits.
    fn lost(&mut self, why: &Lost) -> Fault;
}

/// Frames of an answer that are looked for beside its head, to send a small one as a whole.
const HERE_FRAMES_MAX: usize = 16;

/// Lane, request and asker.
pub(crate) struct Exchange<A: Asker> {
    lane: Lane,
    request: Option<Sending>,
    credit: usize,
    /// The answer's trailers have come: only its end may follow.
    trailed: bool,
    asker: A,
}

/// A request's body on its way.
struct Sending {
    body: Body,
    /// Of the part that was taken last, what there was no room for.
    rest: Bytes,
}

impl<A: Asker> Exchange<A> {
    /// Sends a request after what `first` writes, and waits for the answer.
    ///
    /// # Errors
    /// The other side's fault, or that of a lost lane.
    pub(crate) async fn ask(
        mut lane: Lane,
        kind: Kind,
        first: impl FnOnce(&mut super::wire::Put<'_>),
        request: http::Request<Body>,
        asker: A,
    ) -> Outcome<http::Response<Body>> {
        let (parts, body) = request.into_parts();
        let hint = Hint::of(&body);
        lane.put(kind, |put| {
            first(put);
            put_request(put, &parts, hint);
        });
        let request = Some(Sending { body, rest: Bytes::new() });
        let mut exchange = Self { lane, request, credit: WALL_WINDOW_BYTES, trailed: false, asker };
        let answered = std::future::poll_fn(|context| exchange.poll_frame(context)).await;
        match answered {
            Err(lost) => Err(exchange.asker.lost(&lost)),
            Ok(mut frame) if frame.kind == Kind::Head => match take_answer(&mut frame.content) {
                Ok((head, hint)) => exchange.answer(head, hint),
                Err(broken) => Err(exchange.asker.lost(&broken.into())),
            },
            Ok(frame) if frame.kind == Kind::Failed => match frame.content.fault() {
                Ok(fault) => {
                    exchange.end();
                    Err(fault)
                }
                Err(broken) => Err(exchange.asker.lost(&broken.into())),
            },
            Ok(_) => Err(exchange.asker.lost(&Broken("a frame before the answer").into())),
        }
    }

    /// The answer; as a whole, if it has come as one.
    fn answer(mut self, head: http::Response<()>, hint: Hint) -> Outcome<http::Response<Body>> {
        let mut here = Vec::new();
        loop {
            match self.next_here() {
                Err(lost) => return Err(self.asker.lost(&lost)),
                Ok(Some(frame)) if frame.kind == Kind::End => {
                    self.end();
                    return Ok(head.map(|()| whole(here, hint)));
                }
                Ok(Some(frame)) => {
                    let last = frame.kind == Kind::BrokeOff;
                    here.push(frame);
                    if last || here.len() == HERE_FRAMES_MAX {
                        break;
                    }
                }
                Ok(None) => break,
            }
        }
        let length = head.headers().get(http::header::CONTENT_LENGTH);
        let unsent = length.and_then(|value| value.to_str().ok()?.parse().ok());
        here.reverse();
        Ok(head.map(|()| Body::new(Answer { exchange: Some(self), here, hint, unsent })))
    }

    fn next_here(&mut self) -> Result<Option<Frame>, Lost> {
        while let Some(frame) = self.lane.next_here()? {
            if let Some(frame) = self.sort(frame)? {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    /// Hands to the asker what is his.
    fn sort(&mut self, mut frame: Frame) -> Result<Option<Frame>, Lost> {
        match frame.kind {
            Kind::Data | Kind::Trailers if self.trailed => {
                Err(Broken("a part of a body after its trailers").into())
            }
            Kind::Data if frame.content.0.is_empty() => {
                Err(Broken("a part of a body without content").into())
            }
            Kind::Trailers => {
                self.trailed = true;
                Ok(Some(frame))
            }
            Kind::Head | Kind::Data | Kind::End | Kind::BrokeOff | Kind::Failed | Kind::Over => {
                Ok(Some(frame))
            }
            Kind::Credit => {
                let more = usize::try_from(frame.content.u64()?).unwrap_or(usize::MAX);
                self.credit = self.credit.saturating_add(more).min(WALL_WINDOW_BYTES);
                Ok(None)
            }
            _ => {
                self.asker.beside(frame)?;
                Ok(None)
            }
        }
    }

    /// The next frame of the answer; the request goes on meanwhile.
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Result<Frame, Lost>> {
        loop {
            let more = self.send(context);
            let flushed = self.lane.poll_flush(context)?;
            match self.lane.poll_next(context)? {
                Poll::Ready(frame) => {
                    if let Some(frame) = self.sort(frame)? {
                        return Poll::Ready(Ok(frame));
                    }
                }
                Poll::Pending if more && flushed.is_ready() => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Takes from the request's body what there is room for. Says whether there may be more at once.
    fn send(&mut self, context: &mut Context<'_>) -> bool {
        let Some(sending) = &mut self.request else { return false };
        while self.credit > 0 && self.lane.pending() < PENDING_BYTES_MAX {
            if !sending.rest.is_empty() {
                let most = self.credit.min(WALL_PART_BYTES_MAX).min(sending.rest.len());
                self.credit -= most;
                self.lane.put_data(sending.rest.split_to(most));
                continue;
            }
            match Pin::new(&mut sending.body).poll_frame(context) {
                Poll::Pending => return false,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => sending.rest = data,
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            self.lane.put(Kind::Trailers, |put| put.headers(&trailers));
                        }
                    }
                },
                Poll::Ready(Some(Err(fault))) => {
                    self.lane.put(Kind::BrokeOff, |put| put.fault(&fault));
                    self.request = None;
                    return false;
                }
                Poll::Ready(None) => {
                    self.lane.put(Kind::End, |_| {});
                    self.request = None;
                    return false;
                }
            }
        }
        self.credit > 0
    }

    /// After the answer's end.
    fn end(mut self) {
        match self.next_here() {
            Ok(Some(frame)) if frame.kind == Kind::Over => {
                let Self { lane, request, mut asker, .. } = self;
                // Who answered without reading all of the request still gets the rest of it.
                if request.is_none() && lane.is_clean() {
                    asker.finished(lane);
                }
            }
            Ok(None) => {
                let Self { lane, request, credit, trailed, asker } = self;
                asker.linger(Rest { lane, request, credit, trailed, ended: true, asker: PhantomData });
            }
            Ok(Some(_)) => drop(self.asker.lost(&Broken("a frame after the answer").into())),
            Err(lost) => drop(self.asker.lost(&lost)),
        }
    }
}

/// What is left of an exchange whose answer was taken.
pub(crate) struct Rest<A> {
    lane: Lane,
    request: Option<Sending>,
    credit: usize,
    trailed: bool,
    /// Whether the answer's end has come.
    ended: bool,
    asker: PhantomData<fn(A)>,
}

impl<A: Asker> Rest<A> {
    /// Waits until the other side is done. Dropped, it closes the lane.
    pub(crate) async fn finish(self, asker: A) {
        let Self { lane, request, credit, trailed, mut ended, .. } = self;
        let mut exchange = Exchange { lane, request, credit, trailed, asker };
        loop {
            match std::future::poll_fn(|context| exchange.poll_frame(context)).await {
                Ok(frame) if frame.kind == Kind::Over && ended => break,
                Ok(frame) if matches!(frame.kind, Kind::End | Kind::BrokeOff) && !ended => ended = true,
                Ok(frame) if frame.kind == Kind::Trailers && !ended => {}
                Ok(_) => return drop(exchange.asker.lost(&Broken("a frame after the answer").into())),
                Err(lost) => return drop(exchange.asker.lost(&lost)),
            }
        }
        let Exchange { lane, request, mut asker, .. } = exchange;
        if request.is_none() && lane.is_clean() {
            asker.finished(lane);
        }
    }
}

/// A body that has come as a whole.
fn whole(frames: Vec<Frame>, hint: Hint) -> Body {
    let mut frames = frames;
    if let [only] = frames.as_mut_slice()
        && only.kind == Kind::Data
    {
        return body::full(std::mem::take(&mut only.content.0));
    }
    frames.reverse();
    Body::new(Answer::<NoAsker> { exchange: None, here: frames, hint, unsent: None })
}

/// Stands where there is nobody to ask any more.
struct NoAsker;

impl Asker for NoAsker {
    fn beside(&mut self, _: Frame) -> Result<(), Broken> {
        Ok(())
    }
    fn finished(&mut self, _: Lane) {}
    fn linger(self, _: Rest<Self>) {}
    fn lost(&mut self, _: &Lost) -> Fault {
        Fault::internal("nobody asks")
    }
}

/// The body of an answer.
struct Answer<A: Asker> {
    /// Until it has ended.
    exchange: Option<Exchange<A>>,
    /// Frames that have come with the head, the last one first.
    here: Vec<Frame>,
    hint: Hint,
    /// Bytes that `content-length` still promises.
    unsent: Option<u64>,
}

impl<A: Asker> Answer<A> {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, Lost>>> {
        if let Some(frame) = self.here.pop() {
            return Poll::Ready(Some(Ok(frame)));
        }
        match &mut self.exchange {
            Some(exchange) => exchange.poll_frame(context).map(Some),
            None => Poll::Ready(None),
        }
    }

    fn lost(&mut self, why: &Lost) -> Fault {
        match self.exchange.take() {
            Some(mut exchange) => exchange.asker.lost(why),
            None => Fault::internal("a body without its exchange"),
        }
    }
}

impl<A: Asker> http_body::Body for Answer<A> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Fault>>> {
        let frame = match ready!(self.poll_next(context)) {
            None => return Poll::Ready(None),
            Some(Err(lost)) => return Poll::Ready(Some(Err(self.lost(&lost)))),
            Some(Ok(frame)) => frame,
        };
        let Frame { kind, mut content } = frame;
        Poll::Ready(match kind {
            Kind::Data => {
                self.hint.taken(content.0.len());
                if let Some(unsent) = &mut self.unsent {
                    *unsent = unsent.saturating_sub(content.0.len() as u64);
                }
                Some(Ok(BodyFrame::data(content.0)))
            }
            Kind::Trailers => match content.headers() {
                Ok(trailers) => Some(Ok(BodyFrame::trailers(trailers))),
                Err(broken) => Some(Err(self.lost(&broken.into()))),
            },
            Kind::End => {
                if let Some(exchange) = self.exchange.take() {
                    exchange.end();
                }
                None
            }
            Kind::BrokeOff => match content.fault() {
                Ok(fault) => {
                    if let Some(exchange) = self.exchange.take() {
                        exchange.end();
                    }
                    Some(Err(fault))
                }
                Err(broken) => Some(Err(self.lost(&broken.into()))),
            },
            _ => Some(Err(self.lost(&Broken("a frame in the middle of a body").into()))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.here.is_empty() && self.hint.ended
    }

    fn size_hint(&self) -> SizeHint {
        match self.hint.exact {
            Some(bytes) if self.unsent.is_none() => SizeHint::with_exact(bytes),
            _ => SizeHint::default(),
        }
    }
}

impl<A: Asker> Drop for Answer<A> {
    fn drop(&mut self) {
        // Who has all that was promised may not ask for the end: then the other side is done with its work, too, and
        // not stopped.
        if let (Some(0), true, Some(exchange)) = (self.unsent, self.here.is_empty(), self.exchange.take()) {
            exchange.delivered();
        }
    }
}

impl<A: Asker> Exchange<A> {
    /// All bytes of the answer were taken, but not its end.
    fn delivered(mut self) {
        match self.next_here() {
            Ok(Some(frame)) if frame.kind == Kind::End => self.end(),
            Ok(None) => {
                let Self { lane, request, credit, trailed, asker } = self;
                asker.linger(Rest { lane, request, credit, trailed, ended: false, asker: PhantomData });
            }
            // There is something wrong: the lane is closed.
            _ => {}
        }
    }
}

/// One who asks, for tests.
#[cfg(test)]
pub(crate) struct Caller;

#[cfg(test)]
impl Asker for Caller {
    fn beside(&mut self, _: Frame) -> Result<(), Broken> {
        Ok(())
    }
    fn finished(&mut self, _: Lane) {}
    fn linger(self, _: Rest<Self>) {}
    fn lost(&mut self, why: &Lost) -> Fault {
        Fault::internal(format!("{why:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Caller, Exchange, HERE_FRAMES_MAX, Kind, Lane};
    use crate::body::{Body, empty};
    use crate::worker::wire::{Hint, Put, put_answer};
    use bytes::Bytes;
    use hob_core::fault::Result as Outcome;
    use http_body_util::BodyExt as _;
    use std::os::unix::net::UnixStream;

    /// What comes of an answer that is made of this.
    async fn answered(write: impl FnOnce(&mut Lane)) -> Outcome<Vec<u8>> {
        let lane = |end: UnixStream| {
            end.set_nonblocking(true).unwrap();
            Lane::new(end.into()).unwrap()
        };
        let (near, far) = UnixStream::pair().unwrap();
        let (near, mut far) = (lane(near), lane(far));
        let parts = http::Response::new(()).into_parts().0;
        far.put(Kind::Head, |put| put_answer(put, &parts, Hint::default()));
        write(&mut far);
        far.put(Kind::End, |_| {});
        far.put(Kind::Over, |_| {});
        far.flush().await.unwrap();
        let request = http::Request::get("http://a/").body(Body::new(empty())).unwrap();
        let reply = Exchange::ask(near, Kind::Call, |_| {}, request, Caller).await?;
        Ok(reply.into_body().collect().await?.to_bytes().to_vec())
    }

    fn trailers(put: &mut Put<'_>) {
        put.headers(&http::HeaderMap::new());
    }

    /// Trailers without an end were added to those before them until there was no more room, and parts of nothing cost
    /// a captured worker nothing.
    #[tokio::test]
    async fn what_no_sound_worker_answers_is_refused() {
        let small = Bytes::from_static(b"x");
        let sound = answered(|lane| {
            (0..4 * HERE_FRAMES_MAX).for_each(|_| lane.put_data(small.clone()));
            lane.put(Kind::Trailers, trailers);
        });
        assert_eq!(sound.await.unwrap().len(), 4 * HERE_FRAMES_MAX, "small parts are whole");
        type Write = fn(&mut Lane);
        let refused: [(&str, Write); 3] = [
            ("nothing", |lane| lane.put_data(Bytes::new())),
            ("trailers twice", |lane| (0..2).for_each(|_| lane.put(Kind::Trailers, trailers))),
            ("a part after the trailers", |lane| {
                lane.put(Kind::Trailers, trailers);
                lane.put_data(Bytes::from_static(b"x"));
            }),
        ];
        for (what, write) in refused {
            assert!(answered(write).await.is_err(), "{what}");
        }
    }
}
