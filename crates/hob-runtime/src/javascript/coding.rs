//! Compressing and the reverse, a piece at a time (Compression Standard; RFC 1950 to 1952).
//!
//! **How.** A coder takes bytes and gives what becomes of them. The reverse is strict: what is malformed, ends too early or goes
//! on after the end is an error.
//!
//! **Invariants.** However a guest calls, a piece that is taken and what is given for it are bounded here: the runtime's own
//! pieces are small enough, but what runs in an instance may call past it.

use flate2::write::{DeflateEncoder, GzDecoder, GzEncoder, ZlibEncoder};
use flate2::{Compression, Decompress, FlushDecompress, Status};
use hob_core::limit::{JAVASCRIPT_PIECE_BYTES_MAX, JAVASCRIPT_RECODED_BYTES_MAX};
use std::io::{self, Write};

/// What comes out of a decoder at a time, inside.
const PIECE_BYTES: usize = 32 << 10;

/// One stream that is compressed, or the reverse.
pub(crate) enum Coder {
    Deflate(ZlibEncoder<Sink>),
    DeflateRaw(DeflateEncoder<Sink>),
    Gzip(GzEncoder<Sink>),
    Inflate { state: Box<Decompress>, ended: bool },
    Gunzip(GzDecoder<Sink>),
}

/// What has become of one piece; takes no more than it may.
#[derive(Default)]
pub(crate) struct Sink(Vec<u8>);

impl Sink {
    /// Takes all of it, or nothing.
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.0.len() + bytes.len() > JAVASCRIPT_RECODED_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What stands against a piece, as a sentence.
fn wrong(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::FileTooLarge => {
            format!("the data becomes more than {JAVASCRIPT_RECODED_BYTES_MAX} bytes at a time")
        }
        _ => "the compressed data is malformed".to_owned(),
    }
}

impl Coder {
    /// Begins; `None` for a format that is not known.
    pub(crate) fn of(format: &str, compress: bool) -> Option<Self> {
        let level = Compression::default();
        Some(match (format, compress) {
            ("deflate", true) => Self::Deflate(ZlibEncoder::new(Sink::default(), level)),
            ("deflate-raw", true) => Self::DeflateRaw(DeflateEncoder::new(Sink::default(), level)),
            ("gzip", true) => Self::Gzip(GzEncoder::new(Sink::default(), level)),
            ("deflate" | "deflate-raw", false) => {
                Self::Inflate { state: Box::new(Decompress::new(format == "deflate")), ended: false }
            }
            ("gzip", false) => Self::Gunzip(GzDecoder::new(Sink::default())),
            _ => return None,
        })
    }

    /// Takes bytes and gives what becomes of them; `end`: no more follow.
    ///
    /// # Errors
    /// A sentence for data that is no such stream, for a piece above [`JAVASCRIPT_PIECE_BYTES_MAX`], and for one that becomes
    /// more than [`JAVASCRIPT_RECODED_BYTES_MAX`].
    pub(crate) fn feed(&mut self, bytes: &[u8], end: bool) -> Result<Vec<u8>, String> {
        let count = bytes.len();
        if count > JAVASCRIPT_PIECE_BYTES_MAX {
            return Err(format!("a piece has {count} bytes, the limit is {JAVASCRIPT_PIECE_BYTES_MAX}"));
        }
        match self {
            Self::Deflate(coder) => {
                coder
                    .write_all(bytes)
                    .and_then(|()| if end { coder.try_finish() } else { Ok(()) })
                    .map_err(|error| wrong(&error))?;
                Ok(std::mem::take(&mut coder.get_mut().0))
            }
            Self::DeflateRaw(coder) => {
                coder
                    .write_all(bytes)
                    .and_then(|()| if end { coder.try_finish() } else { Ok(()) })
                    .map_err(|error| wrong(&error))?;
                Ok(std::mem::take(&mut coder.get_mut().0))
            }
            Self::Gzip(coder) => {
                coder
                    .write_all(bytes)
                    .and_then(|()| if end { coder.try_finish() } else { Ok(()) })
                    .map_err(|error| wrong(&error))?;
                Ok(std::mem::take(&mut coder.get_mut().0))
            }
            Self::Gunzip(coder) => {
                coder
                    .write_all(bytes)
                    .and_then(|()| if end { coder.try_finish() } else { Ok(()) })
                    .map_err(|error| wrong(&error))?;
                Ok(std::mem::take(&mut coder.get_mut().0))
            }
            Self::Inflate { state, ended } => inflate(state, ended, bytes, end),
        }
    }
}

