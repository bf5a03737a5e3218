//! What lies in the topic of a made-up life.

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::subscription) enum Kind {
    /// The function handles it.
    Good,
    /// It does so some day.
    Moody,
    /// It never does.
    Poison,
    /// It says so.
    Rejected,
    /// The node dies of it.
    Killer,
    /// The filter does not match.
    Skipped,
    /// Its time is over.
    Expired,
    /// It is lost in the log.
    Missing,
    /// It is lost after it was read.
    Vanished,
}

impl Kind {
    pub(super) fn is_wanted(self) -> bool {
        !matches!(self, Self::Skipped | Self::Expired | Self::Missing)
    }
}

/// A record of the topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) kind: Kind,
    pub(super) key: Option<u64>,
    pub(super) time_ms: u64,
}
