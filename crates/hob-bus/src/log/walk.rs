//! Going through the frames of one file, also over damage.
//!
//! **How.** A window of the file is read ahead. What is found is checked before it is given out; after
//! something that is no frame, [`Walk::resume`] looks for the next one at each multiple of 8.

use super::disk::{DiskFile, read_full};
use super::frame::{FRAME_BYTES_MAX, Found, Head, Salt, decode};
use std::io;
use std::ops::Range;

/// A place in a file, and what is known of what follows.
pub(super) struct Walk<'a> {
    file: &'a dyn DiskFile,
    salt: Salt,
    /// Nothing is looked at from here on.
    end: u64,
    /// Where the next frame is expected.
    pub(super) at: u64,
    chunk: usize,
    window: Vec<u8>,
    /// Where the window begins in the file.
    start: u64,
    payload: Range<usize>,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Step {
    /// A valid frame; the walk stands behind it.
    Record(Head),
    /// The end, or space that was never written.
    End,
    /// Bytes that are no frame.
    Bad,
}

impl<'a> Walk<'a> {
    /// Begins at `at`; reads about `chunk` bytes at a time.
    pub(super) fn new(file: &'a dyn DiskFile, salt: Salt, at: u64, end: u64, chunk: usize) -> Self {
        Self { file, salt, end, at, chunk, window: Vec::new(), start: at, payload: 0..0 }
    }

    /// The next frame.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        let (mut need, salt) = (super::frame::HEAD_BYTES, self.salt);
        loop {
            let bytes = self.bytes(need)?;
            let have = bytes.len();
            match decode(bytes, salt) {
                Found::Frame(head, payload, length) => {
                    let begin = self.position();
                    self.payload = begin + payload.start..begin + payload.end;
                    self.at += length as u64;
                    return Ok(Step::Record(head));
                }
                Found::More(_) if have == 0 => return Ok(Step::End),
                Found::More(more) if more > have && have < need => return Ok(Step::Bad),
                Found::More(more) => need = more,
                Found::Empty => return Ok(Step::End),
                Found::Bad => return Ok(Step::Bad),
            }
        }
    }

    /// The payload of the last frame.
    pub(super) fn payload(&self) -> &[u8] {
        &self.window[self.payload.clone()]
    }

    /// Goes on at the next frame that `fits`, from here on, however far, but not over more than `zeros_max` bytes that
    /// were never written. False when there is none.
    pub(super) fn resume(&mut self, zeros_max: u64, fits: impl Fn(&Head) -> bool) -> io::Result<bool> {
        let magic = self.salt.magic.to_le_bytes();
        let mut zeros = 0;
        loop {
            let at = self.at;
            let bytes = self.bytes(8)?;
            if bytes.is_empty() || zeros > zeros_max {
                return Ok(false);
            }
            if bytes.starts_with(&magic) {
                let fits = matches!(self.step()?, Step::Record(head) if fits(&head));
                self.at = at;
                if fits {
                    return Ok(true);
                }
                zeros = 0;
            } else {
                zeros = if bytes.iter().take(8).all(|byte| *byte == 0) { zeros + 8 } else { 0 };
            }
            self.at += 8;
        }
    }

    /// Where `at` is in the window; far behind it when the walk was sent back to before it.
    fn position(&self) -> usize {
        let inside = self.at.checked_sub(self.start).and_then(|inside| usize::try_from(inside).ok());
        inside.unwrap_or(usize::MAX)
    }

    /// At least `need` bytes from `at` on, fewer only at the end.
    fn bytes(&mut self, need: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let need = need.min(left);
        if self.window.len() < self.position().saturating_add(need) {
            let size = self.chunk.max(need).min(left).min(FRAME_BYTES_MAX.max(self.chunk));
            self.window.resize(size, 0);
            let length = read_full(self.file, &mut self.window, self.at)?;
            self.window.truncate(length);
            self.start = self.at;
        }
        let position = self.position().min(self.window.len());
        Ok(&self.window[position..])
    }
}

#[cfg(test)]
mod tests {
    use super::{Step, Walk};
    use crate::log::disk::{Disk, MemoryDisk};
    use crate::log::frame::{Head, Salt, encode};
    use std::path::Path;

    #[test]
    fn a_walk_goes_over_damage_and_back_to_before_what_it_has_read() {
        let salt = Salt::random();
        let file = MemoryDisk::default().open(Path::new("file"), true).unwrap();
        let mut bytes = Vec::new();
        for sequence in 1..=50 {
            let head = Head { sequence, time_ms: sequence, rest: 0, unsynced: None, key: None };
            encode(&mut bytes, salt, &head, &[3; 100]);
        }
        bytes[136 * 20 + 50] ^= 1;
        file.write_at(&bytes, 0).unwrap();
        let mut walk = Walk::new(&*file, salt, 0, bytes.len() as u64, 300);
        for _ in 0..2 {
            walk.at = 0;
            let mut found = Vec::new();
            loop {
                match walk.step().unwrap() {
                    Step::Record(head) => found.push(head.sequence),
                    Step::Bad => assert!(walk.resume(u64::MAX, |_| true).unwrap()),
                    Step::End => break,
                }
            }
            assert_eq!(found, (1..=20).chain(22..=50).collect::<Vec<_>>());
        }
        walk.at = 136 * 20;
        assert!(!walk.resume(u64::MAX, |head| head.sequence > 50).unwrap());
    }
}
