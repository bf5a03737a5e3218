//! One action under way: what will be written down about it, and when.
//!
//! **How.** [`Action::run`] does it and tells its end before it is answered. A change is done as a task of its own, its line
//! included: a client that hangs up ends neither, so that there is no change without a line. An answer that
//! is a stream of lines is begun before the end is known: [`Action::later`] is told that end instead, before the last line.
//! A change that is cut all the same, by a stop of the node, gets its line when it is dropped.

use super::{Audit, outcome};
use hob_core::access::audit::Act;
use hob_core::code::{Code, Owner};
use hob_core::fault::{Fault, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::oneshot;

/// What the outcome of an action is called that nobody saw the end of, such as at a stop of the node.
const UNKNOWN: &str = "unknown";

/// What the audit log does about an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// It changes nothing: it is counted.
    Look,
    /// It changes nothing that lasts, but each time is worth a line: up to a number in a minute, then it is counted.
    Watched,
    /// Each change has a line, on disk before it is answered. One that is refused is as what is watched.
    Change,
}

/// One action.
#[derive(Clone)]
pub(crate) struct Action(Arc<Inner>);

struct Inner {
    audit: Arc<Audit>,
    act: Act,
    id: String,
    weight: Weight,
    /// Whether whoever does it tells its end.
    later: AtomicBool,
    told: AtomicBool,
}

impl Action {
    /// Begins one.
    ///
    /// # Errors
    /// `HOB-0726` for one that could not be written down, unless it only looks.
    pub(crate) async fn begin(audit: &Arc<Audit>, act: Act, id: String, weight: Weight) -> Result<Self> {
        if weight != Weight::Look {
            audit.ready().await?;
        }
        let (later, told) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self(Arc::new(Inner { audit: Arc::clone(audit), act, id, weight, later, told })))
    }

    /// Does it and tells its end. A change goes on to both when the returned future is dropped.
    ///
    /// # Errors
    /// Those of `work`, in which `fault` finds what the line says; `HOB-0726` when the end cannot be written down.
    pub(crate) async fn run<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
        fault: fn(&E) -> &Fault,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Fault> + Send + 'static,
    {
        let action = self.clone();
        let whole = async move {
            let done = work.await;
            action.answered(done.as_ref().err().map(fault)).await?;
            done
        };
        if self.0.weight != Weight::Change {
            return whole.await;
        }
        let (done, result) = oneshot::channel();
        self.0.audit.tasks.start("change", async move {
            // Nobody waits any more when this fails; the change is made and written down all the same.
            let _ = done.send(whole.await);
        });
        result.await.unwrap_or_else(|_| Err(Fault::new(Code::Stopping, "the node is shutting down").into()))
    }

    /// The same, for whoever knows its end only after the answer has begun: [`Action::answered`] does nothing then.
    pub(crate) fn later(&self) -> Self {
        self.0.later.store(true, Ordering::Relaxed);
        self.clone()
    }

    /// It is about to be answered.
    ///
    /// # Errors
    /// `HOB-0726` when that cannot be written down.
    pub(super) async fn answered(&self, fault: Option<&Fault>) -> Result<()> {
        // A refusal before the work began is its end, whatever was planned.
        if self.0.later.load(Ordering::Relaxed) && fault.is_none() {
            return Ok(());
        }
        self.end(fault).await
    }

    /// It has ended; only the first call counts.
    ///
    /// # Errors
    /// `HOB-0726` when that cannot be written down.
    pub(crate) async fn end(&self, fault: Option<&Fault>) -> Result<()> {
        // What failed in the node itself may have been done in part.
        let changed = fault.is_none_or(|fault| fault.code().owner() == Owner::Platform);
        self.tell(fault, changed).await
    }

    /// It has ended well, and everything was already as it was to be.
    ///
    /// # Errors
    /// `HOB-0726` when that cannot be written down.
    pub(crate) async fn changed_nothing(&self) -> Result<()> {
        self.tell(None, false).await
    }

    async fn tell(&self, fault: Option<&Fault>, changed: bool) -> Result<()> {
        let Inner { audit, act, id, weight, told, .. } = &*self.0;
        if told.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let act = Act { outcome: outcome(fault), ..act.clone() };
        let has_line = match weight {
            Weight::Look => false,
            Weight::Watched => audit.has_line(&act.who),
            Weight::Change => changed || audit.has_line(&act.who),
        };
        if has_line {
            return audit.record(act, Some(id.clone())).await;
        }
        audit.count(act, Some(id.clone()));
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !*self.told.get_mut() {
            let act = Act { outcome: UNKNOWN.to_owned(), ..self.act.clone() };
            let id = Some(std::mem::take(&mut self.id));
            match self.weight {
                Weight::Change => self.audit.owe(act, id),
                Weight::Look | Weight::Watched => self.audit.count(act, id),
            }
        }
    }
}
