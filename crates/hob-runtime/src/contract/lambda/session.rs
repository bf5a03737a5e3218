//! Between calls and one instance's runtime: who waits for whom, and what is under way.
//!
//! **Why.** A runtime asks for events and answers them on connections of its choice, several at a time and
//! in any order when it may. So everything is keyed by the request's id, never by a connection.
//!
//! **How.** A call waits for a runtime that asks, or a runtime that asks waits for a call; whoever comes
//! second brings both together. A caller that goes away ends nothing: the runtime finishes what it has, as Lambda lets
//! it ([`Session::finished`]). When all of its workers are beyond their deadlines, the instance is over, as Lambda ends
//! an environment at a time-out.
//!
//! **Invariants.** Nothing waits while the lock is held. Each id is answered once.

use super::extension::{Extensions, Registered};
use super::refusal::Refusal;
use super::stream::Streamed;
use bytes::Bytes;
use hob_core::id::InvocationId;
use http::HeaderMap;
use http::header::HeaderValue;
use http_body_util::Full;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, oneshot};

/// What a runtime gets for an event.
pub(super) type Event = http::Response<Full<Bytes>>;

/// A call on its way to a runtime.
pub(super) struct Call {
    /// The request's id.
    pub(super) id: u128,
    /// When it has to be over.
    pub(super) deadline: Instant,
    /// What the runtime gets.
    pub(super) event: Event,
    /// Where its answer goes.
    pub(super) answer: oneshot::Sender<Answer>,
}

/// What a runtime answered.
pub(super) enum Answer {
    /// All of it at once.
    Whole(Option<HeaderValue>, Bytes),
    /// What comes while it is made.
    Streamed(HeaderMap, Streamed),
    /// The handler failed.
    Failed(Failure),
    /// It had this many bytes, which is too much.
    TooLarge(u64),
    /// It ended in the middle.
    Broken,
    /// Nobody answers: the instance ended before its runtime took the call.
    Untaken,
}

/// An error that a runtime posted.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure {
    /// What its header says of its type.
    pub(super) kind: Option<String>,
    /// JSON: `errorType`, `errorMessage` and more.
    pub(super) body: Bytes,
}

/// The way between calls and a runtime.
pub(super) struct Session {
    /// Calls at a time.
    concurrency: usize,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    phase: Phase,
    /// Runtimes that ask.
    polls: VecDeque<oneshot::Sender<Event>>,
    /// Calls that no runtime has taken yet.
    waiting: VecDeque<Call>,
    /// Calls that a runtime has.
    running: HashMap<u128, Running>,
    /// Calls that a runtime has got so far.
    serial: u64,
    extensions: Extensions,
}

/// Where an instance is in its life.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// The runtime has not asked yet.
    Starting,
    /// The runtime has asked, and so has every extension.
    Ready,
    /// The runtime or an extension says that it cannot.
    Failed(Failure),
    /// It takes no more calls.
    Over,
}

/// An answer that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    id: u128,
    /// Tells this answer from that of a later call with the same id.
    serial: u64,
}

struct Running {
    serial: u64,
    /// Taken when the answer begins.
    answer: Option<oneshot::Sender<Answer>>,
    deadline: Instant,
    given_up: bool,
}

impl Session {
    /// Of an instance that takes this many calls at a time, and waits for as many extensions.
    pub(super) fn new(concurrency: u32, extensions: Vec<String>) -> Arc<Self> {
        let state = State {
            phase: Phase::Starting,
            polls: VecDeque::new(),
            waiting: VecDeque::new(),
            running: HashMap::new(),
            serial: 0,
            extensions: Extensions::expecting(extensions),
        };
        let concurrency = usize::try_from(concurrency).unwrap_or(1).max(1);
        Arc::new(Self { concurrency, state: Mutex::new(state), changed: Notify::new() })
    }

