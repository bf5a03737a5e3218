//! The files of one chain of an audit log: lines, one after the other, in segments of which the oldest go.
//!
//! **How.** `<folder of the chain>/<first sequence>.log`, for the node's user alone. A line that a crash has cut short was never
//! answered and is removed at the next start. What could not be written is kept in memory and goes first when writing
//! works again.

use hob_core::access::audit::{self, Act, Book, DONE, Head, Kept, TRIM};
use hob_core::limit::{
    AUDIT_BYTES_MAX, AUDIT_KEPT, AUDIT_OTHERS_BYTES_MAX, AUDIT_SEGMENT_BYTES, AUDIT_UNWRITTEN_MAX,
};
use hob_core::name::SpaceName;
use hob_core::unit::millis;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a file's name ends with.
const ENDING: &str = ".log";

/// What is to be written.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) time_ms: u64,
    pub(super) act: Act,
    pub(super) id: Option<String>,
    pub(super) times: Option<u64>,
}

/// The files.
pub(super) struct Segments {
    book: Book,
    folder: PathBuf,
    /// At least one, the oldest first; the last one is written.
    files: Vec<Segment>,
    open: File,
    head: Head,
    /// What waits for a disk that takes it.
    unwritten: Vec<Line>,
    /// Lines that there was no room for while it waited.
    lost: u64,
}

#[derive(Clone, Debug)]
struct Segment {
    first: u64,
    bytes: u64,
    /// When its first line was written, and the digest before it; `None` while it has none that can be read.
    begins: Option<(u64, Kept)>,
}

impl Segment {
    fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{:020}{ENDING}", self.first))
    }
}

