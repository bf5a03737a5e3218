//! Compressing and the reverse, a piece at a time (Compression Standard; RFC 1950 to 1952).
//!
//! **How.** A coder takes bytes and gives what becomes of them. The reverse is strict: what is malformed, ends too early or goes
//! on after the end is an error.

use flate2::write::{DeflateEncoder, GzDecoder, GzEncoder, ZlibEncoder};
use flate2::{Compression, Decompress, FlushDecompress, Status};
use std::io::Write as _;

/// What comes out of a decoder at a time, inside.
const PIECE_BYTES: usize = 32 << 10;

/// One stream that is compressed, or the reverse.
pub(crate) enum Coder {
    Deflate(ZlibEncoder<Vec<u8>>),
    DeflateRaw(DeflateEncoder<Vec<u8>>),
    Gzip(GzEncoder<Vec<u8>>),
    Inflate { state: Box<Decompress>, ended: bool },
    Gunzip(GzDecoder<Vec<u8>>),
}

impl Coder {
    /// Begins; `None` for a format that is not known.
    pub(crate) fn of(format: &str, compress: bool) -> Option<Self> {
        let level = Compression::default();
        Some(match (format, compress) {
            ("deflate", true) => Self::Deflate(ZlibEncoder::new(Vec::new(), level)),
            ("deflate-raw", true) => Self::DeflateRaw(DeflateEncoder::new(Vec::new(), level)),
            ("gzip", true) => Self::Gzip(GzEncoder::new(Vec::new(), level)),
            ("deflate" | "deflate-raw", false) => {
                Self::Inflate { state: Box::new(Decompress::new(format == "deflate")), ended: false }
            }
            ("gzip", false) => Self::Gunzip(GzDecoder::new(Vec::new())),
            _ => return None,
        })
    }

    /// Takes bytes and gives what becomes of them; `end`: no more follow.
    ///
    /// # Errors
    /// A sentence for data that is no such stream.
    pub(crate) fn feed(&mut self, bytes: &[u8], end: bool) -> Result<Vec<u8>, String> {
        let wrong = |_: std::io::Error| "the compressed data is malformed".to_owned();
        match self {
            Self::Deflate(coder) => {
                coder
                    .write_all(bytes)
                    .and_then(|()| if end { coder.try_finish() } else { Ok(()) })
                    .map_err(wrong)?;
                Ok(std::mem::take(coder.get_mut()))
            }
            Self::DeflateRaw(coder) => {
                coder
                    .write_all(bytes)
                    .and_then(|()| if end { coder.try_finish() } else { Ok(()) })
                    .map_err(wrong)?;
                Ok(std::mem::take(coder.get_mut()))
            }
            Self::Gzip(coder) => {
                coder
                    .write_all(bytes)
                    .and_then(|()| if end { coder.try_finish() } else { Ok(()) })
                    .map_err(wrong)?;
                Ok(std::mem::take(coder.get_mut()))
            }
            Self::Gunzip(coder) => {
                coder
                    .write_all(bytes)
                    .and_then(|()| if end { coder.try_finish() } else { Ok(()) })
                    .map_err(wrong)?;
                Ok(std::mem::take(coder.get_mut()))
            }
            Self::Inflate { state, ended } => inflate(state, ended, bytes, end),
        }
    }
}

fn inflate(state: &mut Decompress, ended: &mut bool, mut bytes: &[u8], end: bool) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut piece = vec![0; PIECE_BYTES];
    while !*ended {
        let (took, gave) = (state.total_in(), state.total_out());
        let status = state.decompress(bytes, &mut piece, FlushDecompress::None);
        let status = status.map_err(|_| "the compressed data is malformed".to_owned())?;
        let took = usize::try_from(state.total_in() - took).unwrap_or(bytes.len());
        let gave = usize::try_from(state.total_out() - gave).unwrap_or(0);
        out.extend_from_slice(&piece[..gave]);
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
        _ => Ok(out),
    }
}

#[cfg(test)]
mod tests {
    use super::Coder;

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
            for piece in [1000, 7, 1 << 20] {
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
}
