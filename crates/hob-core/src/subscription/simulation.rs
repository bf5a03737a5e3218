//! Lives of subscriptions made up at random in virtual time, with everything that can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    None,
    Save,
    RetrySave,
    Keys,
    Retry,
    Crash,
    Generation,
}
