//! A worker process as it lives: its control connection is carried, and it is watched, until its end.
//!
//! **How.** One task speaks, listens and looks. [`Watch`] says when to look next, and what a look or a frame means; it
//! knows no clock.
//!
//! **Invariants.** Nothing that a worker sends, and nothing that is to be sent to it, keeps the task from its looks or
//! the thread from other tasks.

use super::link::{Link, Waiting};
use super::watch::Watch;
use crate::environment::Supervision;
use crate::worker::control::{Order, Reader};
use crate::worker::lane::Lost;
use crate::worker::wire::{Broken, Frame, Kind};
use hob_core::name::SpaceName;
use hob_core::unit::show_bytes;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// Bytes of a worker's last words that are kept.
const WORDS_BYTES_MAX: usize = 4 << 10;
/// How long these are waited for, once it is gone.
const WORDS_TIMEOUT: Duration = Duration::from_secs(1);

/// What a process needs as long as it lives.
pub(super) struct Life {
    pub(super) child: Child,
    pub(super) stream: UnixStream,
    pub(super) reader: Reader,
    pub(super) errors: Option<ChildStderr>,
    pub(super) ordered: mpsc::UnboundedReceiver<Waiting>,
    /// Told when the first lane is used.
    pub(super) busy: Arc<Notify>,
    pub(super) end: CancellationToken,
    /// Memory of its process.
    pub(super) memory_bytes_max: u64,
    pub(super) supervision: Supervision,
}

impl Life {
    /// Until its end.
    pub(super) async fn live(mut self, link: Weak<Link>, dead: CancellationToken) {
        let why = self.carry(&link).await;
        let retired = link.upgrade().is_none_or(|link| link.is_retired());
        let _ = self.child.start_kill();
        let status = self.child.wait().await.map(|status| status.to_string()).unwrap_or_default();
        let words = last_words(&mut self.errors).await;
        let why = why.unwrap_or_else(|| "it was not needed any more".to_owned());
        if let Some(link) = link.upgrade() {
            let _ = link.why.set(format!("{why} ({status}) {words}"));
            let space = link.space.get().map(SpaceName::as_str).unwrap_or_default();
            if retired {
                tracing::debug!(space, worker = link.number, why, status, "a worker was ended");
            } else {
                tracing::warn!(space, worker = link.number, why, status, words, "a worker has ended");
            }
        }
        dead.cancel();
    }

    /// Carries orders and notices until the end, and says why that has come.
    async fn carry(&mut self, link: &Weak<Link>) -> Option<String> {
        let Self { child, stream, reader, ordered, busy, end, memory_bytes_max, supervision, .. } = self;
        let mut watch = Watch::new(*supervision, Instant::now());
        // What could not be sent at once, and a ping that comes after it.
        let (mut outgoing, mut ping): (Option<Waiting>, bool) = (None, false);
        loop {
            if outgoing.is_none() && std::mem::take(&mut ping) {
                watch.pinged();
                outgoing = Some(Waiting::of(Order::new(Kind::Ping, None, |_| {})));
            }
            let turn = tokio::select! {
                biased;
                () = end.cancelled() => return Some("it has ended, or the node has ended it".to_owned()),
                // Whatever it sends or wants, it is looked at.
                () = sleep_until(watch.next().into()) => Turn::Look,
                () = busy.notified(), if !watch.is_close() => Turn::Busy,
                turn = converse(stream, (ordered, &mut outgoing), reader) => turn,
                _ = child.wait() => return Some(ENDED.to_owned()),
            };
            let now = Instant::now();
            let done = match turn {
                Turn::Busy => Ok(watch.come_close(now)),
                Turn::Look => {
                    let resident_bytes = resident_bytes(child.id());
                    if resident_bytes > *memory_bytes_max {
                        let most = show_bytes(*memory_bytes_max);
                        return Some(format!("it had {} of memory, more than {most}", show_bytes(resident_bytes)));
                    }
                    let waited = link.upgrade()?.waiting.load(Ordering::Acquire) > 0;
                    watch.look(now, waited).map(|asks| ping |= asks)
                }
                Turn::Ordered(order) => Ok(outgoing = Some(order?)),
                Turn::Sent(Ok(true)) => {
                    outgoing = None;
                    Ok(watch.sent(ordered.is_empty()))
                }
                Turn::Sent(Ok(false)) => Ok(watch.held_back(now)),
                Turn::Sent(Err(_)) | Turn::Heard(Err(Lost::Gone)) => Err(ENDED.to_owned()),
                Turn::Heard(Err(Lost::Broken(broken))) => Err(broke(&broken)),
                Turn::Heard(Ok((frame, _))) => {
                    let link = link.upgrade()?;
                    let heard = watch.heard(frame.kind, now).and_then(|()| link.notice(frame));
                    heard.map_err(|broken| broke(&broken))
                }
            };
            if let Err(why) = done {
                return Some(why);
            }
        }
    }
}

const ENDED: &str = "it has ended";

fn broke(broken: &Broken) -> String {
    format!("it broke the rules: {broken}")
}

/// What is next on a control connection.
enum Turn {
    Look,
    Busy,
    /// Something is to be sent.
    Ordered(Option<Waiting>),
    /// Whether all of it has gone.
    Sent(Result<bool, Lost>),
    Heard(Result<(Frame, Option<OwnedFd>), Lost>),
}

/// Speaks and listens in turns: neither orders nor notices wait for the end of the others. Dropped, nothing is lost.
async fn converse(
    stream: &UnixStream,
    (ordered, outgoing): (&mut mpsc::UnboundedReceiver<Waiting>, &mut Option<Waiting>),
    reader: &mut Reader,
) -> Turn {
    let speak = async {
        match outgoing {
            None => Turn::Ordered(ordered.recv().await),
            Some(waiting) => Turn::Sent(waiting.order.send_some(stream).await),
        }
    };
    tokio::select! {
        turn = speak => turn,
        heard = reader.next(stream) => Turn::Heard(heard),
    }
}

/// Resident memory of a process; 0 where the system does not say.
fn resident_bytes(pid: Option<u32>) -> u64 {
    let statm =
        pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()).unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default();
    pages.saturating_mul(rustix::param::page_size() as u64)
}

/// What a worker has said on its standard error, as far as it is kept.
pub(super) async fn last_words(errors: &mut Option<ChildStderr>) -> String {
    let Some(errors) = errors else { return String::new() };
    let mut words = vec![0; WORDS_BYTES_MAX];
    let mut read = 0;
    while let Ok(Ok(more)) = timeout(WORDS_TIMEOUT, errors.read(&mut words[read..])).await {
        if more == 0 {
            break;
        }
        read += more;
    }
    hob_core::log_line::harmless(&words[..read])
}
