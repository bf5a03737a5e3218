//! Events that wait to be delivered in one call.
//!
//! **Why.** A function that takes many events in one call costs less for each. Which of them go together is a matter of
//! numbers and times alone; the machine knows nothing of it: for it each event has an attempt of its own, with its own
//! outcome, whatever call it was in.
//!
//! **How.** What the machine begins is put here. A batch is ready when it is full, when its first event has waited long
//! enough, or when somebody is in a hurry, and there is a free call for it. With no time to wait a batch has what was
//! begun at once; while all calls run, more gathers.
//!
//! **Not here:** how a batch is sent (`hob-node`).

use std::collections::VecDeque;

/// How events are gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gathering {
    /// Events of a batch; at least 1.
    pub events: usize,
    /// Bytes of a batch, unless one event alone has more.
    pub bytes: usize,
    /// How long the first one waits, milliseconds.
    pub window_ms: u64,
    /// Calls at a time; at least 1.
    pub calls: usize,
}

/// Events that wait, and how many calls run.
#[derive(Clone, Debug)]
pub struct Batches<T> {
    waiting: VecDeque<(T, usize, u64)>,
    running: usize,
}

impl<T> Default for Batches<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), running: 0 }
    }
}

impl<T> Batches<T> {
    /// One more event, of this size; it came at this time, in milliseconds.
    pub fn put(&mut self, event: T, bytes: usize, now_ms: u64) {
        self.waiting.push_back((event, bytes, now_ms));
    }

    /// The events of the next call, which counts as running until [`Batches::ended`]; `None`: none is ready.
    pub fn take(&mut self, by: Gathering, now_ms: u64, hurry: bool) -> Option<Vec<T>> {
        let (_, _, since_ms) = self.waiting.front()?;
        // A clock that was set back lets nobody wait longer than the window.
        let over = now_ms < *since_ms || now_ms - *since_ms >= by.window_ms;
        let size = self.size(by);
        let full = size >= by.events.max(1) || size < self.waiting.len();
        if self.running >= by.calls.max(1) || !(full || over || hurry) {
            return None;
        }
        self.running += 1;
        Some(self.waiting.drain(..size).map(|(event, ..)| event).collect())
    }

    /// How many of those that wait go into one batch.
    fn size(&self, by: Gathering) -> usize {
        let mut bytes = 0usize;
        let fits = |(_, own, _): &&(T, usize, u64)| {
            bytes = bytes.saturating_add(*own);
            bytes <= by.bytes
        };
        self.waiting.iter().take(by.events.max(1)).take_while(fits).count().max(1)
    }

    /// Whether no event waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A call has ended.
    pub fn ended(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// When the first event that waits has waited long enough; `None`: none waits, or none may go before a call ends.
    pub fn due_ms(&self, by: Gathering) -> Option<u64> {
        let (_, _, since_ms) = self.waiting.front()?;
        (self.running < by.calls.max(1)).then(|| since_ms.saturating_add(by.window_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::{Batches, Gathering};

    /// What happens: an event of so many bytes, a time at which is looked, an end of a call.
    enum Step {
        Put(usize),
        At(u64, &'static [&'static [u32]]),
        Hurry(&'static [&'static [u32]]),
        Ended,
    }
    use Step::{At, Ended, Hurry, Put};

    fn play(by: Gathering, steps: &[Step]) {
        let (mut batches, mut now_ms, mut next) = (Batches::default(), 1000, 0u32);
        for (at, step) in steps.iter().enumerate() {
            let (hurry, expected) = match step {
                Put(bytes) => {
                    next += 1;
                    batches.put(next, *bytes, now_ms);
                    continue;
                }
                Ended => {
                    batches.ended();
                    continue;
                }
                At(ms, expected) => {
                    now_ms = 1000 + ms;
                    (false, expected)
                }
                Hurry(expected) => (true, expected),
            };
            let found: Vec<Vec<u32>> = std::iter::from_fn(|| batches.take(by, now_ms, hurry)).collect();
            assert_eq!(found, *expected, "step {at}");
        }
    }

    #[test]
    fn batches_are_full_or_old_or_wanted() {
        let by = Gathering { events: 3, bytes: 100, window_ms: 50, calls: 2 };
        // Full ones go at once, the rest when it has waited.
        play(
            by,
            &[
                Put(1),
                Put(1),
                At(10, &[]),
                Put(1),
                Put(1),
                At(10, &[&[1, 2, 3]]),
                At(59, &[]),
                At(60, &[&[4]]),
            ],
        );
        // Bytes fill a batch as well; one event that is too large goes alone.
        play(by, &[Put(60), Put(60), At(0, &[&[1]]), At(50, &[&[2]])]);
        play(by, &[Put(500), Put(1), At(0, &[&[1]]), Hurry(&[&[2]])]);
        // Not more calls than may run.
        let one = Gathering { calls: 1, window_ms: 0, ..by };
        play(
            one,
            &[
                Put(1),
                At(0, &[&[1]]),
                Put(1),
                Put(1),
                Put(1),
                Put(1),
                At(9, &[]),
                Ended,
                At(9, &[&[2, 3, 4]]),
                Ended,
                At(9, &[&[5]]),
            ],
        );
        // A clock that goes back lets nobody wait.
        play(by, &[At(500, &[]), Put(1), At(0, &[&[1]])]);
    }

    #[test]
    fn it_says_when_to_look_again() {
        let by = Gathering { events: 3, bytes: 100, window_ms: 50, calls: 1 };
        let mut batches = Batches::default();
        assert_eq!(batches.due_ms(by), None);
        batches.put(1, 1, 7);
        assert_eq!(batches.due_ms(by), Some(57));
        assert_eq!(batches.take(by, 57, false), Some(vec![1]));
        batches.put(2, 1, 60);
        assert_eq!(batches.due_ms(by), None, "a call has to end first");
        batches.ended();
        assert_eq!(batches.due_ms(by), Some(110));
    }
}
