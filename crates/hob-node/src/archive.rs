//! Zip archives, unpacked into a folder: what AWS Lambda calls a deployment package.
//!
//! **Why.** An archive is made by strangers' tools, or by strangers. It may name paths outside, link there, or
//! grow without end.
//!
//! **How.** The directory at the archive's end says what there is (APPNOTE 6.3.10, 4.3.12, and 4.3.14 for large
//! ones). Everything that can be judged by it is judged before anything is written: names, kinds, what lies below
//! what (`plan`). Files are written before links, nothing lies below a link, so that nothing is written through
//! one, and every link is followed once to see that it stays inside. Sizes are counted as they are unpacked, not as
//! they are declared, and have to be what was declared.
//!
//! **Invariant.** What another program could read otherwise is refused: two directories, a header that says something
//! else than the directory, entries that share bytes, a directory that is longer or shorter than it says.
//!
//! **Not here:** other compressions than deflate, encryption, archives in several parts.

mod plan;

use flate2::read::DeflateDecoder;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{
    ARCHIVE_BYTES_ANYWAY, ARCHIVE_DEPTH_MAX, ARCHIVE_RATIO_MAX, ARTIFACT_BYTES_MAX, PACKAGE_BYTES_MAX,
    PACKAGE_FILES_MAX, PATH_BYTES_MAX,
};
use hob_core::unit::show_bytes;
use plan::{check, plan};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::Path;

/// The end of the directory: its signature, and its size without a comment.
const END: (u32, usize) = (0x0605_4b50, 22);
/// Where the end of a large archive's directory is.
const LOCATOR: (u32, usize) = (0x0706_4b50, 20);
/// The end of a large archive's directory.
const LARGE_END: (u32, usize) = (0x0606_4b50, 56);
/// An entry of the directory.
const ENTRY: (u32, usize) = (0x0201_4b50, 46);
/// What stands before an entry's bytes.
const LOCAL: (u32, usize) = (0x0403_4b50, 30);
/// The longest comment.
const COMMENT_BYTES_MAX: u64 = 0xffff;
/// The system by which an archive with modes was made.
const UNIX: u8 = 3;
/// Kinds of files in a mode (`inode(7)`).
const KIND: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const FOLDER: u32 = 0o040_000;
const PLAIN: u32 = 0o100_000;

/// What an archive holds under one name.
struct Entry {
    name: String,
    mode: u32,
    method: u16,
    /// General purpose bits (4.4.4).
    flags: u16,
    crc: u32,
    packed: u64,
    size: u64,
    at: u64,
}

impl Entry {
    fn encrypted(&self) -> bool {
        self.flags & 1 == 1
    }

    /// Whether the sizes stand behind the bytes and not before them.
    fn described_behind(&self) -> bool {
        self.flags & 8 == 8
    }
}

/// Whether a file is a zip archive by its first bytes.
pub fn is_archive(file: &Path) -> bool {
    let mut head = [0; 4];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok()
        && matches!(u32::from_le_bytes(head), signature if signature == LOCAL.0 || signature == END.0)
}

/// Unpacks an archive into an empty folder: files with their executable bits, links that stay inside.
///
/// # Errors
/// `HOB-0108` when it cannot be read, `HOB-0332` when it is damaged or holds what must not be, `HOB-0201` above
/// the limits of a package.
pub fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    // What cannot be read is told of below.
    let packed = fs::metadata(archive).map_or(0, |file| file.len());
    let most = packed.saturating_mul(ARCHIVE_RATIO_MAX).clamp(ARCHIVE_BYTES_ANYWAY, PACKAGE_BYTES_MAX);
    unpack_within(archive, folder, most)
}

/// The same, with `bytes_max` for all files together.
fn unpack_within(archive: &Path, folder: &Path, bytes_max: u64) -> Result<()> {
    let shown = archive.display().to_string();
    let file = File::open(archive)
        .map_err(|error| Fault::new(Code::FileMissing, format!("cannot read `{shown}`: {error}")))?;
    let (file, spans) = (BufReader::new(file), BTreeMap::new());
    let unpacked = Archive { file, folder, bytes: 0, bytes_max, spans }.unpack();
    unpacked.map_err(|why| match why {
        Why::Fault(fault) => fault.at(shown),
        Why::Damaged(why) => Fault::new(Code::ArchiveInvalid, format!("`{shown}` is damaged: {why}")),
        Why::Refused(what) => Fault::new(Code::ArchiveInvalid, format!("`{shown}` {what}"))
            .hint("make it anew in the function's folder: `zip -r ../function.zip .`"),
        Why::Io(error) => Fault::new(Code::ArchiveInvalid, format!("`{shown}` cannot be unpacked: {error}")),
    })
}

