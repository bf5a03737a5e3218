//! One durable subscription on a topic: what is delivered when, how often, and what is remembered.
//!
//! **Why.** That every event is handled or given up for a stated reason, in order where asked, through
//! crashes and clock jumps, is the promise of the bus; and its errors hide in races. As a value that
//! reads no clock and does no I/O, thousands of lives of a subscription are told in a second of tests.
//!
//! **How.** The node feeds a [`Machine`] an [`Input`] and the time, and carries out the [`Effect`]s: it
//! reads pages of the topic, says of each record whether it is wanted, delivers, writes dead letters,
//! stores snapshots. A record is *settled* when it was delivered, dead-lettered, is not wanted, or is
//! gone; the cursor is the lowest unsettled one. `window` holds the unsettled records that were read,
//! `snapshot` says what is stored and when, `crash` what a restart means, `retry` and `rate` the times.
//!
//! **Invariants**, checked after each step by `simulation`:
//! 1. Nothing is lost: each record is settled in the end. Nothing is delivered that is not wanted.
//! 2. A delivery is repeated only with a higher attempt number, in the same generation, whatever crashes:
//!    what a delivery needs to be remembered is durable before it begins.
//! 3. With `ordered`, first deliveries of a key are in order, and one at a time is in flight. A retry holds up
//!    its key and nothing else.
//! 4. At most `concurrency` in flight, at most a window of unsettled records, at most the rate.
//! 5. An event that fails is given up after exactly `attempts` failures that are remembered; restarts and
//!    refusals for overload do not count.
//! 6. What can go on goes on: whenever nothing is under way, nothing is left to do or a wake-up is set.
//!
//! **Clock.** Times are wall-clock times, since they outlive the process. When it jumps forward, retries come
//! early by at most the jump. When it goes back by more than [`CLOCK_SLACK_MS`], every time moves back with
//! it, so a retry comes late by at most that; smaller steps back count as no time. Ages are measured against
//! the times of the records, whatever the clock does in between.
//!
//! **Seeking.** Forward skips what is before. Back begins a new generation, in which attempts begin at 1
//! again; deliveries of the old one still take their places until they end, and their answers do not count.
//!
//! **Not here:** filters, payloads, invocations, where dead letters go, and who calls [`Machine::step`]
//! (`hob-node`).

mod batch;
mod crash;
mod deliver;
mod machine;
mod ranges;
mod rate;
mod retry;
#[cfg(test)]
mod simulation;
mod snapshot;
#[cfg(test)]
mod tests;
mod window;

pub use batch::{Batches, Gathering};
pub use crash::{CRASHES_ALONE, CRASHES_MAX, CRASHES_NAMED, Marks};
pub use machine::Machine;
pub use ranges::Ranges;
pub use snapshot::{Snapshot, Waiting};

use crate::limit::{
    DELIVERY_ATTEMPTS_DEFAULT, DELIVERY_BACKOFF_MAX_DEFAULT, DELIVERY_BACKOFF_MIN_DEFAULT,
    SUBSCRIPTION_CONCURRENCY_DEFAULT, SUBSCRIPTION_WINDOW_MAX,
};
use crate::unit::millis;
use serde::{Deserialize, Serialize};

/// A step back of the clock that is taken for no time instead of for a jump.
pub const CLOCK_SLACK_MS: u64 = 1000;
/// Pause after a read, a save or a dead letter that could not be done.
pub const FAILURE_PAUSE_MS: u64 = 1000;
/// Dead letters that are written at a time.
pub const DEAD_LETTERS_MAX: usize = 16;

