//! Room for the bodies of requests that are read whole: what comes takes it piece by piece, and gives it back at its end.
//!
//! **Why.** A body that is read whole is memory that somebody outside chooses. What is announced is not reckoned, only what
//! has come: else who announces much and sends nothing would keep everybody else out.
//!
//! **How.** There are two parts, in bytes. Strangers have one of them and no more, each client address a share of that;
//! whoever belongs to the node has the other, and what is free of the strangers'. Who finds no room waits in a queue, for a
//! while, and is refused then: so bodies that wait for each other come to an end. A small body that is there at once costs
//! one look at its part.
//!
//! **Not here:** how long a whole body may take, which is whoever's that reads it.

use crate::sync::lock;
use bytes::{Bytes, BytesMut};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{
    INGRESS_CLIENT_SHARE, INGRESS_OUTSIDE_SHARE, INGRESS_SMALL_BYTES_MAX, INGRESS_WAIT_MAX,
};
use hob_core::share::door::Client;
use hob_core::unit::{show_bytes, show_duration};
use hob_runtime::body::{self, Body};
use http_body::Body as _;
use http_body_util::BodyExt;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, TryAcquireError};
use tokio::time::timeout;

/// Room for bodies, in bytes.
pub(crate) struct Room {
    /// What is kept for whoever belongs to the node.
    inside: Semaphore,
    /// What strangers may have.
    outside: Semaphore,
    /// What one client of these may have.
    client_bytes: usize,
    /// What is left to each client that has something.
    clients: Mutex<HashMap<Client, Arc<Semaphore>>>,
    /// How long a piece waits.
    wait: Duration,
}

/// What one body has of it, until this is dropped.
pub(crate) struct Held<'a> {
    room: &'a Room,
    /// Bytes of each part.
    inside: usize,
    outside: usize,
    /// The stranger who sends it; `None`: it comes from inside.
    client: Option<Client>,
    /// What is counted for that client.
    share: Option<(Arc<Semaphore>, usize)>,
}

impl Room {
    /// Room for so many bytes, of which strangers have a part; no body has more than `most`.
    pub(crate) fn shared(bytes: usize, most: usize) -> Self {
        let outside = bytes / INGRESS_OUTSIDE_SHARE;
        Self::new(bytes - outside, outside, most, INGRESS_WAIT_MAX)
    }

    /// Room for so many bytes of strangers alone; no body has more than `most`.
    pub(crate) fn of_strangers(bytes: usize, most: usize) -> Self {
        Self::new(0, bytes, most, INGRESS_WAIT_MAX)
    }

    fn new(inside: usize, outside: usize, most: usize, wait: Duration) -> Self {
        Self {
            inside: Semaphore::new(inside),
            outside: Semaphore::new(outside),
            client_bytes: (outside / INGRESS_CLIENT_SHARE).max(most),
            clients: Mutex::default(),
            wait,
        }
    }

    /// The bytes of a body that may have `most`, and their room; `client` is the stranger who sends it, if one does.
    ///
    /// # Errors
    /// `HOB-0802` when it has more, at once when it says so; `HOB-0817` when there is no room; and the body's own faults.
    pub(crate) async fn collect(
        &self,
        mut body: Body,
        most: usize,
        client: Option<Client>,
    ) -> Result<(Bytes, Held<'_>)> {
        if body.size_hint().lower() > most as u64 {
            if client.is_none() {
                // Neither functions nor commands look at an answer before they have sent all, and a connection that is closed
                // meanwhile loses it.
                body::skip(&mut body, 2 * most).await;
            }
            return Err(too_large(most));
        }
        let mut held = Held { room: self, inside: 0, outside: 0, client, share: None };
        let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if data.len() > most - held.bytes() {
                return Err(too_large(most));
            }
            held.take(data.len(), body.is_end_stream()).await?;
            if first.is_empty() {
                first = data;
                continue;
            }
            // Copied: pieces that are kept as they come cost more than their bytes, which many small ones would use.
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
        Ok((if rest.is_empty() { first } else { rest.freeze() }, held))
    }

