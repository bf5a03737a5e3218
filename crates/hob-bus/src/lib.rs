//! Durable state and artifacts behind one table of engines.
//!
//! **Why.** What a node must not lose after a kill or a power cut is small and has one shape: control
//! state under keys, and artifacts by digest. Behind [`hob_core::port`] the node cannot tell a folder
//! on one machine from a cluster's store.
//!
//! **How.** [`engine::ENGINES`] is the table; [`engine::open`] opens one row by name. `artifact` and
//! `lock` are what the engines that work on a data folder share.
//!
//! **Invariants.** Only this crate writes into `state/`, `artifacts/` and `lock` of a data folder.
//! What is acknowledged by the `file` engine is on disk.
//!
//! **Not here:** what the keys and values mean (`hob-node`), topics and subscriptions (they come with
//! events).

mod artifact;
pub mod engine;
mod lock;
mod storage;

pub use engine::{ENGINES, Engine, EngineRow, EngineSettings, open};
