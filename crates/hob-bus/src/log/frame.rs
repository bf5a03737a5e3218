//! How a record lies in a file, and how it is told from anything else.
//!
//! **Why.** A reader that comes to damaged bytes has to find the next whole record, and must never take
//! something for a record that is none: not a torn write, and not a payload that was made to look like one.
//!
//! **How.** Little-endian, each frame begins at a multiple of 8:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | the topic's magic number |
//! | 4 | CRC-32 of everything behind it, begun with the topic's seed |
//! | 4 | length of the payload; the highest bit: a key follows the head |
//! | 2 | how many records of its batch come after it |
//! | 2 | how many records before it were not known to be on disk when it was written; `0xffff`: unknown |
//! | 8 | sequence |
//! | 8 | time, milliseconds since the Unix epoch |
//! | 0 or 16 | the beginning of the SHA-256 of its key |
//! | … | payload, then zeros up to a multiple of 8 |
//!
//! Magic and seed are random for each topic ([`Salt`]), so nobody outside can write a payload that holds
//! a valid frame.

use hob_core::digest::Digest;
use hob_core::limit::EVENT_BYTES_MAX;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

/// The part of a frame that is always there.
pub(super) const HEAD_BYTES: usize = 32;
const KEY_BYTES: usize = 16;
const KEYED: u32 = 1 << 31;
/// The largest frame.
pub(super) const FRAME_BYTES_MAX: usize = HEAD_BYTES + KEY_BYTES + EVENT_BYTES_MAX + 8;
/// What stands before the first frame of a segment.
pub(super) const SEGMENT_HEAD_BYTES: u64 = SEGMENT_HEAD as u64;
/// The same, for arrays.
pub(super) const SEGMENT_HEAD: usize = 64;
/// Records of one batch.
pub(super) const BATCH_RECORDS_MAX: usize = u16::MAX as usize;
/// Stands for a number of records that does not fit.
const UNKNOWN: u16 = u16::MAX;

const SEGMENT_MAGIC: &[u8; 8] = b"HOBSEG1\n";

/// What a topic's frames are told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Salt {
    pub(super) magic: u32,
    pub(super) seed: u32,
}

impl Salt {
    /// A new one; the magic number is never that of empty space.
    pub(super) fn random() -> Self {
        let random = RandomState::new().hash_one(0).to_le_bytes();
        let half = |at: usize| u32::try_from(number::<4>(&random, at)).unwrap_or_default();
        Self { magic: half(0) | 1, seed: half(4) }
    }
}

/// A record without its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) sequence: u64,
    pub(super) time_ms: u64,
    /// Records of its batch that come after it.
    pub(super) rest: u16,
    /// Records before it that were not known to be on disk; `None`: unknown.
    pub(super) unsynced: Option<u64>,
    pub(super) key: Option<u128>,
}

impl Head {
    /// All records before this one were on disk when the frame was written; 0 when that is unknown.
    pub(super) fn synced_before(&self) -> u64 {
        self.unsynced.map_or(0, |unsynced| self.sequence.saturating_sub(unsynced))
    }
}

/// What is found at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A valid frame: its head, where the payload is, and the length of all of it.
    Frame(Head, Range<usize>, usize),
    /// Perhaps a frame, but this many bytes are needed to know.
    More(usize),
    /// Zeros, as in space that was never written.
    Empty,
    /// Something else.
    Bad,
}

/// Sixteen bytes that stand for a key.
pub(super) fn key_hash(key: &[u8]) -> u128 {
    let digest = Digest::of(key);
    let (start, _) = digest.bytes().split_first_chunk().expect("a digest has 32 bytes");
    u128::from_le_bytes(*start)
}

/// The length of a frame.
pub(super) fn frame_bytes(payload: usize, keyed: bool) -> usize {
    (HEAD_BYTES + if keyed { KEY_BYTES } else { 0 } + payload).next_multiple_of(8)
}

/// Adds a frame to a buffer.
pub(super) fn encode(buffer: &mut Vec<u8>, salt: Salt, head: &Head, payload: &[u8]) {
    let start = buffer.len();
    let length = u32::try_from(payload.len()).expect("payloads are checked against the limit");
    let keyed = if head.key.is_some() { KEYED } else { 0 };
    let unsynced = head.unsynced.and_then(|unsynced| u16::try_from(unsynced).ok()).unwrap_or(UNKNOWN);
    buffer.extend_from_slice(&salt.magic.to_le_bytes());
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&(length | keyed).to_le_bytes());
    buffer.extend_from_slice(&head.rest.to_le_bytes());
    buffer.extend_from_slice(&unsynced.to_le_bytes());
    buffer.extend_from_slice(&head.sequence.to_le_bytes());
    buffer.extend_from_slice(&head.time_ms.to_le_bytes());
    if let Some(key) = head.key {
        buffer.extend_from_slice(&key.to_le_bytes());
    }
    buffer.extend_from_slice(payload);
    let sum = checksum(salt.seed, &buffer[start + 8..]);
    buffer[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
    buffer.resize(start + frame_bytes(payload.len(), head.key.is_some()), 0);
}

