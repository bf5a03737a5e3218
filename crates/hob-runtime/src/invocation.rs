//! One call of a function: an HTTP request with its context, and the response.
//!
//! **Why.** Every trigger becomes one of these and every contract translates from it, so N triggers
//! and M contracts meet in one type.
//!
//! **How.** The request's URI has path and query only; `Host` is as the caller sent it; hop-by-hop
//! headers are gone (RFC 9110, 7.6.1). A WebSocket or other upgrade travels as
//! `hyper::upgrade::OnUpgrade` in the extensions of request and response.

use crate::body::Body;
use hob_core::id::InvocationId;
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::trace::TraceContext;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is known about a call besides the request itself.
#[derive(Debug)]
pub struct Context {
    /// This call.
    pub id: InvocationId,
    /// Its trace; the span id is this call's.
    pub trace: TraceContext,
    /// The app.
    pub app: AppName,
    /// The revision that handles it, and every call it causes.
    pub revision: RevisionNumber,
    /// The function.
    pub function: FunctionName,
    /// When it has to be over.
    pub deadline: Instant,
    /// How many functions called each other before this one; 0 for a call from outside.
    pub depth: u32,
    /// How many events caused each other before this call; 0 when none did. Set by the node alone.
    pub hops: u32,
    /// Whether the caller used TLS.
    pub secure: bool,
    /// The caller's address, where there is one.
    pub peer: Option<SocketAddr>,
    /// The pattern that matched, such as `/users/{id}`.
    pub route: Option<String>,
    /// Where the time went.
    pub timing: Timing,
}

/// A call on its way to a function.
#[derive(Debug)]
pub struct Invocation {
    /// What is known about it; shared with logs and outgoing calls.
    pub context: std::sync::Arc<Context>,
    /// The request.
    pub request: http::Request<Body>,
}

/// A function's answer.
pub type Reply = http::Response<Body>;

/// Phases of one call, in microseconds; written by the pool, read for `Server-Timing`.
#[derive(Debug, Default)]
pub struct Timing {
    queue_us: AtomicU64,
    start_us: AtomicU64,
    cold: AtomicBool,
}

impl Timing {
    /// The call waited this long for an instance.
    pub fn queued(&self, time: Duration) {
        self.queue_us.store(micros(time), Ordering::Relaxed);
    }
    /// The call caused an instance to start, which took this long.
    pub fn started(&self, time: Duration) {
        self.start_us.store(micros(time), Ordering::Relaxed);
        self.cold.store(true, Ordering::Relaxed);
    }
    /// Microseconds of waiting for an instance.
    pub fn queue_us(&self) -> u64 {
        self.queue_us.load(Ordering::Relaxed)
    }
    /// Microseconds of starting an instance.
    pub fn start_us(&self) -> u64 {
        self.start_us.load(Ordering::Relaxed)
    }
    /// Whether an instance had to be started for this call.
    pub fn cold(&self) -> bool {
        self.cold.load(Ordering::Relaxed)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
