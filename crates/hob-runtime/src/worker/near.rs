//! The node's side of workers: starts them, watches them, starts the next one.
//!
//! **How.** Each opened space has a [`Fleet`] of its own with its [`Worker`], and that has a [`Link`] to the process that
//! runs now. Whoever has something to run asks for the link: if the process has ended, another one is there a moment
//! later. One process that belongs to nobody yet is kept ready by the node's [`Yard`], so that this moment is short. A task
//! for each process carries the control connection, and ends the process when it breaks the rules, is silent, or is not
//! wanted any more.
//!
//! **Invariants.** A process that was given to a space serves no other one, not even the next of that name: a fleet ends
//! with its space ([`Fleet::leave`]). Whatever it does, its death is a fault of the calls that it had, and nothing else.

mod life;
mod link;
mod watch;

pub(crate) use link::{Link, Meter, Use};

use super::lane::Lost;
use super::wire::Hello;
use crate::environment::Supervision;
use arc_swap::ArcSwapOption;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{WORKER_STARTS_MAX, WORKER_STARTS_WINDOW};
use hob_core::name::SpaceName;
use hob_core::port::Spawn;
use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

/// What every worker is started with.
pub(crate) struct Outfit {
    /// The command that becomes a worker: program, then leading arguments.
    pub(crate) command: Vec<OsString>,
    /// Names what machine code fits: the node's engine has to be as the worker's.
    pub(crate) fingerprint: String,
    /// What it is told first.
    pub(crate) pooling: Option<bool>,
    /// Memory that its process may have, bytes; looked at while it has calls.
    pub(crate) memory_bytes_max: u64,
    /// When it is given up, or exchanged.
    pub(crate) supervision: Supervision,
    /// Starts the tasks.
    pub(crate) spawn: Arc<dyn Spawn>,
}

/// What the workers of all spaces of one node share: how they are started, and one that belongs to nobody yet.
struct Yard {
    outfit: Outfit,
    spare: Mutex<Option<Arc<Link>>>,
    /// A spare one is being started.
    preparing: AtomicBool,
    started: AtomicU64,
    functions: AtomicU64,
    own: Weak<Yard>,
}

/// The workers of one opened space: one, as a rule, by the name under which it is asked for.
pub(crate) struct Fleet {
    yard: Arc<Yard>,
    workers: Mutex<HashMap<SpaceName, Arc<Worker>>>,
    /// The space is gone.
    left: AtomicBool,
    own: Weak<Fleet>,
}

impl Fleet {
    /// Nobody works yet.
    pub(crate) fn new(outfit: Outfit) -> Arc<Self> {
        let yard = Arc::new_cyclic(|own| Yard {
            outfit,
            spare: Mutex::default(),
            preparing: AtomicBool::new(false),
            started: AtomicU64::new(0),
            functions: AtomicU64::new(0),
            own: Weak::clone(own),
        });
        Self::of_yard(&yard)
    }

    /// That of another space of the same node.
    pub(crate) fn beside(&self) -> Arc<Self> {
        Self::of_yard(&self.yard)
    }

