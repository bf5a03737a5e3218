//! Newline-delimited JSON, line by line, from an answer that may never end.

use super::connection::Answer;
use std::io;

/// The lines of an answer's body.
pub(super) struct Lines {
    answer: Answer,
    pending: Vec<u8>,
}

impl Lines {
    pub(super) fn new(answer: Answer) -> Self {
        Self { answer, pending: Vec::new() }
    }

    /// The next line that is not blank, or `None` at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.pending.iter().position(|&byte| byte == b'\n') {
                let rest = self.pending.split_off(end + 1);
                let line = std::mem::replace(&mut self.pending, rest);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Ok(Some(line));
            }
            match self.answer.chunk().await? {
                Some(chunk) => self.pending.extend_from_slice(&chunk),
                None if self.pending.trim_ascii().is_empty() => return Ok(None),
                None => self.pending.push(b'\n'),
            }
        }
    }
}
