//! Zip archives, unpacked into a folder: what AWS Lambda calls a deployment package.
//!
//! **Why.** An archive is made by strangers' tools, or by strangers. It may name paths outside, link there, or
//! grow without end.
//!
//! **How.** The directory at the archive's end says what there is (APPNOTE 6.3.10, 4.3.12, and 4.3.14 for large
//! ones). Every name is checked before anything is written, files are written before links, so that nothing is
//! written through a link, and every link is followed once to see that it stays inside. Sizes are counted as
//! they are unpacked, not as they are declared.
//!
//! **Not here:** other compressions than deflate, encryption, archives in several parts.

use flate2::read::DeflateDecoder;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{ARTIFACT_BYTES_MAX, PACKAGE_BYTES_MAX, PACKAGE_FILES_MAX, PATH_BYTES_MAX};
use hob_core::unit::show_bytes;
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
    encrypted: bool,
    crc: u32,
    packed: u64,
    at: u64,
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
    unpack_within(archive, folder, PACKAGE_BYTES_MAX)
}

/// The same, with `bytes_max` for all files together.
fn unpack_within(archive: &Path, folder: &Path, bytes_max: u64) -> Result<()> {
    let shown = archive.display().to_string();
    let file = File::open(archive)
        .map_err(|error| Fault::new(Code::FileMissing, format!("cannot read `{shown}`: {error}")))?;
    let unpacked = Archive { file: BufReader::new(file), folder, bytes: 0, bytes_max }.unpack();
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
}

impl Archive<'_> {
    fn unpack(mut self) -> Result<(), Why> {
        let entries = self.directory()?;
        let mut links = Vec::new();
        for entry in &entries {
            check(entry)?;
            match entry.mode & KIND {
                FOLDER => fs::create_dir_all(self.folder.join(&entry.name))?,
                LINK => links.push((&entry.name, self.target(entry)?)),
                PLAIN => self.file_of(entry)?,
                _ => return Err(Why::Refused(format!("holds `{}`, which is no file", entry.name))),
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
                return Err(Why::Refused(format!(
                    "holds the link `{name}` to `{}`, which is not in it",
                    target.escape_debug()
                )));
            }
        }
        Ok(())
    }

    /// What the archive holds.
    fn directory(&mut self) -> Result<Vec<Entry>, Why> {
        let (count, mut at) = self.directory_place()?;
        if count > PACKAGE_FILES_MAX as u64 {
            let what =
                format!("the archive has {count} entries, a package has {PACKAGE_FILES_MAX} files at most");
            return Err(Why::Fault(Fault::new(Code::ArtifactTooLarge, what)));
        }
        let mut entries = Vec::new();
        for _ in 0..count {
            let head = self.record(at, ENTRY)?;
            let (name, extra, comment) = (number(&head, 28, 2), number(&head, 30, 2), number(&head, 32, 2));
            let name = String::from_utf8(self.bytes_of(name)?);
            let name = name.map_err(|_| Why::Refused("holds a name that is not UTF-8".to_owned()))?;
            let extra_bytes = self.bytes_of(extra)?;
            entries.push(entry(&head, name, &extra_bytes)?);
            at += ENTRY.1 as u64 + number(&head, 28, 2) + extra + comment;
        }
        Ok(entries)
    }

    /// How many entries there are, and where the first one is.
    fn directory_place(&mut self) -> Result<(u64, u64), Why> {
        let size = self.file.seek(SeekFrom::End(0))?;
        let tail = size.min(COMMENT_BYTES_MAX + END.1 as u64);
        self.file.seek(SeekFrom::Start(size - tail))?;
        let bytes = self.bytes_of(tail)?;
        let signature = END.0.to_le_bytes();
        let found = bytes.windows(signature.len()).rposition(|window| window == signature);
        let end = found.and_then(|at| bytes.get(at..at + END.1).map(|end| (at, end)));
        let (at, end) = end.ok_or(Why::Damaged("it has no directory, so it is no zip archive"))?;
        let (count, place) = (number(end, 10, 2), number(end, 16, 4));
        if number(end, 4, 2) != number(end, 6, 2) {
            return Err(Why::Refused("is one of several parts".to_owned()));
        }
        if count != 0xffff && place != 0xffff_ffff {
            return Ok((count, place));
        }
        let locator = (size - tail + at as u64)
            .checked_sub(LOCATOR.1 as u64)
            .ok_or(Why::Damaged("its directory is nowhere"))?;
        let locator = self.record(locator, LOCATOR)?;
        let end = self.record(number(&locator, 8, 8), LARGE_END)?;
        Ok((number(&end, 32, 8), number(&end, 48, 8)))
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
        if target.is_empty() || target.starts_with('/') || target.contains('\0') {
            return Err(Why::Refused(format!(
                "holds the link `{}` to `{}`, which is not in it",
                entry.name,
                target.escape_debug()
            )));
        }
        Ok(target)
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
        let local = self.record(entry.at, LOCAL)?;
        let skipped = number(&local, 26, 2) + number(&local, 28, 2);
        self.file.seek(SeekFrom::Start(entry.at + LOCAL.1 as u64 + skipped))?;
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
        if sum.finalize() == entry.crc { Ok(()) } else { Err(Why::Damaged("a checksum does not fit")) }
    }
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
    next(size)?;
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
    let method = u16::try_from(number(head, 10, 2)).unwrap_or(u16::MAX);
    Ok(Entry { name, mode, method, encrypted: number(head, 8, 2) & 1 == 1, crc: small(16, 4), packed, at })
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

/// Whether an entry may be unpacked at all.
fn check(entry: &Entry) -> Result<(), Why> {
    let name = entry.name.strip_suffix('/').unwrap_or(&entry.name);
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    if !name.split('/').all(plain) || name.len() > PATH_BYTES_MAX || name.contains(['\0', '\\']) {
        return Err(Why::Refused(format!("holds the path `{}`", entry.name.escape_debug())));
    }
    if entry.encrypted {
        return Err(Why::Refused(format!("holds `{name}`, which is encrypted")));
    }
    match entry.method {
        0 | 8 => Ok(()),
        other => Err(Why::Refused(format!("compresses `{name}` by method {other}; deflate (8) is known"))),
    }
}

#[cfg(test)]
mod tests;
