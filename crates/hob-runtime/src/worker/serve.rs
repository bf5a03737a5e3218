//! The answering half of an exchange: reads a request from a lane, has it handled, sends the answer.
//!
//! **How.** One task polls everything: what comes, the handler or its answer's body, and what goes. Parts of a request
//! wait in an [`Inflow`] until the handler takes them; the asker is told how much was taken, and may send as much
//! again. So this side can always read, and learns at once when the asker has gone.
//!
//! **Invariants.** When the asker goes, the handler and its answer are dropped. No more of a request waits here than
//! the asker may send ahead, and what waits costs little more memory than it has bytes, however small its parts are.

use super::lane::{Lane, Lost, PENDING_BYTES_MAX};
use super::outbox::Outbox;
use super::wire::{Broken, Frame, Hint, Kind, put_answer};
use crate::body::{Body, empty, full};
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use hob_core::fault::{Fault, Result as Outcome};
use hob_core::limit::{WALL_GATHERED_BYTES_MAX, WALL_PART_BYTES_MAX, WALL_WINDOW_BYTES};
use http::HeaderMap;
use http_body::{Frame as BodyFrame, SizeHint};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// How much of a request is taken before the asker is told.
const TELL_BYTES: usize = WALL_WINDOW_BYTES / 2;

enum Part {
    Data(Bytes),
    Trailers(HeaderMap),
    Fault(Fault),
}

#[derive(Default)]
struct State {
    parts: VecDeque<Part>,
    /// Small parts that have come after those, as one.
    gathered: BytesMut,
    waiting_bytes: usize,
    taken_bytes: usize,
    /// Its trailers have come: only its end may follow.
    trailed: bool,
    ended: bool,
    /// Nobody reads it.
    dropped: bool,
}

impl State {
    /// Takes in a part of the body. A small one is put to those before it: each would else cost more than its bytes,
    /// and hold on to all that was read from the lane together with it. The only one that waits stays as it is.
    fn add(&mut self, data: Bytes) {
        self.waiting_bytes += data.len();
        if data.len() >= WALL_GATHERED_BYTES_MAX || (self.parts.is_empty() && self.gathered.is_empty()) {
            self.push(Part::Data(data));
        } else {
            self.gathered.extend_from_slice(&data);
        }
    }

    fn push(&mut self, part: Part) {
        if !self.gathered.is_empty() {
            let gathered = std::mem::take(&mut self.gathered);
            self.parts.push_back(Part::Data(gathered.freeze()));
        }
        self.parts.push_back(part);
    }

    /// What is to be read first.
    fn first(&mut self) -> Option<&mut Part> {
        if self.parts.is_empty() && !self.gathered.is_empty() {
            let gathered = std::mem::take(&mut self.gathered);
            self.parts.push_back(Part::Data(gathered.freeze()));
        }
        self.parts.front_mut()
    }

    fn pop(&mut self) -> Option<Part> {
        self.first()?;
        self.parts.pop_front()
    }

    fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.gathered.is_empty()
    }
}

/// What has come of a request and was not taken yet.
#[derive(Default)]
pub(crate) struct Inflow {
    state: Mutex<State>,
    /// Of who reads it.
    reader: AtomicWaker,
    /// Of who fills it.
    filler: AtomicWaker,
}

impl Inflow {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a frame of the body.
    ///
    /// # Errors
    /// When it has no place here.
    pub(crate) fn put(&self, frame: Frame) -> Result<(), Broken> {
        let mut state = self.lock();
        if state.ended {
            return Err(Broken("a frame after the end of a body"));
        }
        let Frame { kind, mut content } = frame;
        match kind {
            Kind::Data | Kind::Trailers if state.trailed => {
                return Err(Broken("a part of a body after its trailers"));
            }
            // It costs the window nothing, so that there would be no end of them.
            Kind::Data if content.0.is_empty() => return Err(Broken("a part of a body without content")),
            Kind::Data if state.waiting_bytes + content.0.len() > WALL_WINDOW_BYTES => {
                return Err(Broken("more of a body than there is room for"));
            }
            Kind::Data if state.dropped => state.taken_bytes += content.0.len(),
            Kind::Data => state.add(content.0),
            Kind::Trailers => {
                let trailers = content.headers()?;
                state.trailed = true;
                if !state.dropped {
                    state.push(Part::Trailers(trailers));
                }
            }
            Kind::End => state.ended = true,
            Kind::BrokeOff => {
                let fault = content.fault()?;
                if !state.dropped {
                    state.push(Part::Fault(fault));
                }
                state.ended = true;
            }
            _ => return Err(Broken("a frame in the middle of a body")),
        }
        drop(state);
        self.reader.wake();
        Ok(())
    }

