//! How a test says that it goes without what this machine lacks.
//!
//! **Why.** What a test prints by macros is kept back while it passes, so that a run in which half is skipped looks like a
//! whole one. This is written to standard error itself, and `HOB_CLIENTS=all`, as CI has it, makes a failure of each program
//! that is missing.
//!
//! **How.** Included by path (`#[path = "…/hob-runtime/tests/shared/skip.rs"]`) by each crate's tests.

use std::fmt::Display;
use std::io::Write as _;

/// Says that a test goes without a program that a machine can be given: a client, a runtime, a browser.
pub(crate) fn skip(test: &str, why: impl Display) {
    tell(test, &why);
    let all = std::env::var("HOB_CLIENTS").is_ok_and(|wanted| wanted == "all");
    assert!(!all, "`HOB_CLIENTS=all`, but {test} is skipped: {why}");
}

/// Says that a test goes without what this machine cannot be given, such as walls, or what nobody has to have.
pub(crate) fn tell(test: &str, why: impl Display) {
    // Where nobody hears it, nothing is lost.
    let _ = std::io::stderr().write_all(format!("skipped {test}: {why}\n").as_bytes());
}
