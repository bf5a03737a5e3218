//! The body of a request or response: a boxed stream of bytes that can fail with a fault.

use bytes::Bytes;
use hob_core::fault::Fault;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

/// A streamed body. Unsync, since one task reads it.
pub type Body = UnsyncBoxBody<Bytes, Fault>;

/// A body without bytes.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Reads the rest of a body and keeps nothing of it, until it ends or more than so many bytes have come.
pub async fn skip<B: http_body::Body<Data = Bytes> + Unpin>(body: &mut B, most: usize) {
    let mut left = most;
    while let Some(Ok(frame)) = body.frame().await {
        let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
        left = rest;
    }
}

/// A body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}