/// Why an archive is not unpacked.
enum Why {
    Damaged(&'static str),
    Refused(String),
    Fault(Fault),
    Io(io::Error),
}

impl From<io::Error> for Why {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged("it ends too early"),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                Self::Damaged("its data is not what it should be")
            }
            _ => Self::Io(error),
        }
    }
}

struct Archive<'a> {
    file: BufReader<File>,
    folder: &'a Path,
    /// Unpacked so far.
    bytes: u64,
    bytes_max: u64,
    /// Where entries lie that were unpacked: from, to.
    spans: BTreeMap<u64, u64>,
}

impl Archive<'_> {
    fn unpack(mut self) -> Result<(), Why> {
        let entries = self.directory()?;
        entries.iter().try_for_each(check)?;
        plan(&entries)?;
        let mut links = Vec::new();
        for entry in &entries {
            match entry.mode & KIND {
                FOLDER => fs::create_dir_all(self.folder.join(&entry.name))?,
                LINK => links.push((&entry.name, self.target(entry)?)),
                _ => self.file_of(entry)?,
            }
        }
        for (name, target) in &links {
            let link = self.folder.join(name);
            link.parent().map_or(Ok(()), fs::create_dir_all)?;
            symlink(target, link)?;
        }
        let inside = self.folder.canonicalize()?;
        for (name, target) in &links {
            let found = self.folder.join(name).canonicalize();
            if !found.is_ok_and(|found| found.starts_with(&inside)) {
                return Err(elsewhere(name, target));
            }
        }
        Ok(())
    }

    /// What the archive holds.
    fn directory(&mut self) -> Result<Vec<Entry>, Why> {
        let Place { count, from, to } = self.directory_place()?;
        let mut at = from;
        if count > PACKAGE_FILES_MAX as u64 {
            let what =
                format!("the archive has {count} entries, a package has {PACKAGE_FILES_MAX} files at most");
            return Err(Why::Fault(Fault::new(Code::ArtifactTooLarge, what)));
        }
        let mut entries = Vec::new();
        for _ in 0..count {
            let head = self.record(at, ENTRY)?;
            let (name, extra, comment) = (number(&head, 28, 2), number(&head, 30, 2), number(&head, 32, 2));
            if name > PATH_BYTES_MAX as u64 {
                return Err(Why::Refused(format!("holds a path above {PATH_BYTES_MAX} bytes")));
            }
            let name = String::from_utf8(self.bytes_of(name)?);
            let name = name.map_err(|_| Why::Refused("holds a name that is not UTF-8".to_owned()))?;
            let extra_bytes = self.bytes_of(extra)?;
            entries.push(entry(&head, name, &extra_bytes)?);
            at += ENTRY.1 as u64 + number(&head, 28, 2) + extra + comment;
        }
        if at == to { Ok(entries) } else { Err(Why::Damaged("its directory is not as long as it says")) }
    }

    /// How many entries there are, and where their directory is.
    fn directory_place(&mut self) -> Result<Place, Why> {
        let size = self.file.seek(SeekFrom::End(0))?;
        let tail = size.min(COMMENT_BYTES_MAX + END.1 as u64);
        let bytes_from = size - tail;
        self.file.seek(SeekFrom::Start(bytes_from))?;
        let bytes = self.bytes_of(tail)?;
        // The record whose comment ends with the archive. A comment may hold another one on purpose.
        let signature = END.0.to_le_bytes();
        let ends = |at: &usize| {
            let record = &bytes[*at..];
            record.starts_with(&signature) && (END.1 as u64 + number(record, 20, 2)) == record.len() as u64
        };
        let mut found = (0..(bytes.len() + 1).saturating_sub(END.1)).filter(ends);
        let at = found.next().ok_or(Why::Damaged("it has no directory, so it is no zip archive"))?;
        if found.next().is_some() {
            return Err(Why::Refused("has two directories".to_owned()));
        }
        let end = &bytes[at..];
        let (here, count, size, from) =
            (number(end, 8, 2), number(end, 10, 2), number(end, 12, 4), number(end, 16, 4));
        if number(end, 4, 2) != 0 || number(end, 6, 2) != 0 || here != count {
            return Err(Why::Refused("is one of several parts".to_owned()));
        }
        let end_at = bytes_from + at as u64;
        if count != 0xffff && from != 0xffff_ffff && size != 0xffff_ffff {
            return Place::new(count, from, size, end_at);
        }
        let locator_at =
            end_at.checked_sub(LOCATOR.1 as u64).ok_or(Why::Damaged("its directory is nowhere"))?;
        let locator = self.record(locator_at, LOCATOR)?;
        let end_at = number(&locator, 8, 8);
        let end = self.record(end_at, LARGE_END)?;
        if number(&end, 24, 8) != number(&end, 32, 8) || number(&end, 16, 8) != 0 {
            return Err(Why::Refused("is one of several parts".to_owned()));
        }
        Place::new(number(&end, 32, 8), number(&end, 48, 8), number(&end, 40, 8), end_at)
    }

    /// A record of the archive at a place, after which the reader stands.
    fn record(&mut self, at: u64, (signature, size): (u32, usize)) -> Result<Vec<u8>, Why> {
        self.file.seek(SeekFrom::Start(at))?;
        let record = self.bytes_of(size as u64)?;
        if number(&record, 0, 4) == u64::from(signature) {
            return Ok(record);
        }
        Err(Why::Damaged("its directory leads nowhere"))
    }

    fn bytes_of(&mut self, count: u64) -> Result<Vec<u8>, Why> {
        let mut bytes = Vec::new();
        self.file.by_ref().take(count).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == count { Ok(bytes) } else { Err(Why::Damaged("it ends too early")) }
    }

    /// Where a link leads.
    fn target(&mut self, entry: &Entry) -> Result<String, Why> {
        let mut target = Vec::new();
        self.copy(entry, PATH_BYTES_MAX as u64, &mut target)?;
        let target = String::from_utf8(target)
            .map_err(|_| Why::Refused("holds a link that is not UTF-8".to_owned()))?;
        if plan::stays_inside(&entry.name, &target) {
            Ok(target)
        } else {
            Err(elsewhere(&entry.name, &target))
        }
    }

    fn file_of(&mut self, entry: &Entry) -> Result<(), Why> {
        let path = self.folder.join(&entry.name);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let mode = if entry.mode & 0o111 == 0 { 0o644 } else { 0o755 };
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
        let mut file = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Why::Refused(format!("holds `{}` twice", entry.name)),
            _ => Why::Io(error),
        })?;
        self.copy(entry, ARTIFACT_BYTES_MAX, &mut file)
    }

    /// Unpacks the bytes of an entry, at most `most`, and checks their sum.
    fn copy(&mut self, entry: &Entry, most: u64, to: &mut impl Write) -> Result<(), Why> {
        let from = self.header_of(entry)?;
        self.take_span(entry.at, from.saturating_add(entry.packed))?;
        self.file.seek(SeekFrom::Start(from))?;
        let packed = self.file.by_ref().take(entry.packed);
        let mut reader: Box<dyn Read> = match entry.method {
            0 => Box::new(packed),
            _ => Box::new(DeflateDecoder::new(packed)),
        };
        let (mut sum, mut size, mut piece) = (crc32fast::Hasher::new(), 0_u64, vec![0; 64 << 10]);
        loop {
            let read = reader.read(&mut piece)?;
            if read == 0 {
                break;
            }
            size += read as u64;
            self.bytes += read as u64;
            let whole = self.bytes > self.bytes_max;
            if size > most || whole {
                let limit = if whole { self.bytes_max } else { most };
                let what = format!("unpacked, `{}` needs more than {}", entry.name, show_bytes(limit));
                return Err(Why::Fault(Fault::new(Code::ArtifactTooLarge, what)));
            }
            sum.update(&piece[..read]);
            to.write_all(&piece[..read])?;
        }
        if size != entry.size {
            return Err(Why::Damaged("a file is not as long as it says"));
        }
        if sum.finalize() == entry.crc { Ok(()) } else { Err(Why::Damaged("a checksum does not fit")) }
    }

    /// Where the bytes of an entry begin, behind a header that has to say what the directory says.
    fn header_of(&mut self, entry: &Entry) -> Result<u64, Why> {
        let local = self.record(entry.at, LOCAL)?;
        let (name, extra) = (number(&local, 26, 2), number(&local, 28, 2));
        let name_bytes = self.bytes_of(name)?;
        let extra_bytes = self.bytes_of(extra)?;
        let large = large(&extra_bytes);
        // In the header both or neither are in the extra field, the whole size first (4.5.3).
        let declared = |at, place| match number(&local, at, 4) {
            0xffff_ffff => number(large, place, 8),
            known => known,
        };
        let sizes = (declared(18, 8), declared(22, 0), number(&local, 14, 4));
        let fits = name_bytes == entry.name.as_bytes()
            && number(&local, 8, 2) == u64::from(entry.method)
            && number(&local, 6, 2) & 1 == 0
            && (entry.described_behind() || sizes == (entry.packed, entry.size, u64::from(entry.crc)));
        if fits {
            return Ok(entry.at + LOCAL.1 as u64 + name + extra);
        }
        Err(Why::Refused(format!("says two things of `{}`", entry.name)))
    }

    /// No two entries lie in the same place: what is there once counts once.
    fn take_span(&mut self, from: u64, to: u64) -> Result<(), Why> {
        let before = self.spans.range(..to).next_back();
        if before.is_some_and(|(_, end)| *end > from) {
            return Err(Why::Refused("holds two files in one place".to_owned()));
        }
        self.spans.insert(from, to);
        Ok(())
    }
}