    /// What is left to a client.
    fn share(&self, client: Client) -> Arc<Semaphore> {
        let mut clients = lock(&self.clients);
        Arc::clone(clients.entry(client).or_insert_with(|| Arc::new(Semaphore::new(self.client_bytes))))
    }
}

impl Held<'_> {
    fn bytes(&self) -> usize {
        self.inside + self.outside
    }

    /// Takes room for a piece; `ends` says that nothing comes behind it.
    async fn take(&mut self, bytes: usize, ends: bool) -> Result<()> {
        let Some(client) = self.client else { return self.take_inside(bytes).await };
        let small = ends && self.bytes() == 0 && bytes <= INGRESS_SMALL_BYTES_MAX;
        if !small {
            let share = self.share.get_or_insert_with(|| (self.room.share(client), 0));
            let scarce = " among those of its client's address";
            acquire(&share.0, bytes, self.room.wait, scarce).await?;
            share.1 += bytes;
        }
        acquire(&self.room.outside, bytes, self.room.wait, "").await?;
        self.outside += bytes;
        Ok(())
    }

    async fn take_inside(&mut self, bytes: usize) -> Result<()> {
        if try_acquire(&self.room.inside, bytes)? {
            self.inside += bytes;
        } else if try_acquire(&self.room.outside, bytes)? {
            self.outside += bytes;
        } else {
            acquire(&self.room.inside, bytes, self.room.wait, "").await?;
            self.inside += bytes;
        }
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        for (part, bytes) in [(&self.room.inside, self.inside), (&self.room.outside, self.outside)] {
            if bytes > 0 {
                part.add_permits(bytes);
            }
        }
        let (Some(client), Some((share, bytes))) = (self.client, self.share.take()) else { return };
        share.add_permits(bytes);
        let mut clients = lock(&self.room.clients);
        // Under the lock, so that of two which end at once the later one finds itself the last.
        drop(share);
        if clients.get(&client).is_some_and(|left| Arc::strong_count(left) == 1) {
            clients.remove(&client);
        }
    }
}

/// Takes so many bytes of a part if they are free and nobody waits for them.
fn try_acquire(part: &Semaphore, bytes: usize) -> Result<bool> {
    match part.try_acquire_many(permits(bytes)) {
        Ok(permit) => permit.forget(),
        Err(TryAcquireError::NoPermits) => return Ok(false),
        Err(TryAcquireError::Closed) => return Err(Fault::internal("the room for bodies is closed")),
    }
    Ok(true)
}

/// Takes so many bytes of a part, in time.
async fn acquire(part: &Semaphore, bytes: usize, wait: Duration, scarce: &str) -> Result<()> {
    if try_acquire(part, bytes)? {
        return Ok(());
    }
    match timeout(wait, part.acquire_many(permits(bytes))).await {
        Ok(Ok(permit)) => permit.forget(),
        Ok(Err(closed)) => return Err(Fault::internal(closed)),
        Err(_) => return Err(full(wait, scarce)),
    }
    Ok(())
}

/// A piece is at most as large as a body may be, which is far below what this can count.
fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn full(wait: Duration, scarce: &str) -> Fault {
    let time = show_duration(wait);
    let what = format!("no room for the request's body came free within {time}{scarce}");
    let after_s = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1);
    Fault::new(Code::IngressFull, what)
        .hint("send it again later; smaller batches, and fewer large ones at a time, need less room")
        .retry_after(after_s)
}

/// That a body has more than it may.
pub(crate) fn too_large(most: usize) -> Fault {
    Fault::new(Code::EventTooLarge, format!("the body has more than {}", show_bytes(most as u64)))
        .hint("send less at once, or put the data elsewhere and name it with `dataref`")
}

#[cfg(test)]
mod tests;
