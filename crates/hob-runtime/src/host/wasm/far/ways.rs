//! How log lines and requests of guests leave a worker: by the lane of the call or instance that they belong to.
//!
//! **How.** Each lane in use has an [`Outbox`], known by its call and by its instance. A request asks there for a way
//! out, which the node makes and binds to that lane; then it is an exchange like any other.

use crate::body::Body;
use crate::code::FunctionCode;
use crate::invocation::Reply;
use crate::outbound::{Caller, Outbound, ProxyEntry};
use crate::worker::exchange::{Asker, Exchange, Rest};
use crate::worker::lane::{Lane, Lost};
use crate::worker::outbox::Outbox;
use crate::worker::wire::{Broken, Frame, Kind, Line};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::port::{BoxFuture, LogRecord, LogSink};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Whose lane it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    Call(u128),
    Instance(u64),
}

/// The lanes in use, and the ways out that were asked for.
#[derive(Default)]
pub(super) struct Ways {
    lanes: Mutex<HashMap<Whose, Arc<Outbox>>>,
    asked: Mutex<HashMap<u64, Wish>>,
    next: AtomicU64,
}

/// A way out that was asked for: where, and who waits for it.
struct Wish {
    outbox: Arc<Outbox>,
    opened: oneshot::Sender<Option<Lane>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lane that is known until this is dropped.
pub(super) struct Listed {
    ways: Arc<Ways>,
    whose: Vec<Whose>,
    pub(super) outbox: Arc<Outbox>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut lanes = lock(&self.ways.lanes);
        for whose in &self.whose {
            // Another lane may have the name by now.
            if lanes.get(whose).is_some_and(|known| Arc::ptr_eq(known, &self.outbox)) {
                lanes.remove(whose);
            }
        }
        drop(lanes);
        // Nobody sends what was asked for last. Closed first: who asks now looks after he is on the list.
        self.outbox.close();
        lock(&self.ways.asked).retain(|_, wish| !Arc::ptr_eq(&wish.outbox, &self.outbox));
    }
}

impl Ways {
    /// Makes a lane known.
    pub(super) fn list(self: &Arc<Self>, whose: Vec<Whose>) -> Listed {
        let outbox = Arc::new(Outbox::default());
        let mut lanes = lock(&self.lanes);
        for one in &whose {
            lanes.insert(*one, Arc::clone(&outbox));
        }
        drop(lanes);
        Listed { ways: Arc::clone(self), whose, outbox }
    }

    /// The lane of a call, or else of its instance.
    fn of(&self, call: Option<u128>, instance: u64) -> Option<Arc<Outbox>> {
        let lanes = lock(&self.lanes);
        let call = call.and_then(|id| lanes.get(&Whose::Call(id)));
        call.or_else(|| lanes.get(&Whose::Instance(instance))).cloned()
    }

    /// The node has opened the way out of this number, or says that there is none.
    pub(super) fn opened(&self, number: u64, lane: Option<Lane>) {
        if let Some(wish) = lock(&self.asked).remove(&number) {
            // Who asked may have gone.
            let _ = wish.opened.send(lane);
        }
    }

    /// A way out of the call or instance that this outbox belongs to.
    ///
    /// # Errors
    /// When there are too many, or the lane ends before the wish is heard.
    async fn ask(&self, outbox: Arc<Outbox>) -> Result<Lane> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (opened, lane) = oneshot::channel();
        let asked = Asked { ways: self, number };
        lock(&self.asked).insert(number, Wish { outbox: Arc::clone(&outbox), opened });
        if outbox.is_closed() {
            return Err(gone());
        }
        outbox.put(Kind::Exit, |put| put.u64(number));
        let lane = lane.await;
        drop(asked);
        let busy = || Fault::new(Code::QueueFull, "too many requests are on their way out").retry_after(1);
        lane.map_err(|_| gone())?.ok_or_else(busy)
    }
}

fn gone() -> Fault {
    Fault::new(Code::Stopping, "the call that sends this is over")
}

/// A wish that is forgotten when nobody waits any more.
struct Asked<'a> {
    ways: &'a Ways,
    number: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        lock(&self.ways.asked).remove(&self.number);
    }
}

/// Log lines.
pub(super) struct Lines(pub(super) Arc<Ways>);

impl LogSink for Lines {
    fn record(&self, record: LogRecord) {
        let LogRecord { invocation, instance, stream, level, text, .. } = record;
        let Some(outbox) = self.0.of(invocation.map(|id| id.0), instance) else { return };
        let bytes = text.len();
        outbox.line(bytes, |put| put.json(&Line { invocation, stream, level, text }));
    }
}

/// Requests.
pub(super) struct Out(pub(super) Arc<Ways>);

impl Outbound for Out {
    fn call(&self, caller: Caller, request: http::Request<Body>) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(async move {
            let id = caller.context.as_ref().map(|context| context.id.0);
            let outbox = self.0.of(id, caller.instance).ok_or_else(gone)?;
            let lane = self.0.ask(outbox).await?;
            Exchange::ask(lane, Kind::Call, |_| {}, request, Sender).await
        })
    }

    fn enter(&self, _code: &Arc<FunctionCode>, _instance: u64) -> Option<ProxyEntry> {
        None
    }
}

/// Who sends a request: a way out carries just one.
struct Sender;

impl Asker for Sender {
    fn beside(&mut self, _: Frame) -> std::result::Result<(), Broken> {
        Err(Broken("a frame that has no place on a way out"))
    }

    fn finished(&mut self, _: Lane) {}

    fn linger(self, _: Rest<Self>) {}

    fn lost(&mut self, _: &Lost) -> Fault {
        gone()
    }
}
