//! Runs what hyper starts in the background as tasks of the node.

use hob_core::port::Spawn;
use std::sync::Arc;

/// Hyper's way to start tasks, led to the node's own.
#[derive(Clone)]
pub(crate) struct Executor {
    spawn: Arc<dyn Spawn>,
    kind: &'static str,
}

impl Executor {
    /// Its tasks are of this kind.
    pub(crate) fn new(spawn: &Arc<dyn Spawn>, kind: &'static str) -> Self {
        Self { spawn: Arc::clone(spawn), kind }
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Executor {
    fn execute(&self, future: F) {
        self.spawn.spawn(self.kind, Box::pin(future));
    }
}
