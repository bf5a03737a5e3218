//! What the clients of HTTP/2 have not taken yet of their answers.
//!
//! **Why.** hyper gives h2 a whole piece of a body as soon as one byte of it may be sent, and h2 keeps it for as long as the client
//! likes; by then the answer has ended for everybody else. No socket tells of that: it is the window of a stream that is closed.
//! So a client that asks for much and takes nothing would have the node remember all of it (CVE-2019-9517).
//!
//! **How.** Answers are given away in small pieces, each a copy that counts for as long as it exists: for its connection and for
//! the node. Where there are too many, the next ones wait; each connection may always have one. An answer of which nothing has
//! been taken for long ends its connection ([`Unsent::stalls`]), also when it has long ended here.
//!
//! **Not here:** HTTP/1.1, whose socket tells ([`crate::wire::Pace`]).

use crate::sync::lock;
use bytes::Bytes;
use hob_core::limit::{H2_PIECE_BYTES, H2_STREAMS_MAX, H2_UNSENT_ALL_BYTES_MAX, H2_UNSENT_BYTES_MAX};
use hob_core::unit::millis;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// What all connections of a node have not taken, bytes.
#[derive(Clone, Default)]
pub(super) struct Total(Arc<AtomicUsize>);

/// What one connection has not taken.
pub(super) struct Unsent {
    began: Instant,
    bytes: AtomicUsize,
    total: Total,
    /// Its answers that wait until something is taken.
    full: Mutex<Vec<Waker>>,
    waits: Mutex<Vec<Weak<Wait>>>,
}

/// What one answer waits for, and since when.
pub(super) struct Wait {
    connection: Arc<Unsent>,
    /// Milliseconds after the connection began at which the client took something, or there was something to take again.
    since_ms: AtomicU64,
    /// Whether it is the client's turn: there is more, or may be.
    turn: AtomicBool,
    /// Pieces that have been given away and not been taken.
    pieces: AtomicUsize,
}

/// An answer's side of its [`Wait`], which may go on without it.
pub(super) struct Giver(Arc<Wait>);

/// A piece of an answer: it counts until the client has taken it.
struct Piece {
    bytes: Box<[u8]>,
    wait: Arc<Wait>,
}

impl Unsent {
    pub(super) fn new(total: Total) -> Arc<Self> {
        let (full, waits) = (Mutex::default(), Mutex::default());
        Arc::new(Self { began: Instant::now(), bytes: AtomicUsize::new(0), total, full, waits })
    }

    /// For an answer that begins.
    pub(super) fn giver(self: &Arc<Self>) -> Giver {
        let wait = Arc::new(Wait {
            connection: Arc::clone(self),
            since_ms: AtomicU64::new(self.now_ms()),
            turn: AtomicBool::new(true),
            pieces: AtomicUsize::new(0),
        });
        let mut waits = lock(&self.waits);
        if waits.len() >= 2 * H2_STREAMS_MAX as usize {
            waits.retain(|wait| wait.strong_count() > 0);
        }
        waits.push(Arc::downgrade(&wait));
        Giver(wait)
    }

    /// Whether an answer has waited so long for the client.
    pub(super) fn stalls(&self, long: Duration) -> bool {
        let now = self.now_ms();
        let late = |wait: Arc<Wait>| {
            let waits = wait.turn.load(Ordering::Relaxed) || wait.pieces.load(Ordering::Relaxed) > 0;
            waits && now.saturating_sub(wait.since_ms.load(Ordering::Relaxed)) >= millis(long)
        };
        lock(&self.waits).iter().filter_map(Weak::upgrade).any(late)
    }

    /// Whether the client has something that it has not taken.
    pub(super) fn any(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > 0
    }

    fn now_ms(&self) -> u64 {
        millis(self.began.elapsed())
    }

    /// Whether another piece may be given away.
    fn has_room(&self) -> bool {
        let own = self.bytes.load(Ordering::Acquire);
        let all = self.total.0.load(Ordering::Relaxed);
        let fits = |bytes: usize, most| bytes + H2_PIECE_BYTES <= most;
        own == 0 || (fits(own, H2_UNSENT_BYTES_MAX) && fits(all, H2_UNSENT_ALL_BYTES_MAX))
    }

