//! Syncing several files at once.
//!
//! **Why.** A group of publications touches as many files as topics. One sync after the other would make
//! each publisher wait for all of them; disks serve several at a time.
//!
//! **How.** One file is synced on the calling thread. For more, a few helpers are started and kept.

use super::disk::DiskFile;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

const HELPERS: usize = 4;

type Job = (usize, Arc<dyn DiskFile>);
type Done = (usize, io::Result<()>);

/// The helpers, from when they are first needed.
#[derive(Default)]
pub(super) struct Syncer {
    pool: Option<Pool>,
}

struct Pool {
    jobs: Option<Sender<Job>>,
    done: Receiver<Done>,
    threads: Vec<JoinHandle<()>>,
}

impl Syncer {
    /// Syncs all; the results are in the same order.
    pub(super) fn sync(&mut self, files: &[Arc<dyn DiskFile>]) -> Vec<io::Result<()>> {
        if files.len() < 2 {
            return files.iter().map(|file| file.sync()).collect();
        }
        if self.pool.is_none() {
            self.pool = Pool::start().ok();
        }
        match self.pool.as_ref().and_then(|pool| pool.sync(files)) {
            Some(results) => results,
            // Without helpers it takes longer, no more. A second sync of a file could hide the failure of
            // the first; so none was begun then.
            None => files.iter().map(|file| file.sync()).collect(),
        }
    }
}

impl Pool {
    fn start() -> io::Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let (finished, done) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut pool = Self { jobs: Some(jobs), done, threads: Vec::new() };
        for _ in 0..HELPERS {
            let (queue, finished) = (Arc::clone(&queue), finished.clone());
            let thread = std::thread::Builder::new().name("hob-log-sync".to_owned());
            pool.threads.push(thread.spawn(move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((place, file)) = next else { break };
                    if finished.send((place, file.sync())).is_err() {
                        break;
                    }
                }
            })?);
        }
        Ok(pool)
    }

    /// `None` when no job was taken.
    fn sync(&self, files: &[Arc<dyn DiskFile>]) -> Option<Vec<io::Result<()>>> {
        let jobs = self.jobs.as_ref()?;
        let mut results: Vec<io::Result<()>> = Vec::new();
        results.resize_with(files.len(), || Err(io::Error::other("the sync was not finished")));
        for job in files.iter().cloned().enumerate() {
            jobs.send(job).ok()?;
        }
        for _ in files {
            let Ok((place, result)) = self.done.recv() else { break };
            results[place] = result;
        }
        Some(results)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A panic there has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}