    /// Calls at a time.
    pub(super) fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// Hands a call to a runtime that asks, now or later. When the runtime has taken it and will not answer, the answer's
    /// sender is dropped.
    pub(super) fn offer(self: &Arc<Self>, call: Call) -> GivenUp {
        let given_up = GivenUp { session: Arc::clone(self), id: Some(call.id) };
        let mut state = self.lock();
        if matches!(state.phase, Phase::Ready) {
            state.waiting.push_back(call);
            state.bring_together(self.concurrency);
        } else {
            drop(call.answer.send(Answer::Untaken));
        }
        given_up
    }

    /// A runtime asks for an event.
    ///
    /// # Errors
    /// When it asks for more than it may.
    pub(super) fn next(&self) -> Result<oneshot::Receiver<Event>, Refusal> {
        let mut state = self.lock();
        state.polls.retain(|poll| !poll.is_closed());
        let busy = if self.concurrency == 1 { state.running.len() } else { 0 };
        if state.polls.len() + busy >= self.concurrency
            || matches!(state.phase, Phase::Failed(_) | Phase::Over)
        {
            return Err(Refusal::State("a runtime asks for the next event while it has one"));
        }
        let (poll, given) = oneshot::channel();
        state.polls.push_back(poll);
        state.extensions.runtime_asked();
        self.is_ready(&mut state);
        state.bring_together(self.concurrency);
        Ok(given)
    }

