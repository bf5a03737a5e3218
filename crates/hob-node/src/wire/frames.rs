//! Whether an HTTP/2 connection floods: its bytes, weighed against those that carry something.
//!
//! **Why.** Pings, settings and empty frames cost as much as requests and are bounded by nothing in the protocol (RFC 9113,
//! 10.5): each has to be answered or at least looked at, by a thread that answers others as well.
//!
//! **How.** [`Frames`] sees what comes in and goes out, and reads nothing of it but the heads of frames (RFC 9113,
//! 4.1). Heads, bodies and answers carry something; everything else may take [`H2_FRAMES_FREE_BYTES`], and
//! [`H2_FRAMES_PER_BYTE`] bytes for each byte that carries. A client that does its work never comes near.

use hob_core::limit::{H2_FRAMES_FREE_BYTES, H2_FRAMES_PER_BYTE};

/// With what an HTTP/2 client begins (RFC 9113, 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length of the head of a frame (RFC 9113, 4.1).
const HEAD_BYTES: usize = 9;
/// Kinds of frames that carry something (RFC 9113, 6.1, 6.2, 6.10): DATA, HEADERS, CONTINUATION.
const CARRYING: [u8; 3] = [0, 1, 9];
/// Kinds that are answered with a frame of their own, of at most so many bytes (RFC 9113, 6.5, 6.7): SETTINGS, PING.
const ANSWERED: [u8; 2] = [4, 6];
const ANSWER_BYTES: u64 = 17;

/// The frames of one connection.
#[derive(Debug)]
pub(super) struct Frames {
    /// What is still to come before the first frame: the preface.
    before: usize,
    /// The head of the next frame, as far as it is there.
    head: [u8; HEAD_BYTES],
    have: usize,
    /// What is still to come of the frame.
    left: usize,
    total: u64,
    carried: u64,
    written: u64,
    /// At most so many bytes were written only because of what was asked for by [`ANSWERED`].
    answers: u64,
}

impl Frames {
    /// A connection that begins with [`PREFACE`].
    pub(super) fn new() -> Self {
        Self {
            before: PREFACE.len(),
            head: [0; HEAD_BYTES],
            have: 0,
            left: 0,
            total: 0,
            carried: 0,
            written: 0,
            answers: 0,
        }
    }

    /// So many bytes have gone out.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    /// These bytes have come in; whether the connection floods.
    pub(super) fn flood(&mut self, bytes: &[u8]) -> bool {
        self.total += bytes.len() as u64;
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = if self.before > 0 {
                take(&mut self.before, rest)
            } else if self.left > 0 {
                take(&mut self.left, rest)
            } else {
                self.take_head(rest)
            };
            rest = &rest[taken..];
        }
        let carried = self.carried + self.written.saturating_sub(self.answers);
        self.total > H2_FRAMES_FREE_BYTES.saturating_add(carried.saturating_mul(H2_FRAMES_PER_BYTE))
    }

    fn take_head(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(HEAD_BYTES - self.have);
        self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
        self.have += taken;
        if self.have == HEAD_BYTES {
            let [a, b, c, kind, ..] = self.head;
            (self.have, self.left) = (0, u32::from_be_bytes([0, a, b, c]) as usize);
            if CARRYING.contains(&kind) {
                self.carried += self.left as u64;
            } else if ANSWERED.contains(&kind) {
                self.answers += ANSWER_BYTES;
            }
        }
        taken
    }
}

/// Takes of `bytes` what is still to come; how many.
fn take(left: &mut usize, bytes: &[u8]) -> usize {
    let taken = bytes.len().min(*left);
    *left -= taken;
    taken
}

/// Whatever comes in whatever pieces, the same is seen.
pub(crate) fn fuzz(bytes: &[u8]) {
    let (mut whole, mut pieces) = (Frames::new(), Frames::new());
    let flood = whole.flood(bytes);
    let (first, rest) = bytes.split_at(bytes.len() / 3);
    pieces.flood(first);
    let last = rest.iter().fold(false, |_, byte| pieces.flood(&[*byte]));
    assert!(rest.is_empty() || flood == last, "{whole:?} {pieces:?}");
    assert_eq!((whole.left, whole.have, whole.carried), (pieces.left, pieces.have, pieces.carried));
}

#[cfg(test)]
mod tests {
    use super::{Frames, PREFACE};

    fn frame(kind: u8, length: u8) -> Vec<u8> {
        [&[0, 0, length, kind, 0, 0, 0, 0, 1][..], &vec![7; usize::from(length)]].concat()
    }

    #[test]
    fn what_carries_nothing_floods_and_what_works_does_not() {
        const MUCH: usize = 16 << 20;
        // What comes, what goes out for each, whether that floods.
        for (what, frames, written, floods) in [
            ("pings", frame(6, 8), 17, true),
            ("settings", frame(4, 6), 9, true),
            ("empty settings", frame(4, 0), 9, true),
            ("empty data", frame(0, 0), 0, true),
            ("empty continuations", frame(9, 0), 0, true),
            ("windows for nothing", frame(8, 4), 0, true),
            ("priorities", frame(2, 5), 0, true),
            ("frames of no kind", frame(77, 200), 0, true),
            ("small requests", frame(1, 20), 30, false),
            ("requests that are reset, which others see to", [frame(1, 20), frame(3, 4)].concat(), 0, false),
            ("messages of 4 bytes", frame(0, 4), 13, false),
            ("windows of a download", frame(8, 4), 16_384, false),
            ("pings of a download", [frame(6, 8), frame(8, 4)].concat(), 16_401, false),
        ] {
            let mut connection = Frames::new();
            assert!(!connection.flood(PREFACE));
            let flooded = (0..MUCH / frames.len()).any(|_| {
                connection.wrote(written);
                connection.flood(&frames)
            });
            assert_eq!(flooded, floods, "{what}");
        }
    }
}
