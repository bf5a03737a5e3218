//! A checker of histories: a node that is killed, starved and lied to loses nothing that it acknowledged.
//!
//! **Why.** What the bus promises is promised to clients and functions. So the judge is outside the product:
//! the node is a process of its own, everything that clients do is written down by them, and what the
//! function has seen is in a file that it wrote before it answered.
//!
//! **How.** `child` starts the node and ends it in many ways, `load` publishes, `sink` is the app, `collect`
//! waits until all is delivered and reads what is left. The result is a `history`, and `check` has the rules.
//! `bites` shows that the rules find logs which break promises.
//!
//! `HOB_SEED=7` repeats a run; `HOB_HISTORY=full cargo test -p hob-node --test history -- --nocapture` makes
//! 200 rounds of kills with at least 100,000 acknowledged events.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "progress is told")]

mod bites;
mod check;
mod child;
mod clock;
mod collect;
mod damage;
mod disk;
mod files;
mod history;
mod kill;
mod load;
mod random;
mod sink;
mod world;

#[path = "../../../hob-runtime/tests/shared/skip.rs"]
mod skip;
#[expect(dead_code, reason = "the other tests of whole nodes need more of it")]
#[path = "../all/support.rs"]
mod support;