/// Where a directory is.
struct Place {
    count: u64,
    from: u64,
    to: u64,
}

impl Place {
    /// A directory ends before the record that tells of it.
    fn new(count: u64, from: u64, size: u64, end: u64) -> Result<Self, Why> {
        let to = from.checked_add(size).filter(|to| *to <= end);
        let to = to.ok_or(Why::Damaged("its directory is nowhere"))?;
        Ok(Self { count, from, to })
    }
}

fn elsewhere(name: &str, target: &str) -> Why {
    Why::Refused(format!("holds the link `{name}` to `{}`, which is not in it", target.escape_debug()))
}

/// An unsigned number of a record, the lowest byte first; 0 where there is none.
fn number(record: &[u8], at: usize, size: usize) -> u64 {
    let bytes = record.get(at..at + size).unwrap_or_default();
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn entry(head: &[u8], name: String, extra: &[u8]) -> Result<Entry, Why> {
    let small = |at, size| u32::try_from(number(head, at, size)).unwrap_or(u32::MAX);
    let (mut packed, size, mut at) = (number(head, 20, 4), number(head, 24, 4), number(head, 42, 4));
    // What has no room above is in an extra field, in this order (4.5.3).
    let mut large = large(extra);
    let mut next = |known: u64| -> Result<u64, Why> {
        if known != 0xffff_ffff {
            return Ok(known);
        }
        let (first, rest) = large.split_at_checked(8).ok_or(Why::Damaged("a size is missing"))?;
        large = rest;
        Ok(number(first, 0, 8))
    };
    let size = next(size)?;
    packed = next(packed)?;
    at = next(at)?;
    let folder = name.ends_with('/');
    let unix = head.get(5) == Some(&UNIX);
    let kind = if folder { FOLDER } else { PLAIN };
    let mode = match small(38, 4) >> 16 {
        mode if !unix || mode == 0 => kind,
        mode if mode & KIND == 0 || folder => kind | mode & !KIND,
        mode => mode,
    };
    let short = |at| u16::try_from(number(head, at, 2)).unwrap_or(u16::MAX);
    Ok(Entry { name, mode, method: short(10), flags: short(8), crc: small(16, 4), packed, size, at })
}

/// The extra field with the numbers of a large archive.
fn large(mut extra: &[u8]) -> &[u8] {
    while let (Some(_), Ok(size)) = (extra.get(3), usize::try_from(number(extra, 2, 2))) {
        let field = extra.get(4..4 + size).unwrap_or_default();
        if number(extra, 0, 2) == 1 {
            return field;
        }
        extra = extra.get(4 + size..).unwrap_or_default();
    }
    &[]
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
