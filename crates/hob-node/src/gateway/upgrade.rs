//! WebSockets and other upgrades: once both sides have agreed, bytes are copied both ways.
//!
//! **How.** The request keeps its `Upgrade` header and carries hyper's `OnUpgrade` in its extensions.
//! The contract does the handshake with the function and answers 101 with the function's `OnUpgrade` in
//! the reply's extensions. The call goes on until both sides are done: its place in the pool, its
//! revision and its connection are held so long. Its deadline ends with the handshake.

use super::forward;
use super::peer::{Busy, Peer};
use super::strict::Verdict;
use crate::live::LiveRevision;
use crate::task::Tasks;
use hob_runtime::body::{self, Body};
use http::header::HeaderValue;
use http::{Request, Response, request};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::sync::Arc;

/// A request to switch protocols.
pub(super) struct Upgrade {
    protocol: HeaderValue,
    client: OnUpgrade,
}

impl Upgrade {
    /// What the request asks for; `None` when it asks for nothing that a function could grant.
    pub(super) fn asked(request: &mut Request<Incoming>, peer: &Peer) -> Option<Self> {
        let bare = !peer.http2 && request.body().is_end_stream();
        let protocol = forward::upgrade(request.headers()).filter(|_| bare);
        if protocol.is_none() {
            // What HTTP/1.1 input asked for and nobody grants: the connection goes on as HTTP.
            peer.exchange.decide(Verdict::Http);
        }
        Some(Self { protocol: protocol?, client: hyper::upgrade::on(request) })
    }

    /// Tells the function.
    pub(super) fn announce(&self, parts: &mut request::Parts) {
        forward::insert_upgrade(&mut parts.headers, self.protocol.clone());
        parts.extensions.insert(self.client.clone());
    }

    /// The function did not agree.
    pub(super) fn refuse(self, peer: &Peer) {
        peer.exchange.decide(Verdict::Http);
    }

    /// The function agreed: from the response on, its bytes and the client's are each other's.
    pub(super) fn accept(
        self,
        response: &mut Response<Body>,
        peer: &Peer,
        tasks: &Tasks,
        hold: (Busy, Option<Arc<LiveRevision>>),
    ) {
        peer.exchange.decide(Verdict::Upgraded);
        let function = hyper::upgrade::on(&mut *response);
        // The pool's place lies in the extensions.
        let place = (
            std::mem::take(response.extensions_mut()),
            std::mem::replace(response.body_mut(), body::empty()),
        );
        tasks.start("upgrade", async move {
            let _hold = (hold, place);
            if let Err(error) = join(self.client, function).await {
                tracing::debug!(%error, "an upgraded connection ends");
            }
        });
    }
}

async fn join(
    client: OnUpgrade,
    function: OnUpgrade,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (client, function) = tokio::try_join!(client, function)?;
    let (mut client, mut function) = (TokioIo::new(client), TokioIo::new(function));
    tokio::io::copy_bidirectional(&mut client, &mut function).await?;
    Ok(())
}
