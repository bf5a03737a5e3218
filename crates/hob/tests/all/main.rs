//! The program as people use it: the real binary, real nodes, real functions.
//!
//! One test binary, so that it is linked once; a module for each subject.

#![expect(clippy::unwrap_used, reason = "clippy lets test functions unwrap, but not their helpers")]

mod bad_input;
mod bench;
mod browser;
mod burst;
mod canary;
mod cli;
mod clients;
mod desk;
mod dev;
mod events;
mod examples;
mod files;
mod foreign;
mod frameworks;
mod guides;
mod handlers;
mod lambda;
mod lambda_api;
mod otlp;
mod proof;
mod restart;
mod schema;
mod secret_given;
mod secrets;
#[path = "../../../hob-runtime/tests/shared/skip.rs"]
mod skip;
mod support;
mod templates;
mod triggers;
mod unchunk;
mod wall;
mod webdriver;
mod why;
