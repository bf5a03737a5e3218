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

/// A body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}
