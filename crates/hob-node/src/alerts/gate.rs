//! The gates in front of functions that have a budget, or whose app has one.
//!
//! **Why.** A budget that stops has to hold for each call, and a call must not wait for sums to be made.
//!
//! **How.** A [`Door`] numbers the calls that pass it, from the first one on, and refuses those above a number
//! that whoever looks at budgets now and then ([`super::budget`]) has set; so it is exact in between, and no
//! call is forgotten that passed while a budget was new. It can be shut for other reasons too. A function's
//! gate is two doors: its own and its app's.

use crate::clock::now_ms;
use crate::sync::lock;
use hob_core::code::Code;
use hob_core::event::timestamp;
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, FunctionName};
use hob_runtime::code::FunctionCode;
use hob_runtime::gate::{Gate, Gates};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What a door is in front of: an app, or one of its functions.
pub(crate) type Of = (AppName, Option<FunctionName>);

/// All doors of a node.
#[derive(Default)]
pub(crate) struct Doors {
    known: Mutex<HashMap<Of, Arc<Door>>>,
}

impl Doors {
    /// The door of an app or function; it stays the same through all revisions.
    pub(crate) fn of(&self, of: &Of) -> Arc<Door> {
        let mut known = lock(&self.known);
        if let Some(door) = known.get(of) {
            return Arc::clone(door);
        }
        let door = Arc::new(Door::new(of));
        known.insert(of.clone(), Arc::clone(&door));
        door
    }

    /// Forgets doors that no pool stands behind any more.
    pub(super) fn forget(&self) {
        lock(&self.known).retain(|_, door| Arc::strong_count(door) > 1);
    }
}

impl Gates for Doors {
    fn of(&self, code: &FunctionCode) -> Arc<dyn Gate> {
        let (app, function) = (code.app.clone(), code.name.clone());
        Arc::new(Both {
            function: Doors::of(self, &(app.clone(), Some(function))),
            app: Doors::of(self, &(app, None)),
        })
    }
}

/// A function's door and its app's.
struct Both {
    function: Arc<Door>,
    app: Arc<Door>,
}

impl Gate for Both {
    fn admit(&self) -> Result<()> {
        self.function.pass()?;
        self.app.pass().inspect_err(|_| self.function.return_one())
    }
}

/// Lets calls pass while there is a budget for them.
pub(crate) struct Door {
    what: String,
    /// When it was made, milliseconds since the Unix epoch.
    pub(super) made_ms: u64,
    /// Calls that have passed.
    passed: AtomicI64,
    /// The number of the first call that may not.
    end: AtomicI64,
    shut: AtomicBool,
    /// When the budget begins anew, milliseconds since the Unix epoch.
    until_ms: AtomicU64,
}

impl Door {
    fn new((app, function): &Of) -> Self {
        let what = match function {
            Some(function) => format!("function `{function}`"),
            None => format!("app `{app}`"),
        };
        Self {
            what,
            made_ms: now_ms(),
            passed: AtomicI64::new(0),
            end: AtomicI64::new(i64::MAX),
            shut: AtomicBool::new(false),
            until_ms: AtomicU64::new(0),
        }
    }

    /// Calls that have passed so far.
    pub(super) fn passed(&self) -> i64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Lets calls pass up to this number, or for ever, until the budget begins anew.
    pub(super) fn allow(&self, end: Option<i64>, until_ms: u64) {
        self.until_ms.store(until_ms, Ordering::Relaxed);
        self.end.store(end.unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Lets nobody pass, or goes by the number of calls again.
    pub(super) fn shut(&self, shut: bool) {
        self.shut.store(shut, Ordering::Relaxed);
    }

    fn pass(&self) -> Result<()> {
        if self.shut.load(Ordering::Relaxed) {
            return Err(self.refusal());
        }
        if self.passed.fetch_add(1, Ordering::Relaxed) < self.end.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.return_one();
        Err(self.refusal())
    }

    /// A call that has passed is refused after all.
    fn return_one(&self) {
        self.passed.fetch_sub(1, Ordering::Relaxed);
    }

    fn refusal(&self) -> Fault {
        let until_ms = self.until_ms.load(Ordering::Relaxed);
        let seconds = until_ms.saturating_sub(now_ms()).div_ceil(1000).max(1);
        Fault::new(Code::BudgetSpent, format!("{} has spent its budget", self.what))
            .hint(format!("it begins anew at {}; `hob budget ls` shows it", timestamp(until_ms)))
            .retry_after(u32::try_from(seconds).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::{Both, Door, Doors};
    use hob_core::name::{AppName, FunctionName};
    use hob_runtime::gate::Gate;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn both() -> (Both, Arc<Door>, Arc<Door>) {
        let doors = Doors::default();
        let app = AppName::new("shop").unwrap();
        let (of_app, of_function) =
            (doors.of(&(app.clone(), None)), doors.of(&(app, FunctionName::new("front").ok())));
        let both = Both { function: Arc::clone(&of_function), app: Arc::clone(&of_app) };
        (both, of_app, of_function)
    }

    #[test]
    fn exactly_as_many_pass_as_there_is_a_budget_for() {
        let (both, app, _) = both();
        assert!(both.admit().is_ok(), "before anybody has looked");
        app.allow(Some(1000), u64::MAX);
        let passed = AtomicU32::new(1);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        passed.fetch_add(u32::from(both.admit().is_ok()), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 1000);
    }

    #[test]
    fn one_door_takes_nothing_from_the_other() {
        let (both, app, function) = both();
        function.allow(Some(2), u64::MAX);
        app.shut(true);
        let refused = both.admit().unwrap_err();
        assert_eq!(refused.to_string(), "HOB-0511 app `shop` has spent its budget");
        app.shut(false);
        let passes: Vec<bool> = (0..3).map(|_| both.admit().is_ok()).collect();
        assert_eq!(passes, [true, true, false], "what the app refused is not counted");
        function.allow(Some(3), u64::MAX);
        assert!(both.admit().is_ok(), "a raised budget");
        function.allow(None, u64::MAX);
        assert!((0..9).all(|_| both.admit().is_ok()), "no budget");
    }
}
