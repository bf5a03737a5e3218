//! Durable state, artifacts and topics behind one table of engines.
//!
//! **Why.** What a node must not lose after a kill or a power cut has few shapes: control state under
//! keys, artifacts by digest, and topics, which are streams of records. Behind
//! [`hob_core::port`] the node cannot tell a folder on one machine from a cluster's store.
//!
//! **How.** [`engine::ENGINES`] is the table; [`engine::open`] opens one row by name. `artifact`,
//! `lock` and `log` are what the engines share.
//!
//! **Invariants.** Only this crate writes into `state/`, `artifacts/`, `topics/`, `facts/`, `quarantine/` and `lock`
//! of a data folder. What is acknowledged by the `file` engine is on disk.
//!
//! **Not here:** what keys, values and records mean (`hob-node`).

mod artifact;
pub mod engine;
mod facts;
pub mod fuzz;
mod lock;
mod log;
mod storage;

pub use engine::{ENGINES, Engine, EngineRow, EngineSettings, open};
#[cfg(feature = "broken")]
pub use log::Broken;
