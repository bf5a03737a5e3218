//! What a call spent in a server that may serve several: known when it was the only one.
//!
//! **How.** The program's processor time is read when a call begins alone and when it ends; if none began
//! in between, the difference is the call's. What the server does on its own meanwhile counts as well.

use crate::invocation::Context;
use crate::unit::Program;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The calls of one server.
#[derive(Default)]
pub(super) struct Calls(Mutex<Count>);

#[derive(Default)]
struct Count {
    running: u32,
    begun: u64,
}

/// A call that runs, until it is dropped.
pub(super) struct Spending {
    calls: Arc<Calls>,
    /// Not kept alive: who drops the program ends it.
    program: Weak<dyn Program>,
    context: Arc<Context>,
    number: u64,
    /// The program's time at the begin, nanoseconds; `None`: it will not be known.
    before_ns: Option<u64>,
}

impl Calls {
    /// A call begins.
    pub(super) fn begin(self: &Arc<Self>, program: &Arc<dyn Program>, context: &Arc<Context>) -> Spending {
        let mut count = self.lock();
        count.running += 1;
        count.begun += 1;
        let (alone, number) = (count.running == 1, count.begun);
        drop(count);
        Spending {
            calls: Arc::clone(self),
            program: Arc::downgrade(program),
            context: Arc::clone(context),
            number,
            before_ns: if alone { program.cpu_ns() } else { None },
        }
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        let mut count = self.calls.lock();
        count.running = count.running.saturating_sub(1);
        let alone = count.begun == self.number;
        drop(count);
        let before_ns = self.before_ns.filter(|_| alone);
        let spent_ns = before_ns.and_then(|before_ns| {
            let after_ns = self.program.upgrade()?.cpu_ns()?;
            Some(after_ns.saturating_sub(before_ns))
        });
        match spent_ns {
            Some(spent_ns) => self.context.timing.spent(spent_ns),
            None => self.context.timing.shared(),
        }
    }
}