    /// Whether nothing waits that has come.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Whether all of it has come.
    pub(crate) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Bytes that were taken and of which the asker has to be told.
    pub(crate) fn told(&self) -> Option<u64> {
        let mut state = self.lock();
        let tell = !state.ended && state.taken_bytes >= TELL_BYTES;
        tell.then(|| std::mem::take(&mut state.taken_bytes) as u64)
    }

    fn take(&self, bytes: usize, state: &mut State) {
        state.waiting_bytes -= bytes;
        state.taken_bytes += bytes;
        if state.taken_bytes >= TELL_BYTES {
            self.filler.wake();
        }
    }

    /// Whoever reads bytes: those that are there, up to `most`; `None` at the end.
    ///
    /// # Errors
    /// Why it broke off.
    pub(crate) fn poll_bytes(&self, context: &mut Context<'_>, most: usize) -> Poll<Outcome<Option<Bytes>>> {
        self.reader.register(context.waker());
        let mut state = self.lock();
        let ended = state.ended;
        loop {
            return Poll::Ready(match state.first() {
                Some(Part::Data(data)) => {
                    let taken = data.split_to(most.min(data.len()));
                    if !data.has_remaining() {
                        state.parts.pop_front();
                    }
                    self.take(taken.len(), &mut state);
                    if taken.is_empty() {
                        continue;
                    }
                    Ok(Some(taken))
                }
                Some(Part::Fault(fault)) => Err(fault.clone()),
                Some(Part::Trailers(_)) => {
                    state.parts.pop_front();
                    continue;
                }
                None if ended => Ok(None),
                None => return Poll::Pending,
            });
        }
    }

    /// As a body; a small one that is all there as a whole.
    fn into_body(self: &Arc<Self>, hint: Hint) -> Body {
        let mut state = self.lock();
        if state.ended && state.gathered.is_empty() {
            match state.parts.make_contiguous() {
                [] => return empty(),
                [Part::Data(data)] => return full(std::mem::take(data)),
                _ => {}
            }
        }
        drop(state);
        Body::new(Arriving { inflow: Arc::clone(self), hint })
    }
}

