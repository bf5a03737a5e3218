//! The only place that starts background tasks, so that a stopping node can wait for all of them.
//!
//! **Why.** A task that nobody waits for is cut in the middle of its work when the node stops.
//!
//! **How.** Every part is given [`hob_core::port::Spawn`]; [`Tasks`] implements it. [`Tasks::stop`]
//! ends what is still running and returns when nothing does.
//!
//! **Not here:** asking a task to finish by itself. A part that can (the gateway's connections) does it
//! before the node calls [`Tasks::stop`].

use hob_core::port::{BoxFuture, Spawn};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The background tasks of one node.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Runs `future` until it ends or the node has stopped.
    pub fn start<F: Future<Output = ()> + Send + 'static>(&self, kind: &'static str, future: F) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            if stop.run_until_cancelled(future).await.is_none() {
                tracing::debug!(kind, "a background task was ended");
            }
        });
    }

    /// Ends every task and waits until all are gone.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl Spawn for Tasks {
    fn spawn(&self, kind: &'static str, future: BoxFuture<'static, ()>) {
        self.start(kind, future);
    }
}

/// Runs the streams of HTTP/2 connections, for hyper.
#[derive(Clone, Debug)]
pub(crate) struct StreamExecutor(pub(crate) Arc<Tasks>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for StreamExecutor {
    fn execute(&self, future: F) {
        self.0.start("http/2 stream", future);
    }
}

#[cfg(test)]
mod tests {
    use super::Tasks;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn stopping_waits_until_every_task_is_gone() {
        struct Alive(Arc<AtomicU32>);
        impl Drop for Alive {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let (tasks, alive) = (Tasks::new(), Arc::new(AtomicU32::new(3)));
        for _ in 0..3 {
            let task = Alive(Arc::clone(&alive));
            tasks.start("endless", async move {
                let _task = task;
                std::future::pending::<()>().await;
            });
        }
        tasks.stop().await;
        assert_eq!(alive.load(Ordering::SeqCst), 0);
    }
}
