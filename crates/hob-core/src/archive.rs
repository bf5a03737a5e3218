//! Zip archives (PKWARE, ".ZIP File Format Specification" 6.3.10): what is in one, and the bytes of each file.
//!
//! **Why.** Functions for other platforms come as archives. What is in one comes from somebody else, so nothing that it
//! says of itself is believed: sizes, checksums and paths are checked, and what it unpacks to has a bound.
//!
//! **How.** [`Archive::read`] reads the table of contents at the end, [`Archive::unpack`] one file at a time, so that a
//! large archive is never in memory as a whole. A link counts as the file to which it leads.
//!
//! **Not here:** zip64, encryption, other compression than deflate; writing.

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit::{ARCHIVE_BYTES_MAX, PACKAGE_FILES_MAX, PATH_BYTES_MAX};
use crate::unit::show_bytes;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use std::collections::BTreeMap;

const END: u32 = 0x0605_4b50;
const ENTRY: u32 = 0x0201_4b50;
const LOCAL: u32 = 0x0403_4b50;
const END_BYTES: usize = 22;
const COMMENT_BYTES_MAX: usize = 0xffff;
/// Unix: the system of an archive whose files have a mode.
const UNIX: u8 = 3;
const TYPE_MASK: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
/// Links that lead to links, at most.
const LINKS_MAX: usize = 8;

/// An archive.
#[derive(Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    entries: BTreeMap<String, Entry>,
}

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its size unpacked, as the archive says.
    pub size: u64,
    /// Whether it may be executed.
    pub executable: bool,
    link: bool,
    stored: bool,
    packed: usize,
    checksum: u32,
    at: usize,
}

impl<'a> Archive<'a> {
    /// Reads the table of contents.
    ///
    /// # Errors
    /// `HOB-0332` when the bytes are no archive that can be unpacked, `HOB-0205` for a path that leads out of it,
    /// `HOB-0201` above the limits.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let end = end(bytes).ok_or_else(|| invalid("it has no table of contents"))?;
        let (count, from) = (usize::from(u16_at(bytes, end + 10)?), u32_at(bytes, end + 16)?);
        if count == 0xffff || from == u32::MAX {
            return Err(invalid("it is in the format zip64"));
        }
        if count > PACKAGE_FILES_MAX {
            return Err(large(format!("the archive has {count} entries, the limit is {PACKAGE_FILES_MAX}")));
        }
        let (mut at, mut entries, mut total) = (from as usize, BTreeMap::new(), 0);
        for _ in 0..count {
            let (path, entry, next) = entry(bytes, at)?;
            at = next;
            // A folder.
            if path.ends_with('/') {
                continue;
            }
            check_path(&path)?;
            total += entry.size;
            if total > ARCHIVE_BYTES_MAX {
                let what = format!("the archive holds more than {}", show_bytes(ARCHIVE_BYTES_MAX));
                return Err(large(what));
            }
            if entries.insert(path.clone(), entry).is_some() {
                return Err(invalid(&format!("it has `{path}` twice")));
            }
        }
        Ok(Self { bytes, entries })
    }

    /// The files, by their path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// The bytes of a file, and whether it may be executed; of a link, those of the file to which it leads.
    ///
    /// # Errors
    /// `HOB-0332` for a file that is damaged, or a link that leads to none.
    pub fn unpack(&self, path: &str) -> Result<(Vec<u8>, bool)> {
        let mut path = path.to_owned();
        for _ in 0..LINKS_MAX {
            let found = self.entries.get(&path);
            let entry =
                found.ok_or_else(|| invalid(&format!("a link in it leads to `{path}`, which it lacks")))?;
            let content = self.content(&path, entry)?;
            if !entry.link {
                return Ok((content, entry.executable));
            }
            let target = String::from_utf8(content).ok().and_then(|target| beside(&path, &target));
            path = target.ok_or_else(|| invalid(&format!("the link `{path}` leads out of it")))?;
        }
        Err(invalid(&format!("the links around `{path}` lead to each other")))
    }

    fn content(&self, path: &str, entry: &Entry) -> Result<Vec<u8>> {
        let damaged = || invalid(&format!("`{path}` is damaged"));
        let at = entry.at;
        if u32_at(self.bytes, at)? != LOCAL {
            return Err(damaged());
        }
        let names = usize::from(u16_at(self.bytes, at + 26)?) + usize::from(u16_at(self.bytes, at + 28)?);
        let from = at + 30 + names;
        let packed = self.bytes.get(from..from.saturating_add(entry.packed)).ok_or_else(damaged)?;
        let size = usize::try_from(entry.size).map_err(|_| damaged())?;
        let content = match entry.stored {
            true => packed.to_vec(),
            false => decompress_to_vec_with_limit(packed, size).map_err(|_| damaged())?,
        };
        let whole = content.len() == size && crc32fast::hash(&content) == entry.checksum;
        if whole { Ok(content) } else { Err(damaged()) }
    }
}

/// Where the record at the end begins: behind it there may be a comment.
fn end(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(END_BYTES)?;
    let first = last.saturating_sub(COMMENT_BYTES_MAX);
    (first..=last).rev().find(|at| u32_at(bytes, *at).ok() == Some(END))
}

