//! Running functions: hosts × contracts, in pools.
//!
//! **Why.** What runs a function (a WASM engine in this process, a child process) and how a call
//! reaches it (an exported handler, HTTP on `$PORT`, standard input) are independent. Two tables,
//! [`host::HOSTS`] and [`contract::CONTRACTS`], keep N + M files instead of N × M.
//!
//! **How.** A host makes a function's package into a [`unit::Unit`]. A contract starts
//! [`unit::Instance`]s of it. A [`pool::Pool`] decides, by `hob-core`'s rules, when instances
//! start and stop, and hands calls to them. [`runtime::Runtime`] holds the tables' opened rows.
//!
//! **Invariants.** The only crate with `unsafe`, with wasmtime and with kernel calls. Nothing here
//! calls `tokio::spawn`: background work goes through [`hob_core::port::Spawn`].

pub mod body;
pub mod cgroup;
pub mod code;
pub mod contract;
pub mod cpu;
pub mod crowd;
pub mod disk;
pub mod environment;
mod executor;
pub mod fuzz;
pub mod gate;
pub mod hop;
pub mod host;
pub mod invocation;
mod javascript;
pub mod log;
pub mod machine;
pub mod outbound;
pub mod pool;
pub mod runtime;
mod settled;
mod spin;
pub mod unit;
pub mod wall;
pub mod witness;
mod worker;

pub use host::wasm::{Captured, compile_child, compilers_have_own_files, worker_child};