/// What a person sets for a subscription. What is 0 and may not be counts as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Failures after which a record is given up; at least 1.
    pub attempts: u32,
    /// Pause after the first failure, milliseconds; doubles with each further one.
    pub backoff_min_ms: u64,
    /// Longest such pause; not less than the shortest.
    pub backoff_max_ms: u64,
    /// Records older than this are given up when an attempt fails or is due.
    pub age_ms: Option<u64>,
    /// Whether keys count: one delivery per key at a time, in order.
    pub ordered: bool,
    /// Deliveries at a time; at least 1.
    pub concurrency: u32,
    /// Deliveries that may begin in a time.
    pub rate: Option<Rate>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attempts: DELIVERY_ATTEMPTS_DEFAULT,
            backoff_min_ms: millis(DELIVERY_BACKOFF_MIN_DEFAULT),
            backoff_max_ms: millis(DELIVERY_BACKOFF_MAX_DEFAULT),
            age_ms: None,
            ordered: false,
            concurrency: SUBSCRIPTION_CONCURRENCY_DEFAULT,
            rate: None,
        }
    }
}

/// A rate: evenly, with bursts of one interval's events after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Events per interval; at least 1.
    pub events: u32,
    /// The interval, milliseconds; at least 1.
    pub interval_ms: u64,
}

/// Sizes of the machine, for tests smaller than usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Unsettled records that are held; at least 1.
    pub window: usize,
    /// Records that are asked for at a time; at least 1.
    pub page: usize,
    /// How far ahead of what was read records may be delivered before the next save.
    pub stride: u64,
    /// Settled records after which a snapshot is saved.
    pub save_settled: u32,
    /// Time after a change in which a snapshot is saved, milliseconds.
    pub save_pause_ms: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            window: SUBSCRIPTION_WINDOW_MAX,
            page: 256,
            // Twice `save_settled`: the mark moves on before what is below it is used up.
            stride: 2048,
            save_settled: 1024,
            save_pause_ms: 100,
        }
    }
}

/// One delivery of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delivery {
    /// The record.
    pub sequence: u64,
    /// Which run through the topic, from 1; grows when a seek goes back.
    pub generation: u32,
    /// Which attempt of this generation, from 1. May leave numbers out after a crash, repeats none.
    pub attempt: u32,
}

/// A record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub sequence: u64,
    /// When it was appended, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// A hash of its order key, if it has one. Two keys with one hash merely wait for each other.
    pub key: Option<u64>,
    /// What becomes of it.
    pub wanted: Wanted,
}

/// What becomes of a record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It is to be delivered.
    Deliver,
    /// It is not for this subscription.
    Skip,
    /// It is, but its own time is over: a dead letter. (To drop it instead: `Skip`.)
    Expired,
}

/// What happens to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// Time has passed. Also the first input of each life.
    Tick,
    /// The topic has more records.
    Appended,
    /// The answer to [`Effect::Fetch`]: all of the page, in order. What is neither here nor settled
    /// before `next` is gone (retention, damage) and counts as missing.
    Fetched {
        /// As in the effect.
        from: u64,
        /// The records of the page.
        records: &'a [Candidate],
        /// Where the next page begins; `from` when there is nothing yet.
        next: u64,
    },
    /// The page could not be read. It is tried again.
    FetchFailed {
        /// As in the effect.
        from: u64,
    },
    /// The answer to [`Effect::Deliver`]; exactly one for each.
    Delivered {
        /// As in the effect.
        delivery: Delivery,
        /// How it ended.
        outcome: Outcome,
    },
    /// The answer to [`Effect::DeadLetter`]; exactly one for each.
    DeadLettered {
        /// As in the effect.
        delivery: Delivery,
        /// False when it could not be written; it is tried again.
        durable: bool,
    },
    /// The answer to [`Effect::Save`]: it is on disk.
    Saved {
        /// As in the snapshot.
        version: u64,
    },
    /// The snapshot could not be saved, or nobody knows; it must not become durable later than one that is
    /// saved after it. The next one follows.
    SaveFailed {
        /// As in the snapshot.
        version: u64,
    },
    /// Nothing is read, delivered or dead-lettered until `Resume`, through restarts too.
    Pause,
    /// Goes on.
    Resume,
    /// Goes to a sequence (0 counts as 1). Above the cursor it skips what is before; below, everything from
    /// there on is delivered again.
    Seek {
        /// The new cursor.
        sequence: u64,
    },
    /// Other settings; records that wait for a retry keep their time.
    Configure(Settings),
    /// This life ends: nothing is begun any more, and the last snapshot says so. See [`Machine::is_idle`].
    Stop,
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The event was handled.
    Done,
    /// It failed, which counts.
    Retry {
        /// The function's `Retry-After`, milliseconds.
        after_ms: Option<u64>,
    },
    /// It failed, which counts, and the record has limits of its own, no wider than those of the settings.
    Within {
        /// As of [`Outcome::Retry`].
        after_ms: Option<u64>,
        /// Failures after which it is given up.
        attempts: u32,
        /// How old it may be, milliseconds; `None`: any age.
        age_ms: Option<u64>,
    },
    /// It is older than its own limit allows: a dead letter now.
    TooOld,
    /// There was no place for it, which does not count.
    Overloaded {
        /// How long to wait at least, milliseconds.
        after_ms: Option<u64>,
    },
    /// It has waited in vain to begin: it asks again after so many milliseconds, however often it has. That does not count.
    Later {
        /// How long to wait, milliseconds.
        after_ms: u64,
    },
    /// It will never succeed: a dead letter now.
    Rejected,
    /// The record cannot be read any more: it counts as missing.
    Gone,
}

