//! Native functions through their pools: what every contract promises, and what processes get up to.
//!
//! **How.** Guests are a few lines of `sh` or Python, run by a [`support::Bench`] as a node would. What
//! needs `python3` says so and is skipped where there is none.

#![expect(clippy::unwrap_used, reason = "helpers of a test may fail it")]

mod another;
mod contract;
mod fake;
mod groups;
#[path = "../hostile/table.rs"]
mod hostile;
mod lambda;
mod logs;
#[path = "../shared/other.rs"]
mod other;
mod pool;
#[path = "../shared/ports.rs"]
mod ports;
mod program;
mod site;
#[path = "../shared/skip.rs"]
mod skip;
mod support;
mod used;
mod wagi;
mod walls;
