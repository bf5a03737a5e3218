//! Answers of a kept instance on their way out: after each turn of its event loop, whole where they are.
//!
//! **Why.** Most answers are small and complete in the turn in which they begin. Handing their head over
//! first and the body's end in another turn would cost two more wake-ups and a second write to the socket.
//!
//! **How.** What a guest answers is put aside ([`Answers::add`]). When the event loop has nothing more to do
//! ([`deliver`]), each answer's body is asked for what is there: taking it lets the guest go on, so the loop
//! turns again while that brings anything. Then all are handed over, as a whole or as far as they are.
//!
//! **Invariants.** An answer never waits for the end of a turn in which its guest waits or yields. What was
//! spent is told before any caller sees its answer.

use super::{Status, Ticket};
use crate::body::{self, Body};
use crate::invocation::Reply;
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use http_body::{Body as _, Frame, SizeHint};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::oneshot;
use wasmtime_wasi_http::{Error, WasiBody};

/// Frames that are taken of a body before it is handed over: one and what tells its end.
const FRAMES_MAX: usize = 2;

/// How often the event loop turns at most before what there is of an answer is handed over.
const TURNS_MAX: usize = 3;

/// Answers that wait for the end of the turn.
#[derive(Default)]
pub(super) struct Answers(Mutex<Vec<Answer>>);

impl Answers {
    /// One more.
    pub(super) fn add(&self, answer: Answer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
    }

    fn take(&self) -> Vec<Answer> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The answer of one call.
pub(super) struct Answer {
    to: oneshot::Sender<Result<Reply>>,
    answer: Result<http::Response<Begun>>,
    ticket: Arc<Ticket>,
}

/// The body of an answer, as far as it is known.
struct Begun {
    body: WasiBody,
    frames: [Option<std::result::Result<Frame<Bytes>, Error>>; FRAMES_MAX],
    ended: bool,
}

impl Answer {
    /// The guest's answer to the caller behind `to`.
    pub(super) fn new(
        to: oneshot::Sender<Result<Reply>>,
        answer: Result<http::Response<WasiBody>>,
        ticket: Arc<Ticket>,
    ) -> Self {
        let begun = |body| Begun { body, frames: [None, None], ended: false };
        Self { to, answer: answer.map(|answer| answer.map(begun)), ticket }
    }

    /// Takes what there is of the body; whether there was anything.
    fn advance(&mut self) -> bool {
        self.answer.as_mut().is_ok_and(|answer| answer.body_mut().advance())
    }

    fn deliver(self) {
        let Self { to, answer, ticket } = self;
        // A caller that has gone needs no answer.
        let _ = to.send(answer.map(|answer| answer.map(|begun| begun.into_body(ticket))));
    }
}

impl Begun {
    fn advance(&mut self) -> bool {
        let mut advanced = false;
        // Whoever gets the body asks again, with a waker of its own.
        let mut context = Context::from_waker(Waker::noop());
        while !self.ended
            && let Some(free) = self.frames.iter_mut().find(|frame| frame.is_none())
            && let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(&mut context)
        {
            advanced = true;
            match frame {
                Some(frame) => *free = Some(frame),
                None => self.ended = true,
            }
        }
        advanced
    }

    /// The body as its caller gets it. One without any byte is left as it is: its length would be a
    /// statement of its own, which an answer to `HEAD` must not make (RFC 9110, 8.6).
    fn into_body(mut self, ticket: Arc<Ticket>) -> Body {
        if let ([Some(Ok(only)), None], true) = (&mut self.frames, self.ended)
            && let Some(data) = only.data_mut()
        {
            return body::full(std::mem::take(data));
        }
        Body::new(Streaming { begun: self, ticket })
    }
}

/// Runs an instance's event loop; after each turn its answers are delivered.
pub(super) async fn deliver<F: Future>(events: F, status: &Status) -> F::Output {
    let mut events = pin!(events);
    poll_fn(|context| {
        let mut answers = Vec::new();
        let mut polled = events.as_mut().poll(context);
        for _ in 1..TURNS_MAX {
            answers.append(&mut status.answers.take());
            // After the loop's end, by a trap or otherwise, nothing more is asked of its store.
            if polled.is_ready() {
                break;
            }
            let advanced = answers.iter_mut().map(Answer::advance).filter(|advanced| *advanced).count();
            if advanced == 0 {
                break;
            }
            polled = events.as_mut().poll(context);
        }
        answers.append(&mut status.answers.take());
        if polled.is_pending() {
            answers.iter_mut().for_each(|answer| _ = answer.advance());
        }
        status.laps.lap();
        answers.into_iter().for_each(Answer::deliver);
        polled
    })
    .await
}

/// The body of an answer that goes on.
struct Streaming {
    begun: Begun,
    ticket: Arc<Ticket>,
}

impl http_body::Body for Streaming {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Fault>>> {
        let begun = &mut self.begun;
        let frame = match begun.frames.iter_mut().find_map(Option::take) {
            Some(frame) => Some(frame),
            None if begun.ended => None,
            None => std::task::ready!(Pin::new(&mut begun.body).poll_frame(context)),
        };
        let fault = self.ticket.status.fault.get();
        Poll::Ready(match (frame, fault) {
            (Some(Ok(frame)), _) => Some(Ok(frame)),
            // Wasmtime ends the body in silence when its store goes away.
            (None | Some(Err(_)), Some(fault)) => Some(Err(fault.clone())),
            (None, None) => None,
            (Some(Err(error)), None) => {
                Some(Err(Fault::new(Code::BadResponse, format!("the body broke off: {error}"))))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.begun.frames.iter().all(Option::is_none) && self.begun.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let known = self.begun.frames.iter().flatten().filter_map(|frame| frame.as_ref().ok()?.data_ref());
        let known: u64 = known.map(|data| data.len() as u64).sum();
        let rest = self.begun.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + known);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + known);
        }
        hint
    }
}
