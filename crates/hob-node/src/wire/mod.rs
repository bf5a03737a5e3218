//! The bytes of HTTP connections from outside, before hyper sees them: at the gateway and at the node's own entrances.
//!
//! **Why.** What could be read in two ways is refused, who says nothing or floods does not stay: at whichever of the node's addresses
//! he does that.
//!
//! **How.** [`begin`] finds out what a client speaks and puts [`strict`] between socket and hyper; [`check`] says of each request
//! whether it is beyond doubt. A connection that ends because its client broke HTTP/2 is held for a moment ([`hold`]), and his
//! next ones wait ([`hob_core::share::probation`]).
//!
//! **Not here:** what is answered, and how a connection is told to end: the entrance's own matter.

mod chunk;
pub(crate) mod frames;
pub(crate) mod head;
mod strict;

pub(crate) use strict::{Exchange, Strict, Verdict};

use crate::listener::Place;
use crate::task::{StreamExecutor, Tasks};
use bytes::BytesMut;
use frames::PREFACE;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{
    BODY_IDLE_TIMEOUT, CONNECTION_IDLE_TIMEOUT, FAULT_HOLD, H2_ERROR_RESETS_MAX, H2_RESETS_PENDING_MAX,
    H2_SEND_BYTES_MAX, H2_WINDOW_BYTES, HEADER_BYTES_MAX, HEADER_COUNT_MAX, HEADER_TIMEOUT, URI_BYTES_MAX,
};
use http::header::{HOST, HeaderValue};
use http::{Method, Request};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioTimer;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Bytes that hyper may hold of one HTTP/1.1 connection.
const BUFFER_BYTES_MAX: usize = 2 * HEADER_BYTES_MAX;
/// What is read of a connection at once to find out what it speaks.
const FIRST_BYTES_MAX: usize = 4096;
/// How often an HTTP/2 client is asked whether it is still there.
const PING_INTERVAL: Duration = BODY_IDLE_TIMEOUT;

/// A connection whose client has begun to speak.
pub(crate) struct Begun<S> {
    /// Its bytes, as hyper may have them.
    pub(crate) socket: Strict<S>,
    /// Whether it speaks HTTP/2.
    pub(crate) http2: bool,
    /// What its reader and its service tell each other.
    pub(crate) exchange: Arc<Exchange>,
}

/// Waits for what a client has to do before it may say what it wants.
///
/// # Errors
/// When it takes longer than `late`, which is counted.
pub(crate) async fn in_time<T>(
    place: &Place,
    late: Duration,
    begin: impl Future<Output = T>,
) -> io::Result<T> {
    let done = timeout(late, begin).await;
    done.map_err(|_| {
        place.was_late();
        io::ErrorKind::TimedOut.into()
    })
}

/// Finds out which protocol a client speaks; `None` if it leaves without a word. Who says nothing takes no memory for what comes then.
///
/// # Errors
/// When the socket fails, the client is late, or it has broken HTTP/2 too often to speak it again now.
pub(crate) async fn begin<S>(
    mut socket: S,
    place: &Place,
    late: Duration,
    closing: &CancellationToken,
) -> io::Result<Option<Begun<S>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let first = in_time(place, late, first_bytes(&mut socket)).await??;
    if first.is_empty() {
        return Ok(None);
    }
    let http2 = first.starts_with(PREFACE);
    if http2 {
        may_begin(place, closing).await?;
    }
    let exchange = Arc::default();
    let socket = Strict::new(socket, first, http2, late, Arc::clone(&exchange));
    Ok(Some(Begun { socket, http2, exchange }))
}

/// Waits until a client that has broken the protocol often may speak it again.
async fn may_begin(place: &Place, closing: &CancellationToken) -> io::Result<()> {
    let soon = async {
        let wait = place.begin()?;
        if !wait.is_zero() {
            sleep(wait).await;
        }
        Some(())
    };
    let begun = tokio::select! {
        biased;
        begun = soon => begun,
        () = closing.cancelled() => None,
    };
    begun.ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
}

/// How a connection has ended.
pub(crate) type Ended = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A connection has ended so. If that is because its client broke HTTP/2, it stays open for a while: nothing is
/// read, and whoever waits for its end to come again waits.
pub(crate) async fn hold(
    ended: hyper::Result<()>,
    http2: bool,
    place: &Place,
    closing: &CancellationToken,
) -> Ended {
    if http2 && ended.as_ref().is_err_and(|error| is_fault(error)) {
        place.fault();
        tokio::select! {
            () = sleep(FAULT_HOLD) => {}
            () = closing.cancelled() => {}
        }
    }
    ended.map_err(Into::into)
}

/// Whether a connection has ended because its client broke HTTP/2: by what h2 says, or by [`frames`].
fn is_fault(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        let protocol =
            error.downcast_ref::<h2::Error>().is_some_and(|error| error.is_library() && error.is_go_away());
        let flood =
            error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::InvalidData);
        protocol || flood
    })
}

/// How HTTP/1.1 is spoken behind [`Strict`], which limits heads and their time.
pub(crate) fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(BUFFER_BYTES_MAX).header_read_timeout(None);
    builder
}

