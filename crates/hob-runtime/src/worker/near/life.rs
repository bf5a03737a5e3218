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
            let done: Result<(), String> = match turn {
                Turn::Busy => {
                    watch.come_close(now);
                    Ok(())
                }
                Turn::Look => {
                    let resident_bytes = resident_bytes(child.id());
                    if resident_bytes > *memory_bytes_max {
                        let most = show_bytes(*memory_bytes_max);
                        return Some(format!(
                            "it had {} of memory, more than {most}",
                            show_bytes(resident_bytes)
                        ));
                    }
                    let waited = link.upgrade()?.waiting.load(Ordering::Acquire) > 0;
                    watch.look(now, waited).map(|asks| ping |= asks)
                }
                Turn::Ordered(order) => {
                    outgoing = Some(order?);
                    Ok(())
                }
                Turn::Sent(Ok(true)) => {
                    outgoing = None;
                    watch.sent(ordered.is_empty());
                    Ok(())
                }
                Turn::Sent(Ok(false)) => {
                    watch.held_back(now);
                    Ok(())
                }
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

#[cfg(test)]
mod tests {
    use super::{ENDED, Life, Link, Reader, Supervision};
    use crate::worker::wire::{FRAME_BYTES_MAX, HEAD_BYTES, Kind};
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::sync::mpsc;

    /// What stands in a worker's place, and the far end of its control connection.
    fn life() -> (Arc<Link>, Life, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let child = tokio::process::Command::new("sleep").arg("1000").kill_on_drop(true).spawn().unwrap();
        let supervision = Supervision {
            ping_interval: Duration::from_millis(1),
            silence_max: Duration::from_millis(20),
            ..Supervision::default()
        };
        let (orders, ordered) = mpsc::unbounded_channel();
        let link = Arc::new(Link::of(1, 0, orders, &supervision));
        let life = Life {
            child,
            stream: tokio::net::UnixStream::from_std(near).unwrap(),
            reader: Reader::new(FRAME_BYTES_MAX, false),
            errors: None,
            ordered,
            busy: Arc::clone(&link.busy),
            end: link.end.clone(),
            memory_bytes_max: u64::MAX,
            supervision,
        };
        (link, life, far)
    }

    fn framed(kind: Kind, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind as u8];
        bytes.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
        bytes.extend(content);
        bytes
    }

    /// A captured worker sent answers to nothing without an end: a thread of the node did nothing else, and nobody looked
    /// at that worker any more.
    #[tokio::test]
    async fn who_floods_its_control_connection_is_ended() {
        let totals = framed(Kind::Totals, &0_u64.to_le_bytes());
        let loaded = framed(Kind::Loaded, &[0; 9]);
        for (flood, why) in [
            (framed(Kind::Pong, &[]), "it broke the rules: an answer that nobody has asked for"),
            (totals, "it broke the rules: more notices than there is time for"),
            (loaded, "it broke the rules: code that it was not told to load"),
            (framed(Kind::Data, &[]), "it broke the rules: a notice that is none"),
        ] {
            let (link, mut life, mut far) = life();
            // As fast as it can, until the other end is closed.
            let flooding = std::thread::spawn(move || while far.write_all(&flood).is_ok() {});
            assert_eq!(life.carry(&Arc::downgrade(&link)).await.as_deref(), Some(why));
            drop(life);
            flooding.join().unwrap();
        }
    }

    /// What a worker never finishes keeps nobody from looking at it.
    #[tokio::test]
    async fn who_sends_a_frame_in_small_parts_is_looked_at() {
        let (link, mut life, mut far) = life();
        life.memory_bytes_max = 0;
        let _waited = link.waited();
        let mut flood = framed(Kind::Totals, &vec![0; FRAME_BYTES_MAX]);
        flood.truncate(FRAME_BYTES_MAX);
        let flooding = std::thread::spawn(move || {
            for byte in flood {
                if far.write_all(&[byte]).is_err() {
                    return true;
                }
            }
            false
        });
        let why = life.carry(&Arc::downgrade(&link)).await.unwrap();
        assert!(why.contains("of memory"), "{why}");
        drop(life);
        assert!(flooding.join().unwrap(), "only when it had said all");
    }

    /// Orders that never end, to a worker that takes none: it is ended, and was looked at and listened to until then.
    #[tokio::test]
    async fn who_takes_no_orders_is_ended() {
        let (link, mut life, far) = life();
        for function in 0..100_000 {
            link.unload(function);
        }
        let why = life.carry(&Arc::downgrade(&link)).await;
        assert_eq!(why.as_deref(), Some("it takes no orders"));
        drop(far);
    }

    /// Orders come whole and one after the other, however they are cut, while the worker speaks.
    #[tokio::test]
    async fn orders_and_notices_pass_each_other() {
        const ORDERS: u64 = 20_000;
        let (link, mut life, mut far) = life();
        // However slow the machine is.
        life.supervision.silence_max = Duration::from_secs(60);
        for function in 0..ORDERS {
            link.unload(function);
        }
        let worker = std::thread::spawn(move || {
            // It says much before it reads, as a node that only spoke would never hear.
            for _ in 0..1000 {
                far.write_all(&framed(Kind::Totals, &0_u64.to_le_bytes())).unwrap();
            }
            let mut frame = [0; HEAD_BYTES + 8];
            for function in 0..ORDERS {
                far.read_exact(&mut frame).unwrap();
                assert_eq!(frame[..], framed(Kind::Unload, &function.to_le_bytes())[..]);
            }
        });
        assert_eq!(life.carry(&Arc::downgrade(&link)).await.as_deref(), Some(ENDED));
        worker.join().unwrap();
    }
}
