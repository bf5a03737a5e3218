//! What the engines promise, and what engine `file` keeps under kills and damage.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![expect(clippy::print_stdout, reason = "children of tests tell their parent what is acknowledged")]

mod engine;
mod facts;
mod fault;
mod log;
mod log_fault;
mod support;
