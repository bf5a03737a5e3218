//! What is stored of a subscription, and when: the position that survives a crash.
//!
//! **Why.** A position that is saved with each event would cost a write to the disk per event. So one
//! snapshot stands for many, and says of the attempts that it does not know how many there may have been.
//!
//! **How.** A [`Snapshot`] is small: nearly all records are below the cursor, in a range, or below a mark.
//! Only those with a history of their own are listed. [`Saves`] knows which snapshot is on its way and
//! which is durable; a new one is due at once when something waits for it, and otherwise after
//! `save_settled` settled records or `save_pause_ms`. Only one is on its way at a time.
//!
//! **Size.** At most a window of listed records, about two windows of ranges, and 64 marks: below 1 MiB as
//! JSON with a full window of 10,000 records that all wait for a retry, usually below 1 KiB.

use super::crash::Marks;
use super::{Bounds, Counters, Ranges};
use serde::{Deserialize, Serialize};

/// All that is stored of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Grows with each snapshot of the subscription, from 1.
    pub version: u64,
    /// When it was made, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Grows when a seek goes back, so that attempts begin at 1 again.
    pub generation: u32,
    /// The lowest sequence that is not settled.
    pub cursor: u64,
    /// What is settled above the cursor.
    pub done: Ranges,
    /// Records before it may have been delivered after this snapshot was made.
    pub started: u64,
    /// Nothing was in flight and nothing was delivered after it: `started` does not count.
    pub sealed: bool,
    /// What earlier crashes have left.
    pub marks: Marks,
    /// Whether it was paused.
    pub paused: bool,
    /// Records of which more is known than `marks` says, in order.
    pub waiting: Vec<Waiting>,
    /// How many records ended how.
    pub counters: Counters,
}

impl Snapshot {
    /// That of a subscription which begins with the record `from`, before its first life.
    pub fn first(from: u64, now_ms: u64) -> Self {
        Self {
            version: 1,
            time_ms: now_ms,
            generation: 1,
            cursor: from.max(1),
            done: Ranges::default(),
            started: 0,
            sealed: true,
            marks: Marks::default(),
            paused: false,
            waiting: Vec::new(),
            counters: Counters::default(),
        }
    }
}

/// A record with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WaitingTuple", into = "WaitingTuple")]
pub struct Waiting {
    /// Its number.
    pub sequence: u64,
    /// The highest attempt that is over, or may have been.
    pub attempts: u32,
    /// Attempts that count.
    pub failures: u32,
    /// Crashes during which it may have been in flight.
    pub crashes: u32,
    /// When the next attempt is due; 0: at once.
    pub due_ms: u64,
    /// Whether its next attempt begins with this snapshot.
    pub named: bool,
}

/// Ten thousand of them may be stored, so they have no names there.
type WaitingTuple = (u64, u32, u32, u32, u64, u8);

impl From<Waiting> for WaitingTuple {
    fn from(of: Waiting) -> Self {
        (of.sequence, of.attempts, of.failures, of.crashes, of.due_ms, u8::from(of.named))
    }
}

impl From<WaitingTuple> for Waiting {
    fn from((sequence, attempts, failures, crashes, due_ms, named): WaitingTuple) -> Self {
        Self { sequence, attempts, failures, crashes, due_ms, named: named != 0 }
    }
}

/// A snapshot on its way.
#[derive(Clone, Copy, Debug)]
struct Pending {
    version: u64,
    cursor: u64,
    /// 0 when it permits nothing.
    started: u64,
}

/// What was saved, what is being saved, and what has to be.
#[derive(Clone, Debug)]
pub(super) struct Saves {
    /// The last snapshot that was made.
    version: u64,
    /// The last one that is durable.
    saved: u64,
    /// The cursor of that one.
    cursor: u64,
    /// Records before it may be delivered for the first time in this life of the machine.
    started: u64,
    pending: Option<Pending>,
    dirty_since_ms: Option<u64>,
    settled: u32,
    urgent: bool,
    not_before_ms: u64,
}

impl Saves {
    pub(super) fn new(version: u64, cursor: u64) -> Self {
        Self {
            version,
            saved: version,
            cursor,
            started: 0,
            pending: None,
            dirty_since_ms: None,
            settled: 0,
            urgent: false,
            not_before_ms: 0,
        }
    }

    /// The snapshot that will hold what happens now.
    pub(super) fn next_version(&self) -> u64 {
        self.version.saturating_add(1)
    }

    pub(super) fn saved_version(&self) -> u64 {
        self.saved
    }

    pub(super) fn saved_cursor(&self) -> u64 {
        self.cursor
    }

