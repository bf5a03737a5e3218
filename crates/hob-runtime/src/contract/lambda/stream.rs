//! A streamed answer on its way from the runtime: its prelude, its body, and how it fails (response streaming).
//!
//! **How.** The body of the runtime's request is read by whoever reads the answer; the runtime is told that
//! all is well when it has ended. A reader that goes away leaves the rest to be read and forgotten, since a
//! runtime whose connection is cut may die of it.
//!
//! **Two ways to fail.** Node's client says so in trailers (RFC 9112, 7.1.2). Rust's writes the same two
//! lines as the last piece of the body, since its HTTP library had no trailers there.

use bytes::Bytes;
use hob_core::code::Code;
use hob_core::event::base64;
use hob_core::fault::Fault;
use hob_core::limit::{LAMBDA_ERROR_BYTES_MAX, LAMBDA_PRELUDE_BYTES_MAX, LAMBDA_STREAM_BYTES_MAX};
use hob_core::unit::show_bytes;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;

/// The media type of an answer with a prelude.
const WITH_PRELUDE: &str = "application/vnd.awslambda.http-integration-response";
/// What stands between prelude and body.
const SEPARATOR: [u8; 8] = [0; 8];
/// The trailer that names the type of a failure.
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
/// The trailer with the error as base64 of JSON.
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

/// A body that a runtime sends.
pub(super) struct Streamed {
    incoming: Option<Incoming>,
    /// Gets what is left when nobody reads any more; nothing when it has ended.
    back: Option<oneshot::Sender<Option<Incoming>>>,
    /// Was read, and is to be given out first.
    first: Option<Bytes>,
    /// What looks like a failure, if nothing follows.
    held: Option<Bytes>,
    bytes: u64,
}

impl Streamed {
    /// Of a request; its other end gets what is left of it.
    pub(super) fn new(incoming: Incoming) -> (Self, oneshot::Receiver<Option<Incoming>>) {
        let (back, rest) = oneshot::channel();
        let incoming = Some(incoming);
        (Self { incoming, back: Some(back), first: None, held: None, bytes: 0 }, rest)
    }

    /// Reads what comes before the body, if its media type says that something does.
    ///
    /// # Errors
    /// In words, when it is too long or ends before the body begins; or why it broke off.
    pub(super) async fn prelude(&mut self, headers: &HeaderMap) -> Result<Option<Bytes>, Fault> {
        let media = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if media != Some(WITH_PRELUDE) {
            return Ok(None);
        }
        let mut read = Vec::new();
        loop {
            let frame = match self.frame().await {
                Some(frame) => frame?,
                None => return Err(bad("it ended before its body began")),
            };
            let Ok(data) = frame.into_data() else { continue };
            let from = read.len().saturating_sub(SEPARATOR.len());
            read.extend_from_slice(&data);
            let found = read[from..].windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
            if let Some(at) = found.map(|at| from + at) {
                let read = Bytes::from(read);
                let body = read.slice(at + SEPARATOR.len()..);
                self.first = Some(body).filter(|body| !body.is_empty());
                return Ok(Some(read.slice(..at)));
            }
            if read.len() > LAMBDA_PRELUDE_BYTES_MAX {
                let most = show_bytes(LAMBDA_PRELUDE_BYTES_MAX as u64);
                return Err(bad(&format!("its prelude has more than {most}")));
            }
        }
    }

    fn end(&mut self) {
        self.incoming = None;
        if let Some(back) = self.back.take() {
            drop(back.send(None));
        }
    }

    fn counted(&mut self, data: Bytes) -> Result<Frame<Bytes>, Fault> {
        self.bytes += data.len() as u64;
        if self.bytes > LAMBDA_STREAM_BYTES_MAX {
            let most = show_bytes(LAMBDA_STREAM_BYTES_MAX);
            return Err(bad(&format!("it streamed more than {most}")));
        }
        Ok(Frame::data(data))
    }
}

fn bad(why: &str) -> Fault {
    Fault::new(Code::BadResponse, format!("the function's answer is not valid: {why}"))
}

fn failed(kind: &str, body: &str) -> Fault {
    let told = base64::decode(body).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    super::outcome::stream_failed(kind, told.as_deref().unwrap_or(body))
}

/// A failure that was written as the last piece of the body: two lines with the trailers' names.
fn written(data: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(data).ok()?;
    let line = |name: &str| {
        text.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    Some((line(ERROR_TYPE)?, line(ERROR_BODY)?))
}

fn looks_failed(data: &[u8]) -> bool {
    data.get(..ERROR_TYPE.len()).is_some_and(|name| name.eq_ignore_ascii_case(ERROR_TYPE.as_bytes()))
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(self.counted(first)));
        }
        loop {
            let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
            let frame = match ready!(Pin::new(incoming).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    self.end();
                    return Poll::Ready(Some(Err(bad("it broke off").detail(error))));
                }
                None => {
                    self.end();
                    let held = self.held.take();
                    let fault = held.as_deref().and_then(written).map(|(kind, body)| failed(kind, body));
                    return Poll::Ready(match (fault, held) {
                        (Some(fault), _) => Some(Err(fault)),
                        (None, Some(data)) => Some(Ok(Frame::data(data))),
                        (None, None) => None,
                    });
                }
            };
            match frame.into_data() {
                Ok(data) if looks_failed(&data) || self.held.is_some() => {
                    // Nothing follows a failure: what is held was one only if this is its rest.
                    let mut held = self.held.take().map(Vec::from).unwrap_or_default();
                    held.extend_from_slice(&data);
                    if held.len() > LAMBDA_ERROR_BYTES_MAX {
                        return Poll::Ready(Some(self.counted(held.into())));
                    }
                    self.held = Some(held.into());
                }
                Ok(data) => return Poll::Ready(Some(self.counted(data))),
                Err(frame) => {
                    let text = |trailers: &HeaderMap, name| {
                        trailers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
                    };
                    let told = frame.trailers_ref().and_then(|trailers| {
                        Some((text(trailers, ERROR_TYPE)?, text(trailers, ERROR_BODY).unwrap_or_default()))
                    });
                    if let Some((kind, body)) = told {
                        self.end();
                        return Poll::Ready(Some(Err(failed(&kind, &body))));
                    }
                }
            }
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        if let Some(back) = self.back.take() {
            drop(back.send(self.incoming.take()));
        }
    }
}
