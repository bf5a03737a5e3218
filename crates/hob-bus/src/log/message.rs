//! What the threads of the log ask of each other.

use super::topic::Topic;
use bytes::Bytes;
use hob_core::fault::Result;
use hob_core::port::{Appended, Durability};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What the writer is asked for.
pub(super) enum Request {
    Append(Append),
    /// Ends the segment that is written, if there is anything in it.
    Roll(Arc<Topic>, Option<oneshot::Sender<()>>),
    /// Syncs what was acknowledged before it was synced.
    Flush,
}

/// A batch to be appended.
pub(super) struct Append {
    pub(super) topic: Arc<Topic>,
    pub(super) items: Vec<Item>,
    pub(super) bytes: usize,
    pub(super) durability: Durability,
    pub(super) answer: Answer,
}

/// Where the outcome of an [`Append`] goes. Whoever has gone has lost interest, not the records.
pub(super) type Answer = oneshot::Sender<Result<Vec<Appended>>>;

/// One record.
pub(super) struct Item {
    pub(super) payload: Bytes,
    pub(super) key: Option<u128>,
}

/// What the keeper is asked for.
pub(super) enum Job {
    /// Prepare a file with that much space.
    Spare(Arc<Topic>, u64),
    /// A segment is complete.
    Sealed(Arc<Topic>, u64),
    /// Nothing more comes.
    Stop,
}
