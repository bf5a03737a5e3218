//! What an expression says, once it is read.

use super::calendar::Calendar;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Calendar(Calendar),
    /// Milliseconds from one run to the next.
    Every(u64),
    /// Once, at this second since 1970.
    Once(i64),
    /// Once, at this local second.
    OnceLocal(i64),
}
