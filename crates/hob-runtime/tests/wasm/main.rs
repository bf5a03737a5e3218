//! Host `wasm`: what well-behaved guests answer, and how every kind of bad one fails.
//!
//! **How.** Guests are component text with a few lines of core code each (`tests/guests/http02.wat`),
//! and small components of real toolchains (`tests/guests/built`).

#![expect(clippy::unwrap_used, reason = "helpers of a test may fail it")]

mod another;
#[path = "../shared/hostile.rs"]
mod attack;
mod compile;
mod crowd;
mod exchange;
mod hostile;
mod javascript;
#[path = "../shared/other.rs"]
mod other;
#[path = "../shared/ports.rs"]
mod ports;
mod serve;
#[expect(dead_code, reason = "tests of guests need no programs")]
#[path = "../shared/skip.rs"]
mod skip;
mod spin;
mod support;
mod worker;
