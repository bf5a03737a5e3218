//! Optimising behind running functions: one file at a time, when nothing else wants the processor.
//!
//! **Why.** A component with a language runtime in it takes twenty seconds to compile well and four to
//! compile quickly. Nobody should wait for the difference, and nobody should have to live with it.
//!
//! **How.** Files with quick code come into a bounded line, at their deploy and, after a restart, when the
//! node makes sure that everything is ready. A task works through the line and ends with it, so that
//! nothing runs while there is nothing to do. When a file is done, its code is exchanged (`mapped`).
//!
//! **Invariants.** Nothing waits for it and no failure of it reaches a call: a file that cannot be
//! optimised is told in the log and serves with quick code until the node starts again.

use super::engine::Grade;
use super::{File, Shared};
use crate::host::Stage;
use hob_core::digest::Digest;
use hob_core::limit::OPTIMISE_QUEUED_MAX;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The line of files, and what became of them.
#[derive(Default)]
pub(super) struct Line {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<File>,
    /// Whether a task works.
    busy: bool,
    now: Option<(Digest, Instant)>,
    /// How long it took, or that it failed, since the node started.
    done: HashMap<Digest, Option<Duration>>,
}

impl State {
    fn has(&self, digest: Digest) -> bool {
        self.waiting.iter().any(|file| file.digest == digest)
            || self.now.is_some_and(|(now, _)| now == digest)
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to a file that has quick code.
    pub(super) fn stage(&self, digest: Digest) -> Stage {
        let state = self.lock();
        match (state.now, state.done.get(&digest)) {
            (Some((now, since)), _) if now == digest => Stage::Optimising(since.elapsed()),
            (_, Some(None)) => Stage::Quick,
            _ if state.has(digest) => Stage::Waiting,
            _ => Stage::Quick,
        }
    }

    /// How long optimising a file took, if that was since the node started.
    pub(super) fn took(&self, digest: Digest) -> Option<Duration> {
        self.lock().done.get(&digest).copied().flatten()
    }

    /// The next file, or `None` for good: whoever works ends then.
    fn next(&self) -> Option<File> {
        let mut state = self.lock();
        let file = state.waiting.pop_front();
        state.now = file.as_ref().map(|file| (file.digest, Instant::now()));
        state.busy = file.is_some();
        file
    }
}

impl Shared {
    /// Has a file optimised that has quick code only. Does not wait.
    pub(super) fn optimise_later(self: &Arc<Self>, file: File) {
        // A worker is passed better code when the node has it.
        if self.made.compiler().is_none() {
            return;
        }
        let mut state = self.line.lock();
        let tried = state.done.get(&file.digest).is_some_and(Option::is_none);
        if tried || state.has(file.digest) || state.waiting.len() >= OPTIMISE_QUEUED_MAX {
            return;
        }
        state.waiting.push_back(file);
        if !std::mem::replace(&mut state.busy, true) {
            let shared = Arc::clone(self);
            let work = async move {
                while let Some(file) = shared.line.next() {
                    shared.optimise(&file).await;
                }
            };
            self.environment.spawn.spawn("optimise", Box::pin(work));
        }
    }

    async fn optimise(&self, file: &File) {
        let Some(compiler) = self.made.compiler() else { return };
        let began = Instant::now();
        let done = match compiler.find(file.digest) {
            // Another deploy had it compiled well meanwhile.
            Some(found) if found.grade == Grade::Optimised => Ok(()),
            _ => compiler.optimise(&file.source()).await,
        };
        let done = match done {
            Ok(()) => self.exchange(file).await,
            Err(fault) => Err(fault),
        };
        let took = began.elapsed();
        match &done {
            Ok(()) => {
                compiler.forget_quick(file.digest);
                let seconds = format!("{:.1}", took.as_secs_f64());
                tracing::info!(file = file.name, seconds, "optimised code serves from now on");
                self.tell_optimised(file.digest, took);
            }
            Err(fault) => {
                tracing::warn!(file = file.name, %fault, "cannot optimise: quick code goes on serving")
            }
        }
        // A file that is gone with its app may come back and deserve a second attempt.
        if done.is_ok() || file.path.exists() {
            let mut state = self.line.lock();
            if state.done.len() >= OPTIMISE_QUEUED_MAX {
                state.done.clear();
            }
            state.done.insert(file.digest, done.is_ok().then_some(took));
        }
    }
}
