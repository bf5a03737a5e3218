//! What is known about one connection, made once and used by each of its requests.

use super::unsent::{Giver, Total, Unsent};
use crate::allowance::Running;
use crate::listener::Place;
use crate::settings::Clients;
use crate::sync::lock;
use crate::wire::Exchange;
use hob_core::share::door::Client;
use hob_core::unit::millis;
use http::HeaderValue;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One connection.
pub(super) struct Peer {
    /// The other end.
    pub(super) address: SocketAddr,
    /// Whether it uses TLS.
    pub(super) secure: bool,
    /// Whether it speaks HTTP/2.
    pub(super) http2: bool,
    /// What its client may do.
    pub(super) clients: Clients,
    /// What the service tells the reader of the connection's bytes, and the other way round.
    pub(super) exchange: Arc<Exchange>,
    /// The other end for `X-Forwarded-For`.
    forwarded_for: HeaderValue,
    /// The newest host that was asked for, and what `Forwarded` says of it: nearly always the next one's.
    forwarded: Mutex<Option<(Box<[u8]>, HeaderValue)>>,
    began: Instant,
    /// Requests whose answers have not ended.
    active: AtomicU32,
    /// Milliseconds after `began` at which the last one ended.
    idle_since_ms: AtomicU64,
    /// What the client has not taken yet of the answers of HTTP/2, whose windows no socket tells of.
    pub(super) unsent: Arc<Unsent>,
    /// What keeps it counted.
    pub(super) place: Place,
}

impl Peer {
    pub(super) fn new(
        address: SocketAddr,
        secure: bool,
        http2: bool,
        (clients, place): (Clients, Place),
        exchange: Arc<Exchange>,
        unsent: Total,
    ) -> Arc<Self> {
        let forwarded_for = HeaderValue::try_from(address.ip().to_canonical().to_string())
            .expect("an IP address is a header value");
        Arc::new(Self {
            address,
            secure,
            http2,
            clients,
            exchange,
            forwarded_for,
            forwarded: Mutex::default(),
            began: Instant::now(),
            active: AtomicU32::new(0),
            idle_since_ms: AtomicU64::new(0),
            unsent: Unsent::new(unsent),
            place,
        })
    }

    /// How long the connection has had no request; zero while it has one, or has not taken all of an answer.
    pub(super) fn idle(&self) -> Duration {
        if self.active.load(Ordering::Relaxed) > 0 || self.unsent.any() {
            return Duration::ZERO;
        }
        let since = Duration::from_millis(self.idle_since_ms.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(since)
    }

    /// What an answer is given away with; `None` for HTTP/1.1, whose socket tells what is taken.
    pub(super) fn giver(&self) -> Option<Giver> {
        self.http2.then(|| self.unsent.giver())
    }

    /// Whose share of what strangers may have counts.
    pub(super) fn client(&self) -> Client {
        Client::of(self.address.ip())
    }

    /// The scheme, for `Forwarded` and `X-Forwarded-Proto`.
    pub(super) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// The other end, for `X-Forwarded-For`.
    pub(super) fn forwarded_for(&self) -> &HeaderValue {
        &self.forwarded_for
    }

    /// The other end, the host it asked for and the scheme, for `Forwarded` (RFC 7239, 4).
    pub(super) fn forwarded(&self, host: Option<&HeaderValue>) -> Option<HeaderValue> {
        let host = host.map(HeaderValue::as_bytes).unwrap_or_default();
        let mut known = lock(&self.forwarded);
        if let Some((_, forwarded)) = known.as_ref().filter(|(known, _)| **known == *host) {
            return Some(forwarded.clone());
        }
        let text = std::str::from_utf8(host).unwrap_or_default();
        let forwarded = HeaderValue::try_from(self.forwarded_text(text)).ok()?;
        // A copy: a piece of the connection's own buffer would keep that from being used again.
        *known = Some((host.into(), forwarded.clone()));
        Some(forwarded)
    }

    fn forwarded_text(&self, host: &str) -> String {
        let mut text = String::with_capacity(64);
        // Writing to a `String` cannot fail.
        let _ = match self.address.ip().to_canonical() {
            IpAddr::V4(ip) => write!(text, "for={ip}"),
            IpAddr::V6(ip) => write!(text, "for=\"[{ip}]\""),
        };
        if !host.is_empty() {
            let _ = write!(text, ";host=\"{host}\"");
        }
        let _ = write!(text, ";proto={}", self.scheme());
        text
    }
}

/// Counts a request until its answer has ended.
pub(super) struct Busy(pub(super) Arc<Peer>, Option<Running>);

impl Busy {
    pub(super) fn new(peer: &Arc<Peer>) -> Self {
        peer.active.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(peer), None)
    }

    /// It counts for its space too.
    pub(super) fn counts(&mut self, running: Option<Running>) {
        self.1 = running;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let now = millis(self.0.began.elapsed());
        self.0.idle_since_ms.store(now, Ordering::Relaxed);
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}