impl Segments {
    /// Opens the folder of a chain, which is made if there is none; also what is wrong with its end, given where it once
    /// was.
    pub(super) fn open(folder: &Path, book: Book, known: Option<Head>) -> io::Result<(Self, Option<String>)> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut firsts: Vec<u64> = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            firsts.extend(name.to_str().and_then(|name| name.strip_suffix(ENDING)?.parse::<u64>().ok()));
        }
        firsts.sort_unstable();
        let mut files = Vec::new();
        for first in firsts {
            files.push(read_begin(folder, first)?);
        }
        if files.is_empty() {
            files.push(Segment { first: 1, bytes: 0, begins: None });
        }
        let last = files.last_mut().expect("there is one at least");
        let path = last.path(folder);
        let (open, ended) = open_last(&path)?;
        last.bytes = ended.bytes;
        let before = last.begins.map_or_else(Head::default, |(_, kept)| Head {
            sequence: kept.sequence - 1,
            digest: kept.previous,
        });
        let head = ended.heads.last().copied().unwrap_or(before);
        let wrong = known.and_then(|known| ended.wrong(known, head));
        File::open(folder)?.sync_all()?;
        let folder = folder.to_owned();
        Ok((Self { book, folder, files, open, head, unwritten: Vec::new(), lost: 0 }, wrong))
    }

    /// The last line.
    pub(super) fn head(&self) -> Head {
        self.head
    }

    /// Writes into another file from now on, for tests; the one before.
    #[cfg(test)]
    pub(super) fn put_in(&mut self, file: File) -> File {
        std::mem::replace(&mut self.open, file)
    }

    /// Whether anything waits to be written.
    pub(super) fn is_behind(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// What can be read without holding anything up.
    pub(super) fn snapshot(&self) -> Snapshot {
        let files = self.files.iter().map(|file| (file.path(&self.folder), file.bytes)).collect();
        Snapshot { files, head: self.head }
    }

    /// Writes lines behind what waits; on disk when `durable`. What cannot be written waits.
    pub(super) fn append(&mut self, lines: Vec<Line>, durable: bool, now_ms: u64) -> io::Result<()> {
        for line in lines {
            if self.unwritten.len() < AUDIT_UNWRITTEN_MAX {
                self.unwritten.push(line)
            } else {
                self.lost += 1
            }
        }
        if std::mem::take(&mut self.lost) > 0 {
            tracing::error!("the audit log could not be written for so long that lines are lost");
        }
        if self.files.last().is_some_and(|file| file.bytes >= AUDIT_SEGMENT_BYTES) {
            self.roll(now_ms)?;
        }
        let (mut text, mut head) = (String::new(), self.head);
        for Line { time_ms, act, id, times } in &self.unwritten {
            let (line, next) = audit::write(head, *time_ms, act.clone(), (id.clone(), *times), None);
            text.push_str(&line);
            text.push('\n');
            head = next;
        }
        self.write(&text, head, durable)?;
        self.unwritten.clear();
        Ok(())
    }

    fn write(&mut self, text: &str, head: Head, durable: bool) -> io::Result<()> {
        let file = self.files.last_mut().expect("there is one at least");
        let written = self.open.write_all(text.as_bytes());
        let written = written.and_then(|()| if durable { self.open.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            // Half a line must not stand before the next one.
            self.open
                .set_len(file.bytes)
                .unwrap_or_else(|error| tracing::error!(%error, "half a line stays"));
            return Err(error);
        }
        if file.begins.is_none() && !text.is_empty() {
            let first = text.lines().next().and_then(|line| audit::read(line).ok());
            file.begins = first.map(|(entry, _)| begins(&entry));
        }
        file.bytes += text.len() as u64;
        self.head = head;
        Ok(())
    }

    /// Begins a new file, and removes the oldest ones above the limits, once a line says so.
    fn roll(&mut self, now_ms: u64) -> io::Result<()> {
        self.open.sync_data()?;
        let next = Segment { first: self.head.sequence + 1, bytes: 0, begins: None };
        let path = next.path(&self.folder);
        // One that a crash has left behind has no line that was answered.
        self.open = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        self.open.set_len(0)?;
        self.files.push(next);
        let gone = self.too_many(now_ms);
        let Some((_, kept)) = self.files[gone].begins.filter(|_| gone > 0) else {
            return File::open(&self.folder)?.sync_all();
        };
        let node = || crate::caller::NODE.to_owned();
        let on = Some(format!("{} files", gone));
        let act =
            crate::caller::act(node(), node(), crate::caller::NODE, TRIM, on, SpaceName::default_space());
        let act = Act { outcome: DONE.to_owned(), book: self.book, ..act };
        let (line, head) = audit::write(self.head, now_ms, act, (None, None), Some(kept));
        self.write(&format!("{line}\n"), head, true)?;
        for file in self.files.drain(..gone) {
            fs::remove_file(file.path(&self.folder))?;
        }
        File::open(&self.folder)?.sync_all()
    }

    /// How many of the oldest files are beyond the limits; never the last two.
    fn too_many(&self, now_ms: u64) -> usize {
        let mut bytes: u64 = self.files.iter().map(|file| file.bytes).sum();
        let most = if self.book == Book::Operators { AUDIT_BYTES_MAX } else { AUDIT_OTHERS_BYTES_MAX };
        let mut gone = 0;
        while gone + 2 < self.files.len() {
            let next = self.files[gone + 1].begins.map_or(now_ms, |(begun_ms, _)| begun_ms);
            let old = next.saturating_add(millis(AUDIT_KEPT)) < now_ms;
            if bytes <= most && !old {
                break;
            }
            bytes -= self.files[gone].bytes;
            gone += 1;
        }
        gone
    }
}

fn begins(entry: &audit::Entry) -> (u64, Kept) {
    (entry.time_ms, Kept { sequence: entry.sequence, previous: entry.previous })
}

fn read_begin(folder: &Path, first: u64) -> io::Result<Segment> {
    let mut segment = Segment { first, bytes: 0, begins: None };
    let file = File::open(segment.path(folder))?;
    segment.bytes = file.metadata()?.len();
    let mut line = String::new();
    // What is no text has no beginning, and the check says so.
    if BufReader::new(file.take(AUDIT_SEGMENT_BYTES)).read_line(&mut line).is_ok() {
        segment.begins = audit::read(line.trim_end_matches('\n')).ok().map(|(entry, _)| begins(&entry));
    }
    Ok(segment)
}

/// The last file's end.
struct Ended {
    bytes: u64,
    /// The head after each line that can be read.
    heads: Vec<Head>,
}

impl Ended {
    /// What is wrong with the end, if the log once went on until `known`.
    fn wrong(&self, known: Head, head: Head) -> Option<String> {
        if known.sequence > head.sequence {
            return Some(format!(
                "it ends with entry {}, entry {} was written",
                head.sequence, known.sequence
            ));
        }
        let same = self.heads.iter().find(|head| head.sequence == known.sequence);
        same.filter(|head| head.digest != known.digest)
            .map(|head| format!("entry {} is not the one that was written", head.sequence))
    }
}

/// Opens the last file to go on with it, without a line that was cut short.
fn open_last(path: &Path) -> io::Result<(File, Ended)> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < text.len() {
        tracing::warn!("the last line of the audit log was cut short, and is removed");
        file.set_len(whole as u64)?;
        file.sync_data()?;
    }
    let lines = text[..whole].split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let read = lines.filter_map(|line| audit::read(line).ok());
    let heads = read.map(|(entry, digest)| Head { sequence: entry.sequence, digest }).collect();
    Ok((file, Ended { bytes: whole as u64, heads }))
}

/// The files as they were at one moment.
pub(super) struct Snapshot {
    files: Vec<(PathBuf, u64)>,
    pub(super) head: Head,
}

impl Snapshot {
    /// Hands over every line, the oldest first.
    pub(super) fn oldest_first(&self, mut take: impl FnMut(&str)) -> io::Result<()> {
        for (path, bytes) in &self.files {
            read_lines(path, *bytes)?.iter().for_each(|line| take(line));
        }
        Ok(())
    }

    /// Hands over the lines of each file, the newest file first, as long as more are wanted.
    pub(super) fn newest_first(&self, mut take: impl FnMut(&[String]) -> bool) -> io::Result<()> {
        for (path, bytes) in self.files.iter().rev() {
            if !take(&read_lines(path, *bytes)?) {
                break;
            }
        }
        Ok(())
    }
}

fn read_lines(path: &Path, bytes: u64) -> io::Result<Vec<String>> {
    let mut text = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(bytes).read_to_end(&mut text)?,
        // Removed since, as the oldest one, or by somebody; the check says so.
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let lines = text.split(|byte| *byte == b'\n').map(|line| String::from_utf8_lossy(line).into_owned());
    Ok(lines.filter(|line| !line.is_empty()).collect())
}
