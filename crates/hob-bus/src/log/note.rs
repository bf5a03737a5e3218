//! The small checked files beside a topic's segments.
//!
//! **How.** `meta` (what the topic's frames are told by, and the first kept sequence) is replaced whole
//! and synced. `acknowledged` (up to where records are on disk) is written in place after each sync and
//! not synced itself: it may be behind, never ahead of what the disk holds. `damage` lists what was
//! found damaged, so that it is reported after a restart too and put into quarantine once.
//! Each ends with a CRC-32 whose seed says which of them it is.

use super::disk::Disk;
use super::frame::{Salt, checksum, number};
use hob_core::port::Damage;
use std::io;
use std::path::{Path, PathBuf};

/// Names of the files.
pub(super) const META: &str = "meta";
pub(super) const ACKNOWLEDGED: &str = "acknowledged";
pub(super) const DAMAGE: &str = "damage";

const META_SEED: u32 = 0x6d65_7461;
const ACKNOWLEDGED_SEED: u32 = 0x6163_6b64;
const DAMAGE_SEED: u32 = 0x6461_6d67;

/// What `meta` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) salt: Salt,
    pub(super) first: u64,
}

/// What `acknowledged` says: everything before this place is on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Acknowledged {
    pub(super) first: u64,
    pub(super) next: u64,
    /// The segment that was written.
    pub(super) base: u64,
    /// Its end.
    pub(super) offset: u64,
    /// When the last record was appended.
    pub(super) time_ms: u64,
}

fn seal(mut bytes: Vec<u8>, seed: u32) -> Vec<u8> {
    let sum = checksum(seed, &bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// The content, if it is whole.
pub(super) fn unseal(bytes: &[u8], seed: u32) -> Option<&[u8]> {
    let (content, sum) = bytes.split_last_chunk::<4>()?;
    (checksum(seed, content) == u32::from_le_bytes(*sum)).then_some(content)
}

/// Numbers one behind the other, with their checksum.
pub(super) fn numbers(list: &[u64], seed: u32) -> Vec<u8> {
    seal(list.iter().flat_map(|number| number.to_le_bytes()).collect(), seed)
}

/// The other way; `None` when it is not whole.
pub(super) fn read_numbers(bytes: &[u8], seed: u32) -> Option<Vec<u64>> {
    let content = unseal(bytes, seed)?;
    Some(content.chunks_exact(8).map(|chunk| number::<8>(chunk, 0)).collect())
}

impl Meta {
    pub(super) fn encode(&self) -> Vec<u8> {
        let salt = u64::from(self.salt.magic) << 32 | u64::from(self.salt.seed);
        numbers(&[salt, self.first], META_SEED)
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let [salt, first] = read_numbers(bytes, META_SEED)?.try_into().ok()?;
        let half = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default();
        Some(Self { salt: Salt { magic: half(salt >> 32), seed: half(salt) }, first })
    }
}

impl Acknowledged {
    pub(super) fn encode(&self) -> Vec<u8> {
        numbers(&[self.first, self.next, self.base, self.offset, self.time_ms], ACKNOWLEDGED_SEED)
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let [first, next, base, offset, time_ms] = read_numbers(bytes, ACKNOWLEDGED_SEED)?.try_into().ok()?;
        Some(Self { first, next, base, offset, time_ms })
    }
}

/// One damage: the segment in which it was, and what is told of it.
pub(super) type Found = (u64, Damage);

/// One line each: segment, first, last, file.
pub(super) fn encode_damage(list: &[Found]) -> Vec<u8> {
    let line = |(segment, damage): &Found| {
        format!("{segment} {} {} {}\n", damage.first, damage.last, damage.file.display())
    };
    seal(list.iter().map(line).collect::<String>().into_bytes(), DAMAGE_SEED)
}

pub(super) fn decode_damage(bytes: &[u8]) -> Option<Vec<Found>> {
    let text = std::str::from_utf8(unseal(bytes, DAMAGE_SEED)?).ok()?;
    let parse = |line: &str| {
        let mut words = line.splitn(4, ' ');
        let mut number = || words.next()?.parse().ok();
        let (segment, first, last) = (number()?, number()?, number()?);
        Some((segment, Damage { first, last, file: PathBuf::from(words.next()?) }))
    };
    text.lines().map(parse).collect()
}

/// Replaces a file whole: after a power failure it is the old or the new one.
pub(super) fn replace(disk: &dyn Disk, folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = folder.join(format!("{name}.new"));
    let file = disk.open(&new, true)?;
    file.set_length(0)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    disk.rename(&new, &folder.join(name))?;
    disk.sync_folder(folder)
}

/// A small file; `None` when there is none.
pub(super) fn read(disk: &dyn Disk, folder: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
    match disk.read(&folder.join(name)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
