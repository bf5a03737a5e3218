//! Follows a chunked body byte by byte, strictly, to know where it ends (RFC 9112, 7.1).
//!
//! **Why.** The place where a body ends is the place where the next request begins. What is written in
//! an unusual way (a bare LF, a sign or a space beside the size, an endless extension) is where two
//! programs disagree, and nobody needs it: it is refused.
//!
//! **How.** [`Chunked::step`] is a state machine over pieces of any size. It only watches; hyper decodes.

use hob_core::limit::HEADER_BYTES_MAX;

/// Where in a chunked body the next byte lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// In a chunk's size, of which `digits` digits say `size` so far.
    Size { size: u64, digits: u8 },
    /// In the extension after a size, which nobody reads (RFC 9112, 7.1.1).
    Extension { size: u64, bytes: u8 },
    /// At the LF after a size.
    SizeLineFeed { size: u64 },
    /// That many bytes before the end of a chunk's data.
    Data { left: u64 },
    /// At the CR after a chunk's data.
    DataReturn,
    /// At the LF after a chunk's data.
    DataLineFeed,
    /// In the trailer section, `bytes` after its start and `column` after the start of a line.
    Trailer { bytes: usize, column: usize },
    /// At the LF of a line of the trailer section.
    TrailerLineFeed { bytes: usize, column: usize },
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All of it belongs to the body, which goes on.
    More,
    /// The body ended after that many bytes.
    End(usize),
    /// It is not a chunked body; the first that many bytes were still right.
    Broken(usize),
}

/// Digits of a chunk's size: enough for 2^60 - 1 bytes, too few to overflow.
const SIZE_DIGITS_MAX: u8 = 15;

impl Chunked {
    /// The start of a body.
    pub(super) const START: Self = Self::Size { size: 0, digits: 0 };

    /// Looks at the next bytes.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Step {
        let mut at = 0;
        while at < bytes.len() {
            if let Self::Data { left } = self {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                *left -= taken as u64;
                at += taken;
                if *left == 0 {
                    *self = Self::DataReturn;
                }
                continue;
            }
            let byte = bytes[at];
            if matches!((&*self, byte), (Self::TrailerLineFeed { column: 0, .. }, b'\n')) {
                return Step::End(at + 1);
            }
            match self.after(byte) {
                Some(next) => *self = next,
                None => return Step::Broken(at),
            }
            at += 1;
        }
        Step::More
    }

    /// The state after one byte that is not a chunk's data; `None` when it must not come here.
    fn after(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F')
                if digits < SIZE_DIGITS_MAX =>
            {
                let digit = u64::from((byte as char).to_digit(16)?);
                Some(Self::Size { size: size * 16 + digit, digits: digits + 1 })
            }
            (Self::Size { size, digits: 1.. }, b';') => Some(Self::Extension { size, bytes: 0 }),
            (Self::Extension { size, bytes }, b'\t' | b' '..=b'~') if bytes < u8::MAX => {
                Some(Self::Extension { size, bytes: bytes + 1 })
            }
            (Self::Size { size, digits: 1.. } | Self::Extension { size, .. }, b'\r') => {
                Some(Self::SizeLineFeed { size })
            }
            (Self::SizeLineFeed { size: 0 }, b'\n') => Some(Self::Trailer { bytes: 0, column: 0 }),
            (Self::SizeLineFeed { size }, b'\n') => Some(Self::Data { left: size }),
            (Self::DataReturn, b'\r') => Some(Self::DataLineFeed),
            (Self::DataLineFeed, b'\n') => Some(Self::START),
            (Self::Trailer { bytes, .. }, _) if bytes >= HEADER_BYTES_MAX => None,
            (Self::Trailer { bytes, column }, b'\r') => Some(Self::TrailerLineFeed { bytes, column }),
            (Self::Trailer { column: 0, .. }, b' ' | b'\t') => None,
            (Self::Trailer { bytes, column }, b'\t' | b' '..=b'~' | 0x80..) => {
                Some(Self::Trailer { bytes: bytes + 1, column: column + 1 })
            }
            (Self::TrailerLineFeed { bytes, .. }, b'\n') => Some(Self::Trailer { bytes, column: 0 }),
            _ => None,
        }
    }
}

/// In pieces a body ends where it ends in one.
pub(super) fn fuzz(bytes: &[u8]) {
    let mut whole = Chunked::START;
    let ends = whole.step(bytes);
    let mut one = Chunked::START;
    let mut pieces = Step::More;
    for (at, byte) in bytes.iter().enumerate() {
        pieces = match one.step(std::slice::from_ref(byte)) {
            Step::More => continue,
            Step::End(length) => Step::End(at + length),
            Step::Broken(length) => Step::Broken(at + length),
        };
        break;
    }
    assert_eq!(pieces, ends, "a body ends in the same place however it comes");
}

#[cfg(test)]
mod tests {
    use super::{Chunked, Step};

    #[test]
    fn a_body_ends_at_one_place_however_it_is_cut() {
        for (body, expected) in [
            ("0\r\n\r\n", Step::End(5)),
            ("3\r\nabc\r\n0\r\n\r\nGET", Step::End(13)),
            ("A\r\n0123456789\r\n00\r\nx: y\r\n\r\n", Step::End(27)),
            ("3\r\nabc\r\n", Step::More),
            ("3\r\nabcd\r\n", Step::Broken(6)),
            ("3\nabc\r\n", Step::Broken(1)),
            ("3;x=\"y\"\r\nabc\r\n", Step::More),
            ("3;x\nabc\r\n", Step::Broken(3)),
            ("3 \r\nabc\r\n", Step::Broken(1)),
            ("+3\r\nabc\r\n", Step::Broken(0)),
            ("0x3\r\nabc\r\n", Step::Broken(1)),
            ("\r\n", Step::Broken(0)),
            ("1000000000000000\r\n", Step::Broken(15)),
            ("0\r\nx: y\n\r\n", Step::Broken(7)),
            ("0\r\n folded\r\n\r\n", Step::Broken(3)),
            ("0\r\nx\0\r\n\r\n", Step::Broken(4)),
        ] {
            let whole = Chunked::START.step_all(&[body.as_bytes()]);
            let pieces: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
            assert_eq!((whole, Chunked::START.step_all(&pieces)), (expected, expected), "{body:?}");
        }
    }

    impl Chunked {
        fn step_all(mut self, pieces: &[&[u8]]) -> Step {
            let mut at = 0;
            for piece in pieces {
                match self.step(piece) {
                    Step::More => at += piece.len(),
                    Step::End(end) => return Step::End(at + end),
                    Step::Broken(end) => return Step::Broken(at + end),
                }
            }
            Step::More
        }
    }
}
