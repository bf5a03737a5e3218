//! What reads a disk's bytes, for fuzzers; see [`hob_core::fuzz`].

use hob_core::fuzz::Target;

/// The parsers of this crate.
pub const TARGETS: &[Target] = &[("log_frame", crate::log::frame::fuzz), ("fact", crate::facts::pack::fuzz)];

hob_core::drive_targets!();
