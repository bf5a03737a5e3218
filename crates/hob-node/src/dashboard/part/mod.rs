//! Pieces that several pages show: values, marks, stories, spans, distributions.
//!
//! **How.** Each takes plain values and gives HTML; what has to be worked out first (which spans stand
//! where, how long most calls took) is a pure function beside it, with its own test.

pub(super) mod diff;
pub(super) mod groups;
pub(super) mod histogram;
pub(super) mod mark;
pub(super) mod problems;
pub(super) mod row;
pub(super) mod story;
pub(super) mod text;
pub(super) mod waterfall;
