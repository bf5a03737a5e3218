//! A kept instance in a worker: its lane is its life.
//!
//! **How.** The lane is opened with the instance, and a task reads it: what the instance prints outside of calls, what
//! it sends, and that it has ended. Calls have lanes of their own. When the lane is dropped, the worker ends the
//! instance, as dropping one does in this process.

use super::{Beside, Ready, Walled};
use crate::host::wasm::Calls;
use crate::invocation::{Context, Invocation, Reply};
use crate::unit::Instance;
use crate::worker::lane::{Lane, Lost};
use crate::worker::wire::{Broken, Kind, Take};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::port::BoxFuture;
use hob_core::unit::millis;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// What is known of an instance.
pub(super) struct Status {
    fault: OnceLock<Fault>,
    closed: watch::Sender<bool>,
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

    /// The worker says that it has ended.
    pub(super) fn ended(&self, content: &Take) -> std::result::Result<(), Broken> {
        self.end(if content.0.is_empty() { None } else { Some(content.fault()?) });
        Ok(())
    }
}

/// An instance that serves many calls.
pub(super) struct Kept {
    unit: Arc<Walled>,
    ready: Arc<Ready>,
    instance: u64,
    calls: Calls,
    status: Arc<Status>,
    /// Asks it to stop; dropped, it ends at once.
    stop: mpsc::UnboundedSender<Duration>,
}

impl Kept {
    /// Has the worker open it, and waits until that is done.
    pub(super) async fn open(unit: Arc<Walled>, instance: u64) -> Result<Self> {
        let (ready, mut lane, using) = unit.lane(false).await?;
        let asked = unit.asked(instance, true, None);
        lane.put(Kind::Open, |put| asked.put(put));
        let calls = Calls::many();
        let mut beside = Beside::new(&unit, &ready.meter, using, (calls.clone(), None, instance));
        let _waited = ready.link.waited();
        let open = async {
            lane.flush().await?;
            loop {
                let frame = lane.next().await?;
                match frame.kind {
                    Kind::Opened => return Ok(Ok(())),
                    Kind::Failed => return Ok(Err(frame.content.fault()?)),
                    _ => beside.take(frame)?,
                }
            }
        };
        // The worker ends what does not begin within the time of a call.
        let late = "an instance that was not opened in time";
        let opened = ready.link.within(unit.code.spec.timeout(), late, open).await?;
        opened.unwrap_or_else(|lost: Lost| Err(beside.lost(&lost)))?;
        let status = Arc::new(Status {
            fault: OnceLock::new(),
            closed: watch::Sender::new(false),
            gone: watch::Sender::new(false),
        });
        let (stop, stopped) = mpsc::unbounded_channel();
        let spawn = Arc::clone(&unit.shared.environment.spawn);
        spawn.spawn("wasm-instance", Box::pin(live(lane, beside, Arc::clone(&status), stopped)));
        Ok(Self { unit, ready, instance, calls, status, stop })
    }
}

/// Reads the lane until the instance is gone.
async fn live(
    mut lane: Lane,
    mut beside: Beside,
    status: Arc<Status>,
    mut stopped: mpsc::UnboundedReceiver<Duration>,
) {
    let mut read = async || -> std::result::Result<(), Lost> {
        loop {
            let frame = tokio::select! {
                frame = lane.next() => frame?,
                stop = stopped.recv() => {
                    let Some(grace) = stop else { return Ok(()) };
                    lane.put(Kind::Stop, |put| put.u64(millis(grace)));
                    lane.flush().await?;
                    continue;
                }
            };
            match frame.kind {
                Kind::Ended => status.ended(&frame.content)?,
                Kind::Over => return Ok(()),
                _ => beside.take(frame)?,
            }
        }
    };
    let fault = read().await.err().map(|lost| beside.lost(&lost));
    status.end(fault);
    status.gone.send_replace(true);
    // The lane was the instance's: it is not used again.
    drop(lane);
}

/// A call that runs in the instance, until its answer has ended.
pub(super) struct Running {
    calls: Calls,
    context: Arc<Context>,
    pub(super) status: Arc<Status>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.calls.end(&self.context);
    }
}

impl Instance for Kept {
    fn call(&self, invocation: Invocation) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(async move {
            if *self.status.closed.borrow() {
                let closed =
                    || Fault::new(Code::QueueFull, "the instance takes no more calls").retry_after(1);
                return Err(self.status.fault.get().cloned().unwrap_or_else(closed));
            }
            let (calls, context) = (self.calls.clone(), Arc::clone(&invocation.context));
            calls.begin(&context);
            let running = Running { calls, context, status: Arc::clone(&self.status) };
            let (lane, using) = self.ready.link.lane(true)?;
            self.unit.call((&self.ready, lane, using), (self.instance, Some(running)), invocation).await
        })
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
        Box::pin(async move {
            self.status.end(None);
            let _waited = self.ready.link.waited();
            if self.stop.send(grace).is_ok() {
                // The worker ends it after the grace. Who does not is ended itself.
                let late = "an instance that has not ended in time";
                let over = async { gone.wait_for(|gone| *gone).await.is_ok() };
                if self.ready.link.within(grace, late, over).await.is_err() {
                    let _ = gone.wait_for(|gone| *gone).await;
                }
            }
        })
    }
}