/// The same where nobody else ends connections that have had no request for long.
pub(crate) fn http1_with_idle_timeout() -> http1::Builder {
    let mut builder = http1();
    builder.timer(TokioTimer::new()).header_read_timeout(CONNECTION_IDLE_TIMEOUT);
    builder
}

/// How HTTP/2 is spoken, with so many requests at a time on one connection.
pub(crate) fn http2(tasks: &Arc<Tasks>, streams: u32) -> http2::Builder<StreamExecutor> {
    let mut builder = http2::Builder::new(StreamExecutor(Arc::clone(tasks)));
    let header_bytes = u32::try_from(HEADER_BYTES_MAX).unwrap_or(u32::MAX);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .max_header_list_size(header_bytes)
        .max_send_buf_size(H2_SEND_BYTES_MAX)
        .initial_stream_window_size(H2_WINDOW_BYTES)
        .initial_connection_window_size(H2_WINDOW_BYTES)
        .max_local_error_reset_streams(Some(H2_ERROR_RESETS_MAX))
        .max_pending_accept_reset_streams(Some(H2_RESETS_PENDING_MAX))
        .keep_alive_interval(Some(PING_INTERVAL))
        .keep_alive_timeout(HEADER_TIMEOUT);
    builder
}

/// Whether a client takes what there is for it, looked at once in a while.
pub(crate) struct Pace {
    least: u64,
    slow: bool,
}

impl Pace {
    /// For looks so far apart, between which a client has to take so many bytes for each second.
    pub(crate) fn new(apart: Duration, bytes_per_second: u64) -> Self {
        let apart_ms = u64::try_from(apart.as_millis()).unwrap_or(u64::MAX);
        Self { least: apart_ms.saturating_mul(bytes_per_second) / 1000, slow: false }
    }

    /// Whether it takes nothing any more, or next to nothing: seen twice in a row.
    pub(crate) fn is_slow(&mut self, exchange: &Exchange) -> bool {
        let before = std::mem::replace(&mut self.slow, exchange.slow(self.least));
        before && self.slow
    }
}

/// Refuses what nobody behind should see. Of an HTTP/1.1 head only [`strict`]'s verdict is left to tell;
/// HTTP/2 heads are judged here, and get the `Host` that others expect (RFC 9113, 8.3.1).
///
/// # Errors
/// `HOB-0406`, or a code of its own for what is too large or late: what is wrong.
pub(crate) fn check<B>(http2: bool, exchange: &Exchange, request: &mut Request<B>) -> Result<()> {
    if !http2 {
        return match exchange.refusal().filter(|_| strict::is_mark(request)) {
            Some(refusal) => Err(Fault::new(refusal.code, refusal.reason)),
            None => Ok(()),
        };
    }
    let malformed = |why: &str| Err(Fault::new(Code::RequestMalformed, why));
    if *request.method() == Method::CONNECT {
        return malformed(head::NO_PROXY);
    }
    if request.headers().len() > HEADER_COUNT_MAX {
        return Err(Fault::new(head::TOO_MANY.code, head::TOO_MANY.reason));
    }
    if request.uri().path_and_query().is_some_and(|path| path.as_str().len() > URI_BYTES_MAX) {
        return Err(Fault::new(head::URI_TOO_LONG.code, head::URI_TOO_LONG.reason));
    }
    if request.uri().path_and_query().is_some_and(|path| !head::is_target(path.as_str().as_bytes())) {
        return malformed(head::TARGET.reason);
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return malformed("the request has more than one `Host`"),
        (host, None) => host.map(HeaderValue::as_bytes),
    };
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let named = match (authority, host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            return malformed("`Host` and `:authority` name two hosts");
        }
        (None, None) => return malformed("the request has no `:authority`"),
        (Some(named), _) | (None, Some(named)) => named,
    };
    if !head::is_authority(named) {
        return malformed("`:authority` is not a host name");
    }
    let host = HeaderValue::from_bytes(named).map_err(Fault::internal)?;
    request.headers_mut().insert(HOST, host);
    Ok(())
}

/// The same where nobody speaks another protocol than HTTP, whatever is asked for.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_without_upgrades<B>(
    http2: bool,
    exchange: &Exchange,
    request: &mut Request<B>,
) -> Result<()> {
    exchange.decide(Verdict::Http);
    check(http2, exchange, request)
}

/// Reads until it is clear whether the client begins with [`PREFACE`].
async fn first_bytes<S: AsyncRead + Unpin>(socket: &mut S) -> io::Result<BytesMut> {
    let mut first = BytesMut::new();
    loop {
        let read = poll_fn(|context| {
            let mut space = [0u8; FIRST_BYTES_MAX];
            let mut buffer = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut *socket).poll_read(context, &mut buffer))?;
            first.extend_from_slice(buffer.filled());
            Poll::Ready(io::Result::Ok(buffer.filled().len()))
        })
        .await?;
        let length = first.len().min(PREFACE.len());
        if read == 0 || first[..length] != PREFACE[..length] || length == PREFACE.len() {
            return Ok(first);
        }
    }
}
