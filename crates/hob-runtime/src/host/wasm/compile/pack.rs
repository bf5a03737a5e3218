//! Compiled functions that are kept for other components with the same code.
//!
//! **Why.** Components of one toolchain hold the same language runtime: of two Python functions every
//! compiled function is the same, and only their data differs. Compiling it once is enough.
//!
//! **How.** A pack is a file of what one compiler made, named by the digest of the component's code
//! sections. A compiler reads the packs that share a section with its component, takes from them what
//! Cranelift asks for by the SHA-256 of a function's whole input (its code, all compiler settings,
//! Cranelift's version), and leaves what it made in a file beside its output.
//!
//! ```text
//! "hobpack1" · fingerprint · number of sections · digests of sections · entries: key (32) · length (4) · check (8) · bytes
//! ```
//!
//! **Who may write.** A compiler reads hostile code, and what it makes is machine code that the node runs: in its own process, or
//! in a worker where there are strangers. A compiler that was taken over can write nothing but its own output
//! ([`super::confine`]), and the node would take that for a pack. So spaces, which are strangers to each other, have a folder each. It is
//! kept from making a mishap last: only the node puts files among the packs, only those of a compiler that ended
//! well, never in place of one that is there and of use, and every entry has a check of its bytes. A
//! component can add nothing but what Cranelift makes of its own code, under the SHA-256 of that code.

use crate::host::wasm::inspect;
use hob_core::digest::Digest;
use hob_core::limit::{COMPILE_CACHE_BYTES_MAX, COMPILE_PACK_BYTES_MAX};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use wasmtime::CacheStore;

const MAGIC: &[u8; 8] = b"hobpack1";
const EXTENSION: &str = "pack";
const KEY_BYTES: usize = 32;
const CHECK_BYTES: usize = 8;
/// Sections that a pack may name.
const SECTIONS_MAX: usize = 256;
/// Share of a component's code that has to be known for it to be compiled from packs at once, percent.
const COVERED_PERCENT: u64 = 90;

/// How many functions a compiler found, and how many it had to compile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) hits: u64,
    pub(super) missed: u64,
}

/// The packs that a compiler uses, and what it adds.
#[derive(Debug)]
pub(super) struct Kept {
    bytes: Vec<Vec<u8>>,
    entries: HashMap<[u8; KEY_BYTES], (usize, Range<usize>)>,
    sections: Vec<Digest>,
    fingerprint: String,
    made: Mutex<HashMap<[u8; KEY_BYTES], Vec<u8>>>,
    hits: AtomicU64,
    missed: AtomicU64,
}

impl Kept {
    /// Reads the packs that share code with this component; what cannot be read is as good as not there.
    pub(super) fn open(dir: &Path, wasm: &[u8], fingerprint: &str) -> Self {
        let sections = inspect::code(wasm).map(|code| code.sections).unwrap_or_default();
        let sections: Vec<Digest> = sections.into_iter().map(|(digest, _)| digest).collect();
        let mut kept = Self {
            bytes: Vec::new(),
            entries: HashMap::new(),
            sections,
            fingerprint: fingerprint.to_owned(),
            made: Mutex::default(),
            hits: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        };
        for path in packs(dir) {
            let Ok(bytes) = std::fs::read(&path) else { continue };
            let Some(head) = Head::read(&bytes, fingerprint) else { continue };
            if head.sections.iter().any(|section| kept.sections.contains(section)) {
                let file = kept.bytes.len();
                kept.entries.extend(entries(&bytes, head.length).map(|(key, range)| (key, (file, range))));
                kept.bytes.push(bytes);
            }
        }
        kept
    }

    /// What was found and what was not.
    pub(super) fn found(&self) -> Found {
        Found { hits: self.hits.load(Ordering::Relaxed), missed: self.missed.load(Ordering::Relaxed) }
    }

    /// Writes what is new to a file of its own.
    pub(super) fn leave(&self, path: &Path) -> std::io::Result<()> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let length: usize = made.values().map(|value| value.len() + KEY_BYTES + CHECK_BYTES + 4).sum();
        if made.is_empty() || self.sections.len() > SECTIONS_MAX || length as u64 > COMPILE_PACK_BYTES_MAX {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(length + 4096);
        bytes.extend_from_slice(MAGIC);
        put(&mut bytes, self.fingerprint.as_bytes());
        bytes.extend_from_slice(&u32::try_from(self.sections.len()).unwrap_or(0).to_le_bytes());
        self.sections.iter().for_each(|section| bytes.extend_from_slice(section.bytes()));
        for (key, value) in made.iter() {
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(0).to_le_bytes());
            bytes.extend_from_slice(&check(key, value));
            bytes.extend_from_slice(value);
        }
        write_new(path, &[&bytes])
    }
}

fn put(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
    bytes.extend_from_slice(text);
}

/// The check of an entry: what a flipped bit, a cut or a swap of two entries would change.
fn check(key: &[u8], value: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = hob_core::digest::Hasher::default();
    hasher.update(key);
    hasher.update(value);
    let digest = hasher.finish();
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest.bytes()[..CHECK_BYTES]);
    check
}

impl CacheStore for Kept {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let found = <[u8; KEY_BYTES]>::try_from(key).ok().and_then(|key| {
            let (file, range) = self.entries.get(&key)?;
            let entry = self.bytes.get(*file)?.get(range.clone())?;
            let (sum, value) = entry.split_at_checked(CHECK_BYTES)?;
            (sum == check(&key, value)).then_some(value)
        });
        let counter = if found.is_some() { &self.hits } else { &self.missed };
        counter.fetch_add(1, Ordering::Relaxed);
        found.map(Cow::Borrowed)
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let Ok(key) = <[u8; KEY_BYTES]>::try_from(key) else { return false };
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(key, value);
        true
    }
}