/// What is at the beginning of `bytes`.
pub(super) fn decode(bytes: &[u8], salt: Salt) -> Found {
    let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else { return Found::More(HEAD_BYTES) };
    if number::<4>(head, 0) != u64::from(salt.magic) {
        return if head.iter().all(|byte| *byte == 0) { Found::Empty } else { Found::Bad };
    }
    let length = number::<4>(head, 8);
    let keyed = length & u64::from(KEYED) != 0;
    let length = usize::try_from(length & !u64::from(KEYED)).unwrap_or(usize::MAX);
    if length > EVENT_BYTES_MAX {
        return Found::Bad;
    }
    let start = HEAD_BYTES + if keyed { KEY_BYTES } else { 0 };
    let whole = frame_bytes(length, keyed);
    if bytes.len() < whole {
        return Found::More(whole);
    }
    if number::<4>(head, 4) != u64::from(checksum(salt.seed, &bytes[8..start + length])) {
        return Found::Bad;
    }
    let unsynced = number::<2>(head, 14);
    let key = bytes[HEAD_BYTES..].first_chunk().filter(|_| keyed).map(|key| u128::from_le_bytes(*key));
    let head = Head {
        sequence: number::<8>(head, 16),
        time_ms: number::<8>(head, 24),
        rest: u16::try_from(number::<2>(head, 12)).unwrap_or_default(),
        unsynced: (unsynced != u64::from(UNKNOWN)).then_some(unsynced),
        key,
    };
    Found::Frame(head, start..start + length, whole)
}

/// A little-endian number of `N` bytes.
pub(super) fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut whole = [0; 8];
    whole[..N].copy_from_slice(&bytes[at..at + N]);
    u64::from_le_bytes(whole)
}

/// CRC-32 that begins with a seed.
pub(super) fn checksum(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}

/// The head of a segment whose first record has sequence `base`.
pub(super) fn segment_head(salt: Salt, base: u64) -> [u8; SEGMENT_HEAD] {
    let mut head = [0; SEGMENT_HEAD];
    head[..8].copy_from_slice(SEGMENT_MAGIC);
    head[8..16].copy_from_slice(&base.to_le_bytes());
    head[16..20].copy_from_slice(&salt.magic.to_le_bytes());
    head[20..24].copy_from_slice(&salt.seed.to_le_bytes());
    let sum = checksum(0, &head[..60]);
    head[60..].copy_from_slice(&sum.to_le_bytes());
    head
}

/// The salt in a segment's head, if that is whole and belongs to `base`.
pub(super) fn segment_salt(head: &[u8], base: u64) -> Option<Salt> {
    let head = head.first_chunk::<SEGMENT_HEAD>()?;
    let part = |at: usize| u32::try_from(number::<4>(head, at)).unwrap_or_default();
    let salt = Salt { magic: part(16), seed: part(20) };
    (*head == segment_head(salt, base)).then_some(salt)
}

/// What is on a disk may be anything: frames are read out of these bytes, and what was written is read again.
pub(crate) fn fuzz(bytes: &[u8]) {
    let salt = Salt { magic: 1, seed: 7 };
    let _ = segment_salt(bytes, 0);
    if let Found::Frame(_, payload, whole) = decode(bytes, salt) {
        assert!(payload.end <= whole && whole <= bytes.len(), "a frame lies in what was read");
    }
    let head = Head { sequence: 1, time_ms: 2, rest: 0, unsynced: Some(0), key: None };
    let mut buffer = Vec::new();
    encode(&mut buffer, salt, &head, bytes);
    let found = decode(&buffer, salt);
    assert!(matches!(found, Found::Frame(_, payload, _) if buffer[payload.clone()] == *bytes));
}

#[cfg(test)]
mod tests {
    use super::{Found, Head, Salt, decode, encode};

    #[test]
    fn a_frame_comes_back_and_no_changed_bit_passes() {
        let salt = Salt::random();
        for (payload, key) in [(&b""[..], None), (b"hello", Some(7)), (&[9; 300], None)] {
            let head = Head { sequence: 5, time_ms: 99, rest: 3, unsynced: Some(2), key };
            let mut bytes = Vec::new();
            encode(&mut bytes, salt, &head, payload);
            let Found::Frame(found, range, whole) = decode(&bytes, salt) else { panic!("not found") };
            assert_eq!((found, &bytes[range.clone()], whole), (head, payload, bytes.len()));
            assert_eq!(decode(&bytes[..31], salt), Found::More(32));
            assert_eq!(decode(&bytes, Salt { seed: salt.seed ^ 1, ..salt }), Found::Bad);
            for bit in 0..range.end * 8 {
                let mut damaged = bytes.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(!matches!(decode(&damaged, salt), Found::Frame(..)), "bit {bit}");
            }
        }
        assert_eq!(decode(&[0; 64], salt), Found::Empty);
    }
}