/// A request's body.
struct Arriving {
    inflow: Arc<Inflow>,
    /// How long the rest of it is, where that is known.
    hint: Hint,
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Fault>>> {
        let Self { inflow, hint } = self.get_mut();
        inflow.reader.register(context.waker());
        let mut state = inflow.lock();
        match state.pop() {
            Some(Part::Data(data)) => {
                inflow.take(data.len(), &mut state);
                hint.taken(data.len());
                Poll::Ready(Some(Ok(BodyFrame::data(data))))
            }
            Some(Part::Trailers(trailers)) => Poll::Ready(Some(Ok(BodyFrame::trailers(trailers)))),
            Some(Part::Fault(fault)) => Poll::Ready(Some(Err(fault))),
            None if state.ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = self.inflow.lock();
        self.hint.ended || (state.ended && state.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        self.hint.exact.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let mut state = self.inflow.lock();
        state.dropped = true;
        let bytes = std::mem::take(&mut state.waiting_bytes);
        state.parts.clear();
        state.gathered = BytesMut::new();
        state.taken_bytes += bytes;
        drop(state);
        self.inflow.filler.wake();
    }
}

/// Where the answer stands.
enum Answering<F> {
    Waiting(F),
    Streaming { body: Body, rest: Bytes },
    Done,
}

/// What the answering side adds of its own.
pub(crate) trait Answerer: Send {
    /// What is said beside answers, if there is anything.
    fn outbox(&self) -> Option<&Outbox>;
    /// Whether nothing is left of the call: asked once its answer is done; the context is woken when that changes.
    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()>;
    /// Writes what was used, before an answer's head, its end, and the end of all.
    fn tell(&mut self, lane: &mut Lane);
}

/// Answers a request whose head has been read.
///
/// # Errors
/// The asker has gone, or broke the rules: then the lane is of no use.
pub(crate) async fn serve<F>(
    lane: &mut Lane,
    (request, hint): (http::Request<()>, Hint),
    handle: impl FnOnce(http::Request<Body>) -> F,
    answerer: &mut impl Answerer,
) -> Result<(), Lost>
where
    F: Future<Output = Outcome<http::Response<Body>>> + Send,
{
    let inflow = Arc::new(Inflow::default());
    while !inflow.has_ended()
        && let Some(frame) = lane.next_here()?
    {
        inflow.put(frame)?;
    }
    let body = inflow.into_body(hint);
    let mut answering = Answering::Waiting(Box::pin(handle(request.map(|()| body))));
    std::future::poll_fn(|context| poll(context, lane, &inflow, &mut answering, answerer)).await
}

fn poll<F>(
    context: &mut Context<'_>,
    lane: &mut Lane,
    inflow: &Inflow,
    answering: &mut Answering<Pin<Box<F>>>,
    answerer: &mut impl Answerer,
) -> Poll<Result<(), Lost>>
where
    F: Future<Output = Outcome<http::Response<Body>>>,
{
    inflow.filler.register(context.waker());
    // Until the request has ended, and after that to learn when the asker goes.
    while let Poll::Ready(frame) = lane.poll_next(context)? {
        inflow.put(frame)?;
    }
    // Who reads nothing is told nothing, and none of it waits here.
    if lane.pending() < PENDING_BYTES_MAX
        && let Some(bytes) = inflow.told()
    {
        lane.put(Kind::Credit, |put| put.u64(bytes));
    }
    loop {
        while lane.pending() < PENDING_BYTES_MAX && advance(context, lane, answering, answerer).is_ready() {}
        if let Some(outbox) = answerer.outbox() {
            outbox.pour(lane, context);
        }
        if matches!(answering, Answering::Done) && answerer.poll_over(context).is_ready() {
            spill(lane, context, answerer);
            lane.put(Kind::Over, |_| {});
            // What cannot be sent at once is sent before the lane is read again.
            return match lane.poll_flush(context) {
                Poll::Ready(Err(lost)) => Poll::Ready(Err(lost)),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(())),
            };
        }
        let full = lane.pending() >= PENDING_BYTES_MAX;
        std::task::ready!(lane.poll_flush(context))?;
        if !full {
            return Poll::Pending;
        }
    }
}

/// Takes a step of the answer; whether there may be another.
fn advance<F>(
    context: &mut Context<'_>,
    lane: &mut Lane,
    answering: &mut Answering<Pin<Box<F>>>,
    answerer: &mut impl Answerer,
) -> Poll<()>
where
    F: Future<Output = Outcome<http::Response<Body>>>,
{
    match answering {
        Answering::Done => return Poll::Pending,
        Answering::Waiting(handler) => {
            let answered = std::task::ready!(handler.as_mut().poll(context));
            spill(lane, context, answerer);
            match answered {
                Ok(answer) => {
                    let (parts, body) = answer.into_parts();
                    let hint = Hint::of(&body);
                    lane.put(Kind::Head, |put| put_answer(put, &parts, hint));
                    *answering = Answering::Streaming { body, rest: Bytes::new() };
                }
                Err(fault) => {
                    *answering = Answering::Done;
                    lane.put(Kind::Failed, |put| put.fault(&fault));
                }
            }
        }
        Answering::Streaming { rest, .. } if !rest.is_empty() => {
            let part = rest.split_to(rest.len().min(WALL_PART_BYTES_MAX));
            lane.put_data(part);
        }
        Answering::Streaming { body, rest } => {
            match std::task::ready!(http_body::Body::poll_frame(Pin::new(body), context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => *rest = data,
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            lane.put(Kind::Trailers, |put| put.headers(&trailers));
                        }
                    }
                },
                Some(Err(fault)) => {
                    spill(lane, context, answerer);
                    lane.put(Kind::BrokeOff, |put| put.fault(&fault));
                    *answering = Answering::Done;
                }
                None => {
                    // What the answer still held is let go first: it may say something.
                    *answering = Answering::Done;
                    spill(lane, context, answerer);
                    lane.put(Kind::End, |_| {});
                }
            }
        }
    }
    Poll::Ready(())
}

/// Sends what was said beside the answer so far before it.
fn spill(lane: &mut Lane, context: &mut Context<'_>, answerer: &mut impl Answerer) {
    if let Some(outbox) = answerer.outbox() {
        outbox.pour(lane, context);
    }
    answerer.tell(lane);
}

#[cfg(test)]
mod tests {
    use super::{Inflow, TELL_BYTES};
    use crate::worker::wire::{Broken, Frame, Hint, Kind, Put, Take, frame};
    use bytes::{Bytes, BytesMut};
    use hob_core::limit::{WALL_GATHERED_BYTES_MAX, WALL_WINDOW_BYTES};
    use http_body::Body as _;
    use http_body_util::BodyExt as _;
    use std::sync::Arc;

