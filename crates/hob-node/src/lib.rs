//! One running node: gateway, dispatcher, apps, control API, and the order in which they start and stop.
//!
//! **Why.** A node starts in process, several per process (tests do it), so there are no globals and
//! no terminal code here.
//!
//! **How.** [`Node::start`] and [`Node::stop`] are each one function, readable top to bottom.

pub mod apps;
pub mod doctor;
pub mod live;
pub mod settings;

pub use hob_runtime::detect::{Detected, detect};
pub use settings::{Address, Settings, Tls};

use hob_core::fault::Result;
use std::process::ExitCode;

/// First argument with which the program starts itself as the compiling child.
pub const COMPILE_COMMAND: &str = "__compile";

/// What the program does when it was started with [`COMPILE_COMMAND`]: compiles one component under
/// limits of its own, and ends.
pub fn compile_child() -> ExitCode {
    unimplemented!()
}

/// The OpenAPI document of the control API.
pub fn openapi() -> serde_json::Value {
    unimplemented!()
}

/// A running node.
#[derive(Debug)]
pub struct Node;

impl Node {
    /// Opens the store, binds every address, restores the deployed apps, then serves.
    ///
    /// # Errors
    /// `HOB-0605` when the data folder is in use, `HOB-0902` when an address is taken, `HOB-06xx`
    /// when the store cannot be read, `HOB-0705` for a TCP control address without a token.
    pub async fn start(_settings: Settings) -> Result<Self> {
        unimplemented!()
    }

    /// The gateway's address, such as `http://127.0.0.1:8080`, with the real port.
    pub fn url(&self) -> &str {
        unimplemented!()
    }

    /// Stops accepting, drains within the limit, flushes, closes.
    pub async fn stop(self) {
        unimplemented!()
    }
}