fn inflate(state: &mut Decompress, ended: &mut bool, mut bytes: &[u8], end: bool) -> Result<Vec<u8>, String> {
    let mut out = Sink::default();
    let mut piece = vec![0; PIECE_BYTES];
    while !*ended {
        let (took, gave) = (state.total_in(), state.total_out());
        let status = state.decompress(bytes, &mut piece, FlushDecompress::None);
        let status = status.map_err(|_| "the compressed data is malformed".to_owned())?;
        let took = usize::try_from(state.total_in() - took).unwrap_or(bytes.len());
        let gave = usize::try_from(state.total_out() - gave).unwrap_or(0);
        out.take(&piece[..gave]).map_err(|error| wrong(&error))?;
        bytes = &bytes[took..];
        *ended = status == Status::StreamEnd;
        // What fills the piece may have more behind it.
        if bytes.is_empty() && gave < piece.len() {
            break;
        }
        if took == 0 && gave == 0 {
            break;
        }
    }
    match (*ended, bytes.is_empty(), end) {
        (true, false, _) => Err("the compressed data goes on after its end".to_owned()),
        (false, _, true) => Err("the compressed data ends too early".to_owned()),
        _ => Ok(out.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Coder, JAVASCRIPT_PIECE_BYTES_MAX, JAVASCRIPT_RECODED_BYTES_MAX};

    fn all(format: &str, compress: bool, bytes: &[u8], piece: usize) -> Result<Vec<u8>, String> {
        let mut coder = Coder::of(format, compress).unwrap();
        let mut out = Vec::new();
        for bytes in bytes.chunks(piece) {
            out.extend(coder.feed(bytes, false)?);
        }
        out.extend(coder.feed(&[], true)?);
        Ok(out)
    }

    #[test]
    fn what_was_compressed_comes_back_and_what_is_broken_is_refused() {
        let text = b"abcd".repeat(100_000);
        for format in ["deflate", "deflate-raw", "gzip"] {
            for piece in [1000, 7, JAVASCRIPT_PIECE_BYTES_MAX] {
                let packed = all(format, true, &text, piece).unwrap();
                assert!(packed.len() < 4000, "{format}: {}", packed.len());
                assert_eq!(
                    all(format, false, &packed, piece).as_deref(),
                    Ok(text.as_slice()),
                    "{format} {piece}"
                );
                let short = &packed[..packed.len() - 9];
                assert!(all(format, false, short, piece).is_err(), "{format} {piece} ends early");
                let long = [packed.as_slice(), b"more"].concat();
                assert!(all(format, false, &long, piece).is_err(), "{format} {piece} goes on");
                assert!(
                    all(format, false, b"no such thing, whatever it is", piece).is_err(),
                    "{format} {piece}"
                );
            }
        }
        assert!(Coder::of("br", true).is_none());
    }
    /// What a guest gets by calling past the runtime, which gives pieces of [`JAVASCRIPT_PIECE_BYTES_MAX`].
    #[test]
    fn neither_a_piece_nor_what_becomes_of_it_passes_its_limit() {
        let zeros = vec![0; 4 * JAVASCRIPT_RECODED_BYTES_MAX];
        for format in ["deflate", "deflate-raw", "gzip"] {
            let bomb = all(format, true, &zeros, JAVASCRIPT_PIECE_BYTES_MAX).unwrap();
            for compress in [true, false] {
                let refused = Coder::of(format, compress).unwrap().feed(&bomb, false).unwrap_err();
                assert!(refused.contains("the limit is 8192"), "{format} {compress}: {refused}");
            }
            // The densest stream in whole pieces is as it always was.
            let mut coder = Coder::of(format, false).unwrap();
            let pieces = bomb.chunks(JAVASCRIPT_PIECE_BYTES_MAX);
            let most = pieces.map(|piece| coder.feed(piece, false).unwrap().len()).max().unwrap();
            assert!(
                most > JAVASCRIPT_RECODED_BYTES_MAX / 2 && most <= JAVASCRIPT_RECODED_BYTES_MAX,
                "{format}: {most}"
            );
        }
        let mut sink = super::Sink::default();
        assert!(sink.take(&zeros[..JAVASCRIPT_RECODED_BYTES_MAX]).is_ok() && sink.take(&[0]).is_err());
        assert_eq!(sink.0.len(), JAVASCRIPT_RECODED_BYTES_MAX);
    }
}