    fn of_yard(yard: &Arc<Yard>) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            yard: Arc::clone(yard),
            workers: Mutex::default(),
            left: AtomicBool::new(false),
            own: Weak::clone(own),
        })
    }

    /// A number for a function that no other has.
    pub(crate) fn next_function(&self) -> u64 {
        self.yard.functions.fetch_add(1, Ordering::Relaxed)
    }

    /// The worker of a space.
    pub(crate) fn of(&self, space: &SpaceName) -> Arc<Worker> {
        let mut workers = self.workers();
        let worker = workers.entry(space.clone()).or_insert_with(|| {
            Arc::new(Worker {
                space: space.clone(),
                fleet: Weak::clone(&self.own),
                current: ArcSwapOption::empty(),
                starts: tokio::sync::Mutex::default(),
            })
        });
        Arc::clone(worker)
    }

    /// The space is gone: its processes are ended with whatever still runs in them, and no other one is started.
    pub(crate) fn leave(&self) {
        self.left.store(true, Ordering::SeqCst);
        self.workers().values().for_each(|worker| worker.end());
    }

    fn has_left(&self) -> bool {
        self.left.load(Ordering::SeqCst)
    }

    fn workers(&self) -> MutexGuard<'_, HashMap<SpaceName, Arc<Worker>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Yard {
    /// A process that belongs to nobody yet: the spare one, or one that is started now.
    async fn process(&self) -> Result<Arc<Link>> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(spare) = spare.filter(|spare| spare.is_alive()) {
            return Ok(spare);
        }
        self.start().await
    }

    async fn start(&self) -> Result<Arc<Link>> {
        let number = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        let hello = Hello { pooling: self.outfit.pooling, counts: true };
        Link::start(&self.outfit, &hello, number).await
    }

    /// Has a spare process started, unless there is one.
    fn prepare(&self) {
        let there = self.spare.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if there || self.preparing.swap(true, Ordering::AcqRel) {
            return;
        }
        let yard = Weak::clone(&self.own);
        let work = async move {
            let Some(yard) = yard.upgrade() else { return };
            match yard.start().await {
                Ok(link) => {
                    *yard.spare.lock().unwrap_or_else(PoisonError::into_inner) = Some(link);
                }
                // Whoever needs one will be told why.
                Err(fault) => tracing::warn!(%fault, "no spare worker process"),
            }
            yard.preparing.store(false, Ordering::Release);
        };
        self.outfit.spawn.spawn("worker spare", Box::pin(work));
    }
}

/// The worker of one space, whichever process that is.
pub(crate) struct Worker {
    space: SpaceName,
    fleet: Weak<Fleet>,
    current: ArcSwapOption<Link>,
    /// When it was started lately. Held by whoever starts it.
    starts: tokio::sync::Mutex<VecDeque<Instant>>,
}

impl Worker {
    /// The link to the process that runs, if one does.
    pub(crate) fn running(&self) -> Option<Arc<Link>> {
        self.current.load_full().filter(|link| link.is_alive())
    }

    /// The link to the process that runs; starts one if none does.
    ///
    /// # Errors
    /// `HOB-0513` when it cannot be started, or ends again and again; `HOB-0509` when the space is gone.
    pub(crate) async fn link(&self) -> Result<Arc<Link>> {
        if let Some(link) = self.usable() {
            return Ok(link);
        }
        let mut starts = self.starts.lock().await;
        if let Some(link) = self.usable() {
            return Ok(link);
        }
        let now = Instant::now();
        while starts.front().is_some_and(|at| now.duration_since(*at) >= WORKER_STARTS_WINDOW) {
            starts.pop_front();
        }
        if starts.len() >= WORKER_STARTS_MAX {
            let what = format!(
                "the worker of space `{}` has ended {} times within {} s",
                self.space,
                starts.len(),
                WORKER_STARTS_WINDOW.as_secs()
            );
            return Err(Fault::new(Code::WorkerMissing, what)
                .hint("the node's log says why each has ended")
                .retry_after(1));
        }
        let gone = || Fault::new(Code::Stopping, "the space is not there any more");
        let fleet = self.fleet.upgrade().filter(|fleet| !fleet.has_left()).ok_or_else(gone)?;
        let link = fleet.yard.process().await?;
        starts.push_back(Instant::now());
        link.give_to(&self.space);
        if let Some(before) = self.current.swap(Some(Arc::clone(&link))) {
            before.retire();
        }
        // The space may have gone in between, and then nobody has seen this process.
        if fleet.has_left() {
            self.end();
            return Err(gone());
        }
        fleet.yard.prepare();
        Ok(link)
    }

    /// Ends the process that runs, if one does.
    fn end(&self) {
        if let Some(link) = self.current.swap(None) {
            // As if its lanes had been lost.
            drop(link.fault(&Lost::Gone));
        }
    }

    /// The process that runs, unless it has to be exchanged.
    fn usable(&self) -> Option<Arc<Link>> {
        self.running().filter(|link| !link.is_worn())
    }
}
