//! A WASM program that runs, wherever its guest is: its standard streams, its end, and how it is asked to end.

use super::pipe::{PipeReader, PipeWriter};
use crate::unit::{Exit, Program};
use hob_core::port::BoxFuture;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

/// SIGKILL: what a native program in its place would have ended with.
pub(super) const KILLED: i32 = 9;

/// A guest that runs as a program.
pub(super) struct Running {
    stdin: Option<PipeWriter>,
    stdout: Option<PipeReader>,
    exit: watch::Receiver<Option<Exit>>,
    /// Asks for its end after so long; dropped, it is killed.
    stop: mpsc::UnboundedSender<Duration>,
}

/// Who runs the guest: says how it ended.
pub(super) type Ending = watch::Sender<Option<Exit>>;
/// Who runs the guest: hears that it is to end.
pub(super) type Stopped = mpsc::UnboundedReceiver<Duration>;

impl Running {
    /// With these streams; and what its guest's task needs.
    pub(super) fn new(stdin: Option<PipeWriter>, stdout: Option<PipeReader>) -> (Self, Ending, Stopped) {
        let (ending, exit) = watch::channel(None);
        let (stop, stopped) = mpsc::unbounded_channel();
        (Self { stdin, stdout, exit, stop }, ending, stopped)
    }
}

impl Program for Running {
    fn take_stdin(&mut self) -> Option<Box<dyn AsyncWrite + Send + Unpin>> {
        self.stdin.take().map(|stdin| Box::new(stdin) as Box<dyn AsyncWrite + Send + Unpin>)
    }

    fn take_stdout(&mut self) -> Option<Box<dyn AsyncRead + Send + Unpin>> {
        self.stdout.take().map(|stdout| Box::new(stdout) as Box<dyn AsyncRead + Send + Unpin>)
    }

    fn exit(&self) -> BoxFuture<'_, Exit> {
        let mut exit = self.exit.clone();
        Box::pin(async move {
            let ended = exit.wait_for(Option::is_some).await.ok().and_then(|exit| exit.clone());
            // The task went away with the node's runtime.
            ended.unwrap_or(Exit::Signal(KILLED))
        })
    }

    fn stop(&self, grace: Duration) -> BoxFuture<'_, Exit> {
        Box::pin(async move {
            // Who is gone has left how it ended.
            let _ = self.stop.send(grace);
            self.exit().await
        })
    }
}