/// One entry of the table, its path, and where the next one is.
fn entry(bytes: &[u8], at: usize) -> Result<(String, Entry, usize)> {
    if u32_at(bytes, at)? != ENTRY {
        return Err(invalid("its table of contents is damaged"));
    }
    let [_, system] = u16_at(bytes, at + 4)?.to_le_bytes();
    let (flags, method) = (u16_at(bytes, at + 8)?, u16_at(bytes, at + 10)?);
    let (packed, size) = (u32_at(bytes, at + 20)?, u32_at(bytes, at + 24)?);
    let length = usize::from(u16_at(bytes, at + 28)?);
    let more = usize::from(u16_at(bytes, at + 30)?) + usize::from(u16_at(bytes, at + 32)?);
    let mode = u32_at(bytes, at + 38)? >> 16;
    let name = bytes.get(at + 46..at + 46 + length).ok_or_else(cut)?;
    let path = std::str::from_utf8(name).map_err(|_| invalid("a path in it is not UTF-8"))?.to_owned();
    if flags & 1 != 0 {
        return Err(invalid(&format!("`{path}` is encrypted")));
    }
    if !matches!(method, 0 | 8) {
        return Err(invalid(&format!(
            "`{path}` is compressed by method {method}, and only deflate is understood"
        )));
    }
    let has_mode = system == UNIX && mode != 0;
    let entry = Entry {
        size: u64::from(size),
        // Other systems have no such thing; what is to be started must be.
        executable: if has_mode { mode & 0o111 != 0 } else { path == "bootstrap" },
        link: has_mode && mode & TYPE_MASK == LINK,
        stored: method == 0,
        packed: packed as usize,
        checksum: u32_at(bytes, at + 16)?,
        at: u32_at(bytes, at + 42)? as usize,
    };
    Ok((path, entry, at + 46 + length + more))
}

/// A path below the archive's root and nothing else.
fn check_path(path: &str) -> Result<()> {
    let fine = |part: &str| !matches!(part, "" | "." | "..");
    if path.len() <= PATH_BYTES_MAX && path.split('/').all(fine) && !path.contains(['\\', '\0']) {
        return Ok(());
    }
    let shown: String = path.chars().take(80).collect();
    Err(Fault::new(Code::PackagePath, format!("the archive holds the path `{shown}`"))
        .hint("use plain relative paths in the archive"))
}

/// Where a link beside `path` leads; `None` when that is not in the archive.
fn beside(path: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." => {}
            // An absolute target begins with an empty part.
            "" => return None,
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|two| u16::from_le_bytes(*two)).ok_or_else(cut)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|four| u32::from_le_bytes(*four)).ok_or_else(cut)
}

fn cut() -> Fault {
    invalid("it is cut off")
}

fn large(what: String) -> Fault {
    Fault::new(Code::ArtifactTooLarge, what).hint("leave out what the function does not need")
}

fn invalid(why: &str) -> Fault {
    Fault::new(Code::ArchiveInvalid, format!("the archive cannot be unpacked: {why}"))
        .hint("make it anew, for example with `zip -r function.zip .`")
}

#[cfg(test)]
mod tests {
    use super::{Archive, Entry, beside};

    /// Written by Python's `zipfile`: `bootstrap` (deflate, mode 755), `lib/a.txt` (stored, 644), `lib/` (a folder),
    /// `bin/run` (a link to `../bootstrap`).
    const PLAIN: &[u8] = include_bytes!("archive/plain.zip");

    fn unpack(bytes: &[u8], path: &str) -> String {
        match Archive::read(bytes).and_then(|archive| archive.unpack(path)) {
            Ok((content, executable)) => format!("{} {executable}", String::from_utf8_lossy(&content)),
            Err(fault) => fault.code().text().to_owned(),
        }
    }

    #[test]
    fn files_modes_and_links_are_read() {
        let script = format!("#!/bin/sh\n{}", "exec true\n".repeat(20));
        for (path, expected) in [
            ("bootstrap", format!("{script} true")),
            ("bin/run", format!("{script} true")),
            ("lib/a.txt", "a false".to_owned()),
            ("lib", "HOB-0332".to_owned()),
        ] {
            assert_eq!(unpack(PLAIN, path), expected, "{path}");
        }
        let archive = Archive::read(PLAIN).unwrap();
        let files: Vec<(&str, &Entry)> = archive.files().collect();
        assert_eq!(
            files.iter().map(|(path, _)| *path).collect::<Vec<_>>(),
            ["bin/run", "bootstrap", "lib/a.txt"]
        );
    }

    #[test]
    fn what_is_damaged_hostile_or_not_a_zip_is_refused() {
        for (bytes, path, expected) in [
            (&include_bytes!("archive/outside.zip")[..], "a", "HOB-0205"),
            (include_bytes!("archive/absolute.zip"), "a", "HOB-0205"),
            (include_bytes!("archive/twice.zip"), "a", "HOB-0332"),
            (include_bytes!("archive/link-outside.zip"), "a", "HOB-0332"),
            (include_bytes!("archive/link-circle.zip"), "a", "HOB-0332"),
            (include_bytes!("archive/bomb.zip"), "a", "HOB-0332"),
            (b"not a zip", "a", "HOB-0332"),
            (b"", "a", "HOB-0332"),
            (&PLAIN[..PLAIN.len() - 30], "bootstrap", "HOB-0332"),
        ] {
            assert_eq!(unpack(bytes, path), expected);
        }
        // Whatever byte is another one: no panic, and never another content.
        let whole = unpack(PLAIN, "bootstrap");
        for at in 0..PLAIN.len() {
            let mut bytes = PLAIN.to_vec();
            bytes[at] ^= 0x55;
            let found = unpack(&bytes, "bootstrap");
            assert!(
                found.starts_with("HOB-") || found.starts_with(&whole[..whole.len() - 5]),
                "byte {at}: {found}"
            );
        }
        assert_eq!(beside("a/b", "../c").as_deref(), Some("c"));
        assert_eq!((beside("a", "../c"), beside("a", "/etc/passwd")), (None, None));
    }
}
