//! One action under way: what will be written down about it, and when.
//!
//! **How.** Whoever does an action tells its end before he answers. An answer that is a stream of lines is begun before
//! the end is known: [`Action::later`] is told that end instead, before the last line.

use super::{Audit, outcome};
use hob_core::access::audit::Act;
use hob_core::fault::{Fault, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the outcome of an action is called that nobody saw the end of, such as at a stop of the node.
const UNKNOWN: &str = "unknown";

/// One action.
#[derive(Clone)]
pub(crate) struct Action(Arc<Inner>);

struct Inner {
    audit: Arc<Audit>,
    act: Act,
    id: String,
    /// Whether it changes anything: it is on disk before it is answered, then.
    change: bool,
    /// Whether whoever does it tells its end.
    later: AtomicBool,
    told: AtomicBool,
}

impl Action {
    /// Begins one.
    ///
    /// # Errors
    /// `HOB-0726` for a change that could not be written down.
    pub(crate) async fn begin(audit: &Arc<Audit>, act: Act, id: String, change: bool) -> Result<Self> {
        if change {
            audit.ready().await?;
        }
        let (later, told) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self(Arc::new(Inner { audit: Arc::clone(audit), act, id, change, later, told })))
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
    pub(crate) async fn answered(&self, fault: Option<&Fault>) -> Result<()> {
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
        let Inner { audit, act, id, change, told, .. } = &*self.0;
        if told.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let act = Act { outcome: outcome(fault), ..act.clone() };
        if *change {
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
            self.audit.count(act, Some(std::mem::take(&mut self.id)));
        }
    }
}
