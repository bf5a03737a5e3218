//! Answers of newline-delimited JSON, line by line as things happen.

use bytes::Bytes;
use hob_core::fault::{Fault, Result};
use hob_runtime::body::Body;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde::Serialize;
use tokio::sync::mpsc;

/// Lines that wait for a slow client.
const LINES_MAX: usize = 256;

/// The writing end of such an answer.
#[derive(Clone)]
pub(super) struct Lines(mpsc::Sender<Result<Bytes>>);

impl Lines {
    /// Writes a line, waiting for the client; false when the client has gone.
    pub(super) async fn send(&self, value: &impl Serialize) -> bool {
        self.0.send(Ok(line(value))).await.is_ok()
    }

    /// Writes a line unless too many wait already: for what may be missed.
    pub(super) fn offer(&self, value: &impl Serialize) {
        // A full or closed channel is a client that does not read.
        let _ = self.0.try_send(Ok(line(value)));
    }

    /// Breaks the answer off, so that the client does not take it for whole.
    pub(super) async fn fail(&self, fault: Fault) {
        let _ = self.0.send(Err(fault)).await;
    }

    /// Resolves when the client has gone.
    pub(super) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// An answer, and where to write its lines. It ends when every [`Lines`] is dropped.
pub(super) fn lines() -> (Lines, Response<Body>) {
    let (sender, receiver) = mpsc::channel(LINES_MAX);
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let line: Result<Bytes> = receiver.recv().await?;
        Some((line.map(Frame::data), receiver))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    (Lines(sender), response)
}

fn line(value: &impl Serialize) -> Bytes {
    let mut text = serde_json::to_vec(value).expect("what is streamed has text keys only");
    text.push(b'\n');
    text.into()
}
