//! Newline-delimited JSON, line by line, from an answer that may never end.

use super::connection::Answer;
use std::io;

/// The lines of an answer's body.
pub(super) struct Lines {
    answer: Answer,
    pending: Vec<u8>,
    /// Bytes of `pending` that were handed out.
    taken: usize,
}

impl Lines {
    pub(super) fn new(answer: Answer) -> Self {
        Self { answer, pending: Vec::new(), taken: 0 }
    }

    /// The next line that is not blank, or `None` at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut looked_at = self.taken;
        loop {
            if let Some(end) = self.pending[looked_at..].iter().position(|&byte| byte == b'\n') {
                let end = looked_at + end + 1;
                let line = self.pending[self.taken..end].to_vec();
                (self.taken, looked_at) = (end, end);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Ok(Some(line));
            }
            self.pending.drain(..self.taken);
            self.taken = 0;
            looked_at = self.pending.len();
            match self.answer.chunk().await? {
                Some(chunk) => self.pending.extend_from_slice(&chunk),
                None if self.pending.trim_ascii().is_empty() => return Ok(None),
                None => self.pending.push(b'\n'),
            }
        }
    }
}
