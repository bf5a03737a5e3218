//! What a worker says of itself beside answers, as far as it counts: no more than there was time and room for.
//!
//! **Why.** Lines that a function prints have a rate, Hob's own have none. Of those a worker has just one reason: the trap
//! that has ended a guest. What it says of time is charged to a call.
//!
//! **Not here:** whose lane it is ([`super::Beside`]).

use crate::worker::wire::{Broken, Line, Used};
use hob_core::limit::{LOG_LINE_BYTES_MAX, WORKER_DROPPED_INTERVAL};
use hob_core::log_line::Level;
use hob_core::port::Stream;
use hob_core::unit::micros;
use std::time::Instant;

/// What was said on one lane so far.
pub(super) struct Said {
    began: Instant,
    /// Bytes of traps that it may still tell: there is one, and it fits a line.
    trap_bytes: usize,
    /// Lines that were dropped and of which nobody was told, and their bytes.
    dropped: (u64, u64),
    told: Option<Instant>,
    used: Used,
}

impl Said {
    /// Nothing.
    pub(super) fn new(now: Instant) -> Self {
        let (dropped, used) = ((0, 0), Used::default());
        Self { began: now, trap_bytes: LOG_LINE_BYTES_MAX, dropped, told: None, used }
    }

    /// Whether a line may be one of this lane's.
    ///
    /// # Errors
    /// When no sound worker says that.
    pub(super) fn line(&mut self, line: &Line) -> Result<(), Broken> {
        match (line.stream, line.level) {
            (Stream::Stdout | Stream::Stderr, _) => Ok(()),
            (Stream::Platform, Some(Level::Error)) => {
                const MORE: Broken = Broken("more words in the node's name than a trap has");
                // An empty line is none of a trap's, and would cost nothing.
                let bytes = line.text.len().max(1);
                self.trap_bytes = self.trap_bytes.checked_sub(bytes).ok_or(MORE)?;
                Ok(())
            }
            (Stream::Platform | Stream::Otlp, _) => Err(Broken("words in the node's name")),
        }
    }

    /// So many lines and bytes were dropped: how many there are to tell of now. It is told at most once in
    /// [`WORKER_DROPPED_INTERVAL`].
    pub(super) fn dropped(&mut self, lines: u64, bytes: u64, now: Instant) -> Option<(u64, u64)> {
        self.dropped = (self.dropped.0.saturating_add(lines), self.dropped.1.saturating_add(bytes));
        let lately = |told| now.saturating_duration_since(told) < WORKER_DROPPED_INTERVAL;
        if self.told.is_some_and(lately) {
            return None;
        }
        self.told = Some(now);
        self.untold()
    }

    /// What is left to tell of at the end.
    pub(super) fn untold(&mut self) -> Option<(u64, u64)> {
        Some(std::mem::take(&mut self.dropped)).filter(|(lines, _)| *lines > 0)
    }

    /// It says that so much was used: before, and now. Sums do not shrink, and there was no more than there was time for:
    /// a call has one thread at a time.
    pub(super) fn used(&mut self, used: &Used, now: Instant) -> (Used, Used) {
        let elapsed = now.saturating_duration_since(self.began);
        let most_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let before = self.used;
        let more = |before: u64, now: u64, most: u64| now.min(most).max(before);
        // What was told of it before it could not be told any more is charged already.
        let call_ns = more(before.call_ns.unwrap_or_default(), used.call_ns.unwrap_or_default(), most_ns);
        self.used = Used {
            call_ns: (used.call_ns.is_some() || before.call_ns.is_some()).then_some(call_ns),
            queued_us: more(before.queued_us, used.queued_us, micros(elapsed)),
            started_us: more(before.started_us, used.started_us, micros(elapsed)),
            ..*used
        };
        (before, Used { call_ns: used.call_ns.map(|_| call_ns), ..self.used })
    }
}

#[cfg(test)]
mod tests {
    use super::{LOG_LINE_BYTES_MAX, Level, Line, Said, Stream, Used, WORKER_DROPPED_INTERVAL};
    use std::time::{Duration, Instant};

    /// A captured worker wrote what it liked as Hob, without a rate.
    #[test]
    fn a_worker_has_no_words_in_the_nodes_name_but_a_trap() {
        let line =
            |stream, level, bytes: usize| Line { invocation: None, stream, level, text: "x".repeat(bytes) };
        let (error, warn) = (Some(Level::Error), Some(Level::Warn));
        for (lines, sound) in [
            (vec![line(Stream::Stdout, None, LOG_LINE_BYTES_MAX), line(Stream::Stderr, warn, 1)], true),
            (vec![line(Stream::Platform, error, 100), line(Stream::Platform, error, 100)], true),
            (
                vec![line(Stream::Platform, error, LOG_LINE_BYTES_MAX), line(Stream::Platform, error, 0)],
                false,
            ),
            (vec![line(Stream::Platform, warn, 1)], false),
            (vec![line(Stream::Platform, None, 1)], false),
            (vec![line(Stream::Otlp, error, 1)], false),
        ] {
            let mut said = Said::new(Instant::now());
            assert_eq!(lines.iter().all(|line| said.line(line).is_ok()), sound, "{:?}", lines[0].stream);
        }
    }

    #[test]
    fn what_was_dropped_is_told_once_in_a_while_and_all_of_it() {
        let begun = Instant::now();
        let mut said = Said::new(begun);
        assert_eq!(said.dropped(1, 10, begun), Some((1, 10)));
        for _ in 0..1000 {
            assert_eq!(said.dropped(2, 20, begun), None);
        }
        let later = begun + WORKER_DROPPED_INTERVAL;
        assert_eq!(said.dropped(u64::MAX, 1, later), Some((u64::MAX, 20_001)));
        assert_eq!((said.dropped(0, 0, later), said.untold()), (None, None));
        assert_eq!((said.dropped(3, 4, later), said.untold()), (None, Some((3, 4))));
    }

    #[test]
    fn a_call_has_used_no_more_than_there_was_time_for() {
        let begun = Instant::now();
        let mut said = Said::new(begun);
        let used = |call_ns, queued_us| Used { call_ns, queued_us, started_us: queued_us, ..Used::default() };
        let mut charged = 0;
        let mut tell = |call_ns, queued_us, at: u64| {
            let (before, now) = said.used(&used(call_ns, queued_us), begun + Duration::from_micros(at));
            charged += now.call_ns.map_or(0, |now| now - before.call_ns.unwrap_or_default());
            (now.call_ns, now.queued_us, now.started_us, charged)
        };
        assert_eq!(tell(Some(500), 1, 10), (Some(500), 1, 1, 500));
        assert_eq!(tell(Some(u64::MAX - 1), u64::MAX, 10), (Some(10_000), 10, 10, 10_000));
        // What was said is not charged again.
        assert_eq!(tell(None, 0, 20), (None, 10, 10, 10_000));
        assert_eq!(tell(Some(10_000), 0, 20), (Some(10_000), 10, 10, 10_000));
        assert_eq!(tell(Some(0), 5, 20), (Some(10_000), 10, 10, 10_000));
        assert_eq!(tell(Some(12_000), 30, 20), (Some(12_000), 20, 20, 12_000));
    }
}