/// Why a record is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It failed as often as it may.
    Attempts,
    /// It is older than it may be.
    Age,
    /// The function said that it will never succeed.
    Rejected,
    /// Its own time was over before it was read.
    Expired,
    /// The node crashed again and again while it was in flight.
    Crashes,
}

/// What the node has to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Read up to `records` records from `from` on; only the last such effect needs an answer.
    Fetch {
        /// The first sequence.
        from: u64,
        /// Records at most.
        records: usize,
    },
    /// Deliver the record. Everything that this needs is durable.
    Deliver(Delivery),
    /// Write a dead letter. A crash may have forgotten an earlier one of the same record: sequence and
    /// generation tell. For the same reason a record may be delivered although its dead letter exists.
    DeadLetter {
        /// The record, and its last attempt; 0 when there was none.
        delivery: Delivery,
        /// Why.
        reason: Reason,
        /// Attempts that counted.
        failures: u32,
    },
    /// Store the snapshot. There is never a second one before the first is answered.
    Save(Box<Snapshot>),
    /// Send `Tick` at this time, and at no other: it replaces the time before.
    WakeAt(u64),
}

/// Where a record is in a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whereabouts {
    /// It is dealt with: delivered, given up, left out or passed over.
    #[default]
    Settled,
    /// It has not been read yet.
    Unread {
        /// Records before it that are not settled either.
        before: u64,
    },
    /// It waits for a free place.
    Ready,
    /// It waits for an earlier one of its key.
    Blocked {
        /// That one.
        behind: Option<u64>,
    },
    /// It waits for another attempt.
    Waiting {
        /// When that is due, milliseconds since the Unix epoch.
        due_ms: u64,
        /// Attempts that failed.
        failures: u32,
    },
    /// It is being delivered.
    Flying {
        /// Which attempt it is, from 1.
        attempt: u32,
    },
    /// Its dead letter is being written.
    Burying,
}

/// How many records ended how; exact across restarts as far as saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    /// Handled.
    pub delivered: u64,
    /// Given up, with a dead letter.
    pub dead: u64,
    /// Not wanted, or passed over by a seek.
    pub skipped: u64,
    /// Gone before they could be delivered.
    pub missing: u64,
    /// Attempts (not records) after which another one followed or will.
    pub retried: u64,
}

/// The state of a subscription, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The lowest sequence that is not settled.
    pub cursor: u64,
    /// Records settled above the cursor.
    pub settled_above: u64,
    /// The sequence that is read next.
    pub next: u64,
    /// Which run through the topic.
    pub generation: u32,
    /// Records read and not settled.
    pub pending: usize,
    /// Deliveries that run.
    pub in_flight: usize,
    /// Records that wait for a time.
    pub waiting: usize,
    /// Records that wait for an earlier one of their key.
    pub blocked: usize,
    /// Whether it is paused.
    pub paused: bool,
    /// How many records ended how.
    pub counters: Counters,
}
