//! One running node: gateway, dispatcher, apps, control API, and the order in which they start and stop.
//!
//! **Why.** A node starts in process, several per process (tests do it), so there are no globals and
//! no terminal code here.
//!
//! **How.** [`Node::start`] and [`Node::stop`] are each one function, readable top to bottom.

mod alerts;
mod allowance;
pub mod apps;
pub mod archive;
mod aside;
mod audit;
mod aws;
mod bus;
mod caller;
mod calls;
mod clock;
mod control;
mod dashboard;
mod delivery;
mod dispatcher;
pub mod doctor;
mod entrance;
mod export;
pub mod fuzz;
mod gateway;
mod hosts;
mod identity;
mod intake;
mod keys;
mod listener;
pub mod live;
pub mod logs;
mod node;
mod package;
mod per_space;
mod problem;
mod proxy;
pub mod reference;
mod room;
mod schedules;
mod scrape;
mod secrets;
pub mod settings;
mod sign_in;
mod sync;
pub mod task;
mod telemetry;
mod through;
mod tls;
mod tokens;
mod top;
mod usage;
mod versions;
mod why;
mod wire;

pub use control::openapi;
pub use hob_runtime::host::{Detected, Wanted, detect};
pub use hob_runtime::machine::answer_soon;
pub use hob_runtime::wall::{Choice as WallChoice, Wanted as Walls};
pub use node::Node;
pub use settings::{Address, Clients, Dashboard, Otlp, Place, SecretKey, Settings, Tls};
pub use tls::connect_tls;

/// What the program does when it was started with [`COMPILE_COMMAND`] as its first argument: compiles
/// one component under limits of its own, and ends.
pub use hob_runtime::compile_child;

/// First argument with which the program starts itself as the compiling child.
pub const COMPILE_COMMAND: &str = "__compile";

/// First argument with which the program starts itself as a worker.
pub const WORKER_COMMAND: &str = "__worker";

/// What the program does when it was started with [`WORKER_COMMAND`] as its first argument: runs the WASM functions of
/// one space for the node that has started it, and ends with it.
pub fn worker_child() -> std::process::ExitCode {
    hob_runtime::worker_child(task::Tasks::new(), None)
}
