//! Publishers: closed loops that publish one event, or one batch, and wait for its acknowledgement.
//!
//! **Why.** Each side is spoken to by as little code as will do: a few kept bytes per request, one
//! connection for each publisher, no client library. The generator shares the machine with what it
//! measures, so a heavier client on one side would be measured too.
//!
//! **How.** [`bare`] is the limit, in this process; [`hob`] is HTTP/1.1; [`nats`] is the NATS protocol.
//! Every acknowledgement is read and checked, and each side says afterwards how many events it holds.

pub(crate) mod bare;
pub(crate) mod hob;
pub(crate) mod nats;

use crate::Result;
use crate::client::{Outcome, join};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// Data of one event, on every side.
pub(crate) const DATA: [u8; 256] = [b'x'; 256];
/// Digits of an event's `id`.
const ID_DIGITS: usize = 16;
/// Longest wait for one acknowledgement.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(30);

/// No two events of a run have one `id`: a second one would be dropped as a duplicate.
static IDS: AtomicU64 = AtomicU64::new(0);

/// Writes the next `id` into its place.
fn number(place: &mut [u8]) {
    let mut rest = IDS.fetch_add(1, Ordering::Relaxed);
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).expect("a digit");
        rest /= 10;
    }
}

/// Where events go.
#[derive(Clone, Debug)]
pub(crate) enum Log {
    Bare(bare::Bare),
    Nats(nats::Stream),
    Hob(hob::Route),
    /// Bare hyper, which keeps nothing: the limit of what comes over HTTP.
    Hyper(hob::Route),
}

impl Log {
    async fn open(&self) -> Result<Publisher> {
        Ok(match self {
            Self::Bare(log) => Publisher::Bare(log.clone()),
            Self::Nats(stream) => Publisher::Nats(Box::new(stream.open().await?)),
            Self::Hob(route) | Self::Hyper(route) => Publisher::Hob(Box::new(route.open().await?)),
        })
    }

    /// Events that it has ever taken, by its own account; `None`: it keeps none.
    pub(crate) async fn stored(&self) -> Result<Option<u64>> {
        Ok(match self {
            Self::Bare(log) => Some(log.stored()?),
            Self::Nats(stream) => Some(stream.stored().await?),
            Self::Hob(route) => Some(route.stored().await?),
            Self::Hyper(_) => None,
        })
    }
}

/// One publisher with its connection.
enum Publisher {
    Bare(bare::Bare),
    Nats(Box<nats::Connection>),
    Hob(Box<hob::Connection>),
}

impl Publisher {
    /// Publishes once and waits for the acknowledgement.
    async fn publish(&mut self) -> Result<()> {
        let publish = async {
            match self {
                Self::Bare(log) => log.publish().await,
                Self::Nats(connection) => connection.publish().await,
                Self::Hob(connection) => connection.publish().await,
            }
        };
        tokio::time::timeout(ACKNOWLEDGE_TIMEOUT, publish).await?
    }
}

/// `publishers` loops for `time`; connecting is not counted. `correct` counts acknowledgements.
pub(crate) async fn steady(log: &Log, publishers: usize, time: Duration) -> Result<Outcome> {
    let start = Arc::new(Barrier::new(publishers));
    let mut loops = JoinSet::new();
    for _ in 0..publishers {
        let (log, start) = (log.clone(), Arc::clone(&start));
        loops.spawn(async move {
            let opened = log.open().await;
            start.wait().await;
            one_loop(opened, &log, time).await
        });
    }
    join(loops).await
}

async fn one_loop(opened: Result<Publisher>, log: &Log, time: Duration) -> Outcome {
    let begun = Instant::now();
    let mut outcome = Outcome::default();
    match opened {
        Err(error) => outcome.add(begun, Err(error)),
        Ok(mut publisher) => {
            while begun.elapsed() < time {
                let started = Instant::now();
                let acknowledged = publisher.publish().await;
                let broken = acknowledged.is_err();
                outcome.add(started, acknowledged);
                if broken {
                    match log.open().await {
                        Ok(fresh) => publisher = fresh,
                        Err(_) => break,
                    }
                }
            }
        }
    }
    outcome.elapsed = begun.elapsed();
    outcome
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_written_in_place_and_never_twice() {
        let (mut first, mut second) = ([0; 16], [0; 16]);
        super::number(&mut first);
        super::number(&mut second);
        assert!(first < second && second.iter().all(u8::is_ascii_digit), "{first:?} {second:?}");
    }
}
