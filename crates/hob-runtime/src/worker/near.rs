//! The node's side of workers: starts them, watches them, starts the next one.
//!
//! **How.** A [`Fleet`] has a [`Worker`] for each space, and that has a [`Link`] to the process that runs now. Whoever
//! has something to run asks for the link: if the process has ended, another one is there a moment later. One process
//! that belongs to nobody yet is kept ready, so that this moment is short. A task for each process carries the control
//! connection, and ends the process when it breaks the rules, is silent, or is not wanted any more.
//!
//! **Invariants.** A process that was given to a space serves no other one. Whatever it does, its death is a fault
//! of the calls that it had, and nothing else.

mod life;
mod link;
mod watch;

pub(crate) use link::{Link, Meter, Use};

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
use std::sync::{Arc, Mutex, PoisonError, Weak};
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

/// The workers of one node.
pub(crate) struct Fleet {
    outfit: Outfit,
    workers: Mutex<HashMap<SpaceName, Arc<Worker>>>,
    spare: Mutex<Option<Arc<Link>>>,
    /// A spare one is being started.
    preparing: AtomicBool,
    started: AtomicU64,
    functions: AtomicU64,
    own: Weak<Fleet>,
}

impl Fleet {
    /// Nobody works yet.
    pub(crate) fn new(outfit: Outfit) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            outfit,
            workers: Mutex::default(),
            spare: Mutex::default(),
            preparing: AtomicBool::new(false),
            started: AtomicU64::new(0),
            functions: AtomicU64::new(0),
            own: Weak::clone(own),
        })
    }

    /// A number for a function that no other has.
    pub(crate) fn next_function(&self) -> u64 {
        self.functions.fetch_add(1, Ordering::Relaxed)
    }

    /// The worker of a space.
    pub(crate) fn of(&self, space: &SpaceName) -> Arc<Worker> {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
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
        let fleet = Weak::clone(&self.own);
        let work = async move {
            let Some(fleet) = fleet.upgrade() else { return };
            match fleet.start().await {
                Ok(link) => {
                    *fleet.spare.lock().unwrap_or_else(PoisonError::into_inner) = Some(link);
                }
                // Whoever needs one will be told why.
                Err(fault) => tracing::warn!(%fault, "no spare worker process"),
            }
            fleet.preparing.store(false, Ordering::Release);
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
    /// `HOB-0513` when it cannot be started, or ends again and again.
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
        let fleet = self.fleet.upgrade().ok_or_else(|| Fault::new(Code::Stopping, "the node stops"))?;
        let link = fleet.process().await?;
        starts.push_back(Instant::now());
        link.give_to(&self.space);
        if let Some(before) = self.current.swap(Some(Arc::clone(&link))) {
            before.retire();
        }
        fleet.prepare();
        Ok(link)
    }

    /// The process that runs, unless it has to be exchanged.
    fn usable(&self) -> Option<Arc<Link>> {
        self.running().filter(|link| !link.is_worn())
    }
}
