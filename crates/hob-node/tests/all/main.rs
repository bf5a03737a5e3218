//! Whole nodes in this process: what a client on a socket sees.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod batches;
mod budget;
mod clients;
mod control;
mod events;
mod facts;
mod layers;
mod malformed;
mod metrics;
mod protocol;
mod quota;
mod routing;
#[path = "../../../hob-runtime/tests/shared/skip.rs"]
mod skip;
mod smuggle;
mod spaces;
mod ssrf;
mod stop;
mod support;
mod switch;
mod telemetry;
mod upgrade;
mod walls;