    fn gave(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.total.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn took(&self, bytes: usize) {
        self.total.0.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        lock(&self.full).drain(..).for_each(Waker::wake);
    }
}

impl Giver {
    /// It is the function's turn: nobody waits for the client but for what he has been given.
    pub(super) fn for_function(&self) {
        self.0.turn.store(false, Ordering::Relaxed);
    }

    /// It is the client's turn: there is a piece for him, once there is room for it.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let Wait { connection, since_ms, turn, pieces } = &*self.0;
        if !turn.swap(true, Ordering::Relaxed) && pieces.load(Ordering::Relaxed) == 0 {
            since_ms.store(connection.now_ms(), Ordering::Relaxed);
        }
        if connection.has_room() {
            return Poll::Ready(());
        }
        let mut full = lock(&connection.full);
        // Something may have been taken meanwhile, by whom the list was still empty.
        if connection.has_room() {
            return Poll::Ready(());
        }
        full.push(cx.waker().clone());
        Poll::Pending
    }

    /// The next piece of what there is, of at most [`H2_PIECE_BYTES`].
    pub(super) fn piece(&self, rest: &mut Bytes) -> Bytes {
        let bytes = rest.split_to(rest.len().min(H2_PIECE_BYTES));
        self.0.connection.gave(bytes.len());
        self.0.pieces.fetch_add(1, Ordering::Relaxed);
        self.0.since_ms.store(self.0.connection.now_ms(), Ordering::Relaxed);
        // A copy: a slice would keep all of what it is a slice of.
        Bytes::from_owner(Piece { bytes: Box::from(&*bytes), wait: Arc::clone(&self.0) })
    }
}

impl Drop for Giver {
    fn drop(&mut self) {
        self.for_function();
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.wait.since_ms.store(self.wait.connection.now_ms(), Ordering::Relaxed);
        self.wait.pieces.fetch_sub(1, Ordering::Relaxed);
        self.wait.connection.took(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Bytes, Duration, H2_PIECE_BYTES, H2_UNSENT_ALL_BYTES_MAX, H2_UNSENT_BYTES_MAX, Total, Unsent,
    };
    use futures_util::task::noop_waker_ref;
    use std::task::Context;

    const NO_TIME: Duration = Duration::ZERO;

    #[test]
    fn no_more_is_given_than_there_is_room_for_and_one_piece_always() {
        let cx = Context::from_waker(noop_waker_ref());
        let total = Total::default();
        let much = || Bytes::from(vec![7; 2 * H2_UNSENT_BYTES_MAX]);
        let (mut given, mut all) = (Vec::new(), 0);
        let connections: Vec<_> = (0..200).map(|_| Unsent::new(total.clone())).collect();
        for connection in &connections {
            let (giver, mut rest, mut own) = (connection.giver(), much(), 0);
            while giver.poll_room(&cx).is_ready() {
                let piece = giver.piece(&mut rest);
                assert!(piece.len() <= H2_PIECE_BYTES && piece.iter().all(|byte| *byte == 7));
                own += piece.len();
                given.push(piece);
            }
            assert!((H2_PIECE_BYTES..=H2_UNSENT_BYTES_MAX).contains(&own), "{own}");
            all += own;
        }
        assert!(all <= H2_UNSENT_ALL_BYTES_MAX + connections.len() * H2_PIECE_BYTES, "{all}");
        given.clear();
        assert!(connections.iter().all(|connection| connection.giver().poll_room(&cx).is_ready()));
    }

    #[test]
    fn who_is_waited_for_is_known_also_when_the_answer_has_ended() {
        let connection = Unsent::new(Total::default());
        let giver = connection.giver();
        assert!(connection.stalls(NO_TIME), "the client may take the head");
        giver.for_function();
        assert!(!connection.stalls(NO_TIME));
        let piece = giver.piece(&mut Bytes::from_static(b"x"));
        giver.for_function();
        assert!(connection.stalls(NO_TIME));
        drop(giver);
        assert!(connection.stalls(NO_TIME) && !connection.stalls(Duration::from_secs(3600)));
        drop(piece);
        assert!(!connection.stalls(NO_TIME));
    }
}
