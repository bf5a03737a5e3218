//! The request's body on its way to standard input.
//!
//! **Why.** A program takes the end of its input for the end of the body. When the body breaks off (its
//! sender went away, it passed the limit), a program that saw an end would act on half a request and
//! call it done. So then the input stays open, and the call fails.

use crate::body::Body;
use hob_core::fault::Fault;
use hob_core::port::Spawn;
use http_body_util::BodyExt as _;
use std::future::pending;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;

type Input = Box<dyn AsyncWrite + Send + Unpin>;

/// A body that is being written. Dropping it ends the writing.
pub(super) struct Feed {
    broken: Option<oneshot::Receiver<(Fault, Input)>>,
    /// Standard input of a program that must not see its end.
    open: Option<Input>,
}

impl Feed {
    /// Writes `body` to `input` in the background: a program may answer before it has read all, or
    /// read nothing at all.
    pub(super) fn start(spawn: &dyn Spawn, body: Body, input: Input) -> Self {
        let (mut report, broken) = oneshot::channel();
        let write = async move {
            let written = tokio::select! {
                broken = write(body, input) => broken,
                () = report.closed() => None,
            };
            if let Some(broken) = written {
                drop(report.send(broken));
            }
        };
        spawn.spawn("standard input", Box::pin(write));
        Self { broken: Some(broken), open: None }
    }

    /// Resolves when the body broke off. May be cancelled and called again.
    pub(super) async fn broken(&mut self) -> Fault {
        if let Some(broken) = &mut self.broken {
            let outcome = broken.await;
            self.broken = None;
            if let Ok((fault, input)) = outcome {
                self.open = Some(input);
                return fault;
            }
        }
        pending().await
    }
}

/// Writes a body to its end; gives back why it broke off, and the input, which stays open.
async fn write(mut body: Body, mut input: Input) -> Option<(Fault, Input)> {
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                let Ok(data) = frame.into_data() else { continue };
                if input.write_all(&data).await.is_err() {
                    // The program reads no more, which is its right.
                    return None;
                }
            }
            Err(fault) => return Some((fault, input)),
        }
    }
    let _ = input.shutdown().await;
    None
}
