//! What Hob decides, and the words it uses: values and pure functions.
//!
//! **Why.** A decision that reads no clock and opens no socket is tested in microseconds and in
//! virtual time. So this crate has no async runtime in its manifest, and clippy refuses the clock.
//!
//! **How.** [`manifest`] turns a person's text into a [`spec::AppSpec`]; [`route`] says which
//! function answers a request; [`scale`] says when instances start and stop; [`rollout`] says how
//! an app moves to a revision and back. [`port`] holds what the plugs below the node implement.
//!
//! **Not here:** anything that waits. Waiting is `hob-node`'s and `hob-runtime`'s work.

pub mod access;
pub mod alert;
pub mod aws;
pub mod bill;
pub mod budget;
pub mod certificate;
pub mod code;
pub mod compare;
pub mod cost;
pub mod digest;
pub mod egress;
pub mod event;
pub mod fact;
pub mod fault;
pub mod filter;
pub mod forecast;
pub mod foreign;
pub mod fuzz;
pub mod handler;
pub mod histogram;
pub mod id;
pub mod limit;
pub mod log_line;
pub mod manifest;
pub mod measure;
pub mod name;
pub mod near;
pub mod otlp;
pub mod percent;
pub mod port;
pub mod random;
pub mod resolve;
pub mod rollout;
pub mod route;
pub mod scale;
pub mod schedule;
mod schema;
pub mod secret;
pub mod share;
pub mod space;
pub mod spec;
pub mod subscription;
pub mod top;
pub mod trace;
pub mod trigger;
pub mod unit;
pub mod usage;
pub mod watch;
pub mod why;
pub mod wire;