    pub(super) fn is_clean(&self) -> bool {
        self.pending.is_none() && self.dirty_since_ms.is_none()
    }

    /// The snapshot that holds everything until now.
    pub(super) fn covering_version(&self) -> u64 {
        if self.dirty_since_ms.is_some() { self.next_version() } else { self.version }
    }

    /// What has changed, if anything, is to be saved at once.
    pub(super) fn hurry_changes(&mut self) {
        self.urgent |= self.dirty_since_ms.is_some();
    }

    /// Something has changed that the next snapshot has to say.
    pub(super) fn touch(&mut self, now_ms: u64) {
        self.dirty_since_ms.get_or_insert(now_ms);
    }

    /// So it has, and somebody waits for it.
    pub(super) fn hurry(&mut self, now_ms: u64) {
        self.touch(now_ms);
        self.urgent = true;
    }

    /// Records were settled.
    pub(super) fn settled(&mut self, records: u64, now_ms: u64) {
        self.touch(now_ms);
        self.settled = self.settled.saturating_add(u32::try_from(records).unwrap_or(u32::MAX));
    }

    /// Whether a record may be delivered for the first time in this life, as far as snapshots matter;
    /// if not, a save is under way or will be.
    pub(super) fn may_start(&mut self, sequence: u64, now_ms: u64) -> bool {
        if sequence < self.started {
            return true;
        }
        if self.pending.is_none_or(|pending| sequence >= pending.started) {
            self.hurry(now_ms);
        }
        false
    }

    /// Whether that snapshot is durable; if not, a save is under way or will be.
    pub(super) fn has(&mut self, version: u64, now_ms: u64) -> bool {
        if version > self.version {
            self.hurry(now_ms);
        }
        version <= self.saved
    }

    /// From now on, nothing that is saved or on its way permits a delivery.
    pub(super) fn revoke(&mut self) {
        self.started = 0;
        if let Some(pending) = &mut self.pending {
            pending.started = 0;
        }
    }

    /// The position moves by a seek. Deliveries wait until that is saved: a crash would take the seek back,
    /// and they would have been too early. What is unsettled again must not be removed in the meantime.
    pub(super) fn sought(&mut self, cursor: u64, now_ms: u64) {
        self.revoke();
        self.cursor = self.cursor.min(cursor);
        if let Some(pending) = &mut self.pending {
            pending.cursor = pending.cursor.min(cursor);
        }
        self.hurry(now_ms);
    }

    /// Whether a snapshot is to be made now.
    pub(super) fn is_due(&self, bounds: &Bounds, now_ms: u64) -> bool {
        self.due_ms(bounds).is_some_and(|due_ms| due_ms <= now_ms)
    }

    /// When one is to be made, if nothing else happens.
    pub(super) fn due_ms(&self, bounds: &Bounds) -> Option<u64> {
        let since_ms = self.dirty_since_ms.filter(|_| self.pending.is_none())?;
        let at_once = self.urgent || self.settled >= bounds.save_settled;
        let lazily_ms = since_ms.saturating_add(bounds.save_pause_ms);
        Some(if at_once { self.not_before_ms } else { lazily_ms.max(self.not_before_ms) })
    }

    /// This snapshot is on its way.
    pub(super) fn begin(&mut self, snapshot: &Snapshot) {
        let started = if snapshot.sealed { 0 } else { snapshot.started };
        let Snapshot { version, cursor, .. } = *snapshot;
        self.pending = Some(Pending { version, cursor, started });
        self.version = version;
        (self.dirty_since_ms, self.settled, self.urgent) = (None, 0, false);
        if snapshot.sealed {
            // It may become durable at any time from now on, and says that nothing is delivered after it.
            self.revoke();
        }
    }

    /// It is durable; false when it is not the one on its way.
    pub(super) fn saved(&mut self, version: u64) -> bool {
        let Some(pending) = self.pending.filter(|pending| pending.version == version) else { return false };
        self.pending = None;
        (self.saved, self.cursor) = (version, pending.cursor);
        self.started = pending.started;
        true
    }

    /// It may be durable or not: the next one will tell, but not before `not_before_ms`.
    pub(super) fn failed(&mut self, version: u64, now_ms: u64, not_before_ms: u64) {
        if self.pending.is_some_and(|pending| pending.version == version) {
            self.pending = None;
            self.not_before_ms = not_before_ms;
            self.hurry(now_ms);
        }
    }

    /// The clock went back: so do all times.
    pub(super) fn shift(&mut self, back_ms: u64) {
        self.dirty_since_ms = self.dirty_since_ms.map(|since_ms| since_ms.saturating_sub(back_ms));
        self.not_before_ms = self.not_before_ms.saturating_sub(back_ms);
    }
}