    /// A runtime begins to answer; [`Session::done`] ends it.
    ///
    /// # Errors
    /// When no call with this id is under way, or is answered already.
    pub(super) fn answers(&self, id: &str) -> Result<(Begun, oneshot::Sender<Answer>), Refusal> {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Starting) {
            return Err(Refusal::State("a runtime answers before it has asked for an event"));
        }
        let InvocationId(id) = InvocationId::parse(id).ok_or(Refusal::Id)?;
        let running = state.running.get_mut(&id).ok_or(Refusal::Id)?;
        let begun = Begun { id, serial: running.serial };
        Ok((begun, running.answer.take().ok_or(Refusal::Id)?))
    }

    /// An answer has come to its end.
    pub(super) fn done(&self, begun: Begun) {
        let mut state = self.lock();
        if state.running.get(&begun.id).is_some_and(|running| running.serial == begun.serial) {
            let given_up = state.running.remove(&begun.id).is_some_and(|running| running.given_up);
            drop(state);
            // Nobody waits for the end of any other call, and waking a task for each costs a switch of threads.
            if given_up {
                self.changed.notify_waiters();
            }
        }
    }

    /// Waits until no runtime is busy with this call any more.
    pub(super) async fn finished(&self, id: u128) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if !self.lock().running.contains_key(&id) {
                return;
            }
            changed.await;
        }
    }

    /// The runtime could not be initialised.
    ///
    /// # Errors
    /// When it was before.
    pub(super) fn init_failed(&self, failure: Failure) -> Result<(), Refusal> {
        let mut state = self.lock();
        if !matches!(state.phase, Phase::Starting) {
            return Err(Refusal::State("the runtime was initialised before"));
        }
        state.phase = Phase::Failed(failure);
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Waits until the instance is ready, or cannot be.
    pub(super) async fn started(&self) -> Result<(), Failure> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            match &self.lock().phase {
                Phase::Starting => {}
                Phase::Failed(failure) => return Err(failure.clone()),
                Phase::Ready | Phase::Over => return Ok(()),
            }
            changed.await;
        }
    }

    /// Waits until all workers are beyond their deadlines, or the session was closed.
    pub(super) async fn over(&self) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let until = match self.overdue() {
                Ok(()) => return,
                Err(until) => until,
            };
            match until {
                None => changed.await,
                Some(until) => drop(tokio::time::timeout_at(until.into(), changed).await),
            }
        }
    }

    /// Whether nothing is under way: the runtime waits for a call, and every extension for an event.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        let asks = state.polls.iter().any(|poll| !poll.is_closed());
        matches!(state.phase, Phase::Ready) && asks && state.running.is_empty() && state.extensions.wait()
    }

    /// Whether it takes no more calls.
    pub(super) fn is_over(&self) -> bool {
        self.overdue().is_ok()
    }

    /// Whether it is over; if not, when it may be.
    fn overdue(&self) -> Result<(), Option<Instant>> {
        let now = Instant::now();
        let mut state = self.lock();
        if matches!(state.phase, Phase::Over) {
            return Ok(());
        }
        let given_up = || state.running.values().filter(|running| running.given_up);
        let late = given_up().filter(|running| running.deadline <= now).count();
        if late >= self.concurrency {
            state.close();
            return Ok(());
        }
        Err(given_up().map(|running| running.deadline).filter(|deadline| *deadline > now).min())
    }

    /// Ends it: nobody who waits will get anything any more.
    pub(super) fn close(&self) {
        self.lock().close();
        self.changed.notify_waiters();
    }

    /// Does something with the extensions; their state decides whether the instance is ready.
    pub(super) fn extensions<T>(&self, change: impl FnOnce(&mut Extensions) -> T) -> T {
        let mut state = self.lock();
        let changed = change(&mut state.extensions);
        self.is_ready(&mut state);
        state.bring_together(self.concurrency);
        changed
    }

    /// An extension registers itself.
    ///
    /// # Errors
    /// When it comes too late, or names an event that is not for it.
    pub(super) fn register(&self, name: &str, events: &[String]) -> Result<Registered, Refusal> {
        let mut state = self.lock();
        if !matches!(state.phase, Phase::Starting) {
            return Err(Refusal::Extension("Extension.InvalidState", "the instance is initialised already"));
        }
        state.extensions.register(name, events)
    }

    fn is_ready(&self, state: &mut State) {
        if matches!(state.phase, Phase::Starting) && state.extensions.all_asked() {
            state.phase = Phase::Ready;
            self.changed.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn bring_together(&mut self, concurrency: usize) {
        if !matches!(self.phase, Phase::Ready) {
            return;
        }
        while !self.polls.is_empty() && !self.waiting.is_empty() {
            // With one call at a time, it is over when the extensions are done with it too.
            if concurrency == 1 && !self.extensions.idle() {
                return;
            }
            let Some(call) = self.waiting.pop_front().filter(|call| !call.answer.is_closed()) else {
                continue;
            };
            let Call { id, deadline, mut event, answer } = call;
            let headers = self.extensions.listen().then(|| event.headers().clone());
            // A runtime that asked may be gone since.
            let unsent = loop {
                let Some(poll) = self.polls.pop_front() else { break Some(event) };
                match poll.send(event) {
                    Ok(()) => break None,
                    Err(unsent) => event = unsent,
                }
            };
            if let Some(event) = unsent {
                self.waiting.push_front(Call { id, deadline, event, answer });
                return;
            }
            if let (1, Some(headers)) = (concurrency, headers) {
                self.extensions.invoke(&headers);
            }
            self.serial += 1;
            let serial = self.serial;
            self.running.insert(id, Running { serial, answer: Some(answer), deadline, given_up: false });
        }
    }

    fn close(&mut self) {
        self.phase = Phase::Over;
        for call in self.waiting.drain(..) {
            drop(call.answer.send(Answer::Untaken));
        }
        self.polls.clear();
        self.running.clear();
    }
}

/// Notes that a call's caller is gone when it is dropped before [`GivenUp::ended`].
pub(super) struct GivenUp {
    session: Arc<Session>,
    id: Option<u128>,
}

impl GivenUp {
    /// The call has ended well.
    pub(super) fn ended(mut self) {
        self.id = None;
    }
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let mut state = self.session.lock();
        let Some(running) = state.running.get_mut(&id) else {
            return state.waiting.retain(|call| call.id != id);
        };
        running.given_up = true;
        drop(state);
        self.session.changed.notify_waiters();
    }
}

/// An id as runtimes have it: a UUID (RFC 9562, section 4).
pub(super) fn show_id(id: u128) -> String {
    let digits = InvocationId(id).digits();
    let mut text = String::with_capacity(36);
    for (at, digit) in digits.iter().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(char::from(*digit));
    }
    text
}

#[cfg(test)]
mod tests;