    /// The WASI 0.3 host adds what it has taken to what is left: a body that said its whole length again, once the asker was
    /// told of what was taken, became an answer with a length that it did not have.
    #[tokio::test]
    async fn a_body_says_how_long_its_rest_is() {
        let (inflow, part) = (Arc::new(Inflow::default()), TELL_BYTES / 2);
        let total = 6 * part as u64;
        let mut body = inflow.into_body(Hint { exact: Some(total), ended: false });
        let mut taken = 0;
        for number in 0..6 {
            let content = Take(Bytes::from(vec![0; part]));
            inflow.put(Frame { kind: Kind::Data, content }).unwrap();
            let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
            taken += data.len() as u64;
            assert_eq!(body.size_hint().exact(), Some(total - taken), "part {number}");
            let told = inflow.told();
            assert_eq!(told.is_some(), number % 2 == 1, "the asker is told of each half");
            assert_eq!(body.size_hint().exact(), Some(total - taken), "part {number}, told");
        }
    }

    fn part(content: impl Into<Bytes>) -> Frame {
        Frame { kind: Kind::Data, content: Take(content.into()) }
    }

    fn written(kind: Kind, fill: impl FnOnce(&mut Put<'_>)) -> Frame {
        let mut bytes = BytesMut::new();
        frame(&mut bytes, kind, fill);
        Frame::parse(&mut bytes, usize::MAX).unwrap().unwrap()
    }

    fn trailers() -> Frame {
        written(Kind::Trailers, |put| put.headers(&http::HeaderMap::new()))
    }

    /// A worker that somebody has captured filled the node's memory with parts of nothing, or of one byte each, each of
    /// which cost a hundred; and with what it had read beside them.
    #[tokio::test]
    async fn small_parts_cost_what_they_have_in_bytes() {
        let inflow = Arc::new(Inflow::default());
        for _ in 0..WALL_WINDOW_BYTES {
            inflow.put(part(&b"x"[..])).unwrap();
        }
        let (parts, gathered) = {
            let state = inflow.lock();
            assert!(state.gathered.capacity() <= 2 * WALL_WINDOW_BYTES);
            (state.parts.len(), state.gathered.len())
        };
        assert_eq!((parts, gathered), (1, WALL_WINDOW_BYTES - 1));
        assert!(inflow.put(part(&b"x"[..])).is_err(), "the window is full");
        inflow.put(written(Kind::End, |_| {})).unwrap();
        let body = inflow.into_body(Hint::default()).collect().await.unwrap().to_bytes();
        assert_eq!(body.len(), WALL_WINDOW_BYTES);
        assert!(inflow.lock().is_empty());
    }

    #[tokio::test]
    async fn parts_of_every_size_stay_in_order() {
        let inflow = Arc::new(Inflow::default());
        let mut expected = Vec::new();
        for (number, length) in
            [3, 5, WALL_GATHERED_BYTES_MAX, 7, 1, WALL_GATHERED_BYTES_MAX + 1, 2].into_iter().enumerate()
        {
            let content = vec![u8::try_from(number).unwrap(); length];
            expected.extend_from_slice(&content);
            inflow.put(part(content)).unwrap();
        }
        inflow.put(trailers()).unwrap();
        inflow.put(written(Kind::End, |_| {})).unwrap();
        let body = inflow.into_body(Hint::default()).collect().await.unwrap();
        assert!(body.trailers().is_some());
        assert_eq!(body.to_bytes(), expected);
    }

    #[test]
    fn what_no_sound_worker_sends_of_a_body_is_refused() {
        let stories: [(&str, &dyn Fn() -> Vec<Frame>); 4] = [
            ("nothing", &|| vec![part(&b""[..])]),
            ("trailers twice", &|| vec![trailers(), trailers()]),
            ("a part after the trailers", &|| vec![trailers(), part(&b"x"[..])]),
            ("a part after the end", &|| vec![written(Kind::End, |_| {}), part(&b"x"[..])]),
        ];
        for (what, frames) in stories {
            for dropped in [false, true] {
                let inflow = Arc::new(Inflow::default());
                if dropped {
                    drop(inflow.into_body(Hint::default()));
                }
                let done: Result<(), Broken> = frames().into_iter().try_for_each(|frame| inflow.put(frame));
                assert!(done.is_err(), "{what}, {dropped}");
            }
        }
    }

    #[test]
    fn nothing_is_kept_for_nobody() {
        let inflow = Arc::new(Inflow::default());
        inflow.put(part(&b"before"[..])).unwrap();
        drop(inflow.into_body(Hint::default()));
        inflow.put(part(vec![0; TELL_BYTES])).unwrap();
        inflow.put(trailers()).unwrap();
        assert!(inflow.lock().is_empty());
        assert_eq!(inflow.told(), Some((TELL_BYTES + "before".len()) as u64), "and may be sent again");
    }
}