/// The beginning of a pack.
struct Head {
    sections: Vec<Digest>,
    length: usize,
}

impl Head {
    fn read(bytes: &[u8], fingerprint: &str) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (length, rest) = number(rest)?;
        let (own, rest) = rest.split_at_checked(length)?;
        let (count, mut rest) = number(rest)?;
        if own != fingerprint.as_bytes() || count > SECTIONS_MAX {
            return None;
        }
        let mut sections = Vec::with_capacity(count);
        for _ in 0..count {
            let (digest, tail) = rest.split_first_chunk::<KEY_BYTES>()?;
            sections.push(Digest::stored(*digest));
            rest = tail;
        }
        Some(Self { sections, length: bytes.len() - rest.len() })
    }
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*head) as usize, rest))
}

/// Keys and places (check and bytes) of whole entries; ends where the file is cut or broken.
fn entries(bytes: &[u8], from: usize) -> impl Iterator<Item = ([u8; KEY_BYTES], Range<usize>)> + '_ {
    let mut at = from;
    std::iter::from_fn(move || {
        let (key, rest) = bytes.get(at..)?.split_first_chunk::<KEY_BYTES>()?;
        let (length, _) = number(rest)?;
        let begin = at + KEY_BYTES + 4;
        let end = begin.checked_add(CHECK_BYTES)?.checked_add(length)?;
        (end <= bytes.len()).then(|| at = end)?;
        Some((*key, begin..end))
    })
}

/// A pack that a compiler left, which may have been a captured one: what is read of it lies in it.
pub(crate) fn fuzz(bytes: &[u8]) {
    let Some(head) = Head::read(bytes, "f") else { return };
    for (key, range) in entries(bytes, head.length) {
        let entry = bytes.get(range).and_then(|entry| entry.split_at_checked(CHECK_BYTES));
        let (sum, value) = entry.expect("an entry lies in its file");
        let _ = sum == check(&key, value);
    }
}

fn packs(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION)).collect()
}

/// Whether nearly all code of a component is in packs, so that compiling it is quick; what is used is marked
/// as used now.
pub(super) fn covers(dir: &Path, code: &inspect::Code, fingerprint: &str) -> bool {
    let mut known = HashSet::new();
    for path in packs(dir) {
        let Some(head) = read_head(&path).and_then(|bytes| Head::read(&bytes, fingerprint)) else { continue };
        let shared =
            head.sections.iter().filter(|section| code.sections.iter().any(|(own, _)| own == *section));
        let before = known.len();
        known.extend(shared.copied());
        if known.len() > before
            && let Ok(file) = std::fs::File::open(&path)
        {
            // What could not be marked goes a little earlier.
            let _ = file.set_modified(SystemTime::now());
        }
    }
    let known: u64 =
        code.sections.iter().filter(|(own, _)| known.contains(own)).map(|(_, bytes)| bytes).sum();
    code.bytes > 0 && known * 100 >= code.bytes * COVERED_PERCENT
}

fn read_head(path: &Path) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let most = MAGIC.len() + 4 + 64 + 4 + SECTIONS_MAX * KEY_BYTES;
    let mut head = Vec::new();
    std::fs::File::open(path).ok()?.take(most as u64).read_to_end(&mut head).ok()?;
    Some(head)
}

/// Takes what a compiler has left among the packs, if it is whole and new, and makes room for it. `renew`: the
/// one that is there turned out to be of no use.
pub(super) fn adopt(dir: &Path, left: &Path, fingerprint: &str, renew: bool) {
    let name = |head: &Head| {
        let mut hasher = hob_core::digest::Hasher::default();
        head.sections.iter().for_each(|section| hasher.update(section.bytes()));
        format!("{}-{fingerprint}.{EXTENSION}", hasher.finish().hex())
    };
    let target =
        read_head(left).and_then(|bytes| Head::read(&bytes, fingerprint)).map(|head| dir.join(name(&head)));
    if let (Some(target), true) = (&target, renew) {
        let _ = std::fs::remove_file(target);
    }
    match target {
        // The first one stays: nobody may put another in its place.
        Some(target) if std::fs::hard_link(left, &target).is_ok() => make_room(dir, COMPILE_CACHE_BYTES_MAX),
        _ => {}
    }
    let _ = std::fs::remove_file(left);
}

/// Removes the packs that were used least recently, above so many bytes.
pub(super) fn make_room(dir: &Path, bytes_max: u64) {
    let mut all: Vec<(SystemTime, u64, PathBuf)> = packs(dir)
        .into_iter()
        .filter_map(|path| {
            let metadata = std::fs::metadata(&path).ok()?;
            Some((metadata.modified().ok()?, metadata.len(), path))
        })
        .collect();
    all.sort_by_key(|(modified, ..)| std::cmp::Reverse(*modified));
    let mut sum = 0_u64;
    for (_, bytes, path) in all {
        sum = sum.saturating_add(bytes);
        if sum > bytes_max {
            // What cannot be removed is looked at again next time.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Writes a file of one's own that does not exist yet, to the disk.
pub(super) fn write_new(path: &Path, parts: &[&[u8]]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()
}
